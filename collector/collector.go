// Package collector is what the exporter says: each file is a group of metrics, from what was seen to how it is put.
package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/kube"
)

// A Config says what an Exporter watches and says. Its zero value, with REST and Log, is a sensible one.
type Config struct {
	// REST is how to reach the cluster.
	REST *rest.Config
	Log  *slog.Logger
	// Include and Exclude are globs of group/kind; see kube.NewSelection.
	Include, Exclude []string
	// TeamLabel is the key of the label, or else annotation, that names an object's team, on itself or on its namespace.
	TeamLabel string
	// Detail says which objects have series of their own; "" is DetailUnhealthy.
	Detail Detail
	// MaxSeries is how many series each metric family may have; 0 is no limit.
	MaxSeries int
	// TrustedManagers are globs, in the syntax of path.Match, of field managers that may write to specs besides Crossplane, its
	// providers and the GitOps controllers.
	TrustedManagers []string
	// DriftFields is whether the fields that have drifted get series of their own.
	DriftFields bool
	// Memory is how long a resource that was changed behind its back counts as not fine; 0 is a day.
	Memory time.Duration
	// Trail is the cloud's audit trail to be read, nil for none.
	Trail cloud.Trail
	// Shard is which share of the kinds is watched.
	Shard Shard
	// Checkpoint keeps what must survive a restart; nil keeps nothing.
	Checkpoint Keeper
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// An Exporter watches a cluster and says what it sees.
type Exporter struct {
	log        *slog.Logger
	cluster    *kube.Cluster
	resources  *resources
	drift      *drift
	trail      *trail // nil where none is read
	checkpoint *checkpoint
	registry   *prometheus.Registry
	self       *self
	wrong      atomic.Pointer[string] // what was wrong with the registry's metrics when they were gathered last
}

// New makes an Exporter. It fails for a configuration that cannot work, not for a cluster that cannot be reached.
func New(cfg Config) (*Exporter, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Detail == "" {
		cfg.Detail = DetailUnhealthy
	}
	if cfg.Memory == 0 {
		cfg.Memory = 24 * time.Hour
	}
	selection, err := kube.NewSelection(cfg.Include, cfg.Exclude)
	if err != nil {
		return nil, fmt.Errorf("which kinds to watch: %w", err)
	}
	if err := cfg.Shard.check(); err != nil {
		return nil, err
	}
	for _, glob := range cfg.TrustedManagers {
		if _, err := path.Match(glob, ""); err != nil {
			return nil, fmt.Errorf("%q is no glob of a field manager such as \"ci-*\": %w", glob, err)
		}
	}
	e := &Exporter{log: cfg.Log, registry: prometheus.NewRegistry()}
	e.resources = newResources(cfg, func(namespace string) string { return e.cluster.Team(namespace) }, e.registry)
	e.resources.limit(cfg.MaxSeries)
	e.drift = newDrift(e.resources, cfg.Now, cfg.Log, e.registry)
	e.checkpoint = newCheckpoint(cfg.Checkpoint, cfg.Log, e.registry)
	watch := kube.Config{
		REST:        cfg.REST,
		Select:      selection,
		TeamLabel:   cfg.TeamLabel,
		Watches:     e.resources.watches,
		Open:        e.resources.open,
		TeamChanged: e.resources.teamChanged,
		Events:      e.drift,
		Log:         cfg.Log,
	}
	if cfg.Trail != nil {
		if e.trail, err = newTrail(cfg, e.resources, e.registry); err != nil {
			return nil, err
		}
		watch.Identities, watch.ServiceAccounts = true, serviceAccountStore{e.trail.providers}
	}
	if e.cluster, err = kube.New(watch); err != nil {
		return nil, err
	}
	e.drift.current = e.cluster.Current
	e.self = newSelf(e.cluster, e.trail, cfg.Shard, e.registry)
	e.registry.MustRegister(
		version.NewCollector("crossplane_exporter"),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return e, nil
}

// Run watches until ctx ends.
func (e *Exporter) Run(ctx context.Context) error {
	saved := e.checkpoint.load(ctx, e.resources.now())
	if ctx.Err() != nil {
		return nil //nolint:nilerr // It was asked to stop; what was saved is left as it is.
	}
	e.drift.restore(saved)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.cluster.Run(ctx) })
	if e.trail != nil {
		var position *cloud.State
		if saved != nil {
			position = saved.Trail
		}
		e.trail.begin(position)
		group.Go(func() error { return e.trail.run(ctx, e.knowsAll) })
	}
	group.Go(func() error { return e.settle(ctx) })
	return group.Wait()
}

// settle puts into the metrics what happened, once a checkpoint has noted it, so that nothing is counted twice, until ctx ends.
func (e *Exporter) settle(ctx context.Context) error {
	tick := time.NewTicker(e.checkpoint.pace())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
			defer cancel()
			e.leave(last)
			return nil
		case <-tick.C:
			noted := false
			e.drift.judge(func() {
				noted = true
				e.note(ctx)
			})
			if !noted && (e.resources.news.Load() || e.trail != nil && e.trail.hasNews()) {
				e.note(ctx)
			}
			e.resources.refresh(e.resources.now().Unix())
			tick.Reset(e.checkpoint.pace())
		}
	}
}

// note saves a checkpoint, and puts what the audit trail told since the last one into the metrics.
func (e *Exporter) note(ctx context.Context) {
	save := func(position *cloud.State) error { return e.save(ctx, position) }
	if e.trail != nil {
		e.trail.note(save)
		return
	}
	save(nil) //nolint:errcheck // It has been said.
}

// leave saves the last checkpoint.
func (e *Exporter) leave(ctx context.Context) {
	var position *cloud.State
	if e.trail != nil {
		position = e.trail.leave()
	}
	e.save(ctx, position) //nolint:errcheck // It has been said.
}

// save saves a checkpoint with the audit trail at a position.
func (e *Exporter) save(ctx context.Context, position *cloud.State) error {
	e.resources.news.Store(false)
	s := e.drift.state()
	s.Trail = position
	err := e.checkpoint.save(ctx, s)
	if err != nil {
		e.resources.news.Store(true)
	}
	return err
}

// knowsAll is nil once it is known whom the audit trail may be about: the resources, and the providers.
func (e *Exporter) knowsAll() error {
	if !e.knowsAccounts() {
		return errors.New("ServiceAccounts are not known yet")
	}
	return e.Ready()
}

// Ready is nil once everything there is to say has been seen once; until then it says what is missing.
func (e *Exporter) Ready() error { return e.cluster.Ready() }
