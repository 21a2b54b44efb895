package main

import (
	"github.com/alecthomas/kong"

	"crossplane-exporter/mixin"
)

type alertsCmd struct {
	settingsFlags
	outputFlags

	Format string `default:"plain" enum:"plain,operator,configmap,loki" help:"What to print: a rule file of Prometheus, PrometheusRules for Prometheus Operator, a ConfigMap, or a rule file for Loki's ruler: ${enum}. Operator and ConfigMap have the recording rules, too, without which the alerts are silent."`
}

// Run prints the alerts.
func (c *alertsCmd) Run(k *kong.Context) error {
	m, err := c.mixin()
	if err != nil {
		return err
	}
	f, err := c.file(m)
	if err != nil {
		return err
	}
	return c.say(k.Stdout, f)
}

// file is the alerts in the format that was asked for.
func (c *alertsCmd) file(m *mixin.Mixin) (file, error) {
	if c.Format == "loki" {
		rules, err := m.Loki()
		if err != nil {
			return file{}, err
		}
		return yamlFile("loki.yaml", rules)
	}
	alerts, err := m.Alerts()
	if err != nil {
		return file{}, err
	}
	plain, err := yamlFile("alerts.yaml", alerts)
	if err != nil || c.Format == "plain" {
		return plain, err
	}
	rules, err := m.Rules()
	if err != nil {
		return file{}, err
	}
	if c.Format == "operator" {
		return yamlFile("prometheusrule.yaml", c.prometheusRule("crossplane-rules", rules), c.prometheusRule("crossplane-alerts", alerts))
	}
	plainRules, err := yamlFile("rules.yaml", rules)
	if err != nil {
		return file{}, err
	}
	return yamlFile("configmap.yaml", c.configMap("crossplane-rules", nil, plainRules, plain))
}
