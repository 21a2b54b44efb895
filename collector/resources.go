package collector

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/prometheus/client_golang/prometheus"

	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube"
)

// Detail says which objects have series of their own.
type Detail string

// The details.
const (
	DetailNone      Detail = "none"      // no object has
	DetailUnhealthy Detail = "unhealthy" // only those that are not fine
	DetailAll       Detail = "all"
)

// resourceFamilies say one object each.
var resourceFamilies = []expo.Family[resource]{
	{
		Name: "platform_resource_info", Type: expo.Gauge,
		Help:   "What a resource is linked to. Always 1.",
		Labels: []string{"version", "external_name", "provider_config", "composite", "claim_namespace", "claim_name", "cloud_region", "team"},
		Say:    func(l *expo.Lines, r *resource) { l.Sample(1, r.info, r.team.label) },
	},
	{
		Name: "platform_resource_condition", Type: expo.Gauge,
		Help:   "The status of each condition of a resource: 1 True, 0 False, -1 Unknown.",
		Labels: []string{"condition"},
		Say: func(l *expo.Lines, r *resource) {
			for _, c := range r.conditions {
				l.Sample(float64(c.status), c.label)
			}
		},
	},
	{
		Name: "platform_resource_condition_reason", Type: expo.Gauge,
		Help:   "The reason of each condition that is not True. Always 1.",
		Labels: []string{"condition", "reason"},
		Say: func(l *expo.Lines, r *resource) {
			for _, c := range r.conditions {
				if c.status != kube.True {
					l.Sample(1, c.label, c.reason.label)
				}
			}
		},
	},
	{
		Name: "platform_resource_condition_since_timestamp_seconds", Type: expo.Gauge,
		Help:   "Since when each condition has been well, or has not been. Unlike lastTransitionTime it does not move when only the message changes.",
		Labels: []string{"condition"},
		Say: func(l *expo.Lines, r *resource) {
			for _, c := range r.conditions {
				l.Sample(float64(c.since), c.label)
			}
		},
	},
	{
		Name: "platform_resource_failing", Type: expo.Gauge,
		Help:   "A resource that cannot be reconciled, by what its error says. Always 1.",
		Labels: []string{"error_class"},
		Say: func(l *expo.Lines, r *resource) {
			if r.failing != nil {
				l.Sample(1, expo.Label("error_class", string(r.failing.class)))
			}
		},
	},
	{
		Name: "platform_resource_deletion_timestamp_seconds", Type: expo.Gauge,
		Help:   "When the deletion of a resource was asked for that is still there.",
		Labels: []string{"finalizers"},
		Say: func(l *expo.Lines, r *resource) {
			if r.deleted != 0 {
				l.Sample(float64(r.deleted), expo.Label("finalizers", finalizers(r.finalizers)))
			}
		},
	},
	{
		Name: "platform_resource_paused", Type: expo.Gauge,
		Help: "A resource that is not reconciled because someone paused or suspended it. Always 1.",
		Say:  flag(func(r *resource) bool { return r.paused }),
	},
	{
		Name: "platform_resource_observe_only", Type: expo.Gauge,
		Help: "A resource whose external resource may only be observed. Always 1.",
		Say:  flag(func(r *resource) bool { return r.observeOnly }),
	},
	{
		Name: "platform_resource_create_incomplete", Type: expo.Gauge,
		Help: "A resource whose provider cannot tell whether it created the external resource, and waits for a person to say. Always 1.",
		Say:  flag(func(r *resource) bool { return r.createIncomplete }),
	},
}

// resourceTable makes the table of what is said of each resource, with the fields that have drifted or without.
func resourceTable(detail Detail, fields bool) *expo.Table[resource] {
	if detail == DetailNone {
		return expo.NewTable[resource]()
	}
	families := slices.Concat(resourceFamilies, driftFamilies, outsideFamilies)
	if fields {
		families = append(families, fieldFamily)
	}
	if detail == DetailUnhealthy {
		for i, f := range families {
			families[i].Say = func(l *expo.Lines, r *resource) {
				if r.unwell || r.lately || r.drifting {
					f.Say(l, r)
				}
			}
		}
	}
	return expo.NewTable(families...)
}

// flag is a family that says 1 of those that have it and nothing of the others.
func flag(has func(*resource) bool) func(*expo.Lines, *resource) {
	return func(l *expo.Lines, r *resource) {
		if has(r) {
			l.Sample(1)
		}
	}
}

// finalizers is how many finalizers hold a deletion, as a label: more than one is a cause of its own, because Crossplane waits
// silently until it alone is left.
func finalizers(n uint8) string {
	switch n {
	case 0:
		return "0"
	case 1:
		return "1"
	default:
		return "many"
	}
}

