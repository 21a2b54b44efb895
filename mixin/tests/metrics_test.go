package tests

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"crossplane-exporter/mixin"

	"crossplane-exporter/mixin/tests/dashboards"
	"crossplane-exporter/mixin/tests/metrics"
)

// TestMetricsExist checks that all that rules, descriptions of alerts and dashboards read is there, with the labels that they use.
func TestMetricsExist(t *testing.T) {
	known, err := metrics.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	for variant, settings := range variants {
		t.Run(variant, func(t *testing.T) {
			r := render(t, settings)
			known := maps.Clone(known)
			if variant == "NativeHistograms" {
				nativeHistograms(known)
			}
			each(func(_ string, r mixin.Rule) {
				if err := known.Record(r.Record, r.Expr, r.Labels); err != nil {
					t.Errorf("%s: %v", r.Record, err)
				}
			}, r.rules)
			each(func(_ string, r mixin.Rule) {
				has, err := known.Labels(r.Expr)
				if err != nil {
					t.Errorf("%s: %v", r.Alert, err)
				}
				for _, text := range r.Annotations {
					for _, l := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(text, -1) {
						if !has[l[1]] && (r.Alert != "CrossplaneWatchdog" || l[1] != "cluster") {
							t.Errorf("%s: it has no label %s, but %s", r.Alert, l[1], has)
						}
					}
				}
				for _, q := range regexp.MustCompile("(?:query|printf) `([^`]*)`").FindAllStringSubmatch(r.Annotations["description"], -1) {
					if err := known.Check(strings.ReplaceAll(q[1], "%q", `"x"`)); err != nil {
						t.Errorf("%s: its description: %v", r.Alert, err)
					}
				}
			}, r.alerts)
		})
	}
}

// nativeHistograms leaves out classic buckets, and has the histograms instead.
func nativeHistograms(known metrics.Set) {
	for _, name := range slices.Collect(maps.Keys(known)) {
		if base, ok := strings.CutSuffix(name, "_bucket"); ok {
			known[base] = known[base+"_count"]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				delete(known, base+suffix)
			}
		}
	}
}

// TestDashboardsReadMetrics checks the same of the dashboards.
func TestDashboardsReadMetrics(t *testing.T) {
	known, err := metrics.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	each(func(_ string, r mixin.Rule) {
		if err := known.Record(r.Record, r.Expr, r.Labels); err != nil {
			t.Errorf("%s: %v", r.Record, err)
		}
	}, render(t, mixin.Settings{}).rules)
	all, err := dashboards.Load(filepath.Join(root, "dashboards"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		values := d.Defaults()
		for _, name := range []string{"__range", "__interval", "__rate_interval"} {
			values[name] = "5m"
		}
		for _, q := range d.Queries() {
			if q.Logs {
				continue
			}
			expr, err := dashboards.Interpolate(q.Expr, values)
			if err != nil {
				t.Errorf("%s: %v", q, err)
			} else if err := known.Check(expr); err != nil {
				t.Errorf("%s: %v", q, err)
			}
		}
	}
}
