package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"strings"
)

// A patch replaces a text in a file of a module. The text has to be there once.
type patch struct{ module, file, old, new string }

// patch copies the modules that the tool's patches are for into dir and patches them there. It returns the path of a go.mod
// with which the tool is built from the copies; nothing in the module cache changes.
func (t tool) patch(ctx context.Context, dir string) (string, error) {
	copies := make(map[string]string)
	for _, p := range t.patches {
		if copies[p.module] == "" {
			source, err := t.source(ctx, p.module)
			if err != nil {
				return "", err
			}
			to := filepath.Join(dir, filepath.Base(p.module))
			if err := os.CopyFS(to, os.DirFS(source)); err != nil {
				return "", fmt.Errorf("copy %s: %w", p.module, err)
			}
			copies[p.module] = to
		}
		if err := p.apply(copies[p.module]); err != nil {
			return "", err
		}
	}
	return t.modfile(dir, copies)
}

// apply makes the patch in a copy of its module.
func (p patch) apply(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(p.file))
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("patch %s: %w", p.module, err)
	}
	if n := strings.Count(string(text), p.old); n != 1 {
		return fmt.Errorf("patch %s: %q is in %s %d times, not once: has the version changed?", p.module, p.old, p.file, n)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), p.old, p.new, 1)), 0o600); err != nil { //nolint:gosec // The table says which file.
		return fmt.Errorf("patch %s: %w", p.module, err)
	}
	return nil
}

// modfile writes the tool's go.mod and go.sum into dir, with modules replaced by directories, and returns the path of the former.
func (t tool) modfile(dir string, replace map[string]string) (string, error) {
	path := filepath.Join(dir, "go.mod")
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(t.pinned, name))
		if err != nil {
			return "", fmt.Errorf("pinned versions of %s: %w", t.name, err)
		}
		if name == "go.mod" {
			for module, dir := range replace {
				text = fmt.Appendf(text, "\nreplace %s => %s\n", module, dir)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil { //nolint:gosec // In a directory of our own.
			return "", fmt.Errorf("pinned versions of %s: %w", t.name, err)
		}
	}
	return path, nil
}

// source is the directory of a module in the version that the tool is built with.
func (t tool) source(ctx context.Context, module string) (string, error) {
	out, err := t.run(t.command(ctx, "mod", "download", "-json", module))
	if err != nil {
		return "", err
	}
	var got struct{ Dir string }
	if err := json.Unmarshal(out, &got); err != nil {
		return "", fmt.Errorf("download %s: %w", module, err)
	}
	return got.Dir, nil
}

// allLdflags are the tool's linker flags and, because a program does not say what it was patched with, a sum of its patches:
// the linker does not mind a variable that does not exist, and when a patch changes the tool is built again.
func (t tool) allLdflags() string {
	if len(t.patches) == 0 {
		return t.ldflags
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%q", t.patches)
	return fmt.Sprintf("%s -X patches.sum=%x", t.ldflags, h.Sum64())
}
