package cloud

import (
	"cmp"
	"hash/maphash"
	"strings"
	"sync"
)

// An Identity is what a managed resource is known by in an audit trail. The cloud's own package makes it.
type Identity struct {
	// Service is the scope that the IDs are looked for in: see NewIndex.
	Service string
	// Kind is the resource's, to tell resources with the same ID apart.
	Kind string
	// Account and Region are where it lives; empty matches any.
	Account, Region string
	IDs             []string
}

// A Match is a resource that a record is about.
type Match[K comparable] struct {
	Key K
	// Related is whether the record only names the resource: several kinds are named and none is the one that the
	// operation's name says, or the operation made something else that belongs to it.
	Related bool
}

// An Index finds the managed resources that a record is about. K is what the caller knows a resource by: a pointer will
// do. It may be used by several goroutines.
//
// It holds hashes of the identifiers, not the identifiers, with a key of its own, so that nobody can make two that
// collide.
type Index[K comparable] struct {
	scope func(service string) string
	seed  maphash.Seed

	mu        sync.RWMutex
	keys      map[K]int32
	resources []resource[K]
	free      int32 // first of the unused resources, or none
	byID      map[uint64]int32
	links     []link
	freeLink  int32
	words     map[string]uint16
	names     []string
}

// A resource is one that is indexed. Words are indexes into names.
type resource[K comparable] struct {
	key                   K
	kind, account, region uint16
	links                 int32 // first of its links; next unused resource if it is unused
}

// A link joins an identifier's hash and a resource.
type link struct {
	hash      uint64
	resource  int32
	sameID    int32 // next link with this hash
	sameOwner int32 // next link of this resource; next unused link if it is unused
}

const none = int32(-1)

// NewIndex returns an empty index. Scope says which scope the calls to a service belong to; nil means that a service is
// its own.
func NewIndex[K comparable](scope func(service string) string) *Index[K] {
	if scope == nil {
		scope = func(s string) string { return s }
	}
	x := &Index[K]{
		scope: scope, seed: maphash.MakeSeed(), keys: map[K]int32{}, byID: map[uint64]int32{}, words: map[string]uint16{},
		free: none, freeLink: none,
	}
	x.word("")
	return x
}

// word returns the number of a kind, account or region. There are few; should there ever be too many, the rest match
// any.
func (x *Index[K]) word(s string) uint16 {
	if n, ok := x.words[s]; ok {
		return n
	}
	if len(x.names) >= 1<<16-1 {
		return 0
	}
	n := uint16(len(x.names))
	s = strings.Clone(s)
	x.words[s] = n
	x.names = append(x.names, s)
	return n
}

// hash is that of an identifier within a scope, of which the hash is given.
func (x *Index[K]) hash(scope uint64, id string) uint64 {
	return scope*31 + maphash.String(x.seed, id)
}

// Set adds a resource, or replaces what was known of it.
func (x *Index[K]) Set(key K, id Identity) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(key)
	i := x.free
	if i == none {
		i = int32(len(x.resources))
		x.resources = append(x.resources, resource[K]{})
	} else {
		x.free = x.resources[i].links
	}
	x.keys[key] = i
	r := &x.resources[i]
	scope := maphash.String(x.seed, id.Service)
	*r = resource[K]{key: key, kind: x.word(id.Kind), account: x.word(id.Account), region: x.word(id.Region), links: none}
	for _, s := range id.IDs {
		h := x.hash(scope, s)
		at := x.freeLink
		if at == none {
			at = int32(len(x.links))
			x.links = append(x.links, link{})
		} else {
			x.freeLink = x.links[at].sameOwner
		}
		next, ok := x.byID[h]
		if !ok {
			next = none
		}
		x.links[at] = link{hash: h, resource: i, sameID: next, sameOwner: r.links}
		x.byID[h] = at
		r.links = at
	}
}

// Remove forgets a resource.
func (x *Index[K]) Remove(key K) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.remove(key)
}

// Len is how many resources it knows.
func (x *Index[K]) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.keys)
}

func (x *Index[K]) remove(key K) {
	i, ok := x.keys[key]
	if !ok {
		return
	}
	delete(x.keys, key)
	for at := x.resources[i].links; at != none; {
		l := x.links[at]
		x.unlink(l.hash, at)
		x.links[at] = link{sameOwner: x.freeLink}
		x.freeLink = at
		at = l.sameOwner
	}
	x.resources[i] = resource[K]{links: x.free}
	x.free = i
}

// unlink takes a link out of the list of its identifier.
func (x *Index[K]) unlink(hash uint64, at int32) {
	next := x.links[at].sameID
	i := x.byID[hash]
	switch {
	case i != at:
		for x.links[i].sameID != at {
			i = x.links[i].sameID
		}
		x.links[i].sameID = next
	case next == none:
		delete(x.byID, hash)
	default:
		x.byID[hash] = next
	}
}

