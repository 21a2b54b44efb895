package cloud

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"
)

// Why a checkpoint cannot be used. The caller says so once and starts afresh: its counts are as unusable as the
// positions.
var (
	ErrCorrupt = errors.New("checkpoint is corrupt")
	ErrFuture  = errors.New("checkpoint is from the future")
)

// maxSkew is how much later than now a checkpoint may have been written: clocks of nodes differ.
const maxSkew = 5 * time.Minute

// seal is the first line of a checkpoint.
type seal struct {
	Format string    `json:"format"`
	Saved  time.Time `json:"saved"`
	// Sum is the CRC-32C of what follows the line.
	Sum uint32 `json:"crc32c"`
}

const sealFormat = "crossplane-exporter/1"

// Seal makes a checkpoint of a value: JSON, after a line that tells when it was made and whether it is whole. It may be
// kept wherever bytes are replaced in one step: a file (CheckpointFile), or a key of a ConfigMap.
func Seal(v any, now time.Time) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode checkpoint: %w", err)
	}
	head, err := json.Marshal(seal{sealFormat, now.UTC(), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))})
	if err != nil {
		return nil, fmt.Errorf("encode checkpoint: %w", err)
	}
	return bytes.Join([][]byte{head, body, nil}, []byte{'\n'}), nil
}

// Unseal reads a checkpoint into a value, and returns when it was made. It is ErrCorrupt unless every byte is as it was
// written, and ErrFuture if it was made after now. The value is left alone then.
func Unseal(data []byte, v any, now time.Time) (saved time.Time, err error) {
	head, body, _ := bytes.Cut(data, []byte{'\n'})
	body = bytes.TrimSuffix(body, []byte{'\n'})
	var s seal
	if err := json.Unmarshal(head, &s); err != nil {
		return time.Time{}, fmt.Errorf("%w: its first line is not a checkpoint's: %w", ErrCorrupt, err)
	}
	switch sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)); {
	case s.Format != sealFormat:
		return time.Time{}, fmt.Errorf("%w: format %.40q, not %q", ErrCorrupt, s.Format, sealFormat)
	case s.Sum != sum:
		return time.Time{}, fmt.Errorf("%w: checksum %08x, not %08x", ErrCorrupt, sum, s.Sum)
	case s.Saved.After(now.Add(maxSkew)):
		return s.Saved, fmt.Errorf("%w: it was written at %s, and it is %s", ErrFuture,
			s.Saved.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if err := json.Unmarshal(body, v); err != nil {
		return s.Saved, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return s.Saved, nil
}

// A CheckpointFile keeps a checkpoint in a file, whose directory must exist and be writable. A crash at any point
// leaves the old checkpoint or the new one.
type CheckpointFile string

// Save replaces the file.
func (f CheckpointFile) Save(v any, now time.Time) error {
	data, err := Seal(v, now)
	if err != nil {
		return err
	}
	path := string(f)
	// One name, so that crashes do not leave a file each.
	tmp, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	// The rename itself must survive too. Not every file system can sync a directory, and none needs it for
	// consistency.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

// Load reads the file into a value. It is fs.ErrNotExist if there is none yet; for the rest see Unseal.
func (f CheckpointFile) Load(v any, now time.Time) (saved time.Time, err error) {
	data, err := os.ReadFile(string(f))
	if err != nil {
		return time.Time{}, fmt.Errorf("load checkpoint: %w", err)
	}
	if saved, err = Unseal(data, v, now); err != nil {
		return saved, fmt.Errorf("load checkpoint %s: %w", string(f), err)
	}
	return saved, nil
}
