package collector

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
	"crossplane-exporter/internal/kube"
	"crossplane-exporter/internal/kube/kubetest"
)

// stream is an API server with one kind, whose only watch sends what next returns: a first sync and then changes.
type stream struct {
	kubetest.Server

	next func() []byte // nil at the end

	ctx  context.Context //nolint:containedctx // Of the watch.
	rest []byte
}

func (s *stream) RoundTrip(req *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(req.URL.Path, "/instances") {
		return s.Server.RoundTrip(req)
	}
	s.ctx = req.Context()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: s, Request: req}, nil
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		s.rest = s.next()
	}
	if s.rest == nil {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (*stream) Close() error { return nil }

// testObject is one of kube's test objects as an API server sends it, with %[1]s for its name.
func testObject(b *testing.B, file string) string {
	b.Helper()
	text, err := os.ReadFile("../internal/kube/testdata/" + file)
	if err != nil {
		b.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		b.Fatal(err)
	}
	metadata := object["metadata"].(map[string]any)
	metadata["name"] = "@@"
	text, err = json.Marshal(object)
	if err != nil {
		b.Fatal(err)
	}
	return strings.ReplaceAll(strings.ReplaceAll(string(text), "%", "%%"), "@@", "%[1]s")
}

const endOfList = `{"type":"BOOKMARK","object":{"kind":"Instance","apiVersion":"rds.aws.upbound.io/v1beta3","metadata":{"resourceVersion":"1","annotations":{"k8s.io/initial-events-end":"true"}}}}` + "\n"

// watching is an exporter that watches s, and ends with the benchmark.
func (s *stream) watching(b *testing.B, trail cloud.Trail) *Exporter {
	b.Helper()
	if err := s.Apply(definitionsYAML(b, "instances.rds.aws.upbound.io/v1beta3 Instance managed")); err != nil {
		b.Fatal(err)
	}
	cfg := Config{
		REST: &rest.Config{Host: "http://cluster.test", Transport: s}, Log: slog.New(slog.DiscardHandler),
		Detail: DetailAll, TeamLabel: "platform.example.org/team", Trail: trail,
	}
	e, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	return e
}

// until waits for what happens in another goroutine.
func until(b *testing.B, happened func() bool) {
	b.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatal("it does not happen")
		}
	}
}

// has is whether an instance of that name is in the table.
func (e *Exporter) has(name string) bool {
	found := false
	e.resources.each(func(s *resourceStore) { found = found || s.group.Get(resourceKey("", name)) != nil })
	return found
}

// BenchmarkChange is one changed object, from the bytes of the watch to the table: decoded, kept, compared with what was before. A
// Subnet is 5 KB and well, an Instance 11 KB and failing.
func BenchmarkChange(b *testing.B) {
	const objects = 1000
	for _, file := range []string{"subnet.json", "instance.json"} {
		b.Run(file, func(b *testing.B) {
			format := testObject(b, file)
			added, modified := make([][]byte, objects), make([][]byte, objects)
			for i := range objects {
				added[i] = fmt.Appendf(nil, `{"type":"ADDED","object":`+format+"}\n", fmt.Sprintf("n%d", i))
				modified[i] = fmt.Appendf(nil, `{"type":"MODIFIED","object":`+format+"}\n", fmt.Sprintf("n%d", i))
			}
			begin := make(chan struct{})
			i := 0
			s := &stream{}
			s.next = func() []byte {
				defer func() { i++ }()
				switch n := i - objects - 1; {
				case i < objects:
					return added[i]
				case i == objects:
					return []byte(endOfList)
				case n == 0:
					<-begin
					return modified[0]
				case n < b.N:
					return modified[n%objects]
				case n == b.N:
					return fmt.Appendf(nil, `{"type":"ADDED","object":`+format+"}\n", "last")
				default:
					return nil
				}
			}
			e := s.watching(b, nil)
			until(b, func() bool { return e.has("n0") })
			b.ReportAllocs()
			b.SetBytes(int64(len(modified[0])))
			b.ResetTimer()
			close(begin)
			until(b, func() bool { return e.has("last") })
		})
	}
}

// BenchmarkSet is the last part of BenchmarkChange: a decoded object to the table.
func BenchmarkSet(b *testing.B) {
	e := unconnected(b, Config{Detail: DetailAll})
	s := e.resources.open(testKind(0))
	rng := rand.New(rand.NewPCG(1, 1))
	objects := make([]*kube.Object, 1000)
	for i := range objects {
		objects[i] = benchObject(rng, i)
		s.Set(s.Keep(objects[i]))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Set(s.Keep(objects[i%len(objects)]))
	}
}

// BenchmarkMemory is what an exporter holds of each of 100,000 objects that do not change, in bytes: everything that is there after the
// first sync and was not before. With an audit trail it also holds who they are in the cloud.
func BenchmarkMemory(b *testing.B) {
	for _, trail := range []bool{false, true} {
		b.Run(fmt.Sprintf("trail=%t", trail), func(b *testing.B) { benchmarkMemory(b, trail) })
	}
}

