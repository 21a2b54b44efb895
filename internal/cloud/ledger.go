package cloud

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Ledger counts every record once.
//
// It takes batches from sources, passes over what it has seen, and calls the function that it was made with for the
// rest, one record at a time. In the same step it moves the sources' marks forward. Checkpoint cuts between two
// batches: what has been counted by then, which IDs were seen and where the sources are belong together, and are to be
// written together. Only then is what the records came from given up (Batch.Done: a queue's messages are deleted).
//
// So whenever the process dies, the last checkpoint that was written is consistent: counts restored from it, and
// sources started again over a ledger with its State, take up exactly what is not in the counts. What had been counted
// after the checkpoint is delivered again and counted again, from counts that do not have it.
type Ledger struct {
	count    func(source string, r *Record)
	lookback time.Duration

	checkpoint sync.Mutex // one at a time

	mu      sync.Mutex
	ids     *ids
	sources map[string]*account
	order   []*account
	pending []func() // of batches that are in no checkpoint yet
	arrived []arrival
}

// An arrival says which number, in the order of arrival, the first ID after a time had.
type arrival struct {
	time   time.Time
	number uint64
}

// An account is what the ledger keeps of a source.
type account struct {
	Tally

	name    string
	index   uint32
	marks   map[string]string
	settled int64 // Unix seconds, 0 if the source never said
}

// A Tally is what the ledger has taken from a source in this life.
type Tally struct {
	// Records were counted, Duplicates had been before. Nameless records have no ID and were counted.
	Records, Duplicates, Nameless uint64
	// Last is the time of the newest record.
	Last time.Time
}

// LedgerConfig is how a ledger is made.
type LedgerConfig struct {
	// Count is called for every record once, by one goroutine at a time. The record is valid during the call. It must
	// not call the ledger.
	Count func(source string, r *Record)
	// State is what the last checkpoint held; the zero State is a fresh start.
	State State
	// MaxIDs is how many IDs are remembered, DefaultMaxIDs if 0. IDs that a source has not settled come on top, of records
	// that it may still look back to.
	MaxIDs int
	// Lookback is how old a record may be that a source hands over after it was away, a day if 0.
	Lookback time.Duration
}

const (
	// DefaultMaxIDs is enough for the events of an hour at 300 a second, and takes up to 24 MB then.
	DefaultMaxIDs = 1 << 20
	// idAge is how long an ID is remembered if there is room, counted while the process runs. Trails repeat events
	// within minutes.
	idAge = 2 * time.Hour
	// idStep is how exactly.
	idStep = time.Minute
	// forgetAtOnce is how many IDs a batch looks at besides twice its own number, to see whether they can come again.
	forgetAtOnce = 1000
	// lookbackSlack is how much older than Lookback a record may be all the same: clocks differ, and reading takes time.
	lookbackSlack = time.Hour
)

// NewLedger returns a ledger that goes on from a state. The state is not changed, and must be one that Check accepts.
func NewLedger(c LedgerConfig) *Ledger {
	if c.MaxIDs <= 0 {
		c.MaxIDs = DefaultMaxIDs
	}
	if c.Lookback <= 0 {
		c.Lookback = 24 * time.Hour
	}
	l := &Ledger{count: c.Count, lookback: c.Lookback, sources: map[string]*account{}}
	l.ids = newIDs(c.MaxIDs, func(s seen) bool { return l.order[s.source].settled != 0 && l.mayRepeat(s, time.Now()) })
	for name, s := range c.State.Sources {
		a := l.account(name)
		maps.Copy(a.marks, s.Marks)
		if !s.Settled.IsZero() {
			a.settled = s.Settled.Unix()
		}
		for b := s.IDs; len(b) >= idSize; b = b[idSize:] {
			l.ids.add(seen{binary.BigEndian.Uint64(b), binary.BigEndian.Uint32(b[8:]), a.index})
		}
	}
	return l
}

// account returns the account of a source, made if need be. l.mu is held, or l is new.
func (l *Ledger) account(name string) *account {
	a, ok := l.sources[name]
	if !ok {
		a = &account{name: name, index: uint32(len(l.order)), marks: map[string]string{}}
		l.sources[name] = a
		l.order = append(l.order, a)
	}
	return a
}

// Marks implements Inbox. The caller may change the map.
func (l *Ledger) Marks(source string) map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.account(source).marks)
}

// Take implements Inbox.
func (l *Ledger) Take(ctx context.Context, b Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.account(b.Source)
	for i := range b.Records {
		r := &b.Records[i]
		switch {
		case r.ID == "":
			a.Nameless++
		case !l.ids.add(seen{HashID(r.ID), seconds(r.Time), a.index}):
			a.Duplicates++
			continue
		}
		a.Records++
		if r.Time.After(a.Last) {
			a.Last = r.Time
		}
		l.count(b.Source, r)
	}
	for _, m := range b.Marks {
		if m.Value == "" {
			delete(a.marks, m.Key)
		} else {
			a.marks[m.Key] = m.Value
		}
	}
	if !b.Settled.IsZero() {
		a.settled = max(a.settled, b.Settled.Unix())
	}
	if b.Done != nil {
		l.pending = append(l.pending, b.Done)
	}
	l.forget(time.Now(), forgetAtOnce+2*len(b.Records))
	return nil
}

