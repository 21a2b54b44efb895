package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func records(at time.Time, ids ...string) []Record {
	var rs []Record
	for _, id := range ids {
		rs = append(rs, Record{ID: id, Time: at})
	}
	return rs
}

// A life is a ledger and what has been counted through it.
type life struct {
	*Ledger
	Counts map[string]int
}

func newLife(s State, counts map[string]int, most int) *life {
	l := &life{Counts: map[string]int{}}
	for id, n := range counts {
		l.Counts[id] = n
	}
	l.Ledger = NewLedger(LedgerConfig{Count: func(_ string, r *Record) { l.Counts[r.ID]++ }, State: s, MaxIDs: most})
	return l
}

func take(t *testing.T, l *life, b Batch) {
	t.Helper()
	if err := l.Take(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// saved is a checkpoint: what must be written together.
type saved struct {
	State  State
	Counts map[string]int
}

// checkpoint goes through JSON, as a file does.
func checkpoint(t *testing.T, l *life, into *saved) {
	t.Helper()
	var data []byte
	err := l.Checkpoint(func(s State) func() error {
		var err error
		data, err = json.Marshal(saved{s, l.Counts})
		return func() error { return err }
	})
	if err != nil {
		t.Fatal(err)
	}
	*into = saved{}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
	if err := into.State.Check(); err != nil {
		t.Fatal(err)
	}
}

func TestLedgerCountsOnce(t *testing.T) {
	now := time.Unix(1700000000, 0)
	l := newLife(State{}, nil, 0)
	take(t, l, Batch{Source: "a", Records: records(now, "1", "2", "2", "")})
	take(t, l, Batch{Source: "b", Records: records(now.Add(time.Second), "2", "3", "")})
	if diff := cmp.Diff(map[string]int{"1": 1, "2": 1, "3": 1, "": 2}, l.Counts); diff != "" {
		t.Errorf("the same ID is the same event, from whatever source; none is always another: -want, +got:\n%s", diff)
	}
	want := map[string]Tally{
		"a": {Records: 3, Duplicates: 1, Nameless: 1, Last: now},
		"b": {Records: 2, Duplicates: 1, Nameless: 1, Last: now.Add(time.Second)},
	}
	if diff := cmp.Diff(want, l.Tallies()); diff != "" {
		t.Errorf("tallies: -want, +got:\n%s", diff)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Take(ended, Batch{Source: "a", Records: records(now, "9")}); !errors.Is(err, context.Canceled) || l.Counts["9"] != 0 {
		t.Errorf("a batch after the end was taken: %v, %v", err, l.Counts)
	}
}

func TestLedgerGivesUpOnlyWhatIsSaved(t *testing.T) {
	l := newLife(State{}, nil, 0)
	var done []string
	batch := func(name string) Batch {
		return Batch{Source: "a", Records: records(time.Unix(1, 0), name), Done: func() { done = append(done, name) }}
	}
	take(t, l, batch("1"))
	full := errors.New("disk full")
	if err := l.Checkpoint(func(State) func() error { return func() error { return full } }); !errors.Is(err, full) {
		t.Errorf("got %v, want the error of the write", err)
	}
	if len(done) != 0 {
		t.Errorf("%v was given up, but the checkpoint was not written", done)
	}
	err := l.Checkpoint(func(State) func() error {
		return func() error {
			// Comes while the checkpoint is being written, and is not in it.
			return l.Take(t.Context(), batch("2"))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"1"}, done); diff != "" {
		t.Errorf("given up: -want, +got:\n%s", diff)
	}
	checkpoint(t, l, &saved{})
	if diff := cmp.Diff([]string{"1", "2"}, done); diff != "" {
		t.Errorf("given up, once each: -want, +got:\n%s", diff)
	}
}

func TestLedgerGoesOn(t *testing.T) {
	now := time.Now()
	l := newLife(State{}, nil, 0)
	take(t, l, Batch{Source: "a", Records: records(now, "1", "2"), Marks: []Mark{{"at", "5"}, {"gone", "x"}}, Settled: now})
	take(t, l, Batch{Source: "a", Marks: []Mark{{"gone", ""}}})
	var s saved
	checkpoint(t, l, &s)
	l = newLife(s.State, s.Counts, 0)
	if diff := cmp.Diff(map[string]string{"at": "5"}, l.Marks("a")); diff != "" {
		t.Errorf("marks: -want, +got:\n%s", diff)
	}
	take(t, l, Batch{Source: "a", Records: records(now, "2", "3")})
	if diff := cmp.Diff(map[string]int{"1": 1, "2": 1, "3": 1}, l.Counts); diff != "" {
		t.Errorf("counts over a restart: -want, +got:\n%s", diff)
	}
	if l.Marks("never heard of")["x"] != "" {
		t.Error("marks out of nowhere")
	}
}

func TestLedgerKeepsWhatIsNotSettled(t *testing.T) {
	start := time.Now()
	l := newLife(State{}, nil, minIDs)
	take(t, l, Batch{Source: "lookup", Records: records(start, "old"), Settled: start.Add(-time.Hour)})
	for i := range 10 * minIDs {
		take(t, l, Batch{Source: "s3", Records: records(start, fmt.Sprint(i))})
	}
	take(t, l, Batch{Source: "lookup", Records: records(start, "old")})
	if l.Counts["old"] != 1 {
		t.Errorf("an ID that its source may repeat was forgotten under the load of another: counted %d times", l.Counts["old"])
	}
	if l.Forgotten() == 0 {
		t.Error("nothing was forgotten, the test is too small")
	}
}

func TestLedgerForgetsWhatCannotComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(State{}, nil, 0)
		size := func() int { return l.ids.n }
		for i := range 600 { // ten hours
			now := time.Now()
			take(t, l, Batch{Source: "lookup", Records: records(now, fmt.Sprint("l", i)), Settled: now.Add(-15 * time.Minute)})
			take(t, l, Batch{Source: "s3", Records: records(now, fmt.Sprint("s", i))})
			time.Sleep(time.Minute)
		}
		if n, most := size(), 2*int((idAge+2*idStep)/time.Minute); n > most {
			t.Errorf("it remembers %d IDs, want those of two hours: %d", n, most)
		}
		take(t, l, Batch{Source: "s3", Records: records(time.Now(), "s500")})
		if l.Counts["s500"] != 1 {
			t.Error("a duplicate within two hours was counted")
		}
	})
}

// A source that was renamed, or is refused for good, settles nothing ever again, and its records are remembered no longer than
// anybody may look back. Those that work are in between.
func TestLedgerForgetsWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLife(State{}, nil, minIDs)
		at := time.Now()
		for i := range 10 * minIDs {
			take(t, l, Batch{Source: "refused", Records: records(at, fmt.Sprint("r", i)), Settled: at.Add(-time.Minute)})
		}
		var s saved
		checkpoint(t, l, &s)
		most := 0
		hours := func(n int) {
			for i := range 60 * n {
				now := time.Now()
				take(t, l, Batch{Source: "works", Records: records(now, fmt.Sprint(now.Unix(), "/", i), fmt.Sprint(now.Unix(), "+", i)), Settled: now.Add(-15 * time.Minute)})
				most = max(most, l.ids.n)
				time.Sleep(time.Minute)
			}
		}
		l = newLife(s.State, s.Counts, minIDs) // and it is renamed
		hours(20)
		take(t, l, Batch{Source: "refused", Records: records(at, "r0", "r9999")})
		if l.Counts["r0"] != 1 || l.Counts["r9999"] != 1 {
			t.Error("what a source may look back to was forgotten")
		}
		if n := 10*minIDs + 200; most > n {
			t.Errorf("it remembered up to %d IDs, want %d at most: those of the source that works are in front of the others", most, n)
		}
		hours(10)
		if n := l.ids.n; n > 100 || len(l.ids.ring) > minIDs {
			t.Errorf("%d IDs are remembered, in room for %d; want those of a quarter of an hour", n, len(l.ids.ring))
		}
		checkpoint(t, l, &s)
		if n := len(s.State.Sources["refused"].IDs); n > 0 {
			t.Errorf("the checkpoint has %d bytes of IDs of who is gone", n)
		}
	})
}

