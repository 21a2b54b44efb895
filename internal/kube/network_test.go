package kube

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"

	"crossplane-exporter/internal/kube/kubetest"
)

// listen serves the API on loopback, at address or, if that is "", at a free one; over HTTP/2 with TLS as API servers do, or
// over HTTP/1.1.
func listen(tb testing.TB, h http.Handler, address string, http2 bool) (*httptest.Server, *rest.Config) {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	if address != "" {
		eventually(tb, "the address should be free again", func() bool {
			l, err := net.Listen("tcp", address)
			if err != nil {
				return false
			}
			s.Listener.Close()
			s.Listener = l
			return true
		})
	}
	if !http2 {
		s.Start()
		return s, &rest.Config{Host: s.URL}
	}
	s.EnableHTTP2 = true
	s.StartTLS()
	return s, &rest.Config{Host: s.URL, TLSClientConfig: rest.TLSClientConfig{
		CAData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
	}}
}

// shut ends a server and all its connections at once, as its death would.
func shut(s *httptest.Server) {
	s.Config.Close()
	s.Close()
}

// eventually waits for a condition, within bounds.
func eventually(tb testing.TB, reason string, ok func() bool) {
	tb.Helper()
	deadline := time.NewTimer(30 * time.Second)
	defer deadline.Stop()
	for tick := time.NewTicker(2 * time.Millisecond); !ok(); {
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatal(reason)
		}
	}
}

// run runs a Cluster with memories for stores, until stop.
func run(tb testing.TB, cfg Config) (c *Cluster, store func(kind string) *memory, stop func()) {
	tb.Helper()
	var mu sync.Mutex
	stores := map[string]*memory{}
	cfg.Open = func(k Kind) Store {
		mu.Lock()
		defer mu.Unlock()
		stores[k.String()] = &memory{kind: k, kept: map[string]Object{}}
		return stores[k.String()]
	}
	c, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			tb.Fatal("Run should return soon after its context has ended")
		}
	})
	tb.Cleanup(stop)
	return c, func(kind string) *memory {
		mu.Lock()
		defer mu.Unlock()
		return stores[kind]
	}, stop
}

func (m *memory) objects() map[string]Object {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	objects := map[string]Object{}
	for name, o := range m.kept {
		o.Odd = 0 // how often is not a matter of the last state alone
		objects[name] = o
	}
	return objects
}

