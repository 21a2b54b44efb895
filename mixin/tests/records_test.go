package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crossplane-exporter/mixin"
	"sigs.k8s.io/yaml"
)

// TestEveryRecordIsRead checks that what is recorded is of use: to an alert or its description, to another rule, on a dashboard, or to
// who follows a runbook.
func TestEveryRecordIsRead(t *testing.T) {
	r := render(t, mixin.Settings{})
	var readers []string
	each(func(_ string, rule mixin.Rule) {
		readers = append(readers, rule.Expr, rule.Annotations["description"])
	}, r.rules, r.alerts)
	for _, pattern := range []string{"dashboards/*.json", "docs/runbooks/*.md"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			readers = append(readers, string(text))
		}
	}
	each(func(_ string, rule mixin.Rule) {
		for _, text := range readers {
			if reads(text, rule.Record) {
				return
			}
		}
		t.Errorf("nothing reads %s", rule.Record)
	}, r.rules)
}

// TestEveryRecordIsTested checks that for each recorded metric there is an instant at which its values are compared.
func TestEveryRecordIsTested(t *testing.T) {
	var asked []string
	for _, file := range suites(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var s struct {
			Tests []struct {
				PromqlExprTest []struct {
					Expr string `json:"expr"`
				} `json:"promql_expr_test"`
			} `json:"tests"`
		}
		if err := yaml.Unmarshal(text, &s); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, test := range s.Tests {
			for _, e := range test.PromqlExprTest {
				asked = append(asked, e.Expr)
			}
		}
	}
	each(func(_ string, rule mixin.Rule) {
		for _, expr := range asked {
			if reads(expr, rule.Record) {
				return
			}
		}
		t.Errorf("no test asks for %s", rule.Record)
	}, render(t, mixin.Settings{}).rules)
}

// reads is whether text has a metric, and not only one whose name is longer.
func reads(text, metric string) bool {
	for {
		_, after, found := strings.Cut(text, metric)
		if !found {
			return false
		}
		if after == "" || !strings.ContainsAny(after[:1], "abcdefghijklmnopqrstuvwxyz_0123456789:") {
			return true
		}
		text = after
	}
}
