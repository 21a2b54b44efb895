package kube

import (
	"bytes"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
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
// The JSON must be valid, as jsontext reads it. A comparer is not safe for concurrent use; the zero value is ready.
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

// scalarsDiffer compares two scalars, given as JSON and as text, that are not the same JSON.
func (c *comparer) scalarsDiffer(name, a, b, ta, tb []byte) bool {
	switch {
	case bytes.Equal(ta, tb):
		return false // "443" and 443
	case isNumber(a) && isNumber(b):
		return numbersDiffer(ta, tb)
	}
	switch c.way {
	case exactly:
		return isString(a) == isString(b)
	case asManifest:
		return manifestTextsDiffer(ta, tb)
	case asPolicy, asStatement:
		return policyTextsDiffer(ta, tb)
	default:
		return textsDiffer(name, ta, tb)
	}
}

func isNumber(v []byte) bool { return v[0] == '-' || isDigit(v[0]) }
func isString(v []byte) bool { return v[0] == '"' }
func isDigit(b byte) bool    { return b >= '0' && b <= '9' }

// manifestTextsDiffer compares as an API server's decoder would: quantities, durations and times are the same however they
// are spelt, and so is base64 in lines.
func manifestTextsDiffer(a, b []byte) bool {
	if sameBut(a, b, "\r\n", false) {
		return false
	}
	if equal, ok := compareAmounts(a, b); ok {
		return !equal
	}
	equal, _ := compareTimes(a, b)
	return !equal
}

// policyTextsDiffer compares the names, actions and ARNs in a policy. Actions are in any case. AWS makes an ARN of an account ID
// and of execute-api:/*, and a unique ID of the ARN of a principal that is gone.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func policyTextsDiffer(a, b []byte) bool {
	if bytes.EqualFold(a, b) {
		return false
	}
	return isARN(a) == isARN(b) || string(a) == "*" || string(b) == "*"
}

func isARN(t []byte) bool { return bytes.HasPrefix(t, []byte("arn:")) }

// A textKind is what a text looks like. Two of different kinds may well mean the same: a name and the ID of what has it, a
// script and its hash, "latest" and a number.
type textKind int8

const (
	textWord textKind = iota
	textNumber
	textBoolean
	textAmount  // a number with a unit
	textPeriod  // ISO 8601
	textInstant // RFC 3339
	textAddress // of the internet, or a block of them
	textARN
	textPath       // with slashes: a URL, an Azure ID, a GCP self link
	textIdentifier // that was generated, or a digest
	textBlob       // base64
	textDocument   // JSON, XML
	textChoice     // a word that leaves it to the cloud
	textMasked
)

// textsDiffer compares two texts in a cloud's attribute of that name.
func textsDiffer(name, a, b []byte) bool {
	a, b = bytes.TrimSpace(a), bytes.TrimSpace(b)
	if len(a) == 0 || len(b) == 0 || sameBut(trimEnd(a), trimEnd(b), " \t\r\n\"", true) || synonyms(a, b) {
		return false
	}
	if bytes.Contains(name, []byte("ersion")) {
		if equal, ok := compareVersions(a, b); ok {
			return !equal
		}
	}
	if (equalFold(name, "status") || equalFold(name, "state")) && hasSuffixFold(b, "ing") {
		return false // on its way
	}
	k := kindOf(a)
	if k != kindOf(b) {
		return false
	}
	switch k {
	case textNumber:
		return numbersDiffer(a, b)
	case textAmount:
		equal, ok := compareAmounts(a, b)
		return ok && !equal
	case textPeriod:
		equal, ok := comparePeriods(a, b)
		return ok && !equal
	case textInstant:
		equal, ok := compareTimes(a, b)
		return ok && !equal
	case textAddress:
		equal, ok := compareAddresses(a, b)
		return ok && !equal
	case textDocument, textChoice, textMasked:
		return false
	case textPath:
		return !partOf(a, b) && !partOf(b, a) && pathsDiffer(a, b)
	case textARN:
		return !partOf(a, b) && !partOf(b, a)
	case textWord:
		return !partOf(a, b) && !partOf(b, a) && !leadingZero(a, b) && !leadingZero(b, a)
	default:
		return true
	}
}

// trimEnd takes off what ends an absolute domain name or a URL's path.
func trimEnd(t []byte) []byte {
	if n := len(t); n > 1 && (t[n-1] == '.' || t[n-1] == '/') {
		return t[:n-1]
	}
	return t
}

