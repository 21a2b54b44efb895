package pager_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"crossplane-exporter/playground/pager"
)

const (
	token      = "xoxb-playground"
	genieKey   = "0f3b2c1d-playground"
	routingKey = "0123456789abcdef0123456789abcdef"
)

// post posts a body and returns what is answered.
func post(t *testing.T, url, authorization, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader([]byte(body)))
	check(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", authorization)
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp.StatusCode, string(text)
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestRefusals sends what the services refuse. Stand-ins that take anything would prove nothing.
func TestRefusals(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ö", n) }
	const slack, opsgenie, pagerduty = "slack", "opsgenie", "pagerduty"
	cases := map[string]struct {
		reason, to, path, authorization, body, want string
	}{
		"SlackToken":      {"Nobody posts without the bot's token.", slack, "", "Bearer other", `{}`, "invalid_auth"},
		"SlackChannel":    {"A message goes to a channel.", slack, "", "Bearer " + token, `{"text":"hello"}`, "invalid_arguments"},
		"SlackNothing":    {"A message says something.", slack, "", "Bearer " + token, `{"channel":"#platform"}`, "invalid_arguments"},
		"SlackField":      {"A field that is not documented is a mistake.", slack, "", "Bearer " + token, `{"channel":"#platform","txt":"hello"}`, "invalid_json"},
		"SlackEscape":     {"Slack would take what is in < and > for a link.", slack, "", "Bearer " + token, `{"channel":"#p","attachments":[{"text":"ready < 1","callback_id":"","footer":""}]}`, "invalid_arguments"},
		"SlackColor":      {"There are three colors with names.", slack, "", "Bearer " + token, `{"channel":"#p","attachments":[{"text":"t","color":"blue","callback_id":"","footer":""}]}`, "invalid_arguments"},
		"SlackButton":     {"A button without URL leads nowhere.", slack, "", "Bearer " + token, `{"channel":"#p","attachments":[{"text":"t","callback_id":"","footer":"","actions":[{"type":"button","text":"Runbook"}]}]}`, "invalid_arguments"},
		"SlackLong":       {"A text is at most 4000 characters.", slack, "", "Bearer " + token, `{"channel":"#p","text":"` + long(4001) + `"}`, "invalid_arguments"},
		"OpsgenieKey":     {"Nobody pages without the integration's key.", opsgenie, "v2/alerts", "GenieKey other", `{"message":"m"}`, "could not authenticate"},
		"OpsgenieMessage": {"An alert has a message.", opsgenie, "v2/alerts", "GenieKey " + genieKey, `{"alias":"a"}`, "without a message"},
		"OpsgenieLong":    {"A message is at most 130 characters.", opsgenie, "v2/alerts", "GenieKey " + genieKey, `{"message":"` + long(131) + `"}`, "131 characters"},
		"OpsgenieSource":  {"A source is at most 100 characters, which Alertmanager's own would not be everywhere.", opsgenie, "v2/alerts", "GenieKey " + genieKey, `{"message":"m","source":"` + long(101) + `"}`, "101 characters"},
		"OpsgenieLevel":   {"There are five priorities.", opsgenie, "v2/alerts", "GenieKey " + genieKey, `{"message":"m","priority":"critical"}`, "priority"},
		"OpsgenieDetails": {"Details are at most 8000 characters, all together.", opsgenie, "v2/alerts", "GenieKey " + genieKey, `{"message":"m","details":{"a":"` + long(4000) + `","b":"` + long(4000) + `"}}`, "details"},
		"OpsgenieUpdate":  {"Jira Service Management has no method to change a message.", opsgenie, "v2/alerts/a/message?identifierType=alias", "GenieKey " + genieKey, `{"message":"m"}`, "no method of both"},
		"OpsgenieClose":   {"Without identifierType an alias is taken for an ID.", opsgenie, "v2/alerts/a/close", "GenieKey " + genieKey, `{}`, "identifierType"},
		"PagerDutyKey":    {"A routing key has 32 characters.", pagerduty, "", "", `{"routing_key":"short","event_action":"resolve","dedup_key":"d"}`, "should be 32"},
		"PagerDutySource": {"An event says where it comes from.", pagerduty, "", "", `{"routing_key":"` + routingKey + `","event_action":"trigger","payload":{"summary":"s","source":"","severity":"info"}}`, "payload.source"},
		"PagerDutyLevel":  {"There are four severities.", pagerduty, "", "", `{"routing_key":"` + routingKey + `","event_action":"trigger","payload":{"summary":"s","source":"s","severity":"P1"}}`, "severity"},
		"PagerDutyDedup":  {"What is resolved has to be named.", pagerduty, "", "", `{"routing_key":"` + routingKey + `","event_action":"resolve"}`, "dedup_key"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, o, p := pager.NewSlack(token), pager.NewOpsgenie(genieKey), pager.NewPagerDuty(routingKey)
			t.Cleanup(s.Close)
			t.Cleanup(o.Close)
			t.Cleanup(p.Close)
			url := map[string]string{slack: s.URL(), opsgenie: o.URL(), pagerduty: p.URL()}[tc.to]
			_, got := post(t, url+tc.path, tc.authorization, tc.body)
			if !strings.Contains(got, tc.want) {
				t.Errorf("%s\ngot %s, want %q in it", tc.reason, got, tc.want)
			}
			if n := len(s.Received()) + len(o.Received()) + len(p.Received()); n != 0 {
				t.Errorf("%s\nit was taken all the same", tc.reason)
			}
			if n := len(s.Refused()) + len(o.Refused()) + len(p.Refused()); n != 1 {
				t.Errorf("%s\n%d refusals are remembered, want one", tc.reason, n)
			}
		})
	}
}

