package routing

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config/receiver"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestNotifications compares what is sent to Slack and to the pagers with golden files. Alertmanager's own notifiers send it, with
// the rendered configurations; only addresses and secrets are others.
func TestNotifications(t *testing.T) {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	fire := func(since, until time.Duration, description string, labels ...string) *alert.Alert {
		a := &alert.Alert{Alert: model.Alert{
			Labels:      model.LabelSet{"cluster": "production"},
			Annotations: model.LabelSet{"description": model.LabelValue(description)},
			StartsAt:    noon.Add(since),
			EndsAt:      time.Now().Add(time.Hour),
		}}
		if until != 0 {
			a.EndsAt = noon.Add(until)
		}
		for i := 0; i < len(labels); i += 2 {
			a.Labels[model.LabelName(labels[i])] = model.LabelValue(labels[i+1])
		}
		a.Annotations["runbook_url"] = "https://example.org/runbooks/" + a.Labels["alertname"] + ".md"
		return a
	}
	provider := func(until time.Duration) *alert.Alert {
		const name = "provider-aws-s3-ba9876543210"
		a := fire(-time.Hour, until, "The deployment of ProviderRevision "+name+" has not been available since 2026-11-20 10:51:00 +0000 UTC. Likely: it crashes, is out of memory, or its image cannot be pulled. What it serves is frozen, and may go on saying Ready.",
			"alertname", "CrossplanePackageRuntimeNotHealthy", "severity", "critical", "category", "package", "group", "pkg.crossplane.io", "kind", "ProviderRevision", "name", name,
			"domain", "pkg.crossplane.io", "package", "provider-aws-s3", "provider", "aws")
		a.Annotations["summary"] = "The process of a package is not healthy."
		a.Annotations["dashboard_url"] = "https://grafana.example.org/d/crossplane-control-plane?from=now-6h&to=now&var-kind=ProviderRevision&var-name=" + name
		return a
	}
	bucket := func(i int, until time.Duration) *alert.Alert {
		name, team := fmt.Sprintf("assets-%02d", i), []string{"sales", "shop", "checkout.eu"}[i%3]
		a := fire(-time.Duration(i)*time.Minute, until, "Bucket "+name+" of team "+team+" has not been ready since 2026-11-20 11:30:00 +0000 UTC, though its provider reaches it. Reason: Waiting & seeing.",
			"alertname", "CrossplaneManagedResourceNotReady", "severity", "warning", "category", "managed", "group", "s3.aws.upbound.io", "kind", "Bucket", "name", name, "team", team,
			"domain", "aws.upbound.io", "provider", "aws", "provider_config", fmt.Sprintf("account-%d", i))
		a.Annotations["summary"] = "A managed resource is not ready."
		a.Annotations["dashboard_url"] = model.LabelValue("https://grafana.example.org/d/crossplane-resources?from=now-6h&to=now&var-kind=Bucket&var-name=" + name)
		return a
	}
	buckets := func(from, to int, until time.Duration) (all []*alert.Alert) {
		for i := from; i < to; i++ {
			all = append(all, bucket(i, until))
		}
		return all
	}
	hostile := fire(-26*time.Hour, 0, strings.Repeat("<b>\"&'\\ü\n", 60), "alertname", "CrossplaneManagedResourceNotReady", "severity", "info", "instance", "10.0.0.7:9948",
		"job", "crossplane-exporter", "pod", "crossplane-exporter-6f9c-x2x7p", "resource_namespace", "shop", "kind", `Buck"et`, "name", `a+b c&d=e#f%20\g`, "team", "a|b,(c")
	// Whoever may annotate a resource would call everybody in the channel, and have a tag that Opsgenie refuses.
	calling := fire(-time.Hour, 0, "Bucket <!here> of team <!channel>", "alertname", "CrossplaneManagedResourceNotReady", "severity", "warning", "domain", "<!channel>",
		"team", "<!channel> <https://evil.example.org|sales>, "+strings.Repeat("ö", 60))
	cases := map[string]struct {
		reason string
		pagers []Pager
		alerts []*alert.Alert
	}{
		"provider":          {"One alert: what, since when, why, and where to go on.", []Pager{Opsgenie, PagerDuty, IncidentIO}, []*alert.Alert{provider(0)}},
		"provider-resolved": {"It is over by itself.", []Pager{JSM, PagerDuty}, []*alert.Alert{provider(-5 * time.Minute)}},
		"many":              {"A list is cut, with a count of the rest, and every team is named.", []Pager{Opsgenie, PagerDuty}, buckets(0, 30, 0)},
		"many-resolved":     {"So it is when they are resolved.", []Pager{PagerDuty}, buckets(0, 30, time.Hour)},
		"some-resolved":     {"What fires comes first, and what does no longer, below.", []Pager{Opsgenie}, append(buckets(0, 3, 0), buckets(3, 5, time.Hour)...)},
		"hostile":           {"Labels may have anything in them.", []Pager{Opsgenie, PagerDuty}, []*alert.Alert{hostile}},
		"calling":           {"Nobody is called who is not meant.", []Pager{Opsgenie}, []*alert.Alert{calling}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			for i, p := range tc.pagers {
				receivers := []string{"crossplane-slack", "crossplane-pager"}
				if i > 0 {
					receivers = receivers[1:] // Slack is told the same.
				}
				for _, r := range send(t, p, receivers, tc.alerts...) {
					got.WriteString(r)
				}
			}
			if name != "hostile" && name != "calling" {
				checkShipped(t, tc.alerts)
			}
			golden(t, tc.reason, filepath.Join("testdata", "notifications", name+".txt"), got.Bytes())
			checkSilence(t, got.String(), tc.alerts)
		})
	}
}

