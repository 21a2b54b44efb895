package kube

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/crossplane/crossplane-runtime/v2/pkg/meta"
	"github.com/crossplane/crossplane-runtime/v2/pkg/xcrd"
	"github.com/crossplane/crossplane/apis/v2/core/v2"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
)

// TestDecodeAsReference decodes thousands of generated objects, good and bad, from a watch and from a list, and expects of
// each what the plain reference below says.
func TestDecodeAsReference(t *testing.T) {
	const objects = 250
	kinds := map[string]Kind{
		"Managed":   vpcs,
		"Composite": networks,
		"Package":   {Category: Package, Group: "pkg.crossplane.io", Name: "ProviderRevision"},
		"Flux":      {Category: GitOps, Group: "helm.toolkit.fluxcd.io", Name: "HelmRelease"},
		"Argo":      applications,
	}
	for name, k := range kinds {
		for i, team := range []string{"", teamLabel, xcrd.LabelKeyClaimNamespace, meta.AnnotationKeyExternalName} {
			t.Run(fmt.Sprintf("%s/%q", name, team), func(t *testing.T) {
				g := generator{rand.New(rand.NewPCG(uint64(i), 20260301))}
				var texts [][]byte
				for range objects {
					texts = append(texts, g.text(g.object()))
				}

				stream := &bytes.Buffer{}
				for _, text := range texts {
					fmt.Fprintf(stream, `{"type":"MODIFIED","object":%s}`+"\n", text)
				}
				r, got := recording(stream, k, team)
				f := &frames{body: io.NopCloser(stream), reader: r, seen: func() {}, broken: func(error) {}}
				for range texts {
					if _, _, err := f.Decode(); err != nil {
						t.Fatal(err)
					}
				}
				compare(t, k, team, texts, *got)

				list := fmt.Appendf(nil, `{"kind":"List","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[%s]}`, bytes.Join(texts, []byte(",")))
				r, got = recording(bytes.NewReader(list), k, team)
				entries, err := readList(r)
				if err != nil {
					t.Fatal(err)
				}
				if len(entries.Items) != len(texts) || entries.ResourceVersion != "1" {
					t.Errorf("a list of %d objects should have them, and a version: got %d, version %q", len(texts), len(entries.Items), entries.ResourceVersion)
				}
				compare(t, k, team, texts, *got)
			})
		}
	}
}

// apart is what has a reference of its own.
var apart = cmpopts.IgnoreFields(Object{}, "Differing")

// recording is a reader that also records what it reads.
func recording(r io.Reader, k Kind, team string) (reader, *[]Object) {
	var got []Object
	d := newDecoder(r, k, team)
	return recorder{objectReader{d: d, keep: func(*Object) any { return nil }, odd: func(*Object) {}}, &got}, &got
}

type recorder struct {
	objectReader

	got *[]Object
}

func (r recorder) next() (*entry, error) {
	e, err := r.objectReader.next()
	o := r.d.obj
	o.Conditions, o.Writers = slices.Clone(o.Conditions), slices.Clone(o.Writers)
	*r.got = append(*r.got, o)
	return e, err
}

