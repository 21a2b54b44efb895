package pager_test

import (
	"context"
	"fmt"
	"maps"
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

	const stopped = "a provider is stopped"
	kubernetes := incident{
		alert: "CrossplanePackageRuntimeNotHealthy", title: "The process of a package is not healthy on playground: ProviderRevision provider-kubernetes-",
		channel: platform, critical: true,
	}
	check(t, w.provider.Stop())
	w.follow(t)
	w.awaitProvider(t, w.provider.Name(), "False")
	w.paint(t, "red", 1)
	w.expect(t, stopped, kubernetes)
	check(t, w.colour(t.Context(), 0, "red")) // Nobody has put it back.
	check(t, w.provider.Start(t.Context()))
	w.follow(t)
	w.awaitProvider(t, w.provider.Name(), "True")
	w.awaitColour(t, "blue")
	w.over(t, stopped, kubernetes)

	// The rules do not fire for what a provider that is not healthy looks after: there is nothing to mute.
	outage := incident{
		alert: "CrossplanePackageRuntimeNotHealthy", title: "The process of a package is not healthy on playground: ProviderRevision provider-aws-ec2-",
		channel: platform, critical: true,
	}
	for _, round := range []string{"a provider is away, and 500 resources become unready", "the same happens again"} {
		w.runs(t, awsProvider, unavailable)
		w.awaitProvider(t, awsProvider, "False")
		check(t, w.fleet.Change(t.Context(), fleet))
		w.expect(t, round, outage)
		w.lasts(t, round, fleet, outage)
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
	byHand := incident{alert: "CrossplaneDriftFrequent", title: "Resources drift and are put back often on playground: Object", channel: channel}
	var hands sync.WaitGroup
	hands.Go(func() { w.changeByHand(t) })
	w.trailDelay(t)
	// At once: the resources fail now, and the trail says why when it is read.
	w.throttle(t, true)
	over := w.logThrottled(t)
	w.expect(t, trouble, throttling, byHand)
	over()
	hands.Wait()
	w.throttle(t, false)
	w.over(t, trouble, throttling, byHand)

	const away = "the exporter is away"
	absent := incident{alert: "CrossplaneExporterAbsent", title: "The exporter is not scraped on playground", channel: platform, critical: true}
	check(t, w.exporter.Stop())
	w.expect(t, away, absent)
	w.startExporter(t)
	w.over(t, away, absent)

	for _, d := range w.desks {
		t.Logf("the desk of %s: %d messages in Slack, %d requests to the pager, which rang for %+v", d.name, len(d.slack.Received()), d.requests(), d.pages())
	}
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
				d.rings[d.urgent+" Critical: "+i.title]++
				awake = true
			}
		}
		await(t, what+": the desk of "+d.name+" is told", func(context.Context) error { return d.told(awake) })
	}
	t.Logf("%s: all are told %s later", what, time.Since(began).Round(time.Second))
}

