package manifests_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/deploy/manifests"
	"crossplane-exporter/playground/programs"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// values are the chart's values to try.
func values(t *testing.T) map[string][]string {
	t.Helper()
	v, err := manifests.Values()
	check(t, err)
	return v
}

// TestGolden compares what the chart renders, object by object, with what was looked at when it was last changed: all that there is by
// default, and what each of the other values makes different. What the mixin makes is only named: it has tests of its own.
func TestGolden(t *testing.T) {
	render := func(t *testing.T, flags []string) map[string]string {
		t.Helper()
		objects, err := manifests.Helm(t.Context(), "crossplane-exporter", "monitoring", flags...)
		check(t, err)
		texts := make(map[string]string)
		for _, o := range objects {
			abridge(t, o)
			if isDashboard(o) && !strings.HasSuffix(o.GetName(), "-overview") {
				continue // one is as good as all
			}
			text, err := yaml.Marshal(o.Object)
			check(t, err)
			texts[key(o)] = string(text)
		}
		return texts
	}
	byDefault := render(t, nil)
	for name, flags := range values(t) {
		t.Run(name, func(t *testing.T) {
			objects := render(t, flags)
			var got strings.Builder
			for _, k := range slices.Sorted(maps.Keys(byDefault)) {
				if objects[k] == "" {
					fmt.Fprintf(&got, "---\n# no %s\n", k)
				}
			}
			for _, k := range slices.Sorted(maps.Keys(objects)) {
				if name == "default" || objects[k] != byDefault[k] {
					fmt.Fprintf(&got, "---\n%s", objects[k])
				}
			}
			path := filepath.Join("testdata", name+".yaml")
			if *update {
				check(t, os.WriteFile(path, []byte(got.String()), 0o600))
			}
			want, err := os.ReadFile(path)
			check(t, err)
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("the chart does not render %s (-want, +got; go test ./deploy/manifests -update, and look at the difference):\n%s", path, diff)
			}
		})
	}
}

// abridge leaves the rules and dashboards of the mixin out.
func abridge(t *testing.T, o *unstructured.Unstructured) {
	t.Helper()
	switch {
	case o.GetKind() == "PrometheusRule":
		groups, _, err := unstructured.NestedSlice(o.Object, "spec", "groups")
		check(t, err)
		if len(groups) == 0 {
			t.Error("the PrometheusRule has no groups")
		}
		o.Object["spec"] = "of the mixin"
	case o.GetKind() == "ConfigMap" && isDashboard(o):
		data, _, err := unstructured.NestedStringMap(o.Object, "data")
		check(t, err)
		for key, text := range data {
			if !json.Valid([]byte(text)) {
				t.Errorf("%s of %s is no JSON", key, o.GetName())
			}
			data[key] = "of the mixin"
		}
		check(t, unstructured.SetNestedStringMap(o.Object, data, "data"))
	}
}

func isDashboard(o *unstructured.Unstructured) bool {
	return o.GetKind() == "GrafanaDashboard" || o.GetLabels()["grafana_dashboard"] != ""
}

// TestLint has helm look at the chart with each of the values.
func TestLint(t *testing.T) {
	bin, err := programs.Build(t.Context(), "helm")
	check(t, err)
	chart, err := manifests.Chart()
	check(t, err)
	for name, flags := range values(t) {
		t.Run(name, func(t *testing.T) {
			out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "helm"), append([]string{"lint", "--strict", chart}, flags...)...).CombinedOutput()
			if err != nil {
				t.Errorf("helm lint: %v\n%s", err, out)
			}
		})
	}
}