func compare(t *testing.T, k Kind, team string, texts [][]byte, got []Object) {
	t.Helper()
	if len(got) != len(texts) {
		t.Fatalf("of %d objects %d were decoded", len(texts), len(got))
	}
	for i, text := range texts {
		want, err := reference(k, team, text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if k == applications { // whose sync and health come in any order
			slices.SortFunc(got[i].Conditions, func(a, b Condition) int { return cmp.Compare(a.Type, b.Type) })
		}
		if diff := gocmp.Diff(want, got[i], cmpopts.EquateEmpty(), apart); diff != "" {
			t.Fatalf("-reference, +decoder:\n%s\n%.4000s", diff, text)
		}
	}
}

// reference reads an object the plain way: with the helpers of apimachinery and Crossplane, from what client-go/dynamic would
// hold of it, after what has the wrong type has been taken out.
func reference(k Kind, team string, text []byte) (Object, error) {
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(text); err != nil {
		return Object{}, err
	}
	c := cleaner{}
	c.clean(u.Object, k, team)

	o := Object{
		Namespace: u.GetNamespace(), Name: u.GetName(), ResourceVersion: u.GetResourceVersion(), Generation: u.GetGeneration(),
		Created: unix(u.GetCreationTimestamp().Time), Finalizers: len(u.GetFinalizers()),
		Composite: u.GetLabels()[xcrd.LabelKeyNamePrefixForComposed], ClaimNamespace: u.GetLabels()[xcrd.LabelKeyClaimNamespace], ClaimName: u.GetLabels()[xcrd.LabelKeyClaimName],
		ExternalName: meta.GetExternalName(u), Paused: meta.IsPaused(u),
		CreatePending: unix(meta.GetExternalCreatePending(u)), CreateSucceeded: unix(meta.GetExternalCreateSucceeded(u)), CreateFailed: unix(meta.GetExternalCreateFailed(u)),
		Odd: c.odd,
	}
	if d := u.GetDeletionTimestamp(); d != nil {
		o.Deleted = unix(d.Time)
	}
	if team != "" {
		o.Team = cmp.Or(u.GetLabels()[team], u.GetAnnotations()[team])
	}
	for _, m := range u.GetManagedFields() {
		if m.Subresource != "" || m.FieldsV1 == nil {
			continue
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(m.FieldsV1.GetRawBytes(), &fields); err != nil {
			return Object{}, err
		}
		if spec, ok := fields["f:spec"]; ok && len(o.Writers) < maxWriters {
			w := Writer{Manager: m.Manager, Fields: xxhash.Sum64(spec)}
			if m.Time != nil {
				w.Time = unix(m.Time.Time)
			}
			o.Writers = append(o.Writers, w)
		}
	}
	if k.Category != Composite && k.Category != Claim {
		o.ProviderConfig = nested(u, "spec", "providerConfigRef", "name")
		o.Region = nested(u, "spec", "forProvider", "region")
		if policies, found, _ := unstructured.NestedStringSlice(u.Object, "spec", "managementPolicies"); found {
			set := sets.New(policies...)
			o.ObserveOnly = set.Equal(sets.New(string(v2.ManagementActionObserve)))
			o.Paused = o.Paused || set.Len() == 0
		}
		if suspend, _, _ := unstructured.NestedBool(u.Object, "spec", "suspend"); suspend {
			o.Paused = true
		}
		o.Inactive = nested(u, "spec", "desiredState") == "Inactive"
	}
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	if k == applications {
		message := ""
		for _, item := range conditions {
			m, _, _ := unstructured.NestedString(item.(map[string]any), "message")
			message = cmp.Or(m, message)
		}
		for _, a := range []struct{ condition, field string }{{"Healthy", "health"}, {"Synced", "sync"}} {
			word := nested(u, "status", a.field, "status")
			c := Condition{Type: a.condition, Reason: word, Message: cut(message), Status: False}
			switch word {
			case "":
				continue
			case "Healthy", "Synced":
				c.Status, c.Message = True, ""
			case "Unknown", "Progressing", "Suspended":
				c.Status = Unknown
			}
			o.Paused = o.Paused || word == "Suspended"
			o.Conditions = append(o.Conditions, c)
		}
		return o, nil
	}
	for _, item := range conditions {
		in := &unstructured.Unstructured{Object: item.(map[string]any)}
		c := Condition{Type: nested(in, "type"), Reason: nested(in, "reason"), Status: Unknown}
		switch nested(in, "status") {
		case string(metav1.ConditionTrue):
			c.Status = True
		case string(metav1.ConditionFalse):
			c.Status = False
		}
		if c.Status != True {
			c.Message = cut(nested(in, "message"))
		}
		c.ObservedGeneration, _, _ = unstructured.NestedInt64(in.Object, "observedGeneration")
		if s := nested(in, "lastTransitionTime"); s != "" {
			since, err := time.Parse(time.RFC3339, s)
			if err != nil {
				return Object{}, err
			}
			c.Since = since.Unix()
		}
		i := slices.IndexFunc(o.Conditions, func(other Condition) bool { return other.Type == c.Type })
		switch {
		case c.Type == "":
			o.Odd++
		case i >= 0:
			o.Odd++
			o.Conditions[i] = c
		case len(o.Conditions) == MaxConditions:
			o.Odd++
		default:
			o.Conditions = append(o.Conditions, c)
		}
	}
	return o, nil
}

func nested(u *unstructured.Unstructured, path ...string) string {
	s, _, _ := unstructured.NestedString(u.Object, path...)
	return s
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// cut is appendCut for a reader: at most MaxMessage bytes of whole characters, three quarters of them from the beginning.
func cut(s string) string {
	if len(s) <= MaxMessage {
		return s
	}
	const gap = " … "
	head, tail := 0, len(s)
	for i := range s { // at each character
		if i <= MaxMessage*3/4 {
			head = i
		}
		if len(s)-i <= MaxMessage-MaxMessage*3/4-len(gap) {
			tail = min(tail, i)
		}
	}
	return s[:head] + gap + s[tail:]
}

// A cleaner takes out what has the wrong type, and counts it.
type cleaner struct{ odd int }

func (c *cleaner) clean(o map[string]any, k Kind, team string) {
	if m := c.object(o, "metadata"); m != nil {
		for _, name := range []string{"name", "namespace", "resourceVersion"} {
			c.str(m, name)
		}
		c.integer(m, "generation")
		c.time(m, "creationTimestamp")
		c.time(m, "deletionTimestamp")
		for i := range c.array(m, "finalizers") {
			m["finalizers"].([]any)[i] = "only their number counts"
		}
		if labels := c.object(m, "labels"); labels != nil {
			c.strings(labels, xcrd.LabelKeyNamePrefixForComposed, xcrd.LabelKeyClaimNamespace, xcrd.LabelKeyClaimName, team)
		}
		if annotations := c.object(m, "annotations"); annotations != nil {
			for _, name := range []string{meta.AnnotationKeyExternalCreatePending, meta.AnnotationKeyExternalCreateSucceeded, meta.AnnotationKeyExternalCreateFailed} {
				c.time(annotations, name)
			}
			c.strings(annotations, meta.AnnotationKeyExternalName, meta.AnnotationKeyReconciliationPaused, team)
		}
		managed := []any{}
		for _, item := range c.array(m, "managedFields") {
			entry, ok := item.(map[string]any)
			if !ok {
				c.wrong(item)
				continue
			}
			c.str(entry, "manager")
			c.str(entry, "subresource")
			c.time(entry, "time")
			c.object(entry, "fieldsV1")
			managed = append(managed, only(entry, "manager", "subresource", "time", "fieldsV1"))
		}
		m["managedFields"] = managed
	}
	if k.Category != Composite && k.Category != Claim {
		if spec := c.object(o, "spec"); spec != nil {
			if ref := c.object(spec, "providerConfigRef"); ref != nil {
				c.str(ref, "name")
			}
			if p := c.object(spec, "forProvider"); p != nil {
				c.str(p, "region")
			}
			for i, policy := range c.array(spec, "managementPolicies") {
				if _, ok := policy.(string); !ok {
					c.wrong(policy)
					spec["managementPolicies"].([]any)[i] = "not a policy"
				}
			}
			if _, ok := spec["suspend"].(bool); !ok {
				c.wrong(spec["suspend"])
			}
		}
	}
	status := c.object(o, "status")
	if status == nil {
		return
	}
	conditions := []any{}
	for _, item := range c.array(status, "conditions") {
		condition, ok := item.(map[string]any)
		switch {
		case k == applications && !ok:
			c.wrong(item)
			continue
		case k == applications:
			c.str(condition, "message")
		case !ok:
			c.odd++ // null too
			continue
		default:
			for _, name := range []string{"type", "status", "reason", "message"} {
				c.str(condition, name)
			}
			if !slices.Contains([]any{"True", "False", "Unknown"}, condition["status"]) {
				c.odd++
			}
			c.integer(condition, "observedGeneration")
			c.time(condition, "lastTransitionTime")
		}
		conditions = append(conditions, condition)
	}
	status["conditions"] = conditions
	if k == applications {
		for _, field := range []string{"health", "sync"} {
			if word := c.object(status, field); word != nil {
				c.str(word, "status")
			}
		}
	}
}

// wrong counts v, which has the wrong type, unless it is null.
func (c *cleaner) wrong(v any) {
	if v != nil {
		c.odd++
	}
}

func (c *cleaner) object(o map[string]any, name string) map[string]any {
	v, ok := o[name].(map[string]any)
	if !ok {
		c.wrong(o[name])
		delete(o, name)
	}
	return v
}

func (c *cleaner) array(o map[string]any, name string) []any {
	v, ok := o[name].([]any)
	if !ok {
		c.wrong(o[name])
		delete(o, name)
	}
	return v
}

func (c *cleaner) str(o map[string]any, name string) {
	if _, ok := o[name].(string); !ok {
		c.wrong(o[name])
		delete(o, name)
	}
}

func (c *cleaner) integer(o map[string]any, name string) {
	if _, ok := o[name].(int64); !ok {
		c.wrong(o[name])
		delete(o, name)
	}
}

func (c *cleaner) time(o map[string]any, name string) {
	c.str(o, name)
	s, _ := o[name].(string)
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		delete(o, name)
		if s != "" {
			c.odd++
		}
	}
}

// strings takes out whatever is no string, and counts it where it is one of the names.
func (c *cleaner) strings(o map[string]any, names ...string) {
	for name, v := range o {
		if _, ok := v.(string); !ok {
			if slices.Contains(names, name) && name != "" {
				c.wrong(v)
			}
			delete(o, name)
		}
	}
}

func only(o map[string]any, names ...string) map[string]any {
	kept := map[string]any{}
	for _, name := range names {
		if v, ok := o[name]; ok {
			kept[name] = v
		}
	}
	return kept
}

// A generator makes objects as a cluster might have them, and as none should.
type generator struct{ *rand.Rand }

// pick is one of the values, or now and then something else altogether.
func (g generator) pick(values ...any) any {
	if g.IntN(40) == 0 {
		return g.junk(3)
	}
	return values[g.IntN(len(values))]
}

// junk is any JSON value, with names in it that mean something elsewhere.
func (g generator) junk(depth int) any {
	switch n := g.IntN(9); {
	case n == 0:
		return nil
	case n == 1:
		return g.IntN(2) == 0
	case n == 2:
		return g.Int64() - g.Int64()
	case n == 3:
		return g.Float64() * 1e6
	case n < 6 || depth == 0:
		return g.word()
	case n == 6:
		array := []any{}
		for range g.IntN(4) {
			array = append(array, g.junk(depth-1))
		}
		return array
	default:
		object := map[string]any{}
		for range g.IntN(4) {
			object[g.word()] = g.junk(depth - 1)
		}
		return object
	}
}

func (g generator) word() string {
	if g.IntN(500) == 0 {
		return strings.Repeat([]string{"long ", "…"}[g.IntN(2)], g.IntN(5000))
	}
	words := []string{
		"", "a", "metadata", "name", "status", "conditions", "type", "Ready", "True", "spec", "labels", "message", "f:spec", "region", "{", "]", `"`, `\`, "é…😀",
		"a\nb\tc\x00\x1b", "\xff\xfe", "\xc3", "\xed\xa0\x80", "<a href=\"&\">", "\u2028", "true", "null", "0",
		"2026-03-01T09:00:00Z", teamLabel, "Inactive", "Observe",
	}
	return words[g.IntN(len(words))]
}

func (g generator) text(v any) []byte {
	b := &bytes.Buffer{}
	g.write(b, v, true)
	return b.Bytes()
}

// write writes JSON with the names of objects in any order, and bytes that are no UTF-8 as they are.
func (g generator) write(b *bytes.Buffer, v any, mixed bool) {
	space := func() {
		if mixed && g.IntN(50) == 0 {
			b.WriteString(" \n\t"[g.IntN(3):])
		}
	}
	space()
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		if mixed {
			g.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		}
		b.WriteByte('{')
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			space()
			g.write(b, name, false)
			space()
			b.WriteByte(':')
			g.write(b, v[name], mixed && name != "fieldsV1") // whose bytes are hashed
		}
		space()
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			g.write(b, item, mixed)
		}
		b.WriteByte(']')
	case string:
		b.WriteByte('"')
		for i := range len(v) {
			switch c := v[i]; {
			case c == '"' || c == '\\':
				b.Write([]byte{'\\', c})
			case c < ' ':
				fmt.Fprintf(b, `\u%04x`, c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('"')
	case nil:
		b.WriteString("null")
	case float64:
		fmt.Fprintf(b, "%e", v)
	default:
		fmt.Fprint(b, v)
	}
	space()
}

// put gives o the value in most cases.
func (g generator) put(o map[string]any, name string, v any) {
	if g.IntN(4) > 0 {
		o[name] = v
	}
}

func (g generator) time() any {
	t := time.Unix(1.7e9+g.Int64N(1e8), g.Int64N(2)*123456789)
	if g.IntN(3) == 0 {
		t = t.In(time.FixedZone("", 3600*(g.IntN(24)-12)))
	}
	return g.pick(t.UTC().Format(time.RFC3339), t.Format(time.RFC3339Nano), t.UTC().Format(time.RFC3339), "", "soon")
}

func (g generator) object() map[string]any {
	labels := map[string]any{g.word(): g.junk(1)}
	g.put(labels, xcrd.LabelKeyNamePrefixForComposed, g.pick("orders-xk4bd", "x"))
	g.put(labels, xcrd.LabelKeyClaimNamespace, g.pick("orders", "billing"))
	g.put(labels, xcrd.LabelKeyClaimName, g.pick("orders"))
	g.put(labels, teamLabel, g.pick("orders", "", "billing"))

	annotations := map[string]any{g.word(): g.junk(1), "kubectl.kubernetes.io/last-applied-configuration": `{"status":{"conditions":[]}}`}
	g.put(annotations, meta.AnnotationKeyExternalName, g.pick("vpc-0a1b2c", "arn:aws:ec2:…", `"quoted"`))
	g.put(annotations, meta.AnnotationKeyReconciliationPaused, g.pick("true", "false", "false", ""))
	g.put(annotations, meta.AnnotationKeyExternalCreatePending, g.time())
	g.put(annotations, meta.AnnotationKeyExternalCreateSucceeded, g.time())
	g.put(annotations, meta.AnnotationKeyExternalCreateFailed, g.time())
	g.put(annotations, teamLabel, g.pick("noted"))

	managed := []any{}
	for range g.IntN(4) {
		entry := map[string]any{"apiVersion": "v1", "fieldsType": "FieldsV1", "operation": "Update"}
		g.put(entry, "manager", g.pick("crossplane-provider", "kubectl-edit"))
		g.put(entry, "time", g.time())
		if g.IntN(3) == 0 {
			entry["subresource"] = g.pick("status", "")
		}
		fields := map[string]any{"f:metadata": map[string]any{"f:spec": map[string]any{}}}
		g.put(fields, "f:spec", map[string]any{"f:forProvider": map[string]any{".": map[string]any{}, []string{"f:region", "f:tags"}[g.IntN(2)]: map[string]any{}}})
		g.put(entry, "fieldsV1", fields)
		if g.IntN(40) == 0 {
			entry["fieldsV1"] = g.junk(0)
		}
		managed = append(managed, g.pick(entry))
	}

	metadata := map[string]any{g.word(): g.junk(3)}
	g.put(metadata, "name", g.pick("a", "b-xk4bd", "é"))
	g.put(metadata, "namespace", g.pick("orders", "billing"))
	g.put(metadata, "resourceVersion", g.pick("4711"))
	g.put(metadata, "generation", g.pick(int64(1), int64(7), g.Int64()))
	g.put(metadata, "creationTimestamp", g.time())
	if g.IntN(4) == 0 {
		metadata["deletionTimestamp"] = g.time()
	}
	g.put(metadata, "finalizers", g.pick([]any{}, []any{"finalizer.managedresource.crossplane.io"}, []any{"a", g.junk(1)}))
	g.put(metadata, "labels", g.pick(labels))
	g.put(metadata, "annotations", g.pick(annotations))
	g.put(metadata, "managedFields", g.pick(managed))

	spec := map[string]any{g.word(): g.junk(3)}
	g.put(spec, "providerConfigRef", g.pick(map[string]any{"kind": "ProviderConfig", "name": g.pick("production", "default")}, map[string]any{}))
	g.put(spec, "forProvider", g.pick(map[string]any{"region": g.pick("eu-central-1"), "tags": g.junk(2)}, g.junk(4)))
	g.put(spec, "managementPolicies", g.pick([]any{"*"}, []any{"Observe"}, []any{"Observe", "Observe"}, []any{"Observe", g.junk(1)}, []any{"Create", "Observe"}, []any{}))
	if g.IntN(4) == 0 {
		spec["suspend"] = g.pick(true, false)
	}
	if g.IntN(4) == 0 {
		spec["desiredState"] = g.pick("Active", "Inactive")
	}

	conditions := []any{}
	for range g.IntN(6) {
		c := map[string]any{}
		g.put(c, "type", g.pick("Ready", "Synced", "Healthy", "LastAsyncOperation"))
		g.put(c, "status", g.pick("True", "False", "Unknown", "true"))
		g.put(c, "reason", g.pick("Available", "ReconcileError", ""))
		g.put(c, "message", g.pick("cannot observe: denied", "cannot apply", "a"+strings.Repeat("é", g.IntN(3000)), g.word()))
		g.put(c, "lastTransitionTime", g.time())
		g.put(c, "observedGeneration", g.pick(int64(3)))
		g.put(c, g.word()+"!", g.junk(2))
		conditions = append(conditions, g.pick(c))
	}
	if g.IntN(100) == 0 {
		for i := range 2 * MaxConditions {
			conditions = append(conditions, map[string]any{"type": fmt.Sprint("T", i), "status": "True"})
		}
	}
	status := map[string]any{g.word(): g.junk(3), "atProvider": g.junk(4)}
	g.put(status, "conditions", g.pick(conditions))
	g.put(status, "health", g.pick(map[string]any{"status": g.pick("Healthy", "Degraded", "Progressing", "Suspended", "")}))
	g.put(status, "sync", g.pick(map[string]any{"status": g.pick("Synced", "OutOfSync", "Unknown"), "revision": g.junk(1)}))

	o := map[string]any{g.word(): g.junk(4)}
	g.put(o, "metadata", g.pick(metadata))
	g.put(o, "spec", g.pick(spec))
	g.put(o, "status", g.pick(status))
	o["apiVersion"], o["kind"] = "example.org/v1", "Thing"
	return o
}