// sameBut reports whether two texts are equal if all bytes of ignore are taken out and, if fold, ASCII letters have one
// case.
func sameBut(a, b []byte, ignore string, fold bool) bool {
	next := func(t []byte) []byte {
		for len(t) > 0 && strings.IndexByte(ignore, t[0]) >= 0 {
			t = t[1:]
		}
		return t
	}
	for {
		a, b = next(a), next(b)
		if len(a) == 0 || len(b) == 0 {
			return len(a) == len(b)
		}
		if a[0] != b[0] && (!fold || lower(a[0]) != lower(b[0])) {
			return false
		}
		a, b = a[1:], b[1:]
	}
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

func equalFold(t []byte, word string) bool {
	return len(t) == len(word) && strings.EqualFold(string(t), word) // short, so string does not allocate
}

func hasSuffixFold(t []byte, suffix string) bool {
	return len(t) >= len(suffix) && equalFold(t[len(t)-len(suffix):], suffix)
}

// wordsFor are words for the same thing: the user's or the cloud's.
var wordsFor = [...][]string{
	{"all", "any", "*", "-1"},                                                             // protocols
	{"int64", "integer"}, {"float64", "float"}, {"bool", "boolean"}, {"struct", "record"}, // types of BigQuery
}

func synonyms(a, b []byte) bool {
	for _, words := range wordsFor {
		if oneOf(a, words) && oneOf(b, words) {
			return true
		}
	}
	return false
}

func oneOf(t []byte, words []string) bool {
	for _, w := range words {
		if equalFold(t, w) {
			return true
		}
	}
	return false
}

func kindOf(t []byte) textKind {
	value, unit, ok := parseAmount(t)
	switch {
	case ok && len(unit) == 0 && value != -1: // -1 is a word: all of them, or no limit
		return textNumber
	case ok && len(unit) > 0, isDuration(t):
		return textAmount
	case oneOf(t, []string{"true", "false"}):
		return textBoolean
	case oneOf(t, []string{"auto", "automatic", "default", "latest", "$default", "$latest"}):
		return textChoice
	case isMasked(t):
		return textMasked
	case len(t) > 0 && strings.IndexByte("{[<", t[0]) >= 0:
		return textDocument
	case isDate(t):
		return textInstant
	case isPeriod(t):
		return textPeriod
	case isARN(t):
		return textARN
	case isAddress(t):
		return textAddress
	case isIdentifier(t):
		return textIdentifier
	case isBlob(t):
		return textBlob
	case bytes.IndexByte(t, '/') >= 0 && !bytes.ContainsAny(t, " \t\r\n"):
		return textPath
	default:
		return textWord
	}
}

// numbersDiffer compares decimal numbers, generously where one may have been through 32 bits.
func numbersDiffer(a, b []byte) bool {
	x, errX := strconv.ParseFloat(string(a), 64)
	y, errY := strconv.ParseFloat(string(b), 64)
	return errX == nil && errY == nil && !near(x, y, 1e-6)
}

func near(x, y, tolerance float64) bool {
	if x == y || x == math.Trunc(x) && y == math.Trunc(y) {
		return x == y
	}
	return math.Abs(x-y) <= tolerance*max(math.Abs(x), math.Abs(y))
}

// compareVersions compares versions. One may say no more than the other: a database asked for as 16 is 16.4, a
// cluster of 1.31 is 1.31.5-gke.1000.
func compareVersions(a, b []byte) (equal, ok bool) {
	trim := func(v []byte) []byte {
		if len(v) > 1 && lower(v[0]) == 'v' {
			v = v[1:]
		}
		return bytes.TrimSuffix(v, []byte(".x"))
	}
	a, b = trim(a), trim(b)
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) == 0 || !isDigit(a[0]) || !isDigit(b[0]) {
		return false, false
	}
	return bytes.HasPrefix(b, a) && (len(a) == len(b) || strings.IndexByte(".-+", b[len(a)]) >= 0), true
}

// parseAmount splits a number from the unit that may follow.
func parseAmount(t []byte) (value float64, unit []byte, ok bool) {
	unit = bytes.TrimLeft(t, "+-."+digits)
	n := t[:len(t)-len(unit)]
	unit = bytes.TrimLeft(unit, " ")
	if !bytes.ContainsAny(n, digits) || bytes.Count(n, []byte(".")) > 1 || bytes.LastIndexAny(n, "+-") > 0 || len(unit) > 5 || !madeOf(unit, uppers+lowers+"%") {
		return 0, nil, false
	}
	value, err := strconv.ParseFloat(string(n), 64)
	return value, unit, err == nil
}

