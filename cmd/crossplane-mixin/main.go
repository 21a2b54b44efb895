// Command crossplane-mixin prints the alerts, recording rules and dashboards of Crossplane, with settings of yours, and says where
// Alertmanager sends the alerts.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"crossplane-exporter/mixin"
)

type cli struct {
	Alerts     alertsCmd     `cmd:"" help:"Print the alerts."`
	Rules      rulesCmd      `cmd:"" help:"Print the recording rules, which alerts and dashboards read."`
	Dashboards dashboardsCmd `cmd:"" help:"Print the dashboards."`
	Routes     routesCmd     `cmd:"" help:"Print where Alertmanager sends each alert. Fail if one goes nowhere, if the watchdog could be muted, or if templates are missing."`
	Receivers  receiversCmd  `cmd:"" help:"Print a configuration for Alertmanager."`
}

// settingsFlags are how the mixin is to be.
type settingsFlags struct {
	Set    []string `placeholder:"KEY=VALUE" sep:"none" help:"Change a setting: alerts.CrossplaneDriftLoop.for=1h. Can be repeated. mixin/config.libsonnet has them all."`
	Config string   `type:"existingfile" placeholder:"FILE" help:"Change settings by a jsonnet file: { _config+:: { alerts+: { CrossplaneDriftLoop+: { 'for': '1h' } } } }."`
}

func (f settingsFlags) mixin() (*mixin.Mixin, error) {
	return mixin.New(mixin.Settings{File: f.Config, Set: f.Set})
}

func main() {
	k := kong.Parse(&cli{},
		kong.Name("crossplane-mixin"),
		kong.Description("Alerts, recording rules and dashboards for Crossplane and the platform around it."),
	)
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "crossplane-mixin:", err)
		os.Exit(1)
	}
}
