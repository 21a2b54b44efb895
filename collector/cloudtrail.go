package collector

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/client_golang/prometheus"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube"
)

// outsideFamilies say one resource each, after those of driftFamilies.
var outsideFamilies = []expo.Family[resource]{
	{
		Name: "platform_resource_out_of_band_changes_total", Type: expo.Counter,
		Help:   "How often someone other than its provider changed the external resource, as the cloud's audit trail has it, since the exporter started.",
		Labels: []string{"principal_class"},
		Say: func(l *expo.Lines, r *resource) {
			for _, o := range r.outsiders() {
				if o.changes > 0 {
					l.Sample(float64(o.changes), o.label)
				}
			}
		},
	},
	{
		Name: "platform_resource_last_out_of_band_change_timestamp_seconds", Type: expo.Gauge,
		Help:   "When someone other than its provider last changed the external resource.",
		Labels: []string{"principal_class"},
		Say: func(l *expo.Lines, r *resource) {
			for _, o := range r.outsiders() {
				l.Sample(float64(o.last), o.label)
			}
		},
	},
}

// An outsider is a class of principals that changed a resource past its provider.
type outsider struct {
	class, label string
	changes      uint64
	last         int64 // in Unix seconds
}

func (r *resource) outsiders() []outsider {
	if r.drift == nil {
		return nil
	}
	return r.drift.outside
}

// intrudes is whether what o did is anyone's concern: what the cloud does by itself is said, but makes no resource unwell.
func (o outsider) intrudes() bool { return o.class != cloud.Service && o.class != cloud.ServiceLinked }

// changedBy notes a change by someone of that class.
func (d *drifted) changedBy(class string, at int64) {
	d.outside = slices.Clone(d.outside)
	i := slices.IndexFunc(d.outside, func(o outsider) bool { return o.class == class })
	if i < 0 {
		d.outside = append(d.outside, outsider{class: class, label: expo.Label("principal_class", class)})
		i = len(d.outside) - 1
	}
	d.outside[i].changes++
	d.outside[i].last = max(d.outside[i].last, at)
}

// A subject is a managed resource as the audit trail knows it, or a configuration that says whom providers are in the cloud.
type subject struct {
	store          *resourceStore
	key            string
	created        int64 // in Unix seconds
	providerConfig configRef
	region         string          // that its spec names; what has no region of its own may be somewhere all the same, as buckets are
	hash           uint64          // of all that it says
	identity       *cloud.Identity // nil once it is in the index
	config         *configuration  // nil of a managed resource
}

// call is what calls are counted by.
type call struct{ cloud, account, region, service, operation, class string }

var callLabels = []string{"cloud_provider", "cloud_account", "cloud_region", "api_service", "api_operation", "principal_class"}

func (c call) values(more ...string) []string {
	return append([]string{c.cloud, c.account, c.region, c.service, c.operation, c.class}, more...)
}

// A callWord is a call and one word more: its outcome, or its error's code.
type callWord struct {
	call

	word string
}

// A change is a write to a managed resource's external resource by someone other than its provider.
type change struct {
	call

	subject *subject
	at      time.Time
	event   string // its ID in the trail
	who     cloud.Principal
}

// A revert is how long a change stood.
type revert struct {
	subject *subject
	class   string
	took    time.Duration
}

// counts is what was counted of the trail and is in no checkpoint yet.
type counts struct {
	calls     map[callWord]int
	throttled map[callWord]int
	misused   map[call]int
	changes   []change
	reverts   []revert
}

func newCounts() *counts {
	return &counts{calls: map[callWord]int{}, throttled: map[callWord]int{}, misused: map[call]int{}}
}

