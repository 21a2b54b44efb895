package cloud

import (
	"slices"
	"time"
)

// Reverts measures how long it takes until what someone changed is put right: from a write by someone else on a
// resource to the next write on it by its provider. Records may come in any order, as trails deliver them. The zero
// value is ready; K is what the caller knows a resource by. It is for one goroutine.
type Reverts[K comparable] struct {
	// Horizon is how long a change may wait for its correction, and a correction for a change that the trail shows
	// late; a day if 0.
	Horizon time.Duration

	of     map[K]*writes
	newest time.Time
}

// A Revert is a change that was put right.
type Revert struct {
	By   string // who had made the change
	Took time.Duration
}

// writes are those on one resource that may still belong together, the oldest first.
type writes struct{ changes, corrections []writing }

// A writing is when there was one; by is whose, of changes.
type writing struct {
	at time.Time
	by string
}

func (w writing) compare(at time.Time) int { return w.at.Compare(at) }

// maxWrites bounds what is kept of one resource: someone may be fighting with the provider.
const maxWrites = 64

// Changed notes a write by someone else, by. If the trail has shown the correction before the change, it returns how long
// that took.
func (r *Reverts[K]) Changed(key K, at time.Time, by string) (took time.Duration, corrected bool) {
	w := r.writes(key, at)
	i, _ := slices.BinarySearchFunc(w.corrections, at, writing.compare)
	if i < len(w.corrections) {
		return w.corrections[i].at.Sub(at), true
	}
	w.changes = insert(w.changes, writing{at, by})
	return 0, false
}

// Corrected notes a write by the provider, and returns the changes before it that it puts right, the oldest first.
func (r *Reverts[K]) Corrected(key K, at time.Time) (reverts []Revert) {
	w := r.writes(key, at)
	n, _ := slices.BinarySearchFunc(w.changes, at.Add(1), writing.compare)
	for _, changed := range w.changes[:n] {
		reverts = append(reverts, Revert{changed.by, at.Sub(changed.at)})
	}
	w.changes = slices.Delete(w.changes, 0, n)
	w.corrections = insert(w.corrections, writing{at: at})
	return reverts
}

// Forget forgets a resource, because it is gone.
func (r *Reverts[K]) Forget(key K) { delete(r.of, key) }

// A Change is one that waits for its correction.
type Change struct {
	At int64  `json:"t"` // in Unix seconds, which is as exact as trails are
	By string `json:"by"`
}

// Waiting are the changes that have not been corrected yet, the oldest first. They are the caller's.
func (r *Reverts[K]) Waiting() map[K][]Change {
	waiting := map[K][]Change{}
	for key, w := range r.of {
		for _, c := range w.changes {
			waiting[key] = append(waiting[key], Change{c.at.Unix(), c.by})
		}
	}
	return waiting
}

// Wait notes changes that were waiting in an earlier life.
func (r *Reverts[K]) Wait(waiting map[K][]Change) {
	for key, changes := range waiting {
		for _, c := range changes {
			r.Changed(key, time.Unix(c.At, 0).UTC(), c.By)
		}
	}
}

func insert(writes []writing, w writing) []writing {
	i, _ := slices.BinarySearchFunc(writes, w.at, writing.compare)
	writes = slices.Insert(writes, i, w)
	if len(writes) > maxWrites {
		writes = slices.Delete(writes, 0, 1)
	}
	return writes
}

// writes returns those of a resource, and now and then forgets what is beyond the horizon.
func (r *Reverts[K]) writes(key K, at time.Time) *writes {
	if r.of == nil {
		r.of = map[K]*writes{}
	}
	horizon := r.Horizon
	if horizon == 0 {
		horizon = 24 * time.Hour
	}
	if at.Sub(r.newest) > horizon/8 {
		r.newest = at
		old := at.Add(-horizon)
		for k, w := range r.of {
			w.changes = since(w.changes, old)
			w.corrections = since(w.corrections, old)
			if len(w.changes)+len(w.corrections) == 0 {
				delete(r.of, k)
			}
		}
	}
	w, ok := r.of[key]
	if !ok {
		w = &writes{}
		r.of[key] = w
	}
	return w
}

func since(writes []writing, t time.Time) []writing {
	i, _ := slices.BinarySearchFunc(writes, t, writing.compare)
	return slices.Delete(writes, 0, i)
}
