// Package scrape_test has Prometheus Operator make Prometheus' configuration of the ServiceMonitor and the PodMonitors of the chart and of
// the kustomization, and a real Prometheus scrape by it.
package scrape_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus-operator/prometheus-operator/pkg/assets"
	"github.com/prometheus-operator/prometheus-operator/pkg/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

const (
	// rendered is what the chart makes: a test of the chart keeps it so.
	rendered  = "../../../../playground/deploy/manifests/testdata/"
	kustomize = "../../../kustomize/"
	tools     = "../../../../tools"
	bin       = "../../../../bin"
)

// monitors are what the operator reads.
type monitors struct {
	service *monitoringv1.ServiceMonitor
	pods    map[string]*monitoringv1.PodMonitor
}

// TestScrape has Prometheus scrape what the monitors select, and nothing beside it, and name it as the alerts and dashboards do.
func TestScrape(t *testing.T) {
	var service corev1.Service
	var deployment appsv1.Deployment
	find(t, rendered+"default.yaml", "Service", &service)
	find(t, rendered+"default.yaml", "Deployment", &deployment)
	pod := deployment.Spec.Template.Labels
	// A series that says its job, though none of the real ones does.
	exporter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("platform_resources{job=\"its own\",resource_namespace=\"default\"} 1\n"))
	}))
	defer exporter.Close()
	// What Prometheus finds targets with: the endpoints of Services, and the containers of pods.
	endpoint := func(name, namespace, port string, service, pod map[string]string) map[string]string {
		m := discovered("pod", pod)
		for k, v := range discovered("service", service) {
			m[k] = v
		}
		m["__meta_kubernetes_namespace"], m["__meta_kubernetes_service_name"] = namespace, name
		m["__meta_kubernetes_endpointslice_port_name"], m["__meta_kubernetes_endpoint_port_name"] = port, port
		m["__meta_kubernetes_pod_name"], m["__meta_kubernetes_pod_container_name"] = name+"-0", "crossplane-exporter"
		m["__meta_kubernetes_endpointslice_address_target_kind"], m["__meta_kubernetes_endpointslice_address_target_name"] = "Pod", name+"-0"
		m["__meta_kubernetes_endpoint_address_target_kind"], m["__meta_kubernetes_endpoint_address_target_name"] = "Pod", name+"-0"
		return m
	}
	container := func(name, namespace, port string, pod map[string]string) map[string]string {
		m := discovered("pod", pod)
		m["__meta_kubernetes_namespace"], m["__meta_kubernetes_pod_name"], m["__meta_kubernetes_pod_container_name"] = namespace, name, "main"
		m["__meta_kubernetes_pod_container_port_name"], m["__meta_kubernetes_pod_phase"] = port, "Running"
		return m
	}
	other := map[string]string{"app.kubernetes.io/name": "crossplane-exporter", "app.kubernetes.io/instance": "other"}
	found := []map[string]string{
		endpoint("crossplane-exporter", "monitoring", "http-metrics", service.Labels, pod),
		endpoint("another-release", "monitoring", "http-metrics", other, other),
		endpoint("another-port", "monitoring", "http", service.Labels, pod),
		container("crossplane", "crossplane-system", "metrics", map[string]string{"app": "crossplane", "release": "crossplane"}),
		container("crossplane-webhooks", "crossplane-system", "webhooks", map[string]string{"app": "crossplane", "release": "crossplane"}),
		container("provider-aws-s3", "crossplane-system", "metrics", map[string]string{"pkg.crossplane.io/provider": "provider-aws-s3"}),
		container("function-go-templating", "crossplane-system", "metrics", map[string]string{"pkg.crossplane.io/function": "function-go-templating"}),
	}
	want := []map[string]string{
		{"job": "crossplane", "namespace": "crossplane-system", "pod": "crossplane", "endpoint": "metrics"},
		{"job": "crossplane-exporter", "namespace": "monitoring", "pod": "crossplane-exporter-0", "endpoint": "http-metrics", "service": "crossplane-exporter"},
		{"job": "crossplane-providers", "namespace": "crossplane-system", "pod": "provider-aws-s3", "endpoint": "metrics"},
	}
	for name, m := range map[string]monitors{"Chart": chart(t), "Kustomize": component(t)} {
		t.Run(name, func(t *testing.T) {
			cfg := configuration(t, m)
			for _, job := range cfg["scrape_configs"].([]any) {
				job := job.(map[string]any)
				sd := job["kubernetes_sd_configs"].([]any)[0].(map[string]any)
				namespaces := sd["namespaces"].(map[string]any)["names"].([]any)
				delete(job, "kubernetes_sd_configs")
				var statics []any
				for _, f := range found {
					_, ofService := f["__meta_kubernetes_service_name"]
					if slices.Contains(namespaces, any(f["__meta_kubernetes_namespace"])) && ofService == (sd["role"] != "pod") {
						statics = append(statics, map[string]any{"targets": []any{exporter.Listener.Addr().String()}, "labels": f})
					}
				}
				job["static_configs"] = statics
			}
			address := start(t, cfg)
			if diff := cmp.Diff(want, series(t, address, "up == 1", len(want))); diff != "" {
				t.Errorf("targets (-want, +got):\n%s", diff)
			}
			// honorLabels: what the exporter says is not renamed.
			own := []map[string]string{{"job": "its own", "resource_namespace": "default"}}
			for _, s := range series(t, address, `platform_resources{job="its own",exported_job=""}`, 1) {
				for _, label := range []string{"namespace", "pod", "endpoint", "service", "container"} {
					delete(s, label)
				}
				if diff := cmp.Diff(own[0], s); diff != "" {
					t.Errorf("a series of the exporter's (-want, +got):\n%s", diff)
				}
			}
		})
	}
}