// trail says what a cloud's audit trail tells of the resources in the cluster: who calls, who is throttled, who changes what.
//
// What its sources find is counted once, by a ledger, and put into the metrics when that is in the checkpoint.
type trail struct {
	cloud.Trail

	shard     Shard
	now       func() time.Time
	log       *slog.Logger
	index     *cloud.Index[*subject]
	providers *providers
	sources   chan []cloud.Source // that are to be run
	ledger    *cloud.Ledger       // nil before begin

	// saying is held while counts are put into the metrics, and by those who read all of these.
	saying sync.RWMutex

	calls, throttled, outside, misused *prometheus.CounterVec
	reverted                           *prometheus.HistogramVec
	desc                               trailDescs

	// Only the ledger's calls touch these, one after another.
	counted    *counts
	vocabulary callVocabulary
	matches    []cloud.Match[*subject]
	reverts    cloud.Reverts[string] // by subject.id

	mu      sync.Mutex // of what follows
	running []cloud.Source
	reached map[string]bool // the sources that were made because there are resources, by name
	said    *cloud.State    // where the trail was when what is in the metrics now had been put there, nil for nowhere
	seen    *cloud.State    // said, when the metrics were read last
	seenAt  time.Time
	left    bool
	lately  []seenChange // the newest last
	limited map[call]limited
	news    bool             // whether anything was taken since the last checkpoint
	heard   map[string]heard // by source
}

// heard is what a source's newest record was.
type heard struct {
	at      time.Time
	account string
}

// A seenChange is a change as the page shows it.
type seenChange struct {
	change

	reverted *time.Duration // nil while it stands
}

// limited is how often calls were throttled, for the page.
type limited struct {
	times int
	last  time.Time
}

// callVocabulary bounds what calls are counted by.
type callVocabulary struct {
	accounts, regions, services, operations, codes cloud.Vocabulary

	calls map[call]struct{}
}

// maxCalls is how many combinations of account, region, service, operation and principal are told apart; of those beyond, the
// operation is not.
const maxCalls = 50_000

func newTrail(cfg Config, r *resources, reg prometheus.Registerer) (*trail, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	t := &trail{
		Trail:     cfg.Trail,
		shard:     cfg.Shard,
		now:       cfg.Now,
		log:       cfg.Log,
		index:     cloud.NewIndex[*subject](cfg.Trail.Scope),
		providers: newProviders(cfg.Trail),
		sources:   make(chan []cloud.Source, 64),
		calls:     counter("platform_cloud_api_calls_total", "Calls to the cloud's APIs that its audit trail shows, by how they ended.", append(slices.Clone(callLabels), "outcome")...),
		throttled: counter("platform_cloud_api_throttled_total", "Calls that the cloud refused because there were too many. Retries are calls of their own.", append(slices.Clone(callLabels), "error_code")...),
		outside:   counter("platform_cloud_out_of_band_changes_total", "Changes of managed resources' external resources by others than their provider.", append(slices.Clone(callLabels), kindLabels...)...),
		misused:   counter("platform_cloud_provider_role_misuse_total", "Calls made with a provider's role by something that is not the provider.", callLabels...),
		reverted: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "platform_cloud_revert_seconds", Help: "From a change by someone else to the provider's next write to the same resource.",
			Buckets:                     []float64{10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 3 * 3600, 12 * 3600, 24 * 3600},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, append(slices.Clone(kindLabels), "principal_class")),
		desc:    newTrailDescs(),
		counted: newCounts(),
		vocabulary: callVocabulary{
			accounts: cloud.Vocabulary{Max: 500, MaxTopics: 1}, regions: cloud.Vocabulary{Max: 64, MaxTopics: 1},
			services: cloud.Vocabulary{Max: 400, MaxTopics: 1}, operations: cloud.Vocabulary{Max: 200, MaxTopics: 401},
			codes: cloud.Vocabulary{Max: 64, MaxTopics: 1}, calls: map[call]struct{}{},
		},
		limited: map[call]limited{},
		heard:   map[string]heard{},
		reached: map[string]bool{},
	}
	requests := counter("crossplane_exporter_"+t.Cloud()+"_requests_total", "Requests that the exporter made to the cloud, retries too, by how they ended.", "api", "outcome")
	sources, err := t.Open(cloud.Opening{
		Log:       cfg.Log,
		OnRequest: func(r cloud.Request) { requests.WithLabelValues(r.API, string(r.Outcome)).Inc() },
	})
	if err != nil {
		return nil, fmt.Errorf("the audit trail: %w", err)
	}
	t.running = sources
	reg.MustRegister(t.reverted, t)
	r.trail = t
	r.vectors = append(r.vectors, t.outside, t.reverted)
	return t, nil
}

