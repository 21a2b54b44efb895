package deploy_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"crossplane-exporter/playground/deploy/manifests"
	"crossplane-exporter/playground/programs"
)

// TestApply has the API server take all manifests, though it does not keep them: with the defaults, the limits and the admission that
// a cluster has, and no field that it does not know.
func TestApply(t *testing.T) {
	bin, err := programs.Build(t.Context(), "kubectl")
	check(t, err)
	crds, err := manifests.Definitions(t.Context())
	check(t, err)
	for _, crd := range crds {
		check(t, applier.Apply(t.Context(), crd))
	}
	for _, name := range []string{"monitoring", "observability"} {
		namespace(t, name)
	}
	// A pod is not taken without its account; what is only tried makes none.
	for _, name := range []string{"crossplane-exporter", "exporter"} {
		_, err := client.CoreV1().ServiceAccounts("monitoring").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		check(t, err)
	}
	all, err := manifests.Everything(t.Context())
	check(t, err)
	for name, objects := range all {
		t.Run(name, func(t *testing.T) {
			text, err := manifests.Encode(objects)
			check(t, err)
			apply := func(text []byte) ([]byte, error) {
				cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "kubectl"), "--kubeconfig", plane.Kubeconfig(),
					"apply", "--server-side", "--dry-run=server", "--validate=strict", "--filename=-")
				cmd.Stdin = bytes.NewReader(text)
				return cmd.CombinedOutput()
			}
			if out, err := apply(text); err != nil || bytes.Count(out, []byte(" serverside-applied (server dry run)")) != len(objects) {
				t.Errorf("kubectl apply of %d objects: %v\n%s", len(objects), err, out)
			}
			wrong := bytes.Replace(text, []byte("enableServiceLinks: false"), []byte("enableServiceLink: false"), 1)
			if out, err := apply(wrong); err == nil {
				t.Errorf("a field that does not exist is taken:\n%s", out)
			}
		})
	}
}
