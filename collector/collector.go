// Package collector is what the exporter says: each file is a group of metrics, from what was seen to how it is put.
package collector

import (
	"context"
	"fmt"
	"log/slog"
	"path"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/collectors/version"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"

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
	checkpoint *checkpoint
	registry   *prometheus.Registry
	self       *self
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
	e.cluster, err = kube.New(kube.Config{
		REST:        cfg.REST,
		Select:      selection,
		TeamLabel:   cfg.TeamLabel,
		Open:        e.resources.open,
		TeamChanged: e.resources.teamChanged,
		Events:      e.drift,
		Log:         cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	e.drift.current = e.cluster.Current
	e.self = newSelf(e.cluster, e.registry)
	e.registry.MustRegister(
		version.NewCollector("crossplane_exporter"),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return e, nil
}

// Run watches until ctx ends.
func (e *Exporter) Run(ctx context.Context) error {
	e.drift.restore(e.checkpoint.load(ctx, e.resources.now()))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.cluster.Run(ctx) })
	group.Go(func() error { return e.drift.run(ctx, e.checkpoint) })
	return group.Wait()
}

// Ready is nil once everything there is to say has been seen once; until then it says what is missing.
func (e *Exporter) Ready() error { return e.cluster.Ready() }
