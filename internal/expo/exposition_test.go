package expo

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

const golden = `# HELP platform_resource_condition 1 if the condition is True, 0 if False, -1 if Unknown.
# TYPE platform_resource_condition gauge
platform_resource_condition{kind="Bucket",resource_namespace="team-a",name="logs",condition="Ready"} 1
platform_resource_condition{kind="Bucket",resource_namespace="team-a",name="logs",condition="Synced"} 0
platform_resource_condition{kind="VPC",resource_namespace="",name="main",condition="Ready"} -1
# HELP platform_resource_condition_since_timestamp_seconds Since when the status has been what it is.
# TYPE platform_resource_condition_since_timestamp_seconds gauge
platform_resource_condition_since_timestamp_seconds{kind="Bucket",resource_namespace="team-a",name="logs",condition="Ready"} 1.7636451125e+09
platform_resource_condition_since_timestamp_seconds{kind="Bucket",resource_namespace="team-a",name="logs",condition="Synced"} 1763645113
platform_resource_condition_since_timestamp_seconds{kind="VPC",resource_namespace="",name="main",condition="Ready"} 1763645114
# HELP platform_resource_paused 1 while the resource is paused.
# TYPE platform_resource_paused gauge
# HELP go_goroutines Number of goroutines that currently exist.
# TYPE go_goroutines gauge
go_goroutines 7
# HELP platform_resources Objects that exist.
# TYPE platform_resources gauge
platform_resources{kind="Bucket"} 1
platform_resources{kind="VPC"} 1
# HELP platform_up 1.
# TYPE platform_up gauge
platform_up 1
`

type condition struct {
	labels string
	status float64
	since  float64
}

func goldenSources() []Source {
	table := NewTable(
		Family[[]condition]{
			Name: "platform_resource_condition", Help: "1 if the condition is True, 0 if False, -1 if Unknown.", Type: Gauge,
			Say: func(l *Lines, conditions *[]condition) {
				for _, c := range *conditions {
					l.Sample(c.status, c.labels)
				}
			},
		},
		Family[[]condition]{
			Name: "platform_resource_condition_since_timestamp_seconds", Help: "Since when the status has been what it is.", Type: Gauge,
			Say: func(l *Lines, conditions *[]condition) {
				for _, c := range *conditions {
					l.Sample(c.since, c.labels)
				}
			},
		},
		Family[[]condition]{
			Name: "platform_resource_paused", Help: "1 while the resource is paused.", Type: Gauge,
			Say: func(*Lines, *[]condition) {},
		},
	)
	ready, synced := Label("condition", "Ready"), Label("condition", "Synced")
	table.Group(Label("kind", "VPC")).Set(Label("resource_namespace", "")+","+Label("name", "main"), &[]condition{{ready, -1, 1763645114}})
	table.Group(Label("kind", "Bucket")).Set(Label("resource_namespace", "team-a")+","+Label("name", "logs"), &[]condition{{ready, 1, 1763645112.5}, {synced, 0, 1763645113}})

	var text Text
	io.WriteString(&text, "# HELP go_goroutines Number of goroutines that currently exist.\n# TYPE go_goroutines gauge\ngo_goroutines 7\n")
	text.Begin("platform_resources", "Objects that exist.", Gauge)
	text.Sample(1, Label("kind", "Bucket"))
	text.Sample(1, Label("kind", "VPC"))
	text.Begin("platform_up", "1.", Gauge)
	text.Sample(1)
	return []Source{table, &text}
}

var encodings = map[string]struct {
	write func(io.Writer, ...Source) ([]Tally, error)
	text  func(*testing.T, []byte) []byte
}{
	"Text": {WriteText, func(_ *testing.T, b []byte) []byte { return b }},
	"Gzip": {WriteGzip, gunzip},
}