// begin takes over from the exporter whose checkpoint had that state, nil for none. It is called once, before run.
func (t *trail) begin(state *cloud.State) {
	cfg := cloud.LedgerConfig{Count: t.count}
	if state != nil {
		if err := state.Check(); err != nil {
			t.log.Warn("the position in the audit trail cannot be used; it is read from now on", "err", err)
		} else {
			cfg.State = *state
			t.reverts.Wait(state.Waiting)
			t.said = state
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ledger = cloud.NewLedger(cfg)
	t.seen, t.seenAt = t.said, t.now()
}

// run reads the trail until ctx ends. It begins once the resources are known: what is counted before finds none.
func (t *trail) run(ctx context.Context, ready func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for ready() != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	start := func(sources []cloud.Source) {
		for _, s := range sources {
			wg.Go(func() {
				if err := s.Run(ctx, t); err != nil {
					t.log.Error("a source of the audit trail cannot work", "trail_source", s.Name(), "err", err)
				}
			})
		}
	}
	start(t.running)
	for {
		select {
		case <-ctx.Done():
			return nil
		case more := <-t.sources:
			t.reach(more)
			for _, s := range more {
				t.log.Info("reading the audit trail of one more region, because there are resources", "trail_source", s.Name())
			}
			start(more)
		}
	}
}

// reach notes sources that were made because there are resources.
func (t *trail) reach(more []cloud.Source) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running = append(slices.Clone(t.running), more...)
	for _, s := range more {
		t.reached[s.Name()] = true
	}
}

// Marks implements cloud.Inbox.
func (t *trail) Marks(source string) map[string]string { return t.ledger.Marks(source) }

// Take implements cloud.Inbox.
func (t *trail) Take(ctx context.Context, b cloud.Batch) error {
	err := t.ledger.Take(ctx, b)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.news = true
	return err
}

// hasNews is whether there is anything to be noted.
func (t *trail) hasNews() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.news
}

// note puts what was counted into the metrics, once write has noted it.
func (t *trail) note(write func(*cloud.State) error) {
	t.mu.Lock()
	t.news = false
	t.mu.Unlock()
	var noted *counts
	var position cloud.State
	err := t.ledger.Checkpoint(func(s cloud.State) func() error {
		noted, t.counted = t.counted, newCounts()
		s.Waiting = t.reverts.Waiting()
		position = s
		return func() error { return write(&position) }
	})
	if err != nil {
		// It was said already. What the counts came from is kept by the ledger, and given up after the next checkpoint.
		t.mu.Lock()
		t.news = true
		t.mu.Unlock()
	}
	t.saying.Lock()
	defer t.saying.Unlock()
	t.say(noted)
	t.mu.Lock()
	t.said = &position
	t.mu.Unlock()
}

// patience is how long ago a scrape may be that is waited for no longer.
const patience = 15 * time.Minute

// read calls gather to read the metrics, and returns what is to be called once they have been passed on. It fails once the last
// checkpoint has been made, because what is seen after that would be counted again.
func (t *trail) read(gather func()) (passed func(), err error) {
	t.saying.RLock()
	defer t.saying.RUnlock()
	t.mu.Lock()
	said, left := t.said, t.left
	t.mu.Unlock()
	if left {
		return nil, errors.New("the exporter is about to stop")
	}
	gather()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.seen, t.seenAt = said, t.now()
	}, nil
}

// leave is where the trail is to be taken up by the next exporter: what this one has counted since its metrics were read last, nobody
// has seen, and nobody will.
func (t *trail) leave() *cloud.State {
	t.saying.Lock()
	defer t.saying.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.left = true
	if t.now().Sub(t.seenAt) > patience {
		return t.said
	}
	return t.seen
}

