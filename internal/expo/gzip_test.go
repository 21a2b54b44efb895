package expo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
)

func TestCRCOfTwoTextsInARow(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for _, a := range []int{0, 1, 31, 4096, 70_001} {
		for _, b := range []int{0, 1, 2, 3, 255, 256, 65_535, 65_536, 99_999} {
			first, second := random(a), random(b)
			want := crc32.ChecksumIEEE(append(bytes.Clone(first), second...))
			got := crcMultiply(crcShift(b), crc32.ChecksumIEEE(first)) ^ crc32.ChecksumIEEE(second)
			if got != want {
				t.Errorf("CRC of %d and %d bytes: got %08x, want %08x", a, b, got, want)
			}
		}
	}
}

// gunzip reads one gzip member, which must be all there is.
func gunzip(t *testing.T, b []byte) []byte {
	t.Helper()
	in := bytes.NewReader(b)
	r, err := gzip.NewReader(in)
	if err != nil {
		t.Fatalf("read gzip: %v", err)
	}
	r.Multistream(false)
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read gzip: %v", err)
	}
	if in.Len() > 0 {
		t.Fatalf("%d bytes follow the gzip member", in.Len())
	}
	return text
}

// TestClientsReadGzip has programs read the pages that are not ours, because each has its own idea of what a gzip stream
// may be made of.
func TestClientsReadGzip(t *testing.T) {
	f := newFleet(1000)
	var want bytes.Buffer
	if _, err := WriteText(&want, f); err != nil {
		t.Fatal(err)
	}
	var zipped bytes.Buffer
	if _, err := WriteGzip(&zipped, f); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ContentType)
		w.Header().Set("Content-Encoding", "gzip")
		if _, err := WriteGzip(w, f); err != nil {
			t.Errorf("write: %v", err)
		}
	}))
	defer server.Close()

	t.Run("compress/gzip", func(t *testing.T) {
		if got := gunzip(t, zipped.Bytes()); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("got %d bytes that differ from the %d written as text", len(got), want.Len())
		}
	})
	t.Run("net/http", func(t *testing.T) {
		r, err := http.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("got %d bytes, error %v; want the %d bytes written as text", len(got), err, want.Len())
		}
	})
	for _, command := range [][]string{
		{"gzip", "-dc"},
		{"python3", "-c", "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))"},
		{"python3", "-c", "import zlib, sys; d = zlib.decompressobj(31); sys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read())); assert d.eof and not d.unused_data"},
		{"curl", "--silent", "--show-error", "--noproxy", "*", "--compressed", server.URL},
	} {
		t.Run(command[0], func(t *testing.T) {
			path, err := exec.LookPath(command[0])
			if err != nil {
				t.Skipf("not installed: %v", err)
			}
			c := exec.CommandContext(t.Context(), path, command[1:]...)
			c.Stdin = bytes.NewReader(zipped.Bytes())
			var stderr bytes.Buffer
			c.Stderr = &stderr
			got, err := c.Output()
			if err != nil {
				t.Fatalf("%v: %v\n%s", command, err, &stderr)
			}
			if !bytes.Equal(got, want.Bytes()) {
				t.Errorf("%v: got %d bytes that differ from the %d written as text", command, len(got), want.Len())
			}
		})
	}
}

func TestParallel(t *testing.T) {
	done := make([]int, 1000)
	parallel(len(done), func(i int) { done[i]++ })
	for i, n := range done {
		if n != 1 {
			t.Errorf("work %d was done %d times", i, n)
		}
	}

	defer func() {
		if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "broken\n") || !strings.Contains(got, "TestParallel") {
			t.Errorf("recovered %q, want the panic of the work, and where it was", got)
		}
	}()
	parallel(3, func(i int) {
		if i == 1 {
			panic("broken")
		}
	})
}
