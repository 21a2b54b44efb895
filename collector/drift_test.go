package collector

import (
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"
	testingclock "k8s.io/utils/clock/testing"

	"crossplane-exporter/internal/kube"
)

// bucket is the kind whose drift is counted here.
var bucket = kube.Kind{Category: kube.Managed, Group: "s3.aws.upbound.io", Version: "v1beta1", Name: "Bucket", Resource: "buckets"}

// A stage is a drift with one kind, played by hand.
type stage struct {
	*drift

	t     testing.TB
	store kube.Store
	at    int64
	saved *state
}

// newStage begins at 1000, with what an exporter before it saved.
func newStage(t testing.TB, before *state) *stage {
	t.Helper()
	s := &stage{t: t, at: 1000}
	now := func() time.Time { return time.Unix(s.at, 0) }
	reg := prometheus.NewRegistry()
	r := newResources(Config{Detail: DetailAll, Memory: 24 * time.Hour, Now: now}, func(string) string { return "" }, reg)
	s.drift = newDrift(r, now, slog.New(slog.DiscardHandler), reg)
	s.restore(before)
	s.store = r.open(bucket)
	return s
}

// sees is a bucket as the watch shows it.
func (s *stage) sees(version string, generation, observed int64, writers ...kube.Writer) {
	s.store.Set(s.store.Keep(&kube.Object{
		Name: "b", ResourceVersion: version, Generation: generation, Writers: writers,
		Conditions: []kube.Condition{
			{Type: "Synced", Status: kube.True, ObservedGeneration: observed, Since: s.at},
			{Type: "Ready", Status: kube.True, Since: 1},
		},
	}))
}

// hears is an Event of the bucket's provider.
func (s *stage) hears(name string, count int64, version string) {
	s.Set(s.event(name, count, version))
}

func (s *stage) event(name string, count int64, version string) *kube.Event {
	return &kube.Event{
		Namespace: "default", Name: name, Reason: "UpdatedExternalResource", Count: count, First: s.at, Last: s.at,
		Involved: kube.Involved{Group: bucket.Group, Kind: bucket.Name, Name: "b", ResourceVersion: version},
	}
}

// passes lets so many seconds go by, and judges.
func (s *stage) passes(seconds int64) {
	s.at += seconds
	s.judge(func() { s.saved = s.state() })
}

// told is how the updates were told apart.
func (s *stage) told() map[string]float64 {
	s.passes(10)
	told := map[string]float64{}
	for _, trigger := range []string{"spec", "create", "drift"} {
		if n := testutil.ToFloat64(s.updates.WithLabelValues(string(bucket.Category), bucket.Group, bucket.Name, trigger)); n > 0 {
			told[trigger] = n
		}
	}
	return told
}

var (
	cloudWriter = func(at int64) kube.Writer { return kube.Writer{Manager: "provider", Time: at, Fields: uint64(at)} }
	gitWriter   = func(at int64) kube.Writer { return kube.Writer{Manager: "kustomize-controller", Time: at, Fields: 7} }
)