func TestExposition(t *testing.T) {
	for name, e := range encodings {
		t.Run(name, func(t *testing.T) {
			b, tallies := write(t, e.write, goldenSources()...)
			if diff := cmp.Diff(golden, string(e.text(t, b))); diff != "" {
				t.Errorf("text: -want, +got:\n%s", diff)
			}
			want := []Tally{
				{Family: "platform_resource_condition", Samples: 3},
				{Family: "platform_resource_condition_since_timestamp_seconds", Samples: 3},
				{Family: "platform_resource_paused"},
				{Family: "platform_resources", Samples: 2},
				{Family: "platform_up", Samples: 1},
			}
			if diff := cmp.Diff(want, tallies); diff != "" {
				t.Errorf("tallies: -want, +got:\n%s", diff)
			}
		})
	}
}

func TestExpositionIsValid(t *testing.T) {
	sources := map[string][]Source{
		"Golden":  goldenSources(),
		"Fleet":   {newFleet(100)},
		"Empty":   {resources()},
		"Nothing": {},
	}
	for name, sources := range sources {
		t.Run(name, func(t *testing.T) {
			text, _ := write(t, WriteText, sources...)
			if zipped, _ := write(t, WriteGzip, sources...); !bytes.Equal(text, gunzip(t, zipped)) {
				t.Error("gzip holds something else than the text")
			}
			parser := expfmt.NewTextParser(model.LegacyValidation)
			families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
			if err != nil {
				t.Fatalf("parse: %v", err)
			}
			lines, samples := 0, 0
			for line := range bytes.Lines(text) {
				if line[0] != '#' {
					lines++
				}
			}
			for _, f := range families {
				samples += len(f.GetMetric())
			}
			if samples != lines {
				t.Errorf("the parser found %d samples in %d lines", samples, lines)
			}
			problems, err := promlint.New(bytes.NewReader(text)).Lint()
			if err != nil {
				t.Fatalf("lint: %v", err)
			}
			for _, p := range problems {
				t.Errorf("%s: %s", p.Metric, p.Text)
			}
		})
	}
}

// TestLimit cuts at every place there is, over pages of several sizes. That what is left is the right samples is also
// part of TestTableAgainstPlainRenderer.
func TestLimit(t *testing.T) {
	const n = 3*pageSize + 7
	pets := map[string]*pet{}
	for i := range n {
		pets[Label("name", fmt.Sprintf("%04d", i))] = &pet{age: i % 20, tags: []string{"a", "b"}}
	}
	table := NewTable(petFamilies()...)
	table.Group(groups[1]).Replace(maps.All(pets))
	old := n / 20 * 4 // those of 16 to 19 years; n%20 is less than 16
	for name, e := range encodings {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{1, pageSize - 1, pageSize, pageSize + 1, 2*pageSize + 1, n - 1, n, n + 1, 2*n - 1, 2 * n, 0} {
				table.Limit(limit)
				room := limit
				if limit == 0 {
					room = 1 << 30
				}
				b, tallies := write(t, e.write, table)
				if diff := cmp.Diff(zoo{groups[1]: pets}.text(room), string(e.text(t, b))); diff != "" {
					t.Errorf("limit %d: -want, +got:\n%s", limit, diff)
				}
				want := []Tally{
					{"pet_age_years", min(n, room), max(n-room, 0)},
					{"pet_old", min(old, room), max(old-room, 0)},
					{"pet_tag_info", min(2*n, room), max(2*n-room, 0)},
					{"pet_wings", 0, 0},
				}
				if diff := cmp.Diff(want, tallies); diff != "" {
					t.Errorf("limit %d: tallies: -want, +got:\n%s", limit, diff)
				}
			}
		})
	}
}

type writerFn func([]byte) (int, error)

func (w writerFn) Write(p []byte) (int, error) { return w(p) }

