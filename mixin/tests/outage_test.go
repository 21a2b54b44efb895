package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An outage is what the exporter says before, while and after a provider loses its credentials, minute by minute, with the default
// --detail=unhealthy: what is well has no series of its own.
type outage struct {
	begins, ends, over int // the minutes of it, and of the whole story
	series             strings.Builder
}

// say adds a series that has a value in the minutes from..to.
func (o *outage) say(metric, labels string, value, from, to int) {
	before := ""
	if from > 0 {
		before = fmt.Sprintf("_x%d ", from)
	}
	fmt.Fprintf(&o.series, "  - {series: '%s{job=\"crossplane-exporter\", %s}', values: '%s%dx%d stale'}\n", metric, labels, before, value, to-from)
}

// unwell adds an object that is not well in the minutes from..to.
func (o *outage) unwell(id, info, condition, reason, errorClass string, from, to int) {
	o.say("platform_resource_info", id+info, 1, from, to)
	o.say("platform_resource_condition", id+fmt.Sprintf(", condition=%q", condition), 0, from, to)
	o.say("platform_resource_condition_since_timestamp_seconds", id+fmt.Sprintf(", condition=%q", condition), from*60, from, to)
	o.say("platform_resource_condition_reason", id+fmt.Sprintf(", condition=%q, reason=%q", condition, reason), 1, from, to)
	if errorClass != "" {
		o.say("platform_resource_failing", id+fmt.Sprintf(", error_class=%q", errorClass), 1, from, to)
	}
}

// counts adds what is said of a kind of which unready objects are not ready in the outage.
func (o *outage) counts(category, group, kind string, all, unready int, reason string) {
	id := fmt.Sprintf("category=%q, group=%q, kind=%q", category, group, kind)
	o.say("platform_resources", id, all, 0, o.over)
	for _, c := range []struct {
		status, reason    string
		before, meanwhile int
	}{{"True", "Available", all, all - unready}, {"False", reason, 0, unready}} {
		fmt.Fprintf(&o.series, "  - {series: 'platform_resources_by_condition{job=\"crossplane-exporter\", %s, condition=\"Ready\", status=%q, reason=%q}', values: '%dx%d %dx%d %dx%d'}\n",
			id, c.status, c.reason, c.before, o.begins-1, c.meanwhile, o.ends-o.begins-1, c.before, o.over-o.ends)
	}
}

// TestProviderOutage is about 500 managed resources of 25 kinds, 100 composites and 100 claims of five kinds and ten teams: at most three
// alerts tell of it, from its beginning until long after its end.
func TestProviderOutage(t *testing.T) {
	const resources, kinds, claims, claimKinds, teams = 500, 25, 100, 5, 10
	o := &outage{begins: 125, ends: 170, over: 215}
	for _, job := range []string{"crossplane-exporter", "crossplane"} {
		fmt.Fprintf(&o.series, "  - {series: 'up{job=%q}', values: '1x%d'}\n", job, o.over)
	}
	for i := range resources {
		kind := i % kinds
		claim := i % claims
		id := fmt.Sprintf("category=\"managed\", group=\"service%02d.aws.upbound.io\", kind=\"Kind%02d\", name=\"r%03d\"", kind, kind, i)
		info := fmt.Sprintf(", provider_config=\"production\", composite=\"x%02d\", claim_namespace=\"n%d\", claim_name=\"c%02d\", team=\"t%d\"", claim, claim%teams, claim, claim%teams)
		// A provider looks at each resource every ten minutes, and what it meets is not always the same.
		from, to := o.begins+i%10, o.ends+(i*7)%10
		class := []string{"auth", "auth", "denied", "timeout"}[i%4]
		o.unwell(id, info, "Synced", "ReconcileError", class, from, to)
		if i%2 == 0 {
			o.unwell(id, info, "Ready", "Unavailable", "", from, to)
		} else {
			o.say("platform_resource_condition", id+`, condition="Ready"`, 1, from, to)
		}
	}
	for i := range claims {
		from, to := o.begins+5, o.ends+11
		o.unwell(fmt.Sprintf("category=\"composite\", group=\"platform.example.org\", kind=\"XKind%d\", name=\"x%02d\"", i%claimKinds, i),
			fmt.Sprintf(", composite=\"x%02d\", claim_namespace=\"n%d\", claim_name=\"c%02d\", team=\"t%d\"", i, i%teams, i, i%teams), "Ready", "Creating", "", from, to)
		o.unwell(fmt.Sprintf("category=\"claim\", group=\"platform.example.org\", kind=\"Kind%d\", resource_namespace=\"n%d\", name=\"c%02d\"", i%claimKinds, i%teams, i),
			fmt.Sprintf(", team=\"t%d\"", i%teams), "Ready", "Waiting", "", from, to)
	}
	for i := range kinds {
		o.counts("managed", fmt.Sprintf("service%02d.aws.upbound.io", i), fmt.Sprintf("Kind%02d", i), resources/kinds, resources/kinds/2, "Unavailable")
	}
	for i := range claimKinds {
		o.counts("composite", "platform.example.org", fmt.Sprintf("XKind%d", i), 3*claims/claimKinds, claims/claimKinds, "Creating")
		o.counts("claim", "platform.example.org", fmt.Sprintf("Kind%d", i), 3*claims/claimKinds, claims/claimKinds, "Waiting")
	}
	// Its pod crashes, too.
	o.unwell(`category="package", group="pkg.crossplane.io", kind="Provider", name="provider-aws"`, "", "Healthy", "UnhealthyPackageRevision", "", o.begins, o.ends)
	o.unwell(`category="package", group="pkg.crossplane.io", kind="ProviderRevision", name="provider-aws-0123456789ab"`, "", "RuntimeHealthy", "UnhealthyPackageRevision", "", o.begins, o.ends)

	rules, err := filepath.Abs(filepath.Join(root, "alerts"))
	if err != nil {
		t.Fatal(err)
	}
	suite := filepath.Join(t.TempDir(), "outage.yaml")
	text := fmt.Sprintf(`rule_files: [%[1]s/rules.yaml, %[1]s/alerts.yaml]
evaluation_interval: 1m
group_eval_order: [crossplane-unwell.rules, crossplane-resources.rules, crossplane-slo.rules]
tests:
- name: a provider loses its credentials
  interval: 1m
  promql_expr_test:
  - expr: count by (alertname, severity) (count_over_time(ALERTS{alertstate="firing", alertname!="CrossplaneWatchdog"}[%[2]dm:1m]))
    eval_time: %[2]dm
    exp_samples:
    - {labels: '{alertname="CrossplaneManyResourcesUnwell", severity="critical"}', value: 1}
    - {labels: '{alertname="CrossplanePackageRuntimeNotHealthy", severity="critical"}', value: 1}
  # Who is on call knows within a quarter of an hour.
  - expr: count(ALERTS{alertstate="firing", alertname!="CrossplaneWatchdog"})
    eval_time: %[3]dm
    exp_samples: [{labels: '{}', value: 2}]
  # The alerts would be many more if they did not know of each other: one for each of these.
  - expr: count(resource:platform_resource_unwell:since_timestamp_seconds)
    eval_time: %[4]dm
    exp_samples: [{labels: '{}', value: %[5]d}]
  input_series:
%[6]s`, rules, o.over, o.begins+15, o.ends-1, resources+2, o.series.String())
	if err := os.WriteFile(suite, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), program(t, "promtool"), "test", "rules", suite).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}
