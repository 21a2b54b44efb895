package kube

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"github.com/crossplane/crossplane-runtime/v2/pkg/xcrd"
	"github.com/crossplane/crossplane/apis/v2/core/v2"
	"github.com/go-json-experiment/json/jsontext"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A decoder reads Kubernetes objects from a JSON stream in one pass. What it is not asked for it skips unread, and
// what has an unexpected type it skips too and counts in Object.Odd: only JSON that cannot be followed is an error.
//
// The API server never escapes the names it is asked for here, so names are compared as they stand, quotes included.
type decoder struct {
	json    *scanner
	team    string // the quoted key of the team label, or ""
	argo    bool   // the objects are Argo CD's Applications, which say sync and health in words of their own
	managed bool   // the objects are managed resources
	free    bool   // the objects' spec is as their platform's authors like it: its fields mean nothing here
	config  bool   // the objects say with whom providers speak, and as whom
	// identities is whether it is read who the objects are, or make providers be, outside of the cluster.
	identities bool

	obj        Object
	initialEnd bool   // the object is the bookmark that ends the initial events of a WatchList (KEP-3157)
	teamNote   string // the team annotation; a label goes before it

	words       map[string]string // interned strings: the few that come again and again
	text        []byte            // the last string read
	forProvider []byte            // of the object being read
	comparer    comparer
	message     []byte // scratch of condition; of an Application, why it is not well
}

// maxWords and maxText bound what a stream of ever new words, or a huge one, can make a decoder hold.
const (
	maxWords = 4096
	maxText  = 64 << 10
)

func newDecoder(r io.Reader, k Kind, teamLabel string) *decoder {
	d := &decoder{
		json:    &scanner{from: r},
		argo:    k.Group == argoGroup && k.Name == argoApplication,
		managed: k.Category == Managed,
		free:    k.Category == Composite || k.Category == Claim,
		config:  k.Category == Configuration,
	}
	if teamLabel != "" {
		d.team = strconv.Quote(teamLabel)
	}
	return d
}

// reset makes ready for the object that comes next.
func (d *decoder) reset() {
	o := &d.obj
	*o = Object{
		Conditions: o.Conditions[:0], Writers: o.Writers[:0],
		IDs: o.IDs[:0], Principals: o.Principals[:0], ServiceAccounts: o.ServiceAccounts[:0],
	}
	d.initialEnd, d.teamNote = false, ""
	d.forProvider = d.forProvider[:0]
	d.message = d.message[:0]
	if cap(d.text) > maxText {
		d.text = nil
	}
}

// object reads the object that comes next. The result is valid until the next call.
func (d *decoder) object() (*Object, error) {
	d.reset()
	err := d.members(func(name []byte) error {
		switch string(name) {
		case `"metadata"`:
			return d.members(d.metadata)
		case `"spec"`:
			switch {
			case d.free:
				return d.skip()
			case d.config && d.identities:
				return d.members(d.configuration)
			}
			return d.members(d.spec)
		case `"status"`:
			return d.members(d.status)
		default:
			return d.skip()
		}
	})
	if d.obj.Team == "" {
		d.obj.Team = d.teamNote
	}
	if d.argo {
		d.argoMessage()
	}
	return &d.obj, err
}

// entry is the object just read as the Reflector takes it.
func (d *decoder) entry(kept any) *entry {
	o := &d.obj
	return &entry{Object: emptyMeta, namespace: o.Namespace, name: o.Name, resourceVersion: o.ResourceVersion, initialEnd: d.initialEnd, kept: kept}
}

// objectReader reads the objects of a kind.
type objectReader struct {
	d    *decoder
	keep func(*Object) any
	odd  func(*Object) // told of objects with parts that were passed over
}

func (r objectReader) stream() *scanner { return r.d.json }

func (r objectReader) next() (*entry, error) {
	o, err := r.d.object()
	if err != nil {
		return nil, err
	}
	if o.Odd > 0 {
		r.odd(o)
	}
	if o.Name == "" { // a bookmark
		return r.d.entry(nil), nil
	}
	return r.d.entry(r.keep(o)), nil
}