// count counts a record. The ledger calls it, for one record after another.
func (t *trail) count(source string, r *cloud.Record) {
	t.mu.Lock()
	if h := t.heard[source]; !r.Time.Before(h.at) {
		t.heard[source] = heard{r.Time, r.Account}
	}
	t.mu.Unlock()

	c := t.vocabulary.call(r)
	if t.shard.first() { // one of all has to
		t.counted.calls[callWord{c, string(r.Outcome)}]++
		if r.Outcome == cloud.Throttled {
			t.counted.throttled[callWord{c, t.vocabulary.codes.Word("", r.Code)}]++
		}
		if r.Principal.Class == cloud.CrossplaneOtherAgent {
			t.counted.misused[c]++
		}
	}
	t.matches = t.index.Match(t.matches[:0], r)
	for _, m := range t.matches {
		if m.Related || r.Time.Unix() < m.Key.created || !t.providers.speaksIn(m.Key.providerConfig, r.Account) {
			continue
		}
		if r.Principal.Class == cloud.Crossplane {
			for _, put := range t.reverts.Corrected(m.Key.id(), r.Time) {
				t.counted.reverts = append(t.counted.reverts, revert{m.Key, put.By, put.Took})
			}
			continue
		}
		t.counted.changes = append(t.counted.changes, change{c, m.Key, r.Time, r.ID, r.Principal})
		if took, ok := t.reverts.Changed(m.Key.id(), r.Time, r.Principal.Class); ok {
			t.counted.reverts = append(t.counted.reverts, revert{m.Key, r.Principal.Class, took})
		}
	}
}

// call is what r is counted by.
func (v *callVocabulary) call(r *cloud.Record) call {
	service := v.services.Word("", r.Service)
	c := call{
		r.Cloud, v.accounts.Word("", r.Account), v.regions.Word("", r.Region),
		service, v.operations.Word(service, r.Operation), r.Principal.Class,
	}
	if _, ok := v.calls[c]; !ok {
		if len(v.calls) < maxCalls {
			v.calls[c] = struct{}{}
		} else {
			c.operation = cloud.OtherWord
		}
	}
	return c
}

// say puts counts into the metrics, the log and the page.
func (t *trail) say(n *counts) {
	for c, times := range n.calls {
		t.calls.WithLabelValues(c.values(c.word)...).Add(float64(times))
	}
	t.mu.Lock()
	for c, times := range n.throttled {
		l := t.limited[c.call]
		t.limited[c.call] = limited{l.times + times, t.now()}
	}
	t.mu.Unlock()
	for c, times := range n.throttled {
		t.throttled.WithLabelValues(c.values(c.word)...).Add(float64(times))
	}
	for c, times := range n.misused {
		t.misused.WithLabelValues(c.values()...).Add(float64(times))
	}
	for i, c := range n.changes {
		s := c.subject.store
		s.change(c.subject.key, func(r *resource) {
			if r.subject == c.subject { // and not another of the same name, made since
				r.drift = r.drift.copy()
				r.drift.changedBy(c.class, c.at.Unix())
			}
		})
		s.unlessClosed(func() { t.outside.WithLabelValues(c.values(s.labelValues()...)...).Inc() })
		t.tell(c, i, len(n.changes))
	}
	for _, r := range n.reverts {
		s := r.subject.store
		s.unlessClosed(func() {
			t.reverted.WithLabelValues(s.labelValues(r.class)...).Observe(max(0, r.took.Seconds()))
		})
		t.corrected(r)
	}
}

const (
	// maxTold is how many changes of one checkpoint are logged one by one.
	maxTold = 20
	// maxLately is how many the page shows.
	maxLately = 50
)

// tell tells people of the i-th of so many changes: who made it is too much for a label, and what they ask for first.
func (t *trail) tell(c change, i, of int) {
	switch {
	case i < maxTold:
		namespace, name := c.subject.names()
		t.log.Info("a managed resource was changed from outside", "kind", c.subject.store.kind.String(), "namespace", namespace, "name", name,
			"operation", c.service+":"+c.operation, "time", c.at, "principal_class", c.class, "principal", c.who.ID, "session", c.who.Session,
			"address", c.who.Address, "agent", c.who.Agent, "account", c.account, "region", c.region, "event", c.event)
	case i == maxTold:
		t.log.Info("more managed resources were changed from outside", "changes", of-i)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lately = append(t.lately, seenChange{change: c})
	t.lately = t.lately[max(0, len(t.lately)-maxLately):]
}

// names are the namespace and name of a subject.
func (s *subject) names() (namespace, name string) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if r := s.store.group.Get(s.key); r != nil {
		return r.namespace, r.name
	}
	return "", s.key // as labels, for want of the resource
}

