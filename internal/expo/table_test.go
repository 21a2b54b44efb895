package expo

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pet is a record with something to say in some families and not in others.
type pet struct {
	age  int
	tags []string
}

func petFamilies() []Family[pet] {
	return []Family[pet]{
		{
			Name: "pet_age_years", Help: "How old\nit is.", Type: Gauge,
			Say: func(l *Lines, p *pet) { l.Sample(float64(p.age)) },
		},
		{
			Name: "pet_old", Help: "1 for those who are.", Type: Gauge,
			Say: func(l *Lines, p *pet) {
				if p.age > 15 {
					l.Sample(1)
				}
			},
		},
		{
			Name: "pet_tag_info", Help: "Tags.", Type: Gauge, Labels: []string{"tag"},
			Say: func(l *Lines, p *pet) {
				for _, tag := range p.tags {
					l.Sample(1, Label("tag", tag))
				}
			},
		},
		{
			Name: "pet_wings", Help: "None has any.", Type: Untyped,
			Say: func(*Lines, *pet) {},
		},
	}
}

// zoo is what a table of pets should hold: by group, by key.
type zoo map[string]map[string]*pet

// text says what the table should say, the plain way.
func (z zoo) text(limit int) string {
	var lines []string
	family := func(name, help, typ string, say func(p *pet, line func(value int, label string))) {
		lines = append(lines, "# HELP "+name+" "+help, "# TYPE "+name+" "+typ)
		room := limit
		for _, group := range slices.Sorted(maps.Keys(z)) {
			for _, key := range slices.Sorted(maps.Keys(z[group])) {
				say(z[group][key], func(value int, label string) {
					if room--; room < 0 {
						return
					}
					if label != "" {
						label = "," + label
					}
					lines = append(lines, name+"{"+group+","+key+label+"} "+strconv.Itoa(value))
				})
			}
		}
	}
	family("pet_age_years", `How old\nit is.`, "gauge", func(p *pet, line func(int, string)) { line(p.age, "") })
	family("pet_old", "1 for those who are.", "gauge", func(p *pet, line func(int, string)) {
		if p.age > 15 {
			line(1, "")
		}
	})
	family("pet_tag_info", "Tags.", "gauge", func(p *pet, line func(int, string)) {
		for _, tag := range p.tags {
			line(1, `tag="`+tag+`"`)
		}
	})
	family("pet_wings", "None has any.", "untyped", func(*pet, func(int, string)) {})
	return strings.Join(lines, "\n") + "\n"
}

// zookeeper does the same to a table and a zoo.
type zookeeper struct {
	table *Table[pet]
	zoo   zoo
	rng   *rand.Rand
	names int // there are
	ages  int // none is older: 15 keeps pet_old empty
	sets  int // percent of what is done to single pets that is not a deletion
}

var groups = []string{`species="cat"`, `species="dog"`, `species="newt"`}

func (k *zookeeper) key() string { return Label("name", fmt.Sprint(k.rng.IntN(k.names))) }

func (k *zookeeper) pet() *pet {
	return &pet{age: k.rng.IntN(k.ages + 1), tags: []string{"a", "b", "c"}[:k.rng.IntN(4)]}
}

// next returns what is to be done next to a table; the zoo has it done already.
func (k *zookeeper) next() (name string, do func()) {
	group := groups[k.rng.IntN(len(groups))]
	pets := k.zoo[group]
	if pets == nil {
		pets = map[string]*pet{}
		k.zoo[group] = pets
	}
	table := func() *Group[pet] { return k.table.Group(group) }
	switch n := k.rng.IntN(100); {
	case n < 94 && k.rng.IntN(100) < k.sets:
		key, p := k.key(), k.pet()
		pets[key] = p
		return fmt.Sprintf("set %s %s %v", group, key, *p), func() { table().Set(key, p) }
	case n < 94:
		key := k.key()
		if keys := slices.Sorted(maps.Keys(pets)); len(keys) > 0 && k.rng.IntN(5) > 0 {
			key = keys[k.rng.IntN(len(keys))]
		}
		delete(pets, key)
		return fmt.Sprintf("delete %s %s", group, key), func() { table().Delete(key) }
	case n < 99: // a relist: some change, some are gone, some are new, the others are said anew
		next := map[string]*pet{}
		gone := k.rng.IntN(4)
		for key, p := range pets {
			if k.rng.IntN(4) < gone {
				continue
			}
			if gone > 0 {
				again := *p
				p = &again
			}
			next[key] = p
		}
		for range k.rng.IntN(2) * k.rng.IntN(400) {
			next[k.key()] = k.pet()
		}
		k.zoo[group] = maps.Clone(next)
		return fmt.Sprintf("replace %s: %d", group, len(next)), func() { table().Replace(maps.All(next)) }
	default:
		delete(k.zoo, group)
		return "drop " + group, func() { k.table.Drop(table()) }
	}
}

