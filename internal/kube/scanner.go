package kube

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// A scanner reads JSON from a stream, value by value, in one pass. Of what it is not asked to read it only looks for the end, by
// its strings and brackets: whether it makes sense inside is left to the API server that wrote it. A reader that checks each byte takes
// 1.6 times as long (BenchmarkDecode), and to pass over things is what an exporter does all day.
//
// An error is for good: whatever is asked for afterwards fails with it.
type scanner struct {
	from  io.Reader
	buf   []byte // what was read from it
	at    int    // how much of buf has been passed over
	past  int64  // how many bytes came before buf
	depth int    // of what is open
	err   error

	// bulk is that much is to come. Large reads are worth their memory then: over HTTP/2 each of 4 KB or more has the client write to the
	// server, too.
	bulk bool
	full bool // there was no room for more at the last read
}

const (
	// minBuffer is enough for a bookmark, which is all that most watches ever bring.
	minBuffer = 512
	// bulkBuffer is how much is read at once, at the most, while much is to come.
	bulkBuffer = 64 << 10
	// maxDepth is how deep values may be nested: as deep as encoding/json and the API server allow.
	maxDepth = 10000
	// maxIdle is how often in a row a reader may read nothing, and no error either.
	maxIdle = 100
)

// kind is the first byte of the value that comes next, or of what ends the object or array that is open; 0 after an error.
func (s *scanner) kind() byte {
	for s.err == nil {
		for ; s.at < len(s.buf); s.at++ {
			if b := s.buf[s.at]; b > ' ' {
				return b
			}
		}
		s.fill()
	}
	return 0
}

// object reads an object and calls member with each name, quotes included; member reads the value. The name is valid until
// member reads.
func (s *scanner) object(member func(name []byte) error) error {
	if err := s.open('{'); err != nil {
		return err
	}
	for first := true; s.more(first, '}'); first = false {
		name := s.name()
		if s.err != nil {
			break
		}
		if err := member(name); err != nil {
			return err
		}
	}
	return s.err
}

// array reads an array and calls element to read each of its values.
func (s *scanner) array(element func() error) error {
	if err := s.open('['); err != nil {
		return err
	}
	for first := true; s.more(first, ']'); first = false {
		if err := element(); err != nil {
			return err
		}
	}
	return s.err
}

// open moves into an object or an array.
func (s *scanner) open(bracket byte) error {
	if s.kind() != bracket {
		s.fail("where %q should be", bracket)
		return s.err
	}
	if s.depth == maxDepth {
		s.fail("more than %d levels deep", maxDepth)
		return s.err
	}
	s.at++
	s.depth++
	return nil
}

// more moves to the next member or element, or past the bracket that ends what is open.
func (s *scanner) more(first bool, end byte) bool {
	b := s.kind()
	if b == end {
		s.at++
		s.depth--
		return false
	}
	if first {
		return b != 0
	}
	if b != ',' {
		s.fail("where a comma or %q should be", end)
		return false
	}
	s.at++
	if b = s.kind(); b == end {
		s.fail("after a comma")
	}
	return s.err == nil
}

// name reads the name of a member, quotes included, and what comes before its value.
func (s *scanner) name() []byte {
	if s.kind() != '"' {
		s.fail("where a name should be")
		return nil
	}
	n := s.text(0)
	for i := n; s.err == nil; {
		for b := s.buf[s.at:]; i < len(b); i++ {
			if b[i] == ':' {
				s.at += i + 1
				return b[:n]
			}
			if b[i] > ' ' {
				s.at += i
				s.fail("where a colon should be")
				return nil
			}
		}
		s.fill()
	}
	return nil
}

