// Package process runs programs beside a test or the playground and leaves none behind: not when they are stopped, not when
// they fail, and not when the process that started them dies.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// ErrAddressInUse is in the error of a process that ended because it could not listen where it was told to: choose another
// port and start it again.
var ErrAddressInUse = errors.New("address already in use")

// A Config says what to run.
type Config struct {
	// Path of the program.
	Path string
	Args []string
	// Env is added to this process's own environment.
	Env []string
	// Log is the file that what the program says is appended to. The program is called by the file's name without extension.
	Log string
}

// A Process is a running program.
type Process struct {
	name, log string
	pid       int
	done      chan struct{}
	err       error // set before done is closed
}

// Start starts a program. It fails if there is no such program or the log cannot be written; whether the program then does
// well is told by Await and Done.
func Start(cfg Config) (*Process, error) {
	name := strings.TrimSuffix(filepath.Base(cfg.Log), filepath.Ext(cfg.Log))
	log, err := os.OpenFile(cfg.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", name, err)
	}
	cmd := exec.Command(cfg.Path, cfg.Args...) //nolint:noctx // Ended by Stop and Kill, which know how; a context would only kill.
	cmd.Env = append(os.Environ(), cfg.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()
	p := &Process{name: name, log: cfg.Log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The system ends a child with the thread that started it, so this thread has to live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		err := cmd.Start()
		if err == nil {
			p.pid = cmd.Process.Pid
		}
		started <- err
		if err != nil {
			return
		}
		p.err = p.explain(cmd.Wait())
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how a process ended and what it said last; nil while it runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return p.err
	default:
		return nil
	}
}

// PID of the process.
func (p *Process) PID() int { return p.pid }

// Log is the file with what the process said.
func (p *Process) Log() string { return p.log }

// Stop asks the process to end and waits for it; after the grace it is killed, which is an error. Stopping twice, or a process
// that has ended by itself, does nothing.
func (p *Process) Stop(grace time.Duration) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		p.signal(syscall.SIGKILL) // Whatever it started itself.
		return nil
	case <-time.After(grace):
		p.Kill()
		return fmt.Errorf("%s did not end within %s of being asked to and was killed; its log is %s", p.name, grace, p.log)
	}
}

// Kill ends the process at once, as a crash would, and waits until it has gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// signal reaches the whole process group, which has the number of the process.
func (p *Process) signal(s syscall.Signal) { _ = syscall.Kill(-p.pid, s) }

// Await calls check until it returns nil. It gives up when ctx ends or the process does, and says why.
func (p *Process) Await(ctx context.Context, what string, check func(context.Context) error) error {
	const pause = 50 * time.Millisecond
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("wait until %s: %w", what, p.err)
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w; last answer: %w%s", what, ctx.Err(), err, p.lastLines())
		case <-time.After(pause):
		}
	}
}

func (p *Process) explain(err error) error {
	if err == nil {
		err = errors.New("exit status 0")
	}
	last := p.lastLines()
	if strings.Contains(last, ErrAddressInUse.Error()) {
		err = fmt.Errorf("%w (%w)", ErrAddressInUse, err)
	}
	return fmt.Errorf("%s ended: %w%s", p.name, err, last)
}

// lastLines is the end of the log, for the end of an error.
func (p *Process) lastLines() string {
	const most, bytes = 12, 8192
	f, err := os.Open(p.log)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > bytes {
		_, _ = f.Seek(-bytes, io.SeekEnd)
	}
	text, _ := io.ReadAll(f)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if n := len(lines) - most; n > 0 {
		lines = lines[n:]
	}
	return fmt.Sprintf("\nThe last lines of %s:\n  %s", p.log, strings.Join(lines, "\n  "))
}
