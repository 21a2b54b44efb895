package routing

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/marker"
	"github.com/prometheus/alertmanager/nflog"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/alertmanager/silence"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
)

// TestIncidents has Alertmanager's dispatcher, its inhibitor and the rest of its way to a receiver decide what is told, by the rendered
// configuration, while alerts come and go.
func TestIncidents(t *testing.T) {
	unhealthy := func(name, provider model.LabelValue) model.LabelSet {
		return model.LabelSet{
			"alertname": "CrossplanePackageRuntimeNotHealthy", "severity": "critical", "cluster": "production", "category": "package", "group": "pkg.crossplane.io",
			"kind": "ProviderRevision", "name": name + "-ba9876543210", "domain": "pkg.crossplane.io", "package": name, "provider": provider,
		}
	}
	absent := model.LabelSet{"alertname": "CrossplaneExporterAbsent", "severity": "critical", "cluster": "production"}
	down := model.LabelSet{"alertname": "CrossplaneDown", "severity": "critical", "cluster": "production", "job": "crossplane"}
	paused := model.LabelSet{"alertname": "CrossplaneResourcePausedTooLong", "severity": "info", "cluster": "production", "category": "managed"}
	drift := model.LabelSet{"alertname": "CrossplaneDriftLoop", "severity": "warning", "cluster": "production", "category": "managed"}
	cases := map[string]struct {
		reason string
		// play is what happens. Each minute that passes, Prometheus tells what fires.
		play func(*incidents)
		want []string // What the receivers were told, in order: when, how many alerts fire and are resolved, in whose group.
	}{
		"TwoProviders": {
			reason: "All packages are of one domain. A page for one cloud's provider must not keep that of another cloud from ringing.",
			play: func(i *incidents) {
				i.fire(unhealthy("provider-aws-s3", "aws"))
				i.wait(10 * time.Minute)
				i.fire(unhealthy("provider-gcp-storage", "gcp"))
				i.wait(10 * time.Minute)
			},
			want: []string{
				"30s crossplane-pager 1+0 CrossplanePackageRuntimeNotHealthy aws", "30s crossplane-slack 1+0 CrossplanePackageRuntimeNotHealthy aws",
				"10m30s crossplane-pager 1+0 CrossplanePackageRuntimeNotHealthy gcp", "10m30s crossplane-slack 1+0 CrossplanePackageRuntimeNotHealthy gcp",
			},
		},
		"ExporterGoes": {
			reason: "While the exporter is away its alerts end. A page is told to be over, so that it does not stay open; of a warning nothing is told.",
			play: func(i *incidents) {
				i.fire(unhealthy("provider-aws-s3", "aws"), drift)
				i.wait(10 * time.Minute)
				i.fire(absent)
				i.wait(5 * time.Minute)
				i.end(unhealthy("provider-aws-s3", "aws"), drift)
				i.wait(15 * time.Minute)
				i.end(absent)
				i.wait(10 * time.Minute)
			},
			want: []string{
				"30s crossplane-pager 1+0 CrossplanePackageRuntimeNotHealthy aws", "30s crossplane-slack 1+0 CrossplaneDriftLoop", "30s crossplane-slack 1+0 CrossplanePackageRuntimeNotHealthy aws",
				"10m30s crossplane-pager 1+0 CrossplaneExporterAbsent", "10m30s crossplane-slack 1+0 CrossplaneExporterAbsent",
				"15m30s crossplane-pager 0+1 CrossplanePackageRuntimeNotHealthy aws", "15m30s crossplane-slack 0+1 CrossplanePackageRuntimeNotHealthy aws",
				"30m30s crossplane-pager 0+1 CrossplaneExporterAbsent", "30m30s crossplane-slack 0+1 CrossplaneExporterAbsent",
			},
		},
		"EndsWhileMuted": {
			reason: "What is muted when it ends is never told to be over, not even when its cause has ended: docs/alerting.md says so.",
			play: func(i *incidents) {
				i.fire(unhealthy("provider-aws-s3", "aws"))
				i.wait(10 * time.Minute)
				i.fire(down)
				i.wait(10 * time.Minute)
				i.end(unhealthy("provider-aws-s3", "aws"))
				i.wait(10 * time.Minute)
				i.end(down)
				i.wait(time.Hour)
			},
			want: []string{
				"30s crossplane-pager 1+0 CrossplanePackageRuntimeNotHealthy aws", "30s crossplane-slack 1+0 CrossplanePackageRuntimeNotHealthy aws",
				"10m30s crossplane-pager 1+0 CrossplaneDown", "10m30s crossplane-slack 1+0 CrossplaneDown",
				"30m30s crossplane-pager 0+1 CrossplaneDown", "30m30s crossplane-slack 0+1 CrossplaneDown",
			},
		},
		"AtNight": {
			reason: "An info at night is not lost.",
			play: func(i *incidents) {
				i.fire(paused)
				i.wait(2 * time.Minute)
				i.end(paused)
				i.wait(10 * time.Minute)
			},
			want: []string{"30s crossplane-slack 1+0 CrossplaneResourcePausedTooLong", "5m30s crossplane-slack 0+1 CrossplaneResourcePausedTooLong"},
		},
		"Watchdog": {
			reason: "The watchdog barks every minute.",
			play: func(i *incidents) {
				i.fire(model.LabelSet{"alertname": Watchdog, "severity": "none"})
				i.wait(5 * time.Minute)
			},
			want: []string{
				"0s crossplane-watchdog 1+0 CrossplaneWatchdog", "1m0s crossplane-watchdog 1+0 CrossplaneWatchdog", "2m0s crossplane-watchdog 1+0 CrossplaneWatchdog",
				"3m0s crossplane-watchdog 1+0 CrossplaneWatchdog", "4m0s crossplane-watchdog 1+0 CrossplaneWatchdog", "5m0s crossplane-watchdog 1+0 CrossplaneWatchdog",
			},
		},
	}
	text, err := Render(shipped)
	check(t, err)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			cfg, err := parse(text)
			check(t, err)
			synctest.Test(t, func(t *testing.T) {
				i := newIncidents(t, cfg)
				tc.play(i)
				if diff := gocmp.Diff(tc.want, i.told()); diff != "" {
					t.Errorf("%s\ntold (-want +got):\n%s", tc.reason, diff)
				}
			})
		})
	}
}

