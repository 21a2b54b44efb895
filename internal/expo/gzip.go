package expo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/flate"
)

// level is flate's fastest: on pages of this text, level 5 saves a hundredth of the size for half as much time again.
const level = 1

// deflated is some text made ready to stand anywhere in a gzip stream: deflated with nothing before it and flushed, so
// that it ends on a byte. It is never changed.
type deflated struct {
	hash  uint64 // of the text; set by the table that keeps it
	crc   uint32 // of the text
	shift uint32 // see crcShift: kept, because a scrape that finds nothing changed does little else than join CRCs
	size  int    // of the text
	data  []byte
}

// deflater turns text into deflated, over and over.
type deflater struct {
	lines Lines // where the text is rendered
	out   bytes.Buffer
	w     *flate.Writer
}

//nolint:gochecknoglobals // because a pool holds no state: a deflater weighs some 800 KB and serves every table.
var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, level)
	if err != nil {
		panic(err) // level is out of flate's range
	}
	return &deflater{w: w}
}}

// maxPooled keeps a buffer that one odd page made large out of the pools.
const maxPooled = 1 << 20

func getDeflater() *deflater {
	d := deflaters.Get().(*deflater) //nolint:forcetypeassert // The pool has nothing else.
	d.lines.buf = d.lines.buf[:0]
	return d
}

func (d *deflater) release() {
	if cap(d.lines.buf) <= maxPooled && d.out.Cap() <= maxPooled {
		deflaters.Put(d)
	}
}

func (d *deflater) deflate(text []byte) *deflated {
	d.out.Reset()
	d.w.Reset(&d.out)
	d.w.Write(text) //nolint:errcheck // because a bytes.Buffer takes everything
	d.w.Flush()     //nolint:errcheck // because a bytes.Buffer takes everything
	return &deflated{
		crc:   crc32.ChecksumIEEE(text),
		shift: crcShift(len(text)),
		size:  len(text),
		data:  bytes.Clone(d.out.Bytes()),
	}
}

// parallel calls work(i) for each i below n, on every core, and returns when all is done. Should work panic, so does
// parallel, in the caller's goroutine, where net/http expects it.
func parallel(n int, work func(i int)) {
	var next atomic.Int64
	var broken atomic.Pointer[string]
	worker := func() {
		defer func() {
			if v := recover(); v != nil {
				s := fmt.Sprintf("%v\n%s", v, debug.Stack())
				broken.Store(&s)
			}
		}()
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			work(i)
		}
	}
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(worker)
	}
	wg.Wait()
	if s := broken.Load(); s != nil {
		panic(*s)
	}
}

// gzipWriter puts deflated texts together to one gzip member (RFC 1952). Several members would be as valid, but curl
// stops after the first.
type gzipWriter struct {
	chunks

	buf  []byte
	crc  uint32
	size uint32
}

func newGzipWriter(w io.Writer, buf []byte) *gzipWriter {
	return &gzipWriter{chunks: chunks{w: w}, buf: append(buf, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff)}
}

func (z *gzipWriter) add(d *deflated) {
	z.crc = crcMultiply(d.shift, z.crc) ^ d.crc
	z.size += uint32(d.size) //nolint:gosec // Modulo 2^32, as RFC 1952 has it.
	z.buf = z.pass(append(z.buf, d.data...))
}

func (z *gzipWriter) end() error {
	z.buf = append(z.buf, 3, 0) // an empty last block, in the fixed code
	z.buf = binary.LittleEndian.AppendUint32(z.buf, z.crc)
	z.buf = binary.LittleEndian.AppendUint32(z.buf, z.size)
	z.flush(z.buf)
	return z.err
}

// A CRC-32 is the remainder of the text, read as a polynomial over GF(2), by crc32.IEEE. Appending n bytes to a text
// multiplies it by x^8n, so the CRC of two texts in a row is crc(a)·x^8n + crc(b), with n the length of b; the pre- and
// post-conditioning cancel out. This is zlib's crc32_combine. Polynomials are bit-reversed: x^0 is the highest bit.

// crcShift returns x^8n.
func crcShift(n int) uint32 {
	p := uint32(1 << 31)     // x^0
	power := uint32(1 << 23) // x^8, then its squares
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p = crcMultiply(p, power)
		}
		power = crcMultiply(power, power)
	}
	return p
}

// crcMultiply returns a·b.
func crcMultiply(a, b uint32) uint32 {
	var p uint32
	for ; a != 0; a <<= 1 {
		if a&(1<<31) != 0 {
			p ^= b
		}
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return p
}
