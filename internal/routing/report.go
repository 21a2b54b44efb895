package routing

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// A Row says which ways an alert goes and what could mute it, for the teams for which that is the same.
type Row struct {
	Alert Alert
	// Teams that the alert may be of; "" is none.
	Teams []string
	Ways  []string
	Mutes []string
	// Lost is whether nobody would ever hear of it.
	Lost bool
}

// String is such as "CrossplaneDriftLoop (team sales, shop)".
func (r Row) String() string {
	if len(r.Teams) == 1 && r.Teams[0] == "" {
		return r.Alert.Name
	}
	return fmt.Sprintf("%s (team %s)", r.Alert.Name, r.named())
}

// Report says of each of the shipped alerts, for each team and for none, where it goes; further are labels that all of them have,
// such as Prometheus' external ones.
func (c *Config) Report(shipped []Alert, teams []string, further map[string]string) []Row {
	var rows []Row
	for _, a := range shipped {
		first := len(rows)
		for _, team := range append([]string{""}, teams...) {
			labels := maps.Clone(further)
			if labels == nil {
				labels = make(map[string]string)
			}
			if team != "" {
				labels["team"] = team
			}
			r := Row{Alert: a, Teams: []string{team}, Lost: true}
			for _, w := range c.Ways(a, labels) {
				r.Ways = append(r.Ways, w.String())
				r.Lost = r.Lost && len(w.Tells) == 0
			}
			for _, m := range c.Mutes(a, labels, shipped) {
				r.Mutes = append(r.Mutes, m.String())
			}
			same := slices.IndexFunc(rows[first:], func(o Row) bool { return slices.Equal(o.Ways, r.Ways) && slices.Equal(o.Mutes, r.Mutes) })
			if same >= 0 {
				rows[first+same].Teams = append(rows[first+same].Teams, team)
			} else {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// WriteText writes rows for people: below each alert where it goes, by team if that makes a difference, and what could mute it.
func WriteText(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, r := range rows {
		if i == 0 || !r.Alert.same(rows[i-1].Alert) {
			fmt.Fprintf(t, "%s %s\n", r.Alert.Name, r.Alert.Severity())
		}
		// Teams differ in where it goes. In what mutes it they do only where an inhibit rule is about teams.
		last := i == len(rows)-1 || !r.Alert.same(rows[i+1].Alert)
		alone := last && (i == 0 || !r.Alert.same(rows[i-1].Alert))
		to := "goes to"
		if !alone {
			to = r.named()
		}
		fmt.Fprintf(t, "    %s\t%s\n", to, strings.Join(r.Ways, ", "))
		if last || !slices.Equal(r.Mutes, rows[i+1].Mutes) {
			for n, m := range r.Mutes {
				fmt.Fprintf(t, "    %s\t%s\n", []string{"muted by", ""}[min(n, 1)], m)
			}
		}
	}
	return t.Flush()
}

// named are the teams.
func (r Row) named() string {
	names := slices.Clone(r.Teams)
	for i := range names {
		if names[i] == "" {
			names[i] = "no team"
		}
	}
	return strings.Join(names, ", ")
}