// compareAmounts compares numbers with units, as Kubernetes and Go have them, or of the same unit.
func compareAmounts(a, b []byte) (equal, ok bool) {
	x, ux, okX := parseAmount(a)
	y, uy, okY := parseAmount(b)
	if okX && okY {
		if bytes.Equal(ux, uy) {
			return near(x, y, 1e-9), true
		}
		if fx, fy := quantityFactor(ux), quantityFactor(uy); fx != 0 && fy != 0 {
			return near(x*fx, y*fy, 1e-9), true
		}
	}
	if isDuration(a) && isDuration(b) {
		x, errX := time.ParseDuration(string(a))
		y, errY := time.ParseDuration(string(b))
		return x == y, errX == nil && errY == nil
	}
	return false, false
}

// quantityFactor is what the suffix of a Kubernetes quantity multiplies by, 0 if it is none.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
func quantityFactor(suffix []byte) float64 {
	switch {
	case len(suffix) == 0:
		return 1
	case len(suffix) == 1:
		if i := strings.IndexByte("num kMGTPE", suffix[0]); i >= 0 {
			return math.Pow10(3 * (i - 3))
		}
	case len(suffix) == 2 && suffix[1] == 'i':
		if i := strings.IndexByte("KMGTPE", suffix[0]); i >= 0 {
			return math.Ldexp(1, 10*(i+1))
		}
	}
	return 0
}

// isDuration reports whether a text looks like a duration of Go.
func isDuration(t []byte) bool {
	return len(t) > 1 && isDigit(t[0]) && strings.IndexByte("hms", t[len(t)-1]) >= 0 && madeOf(t, digits+".hmsun")
}

// parsePeriod reads an ISO 8601 duration as months and seconds, of which nobody can make the other.
func parsePeriod(t []byte) (months, seconds float64, ok bool) {
	if len(t) < 3 || t[0] != 'P' {
		return 0, 0, false
	}
	units := "YMWD"
	inMonths, inSeconds := [4]float64{12, 1, 0, 0}, [4]float64{0, 0, 7 * 86400, 86400}
	for t = t[1:]; len(t) > 0; {
		if t[0] == 'T' && len(t) > 1 {
			t, units = t[1:], "HMS"
			inMonths, inSeconds = [4]float64{}, [4]float64{3600, 60, 1, 0}
		}
		end := bytes.IndexAny(t, units)
		if end < 0 {
			return 0, 0, false
		}
		n, err := strconv.ParseFloat(string(t[:end]), 64)
		if err != nil {
			return 0, 0, false
		}
		unit := strings.IndexByte(units, t[end])
		months += n * inMonths[unit]
		seconds += n * inSeconds[unit]
		t = t[end+1:]
	}
	return months, seconds, true
}

func isPeriod(t []byte) bool {
	_, _, ok := parsePeriod(t)
	return ok
}

func comparePeriods(a, b []byte) (equal, ok bool) {
	ma, sa, okA := parsePeriod(a)
	mb, sb, okB := parsePeriod(b)
	if !okA || !okB || ma != mb && sa != sb {
		return false, false
	}
	return ma == mb && near(sa, sb, 1e-9), true
}

func isDate(t []byte) bool {
	if len(t) < len(time.DateOnly) {
		return false
	}
	for i, b := range []byte(time.DateOnly) {
		if (b == '-') != (t[i] == '-') || b != '-' && !isDigit(t[i]) {
			return false
		}
	}
	return true
}

// compareTimes compares times or dates, but not one with the other: whose midnight was meant?
func compareTimes(a, b []byte) (equal, ok bool) {
	if !isDate(a) || !isDate(b) {
		return false, false
	}
	if len(a) == len(time.DateOnly) && len(b) == len(time.DateOnly) {
		return bytes.Equal(a, b), true
	}
	var x, y time.Time
	if x.UnmarshalText(a) != nil || y.UnmarshalText(b) != nil {
		return false, false
	}
	return x.Equal(y), true
}

// isAddress reports whether a text looks like an IP address or a block of them.
func isAddress(t []byte) bool {
	return (bytes.Count(t, []byte(".")) == 3 || bytes.Count(t, []byte(":")) > 1) && madeOf(t, digits+"abcdefABCDEF.:/")
}

// compareAddresses compares IP addresses and blocks, of which one may be a block of one.
func compareAddresses(a, b []byte) (equal, ok bool) {
	x, errX := parseAddress(string(a))
	y, errY := parseAddress(string(b))
	return x == y, errX == nil && errY == nil
}

