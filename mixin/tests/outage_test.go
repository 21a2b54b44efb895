package tests

import (
	"fmt"
	"strings"
	"testing"

	"crossplane-exporter/mixin"
)

// An outage is what is scraped before, while and after a provider loses its credentials, minute by minute, with the default
// --detail=unhealthy: what is well has no series of its own.
type outage struct {
	begins, ends, over int // the minutes of it, and of the whole story
	series             strings.Builder
}

// say adds a series of the exporter that has a value in the minutes from..to.
func (o *outage) say(metric, labels string, value, from, to int) {
	before := ""
	if from > 0 {
		before = fmt.Sprintf("_x%d ", from)
	}
	fmt.Fprintf(&o.series, "  - {series: '%s{job=\"crossplane-exporter\", %s}', values: '%s%dx%d stale'}\n", metric, labels, before, value, to-from)
}

// count adds a counter that grows by so much a minute, and in the outage by another number.
func (o *outage) count(job, metric, labels string, usually, meanwhile int) {
	first := usually * o.begins
	then := first + meanwhile*(o.ends-o.begins)
	fmt.Fprintf(&o.series, "  - {series: '%s{job=%q, %s}', values: '0+%dx%d %d+%dx%d %d+%dx%d'}\n", metric, job, labels,
		usually, o.begins-1, first, meanwhile, o.ends-o.begins-1, then, usually, o.over-o.ends)
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

// process adds what the provider's own process says of a controller: in the outage its reconciles fail and take a minute each, and what
// is to be reconciled waits for longer.
func (o *outage) process(controller string) {
	const job = "crossplane-providers"
	by := func(label, value string) string { return fmt.Sprintf("%s=%q", label, controller) + value }
	o.count(job, "controller_runtime_reconcile_total", by("controller", `, result="success"`), 10, 2)
	o.count(job, "controller_runtime_reconcile_total", by("controller", `, result="error"`), 0, 10)
	o.count(job, "controller_runtime_reconcile_time_seconds_bucket", by("controller", `, le="30"`), 10, 2)
	o.count(job, "controller_runtime_reconcile_time_seconds_bucket", by("controller", `, le="60"`), 10, 12)
	o.count(job, "controller_runtime_reconcile_time_seconds_bucket", by("controller", `, le="+Inf"`), 10, 12)
	o.count(job, "controller_runtime_reconcile_time_seconds_count", by("controller", ""), 10, 12)
	o.count(job, "workqueue_queue_duration_seconds_sum", by("name", ""), 1, 1200)
	o.count(job, "workqueue_queue_duration_seconds_count", by("name", ""), 10, 12)
}

// calls adds what the cloud's audit trail says: calls are denied, and tried again until they are throttled.
func (o *outage) calls() {
	for outcome, grows := range map[string][2]int{"ok": {500, 50}, "denied": {0, 300}, "throttled": {0, 100}} {
		o.count("crossplane-exporter", "platform_cloud_api_calls_total", fmt.Sprintf(`cloud_provider="aws", cloud_account="111122223333", cloud_region="eu-west-1", `+
			`api_service="ec2", api_operation="DescribeVpcs", principal_class="crossplane", outcome=%q`, outcome), grows[0], grows[1])
	}
}

// TestProviderOutage is about 500 managed resources of 25 kinds, 100 composites and 100 claims of five kinds and ten teams: at most three
// alerts tell of it, and one of them rings, from its beginning until long after its end.
func TestProviderOutage(t *testing.T) {
	const resources, kinds, claims, claimKinds, teams = 500, 25, 100, 5, 10
	for name, tc := range map[string]struct {
		reason string
		// managed is how many resources there are for each one that fails.
		managed int
		// packages are those that are not healthy either.
		packages []string
		// alone is whether nothing but the exporter is scraped, and no trail is read.
		alone bool
		want  []string
	}{
		"credentials": {
			reason:  "What fails, what it feels like for the provider, and what the cloud says to that are one page, and two more to read.",
			managed: 1,
			want:    []string{"CrossplaneManyResourcesUnwell critical", "CrossplaneCloudDenied warning", "CrossplaneCloudThrottled warning"},
		},
		"pod": {
			reason:  "Its pod crashes: that is the cause, and all that is told of resources.",
			managed: 1, packages: []string{"provider-aws"}, alone: true,
			want: []string{"CrossplanePackageRuntimeNotHealthy critical"},
		},
		"another pod": {
			reason:  "The pod of one of many providers crashes, which is no reason for the others' resources to fail. These are one in thirty of all, and an outage for their number.",
			managed: 30, packages: []string{"upbound-provider-aws-service07"}, alone: true,
			want: []string{"CrossplaneManyResourcesUnwell critical", "CrossplanePackageRuntimeNotHealthy critical"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := &outage{begins: 125, ends: 170, over: 215}
			for _, job := range []string{"crossplane-exporter", "crossplane", "crossplane-providers"} {
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
				kind := fmt.Sprintf("Kind%02d", i)
				o.counts("managed", fmt.Sprintf("service%02d.aws.upbound.io", i), kind, tc.managed*resources/kinds, resources/kinds/2, "Unavailable")
				if !tc.alone {
					o.process("managed/" + strings.ToLower(kind))
				}
			}
			if !tc.alone {
				o.calls()
			}
			for i := range claimKinds {
				o.counts("composite", "platform.example.org", fmt.Sprintf("XKind%d", i), 3*claims/claimKinds, claims/claimKinds, "Creating")
				o.counts("claim", "platform.example.org", fmt.Sprintf("Kind%d", i), 3*claims/claimKinds, claims/claimKinds, "Waiting")
			}
			for _, p := range tc.packages {
				id := `category="package", group="pkg.crossplane.io", `
				o.unwell(id+fmt.Sprintf(`kind="Provider", name=%q`, p), "", "Healthy", "UnhealthyPackageRevision", "", o.begins, o.ends)
				o.unwell(id+fmt.Sprintf(`kind="ProviderRevision", name="%s-0123456789ab"`, p), "", "RuntimeHealthy", "UnhealthyPackageRevision", "", o.begins, o.ends)
			}

			var told strings.Builder
			rings := 0
			for _, alert := range tc.want {
				var name, severity string
				if _, err := fmt.Sscan(alert, &name, &severity); err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&told, "  - {labels: '{alertname=%q, severity=%q}', value: 1}\n", name, severity)
				if severity == "critical" {
					rings++
				}
			}
			if len(tc.want) > 3 {
				t.Fatalf("%s: %d alerts tell of it", tc.reason, len(tc.want))
			}
			promtest(t, tc.reason, mixin.Settings{}, fmt.Sprintf(`promql_expr_test:
- expr: count by (alertname, severity) (count_over_time(ALERTS{alertstate="firing", severity=~"critical|warning"}[%[1]dm:1m]))
  eval_time: %[1]dm
  exp_samples:
%[2]s# Who is on call knows within a quarter of an hour.
- expr: count(ALERTS{alertstate="firing", severity="critical"})
  eval_time: %[3]dm
  exp_samples: [{labels: '{}', value: %[4]d}]
# The alerts would be many more if they did not know of each other: one for each of these.
- expr: count(resource:platform_resource_unwell:since_timestamp_seconds)
  eval_time: %[5]dm
  exp_samples: [{labels: '{}', value: %[6]d}]
input_series:
%[7]s`, o.over, told.String(), o.begins+15, rings, o.ends-1, resources+2*len(tc.packages), o.series.String()))
		})
	}
}
