package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube"
)

// ErrIncomplete is what Check fails with when it has said what it saw, and that was not everything.
var ErrIncomplete = errors.New("not everything can be read")

// Check watches until everything has been seen once, for as long as ctx lasts, and writes what a deployment with this
// configuration would see: kinds, permissions, objects, and how many series each --detail makes.
func Check(ctx context.Context, cfg Config, w io.Writer) error {
	e, err := New(cfg)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- e.cluster.Run(watching) }() // and not the audit trail: what is taken from a queue is gone
	defer func() {
		stop()
		if err := <-done; err != nil {
			cfg.Log.Warn("the watch did not end in order", "err", err)
		}
	}()

	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for (e.Ready() != nil || !e.knowsAccounts()) && ctx.Err() == nil && !e.cluster.Definitions().Forbidden() {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	err = e.report(w, cfg.REST.Host)
	if e.trail != nil && (err == nil || errors.Is(err, ErrIncomplete)) {
		err = cmp.Or(e.reportTrail(ctx, w), err)
	}
	return err
}

// knowsAccounts is whether the API server has answered for ServiceAccounts, where they are wanted.
func (e *Exporter) knowsAccounts() bool {
	s := e.cluster.ServiceAccounts()
	return e.trail == nil || s.Answered()
}

// reportTrail says of each source of the audit trail whether it can be read.
func (e *Exporter) reportTrail(ctx context.Context, w io.Writer) error {
	var incomplete error
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "\nAUDIT TRAIL\tREADABLE")
	names, errs := e.trail.probe(ctx)
	for i, name := range names {
		answer := "yes"
		if errs[i] != nil {
			answer, incomplete = errs[i].Error(), ErrIncomplete
		}
		fmt.Fprintf(out, "%s\t%s\n", name, answer)
	}
	return cmp.Or(out.Flush(), incomplete)
}

func (e *Exporter) report(w io.Writer, host string) error {
	unready := e.Ready()
	kinds := e.cluster.Kinds()
	var unreadable []kube.KindStatus
	for _, k := range kinds {
		if k.Err != nil || !k.Synced {
			unreadable = append(unreadable, k)
		}
	}
	readable := len(kinds) - len(unreadable)
	if k := e.cluster.ServiceAccounts(); e.trail != nil && (k.Err != nil || !k.Synced) {
		unreadable = append(unreadable, k)
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "cluster\t%s\n", host)
	if unready != nil {
		fmt.Fprintf(out, "not ready\t%s\n", unready)
	}
	fmt.Fprintf(out, "kinds\t%d found, %d readable, %d not\n", len(kinds), readable, len(kinds)-readable)

	type row struct {
		kind            kube.Kind
		objects, unwell int
	}
	var rows []row
	objects := 0
	e.resources.each(func(s *resourceStore) {
		r := row{kind: s.kind, objects: s.group.Len()}
		for _, held := range s.group.All() {
			if held.unwell {
				r.unwell++
			}
		}
		if objects += r.objects; r.objects > 0 {
			rows = append(rows, r)
		}
	})
	fmt.Fprintf(out, "objects\t%d of %d kinds\n", objects, len(rows))
	byKind := 0
	for _, t := range e.count(e.resources.kinds) {
		byKind += t.Samples
	}
	for _, d := range []Detail{DetailNone, DetailUnhealthy, DetailAll} {
		n := byKind
		for _, t := range e.count(e.resources.in(d)) {
			n += t.Samples
		}
		fmt.Fprintf(out, "series\t%d with --detail=%s\n", n, d)
	}

	if len(rows) > 0 {
		fmt.Fprintln(out, "\nCATEGORY\tKIND\tVERSION\tOBJECTS\tNOT WELL")
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.objects, a.objects) })
		for _, r := range rows {
			fmt.Fprintf(out, "%s\t%s\t%s\t%d\t%d\n", r.kind.Category, r.kind, r.kind.Version, r.objects, r.unwell)
		}
	}
	if len(unreadable) > 0 {
		fmt.Fprintln(out, "\nNOT READABLE\tRESOURCE\tWHY")
		for _, k := range unreadable {
			err := k.Err
			if err == nil {
				err = errors.New("no answer yet")
			}
			fmt.Fprintf(out, "%s\t%s\t%v\n", strings.TrimPrefix(k.Kind.String(), "/"), strings.TrimSuffix(k.Kind.Resource+"."+k.Kind.Group, "."), err)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if unready != nil || len(unreadable) > 0 {
		return ErrIncomplete
	}
	return nil
}

// in is a table of the same resources that says them in another detail.
func (r *resources) in(d Detail) *expo.Table[resource] {
	t := resourceTable(d, r.fields)
	r.each(func(s *resourceStore) { t.Group(s.labels).Replace(s.group.All()) })
	return t
}

func (e *Exporter) count(t expo.Source) []expo.Tally {
	e.resources.say(e.cluster.Kinds())
	tallies, _ := expo.WriteText(io.Discard, t)
	return tallies
}
