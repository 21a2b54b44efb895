package tests

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"crossplane-exporter/mixin"
	"github.com/prometheus/prometheus/promql/parser"
)

// stage is a stage of LogQL's pipeline, of those that the mixin uses: a filter of lines, or a parser.
var stage = regexp.MustCompile("^\\s*(?:(\\|=|\\|~|!=|!~)\\s*(\"(?:[^\"\\\\]|\\\\.)*\"|`[^`]*`)|\\|\\s*(?:json|logfmt)\\b)")

// checkLogQL says what is wrong with a LogQL expression. Loki's parser would be a large dependency for three expressions; and outside of
// its log selectors LogQL is PromQL: each of them is checked here and stands in PromQL as a metric, so that Prometheus' parser sees
// to brackets, functions, ranges and the rest.
func checkLogQL(expr string, metric bool) error {
	var promQL strings.Builder
	rest := expr
	for {
		before, after, found := strings.Cut(rest, "{")
		promQL.WriteString(before)
		if !found {
			break
		}
		selector, pipeline, found := strings.Cut(after, "}")
		if !found {
			return fmt.Errorf("%s: a selector does not end", expr)
		}
		if _, err := parser.NewParser(parser.Options{}).ParseExpr("{" + selector + "}"); err != nil {
			return fmt.Errorf("%s: %w", expr, err)
		}
		for {
			found := stage.FindStringSubmatch(pipeline)
			if found == nil {
				break
			}
			if strings.HasSuffix(found[1], "~") {
				pattern, err := strconv.Unquote(found[2])
				if err != nil {
					return fmt.Errorf("%s: %w", expr, err)
				}
				if _, err := regexp.Compile(pattern); err != nil {
					return fmt.Errorf("%s: %w", expr, err)
				}
			}
			pipeline = pipeline[len(found[0]):]
		}
		promQL.WriteString("logs")
		rest = pipeline
	}
	if !strings.Contains(promQL.String(), "logs") {
		return fmt.Errorf("%s: it selects no streams", expr)
	}
	if !metric && strings.TrimSpace(promQL.String()) != "logs" {
		return fmt.Errorf("%s: want lines, this is %s of them", expr, promQL.String())
	}
	parsed, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(promQL.String(), "logs [", "logs["))
	if err != nil {
		return fmt.Errorf("%s: %w", expr, err)
	}
	if metric && parsed.Type() != parser.ValueTypeVector {
		return fmt.Errorf("%s: it is a %s", expr, parsed.Type())
	}
	// Few of PromQL's functions are LogQL's.
	parser.Inspect(parsed, func(n parser.Node, _ []parser.Node) error {
		if call, ok := n.(*parser.Call); ok && call.Func.Name != "rate" && call.Func.Name != "count_over_time" {
			err = fmt.Errorf("%s: LogQL has no %s, or the mixin has not used it yet", expr, call.Func.Name)
		}
		return nil
	})
	return err
}

// TestLogQL checks the rules on logs, the panels of logs, and what runbooks ask Loki.
func TestLogQL(t *testing.T) {
	for variant, settings := range variants {
		each(func(_ string, r mixin.Rule) {
			if err := checkLogQL(r.Expr, true); err != nil {
				t.Errorf("%s: %s%s: %v", variant, r.Alert, r.Record, err)
			}
		}, render(t, settings).loki)
	}

	m, err := mixin.New(mixin.Settings{Set: []string{"loki.enabled=true"}})
	if err != nil {
		t.Fatal(err)
	}
	dashboards, err := m.Dashboards()
	if err != nil {
		t.Fatal(err)
	}
	panels := 0
	for file, text := range dashboards {
		var d struct {
			Panels []struct {
				Title, Type string
				Targets     []struct{ Expr string }
			}
		}
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				if p.Type != "logs" {
					continue
				}
				panels++
				if err := checkLogQL(target.Expr, false); err != nil {
					t.Errorf("%s: %s: %v", file, p.Title, err)
				}
			}
		}
	}
	if panels == 0 {
		t.Error("there is no panel of logs")
	}

	runbooks, err := filepath.Glob(filepath.Join(root, "docs", "runbooks", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range runbooks {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?ms)^ *```logql\n(.*?)^ *```$").FindAllStringSubmatch(string(text), -1) {
			for line := range strings.Lines(block[1]) {
				if err := checkLogQL(strings.TrimSpace(line), !strings.HasPrefix(strings.TrimSpace(line), "{")); err != nil {
					t.Errorf("%s: %v", filepath.Base(file), err)
				}
			}
		}
	}
}

// TestCheckLogQL sees that what is wrong is found.
func TestCheckLogQL(t *testing.T) {
	for name, tc := range map[string]struct {
		expr   string
		metric bool
		wrong  string
	}{
		"Lines":      {"{a=\"b\"} |= \"x\" |~ `y.+` | json", false, ""},
		"Metric":     {`sum by (pod) (rate({a="b"} |= "x }" | json [5m])) > 1`, true, ""},
		"NoStreams":  {`|= "x"`, false, "selects no streams"},
		"Matchers":   {`{a=b}`, false, "unexpected"},
		"Everything": {`{}`, false, "at least one non-empty matcher"},
		"Open":       {`{a="b"`, false, "does not end"},
		"Brackets":   {`sum(rate({a="b"} [5m])`, true, "unclosed"},
		"Regexp":     {`{a="b"} |~ "("`, false, "missing closing"},
		"Function":   {`sum(deriv({a="b"} [5m]))`, true, "no deriv"},
		"NoFunction": {`sum(rats({a="b"} [5m]))`, true, "unknown function"},
		"Stage":      {`{a="b"} | jsn`, false, "want lines"},
		"NotALine":   {`rate({a="b"} [5m])`, false, "want lines"},
		"NotAVector": {`{a="b"} [5m]`, true, "it is a matrix"},
		"OpenFilter": {`rate({a="b"} |= "x [5m])`, true, "unexpected"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkLogQL(tc.expr, tc.metric)
			if tc.wrong == "" && err != nil || tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)) {
				t.Errorf("checkLogQL(%q): %v, want %q", tc.expr, err, tc.wrong)
			}
		})
	}
}