// send has receivers of a rendered configuration tell of alerts, and returns the requests.
func send(t *testing.T, p Pager, receivers []string, alerts ...*alert.Alert) []string {
	t.Helper()
	var requests []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		check(t, err)
		var pretty bytes.Buffer
		check(t, json.Indent(&pretty, body, "", "  "))
		text := strings.NewReplacer(`\u0026`, "&", `\u003c`, "<", `\u003e`, ">").Replace(pretty.String())
		requests = append(requests, fmt.Sprintf("%s %s\nAuthorization: %s\n%s\n\n", r.Method, r.URL, r.Header.Get("Authorization"), text))
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"ok":true}`)
	}))
	defer server.Close()
	secrets := t.TempDir()
	for _, key := range []string{slackTokenKey, pagerKeyKey, watchdogKey} {
		write(t, filepath.Join(secrets, key), "the-"+key+"\n")
	}
	text, err := Render(Options{Format: Plain, Pager: p, PagerURL: server.URL + "/pager/", SlackChannel: "#crossplane", SecretDir: secrets})
	check(t, err)
	text = bytes.ReplaceAll(text, []byte("https://slack.com"), []byte(server.URL))
	cfg, err := parse(text)
	check(t, err)
	tmpl, err := template.FromGlobs([]string{filepath.Join("..", "..", "deploy", "alertmanager", "templates", "*.tmpl")})
	check(t, err)
	tmpl.ExternalURL, err = url.Parse("https://alertmanager.example.org")
	check(t, err)
	common := alert.Alerts(alerts...)[0].Labels
	ctx := notify.WithGroupKey(context.Background(), `{}/{alertname=~"Crossplane.+"}:{alertname="`+string(common["alertname"])+`"}`)
	group := make(model.LabelSet)
	for _, name := range cfg.Route.Routes[0].GroupBy {
		if value, ok := common[name]; ok {
			group[name] = value
		}
	}
	ctx = notify.WithGroupLabels(ctx, group)
	for _, name := range receivers {
		ctx := notify.WithReceiverName(ctx, name)
		for _, r := range cfg.Receivers {
			if r.Name != name {
				continue
			}
			integrations, err := receiver.BuildReceiverIntegrations(r, tmpl, slog.New(slog.DiscardHandler))
			check(t, err)
			for _, i := range integrations {
				if _, err := i.Notify(ctx, alerts...); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	return requests
}

// checkShipped sees that alerts are such as the mixin's own tests expect: of that name and severity, with these labels.
func checkShipped(t *testing.T, alerts []*alert.Alert) {
	t.Helper()
	expected := expectedAlerts(t)
	for _, a := range alerts {
		if !slices.ContainsFunc(expected, func(e model.LabelSet) bool {
			for name := range a.Labels {
				if _, ok := e[name]; !ok && name != "cluster" {
					return false
				}
			}
			return e["alertname"] == a.Labels["alertname"] && e["severity"] == a.Labels["severity"]
		}) {
			t.Errorf("the mixin's tests expect no alert such as %v", a.Labels)
		}
	}
}

// checkSilence sees that the filter of a silence, as a browser reads it, is of all the alerts and not of the pod that was scraped.
func checkSilence(t *testing.T, request string, alerts []*alert.Alert) {
	t.Helper()
	_, rest, _ := strings.Cut(request, "/#/silences/new?filter=")
	encoded, _, _ := strings.Cut(rest, `"`)
	filter, err := url.PathUnescape(encoded)
	check(t, err)
	matchers, err := labels.ParseMatchers(filter)
	check(t, err)
	for _, a := range alerts {
		if !labels.Matchers(matchers).Matches(a.Labels) {
			t.Errorf("silence %s is not of %v", filter, a.Labels)
		}
	}
	if len(matchers) < 3 || strings.Contains(filter, "pod=") {
		t.Errorf("silence %s is of too much, or ends with the pod", filter)
	}
}

// golden compares with a file, or writes it with -update.
func golden(t *testing.T, reason, file string, got []byte) {
	t.Helper()
	if *update {
		check(t, os.MkdirAll(filepath.Dir(file), 0o750))
		write(t, file, string(got))
	}
	want, err := os.ReadFile(file)
	check(t, err)
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s\n%s (-want +got); -update writes it anew:\n%s", reason, file, diff)
	}
}
