package pager_test

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crossplane-exporter/playground/pager"
	"crossplane-exporter/playground/programs"
)

// TestIncidents has things go wrong and sees who is told of it, in Slack and by three pagers; that each is told of once; and that all
// of it is over by itself afterwards.
func TestIncidents(t *testing.T) {
	w := newWorld(t)
	w.quiet(t)

	outage := incident{
		alert: "CrossplanePackageRuntimeNotHealthy", title: "The process of a package is not healthy: ProviderRevision provider-aws-ec2-",
		channel: platform, critical: true, muted: []string{"CrossplaneManyResourcesUnwell"},
	}
	for _, round := range []string{"a provider is away, and 500 resources become unready", "the same happens again"} {
		w.runs(t, awsProvider, "provider package deployment is unavailable: Deployment does not have minimum availability.")
		w.awaitProvider(t, awsProvider, "False")
		check(t, w.fleet.Change(t.Context(), fleet))
		w.expect(t, round, outage)
		w.runs(t, awsProvider, "")
		w.awaitProvider(t, awsProvider, "True")
		check(t, w.fleet.Change(t.Context(), fleet))
		w.over(t, round, outage)
	}

	const trouble = "the cloud throttles, and a hundred ConfigMaps are changed by hand"
	throttling := incident{
		alert: "CrossplaneCloudThrottled", title: "The cloud throttles Crossplane, which makes most of the calls on playground",
		channel: platform, muted: []string{"CrossplaneResourcesFailing"},
	}
	byHand := incident{alert: "CrossplaneDriftFrequent", title: "Resources drift and are put back often: Object on playground", channel: channel}
	var hands sync.WaitGroup
	hands.Go(func() { w.changeByHand(t) })
	w.logCalls(t, 100, 40)
	await(t, trouble+": the cloud's trail says so", func(ctx context.Context) error {
		firing, err := w.firing(ctx)
		if err == nil && firing[throttling.alert] == 0 {
			err = fmt.Errorf("firing: %v", firing)
		}
		return err
	})
	w.throttle(t, true)
	hands.Wait()
	w.expect(t, trouble, throttling, byHand)
	w.throttle(t, false)
	w.over(t, trouble, throttling, byHand)

	const away = "the exporter is away"
	absent := incident{alert: "CrossplaneExporterAbsent", title: "The exporter is not scraped on playground", channel: platform, critical: true}
	check(t, w.exporter.Stop())
	w.expect(t, away, absent)
	w.startExporter(t)
	w.over(t, away, absent)
}

// An incident is what people are told of, once.
type incident struct {
	// alert that they are told of, and how the title of the message goes on after its severity, in that channel.
	alert, title, channel string
	// critical incidents wake somebody up.
	critical bool
	// muted are alerts that fire, too, and that nobody is told of.
	muted []string
}

func (i incident) message(begin string) string { return i.channel + " " + begin + ": " + i.title }

func (i incident) severity() string {
	if i.critical {
		return "Critical"
	}
	return "Warning"
}

// quiet waits until the watchdog has barked at each desk, and sees that nothing else is told.
func (w *world) quiet(t *testing.T) {
	t.Helper()
	for _, d := range w.desks {
		await(t, "the watchdog is heard at the desk of "+d.name, func(context.Context) error {
			if n := len(d.watchdog.Received()); n < 3 {
				return fmt.Errorf("it barked %d times", n)
			}
			return nil
		})
		d.check(t, "while all is well")
	}
}

// expect waits until incidents were told of at each desk, and their effects were not.
func (w *world) expect(t *testing.T, what string, incidents ...incident) {
	t.Helper()
	began := time.Now()
	for _, d := range w.desks {
		await(t, what+": Alertmanager knows, at the desk of "+d.name, func(ctx context.Context) error {
			active, muted, err := d.known(ctx)
			if err != nil {
				return err
			}
			for _, i := range incidents {
				if active[i.alert] == 0 || slices.ContainsFunc(i.muted, func(name string) bool { return muted[name] == 0 || active[name] > 0 }) {
					return fmt.Errorf("active %v, muted %v: want %s active and %v muted", active, muted, i.alert, i.muted)
				}
			}
			if len(active) > len(incidents) {
				return fmt.Errorf("active %v, want no others", active)
			}
			return nil
		})
		awake := false
		for _, i := range incidents {
			d.messages = append(d.messages, i.message(i.severity()))
			if i.critical {
				d.rings++
				awake = true
			}
		}
		await(t, what+": the desk of "+d.name+" is told", func(context.Context) error { return d.told(awake) })
	}
	t.Logf("%s: all are told %s later", what, time.Since(began).Round(time.Second))
}

// over waits until incidents are resolved at each desk.
func (w *world) over(t *testing.T, what string, incidents ...incident) {
	t.Helper()
	began := time.Now()
	for _, d := range w.desks {
		for _, i := range incidents {
			d.messages = append(d.messages, i.message("Resolved"))
		}
		await(t, what+": the desk of "+d.name+" is told that it is over", func(context.Context) error { return d.told(false) })
		await(t, what+": nothing is left at the desk of "+d.name, func(ctx context.Context) error {
			active, muted, err := d.known(ctx)
			if err == nil && len(active)+len(muted) > 0 {
				err = fmt.Errorf("active %v, muted %v", active, muted)
			}
			return err
		})
		d.check(t, what+": it is over")
	}
	t.Logf("%s: all is resolved %s later", what, time.Since(began).Round(time.Second))
}

