package dashboards

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// Values are what variables stand for in a query, by name.
type Values map[string]string

// A Window is a time range and what follows from it.
type Window struct {
	End time.Time
	// Range is how long it is.
	Range time.Duration
	// Step is the time between two points of a chart.
	Step time.Duration
	// RateInterval is the range that rates are taken over: four scrapes at least.
	RateInterval time.Duration
}

// values are the variables that a dashboard does not define.
func (w Window) values() Values {
	return Values{
		"__interval":      duration(w.Step),
		"__range":         duration(w.Range),
		"__rate_interval": duration(w.RateInterval),
	}
}

// duration is d as PromQL wants it.
func duration(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// Defaults are the values of the variables of a dashboard that was just opened: All, where that may be chosen.
func (d *Dashboard) Defaults() Values {
	values := Values{}
	for _, v := range d.Templating.List {
		switch {
		case deref(v.IncludeAll):
			values[v.Name] = deref(v.AllValue)
		case v.Query != nil && v.Query.String != nil:
			values[v.Name] = *v.Query.String
		}
	}
	return values
}

// reference is a variable in a text, in the three ways that Grafana knows; a format may follow the name.
var reference = regexp.MustCompile(`\$(\w+)|\$\{(\w+)(?:\.[^:}]+)?(?::\w+)?\}|\[\[(\w+)(?::\w+)?\]\]`)

// Interpolate puts values in the place of variables.
func Interpolate(text string, values Values) (string, error) {
	var missing error
	text = reference.ReplaceAllStringFunc(text, func(match string) string {
		name := strings.Join(reference.FindStringSubmatch(match)[1:], "")
		value, ok := values[name]
		if !ok {
			missing = fmt.Errorf("variable %s is not defined", name)
		}
		return value
	})
	return text, missing
}

// References are the names of the variables in a text.
func References(text string) []string {
	matches := reference.FindAllStringSubmatch(text, -1)
	names := make([]string, 0, len(matches))
	for _, match := range matches {
		names = append(names, strings.Join(match[1:], ""))
	}
	return names
}

// interpolate gives a query what the dashboard, the window and values say, values first.
func (d *Dashboard) interpolate(text string, w Window, values Values) (string, error) {
	all := d.Defaults()
	maps.Copy(all, w.values())
	for name, value := range values {
		// Whoever asks several dashboards sets variables that not all of them have.
		if _, ok := all[name]; ok {
			all[name] = value
		}
	}
	return Interpolate(text, all)
}

// labelValues is the query of a variable.
var labelValues = regexp.MustCompile(`^label_values\((.*), (\w+)\)$`)

// options is the selector and the label of the series that a variable takes its values from. ok is false for a variable that asks
// nothing.
func options(v dashboard.VariableModel) (selector, label string, ok bool) {
	if v.Type != dashboard.VariableTypeQuery || v.Query == nil {
		return "", "", false
	}
	text, _ := v.Query.Map["query"].(string)
	parts := labelValues.FindStringSubmatch(text)
	if parts == nil {
		return text, "", true
	}
	return parts[1], parts[2], true
}
