// Package programs finds what the playground runs: programs that tools/ builds into bin/, the exporter, and Go modules that are
// only read, for the CRDs in them.
package programs

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Root is the directory of the repository: the one above the working directory that has tools/table.go.
func Root() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "tools", "table.go")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find the repository: neither %s nor a directory above it has tools/table.go; run this inside a clone", start)
		}
	}
}

// Build has tools/ build the programs of the given names where they are missing or of another version, which takes minutes
// the first time and is told on standard error. It returns the directory they are in.
func Build(ctx context.Context, names ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	cmd := command(ctx, append([]string{"-C", filepath.Join(root, "tools"), "run", "."}, names...)...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", strings.Join(names, ", "), err)
	}
	return filepath.Join(root, "bin"), nil
}

// BuildExporter builds the exporter from this repository's source and returns the path of the program.
func BuildExporter(ctx context.Context) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, "bin", "crossplane-exporter")
	// Put into place in one step: another test may be starting it.
	scratch := fmt.Sprintf("%s.%d", path, os.Getpid())
	defer func() { _ = os.Remove(scratch) }() // Left by a build that failed.
	cmd := command(ctx, "-C", root, "build", "-o", scratch, "./cmd/crossplane-exporter")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the exporter: %w", err)
	}
	if err := os.Rename(scratch, path); err != nil {
		return "", fmt.Errorf("build the exporter: %w", err)
	}
	return path, nil
}

// Module downloads a Go module, unless it is in the module cache, and returns its directory there, which is read-only.
func Module(ctx context.Context, path, version string) (string, error) {
	cmd := command(ctx, "mod", "download", "-json", path+"@"+version)
	// Outside of any module, so that no go.mod has a say in it.
	cmd.Dir = os.TempDir()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, runErr := cmd.Output()
	var got struct{ Dir, Error string }
	if err := json.Unmarshal(out, &got); err != nil {
		return "", fmt.Errorf("download %s %s: %w: %s", path, version, errors.Join(runErr, err), bytes.TrimSpace(stderr.Bytes()))
	}
	if got.Error != "" {
		return "", fmt.Errorf("download %s %s: %s; check the network and `go env GOPROXY`", path, version, got.Error)
	}
	return got.Dir, nil
}

// A Source is the module that a program was built from.
type Source struct{ Path, Version, Dir string }

// SourceOf finds the module that a program was built from, so that what is read in it is of the program's version.
func SourceOf(ctx context.Context, program string) (Source, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return Source{}, fmt.Errorf("module of %s: %w", program, err)
	}
	dir, err := Module(ctx, info.Main.Path, info.Main.Version)
	return Source{Path: info.Main.Path, Version: info.Main.Version, Dir: dir}, err
}

func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	// The go command ends its children when it is interrupted; killed, it would leave them running.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}
