package main

import "github.com/alecthomas/kong"

type rulesCmd struct {
	settingsFlags
	outputFlags

	Format string `default:"plain" enum:"plain,operator,configmap" help:"What to print: a rule file of Prometheus, a PrometheusRule for Prometheus Operator, or a ConfigMap: ${enum}."`
}

// Run prints the recording rules.
func (c *rulesCmd) Run(k *kong.Context) error {
	m, err := c.mixin()
	if err != nil {
		return err
	}
	rules, err := m.Rules()
	if err != nil {
		return err
	}
	f, err := yamlFile("rules.yaml", rules)
	switch {
	case err != nil:
		return err
	case c.Format == "operator":
		f, err = yamlFile("prometheusrule.yaml", c.prometheusRule("crossplane-rules", rules))
	case c.Format == "configmap":
		f, err = yamlFile("configmap.yaml", c.configMap("crossplane-rules", nil, f))
	}
	if err != nil {
		return err
	}
	return c.say(k.Stdout, f)
}
