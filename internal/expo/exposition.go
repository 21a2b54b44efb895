// Package expo says small typed records as Prometheus text, plain or gzipped.
//
// A Table holds records, in groups; a Family is how a record says itself in one metric. Records are rendered when a
// scrape asks, because that is cheaper than to keep their text. What is kept is their text deflated, in pages of some
// hundred records: a gzipped scrape is these pages put together to one gzip member, and only those in which something
// changed are rendered and deflated again.
//
// A scrape takes a view of the table, in one step, and holds no lock while it renders and writes it.
package expo

import (
	"io"
	"math"
	"sync"
)

// ContentType is that of what WriteText and WriteGzip write.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// A Source is something to say in an exposition: a Table or a Text.
type Source interface {
	// view returns what the source says now, whatever becomes of the source.
	view() view
}

type view interface {
	// tally appends how much each family says. It comes first.
	tally([]Tally) []Tally
	// press sees to it that all there is to say is deflated. It comes before writeGzip.
	press()
	writeText(*textWriter)
	writeGzip(*gzipWriter)
}

// Tally is how much a family said.
type Tally struct {
	Family  string
	Samples int // said
	Cut     int // left out because of Table.Limit
}

// WriteText writes what the sources say, one after the other; no two may share a family. It returns a tally for each
// family, whether or not all of it could be written, and the first error of w.
func WriteText(w io.Writer, sources ...Source) ([]Tally, error) {
	views, tallies := look(sources)
	buf := buffers.Get().(*[]byte) //nolint:forcetypeassert // The pool has nothing else.
	t := &textWriter{Lines: Lines{buf: *buf}, chunks: chunks{w: w}}
	for _, v := range views {
		v.writeText(t)
	}
	t.flush(t.buf)
	if cap(t.buf) <= maxPooled {
		*buf = t.buf[:0]
		buffers.Put(buf)
	}
	return tallies, t.err
}

// WriteGzip writes what WriteText does, as one gzip member. Nothing is written before everything is compressed.
func WriteGzip(w io.Writer, sources ...Source) ([]Tally, error) {
	views, tallies := look(sources)
	for _, v := range views {
		v.press()
	}
	buf := buffers.Get().(*[]byte) //nolint:forcetypeassert // The pool has nothing else.
	defer buffers.Put(buf)
	z := newGzipWriter(w, *buf)
	for _, v := range views {
		v.writeGzip(z)
	}
	return tallies, z.end()
}

func look(sources []Source) ([]view, []Tally) {
	views := make([]view, 0, len(sources))
	for _, s := range sources {
		views = append(views, s.view())
	}
	var tallies []Tally
	for _, v := range views {
		tallies = v.tally(tallies)
	}
	return views, tallies
}

// Text is a Source for what is written anew for each scrape. The zero value is empty. Whole lines of exposition text may
// be written to it, as expfmt's encoders do, and small families said. It must not be changed while it is being scraped.
type Text struct {
	lines   Lines
	tallies []Tally
}

// Write adds whole lines of exposition text, as they are; it never fails. Their families have no Tally.
func (t *Text) Write(p []byte) (int, error) {
	t.lines.buf = append(t.lines.buf, p...)
	return len(p), nil
}

// Begin starts a family.
func (t *Text) Begin(name, help string, typ Type) {
	t.lines.buf = append(t.lines.buf, header(name, help, typ)...)
	t.lines.begin(name, "", math.MaxInt)
	t.tallies = append(t.tallies, Tally{Family: name})
}

// Sample adds a line to the family begun last; see Lines.Sample.
func (t *Text) Sample(value float64, labels ...string) {
	t.lines.Sample(value, labels...)
	t.tallies[len(t.tallies)-1].Samples++
}

func (t *Text) view() view { return &textView{text: t.lines.buf, tallies: t.tallies} }

type textView struct {
	text     []byte
	tallies  []Tally
	deflated *deflated
}

func (v *textView) tally(to []Tally) []Tally { return append(to, v.tallies...) }

func (v *textView) press() {
	d := getDeflater()
	defer d.release()
	v.deflated = d.deflate(v.text)
}

func (v *textView) writeText(t *textWriter) { t.buf = t.pass(append(t.buf, v.text...)) }

func (v *textView) writeGzip(z *gzipWriter) { z.add(v.deflated) }

// textWriter renders lines and writes them.
type textWriter struct {
	Lines
	chunks
}

// chunks writes in large pieces and remembers the first error; nothing is written after it.
type chunks struct {
	w   io.Writer
	err error
}

const chunk = 64 << 10

// pass writes b if it has become large, and returns what is yet to be written.
func (c *chunks) pass(b []byte) []byte {
	if len(b) < chunk {
		return b
	}
	c.flush(b)
	return b[:0]
}

func (c *chunks) flush(b []byte) {
	if c.err == nil && len(b) > 0 {
		_, c.err = c.w.Write(b)
	}
}

//nolint:gochecknoglobals // because a pool holds no state.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2*chunk); return &b }}
