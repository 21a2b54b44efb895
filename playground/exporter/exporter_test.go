package exporter_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/controlplane/controlplanetest"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/exporter"
	"crossplane-exporter/playground/load"
	"crossplane-exporter/playground/process"
	"crossplane-exporter/playground/programs"
)

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// start runs the exporter on a control plane, as that user.
func start(t *testing.T, cfg *rest.Config, args ...string) *exporter.Exporter {
	t.Helper()
	program, err := programs.BuildExporter(t.Context())
	check(t, err)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	check(t, controlplane.WriteKubeconfig(kubeconfig, cfg))
	e, err := exporter.Start(t.Context(), exporter.Config{
		Path: program, Kubeconfig: kubeconfig, Dir: t.TempDir(),
		Args: append([]string{"--cloudtrail.source=none"}, args...), // whatever AWS account whoever runs this test may have
	})
	check(t, err)
	t.Cleanup(func() { check(t, e.Stop()) })
	return e
}

// widget is the definition of a managed resource, with the given versions: the first one is stored.
func widget(kind string, versions ...string) *unstructured.Unstructured {
	var vs []any
	for i, v := range versions {
		vs = append(vs, map[string]any{
			"name": v, "served": true, "storage": i == 0,
			"schema":       map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			"subresources": map[string]any{"status": map[string]any{}},
		})
	}
	plural := strings.ToLower(kind) + "s"
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": plural + ".test.example.org"},
		"spec": map[string]any{
			"group": "test.example.org", "scope": "Cluster", "versions": vs,
			"names": map[string]any{"kind": kind, "plural": plural, "categories": []any{"crossplane", "managed"}},
		},
	}}
}

// create makes a widget, or finds it made by a try whose answer was lost.
func create(t *testing.T, widgets dynamic.ResourceInterface, name string) {
	t.Helper()
	eventually(t, "make "+name, func(ctx context.Context) error {
		_, err := widgets.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "test.example.org/v1", "kind": "Widget", "metadata": map[string]any{"name": name},
		}}, v1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
}

// TestKindsComeAndGo installs a kind while the exporter runs, changes it, and removes it.
func TestKindsComeAndGo(t *testing.T) {
	plane := controlplanetest.New(t)
	client, err := dynamic.NewForConfig(plane.RESTConfig())
	check(t, err)
	e := start(t, plane.RESTConfig(), "--detail=all")
	check(t, e.Ready(t.Context()))

	_, err = client.Resource(crds).Create(t.Context(), widget("Widget", "v1"), v1.CreateOptions{})
	check(t, err)
	var established time.Time
	eventually(t, "the definition is established", func(ctx context.Context) error {
		u, err := client.Resource(crds).Get(ctx, "widgets.test.example.org", v1.GetOptions{})
		if err != nil {
			return err
		}
		if !strings.Contains(fmt.Sprint(u.Object["status"]), "type:Established") {
			return fmt.Errorf("status: %v", u.Object["status"])
		}
		established = time.Now()
		return nil
	})
	widgets := client.Resource(schema.GroupVersionResource{Group: "test.example.org", Version: "v1", Resource: "widgets"})
	// An API server lets the first creation of a kind wait for two seconds after it was established.
	create(t, widgets, "first")
	created := time.Now()
	says(t, e, `platform_resource_info{category="managed",group="test.example.org",kind="Widget",resource_namespace="",name="first",version="v1"`)
	t.Logf("seen %s after the kind was established, and %s after its first object was created",
		time.Since(established).Round(time.Millisecond), time.Since(created).Round(time.Millisecond))

	u, err := client.Resource(crds).Get(t.Context(), "widgets.test.example.org", v1.GetOptions{})
	check(t, err)
	u.Object["spec"].(map[string]any)["versions"] = widget("Widget", "v2", "v1").Object["spec"].(map[string]any)["versions"]
	_, err = client.Resource(crds).Update(t.Context(), u, v1.UpdateOptions{})
	check(t, err)
	says(t, e, `name="first",version="v2"`)

	check(t, client.Resource(crds).Delete(t.Context(), "widgets.test.example.org", v1.DeleteOptions{}))
	eventually(t, "its series are gone", func(ctx context.Context) error {
		text, err := e.Metrics(ctx)
		if err == nil && strings.Contains(text, "test.example.org") {
			err = errors.New("there are still series of the kind")
		}
		return err
	})
}

