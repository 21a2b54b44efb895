package kube

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeEvent(t *testing.T) {
	cases := map[string]struct {
		reason string
		event  string
		want   *Event
	}{
		"Recorder": {
			reason: "An Event as client-go's recorder writes it.",
			event: `{"apiVersion":"v1","kind":"Event","metadata":{"name":"a-vpc.17f","namespace":"default","uid":"u-1","resourceVersion":"9","creationTimestamp":"2026-03-01T09:00:00Z","managedFields":[{"manager":"provider"}]},
				"involvedObject":{"kind":"VPC","name":"a-vpc","uid":"u-2","apiVersion":"ec2.aws.upbound.io/v1beta1","resourceVersion":"4711"},
				"reason":"CannotObserveExternalResource","message":"cannot observe: denied","source":{"component":"managed/ec2.aws.upbound.io/v1beta1, kind=vpc"},
				"firstTimestamp":"2026-03-01T09:00:00Z","lastTimestamp":"2026-03-01T09:10:00Z","count":11,"type":"Warning","eventTime":null,"reportingComponent":""}`,
			want: &Event{
				Namespace: "default", Name: "a-vpc.17f", UID: "u-1", Warning: true, Reason: "CannotObserveExternalResource", Message: "cannot observe: denied",
				Involved: Involved{Group: "ec2.aws.upbound.io", Kind: "VPC", Name: "a-vpc", ResourceVersion: "4711"},
				Count:    11, First: 1772355600, Last: 1772356200,
			},
		},
		"Series": {
			reason: "An Event of events.k8s.io has a series instead of a count, and times of its own.",
			event: `{"metadata":{"name":"e","namespace":"orders"},"involvedObject":{"kind":"Network","apiVersion":"v1","namespace":"orders","name":"n"},"type":"Normal","reason":"UpdatedExternalResource",
				"eventTime":"2026-03-01T09:00:00.123456Z","series":{"count":7,"lastObservedTime":"2026-03-01T09:10:00.999999Z"},"firstTimestamp":null,"lastTimestamp":null}`,
			want: &Event{
				Namespace: "orders", Name: "e", Reason: "UpdatedExternalResource", Involved: Involved{Kind: "Network", Namespace: "orders", Name: "n"},
				Count: 7, First: 1772355600, Last: 1772356200,
			},
		},
		"Once": {
			reason: "An Event that says nothing of how often has happened once; and last when it happened first.",
			event:  `{"metadata":{"name":"e"},"eventTime":"2026-03-01T09:00:00Z"}`,
			want:   &Event{Name: "e", Count: 1, First: 1772355600, Last: 1772355600},
		},
		"FirstOnly": {
			reason: "It is last when it happened first, if nothing else is said.",
			event:  `{"metadata":{"name":"e"},"firstTimestamp":"2026-03-01T09:00:00Z","count":0}`,
			want:   &Event{Name: "e", Count: 1, First: 1772355600, Last: 1772355600},
		},
		"WrongTypes": {
			reason: "Fields of the wrong type count as absent.",
			event:  `{"metadata":{"name":"e","uid":7},"involvedObject":"x","type":1,"reason":[],"message":{},"count":"3","series":[1],"firstTimestamp":"then","lastTimestamp":3,"eventTime":{}}`,
			want:   &Event{Name: "e", Count: 1},
		},
		"WrongTypesInvolved": {
			reason: "So it is in the object involved.",
			event:  `{"metadata":{"name":"e"},"involvedObject":{"apiVersion":1,"kind":[],"name":{},"namespace":true,"resourceVersion":4711},"count":-5,"series":{"count":1.5,"lastObservedTime":7}}`,
			want:   &Event{Name: "e", Count: 1},
		},
		"Bookmark": {
			reason: "A bookmark is no Event.",
			event:  `{"kind":"Event","apiVersion":"v1","metadata":{"resourceVersion":"12","creationTimestamp":null},"involvedObject":{},"source":{}}`,
		},
		"LongMessage": {
			reason: "A long message is cut.",
			event:  `{"metadata":{"name":"e"},"message":"` + strings.Repeat("x", 2*MaxMessage) + `"}`,
			want:   &Event{Name: "e", Count: 1, Message: cut(strings.Repeat("x", 2*MaxMessage))},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := eventReader{newDecoder(strings.NewReader(tc.event), events, "")}
			e, err := r.next()
			if err != nil {
				t.Fatalf("%s\nnext(): %v", tc.reason, err)
			}
			got, _ := e.kept.(*Event)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nnext(): -want, +got:\n%s", tc.reason, diff)
			}
			if _, err := r.next(); !errors.Is(err, io.EOF) {
				t.Errorf("%s\nthe Event was not read to its end: %v", tc.reason, err)
			}
		})
	}
}