func (d *decoder) metadata(name []byte) (err error) {
	o := &d.obj
	switch string(name) {
	case `"name"`:
		o.Name, err = d.str()
	case `"namespace"`:
		o.Namespace, err = d.word()
	case `"resourceVersion"`:
		o.ResourceVersion, err = d.str()
	case `"generation"`:
		o.Generation, err = d.integer()
	case `"creationTimestamp"`:
		o.Created, err = d.time()
	case `"deletionTimestamp"`:
		o.Deleted, err = d.time()
	case `"finalizers"`:
		err = d.elements(func() error {
			o.Finalizers++
			return d.skip()
		})
	case `"ownerReferences"`:
		if !d.identities {
			return d.skip()
		}
		err = d.elements(d.owner)
	case `"managedFields"`:
		err = d.elements(d.writer)
	case `"labels"`:
		err = d.members(d.label)
	case `"annotations"`:
		err = d.members(d.annotation)
	default:
		err = d.skip()
	}
	return err
}

// annotationRole is what names the role of a ServiceAccount, with its quotes.
// https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
const annotationRole = `"eks.amazonaws.com/role-arn"`

// owner reads one of ownerReferences.
func (d *decoder) owner() error {
	return d.members(func(name []byte) error {
		if string(name) != `"apiVersion"` {
			return d.skip()
		}
		version, err := d.bytes()
		d.obj.OfPackage = d.obj.OfPackage || bytes.HasPrefix(version, []byte("pkg.crossplane.io/"))
		return err
	})
}

// configuration reads the spec of a configuration.
func (d *decoder) configuration(name []byte) error {
	if string(name) == `"credentials"` {
		// Whom one is comes first, and whom one becomes by a chain of roles last, in whatever order they stand in the object.
		n := len(d.obj.Principals)
		err := d.principals(name)
		d.obj.Principals = slices.Concat(d.obj.Principals[n:], d.obj.Principals[:n])
		return err
	}
	if string(name) != `"serviceAccountTemplate"` {
		return d.principals(name)
	}
	return d.members(func(name []byte) error {
		if string(name) != `"metadata"` {
			return d.principals(name)
		}
		return d.members(func(name []byte) error {
			if string(name) != `"name"` {
				return d.principals(name)
			}
			_, err := d.bytes()
			d.serviceAccount()
			return err
		})
	})
}

// principals looks for ARNs and for names of ServiceAccounts in a value, however deep. Name is what it is the value of.
func (d *decoder) principals(name []byte) (err error) {
	switch account := string(name) == `"serviceAccountName"`; d.json.kind() {
	case '{':
		return d.members(d.principals)
	case '[':
		return d.elements(func() error { return d.principals(nil) })
	case '"':
		_, err = d.bytes()
		if account {
			d.serviceAccount()
		} else {
			d.principal()
		}
		return err
	default:
		return d.skip()
	}
}

// principal keeps the string read last if it is an ARN.
func (d *decoder) principal() {
	if o := &d.obj; bytes.HasPrefix(d.text, []byte("arn:")) && len(o.Principals) < MaxIDs {
		o.Principals = append(o.Principals, string(d.text))
	}
}

// serviceAccount keeps the string read last.
func (d *decoder) serviceAccount() {
	if o := &d.obj; len(d.text) > 0 && len(o.ServiceAccounts) < MaxIDs {
		o.ServiceAccounts = append(o.ServiceAccounts, string(d.text))
	}
}

// id keeps the value of a field of spec.forProvider or status.atProvider if it says who the resource is.
func (d *decoder) id(name, value []byte) {
	switch string(name) {
	case "id", "arn", "name", "identifier", "url":
	default:
		return
	}
	if o := &d.obj; isString(value) && len(o.IDs) < MaxIDs {
		d.text, _ = jsontext.AppendUnquote(d.text[:0], value) // as bytes does
		o.IDs = append(o.IDs, string(d.text))
	}
}

// maxWriters bounds what is kept of an object's managedFields; there are three or four.
const maxWriters = 16

func (d *decoder) writer() error {
	var w Writer
	spec, other := false, false
	err := d.members(func(name []byte) (err error) {
		switch string(name) {
		case `"manager"`:
			w.Manager, err = d.word()
		case `"time"`:
			w.Time, err = d.time()
		case `"subresource"`: // status, which is not spec whatever its fields are called
			var s []byte
			s, err = d.bytes()
			other = len(s) > 0
		case `"fieldsV1"`:
			err = d.members(func(name []byte) error {
				if string(name) != `"f:spec"` {
					return d.skip()
				}
				v, err := d.json.value()
				spec, w.Fields = true, xxhash.Sum64(v)
				return err
			})
		default:
			err = d.skip()
		}
		return err
	})
	if spec && !other && len(d.obj.Writers) < maxWriters {
		d.obj.Writers = append(d.obj.Writers, w)
	}
	return err
}

