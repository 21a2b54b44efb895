package expo

import (
	"cmp"
	"hash/maphash"
	"iter"
	"math"
	"slices"
	"sync"
)

// Type is what Prometheus is told a family is.
type Type string

// The types of text format 0.0.4 that have one sample a label set.
const (
	Gauge   Type = "gauge"
	Counter Type = "counter"
	Untyped Type = "untyped"
)

// Family is one metric family over records of type R.
type Family[R any] struct {
	Name   string
	Help   string
	Type   Type
	Labels []string // names of the labels after the record's identity, for the documentation
	// Say writes what a record has to say in this family: any number of samples, or none. Scrapes call it, from several
	// goroutines, whenever they need the text: it must say the same of the same record each time, and touch nothing else.
	Say func(*Lines, *R)
}

// Table keeps records in groups, and is a Source that says each of its families over all of them: groups in the order
// of their labels, records in the order of their keys. Its methods, and its groups', may be called from any goroutine.
type Table[R any] struct {
	families []Family[R]
	headers  []string
	deflated []*deflated // the headers
	seed     maphash.Seed

	mu     sync.Mutex
	epoch  uint64 // see page
	limit  int
	groups []*Group[R] // ordered by labels
}

// NewTable returns an empty table. Families without a sample still say their header.
func NewTable[R any](families ...Family[R]) *Table[R] {
	t := &Table[R]{families: families, seed: maphash.MakeSeed(), limit: math.MaxInt}
	d := getDeflater()
	defer d.release()
	for _, f := range families {
		h := header(f.Name, f.Help, f.Type)
		t.headers = append(t.headers, h)
		t.deflated = append(t.deflated, d.deflate([]byte(h)))
	}
	return t
}

// Limit sets how many samples each family may say; 0 or less is no limit. A family that has more says its first ones,
// and how many it left out is in its Tally.
func (t *Table[R]) Limit(samples int) {
	if samples <= 0 {
		samples = math.MaxInt
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.limit = samples
}

// Group returns the group whose every line is led by labels, a rendered list as Label returns it; it is made if it is
// not there.
func (t *Table[R]) Group(labels string) *Group[R] {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, found := slices.BinarySearchFunc(t.groups, labels, func(g *Group[R], labels string) int {
		return cmp.Compare(g.labels, labels)
	})
	if !found {
		t.groups = slices.Insert(t.groups, i, &Group[R]{table: t, labels: labels})
	}
	return t.groups[i]
}

// Drop takes a group and its records out of the table, in one step. The group may still be written to, by someone who
// does not know yet, but is no longer said.
func (t *Table[R]) Drop(g *Group[R]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.groups = slices.DeleteFunc(t.groups, func(o *Group[R]) bool { return o == g })
}

// Group is the records of a table that have their first labels in common, say those of one kind.
type Group[R any] struct {
	table  *Table[R]
	labels string

	// The rest is guarded by table.mu.
	pages []*page[R] // none of them empty, ordered by their keys
	size  int
}

// Get returns the record at key, or nil.
func (g *Group[R]) Get(key string) *R {
	g.table.mu.Lock()
	defer g.table.mu.Unlock()
	if i, j, found := g.find(key); found {
		return g.pages[i].slots[j].record
	}
	return nil
}

// Set puts a record at key, in place of the one there. The key is the record's identity as rendered labels, which follow
// the group's on every line; the record must not be nil, and neither it nor anything it refers to may change from now
// on: scrapes read it without a lock.
func (g *Group[R]) Set(key string, record *R) {
	g.table.mu.Lock()
	defer g.table.mu.Unlock()
	i, j, found := g.find(key)
	if found {
		g.own(i).slots[j] = slot[R]{key, record}
		return
	}
	g.insert(i, j, slot[R]{key, record})
}

// Delete takes away the record at key, if there is one.
func (g *Group[R]) Delete(key string) {
	g.table.mu.Lock()
	defer g.table.mu.Unlock()
	if i, j, found := g.find(key); found {
		g.remove(i, j)
	}
}

// Replace makes records all that the group holds, in one step: a scrape sees what was there before or what is there
// after, and nothing else. Of several records at one key the last one stays. What comes out as the same text as before
// is not compressed again. The keys and records are as for Set.
func (g *Group[R]) Replace(records iter.Seq2[string, *R]) {
	var slots []slot[R]
	for key, record := range records {
		slots = append(slots, slot[R]{key, record})
	}
	slots = ordered(slots)

	g.table.mu.Lock()
	defer g.table.mu.Unlock()
	g.repage(slots)
}

// Len returns how many records the group holds.
func (g *Group[R]) Len() int {
	g.table.mu.Lock()
	defer g.table.mu.Unlock()
	return g.size
}

// All walks the records in the order of their keys, as they were when the walk began.
func (g *Group[R]) All() iter.Seq2[string, *R] {
	return func(yield func(string, *R) bool) {
		g.table.mu.Lock()
		pages := slices.Clone(g.pages)
		g.table.epoch++
		g.table.mu.Unlock()
		for _, p := range pages {
			for _, s := range p.slots {
				if !yield(s.key, s.record) {
					return
				}
			}
		}
	}
}
