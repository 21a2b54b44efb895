package kube

import (
	"strings"

	"k8s.io/apimachinery/pkg/fields"
)

// An Event is what is read of a Kubernetes Event: something that happened to an object, once or several times.
// https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/
type Event struct {
	Namespace, Name string
	// UID changes when an Event expires and comes back under the same name.
	UID string
	// Involved is what it happened to.
	Involved Involved
	Warning  bool
	Reason   string
	Message  string // cut to MaxMessage bytes
	// Count is how often it has happened since the Event, or the one it continues, was first written: at least 1.
	Count int64
	// First and Last are when it happened for the first and for the last time, in Unix seconds, 0 where absent.
	First, Last int64
}

// Involved is the object of an Event.
type Involved struct {
	Group, Kind, Namespace, Name string
	// ResourceVersion is the version that the reporter held at the first of the Event's occurrences; client-go's recorder does
	// not renew it with the count.
	ResourceVersion string
}

// An EventStore is told of the cluster's Events, one call at a time.
type EventStore interface {
	// Set is told of an Event that is new or has changed.
	Set(*Event)
	// Delete is told of an Event that has expired, in its last state.
	Delete(*Event)
	// Replace is told of all Events there are: at the first sync, and each time a watch was lost.
	Replace([]*Event)
}

// events is the kind of Events.
var events = Kind{Version: "v1", Name: "Event", Resource: "events"}

// eventFields leaves the Events of busy kinds, which are never managed resources, to the API server.
var eventFields = func() string {
	kinds := strings.Fields("Pod Node ReplicaSet Deployment StatefulSet DaemonSet Job CronJob HorizontalPodAutoscaler PersistentVolumeClaim Service Endpoints Ingress Lease")
	s := make([]fields.Selector, 0, len(kinds))
	for _, kind := range kinds {
		s = append(s, fields.OneTermNotEqualSelector("involvedObject.kind", kind))
	}
	return fields.AndSelectors(s...).String()
}()

// eventStore is an EventStore as a Store.
type eventStore struct{ EventStore }

func (eventStore) Keep(*Object) any { return nil } // eventReader keeps the Event itself
func (eventStore) Close()           {}

func (s eventStore) Set(kept any)    { s.EventStore.Set(kept.(*Event)) }    //nolint:forcetypeassert // What eventReader keeps.
func (s eventStore) Delete(kept any) { s.EventStore.Delete(kept.(*Event)) } //nolint:forcetypeassert // As above.

func (s eventStore) Replace(kept []any) {
	list := make([]*Event, 0, len(kept))
	for _, k := range kept {
		list = append(list, k.(*Event)) //nolint:forcetypeassert // As above.
	}
	s.EventStore.Replace(list)
}

// eventReader reads Events.
type eventReader struct{ d *decoder }

func (r eventReader) stream() *scanner { return r.d.json }

func (r eventReader) next() (*entry, error) {
	d := r.d
	d.reset()
	e := &Event{}
	var eventTime int64
	err := d.members(func(name []byte) (err error) {
		switch string(name) {
		case `"metadata"`:
			return d.members(func(name []byte) (err error) {
				if string(name) != `"uid"` {
					return d.metadata(name)
				}
				e.UID, err = d.str()
				return err
			})
		case `"involvedObject"`:
			return d.members(func(name []byte) error { return d.involved(name, &e.Involved) })
		case `"type"`:
			var t []byte
			t, err = d.bytes()
			e.Warning = string(t) == "Warning"
		case `"reason"`:
			e.Reason, err = d.word()
		case `"message"`:
			var m []byte
			m, err = d.bytes()
			e.Message = string(appendCut(d.message[:0], m))
		case `"count"`:
			var n int64
			n, err = d.integer()
			e.Count = max(e.Count, n)
		case `"firstTimestamp"`:
			e.First, err = d.time()
		case `"lastTimestamp"`:
			var t int64
			t, err = d.time()
			e.Last = max(e.Last, t)
		case `"eventTime"`:
			eventTime, err = d.time()
		case `"series"`: // of the events.k8s.io API, which has neither count nor lastTimestamp
			return d.members(func(name []byte) (err error) {
				var n int64
				switch string(name) {
				case `"count"`:
					n, err = d.integer()
					e.Count = max(e.Count, n)
				case `"lastObservedTime"`:
					n, err = d.time()
					e.Last = max(e.Last, n)
				default:
					err = d.skip()
				}
				return err
			})
		default:
			err = d.skip()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	e.Namespace, e.Name = d.obj.Namespace, d.obj.Name
	e.Count = max(e.Count, 1)
	if e.First == 0 {
		e.First = eventTime
	}
	e.Last = max(e.Last, e.First, eventTime)
	if e.Name == "" { // a bookmark
		return d.entry(nil), nil
	}
	return d.entry(e), nil
}

func (d *decoder) involved(name []byte, o *Involved) (err error) {
	switch string(name) {
	case `"apiVersion"`:
		var v string
		v, err = d.word()
		if group, _, ok := strings.Cut(v, "/"); ok {
			o.Group = group
		}
	case `"kind"`:
		o.Kind, err = d.word()
	case `"namespace"`:
		o.Namespace, err = d.word()
	case `"name"`:
		o.Name, err = d.str()
	case `"resourceVersion"`:
		o.ResourceVersion, err = d.str()
	default:
		err = d.skip()
	}
	return err
}
