package metrics

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	s := Set{
		"a":        labels("kind", "name", "job"),
		"b":        labels("kind", "team"),
		"h_bucket": labels("kind", "le"),
	}
	if err := s.Record("kind:a:sum", "sum by (kind) (a)", map[string]string{"level": "kind"}); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		expr   string
		want   string // labels of the answer, or what is wrong
	}{
		"Selector":      {"Matchers are looked at.", `a{kind="x", name!=""}`, "{job, kind, name}"},
		"NoMetric":      {"A metric has to be there.", `rate(c[5m])`, "there is no metric c"},
		"NoLabel":       {"A label that is matched has to be one that the metric has.", `a{team="x"}`, "matches team: no series of a"},
		"By":            {"What is left are the labels of by.", `sum by (kind) (rate(a[5m]))`, "{kind}"},
		"ByNoLabel":     {"It cannot be aggregated by what is not there.", `sum by (team) (a)`, "aggregates by team"},
		"Without":       {"The others are left.", `max without (name) (a)`, "{job, kind}"},
		"Topk":          {"topk keeps all labels.", `topk by (kind) (1, a)`, "{job, kind, name}"},
		"GroupLeft":     {"The many side keeps its labels, and gets some.", `a * on (kind) group_left (team) b`, "{job, kind, name, team}"},
		"GroupLeftNone": {"It cannot get what the other side has not.", `a * on (kind) group_left (name) sum by (kind) (b)`, "takes over name"},
		"OnNoLabel":     {"Both sides need what they are matched on.", `a unless on (team) b`, "matches on team: no series of a"},
		"Unless":        {"Set operators leave the left side.", `a unless on (kind) b`, "{job, kind, name}"},
		"Or":            {"Either may come.", `a or b`, "{job, kind, name, team}"},
		"Quantile":      {"le is used up.", `histogram_quantile(0.9, sum by (kind, le) (rate(h_bucket[5m])))`, "{kind}"},
		"Replace":       {"label_replace makes a label.", `label_replace(a, "domain", "$1", "kind", "(.+)")`, "{domain, job, kind, name}"},
		"Subquery":      {"A subquery is what it is of.", `count_over_time(group by (kind) (a)[1d:15m])`, "{kind}"},
		"Recorded":      {"What was recorded is there, with the rule's own labels.", `kind:a:sum{level="kind"}`, "{kind, level}"},
		"Scalar":        {"A number has no labels.", `time() - a > 5`, "{job, kind, name}"},
		"Syntax":        {"It has to be PromQL.", `sum(`, "parse error"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l, err := s.Labels(tc.expr)
			got := l.String()
			if err != nil {
				got = err.Error()
				if strings.Contains(got, tc.want) {
					return
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nLabels(%q): -want +got:\n%s", tc.reason, tc.expr, diff)
			}
		})
	}
}