// resources says what is known of the cluster's objects from the objects themselves.
type resources struct {
	teamOf     func(namespace string) string
	now        func() time.Time
	fields     bool  // whether the fields that have drifted are said
	memory     int64 // for how many seconds a resource that was changed behind its back is not fine
	shard      Shard
	vocabulary vocabulary
	trail      *trail // nil where none is read

	table  *expo.Table[resource]
	kinds  *expo.Table[kindCounts]
	counts *expo.Group[kindCounts] // the only group of kinds

	transitions  *prometheus.CounterVec
	timeToReady  *prometheus.HistogramVec
	timeToDelete *prometheus.HistogramVec

	mu        sync.Mutex
	stores    map[*resourceStore]struct{}
	byKind    map[groupKind]*resourceStore
	vectors   []vector             // metrics with the labels of a kind, to be deleted with it
	introduce func(*resourceStore) // called when a kind has its first object
	restored  savedResources       // of a checkpoint: what is not seen yet
	since     int64                // when the checkpoint was made, in Unix seconds, 0 for none
	news      atomic.Bool          // whether there is anything that a checkpoint should hold and the last one does not
}

// durations suits what takes a cloud seconds to hours.
var durations = []float64{1, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200}

var kindLabels = []string{"category", "group", "kind"}

func histogram(reg prometheus.Registerer, name, help string, buckets []float64) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, kindLabels)
	reg.MustRegister(h)
	return h
}

func newResources(cfg Config, team func(string) string, reg prometheus.Registerer) *resources {
	r := &resources{
		teamOf: team,
		shard:  cfg.Shard,
		fields: cfg.DriftFields,
		memory: int64(cfg.Memory.Seconds()),
		now:    cfg.Now,
		vocabulary: vocabulary{
			conditions: words{label: "condition"}, reasons: words{label: "reason"},
			teams: words{label: "team"}, claimNamespaces: words{label: "claim_namespace"},
			trusted: cfg.TrustedManagers,
		},
		table: resourceTable(cfg.Detail, cfg.DriftFields),
		kinds: expo.NewTable(kindFamilies...),
		transitions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "platform_condition_transitions_total",
			Help: "How often a condition of a resource of the kind turned to the status from another one.",
		}, append(slices.Clone(kindLabels), "condition", "status")),
		timeToReady:  histogram(reg, "platform_time_to_ready_seconds", "From the creation of a resource to when it was ready for the first time, of those that got there while the exporter ran.", durations),
		timeToDelete: histogram(reg, "platform_time_to_delete_seconds", "From when the deletion of a resource was asked for to when it was gone, of those that went while the exporter ran.", durations),
		stores:       map[*resourceStore]struct{}{},
		byKind:       map[groupKind]*resourceStore{},
	}
	reg.MustRegister(r.transitions)
	r.vectors = []vector{r.transitions, r.timeToReady, r.timeToDelete}
	r.counts = r.kinds.Group("")
	return r
}

// limit sets how many series each family may have, 0 for no limit.
func (r *resources) limit(series int) {
	r.table.Limit(series)
	r.kinds.Limit(series)
}

// watches is whether a kind is watched. Configurations say whom the audit trail is about, to every shard.
func (r *resources) watches(k kube.Kind) bool {
	return r.shard.has(k.Group, k.Name) || r.trail != nil && k.Category == kube.Configuration
}

// open makes the store of a kind.
func (r *resources) open(k kube.Kind) kube.Store {
	if !r.shard.has(k.Group, k.Name) {
		return &configurationStore{r.trail.providers, k, nil}
	}
	labels := strings.Join([]string{
		expo.Label("category", string(k.Category)), expo.Label("group", k.Group), expo.Label("kind", k.Name),
	}, ",")
	s := &resourceStore{resources: r, kind: k, labels: labels, tally: newTally(k.Category, nil), remembered: map[string]struct{}{}, group: r.table.Group(labels)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stores[s] = struct{}{}
	r.byKind[groupKind{k.Group, k.Name}] = s
	return s
}

// A vector is what all metrics of client_golang with labels are.
type vector interface {
	DeletePartialMatch(labels prometheus.Labels) int
}

// store is the store of a kind, nil for none.
func (r *resources) store(k groupKind) *resourceStore {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.byKind[k]
}

// each calls f with each store, in the order of their labels.
func (r *resources) each(f func(*resourceStore)) {
	r.mu.Lock()
	stores := slices.SortedFunc(maps.Keys(r.stores), func(a, b *resourceStore) int { return strings.Compare(a.labels, b.labels) })
	r.mu.Unlock()
	for _, s := range stores {
		f(s)
	}
}

// teamChanged gives the resources of a namespace the team it is labelled with now.
func (r *resources) teamChanged(namespace string) {
	r.each(func(s *resourceStore) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for key, held := range s.group.All() {
			if held.namespace != namespace && held.claimNamespace.name != namespace {
				continue
			}
			changed := *held
			s.nameTeam(&changed)
			if changed.team != held.team {
				s.group.Set(key, &changed)
			}
		}
	})
}