// TestRefused sets values that make no sense.
func TestRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		flags  []string
		want   string
	}{
		"Unknown":           {"A value that is misspelt would do nothing, in silence.", []string{"--set", "serviceMonitor.enable=true"}, "'enable' not allowed"},
		"Replicas":          {"Two of the same count everything twice.", []string{"--set", "replicas=2"}, "'replicas' not allowed"},
		"Type":              {"A boolean in quotes is true whatever it says.", []string{"--set-string", "serviceMonitor.enabled=false"}, "got string, want boolean"},
		"Detail":            {"The exporter would not start.", []string{"--set", "exporter.detail=some"}, "/exporter/detail"},
		"Rate":              {"AWS allows two requests a second.", []string{"--set", "cloudtrail.rate=5"}, "/cloudtrail/rate"},
		"ARN":               {"A name is no ARN.", []string{"--set", "cloudtrail.roles={crossplane-exporter}"}, "/cloudtrail/roles/0"},
		"Eventbridge":       {"Events of EventBridge come from a queue.", []string{"--set", "cloudtrail.source=eventbridge"}, "/cloudtrail/queue"},
		"S3":                {"Log files are listed, or a queue tells of them.", []string{"--set", "cloudtrail.source=s3"}, "/cloudtrail/"},
		"File":              {"Files are in a directory.", []string{"--set", "cloudtrail.source=file"}, "/cloudtrail/path"},
		"Groups":            {"A role for all groups could read Secrets.", []string{"--set", "rbac.groups={*}"}, "/rbac/groups/0"},
		"Core group":        {"So could one for the core group.", []string{"--set-json", `rbac.groups=[""]`}, "/rbac/groups/0"},
		"Shards":            {"They are a number; which kinds each has is not for people to say.", []string{"--set", "shards[0].name=aws"}, "/shards"},
		"No shard":          {"Nothing would be watched.", []string{"--set", "shards=0"}, "/shards"},
		"Shards of a queue": {"Each would count a part of the messages.", []string{"--set", "shards=2,cloudtrail.source=s3,cloudtrail.queue=https://sqs.eu-west-1.amazonaws.com/1/trail"}, "/cloudtrail/queue"},
		"Regions of shards": {"None of them knows all regions.", []string{"--set", "shards=2,cloudtrail.source=lookup"}, "/cloudtrail/regions"},
		"Regions of auto":   {"With a role, auto is lookup.", []string{"--set", "shards=2", "--set-string", `serviceAccount.annotations.eks\.amazonaws\.com/role-arn=arn:aws:iam::111122223333:role/x`}, "/cloudtrail/regions"},
		"Alert":             {"An override of an alert that does not exist does nothing.", []string{"--set", "prometheusRule.enabled=true,prometheusRule.alerts.CrossplaneUp.for=5m"}, "there is no alert CrossplaneUp"},
		"URL":               {"A link without a scheme leads nowhere.", []string{"--set", "prometheusRule.grafanaURL=grafana"}, "/prometheusRule/grafanaURL"},
		"Placeholder":       {"Nor does one that was pasted from the documentation.", []string{"--set", "prometheusRule.grafanaURL=https://..."}, "/prometheusRule/grafanaURL"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := manifests.Helm(t.Context(), "x", "default", tc.flags...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nhelm template %q: got error %v, want %q", tc.reason, tc.flags, err, tc.want)
			}
		})
	}
}

// TestPasted compares the values that docs/install.md has to paste with the file that it names, which is tried on a cluster.
func TestPasted(t *testing.T) {
	read := func(path ...string) string {
		name, err := manifests.Dir(path...)
		check(t, err)
		text, err := os.ReadFile(name)
		check(t, err)
		return string(text)
	}
	_, after, _ := strings.Cut(read("..", "docs", "install.md"), "\nThe values, to paste into your own:\n\n")
	block, _, _ := strings.Cut(after, "\n\n")
	var pasted, want map[string]any
	check(t, yaml.UnmarshalStrict([]byte(block), &pasted))
	check(t, yaml.UnmarshalStrict([]byte(read("kube-prometheus-stack", "crossplane-exporter.yaml")), &want))
	if diff := cmp.Diff(want, pasted); diff != "" || len(want) == 0 {
		t.Errorf("docs/install.md has other values (-file, +pasted):\n%s", diff)
	}
}

