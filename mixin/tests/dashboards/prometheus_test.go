package dashboards

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// scrapeInterval is short, so that rates are there after some seconds.
const scrapeInterval = 500 * time.Millisecond

// A target is a process that is scraped.
type target struct {
	job string
	// exposition is the file of testdata that it serves.
	exposition string
	// labels are further labels of its series, as YAML.
	labels string
}

// startPrometheus runs a Prometheus that scrapes targets, with further global settings as YAML, and returns its address once rates can
// be taken. Beside them there is an alert that fires, if alert is set.
func startPrometheus(t *testing.T, targets []target, global string, alert bool) string {
	t.Helper()
	program, err := filepath.Abs("../../../bin/prometheus")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatalf("%v; it is built by `go -C tools run . prometheus` in the root of the repository", err)
	}

	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: %s, evaluation_interval: 1s, %s}\nrule_files: [rules.yaml]\nscrape_configs:\n", scrapeInterval, global)
	for i, target := range targets {
		server := httptest.NewServer(growing(t, target.exposition))
		t.Cleanup(server.Close)
		config += fmt.Sprintf("- job_name: %[1]s-%[2]d\n  static_configs: [{targets: [%[3]q], labels: {job: %[1]s, pod: %[1]s-%[2]d, %[4]s}}]\n",
			target.job, i, strings.TrimPrefix(server.URL, "http://"), target.labels)
	}
	rules := "groups: []\n"
	if alert {
		rules = "groups: [{name: test, rules: [{alert: CrossplaneTest, expr: vector(1), labels: {severity: warning, team: sales}}]}]\n"
	}
	for name, content := range map[string]string{"prometheus.yaml": config, "rules.yaml": rules} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program,
		"--config.file", filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", "127.0.0.1:0",
	)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addresses := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		listening := regexp.MustCompile(`msg="Listening on" .*address=(\S+)`)
		lines := bufio.NewScanner(log)
		for lines.Scan() {
			if found := listening.FindStringSubmatch(lines.Text()); found != nil {
				addresses <- found[1]
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-read
		var exit *exec.ExitError
		if err := cmd.Wait(); err != nil && !errors.As(err, &exit) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	var url string
	select {
	case address := <-addresses:
		url = "http://" + address
	case <-read:
		t.Fatal("Prometheus ended before it listened")
	case <-time.After(time.Minute):
		t.Fatal("Prometheus does not listen")
	}
	await(t, url, len(targets), alert)
	return url
}

// await waits until every target was scraped often enough, and the alert fires.
func await(t *testing.T, url string, targets int, alert bool) {
	t.Helper()
	want := fmt.Sprintf("count(count_over_time(up[1m]) >= 6) == %d", targets)
	if alert {
		want += ` and on () ALERTS{alertstate="firing"}`
	}
	var series []Series
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if series, err = ask(t.Context(), url, want, Window{End: time.Now()}, true); err == nil && len(series) > 0 {
			return
		}
	}
	t.Fatalf("Prometheus has not scraped everything within a minute: %v %v", series, err)
}

// growing serves a file of testdata: counters and histograms grow by what stands there each time, and @-N is N seconds ago.
func growing(t *testing.T, file string) http.HandlerFunc {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var scrapes atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		n := scrapes.Add(1)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		grows := false
		for line := range strings.Lines(string(text)) {
			if words := strings.Fields(line); len(words) == 4 && words[1] == "TYPE" {
				grows = words[3] == "counter" || words[3] == "histogram"
			}
			at := strings.LastIndexByte(line, ' ')
			if at < 0 || strings.HasPrefix(line, "#") {
				io.WriteString(w, line)
				continue
			}
			name, value := line[:at], strings.TrimSpace(line[at+1:])
			if ago, ok := strings.CutPrefix(value, "@"); ok {
				seconds, _ := strconv.ParseInt(ago, 10, 64)
				value = strconv.FormatInt(time.Now().Unix()+seconds, 10)
			}
			if grows {
				step, _ := strconv.ParseFloat(value, 64)
				value = strconv.FormatFloat(step*float64(n), 'g', -1, 64)
			}
			fmt.Fprintf(w, "%s %s\n", name, value)
		}
	}
}

// window is the last minute.
func window() Window {
	return Window{End: time.Now(), Range: time.Minute, Step: scrapeInterval, RateInterval: 4 * scrapeInterval}
}
