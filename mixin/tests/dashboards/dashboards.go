// Package dashboards reads the mixin's dashboards as Grafana does and asks a Prometheus what their panels ask.
//
// A dashboard is decoded by the types that are generated from Grafana's own schema, without a field missing or unknown.
package dashboards

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/loki"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// A Dashboard is a dashboard and the file that it is in.
type Dashboard struct {
	dashboard.Dashboard

	File string
}

// A Query is what a panel asks.
type Query struct {
	File, Panel, RefID string
	// Expr is the query with its variables.
	Expr string
	// Instant is whether the end of the time range is asked for, not all of it.
	Instant bool
	// Logs is whether it is asked of Loki.
	Logs bool
	// NoValue is what the panel shows while there is no answer.
	NoValue string
}

// String says where the query stands.
func (q Query) String() string { return fmt.Sprintf("%s: %s: %s", q.File, q.Panel, q.RefID) }

// register makes the panel types and data sources of Grafana known, once.
var register = sync.OnceFunc(plugins.RegisterDefaultPlugins)

// Decode decodes a dashboard. A field that Grafana does not know, or misses, is an error.
func Decode(file string, data []byte) (*Dashboard, error) {
	register()
	d := &Dashboard{File: file}
	if err := d.UnmarshalJSONStrict(data); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, p := range d.AllPanels() {
		for _, target := range p.Targets {
			switch target.(type) {
			case *prometheus.Dataquery, *loki.Dataquery:
			default:
				return nil, fmt.Errorf("%s: panel %q asks neither Prometheus nor Loki", file, deref(p.Title))
			}
		}
	}
	return d, nil
}

// Load decodes the dashboards in the JSON files of a folder, in the order of their names.
func Load(dir string) ([]*Dashboard, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no dashboard in %s", dir)
	}
	all := make([]*Dashboard, 0, len(files))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		d, err := Decode(filepath.Base(file), data)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// AllPanels is every panel of the dashboard but its rows; those of collapsed rows too.
func (d *Dashboard) AllPanels() []dashboard.Panel {
	var all []dashboard.Panel
	for _, p := range d.Panels {
		switch {
		case p.Panel != nil:
			all = append(all, *p.Panel)
		case p.RowPanel != nil:
			all = append(all, p.RowPanel.Panels...)
		}
	}
	return all
}

// Queries is what all panels ask, from top to bottom.
func (d *Dashboard) Queries() []Query {
	var all []Query
	for _, p := range d.AllPanels() {
		for _, target := range p.Targets {
			q := Query{File: d.File, Panel: deref(p.Title)}
			if p.FieldConfig != nil {
				q.NoValue = deref(p.FieldConfig.Defaults.NoValue)
			}
			switch t := target.(type) {
			case *prometheus.Dataquery:
				q.Expr, q.RefID, q.Instant = t.Expr, deref(t.RefId), deref(t.Instant)
			case *loki.Dataquery:
				q.Expr, q.RefID, q.Logs = t.Expr, deref(t.RefId), true
			}
			all = append(all, q)
		}
	}
	return all
}

func deref[T any](p *T) T {
	if p == nil {
		return *new(T)
	}
	return *p
}