func parseAddress(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen()), err
}

// partOf reports whether the whole is the part with something before or after that says the same at more length: an ARN,
// a self link or an image with a registry; a version, a tag, a domain.
func partOf(part, whole []byte) bool {
	n := len(whole) - len(part)
	switch {
	case n <= 0:
		return false
	case strings.IndexByte("/:", whole[n-1]) >= 0 && bytes.EqualFold(whole[n:], part):
		return true
	case !bytes.EqualFold(whole[:len(part)], part):
		return false
	case whole[len(part)] == '-': // Secrets Manager ends ARNs at random
		return isARN(whole)
	default:
		return strings.IndexByte("./:@", whole[len(part)]) >= 0
	}
}

// leadingZero reports whether a is b but for a zero in front, as in 1:00 and 01:00.
func leadingZero(a, b []byte) bool {
	return len(b) > 0 && b[0] == '0' && bytes.EqualFold(a, b[1:])
}

// pathsDiffer compares paths segment by segment. Google calls one project by name and by number, and one place a location, a
// region and a zone; and its self links begin before projects/.
func pathsDiffer(a, b []byte) bool {
	const projects = "projects/"
	if i, j := bytes.Index(a, []byte(projects)), bytes.Index(b, []byte(projects)); i >= 0 && j >= 0 {
		a, b = a[i:], b[j:]
	}
	var last []byte
	for len(a) > 0 && len(b) > 0 {
		var x, y []byte
		x, a, _ = bytes.Cut(a, []byte("/"))
		y, b, _ = bytes.Cut(b, []byte("/"))
		places := []string{"locations", "regions", "zones"}
		switch {
		case bytes.EqualFold(x, y), oneOf(x, places) && oneOf(y, places):
		case string(last) == "projects" && (kindOf(x) == textNumber) != (kindOf(y) == textNumber):
		default:
			return true
		}
		last = x
	}
	return len(a) > 0 || len(b) > 0
}

const (
	digits = "0123456789"
	uppers = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lowers = "abcdefghijklmnopqrstuvwxyz"
)

// madeOf reports whether a text has no other bytes than these.
func madeOf(t []byte, set string) bool { return len(bytes.Trim(t, set)) == 0 }

// isIdentifier recognises what was generated: UUIDs, digests, i-0abc1234def567890, Z1RLNUO7B9Q6NB.
func isIdentifier(t []byte) bool {
	if !bytes.ContainsAny(t, digits) {
		return false
	}
	if madeOf(t, digits+uppers) {
		return len(t) >= 10
	}
	tail := t[bytes.LastIndexByte(t, '-')+1:]
	return len(tail) >= 8 && (len(tail) < len(t) || len(t) >= 16) && madeOf(tail, digits+"abcdef") && bytes.ContainsAny(tail, digits)
}

// isBlob recognises base64.
func isBlob(t []byte) bool {
	return len(t) >= 24 && len(t)%4 == 0 && madeOf(t, digits+uppers+lowers+"+/=") && bytes.ContainsAny(t, digits) &&
		bytes.ContainsAny(t, uppers) && bytes.ContainsAny(t, lowers) && (t[len(t)-1] == '=' || len(t) >= 64 || !bytes.ContainsAny(t, "/"))
}

// isMasked recognises what stands for a value that is not shown.
func isMasked(t []byte) bool {
	if len(t) > 2 && madeOf(t, "*") {
		return true
	}
	return oneOf(bytes.Trim(t, "<>()[]*"), []string{"redacted", "sensitive", "sensitive value"})
}