// value reads a value and returns it as it stands. It is valid until the next call of any method.
func (s *scanner) value() ([]byte, error) {
	var n int
	switch s.kind() {
	case '"':
		n = s.text(0)
	case '{', '[':
		n = s.nested()
	default:
		n = s.word()
		if v := s.buf[s.at : s.at+n]; s.err == nil && !isWord(v) {
			s.fail("where a value should be")
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	v := s.buf[s.at : s.at+n]
	s.at += n
	return v, nil
}

// text is where the string ends that begins there, both counted from at.
func (s *scanner) text(start int) int {
	for end := start + 1; ; {
		b := s.buf[s.at:]
		if n := bytes.IndexByte(b[end:], '"'); n >= 0 {
			end += n + 1
			if b[end-2] != '\\' || !escaped(b[:end-1]) {
				return end
			}
			continue
		}
		end = len(b)
		if !s.fill() {
			return end
		}
	}
}

// nested is where the object or array ends that comes next, counted from at.
func (s *scanner) nested() int {
	const watched = 64 // That many levels of brackets must match; deeper ones only be as many.
	objects := uint64(0)
	for i, depth := 0, 0; ; {
		b := s.buf[s.at:]
		for i < len(b) {
			switch c := b[i]; c {
			case '"':
				if n := bytes.IndexByte(b[i+1:], '"'); n >= 0 && b[i+n] != '\\' {
					i += n + 2
					continue
				}
				i = s.text(i)
				b = s.buf[s.at:]
				continue
			case '{', '[':
				objects <<= 1
				if c == '{' {
					objects |= 1
				}
				if depth++; s.depth+depth > maxDepth {
					s.fail("more than %d levels deep", maxDepth)
					return i
				}
			case '}', ']':
				if depth <= watched && (c == '}') != (objects&1 == 1) {
					s.at += i
					s.fail("where another bracket should be")
					return 0
				}
				objects >>= 1
				depth--
			}
			i++
			if depth == 0 {
				return i
			}
		}
		if !s.fill() {
			return i
		}
	}
}

// word is where what has neither quotes nor brackets ends, counted from at.
func (s *scanner) word() int {
	for i := 0; ; {
		for b := s.buf[s.at:]; i < len(b); i++ {
			if ends(b[i]) {
				return i
			}
		}
		if !s.fill() {
			if i > 0 && s.depth == 0 && errors.Is(s.err, io.ErrUnexpectedEOF) {
				s.err = nil // A number that nothing comes after ends, too.
			}
			return i
		}
	}
}

// isWord is whether b is null, true, false, or made of what numbers are made of.
func isWord(b []byte) bool {
	switch string(b) {
	case "":
		return false
	case "null", "true", "false":
		return true
	}
	for _, c := range b {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' && c != 'E' {
			return false
		}
	}
	return true
}

// fill reads more, and reports whether there is more. What is in buf may move; at moves with it.
func (s *scanner) fill() bool {
	if s.err != nil {
		return false
	}
	rest, size := s.buf[s.at:], cap(s.buf)
	switch {
	case len(rest) > size*3/4:
		size *= 2
	case s.bulk && s.full:
		size = max(size, bulkBuffer)
	case !s.bulk && size >= bulkBuffer && len(rest) == 0:
		size = 0
	}
	if size = max(size, minBuffer); size != cap(s.buf) {
		s.buf = append(make([]byte, 0, size), rest...)
	} else {
		s.buf = s.buf[:copy(s.buf[:size], rest)]
	}
	s.past += int64(s.at)
	s.at = 0
	for range maxIdle {
		n, err := s.from.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		s.full = len(s.buf) == cap(s.buf)
		if n > 0 {
			return true // The error comes again.
		}
		if err != nil {
			if errors.Is(err, io.EOF) && (s.depth > 0 || len(s.buf) > 0) {
				err = io.ErrUnexpectedEOF
			}
			s.err = err
			return false
		}
	}
	s.err = io.ErrNoProgress
	return false
}

// fail says what is wrong at at, if nothing was wrong before.
func (s *scanner) fail(format string, args ...any) {
	if s.err != nil {
		return
	}
	what := "the end"
	if s.at < len(s.buf) {
		what = fmt.Sprintf("%q", s.buf[s.at])
	}
	s.err = fmt.Errorf("%w: JSON with %s at byte %d, %s", errMalformed, what, s.past+int64(s.at), fmt.Sprintf(format, args...))
}
