package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFind(t *testing.T) {
	cases := map[string]struct {
		reason string
		names  []string
		want   []string
		err    string
	}{
		"Order": {
			reason: "Tools are built in the order of the table, each once.",
			names:  []string{"kube-apiserver", "etcd", "etcd"},
			want:   []string{"etcd", "kube-apiserver"},
		},
		"All": {
			reason: "All are all.",
			names:  []string{"all"},
			want:   names(tools),
		},
		"Unknown": {
			reason: "A name that is not in the table is refused, with those that are.",
			names:  []string{"etcd", "kubelet"},
			err:    `no tool is called "kubelet": there are etcd, `,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := find(tc.names)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%s\nfind(%q): got error %v, want %q", tc.reason, tc.names, err, tc.err)
			}
			if !slices.Equal(names(got), tc.want) {
				t.Errorf("%s\nfind(%q): got %q, want %q", tc.reason, tc.names, names(got), tc.want)
			}
		})
	}
}

// TestPinned compares the versions in the table with those in the modules beside it.
func TestPinned(t *testing.T) {
	for _, tool := range tools {
		t.Run(tool.name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(tool.pinned, "go.mod"))
			if err != nil {
				t.Fatal(err)
			}
			want := regexp.MustCompile(`(?m)^(require )?\s*` + regexp.QuoteMeta(tool.module+" "+tool.version) + "( // indirect)?$")
			if !want.Match(text) {
				t.Errorf("%s/go.mod does not require %s %s", tool.pinned, tool.module, tool.version)
			}
			if !strings.Contains(string(text), tool.pkg) {
				t.Errorf("%s/go.mod has no tool line for %s: go mod tidy would forget what it needs", tool.pinned, tool.pkg)
			}
		})
	}
}

// hello is a tool that needs nothing but the standard library.
func hello(t *testing.T, source string) tool {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.org/hello\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), source)
	return tool{
		name: "hello-tool", module: "example.org/hello", version: "(devel)", pkg: "example.org/hello",
		pinned: dir, ldflags: stripped, first: "a moment",
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestBuild(t *testing.T) {
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	b := builder{bin: filepath.Join(t.TempDir(), "bin"), say: newProgress(out)}
	h := hello(t, "package main\n\nfunc main() {}\n")
	path := filepath.Join(b.bin, h.name)
	build := func(h tool) os.FileInfo {
		t.Helper()
		if err := b.build(t.Context(), []tool{h}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	first := build(h)
	if again := build(h); !os.SameFile(first, again) {
		t.Error("a tool that is up to date was built again")
	}
	h.ldflags += " -X main.version=2"
	changed := build(h)
	if os.SameFile(first, changed) {
		t.Error("a tool whose flags have changed was not built again")
	}
	h.patches = []patch{{module: "example.org/none", file: "none.go", old: "a", new: "b"}}
	if err := h.check(path); err == nil {
		t.Error("a tool whose patches have changed is taken to be up to date")
	}
	left, err := filepath.Glob(filepath.Join(b.bin, "*"))
	if err != nil || !slices.Equal(left, []string{filepath.Join(b.bin, ".lock"), path}) {
		t.Errorf("files in the directory: got %q, want the tool and the lock", left)
	}
	said, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^(\[1/1\] hello-tool \(devel\) … \(about a moment the first time\)\n\[1/1\] hello-tool \(devel\) \d+s\n){2}$`)
	if !want.Match(said) {
		t.Errorf("progress of two builds: got\n%s", said)
	}
}

func TestBuildFails(t *testing.T) {
	out, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	b := builder{bin: t.TempDir(), say: newProgress(out)}
	h := hello(t, "package main\n\nfunc main() { undefined() }\n")
	err = b.build(t.Context(), []tool{h})
	for _, want := range []string{"hello-tool (devel) does not build", "undefined: undefined", "What to do: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("source that does not compile: got %v, want an error with %q", err, want)
		}
	}
	h = hello(t, "package main\n\nfunc main() {}\n")
	h.version = "v1.2.3"
	if err := b.build(t.Context(), []tool{h}); err == nil || !strings.Contains(err.Error(), "v1.2.3") {
		t.Errorf("a build that comes out in another version: got %v, want an error that says so", err)
	}
}

func TestBuildWaitsForOthers(t *testing.T) {
	out, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	b := builder{bin: t.TempDir(), say: newProgress(out)}
	unlock, err := b.lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	h := hello(t, "package main\n\nfunc main() {}\n")
	if err := b.build(ctx, []tool{h}); err == nil {
		t.Error("two at once build into one directory")
	}
	unlock()
	if err := b.build(t.Context(), []tool{h}); err != nil {
		t.Errorf("after the other one is done: %v", err)
	}
}

func TestPatch(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   string
		err    string
	}{
		"Once": {
			reason: "The text is replaced.",
			text:   "port := 8080\n",
			want:   "port := 0\n",
		},
		"Never": {
			reason: "A text that is not there means that the module has changed.",
			text:   "port := 9090\n",
			want:   "port := 9090\n",
			err:    "0 times",
		},
		"Twice": {
			reason: "A text that is there twice does not say which is meant.",
			text:   "8080 8080",
			want:   "8080 8080",
			err:    "2 times",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "server.go"), tc.text)
			err := patch{module: "example.org/server", file: "server.go", old: "8080", new: "0"}.apply(dir)
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("%s\napply(): got error %v, want %q", tc.reason, err, tc.err)
			}
			got, err := os.ReadFile(filepath.Join(dir, "server.go"))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("%s\napply(): got %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

func names(ts []tool) []string {
	var n []string
	for _, t := range ts {
		n = append(n, t.name)
	}
	return n
}
