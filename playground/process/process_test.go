package process_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"crossplane-exporter/playground/process"
)

// shell starts a shell script as a process.
func shell(t *testing.T, script string) *process.Process {
	t.Helper()
	p, err := process.Start(process.Config{Path: "/bin/sh", Args: []string{"-c", script}, Log: filepath.Join(t.TempDir(), "script.log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

// said waits until the process has written a text to its log.
func said(t *testing.T, p *process.Process, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err := p.Await(ctx, "it says "+text, func(context.Context) error {
		log, err := os.ReadFile(p.Log())
		if err == nil && !strings.Contains(string(log), text) {
			err = errors.New("not yet")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func TestStop(t *testing.T) {
	cases := map[string]struct {
		reason string
		script string
		grace  time.Duration
		killed bool
	}{
		"Polite": {
			reason: "A process that ends when it is asked to ends by itself.",
			script: `trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done`,
			grace:  10 * time.Second,
		},
		"Deaf": {
			reason: "A process that does not listen is killed after the grace, and that is said.",
			script: `trap '' TERM; echo ready; while :; do sleep 0.05; done`,
			grace:  100 * time.Millisecond,
			killed: true,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := shell(t, tc.script)
			said(t, p, "ready")
			if err := p.Err(); err != nil {
				t.Errorf("%s\nErr() while it runs: got %v, want nil", tc.reason, err)
			}
			err := p.Stop(tc.grace)
			if killed := err != nil; killed != tc.killed {
				t.Errorf("%s\nStop(): got %v, want killed %t", tc.reason, err, tc.killed)
			}
			if !gone(p.PID()) {
				t.Errorf("%s\nafter Stop() process %d is still there", tc.reason, p.PID())
			}
			if err := p.Stop(tc.grace); err != nil {
				t.Errorf("%s\nStop() once more: got %v, want nil", tc.reason, err)
			}
		})
	}
}

func TestEarlyEnd(t *testing.T) {
	cases := map[string]struct {
		reason string
		script string
		says   string
		is     error
	}{
		"Failure": {
			reason: "The error has the exit status and the last lines of the log.",
			script: "for i in $(seq 100); do echo line $i; done; exit 3",
			says:   "line 100",
		},
		"Success": {
			reason: "A process that should run and ends is an error even if it means well.",
			script: "echo done",
			says:   "exit status 0",
		},
		"Port": {
			reason: "A port that is taken can be told from other failures.",
			script: "echo 'listen tcp 127.0.0.1:1: bind: address already in use'; exit 1",
			says:   "bind",
			is:     process.ErrAddressInUse,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := shell(t, tc.script)
			err := p.Await(t.Context(), "it is ready", func(context.Context) error { return errors.New("never") })
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s\nAwait(): got %v, want an error with %q", tc.reason, err, tc.says)
			}
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%s\nAwait(): got %v, want %v", tc.reason, err, tc.is)
			}
			if strings.Contains(err.Error(), "line 50\n") {
				t.Errorf("%s\nAwait(): the whole log is in the error", tc.reason)
			}
		})
	}
}

func TestAwaitEndsWithContext(t *testing.T) {
	p := shell(t, "sleep 300")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := p.Await(ctx, "it is ready", func(context.Context) error { return errors.New("not yet") })
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not yet") {
		t.Errorf("Await(): got %v, want that the time is over and what the last answer was", err)
	}
}

func TestStartFails(t *testing.T) {
	_, err := process.Start(process.Config{Path: "/no/such/program", Log: filepath.Join(t.TempDir(), "none.log")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Start() of a program that is not there: got %v", err)
	}
}

func TestFreePort(t *testing.T) {
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", process.Loopback(port))
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	defer func() { _ = l.Close() }()
	if process.Free(port) == nil {
		t.Error("a port that is listened on is told to be free")
	}
}

func TestWithFreePort(t *testing.T) {
	var ports []int
	got, err := process.WithFreePort(func(port int) (string, error) {
		ports = append(ports, port)
		if len(ports) < 3 {
			return "", process.ErrAddressInUse
		}
		return "started", nil
	})
	if err != nil || got != "started" || len(ports) != 3 {
		t.Errorf("two ports taken by somebody else: got %q, %v after ports %v, want the third to do", got, err, ports)
	}
	other := errors.New("something else")
	tries := 0
	if _, err := process.WithFreePort(func(int) (string, error) { tries++; return "", other }); !errors.Is(err, other) || tries != 1 {
		t.Errorf("another error: got %v after %d tries, want it at once", err, tries)
	}
}