func (d *decoder) label(name []byte) (err error) {
	o := &d.obj
	team := string(name) == d.team // which may be any label, one of those below too
	switch string(name) {
	case `"` + xcrd.LabelKeyNamePrefixForComposed + `"`:
		o.Composite, err = d.str()
	case `"` + xcrd.LabelKeyClaimNamespace + `"`:
		o.ClaimNamespace, err = d.word()
	case `"` + xcrd.LabelKeyClaimName + `"`:
		o.ClaimName, err = d.str()
	default:
		if !team {
			return d.skip()
		}
		_, err = d.bytes()
	}
	if team {
		o.Team = d.intern(d.text)
	}
	return err
}

func (d *decoder) annotation(name []byte) (err error) {
	o := &d.obj
	team := string(name) == d.team
	switch string(name) {
	case `"` + meta.AnnotationKeyExternalName + `"`:
		o.ExternalName, err = d.str()
	case `"` + meta.AnnotationKeyReconciliationPaused + `"`:
		var paused []byte
		paused, err = d.bytes()
		o.Paused = o.Paused || string(paused) == "true"
	case `"` + meta.AnnotationKeyExternalCreatePending + `"`:
		o.CreatePending, err = d.time()
	case `"` + meta.AnnotationKeyExternalCreateSucceeded + `"`:
		o.CreateSucceeded, err = d.time()
	case `"` + meta.AnnotationKeyExternalCreateFailed + `"`:
		o.CreateFailed, err = d.time()
	case `"` + metav1.InitialEventsAnnotationKey + `"`:
		var end []byte
		end, err = d.bytes()
		d.initialEnd = string(end) == "true"
	case annotationRole:
		if !d.identities {
			return d.skip()
		}
		_, err = d.bytes()
		d.principal()
	default:
		if !team {
			return d.skip()
		}
		_, err = d.bytes()
	}
	if team {
		d.teamNote = d.intern(d.text)
	}
	return err
}

func (d *decoder) spec(name []byte) (err error) {
	o := &d.obj
	switch string(name) {
	case `"providerConfigRef"`:
		err = d.members(func(name []byte) (err error) {
			if string(name) != `"name"` {
				return d.skip()
			}
			o.ProviderConfig, err = d.word()
			return err
		})
	case `"forProvider"`:
		return d.wanted()
	case `"managementPolicies"`:
		if d.json.kind() != '[' {
			return d.odd()
		}
		policies := 0
		err = d.elements(func() error {
			policy, err := d.bytes()
			o.ObserveOnly = (policies == 0 || o.ObserveOnly) && string(policy) == string(v2.ManagementActionObserve)
			policies++
			return err
		})
		o.Paused = o.Paused || policies == 0 // what Crossplane calls paused, too
	case `"suspend"`: // Flux: stops reconciling until it is false again
		suspend, e := d.boolean()
		o.Paused, err = o.Paused || suspend, e
	case `"desiredState"`, `"state"`: // of a package revision; of a ManagedResourceDefinition
		if d.json.kind() != '"' {
			return d.skip()
		}
		state, e := d.bytes()
		o.Inactive, err = string(state) == inactive, e
	default:
		err = d.skip()
	}
	return err
}

// inactive is spelt alike in spec.desiredState of a package revision and spec.state of a ManagedResourceDefinition.
const inactive = "Inactive"

func (d *decoder) status(name []byte) error {
	switch {
	case string(name) == `"conditions"` && !d.argo:
		return d.elements(d.condition)
	case string(name) == `"conditions"`:
		return d.elements(d.argoError)
	case string(name) == `"health"` && d.argo:
		return d.members(d.argoWord("Healthy"))
	case string(name) == `"sync"` && d.argo:
		return d.members(d.argoWord("Synced"))
	case string(name) == `"atProvider"` && d.managed:
		return d.seen()
	default:
		return d.skip()
	}
}

// maxProvider is how large spec.forProvider may be, in bytes, to be compared with status.atProvider.
const maxProvider = 1 << 20

