package dashboards

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/loki"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// variants are settings of the mixin that change what its dashboards ask.
var variants = map[string]string{
	"default":    "{}",
	"everything": "{ showMultiCluster: true, clusterLabel: 'cluster_name', nativeHistograms: true, loki+: { enabled: true } }",
}

// placeholders stand for variables while a query is parsed. Durations are such as nobody writes.
var placeholders = Values{"__rate_interval": "777777s", "__range": "888888s", "__interval": "999999s"}

const rateInterval = 777777 * time.Second

// A rule is one of Grafana's dashboard-linter, under its name there, or one of ours.
type rule struct {
	name, reason string
	// check returns what is wrong.
	check func(d *Dashboard) []string
}

// TestRules keeps the rules of Grafana's dashboard-linter and some more. Of the linter's, these are left out:
//
//	template-job, template-instance, target-instance: the exporter is one process for each cluster, and speaks of what it sees, not of itself:
//	    whoever chooses an instance asks the wrong question. Which job it is, _config says.
//	target-logql: a LogQL parser comes with all of Loki; the one query is looked at below.
func TestRules(t *testing.T) {
	rules := []rule{
		{"uneditable-dashboard", "Whoever edits what is provisioned loses it.", func(d *Dashboard) []string {
			return wrong(d.Editable != nil && !*d.Editable, "it can be edited")
		}},
		{"template-datasource", "Which Prometheus is asked is for the user to choose.", datasourceVariables},
		{"template-label-promql", "A variable that asks for nothing has no choices.", variableQueries},
		{"template-on-time-change-reload", "What there was a week ago is another choice.", variableRefresh},
		{"variable-label", "A variable without a label shows its name.", variableLabels},
		{"variable-used", "A variable that changes nothing, or is missing, misleads.", variablesUsed},
		{"panel-datasource", "A panel of a fixed data source is empty elsewhere.", panelDatasources},
		{"panel-title-description", "Nobody knows what an unnamed number means.", panelDescriptions},
		{"panel-units", "A number without a unit is none.", panelUnits},
		{"panel-no-targets", "A panel that asks nothing shows nothing.", panelTargets},
		{"panel-no-value", "A panel without data has to say whether that is good.", panelNoValues},
		{"panel-grid", "Panels that overlap hide each other.", panelGrid},
		{"panel-ids", "Grafana tells panels apart by their ids, and answers by their refIds.", panelIDs},
		{"table-columns", "A column is known by a name that appears once.", tableColumns},
		{"target-promql", "What cannot be parsed is an error in the panel.", eachExpr(func(parser.Expr) []string { return nil })},
		{"target-rate-interval", "A rate over less than two scrapes is none.", eachExpr(rateIntervals)},
		{"target-counter-agg", "The value of a counter says when the process started.", eachExpr(counters)},
		{"target-job", "A metric of the same name from elsewhere must not count.", eachExpr(jobs)},
		{"target-legend", "A legend of a label that the answer does not have is empty.", legends},
		{"target-logql", "A stream selector has braces.", logStreams},
	}
	for variant, settings := range variants {
		for _, d := range render(t, settings) {
			for _, r := range rules {
				t.Run(variant+"/"+d.File+"/"+r.name, func(t *testing.T) {
					for _, w := range r.check(d) {
						t.Errorf("%s\n%s", r.reason, w)
					}
				})
			}
		}
	}
}

// wrong is what is wrong unless ok.
func wrong(ok bool, format string, args ...any) []string {
	if ok {
		return nil
	}
	return []string{fmt.Sprintf(format, args...)}
}

// eachPanel has f look at every panel.
func eachPanel(d *Dashboard, f func(p dashboard.Panel) []string) []string {
	var all []string
	for _, p := range d.AllPanels() {
		for _, w := range f(p) {
			all = append(all, fmt.Sprintf("%s: %s", deref(p.Title), w))
		}
	}
	return all
}

// eachExpr has f look at every query of Prometheus.
func eachExpr(f func(parser.Expr) []string) func(d *Dashboard) []string {
	return func(d *Dashboard) []string {
		var all []string
		for _, q := range d.Queries() {
			if q.Logs {
				continue
			}
			expr, err := parse(d, q.Expr)
			if err != nil {
				all = append(all, fmt.Sprintf("%s: %v", q, err))
				continue
			}
			for _, w := range f(expr) {
				all = append(all, fmt.Sprintf("%s: %s", q, w))
			}
		}
		return all
	}
}

// parse parses a query with placeholders for its variables.
func parse(d *Dashboard, query string) (parser.Expr, error) {
	values := d.Defaults()
	for name, value := range placeholders {
		values[name] = value
	}
	query, err := Interpolate(query, values)
	if err != nil {
		return nil, err
	}
	return parser.NewParser(parser.Options{}).ParseExpr(query)
}

func datasourceVariables(d *Dashboard) []string {
	want := map[string]string{"datasource": "Data source", "loki_datasource": "Loki data source"}
	var all []string
	names := 0
	for _, v := range d.Templating.List {
		if v.Type != dashboard.VariableTypeDatasource {
			continue
		}
		names++
		all = append(all, wrong(want[v.Name] != "" && want[v.Name] == deref(v.Label), "%s is labelled %q", v.Name, deref(v.Label))...)
	}
	return append(all, wrong(names > 0, "no data source can be chosen")...)
}

func variableQueries(d *Dashboard) []string {
	var all []string
	for _, v := range d.Templating.List {
		selector, label, ok := options(v)
		if !ok {
			continue
		}
		if label == "" {
			all = append(all, fmt.Sprintf("%s: %q is no label_values(selector, label)", v.Name, selector))
			continue
		}
		_, err := parse(d, selector)
		all = append(all, wrong(err == nil, "%s: %v", v.Name, err)...)
		// All of what may be missing takes in what is missing.
		mayBeMissing := slices.Contains([]string{"team", "resource_namespace", "cloud_region"}, label)
		all = append(all, wrong(!mayBeMissing || deref(v.AllValue) == ".*", "%s: All is %q, which leaves out objects without %s", v.Name, deref(v.AllValue), label)...)
	}
	return all
}

func variableRefresh(d *Dashboard) []string {
	var all []string
	for _, v := range d.Templating.List {
		if v.Type == dashboard.VariableTypeQuery {
			all = append(all, wrong(deref(v.Refresh) == dashboard.VariableRefreshOnTimeRangeChanged, "%s is not asked again", v.Name)...)
		}
	}
	return all
}

func variableLabels(d *Dashboard) []string {
	var all []string
	for _, v := range d.Templating.List {
		all = append(all, wrong(deref(v.Label) != "", "%s has no label", v.Name)...)
	}
	return all
}

func variablesUsed(d *Dashboard) []string {
	raw, err := json.Marshal(d.Panels)
	if err != nil {
		return []string{err.Error()}
	}
	used := References(string(raw))
	defined := map[string]bool{}
	for _, v := range d.Templating.List {
		selector, _, _ := options(v)
		used = append(used, References(selector)...)
		defined[v.Name] = true
	}
	var all []string
	for _, name := range used {
		all = append(all, wrong(defined[name] || strings.HasPrefix(name, "__"), "%s is not defined", name)...)
	}
	for name := range defined {
		all = append(all, wrong(slices.Contains(used, name), "%s is not used", name)...)
	}
	return all
}

func panelDatasources(d *Dashboard) []string {
	return eachPanel(d, func(p dashboard.Panel) []string {
		uid := ""
		if p.Datasource != nil {
			uid = deref(p.Datasource.Uid)
		}
		return wrong(uid == "${datasource}" || uid == "${loki_datasource}", "its data source is %q", uid)
	})
}

func panelDescriptions(d *Dashboard) []string {
	titles := map[string]bool{}
	return eachPanel(d, func(p dashboard.Panel) []string {
		taken := titles[deref(p.Title)]
		titles[deref(p.Title)] = true
		return slices.Concat(
			wrong(deref(p.Title) != "" && !taken, "its title is none, or taken"),
			wrong(strings.HasSuffix(deref(p.Description), ".") || strings.HasSuffix(deref(p.Description), "?"), "its description %q is no sentence", deref(p.Description)),
		)
	})
}

// units are those of Grafana that the dashboards use.
var units = []string{"none", "short", "string", "percentunit", "s", "dtdurations", "bytes", "reqps", "ops"}

