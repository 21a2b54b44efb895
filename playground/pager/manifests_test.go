package pager_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"crossplane-exporter/playground/controlplane/controlplanetest"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/programs"
)

// TestManifests has a real API server take what is to be applied, with the definitions of those whose it is: it may have no field
// that they do not know.
func TestManifests(t *testing.T) {
	plane := controlplanetest.New(t)
	client, err := dynamic.NewForConfig(plane.RESTConfig())
	check(t, err)
	root, err := programs.Root()
	check(t, err)
	for _, tc := range []struct {
		file                 string
		resource             schema.GroupVersionResource
		module, version, crd string
	}{
		{
			"alertmanagerconfig.yaml", schema.GroupVersionResource{Group: "monitoring.coreos.com", Version: "v1alpha1", Resource: "alertmanagerconfigs"},
			"github.com/prometheus-operator/prometheus-operator", "v0.93.1", "example/prometheus-operator-crd/monitoring.coreos.com_alertmanagerconfigs.yaml",
		},
		{
			"external-secret.yaml", schema.GroupVersionResource{Group: "external-secrets.io", Version: "v1", Resource: "externalsecrets"},
			"github.com/external-secrets/external-secrets", "v0.20.4", "config/crds/bases/external-secrets.io_externalsecrets.yaml",
		},
	} {
		dir, err := programs.Module(t.Context(), tc.module, tc.version)
		check(t, err)
		check(t, definitions.Install(t.Context(), plane.RESTConfig(), []string{filepath.Join(dir, filepath.FromSlash(tc.crd))}))
		text, err := os.ReadFile(filepath.Join(root, "deploy", "alertmanager", tc.file))
		check(t, err)
		var o unstructured.Unstructured
		check(t, yaml.UnmarshalStrict(text, &o.Object))
		o.SetNamespace("default") // There is no other.
		await(t, tc.file+" is taken", func(ctx context.Context) error {
			_, err := client.Resource(tc.resource).Namespace("default").Create(ctx, &o, v1.CreateOptions{FieldValidation: v1.FieldValidationStrict})
			if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
				t.Fatalf("%s: %v", tc.file, err)
			}
			return err
		})
	}
}
