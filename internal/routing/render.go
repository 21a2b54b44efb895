package routing

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"crossplane-exporter/deploy/alertmanager"
)

// A Format is one that a configuration can be rendered in.
type Format string

// Formats there are.
const (
	// Plain is Alertmanager's own.
	Plain Format = "plain"
	// Operator is an AlertmanagerConfig, for Prometheus Operator.
	Operator Format = "operator"
	// KubePrometheusStack is values for the Helm chart of that name.
	KubePrometheusStack Format = "kps"
)

// A Pager is a service that wakes people up.
type Pager string

// Pagers there are.
const (
	Opsgenie   Pager = "opsgenie"
	JSM        Pager = "jsm" // Jira Service Management, with Opsgenie's API.
	PagerDuty  Pager = "pagerduty"
	IncidentIO Pager = "incidentio"
)

// Options say what to render.
type Options struct {
	Format Format
	Pager  Pager
	// PagerURL is where the pager's API is; "" is where it is for everybody. incident.io gives every alert source one of its own.
	PagerURL string
	// SlackURL is that of chat.postMessage; "" is where it is for everybody but GovSlack.
	SlackURL string
	// SlackChannel is where everything is told that no team's channel is for.
	SlackChannel string
	// Teams that have channels of their own.
	Teams []Team
	// Secret is the name of the Secret with the credentials, and Namespace the one that it and the AlertmanagerConfig are in.
	// Without Kubernetes, SecretDir is where they are as files.
	Secret, Namespace, SecretDir string
}

// A Team has a Slack channel for the alerts whose label team is its name.
type Team struct{ Name, Channel string }

// Keys of the Secret, and names of the files.
const (
	slackURLKey   = "slack-url" // Of an AlertmanagerConfig only, which takes URLs of Slack from Secrets alone.
	slackTokenKey = "slack-token"
	pagerKeyKey   = "pager-key"
	watchdogKey   = "watchdog-url"
)

// A rendering is what the templates are expanded with.
type rendering struct {
	Options

	Watchdog    string
	Inhibitions []Inhibition
	Template    string
}

//go:embed templates
var files embed.FS

// Render makes a configuration.
func Render(o Options) ([]byte, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	r := rendering{Options: o, Watchdog: Watchdog, Inhibitions: Inhibitions(), Template: alertmanager.Template}
	t, err := parseTemplates()
	if err != nil {
		return nil, err
	}
	switch o.Format {
	case Plain:
		return expand(t, "plain.yml.tmpl", r)
	case KubePrometheusStack:
		r.SecretDir = "/etc/alertmanager/secrets/" + o.Secret // Where Prometheus Operator mounts it.
		return expand(t, "kps.yaml.tmpl", r)
	case Operator:
		return r.operator(t)
	}
	return nil, fmt.Errorf("format %q: there are %s, %s and %s", o.Format, Plain, Operator, KubePrometheusStack)
}

// complete checks options and fills in what is left out.
func (o *Options) complete() error {
	urls := map[Pager]string{
		Opsgenie:   "https://api.opsgenie.com/",
		JSM:        "https://api.atlassian.com/jsm/ops/integration/",
		PagerDuty:  "https://events.pagerduty.com/v2/enqueue",
		IncidentIO: "",
	}
	standard, ok := urls[o.Pager]
	switch {
	case !ok:
		return fmt.Errorf("pager %q: there are %s, %s, %s and %s", o.Pager, Opsgenie, JSM, PagerDuty, IncidentIO)
	case o.Pager == IncidentIO && o.PagerURL == "":
		return errors.New("incident.io: the URL of the alert source is missing; it is shown with the source in incident.io")
	case o.Pager == IncidentIO && o.Format == Operator:
		return errors.New("incident.io: an AlertmanagerConfig has no receiver for it; render another format")
	case o.SlackChannel == "":
		return errors.New("the Slack channel is missing")
	}
	o.PagerURL = cmp.Or(o.PagerURL, standard)
	o.SlackURL = cmp.Or(o.SlackURL, "https://slack.com/api/chat.postMessage")
	for what, text := range map[string]string{"pager": o.PagerURL, "Slack": o.SlackURL} {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("URL of %s: %q is none", what, text)
		}
	}
	for i, t := range o.Teams {
		switch {
		case t.Name == "" || t.Channel == "":
			return fmt.Errorf("team %q, channel %q: a team has a name and a channel", t.Name, t.Channel)
		case slices.ContainsFunc(o.Teams[:i], func(other Team) bool { return other.Name == t.Name }):
			return fmt.Errorf("team %s: it is there twice", t.Name)
		}
	}
	return nil
}

// receiver is the template of the pager's receiver.
func (o Options) receiver() string {
	if o.Pager == JSM {
		return string(Opsgenie)
	}
	return string(o.Pager)
}

// parseTemplates reads the templates. Theirs are double brackets, because double braces are Alertmanager's.
func parseTemplates() (*template.Template, error) {
	t := template.New("").Delims("[[", "]]").Option("missingkey=error")
	t.Funcs(template.FuncMap{
		"quote":  strconv.Quote,
		"single": func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" },
		"indent": indent,
		"join":   func(s []string) string { return strings.Join(s, ", ") },
		// In a list in brackets, some of what is in regular expressions has a meaning of its own.
		"matchers": func(s []string) string { return "'" + strings.Join(s, "', '") + "'" },
		"pager":    func(r rendering) string { return r.receiver() },
		"slack": func(r rendering, channel string) any {
			return struct{ Channel, URL, SecretDir string }{channel, r.SlackURL, r.SecretDir}
		},
		"include": func(name string, with any) (string, error) {
			text, err := expand(t, name, with)
			return strings.Trim(string(text), "\n"), err
		},
	})
	return t.ParseFS(files, "templates/*")
}

func expand(t *template.Template, name string, with any) ([]byte, error) {
	var text bytes.Buffer
	if err := t.ExecuteTemplate(&text, name, with); err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	return text.Bytes(), nil
}

// indent moves all lines that are not empty to the right.
func indent(by int, text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = strings.Repeat(" ", by) + l
		}
	}
	return strings.Join(lines, "\n")
}
