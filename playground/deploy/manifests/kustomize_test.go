package manifests_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"crossplane-exporter/playground/deploy/manifests"
)

// differences are what the chart and the kustomizations do not have in common, each with its reason: it makes an object of the one
// like that of the other, or returns false for one that the other does not have.
var differences = []struct {
	reason string
	even   func(o *unstructured.Unstructured) bool
}{
	{"Helm notes in labels what it installed, and which version.", func(o *unstructured.Unstructured) bool {
		labels := o.GetLabels()
		for _, l := range []string{"app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart"} {
			delete(labels, l)
		}
		o.SetLabels(labels)
		return true
	}},
	{"`helm test` has a pod to run; kustomize has no such thing.", func(o *unstructured.Unstructured) bool { return o.GetKind() != "Pod" }},
	{"A ServiceMonitor is in the namespace it selects in unless a value says otherwise; a kustomization has no such value.", func(o *unstructured.Unstructured) bool {
		if o.GetKind() == "ServiceMonitor" {
			unstructured.RemoveNestedField(o.Object, "spec", "namespaceSelector")
		}
		return true
	}},
	{"The rules and dashboards of kustomize are as the mixin's own renderer makes them: compared by TestSameMixin.", func(o *unstructured.Unstructured) bool {
		return o.GetKind() != "PrometheusRule" && !isDashboard(o)
	}},
}

// TestSameAsKustomize compares the chart's objects with those of the kustomizations, by what they are made for.
func TestSameAsKustomize(t *testing.T) {
	cases := map[string]struct {
		reason     string
		components []string
		values     []string
	}{
		"Base": {
			reason: "The base is the chart with its defaults.",
		},
		"Monitoring": {
			reason:     "The component is what kube-prometheus-stack needs.",
			components: []string{"monitoring"},
			values:     []string{"--set", "serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboards.enabled=true,crossplanePodMonitors.enabled=true"},
		},
		"CloudTrail": {
			reason:     "The component is the chart's value.",
			components: []string{"cloudtrail"},
			values:     []string{"--set", "cloudtrail.source=lookup"},
		},
		"TLS": {
			reason:     "The exporter serves by TLS, and Prometheus scrapes so.",
			components: []string{"monitoring", "tls"},
			values: []string{
				"--set", "serviceMonitor.enabled=true,prometheusRule.enabled=true,dashboards.enabled=true,crossplanePodMonitors.enabled=true",
				"--set", "web.tls.secretName=crossplane-exporter-tls",
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			helm, err := manifests.Helm(t.Context(), "crossplane-exporter", "monitoring", tc.values...)
			check(t, err)
			kustomize, err := manifests.Kustomize(t.Context(), overlay(t, tc.components...))
			check(t, err)
			if diff := cmp.Diff(evened(helm), evened(kustomize)); diff != "" {
				t.Errorf("%s\nThe chart and the kustomization differ (-chart, +kustomization):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestSameMixin compares the alerts, recording rules and dashboards that come by the chart with those that come by kustomize.
func TestSameMixin(t *testing.T) {
	helm, err := manifests.Helm(t.Context(), "crossplane-exporter", "monitoring", "--set", "prometheusRule.enabled=true,dashboards.enabled=true")
	check(t, err)
	kustomize, err := manifests.Kustomize(t.Context(), overlay(t, "monitoring"))
	check(t, err)
	contents := func(objects []*unstructured.Unstructured) map[string]any {
		all := make(map[string]any)
		for _, o := range objects {
			switch {
			case o.GetKind() == "PrometheusRule":
				groups, _, err := unstructured.NestedSlice(o.Object, "spec", "groups")
				check(t, err)
				for _, g := range groups {
					group := g.(map[string]any)
					for _, r := range group["rules"].([]any) {
						// The chart leaves them out until it is told where they lead.
						annotations, _ := r.(map[string]any)["annotations"].(map[string]any)
						delete(annotations, "dashboard_url")
						delete(annotations, "runbook_url")
					}
					all["group "+group["name"].(string)] = group
				}
			case isDashboard(o):
				data, _, err := unstructured.NestedStringMap(o.Object, "data")
				check(t, err)
				for name, text := range data {
					var dashboard map[string]any
					check(t, yaml.Unmarshal([]byte(text), &dashboard))
					// A sidecar puts the files of all charts into one directory: the chart's name is in its files' names.
					all["dashboard "+strings.TrimPrefix(name, "crossplane-")] = dashboard
				}
				if got := o.GetAnnotations()["grafana_folder"]; got != "Crossplane" {
					t.Errorf("%s is in the folder %q", o.GetName(), got)
				}
			}
		}
		return all
	}
	want, got := contents(helm), contents(kustomize)
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("the chart and kustomize bring different parts of the mixin (-chart, +kustomize):\n%s", diff)
	}
	if len(want) < 2 {
		t.Fatalf("nothing was compared: %v", want)
	}
	for name := range want {
		if diff := cmp.Diff(want[name], got[name]); diff != "" {
			t.Errorf("%s differs (-chart, +kustomize):\n%s", name, diff)
		}
	}
}

// TestOverlays builds the examples: each object is in the namespace that they say.
func TestOverlays(t *testing.T) {
	for _, name := range []string{"staging", "production"} {
		t.Run(name, func(t *testing.T) {
			dir, err := manifests.Dir("kustomize", "overlays", name)
			check(t, err)
			objects, err := manifests.Kustomize(t.Context(), dir)
			check(t, err)
			seen := make(map[string]bool)
			for _, o := range objects {
				if !strings.HasPrefix(o.GetKind(), "ClusterRole") && o.GetNamespace() != "monitoring" {
					t.Errorf("%s is not in the namespace monitoring", key(o))
				}
				if o.GetLabels()["release"] != "kube-prometheus-stack" {
					t.Errorf("%s has no label that kube-prometheus-stack selects by", key(o))
				}
				if strings.HasSuffix(o.GetKind(), "Binding") {
					subjects, _, err := unstructured.NestedSlice(o.Object, "subjects")
					check(t, err)
					if got := subjects[0].(map[string]any)["namespace"]; got != "monitoring" {
						t.Errorf("%s binds a service account of namespace %v", key(o), got)
					}
				}
				if o.GetKind() == "PrometheusRule" {
					if text, err := yaml.Marshal(o.Object); err != nil || strings.Contains(string(text), "example.org") {
						t.Errorf("%s leads to an example's address (%v)", key(o), err)
					}
				}
				if seen[key(o)] {
					t.Errorf("%s is there twice", key(o))
				}
				seen[key(o)] = true
			}
		})
	}
}

// overlay makes a kustomization of the base and components.
func overlay(t *testing.T, components ...string) string {
	t.Helper()
	deploy, err := manifests.Dir("kustomize")
	check(t, err)
	dir := t.TempDir()
	path := func(parts ...string) string {
		rel, err := filepath.Rel(dir, filepath.Join(append([]string{deploy}, parts...)...))
		check(t, err)
		return rel
	}
	text := fmt.Sprintf("namespace: monitoring\nresources: [%s]\ncomponents:\n", path("base"))
	for _, c := range components {
		text += "- " + path("components", c) + "\n"
	}
	check(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600))
	return dir
}

// evened is the objects by name without what is known to differ.
func evened(objects []*unstructured.Unstructured) map[string]map[string]any {
	m := make(map[string]map[string]any)
objects:
	for _, o := range objects {
		for _, d := range differences {
			if !d.even(o) {
				continue objects
			}
		}
		m[key(o)] = o.Object
	}
	return m
}