// TestSchemaIsOfTheValues finds values that the schema does not know, and properties of the schema that are no values.
func TestSchemaIsOfTheValues(t *testing.T) {
	chart, err := manifests.Chart()
	check(t, err)
	read := func(name string) map[string]any {
		text, err := os.ReadFile(filepath.Join(chart, name))
		check(t, err)
		var content map[string]any
		check(t, yaml.Unmarshal(text, &content))
		return content
	}
	var known []string
	var walk func(path string, schema map[string]any)
	walk = func(path string, schema map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		for name, s := range properties {
			known = append(known, path+name)
			walk(path+name+".", s.(map[string]any))
		}
	}
	walk("", read("values.schema.json"))
	var there []string
	var list func(path string, m map[string]any)
	list = func(path string, m map[string]any) {
		for name, v := range m {
			there = append(there, path+name)
			if inner, ok := v.(map[string]any); ok && slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, path+name+".") }) {
				list(path+name+".", inner)
			}
		}
	}
	list("", read("values.yaml"))
	there = append(there, "global") // Helm's own
	slices.Sort(known)
	slices.Sort(there)
	if diff := cmp.Diff(there, known); diff != "" {
		t.Errorf("values.yaml and values.schema.json are not of the same values (-values, +schema):\n%s", diff)
	}
}

// TestFlags has the exporter read the flags and the environment that the chart gives it, up to where it would connect to a cluster.
func TestFlags(t *testing.T) {
	exporter, err := programs.BuildExporter(t.Context())
	check(t, err)
	nowhere := filepath.Join(t.TempDir(), "kubeconfig")
	check(t, controlplane.WriteKubeconfig(nowhere, &rest.Config{Host: "https://127.0.0.1:1"}))
	for name, flags := range values(t) {
		t.Run(name, func(t *testing.T) {
			objects, err := manifests.Helm(t.Context(), "crossplane-exporter", "monitoring", flags...)
			check(t, err)
			ran := 0
			for _, o := range objects {
				path := []string{"spec", "template", "spec"}
				if o.GetKind() == "Pod" {
					path = path[2:]
				}
				spec, ok, err := unstructured.NestedMap(o.Object, path...)
				check(t, err)
				if !ok {
					continue
				}
				var pod corev1.PodSpec
				check(t, runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &pod))
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, exporter)
				cmd.Env = append(os.Environ(), "AWS_EC2_METADATA_DISABLED=true")
				expand := strings.NewReplacer("$(POD_NAMESPACE)", "monitoring")
				for _, e := range pod.Containers[0].Env {
					value := e.Value
					if e.ValueFrom != nil {
						value = map[string]string{"metadata.namespace": "monitoring", "metadata.labels['apps.kubernetes.io/pod-index']": "1"}[e.ValueFrom.FieldRef.FieldPath]
					}
					cmd.Env = append(cmd.Env, e.Name+"="+value)
				}
				for _, a := range pod.Containers[0].Args {
					cmd.Args = append(cmd.Args, expand.Replace(a))
				}
				want := "starting crossplane-exporter"
				if o.GetKind() == "Pod" {
					cmd.Args = append(cmd.Args, "--kubeconfig", filepath.Join(t.TempDir(), "none"))
					want = "how to reach the cluster: "
				} else {
					cmd.Args = append(cmd.Args, "--kubeconfig", nowhere, "--web.listen-address=127.0.0.1:0")
				}
				if out := until(t, cmd, want); !strings.Contains(out, want) {
					t.Errorf("%s %q does not say %q:\n%s", o.GetKind(), cmd.Args[1:], want, out)
				}
				ran++
			}
			if ran < 2 {
				t.Errorf("%d containers, want the exporter's and that of helm test", ran)
			}
		})
	}
}

// until runs a program until it says something, and returns all that it said.
func until(t *testing.T, cmd *exec.Cmd, what string) string {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	check(t, err)
	check(t, cmd.Start())
	var said strings.Builder
	for lines := bufio.NewScanner(stderr); lines.Scan() && !strings.Contains(said.String(), what); {
		said.WriteString(lines.Text() + "\n")
	}
	_ = cmd.Process.Kill() // It may have ended.
	_ = cmd.Wait()         // By the signal, or in an error.
	return said.String()
}