// TestSelected is that the stack's Prometheus selects what the chart makes with the values for it, and that without a label it does not.
func TestSelected(t *testing.T) {
	selector, err := metav1.LabelSelectorAsSelector(&metav1.LabelSelector{MatchLabels: map[string]string{"release": "kube-prometheus-stack"}})
	check(t, err)
	m := chart(t)
	all := []metav1.Object{m.service}
	for _, p := range m.pods {
		all = append(all, p)
	}
	var rule metav1.PartialObjectMetadata // What it says is of the mixin.
	find(t, rendered+"kube-prometheus-stack.yaml", "PrometheusRule", &rule)
	for _, o := range append(all, &rule) {
		if !selector.Matches(labels.Set(o.GetLabels())) {
			t.Errorf("%s is not selected: %v", o.GetName(), o.GetLabels())
		}
	}
	if m := component(t); selector.Matches(labels.Set(m.service.Labels)) {
		t.Error("the component has the label: the overlays need not set it any more")
	}
}

// TestTLS is how Prometheus scrapes an exporter with TLS and a password.
func TestTLS(t *testing.T) {
	var m monitors
	find(t, rendered+"basic-auth.yaml", "ServiceMonitor", &m.service)
	job := configuration(t, m)["scrape_configs"].([]any)[0].(map[string]any)
	got := map[string]any{"scheme": job["scheme"], "basic_auth": job["basic_auth"], "tls_config": job["tls_config"]}
	want := map[string]any{
		"scheme":     "https",
		"basic_auth": map[string]any{"username": "prometheus", "password": "secret"},
		"tls_config": map[string]any{"ca_file": "/etc/prometheus/certs/0_monitoring_crossplane-exporter-tls_ca.crt", "server_name": "crossplane-exporter.monitoring.svc"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("how it is scraped (-want, +got):\n%s", diff)
	}
}

// chart is the monitors as the chart makes them for kube-prometheus-stack.
func chart(t *testing.T) monitors {
	t.Helper()
	m := monitors{pods: make(map[string]*monitoringv1.PodMonitor)}
	find(t, rendered+"kube-prometheus-stack.yaml", "ServiceMonitor", &m.service)
	m.add(t, rendered+"kube-prometheus-stack.yaml")
	return m
}

// component is the kustomization's, in the namespace that an overlay gives them.
func component(t *testing.T) monitors {
	t.Helper()
	m := monitors{pods: make(map[string]*monitoringv1.PodMonitor)}
	find(t, kustomize+"components/monitoring/servicemonitor.yaml", "ServiceMonitor", &m.service)
	m.service.Namespace = "monitoring"
	m.add(t, kustomize+"components/monitoring/podmonitors.yaml")
	return m
}

// add adds the PodMonitors of a file.
func (m monitors) add(t *testing.T, path string) {
	t.Helper()
	for _, text := range documents(t, path, "PodMonitor") {
		var p monitoringv1.PodMonitor
		check(t, yaml.UnmarshalStrict(text, &p))
		p.Namespace = "monitoring"
		m.pods["monitoring/"+p.Name] = &p
	}
	if len(m.pods) != 2 {
		t.Fatalf("%s has %d PodMonitors", path, len(m.pods))
	}
}

// configuration is Prometheus' as the operator makes it.
func configuration(t *testing.T, m monitors) map[string]any {
	t.Helper()
	client := fake.NewClientset(
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: "crossplane-exporter-web"}, Data: map[string][]byte{"username": []byte("prometheus"), "password": []byte("secret")}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: "crossplane-exporter-tls"}, Data: map[string][]byte{"ca.crt": certificate(t)}},
	)
	store := assets.NewStoreBuilder(client.CoreV1(), client.CoreV1())
	for _, e := range m.service.Spec.Endpoints {
		check(t, e.Validate())
		check(t, store.AddBasicAuth(t.Context(), m.service.Namespace, e.BasicAuth))
		check(t, store.AddTLSConfig(t.Context(), m.service.Namespace, e.TLSConfig))
	}
	p := &monitoringv1.Prometheus{ObjectMeta: metav1.ObjectMeta{Namespace: "monitoring", Name: "k8s"}}
	p.Spec.ScrapeInterval, p.Spec.EvaluationInterval = "1s", "1s"
	g, err := prometheus.NewConfigGenerator(slog.New(slog.DiscardHandler), p, prometheus.WithEndpointSliceSupport())
	check(t, err)
	text, err := g.GenerateServerConfiguration(p, map[string]*monitoringv1.ServiceMonitor{"monitoring/" + m.service.Name: m.service}, m.pods, nil, nil, store, nil, nil, nil, nil)
	check(t, err)
	var cfg map[string]any
	check(t, yaml.Unmarshal(bytes.ReplaceAll(text, []byte("$(SHARD)"), []byte("0")), &cfg)) // As its reloader does.
	return cfg
}

