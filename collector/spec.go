package collector

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/crossplane/crossplane/apis/v2/core/v2"

	"crossplane-exporter/internal/kube"
)

// A spec is what is held of an object's spec, to tell a provider's updates that follow from an edit of it from those that put
// the world back.
type spec struct {
	first, version uint64 // the resourceVersions first and last seen, 0 where they are no numbers
	generation     int64
	// observed is the generation that the provider says it has dealt with, 0 where it does not say, and observedAt when it
	// said so first, in Unix seconds of its own clock.
	observed, observedAt int64
	created              int64  // when the provider had created the external resource, in Unix seconds
	own, intended        uint64 // fingerprints of what the provider wrote, and of what others did
	intendedAt           int64  // when they did last, in Unix seconds
	foreign              []kube.Writer
	edits                []edit // oldest first
}

// An edit is one or more changes of a spec that a provider deals with in one go: what it updates then was intended.
type edit struct {
	From, To     uint64 // the resourceVersions that have it but for which it is not dealt with: [From, To), To 0 while it is not
	Began, Ended int64  // the same in Unix seconds; Began is 0 where nobody saw it
	Used         bool   // the update it led to was seen
}

// maxEdits is how many edits are remembered. An update is judged a few seconds after it happened.
const maxEdits = 8

func newSpec(o *kube.Object, trusted []string) spec {
	s := spec{generation: o.Generation, created: o.CreateSucceeded}
	s.version = parseVersion(o.ResourceVersion)
	s.first = s.version
	for i := range o.Conditions {
		if c := &o.Conditions[i]; c.Type == string(v2.TypeSynced) {
			s.observed, s.observedAt = c.ObservedGeneration, c.Since
		}
	}
	for _, w := range o.Writers {
		fingerprint := &s.intended
		if ownWriter(w.Manager) {
			fingerprint = &s.own
		}
		for _, part := range []uint64{w.Fields, uint64(w.Time)} { //nolint:gosec // A fingerprint has no sign.
			*fingerprint = (*fingerprint ^ part) * 1099511628211 // FNV's prime
		}
		if fingerprint == &s.own {
			continue
		}
		s.intendedAt = max(s.intendedAt, w.Time)
		if !platformWriter(w.Manager) && !slices.ContainsFunc(trusted, func(glob string) bool { return matches(glob, w.Manager) }) {
			s.foreign = append(s.foreign, w)
		}
	}
	return s
}

// parseVersion is a resourceVersion as the number that it is on every API server of Kubernetes itself (KEP-5504), 0 where it is
// none.
func parseVersion(v string) uint64 {
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// ownWriter is whether a field manager is a provider or what resolves references for it: what it writes to a spec, such as
// values the cloud chose, is nobody's intent. The default manager is the binary's name.
func ownWriter(manager string) bool {
	return strings.Contains(manager, "provider") || strings.HasPrefix(manager, "managed.crossplane.io/")
}

// platformWriter is whether a field manager is Crossplane or a GitOps controller, through which specs are meant to change.
func platformWriter(manager string) bool {
	switch manager {
	case "crossplane", "argocd-controller", "argocd-application-controller", "kustomize-controller", "helm-controller",
		"kube-controller-manager", "crossplane-exporter":
		return true
	}
	for _, prefix := range []string{"apiextensions.crossplane.io/", "ops.crossplane.io/", "pkg.crossplane.io/", "protection.crossplane.io/", "gotk-"} {
		if strings.HasPrefix(manager, prefix) {
			return true
		}
	}
	return false
}

// matches is whether a glob, which was checked, matches a field manager.
func matches(glob, manager string) bool {
	ok, err := path.Match(glob, manager)
	return err == nil && ok
}

// follow makes s the successor of before. It returns the field managers, neither the platform nor the provider, that wrote to the
// spec in between.
func (s *spec) follow(before *spec, now int64) (foreign []string) {
	s.first, s.edits = before.first, before.edits
	open := s.pending()
	done := s.observed != 0 && s.observed >= s.generation // the provider has dealt with all there is
	// What the provider wrote alone is no edit: it notes what the cloud chose. Others may write without a trace, because the
	// times of managedFields are whole seconds.
	late := s.own != before.own && s.intended == before.intended
	switch edited := s.generation > before.generation && !late; {
	case edited && done && !open:
		// Edited and dealt with since before, as after a relist. How many updates that took nobody saw: one for each generation at
		// most.
		for range min(s.generation-before.generation, maxEdits) {
			s.remember(edit{From: before.version + 1, To: s.version, Ended: s.observedAt})
		}
	case edited && !open:
		s.remember(edit{From: s.version, Began: s.editedAt(now)})
	case open && done:
		s.close(s.observedAt)
	}
	for _, w := range s.foreign {
		i := slices.IndexFunc(before.foreign, func(b kube.Writer) bool { return b.Manager == w.Manager })
		if i < 0 || before.foreign[i] != w {
			foreign = append(foreign, w.Manager)
		}
	}
	return foreign
}

// begin makes s the first that is seen of an object. since is when another exporter, before this one, saw the cluster last; 0
// for never.
func (s *spec) begin(since, now int64) {
	switch {
	case s.observed != 0 && s.generation > s.observed:
		s.remember(edit{From: s.version, Began: s.editedAt(now)})
	case since != 0 && s.intendedAt > since && s.generation > 1: // while nobody looked
		s.remember(edit{To: s.version, Began: s.intendedAt, Ended: s.observedAt})
	}
}

// editedAt is when the spec was edited last: by the API server's clock, which is nearer to the provider's than to when we hear of
// it, or else now.
func (s *spec) editedAt(now int64) int64 {
	if s.intendedAt != 0 {
		return min(s.intendedAt, now)
	}
	return now
}

func (s *spec) remember(e edit) {
	s.edits = append(slices.Clone(s.edits[max(0, len(s.edits)-maxEdits+1):]), e)
}

// close ends the edit that the provider was dealing with.
func (s *spec) close(at int64) {
	s.edits = slices.Clone(s.edits)
	last := &s.edits[len(s.edits)-1]
	last.To, last.Ended = s.version, at
}

// pending is whether there is an edit that the provider has not dealt with.
func (s *spec) pending() bool {
	return len(s.edits) > 0 && s.edits[len(s.edits)-1].To == 0
}

// weak is whether the provider does not say which generation it has dealt with.
func (s *spec) weak() bool { return s.observed == 0 }

// judge says how many of an Event's occurrences were updates that follow from edits, and takes note of these.
func (s *spec) judge(o occurrence) (intended int64) {
	use := func(i int) {
		s.edits = slices.Clone(s.edits)
		e := &s.edits[i]
		e.Used = true
		if e.To == 0 && s.weak() { // nothing else will say that it has been dealt with
			e.To, e.Ended = s.version+1, o.last
		}
		intended++
	}
	if o.version >= s.first && s.first != 0 && !s.weak() { // the very version that the provider held is known
		for i, e := range s.edits {
			if e.From <= o.version && (e.To == 0 || o.version < e.To) {
				use(i)
				return intended
			}
		}
		return 0
	}
	for i, e := range s.edits {
		if intended == o.times {
			break
		}
		open := e.To == 0
		switch {
		case e.Used:
		case e.Began > o.last: // edited after
		case !open && o.times == 1 && o.last > e.Ended: // dealt with before: this edit led to no update
		case !open && e.Ended < o.before: // dealt with before the time in question
		default:
			use(i)
		}
	}
	return intended
}
