package collector

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/prometheus/client_golang/prometheus"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube"
)

// driftFamilies say one resource each, after those of resourceFamilies.
var driftFamilies = []expo.Family[resource]{
	{
		Name: "platform_resource_drifted", Type: expo.Gauge,
		Help: "A resource whose external resource is not what the spec says, though the provider has dealt with the spec. Always 1.",
		Say:  flag(func(r *resource) bool { return r.drifting }),
	},
	{
		Name: "platform_resource_drift_corrections_total", Type: expo.Counter,
		Help: "How often the provider put the external resource back while the spec stood still, since the exporter started.",
		Say: func(l *expo.Lines, r *resource) {
			if r.drift != nil && r.drift.corrections > 0 {
				l.Sample(float64(r.drift.corrections))
			}
		},
	},
	{
		Name: "platform_resource_intended_updates_total", Type: expo.Counter,
		Help: "How often the provider updated the external resource because its spec was edited or it had just been created, since the exporter started.",
		Say: func(l *expo.Lines, r *resource) {
			if r.drift != nil && r.drift.intended > 0 {
				l.Sample(float64(r.drift.intended))
			}
		},
	},
	{
		Name: "platform_resource_last_drift_timestamp_seconds", Type: expo.Gauge,
		Help: "When the provider last put the external resource back while the spec stood still.",
		Say: func(l *expo.Lines, r *resource) {
			if r.drift != nil && r.drift.last != 0 {
				l.Sample(float64(r.drift.last))
			}
		},
	},
	{
		Name: "platform_resource_drift_loop", Type: expo.Gauge,
		Help: "A resource that is put back at nearly every reconcile: two controllers that fight, or a difference that an update does not remove. Always 1.",
		Say:  flag(func(r *resource) bool { return r.looping }),
	},
	{
		Name: "platform_resource_foreign_writes_total", Type: expo.Counter,
		Help:   "Writes to the spec by a field manager that is neither Crossplane, nor a provider, nor a GitOps controller, since the exporter started.",
		Labels: []string{"manager"},
		Say: func(l *expo.Lines, r *resource) {
			if r.drift == nil {
				return
			}
			for _, w := range r.drift.foreign {
				if w.writes > 0 {
					l.Sample(float64(w.writes), w.label)
				}
			}
		},
	},
	{
		Name: "platform_resource_last_foreign_write_timestamp_seconds", Type: expo.Gauge,
		Help:   "When such a field manager last wrote to the spec.",
		Labels: []string{"manager"},
		Say: func(l *expo.Lines, r *resource) {
			if r.drift == nil {
				return
			}
			for _, w := range r.drift.foreign {
				l.Sample(float64(w.last), w.label)
			}
		},
	},
}

// fieldFamily names the fields of those. It is said with Config.DriftFields only, because it is as many as people's fields.
var fieldFamily = expo.Family[resource]{
	Name: "platform_resource_drifted_field", Type: expo.Gauge,
	Help:   "A field of spec.forProvider that status.atProvider has with another value, of a resource that has drifted; eight of a resource at most. Always 1.",
	Labels: []string{"field"},
	Say: func(l *expo.Lines, r *resource) {
		if r.drifting && r.differing != nil {
			for _, field := range *r.differing {
				l.Sample(1, expo.Label("field", field))
			}
		}
	},
}

// An occurrence is something that an Event says happened to a resource, once or several times.
type occurrence struct {
	key     string // of the resource, in store
	times   int64
	version uint64 // of the resource that the provider held, 0 where that is not known
	before  int64  // when it had happened before, in Unix seconds; 0 for never
	last    int64  // when it happened last
}

// An operation is something that was tried outside of the cluster.
type operation struct {
	name   string
	failed bool
}

