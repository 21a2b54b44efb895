package main

import (
	"errors"
	"strings"

	"github.com/alecthomas/kong"
)

type dashboardsCmd struct {
	settingsFlags
	outputFlags

	Format string `default:"plain" enum:"plain,configmap" help:"What to print: JSON as Grafana imports it, a file for each dashboard, or ConfigMaps as the sidecar of Grafana's chart finds them: ${enum}."`
	Folder string `default:"Crossplane" placeholder:"NAME" help:"Folder in Grafana, for configmap: the annotation grafana_folder."`
}

// Run prints the dashboards.
func (c *dashboardsCmd) Run(k *kong.Context) error {
	if c.Format == "plain" && c.Output == "" {
		return errors.New("dashboards: there are several; write them into a directory with --output=DIR, or print ConfigMaps with --format=configmap")
	}
	m, err := c.mixin()
	if err != nil {
		return err
	}
	dashboards, err := m.Dashboards()
	if err != nil {
		return err
	}
	files, err := jsonFiles(dashboards)
	if err != nil {
		return err
	}
	if c.Format == "plain" {
		return c.say(k.Stdout, files...)
	}
	manifests := make([]any, 0, len(files))
	for _, f := range files {
		// One for each, because a ConfigMap has a megabyte at most. Grafana's sidecar writes the files of all into one directory, where
		// others have an overview.json too.
		name := strings.TrimSuffix(f.name, ".json")
		f.name = "crossplane-" + f.name
		manifest := c.configMap("crossplane-dashboard-"+name, map[string]string{"grafana_dashboard": "1"}, f)
		if c.Folder != "" {
			manifest.Metadata.Annotations = map[string]string{"grafana_folder": c.Folder}
		}
		manifests = append(manifests, manifest)
	}
	f, err := yamlFile("configmaps.yaml", manifests...)
	if err != nil {
		return err
	}
	return c.say(k.Stdout, f)
}