// check fails the test if the pages of the table are not as they must be.
func check(t *testing.T, table *Table[pet]) {
	t.Helper()
	for _, g := range table.groups {
		size := 0
		var last string
		for i, p := range g.pages {
			size += len(p.slots)
			if len(p.slots) == 0 || len(p.slots) > pageSize {
				t.Errorf("group %s: page %d of %d has %d records", g.labels, i, len(g.pages), len(p.slots))
			}
			if i > 0 && joinable(g.pages[i-1].slots, p.slots) {
				t.Errorf("group %s: pages %d and %d of %d have %d and %d records", g.labels, i-1, i, len(g.pages), len(g.pages[i-1].slots), len(p.slots))
			}
			for _, s := range p.slots {
				if s.key <= last {
					t.Errorf("group %s: key %s comes after %s", g.labels, s.key, last)
				}
				last = s.key
			}
		}
		if size != g.size {
			t.Errorf("group %s: pages have %d records, want %d", g.labels, size, g.size)
		}
	}
}

func write(t *testing.T, to func(io.Writer, ...Source) ([]Tally, error), sources ...Source) ([]byte, []Tally) {
	t.Helper()
	var b bytes.Buffer
	tallies, err := to(&b, sources...)
	if err != nil {
		t.Fatalf("write: %v", err)
	}
	return b.Bytes(), tallies
}

// TestTableAgainstPlainRenderer does anything to a table, and compares what it says with what a plain renderer makes of
// a map.
func TestTableAgainstPlainRenderer(t *testing.T) {
	for seed := range uint64(6) {
		k := &zookeeper{
			table: NewTable(petFamilies()...),
			zoo:   zoo{},
			rng:   rand.New(rand.NewPCG(seed, 0)),
			names: []int{3, 500, 500}[seed%3],
			ages:  int(12 + 2*seed),
		}
		limit := 1 << 30
		for round := range 80 {
			if round%20 == 0 {
				k.sets = []int{90, 50, 0}[k.rng.IntN(3)]
			}
			for range k.rng.IntN(40) {
				name, do := k.next()
				t.Logf("%s", name)
				do()
				check(t, k.table)
			}
			if k.rng.IntN(20) == 0 {
				limit = k.rng.IntN(1000) + 1
				k.table.Limit(limit)
			}
			want := k.zoo.text(limit)
			if k.rng.IntN(2) == 0 {
				if got := string(first(write(t, WriteText, k.table))); got != want {
					t.Fatalf("seed %d: text: -want, +got:\n%s", seed, cmp.Diff(want, got))
				}
			}
			if k.rng.IntN(2) == 0 {
				if got := string(gunzip(t, first(write(t, WriteGzip, k.table)))); got != want {
					t.Fatalf("seed %d: gzip: -want, +got:\n%s", seed, cmp.Diff(want, got))
				}
			}
			for group, pets := range k.zoo {
				if got := maps.Collect(k.table.Group(group).All()); !maps.Equal(got, pets) {
					t.Fatalf("seed %d: All: -want, +got:\n%s", seed, cmp.Diff(pets, got, cmp.AllowUnexported(pet{})))
				}
				if got := k.table.Group(group).Len(); got != len(pets) {
					t.Fatalf("seed %d: Len: got %d, want %d", seed, got, len(pets))
				}
				if key := k.key(); k.table.Group(group).Get(key) != pets[key] {
					t.Fatalf("seed %d: Get(%s): got %v, want %v", seed, key, k.table.Group(group).Get(key), pets[key])
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}

func first[A, B any](a A, _ B) A { return a }

// TestScrapesSeeOneMoment has several clients scrape a table while it is being changed. What each gets must be what the
// table held at one moment between the beginning and the end of its scrape.
func TestScrapesSeeOneMoment(t *testing.T) {
	k := &zookeeper{table: NewTable(petFamilies()...), zoo: zoo{}, rng: rand.New(rand.NewPCG(5, 6)), names: 500, ages: 20, sets: 50}
	sum := func(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }
	var (
		mu      sync.Mutex
		moments = [][sha256.Size]byte{sum(k.zoo.text(1 << 30))} // what the table says, after each change
		done    int                                             // changes that are complete
		stop    atomic.Bool
	)
	scrape := func(t *testing.T, to func(io.Writer, ...Source) ([]Tally, error), text func(*testing.T, []byte) []byte) {
		for !stop.Load() {
			mu.Lock()
			from := done
			mu.Unlock()
			got := sum(string(text(t, first(write(t, to, k.table)))))
			mu.Lock()
			possible := moments[from:]
			mu.Unlock()
			if !slices.Contains(possible, got) {
				t.Errorf("a scrape saw what the table never held between changes %d and %d", from, from+len(possible))
				return
			}
		}
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { scrape(t, WriteText, func(_ *testing.T, b []byte) []byte { return b }) })
		wg.Go(func() { scrape(t, WriteGzip, gunzip) })
	}
	for range 300 {
		_, do := k.next()
		text := sum(k.zoo.text(1 << 30))
		mu.Lock()
		moments = append(moments, text)
		mu.Unlock()
		do()
		mu.Lock()
		done++
		mu.Unlock()
	}
	stop.Store(true)
	wg.Wait()
}

func TestReplaceLeavesNoHole(t *testing.T) {
	herd := func(age int) zoo {
		pets := map[string]*pet{}
		for i := range 3 * pageSize {
			pets[Label("name", fmt.Sprint(i+age))] = &pet{age: age}
		}
		return zoo{groups[0]: pets}
	}
	young, old := herd(1), herd(30)
	table := NewTable(petFamilies()...)
	table.Group(groups[0]).Replace(maps.All(young[groups[0]]))

	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			table.Group(groups[0]).Replace(maps.All(old[groups[0]]))
			table.Group(groups[0]).Replace(maps.All(young[groups[0]]))
		}
	})
	possible := []string{young.text(1 << 30), old.text(1 << 30)}
	for range 100 {
		if got := string(first(write(t, WriteText, table))); !slices.Contains(possible, got) {
			t.Error("text: a scrape saw neither the old records nor the new ones")
		}
		if got := string(gunzip(t, first(write(t, WriteGzip, table)))); !slices.Contains(possible, got) {
			t.Error("gzip: a scrape saw neither the old records nor the new ones")
		}
	}
	stop.Store(true)
	wg.Wait()

	table.Group(groups[0]).Replace(func(yield func(string, *pet) bool) {
		for key, p := range old[groups[0]] {
			if !yield(key, p) {
				return
			}
		}
		if got := string(first(write(t, WriteText, table))); got != young.text(1<<30) {
			t.Error("a scrape while the new records came in saw something else than the old ones")
		}
	})
}

