package routing

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"crossplane-exporter/mixin"
)

func someAlerts() []Alert {
	critical, warning := map[string]string{"severity": "critical"}, map[string]string{"severity": "warning"}
	templated := func(label string) map[string]string {
		return map[string]string{"severity": "warning", "cause": "{{ $labels." + label + " }}"}
	}
	return Alerts(
		mixin.RuleFile{Groups: []mixin.Group{{Rules: []mixin.Rule{{Record: "a:b:c"}}}, {Rules: []mixin.Rule{
			{Alert: "CrossplaneDown", Labels: map[string]string{"severity": "critical", "team": ""}},
			{Alert: "CrossplaneLate", Labels: warning},
		}}}},
		mixin.RuleFile{Groups: []mixin.Group{{Rules: []mixin.Rule{
			{Alert: "CrossplaneSlow", Labels: critical},
			{Alert: "CrossplaneSlow", Labels: templated("cause")},
			{Alert: "CrossplaneSlow", Labels: templated("reason")},
		}}}},
	)
}

func TestAlerts(t *testing.T) {
	want := []Alert{
		{Name: "CrossplaneDown", Labels: map[string]string{"severity": "critical", "team": ""}},
		{Name: "CrossplaneLate", Labels: map[string]string{"severity": "warning"}},
		{Name: "CrossplaneSlow", Labels: map[string]string{"severity": "critical"}},
		{Name: "CrossplaneSlow", Labels: map[string]string{"severity": "warning"}},
	}
	if diff := cmp.Diff(want, someAlerts()); diff != "" {
		t.Errorf("What records is left out, and so are labels of which only a firing alert knows the value (-want +got):\n%s", diff)
	}
}

// users is a configuration as somebody may have it.
const users = `
route:
  receiver: nobody
  routes:
    - matchers: [alertname=~"Crossplane.+"]
      receiver: chat
      routes:
        - matchers: [severity="critical"]
          receiver: pager
          continue: true
          mute_time_intervals: [freeze]
        - matchers: [team="sales"]
          receiver: sales
          active_time_intervals: [office]
        - matchers: [team="shop", cluster="production"]
          receiver: shop
        - matchers: [team="shop"]
          receiver: nobody
receivers:
  - name: nobody
  - name: chat
    slack_configs: [{api_url: "https://slack.example.org/"}]
  - name: pager
    pagerduty_configs: [{routing_key: key}]
    webhook_configs: [{url: "https://hook.example.org/"}]
  - name: sales
    email_configs: [{to: sales@example.org, from: me@example.org, smarthost: "mail.example.org:25"}]
  - name: shop
    email_configs: [{to: shop@example.org, from: me@example.org, smarthost: "mail.example.org:25"}]
time_intervals:
  - {name: office, time_intervals: [{weekdays: ["monday:friday"]}]}
  - {name: freeze, time_intervals: [{months: ["december"]}]}
inhibit_rules:
  - source_matchers: [alertname="CrossplaneDown"]
    target_matchers: [alertname=~"Crossplane.+"]
    equal: [cluster]
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [alertname, namespace]
  - source_matchers: [alertname="InfoInhibitor"]
    target_matchers: [severity="warning"]
    equal: [namespace]
  - source_matchers: [alertname="NodeDown"]
    target_matchers: [kind="Node"]
  - source_matchers: [alertname="Other"]
    target_matchers: [alertname="Others"]
  - source_matchers: [alertname="Other"]
    target_matchers: [severity="critical"]
    equal: [alertname]
`

func loadUsers(t *testing.T) *Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	write(t, file, users)
	c, err := Load(file)
	check(t, err)
	return c
}

