package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// run runs the program and returns what it prints.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	parser, err := kong.New(&cli{}, kong.Writers(&out, &out))
	if err != nil {
		t.Fatal(err)
	}
	k, err := parser.Parse(args)
	if err != nil {
		t.Fatal(err)
	}
	err = k.Run()
	return out.String(), err
}

// A manifest is what these have in common.
type manifest struct {
	APIVersion, Kind string
	Metadata         metadata
	Data             map[string]string
	Spec, Groups     any
}

func TestFormats(t *testing.T) {
	const labels = "app.kubernetes.io/part-of=crossplane-mixin"
	cases := map[string]struct {
		reason string
		args   []string
		want   []string // kind, name, namespace and labels of each document
	}{
		"Alerts":          {"A rule file is no manifest.", []string{"alerts"}, []string{""}},
		"Rules":           {"Nor is that of the recording rules.", []string{"rules"}, []string{""}},
		"Loki":            {"Nor Loki's.", []string{"alerts", "--format=loki"}, []string{""}},
		"AlertsOperator":  {"Alerts come with the rules that they read.", []string{"alerts", "--format=operator"}, []string{"PrometheusRule crossplane-rules " + labels, "PrometheusRule crossplane-alerts " + labels}},
		"RulesOperator":   {"Rules do without alerts.", []string{"rules", "--format=operator"}, []string{"PrometheusRule crossplane-rules " + labels}},
		"AlertsConfigMap": {"Both files are in one ConfigMap.", []string{"alerts", "--format=configmap"}, []string{"ConfigMap crossplane-rules " + labels}},
		"RulesConfigMap":  {"Or one.", []string{"rules", "--format=configmap"}, []string{"ConfigMap crossplane-rules " + labels}},
		"Metadata": {
			"kube-prometheus-stack selects by the label release.",
			[]string{"rules", "--format=operator", "--namespace=monitoring", "--label=release=kps"},
			[]string{"PrometheusRule crossplane-rules monitoring " + labels + " release=kps"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			out, err := run(t, tc.args...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for document := range strings.SplitSeq(out, "\n---\n") {
				var m manifest
				if err := yaml.Unmarshal([]byte(document), &m); err != nil {
					t.Fatal(err)
				}
				if m.Spec == nil && m.Groups == nil && m.Data == nil {
					t.Errorf("%s\n%v: a document has no content", tc.reason, tc.args)
				}
				words := []string{m.Kind, m.Metadata.Name, m.Metadata.Namespace}
				for _, key := range slices.Sorted(maps.Keys(m.Metadata.Labels)) {
					words = append(words, key+"="+m.Metadata.Labels[key])
				}
				got = append(got, strings.Join(strings.Fields(strings.Join(words, " ")), " "))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\n%v: -want +got:\n%s", tc.reason, tc.args, diff)
			}
		})
	}
}

// TestDashboardConfigMaps checks what the API server would of the ConfigMaps.
func TestDashboardConfigMaps(t *testing.T) {
	out, err := run(t, "dashboards", "--format=configmap", "--folder=Platform")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for document := range strings.SplitSeq(out, "\n---\n") {
		var m manifest
		if err := yaml.Unmarshal([]byte(document), &m); err != nil {
			t.Fatal(err)
		}
		if errs := validation.IsDNS1123Subdomain(m.Metadata.Name); len(errs) > 0 || names[m.Metadata.Name] {
			t.Errorf("name %q: %v, or it is there twice", m.Metadata.Name, errs)
		}
		names[m.Metadata.Name] = true
		if m.Metadata.Labels["grafana_dashboard"] != "1" || m.Metadata.Annotations["grafana_folder"] != "Platform" {
			t.Errorf("%s: Grafana's sidecar would not find it, or put it elsewhere: %+v", m.Metadata.Name, m.Metadata)
		}
		if len(document) > 1<<20 || len(m.Data) != 1 {
			t.Errorf("%s: %d bytes and %d files, want a megabyte at most and one file", m.Metadata.Name, len(document), len(m.Data))
		}
	}
}

func TestOutput(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "alerts")
	out, err := run(t, "alerts", "--output", dir)
	if err != nil {
		t.Fatal(err)
	}
	if out != "" {
		t.Errorf("prints %.100q though it has a directory to write to", out)
	}
	printed, err := run(t, "alerts")
	if err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(filepath.Join(dir, "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(printed, string(written)); diff != "" {
		t.Errorf("-printed +written:\n%s", diff)
	}
}

func TestDashboardsNeedDirectory(t *testing.T) {
	if _, err := run(t, "dashboards"); err == nil || !strings.Contains(err.Error(), "--output") {
		t.Errorf("dashboards without a directory: %v, want an error that names --output", err)
	}
}
