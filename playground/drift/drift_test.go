// Package drift_test sees whether the exporter tells drift from intended edits, on a real control plane with a real provider.
package drift_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/controlplane/controlplanetest"
	"crossplane-exporter/playground/process"
	"crossplane-exporter/playground/programs"
	"crossplane-exporter/playground/provider"
)

const (
	group     = "kubernetes.m.crossplane.io"
	namespace = "default"
	// patience is how long anything may take.
	patience = time.Minute
)

var (
	objects    = schema.GroupVersionResource{Group: group, Version: "v1alpha1", Resource: "objects"}
	configs    = schema.GroupVersionResource{Group: group, Version: "v1alpha1", Resource: "clusterproviderconfigs"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	secrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
)

// A step does one thing to a resource and waits until the provider has dealt with it.
type step func(t *testing.T, w *world, name string)

// TestDriftIsToldFromEdits changes external objects by hand N times and specs M times, with all that may come in between.
func TestDriftIsToldFromEdits(t *testing.T) {
	w := newWorld(t)
	cases := map[string]struct {
		reason       string
		steps        []step
		drift, edits int
	}{
		"quiet": {
			reason: "A resource that nobody touches has nothing to say.",
			steps:  []step{},
		},
		"drift": {
			reason: "Each change by hand is put back, and counts, however few Events say so.",
			steps:  []step{byHand, byHand, byHand, byHand},
			drift:  4,
		},
		"edits": {
			reason: "Edits of the spec lead to the very same Event, and are no drift.",
			steps:  []step{edit, edit, edit},
			edits:  3,
		},
		"mixed": {
			reason: "Both on one resource share one Event, whose count says nothing about which was which.",
			steps:  []step{byHand, edit, byHand, byHand, edit, edit, byHand},
			drift:  4,
			edits:  3,
		},
		"no-op": {
			reason: "An edit that changes nothing outside leads to no update; the drift after it is drift.",
			steps:  []step{editNothing, byHand, editNothing, edit, byHand},
			drift:  2,
			edits:  1,
		},
	}
	for name := range cases {
		w.create(t, name)
	}
	for name := range cases {
		w.settled(t, name)
	}
	// Between the rounds everything that can restart does, in turn.
	rounds := []struct {
		name    string
		restart func()
	}{
		{"the beginning", func() {}},
		{"the exporter was stopped and started", func() { w.stopExporter(t, syscall.SIGTERM); w.startExporter(t) }},
		{"the provider crashed", func() { w.provider.Kill(); check(t, w.provider.Start(t.Context())) }},
		{"the API server was killed", func() {
			w.plane.KillAPIServer()
			check(t, w.plane.StartAPIServer(t.Context()))
			// What is edited while the exporter cannot look it can only count by generation.
			w.await(t, "the exporter watches again", func(context.Context) error {
				if up := w.counted(t, "crossplane_exporter_collector_up"); up["resources"] != 1 { //nolint:contextcheck // The test's own will do.
					return fmt.Errorf("up: %v", up)
				}
				return nil
			})
		}},
		{"the exporter crashed", func() { w.stopExporter(t, syscall.SIGKILL); w.startExporter(t) }},
	}
	for i, round := range rounds {
		round.restart()
		var all sync.WaitGroup
		for name, tc := range cases {
			all.Go(func() {
				for _, s := range tc.steps {
					s(t, w, name)
				}
			})
		}
		all.Wait()
		if t.Failed() {
			t.FailNow()
		}
		for name, tc := range cases {
			w.expect(t, "after "+round.name+": "+tc.reason, name, (i+1)*tc.drift, (i+1)*tc.edits)
		}
	}
}

// TestWhatHappensWhileTheExporterIsAway is counted once it is back.
func TestWhatHappensWhileTheExporterIsAway(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"known", "new-to-it"} {
		w.create(t, name)
	}
	for _, name := range []string{"known", "new-to-it"} {
		w.settled(t, name)
	}
	byHand(t, w, "known")
	edit(t, w, "known")
	w.expect(t, "before it went away", "known", 1, 1)
	w.stopExporter(t, syscall.SIGTERM)
	do := func(name string, steps ...step) {
		for _, s := range steps {
			s(t, w, name)
		}
	}
	do("known", byHand, byHand, byHand, edit, edit)
	do("new-to-it", byHand, byHand, edit)
	w.startExporter(t)
	w.expect(t, "what its checkpoint knows goes on", "known", 4, 3)
	w.expect(t, "what was quiet before is judged by who wrote the spec and when", "new-to-it", 2, 1)
	w.stopExporter(t, syscall.SIGKILL)
	w.startExporter(t)
	byHand(t, w, "known")
	w.expect(t, "and nothing is counted twice", "known", 5, 3)
}