// compressed returns where the compressed bytes of a table are, by family and page.
func compressed[R any](table *Table[R]) map[string]*byte {
	where := map[string]*byte{}
	for _, g := range table.groups {
		for i, p := range g.pages {
			for f := range p.cells {
				if d := p.cells[f].deflated.Load(); d != nil {
					where[fmt.Sprintf("%s %s page %d", table.families[f].Name, g.labels, i)] = &d.data[0]
				}
			}
		}
	}
	return where
}

func TestWhatStaysTheSameIsNotCompressedAgain(t *testing.T) {
	const n = 10 * pageSize
	key := func(i int) string { return Label("name", fmt.Sprintf("%05d", i)) }
	pets := func() map[string]*pet {
		pets := map[string]*pet{}
		for i := range n {
			pets[key(i)] = &pet{age: i % 15, tags: []string{"a"}}
		}
		return pets
	}
	cases := map[string]struct {
		reason string
		do     func(*Group[pet])
		want   int // compressed anew, of the 10 pages of two families
	}{
		"Nothing": {
			"A scrape after a scrape compresses nothing.",
			func(*Group[pet]) {}, 0,
		},
		"Relist": {
			"A relist of the same objects compresses nothing.",
			func(g *Group[pet]) { g.Replace(maps.All(pets())) }, 0,
		},
		"SetSame": {
			"Nor does an update that changes nothing we say.",
			func(g *Group[pet]) { g.Set(key(0), &pet{age: 0, tags: []string{"a"}}) }, 0,
		},
		"SetOneFamily": {
			"A change compresses its page in the family that says it.",
			func(g *Group[pet]) { g.Set(key(n/2), &pet{age: 14, tags: []string{"a"}}) }, 1,
		},
		"ThereAndBack": {
			"A change that was taken back leaves no trace.",
			func(g *Group[pet]) {
				p := g.Get(key(7))
				g.Delete(key(7))
				g.Set(key(7), p)
			}, 0,
		},
		"RelistOneGone": {
			"What is gone after a relist costs its page, in both families; the pages after it stay where they are.",
			func(g *Group[pet]) {
				less := pets()
				delete(less, key(3))
				g.Replace(maps.All(less))
			}, 2,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			table := NewTable(petFamilies()...)
			g := table.Group("")
			g.Replace(maps.All(pets()))
			write(t, WriteGzip, table)
			before := compressed(table)
			tc.do(g)
			write(t, WriteGzip, table)
			after := compressed(table)
			if len(before) != 20 || len(after) != 20 {
				t.Fatalf("%d and %d pages are compressed, want 20", len(before), len(after))
			}
			anew := 0
			for at, data := range after {
				if before[at] != data {
					anew++
				}
			}
			if anew != tc.want {
				t.Errorf("%s\n%d pages were compressed anew, want %d", tc.reason, anew, tc.want)
			}
		})
	}
}