// wanted reads spec.forProvider. Of a managed resource it is remembered until status.atProvider comes.
func (d *decoder) wanted() error {
	if d.json.kind() != '{' {
		return d.odd()
	}
	d.forProvider = append(d.forProvider[:0], '{')
	remembered := d.managed
	err := d.json.object(func(name []byte) error {
		start := len(d.forProvider)
		d.forProvider = append(append(d.forProvider, name...), ':')
		name = d.forProvider[start+1 : len(d.forProvider)-2] // which stays when the value is read
		value, err := d.json.value()
		if err != nil {
			return err
		}
		if d.identities {
			d.id(name, value)
		}
		switch {
		case string(name) != "region":
		case isString(value):
			d.text, _ = jsontext.AppendUnquote(d.text[:0], value) // as bytes does
			d.obj.Region = d.intern(d.text)
		case value[0] != 'n': // as odd does
			d.obj.Odd++
		}
		if remembered = remembered && len(d.forProvider)+len(value) < maxProvider; remembered {
			d.forProvider = append(append(d.forProvider, value...), ',')
		} else {
			d.forProvider = d.forProvider[:start]
		}
		return nil
	})
	d.forProvider = append(bytes.TrimSuffix(d.forProvider, []byte{','}), '}')
	if !remembered {
		d.forProvider = d.forProvider[:0]
	}
	return err
}

// seen reads status.atProvider and compares it with spec.forProvider, which comes before it in whatever the API server writes.
func (d *decoder) seen() error {
	v, err := d.json.value()
	if err == nil && len(d.forProvider) > 0 {
		d.obj.Differing = d.comparer.differ(d.forProvider, v, MaxDiffering)
	}
	if err == nil && d.identities && len(v) > 0 && v[0] == '{' {
		c := cursor{json: v}
		c.peek()
		c.open()
		for name := c.name(); name != nil; name = c.name() {
			d.id(name, c.value())
		}
	}
	return err
}

func (d *decoder) condition() error {
	if k := d.json.kind(); k != '{' {
		d.obj.Odd++
		return d.skip()
	}
	c := Condition{Status: Unknown}
	hasStatus := false
	d.message = d.message[:0]
	err := d.members(func(name []byte) (err error) {
		switch string(name) {
		case `"type"`:
			c.Type, err = d.word()
		case `"status"`:
			var status []byte
			status, err = d.bytes()
			c.Status, hasStatus = parseStatus(status)
		case `"reason"`:
			c.Reason, err = d.word()
		case `"message"`:
			var message []byte
			message, err = d.bytes()
			d.message = appendCut(d.message[:0], message)
		case `"lastTransitionTime"`:
			c.Since, err = d.time()
		case `"observedGeneration"`:
			c.ObservedGeneration, err = d.integer()
		default:
			err = d.skip()
		}
		return err
	})
	if err != nil {
		return err
	}
	if !hasStatus {
		d.obj.Odd++
	}
	if c.Status != True {
		c.Message = string(d.message)
	}
	d.addCondition(c)
	return nil
}

// addCondition keeps the last of several conditions with one type, as the API's merge by type would.
func (d *decoder) addCondition(c Condition) {
	o := &d.obj
	if c.Type == "" {
		o.Odd++
		return
	}
	for i := range o.Conditions {
		if o.Conditions[i].Type == c.Type {
			o.Odd++
			o.Conditions[i] = c
			return
		}
	}
	if len(o.Conditions) == MaxConditions {
		o.Odd++
		return
	}
	o.Conditions = append(o.Conditions, c)
}

func parseStatus(b []byte) (Status, bool) {
	switch string(b) {
	case "True":
		return True, true
	case "False":
		return False, true
	case "Unknown":
		return Unknown, true
	default:
		return Unknown, false
	}
}

// appendCut appends at most MaxMessage bytes of a message: its beginning, and of a longer one the end too, where a wrapped
// error has its cause.
func appendCut(dst, message []byte) []byte {
	if len(message) <= MaxMessage {
		return append(dst, message...)
	}
	const gap = " … "
	head := MaxMessage * 3 / 4
	tail := len(message) - (MaxMessage - head - len(gap))
	for !utf8.RuneStart(message[head]) {
		head--
	}
	for !utf8.RuneStart(message[tail]) {
		tail++
	}
	return append(append(append(dst, message[:head]...), gap...), message[tail:]...)
}

// Argo CD's Applications are of this group and kind. Its other kinds have conditions like everyone's.
const (
	argoGroup       = "argoproj.io"
	argoApplication = "Application"
)

