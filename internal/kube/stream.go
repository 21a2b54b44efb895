package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
)

// A reader reads one object from a stream and says what is kept of it.
type reader interface {
	next() (*entry, error)
	stream() *scanner
}

// An entry is an object on its way through client-go's Reflector: where it belongs, and what a Store keeps of it.
// Turning objects into what is kept as they are decoded means that the Reflector never holds whole objects, neither
// while it collects a first sync nor on the path of a plain list.
type entry struct {
	metav1.Object // for the dozens of getters the Reflector never asks: those of an empty object

	namespace, name, resourceVersion string
	initialEnd                       bool
	kept                             any
}

var emptyMeta = &metav1.ObjectMeta{}

func (e *entry) GetNamespace() string             { return e.namespace }
func (e *entry) GetName() string                  { return e.name }
func (e *entry) GetResourceVersion() string       { return e.resourceVersion }
func (e *entry) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject returns the entry itself: nobody changes one.
func (e *entry) DeepCopyObject() runtime.Object { return e }

// GetAnnotations says the one annotation the Reflector looks for.
func (e *entry) GetAnnotations() map[string]string {
	if !e.initialEnd {
		return nil
	}
	return map[string]string{metav1.InitialEventsAnnotationKey: "true"}
}

// entries is the answer to a list.
type entries struct {
	metav1.TypeMeta
	metav1.ListMeta

	Items []runtime.Object
}

func (l *entries) DeepCopyObject() runtime.Object { return l }

// frames decodes the events of a watch: {"type":"MODIFIED","object":{…}} after another.
type frames struct {
	body    io.ReadCloser
	reader  reader
	syncing bool        // all objects are sent first, up to a bookmark that says so
	seen    func()      // called for each event
	broken  func(error) // called where the stream cannot be read further, though it goes on
	over    func()      // called by Close
}

// Decode implements watch.Decoder. It fails with io.EOF when the watch ends, as it does every few minutes: the Reflector
// then goes on from where it was.
func (f *frames) Decode() (watch.EventType, runtime.Object, error) {
	event, object, err := f.decode()
	var e *entry
	switch o := object.(type) {
	case *entry:
		e = o
	case *metav1.Status:
		// The Reflector would wait for some of these with no heed to its context, and not at all for others.
		if f.syncing {
			err = fmt.Errorf("the watch failed before it had sent all objects: %w", apierrors.FromObject(o))
		}
	}
	switch {
	case err == nil:
		f.seen()
		f.syncing = f.syncing && (e == nil || !e.initialEnd)
		return event, object, nil
	case malformed(err):
		f.broken(err)
		return "", nil, err
	case f.syncing && !errors.As(err, new(apierrors.APIStatus)):
		// Not io.EOF, at which the Reflector would start over without a pause.
		return "", nil, errors.New("the watch ended before it had sent all objects")
	case f.syncing:
		return "", nil, err
	default:
		return "", nil, io.EOF
	}
}

func (f *frames) decode() (event watch.EventType, object runtime.Object, err error) {
	dec := f.reader.stream()
	dec.bulk = f.syncing
	err = dec.object(func(name []byte) error {
		switch string(name) {
		case `"type"`:
			v, err := dec.value()
			event = eventType(v)
			return err
		case `"object"`:
			if event == watch.Error {
				status, err := readStatus(dec)
				object = status
				return err
			}
			e, err := f.reader.next()
			object = e
			return err
		default:
			_, err := dec.value()
			return err
		}
	})
	if err != nil {
		return "", nil, err
	}
	if object == nil || !slices.Contains(eventTypes, event) {
		return "", nil, fmt.Errorf("%w: watch event of type %q", errMalformed, event)
	}
	if _, ok := object.(*metav1.Status); !ok && event == watch.Error { // the object came before the type
		object = &metav1.Status{Status: metav1.StatusFailure, Message: "the watch reported an error", Reason: metav1.StatusReasonInternalError}
	}
	return event, object, nil
}

// Close implements watch.Decoder. The Reflector closes each watch before it opens the next.
func (f *frames) Close() {
	f.body.Close() // nothing is written to it, so nothing can be lost
	f.over()
}

// errMalformed is wrapped by errors of what is no JSON, or not what was asked for.
var errMalformed = errors.New("unexpected answer")

// malformed is whether err says that what was read makes no sense, and not that no more could be read.
func malformed(err error) bool { return errors.Is(err, errMalformed) }

var eventTypes = []watch.EventType{watch.Added, watch.Modified, watch.Deleted, watch.Bookmark, watch.Error}

func eventType(v []byte) watch.EventType {
	for _, t := range eventTypes {
		if len(v) == len(t)+2 && string(v[1:len(v)-1]) == string(t) {
			return t
		}
	}
	return watch.EventType(v)
}

func readStatus(dec *scanner) (*metav1.Status, error) {
	v, err := dec.value()
	if err != nil {
		return nil, err
	}
	var s metav1.Status
	if err := json.Unmarshal(v, &s); err != nil {
		return nil, fmt.Errorf("%w: error event of a watch: %w", errMalformed, err)
	}
	return &s, nil
}

// readList decodes the answer to a list item by item, so that no more than one object is ever held whole.
func readList(r reader) (*entries, error) {
	dec := r.stream()
	dec.bulk = true
	list := &entries{}
	err := dec.object(func(name []byte) error {
		switch string(name) {
		case `"metadata"`:
			v, err := dec.value()
			if err != nil {
				return err
			}
			if err := json.Unmarshal(v, &list.ListMeta); err != nil {
				return fmt.Errorf("%w: metadata of a list: %w", errMalformed, err)
			}
			return nil
		case `"items"`:
			if dec.kind() != 'n' { // an empty list, as some servers say it
				return dec.array(func() error {
					e, err := r.next()
					list.Items = append(list.Items, e)
					return err
				})
			}
		}
		_, err := dec.value()
		return err
	})
	return list, err
}