// corrected notes for the page that changes were put right.
func (t *trail) corrected(r revert) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.lately {
		if c := &t.lately[i]; c.subject == r.subject && c.class == r.class && c.reverted == nil {
			c.reverted = &r.took
			return
		}
	}
}

// identify makes the subject of an object, nil if it is none.
func (t *trail) identify(s *resourceStore, key string, o *kube.Object) *subject {
	next := &subject{store: s, key: key, created: o.Created, providerConfig: refOf(s.kind, o), region: o.Region}
	var says []string
	switch s.kind.Category {
	case kube.Managed:
		id, ok := t.Identify(cloud.Managed{
			Group: s.kind.Group, Kind: s.kind.Name, Region: o.Region, ExternalName: o.ExternalName, IDs: o.IDs,
		})
		if !ok {
			return nil
		}
		next.identity = &id
		says = append([]string{id.Account, id.Region, o.Region, o.ProviderConfig, strconv.FormatInt(o.Created, 10)}, id.IDs...)
	case kube.Configuration:
		if len(o.Principals)+len(o.ServiceAccounts) == 0 {
			return nil
		}
		next.config = newConfiguration(s.kind, o)
		says = slices.Concat(o.Principals, []string{""}, o.ServiceAccounts)
	default:
		return nil
	}
	h := xxhash.New()
	for _, text := range says {
		h.WriteString(text)   //nolint:errcheck // It never fails.
		h.Write([]byte{0xFF}) //nolint:errcheck // As above.
	}
	next.hash = h.Sum64()
	return next
}

// follow brings what the trail knows up to date: held is what there is now of an object, and before what there was; either may be
// nil.
func (t *trail) follow(before, held *resource) {
	var old, next *subject
	if before != nil {
		old = before.subject
	}
	if held != nil {
		next = held.subject
	}
	switch {
	case old != nil && next != nil && old.hash == next.hash:
		held.subject = old
		return
	case old != nil && old.config != nil:
		t.providers.configure(old.name(), nil)
	case old != nil:
		t.index.Remove(old)
	}
	switch {
	case next == nil:
	case next.config != nil:
		t.providers.configure(next.name(), next.config)
	default:
		t.index.Set(next, *next.identity)
		next.identity = nil
		if more := t.Reach(next.region); len(more) > 0 {
			t.sources <- more
		}
	}
}

// name is unique among all subjects that there are, and id among those that have been.
func (s *subject) name() string { return s.store.kind.String() + " " + s.key }
func (s *subject) id() string   { return s.name() + " " + strconv.FormatInt(s.created, 10) }

// trailDescs describe what is said of the trail itself.
type trailDescs struct {
	up, coverage, delay, last, records, files, missed *prometheus.Desc
}

var trailLabels = []string{"cloud_provider", "cloud_account", "cloud_region", "trail_source"}

func newTrailDescs() trailDescs {
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append(slices.Clone(trailLabels), more...), nil)
	}
	return trailDescs{
		up:       desc("crossplane_exporter_trail_up", "Whether the source of the audit trail could be read at the last attempt."),
		coverage: desc("platform_cloud_trail_coverage", "Which calls the source shows: all, writes, or none while it has not worked yet. Always 1.", "coverage"),
		delay:    desc("platform_cloud_trail_delay_seconds", "How late the audit trail is: since when nothing has been read, or how old the newest record is, whichever is less."),
		last:     desc("platform_cloud_trail_last_event_timestamp_seconds", "When the newest call was made that the source has shown; 0 while it has shown none."),
		records:  desc("crossplane_exporter_trail_records_total", "Records of the audit trail: counted, passed over because they had been counted before, or unreadable.", "result"),
		files:    desc("crossplane_exporter_trail_files_total", "Log files of the audit trail: read, skipped because they are no logs of calls, or broken.", "result"),
		missed:   desc("crossplane_exporter_trail_missed_seconds_total", "Time that was skipped because it was further back than the exporter looks."),
	}
}