// say brings what is said of the kinds up to date. status is how their watches are doing.
func (r *resources) say(status []kube.KindStatus) {
	by := make(map[kube.Kind]kube.KindStatus, len(status))
	for _, k := range status {
		by[k.Kind] = k
	}
	r.each(func(s *resourceStore) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if k := by[s.kind]; !s.closed && (s.said == nil || !s.said.sameStatus(k)) {
			s.said = s.tally.say(k)
			s.counts.Set(s.labels, s.said)
		}
	})
}

// refresh lets what happened long ago behind a resource's back be forgotten, so that it is fine again, and loops end.
func (r *resources) refresh(now int64) {
	r.each(func(s *resourceStore) {
		var old []string
		s.mu.Lock()
		for key := range s.remembered {
			held := s.group.Get(key)
			if held == nil {
				delete(s.remembered, key)
			} else if held.lately && !held.drift.lately(now-s.memory) || held.looping && !held.drift.loop(now) {
				old = append(old, key)
			}
		}
		s.mu.Unlock()
		for _, key := range old {
			s.change(key, func(*resource) {})
		}
	})
}

// A resourceStore holds the resources of one kind.
type resourceStore struct {
	*resources

	kind   kube.Kind
	labels string
	group  *expo.Group[resource]

	mu         sync.Mutex // of what follows, and of what goes into group
	synced     bool
	closed     bool
	remembered map[string]struct{} // the keys of resources of which a checkpoint holds something
	tally      *tally
	said       *kindCounts // what was last said, nil once it is out of date
}

func (s *resourceStore) Keep(o *kube.Object) any {
	r := newResource(s.kind, o, &s.vocabulary)
	if s.trail != nil {
		r.subject = s.trail.identify(s, r.key, o)
	}
	return r
}

func (s *resourceStore) Set(kept any) {
	held := kept.(*resource) //nolint:forcetypeassert // What Keep returns.
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.group.Get(held.key)
	s.follow(before, held)
	if before != nil {
		s.tally.count(before, -1)
	} else if !s.tally.used {
		s.introduce(s)
	}
	s.tally.count(held, +1)
	s.said = nil
	s.group.Set(held.key, held)
}

// labelValues are those of the kind, and then more.
func (s *resourceStore) labelValues(more ...string) []string {
	return append([]string{string(s.kind.Category), s.kind.Group, s.kind.Name}, more...)
}

// change replaces the resource at key by a copy that f has changed. It is false where there is none.
func (s *resourceStore) change(key string, f func(*resource)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.group.Get(key)
	if before == nil {
		return false
	}
	held := *before
	f(&held)
	s.noteDrift(&held)
	s.remember(before, &held)
	s.group.Set(key, &held)
	return true
}

// noteDrift says whether something happened behind r's back that is not long ago, and whether it happens again and again.
func (s *resourceStore) noteDrift(r *resource) {
	if r.drift != nil {
		now := s.now().Unix()
		r.lately, r.looping = r.drift.lately(now-s.memory), r.drift.loop(now)
	}
}

// followSpec gives held, the successor of before or nil, what is known of its spec and of what happened behind its back. saved is what
// a checkpoint held of it.
func (s *resourceStore) followSpec(before, held *resource, saved *savedDrift, now int64) {
	switch s.kind.Category {
	case kube.Managed, kube.Composite, kube.Claim:
	default:
		return
	}
	if before == nil {
		if saved == nil {
			held.spec.begin(s.since, now)
			held.drifting = held.isDrifting()
			return
		}
		before = saved.restored(held.spec.version)
	}
	held.drift = before.drift
	if foreign := held.spec.follow(&before.spec, now); len(foreign) > 0 {
		held.drift = held.drift.copy()
		held.drift.wrote(foreign, now)
	}
	s.noteDrift(held)
	held.drifting = held.isDrifting()
}

// follow completes held, the successor of before, and tells the metrics what became of it.
func (s *resourceStore) follow(before, held *resource) {
	if s.trail != nil {
		s.trail.follow(before, held)
	}
	now := s.now().Unix()
	var saved savedResource
	if before == nil {
		saved = s.takeSaved(held.key)
	}
	s.followSpec(before, held, saved.Drift, now)
	held.follow(before, before == nil && s.synced, now, func(c condition) {
		s.transitions.WithLabelValues(s.labelValues(s.tally.conditionType(c.name), c.status.String())...).Inc()
	})
	if now-s.since <= maxAbsence {
		held.restoreSince(saved.Since)
	}
	s.remember(before, held)
	if before != nil && before.fresh && !held.fresh && held.created != 0 {
		c, _ := held.condition(string(v2.TypeReady))
		s.timeToReady.WithLabelValues(s.labelValues()...).Observe(float64(max(0, c.since-held.created)))
	}
	s.nameTeam(held)
}