// TestTwoReleases renders two releases for one namespace: none of their objects may have the same name.
func TestTwoReleases(t *testing.T) {
	seen := make(map[string]string)
	for _, release := range []string{"crossplane-exporter", "aws"} {
		objects, err := manifests.Helm(t.Context(), release, "monitoring", values(t)["kube-prometheus-stack"]...)
		check(t, err)
		for _, o := range objects {
			if other := seen[key(o)]; other != "" && other != release {
				t.Errorf("%s is in releases %s and %s", key(o), other, release)
			}
			seen[key(o)] = release
		}
	}
}

// TestDisabled leaves out every rule of a group: a group without rules is refused by Prometheus.
func TestDisabled(t *testing.T) {
	flags := []string{"--set", "prometheusRule.enabled=true"}
	objects, err := manifests.Helm(t.Context(), "x", "default", flags...)
	check(t, err)
	all := rules(t, objects)
	for _, alert := range slices.Sorted(maps.Keys(all)) {
		flags = append(flags, "--set", "prometheusRule.alerts."+alert+".enabled=false")
	}
	objects, err = manifests.Helm(t.Context(), "x", "default", flags...)
	check(t, err)
	if left := rules(t, objects); len(left) != 0 {
		t.Errorf("alerts are left: %v", slices.Sorted(maps.Keys(left)))
	}
}

// TestRuleOverrides changes what can be changed of alerts.
func TestRuleOverrides(t *testing.T) {
	plain, err := manifests.Helm(t.Context(), "x", "default", "--set", "prometheusRule.enabled=true")
	check(t, err)
	changed, err := manifests.Helm(t.Context(), "x", "default", values(t)["everything"]...)
	check(t, err)
	before, after := rules(t, plain), rules(t, changed)
	for name, rule := range before {
		if name == "CrossplaneDown" {
			if _, ok := after[name]; ok {
				t.Errorf("%s is there, though it was disabled", name)
			}
			continue
		}
		was, is := rule["annotations"].(map[string]any), after[name]["annotations"].(map[string]any)
		for annotation, start := range map[string]string{"dashboard_url": "https://grafana.internal/d/", "runbook_url": "https://docs.internal/runbooks/" + name} {
			if was[annotation] != nil {
				t.Errorf("%s has a %s, %v, though nobody said where that is", name, annotation, was[annotation])
			}
			if got, _ := is[annotation].(string); !strings.HasPrefix(got, start) {
				t.Errorf("%s of %s is %q, want %s...", annotation, name, got, start)
			}
		}
		labels := after[name]["labels"].(map[string]any)
		if labels["cluster"] != "production" || labels["severity"] == nil {
			t.Errorf("labels of %s: %v", name, labels)
		}
	}
	if got := after["CrossplanePackageNotHealthy"]; got["for"] != "30m" || got["labels"].(map[string]any)["severity"] != "warning" {
		t.Errorf("CrossplanePackageNotHealthy is not as it was told to be: %v", got)
	}
}

// rules are the alerts of PrometheusRules, by name.
func rules(t *testing.T, objects []*unstructured.Unstructured) map[string]map[string]any {
	t.Helper()
	alerts := make(map[string]map[string]any)
	for _, o := range objects {
		if o.GetKind() != "PrometheusRule" {
			continue
		}
		groups, _, err := unstructured.NestedSlice(o.Object, "spec", "groups")
		check(t, err)
		for _, g := range groups {
			all := g.(map[string]any)["rules"].([]any)
			if len(all) == 0 {
				t.Errorf("group %v has no rules", g)
			}
			for _, r := range all {
				if name, ok := r.(map[string]any)["alert"].(string); ok {
					alerts[name] = r.(map[string]any)
				}
			}
		}
	}
	return alerts
}

func key(o *unstructured.Unstructured) string {
	return fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