// operations are what the Events of a managed resource's reconciler say, by their reason.
// They are those of crossplane-runtime, pkg/reconciler/managed/reconciler.go.
var operations = map[string]operation{
	"CreatedExternalResource":       {"create", false},
	"UpdatedExternalResource":       {"update", false},
	"DeletedExternalResource":       {"delete", false},
	"CannotConnectToProvider":       {"connect", true},
	"CannotObserveExternalResource": {"observe", true},
	"CannotCreateExternalResource":  {"create", true},
	"CannotUpdateExternalResource":  {"update", true},
	"CannotDeleteExternalResource":  {"delete", true},
}

type groupKind struct{ group, kind string }

// settling is how long an update waits for its verdict: the watch of its resource may be behind that of Events.
const settling = 3 * time.Second

// drift counts what providers do to the world: from the Events that they write, told apart by what the resource's spec did.
type drift struct {
	resources *resources
	now       func() time.Time
	current   func(kube.Kind) bool // whether the watch of a kind is open
	log       *slog.Logger

	operations *prometheus.CounterVec
	updates    *prometheus.CounterVec
	corrected  *prometheus.CounterVec
	interval   *prometheus.HistogramVec
	unknown    prometheus.Counter

	mu     sync.Mutex
	since  int64                 // when this exporter, or the one whose checkpoint it took over, saw the Events, in Unix seconds
	events map[string]*eventSeen // by namespace/name
	synced bool                  // the Events that were there at the start are known
	queue  []judgement
	news   bool // something is not in the checkpoint yet
}

// An eventSeen is what is remembered of an Event.
type eventSeen struct {
	Seen    int64 `json:"-"` // its count, as far as it is in the queue
	Counted int64 `json:"n"` // its count, as far as it is in the metrics
	Last    int64 `json:"t"` // when it happened last, in Unix seconds
	// Gone is when the Event expired, in Unix seconds, 0 while it is there. It may come back and go on counting.
	Gone int64 `json:"x,omitempty"`
}

const (
	// eventMemory is how long an Event that expired is remembered, in seconds.
	eventMemory = 24 * 3600
	// maxEvents is how many Events are remembered.
	maxEvents = 200_000
)

// A judgement is an occurrence that is not in the metrics yet.
type judgement struct {
	occurrence

	event string // its name
	count int64  // the Event's count with it
	kind  groupKind
	op    operation
	class string // of the error

	due  time.Time
	late time.Time // when it is judged though the kind's watch is not open
}

func newDrift(r *resources, now func() time.Time, log *slog.Logger, reg prometheus.Registerer) *drift {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append(slices.Clone(kindLabels), labels...))
		reg.MustRegister(c)
		return c
	}
	d := &drift{
		resources:  r,
		now:        now,
		log:        log,
		current:    func(kube.Kind) bool { return true },
		operations: counter("platform_external_operations_total", "What providers tried outside of the cluster, by how it ended.", "operation", "outcome", "error_class"),
		updates:    counter("platform_external_updates_total", "Updates of external resources by what led to them: an edit of the spec, the creation, or drift.", "trigger"),
		corrected:  counter("platform_drift_corrections_total", "Updates of external resources made while the spec stood still: the provider put the world back."),
		interval: histogram(reg, "platform_drift_interval_seconds", "Time between two corrections of the same resource.",
			[]float64{10, 30, 60, 120, 300, 600, 1800, 3600, 6 * 3600, 24 * 3600, 7 * 24 * 3600}),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "crossplane_exporter_events_unattributed_total",
			Help: "Occurrences of providers' Events whose resource is not watched, or was gone before they were judged.",
		}),
		since:  now().Unix(),
		events: map[string]*eventSeen{},
	}
	r.introduce = d.introduce
	r.vectors = append(r.vectors, d.operations, d.updates, d.corrected, d.interval)
	reg.MustRegister(d.unknown, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "crossplane_exporter_events_tracked", Help: "Events of providers whose count is remembered, so that nothing is counted twice.",
	}, func() float64 {
		d.mu.Lock()
		defer d.mu.Unlock()
		return float64(len(d.events))
	}))
	return d
}