func TestStateHalve(t *testing.T) {
	now := time.Now()
	l := newLife(State{}, nil, 0)
	take(t, l, Batch{Source: "a", Records: append(records(now, "new1", "new2"), records(now.Add(-time.Minute), "old1", "old2")...)})
	var s saved
	checkpoint(t, l, &s)
	if !s.State.Halve() {
		t.Fatal("nothing was there to be halved")
	}
	l = newLife(s.State, s.Counts, 0)
	take(t, l, Batch{Source: "a", Records: records(now, "new1", "new2", "old1", "old2")})
	if diff := cmp.Diff(map[string]int{"new1": 1, "new2": 1, "old1": 2, "old2": 2}, l.Counts); diff != "" {
		t.Errorf("the newest are what comes again: -want, +got:\n%s", diff)
	}
}

// The process dies at any point of a long delivery, in which everything comes twice or three times, and what is not
// given up comes again.
func TestLedgerIsExactOverCrashes(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 0))
		type file struct {
			ids []string
		}
		const n = 120
		queue := map[int]bool{} // files that have not been given up
		files := make([]file, n)
		for i := range files {
			queue[i] = true
			for j := range 1 + r.IntN(20) {
				id := fmt.Sprintf("%d/%d", i, j)
				files[i].ids = append(files[i].ids, id)
				if i > 0 && r.IntN(5) == 0 { // and again in a later file
					files[i].ids = append(files[i].ids, files[i-1].ids[0])
				}
			}
		}
		var disk saved
		crashes := 0
		for len(queue) > 0 {
			l := newLife(disk.State, disk.Counts, 0)
			for alive := true; alive && len(queue) > 0; {
				for i := range queue { // in random order
					if l.Marks("s")[fmt.Sprint(i)] != "" {
						checkpoint(t, l, &disk) // it is known; only then may it go
						delete(queue, i)
						break
					}
					ids := files[i].ids
					half := r.IntN(len(ids) + 1)
					take(t, l, Batch{Source: "s", Records: records(time.Unix(1, 0), ids[:half]...)})
					if r.IntN(10) == 0 {
						checkpoint(t, l, &disk)
					}
					if r.IntN(30) == 0 {
						alive = false
						break
					}
					take(t, l, Batch{
						Source: "s", Records: records(time.Unix(1, 0), ids[half:]...), Marks: []Mark{{fmt.Sprint(i), "done"}},
						Done: func() {
							if r.IntN(4) > 0 { // the request to delete it may be lost
								delete(queue, i)
							}
						},
					})
					if r.IntN(30) == 0 {
						alive = false
					}
					break
				}
				if r.IntN(8) == 0 {
					checkpoint(t, l, &disk)
				}
			}
			crashes++
		}
		for i := range files {
			for _, id := range files[i].ids {
				if disk.Counts[id] != 1 {
					t.Fatalf("seed %d, %d lives: %s was counted %d times", seed, crashes, id, disk.Counts[id])
				}
			}
		}
		if crashes < 3 {
			t.Errorf("seed %d: only %d lives", seed, crashes)
		}
	}
}

