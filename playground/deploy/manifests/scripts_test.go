package manifests_test

import (
	"os/exec"
	"testing"

	"crossplane-exporter/playground/deploy/manifests"
)

// TestScripts has the shell, and shellcheck where it is installed, read the scripts. What they do is tried on a cluster.
func TestScripts(t *testing.T) {
	for _, name := range []string{"rbac-groups.sh", "upgrade.sh"} {
		t.Run(name, func(t *testing.T) {
			path, err := manifests.Dir(name)
			check(t, err)
			if out, err := exec.CommandContext(t.Context(), "sh", "-n", path).CombinedOutput(); err != nil {
				t.Errorf("sh -n: %v\n%s", err, out)
			}
			shellcheck, err := exec.LookPath("shellcheck")
			if err != nil {
				t.Skip("shellcheck is not installed")
			}
			if out, err := exec.CommandContext(t.Context(), shellcheck, path).CombinedOutput(); err != nil {
				t.Errorf("shellcheck: %v\n%s", err, out)
			}
		})
	}
}