// introduce makes a kind's counters begin at zero rather than out of nowhere: the first of what is rare would not be seen by
// increase() otherwise.
func (d *drift) introduce(s *resourceStore) {
	if s.kind.Category != kube.Managed {
		return
	}
	d.corrected.WithLabelValues(s.labelValues()...)
	for _, trigger := range []string{"spec", "create", "drift"} {
		d.updates.WithLabelValues(s.labelValues(trigger)...)
	}
}

// Set implements kube.EventStore.
func (d *drift) Set(e *kube.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.see(e)
}

// Delete implements kube.EventStore. Events expire an hour after their last change, and the recorder that wrote one goes on
// counting under the same name when it happens again.
func (d *drift) Delete(e *kube.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone(e.Namespace + "/" + e.Name)
}

// Replace implements kube.EventStore.
func (d *drift) Replace(all []*kube.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	there := make(map[string]bool, len(all))
	for _, e := range all {
		there[e.Namespace+"/"+e.Name] = true
		d.see(e)
	}
	for name := range d.events {
		if !there[name] {
			d.gone(name)
		}
	}
	d.synced = true
}

func (d *drift) gone(name string) {
	if seen := d.events[name]; seen != nil && seen.Gone == 0 {
		seen.Gone = d.now().Unix()
		d.news = true
	}
}

// see puts what is new about an Event into the queue.
func (d *drift) see(e *kube.Event) {
	op, ok := operations[e.Reason]
	if !ok || !d.resources.shard.has(e.Involved.Group, e.Involved.Kind) {
		return
	}
	name := e.Namespace + "/" + e.Name
	seen, known := d.events[name]
	if !known {
		seen = &eventSeen{}
		d.events[name] = seen
		switch {
		case e.First > d.since:
		case !d.synced:
			// It was there when nobody watched: what of it is old, nobody knows.
			seen.Seen = e.Count
		default:
			// It came back, with a count from before anybody watched: once is certain.
			seen.Seen = e.Count - 1
		}
		seen.Counted = seen.Seen
	}
	if e.Count < seen.Seen { // its writer forgot it and began anew under the same name
		seen.Seen, seen.Counted = 0, 0
	}
	times, before := e.Count-seen.Seen, seen.Last
	seen.Seen, seen.Last, seen.Gone = e.Count, max(seen.Last, e.Last), 0
	if times <= 0 {
		return
	}
	j := judgement{
		occurrence: occurrence{key: resourceKey(e.Involved.Namespace, e.Involved.Name), times: times, before: before, last: e.Last},
		event:      name,
		count:      e.Count,
		kind:       groupKind{e.Involved.Group, e.Involved.Kind},
		op:         op,
		due:        d.now(),
	}
	j.late = j.due.Add(time.Minute)
	switch {
	case op.failed:
		j.class = string(cloud.ClassifyText(e.Message))
	case op.name == "update":
		j.due = j.due.Add(settling)
		if e.Count == 1 {
			j.version = parseVersion(e.Involved.ResourceVersion)
		}
	}
	d.queue = append(d.queue, j)
}

// judge tells what is due, and puts it into the metrics once save has noted it: what is noted is never counted again.
func (d *drift) judge(save func()) {
	now := d.now()
	d.mu.Lock()
	var due []judgement
	d.queue = slices.DeleteFunc(d.queue, func(j judgement) bool {
		s := d.resources.store(j.kind)
		behind := s != nil && j.op.name == "update" && !d.current(s.kind)
		if now.Before(j.due) || behind && now.Before(j.late) {
			return false
		}
		due = append(due, j)
		if seen := d.events[j.event]; seen != nil {
			seen.Counted = max(seen.Counted, j.count)
		}
		return true
	})
	news := d.news || len(due) > 0
	d.news = false
	d.forget(now.Unix())
	d.mu.Unlock()
	if !news {
		return
	}
	verdicts := make([]verdict, 0, len(due))
	for _, j := range due {
		verdicts = append(verdicts, d.tell(j, now.Unix()))
	}
	save()
	for i, v := range verdicts {
		d.count(due[i], v)
	}
}

