// Package mixin has the Prometheus rules, alerts and Grafana dashboards of Crossplane: jsonnet, embedded, and evaluated with a
// user's settings.
package mixin

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-jsonnet"
)

// Sources is the mixin in jsonnet. mixin.libsonnet is where it begins.
//
//go:embed *.libsonnet alerts dashboards lib loki rules
var Sources embed.FS

// A RuleFile is what Prometheus and Loki read rules from.
type RuleFile struct {
	Groups []Group `json:"groups"`
}

// A Group is rules that are evaluated one after the other.
type Group struct {
	Name  string `json:"name"`
	Rules []Rule `json:"rules"`
}

// A Rule has either Alert or Record.
type Rule struct {
	Alert         string            `json:"alert,omitempty"`
	Record        string            `json:"record,omitempty"`
	Expr          string            `json:"expr"`
	For           string            `json:"for,omitempty"`
	KeepFiringFor string            `json:"keep_firing_for,omitempty"`
	Labels        map[string]string `json:"labels,omitempty"`
	Annotations   map[string]string `json:"annotations,omitempty"`
}

// A Mixin is the mixin with a user's settings.
type Mixin struct {
	vm *jsonnet.VM
	// overlay is jsonnet that is added to the mixin.
	overlay string
}

// New is the mixin with those settings. It refuses settings that there are not, and values of another type than the default's.
func New(s Settings) (*Mixin, error) {
	m := &Mixin{vm: jsonnet.MakeVM()}
	m.vm.Importer(&importer{})
	m.vm.ErrorFormatter.SetMaxStackTraceSize(5)
	if err := m.configure(s); err != nil {
		return nil, err
	}
	return m, nil
}

// Alerts are the alerts for Prometheus. They read what Rules record.
func (m *Mixin) Alerts() (RuleFile, error) { return m.ruleFile("prometheusAlerts") }

// Rules are the recording rules for Prometheus.
func (m *Mixin) Rules() (RuleFile, error) { return m.ruleFile("prometheusRules") }

// Loki are the recording rules and the alerts for Loki's ruler, whether they are enabled or not.
func (m *Mixin) Loki() (RuleFile, error) {
	rules, err := m.ruleFile("lokiRules")
	if err != nil {
		return RuleFile{}, err
	}
	alerts, err := m.ruleFile("lokiAlerts")
	return RuleFile{append(rules.Groups, alerts.Groups...)}, err
}

// Dashboards are the dashboards for Grafana, by file name.
func (m *Mixin) Dashboards() (map[string]json.RawMessage, error) {
	var d map[string]json.RawMessage
	return d, m.evaluate("grafanaDashboards", &d)
}

func (m *Mixin) ruleFile(field string) (f RuleFile, err error) {
	return f, m.evaluate(field, &f)
}

// evaluate decodes a field of the mixin.
func (m *Mixin) evaluate(field string, into any) error {
	text, err := m.vm.EvaluateAnonymousSnippet("settings", "((import 'mixin.libsonnet')"+m.overlay+")."+field)
	if err != nil {
		return errors.New(strings.TrimSpace(err.Error()))
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return fmt.Errorf("%s of the mixin is not what it should be: %w", field, err)
	}
	return nil
}

// root is where the embedded files are, as jsonnet names them in errors.
const root = "crossplane-mixin/"

// An importer imports embedded files for embedded files, and a user's for a user's.
type importer struct {
	files    jsonnet.FileImporter
	embedded map[string]jsonnet.Contents
}

// Import implements jsonnet.Importer.
func (i *importer) Import(from, name string) (jsonnet.Contents, string, error) {
	if from == "" { // what evaluate makes
		from = root
	}
	if !strings.HasPrefix(from, root) || filepath.IsAbs(name) {
		return i.files.Import(from, name)
	}
	name = path.Join(path.Dir(from), name)
	if c, ok := i.embedded[name]; ok {
		return c, name, nil
	}
	text, err := Sources.ReadFile(strings.TrimPrefix(name, root))
	if err != nil {
		return jsonnet.Contents{}, "", err
	}
	if i.embedded == nil {
		i.embedded = map[string]jsonnet.Contents{}
	}
	i.embedded[name] = jsonnet.MakeContentsRaw(text) // the same value each time: jsonnet insists
	return i.embedded[name], name, nil
}