// TestOpsgeniePages opens an alert, opens it again while it is open, closes it, and opens it once more.
func TestOpsgeniePages(t *testing.T) {
	for _, o := range []*pager.Opsgenie{pager.NewOpsgenie(genieKey), pager.NewJSM(genieKey)} {
		t.Cleanup(o.Close)
		for i, step := range []struct {
			reason, path, body string
			want               pager.OpsgenieAlert
		}{
			{"The first one pages.", "v2/alerts", `{"message":"one","alias":"a"}`, pager.OpsgenieAlert{OpsgenieCreate: pager.OpsgenieCreate{Message: "one", Alias: "a"}, Pages: 1, Open: true}},
			{"A second one with the same alias changes nothing.", "v2/alerts", `{"message":"two","alias":"a"}`, pager.OpsgenieAlert{OpsgenieCreate: pager.OpsgenieCreate{Message: "one", Alias: "a"}, Pages: 1, Open: true}},
			{"It is closed.", "v2/alerts/a/close?identifierType=alias", `{"source":"Alertmanager"}`, pager.OpsgenieAlert{OpsgenieCreate: pager.OpsgenieCreate{Message: "one", Alias: "a"}, Pages: 1}},
			{"Afterwards it pages again.", "v2/alerts", `{"message":"three","alias":"a"}`, pager.OpsgenieAlert{OpsgenieCreate: pager.OpsgenieCreate{Message: "three", Alias: "a"}, Pages: 2, Open: true}},
		} {
			if status, body := post(t, o.URL()+step.path, "GenieKey "+genieKey, step.body); status != http.StatusAccepted {
				t.Fatalf("%s\ngot %d %s", step.reason, status, body)
			}
			if diff := cmp.Diff([]pager.OpsgenieAlert{step.want}, o.Alerts()); diff != "" {
				t.Errorf("%s\nafter request %d (-want +got):\n%s", step.reason, i+1, diff)
			}
		}
		if diff := cmp.Diff([]string(nil), o.Refused()); diff != "" {
			t.Errorf("refused (-want +got):\n%s", diff)
		}
	}
}

// TestPagerDutyPages does the same with PagerDuty.
func TestPagerDutyPages(t *testing.T) {
	p := pager.NewPagerDuty(routingKey)
	t.Cleanup(p.Close)
	for _, step := range []struct {
		reason, action string
		want           pager.Incident
	}{
		{"The first one pages.", "trigger", pager.Incident{Pages: 1, Open: true}},
		{"A second one with the same key changes nothing.", "trigger", pager.Incident{Pages: 1, Open: true}},
		{"It is resolved.", "resolve", pager.Incident{Pages: 1}},
		{"Afterwards it pages again.", "trigger", pager.Incident{Pages: 2, Open: true}},
	} {
		body := `{"routing_key":"` + routingKey + `","event_action":"` + step.action + `","dedup_key":"d","payload":{"summary":"s","source":"s","severity":"critical"}}`
		if status, answer := post(t, p.URL(), "", body); status != http.StatusAccepted {
			t.Fatalf("%s\ngot %d %s", step.reason, status, answer)
		}
		if diff := cmp.Diff([]pager.Incident{step.want}, p.Incidents(), cmpopts.IgnoreFields(pager.Incident{}, "Event")); diff != "" {
			t.Errorf("%s\n(-want +got):\n%s", step.reason, diff)
		}
	}
}
