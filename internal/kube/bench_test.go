package kube

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"crossplane-exporter/internal/kube/kubetest"
)

// testdata is an object of testdata as the API server writes it: compact.
func testdata(tb testing.TB, file string) []byte {
	tb.Helper()
	b, err := os.ReadFile("testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, b); err != nil {
		tb.Fatal(err)
	}
	return compact.Bytes()
}

// repeat reads the same bytes over and over.
type repeat struct {
	text []byte
	at   int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// BenchmarkDecode decodes one object of a watch: a database of 10.6 kB and a subnet of 5.0 kB, as upjet providers have them.
func BenchmarkDecode(b *testing.B) {
	for _, file := range []string{"instance.json", "subnet.json"} {
		b.Run(strings.TrimSuffix(file, ".json"), func(b *testing.B) {
			next, n := decoding(b, file)
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				next()
			}
		})
	}
}

// TestDecodeAllocates keeps what BenchmarkDecode has won: what is allocated is what is kept.
func TestDecodeAllocates(t *testing.T) {
	for file, want := range map[string]float64{
		"instance.json": 7, // name, resource version, composite, claim, external name, a message; and the entry
		"subnet.json":   6, // no message
	} {
		next, _ := decoding(t, file)
		for range 10 { // the buffers grow at first
			next()
		}
		if got := testing.AllocsPerRun(100, next); got > want {
			t.Errorf("%s: want at most %v allocations, got %v", file, want, got)
		}
	}
}

// decoding decodes an object of testdata again and again, and keeps nothing of it.
func decoding(tb testing.TB, file string) (next func(), size int) {
	tb.Helper()
	object := testdata(tb, file)
	frame := fmt.Appendf(nil, `{"type":"MODIFIED","object":%s}`+"\n", object)
	d := newDecoder(&repeat{text: frame}, vpcs, teamLabel)
	f := &frames{reader: objectReader{d: d, keep: func(*Object) any { return nil }, odd: func(*Object) {}}, seen: func() {}}
	return func() {
		if _, _, err := f.Decode(); err != nil {
			tb.Fatal(err)
		}
	}, len(object)
}

// BenchmarkSync does the first sync of 5,000 objects of 10.6 kB, over loopback. held-B/object is what is on the heap afterwards, with a
// Keep that keeps a name.
func BenchmarkSync(b *testing.B) {
	const objects = 5000
	for name, tc := range map[string]struct{ http2, list bool }{
		"HTTP2/WatchList": {http2: true},
		"HTTP2/List":      {http2: true, list: true},
		"HTTP1/WatchList": {},
		"HTTP1/List":      {list: true},
	} {
		b.Run(name, func(b *testing.B) {
			api := &kubetest.Server{RefuseWatchList: tc.list}
			if err := api.Apply(vpcCRD().String()); err != nil {
				b.Fatal(err)
			}
			object := testdata(b, "instance.json")
			server, cfg := listen(b, &fleet{Handler: api, list: tc.list, object: bytes.Split(object, []byte("mhx7q")), objects: objects}, "", tc.http2)
			defer shut(server)
			b.ReportAllocs()
			b.SetBytes(objects * int64(len(object)))
			var held int64
			for b.Loop() {
				b.StopTimer()
				before := heap()
				b.StartTimer()
				s := &names{synced: make(chan struct{})}
				stop := start(b, Config{REST: cfg, Open: func(Kind) Store { return s }, Log: slog.New(slog.DiscardHandler)})
				<-s.synced
				b.StopTimer()
				held = heap() - before
				if len(s.held) != objects {
					b.Fatalf("want %d objects, got %d", objects, len(s.held))
				}
				stop()
				b.StartTimer()
			}
			b.ReportMetric(float64(held)/objects, "held-B/object")
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/objects, "µs/object")
		})
	}
}

// names is a Store that holds names.
type names struct {
	held   []any
	synced chan struct{}
	once   sync.Once
}

func (s *names) Keep(o *Object) any { return o.Name }
func (s *names) Set(any)            {}
func (s *names) Delete(any)         {}
func (s *names) Close()             {}

func (s *names) Replace(kept []any) {
	s.held = kept
	s.once.Do(func() { close(s.synced) })
}

// start runs a Cluster until stop.
func start(tb testing.TB, cfg Config) (stop func()) {
	tb.Helper()
	c, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	}
}