func panelUnits(d *Dashboard) []string {
	return eachPanel(d, func(p dashboard.Panel) []string {
		if p.Type == "heatmap" || p.Type == "logs" || p.FieldConfig == nil {
			return nil
		}
		all := wrong(slices.Contains(units, deref(p.FieldConfig.Defaults.Unit)), "its unit is %q", deref(p.FieldConfig.Defaults.Unit))
		for _, o := range p.FieldConfig.Overrides {
			for _, property := range o.Properties {
				if property.Id == "unit" {
					unit, _ := property.Value.(string)
					all = append(all, wrong(slices.Contains(units, unit), "the unit of %v is %q", o.Matcher.Options, unit)...)
				}
			}
		}
		return all
	})
}

func panelTargets(d *Dashboard) []string {
	return eachPanel(d, func(p dashboard.Panel) []string { return wrong(len(p.Targets) > 0, "it asks nothing") })
}

func panelNoValues(d *Dashboard) []string {
	return eachPanel(d, func(p dashboard.Panel) []string {
		return wrong(p.FieldConfig != nil && deref(p.FieldConfig.Defaults.NoValue) != "", "it says nothing while there is no data")
	})
}

// panelGrid looks for panels that overlap, or leave the grid.
func panelGrid(d *Dashboard) []string {
	const columns = 24
	type place struct {
		title string
		dashboard.GridPos
	}
	var places []place
	for _, p := range d.Panels {
		switch {
		case p.Panel != nil && p.Panel.GridPos != nil:
			places = append(places, place{deref(p.Panel.Title), *p.Panel.GridPos})
		case p.RowPanel != nil && p.RowPanel.GridPos != nil:
			places = append(places, place{deref(p.RowPanel.Title), *p.RowPanel.GridPos})
		default:
			return []string{"a panel has no place"}
		}
	}
	var all []string
	for i, a := range places {
		all = append(all, wrong(a.X+a.W <= columns && a.W > 0 && a.H > 0, "%s leaves the grid", a.title)...)
		for _, b := range places[i+1:] {
			overlap := a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
			all = append(all, wrong(!overlap, "%s and %s overlap", a.title, b.title)...)
		}
	}
	return all
}

func panelIDs(d *Dashboard) []string {
	seen := map[uint32]bool{}
	var all []string
	for _, p := range d.Panels {
		if p.RowPanel != nil {
			all = append(all, wrong(!seen[p.RowPanel.Id] && p.RowPanel.Id > 0, "row %s: id %d is taken", deref(p.RowPanel.Title), p.RowPanel.Id)...)
			seen[p.RowPanel.Id] = true
		}
	}
	return append(all, eachPanel(d, func(p dashboard.Panel) []string {
		id := deref(p.Id)
		all := wrong(!seen[id] && id > 0, "id %d is taken", id)
		seen[id] = true
		refs := map[string]bool{}
		for _, target := range p.Targets {
			ref := ""
			switch q := target.(type) {
			case *prometheus.Dataquery:
				ref = deref(q.RefId)
			case *loki.Dataquery:
				ref = deref(q.RefId)
			}
			all = append(all, wrong(ref != "" && !refs[ref], "refId %q is taken", ref)...)
			refs[ref] = true
		}
		return all
	})...)
}

// rateIntervals looks for rates over anything but $__rate_interval.
func rateIntervals(expr parser.Expr) []string {
	var all []string
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		m, ok := node.(*parser.MatrixSelector)
		if !ok || len(path) == 0 {
			return nil
		}
		call, ok := path[len(path)-1].(*parser.Call)
		if ok && (call.Func.Name == "rate" || call.Func.Name == "irate") {
			all = append(all, wrong(m.Range == rateInterval, "%s is not over $__rate_interval", call)...)
		}
		return nil
	})
	return all
}

// counters looks for counters whose value is asked for.
func counters(expr parser.Expr) []string {
	var all []string
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		v, ok := node.(*parser.VectorSelector)
		if !ok || !regexp.MustCompile(`_(total|bucket|count|sum)$`).MatchString(v.Name) {
			return nil
		}
		counted := false
		if len(path) >= 2 {
			call, ok := path[len(path)-2].(*parser.Call)
			counted = ok && slices.Contains([]string{"rate", "irate", "increase"}, call.Func.Name)
		}
		all = append(all, wrong(counted, "%s is no rate and no increase", v)...)
		return nil
	})
	return all
}

