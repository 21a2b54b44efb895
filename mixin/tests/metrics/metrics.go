// Package metrics knows which metrics there are, and with which labels, and says what is wrong with a PromQL expression by that.
package metrics

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// A Set is metrics with their labels, by name. A histogram's _bucket, _sum and _count are metrics of their own.
type Set map[string]Labels

// Labels are names of labels.
type Labels map[string]bool

func labels(names ...string) Labels {
	l := Labels{}
	for _, n := range names {
		l[n] = true
	}
	return l
}

func (l Labels) String() string { return "{" + strings.Join(slices.Sorted(maps.Keys(l)), ", ") + "}" }

// add is l with more.
func (l Labels) add(more Labels) Labels {
	all := maps.Clone(l)
	if all == nil {
		all = Labels{}
	}
	maps.Copy(all, more)
	return all
}

// target are the labels that a scrape gives to what it scrapes, by the conventions of Prometheus Operator, and the cluster's.
var target = labels("job", "instance", "namespace", "pod", "container", "endpoint", "service", "cluster")

// uncaptured are metrics that the playground's programs have no sample of. Each has the module and the file that declares it.
var uncaptured = Set{
	// github.com/crossplane/crossplane/v2@v2.2.0/internal/circuit/circuit_metrics.go
	"circuit_breaker_opens_total":  labels("controller"),
	"circuit_breaker_closes_total": labels("controller"),
	// github.com/crossplane/crossplane/v2@v2.2.0/internal/engine/engine_metrics.go
	"engine_controllers_stopped_total": labels("controller"),
	"engine_watches_stopped_total":     labels("controller", "type"),
	// github.com/crossplane/upjet/v2@v2.0.0/pkg/metrics/metrics.go
	"upjet_resource_ext_api_duration_bucket":        labels("operation", "le"),
	"upjet_resource_ext_api_duration_sum":           labels("operation"),
	"upjet_resource_ext_api_duration_count":         labels("operation"),
	"upjet_resource_external_api_calls_total":       labels("service", "operation"),
	"upjet_resource_ttr_bucket":                     labels("group", "version", "kind", "le"),
	"upjet_resource_ttr_sum":                        labels("group", "version", "kind"),
	"upjet_resource_ttr_count":                      labels("group", "version", "kind"),
	"upjet_resource_reconcile_delay_seconds_bucket": labels("group", "version", "kind", "le"),
	// github.com/prometheus/client_golang, in every program.
	"process_cpu_seconds_total":     {},
	"process_resident_memory_bytes": {},
	"process_start_time_seconds":    {},
	// Prometheus itself.
	"up":                      {},
	"scrape_duration_seconds": {},
	"scrape_samples_scraped":  {},
	"ALERTS":                  labels("alertname", "alertstate", "severity", "team"),
}

// Load is all metrics that there are: those that docs/metrics.md says the exporter has, which a test compares with its code; those that
// were captured from Crossplane and a provider, in testdata; and a few more. root is the repository's directory.
func Load(root string) (Set, error) {
	s := maps.Clone(uncaptured)
	if err := s.addDocumented(filepath.Join(root, "docs", "metrics.md")); err != nil {
		return nil, err
	}
	captured, err := filepath.Glob(filepath.Join(root, "mixin", "tests", "testdata", "*.prom"))
	if err != nil {
		return nil, err
	}
	if len(captured) == 0 {
		return nil, errors.New("mixin/tests/testdata has no *.prom")
	}
	for _, file := range captured {
		if err := s.addCaptured(file); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	for name := range s {
		s[name] = s[name].add(target)
	}
	return s, nil
}

// family is a heading of docs/metrics.md with its type and its labels.
var family = regexp.MustCompile("(?m)^### `(\\w+)`\n\n(\\w+)((?: ·)?(?: `\\w+`)*)$")

func (s Set) addDocumented(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	found := family.FindAllStringSubmatch(string(text), -1)
	if len(found) == 0 {
		return fmt.Errorf("%s: found no family", file)
	}
	for _, f := range found {
		var names []string
		for _, l := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(f[3], -1) {
			names = append(names, l[1])
		}
		s.add(f[1], f[2] == "histogram", labels(names...))
	}
	return nil
}

func (s Set) addCaptured(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(f)
	if err != nil {
		return err
	}
	for name, f := range families {
		l := Labels{}
		for _, m := range f.GetMetric() {
			for _, p := range m.GetLabel() {
				l[p.GetName()] = true
			}
		}
		s.add(name, f.GetType().String() == "HISTOGRAM", l)
	}
	return nil
}

func (s Set) add(name string, histogram bool, l Labels) {
	s[name] = s[name].add(l)
	if histogram {
		s[name+"_bucket"] = s[name+"_bucket"].add(l).add(labels("le"))
		s[name+"_sum"] = s[name+"_sum"].add(l)
		s[name+"_count"] = s[name+"_count"].add(l)
	}
}

// Record adds what a recording rule makes. It says what is wrong with its expression.
func (s Set) Record(name, expr string, static map[string]string) error {
	l, err := s.of(expr)
	if err != nil {
		return err
	}
	for k := range static {
		l = l.add(labels(k))
	}
	s[name] = s[name].add(l)
	return nil
}

// Check says what is wrong with an expression: a metric that there is not, or a label that is matched, aggregated by or joined on and that
// no series there can have.
func (s Set) Check(expr string) error {
	_, err := s.of(expr)
	return err
}

// Labels are those that the answer to an expression may have.
func (s Set) Labels(expr string) (Labels, error) { return s.of(expr) }

func (s Set) of(text string) (Labels, error) {
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return nil, err
	}
	c := checker{metrics: s}
	l := c.labels(expr)
	return l, errors.Join(c.errs...)
}

