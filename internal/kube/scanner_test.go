package kube

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzScanner reads anything at all, in pieces of all sizes. Of valid JSON each value is what encoding/json says it is.
func FuzzScanner(f *testing.F) {
	for _, text := range []string{
		``, ` `, `null`, "7\n", ` -1.5e+3 `, `""`, `"\\"`, `"a\"b\\\"c"`, `"\u00e9"`, `[]`, `{}`, `[ 1 , [ ] , { } ]`, `{"a" : {"]" : "}"}, "b":[true,false,null]}`,
		`{"a":1}{"b":2}`, `[`, `]`, `{"a"}`, `{"a":}`, `{,}`, `[1,]`, `[1 2]`, `[}`, `{"a":[}`, `tru`, `"`, `"\`, strings.Repeat("[", 70) + strings.Repeat("]", 70),
	} {
		f.Add([]byte(text))
	}
	g := generator{rand.New(rand.NewPCG(11, 7))}
	for range 10 {
		f.Add(g.text(g.object()))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for name, r := range map[string]io.Reader{
			"whole":   bytes.NewReader(text),
			"bytes":   iotest.OneByteReader(bytes.NewReader(text)),
			"halves":  iotest.HalfReader(bytes.NewReader(text)),
			"dataErr": iotest.DataErrReader(bytes.NewReader(text)),
		} {
			passed := &scanner{from: r}
			v, err := passed.value()
			if want := bytes.Trim(text, " \t\r\n"); json.Valid(text) && (err != nil || !bytes.Equal(v, want)) {
				t.Fatalf("%s: passing over %q: got %q, %v", name, text, v, err)
			}
			v = bytes.Clone(v)
			if err == nil && passed.kind() != 0 != (len(bytes.TrimLeft(text[bytes.Index(text, v)+len(v):], string(whitespace))) > 0) {
				t.Fatalf("%s: after %q of %q comes %q", name, v, text, passed.kind())
			}
		}
		walked := &scanner{from: iotest.OneByteReader(bytes.NewReader(text))}
		got, err := walk(walked)
		if !json.Valid(text) {
			return
		}
		if err != nil || walked.depth != 0 {
			t.Fatalf("reading %q: %v, %d levels open", text, err, walked.depth)
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil {
			return // A number that is none of Go's.
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("reading %q: encoding/json says %v, the scanner %v", text, want, got)
		}
	})
}

// whitespace is what a scanner passes over.
var whitespace = func() (b []byte) {
	for c := range byte(' ' + 1) {
		b = append(b, c)
	}
	return b
}()

// walk reads a value as encoding/json would, one token at a time.
func walk(s *scanner) (any, error) {
	switch s.kind() {
	case '{':
		m := map[string]any{}
		err := s.object(func(name []byte) error {
			var key string
			if err := json.Unmarshal(name, &key); err != nil {
				return err
			}
			v, err := walk(s)
			m[key] = v
			return err
		})
		return m, err
	case '[':
		a := []any{}
		err := s.array(func() error {
			v, err := walk(s)
			a = append(a, v)
			return err
		})
		return a, err
	default:
		v, err := s.value()
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(v))
		d.UseNumber()
		var value any
		err = d.Decode(&value)
		return value, err
	}
}

// TestScannerFails is that an error says what is wrong and where, and that it stays.
func TestScannerFails(t *testing.T) {
	for name, tc := range map[string]struct {
		reason, text, want string
	}{
		"NoValue":  {"What is there is shown.", `{"items": <p>,`, `unexpected answer: JSON with '<' at byte 10, where a value should be`},
		"NoComma":  {"And what should be.", `{"items":1 "a"`, `unexpected answer: JSON with '"' at byte 11, where a comma or '}' should be`},
		"NoColon":  {"And what should be.", `{"items" 1`, `unexpected answer: JSON with '1' at byte 9, where a colon should be`},
		"NoObject": {"And what should be.", `[1]`, `unexpected answer: JSON with '[' at byte 0, where '{' should be`},
		"Bracket":  {"So it is within what is passed over.", `{"a":[[1}]}`, `unexpected answer: JSON with '}' at byte 8, where another bracket should be`},
		"Far":      {"Bytes are counted from the beginning of the stream.", `{"a":"` + strings.Repeat("x", 5*minBuffer) + `","b":]}`, `unexpected answer: JSON with ']' at byte 2572, where a value should be`},
		"Cut":      {"An end in the middle is no mistake of whoever wrote it.", `{"a":[1,`, io.ErrUnexpectedEOF.Error()},
		"End":      {"An end where nothing is open is an end.", ` `, io.EOF.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			s := &scanner{from: iotest.HalfReader(strings.NewReader(tc.text))}
			skip := func() error {
				_, err := s.value()
				return err
			}
			err := s.object(func([]byte) error { return skip() })
			if err == nil || err.Error() != tc.want {
				t.Errorf("%s\ngot  %v\nwant %s", tc.reason, err, tc.want)
			}
			for range 2 {
				if again := skip(); !errors.Is(again, err) || s.kind() != 0 {
					t.Errorf("afterwards it fails with %v, and sees %q", again, s.kind())
				}
			}
		})
	}
}

// TestScannerHolds is that a long stream of values does not make the scanner hold more than some of them, nor idle readers stop it.
func TestScannerHolds(t *testing.T) {
	value := []byte(`{"a":"` + strings.Repeat("x", 3000) + `"}`)
	s := &scanner{from: &repeat{text: append(value, '\n')}}
	for range 10000 {
		if v, err := s.value(); err != nil || !bytes.Equal(v, value) {
			t.Fatalf("got %.40s, %v", v, err)
		}
	}
	if n := cap(s.buf); n > 3*len(value) {
		t.Errorf("it holds %d bytes for values of %d", n, len(value))
	}
	s = &scanner{from: idle{}}
	if _, err := s.value(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("want %v, got %v", io.ErrNoProgress, err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }
