package kube

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// A comparer finds the fields in which what is asked for of an external resource, spec.forProvider, differs from what its
// provider last saw of it, status.atProvider: drift as a state.
//
// The two are no images of each other. Clouds add defaults and answer in spellings of their own, providers observe
// less than can be asked for, and neither says which. So only what is there on both sides is compared, and only a value
// that cannot mean the same in any known spelling is a difference: a missed one is found by the provider and counted
// from its events, a false one would teach people to look away.
//
// The JSON should be valid; of other it says something, and comes to an end. A comparer is not safe for concurrent use; the zero value is ready.
type comparer struct {
	limit int      // how many differences are enough
	found []string // their paths

	path  []byte // of the object or array that is compared
	depth int    // how deep that is
	way   way
	trial int // more than 0: a difference is an answer, not a finding
	steps int // what is left of maxSteps

	shuffled bool // an object's names were not in order: expect it of the others

	// Stacks: who pushes pops. An older part of one that has moved since is still good to read.
	values  [][]byte
	members []member
	text    []byte

	lenient []jsontext.Options // of JSON in a text, made once
}

// A way to compare follows from who wrote the values.
type way int8

const (
	// loosely: a cloud's attributes, which it answers in a spelling of its own.
	loosely way = iota
	// exactly: tags and labels. They are people's words, which no cloud changes.
	exactly
	// asManifest: a Kubernetes object that provider-kubernetes manages. Its API server adds defaults and respells
	// quantities and times, and nothing else.
	asManifest
	// asPolicy: an IAM policy, apart from its statements. Services fill in Version and Id.
	asPolicy
	// asStatement: what such a policy says. Nothing of it has a default, so here what is missing counts.
	asStatement
)

const (
	// maxSteps bounds the work for one resource, whatever its authors put into it, to some 30 ms for a megabyte of the
	// worst. What it does not suffice for is left out. A large resource takes a few hundred.
	maxSteps = 1 << 15
	// maxNesting is how deep values are compared.
	maxNesting = 64
	// maxElements is the longest array, and the most members of an object with shuffled names, that are compared.
	maxElements = 1024
	// maxPairs is the longest array of objects without a name to tell them by.
	maxPairs = 32
	// maxPath is how long a path may be, in bytes, before it is cut.
	maxPath = 256
	// maxScratch is what a stack may hold on to between resources.
	maxScratch = 4096
)

// differ returns the paths of the fields that are both in forProvider and in atProvider with values that differ, such as
// tags.owner or rule[0].status, in order: limit of them at most, but at least one. An index is that in forProvider; a
// name with a dot in it stands in brackets, as in Crossplane's field paths. It returns nil if there are none.
func (c *comparer) differ(forProvider, atProvider []byte, limit int) []string {
	c.limit, c.found, c.steps = max(limit, 1), nil, maxSteps
	c.path, c.depth, c.way, c.trial, c.shuffled = c.path[:0], 0, loosely, 0, false
	c.values, c.members, c.text = scratch(c.values), scratch(c.members), scratch(c.text)

	a, b := cursor{json: forProvider}, cursor{json: atProvider}
	if a.peek() == '{' && b.peek() == '{' {
		c.value(nil, &a, &b)
	}
	slices.Sort(c.found)
	return slices.Compact(c.found)
}

// scratch empties a stack and lets go of a huge one.
func scratch[T any](s []T) []T {
	if cap(s) > maxScratch {
		return nil
	}
	return s[:0]
}

// note keeps a difference in the field with that name and reports whether that is enough.
func (c *comparer) note(name []byte) (enough bool) {
	if c.trial > 0 {
		return true
	}
	length := c.push(name)
	path := c.path
	if len(path) > maxPath {
		cut := maxPath
		for !utf8.RuneStart(path[cut]) {
			cut--
		}
		path = append(path[:cut:cut], "…"...)
	}
	c.found = append(c.found, string(path))
	c.path = c.path[:length]
	return len(c.found) >= c.limit
}

// push adds a name to the path and returns how long the path was.
func (c *comparer) push(name []byte) int {
	length := len(c.path)
	if name == nil {
		return length
	}
	bracket := len(name) == 0 || bytes.ContainsAny(name, ".[]")
	switch {
	case bracket:
		c.path = append(c.path, '[')
	case length > 0:
		c.path = append(c.path, '.')
	}
	c.path = appendText(c.path, name)
	if bracket {
		c.path = append(c.path, ']')
	}
	return length
}

// pushIndex adds an index to the path and returns how long the path was.
func (c *comparer) pushIndex(i int) int {
	length := len(c.path)
	c.path = append(strconv.AppendInt(append(c.path, '['), int64(i), 10), ']')
	return length
}

// spend takes from the steps what it costs to look at that many bytes and reports whether there was enough.
func (c *comparer) spend(size int) bool {
	c.steps -= 1 + size/64
	return c.steps > 0
}

// value compares the values that the cursors stand before. If it does not report that this is enough, it leaves them
// after the values. The same holds for the functions below.
func (c *comparer) value(name []byte, a, b *cursor) (enough bool) {
	if a.peek() != '{' || b.peek() != '{' {
		va := a.value()
		if b.skipSame(va) {
			return false
		}
		return c.unequal(name, va, b.value())
	}
	if c.ignored(name) || c.depth >= maxNesting || !c.spend(0) {
		a.value()
		b.value()
		return false
	}
	before, length := c.enter(name), c.push(name)
	if c.shuffled {
		enough = c.shuffledObject(a, b)
	} else {
		enough = c.object(a, b)
	}
	c.leave(before)
	c.path = c.path[:length]
	return enough
}

// pair is value for two values that were cut out.
func (c *comparer) pair(name, a, b []byte) (enough bool) {
	ca, cb := cursor{json: a}, cursor{json: b}
	return c.value(name, &ca, &cb)
}

// alike reports whether two values do not differ.
func (c *comparer) alike(a, b []byte) bool {
	if !c.spend(len(a) + len(b)) {
		return true
	}
	c.trial++
	enough := c.pair(nil, a, b)
	c.trial--
	return !enough
}

// enter goes one level down, into the field with that name, and returns the way to compare at the level above.
func (c *comparer) enter(name []byte) way {
	before := c.way
	switch {
	case before == asPolicy && string(name) == "Statement":
		c.way = asStatement
	case before == asStatement && (string(name) == "Principal" || string(name) == "NotPrincipal"):
		c.way = asPolicy // S3 answers a CloudFront identity as a canonical user
	case before != loosely:
	case c.depth == 1 && string(name) == "manifest":
		c.way = asManifest
	case hasSuffixFold(name, "tags"), hasSuffixFold(name, "labels"), hasSuffixFold(name, "annotations"):
		c.way = exactly
	}
	c.depth++
	return before
}

func (c *comparer) leave(before way) {
	c.depth--
	c.way = before
}

// ignored reports whether a field says nothing about the external resource, or another thing on each side.
func (c *comparer) ignored(name []byte) bool {
	switch c.way {
	case exactly, asPolicy, asStatement:
		return false
	case asManifest:
		switch string(name) {
		case "creationTimestamp", "deletionTimestamp", "finalizers", "generation", "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid":
			return true // the API server's and the controllers' own
		case "status":
			return c.depth == 2
		}
		return false
	}
	switch string(name) {
	case "tagsAll": // late-initialised by old providers, and stale as soon as tags change
		return true
	case "allocatedStorage": // grows by itself
		return true
	case "subjectAlternativeNames": // the domain name is added
		return true
	case "applyImmediately", "finalSnapshotIdentifier", "forceDelete", "forceDestroy", "skipFinalSnapshot", "timeouts": // of a call, not of the resource
		return true
	}
	return bytes.HasSuffix(name, []byte("Ref")) || bytes.HasSuffix(name, []byte("Refs")) || bytes.HasSuffix(name, []byte("Selector")) ||
		bytes.Contains(name, []byte("assword")) // write-only, or answered masked
}

// object compares objects whose names are in order, as the API server writes those of custom resources, in one pass
// over both. If they turn out not to be, it begins again and sorts them.
func (c *comparer) object(a, b *cursor) (enough bool) {
	startA, startB, found := *a, *b, len(c.found)
	a.open()
	b.open()
	for {
		name := a.name()
		same := b.seek(name)
		if a.shuffled || b.shuffled {
			c.shuffled, c.found = true, c.found[:found]
			*a, *b = startA, startB
			return c.shuffledObject(a, b)
		}
		switch {
		case name == nil:
			a.close(startA)
			b.close(startB)
			return false
		case !same:
			a.skip()
		case c.value(name, a, b):
			return true
		}
	}
}

// A member of an object; or an element of an array, by its key.
type member struct {
	name, value []byte
	index       int
}

// shuffledObject compares objects whose names are in any order. A name that is there twice is left out.
func (c *comparer) shuffledObject(a, b *cursor) (enough bool) {
	base, size := len(c.members), -a.at-b.at
	okA := c.pushMembers(a)
	mid := len(c.members)
	okB := c.pushMembers(b)
	as, bs := c.members[base:mid], c.members[mid:]
	if okA && okB && c.spend(size+a.at+b.at) {
		sortMembers(as)
		sortMembers(bs)
		for len(as)+len(bs) > 0 && !enough {
			var x, y *member
			x, as, y, bs = match(as, bs)
			enough = c.memberPair(x, y)
		}
	}
	c.members = c.members[:base]
	return enough
}

// memberPair compares members of one name, of which one or both may be missing.
func (c *comparer) memberPair(a, b *member) (enough bool) {
	switch {
	case a != nil && b != nil:
		return c.pair(a.name, a.value, b.value)
	case a == nil && b == nil || c.way != asStatement:
		return false
	case a == nil:
		a = b
	}
	return string(a.name) != "Sid" && !empty(a.value) && c.note(a.name)
}

// match takes the name that comes first from two sorted lists, and returns what they have of that name, if anything, and what
// is left of them. A name that is twice in a list is passed over.
func match(as, bs []member) (a *member, restA []member, b *member, restB []member) {
	var name []byte
	if len(bs) == 0 || len(as) > 0 && bytes.Compare(as[0].name, bs[0].name) <= 0 {
		name = as[0].name
	} else {
		name = bs[0].name
	}
	na, nb := countName(as, name), countName(bs, name)
	if na <= 1 && nb <= 1 {
		if na > 0 {
			a = &as[0]
		}
		if nb > 0 {
			b = &bs[0]
		}
	}
	return a, as[na:], b, bs[nb:]
}

// countName is how many members at the beginning of the list have that name.
func countName(ms []member, name []byte) int {
	n := 0
	for n < len(ms) && bytes.Equal(ms[n].name, name) {
		n++
	}
	return n
}

func sortMembers(ms []member) {
	slices.SortFunc(ms, func(a, b member) int { return bytes.Compare(a.name, b.name) })
}

// pushMembers pushes the members of the object that the cursor stands before, and reports whether that were all.
func (c *comparer) pushMembers(o *cursor) bool {
	base := len(c.members)
	outer := *o
	o.open()
	for name := o.name(); name != nil; name = o.name() {
		v := o.value()
		if len(c.members)-base < maxElements {
			c.members = append(c.members, member{name: name, value: v})
		}
	}
	o.close(outer)
	return len(c.members)-base < maxElements
}

// unequal compares two values, not both of them objects, that are not the same bytes.
func (c *comparer) unequal(name, a, b []byte) (enough bool) {
	if empty(a) || empty(b) || c.ignored(name) || !c.spend(len(a)+len(b)) {
		return false
	}
	switch {
	case isArray(a) || isArray(b):
		return c.arrays(name, a, b)
	case isObject(a) || isObject(b):
		return false
	}
	base := len(c.text)
	ta, tb := c.unquote(a), c.unquote(b)
	switch {
	case c.way == loosely && isDocument(ta) && isDocument(tb):
		enough = c.documents(name, ta, tb)
	case c.scalarsDiffer(name, a, b, ta, tb):
		enough = c.note(name)
	}
	c.text = c.text[:base]
	return enough
}

// empty reports whether a value says nothing: clouds and providers put any of these for absent, and forget them alike.
func empty(v []byte) bool {
	switch {
	case v[0] == 'n':
		return true
	case len(v) < 2:
		return false
	case v[0] == '"':
		return len(v) == 2
	case isArray(v) || isObject(v):
		return len(bytes.TrimSpace(v[1:len(v)-1])) == 0
	}
	return false
}