// TestBesideTheProvidersOwnMetric tells what crossplane_managed_resource_drift_seconds_count says of the same history. docs/drift.md
// has the table.
func TestBesideTheProvidersOwnMetric(t *testing.T) {
	w := newWorld(t)
	const name = "history"
	w.create(t, name)
	w.settled(t, name)
	total := func(drift, edits int) (int, int, float64) {
		w.expect(t, "the history", name, drift, edits)
		return drift, edits, w.builtIn(t)
	}
	drift, edits, builtIn := total(0, 0)
	for _, row := range []struct {
		what         string
		do           func()
		drift, edits int
	}{
		{"three changes by hand", func() { times(3, byHand)(t, w, name) }, 3, 0},
		{"three edits of the spec", func() { times(3, edit)(t, w, name) }, 0, 3},
		{"three edits of the spec that change nothing outside", func() { times(3, editNothing)(t, w, name) }, 0, 0},
		{"the provider restarts, and finds a change by hand", func() {
			check(t, w.provider.Stop())
			builtIn = 0
			change(t, w, name)
			check(t, w.provider.Start(t.Context()))
			w.await(t, "it is put back", func(ctx context.Context) error { return w.external(ctx, name, "3") })
		}, 1, 0},
	} {
		row.do()
		d, e, b := total(drift+row.drift, edits+row.edits)
		t.Logf("| %s | %.0f | %d | %d |", row.what, b-builtIn, d-drift, e-edits)
		drift, edits, builtIn = d, e, b
	}
}

func times(n int, s step) step {
	return func(t *testing.T, w *world, name string) {
		for range n {
			s(t, w, name)
		}
	}
}

// builtIn is what the provider itself says of drift, of all its resources.
func (w *world) builtIn(t *testing.T) (n float64) {
	t.Helper()
	for _, m := range families(t, w.provider.Metrics())["crossplane_managed_resource_drift_seconds"].GetMetric() {
		n += float64(m.GetHistogram().GetSampleCount())
	}
	return n
}

func families(t *testing.T, url string) map[string]*dto.MetricFamily {
	t.Helper()
	resp, err := get(t.Context(), url)
	check(t, err)
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	f, err := parser.TextToMetricFamilies(resp.Body)
	check(t, err)
	return f
}

// A world is a control plane with provider-kubernetes and the exporter.
type world struct {
	plane      *controlplane.ControlPlane
	provider   *provider.Provider
	client     dynamic.Interface
	exporter   *process.Process
	program    string
	checkpoint string
	url        string

	mu     sync.Mutex
	edited map[string]int
	before map[string]map[string]float64 // what exporters that are no more have counted, by family and name
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{plane: controlplanetest.New(t), edited: map[string]int{}, before: map[string]map[string]float64{}}
	var err error
	w.provider, err = provider.Start(t.Context(), w.plane, provider.Kubernetes, "--poll=1s")
	check(t, err)
	t.Cleanup(func() { check(t, w.provider.Stop()) })
	w.client, err = dynamic.NewForConfig(w.plane.RESTConfig())
	check(t, err)
	w.program, err = programs.BuildExporter(t.Context())
	check(t, err)
	w.checkpoint = filepath.Join(t.TempDir(), "checkpoint")

	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	check(t, controlplane.WriteKubeconfig(kubeconfig, w.plane.RESTConfig()))
	w.apply(t, secrets, namespace, map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "cluster"},
		"stringData": map[string]any{"kubeconfig": read(t, kubeconfig)},
	})
	w.apply(t, configs, "", map[string]any{
		"apiVersion": group + "/v1alpha1", "kind": "ClusterProviderConfig", "metadata": map[string]any{"name": "default"},
		"spec": map[string]any{"credentials": map[string]any{"source": "Secret", "secretRef": map[string]any{"namespace": namespace, "name": "cluster", "key": "kubeconfig"}}},
	})
	w.startExporter(t)
	t.Cleanup(func() {
		check(t, w.exporter.Stop(10*time.Second))
		if t.Failed() {
			t.Logf("what the exporter said:\n%s", read(t, filepath.Join(w.plane.Dir(), "exporter.log")))
		}
	})
	return w
}

