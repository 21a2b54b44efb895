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

// writes are those on one resource that may still belong together, the oldest first.
type writes struct{ changes, corrections []time.Time }

// maxWrites bounds what is kept of one resource: someone may be fighting with the provider.
const maxWrites = 64

// Changed notes a write by someone else. If the trail has shown the correction before the change, it returns how long
// that took.
func (r *Reverts[K]) Changed(key K, at time.Time) (took time.Duration, corrected bool) {
	w := r.writes(key, at)
	i, _ := slices.BinarySearchFunc(w.corrections, at, time.Time.Compare)
	if i < len(w.corrections) {
		return w.corrections[i].Sub(at), true
	}
	w.changes = insert(w.changes, at)
	return 0, false
}

// Corrected notes a write by the provider, and returns how long each of the changes before it had to wait, the oldest
// first.
func (r *Reverts[K]) Corrected(key K, at time.Time) (took []time.Duration) {
	w := r.writes(key, at)
	n, _ := slices.BinarySearchFunc(w.changes, at.Add(1), time.Time.Compare)
	for _, changed := range w.changes[:n] {
		took = append(took, at.Sub(changed))
	}
	w.changes = slices.Delete(w.changes, 0, n)
	w.corrections = insert(w.corrections, at)
	return took
}

// Forget forgets a resource, because it is gone.
func (r *Reverts[K]) Forget(key K) { delete(r.of, key) }

// Waiting is how many changes have not been corrected yet.
func (r *Reverts[K]) Waiting() int {
	n := 0
	for _, w := range r.of {
		n += len(w.changes)
	}
	return n
}

func insert(times []time.Time, t time.Time) []time.Time {
	i, _ := slices.BinarySearchFunc(times, t, time.Time.Compare)
	times = slices.Insert(times, i, t)
	if len(times) > maxWrites {
		times = slices.Delete(times, 0, 1)
	}
	return times
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

func since(times []time.Time, t time.Time) []time.Time {
	i, _ := slices.BinarySearchFunc(times, t, time.Time.Compare)
	return slices.Delete(times, 0, i)
}
