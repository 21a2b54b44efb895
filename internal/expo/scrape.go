package expo

import (
	"hash/maphash"
	"math"
)

// tableView is what a table said when a scrape began.
type tableView[R any] struct {
	table *Table[R]
	limit int
	pages []*page[R]
	parts []part // one a family
}

// part is how much of a family is said: some pages in full, then some samples of the page after them.
type part struct {
	Tally

	pages    int
	rest     int
	deflated *deflated // the rest
}

// take takes in page i, with that many samples, as far as limit allows.
func (pt *part) take(i, samples, limit int) {
	if room := limit - pt.Samples; samples > room {
		if pt.Cut == 0 {
			pt.pages, pt.rest = i, room
		}
		pt.Cut += samples - room
		samples = room
	}
	pt.Samples += samples
}

func (t *Table[R]) view() view {
	t.mu.Lock()
	defer t.mu.Unlock()
	v := &tableView[R]{table: t, limit: t.limit}
	for _, g := range t.groups {
		v.pages = append(v.pages, g.pages...)
	}
	t.epoch++ // from now on these pages are changed by nobody
	return v
}

// say renders the records of a page, as far as limit allows.
func (t *Table[R]) say(l *Lines, p *page[R], f, limit int) {
	l.begin(t.families[f].Name, p.labels, limit)
	say := t.families[f].Say
	for i := range p.slots {
		l.key = p.slots[i].key
		say(l, p.slots[i].record)
	}
}

// count returns how many samples a page has in a family. It is a fraction of the work of rendering them, and done once
// a page.
func (t *Table[R]) count(l *Lines, p *page[R], f int) int {
	c := &p.cells[f]
	if n := c.counted.Load(); n > 0 {
		return int(n - 1)
	}
	t.say(l, p, f, 0)
	if l.cut == 0 {
		c.deflated.Store(nil) // of the page this one is a copy of
	}
	c.counted.Store(int32(l.cut) + 1) //nolint:gosec // A page has 128 records.
	return l.cut
}

func (v *tableView[R]) tally(to []Tally) []Tally {
	v.parts = make([]part, len(v.table.families))
	for f, family := range v.table.families {
		v.parts[f] = part{Tally: Tally{Family: family.Name}, pages: len(v.pages)}
	}
	var l Lines
	for i, p := range v.pages {
		for f := range v.parts {
			v.parts[f].take(i, v.table.count(&l, p, f), v.limit)
		}
	}
	for f := range v.parts {
		to = append(to, v.parts[f].Tally)
	}
	return to
}

func (v *tableView[R]) writeText(t *textWriter) {
	for f := range v.parts {
		t.buf = append(t.buf, v.table.headers[f]...)
		for _, p := range v.pages[:v.parts[f].pages] {
			if t.err != nil {
				return
			}
			if p.cells[f].empty() {
				continue
			}
			v.table.say(&t.Lines, p, f, math.MaxInt)
			t.buf = t.pass(t.buf)
		}
		if rest := v.parts[f].rest; rest > 0 {
			v.table.say(&t.Lines, v.pages[v.parts[f].pages], f, rest)
			t.buf = t.pass(t.buf)
		}
	}
}

func (v *tableView[R]) writeGzip(z *gzipWriter) {
	for f := range v.parts {
		z.add(v.table.deflated[f])
		for _, p := range v.pages[:v.parts[f].pages] {
			if !p.cells[f].empty() {
				z.add(p.cells[f].deflated.Load())
			}
		}
		if rest := v.parts[f].deflated; rest != nil {
			z.add(rest)
		}
	}
}

func (v *tableView[R]) press() {
	var stale []int // pages
	for i := range v.pages {
		for f := range v.parts {
			if v.stale(i, f) {
				stale = append(stale, i)
				break
			}
		}
	}
	parallel(len(stale), func(i int) {
		p := v.pages[stale[i]]
		p.pressing.Lock()
		defer p.pressing.Unlock()
		d := getDeflater()
		defer d.release()
		for f := range v.parts {
			if v.stale(stale[i], f) {
				v.table.press(d, p, f)
			}
		}
	})
	// What the limit cuts through is not kept: who is over a limit pays for it.
	for f := range v.parts {
		if rest := v.parts[f].rest; rest > 0 {
			d := getDeflater()
			v.table.say(&d.lines, v.pages[v.parts[f].pages], f, rest)
			v.parts[f].deflated = d.deflate(d.lines.buf)
			d.release()
		}
	}
}

// stale says whether page i has something to say in family f, within the limit, that is not deflated yet.
func (v *tableView[R]) stale(i, f int) bool {
	c := &v.pages[i].cells[f]
	return i < v.parts[f].pages && !c.empty() && !c.fresh.Load()
}

// press deflates a page's text in a family, unless it is the same as before.
func (t *Table[R]) press(d *deflater, p *page[R], f int) {
	c := &p.cells[f]
	d.lines.buf = d.lines.buf[:0]
	t.say(&d.lines, p, f, math.MaxInt)
	hash := maphash.Bytes(t.seed, d.lines.buf)
	if last := c.deflated.Load(); last == nil || last.hash != hash || last.size != len(d.lines.buf) {
		next := d.deflate(d.lines.buf)
		next.hash = hash
		c.deflated.Store(next)
	}
	c.fresh.Store(true)
}