func writeHeapProfile(tb testing.TB, file string) {
	tb.Helper()
	f, err := os.Create(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	if err := pprof.Lookup("heap").WriteTo(f, 0); err != nil {
		tb.Fatal(err)
	}
}

func heap() int64 {
	for range 5 { // pools let go at the second time, and stacks shrink by half at each
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A fleet serves many objects of one kind from little memory.
type fleet struct {
	http.Handler

	list    bool
	object  [][]byte // between the places of its number
	objects int
}

func (f *fleet) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	initial := q.Get("sendInitialEvents") != ""
	switch {
	case req.URL.Path != vpcPath || initial && f.list:
		f.Handler.ServeHTTP(w, req)
	case q.Get("watch") == "":
		out := bufio.NewWriterSize(w, 64<<10)
		io.WriteString(out, `{"kind":"VPCList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[`)
		for i := range f.objects {
			if i > 0 {
				out.WriteByte(',')
			}
			f.write(out, i)
		}
		io.WriteString(out, `]}`)
		out.Flush()
	default:
		out := bufio.NewWriterSize(w, 64<<10)
		for i := 0; initial && i < f.objects; i++ {
			io.WriteString(out, `{"type":"ADDED","object":`)
			f.write(out, i)
			io.WriteString(out, "}\n")
		}
		if initial {
			io.WriteString(out, `{"type":"BOOKMARK","object":{"kind":"VPC","apiVersion":"v1","metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}`+"\n")
		}
		out.Flush()
		http.NewResponseController(w).Flush()
		<-req.Context().Done()
	}
}

func (f *fleet) write(out *bufio.Writer, number int) {
	for i, part := range f.object {
		if i > 0 {
			out.Write(fmt.Appendf(out.AvailableBuffer(), "%05d", number))
		}
		out.Write(part)
	}
}

// BenchmarkIdleKinds watches 900 kinds without objects over HTTP/2, and reports what one costs while nothing happens. The server
// is a process of its own, so that what it needs is not counted.
func BenchmarkIdleKinds(b *testing.B) {
	const kinds = 900
	cfg := serveElsewhere(b, kinds)
	measure := func() (heapBytes, stack int64, goroutines int) {
		h := heap()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return h, int64(m.StackInuse), runtime.NumGoroutine()
	}
	for b.Loop() {
		heapBefore, stackBefore, goroutinesBefore := measure()
		var synced atomic.Int64
		stop := start(b, Config{REST: cfg, Open: func(Kind) Store { return counter{&synced} }, Log: slog.New(slog.DiscardHandler)})
		eventually(b, "all kinds should be synced", func() bool { return synced.Load() == kinds })
		h, s, g := measure()
		b.ReportMetric(float64(h-heapBefore)/kinds, "heap-B/kind")
		b.ReportMetric(float64(s-stackBefore)/kinds, "stack-B/kind")
		b.ReportMetric(float64(g-goroutinesBefore)/kinds, "goroutines/kind")
		if file := os.Getenv("IDLE_HEAP_PROFILE"); file != "" {
			writeHeapProfile(b, file)
		}
		stop()
	}
}

// counter is a Store that counts first syncs.
type counter struct{ synced *atomic.Int64 }

func (c counter) Keep(*Object) any { return nil }
func (c counter) Set(any)          {}
func (c counter) Delete(any)       {}
func (c counter) Close()           {}
func (c counter) Replace([]any)    { c.synced.Add(1) }

const servedKinds = "KUBE_TEST_SERVED_KINDS"

// TestMain makes the test binary a server where serveElsewhere wants one.
func TestMain(m *testing.M) {
	if n := os.Getenv(servedKinds); n != "" {
		serve(n)
		return
	}
	os.Exit(m.Run())
}

// serve serves kinds without objects until standard input ends, and says on standard output how to reach them.
func serve(n string) {
	var kinds int
	if _, err := fmt.Sscan(n, &kinds); err != nil {
		panic(err)
	}
	api := &kubetest.Server{}
	for i := range kinds {
		if err := api.Apply(crd("things", fmt.Sprintf("g%03d.example.org", i), "Thing", "managed").String()); err != nil {
			panic(err)
		}
	}
	t := &testing.B{}
	server, cfg := listen(t, api, "", true)
	defer shut(server)
	fmt.Println(cfg.Host)
	os.Stdout.Write(cfg.CAData)
	fmt.Println("EOF")
	io.Copy(io.Discard, os.Stdin)
}

// serveElsewhere runs serve in another process, until the test ends.
func serveElsewhere(tb testing.TB, kinds int) *rest.Config {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", servedKinds, kinds))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		stopped := time.AfterFunc(10*time.Second, func() { cmd.Process.Kill() })
		defer stopped.Stop()
		if err := cmd.Wait(); err != nil {
			tb.Error(err)
		}
	})
	lines := bufio.NewScanner(out)
	cfg := &rest.Config{}
	for lines.Scan() && lines.Text() != "EOF" {
		if cfg.Host == "" {
			cfg.Host = lines.Text()
			continue
		}
		cfg.CAData = append(append(cfg.CAData, lines.Bytes()...), '\n')
	}
	if cfg.Host == "" {
		tb.Fatal("the server did not start")
	}
	return cfg
}
