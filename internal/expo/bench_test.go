package expo

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// resource is a record as the collectors keep them: what a managed resource says, most of it rendered already.
type resource struct {
	info   string
	ready  float64
	since  float64
	reason string
	drift  float64
}

func resources() *Table[resource] {
	return NewTable(
		Family[resource]{
			Name: "platform_resource_info", Help: "What a resource is.", Type: Gauge,
			Labels: []string{"version", "external_name", "provider_config"},
			Say:    func(l *Lines, r *resource) { l.Sample(1, r.info) },
		},
		Family[resource]{
			Name: "platform_resource_condition", Help: "1 if the condition is True, 0 if False, -1 if Unknown.", Type: Gauge,
			Labels: []string{"condition"},
			Say:    func(l *Lines, r *resource) { l.Sample(r.ready, `condition="Ready"`) },
		},
		Family[resource]{
			Name: "platform_resource_condition_reason", Help: "1 while the condition has this reason.", Type: Gauge,
			Labels: []string{"condition", "reason"},
			Say:    func(l *Lines, r *resource) { l.Sample(1, `condition="Ready"`, r.reason) },
		},
		Family[resource]{
			Name: "platform_resource_condition_since_timestamp_seconds", Help: "Since when the status is what it is.", Type: Gauge,
			Labels: []string{"condition"},
			Say:    func(l *Lines, r *resource) { l.Sample(r.since, `condition="Ready"`) },
		},
		Family[resource]{
			Name: "platform_resource_drift_corrections_total", Help: "Updates while the spec stood still.", Type: Counter,
			Say: func(l *Lines, r *resource) { l.Sample(r.drift) },
		},
	)
}

const kinds = 40

// resourceKey returns the identity of resource i, which is of kind i % kinds.
func resourceKey(i int) string {
	return Label("resource_namespace", fmt.Sprintf("team-%d", i%97)) + "," + Label("name", fmt.Sprintf("orders-%d-%05x", i, i*7919%1048576))
}

func newResource(rng *rand.Rand) *resource {
	return &resource{
		info: Label("version", "v1beta1") + "," + Label("external_name", fmt.Sprintf("arn:aws:x:eu-west-1:1234:%08x", rng.Uint32())) + "," +
			Label("provider_config", "default"),
		ready:  float64(rng.IntN(2)),
		since:  1.76e9 + float64(rng.IntN(1e7)),
		reason: `reason="` + []string{"Available", "Creating", "ReconcileError"}[rng.IntN(3)] + `"`,
		drift:  float64(rng.IntN(1000)),
	}
}

// fleet is a table of n resources of 40 kinds.
type fleet struct {
	*Table[resource]
	groups []*Group[resource]
	keys   []string
	rng    *rand.Rand
}

func newFleet(n int) *fleet {
	f := &fleet{Table: resources(), rng: rand.New(rand.NewPCG(1, 2))}
	for k := range kinds {
		f.groups = append(f.groups, f.Group(Label("category", "managed")+","+Label("group", "rds.aws.upbound.io")+","+Label("kind", fmt.Sprintf("Kind%d", k))))
	}
	for i := range n {
		f.keys = append(f.keys, resourceKey(i))
	}
	f.changeAll()
	return f
}

func (f *fleet) change(n int) {
	for range n {
		i := f.rng.IntN(len(f.keys))
		f.groups[i%kinds].Set(f.keys[i], newResource(f.rng))
	}
}

func (f *fleet) changeAll() {
	sets := make([]map[string]*resource, kinds)
	for i, key := range f.keys {
		if sets[i%kinds] == nil {
			sets[i%kinds] = map[string]*resource{}
		}
		sets[i%kinds][key] = newResource(f.rng)
	}
	for k, set := range sets {
		f.groups[k].Replace(maps.All(set))
	}
}

func BenchmarkScrape(b *testing.B) {
	encodings := []struct {
		name  string
		write func(io.Writer, ...Source) ([]Tally, error)
	}{{"text", WriteText}, {"gzip", WriteGzip}}
	changes := []struct {
		name   string
		change func(*fleet)
	}{
		{"unchanged", func(*fleet) {}},
		{"100changed", func(f *fleet) { f.change(100) }},
		{"allchanged", (*fleet).changeAll},
	}
	sizes := []struct {
		name    string
		records int
	}{{"1k", 1000}, {"20k", 20_000}, {"100k", 100_000}}
	for _, e := range encodings {
		for _, c := range changes {
			for _, s := range sizes {
				b.Run(e.name+"/"+c.name+"/"+s.name, func(b *testing.B) {
					f := newFleet(s.records)
					var w counter
					if _, err := e.write(&w, f); err != nil {
						b.Fatal(err)
					}
					b.ReportAllocs()
					for b.Loop() {
						b.StopTimer()
						c.change(f)
						w = 0
						b.StartTimer()
						if _, err := e.write(&w, f); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(w)/1e6, "MB")
				})
			}
		}
	}
}

// BenchmarkServe is a plain scrape of 100,000 resources over HTTP on loopback.
func BenchmarkServe(b *testing.B) {
	f := newFleet(100_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if _, err := WriteText(w, f); err != nil {
			b.Error(err)
		}
	}))
	defer server.Close()
	var size int64
	for b.Loop() {
		rsp, err := server.Client().Get(server.URL)
		if err != nil {
			b.Fatal(err)
		}
		if size, err = io.Copy(io.Discard, rsp.Body); err != nil {
			b.Fatal(err)
		}
		if err := rsp.Body.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}

type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func BenchmarkSet(b *testing.B) {
	f := newFleet(100_000)
	r := newResource(f.rng)
	set := func(b *testing.B, before func()) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			before()
			n := i * 7919 % len(f.keys)
			f.groups[n%kinds].Set(f.keys[n], r)
		}
	}
	b.Run("page owned", func(b *testing.B) { set(b, func() {}) })
	b.Run("page scraped", func(b *testing.B) { set(b, func() { f.epoch++ }) }) // so that each has its page copied
}

// BenchmarkReplace is a relist of the same objects, all of one kind. "locked" is how long a scrape waits for it.
func BenchmarkReplace(b *testing.B) {
	for _, s := range []struct {
		name    string
		records int
	}{{"2500", 2500}, {"100k", 100_000}} {
		b.Run(s.name, func(b *testing.B) {
			f := newFleet(s.records)
			set := map[string]*resource{}
			for _, key := range f.keys {
				set[key] = newResource(f.rng)
			}
			slots := ordered(slices.Collect(func(yield func(slot[resource]) bool) {
				for key, r := range set {
					if !yield(slot[resource]{key, r}) {
						return
					}
				}
			}))
			b.Run("whole", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f.groups[0].Replace(maps.All(set))
				}
			})
			b.Run("locked", func(b *testing.B) {
				for b.Loop() {
					b.StopTimer()
					for i := range slots {
						r := *slots[i].record
						slots[i].record = &r
					}
					b.StartTimer()
					f.groups[0].repage(slots)
				}
			})
		})
	}
}
