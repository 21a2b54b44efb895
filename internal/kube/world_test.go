package kube

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/rest"

	"crossplane-exporter/internal/kube/kubetest"
)

// A world is a cluster and a Cluster that watches it, in a bubble of testing/synctest: its clock stands still until all that
// has happened has been seen, and the test fails where a goroutine outlives it.
type world struct {
	kubetest.Server
	*Cluster

	t      *testing.T
	wire   *wire
	logs   *logs
	stop   func() // and wait until Run has returned
	mu     sync.Mutex
	told   []string             // namespaces of TeamChanged
	stores map[string][]*memory // by kind; the last is the one in use
}

// newWorld makes a world in which time has not begun: see begin.
func newWorld(t *testing.T, change ...func(*Config)) *world {
	t.Helper()
	w := &world{t: t, logs: &logs{}, stores: map[string][]*memory{}}
	w.wire = &wire{next: &w.Server, answers: map[string]func(*http.Request) (*http.Response, error){}, streams: map[string][]*stream{}}
	cfg := Config{
		REST: &rest.Config{Host: "http://cluster.test", Transport: w.wire},
		Open: func(k Kind) Store {
			w.mu.Lock()
			defer w.mu.Unlock()
			m := &memory{kind: k, kept: map[string]Object{}}
			w.stores[k.String()] = append(w.stores[k.String()], m)
			return m
		},
		TeamChanged: func(namespace string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.told = append(w.told, namespace)
		},
		Log: w.logs.logger(),
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Cluster = c
	return w
}

// begin runs the Cluster, and waits until it has seen all there is.
func (w *world) begin() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		w.t.Helper()
		before := time.Now()
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
		if d := time.Since(before); d > time.Second {
			w.t.Errorf("Run should return soon after its context has ended, not %v later", d)
		}
	})
	w.t.Cleanup(w.stop)
	synctest.Wait()
}

// do does something to the cluster, and waits until it has been seen.
func (w *world) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	time.Sleep(d) // of the bubble: it takes no time
	synctest.Wait()
}

// store is the one in use for a kind, nil for none.
func (w *world) store(kind string) *memory {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.stores[kind]
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// calls is what a kind's store was told since the last time.
func (w *world) calls(kind string) []string {
	w.t.Helper()
	m := w.store(kind)
	if m == nil {
		w.t.Fatalf("no store was opened for %s", kind)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := m.calls
	m.calls = nil
	return calls
}

// expect compares what a kind's store was told since the last time.
func (w *world) expect(reason, kind string, want ...string) {
	w.t.Helper()
	if got := w.calls(kind); !slices.Equal(got, want) {
		w.t.Errorf("%s\nthe store of %s:\nwant %q\n got %q", reason, kind, want, got)
	}
}

// status is how a kind is doing.
func (w *world) status(kind string) KindStatus {
	w.t.Helper()
	all := w.Kinds()
	i := slices.IndexFunc(all, func(s KindStatus) bool { return s.Kind.String() == kind })
	if i < 0 {
		w.t.Fatalf("%s is not watched", kind)
	}
	return all[i]
}

func (w *world) watched() []string {
	var names []string
	for _, s := range w.Kinds() {
		names = append(names, s.Kind.String())
	}
	return names
}

// crd is a CustomResourceDefinition as JSON, which is YAML too. It is established, and serves one version, v1.
func crd(plural, group, kind string, categories ...string) definitionYAML {
	return definitionYAML{plural: plural, group: group, kind: kind, categories: categories, established: true, versions: []version{{"v1", true, true}}}
}

type definitionYAML struct {
	plural, group, kind string
	categories          []string
	established         bool
	versions            []version
}

func (d definitionYAML) serving(versions ...version) definitionYAML {
	d.versions = versions
	return d
}

func (d definitionYAML) String() string {
	var versions []string
	for _, v := range d.versions {
		versions = append(versions, fmt.Sprintf("{name: %s, served: %t, storage: %t, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}}", v.name, v.served, v.storage))
	}
	return fmt.Sprintf("---\n{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: %s.%s}, "+
		"spec: {group: %s, scope: Cluster, names: {kind: %s, plural: %s, categories: [%s]}, versions: [%s]}, "+
		"status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: '%s'}]}}\n",
		d.plural, d.group, d.group, d.kind, d.plural, strings.Join(d.categories, ", "), strings.Join(versions, ", "), title(d.established))
}

func title(b bool) string {
	if b {
		return "True"
	}
	return "False"
}

// object is one of a kind, with a condition Ready.
func object(group, kind, name, ready string) string {
	return fmt.Sprintf("---\n{apiVersion: %s/v1, kind: %s, metadata: {name: %s}, status: {conditions: [{type: Ready, status: '%s'}]}}\n", group, kind, name, ready)
}

const (
	ec2 = "ec2.aws.upbound.io"
	rds = "rds.aws.upbound.io"
)

func vpc(name, ready string) string      { return object(ec2, "VPC", name, ready) }
func instance(name, ready string) string { return object(rds, "Instance", name, ready) }

func vpcCRD() definitionYAML { return crd("vpcs", ec2, "VPC", "crossplane", "managed", "aws") }
func instanceCRD() definitionYAML {
	return crd("instances", rds, "Instance", "crossplane", "managed", "aws")
}

// A memory is a Store that remembers what it was told.
type memory struct {
	kind Kind

	mu     sync.Mutex
	kept   map[string]Object
	calls  []string
	closed bool
}

func (m *memory) Keep(o *Object) any {
	c := *o
	c.Conditions, c.Writers, c.Differing = slices.Clone(o.Conditions), slices.Clone(o.Writers), slices.Clone(o.Differing)
	return c
}

func said(o Object) string {
	s := o.Name
	if o.Namespace != "" {
		s = o.Namespace + "/" + s
	}
	for _, c := range o.Conditions {
		s += " " + c.Type + "=" + c.Status.String()
	}
	return s
}

func (m *memory) call(f func() string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	call := f()
	if m.closed {
		call += " after Close"
	}
	m.calls = append(m.calls, call)
}

func (m *memory) Set(kept any) {
	m.call(func() string {
		o := kept.(Object)
		m.kept[o.Namespace+"/"+o.Name] = o
		return "set " + said(o)
	})
}

func (m *memory) Delete(kept any) {
	m.call(func() string {
		o := kept.(Object)
		delete(m.kept, o.Namespace+"/"+o.Name)
		return "delete " + said(o)
	})
}

func (m *memory) Replace(kept []any) {
	m.call(func() string {
		m.kept = map[string]Object{}
		names := []string{}
		for _, k := range kept {
			o := k.(Object)
			m.kept[o.Namespace+"/"+o.Name] = o
			names = append(names, said(o))
		}
		slices.Sort(names)
		return "replace " + strings.Join(names, ", ")
	})
}

func (m *memory) Close() {
	m.call(func() string { return "close" })
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
}

// logs remembers what was logged.
type logs struct {
	mu    sync.Mutex
	lines []string
}

// Write takes a line from a slog.TextHandler.
func (l *logs) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(line))
	return len(line), nil
}

