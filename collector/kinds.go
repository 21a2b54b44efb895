package collector

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube"
)

// kindFamilies say one kind each: how many of its objects there are, in which state, and how its watch is doing. A kind that
// never had an object, and is watched without trouble, says nothing.
var kindFamilies = []expo.Family[kindCounts]{
	{
		Name: "platform_resources", Type: expo.Gauge,
		Help: "Objects of the kind that exist.",
		Say: func(l *expo.Lines, k *kindCounts) {
			if k.used {
				l.Sample(float64(k.objects))
			}
		},
	},
	{
		Name: "platform_resources_by_condition", Type: expo.Gauge,
		Help:   "Objects of the kind by the status and reason of each of their conditions. Reasons that are not well known count as other.",
		Labels: []string{"condition", "status", "reason"},
		Say:    func(l *expo.Lines, k *kindCounts) { sayCounts(l, k.conditions) },
	},
	{
		Name: "platform_resources_failing", Type: expo.Gauge,
		Help:   "Objects of the kind that cannot be reconciled, by what their error says.",
		Labels: []string{"error_class"},
		Say:    func(l *expo.Lines, k *kindCounts) { sayCounts(l, k.failing) },
	},
	countFamily("platform_resources_paused", "Objects of the kind that someone paused or suspended.", func(k *kindCounts) int { return k.paused }),
	countFamily("platform_resources_deleting", "Objects of the kind whose deletion was asked for and that are still there.", func(k *kindCounts) int { return k.deleting }),
	countFamily("platform_resources_observe_only", "Objects of the kind whose external resource may only be observed.", func(k *kindCounts) int { return k.observeOnly }),
	countFamily("platform_resources_create_incomplete", "Objects of the kind whose provider cannot tell whether it created the external resource.", func(k *kindCounts) int { return k.createIncomplete }),
	countFamily("platform_resources_drifted", "Objects of the kind whose external resource is not what their spec says, though their provider has dealt with the spec.", func(k *kindCounts) int { return k.drifted }),
	countFamily("platform_resources_without_observed_generation", "Objects of the kind whose provider does not say which generation of the spec it has dealt with: drift is told from edits by a weaker rule.", func(k *kindCounts) int { return k.weak }),
	{
		Name: "crossplane_exporter_kind_synced", Type: expo.Gauge,
		Help: "Whether all objects of the kind have been seen and its watch is open: 1, or 0 while what is said of the kind is missing or stale.",
		Say: func(l *expo.Lines, k *kindCounts) {
			if k.used || k.trouble() {
				l.Sample(boolean(k.status.Synced && k.status.Current))
			}
		},
	},
	{
		Name: "crossplane_exporter_kind_unreadable", Type: expo.Gauge,
		Help:   "A kind that the API server does not let us read, and why not. Always 1.",
		Labels: []string{"cause"},
		Say: func(l *expo.Lines, k *kindCounts) {
			if k.status.Err != nil {
				l.Sample(1, expo.Label("cause", cause(k.status)))
			}
		},
	},
	{
		Name: "crossplane_exporter_watch_restarts_total", Type: expo.Counter,
		Help: "Watches of the kind opened after the first. The API server ends each one every five to ten minutes.",
		Say: func(l *expo.Lines, k *kindCounts) {
			if k.used || k.trouble() {
				l.Sample(float64(k.status.Restarts))
			}
		},
	},
	{
		Name: "crossplane_exporter_decode_errors_total", Type: expo.Counter,
		Help: "Objects of the kind with parts of an unexpected type, which were left out, and answers of the API server that were no JSON.",
		Say: func(l *expo.Lines, k *kindCounts) {
			if k.used || k.trouble() {
				l.Sample(float64(k.status.DecodeErrors))
			}
		},
	},
}

func countFamily(name, help string, count func(*kindCounts) int) expo.Family[kindCounts] {
	return expo.Family[kindCounts]{Name: name, Help: help, Type: expo.Gauge, Say: func(l *expo.Lines, k *kindCounts) {
		if k.used {
			l.Sample(float64(count(k)))
		}
	}}
}

