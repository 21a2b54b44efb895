package cloud

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Against a plain list: what is within the last so many is known, what is not is new, in whatever order they come and
// go.
func TestIDsRememberTheLast(t *testing.T) {
	const most = minIDs
	r := rand.New(rand.NewPCG(1, 2))
	s := newIDs(most, nil)
	var list []uint64
	for i := range 12 * most {
		// Hashes that share their low bits make long runs in the table, over its end too.
		hash := r.Uint64N(3*most) << (8 * r.Uint64N(2)) * 0x10001
		at := slices.Index(list, hash)
		if isNew := s.add(seen{hash: hash}); isNew != (at < 0) {
			t.Fatalf("step %d: add(%x) = %v, but it is at %d of %d", i, hash, isNew, at, len(list))
		} else if isNew {
			list = append(list, hash)
			if len(list) > most {
				list = list[1:]
			}
		}
		if i%977 == 0 && len(list) > 2 {
			s.forget()
			list = list[1:]
		}
	}
	var got []uint64
	for e := range s.all {
		got = append(got, e.hash)
	}
	if !slices.Equal(got, list) {
		t.Errorf("it remembers %d IDs, want these %d, in this order", len(got), len(list))
	}
	if s.forgotten == 0 {
		t.Error("nothing was forgotten: the test has not filled it")
	}
}

func TestIDsKeepWhatMustBeKept(t *testing.T) {
	// Every third is kept.
	s := newIDs(minIDs, func(e seen) bool { return e.hash%3 == 0 })
	n := uint64(20 * minIDs)
	for i := range n {
		s.add(seen{hash: HashID(string(rune(i)))/3*3 + i%3})
	}
	for i := range n {
		if i%3 == 0 && s.add(seen{hash: HashID(string(rune(i))) / 3 * 3}) {
			t.Fatalf("ID %d was to be kept and is new", i)
		}
	}
}

func TestHashIDDoesNotChange(t *testing.T) {
	// It is in checkpoints.
	if got := HashID("0aab9947-662e-407b-bbc7-e86981879d38"); got != 0xf4f38e2aeda343bc {
		t.Errorf("got %#x", got)
	}
}

func BenchmarkIDs(b *testing.B) {
	s := newIDs(1<<20, nil)
	r := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		s.add(seen{hash: r.Uint64()})
	}
}
