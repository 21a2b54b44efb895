// Package tests checks the mixin: that its rules are well made, that alerts fire when they should and only then, that what they read is
// there, and that what was rendered of it is up to date.
package tests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crossplane-exporter/mixin"
)

// root is the repository's directory.
const root = "../.."

// rendered is the mixin with its defaults, as the files in alerts are.
type rendered struct {
	alerts, rules, loki mixin.RuleFile
}

func render(t *testing.T, s mixin.Settings) rendered {
	t.Helper()
	m, err := mixin.New(s)
	if err != nil {
		t.Fatal(err)
	}
	var r rendered
	for _, part := range []struct {
		file *mixin.RuleFile
		make func() (mixin.RuleFile, error)
	}{{&r.alerts, m.Alerts}, {&r.rules, m.Rules}, {&r.loki, m.Loki}} {
		if *part.file, err = part.make(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// each calls f with each rule of files.
func each(f func(group string, r mixin.Rule), files ...mixin.RuleFile) {
	for _, file := range files {
		for _, g := range file.Groups {
			for _, r := range g.Rules {
				f(g.Name, r)
			}
		}
	}
}

// variants are settings that change what expressions look like.
var variants = map[string]mixin.Settings{
	"Default":          {},
	"MultiCluster":     {Set: []string{"showMultiCluster=true"}},
	"NativeHistograms": {Set: []string{"nativeHistograms=true"}},
	"PlatformTeam":     {Set: []string{"platformTeam=platform"}},
}

// program is a program of the repository's bin.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%v; it is built by `go -C tools run . %s` in the root of the repository", err, name)
	}
	return path
}

// sources are the mixin's files in jsonnet, by path.
func sources(t *testing.T) map[string]string {
	t.Helper()
	files := map[string]string{}
	dir := filepath.Join(root, "mixin")
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "sonnet") {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
