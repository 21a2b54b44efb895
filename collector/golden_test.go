package collector

import (
	flags "flag"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"

	"crossplane-exporter/internal/cloud/aws/awstest"
	"crossplane-exporter/internal/kube/kubetest"
)

var update = flags.Bool("update", false, "rewrite the golden files from what the exporter says now")

// goldenConfig is the section config of a golden file.
type goldenConfig struct {
	Detail      Detail   `json:"detail"`
	TeamLabel   string   `json:"teamLabel"`
	Include     []string `json:"include"`
	Exclude     []string `json:"exclude"`
	MaxSeries   int      `json:"maxSeries"`
	DriftFields bool     `json:"driftFields"`
	CloudTrail  bool     `json:"cloudTrail"`
	// Families are globs of the families that metrics shows; platform_* by default.
	Families []string `json:"families"`
}

// TestGolden plays the stories of testdata/*.txtar and compares what the exporter says of them.
//
// A file is a comment and then sections, each of them a step:
//
//	config               the configuration; first, where there is one
//	kinds                CustomResourceDefinitions, as world.define takes them
//	apply, delete        objects, as YAML
//	answer R CODE        the API server answers requests for resource R, or *, with CODE, "unreachable" or "again"; ends the watches
//	disconnect R         ends the watches of R
//	forget R             ends them, and they cannot be resumed: 410 Gone
//	cloudtrail           events that CloudTrail shows from now on, as YAML of awstest.Event; config has cloudTrail: true
//	metrics              what the exporter says now; -update writes it
//
// with the time of day before it, or alone, where time passes: "08:00:30 apply". A story begins at 08:00:00 of
// 2027-01-15, which is 1800000000 in Unix seconds. The metrics are shown without HELP and TYPE, which docs/metrics.md has, and
// histograms without their buckets.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			story, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { play(t, story) })
			if *update {
				if err := os.WriteFile(file, txtar.Format(story), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// play plays a story in the bubble that it is called in. With -update it writes what the exporter says into it.
func play(t *testing.T, story *txtar.Archive) *world {
	t.Helper()
	return playTo(t, story, Shard{})
}

// playTo is play to a shard.
func playTo(t *testing.T, story *txtar.Archive, shard Shard) *world {
	t.Helper()
	steps := story.Files
	cfg := goldenConfig{Families: []string{"platform_*"}}
	if steps[0].Name == "config" {
		if err := yaml.UnmarshalStrict(steps[0].Data, &cfg); err != nil {
			t.Fatalf("config: %v", err)
		}
		steps = steps[1:]
	}
	c := Config{Detail: cfg.Detail, TeamLabel: cfg.TeamLabel, Include: cfg.Include, Exclude: cfg.Exclude, MaxSeries: cfg.MaxSeries, DriftFields: cfg.DriftFields, Shard: shard}
	calls := &awstest.CloudTrail{}
	if cfg.CloudTrail {
		c.Trail = lookup(calls)
	}
	w := newWorld(t, c)
	w.cloud = calls
	for i := range steps {
		step := &steps[i]
		words := strings.Fields(step.Name)
		if _, err := time.Parse(time.TimeOnly, words[0]); err == nil {
			w.until(words[0])
			words = words[1:]
		}
		switch data := string(step.Data); {
		case len(words) == 0: // time alone
		case slices.Equal(words, []string{"kinds"}):
			w.define(data)
		case slices.Equal(words, []string{"apply"}):
			w.do(w.Apply(data))
		case slices.Equal(words, []string{"delete"}):
			w.do(w.Delete(data))
		case slices.Equal(words, []string{"cloudtrail"}):
			w.happened(data)
		case words[0] == "answer" && len(words) == 3:
			w.do(w.Answer(strings.Trim(words[1], "*"), answer(t, words[2])))
		case words[0] == "disconnect" && len(words) == 2:
			w.do(w.Disconnect(words[1]))
		case words[0] == "forget" && len(words) == 2:
			w.do(w.Forget(words[1]))
		case slices.Equal(words, []string{"metrics"}):
			got := show(t, w.metrics(), cfg.Families)
			if *update {
				step.Data = []byte(got)
			} else if diff := cmp.Diff(slices.Collect(strings.Lines(data)), slices.Collect(strings.Lines(got))); diff != "" {
				t.Errorf("%s at %s (-want +got); after a look at it, go test -update writes it:\n%s", step.Name, w.now(), diff)
			}
		default:
			t.Fatalf("%q is no step", step.Name)
		}
	}
	w.metrics()
	return w
}

// everything is the world after the story that has something of everything.
func everything(t *testing.T) *world {
	t.Helper()
	story, err := txtar.ParseFile("testdata/everything.txtar")
	if err != nil {
		t.Fatal(err)
	}
	return play(t, story)
}

// show is the samples of the families that match a glob.
func show(t *testing.T, text string, globs []string) string {
	t.Helper()
	var b strings.Builder
	shown, histogram := false, false
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); words[0] == "#" {
			shown = slices.ContainsFunc(globs, func(glob string) bool {
				ok, err := path.Match(glob, words[2])
				if err != nil {
					t.Fatalf("%q: %v", glob, err)
				}
				return ok
			})
			histogram = words[1] == "TYPE" && words[3] == "histogram"
			continue
		}
		if name, _, _ := strings.Cut(line, "{"); shown && (!histogram || !strings.HasSuffix(name, "_bucket")) {
			b.WriteString(line)
		}
	}
	return b.String()
}

// answer is what kubetest's Answer takes.
func answer(t *testing.T, word string) int {
	t.Helper()
	switch word {
	case "again":
		return 0
	case "unreachable":
		return kubetest.Unreachable
	}
	code, err := strconv.Atoi(word)
	if err != nil {
		t.Fatal(err)
	}
	return code
}