// told is an EventStore that remembers what it was told.
type told struct {
	mu    sync.Mutex
	calls []string
}

func (s *told) call(verb string, events ...*Event) {
	slices.SortFunc(events, func(a, b *Event) int { return strings.Compare(a.Name, b.Name) }) // a first sync has no order
	for _, e := range events {
		verb += fmt.Sprintf(" %s×%d", e.Name, e.Count)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, verb)
}

func (s *told) Set(e *Event)         { s.call("set", e) }
func (s *told) Delete(e *Event)      { s.call("delete", e) }
func (s *told) Replace(all []*Event) { s.call("replace", all...) }

func TestEvents(t *testing.T) {
	eachWay(t, func(t *testing.T, change func(*world)) {
		event := func(name string, count int) string {
			return fmt.Sprintf("---\n{apiVersion: v1, kind: Event, metadata: {name: %s, namespace: default}, count: %d}\n", name, count)
		}
		store := &told{}
		w := newWorld(t, func(c *Config) { c.Events = store })
		change(w)
		var selectors []string
		w.wire.answer("/api/v1/events", func(req *http.Request) (*http.Response, error) {
			selectors = append(selectors, req.URL.Query().Get("fieldSelector"))
			return nil, nil
		})
		w.do(w.Apply(event("a", 1) + event("b", 2)))
		if s := w.Events(); s.Synced || s.Current {
			t.Errorf("before it runs nothing is synced, got %+v", s)
		}
		w.begin()
		w.do(w.Apply(event("a", 5)))
		w.do(w.Delete(event("b", 2)))
		w.pass(time.Minute)
		w.do(w.Disconnect("events"))
		w.do(w.Apply(event("c", 1)))
		w.pass(time.Minute)
		w.wire.stream("/api/v1/events").deaf()
		w.do(w.Delete(event("a", 5)))
		w.do(w.Forget("events"))
		w.pass(time.Minute)
		if want := []string{"replace a×1 b×2", "set a×5", "delete b×2", "set c×1", "replace c×1"}; !slices.Equal(store.calls, want) {
			t.Errorf("what was told: want %q, got %q", want, store.calls)
		}
		if s := w.Events(); !s.Synced || !s.Current || s.Err != nil || s.Restarts < 2 {
			t.Errorf("want all well, and two restarts, got %+v", s)
		}
		if len(w.Kinds()) > 0 {
			t.Errorf("Events are none of the kinds, got %v", w.watched())
		}
		for _, s := range selectors {
			if !strings.Contains(s, "involvedObject.kind!=Pod,") {
				t.Errorf("each request should leave out the Events of Pods, got %q", s)
			}
		}
		w.logged("It is nothing unusual.")
	})
}

func TestEventsForbidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Events = &told{} })
		w.do(w.Apply(vpcCRD().String()))
		w.do(w.Answer("events", http.StatusForbidden))
		w.begin()
		w.pass(time.Hour)
		if s := w.Events(); !s.Forbidden() {
			t.Errorf("want Events forbidden, got %+v", s)
		}
		if err := w.Ready(); err != nil {
			t.Errorf("Events are not what makes a Cluster ready, got %v", err)
		}
		w.logged("It is said once.", "WARN ClusterRole events")
	})
}

func TestNoEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.begin()
		if asked := w.wire.asked(); slices.ContainsFunc(asked, func(s string) bool { return strings.Contains(s, "events") }) {
			t.Errorf("without a store Events should not be asked for, got %q", asked)
		}
		if got := w.Events(); got != (KindStatus{}) {
			t.Errorf("want no status, got %+v", got)
		}
	})
}