// TestSeesWhatDynamicSees lets a cluster change while its connections are cut, and its server goes away and comes back, and
// expects in the end what a reflector of client-go/dynamic sees.
func TestSeesWhatDynamicSees(t *testing.T) {
	for name, tc := range map[string]struct{ http2, list bool }{
		"HTTP2/WatchList": {true, false},
		"HTTP2/List":      {true, true},
		"HTTP1/WatchList": {false, false},
		"HTTP1/List":      {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // They wait most of the time.
			api := &kubetest.Server{RefuseWatchList: tc.list}
			if err := api.Apply(vpcCRD().String()); err != nil {
				t.Fatal(err)
			}
			server, cfg := listen(t, api, "", tc.http2)
			defer func() { shut(server) }()
			logs := &logs{}
			c, store, stop := run(t, Config{REST: cfg, TeamLabel: teamLabel, Log: logs.logger()})

			reference := cacheOf(t, cfg)
			g := generator{rand.New(rand.NewPCG(1, 2))}
			change := func() {
				t.Helper()
				for range 20 {
					o := g.object()
					o["apiVersion"], o["kind"] = ec2+"/v1", "VPC"
					if _, ok := o["metadata"].(map[string]any); !ok {
						o["metadata"] = map[string]any{}
					}
					o["metadata"].(map[string]any)["name"] = fmt.Sprint("vpc-", g.IntN(40))
					delete(o["metadata"].(map[string]any), "namespace")
					var err error
					if text := string(g.text(o)); g.IntN(4) > 0 {
						err = api.Apply(text)
					} else if err = api.Delete(text); err != nil && strings.Contains(err.Error(), "is not there") {
						err = nil
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			for i := range 12 {
				change()
				switch i {
				case 3, 5:
					server.CloseClientConnections()
				case 7:
					if err := api.Forget("vpcs." + ec2); err != nil {
						t.Fatal(err)
					}
				case 9:
					address := server.Listener.Addr().String()
					shut(server)
					change()
					server, _ = listen(t, api, address, tc.http2)
				}
			}
			same := func() string { return cmp.Diff(reference(), store(vpcKind).objects(), cmpopts.EquateEmpty(), apart) }
			defer func() {
				if diff := same(); diff != "" {
					t.Errorf("-client-go/dynamic, +we:\n%s", diff)
				}
			}()
			// The last change is seen by both once both are connected again.
			if err := api.Apply(vpc("the-last", "True")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "both should see the same in the end", func() bool {
				_, they := reference()["/the-last"]
				_, we := store(vpcKind).objects()["/the-last"]
				return they && we && same() == ""
			})
			for _, s := range c.Kinds() {
				if !s.Synced || !s.Current || s.Err != nil {
					t.Errorf("want all well, got %+v", s)
				}
			}
			stop()
			for _, line := range logs.since() {
				if !strings.Contains(line, "reached") && !strings.Contains(line, "does not promise") && !strings.Contains(line, "again") {
					t.Errorf("only of the server that was gone, and of odd objects, an operator should be told, not %q", line)
				}
			}
		})
	}
}

// cacheOf is a reflector of client-go/dynamic, and what the plain reference reads from what it holds.
func cacheOf(t *testing.T, cfg *rest.Config) func() map[string]Object {
	t.Helper()
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	resource := client.Resource(schema.GroupVersionResource{Group: ec2, Version: "v1", Resource: "vpcs"})
	held := cache.NewStore(cache.MetaNamespaceKeyFunc)
	reflector := cache.NewReflectorWithOptions(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, opts)
		},
		WatchFuncWithContext: resource.Watch,
	}, &unstructured.Unstructured{}, held, cache.ReflectorOptions{})
	ctx, cancel := context.WithCancel(klog.NewContext(context.Background(), logr.Discard()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		reflector.RunWithContext(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	eventually(t, "client-go/dynamic should sync", func() bool { return reflector.LastSyncResourceVersion() != "" })
	return func() map[string]Object {
		objects := map[string]Object{}
		for _, o := range held.List() {
			text, err := o.(*unstructured.Unstructured).MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			read, err := reference(vpcs, teamLabel, text)
			if err != nil {
				t.Fatal(err)
			}
			read.Odd = 0
			objects["/"+read.Name] = read
		}
		return objects
	}
}

func stacks() string {
	b := make([]byte, 4<<20)
	return string(b[:goruntime.Stack(b, true)])
}

// TestEndsQuietly stops while many watches are open, over HTTP/2: the reads that this breaks off are no errors.
func TestEndsQuietly(t *testing.T) {
	api := &kubetest.Server{}
	const kinds = 50
	for i := range kinds {
		if err := api.Apply(crd("things", fmt.Sprintf("g%d.example.org", i), "Thing", "managed").String()); err != nil {
			t.Fatal(err)
		}
	}
	server, cfg := listen(t, api, "", true)
	defer shut(server)
	logs := &logs{}
	c, _, stop := run(t, Config{REST: cfg, Log: logs.logger()})
	eventually(t, "all kinds should be read", func() bool { return c.Ready() == nil && len(c.Kinds()) == kinds })
	eventually(t, "all watches should be open", func() bool {
		for _, s := range c.Kinds() {
			if !s.Current {
				return false
			}
		}
		return true
	})
	stop()
	for _, s := range c.Kinds() {
		if s.DecodeErrors > 0 || s.Restarts > 0 || s.Err != nil {
			t.Errorf("an end is no error, got %+v", s)
		}
	}
	if lines := logs.since(); len(lines) > 0 {
		t.Errorf("an end is not worth a line, got %q", lines)
	}
	eventually(t, "no goroutine should outlive Run", func() bool { return !strings.Contains(stacks(), "kube.(*watcher)") })
}
