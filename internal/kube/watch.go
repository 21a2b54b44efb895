package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// A Store holds what one kind's watch delivers. Its methods but Keep are called one at a time.
type Store interface {
	// Keep says what the store holds of an object: something small, or nil to hold nothing. It may be called for an object
	// that is never Set, while another method runs, and for a moment after Close; o is valid during the call only. Whether it
	// is nil may depend on nothing that changes in an object's life.
	Keep(o *Object) any
	// Set holds what was kept of an object that is new or has changed.
	Set(kept any)
	// Delete is given what was kept of the last state of an object that is gone.
	Delete(kept any)
	// Replace holds these instead of all that was held before: the first sync, and each one after a watch was lost.
	Replace(kept []any)
	// Close ends the store: its kind is no longer watched.
	Close()
}

// backoff is how a kind is tried again: soon at first, and then ever more rarely. One that worked for as long as steady is tried soon again.
var backoff = wait.Backoff{Duration: 250 * time.Millisecond, Factor: 2, Jitter: 1, Steps: 8, Cap: 30 * time.Second}

const steady = time.Minute

// A watcher keeps one Store up to date with the objects of one kind.
type watcher struct {
	kind   Kind
	client rest.Interface
	store  Store
	fields string // a field selector, "" for all objects
	read   func(io.Reader) reader
	server *server
	gate   chan struct{} // holds one token for each kind that may do its first sync at the same time
	log    *slog.Logger

	mu      sync.Mutex
	state   KindStatus
	opened  bool        // a watch was open before
	turn    *time.Timer // not nil while a token of the gate is held
	said    []string    // what trouble was logged since all was well
	saidOdd bool        // an odd object was logged
	absent  int         // how often in a row the kind was not found

	refused error // why the list is not streamed; only the Reflector's calls, one after another, touch it
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context) {
	defer w.leaveGate()
	discard := logr.Discard() // what client-go would log, the watcher says itself, and once
	ctx = klog.NewContext(ctx, discard)
	b := backoff
	r := cache.NewReflectorWithOptions(
		&cache.ListWatch{ListWithContextFunc: w.list, WatchFuncWithContext: w.watch},
		nil, reflectorStore{w}, cache.ReflectorOptions{Name: w.kind.String(), Logger: &discard, Backoff: &b})
	// The Reflector's own loop forgets every other minute that it has failed, and keeps all other loops waiting while it
	// reports an error.
	for ctx.Err() == nil {
		begun := time.Now()
		r.ListAndWatchWithContext(ctx) //nolint:errcheck // What went wrong was noted where it did.
		if time.Since(begun) > steady {
			b = backoff
		}
		pause := b.Step()
		if w.newborn() {
			pause = min(pause, backoff.Duration)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// newborn is whether the kind has not been served yet, though its definition says it is: for its first two seconds that is
// only a matter of time.
func (w *watcher) newborn() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.state.Synced && w.absent > 0 && w.absent <= 8
}

// list is the way to sync with a server that does not stream lists, and after one that failed to.
func (w *watcher) list(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
	refused := w.refused
	w.refused = nil
	if refused != nil && !mayList(refused) {
		w.failed(refused)
		return nil, refused
	}
	if err := w.enterGate(ctx); err != nil {
		return nil, err
	}
	body, err := w.open(ctx, opts)
	if err != nil {
		if !forgotten(err, opts) {
			w.failed(err)
		}
		return nil, err
	}
	defer body.Close()
	list, err := readList(w.read(body))
	if err != nil {
		if !malformed(err) {
			err = fmt.Errorf("%w: %w", errCut, err)
		}
		w.failed(err)
		return nil, err
	}
	w.heard()
	return list, nil
}

// mayList is whether a server that refuses to stream a list may yet give it.
func mayList(err error) bool {
	return !unreachable(err) && !apierrors.IsUnauthorized(err) && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err) && !apierrors.IsTooManyRequests(err)
}

// errNotStreamed makes the Reflector list. There are errors at which it would ask for the same stream again, and either
// wait for that without heed to its context or not wait at all.
var errNotStreamed = errors.New("the list is not streamed")

func (w *watcher) watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error) {
	streamsList := opts.SendInitialEvents != nil
	if streamsList {
		if err := w.enterGate(ctx); err != nil {
			return nil, err
		}
	}
	opts.Watch = true
	body, err := w.open(ctx, opts)
	switch {
	case err != nil && streamsList:
		w.refused = err
		return nil, errNotStreamed
	case err != nil:
		if !forgotten(err, opts) {
			w.failed(err)
		}
		return nil, err
	}
	w.connected()
	if !streamsList {
		w.recovered()
	}
	f := &frames{body: body, reader: w.read(body), syncing: streamsList, seen: w.heard, broken: w.failed, over: w.over}
	return watch.NewStreamWatcher(f, reporter{}), nil
}

