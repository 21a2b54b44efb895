package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"crossplane-exporter/internal/routing"
)

type receiversCmd struct {
	Format       routing.Format    `default:"plain" enum:"plain,operator,kps" help:"What to print: Alertmanager's own configuration, an AlertmanagerConfig for Prometheus Operator, or values for kube-prometheus-stack: ${enum}."`
	Pager        routing.Pager     `default:"opsgenie" enum:"opsgenie,jsm,pagerduty,incidentio" help:"Who is told of what is critical: ${enum}. jsm is Jira Service Management, which takes Opsgenie's place by April 2027."`
	PagerURL     string            `placeholder:"URL" help:"The pager's API, where it is not the usual one: https://api.eu.opsgenie.com/. incident.io gives each alert source its own."`
	SlackChannel string            `default:"#crossplane" placeholder:"CHANNEL" help:"Slack channel for what no team's is for."`
	SlackURL     string            `placeholder:"URL" help:"Slack's chat.postMessage, where it is not the usual one."`
	Team         map[string]string `placeholder:"NAME=CHANNEL" help:"Slack channel for the alerts of a team. Can be repeated."`
	Secret       string            `default:"crossplane-alertmanager" placeholder:"NAME" help:"Secret with slack-token, pager-key and watchdog-url, for operator and kps."`
	Namespace    string            `default:"monitoring" placeholder:"NAME" help:"Namespace of the AlertmanagerConfig and of the Secret, for operator."`
	SecretDir    string            `default:"/etc/alertmanager/secrets/crossplane-alertmanager" placeholder:"DIR" help:"Directory with the same as files, for plain."`
}

// Run prints the configuration.
func (c *receiversCmd) Run(k *kong.Context) error {
	o := routing.Options{
		Format: c.Format, Pager: c.Pager, PagerURL: c.PagerURL, SlackURL: c.SlackURL, SlackChannel: c.SlackChannel,
		Secret: c.Secret, Namespace: c.Namespace, SecretDir: c.SecretDir,
	}
	for name, channel := range c.Team {
		o.Teams = append(o.Teams, routing.Team{Name: name, Channel: channel})
	}
	slices.SortFunc(o.Teams, func(a, b routing.Team) int { return strings.Compare(a.Name, b.Name) })
	text, err := routing.Render(o)
	if err != nil {
		return err
	}
	_, err = k.Stdout.Write(text)
	return err
}