func TestScrapesShareWork(t *testing.T) {
	var said atomic.Int64
	table := NewTable(Family[pet]{Name: "pet", Help: "Pets.", Type: Gauge, Say: func(l *Lines, _ *pet) {
		said.Add(1)
		l.Sample(1)
		runtime.Gosched() // gives the other scrapes a chance to do the same
	}})
	const n = 50 * pageSize
	for i := range n {
		table.Group("").Set(Label("name", fmt.Sprintf("%05d", i)), &pet{})
	}
	v := table.view()
	v.tally(nil)
	said.Store(0)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(v.press)
	}
	wg.Wait()
	if got := said.Load(); got != n {
		t.Errorf("8 scrapes rendered %d records, want each of the %d once", got, n)
	}
}

func TestNothingBeyondTheLimitIsCompressed(t *testing.T) {
	table := NewTable(petFamilies()...)
	for i := range 5 * pageSize {
		table.Group("").Set(Label("name", fmt.Sprintf("%05d", i)), &pet{age: 20, tags: []string{"a", "b"}})
	}
	table.Limit(3*pageSize + 1)
	write(t, WriteGzip, table)
	if got, want := len(compressed(table)), 3+3+1; got != want { // two families with a sample a record, one with two
		t.Errorf("%d pages are compressed, want the %d that are said in full", got, want)
	}
}

func TestSetAfterDrop(t *testing.T) {
	table := NewTable(petFamilies()...)
	gone := table.Group(groups[0])
	gone.Set(`name="1"`, &pet{})
	table.Drop(gone)
	gone.Set(`name="2"`, &pet{})
	if diff := cmp.Diff(zoo{}.text(1), string(first(write(t, WriteText, table)))); diff != "" {
		t.Errorf("after Drop: -want, +got:\n%s", diff)
	}
	again := table.Group(groups[0])
	again.Set(`name="3"`, &pet{})
	table.Drop(gone)
	if diff := cmp.Diff(zoo{groups[0]: {`name="3"`: {}}}.text(1), string(first(write(t, WriteText, table)))); diff != "" {
		t.Errorf("after the group was made again, and the old one dropped again: -want, +got:\n%s", diff)
	}
}

func TestReplaceKeepsTheLastOfAKey(t *testing.T) {
	g := NewTable(petFamilies()...).Group("")
	g.Replace(func(yield func(string, *pet) bool) {
		for i, key := range []string{"b", "a", "b", "a", "b"} {
			if !yield(key, &pet{age: i}) {
				return
			}
		}
	})
	want := map[string]*pet{"a": {age: 3}, "b": {age: 4}}
	if diff := cmp.Diff(want, maps.Collect(g.All()), cmp.AllowUnexported(pet{})); diff != "" {
		t.Errorf("Replace: -want, +got:\n%s", diff)
	}
}

func TestAllWalksOneMoment(t *testing.T) {
	g := NewTable(petFamilies()...).Group("")
	for i := range 2 * pageSize {
		g.Set(fmt.Sprintf("%04d", i), &pet{age: 1})
	}
	walked := 0
	for key, p := range g.All() {
		if walked++; p.age != 1 {
			t.Fatalf("%s was changed under the walk", key)
		}
		g.Set(fmt.Sprintf("%04d", walked), &pet{age: 2})
		g.Delete(fmt.Sprintf("%04d", walked+10))
	}
	if walked != 2*pageSize {
		t.Errorf("walked %d records, want %d", walked, 2*pageSize)
	}
	for range g.All() { // may be left at any time
		break
	}
}
