package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"crossplane-exporter/internal/routing"
)

type routesCmd struct {
	settingsFlags

	ConfigFile string            `name:"config.file" required:"" placeholder:"FILE" help:"Alertmanager's configuration."`
	Team       []string          `placeholder:"NAME" help:"A team that resources are of. Can be repeated."`
	Label      map[string]string `placeholder:"NAME=VALUE" help:"A label that all alerts have, such as Prometheus' external labels. Can be repeated."`
}

// Run prints where each alert goes. It fails if one goes nowhere, if the watchdog could be muted, or if templates are missing.
func (c *routesCmd) Run(k *kong.Context) error {
	cfg, err := routing.Load(c.ConfigFile)
	if err != nil {
		return err
	}
	m, err := c.mixin()
	if err != nil {
		return err
	}
	alerts, err := m.Alerts()
	if err != nil {
		return err
	}
	loki, err := m.Loki()
	if err != nil {
		return err
	}
	shipped := routing.Alerts(alerts, loki)
	rows := cfg.Report(shipped, c.Team, c.Label)
	if err := routing.WriteText(k.Stdout, rows); err != nil {
		return err
	}
	var errs []error
	var lost []string
	for _, r := range rows {
		if r.Lost {
			lost = append(lost, r.String())
		}
	}
	if len(lost) > 0 {
		errs = append(errs, fmt.Errorf("%s: nobody is told of %s: route it to a receiver that has integrations", c.ConfigFile, strings.Join(lost, ", ")))
	}
	switch missing, unseen := cfg.Missing(); {
	case len(missing) > 0 && len(unseen) > 0:
		fmt.Fprintf(k.Stderr, "%s: cannot tell whether the templates %s are there: no file here is %s\n", c.ConfigFile, strings.Join(missing, ", "), strings.Join(unseen, ", "))
	case len(missing) > 0:
		errs = append(errs, fmt.Errorf("%s: no message can be made: receivers use the templates %s, which no file defines that templates names; crossplane.… are in deploy/alertmanager/templates/crossplane.tmpl",
			c.ConfigFile, strings.Join(missing, ", ")))
	}
	for _, a := range shipped {
		if muzzles := cfg.Muzzles(a, c.Label); a.Name == routing.Watchdog && len(muzzles) > 0 {
			errs = append(errs, fmt.Errorf("%s: %s (severity %s) would be muted by %s: its silence is taken for a failure of Prometheus or Alertmanager; exclude it there",
				c.ConfigFile, a.Name, a.Severity(), strings.Join(muzzles, "; by ")))
		}
	}
	return errors.Join(errs...)
}
