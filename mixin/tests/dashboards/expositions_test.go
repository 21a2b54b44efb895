package dashboards

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// documented is a family in docs/metrics.md: its name, its type and its labels.
var documented = regexp.MustCompile("(?m)^### `(\\w+)`\n\n(\\w+)((?: ·)?(?: `\\w+`)*)$")

// TestExpositions compares what testdata has the exporter say with docs/metrics.md, which the exporter's own tests compare with the
// exporter. So a panel that has an answer in TestAnswers asks for series that there are.
func TestExpositions(t *testing.T) {
	page, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	types, names := map[string]string{}, map[string][]string{}
	for _, match := range documented.FindAllStringSubmatch(string(page), -1) {
		types[match[1]] = match[2]
		names[match[1]] = regexp.MustCompile(`\w+`).FindAllString(match[3], -1)
		slices.Sort(names[match[1]])
	}
	sample := regexp.MustCompile(`^(\w+)(?:\{(.*)\})? `)
	for _, file := range []string{"unwell.prom", "well.prom"} {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		family := ""
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) == 4 && words[1] == "TYPE" {
				family = words[2]
				// client_golang's own are not in the page.
				if !strings.HasPrefix(family, "process_") && types[family] != words[3] {
					t.Errorf("%s: %s is a %q in docs/metrics.md, here a %s", file, family, types[family], words[3])
				}
			}
			series := sample.FindStringSubmatch(line)
			if series == nil || strings.HasPrefix(family, "process_") {
				continue
			}
			var got []string
			for _, label := range regexp.MustCompile(`(\w+)="`).FindAllStringSubmatch(series[2], -1) {
				if label[1] != "le" {
					got = append(got, label[1])
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(names[family], got); diff != "" || !strings.HasPrefix(series[1], family) {
				t.Errorf("%s: %s in %s (-docs/metrics.md +here):\n%s", file, series[1], family, diff)
			}
		}
	}
}
