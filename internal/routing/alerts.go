package routing

import (
	"maps"
	"strings"

	"github.com/prometheus/common/model"

	"crossplane-exporter/mixin"
)

// An Alert is an alert as its rule says it will be.
type Alert struct {
	Name string
	// Labels that it will have whatever it is about: those of the rule that are no templates.
	Labels map[string]string
}

// Severity of the alert: critical, warning or info; none of the watchdog.
func (a Alert) Severity() string { return a.Labels["severity"] }

// same tells whether two are the same alert.
func (a Alert) same(b Alert) bool { return a.labels(nil).Equal(b.labels(nil)) }

// Alerts are the alerts of rules. Two rules with the same name and the same labels are one alert.
func Alerts(files ...mixin.RuleFile) []Alert {
	var alerts []Alert
	known := make(map[model.Fingerprint]bool)
	for _, f := range files {
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if r.Alert == "" {
					continue // It records.
				}
				a := Alert{Name: r.Alert, Labels: maps.Clone(r.Labels)}
				maps.DeleteFunc(a.Labels, func(_, v string) bool { return strings.Contains(v, "{{") })
				if f := a.labels(nil).Fingerprint(); !known[f] {
					known[f] = true
					alerts = append(alerts, a)
				}
			}
		}
	}
	return alerts
}

// labels are those that Alertmanager sees, with further ones. Prometheus leaves out those that are empty.
func (a Alert) labels(further map[string]string) model.LabelSet {
	set := model.LabelSet{model.AlertNameLabel: model.LabelValue(a.Name)}
	for _, labels := range []map[string]string{further, a.Labels} {
		for k, v := range labels {
			if v != "" {
				set[model.LabelName(k)] = model.LabelValue(v)
			}
		}
	}
	return set
}
