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
			Labels:      model.LabelSet{"instance": "10.0.0.7:9948", "job": "crossplane-exporter", "pod": "crossplane-exporter-6f9c-x2x7p", "cluster": "production"},
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
		a := fire(-time.Hour, until, "Provider provider-aws-s3 is not healthy: its pod does not run. Its resources are not looked after.",
			"alertname", "CrossplaneProviderUnhealthy", "severity", "critical", "kind", "Provider", "name", "provider-aws-s3")
		a.Annotations["summary"] = "A provider is not healthy."
		a.Annotations["dashboard_url"] = "https://grafana.example.org/d/crossplane-control-plane?var-name=provider-aws-s3"
		return a
	}
	bucket := func(i int, until time.Duration) *alert.Alert {
		name := fmt.Sprintf("assets-%02d", i)
		a := fire(-time.Duration(i)*time.Minute, until, "Bucket "+name+" has not been ready for half an hour: denied. Look at its conditions & events.",
			"alertname", "CrossplaneResourceNotReady", "severity", "warning", "group", "s3.aws.upbound.io", "kind", "Bucket", "name", name, "team", []string{"sales", "shop", "checkout.eu"}[i%3])
		a.Annotations["summary"] = "A resource is not ready."
		a.Annotations["dashboard_url"] = model.LabelValue("https://grafana.example.org/d/crossplane-resources?var-kind=Bucket&var-name=" + name)
		return a
	}
	buckets := func(from, to int, until time.Duration) (all []*alert.Alert) {
		for i := from; i < to; i++ {
			all = append(all, bucket(i, until))
		}
		return all
	}
	hostile := fire(-26*time.Hour, 0, strings.Repeat("<b>\"&'\\ü\n", 60), "alertname", "CrossplaneResourceNotReady", "severity", "info",
		"resource_namespace", "shop", "kind", `Buck"et`, "name", `a+b c&d=e#f%20\g`, "team", "a|b,(c")
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
	ctx = notify.WithGroupLabels(ctx, model.LabelSet{"alertname": common["alertname"], "severity": common["severity"], "cluster": common["cluster"]})
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