// forgotten is whether err says that the server does not go back as far as it was asked to: nothing unusual, at which the
// Reflector syncs anew.
func forgotten(err error, opts metav1.ListOptions) bool {
	return opts.ResourceVersion != "" && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err))
}

func (w *watcher) open(ctx context.Context, opts metav1.ListOptions) (io.ReadCloser, error) {
	opts.FieldSelector = w.fields
	root := "/apis"
	if w.kind.Group == "" {
		root = "/api"
	}
	return w.client.Get().
		AbsPath(root, w.kind.Group, w.kind.Version, w.kind.Resource).
		SetHeader("Accept", runtime.ContentTypeJSON).
		SpecificallyVersionedParams(&opts, parameters, metaVersion).
		Stream(ctx)
}

var (
	metaVersion = schema.GroupVersion{Version: "v1"}
	parameters  = runtime.NewParameterCodec(scheme())
)

// scheme has what the API server says about objects: of list options and errors.
func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, metaVersion)
	return s
}

// maxTurn is how long a kind may keep others waiting. One that needs longer, because it is large or a conversion webhook
// does not answer, goes on beside them.
const maxTurn = 5 * time.Second

// enterGate waits for a turn to sync, so that hundreds of kinds do not all ask for everything at once.
func (w *watcher) enterGate(ctx context.Context) error {
	w.mu.Lock()
	in := w.turn != nil
	w.mu.Unlock()
	if in {
		return nil
	}
	select {
	case w.gate <- struct{}{}:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.turn = time.AfterFunc(maxTurn, w.leaveGate)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *watcher) leaveGate() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn != nil {
		w.turn.Stop()
		w.turn = nil
		<-w.gate
	}
}

// KindStatus is how the watch of a kind is doing.
type KindStatus struct {
	Kind Kind
	// Synced is whether all objects of the kind have been seen once, and Current whether its watch is open now.
	Synced, Current bool
	// Heard is when the server last said something about the kind. Bookmarks make that once a minute at least.
	Heard time.Time
	// Err is why the kind cannot be listed or watched, nil while it can.
	Err error
	// Restarts counts the watches opened after the first. The server itself ends one every five to ten minutes.
	Restarts uint64
	// DecodeErrors counts objects with parts that were not what the API promises, and streams of broken JSON.
	DecodeErrors uint64
}

// Forbidden is whether RBAC does not let the exporter read the kind.
func (s KindStatus) Forbidden() bool {
	return apierrors.IsForbidden(s.Err) || apierrors.IsUnauthorized(s.Err)
}

// Answered is whether the server has answered for the kind at all: with its objects, or with why not.
func (s KindStatus) Answered() bool {
	return s.Synced || answer(s.Err)
}

// answer is whether err is what the server has answered: a refusal, or something that makes no sense.
func answer(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) || malformed(err)
}

// errCut is wrapped by errors of an answer that began well.
var errCut = errors.New("the answer was cut off")

// unreachable is whether err says that the server could not even be asked.
func unreachable(err error) bool {
	return err != nil && !answer(err) && !errors.Is(err, errCut)
}

func (w *watcher) status() KindStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state
}

func (w *watcher) heard() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Heard = time.Now()
}