func TestWays(t *testing.T) {
	critical, warning := map[string]string{"severity": "critical"}, map[string]string{"severity": "warning"}
	cases := map[string]struct {
		reason  string
		alert   Alert
		further map[string]string
		want    []Way
	}{
		"Default":   {"What nothing else is for goes to the parent.", Alert{Name: "CrossplaneSlow", Labels: warning}, nil, []Way{{Receiver: "chat", Tells: []string{"slack"}}}},
		"Continue":  {"One may go two ways.", Alert{Name: "CrossplaneDown", Labels: critical}, map[string]string{"team": "sales"}, []Way{{Receiver: "pager", Tells: []string{"pagerduty", "webhook"}, Never: []string{"freeze"}}, {Receiver: "sales", Tells: []string{"email"}, Only: []string{"office"}}}},
		"Alone":     {"A continue that nothing follows is the only way.", Alert{Name: "CrossplaneDown", Labels: critical}, nil, []Way{{Receiver: "pager", Tells: []string{"pagerduty", "webhook"}, Never: []string{"freeze"}}}},
		"Nobody":    {"A receiver without integrations tells nobody.", Alert{Name: "CrossplaneSlow", Labels: warning}, map[string]string{"team": "shop"}, []Way{{Receiver: "nobody"}}},
		"Further":   {"Labels of Prometheus' own decide, too.", Alert{Name: "CrossplaneSlow", Labels: warning}, map[string]string{"team": "shop", "cluster": "production"}, []Way{{Receiver: "shop", Tells: []string{"email"}}}},
		"NotOurs":   {"Another name goes another way.", Alert{Name: "NodeDown", Labels: critical}, nil, []Way{{Receiver: "nobody"}}},
		"EmptyTeam": {"A label that is empty is none.", Alert{Name: "CrossplaneSlow", Labels: map[string]string{"severity": "warning", "team": ""}}, map[string]string{"team": ""}, []Way{{Receiver: "chat", Tells: []string{"slack"}}}},
	}
	c := loadUsers(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, c.Ways(tc.alert, tc.further)); diff != "" {
				t.Errorf("%s\nWays() (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestMutes(t *testing.T) {
	alerts := someAlerts()
	cases := map[string]struct {
		reason string
		alert  Alert
		want   []string
	}{
		"Effect": {
			reason: "It is muted by its cause, by itself with a worse severity, and by an alert that is not of these, with what these have in common.",
			alert:  alerts[3],
			want: []string{
				"CrossplaneDown with the same cluster",
				"CrossplaneSlow with the same alertname, namespace",
				`{alertname="InfoInhibitor"} with the same namespace`,
				`{alertname="NodeDown"}`,
			},
		},
		"NeverCritical": {
			reason: "What is never critical is not muted by itself being so.",
			alert:  alerts[1],
			want: []string{
				"CrossplaneDown with the same cluster",
				`{alertname="InfoInhibitor"} with the same namespace`,
				`{alertname="NodeDown"}`,
			},
		},
		"Cause": {
			reason: "What matches both sides does not mute itself; a rule with another name on one side never applies.",
			alert:  alerts[0],
			want:   []string{`{alertname="NodeDown"}`},
		},
	}
	c := loadUsers(t)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, m := range c.Mutes(tc.alert, nil, alerts) {
				got = append(got, m.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nMutes() (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// TestMuzzles has the watchdog meet kube-prometheus' inhibit rules, and others.
func TestMuzzles(t *testing.T) {
	cases := map[string]struct {
		reason, severity, config string
		want                     []string
	}{
		"None":  {"What kube-prometheus mutes has a severity that is none of it.", "none", kubePrometheus, nil},
		"Info":  {"An info without a namespace is muted by any other info without one.", "info", kubePrometheus, []string{`{alertname="InfoInhibitor"} with the same namespace`}},
		"Wider": {"A rule for all that is Crossplane's is for the watchdog, too.", "none", `inhibit_rules: [{source_matchers: [alertname="NodeDown"], target_matchers: ['alertname=~"Crossplane.+"']}]`, []string{`{alertname="NodeDown"}`}},
		"Other": {"What asks for a label that it has not got is not for it.", "none", `inhibit_rules: [{source_matchers: [alertname="NodeDown"], target_matchers: [kind="Node"]}]`, nil},
		"Same":  {"The same name is no other alert.", "none", `inhibit_rules: [{source_matchers: [severity="critical"], target_matchers: ['severity=~".+"'], equal: [alertname]}]`, nil},
		"Hours": {"A way that is shut by night leads nowhere then.", "none", `time_intervals: [{name: night, time_intervals: [{times: [{start_time: "20:00", end_time: "24:00"}]}]}]`, []string{"watchdog (webhook, not in night)"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			muted := ""
			if name == "Hours" {
				muted = ", mute_time_intervals: [night]"
			}
			file := filepath.Join(t.TempDir(), "alertmanager.yml")
			write(t, file, "route: {receiver: watchdog, routes: [{receiver: watchdog"+muted+"}]}\nreceivers: [{name: watchdog, webhook_configs: [{url: 'https://example.org/'}]}]\n"+tc.config)
			c, err := Load(file)
			check(t, err)
			got := c.Muzzles(Alert{Name: Watchdog, Labels: map[string]string{"severity": tc.severity}}, map[string]string{"cluster": "production"})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nMuzzles() (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// kubePrometheus are the inhibit rules that kube-prometheus and kube-prometheus-stack come with.
const kubePrometheus = `
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: ['severity=~"warning|info"']
    equal: [namespace, alertname]
  - source_matchers: [severity="warning"]
    target_matchers: [severity="info"]
    equal: [namespace, alertname]
  - source_matchers: [alertname="InfoInhibitor"]
    target_matchers: [severity="info"]
    equal: [namespace]
  - target_matchers: [alertname="InfoInhibitor"]
`
