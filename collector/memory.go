package collector

import (
	"maps"
	"slices"
	"strings"
	"time"

	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube"
)

// savedResources is what a checkpoint holds of the resources, by group/kind and key.
type savedResources map[string]map[string]savedResource

// A savedResource is what a checkpoint holds of a resource: what the cluster will not say again.
type savedResource struct {
	Drift *savedDrift  `json:"d,omitempty"` // nil for nothing
	Since []savedSince `json:"c,omitempty"`
}

// A savedSince is since when a condition that is not well has been so, in Unix seconds, where that is longer ago than the object says.
type savedSince struct {
	Condition string `json:"t"`
	Since     int64  `json:"a"`
}

// A savedDrift is what happened behind a resource's back, and what is needed of its spec to tell what happens next.
type savedDrift struct {
	Version    uint64           `json:"v,omitempty"`
	Generation int64            `json:"g,omitempty"`
	Own        uint64           `json:"o,omitempty"`
	Intended   uint64           `json:"i,omitempty"`
	Foreign    []kube.Writer    `json:"f,omitempty"`
	Edits      []edit           `json:"e,omitempty"`
	Updated    bool             `json:"u,omitempty"`
	Last       int64            `json:"l,omitempty"`
	Slots      map[int64]uint16 `json:"s,omitempty"` // by number, the empty ones left out
	Recent     []int64          `json:"r,omitempty"`
	Writes     map[string]int64 `json:"w,omitempty"` // when each foreign manager wrote last
	Outside    map[string]int64 `json:"x,omitempty"` // when each class of principals changed it last
}

// maxAbsence is how long, in seconds, an exporter may have been away to take it that what is not well, and was not, has not been in
// between.
const maxAbsence = int64(time.Hour / time.Second)

// saved is what a checkpoint holds of the resources.
func (r *resources) saved() savedResources {
	saved := savedResources{}
	r.mu.Lock()
	for kind, of := range r.restored { // what is not seen yet must outlive this exporter, too
		saved[kind] = maps.Clone(of)
	}
	r.mu.Unlock()
	r.each(func(s *resourceStore) {
		s.mu.Lock()
		defer s.mu.Unlock()
		of := saved[s.kind.String()]
		if of == nil {
			of = make(map[string]savedResource, len(s.remembered))
		}
		for key := range s.remembered {
			if held := s.group.Get(key); held != nil {
				of[key] = savedResource{held.saveDrift(), held.saveSince()}
			}
		}
		if len(of) > 0 {
			saved[s.kind.String()] = of
		}
	})
	return saved
}

// halve forgets since when the conditions of every second resource have been so, and is false if there is nothing left to forget. They
// look younger after a restart.
func (saved savedResources) halve() bool {
	halved := false
	for _, of := range saved {
		forget := false
		for _, key := range slices.Sorted(maps.Keys(of)) {
			one := of[key]
			if len(one.Since) == 0 {
				continue
			}
			halved, forget = true, !forget
			if !forget {
				continue
			}
			if one.Since = nil; one.Drift == nil {
				delete(of, key)
			} else {
				of[key] = one
			}
		}
	}
	return halved
}

// restore takes over what a checkpoint of that time holds, before anything is watched. What has become another shard's is out of date
// when it comes back.
func (r *resources) restore(at int64, saved savedResources) {
	maps.DeleteFunc(saved, func(kind string, _ map[string]savedResource) bool {
		group, name, _ := strings.Cut(kind, "/")
		return !r.shard.has(group, name)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.since, r.restored = at, saved
}

// takeSaved is what a checkpoint held of the resource at key, which is seen for the first time.
func (s *resourceStore) takeSaved(key string) savedResource {
	s.resources.mu.Lock()
	defer s.resources.mu.Unlock()
	of := s.restored[s.kind.String()]
	saved := of[key]
	delete(of, key)
	return saved
}

// forgetSaved forgets what a checkpoint held of resources that are no more.
func (s *resourceStore) forgetSaved() {
	s.resources.mu.Lock()
	defer s.resources.mu.Unlock()
	delete(s.restored, s.kind.String())
}

// remember keeps the keys of the resources of which a checkpoint has to hold something up to date: r, the successor of before or nil,
// is there now.
func (s *resourceStore) remember(before, r *resource) {
	since := r.saveSince()
	if before == nil && len(since) > 0 || before != nil && !slices.Equal(since, before.saveSince()) {
		s.news.Store(true)
	}
	if r.drift != nil || len(since) > 0 {
		s.remembered[r.key] = struct{}{}
	} else {
		delete(s.remembered, r.key)
	}
}

func (r *resource) saveSince() (saved []savedSince) {
	for _, c := range r.conditions {
		if c.aged {
			saved = append(saved, savedSince{c.name, c.since})
		}
	}
	return saved
}

// restoreSince lets conditions that are not well, as before a restart, have been so since then.
func (r *resource) restoreSince(saved []savedSince) {
	for _, s := range saved {
		for i := range r.conditions {
			if c := &r.conditions[i]; c.name == s.Condition && c.bad() && s.Since < c.since {
				c.since, c.aged = s.Since, true
			}
		}
	}
}

func (r *resource) saveDrift() *savedDrift {
	d := r.drift
	if d == nil {
		return nil
	}
	s := &savedDrift{
		Version: r.spec.version, Generation: r.spec.generation, Own: r.spec.own, Intended: r.spec.intended, Foreign: r.spec.foreign, Edits: r.spec.edits,
		Updated: d.updated, Last: d.last, Recent: d.recent,
	}
	for i := max(d.slot-slots+1, 0); i <= d.slot; i++ {
		if n := d.slots[i%slots]; n != 0 {
			if s.Slots == nil {
				s.Slots = map[int64]uint16{}
			}
			s.Slots[i] = n
		}
	}
	for _, w := range d.foreign {
		if s.Writes == nil {
			s.Writes = map[string]int64{}
		}
		s.Writes[w.manager] = w.last
	}
	for _, o := range d.outside {
		if s.Outside == nil {
			s.Outside = map[string]int64{}
		}
		s.Outside[o.class] = o.last
	}
	return s
}

// restored is the resource that s was saved of, as far as it matters to its successor of that version. Its counters begin at
// zero.
func (s *savedDrift) restored(version uint64) *resource {
	d := &drifted{updated: s.Updated, last: s.Last, recent: s.Recent}
	for i, n := range s.Slots {
		if i >= 0 {
			d.advance(i * slotSeconds)
			d.slots[i%slots] = n
		}
	}
	for class, last := range s.Outside {
		d.outside = append(d.outside, outsider{class: class, label: expo.Label("principal_class", class), last: last})
	}
	for m, last := range s.Writes {
		d.foreign = append(d.foreign, foreignWriter{manager: m, label: expo.Label("manager", m), last: last})
	}
	return &resource{spec: spec{first: version, version: s.Version, generation: s.Generation, own: s.Own, intended: s.Intended, foreign: s.Foreign, edits: s.Edits}, drift: d}
}