// logger writes what is worth telling an operator, at a time of no interest.
func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// since is what was logged since the last time.
func (l *logs) since() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// logged expects that an operator was told so many lines since the last time, each with the words.
func (w *world) logged(reason string, want ...string) {
	w.t.Helper()
	got := w.logs.since()
	ok := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		for word := range strings.FieldsSeq(want[i]) {
			ok = ok && strings.Contains(got[i], word)
		}
	}
	if !ok {
		w.t.Errorf("%s\nlog:\nwant lines with %q\n got %q", reason, want, got)
	}
}

// A wire is between the Cluster and the server: it sees all that is asked, and can do what servers and networks do at their
// worst.
type wire struct {
	next http.RoundTripper

	mu       sync.Mutex
	requests []string
	down     error                                                  // every request fails with it
	answers  map[string]func(*http.Request) (*http.Response, error) // by path
	streams  map[string][]*stream                                   // watches by path
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	q := req.URL.Query()
	verb := "list"
	if q.Get("watch") != "" {
		verb = "watch"
	}
	if q.Get("sendInitialEvents") != "" {
		verb = "watchlist"
	}
	w.mu.Lock()
	w.requests = append(w.requests, verb+" "+req.URL.Path)
	down, answer := w.down, w.answers[req.URL.Path]
	w.mu.Unlock()
	if down != nil {
		return nil, down
	}
	if answer != nil {
		resp, err := answer(req)
		if resp != nil || err != nil {
			return resp, err
		}
	}
	resp, err := w.next.RoundTrip(req)
	if err != nil || verb == "list" || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	s := newStream(resp.Body)
	resp.Body = s
	w.mu.Lock()
	defer w.mu.Unlock()
	w.streams[req.URL.Path] = append(w.streams[req.URL.Path], s)
	return resp, nil
}

// asked is what was asked since the last time, in order of its spelling.
func (w *wire) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	requests := w.requests
	w.requests = nil
	slices.Sort(requests)
	return requests
}

// answer has requests for a path answered so; a nil response and error leave one to the server, and a nil f all.
func (w *wire) answer(path string, f func(*http.Request) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[path] = f
}

func (w *wire) setDown(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = err
}

// stream is the last watch opened for a path.
func (w *wire) stream(path string) *stream {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.streams[path]
	return all[len(all)-1]
}

// A stream is the body of a watch, into which more can be put than the server says.
type stream struct {
	*io.PipeReader

	out  *io.PipeWriter
	body io.Closer
	mute atomic.Bool
}

func newStream(body io.ReadCloser) *stream {
	r, w := io.Pipe()
	s := &stream{PipeReader: r, out: w, body: body}
	go func() {
		_, err := io.Copy(s, body)
		w.CloseWithError(err)
	}()
	return s
}

// Write takes what the server says.
func (s *stream) Write(p []byte) (int, error) {
	if s.mute.Load() {
		return len(p), nil
	}
	return s.out.Write(p)
}

// deaf makes a stream pass on no more of what the server says, only what the test says.
func (s *stream) deaf() { s.mute.Store(true) }

func (s *stream) Close() error {
	s.PipeReader.Close()
	return s.body.Close()
}

// say puts text into the stream, and cut ends it there.
func (s *stream) say(text string) error {
	_, err := io.WriteString(s.out, text)
	return err
}

func (s *stream) cut(err error) error {
	s.out.CloseWithError(err)
	return s.body.Close()
}

// respond is an answer with a body.
func respond(code int, contentType, body string) *http.Response {
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}
