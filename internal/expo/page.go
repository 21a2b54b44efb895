package expo

import (
	"cmp"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
)

// pageSize is the most records a page holds. With 64 the gzip stream is a tenth larger; with 256 it is a twentieth
// smaller, but one changed record has almost twice as much text rendered and deflated.
const pageSize = 128

// page is a run of a group's records, in the order of their keys, and what is known of their text.
//
// A scrape reads pages without a lock. So that nothing changes under it, it moves the table's epoch on when it takes
// its view, and whoever wants to change a page of an epoch gone by changes a copy of it: see own.
type page[R any] struct {
	labels string // the group's
	epoch  uint64 // the table's, when the page was made
	slots  []slot[R]
	cells  []cell // one a family

	pressing sync.Mutex // held while cells are pressed, so that scrapes at the same time share the work
}

type slot[R any] struct {
	key    string
	record *R
}

// cell is what is known of the text of a page in one family.
type cell struct {
	counted atomic.Int32 // samples in it + 1; 0 while nobody has counted
	// fresh says that deflated is this page's. Before, it is that of the page this one is a copy of, if there was any, and
	// will do if the text turns out to be the same.
	fresh    atomic.Bool
	deflated atomic.Pointer[deflated]
}

// empty says whether the page, which has been counted, has no sample.
func (c *cell) empty() bool { return c.counted.Load() == 1 }

// newPage returns a page of slots, which must not be used by others. It takes over what is known of the text of last,
// if not nil.
func (g *Group[R]) newPage(slots []slot[R], last *page[R]) *page[R] {
	p := &page[R]{
		labels: g.labels,
		epoch:  g.table.epoch,
		slots:  slots,
		cells:  make([]cell, len(g.table.families)),
	}
	if last != nil {
		for f := range last.cells {
			p.cells[f].deflated.Store(last.cells[f].deflated.Load())
		}
	}
	return p
}

// own returns page i, for changing.
func (g *Group[R]) own(i int) *page[R] {
	if p := g.pages[i]; p.epoch < g.table.epoch {
		g.pages[i] = g.newPage(slices.Clone(p.slots), p)
	}
	return g.pages[i]
}

// find returns the page and the slot in it where key is, or where it belongs.
func (g *Group[R]) find(key string) (i, j int, found bool) {
	i = sort.Search(len(g.pages), func(i int) bool { return g.pages[i].slots[0].key > key })
	if i == 0 {
		return 0, 0, false
	}
	i--
	j, found = slices.BinarySearchFunc(g.pages[i].slots, key, func(s slot[R], key string) int { return cmp.Compare(s.key, key) })
	return i, j, found
}

// insert puts s where find says it belongs.
func (g *Group[R]) insert(i, j int, s slot[R]) {
	g.size++
	if len(g.pages) == 0 || i == len(g.pages)-1 && j == pageSize { // records that come in order fill their pages
		g.pages = append(g.pages, g.newPage([]slot[R]{s}, nil))
		return
	}
	p := g.own(i)
	if len(p.slots) == pageSize {
		const half = pageSize / 2
		right := g.newPage(slices.Clone(p.slots[half:]), nil)
		p.slots = slices.Delete(p.slots, half, pageSize)
		g.pages = slices.Insert(g.pages, i+1, right)
		if j > half {
			p, j = right, j-half
		}
	}
	p.slots = slices.Insert(p.slots, j, s)
}

// remove takes slot j out of page i.
func (g *Group[R]) remove(i, j int) {
	g.size--
	p := g.own(i)
	p.slots = slices.Delete(p.slots, j, j+1)
	switch {
	case len(p.slots) == 0:
		g.pages = slices.Delete(g.pages, i, i+1)
	case i+1 < len(g.pages) && joinable(p.slots, g.pages[i+1].slots):
		g.join(i)
	case i > 0 && joinable(g.pages[i-1].slots, p.slots):
		g.join(i - 1)
	}
}

// joinable says whether two pages in a row are better one. That one is at most half full, so that records that come and
// go do not make it split and join all the time.
func joinable[R any](a, b []slot[R]) bool { return len(a)+len(b) <= pageSize/2 }

// join puts page i and the one after it together.
func (g *Group[R]) join(i int) {
	p := g.own(i)
	p.slots = append(p.slots, g.pages[i+1].slots...)
	g.pages = slices.Delete(g.pages, i+1, i+2)
}

// repage makes slots, which are ordered, all that the group holds. Pages begin at the keys where they began before, so
// that those whose records say the same again have the same text again.
func (g *Group[R]) repage(slots []slot[R]) {
	g.size = len(slots)
	last := g.pages
	if len(last) == 0 {
		last = []*page[R]{nil}
	}
	g.pages = make([]*page[R], 0, max(len(last), len(slots)/pageSize+1))
	for i, p := range last {
		n := len(slots)
		if i+1 < len(last) {
			next := last[i+1].slots[0].key
			n = sort.Search(n, func(j int) bool { return slots[j].key >= next })
		}
		g.fill(slots[:n], p)
		slots = slots[n:]
	}
}

// fill appends pages of slots, which are where last was, if not nil.
func (g *Group[R]) fill(slots []slot[R], last *page[R]) {
	switch end := len(g.pages) - 1; {
	case len(slots) == 0:
		return
	case end >= 0 && joinable(g.pages[end].slots, slots):
		p := g.own(end)
		p.slots = append(p.slots, slots...)
		return
	case last != nil && slices.Equal(slots, last.slots):
		g.pages = append(g.pages, last)
		return
	}
	for n := (len(slots) + pageSize - 1) / pageSize; n > 0; n-- { // as even as can be
		size := len(slots) / n
		g.pages = append(g.pages, g.newPage(slices.Clone(slots[:size]), last))
		slots, last = slots[size:], nil
	}
}

// ordered sorts slots by key and keeps the last one of each.
func ordered[R any](slots []slot[R]) []slot[R] {
	slices.SortStableFunc(slots, func(a, b slot[R]) int { return cmp.Compare(a.key, b.key) })
	n := 0
	for i, s := range slots {
		if i+1 < len(slots) && slots[i+1].key == s.key {
			continue
		}
		slots[n] = s
		n++
	}
	return slots[:n]
}