// jobs looks for metrics of any job. What rules make has none.
func jobs(expr parser.Expr) []string {
	var all []string
	for _, v := range selectors(expr) {
		ofJob := slices.ContainsFunc(v.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == "job" })
		all = append(all, wrong(ofJob || v.Name == "ALERTS", "%s is of any job", v)...)
	}
	return all
}

// selectors are the series that a query reads.
func selectors(expr parser.Expr) []*parser.VectorSelector {
	var all []*parser.VectorSelector
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			all = append(all, v)
		}
		return nil
	})
	return all
}

func logStreams(d *Dashboard) []string {
	var all []string
	for _, q := range d.Queries() {
		if q.Logs {
			all = append(all, wrong(regexp.MustCompile(`^\{\w+[!=~]+"[^"]*"[^{}]*\} `).MatchString(q.Expr), "%s: %s", q, q.Expr)...)
		}
	}
	return all
}

// legends looks for labels in a legend that the answer does not have.
func legends(d *Dashboard) []string {
	return eachPanel(d, func(p dashboard.Panel) []string {
		var all []string
		for _, target := range p.Targets {
			q, ok := target.(*prometheus.Dataquery)
			if !ok {
				continue
			}
			names, err := labelsOf(d, q.Expr)
			if err != nil {
				return []string{err.Error()}
			}
			for _, match := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(deref(q.LegendFormat), -1) {
				all = append(all, wrong(names[match[1]] || match[1] == "le", "the answer has no label %s", match[1])...)
			}
		}
		return all
	})
}

// labelsOf are the labels that the answer to a query may have.
func labelsOf(d *Dashboard, query string) (map[string]bool, error) {
	expr, err := parse(d, query)
	if err != nil {
		return nil, err
	}
	names, ok := answerLabels(expr)
	if !ok {
		return nil, fmt.Errorf("it depends on the series which labels %s has", query)
	}
	return names, nil
}

// tableColumns compares the columns of a table with the labels of its queries, and its settings with the columns' titles.
func tableColumns(d *Dashboard) []string {
	return eachPanel(d, func(p dashboard.Panel) []string {
		if p.Type != "table" {
			return nil
		}
		answer := map[string]bool{"Value": true}
		for _, target := range p.Targets {
			q := target.(*prometheus.Dataquery)
			names, err := labelsOf(d, q.Expr)
			if err != nil {
				return []string{err.Error()}
			}
			answer = union(answer, names)
			answer["Value #"+deref(q.RefId)] = true
		}
		shown, left := columnsOf(p)
		var all []string
		for name := range union(shown, left) {
			all = append(all, wrong(answer[name] || name == "Time" || name == "Value #A", "no query has %s", name)...)
		}
		for name := range answer {
			isOnly := len(p.Targets) == 1 && name == "Value #A" || len(p.Targets) > 1 && name == "Value"
			all = append(all, wrong(isOnly || shown[name] || left[name], "%s is neither shown nor left out", name)...)
		}
		titles := columnTitles(p)
		for _, o := range p.FieldConfig.Overrides {
			title, _ := o.Matcher.Options.(string)
			all = append(all, wrong(o.Matcher.Id != "byName" || titles[title], "there is no column %q to set", title)...)
		}
		for _, by := range p.Options.(*table.Options).SortBy {
			all = append(all, wrong(titles[by.DisplayName], "there is no column %q to sort by", by.DisplayName)...)
		}
		return all
	})
}

// organized is the options of the transformation that makes a table's columns.
func organized(p dashboard.Panel) map[string]any {
	for _, t := range p.Transformations {
		if t.Id == "organize" {
			options, _ := t.Options.(map[string]any)
			return options
		}
	}
	return nil
}

// columnsOf are the fields that a table shows, and those that it leaves out.
func columnsOf(p dashboard.Panel) (shown, left map[string]bool) {
	keys := func(option string) map[string]bool {
		names, _ := organized(p)[option].(map[string]any)
		return set(slices.Collect(maps.Keys(names))...)
	}
	return keys("indexByName"), keys("excludeByName")
}

func columnTitles(p dashboard.Panel) map[string]bool {
	names, _ := organized(p)["renameByName"].(map[string]any)
	titles := map[string]bool{}
	for _, title := range names {
		titles[title.(string)] = true
	}
	return titles
}
