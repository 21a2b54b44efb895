package tests

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"crossplane-exporter/mixin"
	"github.com/google/go-jsonnet/formatter"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

// TestConventions checks what mixtool's lint asks of a mixin, and what we ask beside it.
func TestConventions(t *testing.T) {
	name := regexp.MustCompile(`^Crossplane([A-Z]+[a-z0-9]+)+$`)
	record := regexp.MustCompile(`^[a-z_]+:[a-z0-9_]+:[a-z0-9_]+$`)
	for variant, settings := range variants {
		t.Run(variant, func(t *testing.T) {
			r := render(t, settings)
			groups, alerts := map[string]bool{}, map[string]bool{}
			for _, f := range []mixin.RuleFile{r.alerts, r.rules, r.loki} {
				for _, g := range f.Groups {
					if len(g.Name) > 40 || len(g.Rules) > 20 || len(g.Rules) == 0 || groups[g.Name] {
						t.Errorf("group %s: its name has more than 40 characters, it has more than 20 rules or none, or it is there twice", g.Name)
					}
					groups[g.Name] = true
				}
			}
			each(func(_ string, r mixin.Rule) {
				if r.Record != "" {
					if !record.MatchString(r.Record) {
						t.Errorf("%s is no level:metric:operations", r.Record)
					}
					return
				}
				wrong := func(what string) { t.Errorf("%s: %s", r.Alert, what) }
				summary, description := r.Annotations["summary"], r.Annotations["description"]
				switch {
				case !name.MatchString(r.Alert) || len(r.Alert) > 40:
					wrong("its name is not CamelCase after Crossplane, or has more than 40 characters")
				// Prometheus takes two of one name as long as some label tells them apart.
				case alerts[fmt.Sprint(r.Alert, r.Labels)]:
					wrong("it is there twice")
				// mixtool knows no other severity than the three. The watchdog's is none, because kube-prometheus mutes infos.
				case !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) && (r.Alert != "CrossplaneWatchdog" || r.Labels["severity"] != "none"):
					wrong("its severity is none of critical, warning, info")
				case strings.Contains(summary, "{{") || !regexp.MustCompile(`^[A-Z].*\.$`).MatchString(summary):
					wrong("its summary is not one sentence that is always the same")
				case !strings.Contains(description, "{{") || !regexp.MustCompile(`\.({{ end }})*$`).MatchString(description):
					wrong("its description does not say what it is about, or does not end with a period")
				case strings.Contains(description, "\n") || strings.Contains(description, "  "):
					wrong("its description is not one line")
				case !strings.HasSuffix(r.Annotations["runbook_url"], "/"+r.Alert+".md"):
					wrong("its runbook_url is not its own")
				case !strings.HasPrefix(r.Annotations["dashboard_url"], "https://grafana.example.org/d/crossplane-"):
					wrong("its dashboard_url is not that of a dashboard")
				}
				alerts[fmt.Sprint(r.Alert, r.Labels)] = true
			}, r.alerts, r.loki, r.rules)
		})
	}
}

// TestPrometheusAccepts parses the rules as Prometheus does, templates and all.
func TestPrometheusAccepts(t *testing.T) {
	for variant, settings := range variants {
		t.Run(variant, func(t *testing.T) {
			r := render(t, settings)
			for name, f := range map[string]mixin.RuleFile{"alerts": r.alerts, "rules": r.rules} {
				text, err := yaml.Marshal(f)
				if err != nil {
					t.Fatal(err)
				}
				_, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}))
				for _, err := range errs {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// TestClusters checks that with several clusters no rule mixes them, except those that are about none.
func TestClusters(t *testing.T) {
	r := render(t, variants["MultiCluster"])
	each(func(_ string, r mixin.Rule) {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
		if err != nil {
			t.Fatal(err)
		}
		parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
			switch n := n.(type) {
			case *parser.AggregateExpr:
				if slices.Contains(n.Grouping, "cluster") == n.Without {
					t.Errorf("%s%s: aggregates over clusters: %s", r.Alert, r.Record, n)
				}
			case *parser.BinaryExpr:
				if m := n.VectorMatching; m != nil && m.On && !slices.Contains(m.MatchingLabels, "cluster") {
					t.Errorf("%s%s: matches over clusters: %s", r.Alert, r.Record, n)
				}
			}
			return nil
		})
		if description := r.Annotations["description"]; r.Alert != "" && r.Alert != "CrossplaneWatchdog" && !strings.Contains(description, "$labels.cluster") {
			t.Errorf("%s: its description does not name the cluster", r.Alert)
		}
		for _, query := range regexp.MustCompile("(?:query|printf) `([^`]*)`").FindAllStringSubmatch(r.Annotations["description"], -1) {
			if !strings.Contains(query[1], "cluster=%q") {
				t.Errorf("%s: its description asks all clusters: %s", r.Alert, query[1])
			}
		}
	}, r.alerts, r.rules)
}

// TestFormatted checks that the jsonnet is as jsonnetfmt makes it.
func TestFormatted(t *testing.T) {
	for file, text := range sources(t) {
		formatted, err := formatter.Format(file, text, formatter.DefaultOptions())
		if err != nil {
			t.Error(err)
			continue
		}
		if formatted != text {
			t.Errorf("%s is not formatted; `make mixin` does it", file)
		}
	}
}
