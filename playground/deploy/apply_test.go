package deploy_test

import (
	"bytes"
	"fmt"
	"os"
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

// TestOverlay installs an overlay of one's own as docs/install.md says, gives it an image that is not there, and goes back as
// docs/upgrade.md says.
func TestOverlay(t *testing.T) {
	bin, err := programs.Build(t.Context(), "kustomize")
	check(t, err)
	crds, err := manifests.Definitions(t.Context())
	check(t, err)
	for _, crd := range crds {
		check(t, applier.Apply(t.Context(), crd))
	}
	r := newRelease(t, "overlay", images(t, "v1"))
	r.name = "crossplane-exporter" // as the base has it
	visible(t, r.namespace)
	example, err := manifests.Dir("kustomize", "overlays", "staging")
	check(t, err)
	dir := t.TempDir()
	rel, err := filepath.Rel(dir, example)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), fmt.Appendf(nil, "namespace: %s\nresources: [%s]\n", r.namespace, rel), 0o600))
	run := func(program string, args ...string) error {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, program), args...)
		cmd.Dir, cmd.Env = dir, r.env()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %q: %w\n%s", program, args, err, out)
		}
		return nil
	}
	apply := func(image string) {
		check(t, run("kustomize", "edit", "set", "image", "crossplane-exporter=crossplane-exporter:"+image))
		check(t, run("kubectl", "apply", "--server-side", "-k", "."))
	}
	status := []string{"--namespace", r.namespace, "rollout", "status", "deployment/crossplane-exporter"}

	apply("v1")
	defer func() { check(t, run("kubectl", "delete", "-k", ".")) }()
	check(t, run("kubectl", append(status, "--timeout=1m")...))
	r.serves(t, "v1")
	if got := r.objects(t, ""); got < buckets {
		t.Errorf("of %d buckets it sees %d", buckets, got)
	}

	stop := r.uninterrupted(t, buckets)
	apply("v2")
	if err := run("kubectl", append(status, "--timeout=3s")...); err == nil {
		t.Error("an image that is not there is rolled out")
	}
	check(t, run("kubectl", "--namespace", r.namespace, "rollout", "undo", "deployment/crossplane-exporter"))
	check(t, run("kubectl", append(status, "--timeout=1m")...))
	stop()
	r.serves(t, "v1")
}
