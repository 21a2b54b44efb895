package collector

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube"
)

// self says how the exporter itself is doing.
type self struct {
	cluster *kube.Cluster
	trail   *trail // nil where none is read
	shard   Shard

	up, lastSuccess, kinds, forbidden, shards *prometheus.Desc

	series  *prometheus.GaugeVec
	dropped *prometheus.CounterVec
}

func newSelf(c *kube.Cluster, t *trail, shard Shard, reg prometheus.Registerer) *self {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("crossplane_exporter_"+name, help, labels, nil)
	}
	s := &self{
		cluster:     c,
		trail:       t,
		shard:       shard,
		up:          desc("collector_up", "Whether all that the collector needs can be read now.", "collector"),
		lastSuccess: desc("collector_last_success_timestamp_seconds", "When the collector last heard from everything it watches, of what it may read: the age of its oldest news.", "collector"),
		kinds:       desc("kinds_watched", "Kinds that are watched, of those that this shard says."),
		forbidden:   desc("kinds_forbidden", "Kinds that are watched, of those that this shard says, but that RBAC does not let the exporter read."),
		shards:      desc("shards", "How many exporters share the kinds among them, and which of them this one is.", "shard"),
		series: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "crossplane_exporter_series", Help: "Series of each family at the last scrape.",
		}, []string{"family"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crossplane_exporter_series_dropped_total", Help: "Series of each family left out because it has more than --series.max, summed over all scrapes.",
		}, []string{"family"}),
	}
	reg.MustRegister(s, s.series, s.dropped)
	return s
}

// Describe implements prometheus.Collector.
func (s *self) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(s, ch) }

// Collect implements prometheus.Collector.
func (s *self) Collect(ch chan<- prometheus.Metric) {
	definitions, kinds := s.cluster.Definitions(), s.cluster.Kinds()
	up, watched, forbidden, heard := definitions.Synced && definitions.Current, 0, 0, definitions.Heard
	for _, k := range kinds {
		own := s.shard.has(k.Kind.Group, k.Kind.Name) // configurations are watched by every shard, and said by one
		if own {
			watched++
		}
		if k.Forbidden() {
			if own {
				forbidden++
			}
			continue
		}
		up = up && k.Synced && k.Current
		if k.Heard.Before(heard) {
			heard = k.Heard
		}
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	const name = "resources"
	gauge(s.up, boolean(up), name)
	gauge(s.lastSuccess, seconds(heard), name)
	if s.trail != nil {
		healthy, success := s.trail.health()
		gauge(s.up, boolean(healthy), "cloudtrail")
		gauge(s.lastSuccess, seconds(success), "cloudtrail")
	}
	gauge(s.kinds, float64(watched))
	gauge(s.forbidden, float64(forbidden))
	gauge(s.shards, float64(s.shard.count()), strconv.Itoa(s.shard.Index))
}

// scraped notes how much each family said.
func (s *self) scraped(tallies []expo.Tally) {
	for _, t := range tallies {
		s.series.WithLabelValues(t.Family).Set(float64(t.Samples))
		s.dropped.WithLabelValues(t.Family).Add(float64(t.Cut))
	}
}

// seconds is t in Unix seconds, 0 for no time at all.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
