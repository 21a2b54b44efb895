package definitions_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/discovery"

	"crossplane-exporter/playground/controlplane/controlplanetest"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/programs"
)

func TestInstall(t *testing.T) {
	plane := controlplanetest.New(t)
	module, err := programs.Module(t.Context(), "github.com/crossplane-contrib/provider-kubernetes", "v1.2.0")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(module, "package", "crds")
	files, err := definitions.Files(dir, "kubernetes.crossplane.io_*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := definitions.Install(t.Context(), plane.RESTConfig(), files); err != nil {
		t.Fatal(err)
	}
	d, err := discovery.NewDiscoveryClientForConfig(plane.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	// A list of a kind whose conversion webhook nobody answers fails. This one has two versions and had a webhook.
	for _, version := range []string{"v1alpha1", "v1alpha2"} {
		if err := d.RESTClient().Get().AbsPath("/apis/kubernetes.crossplane.io", version, "objects").Do(t.Context()).Error(); err != nil {
			t.Errorf("objects in version %s: %v", version, err)
		}
	}
	if err := definitions.Install(t.Context(), plane.RESTConfig(), files); err != nil {
		t.Errorf("what is there already: %v", err)
	}

	t.Run("Invalid", func(t *testing.T) {
		bad := filepath.Join(t.TempDir(), "bad.yaml")
		if err := os.WriteFile(bad, []byte("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: bad\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := definitions.Install(t.Context(), plane.RESTConfig(), []string{bad})
		if err == nil || !strings.Contains(err.Error(), "bad.yaml") {
			t.Errorf("got %v, want an error that names the file", err)
		}
	})

	t.Run("NeverEstablished", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err := definitions.Established(ctx, d.RESTClient(), "nothings.example.org")
		if err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("got %v, want that there is no such definition", err)
		}
	})

	t.Run("NoSuchFile", func(t *testing.T) {
		if got, err := definitions.Files(dir, "nothing*.yaml"); err == nil {
			t.Errorf("a pattern that matches nothing: got %v, want an error", got)
		}
	})

	t.Run("Read", func(t *testing.T) {
		file := filepath.Join(dir, "kubernetes.crossplane.io_objects.yaml")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := definitions.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte("strategy: Webhook")) || bytes.Contains(got, []byte(`"strategy":"Webhook"`)) {
			t.Error("the definition should have a conversion webhook in the module and none when read")
		}
	})
}