// TestRights gives the exporter the right to read some kinds and not others, and none to begin with.
func TestRights(t *testing.T) {
	plane := controlplanetest.New(t)
	client, err := dynamic.NewForConfig(plane.RESTConfig())
	check(t, err)
	for _, kind := range []string{"Widget", "Gadget"} {
		_, err := client.Resource(crds).Create(t.Context(), widget(kind, "v1"), v1.CreateOptions{})
		check(t, err)
	}
	user, err := plane.User("exporter", "exporters")
	check(t, err)
	e := start(t, user)
	eventually(t, "it says that it may not find kinds", func(ctx context.Context) error {
		err := e.Ready(ctx)
		if err == nil || !strings.Contains(err.Error(), "CustomResourceDefinitions may not be listed") {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
	grant := func(name string, rules ...any) {
		t.Helper()
		rbac := schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}
		_, err := client.Resource(rbac.WithResource("clusterroles")).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": rbac.String(), "kind": "ClusterRole", "metadata": map[string]any{"name": name}, "rules": rules,
		}}, v1.CreateOptions{})
		check(t, err)
		_, err = client.Resource(rbac.WithResource("clusterrolebindings")).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": rbac.String(), "kind": "ClusterRoleBinding", "metadata": map[string]any{"name": name},
			"roleRef":  map[string]any{"apiGroup": rbac.Group, "kind": "ClusterRole", "name": name},
			"subjects": []any{map[string]any{"apiGroup": rbac.Group, "kind": "Group", "name": "exporters"}},
		}}, v1.CreateOptions{})
		check(t, err)
	}
	read := func(group, resource string) any {
		return map[string]any{"apiGroups": []any{group}, "resources": []any{resource}, "verbs": []any{"list", "watch"}}
	}
	grant("finds-kinds", read("apiextensions.k8s.io", "customresourcedefinitions"), read("", "events"))
	grant("reads-widgets", read("test.example.org", "widgets"))
	says(t, e, `crossplane_exporter_kind_unreadable{category="managed",group="test.example.org",kind="Gadget",cause="forbidden"} 1`, `crossplane_exporter_kinds_forbidden 1`)
	eventually(t, "it is ready all the same", e.Ready)
	grant("reads-gadgets", read("test.example.org", "gadgets"))
	says(t, e, `crossplane_exporter_kinds_forbidden 0`, `crossplane_exporter_collector_up{collector="resources"} 1`)
}

// TestAPIServerGoesAndComesBack keeps what was seen, says that it is stale, and goes on.
func TestAPIServerGoesAndComesBack(t *testing.T) {
	plane := controlplanetest.New(t)
	client, err := dynamic.NewForConfig(plane.RESTConfig())
	check(t, err)
	_, err = client.Resource(crds).Create(t.Context(), widget("Widget", "v1"), v1.CreateOptions{})
	check(t, err)
	widgets := client.Resource(schema.GroupVersionResource{Group: "test.example.org", Version: "v1", Resource: "widgets"})
	create(t, widgets, "before")
	e := start(t, plane.RESTConfig(), "--detail=all")
	says(t, e, `name="before"`)
	plane.KillAPIServer()
	says(t, e, `name="before"`, `crossplane_exporter_collector_up{collector="resources"} 0`)
	check(t, plane.StartAPIServer(t.Context()))
	create(t, widgets, "after")
	says(t, e, `name="before"`, `name="after"`, `crossplane_exporter_collector_up{collector="resources"} 1`)
}

