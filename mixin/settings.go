package mixin

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
)

// Settings are a user's changes to config.libsonnet. Those of Set win.
type Settings struct {
	// File is a jsonnet file with an object that is added to the mixin:
	//
	//	{ _config+:: { alerts+: { CrossplaneDriftLoop+: { 'for': '1h' } } } }
	File string
	// Set are single settings, as path=value: alerts.CrossplaneDriftLoop.for=1h. A list is JSON, or words with commas.
	Set []string
}

// configure makes m's overlay of s.
func (m *Mixin) configure(s Settings) error {
	var defaults map[string]any
	if err := m.evaluate("_config", &defaults); err != nil {
		return err
	}
	if s.File != "" {
		if err := m.addFile(defaults, s.File); err != nil {
			return err
		}
	}
	for _, set := range s.Set {
		if err := m.addSetting(defaults, set); err != nil {
			return fmt.Errorf("--set %s: %w", set, err)
		}
	}
	return nil
}

// addFile adds what a user's file says, if it changes only settings that there are.
func (m *Mixin) addFile(defaults map[string]any, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	absolute, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	m.overlay += " + (import " + quote(filepath.ToSlash(absolute)) + ")"
	var changed map[string]any
	if err := m.evaluate("_config", &changed); err != nil {
		return err
	}
	if err := compare(defaults, changed); err != nil {
		return fmt.Errorf("%s:%w", file, located{err, lineOf(string(text), err.path)})
	}
	return nil
}

// addSetting adds a path=value.
func (m *Mixin) addSetting(defaults map[string]any, set string) error {
	name, text, ok := strings.Cut(set, "=")
	if !ok {
		return errors.New("want path=value, such as alerts.CrossplaneDriftLoop.for=1h")
	}
	names := strings.Split(name, ".")
	current, err := lookUp(defaults, names)
	if err != nil {
		return err
	}
	value, err := parseAs(current, text)
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := check(names, current, value); err != nil {
		return err
	}
	object := string(encoded)
	for i, n := range slices.Backward(names) {
		plus := "+"
		if i == len(names)-1 {
			plus = ""
		}
		object = "{ " + quote(n) + plus + ": " + object + " }"
	}
	m.overlay += " + { _config+:: " + object + " }"
	return nil
}

// lookUp is the setting at a path.
func lookUp(settings map[string]any, path []string) (any, error) {
	var current any = settings
	for i, name := range path {
		group, ok := current.(map[string]any)
		if !ok {
			return nil, &settingError{path[:i], "there are no settings below it"}
		}
		if current, ok = group[name]; !ok {
			return nil, unknown(settings, path[:i+1], group)
		}
	}
	return current, nil
}

// parseAs reads text as a value of the same type as another.
func parseAs(like any, text string) (any, error) {
	switch like := like.(type) {
	case string:
		return text, nil
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, fmt.Errorf("%q is neither true nor false", text)
		}
		return b, nil
	case float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", text)
		}
		return n, nil
	case []any:
		var list []any
		if json.Unmarshal([]byte(text), &list) == nil {
			return list, nil
		}
		for word := range strings.SplitSeq(text, ",") {
			list = append(list, strings.TrimSpace(word))
		}
		return list, nil
	case map[string]any:
		return nil, fmt.Errorf("it is no single setting but several: %s", strings.Join(slices.Sorted(maps.Keys(like)), ", "))
	default:
		return nil, fmt.Errorf("cannot be set: it is a %T", like)
	}
}

// A settingError is what is wrong with a setting.
type settingError struct {
	path []string
	what string
}

func (e *settingError) Error() string { return strings.Join(e.path, ".") + ": " + e.what }

// A located error names the line of a file, if that is known.
type located struct {
	error

	line int
}

func (l located) Error() string {
	if l.line == 0 {
		return " " + l.error.Error()
	}
	return strconv.Itoa(l.line) + ": " + l.error.Error()
}

// compare says what is wrong with changed settings: the first that there is not, or that is of another type.
func compare(defaults, changed map[string]any) *settingError {
	return compareGroup(defaults, nil, defaults, changed)
}