func TestDriftIsToldApart(t *testing.T) {
	cases := map[string]struct {
		reason string
		play   func(s *stage)
		want   map[string]float64
	}{
		"Drift": {
			reason: "An update while the spec stands still puts the world back.",
			play: func(s *stage) {
				s.sees("1", 1, 1)
				s.passes(60)
				s.hears("e", 1, "1")
			},
			want: map[string]float64{"drift": 1},
		},
		"EditEventAfterStatus": {
			reason: "The Event of an edit may come after the status that says that it was dealt with.",
			play: func(s *stage) {
				s.sees("1", 1, 1, gitWriter(1))
				s.passes(60)
				s.sees("2", 2, 1, gitWriter(s.at))
				s.sees("3", 2, 2, gitWriter(s.at))
				s.hears("e", 1, "2")
			},
			want: map[string]float64{"spec": 1},
		},
		"EditEventBeforeAnything": {
			reason: "The watch of the resource may be behind that of Events.",
			play: func(s *stage) {
				s.sees("1", 1, 1, gitWriter(1))
				s.passes(60)
				s.hears("e", 1, "2")
				s.sees("2", 2, 1, gitWriter(s.at))
				s.sees("3", 2, 2, gitWriter(s.at))
			},
			want: map[string]float64{"spec": 1},
		},
		"DriftRightAfterEdit": {
			reason: "The version that the provider held tells a drift from an edit of the same second.",
			play: func(s *stage) {
				s.sees("1", 1, 1, gitWriter(1))
				s.passes(60)
				s.sees("2", 2, 1, gitWriter(s.at))
				s.sees("3", 2, 2, gitWriter(s.at))
				s.hears("e", 1, "3")
			},
			want: map[string]float64{"drift": 1},
		},
		"OneEventForBoth": {
			reason: "From its second occurrence on an Event keeps its first version: then the times tell.",
			play: func(s *stage) {
				s.sees("1", 1, 1, gitWriter(1))
				s.passes(60)
				s.hears("e", 1, "1")
				s.passes(60)
				s.sees("2", 2, 1, gitWriter(s.at))
				s.hears("e", 2, "1")
				s.passes(1)
				s.sees("3", 2, 2, gitWriter(s.at))
				s.passes(60)
				s.hears("e", 3, "1")
			},
			want: map[string]float64{"drift": 2, "spec": 1},
		},
		"SeveralAtOnce": {
			reason: "What the recorder's filter swallowed comes later as a leap of the count; the edits in between are known.",
			play: func(s *stage) {
				s.sees("1", 1, 1, gitWriter(1))
				s.passes(60)
				s.hears("e", 1, "1")
				s.passes(60)
				s.sees("2", 2, 1, gitWriter(s.at))
				s.sees("3", 2, 2, gitWriter(s.at))
				s.passes(240)
				s.hears("e", 6, "1")
			},
			want: map[string]float64{"drift": 5, "spec": 1},
		},
		"LateInitialisation": {
			reason: "What the provider writes to the spec itself, because the cloud chose it, is no edit.",
			play: func(s *stage) {
				s.sees("1", 1, 1, gitWriter(1), cloudWriter(1))
				s.passes(60)
				s.sees("2", 2, 1, gitWriter(1), cloudWriter(s.at))
				s.hears("e", 1, "2")
				s.sees("3", 2, 2, gitWriter(1), cloudWriter(s.at))
			},
			want: map[string]float64{"drift": 1},
		},
		"EditWithoutEffect": {
			reason: "An edit that changes nothing outside must not excuse the drift that comes later.",
			play: func(s *stage) {
				s.sees("1", 1, 1, gitWriter(1))
				s.hears("e", 1, "1")
				s.passes(60)
				s.sees("2", 2, 1, gitWriter(s.at))
				s.sees("3", 2, 2, gitWriter(s.at))
				s.passes(60)
				s.hears("e", 2, "1")
			},
			want: map[string]float64{"drift": 2},
		},
		"NoObservedGeneration": {
			reason: "Of a provider that does not say what it has dealt with, the first update after an edit is taken for the edit's.",
			play: func(s *stage) {
				s.sees("1", 1, 0, gitWriter(1))
				s.passes(60)
				s.sees("2", 2, 0, gitWriter(s.at))
				s.hears("e", 1, "2")
				s.passes(60)
				s.hears("e", 2, "2")
			},
			want: map[string]float64{"spec": 1, "drift": 1},
		},
		"EditedWhileNobodyWatched": {
			reason: "After a watch was lost, one update for each generation is taken for an edit's.",
			play: func(s *stage) {
				s.sees("1", 1, 1, gitWriter(1))
				s.passes(60)
				s.sees("9", 3, 3, gitWriter(s.at-5))
				s.hears("e", 4, "1")
			},
			want: map[string]float64{"spec": 2, "drift": 2},
		},
		"Unknown": {
			reason: "The Event of a resource that nobody has seen is not taken for anything.",
			play:   func(s *stage) { s.hears("e", 1, "1") },
			want:   map[string]float64{},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil)
			s.Replace(nil)
			s.passes(1)
			tc.play(s)
			if diff := cmp.Diff(tc.want, s.told()); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestEventsAreCountedOnce(t *testing.T) {
	cases := map[string]struct {
		reason string
		play   func(s *stage) *stage
		want   float64
	}{
		"Relist": {
			reason: "A relist tells again what is known.",
			play: func(s *stage) *stage {
				s.hears("e", 2, "")
				s.Replace([]*kube.Event{s.event("e", 2, "")})
				s.Replace([]*kube.Event{s.event("e", 3, "")})
				return s
			},
			want: 3,
		},
		"SameStateAgain": {
			reason: "A watch may tell the same state twice.",
			play: func(s *stage) *stage {
				s.hears("e", 2, "")
				s.hears("e", 2, "")
				return s
			},
			want: 2,
		},
		"ExpiredAndBack": {
			reason: "The recorder writes an expired Event again, with the count it had, and goes on.",
			play: func(s *stage) *stage {
				s.hears("e", 5, "")
				s.passes(3600)
				s.Delete(s.event("e", 5, ""))
				s.passes(3600)
				s.hears("e", 6, "")
				return s
			},
			want: 6,
		},
		"ProviderRestarted": {
			reason: "Another recorder writes another Event; one that reuses a name begins at one.",
			play: func(s *stage) *stage {
				s.hears("e", 5, "")
				s.hears("f", 1, "")
				s.hears("e", 1, "")
				return s
			},
			want: 7,
		},
		"ThereBefore": {
			reason: "What an Event counted before anybody watched is nobody's to count.",
			play: func(s *stage) *stage {
				s = newStage(s.t, nil)
				s.sees("1", 1, 1)
				old := s.event("e", 40, "")
				old.First = 10
				s.Replace([]*kube.Event{old})
				old = s.event("e", 42, "")
				old.First = 10
				s.Set(old)
				return s
			},
			want: 2,
		},
		"BackFromBeforeTheStart": {
			reason: "An Event that expired before the start and comes back has happened once for certain.",
			play: func(s *stage) *stage {
				old := s.event("e", 40, "")
				old.First = 10
				s.Set(old)
				return s
			},
			want: 1,
		},
		"ExporterRestarted": {
			reason: "After a restart what was counted is not counted again, and what happened meanwhile is.",
			play: func(s *stage) *stage {
				s.hears("e", 5, "")
				s.passes(60)
				next := newStage(s.t, s.saved)
				next.at = s.at + 60
				next.sees("1", 1, 1)
				meanwhile := next.event("e", 7, "")
				meanwhile.First = s.at
				next.Replace([]*kube.Event{meanwhile, next.event("new", 1, "")})
				return next
			},
			want: 3,
		},
		"KilledBeforeTheVerdict": {
			reason: "What was heard but not judged yet when the exporter was killed is counted by the next one.",
			play: func(s *stage) *stage {
				s.hears("e", 5, "")
				s.passes(60)
				s.hears("e", 6, "")
				next := newStage(s.t, s.saved)
				next.at = s.at + 60
				next.sees("1", 1, 1)
				next.Replace([]*kube.Event{s.event("e", 6, "")})
				return next
			},
			want: 1,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil)
			s.sees("1", 1, 1)
			s.Replace(nil)
			s.passes(1)
			s = tc.play(s)
			if diff := cmp.Diff(map[string]float64{"drift": tc.want}, s.told()); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestForeignWriters(t *testing.T) {
	cases := map[string]struct {
		reason  string
		manager string
		trusted []string
		want    bool
	}{
		"kubectl-edit":                    {"A person.", "kubectl-edit", nil, true},
		"helm":                            {"The CLI, which a person runs.", "helm", nil, true},
		"argocd-controller":               {"GitOps.", "argocd-controller", nil, false},
		"kustomize-controller":            {"GitOps.", "kustomize-controller", nil, false},
		"crossplane":                      {"Crossplane composes.", "apiextensions.crossplane.io/composed/0123456789abcdef", nil, false},
		"provider":                        {"The default manager is the binary's name.", "crossplane-aws-provider", nil, false},
		"trusted":                         {"Whom the flag names.", "ci-deploy", []string{"other", "ci-*"}, false},
		"not quite the one that is named": {"A glob matches as a whole.", "my-ci-deploy", []string{"ci-*"}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := newSpec(&kube.Object{ResourceVersion: "1", Generation: 1}, tc.trusted)
			after := newSpec(&kube.Object{ResourceVersion: "2", Generation: 2, Writers: []kube.Writer{{Manager: tc.manager, Time: 5, Fields: 1}}}, tc.trusted)
			if got := len(after.follow(&before, 6)) == 1; got != tc.want {
				t.Errorf("%s\n%s is foreign: got %t, want %t", tc.reason, tc.manager, got, tc.want)
			}
		})
	}
}

func TestEventsAreForgotten(t *testing.T) {
	s := newStage(t, nil)
	s.hears("e", 1, "")
	s.passes(1)
	s.Delete(s.event("e", 1, ""))
	s.passes(eventMemory)
	if len(s.events) != 1 {
		t.Errorf("after a day: got %d Events, want the one that may still come back", len(s.events))
	}
	s.passes(2)
	if len(s.events) != 0 {
		t.Errorf("after more than a day: got %d Events, want none", len(s.events))
	}
}

// TestRecordedStreams counts what client-go's own recorder makes of updates at high rates: it drops most notifications, joins
// messages that differ, and lets Events expire.
func TestRecordedStreams(t *testing.T) {
	cases := map[string]struct {
		reason  string
		every   time.Duration
		emitted int
		message func(i int) string
		// within is how many of the last occurrences may not be told yet: those since the recorder's filter last let one through, which
		// it does every five minutes.
		within int
	}{
		"EveryFewSeconds": {
			reason: "A loop: of 37 occurrences one is written.",
			every:  2700 * time.Millisecond, emitted: 1334, within: 300 * 1000 / 2700,
		},
		"EveryMinute": {
			reason: "A provider with the default poll that finds a difference each time.",
			every:  time.Minute, emitted: 360, within: 5,
		},
		"EveryTenMinutes": {
			reason: "Slow enough to be written each time.",
			every:  10 * time.Minute, emitted: 144, within: 0,
		},
		"EveryTwoHours": {
			reason: "The Event expires in between, and comes back with its count.",
			every:  2 * time.Hour, emitted: 48, within: 0,
		},
		"MessagesThatDiffer": {
			reason: "More than ten messages are joined to one Event, whose count goes on.",
			every:  10 * time.Second, emitted: 360, within: 300 / 10,
			message: func(i int) string { return "RequestID " + strconv.Itoa(i) },
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil)
			s.sees("1", 1, 1)
			s.Replace(nil)
			began := time.Unix(s.at, 0).Add(time.Second)
			clock := testingclock.NewFakeClock(began)
			correlator := record.NewEventCorrelatorWithOptions(record.CorrelatorOptions{Clock: clock})
			there := map[string]*kube.Event{} // in the API, by name
			for i := range tc.emitted {
				clock.SetTime(began.Add(time.Duration(i) * tc.every))
				s.at = clock.Now().Unix()
				for n, e := range there {
					if s.at-e.Last >= 3600 { // kube-apiserver's --event-ttl
						delete(there, n)
						s.Delete(e)
					}
				}
				message := "Successfully requested update of external resource"
				if tc.message != nil {
					message = tc.message(i)
				}
				result, err := correlator.EventCorrelate(&corev1.Event{
					ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("b.%d", i), Namespace: "default"},
					InvolvedObject: corev1.ObjectReference{Kind: bucket.Name, APIVersion: bucket.Group + "/v1beta1", Name: "b"},
					Reason:         "UpdatedExternalResource", Message: message, Type: corev1.EventTypeNormal, Count: 1,
					FirstTimestamp: metav1.NewTime(clock.Now()), LastTimestamp: metav1.NewTime(clock.Now()),
				})
				if err != nil {
					t.Fatal(err)
				}
				if !result.Skip {
					correlator.UpdateState(result.Event)
					e := s.event(result.Event.Name, int64(result.Event.Count), "")
					e.First = result.Event.FirstTimestamp.Unix()
					there[e.Name] = e
					s.Set(e)
				}
				s.judge(func() {})
			}
			got := int(s.told()["drift"])
			if got > tc.emitted || got < tc.emitted-tc.within {
				t.Errorf("%s\ngot %d corrections of %d, want no more than %d to be missing and none too many", tc.reason, got, tc.emitted, tc.within)
			}
			t.Logf("%d emitted, %d counted", tc.emitted, got)
		})
	}
}