func isArray(v []byte) bool  { return v[0] == '[' }
func isObject(v []byte) bool { return v[0] == '{' }

// documents compares two texts that are JSON, such as policies and definitions: not as the characters that they are but
// as what they say.
func (c *comparer) documents(name, a, b []byte) (enough bool) {
	if c.lenient == nil {
		c.lenient = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}
	}
	if !jsontext.Value(a).IsValid(c.lenient...) || !jsontext.Value(b).IsValid(c.lenient...) {
		return false
	}
	before, length, shuffled := c.enter(name), c.push(name), c.shuffled
	if isPolicy(a) && isPolicy(b) {
		c.way = asPolicy
	}
	c.shuffled = true
	enough = c.pair(nil, a, b)
	c.shuffled = shuffled
	c.path = c.path[:length]
	c.leave(before)
	return enough
}

// isDocument reports whether a text looks like JSON.
func isDocument(t []byte) bool {
	t = bytes.TrimSpace(t)
	return len(t) > 0 && (isObject(t) || isArray(t))
}

func isPolicy(t []byte) bool { return bytes.Contains(t, []byte(`"Statement"`)) }

// arrays compares two values of which one at least is an array.
func (c *comparer) arrays(name, a, b []byte) (enough bool) {
	base := len(c.values)
	kindA, okA := c.pushElements(a)
	mid := len(c.values)
	kindB, okB := c.pushElements(b)
	as, bs := c.values[base:mid], c.values[mid:]
	switch {
	case !okA || !okB || kindA != kindB || kindA == 0:
		// Too many, of several kinds, or none.
	case !isArray(a) || !isArray(b):
		// One that may be many: a Terraform block has become an object from one version of a resource to the next, and
		// a policy says "s3:*" for ["s3:*"]. A lone text is not unpacked anywhere else.
		switch {
		case kindA == '{' && len(as) == 1 && len(bs) == 1:
			enough = c.pair(name, as[0], bs[0])
		case kindA != '{' && (c.way == asPolicy || c.way == asStatement) && c.setsDiffer(name, as, bs):
			enough = c.note(name)
		}
	case kindA == '{':
		before, length := c.enter(name), c.push(name)
		enough = c.objects(as, bs)
		c.path = c.path[:length]
		c.leave(before)
	default:
		before := c.enter(name)
		differ := c.setsDiffer(name, as, bs)
		c.leave(before)
		if differ {
			enough = c.note(name)
		}
	}
	c.values = c.values[:base]
	return enough
}

// pushElements pushes the elements of an array that say something, or the value itself if it is none. It reports of which
// kind they are, '{' for objects and '"' for scalars, 0 if there are none, and whether they can be compared: not too
// many, and not of several kinds.
func (c *comparer) pushElements(v []byte) (kind byte, ok bool) {
	base := len(c.values)
	push := func(v []byte) bool {
		if empty(v) {
			return true
		}
		k := byte('"')
		if isObject(v) || isArray(v) {
			k = v[0]
		}
		if k == '[' || kind != 0 && kind != k || len(c.values)-base == maxElements {
			return false
		}
		kind = k
		c.values = append(c.values, v)
		return true
	}
	if !isArray(v) {
		return kind, push(v)
	}
	for a := (cursor{json: v, at: 1}); a.element(); {
		if !push(a.value()) {
			return kind, false
		}
	}
	return kind, true
}

// setsDiffer compares arrays of scalars as sets: clouds do not keep an order, and where one counts it is seldom changed alone.
func (c *comparer) setsDiffer(name []byte, as, bs [][]byte) bool {
	slices.SortFunc(as, bytes.Compare)
	slices.SortFunc(bs, bytes.Compare)
	// Controllers and admission webhooks add to the lists of a Kubernetes object.
	return c.missing(name, as, bs) || c.way != asManifest && c.missing(name, bs, as)
}

