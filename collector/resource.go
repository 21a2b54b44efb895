package collector

import (
	"slices"
	"strings"

	"github.com/crossplane/crossplane/apis/v2/core/v2"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube"
)

// A resource is what is held of an object. It is complete before it goes into the table and never changes after.
type resource struct {
	key             string // its identity within its kind, as rendered labels
	info            string // what platform_resource_info says, as rendered labels
	namespace, name string
	ownTeam         *word // by its own label
	team            *word // whoever named it
	claimNamespace  *word

	conditions []condition
	failing    *failure // nil while nothing fails

	created, deleted int64 // Unix seconds, 0 for none
	finalizers       uint8 // 2 is two or more

	paused, observeOnly, createIncomplete bool
	// fresh is whether the object was new when it was first seen and has not been ready since: when it becomes ready, that
	// is for the first time.
	fresh  bool
	unwell bool
	lately bool // whether something happened behind its back that is not long ago
	// looping is whether it is put back at nearly every reconcile.
	looping bool
	// drifting is whether the external resource is not what the spec says, though the provider has dealt with the spec.
	drifting bool

	subject   *subject  // nil for what no audit trail tells of
	differing *[]string // the fields in which it is not, nil for none; also while the provider has not dealt with the spec
	spec      spec
	drift     *drifted // what happened to its external resource and its spec behind its back, nil for nothing
}

// A condition is what is held of one.
type condition struct {
	*word // its type

	reason *word
	since  int64 // since when it has been well, or has not been, in Unix seconds, by our clock
	status kube.Status
	aged   bool // whether it is not well, and has been so for longer than the object says: the checkpoint has to remember it
}

// A failure is what a failing condition says.
type failure struct {
	class   cloud.Outcome // what its error is
	message string        // that error, cut to what the page shows
}

// maxMessage is how much of an error the page shows, in bytes.
const maxMessage = 300

// newResource is what is held of o.
func newResource(k kube.Kind, o *kube.Object, v *vocabulary) *resource {
	r := &resource{
		namespace:        o.Namespace,
		name:             o.Name,
		ownTeam:          v.teams.of(o.Team),
		claimNamespace:   v.claimNamespaces.of(o.ClaimNamespace),
		created:          o.Created,
		deleted:          o.Deleted,
		finalizers:       uint8(min(o.Finalizers, 2)), //nolint:gosec // It fits now.
		paused:           o.Paused,
		observeOnly:      o.ObserveOnly,
		createIncomplete: createIncomplete(o),
		conditions:       make([]condition, 0, len(o.Conditions)),
		spec:             newSpec(o, v.trusted),
	}
	if fields := o.Differing; len(fields) > 0 {
		r.differing = &fields
	}
	b := make([]byte, 0, 256)
	b = expo.AppendLabel(b, "resource_namespace", o.Namespace)
	b = expo.AppendLabel(append(b, ','), "name", o.Name)
	r.key = string(b)
	if name, ok := strings.CutSuffix(r.key, o.Name+`"`); ok { // one copy of the name is enough
		r.name = r.key[len(name) : len(r.key)-1]
	}
	b = expo.AppendLabel(b[:0], "version", k.Version)
	b = expo.AppendLabel(append(b, ','), "external_name", o.ExternalName)
	b = expo.AppendLabel(append(b, ','), "provider_config", o.ProviderConfig)
	b = expo.AppendLabel(append(b, ','), "composite", o.Composite)
	b = append(append(b, ','), r.claimNamespace.label...)
	b = expo.AppendLabel(append(b, ','), "claim_name", o.ClaimName)
	b = expo.AppendLabel(append(b, ','), "cloud_region", o.Region)
	r.info = string(b)

	for i := range o.Conditions {
		c := &o.Conditions[i]
		r.paused = r.paused || c.Reason == string(v2.ReasonReconcilePaused)
		t := v.conditions.of(c.Type)
		if slices.ContainsFunc(r.conditions, func(c condition) bool { return c.label == t.label }) {
			continue // two types that differ in what no label can say: the same series twice would cost the whole scrape
		}
		r.conditions = append(r.conditions, condition{word: t, reason: v.reasons.of(c.Reason), status: c.Status, since: c.Since})
	}
	if c := failingCondition(o); c != nil && !r.paused && !o.Inactive {
		r.failing = &failure{cloud.ClassifyText(c.Message), cut(c.Message, maxMessage)}
	}
	r.unwell = r.failing != nil || r.paused || r.deleted != 0 || r.createIncomplete || !o.Inactive && slices.ContainsFunc(r.conditions, condition.bad) ||
		r.unheard(k.Category)
	return r
}