func sayCounts(l *expo.Lines, counts []labelledCount) {
	for _, c := range counts {
		l.Sample(float64(c.n), c.labels)
	}
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// cause is why a kind cannot be read, in one of a few words.
func cause(s kube.KindStatus) string {
	s.Synced = false // Answered is then about the error alone
	switch {
	case s.Forbidden():
		return "forbidden"
	case !s.Answered():
		return "unreachable"
	default:
		return "refused"
	}
}

// kindCounts is what is said of a kind. It is never changed.
type kindCounts struct {
	tallies

	conditions, failing []labelledCount
	status              kube.KindStatus
}

func (k *kindCounts) trouble() bool {
	return k.status.Err != nil || k.status.DecodeErrors > 0 || k.status.Synced && !k.status.Current
}

// sameStatus is whether a watch does as it did when k was said.
func (k *kindCounts) sameStatus(s kube.KindStatus) bool {
	old := k.status
	return old.Synced == s.Synced && old.Current == s.Current && old.Restarts == s.Restarts && old.DecodeErrors == s.DecodeErrors &&
		(old.Err == nil) == (s.Err == nil) && (s.Err == nil || cause(old) == cause(s))
}

type labelledCount struct {
	labels string
	n      int
}

// tallies are the plain counts of a kind's objects.
type tallies struct {
	used                                                                    bool // there is or was an object
	objects, paused, deleting, observeOnly, createIncomplete, drifted, weak int
}

// A tally counts the objects of a kind as they come and go.
type tally struct {
	tallies

	category   kube.Category
	conditions map[conditionCount]int
	failing    map[cloud.Outcome]int
	types      map[string]struct{} // the condition types told apart
}

// conditionCount is what conditions are counted by.
type conditionCount struct {
	kind   string
	status kube.Status
	reason string
}

func newTally(category kube.Category, before *tally) *tally {
	t := &tally{category: category, conditions: map[conditionCount]int{}, failing: map[cloud.Outcome]int{}, types: map[string]struct{}{}}
	if before != nil {
		t.used, t.types = before.used, before.types
	}
	return t
}

// count adds r to the counts n times; -1 takes it out again.
func (t *tally) count(r *resource, n int) {
	t.used = true
	t.objects += n
	for _, c := range r.conditions {
		k := conditionCount{t.conditionType(c.name), c.status, boundedReason(c.reason.name)}
		if t.conditions[k] += n; t.conditions[k] == 0 {
			delete(t.conditions, k)
		}
	}
	if r.failing != nil {
		if t.failing[r.failing.class] += n; t.failing[r.failing.class] == 0 {
			delete(t.failing, r.failing.class)
		}
	}
	add := func(count *int, has bool) {
		if has {
			*count += n
		}
	}
	add(&t.paused, r.paused)
	add(&t.deleting, r.deleted != 0)
	add(&t.observeOnly, r.observeOnly)
	add(&t.createIncomplete, r.createIncomplete)
	add(&t.drifted, r.drifting)
	add(&t.weak, t.category == kube.Managed && r.weak())
}

// conditionType is the type that a condition counts as.
func (t *tally) conditionType(kind string) string {
	if _, ok := t.types[kind]; ok {
		return kind
	}
	if len(t.types) >= maxConditionTypes || !wellFormed(kind) {
		return otherCondition
	}
	t.types[kind] = struct{}{}
	return kind
}

// wellFormed is whether a condition type is one by the API conventions: a CamelCase word, with a domain before it at most.
func wellFormed(kind string) bool {
	return len(kind) <= 64 && !strings.ContainsFunc(kind, func(r rune) bool {
		return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("./-_", r)
	})
}

// say is what the tally says now.
func (t *tally) say(s kube.KindStatus) *kindCounts {
	k := &kindCounts{tallies: t.tallies, status: s}
	byCondition := func(a, b conditionCount) int {
		return cmp.Or(strings.Compare(a.kind, b.kind), cmp.Compare(a.status, b.status), strings.Compare(a.reason, b.reason))
	}
	for _, c := range slices.SortedFunc(maps.Keys(t.conditions), byCondition) {
		labels := expo.Label("condition", c.kind) + "," + expo.Label("status", c.status.String()) + "," + expo.Label("reason", c.reason)
		k.conditions = append(k.conditions, labelledCount{labels, t.conditions[c]})
	}
	for _, class := range slices.Sorted(maps.Keys(t.failing)) {
		k.failing = append(k.failing, labelledCount{expo.Label("error_class", string(class)), t.failing[class]})
	}
	return k
}
