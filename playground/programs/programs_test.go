package programs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crossplane-exporter/playground/programs"
)

func TestRoot(t *testing.T) {
	root, err := programs.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "playground", "programs", "programs.go")); err != nil {
		t.Errorf("the repository is taken to be at %s: %v", root, err)
	}
	t.Chdir(t.TempDir())
	if root, err := programs.Root(); err == nil || !strings.Contains(err.Error(), "clone") {
		t.Errorf("outside of the repository: got %q, %v, want an error that says what to do", root, err)
	}
}

func TestModule(t *testing.T) {
	dir, err := programs.Module(t.Context(), "github.com/crossplane-contrib/provider-nop", "v0.5.0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "package", "crossplane.yaml")); err != nil {
		t.Error(err)
	}
	t.Setenv("GOPROXY", "off")
	_, err = programs.Module(t.Context(), "module.invalid/none", "v1.0.0")
	if err == nil || !strings.Contains(err.Error(), "module.invalid/none v1.0.0") {
		t.Errorf("a module that cannot be downloaded: got %v, want an error that names it", err)
	}
}

func TestSourceOf(t *testing.T) {
	bin, err := programs.Build(t.Context(), "provider-nop")
	if err != nil {
		t.Fatal(err)
	}
	s, err := programs.SourceOf(t.Context(), filepath.Join(bin, "provider-nop"))
	if err != nil {
		t.Fatal(err)
	}
	if s.Path != "github.com/crossplane-contrib/provider-nop" || !strings.HasSuffix(s.Dir, "@"+s.Version) {
		t.Errorf("source of provider-nop: got %+v", s)
	}
	if _, err := programs.SourceOf(t.Context(), "/bin/sh"); err == nil {
		t.Error("a program that is not made of Go modules has a source")
	}
}

func TestBuildUnknown(t *testing.T) {
	if _, err := programs.Build(t.Context(), "no-such-tool"); err == nil {
		t.Error("a tool that is not in the table was built")
	}
}