// weak is whether r's provider does not say which generation of the spec it has dealt with.
func (r *resource) weak() bool {
	_, synced := r.condition(string(v2.TypeSynced))
	return synced && r.spec.weak()
}

// isDrifting is whether the external resource is not what r's spec says, though nothing is on its way to make it so. A provider
// that sets the UpToDate condition knows best.
func (r *resource) isDrifting() bool {
	if c, ok := r.condition(string(v2.TypeUpToDate)); ok && c.status != kube.Unknown {
		return c.status == kube.False && !r.paused
	}
	synced, ok := r.condition(string(v2.TypeSynced))
	settled := ok && synced.status == kube.True && !r.spec.pending() && (r.spec.weak() || r.spec.observed >= r.spec.generation)
	return r.differing != nil && settled && !r.paused && r.deleted == 0 && !r.createIncomplete
}

// unheard is whether r should say whether it is ready and has not said so: it is new, or nobody is there to deal with it.
func (r *resource) unheard(c kube.Category) bool {
	switch c {
	case kube.Managed, kube.Composite, kube.Claim:
		_, ok := r.condition(string(v2.TypeReady))
		return !ok
	default:
		return false
	}
}

// createIncomplete is whether the provider began to create the external resource and cannot tell how that ended. It then does
// nothing more until a person has looked. This is meta.ExternalCreateIncomplete of crossplane-runtime, on what was decoded.
func createIncomplete(o *kube.Object) bool {
	return o.CreatePending != 0 && o.CreatePending > o.CreateSucceeded && o.CreatePending > o.CreateFailed
}

// bad is whether c says that its object is not well.
func (c condition) bad() bool {
	good, known := wellWhen[c.name]
	return known && c.status != good
}

// condition is the condition of that type.
func (r *resource) condition(kind string) (condition, bool) {
	for _, c := range r.conditions {
		if c.name == kind {
			return c, true
		}
	}
	return condition{}, false
}

func (r *resource) ready() bool {
	c, ok := r.condition(string(v2.TypeReady))
	return ok && c.status == kube.True
}

// follow makes r, not in the table yet, the successor of what was held of the same object before: nil for an object that is
// seen for the first time, which is fresh if it was created just then. It tells flipped of each condition with a new status.
func (r *resource) follow(before *resource, fresh bool, now int64, flipped func(condition)) {
	for i := range r.conditions {
		c := &r.conditions[i]
		old, ok := condition{}, false
		if before != nil {
			old, ok = before.condition(c.name)
		}
		said := c.since
		switch {
		case ok && old.status == c.status:
			c.since = old.since
		case ok && old.bad() && c.bad():
			// Flux says Unknown while it tries again what it has said has failed: it has not been well in between.
			flipped(*c)
			c.since = old.since
		case ok:
			flipped(*c)
			// lastTransitionTime is right now: the status has just been written. It is more exact than our clock, and a restart
			// finds it again.
			if c.since == 0 || c.since > now || c.since < old.since {
				c.since = now
			}
		case c.since == 0 || c.since > now:
			c.since = now
		}
		c.aged = c.bad() && (said == 0 || c.since < said)
	}
	if before != nil {
		fresh = before.fresh
	}
	r.fresh = fresh && !r.ready()
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 { // not in the middle of a rune
		n--
	}
	return s[:n] + "…"
}