// lasts sees that nothing else is told for longer than any alert on resources waits, while that many of them are unwell.
func (w *world) lasts(t *testing.T, what string, unwell int, incidents ...incident) {
	t.Helper()
	const long = 25 * time.Second
	await(t, what+": the rules know what is unwell", func(ctx context.Context) error {
		n, err := w.query(ctx, `count(resource:platform_resource_unwell:since_timestamp_seconds{category="managed"})`)
		if err == nil && n < float64(unwell) {
			err = fmt.Errorf("%g resources are unwell, want %d", n, unwell)
		}
		return err
	})
	pass(t, time.Now(), long)
	for _, d := range w.desks {
		active, muted, err := d.known(t.Context())
		check(t, err)
		if len(active) != len(incidents) || len(muted) > 0 {
			t.Errorf("%s: at the desk of %s are active %v, muted %v, want %d active", what, d.name, active, muted, len(incidents))
		}
		if err := d.told(true); err != nil {
			t.Errorf("%s: the desk of %s: %v", what, d.name, err)
		}
	}
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
	open := false
	rings := maps.Clone(d.rings)
	for _, p := range d.pages() {
		open = open || p.Open
		for begin := range rings {
			if strings.HasPrefix(p.Priority+" "+p.Title, begin) {
				rings[begin] -= p.Rings
				p.Rings = 0
			}
		}
		if p.Rings != 0 {
			return fmt.Errorf("pages: got %+v, want such as %v", p, d.rings)
		}
	}
	maps.DeleteFunc(rings, func(_ string, left int) bool { return left == 0 })
	if len(rings) > 0 || open != awake {
		return fmt.Errorf("pages: got %+v, want rings %v, and somebody awake %t", d.pages(), d.rings, awake)
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
	const buttons = 3
	seen := make(map[string]bool)
	for _, a := range m.Attachments[0].Actions {
		seen[a.Text] = true
		want := map[string]string{
			"Runbook":   `^https://example\.org/.*/runbooks/Crossplane\w+\.md$`,
			"Dashboard": `^https://grafana\.example\.org/d/crossplane-[a-z-]+`,
			"Silence":   `^https://alertmanager\.example\.org/#/silences/new\?filter=%7Balertname%3D%22Crossplane\w+%22.*%2Ccluster%3D%22playground%22`,
		}[a.Text]
		if want == "" || !regexp.MustCompile(want).MatchString(a.URL) {
			t.Errorf("%s: %s leads to %s, want %s", m.Attachments[0].Title, a.Text, a.URL, want)
		}
	}
	if len(seen) != buttons {
		t.Errorf("%s: buttons %v, want Runbook, Dashboard and Silence", m.Attachments[0].Title, seen)
	}
}

// changeByHand changes all ConfigMaps eight times, which is more often than people do, and at intervals that are not those of a
// controller: of any six changes, two have a pause between them that is longer than twice that between others, however slow this machine is.
func (w *world) changeByHand(t *testing.T) {
	const changes = 8
	pause, last := 12*time.Second, time.Now()
	for i := range changes {
		if i == changes/2 {
			pass(t, last, pause)
		}
		began := time.Now()
		w.byHand(t)
		last = time.Now()
		pause = max(pause, 4*last.Sub(began))
	}
}

// secondsForMinutes are flags of crossplane-mixin that have alerts wait for seconds where they wait for minutes: how long something must
// be so (for, after), and how long it is said afterwards.
func secondsForMinutes(t *testing.T) []string {
	t.Helper()
	root, err := programs.Root()
	check(t, err)
	flags := []string{
		// The trail is looked at every half minute, and drift comes by the dozen: what is counted over hours is counted over minutes.
		"--set", "cloudRate=90s", "--set", "alerts.CrossplaneDriftFrequent.window=150s",
		// Crossplane's own metrics are not scraped here; and what is counted over days would not be over when the test ends.
		"--set", "alerts.CrossplaneMetricsAbsent.enabled=false", "--set", "alerts.CrossplaneDriftByHand.enabled=false",
	}
	shorten := func(path, number, unit string) {
		flags = append(flags, "--set", path+"="+number+map[string]string{"h": "m", "m": "s"}[unit])
	}
	setting := regexp.MustCompile(`(?m)^    (unwellAfter|creatingAfter|deletingAfter|manyFor|keepFiringFor): '(\d+)([hm])'`)
	alert := regexp.MustCompile(`(?m)^      (Crossplane\w+): \{(.*)\},$`)
	wait := regexp.MustCompile(`\b(for|after|throttledFor|keepFiringFor)'?: '(\d+)([hm])'`)
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
	return append(flags,
		// When a revision is healthy again, Crossplane takes a second or two to say so of its package, here as elsewhere: a minute covers that.
		"--set", "alerts.CrossplanePackageNotHealthy.for=5s",
		// And 500 resources get well as quickly as this machine can write it.
		"--set", "manyFor=1m",
	)
}
