package cloud

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCheckpointFile(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f := CheckpointFile(filepath.Join(t.TempDir(), "trail.checkpoint"))
	var got State
	if _, err := f.Load(&got, now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before the first: %v, want fs.ErrNotExist", err)
	}
	want := State{Sources: map[string]SourceState{"a": {
		Marks: map[string]string{"x": "y"}, Settled: now.Add(-time.Hour), IDs: []byte("\x00\xff\n0123456789012345678"),
	}}}
	for range 2 { // over an old one, too
		if err := f.Save(want, now); err != nil {
			t.Fatal(err)
		}
	}
	saved, err := f.Load(&got, now)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
	if !saved.Equal(now) {
		t.Errorf("saved at %s, want %s", saved, now)
	}
	// What a crash while writing leaves behind does no harm.
	if err := os.WriteFile(string(f)+".tmp", []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Save(want, now); err != nil {
		t.Fatal(err)
	}
	if err := CheckpointFile("/nowhere/at/all").Save(want, now); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("into a directory that is not there: %v", err)
	}
}

func TestUnsealRefuses(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	type value struct{ A string }
	good, err := Seal(value{"b"}, now)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		data   []byte
		now    time.Time
		want   error
	}{
		"Good":      {"nothing is wrong", good, now, nil},
		"Later":     {"it may be old", good, now.Add(1000 * time.Hour), nil},
		"Skew":      {"clocks differ a little", good, now.Add(-time.Minute), nil},
		"Future":    {"it is from the future", good, now.Add(-time.Hour), ErrFuture},
		"Empty":     {"there is nothing", nil, now, ErrCorrupt},
		"Torn":      {"it ends too early", good[:len(good)-4], now, ErrCorrupt},
		"HeadOnly":  {"it ends after the first line", good[:len(good)-len("{\"A\":\"b\"}\n")], now, ErrCorrupt},
		"Zeros":     {"what some file systems leave after a crash", make([]byte, len(good)), now, ErrCorrupt},
		"Format":    {"it is of another version", []byte(`{"format":"other/2"}` + "\n{}"), now, ErrCorrupt},
		"NotOurs":   {"it is something else", []byte("hello\n"), now, ErrCorrupt},
		"WrongType": {"its body is not what was asked for", mustSeal(t, []int{1}, now), now, ErrCorrupt},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var v value
			_, err := Unseal(tc.data, &v, tc.now)
			if !errors.Is(err, tc.want) || (tc.want == nil && v.A != "b") {
				t.Errorf("%s: got %v and %+v, want %v", tc.reason, err, v, tc.want)
			}
			if tc.want != nil && v.A != "" {
				t.Errorf("%s: the value was changed: %+v", tc.reason, v)
			}
		})
	}
	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x10
		var v value
		if _, err := Unseal(bad, &v, now); err == nil && v.A != "b" {
			t.Errorf("byte %d of %q changed, and it was read as %+v", i, bad, v)
		}
	}
}

func mustSeal(t *testing.T, v any, now time.Time) []byte {
	t.Helper()
	data, err := Seal(v, now)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func FuzzUnseal(f *testing.F) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	good, _ := Seal(State{Sources: map[string]SourceState{"a": {Marks: map[string]string{"x": "y"}, IDs: make([]byte, 24)}}}, now)
	f.Add(good)
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		var s State
		if _, err := Unseal(data, &s, now); err == nil && s.Check() == nil {
			NewLedger(LedgerConfig{State: s, Count: func(string, *Record) {}}) // must not panic
		}
	})
}