func TestLoop(t *testing.T) {
	cases := map[string]struct {
		reason string
		at     []int64
		after  int64 // when it is asked, in seconds after the last
		want   bool
	}{
		"Few":        {"A few corrections are no loop yet.", []int64{60, 120, 180, 240, 300}, 0, false},
		"Clockwork":  {"At every reconcile, a minute apart with some jitter.", []int64{60, 121, 179, 243, 300, 362}, 0, true},
		"People":     {"People do not work at intervals.", []int64{60, 70, 900, 4000, 4100, 9000}, 0, false},
		"Held":       {"A correction too late, or its Event held back, is the loop still.", []int64{60, 121, 179, 243, 300, 362}, 400, true},
		"Over":       {"What is not put back any more is no loop any more.", []int64{60, 121, 179, 243, 300, 362}, 429, false},
		"OverSlow":   {"Nor is it in hours, where it was put back hourly.", []int64{3600, 7200, 10800, 14400, 18000, 21600}, 3 * 3600, false},
		"LongBefore": {"What was irregular before does not matter.", []int64{1, 5, 900, 960, 1020, 1080, 1140, 1200}, 0, true},
		"Daily":      {"Once a day, like a job, is no loop of reconciles.", []int64{86400, 172800, 259200, 345600, 432000, 518400}, 0, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := &drifted{}
			for _, at := range tc.at {
				d.correct(1, at, at)
			}
			if got := d.loop(tc.at[len(tc.at)-1] + tc.after); got != tc.want {
				t.Errorf("%s\ngot %t, want %t", tc.reason, got, tc.want)
			}
		})
	}
}