// nameTeam says whose a resource is: its own label first, then its namespace's, then that of the claim it was made for.
func (s *resourceStore) nameTeam(r *resource) {
	team := r.ownTeam.name
	for _, namespace := range []string{r.namespace, r.claimNamespace.name} {
		if team == "" && namespace != "" {
			team = s.teamOf(namespace)
		}
	}
	r.team = s.vocabulary.teams.of(team)
}

func (s *resourceStore) Delete(kept any) {
	held := kept.(*resource) //nolint:forcetypeassert // What Keep returns.
	s.mu.Lock()
	defer s.mu.Unlock()
	if before := s.group.Get(held.key); before != nil {
		s.tally.count(before, -1)
		s.said = nil
		if s.trail != nil {
			s.trail.follow(before, nil)
		}
	}
	s.group.Delete(held.key)
	if held.deleted != 0 {
		s.timeToDelete.WithLabelValues(s.labelValues()...).Observe(max(0, s.now().Sub(time.Unix(held.deleted, 0)).Seconds()))
	}
}

func (s *resourceStore) Replace(kept []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tally := newTally(s.kind.Category, s.tally)
	if !tally.used && len(kept) > 0 {
		s.introduce(s)
	}
	there := map[string]struct{}{}
	for _, k := range kept {
		held := k.(*resource) //nolint:forcetypeassert // What Keep returns.
		s.follow(s.group.Get(held.key), held)
		tally.count(held, +1)
		if s.trail != nil {
			there[held.key] = struct{}{}
		}
	}
	s.forgetSubjects(func(key string) bool { _, ok := there[key]; return !ok })
	s.group.Replace(func(yield func(string, *resource) bool) {
		for _, k := range kept {
			held := k.(*resource) //nolint:forcetypeassert // What Keep returns.
			if !yield(held.key, held) {
				return
			}
		}
	})
	s.tally, s.said, s.synced = tally, nil, true
	s.forgetSaved()
}

// forgetSubjects tells the audit trail that resources are gone.
func (s *resourceStore) forgetSubjects(gone func(key string) bool) {
	if s.trail == nil {
		return
	}
	for key, r := range s.group.All() {
		if r.subject != nil && gone(key) {
			s.trail.follow(r, nil)
		}
	}
}

// unlessClosed calls f while the kind is watched: what it would add to is taken out of the metrics otherwise.
func (s *resourceStore) unlessClosed(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		f()
	}
}

// Close takes everything the kind says out of the metrics.
func (s *resourceStore) Close() {
	s.resources.mu.Lock()
	delete(s.stores, s)
	k := groupKind{s.kind.Group, s.kind.Name}
	successor := s.byKind[k]
	if successor == s {
		delete(s.byKind, k)
	}
	s.resources.mu.Unlock()
	s.mu.Lock() // a scrape may be about to say the kind's counts
	defer s.mu.Unlock()
	s.closed = true
	s.forgetSubjects(func(string) bool { return true })
	if successor != nil && successor != s && successor.labels == s.labels {
		return // the kind is defined anew, under another plural, and said by another store
	}
	s.table.Drop(s.group)
	s.counts.Delete(s.labels)
	match := prometheus.Labels{"category": string(s.kind.Category), "group": s.kind.Group, "kind": s.kind.Name}
	for _, v := range s.vectors {
		v.DeletePartialMatch(match)
	}
}

// A word is a label's value that many resources share, and the label as it is rendered.
type word struct{ name, label string }

// A vocabulary has the words that resources share, and says which field managers are trusted.
type vocabulary struct {
	conditions, reasons, teams, claimNamespaces words

	trusted []string // globs
}

// words renders the labels that come again and again once. What it holds is bounded.
type words struct {
	label string // the label's name

	mu    sync.RWMutex
	known map[string]*word
}

const (
	maxWords = 4096
	// maxWord is how much of one is kept, in bytes: a label shows no more.
	maxWord = 256
)

func (w *words) of(name string) *word {
	name = cut(name, maxWord)
	w.mu.RLock()
	known, ok := w.known[name]
	w.mu.RUnlock()
	if ok {
		return known
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.known) >= maxWords || w.known == nil {
		w.known = map[string]*word{}
	}
	known = &word{name, expo.Label(w.label, name)}
	w.known[name] = known
	return known
}
