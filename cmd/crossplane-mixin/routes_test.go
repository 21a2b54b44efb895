package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"

	"crossplane-exporter/internal/routing"
	"crossplane-exporter/mixin"
)

var updateAlerting = flag.Bool("update-alerting", false, "write the table of docs/alerting.md anew")

// TestRoutesOfShippedConfiguration runs the command on the configuration in deploy/alertmanager: everybody is told of everything.
func TestRoutesOfShippedConfiguration(t *testing.T) {
	out, err := execute(t, "routes", "--config.file", filepath.Join("..", "..", "deploy", "alertmanager", "alertmanager.yml"), "--team", "checkout", "--team", "shop")
	if err != nil {
		t.Errorf("routes: %v", err)
	}
	for _, want := range []string{
		"CrossplaneWatchdog none\n    goes to  crossplane-watchdog (webhook)\n",
		"CrossplaneDriftLoop warning\n    no team, shop  crossplane-slack (slack)\n    checkout       crossplane-slack-checkout (slack)\n    muted by       CrossplaneExporterAbsent with the same cluster\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("routes: %q is not in\n%s", want, out)
		}
	}
}

func TestRoutesFails(t *testing.T) {
	cases := map[string]struct {
		reason, config string
		args           []string
		want           string
	}{
		"Lost": {
			reason: "A receiver without integrations tells nobody.",
			config: "route: {receiver: pager, routes: [{matchers: [severity=info], receiver: nobody}]}\nreceivers: [{name: nobody}, {name: pager, webhook_configs: [{url: 'https://example.org/'}]}]\n",
			want:   "nobody is told of CrossplaneMetricsAbsent, ",
		},
		"LostTeam": {
			reason: "A team may be forgotten.",
			config: "route: {receiver: pager, routes: [{matchers: [team=shop], receiver: nobody}]}\nreceivers: [{name: nobody}, {name: pager, webhook_configs: [{url: 'https://example.org/'}]}]\n",
			args:   []string{"--team", "shop"},
			want:   "nobody is told of CrossplaneDown (team shop), ",
		},
		"Muzzled": {
			reason: "Nothing may mute the watchdog. kube-prometheus' InfoInhibitor would, if its severity were info.",
			config: "route: {receiver: pager}\nreceivers: [{name: pager, webhook_configs: [{url: 'https://example.org/'}]}]\n" +
				"inhibit_rules: [{source_matchers: [alertname=InfoInhibitor], target_matchers: [severity=info], equal: [namespace]}]\n",
			args: []string{"--set", "alerts.CrossplaneWatchdog.severity=info"},
			want: `CrossplaneWatchdog (severity info) would be muted by {alertname="InfoInhibitor"} with the same namespace: `,
		},
		"Template": {
			reason: "Without its templates a receiver tells nothing.",
			config: "route: {receiver: chat}\nreceivers: [{name: chat, slack_configs: [{api_url: 'https://example.org/', title: '{{ template \"crossplane.title\" . }}'}]}]\n",
			want:   "receivers use the templates crossplane.title, which no file defines",
		},
		"Refused": {
			reason: "What Alertmanager refuses is refused in its words, and with the line.",
			config: "route:\n  receiver: pager\nreceivers: [{name: nobody}]\n",
			want:   `alertmanager.yml:2: undefined receiver "pager" used in route`,
		},
		"Setting": {
			reason: "The mixin's settings are checked.",
			config: "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n",
			args:   []string{"--set", "alerts.NoSuchAlert.for=1h"},
			want:   "NoSuchAlert",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "alertmanager.yml")
			if err := os.WriteFile(file, []byte(tc.config), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := execute(t, append([]string{"routes", "--config.file", file}, tc.args...)...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nroutes: got %v, want an error with %q", tc.reason, err, tc.want)
			}
		})
	}
}

