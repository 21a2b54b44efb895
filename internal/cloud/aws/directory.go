package aws

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"crossplane-exporter/internal/cloud"
)

// DirectoryConfig is how a directory of log files is read: one that something else copies a trail's files into, or that
// is there to try things on.
type DirectoryConfig struct {
	// Path is the directory; all below it is read. Files are *.json or *.json.gz, and should be moved there, not
	// written.
	Path string
	// Pause is the time between two looks, half a minute if 0.
	Pause time.Duration
}

// Directory makes a source of log files in a directory.
func (s *Session) Directory(c DirectoryConfig) cloud.Source {
	c.Pause = or(c.Pause, 30*time.Second)
	return &directory{config: c, who: s.config.Principals, standing: standing{log: s.config.Log, status: cloud.Status{
		Source: "file/" + c.Path, Kind: "file", Coverage: cloud.CoversNone,
	}}}
}

type directory struct {
	standing
	config DirectoryConfig
	who    *Principals

	files map[string]*found // by name in marks
}

// A found is a file as it was when it was counted last.
type found struct {
	version string // size and time
	skip    int
	here    bool // in the current look
}

// Run implements cloud.Source.
func (s *directory) Run(ctx context.Context, in cloud.Inbox) error {
	s.files = map[string]*found{}
	for key, value := range in.Marks(s.Name()) {
		if name, ok := strings.CutPrefix(key, markDone); ok {
			s.file(name).version = value
		} else if name, ok := strings.CutPrefix(key, markPart); ok {
			s.file(name).skip, _ = strconv.Atoi(value)
		}
	}
	d := NewDecoder(s.who)
	for ctx.Err() == nil {
		start := time.Now()
		if err := s.look(ctx, in, d); err != nil && ctx.Err() == nil {
			s.failing("read", err, s.config.Pause)
		} else if err == nil {
			s.worked("read")
			s.update(func(st *cloud.Status) { st.Coverage, st.Through = cloud.CoversAll, start })
		}
		sleep(ctx, s.config.Pause)
	}
	return nil
}

// Probe implements cloud.Prober.
func (s *directory) Probe(context.Context) error {
	if _, err := os.ReadDir(s.config.Path); err != nil {
		return fmt.Errorf("read directory of log files: %w", err)
	}
	return nil
}

func (s *directory) file(name string) *found {
	f, ok := s.files[name]
	if !ok {
		f = &found{}
		s.files[name] = f
	}
	return f
}

// look goes over the directory once. A file that cannot be read does not keep it from the others.
func (s *directory) look(ctx context.Context, in cloud.Inbox, d *Decoder) error {
	var errs []error
	err := filepath.WalkDir(s.config.Path, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			errs = append(errs, err)
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir() || !isLog(path):
			return nil
		}
		if err := s.read(ctx, in, d, path); err != nil && ctx.Err() == nil {
			errs = append(errs, err)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	var gone []cloud.Mark
	for name, f := range s.files {
		if !f.here && len(errs) == 0 {
			delete(s.files, name)
			gone = append(gone, cloud.Mark{Key: markDone + name}, cloud.Mark{Key: markPart + name})
		}
		f.here = false
	}
	if len(gone) > 0 {
		errs = append(errs, in.Take(ctx, cloud.Batch{Source: s.Name(), Marks: gone}))
	}
	return errors.Join(errs...)
}

// read counts a file unless it has been.
func (s *directory) read(ctx context.Context, in cloud.Inbox, d *Decoder, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read log file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("read log file: %w", err)
	}
	relative, err := filepath.Rel(s.config.Path, path)
	if err != nil {
		return fmt.Errorf("read log file: %w", err)
	}
	name := markOf(relative)
	f := s.file(name)
	f.here = true
	version := fmt.Sprintf("%d@%d", info.Size(), info.ModTime().Unix())
	if f.version == version {
		return nil
	}
	// What is not a file any more, or of another size, has changed under us: the next look will see.
	whole := func() bool {
		now, err := os.Stat(path)
		return err == nil && now.Size() == info.Size() && now.ModTime().Equal(info.ModTime())
	}
	p := &part{source: s.Name(), name: name, done: version, skip: f.skip, whole: whole}
	err = p.deliver(ctx, in, d, file, nil)
	f.skip = p.skip
	s.update(func(st *cloud.Status) {
		st.Bad, st.Odd = st.Bad+d.Bad, st.Odd+d.Odd
		d.Bad, d.Odd = 0, 0
		switch {
		case err == nil:
			st.Files++
		case errors.Is(err, ErrNoLog):
			st.Skipped++
		case errors.Is(err, errBroken):
			st.Broken++
		}
	})
	switch {
	case err == nil, errors.Is(err, ErrNoLog):
	case errors.Is(err, errBroken):
		s.log.Warn("log file of the audit trail cannot be read to the end", "trail_source", s.Name(), "file", path, "err", err)
	default:
		return fmt.Errorf("read log file %s: %w", path, err)
	}
	f.version, f.skip = version, 0
	return nil
}