// Describe implements prometheus.Collector.
func (t *trail) Describe(ch chan<- *prometheus.Desc) {
	d := t.desc
	for _, desc := range []*prometheus.Desc{d.up, d.coverage, d.delay, d.last, d.records, d.files, d.missed} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (t *trail) Collect(ch chan<- prometheus.Metric) {
	sources, ledger, heardOf := t.standing()
	tallies := map[string]cloud.Tally{}
	if ledger != nil {
		tallies = ledger.Tallies()
	}
	now := t.now()
	for _, s := range sources {
		st, tally, h := s.Status(), tallies[s.Name()], heardOf[s.Name()]
		account := "" // of many
		if st.Kind == "lookup" {
			account = cmp.Or(h.account, st.Account)
		}
		labels := []string{t.Cloud(), account, st.Region, st.Source}
		say := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, more ...string) {
			ch <- prometheus.MustNewConstMetric(d, kind, value, append(slices.Clone(labels), more...)...)
		}
		say(t.desc.up, prometheus.GaugeValue, boolean(up(st)))
		say(t.desc.coverage, prometheus.GaugeValue, 1, string(st.Coverage))
		say(t.desc.last, prometheus.GaugeValue, seconds(h.at))
		if late, ok := delay(st, h, now); ok {
			say(t.desc.delay, prometheus.GaugeValue, late.Seconds())
		}
		say(t.desc.records, prometheus.CounterValue, float64(tally.Records), "counted")
		say(t.desc.records, prometheus.CounterValue, float64(tally.Duplicates), "duplicate")
		say(t.desc.records, prometheus.CounterValue, float64(st.Bad), "unreadable")
		say(t.desc.files, prometheus.CounterValue, float64(st.Files), "read")
		say(t.desc.files, prometheus.CounterValue, float64(st.Skipped), "skipped")
		say(t.desc.files, prometheus.CounterValue, float64(st.Broken), "broken")
		say(t.desc.missed, prometheus.CounterValue, st.Missed.Seconds())
	}
}

// standing is what there is to be said of the sources.
func (t *trail) standing() ([]cloud.Source, *cloud.Ledger, map[string]heard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := make(map[string]heard, len(t.heard))
	for name, of := range t.heard {
		h[name] = of
	}
	return t.running, t.ledger, h
}

// delay is how late a source is, if that can be known yet. Where all is read that the trail shows it is as late as that look, and
// where more comes all the time, as the newest of it.
func delay(s cloud.Status, h heard, now time.Time) (late time.Duration, known bool) {
	at := s.Through
	if h.at.After(at) {
		at = h.at
	}
	return max(0, now.Sub(at)), !at.IsZero()
}

func up(s cloud.Status) bool { return s.Err == nil && !s.LastSuccess.IsZero() }

// health is whether all sources could be read, and when the one that was read longest ago was. What was added because of a resource
// and has never worked is passed over: anybody may name a region in a resource.
func (t *trail) health() (healthy bool, lastSuccess time.Time) {
	sources, _, _ := t.standing()
	t.mu.Lock()
	reached := maps.Clone(t.reached)
	t.mu.Unlock()
	healthy = true
	first := true
	for _, s := range sources {
		st := s.Status()
		if reached[s.Name()] && st.LastSuccess.IsZero() {
			continue
		}
		healthy = healthy && up(st)
		if first || st.LastSuccess.Before(lastSuccess) {
			lastSuccess = st.LastSuccess
		}
		first = false
	}
	return healthy, lastSuccess
}

// probe says of each source whether it would work, of those too that run would add. It is not for a trail that runs.
func (t *trail) probe(ctx context.Context) (names []string, errs []error) {
	for len(t.sources) > 0 {
		t.reach(<-t.sources)
	}
	sources, _, _ := t.standing()
	for _, s := range sources {
		err := errors.New("it cannot be tried beforehand")
		if p, ok := s.(cloud.Prober); ok {
			err = p.Probe(ctx)
		}
		names, errs = append(names, s.Name()), append(errs, err)
	}
	return names, errs
}
