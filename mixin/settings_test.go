package mixin

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rule is the alert or the recording rule of that name.
func rule(t *testing.T, f RuleFile, name string) Rule {
	t.Helper()
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			if r.Alert == name || r.Record == name {
				return r
			}
		}
	}
	return Rule{}
}

// write makes a file of that text.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "mine.libsonnet")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSettings(t *testing.T) {
	const loop = "CrossplaneDriftLoop"
	cases := map[string]struct {
		reason string
		set    []string
		file   string
		check  func(t *testing.T, alerts RuleFile) bool
	}{
		"Default": {
			"Without settings everything is as in config.libsonnet.", nil, "",
			func(t *testing.T, f RuleFile) bool {
				r := rule(t, f, loop)
				return r.For == "15m" && r.KeepFiringFor == "5m"
			},
		},
		"Duration": {
			"A duration of one alert.", []string{"alerts.CrossplaneDriftLoop.for=1h"}, "",
			func(t *testing.T, f RuleFile) bool { return rule(t, f, loop).For == "1h" },
		},
		"Disabled": {
			"An alert that is disabled is not there.", []string{"alerts.CrossplaneDriftLoop.enabled=false"}, "",
			func(t *testing.T, f RuleFile) bool { return rule(t, f, loop).Alert == "" },
		},
		"Number": {
			"A number.", []string{"many=7"}, "",
			func(t *testing.T, f RuleFile) bool {
				return strings.Contains(rule(t, f, "CrossplaneManyResourcesNotReady").Expr, "> 7")
			},
		},
		"Words": {
			"A list as words.", []string{"principalsExpected=crossplane, iac"}, "",
			func(t *testing.T, f RuleFile) bool {
				return strings.Contains(rule(t, f, "CrossplaneCloudChangedOutside").Expr, `principal_class!~"crossplane|iac"`)
			},
		},
		"JSON": {
			"A list as JSON.", []string{`principalsExpected=["crossplane"]`}, "",
			func(t *testing.T, f RuleFile) bool {
				return strings.Contains(rule(t, f, "CrossplaneCloudChangedOutside").Expr, `principal_class!~"crossplane"`)
			},
		},
		"Equals": {
			"Only the first equals sign is ours.", []string{`exporterSelector=job="mine", env="live"`}, "",
			func(t *testing.T, f RuleFile) bool {
				return strings.Contains(rule(t, f, loop).Expr, `platform_resource_drift_loop{job="mine", env="live"}`)
			},
		},
		"File": {
			"A file changes settings, and may have rules of its own.", nil,
			`{ _config+:: { alerts+: { CrossplaneDriftLoop+: { 'for': '2h' } } }, prometheusAlerts+:: { groups+: [{ name: 'mine', rules: [{ alert: 'Mine', expr: '1' }] }] } }`,
			func(t *testing.T, f RuleFile) bool {
				return rule(t, f, loop).For == "2h" && rule(t, f, "Mine").Expr == "1"
			},
		},
		"Both": {
			"What is set on the command line wins.", []string{"alerts.CrossplaneDriftLoop.for=3h"},
			`{ _config+:: { alerts+: { CrossplaneDriftLoop+: { 'for': '2h' } } } }`,
			func(t *testing.T, f RuleFile) bool { return rule(t, f, loop).For == "3h" },
		},
		"Later": {
			"A setting that others follow is changed for all of them.", []string{"keepFiringFor=7m"}, "",
			func(t *testing.T, f RuleFile) bool { return rule(t, f, loop).KeepFiringFor == "7m" },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := Settings{Set: tc.set}
			if tc.file != "" {
				s.File = write(t, tc.file)
			}
			m, err := New(s)
			if err != nil {
				t.Fatalf("%s\nNew(%+v): %v", tc.reason, s, err)
			}
			alerts, err := m.Alerts()
			if err != nil {
				t.Fatal(err)
			}
			if !tc.check(t, alerts) {
				t.Errorf("%s\nNew(%+v): the alerts are not so", tc.reason, s)
			}
		})
	}
}

func TestSettingsRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		set    string
		file   string
		want   []string // parts of the error
	}{
		"NoSuchAlert": {
			"What is near is suggested.", "alerts.CrossplaneDriftLop.for=1h", "",
			[]string{"no such setting; did you mean alerts.CrossplaneDriftLoop?"},
		},
		"NoSuchField":  {"Letters are exchanged easily.", "alerts.CrossplaneDriftLoop.fro=1h", "", []string{"did you mean alerts.CrossplaneDriftLoop.for?"}},
		"WrongPlace":   {"It may be elsewhere.", "creatingafter.x=1", "", []string{"did you mean creatingAfter?"}},
		"FarFromAll":   {"Of a few, all are named.", "slo.xxxxxxxxxx=1", "", []string{"there are categories, fast, minObjects, objective, slow"}},
		"Below":        {"A value has no settings.", "many.x=1", "", []string{"many: there are no settings below it"}},
		"Group":        {"A group is no value.", "slo.fast=1", "", []string{"several: factor, long, short"}},
		"NoEquals":     {"It is path=value.", "many", "", []string{"want path=value"}},
		"NoNumber":     {"A number has to be one.", "many=few", "", []string{`"few" is no number`}},
		"NoBool":       {"So has a boolean.", "showMultiCluster=maybe", "", []string{`"maybe" is neither true nor false`}},
		"NoDuration":   {"And a duration.", "alerts.CrossplaneDriftLoop.for=soon", "", []string{`"soon" is no duration such as 15m`}},
		"NoSeverity":   {"And a severity.", "alerts.CrossplaneDriftLoop.severity=bad", "", []string{"none of critical, warning, info, none"}},
		"FileUnknown":  {"Of a file, the line is named.", "", "{\n  _config+:: {\n    alerts+: {\n      CrossplaneDriftLoop+: {\n        fro: '1h',\n      },\n    },\n  },\n}\n", []string{"mine.libsonnet:5: ", "did you mean alerts.CrossplaneDriftLoop.for?"}},
		"FileType":     {"A value has the type of the default.", "", "{\n  _config+:: {\n    many: '5',\n  },\n}\n", []string{"mine.libsonnet:3: many: want a number such as 5, not \"5\""}},
		"FileReplaces": {"Who forgets a plus loses the rest.", "", "{\n  _config+:: {\n    slo: { objective: 0.9 },\n  },\n}\n", []string{"mine.libsonnet:3: ", "write +: after slo"}},
		"FileSyntax":   {"jsonnet says where it cannot go on.", "", "{\n  _config+:: {\n    many: ,\n  },\n}\n", []string{"mine.libsonnet:3:"}},
		"FileRuntime":  {"And where it failed.", "", "{\n  _config+:: {\n    many: 1 + error 'no',\n  },\n}\n", []string{"mine.libsonnet:3:", "no"}},
		"FileNone":     {"A file has to be there.", "", "-", []string{"no such file"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var s Settings
			switch tc.file {
			case "":
				s.Set = []string{tc.set}
			case "-":
				s.File = filepath.Join(t.TempDir(), "none.libsonnet")
			default:
				s.File = write(t, tc.file)
			}
			_, err := New(s)
			if err == nil {
				t.Fatalf("%s\nNew(%+v): no error, want %q", tc.reason, s, tc.want)
			}
			if slices.ContainsFunc(tc.want, func(part string) bool { return !strings.Contains(err.Error(), part) }) {
				t.Errorf("%s\nNew(%+v): %v, want %q", tc.reason, s, err, tc.want)
			}
		})
	}
}