func (w *world) apply(t *testing.T, r schema.GroupVersionResource, ns string, o map[string]any) {
	t.Helper()
	var c dynamic.ResourceInterface = w.client.Resource(r)
	if ns != "" {
		c = w.client.Resource(r).Namespace(ns)
	}
	_, err := c.Create(t.Context(), &unstructured.Unstructured{Object: o}, v1.CreateOptions{FieldManager: "kustomize-controller"})
	check(t, err)
}

func (w *world) create(t *testing.T, name string) {
	t.Helper()
	w.apply(t, objects, namespace, map[string]any{
		"apiVersion": group + "/v1alpha1", "kind": "Object", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"providerConfigRef": map[string]any{"kind": "ClusterProviderConfig", "name": "default"},
			"forProvider": map[string]any{"manifest": map[string]any{
				"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": namespace},
				"data": map[string]any{"value": "0"},
			}},
		},
	})
}

// change changes the external object past the provider.
func change(t *testing.T, w *world, name string) {
	w.await(t, "change "+name+" by hand", func(ctx context.Context) error {
		_, err := w.client.Resource(configMaps).Namespace(namespace).Patch(ctx, name, types.MergePatchType,
			[]byte(`{"data":{"value":"by hand"}}`), v1.PatchOptions{FieldManager: "kubectl-edit"})
		return err
	})
}

// byHand changes the external object past the provider and waits until it is put back.
func byHand(t *testing.T, w *world, name string) {
	change(t, w, name)
	w.mu.Lock()
	want := strconv.Itoa(w.edited[name])
	w.mu.Unlock()
	w.await(t, name+" is put back", func(ctx context.Context) error { return w.external(ctx, name, want) })
	w.settled(t, name)
}

// edit changes the spec and waits until the external object follows.
func edit(t *testing.T, w *world, name string) {
	w.mu.Lock()
	w.edited[name]++
	want := strconv.Itoa(w.edited[name])
	w.mu.Unlock()
	w.patch(t, name, `{"spec":{"forProvider":{"manifest":{"data":{"value":"`+want+`"}}}}}`)
	w.await(t, name+" follows its spec", func(ctx context.Context) error { return w.external(ctx, name, want) })
	w.settled(t, name)
}

// editNothing changes the spec in a way that leaves the external object as it is.
func editNothing(t *testing.T, w *world, name string) {
	w.patch(t, name, fmt.Sprintf(`{"spec":{"references":[{"patchesFrom":{"apiVersion":"v1","kind":"ConfigMap","name":"kube-root-ca-%d","namespace":"default","fieldPath":"data"}}]}}`, time.Now().UnixNano()))
	w.patch(t, name, `{"spec":{"references":null}}`)
	w.settled(t, name)
}

func (w *world) patch(t *testing.T, name, patch string) {
	w.await(t, "edit "+name, func(ctx context.Context) error {
		_, err := w.client.Resource(objects).Namespace(namespace).Patch(ctx, name, types.MergePatchType, []byte(patch), v1.PatchOptions{FieldManager: "kubectl-edit"})
		return err
	})
}