func compareGroup(all map[string]any, path []string, defaults, changed map[string]any) *settingError {
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		here := append(slices.Clone(path), name)
		want, ok := defaults[name]
		if !ok {
			return unknown(all, here, defaults)
		}
		got := changed[name]
		group, isGroup := want.(map[string]any)
		gotGroup, gotIsGroup := got.(map[string]any)
		if isGroup && gotIsGroup {
			if err := compareGroup(all, here, group, gotGroup); err != nil {
				return err
			}
			continue
		}
		if err := check(here, want, got); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if _, ok := changed[name]; !ok {
			here := append(slices.Clone(path), name)
			return &settingError{here, fmt.Sprintf("it is gone; write +: after %s to change some settings and keep the others", last(path, "_config"))}
		}
	}
	return nil
}

// check says what is wrong with a value that stands for another: it has another type, is no duration where the other is one, or no
// severity.
func check(path []string, want, got any) *settingError {
	if kind(want) != kind(got) {
		return &settingError{path, fmt.Sprintf("want a %s such as %s, not %s", kind(want), encode(want), encode(got))}
	}
	text, isText := got.(string)
	before, _ := want.(string)
	if _, err := model.ParseDuration(before); err == nil {
		if _, err := model.ParseDuration(text); err != nil {
			return &settingError{path, fmt.Sprintf("%q is no duration such as %s", text, before)}
		}
	}
	if severities := []string{"critical", "warning", "info", "none"}; isText && last(path, "") == "severity" && !slices.Contains(severities, text) {
		return &settingError{path, fmt.Sprintf("%q is none of %s", text, strings.Join(severities, ", "))}
	}
	return nil
}

func last(path []string, otherwise string) string {
	if len(path) == 0 {
		return otherwise
	}
	return path[len(path)-1]
}

func kind(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case float64:
		return "number"
	case []any:
		return "list"
	case nil:
		return "null"
	default:
		return "group of settings"
	}
}

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// unknown says that there is no setting at path, and which is near: among those beside it, or else anywhere.
func unknown(all map[string]any, path []string, beside map[string]any) *settingError {
	name := last(path, "")
	prefix := strings.Join(path[:len(path)-1], ".")
	if prefix != "" {
		prefix += "."
	}
	near, distance := "", max(2, len(name)/3)+1 // what is farther is another word
	consider := func(candidate, full string) {
		if d := edits(strings.ToLower(name), strings.ToLower(candidate)); d < distance {
			near, distance = full, d
		}
	}
	for _, n := range slices.Sorted(maps.Keys(beside)) {
		consider(n, prefix+n)
	}
	if near == "" {
		each(all, "", consider)
	}
	what := "there is no such setting"
	switch {
	case near != "":
		what += "; did you mean " + near + "?"
	case len(beside) <= 20:
		what += "; there are " + strings.Join(slices.Sorted(maps.Keys(beside)), ", ")
	}
	return &settingError{path, what}
}

// each calls f with the name and the path of all settings, in order.
func each(group map[string]any, prefix string, f func(name, path string)) {
	for _, name := range slices.Sorted(maps.Keys(group)) {
		f(name, prefix+name)
		if below, ok := group[name].(map[string]any); ok {
			each(below, prefix+name+".", f)
		}
	}
}

// edits is how many characters have to be put in, taken out or exchanged to make a of b.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// lineOf is the line of jsonnet on which the field at path is, 0 if it is not found: each name of the path after the one before.
func lineOf(text string, path []string) int {
	at := 0
	for _, name := range path {
		field := regexp.MustCompile(`['"]?\b` + regexp.QuoteMeta(name) + `\b['"]?\]?\s*\+?:`)
		found := field.FindStringIndex(text[at:])
		if found == nil {
			continue
		}
		at += found[0]
	}
	if at == 0 {
		return 0
	}
	return 1 + strings.Count(text[:at], "\n")
}

// quote is s as a jsonnet string.
func quote(s string) string { return encode(s) }
