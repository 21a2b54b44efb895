package process_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"crossplane-exporter/playground/process"
)

// awaitGone waits until a process that is no child of ours has ended. Who reaps it does so in its own time.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-tick.C {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	t.Errorf("process %d is still there", pid)
}

func TestStopEndsGrandchildren(t *testing.T) {
	p := shell(t, `sleep 300 & echo child $!; trap 'exit 0' TERM; while :; do sleep 0.05; done`)
	said(t, p, "child")
	if err := p.Stop(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(p.Log())
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.Fields(string(log))[1])
	if err != nil {
		t.Fatal(err)
	}
	awaitGone(t, pid)
}

// parent tells the test's own program to start a child and wait, instead of running tests.
const parent = "PROCESS_TEST_PARENT"

func TestMain(m *testing.M) {
	if log := os.Getenv(parent); log != "" {
		p, err := process.Start(process.Config{Path: "/bin/sleep", Args: []string{"300"}, Log: log})
		if err != nil {
			os.Exit(1)
		}
		_, _ = os.Stdout.WriteString(strconv.Itoa(p.PID()) + "\n")
		<-p.Done()
	}
	os.Exit(m.Run())
}

func TestChildDiesWithParent(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), parent+"="+filepath.Join(t.TempDir(), "sleep.log"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if gone(pid) {
		t.Fatal("the child is not there to begin with")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // That it was killed is no news.
	awaitGone(t, pid)
}