// TestLoopEnds is that a loop is said of a resource for as long as it goes on, also after a restart, without anything being heard of it.
func TestLoopEnds(t *testing.T) {
	const period = 60
	loops := func(s *stage) bool {
		return s.store.(*resourceStore).group.Get(resourceKey("", "b")).looping
	}
	s := newStage(t, nil)
	s.sees("1", 1, 1)
	s.Replace(nil)
	for i := range int64(loopCorrections) {
		if loops(s) {
			t.Fatalf("%d corrections are a loop", i)
		}
		s.hears("e", i+1, "1")
		s.passes(period)
	}
	for _, s := range []*stage{s, newStage(t, s.saved)} {
		s.at = 1000 + loopCorrections*period
		s.sees("1", 1, 1)
		s.resources.refresh(s.at)
		if !loops(s) {
			t.Error("even corrections are no loop")
		}
		s.passes(2*period + heldBack)
		s.resources.refresh(s.at)
		if loops(s) {
			t.Error("what is not put back any more is a loop")
		}
	}
}

func TestWithin(t *testing.T) {
	const hour, day = 3600, 24 * 3600
	d := &drifted{}
	d.correct(2, 10*day, 10*day)
	d.correct(3, 10*day+23*hour, 10*day+23*hour)
	d.correct(1, 10*day+23*hour+1800, 10*day+23*hour+1800)
	for _, tc := range []struct {
		reason       string
		seconds, now int64
		want         int
	}{
		{"the last hour", hour, 10*day + 23*hour + 1800, 4},
		{"the last day", day, 10*day + 23*hour + 1800, 6},
		{"a day later it is all over", day, 11*day + 24*hour, 0},
		{"half of it an hour later", day, 11*day + hour, 4},
	} {
		if got := d.within(tc.seconds, tc.now); got != tc.want {
			t.Errorf("%s: got %d corrections, want %d", tc.reason, got, tc.want)
		}
	}
}

