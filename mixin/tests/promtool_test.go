package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"crossplane-exporter/mixin"
	"sigs.k8s.io/yaml"
)

// suites are the files with tests of rules that promtool runs.
func suites(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("there is no *.yaml here")
	}
	return files
}

// TestRules has promtool check the rendered rules, and run their tests.
func TestRules(t *testing.T) {
	promtool := program(t, "promtool")
	check := exec.CommandContext(t.Context(), promtool, "check", "rules", "--lint=all", "--lint-fatal",
		filepath.Join(root, "alerts", "alerts.yaml"), filepath.Join(root, "alerts", "rules.yaml"))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("promtool check rules: %v\n%s", err, out)
	}
	for _, suite := range suites(t) {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", suite).CombinedOutput(); err != nil {
				t.Errorf("promtool test rules %s: %v\n%s", suite, err, out)
			}
		})
	}
}

// TestEveryAlertIsTested checks that for each alert there is an instant at which it fires, with all labels and annotations, and one at
// which it does not.
func TestEveryAlertIsTested(t *testing.T) {
	type suite struct {
		Tests []struct {
			AlertRuleTest []struct {
				Alertname string `json:"alertname"`
				ExpAlerts []struct {
					ExpAnnotations map[string]string `json:"exp_annotations"`
				} `json:"exp_alerts"`
			} `json:"alert_rule_test"`
		} `json:"tests"`
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, file := range suites(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s suite
		if err := yaml.Unmarshal(text, &s); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range s.Tests {
			for _, c := range test.AlertRuleTest {
				silent[c.Alertname] = silent[c.Alertname] || len(c.ExpAlerts) == 0
				for _, a := range c.ExpAlerts {
					fires[c.Alertname] = fires[c.Alertname] || len(a.ExpAnnotations) == 4
				}
			}
		}
	}
	// What always fires is never silent.
	silent["CrossplaneWatchdog"] = true
	known := []string{}
	each(func(_ string, r mixin.Rule) {
		known = append(known, r.Alert)
		if !fires[r.Alert] || !silent[r.Alert] {
			t.Errorf("%s: tested that it fires: %t, that it is silent: %t", r.Alert, fires[r.Alert], silent[r.Alert])
		}
	}, render(t, mixin.Settings{}).alerts)
	for name := range fires {
		if !slices.Contains(known, name) {
			t.Errorf("%s is tested, and there is no such alert", name)
		}
	}
}