func TestStateCheck(t *testing.T) {
	s := State{Sources: map[string]SourceState{"a": {IDs: make([]byte, idSize+1)}}}
	if s.Check() == nil {
		t.Error("half an ID was accepted")
	}
	l := newLife(State{Sources: map[string]SourceState{"a": {IDs: make([]byte, idSize)}}}, nil, 0)
	if l.ids.n != 1 {
		t.Errorf("%d IDs, want 1", l.ids.n)
	}
}

func BenchmarkLedger(b *testing.B) {
	l := NewLedger(LedgerConfig{Count: func(string, *Record) {}})
	batch := make([]Record, 256)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range batch {
			n++
			batch[i] = Record{ID: "0aab9947-662e-407b-bbc7-" + string(rune(n)), Time: time.Unix(int64(n), 0)}
		}
		_ = l.Take(context.Background(), Batch{Source: "a", Records: batch})
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkCheckpoint(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			l := NewLedger(LedgerConfig{Count: func(string, *Record) {}})
			for i := range n {
				l.ids.add(seen{hash: uint64(i) * 0x9e3779b97f4a7c15, source: l.account("a").index})
			}
			size := 0
			for b.Loop() {
				_ = l.Checkpoint(func(s State) func() error {
					return func() error {
						data, err := json.Marshal(s)
						size = len(data)
						return err
					}
				})
			}
			b.ReportMetric(float64(size), "bytes")
		})
	}
}