// forget drops the Events that expired long ago, and, of too many, any that expired.
func (d *drift) forget(now int64) {
	for name, seen := range d.events {
		if seen.Gone != 0 && (seen.Gone < now-eventMemory || len(d.events) > maxEvents) {
			delete(d.events, name)
		}
	}
}

// A verdict is what led to an update.
type verdict struct {
	store                     *resourceStore // nil where nobody knows
	spec, create, corrections int64
	before                    int64 // the correction before, in Unix seconds, 0 for none
}

// tell says what led to an update, and tells its resource.
func (d *drift) tell(j judgement, now int64) verdict {
	v := verdict{store: d.resources.store(j.kind)}
	if v.store == nil || j.op.name != "update" || j.op.failed {
		return v
	}
	found := v.store.change(j.key, func(r *resource) {
		v.spec = r.spec.judge(j.occurrence)
		v.corrections = j.times - v.spec
		next := r.drift.copy()
		if v.corrections > 0 && !next.updated && r.stillCreating(j.last) {
			v.create, v.corrections = 1, v.corrections-1
		}
		v.before = next.last
		next.updated = true
		next.intended += uint64(v.spec + v.create) //nolint:gosec // Not negative.
		next.correct(v.corrections, j.last, now)
		r.drift = next
		d.log.Debug("an external resource was updated", "kind", j.kind, "namespace", r.namespace, "name", r.name,
			"times", j.times, "spec", v.spec, "create", v.create, "drift", v.corrections)
	})
	if !found {
		v.store = nil
	}
	return v
}

// count puts an occurrence into the metrics.
func (d *drift) count(j judgement, v verdict) {
	if v.store == nil {
		d.unknown.Add(float64(j.times))
		return
	}
	outcome := "ok"
	if j.op.failed {
		outcome = "error"
	}
	d.operations.WithLabelValues(v.store.labelValues(j.op.name, outcome, j.class)...).Add(float64(j.times))
	for trigger, n := range map[string]int64{"spec": v.spec, "create": v.create, "drift": v.corrections} {
		if n > 0 {
			d.updates.WithLabelValues(v.store.labelValues(trigger)...).Add(float64(n))
		}
	}
	if v.corrections == 0 {
		return
	}
	d.corrected.WithLabelValues(v.store.labelValues()...).Add(float64(v.corrections))
	if v.before != 0 && j.last > v.before {
		for range min(v.corrections, 1000) { // spread evenly, for want of knowing better
			d.interval.WithLabelValues(v.store.labelValues()...).Observe(float64(j.last-v.before) / float64(v.corrections))
		}
	}
}

// stillCreating is whether an update at that time belongs to the creation of the external resource: many providers set with a
// first update what a create call does not take.
func (r *resource) stillCreating(at int64) bool {
	const long = 10 * 60
	if r.spec.created == 0 || at < r.spec.created || at-r.spec.created > long {
		return false
	}
	c, ok := r.condition(string(v2.TypeReady))
	return !ok || c.status != kube.True || c.since >= at
}

// A drifted is what happened to a resource behind its back. It is never changed; change a copy.
type drifted struct {
	corrections uint64
	intended    uint64 // updates that were no corrections
	last        int64  // the last correction, in Unix seconds
	updated     bool   // an update of it was seen
	slots       [slots]uint16
	slot        int64 // the number of the newest slot, since 1970
	recent      []int64
	foreign     []foreignWriter
	outside     []outsider
}

type foreignWriter struct {
	manager, label string
	writes         uint64
	last           int64
}

const (
	slotSeconds = 600
	slots       = 24 * 3600 / slotSeconds
	// loopCorrections is how many corrections in a row, each about as long after the one before, make a loop.
	loopCorrections = 6
	// heldBack is for how long, in seconds, client-go holds back the Event of a correction when there were many.
	heldBack = 300
)