// unquote is the text of a scalar. That of a string with escapes is pushed onto text.
func (c *comparer) unquote(v []byte) []byte {
	if !isString(v) || len(v) < 2 {
		return v
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	base := len(c.text)
	c.text, _ = jsontext.AppendUnquote(c.text, v) // which replaces what is not valid
	return c.text[base:]
}

// appendText appends what a JSON string without its quotes says, as valid UTF-8.
func appendText(dst, s []byte) []byte {
	if bytes.IndexByte(s, '\\') < 0 && utf8.Valid(s) {
		return append(dst, s...)
	}
	dst, _ = jsontext.AppendUnquote(dst, append(append([]byte{'"'}, s...), '"'))
	return dst
}

// A cursor reads JSON that is known to be valid. Of what is not it reads something, and comes to an end.
type cursor struct {
	json     []byte
	at       int
	last     []byte // the last name in the object
	ahead    bool   // seek has read that name, but did not want it: the cursor stands before the value
	shuffled bool   // a name came after one that it should have come before
}

// peek moves to the next byte that says something and returns it, 0 at the end.
func (c *cursor) peek() byte {
	for at := c.at; at < len(c.json); at++ {
		if b := c.json[at]; b > ' ' {
			c.at = at
			return b
		}
	}
	c.at = len(c.json)
	return 0
}

// next is peek, after a comma if there is one.
func (c *cursor) next() byte {
	b := c.peek()
	if b == ',' {
		c.at++
		b = c.peek()
	}
	return b
}

// open moves into an object or an array.
func (c *cursor) open() {
	c.at++
	c.last = nil
}

// close moves from the end of an object to after it. The cursor was opened where outer is.
func (c *cursor) close(outer cursor) {
	c.at++
	c.last = outer.last
}

// name reads the name of the next member of an object, without its quotes, and moves to the value; or returns nil, and moves
// to the end of the object.
func (c *cursor) name() []byte {
	if c.next() != '"' {
		return nil
	}
	start := c.at + 1
	c.at = stringEnd(c.json, c.at)
	name := c.json[start:max(start, c.at-1)]
	c.colon()
	if c.last != nil && bytes.Compare(c.last, name) >= 0 {
		c.shuffled = true
	}
	c.last = name
	return name
}

// colon moves past a colon.
func (c *cursor) colon() {
	if c.peek() == ':' {
		c.at++
	}
}

// seek moves to the value of the member of that name, past those that come before it, and reports whether it is there; nil
// moves to the end of the object.
func (c *cursor) seek(name []byte) bool {
	for {
		if !c.ahead {
			if c.skipName(name) {
				return true
			}
			if c.name() == nil {
				return false
			}
			c.ahead = true
		}
		if name != nil {
			switch order := bytes.Compare(c.last, name); {
			case order > 0:
				return false
			case order == 0:
				c.ahead = false
				return true
			}
		}
		c.skip()
		c.ahead = false
	}
}

// skipName passes over that name, up to the value, if it is that of the next member.
func (c *cursor) skipName(name []byte) bool {
	if c.next() != '"' {
		return false
	}
	end := c.at + 1 + len(name)
	if name == nil || end >= len(c.json) || c.json[end] != '"' || !bytes.Equal(c.json[c.at+1:end], name) {
		return false
	}
	c.at = end + 1
	c.last = name
	c.colon()
	return true
}

// element moves to the next element of an array and reports whether there is one.
func (c *cursor) element() bool {
	b := c.peek()
	if b == ',' {
		c.at++
		b = c.peek()
	}
	return b != ']' && b != 0
}

// value reads a value.
func (c *cursor) value() []byte {
	c.peek()
	start := c.at
	c.skip()
	if start >= c.at {
		c.at = len(c.json)
		return []byte("null")
	}
	return c.json[start:c.at]
}

// skip passes over a value.
func (c *cursor) skip() {
	switch c.peek() {
	case '"':
		c.at = stringEnd(c.json, c.at)
	case '{', '[':
		depth := 0
		for c.at < len(c.json) {
			switch c.json[c.at] {
			case '"':
				c.at = stringEnd(c.json, c.at)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				depth--
			}
			c.at++
			if depth == 0 {
				return
			}
		}
	default:
		for c.at < len(c.json) && !ends(c.json[c.at]) {
			c.at++
		}
	}
}

// ends reports whether a number or a name of JSON ends before that byte.
func ends(b byte) bool { return b <= ' ' || b == ',' || b == '}' || b == ']' }

// skipSame passes over a value if it is these bytes.
func (c *cursor) skipSame(v []byte) bool {
	c.peek()
	if !bytes.HasPrefix(c.json[c.at:], v) {
		return false
	}
	end := c.at + len(v)
	if end < len(c.json) && !ends(c.json[end]) && !isString(v) && !isObject(v) && !isArray(v) {
		return false
	}
	c.at = end
	return true
}

// stringEnd is the index after the string that begins at start.
func stringEnd(json []byte, start int) int {
	for i := start + 1; ; {
		n := bytes.IndexByte(json[i:], '"')
		if n < 0 {
			return len(json)
		}
		i += n + 1
		if json[i-2] != '\\' || !escaped(json[:i-1]) {
			return i
		}
	}
}

// escaped reports whether what comes after these bytes is escaped by them.
func escaped(json []byte) bool {
	n := len(json)
	for n > 0 && json[n-1] == '\\' {
		n--
	}
	return (len(json)-n)%2 == 1
}
