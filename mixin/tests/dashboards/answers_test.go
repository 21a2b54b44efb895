package dashboards

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite what panels show of testdata")

// TestAnswers asks a real Prometheus everything that the dashboards ask.
func TestAnswers(t *testing.T) {
	unwell := []target{
		{job: "crossplane-exporter", exposition: "unwell.prom"},
		{job: "crossplane", exposition: "crossplane.prom"},
		{job: "crossplane-providers", exposition: "provider.prom"},
	}
	of := func(labels string) []target {
		targets := slices.Clone(unwell)
		for i := range targets {
			targets[i].labels = labels
		}
		return targets
	}
	for name, tc := range map[string]struct {
		reason   string
		targets  []target
		global   string
		settings string
		// alert is whether one fires.
		alert bool
		// empty is whether panels may have nothing to show.
		empty bool
		// golden is whether what panels show is compared with testdata/NAME.txt.
		golden bool
	}{
		"unwell": {
			reason:  "Where everything has gone wrong, each panel has something to show.",
			targets: unwell, alert: true, golden: true,
		},
		"well": {
			reason:  "Where all is well, nothing reads an audit trail and Crossplane's own metrics are not scraped, panels say so.",
			targets: []target{{job: "crossplane-exporter", exposition: "well.prom"}}, empty: true, golden: true,
		},
		"handover": {
			reason:  "While one exporter takes over from another, each series is there twice; no join may fail.",
			targets: slices.Concat(unwell, unwell), alert: true,
		},
		"clusters": {
			reason:  "The same objects of two clusters are not one.",
			targets: slices.Concat(of("region: west"), of("region: east")), alert: true,
			settings: "{ showMultiCluster: true, clusterLabel: 'region', dashboards+: { chosen: 100 } }",
		},
		"native": {
			reason:  "Histograms may be stored without their classic buckets.",
			targets: unwell, alert: true, global: "convert_classic_histograms_to_nhcb: true", settings: "{ nativeHistograms: true }",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for scrapes
			url := startPrometheus(t, tc.targets, tc.global, tc.alert)
			var shown strings.Builder
			totals := map[string]float64{}
			for _, d := range render(t, cmp.Or(tc.settings, "{}")) {
				for _, r := range Ask(t.Context(), url, d, window(), nil) {
					switch {
					case r.Err != nil:
						t.Errorf("%s\n%s: %v\n%s", tc.reason, r, r.Err, r.Asked)
					case len(r.Series) == 0 && !tc.empty:
						t.Errorf("%s\n%s has no answer:\n%s", tc.reason, r, r.Asked)
					}
					show(&shown, r)
					for _, s := range r.Series {
						totals[r.String()] += s.Last
					}
				}
			}
			// What one panel counts another one lists.
			for _, same := range [][]string{
				{"overview.json: Objects: A", "overview.json: By category: A", "overview.json: By kind: A"},
				{"overview.json: Not ready: A", "overview.json: By category: B", "overview.json: By kind: B", "overview.json: Not ready, by category: A"},
				{"overview.json: Failing: A", "overview.json: By category: C", "overview.json: By kind: C", "overview.json: Failing, by error: A"},
				{"overview.json: By team: A", "resources.json: Unwell: A"},
				{"resources.json: What waits for a person: A", "resources.json: Wait for a person: A"},
				{"resources.json: What is paused: A", "resources.json: Paused: A"},
			} {
				for _, other := range same[1:] {
					if totals[same[0]] != totals[other] {
						t.Errorf("%s is %g, %s is %g", same[0], totals[same[0]], other, totals[other])
					}
				}
			}
			if tc.golden {
				golden(t, filepath.Join("testdata", name+".txt"), shown.String())
			}
		})
	}
}

// moving is in a query whose answer is another one each time.
var moving = regexp.MustCompile(`rate\(|increase\(|scrape_|process_`)

// show writes what a panel shows: labels, and values that do not depend on when the test runs. Ages are shown by their two first
// digits.
func show(b *strings.Builder, r Result) {
	fmt.Fprintf(b, "%s\n", r)
	var lines []string
	for _, s := range r.Series {
		var labels []string
		for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
			labels = append(labels, name+"="+s.Labels[name])
		}
		line := strings.Join(labels, " ")
		if !moving.MatchString(r.Asked) {
			value := s.Last
			if strings.Contains(r.Asked, "time()") && value >= 100 {
				digits := math.Pow10(int(math.Log10(value)) - 1)
				value = math.Floor(value/digits) * digits
			}
			line += fmt.Sprintf(" %.12g", value) // the last digits of a mean depend on how many values it is of
		}
		lines = append(lines, "  "+strings.TrimSpace(line)+"\n")
	}
	if len(lines) == 0 {
		lines = []string{fmt.Sprintf("  %q\n", r.NoValue)}
	}
	slices.Sort(lines)
	b.WriteString(strings.Join(lines, ""))
}

// golden compares got with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(slices.Collect(strings.Lines(string(want))), slices.Collect(strings.Lines(got))); diff != "" {
		t.Errorf("%s (-want +got); after a look at it, go test -update writes it:\n%s", file, diff)
	}
}