// mayRepeat is whether a source that settles its records has not settled this one, and may still look back to it. Of a source
// that was renamed, or is refused for good, nothing is ever settled.
func (l *Ledger) mayRepeat(s seen, now time.Time) bool {
	settled := l.order[s.source].settled
	return settled != 0 && int64(s.time) >= settled && now.Unix()-int64(s.time) <= int64((l.lookback+lookbackSlack)/time.Second)
}

// forget forgets up to n IDs that cannot come again, so that a checkpoint is no larger than it need be. Those that may, it
// moves out of the way of the ones behind them.
func (l *Ledger) forget(now time.Time, n int) {
	next := l.ids.passed + uint64(l.ids.n)
	if k := len(l.arrived); k == 0 || now.Sub(l.arrived[k-1].time) >= idStep {
		l.arrived = append(l.arrived, arrival{now, next})
	}
	for len(l.arrived) > 1 && now.Sub(l.arrived[1].time) >= idAge {
		l.arrived = l.arrived[1:]
	}
	var old uint64 // IDs with smaller numbers are too old
	if now.Sub(l.arrived[0].time) >= idAge {
		old = l.arrived[0].number
	}
	for range min(n, l.ids.n) {
		head := l.ids.ring[l.ids.head]
		switch {
		case l.mayRepeat(head, now):
			l.ids.postpone()
		case l.order[head.source].settled == 0 && l.ids.passed >= old:
			return // what is behind it waits for as long as idAge at most
		default:
			l.ids.forget()
		}
	}
	l.ids.shrink()
}

// seconds is a time as the ledger keeps it.
func seconds(t time.Time) uint32 {
	return uint32(min(max(t.Unix(), 0), 1<<32-1))
}

// Checkpoint calls cut while nothing is being counted, with a State that the caller then owns. Cut copies what has been
// counted and returns a function that writes both, all or nothing. That is called after counting has gone on, and if it
// succeeds, what the batches before the cut came from is given up. If it fails nothing is lost: the next checkpoint has
// it all.
//
// It should be called every few seconds, also where nothing is written: sources that hold messages of a queue stop at
// some thousand that are in no checkpoint.
func (l *Ledger) Checkpoint(cut func(State) (write func() error)) error {
	l.checkpoint.Lock()
	defer l.checkpoint.Unlock()

	write, n := l.cut(cut)
	if err := write(); err != nil {
		return fmt.Errorf("write checkpoint of the audit trails: %w", err)
	}

	l.mu.Lock()
	done := l.pending[:n:n]
	l.pending = l.pending[n:]
	l.mu.Unlock()
	for _, f := range done {
		f()
	}
	return nil
}

func (l *Ledger) cut(cut func(State) func() error) (write func() error, pending int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := State{Sources: make(map[string]SourceState, len(l.order))}
	rows := make([][]byte, len(l.order))
	for e := range l.ids.all {
		b := rows[e.source]
		b = binary.BigEndian.AppendUint64(b, e.hash)
		rows[e.source] = binary.BigEndian.AppendUint32(b, e.time)
	}
	for i, a := range l.order {
		st := SourceState{Marks: maps.Clone(a.marks), IDs: rows[i]}
		if a.settled != 0 {
			st.Settled = time.Unix(a.settled, 0).UTC()
		}
		s.Sources[a.name] = st
	}
	return cut(s), len(l.pending)
}

// Tallies returns what was taken from each source that has ever been heard of.
func (l *Ledger) Tallies() map[string]Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := make(map[string]Tally, len(l.order))
	for _, a := range l.order {
		t[a.name] = a.Tally
	}
	return t
}

// Forgotten counts IDs that were forgotten to make room for new ones. That is the normal course of a full ledger; it
// says how old a duplicate may be to be known as one.
func (l *Ledger) Forgotten() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ids.forgotten
}

// A State is what a ledger keeps over restarts. It is plain data, to be written beside the counts.
type State struct {
	Sources map[string]SourceState `json:"sources,omitempty"`
	// Waiting is for whoever counts: the changes that Reverts of what has been counted wait with. The ledger leaves it alone.
	Waiting map[string][]Change `json:"waiting,omitempty"`
}

// A SourceState is what a ledger keeps of a source.
type SourceState struct {
	Marks   map[string]string `json:"marks,omitempty"`
	Settled time.Time         `json:"settled,omitzero"`
	// IDs are rows of a hash and the record's Unix time, big-endian.
	IDs []byte `json:"ids,omitempty"`
}

const idSize = 8 + 4

// Check says whether a state can be gone on from.
func (s State) Check() error {
	var errs []error
	for name, st := range s.Sources {
		if len(st.IDs)%idSize != 0 {
			errs = append(errs, fmt.Errorf("source %q: %d bytes of IDs is no whole number of them", name, len(st.IDs)))
		}
	}
	return errors.Join(errs...)
}

// Halve forgets the changes that wait, or else the older half of the IDs of each source, and is false if there is nothing left to
// forget. A record that is delivered again after that is counted again.
func (s *State) Halve() bool {
	if s == nil {
		return false
	}
	if len(s.Waiting) > 0 {
		s.Waiting = nil
		return true
	}
	halved := false
	for name, st := range s.Sources {
		if n := len(st.IDs) / idSize; n > 0 {
			rows := slices.Collect(slices.Chunk(st.IDs, idSize))
			slices.SortStableFunc(rows, func(a, b []byte) int { return bytes.Compare(a[idSize-4:], b[idSize-4:]) })
			st.IDs = bytes.Join(rows[(n+1)/2:], nil)
			s.Sources[name] = st
			halved = true
		}
	}
	return halved
}
