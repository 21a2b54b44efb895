package cloud

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReverts(t *testing.T) {
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	type event struct {
		changed bool
		at      int
	}
	cases := map[string]struct {
		reason string
		events []event
		want   []int // minutes
		left   int
	}{
		"One":         {"a change and its correction", []event{{true, 0}, {false, 7}}, []int{7}, 0},
		"Uncorrected": {"nobody has noticed yet", []event{{true, 0}}, nil, 1},
		"NoChange":    {"a write of the provider's by itself", []event{{false, 0}}, nil, 0},
		"Before":      {"a write before the change corrects nothing", []event{{false, 0}, {true, 5}}, nil, 1},
		"Two":         {"two changes, corrected at once", []event{{true, 0}, {true, 3}, {false, 10}}, []int{10, 7}, 0},
		"Again":       {"changed, corrected and changed", []event{{true, 0}, {false, 2}, {true, 5}, {false, 6}}, []int{2, 1}, 0},
		"Late":        {"the trail shows the correction first", []event{{false, 7}, {true, 0}}, []int{7}, 0},
		"LateTwo":     {"and the next one too", []event{{false, 9}, {false, 7}, {true, 0}, {true, 8}}, []int{7, 1}, 0},
		"Once":        {"a change is corrected once", []event{{true, 0}, {false, 7}, {false, 9}}, []int{7}, 0},
		"SameSecond":  {"at the same time is after it", []event{{true, 0}, {false, 0}}, []int{0}, 0},
		"TooLate":     {"a day later it is something else", []event{{true, 0}, {false, 25 * 60}}, nil, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var r Reverts[string]
			var got []int
			for _, e := range tc.events {
				if !e.changed {
					for _, d := range r.Corrected("x", minute(e.at)) {
						got = append(got, int(d.Took.Minutes()))
						if d.By != "someone" {
							t.Errorf("made by %q", d.By)
						}
					}
				} else if d, ok := r.Changed("x", minute(e.at), "someone"); ok {
					got = append(got, int(d.Minutes()))
				}
			}
			left := 0
			for _, changes := range r.Waiting() {
				left += len(changes)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || left != tc.left {
				t.Errorf("%s: %d are waiting, want %d; -want, +got:\n%s", tc.reason, left, tc.left, diff)
			}
		})
	}
}

// The order in which a trail shows things does not matter, as long as each correction comes before the next change
// does.
func TestRevertsInAnyOrder(t *testing.T) {
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	type event struct {
		key     int
		at      time.Time
		changed bool
	}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		var events []event
		for key := range 5 {
			events = append(events, event{key, start.Add(time.Duration(r.IntN(60)) * time.Second), true}, event{key, start.Add(time.Duration(60+r.IntN(60)) * time.Second), false})
		}
		var want, got []time.Duration
		for i := 0; i < len(events); i += 2 {
			want = append(want, events[i+1].at.Sub(events[i].at))
		}
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		var x Reverts[int]
		for _, e := range events {
			if !e.changed {
				for _, d := range x.Corrected(e.key, e.at) {
					got = append(got, d.Took)
				}
			} else if d, ok := x.Changed(e.key, e.at, ""); ok {
				got = append(got, d)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: -want, +got:\n%s", seed, diff)
		}
	}
}

func TestRevertsAreBounded(t *testing.T) {
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	r := Reverts[int]{Horizon: time.Hour}
	for i := range 100_000 {
		at := start.Add(time.Duration(i) * time.Second)
		r.Changed(i, at, "")
		r.Changed(-1, at, "")
	}
	if n := len(r.of); n > 2*3600 {
		t.Errorf("%d resources are remembered, want those of about an hour", n)
	}
	if n := len(r.of[-1].changes); n > maxWrites {
		t.Errorf("%d changes of one resource", n)
	}
	r.Forget(-1)
	if _, ok := r.of[-1]; ok {
		t.Error("it was not forgotten")
	}
}

func TestVocabulary(t *testing.T) {
	v := Vocabulary{Max: 2, MaxTopics: 2}
	var got []string
	for _, w := range [][2]string{{"ec2", "a"}, {"ec2", "b"}, {"ec2", "c"}, {"ec2", "a"}, {"s3", "c"}, {"iam", "a"}, {"s3", "c"}} {
		got = append(got, v.Word(w[0], w[1]))
	}
	want := []string{"a", "b", OtherWord, "a", "c", OtherWord, "c"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	if v.Refused() != 2 {
		t.Errorf("refused %d, want 2", v.Refused())
	}
}

func TestRevertsGoOn(t *testing.T) {
	at := time.Unix(1700000000, 0).UTC()
	var before, after Reverts[string]
	before.Changed("a", at, "root")
	before.Changed("a", at.Add(time.Minute), "console")
	before.Changed("b", at, "root")
	before.Corrected("b", at.Add(time.Second))
	after.Wait(before.Waiting())
	want := []Revert{{"root", 2 * time.Minute}, {"console", time.Minute}}
	if diff := cmp.Diff(want, after.Corrected("a", at.Add(2*time.Minute))); diff != "" {
		t.Errorf("what waited before a restart: -want, +got:\n%s", diff)
	}
	if got := after.Corrected("b", at.Add(2*time.Minute)); len(got) > 0 {
		t.Errorf("what was corrected before a restart is again: %v", got)
	}
}