func TestCheckpointSurvives(t *testing.T) {
	s := newStage(t, nil)
	s.sees("1", 1, 1, gitWriter(1))
	s.Replace(nil)
	s.passes(1)
	s.hears("e", 3, "")
	s.passes(10)
	s.sees("2", 2, 1, gitWriter(1), kube.Writer{Manager: "kubectl-edit", Time: s.at, Fields: 1})
	s.passes(10)

	file := FileKeeper(t.TempDir() + "/deep/checkpoint")
	cp := newCheckpoint(file, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	cp.save(t.Context(), s.state())
	got := cp.load(t.Context(), time.Unix(s.at, 0))
	if diff := cmp.Diff(s.state().Resources, got.Resources); diff != "" {
		t.Errorf("resources: -saved, +loaded:\n%s", diff)
	}
	next := newStage(t, got)
	next.at = s.at
	next.sees("2", 2, 1, gitWriter(1), kube.Writer{Manager: "kubectl-edit", Time: s.at - 10, Fields: 1})
	held := next.resources.store(groupKind{bucket.Group, bucket.Name}).group.Get(resourceKey("", "b"))
	if held.drift == nil || held.drift.last != s.at-20 || held.drift.corrections != 0 || held.drift.within(3600, s.at) != 3 || len(held.drift.foreign) != 1 {
		t.Errorf("after a restart: got %+v, want the times and the managers of before, and counters at zero", held.drift)
	}
}

func TestCheckpointThatCannotBeUsed(t *testing.T) {
	good := func(s *state) []byte {
		keeper := FileKeeper(t.TempDir() + "/checkpoint")
		newCheckpoint(keeper, slog.New(slog.DiscardHandler), prometheus.NewRegistry()).save(t.Context(), s)
		data, err := keeper.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	now := time.Unix(100_000, 0)
	whole := good(&state{Version: stateVersion, At: 1})
	cases := map[string]struct {
		reason string
		data   []byte
		want   float64 // failures
	}{
		"None":      {"No checkpoint is no failure.", nil, 0},
		"Good":      {"Nor is a good one.", whole, 0},
		"Truncated": {"A crash of the machine may leave half of one.", whole[:len(whole)/2], 1},
		"Garbage":   {"Or something else.", []byte("not a checkpoint"), 1},
		"Newer":     {"A newer exporter may have written it before a rollback.", good(&state{Version: stateVersion + 1, At: 1}), 1},
		"Future":    {"A clock may have been wrong.", good(&state{Version: stateVersion, At: now.Unix() + 3600}), 1},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			keeper := FileKeeper(t.TempDir() + "/checkpoint")
			if tc.data != nil {
				if err := keeper.Save(t.Context(), tc.data); err != nil {
					t.Fatal(err)
				}
			}
			cp := newCheckpoint(keeper, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			s := cp.load(t.Context(), now)
			if got := testutil.ToFloat64(cp.failures); got != tc.want {
				t.Errorf("%s\ngot %v failures, want %v", tc.reason, got, tc.want)
			}
			if usable := s != nil; usable != (name == "Good") {
				t.Errorf("%s\ngot %v", tc.reason, s)
			}
		})
	}
}
