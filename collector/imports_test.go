package collector

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImportsPointOneWay looks at what each package of the house needs, directly and through others: cmd needs collector, collector needs
// internal/{kube,cloud,expo}, and none of these needs another. How things are said knows no Kubernetes, how the cluster is seen no
// Prometheus.
func TestImportsPointOneWay(t *testing.T) {
	type imported struct {
		ImportPath string
		Deps       []string
		Module     *struct{ Path string }
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Deps,Module", "./...")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	deps, house := map[string][]string{}, "" // by import path without the module's
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p imported
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if path, ok := strings.CutSuffix(p.ImportPath, "/collector"); ok && p.Module != nil && path == p.Module.Path {
			house = path + "/"
		}
		deps[p.ImportPath] = p.Deps
	}
	if house == "" {
		t.Fatal("go list does not list this package")
	}

	tests := []struct {
		reason string
		of     string   // packages of the house with this prefix
		not    []string // prefixes of what they must not need; of the house with a leading slash
		but    []string // prefixes of what they may need all the same
	}{
		{"cmd is the roof, and picks the cloud.", "collector", []string{"/cmd", "/internal/cloud/aws"}, nil},
		{"What is below collector does not know it.", "internal/", []string{"/cmd", "/collector"}, nil},
		{
			"expo says; it is told what, and by whom it does not care.", "internal/expo",
			[]string{"/internal", "k8s.io/", "sigs.k8s.io/", "github.com/crossplane/", "github.com/prometheus/", "github.com/aws/", "net/http"},
			[]string{"/internal/expo"},
		},
		{
			"kube sees; how it is said is none of its business.", "internal/kube",
			[]string{"/internal", "github.com/prometheus/", "github.com/aws/"},
			[]string{"/internal/kube"},
		},
		{
			"cloud sees a cloud, not the cluster.", "internal/cloud",
			[]string{"/internal", "k8s.io/", "sigs.k8s.io/", "github.com/prometheus/"},
			[]string{"/internal/cloud"},
		},
		{"The product does not carry its tests.", "cmd/crossplane-exporter", []string{"testing", "/internal/kube/kubetest"}, nil},
	}
	for _, tc := range tests {
		prefixed := func(path string) func(string) bool {
			return func(prefix string) bool {
				if own, ok := strings.CutPrefix(prefix, "/"); ok {
					prefix = house + own
				}
				return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
			}
		}
		checked := 0
		for path, needs := range deps {
			own, ok := strings.CutPrefix(path, house)
			if !ok || !strings.HasPrefix(own, tc.of) || strings.HasSuffix(own, "kubetest") {
				continue
			}
			checked++
			for _, need := range needs {
				if slices.ContainsFunc(tc.not, prefixed(need)) && !slices.ContainsFunc(tc.but, prefixed(need)) {
					t.Errorf("%s needs %s. %s", own, need, tc.reason)
				}
			}
		}
		if checked == 0 {
			t.Errorf("there is no package %s", tc.of)
		}
	}
}