// settled waits until the provider has dealt with the newest spec, and what comes next is in another second.
func (w *world) settled(t *testing.T, name string) {
	w.await(t, name+" is synced", func(ctx context.Context) error {
		u, err := w.client.Resource(objects).Namespace(namespace).Get(ctx, name, v1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		well := 0
		for _, c := range conditions {
			c, _ := c.(map[string]any)
			if c["status"] == "True" && (c["type"] == "Ready" || c["type"] == "Synced" && c["observedGeneration"] == u.GetGeneration()) {
				well++
			}
		}
		if well == 2 {
			return nil
		}
		return fmt.Errorf("generation %d, conditions %v", u.GetGeneration(), conditions)
	})
	w.nextSecond(t)
}

// nextSecond waits until the time of what comes next can be told from that of what was: Events count in whole seconds.
func (w *world) nextSecond(t *testing.T) {
	now := time.Now().Unix()
	w.await(t, "a second is over", func(context.Context) error {
		if time.Now().Unix() == now {
			return errors.New("it is still the same")
		}
		return nil
	})
}

// external is nil if the external object has the value.
func (w *world) external(ctx context.Context, name, want string) error {
	u, err := w.client.Resource(configMaps).Namespace(namespace).Get(ctx, name, v1.GetOptions{})
	if err != nil {
		return err
	}
	if got, _, _ := unstructured.NestedString(u.Object, "data", "value"); got != want {
		return fmt.Errorf("ConfigMap %s has %q, want %q", name, got, want)
	}
	return nil
}

func (w *world) startExporter(t *testing.T) {
	t.Helper()
	if t.Failed() {
		t.FailNow()
	}
	kubeconfig := filepath.Join(t.TempDir(), "exporter.kubeconfig")
	check(t, controlplane.WriteKubeconfig(kubeconfig, w.plane.RESTConfig()))
	log := filepath.Join(w.plane.Dir(), "exporter.log")
	p, err := process.WithFreePort(func(port int) (*process.Process, error) {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		w.url = "http://" + address
		p, err := process.Start(process.Config{Path: w.program, Log: log, Args: []string{
			"serve", "--kubeconfig=" + kubeconfig, "--web.listen-address=" + address, "--detail=all", "--log.level=debug", "--checkpoint=file:" + w.checkpoint, "--cloudtrail.source=none",
		}})
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return p, p.Await(ctx, "the exporter is ready", func(ctx context.Context) error {
			resp, err := get(ctx, w.url+"/-/ready")
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
	})
	check(t, err)
	w.exporter = p
}

// stopExporter ends the exporter and adds what it counted to what is expected of it and its successors.
func (w *world) stopExporter(t *testing.T, sig syscall.Signal) {
	t.Helper()
	for _, family := range []string{corrections, intended} {
		for name, n := range w.counted(t, family) {
			w.before[family][name] += n
		}
	}
	check(t, syscall.Kill(w.exporter.PID(), sig))
	<-w.exporter.Done()
}

const (
	corrections = "platform_resource_drift_corrections_total"
	intended    = "platform_resource_intended_updates_total"
)

// counted is what the running exporter says in a family, by name of the resource or the collector.
func (w *world) counted(t *testing.T, family string) map[string]float64 {
	t.Helper()
	if w.before[family] == nil {
		w.before[family] = map[string]float64{}
	}
	by := map[string]float64{}
	for _, m := range families(t, w.url+"/metrics")[family].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "name" || l.GetName() == "collector" {
				by[l.GetValue()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return by
}

// expect waits until the exporters, all together, say just that, and sees that they go on saying it.
func (w *world) expect(t *testing.T, reason, name string, drift, edits int) {
	t.Helper()
	got := func() (int, int) {
		c, i := w.counted(t, corrections)[name], w.counted(t, intended)[name]
		return int(c + w.before[corrections][name]), int(i + w.before[intended][name])
	}
	w.await(t, fmt.Sprintf("%s: %s", reason, name), func(context.Context) error {
		if d, e := got(); d != drift || e != edits {
			return fmt.Errorf("%s: %s: got %d corrections and %d intended updates, want %d and %d", reason, name, d, e, drift, edits)
		}
		return nil
	})
}

func (w *world) await(t *testing.T, what string, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("%s: %v", what, err)
			return
		case <-tick.C:
		}
	}
}

func get(ctx context.Context, url string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp, nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	check(t, err)
	return string(b)
}
