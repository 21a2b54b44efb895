package tests

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"crossplane-exporter/mixin"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// TestRendered compares the files in alerts with the mixin.
func TestRendered(t *testing.T) {
	r := render(t, mixin.Settings{})
	read := func(name string, into any) []string {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(root, "alerts", name))
		if err != nil {
			t.Fatal(err)
		}
		documents := regexp.MustCompile(`(?m)^---$`).Split(string(text), -1)
		if into != nil {
			if err := yaml.UnmarshalStrict(text, into); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		return documents
	}
	same := func(name string, want, got mixin.RuleFile) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("alerts/%s is not up to date; `make mixin` makes it: -mixin +file:\n%s", name, diff)
		}
	}
	for name, want := range map[string]mixin.RuleFile{"alerts.yaml": r.alerts, "rules.yaml": r.rules, "loki.yaml": r.loki} {
		var got mixin.RuleFile
		read(name, &got)
		same(name, want, got)
	}

	type manifest struct {
		APIVersion, Kind string
		Spec             mixin.RuleFile
	}
	documents := read("prometheusrule.yaml", nil)
	if len(documents) != 2 {
		t.Fatalf("alerts/prometheusrule.yaml has %d documents, want the rules and the alerts", len(documents))
	}
	for i, want := range []mixin.RuleFile{r.rules, r.alerts} {
		var got manifest
		if err := yaml.Unmarshal([]byte(documents[i]), &got); err != nil {
			t.Fatal(err)
		}
		if got.APIVersion != "monitoring.coreos.com/v1" || got.Kind != "PrometheusRule" {
			t.Errorf("alerts/prometheusrule.yaml has a %s %s, want a PrometheusRule", got.APIVersion, got.Kind)
		}
		same("prometheusrule.yaml", want, got.Spec)
	}
}

// TestRenderedDashboards compares the files in dashboards with the mixin.
func TestRenderedDashboards(t *testing.T) {
	m, err := mixin.New(mixin.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.Dashboards()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "dashboards", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, filepath.Base(file))
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), names); diff != "" {
		t.Errorf("dashboards: -mixin +files:\n%s", diff)
	}
	text, err := os.ReadFile(filepath.Join(root, "dashboards", "configmaps.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	inMaps := map[string]string{}
	for _, document := range regexp.MustCompile(`(?m)^---$`).Split(string(text), -1) {
		var manifest struct{ Data map[string]string }
		if err := yaml.Unmarshal([]byte(document), &manifest); err != nil {
			t.Fatal(err)
		}
		maps.Copy(inMaps, manifest.Data)
	}
	for name, dashboard := range want {
		file, err := os.ReadFile(filepath.Join(root, "dashboards", name))
		if err != nil {
			t.Error(err)
			continue
		}
		var compact bytes.Buffer
		if err := json.Compact(&compact, file); err != nil {
			t.Errorf("dashboards/%s: %v", name, err)
		}
		var rendered bytes.Buffer
		if err := json.Compact(&rendered, dashboard); err != nil {
			t.Fatal(err)
		}
		if compact.String() != rendered.String() || inMaps["crossplane-"+name] != string(file) {
			t.Errorf("dashboards/%s, or what configmaps.yaml has of it, is not up to date; `make mixin` makes it", name)
		}
	}
}

// TestRunbooks checks that each alert has a page with what someone on call looks for, and that there is no page too many.
func TestRunbooks(t *testing.T) {
	dir := filepath.Join(root, "docs", "runbooks")
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]bool{"README.md": true}
	r := render(t, mixin.Settings{})
	each(func(_ string, rule mixin.Rule) {
		if rule.Alert == "" {
			return
		}
		page := rule.Annotations["runbook_url"][strings.LastIndexByte(rule.Annotations["runbook_url"], '/')+1:]
		pages[page] = true
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Error(err)
			return
		}
		var headings []string
		for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(withoutCode(string(text)), -1) {
			headings = append(headings, h[1])
		}
		if want := []string{rule.Alert, "Meaning", "Impact", "Diagnosis", "Mitigation"}; !slices.Equal(headings, want) {
			t.Errorf("%s has the headings %q, want %q", page, headings, want)
		}
		if !strings.Contains(string(index), "("+page+")") {
			t.Errorf("README.md does not have %s", page)
		}
		row := regexp.MustCompile(`\| \[` + rule.Alert + `\]\(\S+\) \| (\w+) \|`).FindStringSubmatch(string(index))
		if row != nil && row[1] != rule.Labels["severity"] {
			t.Errorf("README.md calls %s %s; it is %s", rule.Alert, row[1], rule.Labels["severity"])
		}
	}, r.alerts, r.loki)

	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !pages[f.Name()] {
			t.Errorf("docs/runbooks/%s is of no alert", f.Name())
		}
	}
}

// withoutCode is Markdown without its fenced code, in which a comment looks like a heading.
func withoutCode(text string) string {
	return regexp.MustCompile("(?ms)^ *```.*?^ *```$").ReplaceAllString(text, "")
}

// TestRunbookSettings checks that settings which runbooks name are there.
func TestRunbookSettings(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "docs", "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`(alerts\\.Crossplane\\w+\\.\\w+)`").FindAllStringSubmatch(string(text), -1) {
			// Whatever is wrong with the value: the setting has to be there.
			if _, err := mixin.New(mixin.Settings{Set: []string{m[1] + "="}}); err != nil && strings.Contains(err.Error(), "no such setting") {
				t.Errorf("%s: %v", filepath.Base(file), err)
			}
		}
	}
}