// missing reports whether some of the values is in no spelling among the others. Both are sorted.
func (c *comparer) missing(name []byte, values, others [][]byte) bool {
	for _, v := range values {
		place, found := slices.BinarySearchFunc(others, v, bytes.Compare)
		for i := 0; i < len(others) && !found; i++ {
			o := others[(max(place, 1)-1+i)%len(others)] // other spellings often sort alike
			base := len(c.text)
			found = !c.spend(len(v)+len(o)) || !c.scalarsDiffer(name, v, o, c.unquote(v), c.unquote(o))
			c.text = c.text[:base]
		}
		if !found {
			return true
		}
	}
	return false
}

// objects compares arrays of objects, element by element with the one it means.
func (c *comparer) objects(as, bs [][]byte) (enough bool) {
	for _, key := range [...]string{"name", "key", "id", "Sid", "tagKey"} {
		base := len(c.members)
		c.pushKeyed(as, key)
		mid := len(c.members)
		c.pushKeyed(bs, key)
		ka, kb := c.members[base:mid], c.members[mid:]
		keyed := len(ka) == len(as) && len(kb) == len(bs) && unique(ka) && unique(kb)
		for keyed && len(ka)+len(kb) > 0 && !enough {
			var a, b *member
			a, ka, b, kb = match(ka, kb)
			if a == nil || b == nil {
				enough = c.way == asStatement && c.note(nil)
				continue
			}
			length := c.pushIndex(a.index)
			enough = c.pair(nil, a.value, b.value)
			c.path = c.path[:length]
		}
		c.members = c.members[:base]
		if keyed {
			return enough
		}
	}
	if len(as) != len(bs) {
		// Some were added or removed, or are defaults that came along.
		return c.way == asStatement && c.note(nil)
	}
	return c.pairs(as, bs)
}

// pushKeyed pushes the elements that have a key of that name, in the order of their keys.
func (c *comparer) pushKeyed(elements [][]byte, key string) {
	base := len(c.members)
	for i, e := range elements {
		o := cursor{json: e, at: 1}
		for name := o.name(); name != nil; name = o.name() {
			v := o.value()
			if string(name) == key && !isObject(v) && !isArray(v) && !empty(v) {
				c.members = append(c.members, member{name: v, value: e, index: i})
				break
			}
		}
	}
	sortMembers(c.members[base:])
}

// unique reports whether no two of the sorted members have one name.
func unique(ms []member) bool {
	for i := 1; i < len(ms); i++ {
		if bytes.Equal(ms[i-1].name, ms[i].name) {
			return false
		}
	}
	return true
}

// pairs compares as many objects with as many, which have nothing to tell them by: is there a way to pair them without a
// difference? If all but one on each side pair up, these two are what was changed. If there is less in common they may
// not be comparable at all.
func (c *comparer) pairs(as, bs [][]byte) (enough bool) {
	n := len(as)
	if n > maxPairs {
		return false
	}
	var p pairing
	inOrder := 0
	for i := range n {
		if c.alike(as[i], bs[i]) {
			p.alike[i] = 1 << i
			inOrder++
		}
	}
	if inOrder == n {
		return false
	}
	for i := range n {
		for j := range n {
			if i != j && c.alike(as[i], bs[j]) {
				p.alike[i] |= 1 << j
			}
		}
	}
	alone, paired := 0, 0
	for i := range n {
		var tried uint32
		if p.pair(i, &tried) {
			paired++
		} else {
			alone = i
		}
	}
	switch paired {
	case n:
		return false
	case n - 1:
		length := c.pushIndex(alone)
		enough = c.pair(nil, as[alone], bs[slices.Index(p.partner[:], 0)])
		c.path = c.path[:length]
		return enough
	default:
		return c.way == asStatement && c.note(nil)
	}
}

// A pairing is Kuhn's algorithm for a maximum matching.
type pairing struct {
	alike   [maxPairs]uint32 // of each on one side: which of the other side would do
	partner [maxPairs]int8   // of each on the other side: 1 + whose partner it is, or 0
}

// pair finds a partner for i, if need be by finding others for those that have one.
func (p *pairing) pair(i int, tried *uint32) bool {
	for j := range maxPairs {
		if p.alike[i]&^*tried&(1<<j) == 0 {
			continue
		}
		*tried |= 1 << j
		if p.partner[j] == 0 || p.pair(int(p.partner[j]-1), tried) {
			p.partner[j] = int8(i + 1) //nolint:gosec // There are maxPairs at most.
			return true
		}
	}
	return false
}
