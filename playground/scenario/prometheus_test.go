package scenario_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"crossplane-exporter/playground/exporter"
	"crossplane-exporter/playground/process"
	"crossplane-exporter/playground/programs"
	"crossplane-exporter/playground/scenario"
)

// readByPrometheus has a real Prometheus evaluate all rules over the scenario, and then asks it everything that the dashboards ask.
func readByPrometheus(t *testing.T, s *scenario.Scenario, e *exporter.Exporter) {
	t.Helper()
	bin, err := programs.Build(t.Context(), "prometheus")
	check(t, err)
	root, err := programs.Root()
	check(t, err)
	dir := t.TempDir()
	target := func(url string) string {
		host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
		return strconv.Quote(host)
	}
	var running []string
	for _, p := range s.Providers() {
		running = append(running, target(p.Metrics()))
	}
	check(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), fmt.Appendf(nil, `
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: [%q, %q]
scrape_configs:
- {job_name: crossplane-exporter, static_configs: [{targets: [%s]}]}
- {job_name: crossplane-providers, static_configs: [{targets: [%s]}]}
`, filepath.Join(root, "alerts", "rules.yaml"), filepath.Join(root, "alerts", "alerts.yaml"), target(e.URL()), strings.Join(running, ", ")), 0o600))
	var url string
	p, err := process.WithFreePort(func(port int) (*process.Process, error) {
		address := process.Loopback(port)
		url = "http://" + address
		p, err := process.Start(process.Config{Path: filepath.Join(bin, "prometheus"), Log: filepath.Join(dir, "prometheus.log"), Args: []string{
			"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address,
		}})
		if err != nil {
			return nil, err
		}
		return p, p.Await(t.Context(), "Prometheus is ready", func(ctx context.Context) error { return process.Get(ctx, url+"/-/ready") })
	})
	check(t, err)
	t.Cleanup(func() { check(t, p.Stop(10*time.Second)) })

	eventually(t, func(ctx context.Context) error {
		var answer struct {
			Data struct {
				Groups []struct {
					Rules []struct{ Name, Health, LastError, State string }
				}
			}
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/rules", nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		if err := errors.Join(json.NewDecoder(resp.Body).Decode(&answer), resp.Body.Close()); err != nil {
			return err
		}
		states := map[string]string{}
		for _, g := range answer.Data.Groups {
			for _, r := range g.Rules {
				if r.Health != "ok" {
					err = errors.Join(err, fmt.Errorf("rule %s: %s: %s", r.Name, r.Health, r.LastError))
				}
				states[r.Name] = r.State
			}
		}
		// The watchdog always fires; that someone changes things from outside has just been seen.
		for _, name := range []string{"CrossplaneWatchdog", "CrossplaneCloudChangedOutside", "CrossplaneProviderRoleMisused"} {
			if states[name] != "firing" {
				err = errors.Join(err, fmt.Errorf("alert %s is %q of %d rules, want it to fire", name, states[name], len(states)))
			}
		}
		return err
	})

	cmd := exec.CommandContext(t.Context(), "go", "-C", filepath.Join(root, "mixin", "tests"), "run", "./dashboards/ask",
		"-url", url, "-range", "1m", "-step", "1s", "-rate-interval", "5s")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.CombinedOutput()
	counts := regexp.MustCompile(`(\d+) queries, (\d+) empty, (\d+) failed`).FindSubmatch(out)
	if err != nil || counts == nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	t.Logf("%s", counts[0])
	asked, err := strconv.Atoi(string(counts[1]))
	check(t, err)
	empty, err := strconv.Atoi(string(counts[2]))
	check(t, err)
	// Crossplane's own metrics are not scraped here, nor are those that only cloud providers have.
	if asked < 100 || empty > asked/3 || string(counts[3]) != "0" {
		t.Errorf("the dashboards' queries:\n%s", out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, ": empty, shown as") && strings.Contains(line, `shown as ""`) {
			t.Errorf("a panel is empty and does not say why: %s", line)
		}
	}
}