func benchmarkMemory(b *testing.B, trail bool) {
	const objects = 100_000
	format := testObject(b, "subnet.json")
	if trail { // or else all would be one and the same
		format = strings.ReplaceAll(format, "subnet-0c1d2e3f4a5b6c7d8", "subnet-%[1]s")
	}
	for b.Loop() {
		b.StopTimer()
		s, i := &stream{}, -1
		var frame []byte
		s.next = func() []byte {
			switch i++; {
			case i < objects:
				frame = fmt.Appendf(frame[:0], `{"type":"ADDED","object":`+format+"}\n", benchName(i))
				return frame
			case i == objects:
				return []byte(endOfList)
			default:
				return nil
			}
		}
		before := heapInUse()
		b.StartTimer()
		var t cloud.Trail
		if trail {
			t = lookup(&awstest.CloudTrail{})
		}
		e := s.watching(b, t)
		until(b, func() bool { return e.Ready() == nil && e.has(benchName(objects-1)) })
		b.StopTimer()
		synced := heapInUse()
		b.ReportMetric(float64(synced-before)/objects, "B/object")
		get(b, e.Handler("/metrics"), http.MethodGet, "/metrics", "Accept-Encoding: gzip")
		b.ReportMetric(float64(heapInUse()-before)/objects, "B/object-scraped")
		runtime.KeepAlive(e)
		b.StartTimer()
	}
}

func benchName(i int) string { return fmt.Sprintf("orders-prod-%05d-private-a", i) }

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // what pools hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// benchObject is object i: one in twenty is unwell.
func benchObject(rng *rand.Rand, i int) *kube.Object {
	o := &kube.Object{
		Name:            benchName(i),
		ResourceVersion: fmt.Sprint(rng.Uint32()),
		Generation:      2,
		Created:         morning.Unix() - 1e6,
		ExternalName:    fmt.Sprintf("orders-%08x", rng.Uint32()),
		ProviderConfig:  "default",
		Composite:       fmt.Sprintf("orders-%05d", i),
		ClaimNamespace:  "shop",
		ClaimName:       fmt.Sprintf("orders-%d", i),
		Region:          "eu-west-1",
		Conditions: []kube.Condition{
			{Type: "Ready", Status: kube.True, Reason: "Available", Since: morning.Unix() - 1e5},
			{Type: "Synced", Status: kube.True, Reason: "ReconcileSuccess", Since: morning.Unix() - 1e5, ObservedGeneration: 2},
		},
	}
	if rng.IntN(20) == 0 {
		o.Conditions[1] = kube.Condition{
			Type: "Synced", Status: kube.False, Reason: "ReconcileError", Since: morning.Unix() - rng.Int64N(1e5),
			Message: fmt.Sprintf("observe failed: operation error RDS: DescribeDBInstances, https response error StatusCode: 400, RequestID: %08x, api error ThrottlingException: Rate exceeded", rng.Uint32()),
		}
	}
	return o
}

// BenchmarkScrape is a scrape of 100,000 objects of 40 kinds, through the handler.
func BenchmarkScrape(b *testing.B) {
	const objects, kinds = 100_000, 40
	for _, detail := range []Detail{DetailAll, DetailUnhealthy} {
		for _, encoding := range []string{"gzip", "identity"} {
			for _, changed := range []int{0, 100} {
				b.Run(fmt.Sprintf("%s/%s/%dchanged", detail, encoding, changed), func(b *testing.B) {
					e := unconnected(b, Config{Detail: detail})
					rng := rand.New(rand.NewPCG(1, 1))
					var stores [kinds]kube.Store
					for k := range stores {
						stores[k] = e.resources.open(testKind(k))
						var kept []any
						for i := k; i < objects; i += kinds {
							kept = append(kept, stores[k].Keep(benchObject(rng, i)))
						}
						stores[k].Replace(kept)
					}
					handler := e.Handler("/metrics")
					w := &discard{header: http.Header{}}
					req := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/metrics", nil)
					req.Header.Set("Accept-Encoding", encoding)
					handler.ServeHTTP(w, req)
					b.ReportAllocs()
					for b.Loop() {
						b.StopTimer()
						for range changed {
							i := rng.IntN(objects)
							stores[i%kinds].Set(stores[i%kinds].Keep(benchObject(rng, i)))
						}
						w.n = 0
						b.StartTimer()
						handler.ServeHTTP(w, req)
					}
					b.ReportMetric(float64(w.n)/1e6, "MB")
				})
			}
		}
	}
}

// discard is an http.ResponseWriter that counts.
type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(int)     {}
func (d *discard) Write(p []byte) (int, error) {
	d.n += len(p)
	return len(p), nil
}

// BenchmarkDrift is the cost of an Event that says that one of 100,000 resources was updated, from the watch's store to the
// metrics, judged in batches as they come in a second at 1,000 of them a second; and what a resource that drifts holds more than
// one that does not.
func BenchmarkDrift(b *testing.B) {
	const objects, batch = 100_000, 1000
	s := newStage(b, nil)
	kept := make([]any, 0, objects)
	for i := range objects {
		kept = append(kept, s.store.Keep(&kube.Object{
			Name: fmt.Sprintf("bucket-%d", i), ResourceVersion: "1", Generation: 1,
			Conditions: []kube.Condition{{Type: "Synced", Status: kube.True, ObservedGeneration: 1}, {Type: "Ready", Status: kube.True}},
		}))
	}
	s.store.Replace(kept)
	s.Replace(nil)
	s.at += 10
	before := heapInUse()
	b.ReportAllocs()
	b.ResetTimer()
	drifting := map[int]bool{}
	for i := range b.N {
		n := i * 7919 % objects
		drifting[n] = true
		e := s.event("e"+strconv.Itoa(n), int64(i/objects+1), "1")
		e.Involved.Name = "bucket-" + strconv.Itoa(n)
		s.Set(e)
		if i%batch == batch-1 {
			s.passes(1)
		}
	}
	s.passes(10)
	b.StopTimer()
	if got := s.told()["drift"]; int(got) != b.N {
		b.Fatalf("got %v corrections, want %d", got, b.N)
	}
	b.ReportMetric(float64(heapInUse()-before)/float64(len(drifting)), "B/drifting")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*batch/1e9*100, "%core@1000/s")
	runtime.KeepAlive(s)
}
