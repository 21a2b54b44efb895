package routing

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadRefuses(t *testing.T) {
	cases := map[string]struct {
		reason string
		// config has a line that ends in "# here", which the error has to name.
		config string
		want   string
	}{
		"Syntax": {
			reason: "A file that is no YAML is refused where it ends to be.",
			config: `
route:
  receiver: [a # here
receivers:
`,
			want: `did not find expected ',' or ']'`,
		},
		"Field": {
			reason: "A field that there is none of is named with its line by the decoder.",
			config: `
route: {receiver: a}
receivers:
  - name: a
    slack_config: [] # here
`,
			want: "field slack_config not found in type config.plain",
		},
		"UndefinedReceiver": {
			reason: "A route to a receiver that is missing is to blame, not the list of receivers.",
			config: `
receivers:
  - name: a
route:
  receiver: a
  routes:
    - matchers: [severity="critical"]
      receiver: pager # here
    - receiver: a
`,
			want: `undefined receiver "pager" used in route`,
		},
		"UndefinedReceiverTwice": {
			reason: "Of two of the same name the first is shown.",
			config: `
receivers:
  - name: a
route:
  receiver: a
  routes:
    - matchers: [severity="critical"]
      receiver: pager # here
    - matchers: [severity="warning"]
      receiver: pager
`,
			want: `undefined receiver "pager" used in route`,
		},
		"SecondName": {
			reason: "Of two receivers with one name the second is too many.",
			config: `
route: {receiver: a}
receivers:
  - name: a
  - name: b
  - name: a # here
`,
			want: `notification config name "a" is not unique`,
		},
		"Matcher": {
			reason: "A matcher that cannot be read is shown, however deep it is.",
			config: `
route:
  receiver: a
  routes:
    - receiver: a
      routes:
        - matchers:
            - severity="critical"
            - severity critical # here
receivers:
  - name: a
`,
			want: `bad matcher format: severity critical`,
		},
		"Receiver": {
			reason: "A receiver that lacks something is shown where it begins.",
			config: `
route: {receiver: a}
receivers:
  - name: a
    slack_configs: [{api_url: "https://example.org/"}]
    pagerduty_configs:
      - client: me # here
`,
			want: "missing service or routing key in PagerDuty config",
		},
		"KeyTwice": {
			reason: "A secret can be given in one way only.",
			config: `
global:
  opsgenie_api_key: a
  opsgenie_api_key_file: /b # here
route: {receiver: a}
receivers:
  - name: a
`,
			want: "at most one of opsgenie_api_key & opsgenie_api_key_file must be configured",
		},
		"TimeInterval": {
			reason: "A time interval that is not defined is shown where it is used.",
			config: `
route:
  receiver: a
  routes:
    - active_time_intervals:
        - office # here
time_intervals:
  - name: night
    time_intervals: [{times: [{start_time: "20:00", end_time: "24:00"}]}]
receivers:
  - name: a
`,
			want: `undefined time interval "office" used in route`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "alertmanager.yml")
			write(t, file, tc.config)
			_, err := Load(file)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("%s\nLoad(): got %v, want an error with %q", tc.reason, err, tc.want)
			}
			before, _, _ := strings.Cut(tc.config, "# here")
			line := 1 + strings.Count(before, "\n")
			if !strings.Contains(err.Error(), fmt.Sprintf("%s:%d:", file, line)) && !strings.Contains(err.Error(), fmt.Sprintf("line %d:", line)) {
				t.Errorf("%s\nLoad(): got %v, want line %d", tc.reason, err, line)
			}
		})
	}
}

func TestLoadRefusesWithoutLine(t *testing.T) {
	dir := t.TempDir()
	for name, tc := range map[string]struct{ reason, file, config, tmpl, want string }{
		"Empty":    {reason: "An empty file has no line to name.", config: "", want: "no route provided in config"},
		"Template": {reason: "Templates are part of it.", config: "route: {receiver: a}\nreceivers: [{name: a}]\ntemplates: ['*.tmpl']\n", tmpl: "{{ define }}", want: "broken.tmpl:1"},
		"Missing":  {reason: "A file that is not there is named.", file: "none.yml", want: "none.yml: no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, filepath.Join(dir, "alertmanager.yml"), tc.config)
			write(t, filepath.Join(dir, "broken.tmpl"), tc.tmpl)
			if tc.file == "" {
				tc.file = "alertmanager.yml"
			}
			if _, err := Load(filepath.Join(dir, tc.file)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nLoad(): got %v, want an error with %q", tc.reason, err, tc.want)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "ours.tmpl"), `{{ define "ours.title" }}{{ (index .Alerts 0).Labels.name }}{{ end }}`)
	const receivers = `
route: {receiver: a}
receivers:
  - name: a
    slack_configs:
      - api_url: https://slack.example.org/
        title: '{{ template "ours.title" . }}'
        text: "{{ template \"theirs.text\" . }}"
        footer: '{{ template "slack.default.footer" . }}'
`
	for name, tc := range map[string]struct {
		reason, templates string
		missing, unseen   []string
	}{
		"None":      {"Without files there are Alertmanager's own alone.", "", []string{"ours.title", "theirs.text"}, nil},
		"Loaded":    {"What a file defines is there, though it does not expand without alerts.", "templates: ['*.tmpl']", []string{"theirs.text"}, nil},
		"Elsewhere": {"Files that are not here may have the rest.", "templates: ['ours.tmpl', /none/*.tmpl]", []string{"theirs.text"}, []string{"/none/*.tmpl"}},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "alertmanager.yml")
			write(t, file, tc.templates+receivers)
			c, err := Load(file)
			check(t, err)
			missing, unseen := c.Missing()
			if diff := cmp.Diff([][]string{tc.missing, tc.unseen}, [][]string{missing, unseen}); diff != "" {
				t.Errorf("%s\nMissing() (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	check(t, os.WriteFile(file, []byte(text), 0o600))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
