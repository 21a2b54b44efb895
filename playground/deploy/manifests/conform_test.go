package manifests_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"crossplane-exporter/playground/deploy/manifests"
	"crossplane-exporter/playground/programs"
)

// TestKubeconform checks all manifests against the schemas of their kinds, where no field may be that the schema does not have.
func TestKubeconform(t *testing.T) {
	bin, err := programs.Build(t.Context(), "kubeconform")
	check(t, err)
	dir := t.TempDir()
	writeSchemas(t, dir)
	run := func(text []byte) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "kubeconform"), "-summary", "-schema-location", filepath.Join(dir, "{{.Group}}-{{.ResourceAPIVersion}}-{{.ResourceKind}}.json"))
		cmd.Stdin = bytes.NewReader(text)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	all, err := manifests.Everything(t.Context())
	check(t, err)
	for name, objects := range all {
		t.Run(name, func(t *testing.T) {
			text, err := manifests.Encode(objects)
			check(t, err)
			if out, err := run(text); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	for reason, change := range map[string][2]string{
		"a field that does not exist":        {"automountServiceAccountToken: true", "automountServiceAccountTokens: true"},
		"a field of a CRD that is not there": {"honorLabels: true", "honourLabels: true"},
		"a string for a number":              {"replicas: 1", "replicas: one"},
	} {
		t.Run(reason, func(t *testing.T) {
			text, err := manifests.Encode(all["chart kube-prometheus-stack"])
			check(t, err)
			text = bytes.ReplaceAll(text, []byte(change[0]), []byte(change[1]))
			if out, err := run(text); err == nil {
				t.Errorf("%q for %q is not found:\n%s", change[1], change[0], out)
			}
		})
	}
}

// writeSchemas writes a JSON schema for each kind, as kubeconform looks for it: strict ones.
func writeSchemas(t *testing.T, dir string) {
	t.Helper()
	write := func(group, version, kind string, schema any) {
		text, err := json.Marshal(schema)
		check(t, err)
		if group == "" {
			group = version // as kubeconform has it
		}
		name := strings.ToLower(fmt.Sprintf("%s-%s-%s.json", group, version, kind))
		check(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	path, err := manifests.OpenAPI(t.Context())
	check(t, err)
	text, err := os.ReadFile(path)
	check(t, err)
	var core struct{ Definitions map[string]map[string]any }
	check(t, json.Unmarshal(text, &core))
	for _, d := range core.Definitions {
		strict(d)
	}
	core.Definitions["io.k8s.apimachinery.pkg.util.intstr.IntOrString"] = map[string]any{"type": []any{"integer", "string"}}
	for name, d := range core.Definitions {
		gvks, _ := d["x-kubernetes-group-version-kind"].([]any)
		if len(gvks) != 1 || strings.HasPrefix(name, "io.k8s.apimachinery") {
			continue
		}
		gvk := gvks[0].(map[string]any)
		used := make(map[string]any)
		reach(core.Definitions, d, used)
		write(gvk["group"].(string), gvk["version"].(string), gvk["kind"].(string), map[string]any{"$ref": "#/definitions/" + name, "definitions": with(used, name, d)})
	}
	crds, err := manifests.Definitions(t.Context())
	check(t, err)
	for _, crd := range crds {
		group, _, err := unstructured.NestedString(crd.Object, "spec", "group")
		check(t, err)
		kind, _, err := unstructured.NestedString(crd.Object, "spec", "names", "kind")
		check(t, err)
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		check(t, err)
		for _, v := range versions {
			version := v.(map[string]any)
			schema, _, err := unstructured.NestedMap(version, "schema", "openAPIV3Schema")
			check(t, err)
			strict(schema)
			write(group, version["name"].(string), kind, schema)
		}
	}
}

func with(m map[string]any, key string, value any) map[string]any {
	m[key] = value
	return m
}

// strict has every object of a schema allow no properties but its own.
func strict(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		_, open := s["additionalProperties"]
		if _, ok := s["properties"]; ok && !open && s["x-kubernetes-preserve-unknown-fields"] != true {
			s["additionalProperties"] = false
		}
		for _, inner := range s {
			strict(inner)
		}
	case []any:
		for _, inner := range s {
			strict(inner)
		}
	}
}

// reach adds all definitions that a schema refers to.
func reach(all map[string]map[string]any, schema any, used map[string]any) {
	switch s := schema.(type) {
	case map[string]any:
		if ref, ok := s["$ref"].(string); ok {
			name := strings.TrimPrefix(ref, "#/definitions/")
			if used[name] == nil {
				used[name] = all[name]
				reach(all, all[name], used)
			}
		}
		for _, inner := range s {
			reach(all, inner, used)
		}
	case []any:
		for _, inner := range s {
			reach(all, inner, used)
		}
	}
}

// notMeant are kube-score's checks that do not hold here, each with its reason, and all but one of the names if it is for one alone.
var notMeant = []struct{ check, only, reason string }{
	{"deployment-replicas", "", "two of the same would count everything twice"},
	{"deployment-has-host-podantiaffinity", "", "there is one pod"},
	{"statefulset-has-host-podantiaffinity", "", "one shard beside another does no harm; ci/shards-values.yaml spreads them by topology"},
	{"container-image-pull-policy", "", "an image with a version does not change, and a registry that is away must not keep the exporter from starting"},
	{"statefulset-has-servicename", "", "nobody asks for a shard by its name"},
	{"container-security-context-user-group-id", "chart openshift", "OpenShift chooses the user"},
	{"pod-probes-identical", "chart basic-auth", "the kubelet has no credentials, and can only see that the port is open"},
	{"container-ephemeral-storage-request-and-limit", "chart everything", "the sidecar is anybody's"},
}

// optional are off by default, because only the owner of a cluster can say who may connect, and whether one pod may be evicted. Both
// are looked at where they are on.
var optional = []string{"pod-networkpolicy", "deployment-has-poddisruptionbudget"}

// TestKubeScore has kube-score look at all manifests. What it finds critical has to be mended, or has a reason not to be.
func TestKubeScore(t *testing.T) {
	bin, err := programs.Build(t.Context(), "kube-score")
	check(t, err)
	all, err := manifests.Everything(t.Context())
	check(t, err)
	for name, objects := range all {
		t.Run(name, func(t *testing.T) {
			// What `helm test` runs is gone when it is done.
			text, err := manifests.Encode(slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetAnnotations()["helm.sh/hook"] != "" }))
			check(t, err)
			args := []string{"score", "--output-format", "ci", "--kubernetes-version", "v1.35", "--ignore-container-cpu-limit"}
			for _, n := range notMeant {
				if n.only == "" || n.only == name {
					args = append(args, "--ignore-test", n.check)
				}
			}
			if name != "chart locked-down" {
				for _, check := range optional {
					args = append(args, "--ignore-test", check)
				}
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "kube-score"), append(args, "-")...)
			cmd.Stdin = bytes.NewReader(text)
			out, err := cmd.CombinedOutput()
			for line := range strings.Lines(string(out)) {
				if strings.HasPrefix(line, "[CRITICAL]") {
					t.Error(strings.TrimSpace(line))
				}
			}
			if err != nil && !t.Failed() {
				t.Errorf("kube-score: %v\n%s", err, out)
			}
			if !bytes.Contains(out, []byte("[OK]")) {
				t.Errorf("kube-score saw nothing:\n%s", out)
			}
		})
	}
}

// TestRules has promtool check the rules as the chart brings them, changed and not.
func TestRules(t *testing.T) {
	bin, err := programs.Build(t.Context(), "promtool")
	check(t, err)
	for _, name := range []string{"kube-prometheus-stack", "everything"} {
		objects, err := manifests.Helm(t.Context(), "x", "default", values(t)[name]...)
		check(t, err)
		for _, o := range objects {
			if o.GetKind() != "PrometheusRule" {
				continue
			}
			text, err := yaml.Marshal(o.Object["spec"])
			check(t, err)
			path := filepath.Join(t.TempDir(), "rules.yaml")
			check(t, os.WriteFile(path, text, 0o600))
			if out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "promtool"), "check", "rules", path).CombinedOutput(); err != nil {
				t.Errorf("promtool check rules, with the values of %s: %v\n%s", name, err, out)
			}
		}
	}
}