// told is nil if Slack and the pager were told of what they should have been told of, and of nothing else; and if somebody is awake
// now, or nobody.
func (d *desk) told(awake bool) error {
	var messages []string
	for _, m := range d.slack.Received() {
		messages = append(messages, m.Channel+" "+m.Attachments[0].Title)
	}
	slices.Sort(messages)
	slices.Sort(d.messages)
	if !slices.EqualFunc(messages, d.messages, strings.HasPrefix) {
		return fmt.Errorf("messages in Slack: got %q, want such as %q", messages, d.messages)
	}
	rings, open := 0, false
	for _, p := range d.pages() {
		rings += p.Rings
		open = open || p.Open
	}
	if rings != d.rings || open != awake {
		return fmt.Errorf("pages: got %+v, want %d rings, and somebody awake %t", d.pages(), d.rings, awake)
	}
	return nil
}

// check fails the test if something else was told, or something was refused.
func (d *desk) check(t *testing.T, what string) {
	t.Helper()
	if err := d.told(false); err != nil {
		t.Errorf("%s: the desk of %s: %v", what, d.name, err)
	}
	for _, refused := range slices.Concat(d.slack.Refused(), d.refused(), d.watchdog.Refused()) {
		t.Errorf("%s: the desk of %s: %s", what, d.name, refused)
	}
	for _, m := range d.slack.Received() {
		checkLinks(t, m)
	}
}

// checkLinks sees that a message leads somewhere.
func checkLinks(t *testing.T, m pager.SlackMessage) {
	t.Helper()
	for _, a := range m.Attachments[0].Actions {
		want := map[string]string{
			"Runbook":   `^https://example\.org/.*/runbooks/Crossplane\w+\.md$`,
			"Dashboard": `^https://grafana\.example\.org/d/crossplane-[a-z-]+`,
			"Silence":   `^https://alertmanager\.example\.org/#/silences/new\?filter=%7Balertname%3D%22Crossplane\w+%22.*%2Ccluster%3D%22playground%22`,
		}[a.Text]
		if want == "" || !regexp.MustCompile(want).MatchString(a.URL) {
			t.Errorf("%s: %s leads to %s, want %s", m.Attachments[0].Title, a.Text, a.URL, want)
		}
	}
}

// changeByHand changes all ConfigMaps eight times within a minute, which is more often than people do, and at intervals that are not those
// of a controller.
func (w *world) changeByHand(t *testing.T) {
	const pause = 12 * time.Second
	var last time.Time
	for i := range 8 {
		if i%3 == 0 {
			await(t, "some time has passed", func(context.Context) error {
				if time.Since(last) < pause {
					return fmt.Errorf("%s", time.Since(last))
				}
				return nil
			})
		}
		w.byHand(t)
		last = time.Now()
	}
}

// secondsForMinutes are flags of crossplane-mixin that have alerts wait for seconds where they wait for minutes: how long something must
// be so (for, after), and how long it is said afterwards.
func secondsForMinutes(t *testing.T) []string {
	t.Helper()
	root, err := programs.Root()
	check(t, err)
	flags := []string{
		// The trail is looked at every half minute, and drift comes by the dozen: what is counted over hours is counted over 90 seconds.
		"--set", "cloudRate=90s", "--set", "alerts.CrossplaneDriftFrequent.window=90s",
		// Crossplane's own metrics are not scraped here; and whether somebody is told of an info depends on the hour.
		"--set", "alerts.CrossplaneMetricsAbsent.enabled=false", "--set", "alerts.CrossplaneDriftByHand.enabled=false",
	}
	shorten := func(path, number, unit string) {
		flags = append(flags, "--set", path+"="+number+map[string]string{"h": "m", "m": "s"}[unit])
	}
	setting := regexp.MustCompile(`(?m)^    (unwellAfter|creatingAfter|deletingAfter|manyFor|keepFiringFor): '(\d+)([hm])'`)
	alert := regexp.MustCompile(`(?m)^      (Crossplane\w+): \{(.*)\},$`)
	wait := regexp.MustCompile(`\b(for|after|keepFiringFor)'?: '(\d+)([hm])'`)
	config := read(t, filepath.Join(root, "mixin", "config.libsonnet"))
	for _, s := range setting.FindAllStringSubmatch(config, -1) {
		shorten(s[1], s[2], s[3])
	}
	for _, a := range alert.FindAllStringSubmatch(config, -1) {
		if a[1] == "CrossplaneExporterStale" || a[1] == "CrossplaneTrailLate" {
			continue // Watches hear something once a minute, and the trail has no news.
		}
		for _, s := range wait.FindAllStringSubmatch(a[2], -1) {
			shorten("alerts."+a[1]+"."+s[1], s[2], s[3])
		}
	}
	return flags
}