// TestNoLockWhileWriting does to the table, from within a client's Write, all that a lock would forbid.
func TestNoLockWhileWriting(t *testing.T) {
	for name, e := range encodings {
		t.Run(name, func(t *testing.T) {
			f := newFleet(2000)
			want, _ := write(t, WriteText, f)
			var got bytes.Buffer
			slow := writerFn(func(p []byte) (int, error) {
				f.change(100)
				f.groups[0].Replace(maps.All(map[string]*resource{}))
				f.groups[1].Delete(f.keys[1])
				f.Drop(f.groups[2])
				f.Limit(1000)
				if _, err := WriteText(io.Discard, f); err != nil {
					return 0, err
				}
				if _, err := WriteGzip(io.Discard, f); err != nil {
					return 0, err
				}
				return got.Write(p)
			})
			done := make(chan error, 1)
			go func() {
				_, err := e.write(slow, f)
				done <- err
			}()
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
			case <-time.After(time.Minute):
				t.Fatal("a client that is slow to read keeps the table from being changed, or others from scraping it")
			}
			if !bytes.Equal(e.text(t, got.Bytes()), want) {
				t.Error("the client got something else than what the table held when it asked")
			}
		})
	}
}

func TestWriteError(t *testing.T) {
	errGone := errors.New("client is gone")
	f := newFleet(10_000)
	for name, e := range encodings {
		t.Run(name, func(t *testing.T) {
			for _, after := range []int{0, 1, 2} {
				writes := 0
				tallies, err := e.write(writerFn(func(p []byte) (int, error) {
					if writes++; writes > after {
						return 0, errGone
					}
					return len(p), nil
				}), f)
				if diff := cmp.Diff(errGone, err, cmpopts.EquateErrors()); diff != "" {
					t.Errorf("failing after %d writes: error: -want, +got:\n%s", after, diff)
				}
				if writes != after+1 {
					t.Errorf("failing after %d writes: %d writes, want none after the one that failed", after, writes)
				}
				if got := tallies[0].Samples; got != 10_000 {
					t.Errorf("failing after %d writes: %d samples in the tally, want all", after, got)
				}
			}
		})
	}
}

func TestNothingIsRenderedForAClientThatIsGone(t *testing.T) {
	said := 0
	say := func(l *Lines, _ *pet) { said++; l.Sample(1) }
	table := NewTable(Family[pet]{Name: "a", Type: Gauge, Say: say}, Family[pet]{Name: "b", Type: Gauge, Say: say})
	const n = 10_000 // many chunks
	for i := range n {
		table.Group("").Set(Label("name", fmt.Sprintf("%060d", i)), &pet{})
	}
	if _, err := WriteText(io.Discard, table); err != nil {
		t.Fatal(err)
	}
	said = 0
	gone := writerFn(func([]byte) (int, error) { return 0, io.ErrClosedPipe })
	if _, err := WriteText(gone, table); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got error %v, want that of the client", err)
	}
	if said > n/2 {
		t.Errorf("%d samples were rendered for a client that took none", said)
	}
}

func TestWritesAreLarge(t *testing.T) {
	f := newFleet(20_000)
	for name, e := range encodings {
		t.Run(name, func(t *testing.T) {
			var sizes []int
			if _, err := e.write(writerFn(func(p []byte) (int, error) { sizes = append(sizes, len(p)); return len(p), nil }), f); err != nil {
				t.Fatal(err)
			}
			for i, n := range sizes {
				if i < len(sizes)-1 && n < chunk || n > 4*chunk {
					t.Errorf("write %d of %d has %d bytes", i, len(sizes), n)
				}
			}
		})
	}
}

// TestScrapeAllocations wants a scrape's allocations not to grow with what is scraped.
func TestScrapeAllocations(t *testing.T) {
	for name, e := range encodings {
		t.Run(name, func(t *testing.T) {
			scrape := func(f *fleet) float64 {
				return testing.AllocsPerRun(10, func() { // after a first one that is not measured
					if _, err := e.write(io.Discard, f); err != nil {
						t.Fatal(err)
					}
				})
			}
			a, b := scrape(newFleet(100)), scrape(newFleet(10_000))
			if b > a+20 { // the list of pages grows
				t.Errorf("got %v allocations with 100 records and %v with 10,000", a, b)
			}
		})
	}
}

func TestImports(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			root, _, _ := strings.Cut(path, "/")
			if strings.Contains(root, ".") && path != "github.com/klauspost/compress/flate" {
				t.Errorf("%s imports %s: expo knows neither Kubernetes nor Prometheus' code", name, path)
			}
		}
	}
}