// argoWord reads status.health or status.sync of an Argo CD Application as a condition of that type.
// https://argo-cd.readthedocs.io/en/stable/operator-manual/health/
func (d *decoder) argoWord(condition string) func(name []byte) error {
	return func(name []byte) error {
		if string(name) != `"status"` {
			return d.skip()
		}
		word, err := d.word()
		if err != nil || word == "" {
			return err
		}
		c := Condition{Type: condition, Reason: word, Status: False}
		switch word {
		case "Healthy", "Synced":
			c.Status = True
		case "Unknown", "Progressing":
			c.Status = Unknown
		case "Suspended":
			c.Status = Unknown
			d.obj.Paused = true
		}
		d.addCondition(c)
		return nil
	}
}

// argoError reads one of the conditions of an Argo CD Application. They have no status: each is an error or a warning
// while it is there, and says why sync or health are not well.
func (d *decoder) argoError() error {
	return d.members(func(name []byte) error {
		if string(name) != `"message"` {
			return d.skip()
		}
		message, err := d.bytes()
		if len(message) > 0 {
			d.message = appendCut(d.message[:0], message)
		}
		return err
	})
}

// argoMessage gives what argoError read to the conditions that are not well, whichever came first.
func (d *decoder) argoMessage() {
	for i := range d.obj.Conditions {
		if c := &d.obj.Conditions[i]; c.Status != True {
			c.Message = string(d.message)
		}
	}
}

// members is the scanner's object. Anything but an object is skipped.
func (d *decoder) members(member func(name []byte) error) error {
	if d.json.kind() != '{' {
		return d.odd()
	}
	return d.json.object(member)
}

// elements is the scanner's array. Anything but an array is skipped.
func (d *decoder) elements(element func() error) error {
	if d.json.kind() != '[' {
		return d.odd()
	}
	return d.json.array(element)
}

// odd skips a value that does not have the type it should have. Null is nothing odd: it is how some clients say absent.
func (d *decoder) odd() error {
	if d.json.kind() != 'n' {
		d.obj.Odd++
	}
	return d.skip()
}

// skip passes over a value. The price of how it does that is that the value is held whole, in a buffer that lives until the watch is
// opened anew.
func (d *decoder) skip() error {
	_, err := d.json.value()
	return err
}

// bytes reads a string, nil for anything else. The result is valid until the next call, and stands in d.text.
func (d *decoder) bytes() ([]byte, error) {
	d.text = d.text[:0]
	if d.json.kind() != '"' {
		return nil, d.odd()
	}
	v, err := d.json.value()
	if err != nil {
		return nil, err
	}
	// Invalid UTF-8 is replaced, and no error.
	if d.text, err = jsontext.AppendUnquote(d.text[:0], v); err != nil && !jsontext.Value(v).IsValid(jsontext.AllowInvalidUTF8(true)) {
		d.json.fail("after a string with wrong escapes, or without them")
		return nil, d.json.err
	}
	return d.text, nil
}

func (d *decoder) str() (string, error) {
	b, err := d.bytes()
	return string(b), err
}

// word is str for strings that many objects share.
func (d *decoder) word() (string, error) {
	b, err := d.bytes()
	return d.intern(b), err
}

func (d *decoder) intern(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if w, ok := d.words[string(b)]; ok {
		return w
	}
	if d.words == nil || len(d.words) >= maxWords {
		d.words = map[string]string{}
	}
	w := string(b)
	d.words[w] = w
	return w
}

func (d *decoder) boolean() (bool, error) {
	switch d.json.kind() {
	case 't', 'f':
		v, err := d.json.value()
		return string(v) == "true", err
	default:
		return false, d.odd()
	}
}

func (d *decoder) integer() (int64, error) {
	if b := d.json.kind(); b != '-' && (b < '0' || b > '9') {
		return 0, d.odd()
	}
	v, err := d.json.value()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(v), 10, 64)
	if err == nil {
		return n, nil
	}
	d.obj.Odd++
	return 0, nil
}

// time reads an RFC 3339 time as Unix seconds.
func (d *decoder) time() (int64, error) {
	b, err := d.bytes()
	if err != nil || len(b) == 0 {
		return 0, err
	}
	var t time.Time
	if t.UnmarshalText(b) == nil { // time.Parse would want a string, and keep it
		return t.Unix(), nil
	}
	d.obj.Odd++
	return 0, nil
}