func (w *watcher) connected() {
	w.server.reached()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.opened {
		w.state.Restarts++
	}
	w.opened = true
	w.state.Current, w.state.Heard = true, time.Now()
}

// over notes that the watch has ended. It is called before the next one is opened.
func (w *watcher) over() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Current = false
}

// recovered notes that the kind is watched, and all its objects are known.
func (w *watcher) recovered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.said) > 0 {
		w.log.Info("kind is watched again", "kind", w.kind.String())
	}
	w.state.Err, w.said, w.absent = nil, nil, 0
}

// failed notes why the kind cannot be read, and says it once. A server that is not there is not the kind's fault and is
// said once for all.
func (w *watcher) failed(err error) {
	w.leaveGate()
	if errors.Is(err, context.Canceled) { // the end
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.state.Err = err
	if malformed(err) {
		w.state.DecodeErrors++
	}
	if unreachable(err) {
		w.server.unreachable(err)
		return
	}
	w.server.reached()
	if apierrors.IsNotFound(err) {
		w.absent++
		if w.absent < 3 { // as in the first and the last moments of a CustomResourceDefinition
			w.log.Debug("kind is not served", "kind", w.kind.String(), "version", w.kind.Version, "err", err)
			return
		}
	}
	log := w.log.With("group", w.kind.Group, "version", w.kind.Version, "resource", w.kind.Resource, "err", err)
	switch {
	case w.state.Forbidden():
		if w.first("forbidden") {
			log.Warn("kind may not be read: its objects are missing from the metrics; allow list and watch in the exporter's ClusterRole")
		}
	case malformed(err):
		if w.first("malformed") {
			log.Warn("the API server's answer for a kind makes no sense; what was seen of it before is kept, and it is tried again")
		}
	default:
		if w.first("other") {
			log.Warn("kind cannot be read; what was seen of it before is kept, and it is tried again")
		}
	}
}

// first is whether some trouble is new since all was well.
func (w *watcher) first(trouble string) bool {
	if slices.Contains(w.said, trouble) {
		return false
	}
	w.said = append(w.said, trouble)
	return true
}

// odd counts an object that was read only in part.
func (w *watcher) odd(o *Object) {
	w.mu.Lock()
	first := !w.saidOdd
	w.saidOdd = true
	w.state.DecodeErrors++
	w.mu.Unlock()
	if first {
		w.log.Warn("an object has fields of a type the API does not promise; they are left out (said once for each kind)",
			"kind", w.kind.String(), "namespace", o.Namespace, "name", o.Name)
	}
}

// reflectorStore is the store as the Reflector wants it.
type reflectorStore struct{ w *watcher }

func (s reflectorStore) Add(obj any) error { return s.Update(obj) }

func (s reflectorStore) Update(obj any) error {
	if e, ok := obj.(*entry); ok && e.kept != nil {
		s.w.store.Set(e.kept)
	}
	return nil
}

func (s reflectorStore) Delete(obj any) error {
	if e, ok := obj.(*entry); ok && e.kept != nil {
		s.w.store.Delete(e.kept)
	}
	return nil
}

func (s reflectorStore) Replace(list []any, _ string) error {
	kept := list[:0] // the Reflector gives the list away
	for _, obj := range list {
		if e, ok := obj.(*entry); ok && e.kept != nil {
			kept = append(kept, e.kept)
		}
	}
	s.w.store.Replace(kept)
	s.w.leaveGate()
	s.w.mu.Lock()
	s.w.state.Synced = true
	streamed := s.w.state.Current
	s.w.mu.Unlock()
	if streamed { // else a watch follows, which may yet be refused
		s.w.recovered()
	}
	return nil
}

func (s reflectorStore) Resync() error { return nil }

// reporter turns the error of a stream into the object client-go wants.
type reporter struct{}

func (reporter) AsObject(err error) runtime.Object {
	return &metav1.Status{Status: metav1.StatusFailure, Message: err.Error(), Reason: metav1.StatusReasonInternalError, Code: http.StatusInternalServerError}
}