// TestRoutesOfElsewhere has a configuration as it is in a cluster, whose templates are not here: that is said, and is no failure.
func TestRoutesOfElsewhere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "alertmanager.yml")
	config := "templates: [/etc/alertmanager/config/*.tmpl]\nroute: {receiver: chat}\nreceivers: [{name: chat, slack_configs: [{api_url: 'https://example.org/', title: '{{ template \"crossplane.title\" . }}'}]}]\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := execute(t, "routes", "--config.file", file)
	if want := "cannot tell whether the templates crossplane.title are there: no file here is /etc/alertmanager/config/*.tmpl"; err != nil || !strings.Contains(out, want) {
		t.Errorf("routes: got %v and %.300s, want %q in what it says", err, out, want)
	}
}

// TestReceivers sees that the flags arrive: without any it prints what is in deploy/alertmanager, but for the team.
func TestReceivers(t *testing.T) {
	want, err := os.ReadFile(filepath.Join("..", "..", "deploy", "alertmanager", "alertmanager.yml"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := execute(t, "receivers", "--team", "checkout=#checkout-platform")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("receivers (-deploy/alertmanager/alertmanager.yml +got):\n%s", diff)
	}
	other, err := execute(t, "receivers", "--format=operator", "--pager=pagerduty", "--pager-url=https://pd.example.org/", "--slack-url=https://slack-gov.com/api/chat.postMessage",
		"--slack-channel=#here", "--team=a=#a", "--team=b=#b", "--secret=mine", "--namespace=there")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"pagerdutyConfigs", "https://pd.example.org/", `"#here"`, `"#a"`, `"#b"`, "{name: mine, key: pager-key}", "namespace: there"} {
		if !strings.Contains(other, want) {
			t.Errorf("receivers: %s is not in\n%s", want, other)
		}
	}
	if _, err := execute(t, "receivers", "--pager=incidentio"); err == nil || !strings.Contains(err.Error(), "URL of the alert source") {
		t.Errorf("receivers of incident.io without a URL: got %v, want an error that asks for it", err)
	}
}

// TestAlertingTable compares the table of docs/alerting.md with where the configuration in deploy/alertmanager sends each alert.
func TestAlertingTable(t *testing.T) {
	cfg, err := routing.Load(filepath.Join("..", "..", "deploy", "alertmanager", "alertmanager.yml"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := mixin.New(mixin.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := m.Alerts()
	if err != nil {
		t.Fatal(err)
	}
	loki, err := m.Loki()
	if err != nil {
		t.Fatal(err)
	}
	words := strings.NewReplacer(
		"crossplane-slack (slack)", "Slack",
		"crossplane-pager (opsgenie)", "pager", "crossplane-watchdog (webhook)", "dead man's switch",
		"Crossplane", "",
		" with the same cluster, ", " with the same ", " with the same cluster", "",
	)
	var table strings.Builder
	table.WriteString("| alert | severity | told | not while |\n|---|---|---|---|\n")
	for _, r := range cfg.Report(routing.Alerts(alerts, loki), nil, nil) {
		mutes := make([]string, 0, len(r.Mutes))
		for _, m := range r.Mutes {
			mutes = append(mutes, words.Replace(m))
		}
		fmt.Fprintf(&table, "| [%s](runbooks/%[1]s.md) | %s | %s | %s |\n", r.Alert.Name, r.Alert.Severity(), words.Replace(strings.Join(r.Ways, ", ")), strings.Join(mutes, "; "))
	}
	file := filepath.Join("..", "..", "docs", "alerting.md")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), "| alert | severity |")
	_, after, _ := strings.Cut(rest, "\n\n")
	if !found {
		t.Fatalf("%s has no table of alerts", file)
	}
	want := before + table.String() + "\n" + after
	if *updateAlerting {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("%s is not what the configuration does (-want +got); -update-alerting writes it anew:\n%s", file, diff)
	}
}

// execute runs the command and returns what it prints.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	parser, err := kong.New(&cli{}, kong.Writers(&out, &out), kong.Exit(func(code int) { t.Fatalf("%v: exit %d\n%s", args, code, out.String()) }))
	if err != nil {
		t.Fatal(err)
	}
	k, err := parser.Parse(args)
	if err == nil {
		err = k.Run()
	}
	return out.String(), err
}
