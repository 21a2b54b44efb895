package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"crossplane-exporter/internal/cloud"
)

// batchSize is how many records of a file are counted at once.
const batchSize = 256

// Marks of log files, before the file's name as markOf shortens it.
const (
	markDone = "done/" // all of it has been counted
	markPart = "part/" // its value is how many records of it have been
)

// markOf is a short name of a file in marks. Two files have the same with a probability of one in 10^19.
func markOf(name string) string {
	return strconv.FormatUint(cloud.HashID(name), 16)
}

// isLog is whether a file is one of events by its name: there are digests and insights beside them, and whatever people
// put there.
func isLog(name string) bool {
	return (strings.HasSuffix(name, ".json.gz") || strings.HasSuffix(name, ".json")) &&
		!strings.Contains(name, "CloudTrail-Digest") && !strings.Contains(name, "CloudTrail-Insight")
}

// errBroken is that a file cannot be read to the end and never will be: what could be read has been counted.
var errBroken = errors.New("log file is broken")

// A part is a log file on its way into the ledger.
type part struct {
	source string
	name   string // of the file, as in marks
	done   string // the mark's value once all is counted
	skip   int    // records that were counted before
	// whole is whether all of the file has come to us, once it has been read.
	whole func() bool
}

// deliver reads a file and hands its records over. The position within the file is moved with them, so that neither a
// failure half-way nor the death of the process makes any count twice. It returns nil or errBroken if the file is done
// with, after calling finish under the same step as its last records: a checkpoint has both or neither.
func (p *part) deliver(ctx context.Context, in cloud.Inbox, d *Decoder, file io.Reader, finish func()) error {
	batch := make([]cloud.Record, 0, batchSize)
	n := 0
	flush := func() error {
		if n <= p.skip {
			return nil
		}
		err := in.Take(ctx, cloud.Batch{
			Source: p.source, Records: batch, Marks: []cloud.Mark{{Key: markPart + p.name, Value: strconv.Itoa(n)}},
		})
		if err == nil {
			p.skip = n
			batch = batch[:0]
		}
		return err
	}
	err := d.Decode(file, func(r *cloud.Record) error {
		if n++; n <= p.skip {
			return nil
		}
		batch = append(batch, *r)
		if len(batch) < batchSize {
			return nil
		}
		return flush()
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, ErrNoLog) {
		if !p.whole() {
			if ferr := flush(); ferr != nil {
				return ferr
			}
			return err
		}
		err = fmt.Errorf("%w after %d records: %w", errBroken, n, err)
	}
	if terr := in.Take(ctx, cloud.Batch{
		Source: p.source, Records: batch, Done: finish,
		Marks: []cloud.Mark{{Key: markPart + p.name}, {Key: markDone + p.name, Value: p.done}},
	}); terr != nil {
		return terr
	}
	return err
}

// A body is that of an answer: it knows how much of it was read, and fails if nothing comes for too long.
type body struct {
	io.ReadCloser
	n       int64
	failed  error
	stall   *time.Timer
	stalled atomic.Bool
}

func newBody(r io.ReadCloser) *body {
	b := &body{ReadCloser: r}
	b.stall = time.AfterFunc(stallTimeout, func() {
		b.stalled.Store(true)
		r.Close()
	})
	return b
}

var errStalled = fmt.Errorf("timeout: no data for %s", stallTimeout)

func (b *body) Read(p []byte) (int, error) {
	b.stall.Reset(stallTimeout)
	n, err := b.ReadCloser.Read(p)
	b.n += int64(n)
	if err != nil && b.stalled.Load() {
		err = errStalled
	}
	if err != nil && err != io.EOF {
		b.failed = err
	}
	return n, err
}

func (b *body) Close() error {
	b.stall.Stop()
	return b.ReadCloser.Close()
}
