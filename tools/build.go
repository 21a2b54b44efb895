package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// scratch begins the name of a directory that a tool is built in.
const scratch = ".building-"

// A builder puts tools into a directory.
type builder struct {
	bin string
	say *progress
}

// build builds those of the tools that are not there yet. Only one process at a time builds into a directory: another one
// waits here, and then finds the work done.
func (b builder) build(ctx context.Context, tools []tool) error {
	if err := os.MkdirAll(b.bin, 0o750); err != nil {
		return fmt.Errorf("directory for the programs: %w", err)
	}
	missing := b.missing(tools)
	if len(missing) == 0 {
		return nil
	}
	unlock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	left, _ := filepath.Glob(filepath.Join(b.bin, scratch+"*"))
	for _, dir := range left { // By a build that was killed.
		_ = os.RemoveAll(dir)
	}
	missing = b.missing(tools)
	for i, t := range missing {
		done := b.say.start(fmt.Sprintf("[%d/%d] %s %s", i+1, len(missing), t.name, t.version), "about "+t.first+" the first time")
		err := b.install(ctx, t)
		done(err)
		if err != nil {
			return err
		}
	}
	return nil
}

func (b builder) missing(tools []tool) []tool {
	var m []tool
	for _, t := range tools {
		if err := t.check(filepath.Join(b.bin, t.name)); err != nil {
			m = append(m, t)
		}
	}
	return m
}

// lock waits until no other process builds into the directory. The system gives the lock back when the process ends,
// however it ends.
func (b builder) lock(ctx context.Context) (func(), error) {
	f, err := os.OpenFile(filepath.Join(b.bin, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the directory for the programs: %w", err)
	}
	const poll = 200 * time.Millisecond
	for told := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		if !told {
			b.say.line("another process is building into " + b.bin + ": waiting for it")
			told = true
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, ctx.Err()
		case <-time.After(poll):
		}
	}
}

// install builds one tool beside its place and then moves it there, so that a program that is just running is not written to
// and a build that is interrupted leaves nothing half made.
func (b builder) install(ctx context.Context, t tool) error {
	dir, err := os.MkdirTemp(b.bin, scratch)
	if err != nil {
		return fmt.Errorf("directory to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, "out")
	args := []string{"build", "-o=" + out + "/", "-ldflags=" + t.allLdflags(), "-tags=" + t.tags}
	if len(t.patches) > 0 {
		modfile, err := t.patch(ctx, dir)
		if err != nil {
			return err
		}
		args = append(args, "-modfile="+modfile)
	}
	if _, err := t.run(t.command(ctx, append(args, t.pkg)...)); err != nil {
		return err
	}
	// There is one file, whose name is the go command's choice.
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) != 1 {
		return fmt.Errorf("%s %s: the go command made %d programs, not one: %w", t.name, t.version, len(entries), err)
	}
	built := filepath.Join(out, entries[0].Name())
	if err := t.check(built); err != nil {
		return err
	}
	if err := os.Rename(built, filepath.Join(b.bin, t.name)); err != nil {
		return fmt.Errorf("%s %s: put it in place: %w", t.name, t.version, err)
	}
	return nil
}

// command is a go command, run where the tool's versions are pinned.
func (t tool) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.pinned
	// A workspace or a user's own settings must not change what is built. Without cgo no C compiler is needed and the
	// programs run anywhere.
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=", "GOOS=", "GOARCH=")
	// The go command stops its compilers when interrupted; killed, it would leave them running.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// run runs a go command and returns what it wrote to its standard output.
func (t tool) run(cmd *exec.Cmd) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, t.failure(err, errs.String()+out.String())
	}
	return out.Bytes(), nil
}

// check says why the binary at path is not this tool, or returns nil. A Go binary carries what it was built from and how.
func (t tool) check(path string) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%s: what it was built from cannot be read: %w", t.name, err)
	}
	got := []string{info.Path, info.Main.Path, info.Main.Version}
	for _, s := range info.Settings {
		if s.Key == "-ldflags" || s.Key == "-tags" {
			got = append(got, s.Key+"="+s.Value)
		}
	}
	want := []string{t.pkg, t.module, t.version, "-ldflags=" + t.allLdflags()}
	if t.tags != "" {
		want = append(want, "-tags="+t.tags)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s: the binary is of %q, wanted is %q", t.name, got, want)
	}
	return nil
}

// failure is the error of a build that failed: what the go command said, and what to do about it.
func (t tool) failure(err error, output string) error {
	const most = 25
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if n := len(lines) - most; n > 0 {
		lines = lines[n:]
	}
	said := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(output), t) })
	}
	todo := "look at the lines above; the versions in tools/table.go are known to build with Go 1.26"
	switch {
	case errors.Is(err, exec.ErrNotFound):
		todo = "install Go 1.26 or newer and put it on the PATH"
	case said("no space left"):
		todo = "make room: the module and build caches (`go env GOMODCACHE GOCACHE`) need about 8 GB"
	case said("dial tcp", "i/o timeout", "no such host", "proxyconnect", "connection refused", "tls handshake"):
		todo = "a module could not be downloaded: check the network and `go env GOPROXY`, then run the same command again"
	case said("signal: killed", "cannot allocate memory"):
		todo = "the compiler ran out of memory: free some, or set GOMAXPROCS=1"
	}
	return fmt.Errorf("%s %s does not build: %w\n\n%s\n\nWhat to do: %s.\nThen: go -C tools run . %s",
		t.name, t.version, err, strings.Join(lines, "\n"), todo, t.name)
}