// certificate is one that can be parsed.
func certificate(t *testing.T) []byte {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	var b bytes.Buffer
	check(t, pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	return b.Bytes()
}

// discovered is labels as Prometheus finds them on an object.
func discovered(kind string, labels map[string]string) map[string]string {
	m := make(map[string]string)
	for name, value := range labels {
		name = strings.NewReplacer("/", "_", ".", "_", "-", "_").Replace(name)
		m["__meta_kubernetes_"+kind+"_label_"+name] = value
		m["__meta_kubernetes_"+kind+"_labelpresent_"+name] = "true"
	}
	return m
}

// find reads the object of a kind in a file.
func find[T any](t *testing.T, path, kind string, into *T) {
	t.Helper()
	texts := documents(t, path, kind)
	if len(texts) != 1 {
		t.Fatalf("%s has %d objects of kind %s", path, len(texts), kind)
	}
	check(t, yaml.Unmarshal(texts[0], into))
}

// documents are the objects of a kind in a file.
func documents(t *testing.T, path, kind string) [][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(path))
	check(t, err)
	var all [][]byte
	for _, d := range bytes.Split(append([]byte("\n"), text...), []byte("\n---\n")) {
		var meta metav1.TypeMeta
		check(t, yaml.Unmarshal(d, &meta))
		if meta.Kind == kind {
			all = append(all, d)
		}
	}
	return all
}

// start runs Prometheus and returns its address.
func start(t *testing.T, cfg map[string]any) string {
	t.Helper()
	build := exec.CommandContext(t.Context(), "go", "-C", filepath.FromSlash(tools), "run", ".", "prometheus")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build Prometheus: %v\n%s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	address := l.Addr().String()
	check(t, l.Close())
	dir := t.TempDir()
	text, err := yaml.Marshal(cfg)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), text, 0o600))
	var log bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(filepath.FromSlash(bin), "prometheus"),
		"--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = &log, &log
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // It has nothing to save.
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus:\n%s", log.Bytes())
		}
	})
	return "http://" + address
}

// series are the labels of what a query gives, by job, once so many are there.
func series(t *testing.T, address, query string, n int) []map[string]string {
	t.Helper()
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var last error
	for {
		found, err := ask(ctx, address, query)
		if err == nil && len(found) == n {
			return found
		}
		if ctx.Err() == nil {
			last = errors.Join(err, fmt.Errorf("%s gives %v", query, found))
		}
		select {
		case <-ctx.Done():
			t.Fatal(last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func ask(ctx context.Context, address, query string) ([]map[string]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/api/v1/query?"+url.Values{"query": {query}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	if err := errors.Join(json.NewDecoder(resp.Body).Decode(&answer), resp.Body.Close()); err != nil {
		return nil, err
	}
	var all []map[string]string
	for _, r := range answer.Data.Result {
		for _, label := range []string{"__name__", "instance", "container", "prometheus", "prometheus_replica"} {
			delete(r.Metric, label)
		}
		all = append(all, r.Metric)
	}
	slices.SortFunc(all, func(a, b map[string]string) int { return strings.Compare(a["job"], b["job"]) })
	return all, nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