// TestPrometheus has a real Prometheus scrape the exporter, with and without native histograms.
func TestPrometheus(t *testing.T) {
	bin, err := programs.Build(t.Context(), "prometheus", "promtool")
	check(t, err)
	plane := controlplanetest.New(t)
	files, err := load.Used(t.Context())
	check(t, err)
	check(t, definitions.Install(t.Context(), plane.RESTConfig(), files))
	const objects = 400
	_, err = load.Fill(t.Context(), plane, load.Config{Objects: objects})
	check(t, err)
	e := start(t, plane.RESTConfig(), "--detail=all")
	check(t, e.Ready(t.Context()))
	text, err := e.Metrics(t.Context())
	check(t, err)
	if n := strings.Count(text, "\nplatform_resource_info{"); n != objects {
		t.Errorf("got %d resources, want %d", n, objects)
	}

	lint := exec.CommandContext(t.Context(), filepath.Join(bin, "promtool"), "check", "metrics")
	lint.Stdin = strings.NewReader(text)
	if out, err := lint.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	for name, argv := range map[string][]string{
		"curl":   {"curl", "-sS", "--compressed", e.URL() + "/metrics"},
		"python": {"python3", "-c", "import gzip,sys,urllib.request as u\nsys.stdout.buffer.write(gzip.decompress(u.urlopen(u.Request('" + e.URL() + "/metrics', headers={'Accept-Encoding': 'gzip'})).read()))"},
	} {
		if _, err := exec.LookPath(argv[0]); err != nil {
			t.Logf("%s is not here to try the gzip with", name)
			continue
		}
		out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).Output()
		if err != nil || bytes.Count(out, []byte("\nplatform_resource_info{")) != objects {
			t.Errorf("%s cannot read the gzip: %v, %d bytes", name, err, len(out))
		}
	}

	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(`
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
- job_name: text
  static_configs: [{targets: ["`+strings.TrimPrefix(e.URL(), "http://")+`"]}]
- job_name: native
  scrape_native_histograms: true
  static_configs: [{targets: ["`+strings.TrimPrefix(e.URL(), "http://")+`"]}]
`), 0o600))
	var address string
	p, err := process.WithFreePort(func(port int) (*process.Process, error) {
		address = process.Loopback(port)
		p, err := process.Start(process.Config{Path: filepath.Join(bin, "prometheus"), Log: filepath.Join(dir, "prometheus.log"), Args: []string{
			"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address,
		}})
		if err != nil {
			return nil, err
		}
		return p, p.Await(t.Context(), "Prometheus is ready", func(ctx context.Context) error {
			_, err := get(ctx, "http://"+address+"/-/ready")
			return err
		})
	})
	check(t, err)
	t.Cleanup(func() { check(t, p.Stop(10*time.Second)) })
	for _, job := range []string{"text", "native"} {
		for query, want := range map[string]float64{
			`up{job="` + job + `"}`:                                                                   1,
			`count(platform_resource_info{job="` + job + `"})`:                                        objects,
			`sum(platform_resources{job="` + job + `",category="managed"})`:                           objects,
			`count(platform_resource_condition{job="` + job + `",condition="Synced"})`:                objects,
			`count(crossplane_exporter_build_info{job="` + job + `"})`:                                1,
			`scrape_samples_scraped{job="` + job + `"} == bool scrape_samples_post_metric_relabeling`: 1,
		} {
			eventually(t, job+": "+query, func(ctx context.Context) error {
				got, err := ask(ctx, address, query)
				if err == nil && got != want {
					err = fmt.Errorf("got %v, want %v", got, want)
				}
				return err
			})
		}
	}
}

// ask asks Prometheus for one number.
func ask(ctx context.Context, address, query string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/query", nil)
	if err != nil {
		return 0, err
	}
	q := req.URL.Query()
	q.Set("query", query)
	req.URL.RawQuery = q.Encode()
	body, err := get(ctx, req.URL.String())
	if err != nil {
		return 0, err
	}
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("got %d results: %s", len(answer.Data.Result), body)
	}
	return strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// says waits until the exporter says all of it.
func says(t *testing.T, e *exporter.Exporter, all ...string) {
	t.Helper()
	eventually(t, "the exporter says "+strings.Join(all, " and "), func(ctx context.Context) error {
		text, err := e.Metrics(ctx)
		if err != nil {
			return err
		}
		for _, s := range all {
			if !strings.Contains(text, s) {
				return fmt.Errorf("not %s", s)
			}
		}
		return nil
	})
}

func eventually(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	const patience = 90 * time.Second
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		try, stop := context.WithTimeout(ctx, 10*time.Second)
		err := f(try)
		stop()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
