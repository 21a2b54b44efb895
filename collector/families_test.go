package collector

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"crossplane-exporter/internal/expo"
)

// A signature is what docs/metrics.md and the code have to agree on about a family.
type signature struct {
	Type   string
	Labels []string
}

// expoFamilies are those that tables say, with their labels in the order in which they are said.
func expoFamilies() map[string]signature {
	families := map[string]signature{}
	for _, f := range kindFamilies {
		families[f.Name] = signature{string(f.Type), slices.Concat(kindLabels, f.Labels)}
	}
	resource := append(slices.Clone(kindLabels), "resource_namespace", "name")
	for _, f := range resourceTableFamilies() {
		families[f.Name] = signature{string(f.Type), slices.Concat(resource, f.Labels)}
	}
	return families
}

func resourceTableFamilies() []expo.Family[resource] {
	return append(slices.Concat(resourceFamilies, driftFamilies, outsideFamilies), fieldFamily)
}

// runtimeFamily is whether a family says how the Go runtime or the process is doing, which client_golang documents.
func runtimeFamily(name string) bool {
	return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_")
}

// registryFamilies are those of client_golang, with their labels in order.
func registryFamilies(t *testing.T, e *Exporter) map[string]signature {
	t.Helper()
	gathered, err := e.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]signature{}
	for _, f := range gathered {
		if runtimeFamily(f.GetName()) {
			continue
		}
		s := signature{Type: strings.ToLower(f.GetType().String())}
		for _, l := range f.GetMetric()[0].GetLabel() {
			s.Labels = append(s.Labels, l.GetName())
		}
		families[f.GetName()] = s
	}

	// What is described and never gathered has not been compared with anything.
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		e.registry.Describe(descs)
	}()
	name := regexp.MustCompile(`fqName: "([^"]+)"`)
	for d := range descs {
		n := name.FindStringSubmatch(d.String())[1]
		if _, ok := families[n]; !ok && !runtimeFamily(n) {
			t.Errorf("testdata/everything.txtar leaves %s without a sample", n)
		}
	}
	return families
}

// TestSamplesHaveDeclaredLabels compares what each family of a table says with the labels that it is declared with.
func TestSamplesHaveDeclaredLabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := everything(t).metrics()
		label := regexp.MustCompile(`([a-z_]+)="(?:[^"\\]|\\.)*",?`)
		seen := map[string]bool{}
		families := expoFamilies()
		for line := range strings.Lines(text) {
			name, rest, _ := strings.Cut(line, "{")
			f, ok := families[name]
			if !ok {
				continue
			}
			seen[name] = true
			var got []string
			for _, m := range label.FindAllStringSubmatch(rest, -1) {
				got = append(got, m[1])
			}
			if diff := cmp.Diff(f.Labels, got); diff != "" {
				t.Errorf("labels of %s: -declared +said:\n%s", line, diff)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(families)) {
			if !seen[name] {
				t.Errorf("testdata/everything.txtar leaves %s without a sample", name)
			}
		}
	})
}

// TestDocumentation compares docs/metrics.md with the code, in both directions.
func TestDocumentation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := everything(t)
		w.metrics()
		declared := expoFamilies()
		registered := registryFamilies(t, w.Exporter)
		documented := documentedFamilies(t)
		for _, name := range slices.Sorted(maps.Keys(registered)) {
			want := registered[name]
			doc, ok := documented[name]
			if !ok {
				t.Errorf("docs/metrics.md does not have %s, a %s of %v", name, want.Type, want.Labels)
				continue
			}
			slices.Sort(doc.Labels) // client_golang says them in no order but this
			if diff := cmp.Diff(want, doc); diff != "" {
				t.Errorf("docs/metrics.md on %s: -code +docs:\n%s", name, diff)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(declared)) {
			doc, ok := documented[name]
			if !ok {
				t.Errorf("docs/metrics.md does not have %s, a %s of %v", name, declared[name].Type, declared[name].Labels)
				continue
			}
			if diff := cmp.Diff(declared[name], doc); diff != "" {
				t.Errorf("docs/metrics.md on %s: -code +docs:\n%s", name, diff)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(documented)) {
			_, isDeclared := declared[name]
			if _, isRegistered := registered[name]; !isDeclared && !isRegistered {
				t.Errorf("docs/metrics.md has %s, and the code does not", name)
			}
		}
	})
}

// documentedFamilies reads docs/metrics.md. A family is a heading, a line with its type and its labels, words, and an example:
//
//	### platform_resources_failing
//
//	gauge · `category` `group` `kind` `error_class`
//
//	What it answers.
//
//	    platform_resources_failing{…} 3
//
// The example has to be an exposition of that family, and all its samples have to have just these labels.
func documentedFamilies(t *testing.T) map[string]signature {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	families := map[string]signature{}
	for _, section := range regexp.MustCompile(`(?m)^#+ `).Split(string(text), -1) {
		m := regexp.MustCompile("(?s)^`?((?:platform|crossplane_exporter)_\\w+)`?\n\n(\\w+)((?: ·)?(?: `\\w+`)*)\n\n(.*)$").FindStringSubmatch(section)
		if m == nil {
			if strings.HasPrefix(section, "`platform_") || strings.HasPrefix(section, "`crossplane_") {
				t.Errorf("cannot be read: %.100q", section)
			}
			continue
		}
		name, s := m[1], signature{Type: m[2]}
		for _, l := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(m[3], -1) {
			s.Labels = append(s.Labels, l[1])
		}
		if _, ok := families[name]; ok {
			t.Errorf("%s is there twice", name)
		}
		families[name] = s

		example := ""
		for line := range strings.Lines(m[4]) {
			if code, ok := strings.CutPrefix(line, "    "); ok {
				example += code
			}
		}
		f := parse(t, fmt.Sprintf("# TYPE %s %s\n%s", name, s.Type, example))[name]
		if f == nil {
			t.Errorf("%s has no example", name)
			continue
		}
		for _, m := range f.GetMetric() {
			if diff := cmp.Diff(slices.Sorted(slices.Values(s.Labels)), slices.Sorted(slices.Values(labelNames(m)))); diff != "" {
				t.Errorf("labels of the example of %s: -documented +example:\n%s", name, diff)
			}
		}
	}
	return families
}

func labelNames(m *dto.Metric) (names []string) {
	for _, l := range m.GetLabel() {
		names = append(names, l.GetName())
	}
	return names
}
