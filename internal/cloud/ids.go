package cloud

import "math/bits"

// ids remembers the hashes of the last so many IDs, and of which source and time they are: a ring in order of arrival, but
// for those that were postponed, and a table with open addressing into it. It takes some 24 bytes an ID.
type ids struct {
	max  int
	ring []seen
	head int // the oldest
	n    int
	// table holds indexes into ring plus one, at the first free place after the hash's own.
	table []uint32
	// keep is whether an ID must not be forgotten yet.
	keep func(seen) bool
	// passed counts how often head has moved on, so that passed+n is the number of the next ID in the order of arrival.
	passed uint64
	// forgotten counts IDs that had to go to make room.
	forgotten uint64
}

// A seen is one ID. Hashes are compared in place of IDs: among a million of them, one in 10^13 new ones is taken for an
// old one.
type seen struct {
	hash   uint64
	time   uint32 // Unix seconds
	source uint32
}

const (
	minIDs = 1 << 10
	// maxKept is how many IDs that must be kept are moved out of the way for a new one before the ring grows beyond its
	// maximum.
	maxKept = 8
)

func newIDs(most int, keep func(seen) bool) *ids {
	return &ids{max: max(most, minIDs), keep: keep}
}

// HashID is the hash that IDs are remembered by: FNV-1a with a finish that spreads it over all bits. It is written to
// checkpoints, so it must not change.
func HashID(id string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>32
}

// add remembers an ID and says whether it is new.
func (s *ids) add(e seen) bool {
	if s.n > 0 && s.table[s.find(e.hash)] != 0 {
		return false
	}
	if s.n == len(s.ring) {
		s.room()
	}
	i := s.find(e.hash)
	at := s.wrap(s.head + s.n)
	s.ring[at] = e
	s.n++
	s.table[i] = uint32(at) + 1
	return true
}

// room makes the ring larger, or if it may not, forgets the oldest ID that it may.
func (s *ids) room() {
	if s.n >= s.max {
		for range min(maxKept, s.n) {
			if s.keep == nil || !s.keep(s.ring[s.head]) {
				s.forget()
				s.forgotten++
				return
			}
			s.postpone()
		}
	}
	s.grow(max(minIDs, 2*len(s.ring)))
}

// forget removes the oldest ID.
func (s *ids) forget() {
	s.remove(s.find(s.ring[s.head].hash))
	s.head = s.wrap(s.head + 1)
	s.n--
	s.passed++
}

// postpone makes the oldest ID the newest.
func (s *ids) postpone() {
	e := s.ring[s.head]
	i := s.find(e.hash)
	to := s.wrap(s.head + s.n) // the place of the oldest itself, if the ring is full
	s.ring[to] = e
	s.table[i] = uint32(to) + 1
	s.head = s.wrap(s.head + 1)
	s.passed++
}

// shrink gives memory back once most of it is not needed any more.
func (s *ids) shrink() {
	if len(s.ring) > minIDs && s.n < len(s.ring)/4 {
		s.resize(max(minIDs, len(s.ring)/2))
	}
}

func (s *ids) grow(size int) {
	if s.n < s.max {
		size = min(size, s.max)
	}
	s.resize(size)
}

func (s *ids) resize(size int) {
	old := *s
	s.ring = make([]seen, size)
	s.table = make([]uint32, 1<<bits.Len(uint(size+size/2)))
	s.head = 0
	for i := range old.n {
		e := old.ring[old.wrap(old.head+i)]
		s.ring[i] = e
		s.table[s.find(e.hash)] = uint32(i) + 1
	}
}

func (s *ids) wrap(i int) int {
	if i >= len(s.ring) {
		return i - len(s.ring)
	}
	return i
}

// find returns the place in the table of a hash, or the free one that it belongs into.
func (s *ids) find(hash uint64) int {
	mask := len(s.table) - 1
	i := int(hash) & mask
	for s.table[i] != 0 && s.ring[s.table[i]-1].hash != hash {
		i = (i + 1) & mask
	}
	return i
}

// remove frees a place, and closes the gap in the run of places after it.
func (s *ids) remove(i int) {
	mask := len(s.table) - 1
	for j := (i + 1) & mask; s.table[j] != 0; j = (j + 1) & mask {
		home := int(s.ring[s.table[j]-1].hash) & mask
		if (j-home)&mask >= (j-i)&mask {
			s.table[i] = s.table[j]
			i = j
		}
	}
	s.table[i] = 0
}

// all calls yield for every ID, the oldest first.
func (s *ids) all(yield func(seen) bool) {
	for i := range s.n {
		if !yield(s.ring[s.wrap(s.head+i)]) {
			return
		}
	}
}