// incidents are an Alertmanager whose receivers only remember what they were told, and what fires in Prometheus.
type incidents struct {
	t      *testing.T
	alerts *mem.Alerts
	began  time.Time
	firing []model.LabelSet

	mu    sync.Mutex
	lines []line
}

func newIncidents(t *testing.T, cfg *config.Config) *incidents {
	t.Helper()
	log, recorder, registry := slog.New(slog.DiscardHandler), eventrecorder.NopRecorder(), prometheus.NewRegistry()
	i := &incidents{t: t, began: time.Now()}
	var err error
	i.alerts, err = mem.NewAlerts(t.Context(), time.Hour, 0, nil, log, recorder, registry, featurecontrol.NoopFlags{})
	check(t, err)
	silences, err := silence.New(silence.Options{Retention: time.Hour, Metrics: registry, EventRecorder: recorder})
	check(t, err)
	notified, err := nflog.New(nflog.Options{Retention: 120 * time.Hour, Metrics: registry})
	check(t, err)
	inhibitor := inhibit.NewInhibitor(i.alerts, cfg.InhibitRules, log, recorder)
	go inhibitor.Run()
	inhibitor.WaitForLoading()

	integrations := make(map[string][]notify.Integration)
	for _, r := range cfg.Receivers {
		integrations[r.Name] = []notify.Integration{notify.NewIntegration(remembering{i, r.Name}, remembering{}, "test", 0, r.Name)}
	}
	intervals := make(map[string][]timeinterval.TimeInterval)
	for _, ti := range cfg.TimeIntervals {
		intervals[ti.Name] = ti.TimeIntervals
	}
	groups := marker.NewGroupMarker()
	stage := notify.NewPipelineBuilder(registry, featurecontrol.NoopFlags{}, recorder).New(integrations, func() time.Duration { return 0 },
		inhibitor, silence.NewSilencer(silences, log, recorder), timeinterval.NewIntervener(intervals), groups, notified, nil)
	d := dispatch.NewDispatcher(i.alerts, dispatch.NewRoute(cfg.Route, nil), stage, groups, func(d time.Duration) time.Duration { return d },
		time.Minute, nil, log, recorder, nil, nil)
	go d.Run(time.Now())
	d.WaitForLoading()
	t.Cleanup(func() {
		d.Stop()
		inhibitor.Stop()
		i.alerts.Close()
	})
	return i
}

// fire has alerts begin.
func (i *incidents) fire(alerts ...model.LabelSet) {
	i.firing = append(i.firing, alerts...)
	i.send(time.Now().Add(4*time.Minute), alerts...)
}

// end has alerts be over.
func (i *incidents) end(alerts ...model.LabelSet) {
	for _, a := range alerts {
		i.firing = slices.DeleteFunc(i.firing, a.Equal)
	}
	i.send(time.Now(), alerts...)
}

// wait lets time pass.
func (i *incidents) wait(d time.Duration) {
	for until := time.Now().Add(d); time.Now().Before(until); {
		time.Sleep(time.Minute)
		i.send(time.Now().Add(4*time.Minute), i.firing...)
	}
}

func (i *incidents) send(until time.Time, alerts ...model.LabelSet) {
	for _, a := range alerts {
		check(i.t, i.alerts.Put(i.t.Context(), &alert.Alert{Alert: model.Alert{Labels: a, StartsAt: time.Now(), EndsAt: until}, UpdatedAt: time.Now()}))
	}
	synctest.Wait()
}

// A line says what a receiver was told, and when.
type line struct {
	at   time.Duration
	text string
}

// told is what the receivers were told. What is told at one time is in the order of the receivers' names.
func (i *incidents) told() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	slices.SortFunc(i.lines, func(a, b line) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.text, b.text)) })
	var told []string
	for _, l := range i.lines {
		told = append(told, fmt.Sprintf("%s %s", l.at, l.text))
	}
	return told
}

// remembering is a receiver that remembers what it was told.
type remembering struct {
	incidents *incidents
	name      string
}

func (remembering) SendResolved() bool { return true }

func (r remembering) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	firing := 0
	for _, a := range alerts {
		if !a.Resolved() {
			firing++
		}
	}
	group, _ := notify.GroupLabels(ctx)
	r.incidents.mu.Lock()
	defer r.incidents.mu.Unlock()
	r.incidents.lines = append(r.incidents.lines, line{
		time.Since(r.incidents.began), strings.TrimSpace(fmt.Sprintf("%s %d+%d %s %s", r.name, firing, len(alerts)-firing, group[model.AlertNameLabel], group["provider"])),
	})
	return false, nil
}