// Match appends to matches the resources that a successful write is about, none if it is any other record.
//
// A resource is found if one of its identifiers is one of the record's targets, in the same service, account and
// region. An identifier that people chose, a name, must also stand where the record names that kind of thing. If
// several are found, those are meant whose kind the operation's name says, then those whose kind the field's name says,
// then those that are named least deep in the request. If kinds still differ, all are related, unless the request calls
// them just resources.
func (x *Index[K]) Match(matches []Match[K], r *Record) []Match[K] {
	if !r.Write || r.Outcome != OK || len(r.Targets) == 0 {
		return matches
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	scope := maphash.String(x.seed, x.scope(r.Service))
	account, region := x.known(r.Account), x.known(r.Region)

	var best []candidate
	var tier int8
	for _, t := range r.Targets {
		if t.Tier != tier && len(best) > 0 {
			break
		}
		tier = t.Tier
		at, ok := x.byID[x.hash(scope, t.ID)]
		for ; ok && at != none; at = x.links[at].sameID {
			res := &x.resources[x.links[at].resource]
			if res.account != 0 && res.account != account || res.region != 0 && res.region != region {
				continue
			}
			kind := x.names[res.kind]
			c := candidate{
				resource: x.links[at].resource, kind: res.kind,
				noun:  max(nounSays(r.Noun, kind), nounSays(r.Noun, stem(t.Key))),
				field: fieldSays(t.Key, kind), depth: -t.Depth,
			}
			if t.Unique || c.field > saysResource || c.field == saysResource && c.noun > 0 {
				best = c.among(best)
			}
		}
	}
	if len(best) == 0 {
		return matches
	}
	related := best[0].noun == 0 && namesSubject(r)
	for _, c := range best {
		related = related || c.kind != best[0].kind && c.field != saysResource
	}
	for _, c := range best {
		res := &x.resources[c.resource]
		parent := r.Create && !hasSuffixFold(r.Noun, x.names[res.kind])
		matches = append(matches, Match[K]{res.key, related || parent})
	}
	return matches
}

// namesSubject is whether a request has a field for what its operation's name says that it acts on.
func namesSubject(r *Record) bool {
	for _, t := range r.Targets {
		if t.Tier == 0 && nounSays(r.Noun, stem(t.Key)) > 0 {
			return true
		}
	}
	return false
}

// known is the number of an account or region, or one that no resource has.
func (x *Index[K]) known(s string) uint16 {
	if n, ok := x.words[s]; ok {
		return n
	}
	return 1<<16 - 1
}

// A candidate is a resource that a record names, and how much speaks for its being the one that is meant.
type candidate struct {
	resource int32
	kind     uint16
	noun     int
	field    int
	depth    int8 // negative
}

// among returns the best of some equally good candidates and one more.
func (c candidate) among(best []candidate) []candidate {
	if len(best) == 0 {
		return append(best, c)
	}
	b := best[0]
	switch cmp.Or(cmp.Compare(c.noun, b.noun), cmp.Compare(c.field, b.field), cmp.Compare(c.depth, b.depth)) {
	case -1:
		return best
	case 1:
		return append(best[:0], c)
	}
	for _, o := range best {
		if o.resource == c.resource {
			return best
		}
	}
	return append(best, c)
}

// nounSays is how much the noun of an operation says that a kind is meant, 0 if nothing: the same word; the kind's
// first words (BucketReplication for BucketReplicationConfiguration); the kind and more (SubnetAttribute for Subnet,
// DBInstance for Instance).
func nounSays(noun, kind string) int {
	switch at := indexFold(noun, kind); {
	case noun == "" || kind == "":
		return 0
	case strings.EqualFold(noun, kind), len(noun) == len(kind)+1 && at == 0 && noun[len(kind)] == 's':
		return 3000
	case hasPrefixFold(kind, noun):
		return 2000 - len(kind)
	case at == 0:
		return 1000 + len(kind)
	case at > 0:
		return 500 + len(kind)
	}
	return 0
}

// How much a field's name may say.
const (
	saysResource = 1 + iota // that it names something: name, resourceArn
	saysPart                // a part of the kind, or more than the kind: dBInstanceIdentifier for Instance
	saysKind
)

// fieldSays is how much the name of a field says that what it holds is of a kind.
func fieldSays(field, kind string) int {
	switch stem := stem(field); {
	case stem == "":
		return saysResource
	case len(stem) < 2 || kind == "":
		return 0
	case strings.EqualFold(stem, kind):
		return saysKind
	case indexFold(stem, kind) >= 0 || len(stem) > 2 && indexFold(kind, stem) >= 0:
		return saysPart
	}
	return 0
}

// stem is what a field's name says that it names: subnet for subnetIds, nothing for resourceArn.
func stem(field string) string {
	s := field
	for _, end := range []string{"s", "Identifier", "Name", "Arn", "ARN", "Id", "Url", "identifier", "name", "arn", "id"} {
		if short, ok := strings.CutSuffix(s, end); ok {
			s = short
			if end != "s" {
				break
			}
		}
	}
	if strings.EqualFold(s, "resource") {
		return ""
	}
	return s
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

func indexFold(s, part string) int {
	for i := 0; i+len(part) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}
