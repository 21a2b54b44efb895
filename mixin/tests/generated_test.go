package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"crossplane-exporter/mixin"
	"sigs.k8s.io/yaml"
)

// promtest has promtool run a test of the rules with settings: too long to be written down, or of settings that are not the default.
func promtest(t *testing.T, reason string, s mixin.Settings, test string) {
	t.Helper()
	dir := t.TempDir()
	r := render(t, s)
	for name, file := range map[string]mixin.RuleFile{"rules.yaml": r.rules, "alerts.yaml": r.alerts} {
		text, err := yaml.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var order []string
	for _, g := range append(r.rules.Groups, r.alerts.Groups...) {
		order = append(order, g.Name)
	}
	suite := filepath.Join(dir, "suite.yaml")
	text := fmt.Sprintf("rule_files: [rules.yaml, alerts.yaml]\nevaluation_interval: 1m\ngroup_eval_order: [%s]\ntests:\n- interval: 1m\n  %s\n",
		strings.Join(order, ", "), strings.ReplaceAll(strings.TrimSpace(test), "\n", "\n  "))
	if err := os.WriteFile(suite, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program(t, "promtool"), "test", "rules", suite).CombinedOutput(); err != nil {
		t.Errorf("%s\npromtool test rules: %v\n%s", reason, err, out)
	}
}

// TestOneOfManyControllers has one controller fail, be slow and have a queue, among forty that are well and have more to do.
func TestOneOfManyControllers(t *testing.T) {
	var series strings.Builder
	count := func(metric, labels string, perMinute int) {
		fmt.Fprintf(&series, "- {series: '%s{job=\"crossplane-providers\", %s}', values: '0+%dx40'}\n", metric, labels, perMinute)
	}
	controller := func(name string, all, failed, slow, wait int) {
		by := fmt.Sprintf("controller=%q", name)
		count("controller_runtime_reconcile_total", by+`, result="success"`, all-failed)
		count("controller_runtime_reconcile_total", by+`, result="error"`, failed)
		count("controller_runtime_reconcile_time_seconds_bucket", by+`, le="30"`, all-slow)
		count("controller_runtime_reconcile_time_seconds_bucket", by+`, le="60"`, all)
		count("controller_runtime_reconcile_time_seconds_bucket", by+`, le="+Inf"`, all)
		count("controller_runtime_reconcile_time_seconds_count", by, all)
		count("workqueue_queue_duration_seconds_sum", fmt.Sprintf("name=%q", name), wait*all)
		count("workqueue_queue_duration_seconds_count", fmt.Sprintf("name=%q", name), all)
	}
	for i := range 40 {
		controller(fmt.Sprintf("managed/fast%02d", i), 100, 0, 0, 1)
	}
	controller("managed/slow", 10, 8, 10, 120)
	promtest(t, "Each is one alert for the job.", mixin.Settings{}, `promql_expr_test:
- expr: count by (alertname, job) (ALERTS{alertstate="firing", severity="warning"})
  eval_time: 40m
  exp_samples:
  - {labels: '{alertname="CrossplaneReconcileErrors", job="crossplane-providers"}', value: 1}
  - {labels: '{alertname="CrossplaneReconcileSlow", job="crossplane-providers"}', value: 1}
  - {labels: '{alertname="CrossplaneWorkqueueSlow", job="crossplane-providers"}', value: 1}
input_series:
`+series.String())
}
