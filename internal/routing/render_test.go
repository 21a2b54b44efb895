package routing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// Shipped are the options of what stands in deploy/alertmanager.
var shipped = Options{
	Format: Plain, Pager: Opsgenie, SlackChannel: "#crossplane", Teams: []Team{{"checkout", "#checkout-platform"}},
	Secret: "crossplane-alertmanager", Namespace: "monitoring", SecretDir: "/etc/alertmanager/secrets/crossplane-alertmanager",
}

func in(f Format) Options {
	o := shipped
	o.Format = f
	return o
}

func TestRenderShipped(t *testing.T) {
	dir := filepath.Join("..", "..", "deploy", "alertmanager")
	for file, f := range map[string]Format{"alertmanager.yml": Plain, "alertmanagerconfig.yaml": Operator, "kube-prometheus-stack.yaml": KubePrometheusStack} {
		text, err := Render(in(f))
		check(t, err)
		golden(t, "What is in deploy/alertmanager is rendered.", filepath.Join(dir, file), text)
		// The operator's test is in another module, and reads files.
		for _, p := range []Pager{JSM, PagerDuty} {
			o := in(f)
			o.Pager = p
			text, err := Render(o)
			check(t, err)
			if f != KubePrometheusStack {
				golden(t, "Each pager is rendered for the test with Prometheus Operator.", filepath.Join(dir, "operator", "testdata", string(p), file), text)
			}
		}
	}
}

// TestRenderPagers loads each pager's configuration with Alertmanager, and sees that they differ in the pager only.
func TestRenderPagers(t *testing.T) {
	parts := func(p Pager) map[string]any {
		o := shipped
		o.Pager = p
		if p == IncidentIO {
			o.PagerURL = "https://api.incident.io/v2/alert_events/alertmanager/01GW2G3V0S59R238FAHPDS1R66"
		}
		text, err := Render(o)
		check(t, err)
		if _, err := parse(text); err != nil {
			t.Errorf("%s: %v in\n%s", p, err, text)
		}
		return tree(t, text)
	}
	want := parts(Opsgenie)
	dropPager(want)
	for _, p := range []Pager{JSM, PagerDuty, IncidentIO} {
		got := parts(p)
		dropPager(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("another pager leaves the rest as it is: %s and %s (-want +got):\n%s", Opsgenie, p, diff)
		}
	}
}

// TestRenderJSM sees that a URL is all that has to change, beside the key.
func TestRenderJSM(t *testing.T) {
	opsgenie, err := Render(shipped)
	check(t, err)
	o := shipped
	o.Pager = JSM
	jsm, err := Render(o)
	check(t, err)
	if diff := cmp.Diff(tree(t, jsm), tree(t, []byte(strings.Replace(string(opsgenie), "- api_url: https://api.opsgenie.com/", "- api_url: https://api.atlassian.com/jsm/ops/integration/", 1)))); diff != "" {
		t.Errorf("(-jsm +opsgenie with the other URL):\n%s", diff)
	}
}

// TestRenderKubePrometheusStack sees that the values have in them what the plain form has, and what the chart has by default.
func TestRenderKubePrometheusStack(t *testing.T) {
	text, err := Render(in(KubePrometheusStack))
	check(t, err)
	values := tree(t, text)["alertmanager"].(map[string]any)
	config := values["config"].(map[string]any)
	text, err = Render(shipped)
	check(t, err)
	plain := tree(t, text)

	drop := func(list any, last int) []any { l := list.([]any); return l[:len(l)-last] }
	route := config["route"].(map[string]any)
	got := map[string]any{
		"route": drop(route["routes"], 1), "receivers": config["receivers"].([]any)[1:], "time_intervals": config["time_intervals"], "inhibit_rules": drop(config["inhibit_rules"], 4),
	}
	want := map[string]any{
		"route": plain["route"].(map[string]any)["routes"], "receivers": plain["receivers"].([]any)[1:], "time_intervals": plain["time_intervals"], "inhibit_rules": plain["inhibit_rules"],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("alertmanager.config (-plain +values):\n%s", diff)
	}

	// As the chart fills it in.
	config["global"] = map[string]any{"resolve_timeout": "5m"}
	config["templates"] = []any{"/etc/alertmanager/config/*.tmpl"}
	for k, v := range map[string]any{"receiver": "null", "group_by": []any{"namespace"}, "group_wait": "30s", "group_interval": "5m", "repeat_interval": "12h"} {
		route[k] = v
	}
	whole, err := yaml.Marshal(config)
	check(t, err)
	if _, err := parse(whole); err != nil {
		t.Errorf("%v in\n%s", err, whole)
	}
	tmpl, err := os.ReadFile(filepath.Join("..", "..", "deploy", "alertmanager", "templates", "crossplane.tmpl"))
	check(t, err)
	if diff := cmp.Diff(strings.TrimSpace(string(tmpl)), strings.TrimSpace(values["templateFiles"].(map[string]any)["crossplane.tmpl"].(string))); diff != "" {
		t.Errorf("the template (-file +values):\n%s", diff)
	}
}

func TestRenderRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*Options)
		want   string
	}{
		"Format":         {"A format that there is none of.", func(o *Options) { o.Format = "json" }, `format "json": there are plain, operator and kps`},
		"Pager":          {"A pager that there is none of.", func(o *Options) { o.Pager = "telegram" }, `pager "telegram": there are opsgenie, jsm, pagerduty and incidentio`},
		"Channel":        {"Without a channel nothing would be told.", func(o *Options) { o.SlackChannel = "" }, "the Slack channel is missing"},
		"Team":           {"A team without a channel.", func(o *Options) { o.Teams = []Team{{Name: "sales"}} }, `team "sales", channel ""`},
		"TeamTwice":      {"Two receivers of one name Alertmanager would refuse.", func(o *Options) { o.Teams = []Team{{"a", "#a"}, {"a", "#b"}} }, "team a: it is there twice"},
		"URL":            {"A URL that is none.", func(o *Options) { o.PagerURL = "api.opsgenie.com" }, `"api.opsgenie.com" is none`},
		"IncidentIO":     {"incident.io has no URL that is everybody's.", func(o *Options) { o.Pager = IncidentIO }, "the URL of the alert source is missing"},
		"IncidentIOasCR": {"There is no such receiver in the custom resource.", func(o *Options) { o.Pager, o.PagerURL, o.Format = IncidentIO, "https://api.incident.io/x", Operator }, "has no receiver for it"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := shipped
			tc.change(&o)
			if _, err := Render(o); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nRender(): got %v, want an error with %q", tc.reason, err, tc.want)
			}
		})
	}
}

// TestRenderNames sees that names with anything in them come out as they are.
func TestRenderNames(t *testing.T) {
	const name, channel = `it's "a": {b} # c`, `#e\f`
	for _, f := range []Format{Plain, Operator, KubePrometheusStack} {
		o := in(f)
		o.Teams = []Team{{name, channel}}
		text, err := Render(o)
		check(t, err)
		whole := tree(t, text)
		for _, want := range []string{"crossplane-slack-" + name, channel, map[Format]string{Operator: name}[f]} {
			if want != "" && !has(whole, want) {
				t.Errorf("%s: %s is not in\n%s", f, want, text)
			}
		}
		if f == Plain {
			file := filepath.Join(t.TempDir(), "alertmanager.yml")
			write(t, file, string(text))
			c, err := Load(file)
			check(t, err)
			if w := c.Ways(Alert{Name: "CrossplaneSlow"}, map[string]string{"team": name}); w[0].Receiver != "crossplane-slack-"+name {
				t.Errorf("what is the team's goes to %s", w)
			}
		}
	}
}

// has tells whether a value is somewhere in a tree.
func has(tree any, value string) bool {
	switch t := tree.(type) {
	case map[string]any:
		for _, v := range t {
			if has(v, value) {
				return true
			}
		}
	case []any:
		for _, v := range t {
			if has(v, value) {
				return true
			}
		}
	}
	return tree == value
}

func tree(t *testing.T, text []byte) map[string]any {
	t.Helper()
	var all map[string]any
	check(t, yaml.Unmarshal(text, &all))
	return all
}

// dropPager empties the pager's receiver.
func dropPager(config map[string]any) {
	for _, r := range config["receivers"].([]any) {
		if r := r.(map[string]any); r["name"] == "crossplane-pager" {
			clear(r)
		}
	}
}
