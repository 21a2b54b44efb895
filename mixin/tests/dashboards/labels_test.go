package dashboards

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/prometheus/promql/parser"
)

// answerLabels are the labels that the answer to a query may have. ok is false where that depends on the series: every query of a
// dashboard says by which labels.
func answerLabels(expr parser.Expr) (names map[string]bool, ok bool) {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return answerLabels(e.Expr)
	case *parser.StepInvariantExpr:
		return answerLabels(e.Expr)
	case *parser.UnaryExpr:
		return answerLabels(e.Expr)
	case *parser.SubqueryExpr:
		return answerLabels(e.Expr)
	case *parser.NumberLiteral:
		return nil, true
	case *parser.AggregateExpr:
		if e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
			return answerLabels(e.Expr)
		}
		return set(e.Grouping...), !e.Without
	case *parser.Call:
		return callLabels(e)
	case *parser.BinaryExpr:
		return binaryLabels(e)
	}
	return nil, false
}

func callLabels(e *parser.Call) (map[string]bool, bool) {
	switch e.Func.Name {
	case "time", "vector":
		return nil, true
	case "histogram_quantile":
		names, ok := answerLabels(e.Args[1])
		delete(names, "le")
		return names, ok
	case "histogram_count", "round", "avg_over_time":
		return answerLabels(e.Args[0])
	}
	return nil, false
}

func binaryLabels(e *parser.BinaryExpr) (map[string]bool, bool) {
	left, ok := answerLabels(e.LHS)
	m := e.VectorMatching
	if m == nil { // a scalar is on one side
		right, also := answerLabels(e.RHS)
		return union(left, right), ok && also
	}
	if e.Op == parser.LAND || e.Op == parser.LUNLESS {
		return left, ok
	}
	right, also := answerLabels(e.RHS)
	switch {
	case e.Op == parser.LOR:
		return union(left, right), ok && also
	case m.Card == parser.CardManyToOne:
		return union(left, set(m.Include...)), ok
	case m.Card == parser.CardOneToOne && m.On && !e.Op.IsComparisonOperator():
		return set(m.MatchingLabels...), true
	}
	return left, ok
}

func set(names ...string) map[string]bool {
	s := map[string]bool{}
	for _, name := range names {
		s[name] = true
	}
	return s
}

func union(a, b map[string]bool) map[string]bool {
	s := maps.Clone(a)
	if s == nil {
		s = map[string]bool{}
	}
	maps.Copy(s, b)
	return s
}

// TestAnswerLabels compares with what Prometheus does.
func TestAnswerLabels(t *testing.T) {
	for expr, want := range map[string][]string{
		`sum by (a, b) (x)`:             {"a", "b"},
		`topk(3, sum by (a) (x))`:       {"a"},
		`time() - max by (a) (x)`:       {"a"},
		`sum by (a) (x) or vector(0)`:   {"a"},
		`sum by (a) (x) / (sum(y) > 0)`: {"a"},
		`histogram_quantile(0.9, sum by (a, le) (rate(x_bucket[5m]))) >= 0`:             {"a"},
		`sum by (a, b) (x) and on (a) group by (a, c) (y)`:                              {"a", "b"},
		`sum by (a, b) (x) * on (a) group_left (c) group by (a, c) (y)`:                 {"a", "b", "c"},
		`group by (a, c) (x) or on (a) group by (a) (y)`:                                {"a", "c"},
		`sum by (a, b) (x) * on (a) group_left (c) (group by (a, c) (y) or on (a) (z))`: {"a", "b", "c"},
	} {
		parsed, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
		if err != nil {
			t.Fatal(err)
		}
		names, ok := answerLabels(parsed)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(names))); diff != "" || !ok {
			t.Errorf("%s, known %v (-want +got):\n%s", expr, ok, diff)
		}
	}
}
