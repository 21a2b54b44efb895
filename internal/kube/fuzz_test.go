package kube

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// FuzzDecode reads anything at all as each sort of stream. It must come to an end, and what it keeps must be fit to be said.
func FuzzDecode(f *testing.F) {
	for _, tc := range decodeCases() {
		f.Add([]byte(tc.args.object))
		f.Add([]byte(`{"type":"ADDED","object":` + tc.args.object + "}\n"))
	}
	f.Add([]byte(`{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}`))
	f.Add([]byte(`{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}`))
	f.Add([]byte(`{"kind":"List","metadata":{"resourceVersion":"7","continue":"x"},"items":[{"metadata":{"name":"a"}},null,3]}`))
	f.Add([]byte(`{"metadata":{"name":"vpcs.ec2.aws.upbound.io"},"spec":{"group":"ec2.aws.upbound.io","scope":"Cluster","names":{"kind":"VPC","plural":"vpcs","categories":["managed"]},"versions":[{"name":"v1beta1","served":true,"storage":true}]},"status":{"conditions":[{"type":"Established","status":"True"}]}}`))
	f.Add([]byte(`{"metadata":{"name":"a.1","uid":"u"},"involvedObject":{"apiVersion":"ec2.aws.upbound.io/v1beta1","kind":"VPC","name":"a"},"type":"Warning","reason":"CannotObserve","message":"m","count":3,"series":{"count":4}}`))
	g := generator{rand.New(rand.NewPCG(7, 7))}
	for range 20 {
		f.Add(g.text(g.object()))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, k := range []Kind{vpcs, networks, applications} {
			keep := func(o *Object) any {
				check(t, o)
				return nil
			}
			for _, read := range []func(io.Reader) reader{
				func(r io.Reader) reader {
					return objectReader{d: newDecoder(r, k, teamLabel), keep: keep, odd: func(*Object) {}}
				},
				func(r io.Reader) reader { return definitionReader{newDecoder(r, definitions, "")} },
				func(r io.Reader) reader { return eventReader{newDecoder(r, events, "")} },
			} {
				exhaust(t, text, func(r reader) error {
					_, err := r.next()
					return err
				}, read)
				exhaust(t, text, func(r reader) error {
					_, err := readList(r)
					return err
				}, read)
				stream := &frames{body: io.NopCloser(nil), seen: func() {}, broken: func(error) {}, over: func() {}}
				exhaust(t, text, func(r reader) error {
					stream.reader = r
					_, _, err := stream.Decode()
					return err
				}, read)
			}
		}
	})
}

// exhaust calls next, which reads at least one byte each time, until it fails.
func exhaust(t *testing.T, text []byte, next func(reader) error, read func(io.Reader) reader) {
	t.Helper()
	r := read(bytes.NewReader(text))
	for range len(text) + 2 {
		if err := next(r); err != nil {
			return
		}
	}
	t.Fatalf("more was read than the %d bytes there are", len(text))
}

func check(t *testing.T, o *Object) {
	t.Helper()
	said := []string{o.Namespace, o.Name, o.ResourceVersion, o.Composite, o.ClaimNamespace, o.ClaimName, o.Team, o.ExternalName, o.ProviderConfig, o.Region}
	seen := map[string]bool{}
	for _, c := range o.Conditions {
		if c.Type == "" || seen[c.Type] {
			t.Errorf("conditions without a type, or two of one: %+v", o.Conditions)
		}
		seen[c.Type] = true
		if len(c.Message) > MaxMessage || c.Status == True && c.Message != "" {
			t.Errorf("a message too many or too long: %+v", c)
		}
		said = append(said, c.Type, c.Reason, c.Message)
	}
	if len(o.Conditions) > MaxConditions || len(o.Writers) > maxWriters || len(o.Differing) > MaxDiffering {
		t.Errorf("%d conditions, %d writers, %d differing", len(o.Conditions), len(o.Writers), len(o.Differing))
	}
	said = append(said, o.Differing...)
	for _, s := range said {
		if !utf8.ValidString(s) {
			t.Errorf("%q is no UTF-8", s)
		}
	}
}

// TestReadingEnds is what makes a reader that fails for ever fail a watch: an error is not swallowed at any depth.
func TestReadingEnds(t *testing.T) {
	broken := errors.New("broken")
	whole := testdata(t, "instance.json")
	for n := range whole {
		d := newDecoder(io.MultiReader(bytes.NewReader(whole[:n]), failing{broken}), vpcs, teamLabel)
		if _, err := d.object(); !errors.Is(err, broken) {
			t.Fatalf("a reader that fails after %d bytes should fail the decoder, got %v", n, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