// A checker goes through an expression.
type checker struct {
	metrics Set
	errs    []error
}

func (c *checker) wrong(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf(format, args...))
}

// need notes the names that are not among those that an expression can have.
func (c *checker) need(names []string, has Labels, expr parser.Expr, what string) {
	for _, n := range names {
		if !has[n] {
			c.wrong("%s %s: no series of %s has that label, but %s", what, n, expr, has)
		}
	}
}

// labels are those that the series of an expression may have.
func (c *checker) labels(expr parser.Expr) Labels {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		return c.selector(e)
	case *parser.MatrixSelector:
		return c.labels(e.VectorSelector)
	case *parser.SubqueryExpr:
		return c.labels(e.Expr)
	case *parser.ParenExpr:
		return c.labels(e.Expr)
	case *parser.UnaryExpr:
		return c.labels(e.Expr)
	case *parser.StepInvariantExpr:
		return c.labels(e.Expr)
	case *parser.NumberLiteral, *parser.StringLiteral:
		return Labels{}
	case *parser.AggregateExpr:
		return c.aggregate(e)
	case *parser.Call:
		return c.call(e)
	case *parser.BinaryExpr:
		return c.binary(e)
	default:
		c.wrong("%s: do not know what a %T is", expr, expr)
		return Labels{}
	}
}

func (c *checker) selector(e *parser.VectorSelector) Labels {
	has, ok := c.metrics[e.Name]
	if !ok {
		c.wrong("there is no metric %s", e.Name)
		return Labels{}
	}
	for _, m := range e.LabelMatchers {
		if m.Name != model.MetricNameLabel {
			c.need([]string{m.Name}, has, e, "matches")
		}
	}
	return has
}

func (c *checker) aggregate(e *parser.AggregateExpr) Labels {
	has := c.labels(e.Expr)
	if e.Param != nil {
		c.labels(e.Param)
	}
	switch {
	case e.Op == parser.TOPK || e.Op == parser.BOTTOMK:
		c.need(e.Grouping, has, e.Expr, "groups by")
		return has
	case e.Without:
		c.need(e.Grouping, has, e.Expr, "aggregates without")
		has = maps.Clone(has)
		for _, n := range e.Grouping {
			delete(has, n)
		}
		return has
	default:
		c.need(e.Grouping, has, e.Expr, "aggregates by")
		return labels(e.Grouping...)
	}
}

func (c *checker) call(e *parser.Call) Labels {
	of := Labels{}
	for _, arg := range e.Args {
		if t := arg.Type(); t == parser.ValueTypeVector || t == parser.ValueTypeMatrix {
			of = c.labels(arg)
		}
	}
	word := func(i int) string {
		s, _ := e.Args[i].(*parser.StringLiteral)
		return s.Val
	}
	switch e.Func.Name {
	case "histogram_quantile":
		of = maps.Clone(of)
		delete(of, "le")
	case "label_replace":
		if word(3) != "" {
			c.need([]string{word(3)}, of, e.Args[0], "replaces by")
		}
		of = of.add(labels(word(1)))
	case "absent", "absent_over_time", "scalar", "vector":
		return Labels{}
	}
	return of
}

func (c *checker) binary(e *parser.BinaryExpr) Labels {
	left, right := c.labels(e.LHS), c.labels(e.RHS)
	m := e.VectorMatching
	switch {
	case m == nil && e.LHS.Type() == parser.ValueTypeVector:
		return left
	case m == nil:
		return right
	}
	if m.On {
		c.need(m.MatchingLabels, left, e.LHS, "matches on")
		c.need(m.MatchingLabels, right, e.RHS, "matches on")
	}
	switch {
	case e.Op == parser.LOR:
		return left.add(right)
	case e.Op.IsSetOperator():
		return left
	}
	switch m.Card {
	case parser.CardManyToOne:
		c.need(m.Include, right, e.RHS, "takes over")
		return left.add(labels(m.Include...))
	case parser.CardOneToMany:
		c.need(m.Include, left, e.LHS, "takes over")
		return right.add(labels(m.Include...))
	default:
		if m.On {
			return labels(m.MatchingLabels...)
		}
		return left
	}
}
