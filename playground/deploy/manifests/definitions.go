package manifests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/programs"
)

// published is where the definitions of the kinds are that the manifests use beside Kubernetes' own: in the modules of those who
// publish them.
var published = []struct {
	module, version, dir string
	files                []string
}{
	{"github.com/prometheus-operator/prometheus-operator", "v0.93.1", "example/prometheus-operator-crd", []string{"*servicemonitors.yaml", "*podmonitors.yaml", "*prometheusrules.yaml"}},
	{"github.com/grafana/grafana-operator/v5", "v5.18.0", "config/crd/bases", []string{"*_grafanadashboards.yaml"}},
	{"k8s.io/autoscaler/vertical-pod-autoscaler", "v1.5.1", "deploy", []string{"vpa-v1-crd-gen.yaml"}},
}

// Definitions are the CustomResourceDefinitions of all kinds that the manifests use.
func Definitions(ctx context.Context) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, p := range published {
		dir, err := programs.Module(ctx, p.module, p.version)
		if err != nil {
			return nil, err
		}
		files, err := definitions.Files(filepath.Join(dir, filepath.FromSlash(p.dir)), p.files...)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return nil, fmt.Errorf("definitions of %s: %w", p.module, err)
			}
			crds, err := Decode(text)
			if err != nil {
				return nil, fmt.Errorf("definitions in %s: %w", f, err)
			}
			all = append(all, crds...)
		}
	}
	return all, nil
}

// OpenAPI is the file with the schemas of Kubernetes' own kinds.
func OpenAPI(ctx context.Context) (string, error) {
	dir, err := programs.Module(ctx, "k8s.io/kubernetes", "v1.35.0")
	return filepath.Join(dir, "api", "openapi-spec", "swagger.json"), err
}
