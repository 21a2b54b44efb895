package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"crossplane-exporter/playground/process"
)

// TestRun is `make run`, from beginning to end.
func TestRun(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("AWS_PROFILE", "that-of-whoever-runs-this") // which the exporter must not see: there is none of this name
	// Somebody else has the port it would like.
	l, err := net.Listen("tcp", process.Loopback(0))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, taken, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &output{}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-port", taken}, out) }()

	deadline := time.After(5 * time.Minute)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	await := func(what string, there func() bool) {
		t.Helper()
		for !there() {
			select {
			case err := <-ended:
				t.Fatalf("it ended by itself: %v\n%s", err, out)
			case <-deadline:
				t.Fatalf("%s is missing:\n%s", what, out)
			case <-tick.C:
			}
		}
	}
	await("the table", func() bool { return strings.Contains(out.String(), "failing, by what the error says") })
	url := regexp.MustCompile(`http://(\S+)/metrics`).FindStringSubmatch(out.String())
	if url == nil {
		t.Fatalf("it does not say where the metrics are:\n%s", out)
	}
	if url[1] == l.Addr().String() {
		t.Errorf("it serves at %s, which is taken", url[1])
	}
	read := regexp.MustCompile(`(?m)^crossplane_exporter_trail_up\{.*cloud_region="eu-central-1".*\} 1$`)
	await("what is read of CloudTrail", func() bool {
		resp, err := http.Get(url[0])
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return read.Match(text)
	})

	interrupt()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("interrupted, it should end well: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("interrupted, it does not end")
	}
	if left, _ := filepath.Glob(filepath.Join(temp, "*")); len(left) > 0 {
		t.Errorf("it leaves files behind: %s", left)
	}
	if left := children(t); len(left) > 0 {
		t.Errorf("it leaves processes behind: %s", left)
	}
}

func TestRunFails(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"Argument": {
			reason: "Arguments that mean nothing are refused.",
			args:   []string{"something"},
			want:   `unexpected argument "something"`,
		},
		"Exporter": {
			reason: "A program that is not there is named.",
			args:   []string{"-exporter", "/no/such/program", "-kubeconfig", "/no/such/file"},
			want:   "/no/such/program",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), tc.args, &output{})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nrun(%q): got %v, want an error with %q", tc.reason, tc.args, err, tc.want)
			}
		})
	}
}

func TestTable(t *testing.T) {
	const served = `# TYPE platform_resources gauge
platform_resources{category="managed",group="a.example.org",kind="A"} 3
platform_resources{category="managed",group="b.example.org",kind="B"} 1
platform_resources{category="package",group="pkg.crossplane.io",kind="Provider"} 2
# TYPE platform_resources_by_condition gauge
platform_resources_by_condition{category="managed",group="a.example.org",kind="A",condition="Ready",status="True",reason="Available"} 2
platform_resources_by_condition{category="managed",group="a.example.org",kind="A",condition="Ready",status="False",reason="Creating"} 1
platform_resources_by_condition{category="managed",group="b.example.org",kind="B",condition="Synced",status="Unknown",reason=""} 1
# TYPE platform_resources_failing gauge
platform_resources_failing{category="managed",group="a.example.org",kind="A",error_class="throttled"} 2
platform_resources_failing{category="managed",group="b.example.org",kind="B",error_class="denied"} 1
# TYPE platform_drift_corrections_total counter
platform_drift_corrections_total{category="managed",group="a.example.org",kind="A"} 7
# TYPE platform_cloud_out_of_band_changes_total counter
platform_cloud_out_of_band_changes_total{api_operation="ModifyA",principal_class="console",category="managed",group="a.example.org",kind="A"} 2
platform_cloud_out_of_band_changes_total{api_operation="CreateTags",principal_class="console",category="managed",group="a.example.org",kind="A"} 1
platform_cloud_out_of_band_changes_total{api_operation="ModifyA",principal_class="sso",category="managed",group="a.example.org",kind="A"} 0
platform_cloud_out_of_band_changes_total{api_operation="ModifyB",principal_class="role",category="managed",group="b.example.org",kind="B"} 1
# TYPE platform_cloud_revert_seconds histogram
platform_cloud_revert_seconds_bucket{category="managed",group="a.example.org",kind="A",principal_class="console",le="+Inf"} 2
platform_cloud_revert_seconds_sum{category="managed",group="a.example.org",kind="A",principal_class="console"} 90
platform_cloud_revert_seconds_count{category="managed",group="a.example.org",kind="A",principal_class="console"} 2
# TYPE platform_cloud_api_throttled_total counter
platform_cloud_api_throttled_total{api_operation="DescribeAs",principal_class="crossplane"} 3
platform_cloud_api_throttled_total{api_operation="DescribeAs",principal_class="batch"} 9
platform_cloud_api_throttled_total{api_operation="DescribeBs",principal_class="crossplane"} 1
# TYPE up gauge
up 1
`
	const want = `What the exporter sees at 12:00:00, in 18 series:

           kinds  objects  not ready  not synced  paused  deleting  create incomplete  drift put back
  managed      2        4          1           1       0         0                  0               7
  package      1        2          0           0       0         0                  0               0

failing, by what the error says: denied 1, throttled 2
calls that the cloud throttled, by who made them: batch 9, crossplane 4

     changed from outside by  times  put back  after, on average
  A                  console      3         2                45s
  B                     role      1         0                  -
`
	s, err := read(served)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, s.table(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))); diff != "" {
		t.Errorf("table: -want, +got:\n%s", diff)
	}
	if _, err := read("no exposition"); err == nil {
		t.Error("what is no exposition can be read")
	}
}

// children are the processes that this one has started and that still run.
func children(t *testing.T) []string {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, task := range tasks {
		pids, _ := os.ReadFile(task)
		for pid := range strings.FieldsSeq(string(pids)) {
			command, _ := os.ReadFile("/proc/" + pid + "/cmdline")
			all = append(all, pid+" "+string(bytes.ReplaceAll(command, []byte{0}, []byte(" "))))
		}
	}
	return all
}

// An output can be read while it is written.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