func (d *drifted) copy() *drifted {
	if d == nil {
		return &drifted{}
	}
	c := *d
	return &c
}

// correct notes n corrections, the last of them at that time.
func (d *drifted) correct(n, at, now int64) {
	if n == 0 {
		return
	}
	d.corrections += uint64(n) //nolint:gosec // Not negative.
	d.last = max(d.last, at)
	d.advance(now)
	i := min(at/slotSeconds, d.slot)
	if d.slot-i < slots {
		d.slots[i%slots] += uint16(min(n, 1<<15)) //nolint:gosec // It fits.
	}
	recent := append(slices.Clone(d.recent), at)
	d.recent = recent[max(0, len(recent)-loopCorrections):]
}

// advance empties the slots that are older than a day.
func (d *drifted) advance(now int64) {
	slot := now / slotSeconds
	for i := max(d.slot+1, slot-slots+1, 0); i <= slot; i++ {
		d.slots[i%slots] = 0
	}
	d.slot = max(d.slot, slot)
}

// within is how many corrections there were in the last seconds, a day at most, to ten minutes exactly.
func (d *drifted) within(seconds, now int64) (n int) {
	for i := max(now/slotSeconds-seconds/slotSeconds+1, d.slot-slots+1, 0); i <= d.slot; i++ {
		n += int(d.slots[i%slots])
	}
	return n
}

// loop is whether the resource is corrected at nearly every reconcile: people change things now and then, controllers like
// clockwork. It is over once two corrections in a row are missing.
func (d *drifted) loop(now int64) bool {
	if d == nil || len(d.recent) < loopCorrections {
		return false
	}
	shortest, longest := int64(1<<62), int64(0)
	for i := 1; i < len(d.recent); i++ {
		gap := d.recent[i] - d.recent[i-1]
		shortest, longest = min(shortest, gap), max(longest, gap)
	}
	return longest <= 2*shortest+2 && longest <= 3600 && now-d.recent[loopCorrections-1] <= 2*longest+heldBack
}

// wrote notes writes of spec by those managers.
func (d *drifted) wrote(managers []string, at int64) {
	d.foreign = slices.Clone(d.foreign)
	for _, m := range managers {
		i := slices.IndexFunc(d.foreign, func(w foreignWriter) bool { return w.manager == m })
		if i < 0 {
			d.foreign = append(d.foreign, foreignWriter{manager: m, label: expo.Label("manager", m)})
			i = len(d.foreign) - 1
		}
		d.foreign[i].writes++
		d.foreign[i].last = at
	}
}

// lately is whether anything happened behind the resource's back since then.
func (d *drifted) lately(since int64) bool {
	return d != nil && (d.last > since || slices.ContainsFunc(d.foreign, func(w foreignWriter) bool { return w.last > since }) ||
		slices.ContainsFunc(d.outside, func(o outsider) bool { return o.intrudes() && o.last > since }))
}

func resourceKey(namespace, name string) string {
	b := make([]byte, 0, 128)
	b = expo.AppendLabel(b, "resource_namespace", namespace)
	b = expo.AppendLabel(append(b, ','), "name", name)
	return string(b)
}

// state is what must survive a restart of what is known of the resources.
func (d *drift) state() *state {
	s := &state{Version: stateVersion, At: d.now().Unix(), Resources: d.resources.saved()}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Events = make(map[string]*eventSeen, len(d.events))
	for name, seen := range d.events {
		c := *seen
		s.Events[name] = &c
	}
	return s
}

// restore takes over from the exporter that saved s, before anything is watched.
func (d *drift) restore(s *state) {
	if s == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.since = s.At
	for name, seen := range s.Events {
		if seen != nil {
			seen.Seen = seen.Counted
			d.events[name] = seen
		}
	}
	d.resources.restore(s.At, s.Resources)
}
