// Package kubetest is an API server for tests. It serves the objects it is given, from memory, by list, by watch and by
// WatchList, and fails as it is told to.
package kubetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// A Server is an http.Handler, for a test with a network, and an http.RoundTripper, for one without: in a bubble of
// testing/synctest, synctest.Wait then returns when all there was to watch has been seen. The zero value is ready to use.
//
// Resources are named as CustomResourceDefinitions are: "instances.rds.aws.upbound.io", "namespaces".
type Server struct {
	// RefuseWatchList makes it a server that cannot stream lists.
	RefuseWatchList bool
	// Mangle, if not nil, has a last look at the JSON of each object that is sent.
	Mangle func([]byte) []byte

	mu          sync.Mutex
	version     int64
	collections map[string]*collection // by resource
	codes       map[string]int         // by resource, or "" for all
	changed     chan struct{}          // closed at the next change
}

// collection is the objects of one resource.
type collection struct {
	kind    schema.GroupKind
	served  []string // versions
	objects map[string]*unstructured.Unstructured
	log     []event
	from    int64 // the log is whole from this version on
	watches int   // changes when all watches are to end
}

type event struct {
	version int64
	kind    watch.EventType
	object  []byte
}

const definitions = "customresourcedefinitions.apiextensions.k8s.io"

func builtin() map[string]*collection {
	c := map[string]*collection{}
	for resource, kind := range map[string]schema.GroupKind{
		definitions:                  {Group: apiextensionsv1.GroupName, Kind: "CustomResourceDefinition"},
		"namespaces":                 {Kind: "Namespace"},
		"serviceaccounts":            {Kind: "ServiceAccount"},
		"events":                     {Kind: "Event"},
		"configmaps":                 {Kind: "ConfigMap"},
		"leases.coordination.k8s.io": {Group: "coordination.k8s.io", Kind: "Lease"},
	} {
		c[resource] = &collection{kind: kind, served: []string{"v1"}, objects: map[string]*unstructured.Unstructured{}}
	}
	return c
}

// change calls f with the state, and wakes the watches.
func (s *Server) change(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.prepare()
	defer func() {
		close(s.changed)
		s.changed = make(chan struct{})
	}()
	return f()
}

func (s *Server) prepare() {
	if s.collections == nil {
		s.collections, s.codes, s.changed = builtin(), map[string]int{}, make(chan struct{})
	}
}

// Apply creates or replaces the objects in a stream of YAML documents. A CustomResourceDefinition among them is served at
// once, and established unless its own status says otherwise.
func (s *Server) Apply(documents string) error {
	return s.change(func() error {
		return each(documents, s.put)
	})
}

// Delete takes away the objects of which documents say at least kind, name and namespace. With a CustomResourceDefinition go
// its objects.
func (s *Server) Delete(documents string) error {
	return s.change(func() error {
		return each(documents, s.remove)
	})
}

// Unreachable is what Answer takes for a server that is not there.
const Unreachable = -1

// Answer makes the server answer requests for the resource, or all with "", with this HTTP status from now on, and ends
// their watches. With 0 it does its work again.
func (s *Server) Answer(resource string, code int) error {
	return s.change(func() error {
		s.codes[resource] = code
		if s.collections[resource] == nil && resource != "" { // to be defined later
			return nil
		}
		return s.endWatches(resource)
	})
}

// Disconnect ends the watches of the resource, or all with "".
func (s *Server) Disconnect(resource string) error {
	return s.change(func() error { return s.endWatches(resource) })
}

// Forget ends the watches of the resource and forgets what was changed so far: who resumes one is told 410 Gone.
func (s *Server) Forget(resource string) error {
	return s.change(func() error {
		c := s.collections[resource]
		if c == nil {
			return fmt.Errorf("no resource %q", resource)
		}
		s.version++
		c.log, c.from = nil, s.version
		return s.endWatches(resource)
	})
}

func (s *Server) endWatches(resource string) error {
	if resource != "" && s.collections[resource] == nil {
		return fmt.Errorf("no resource %q", resource)
	}
	for name, c := range s.collections {
		if resource == "" || resource == name {
			c.watches++
		}
	}
	return nil
}

func each(documents string, f func(*unstructured.Unstructured) error) error {
	d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(documents), 4096)
	for {
		o := &unstructured.Unstructured{}
		switch err := d.Decode(&o.Object); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case o.Object == nil: // nothing between two separators
			continue
		}
		if err := f(o); err != nil {
			return fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
		}
	}
}

// find is the collection that o belongs to.
func (s *Server) find(o *unstructured.Unstructured) (*collection, error) {
	kind := o.GroupVersionKind().GroupKind()
	for _, c := range s.collections {
		if c.kind == kind {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no CustomResourceDefinition of %s; apply it first", kind)
}

func key(o *unstructured.Unstructured) string { return o.GetNamespace() + "/" + o.GetName() }

func (s *Server) put(o *unstructured.Unstructured) error {
	c, err := s.find(o)
	if err != nil {
		return err
	}
	if c == s.collections[definitions] {
		if err := s.define(o); err != nil {
			return err
		}
	}
	s.version++
	o.SetResourceVersion(strconv.FormatInt(s.version, 10))
	kind := watch.Added
	if c.objects[key(o)] != nil {
		kind = watch.Modified
	}
	c.objects[key(o)] = o
	return s.record(c, kind, o)
}

func (s *Server) remove(o *unstructured.Unstructured) error {
	c, err := s.find(o)
	if err != nil {
		return err
	}
	last := c.objects[key(o)]
	if last == nil {
		return errors.New("is not there")
	}
	if c == s.collections[definitions] {
		instances := s.collections[o.GetName()]
		for _, name := range sorted(instances.objects) {
			if err := s.remove(instances.objects[name]); err != nil {
				return err
			}
		}
		instances.watches++
		delete(s.collections, o.GetName())
	}
	delete(c.objects, key(o))
	s.version++
	last = last.DeepCopy()
	last.SetResourceVersion(strconv.FormatInt(s.version, 10))
	return s.record(c, watch.Deleted, last)
}

func (s *Server) record(c *collection, kind watch.EventType, o *unstructured.Unstructured) error {
	b, err := s.marshal(o)
	c.log = append(c.log, event{s.version, kind, b})
	return err
}

func (s *Server) marshal(o any) ([]byte, error) {
	b, err := json.Marshal(o)
	if s.Mangle != nil {
		b = s.Mangle(b)
	}
	return b, err
}

// define serves what a CustomResourceDefinition defines.
func (s *Server) define(o *unstructured.Unstructured) error {
	group, _, _ := unstructured.NestedString(o.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(o.Object, "spec", "names", "kind")
	versions, _, err := unstructured.NestedSlice(o.Object, "spec", "versions")
	if err != nil {
		return err
	}
	c := s.collections[o.GetName()]
	if c == nil {
		c = &collection{kind: schema.GroupKind{Group: group, Kind: kind}, objects: map[string]*unstructured.Unstructured{}}
		s.collections[o.GetName()] = c
	}
	served := []string{}
	for _, v := range versions {
		if v, ok := v.(map[string]any); ok && v["served"] == true {
			served = append(served, fmt.Sprint(v["name"]))
		}
	}
	if !slices.Equal(served, c.served) {
		c.served = served
		c.watches++
	}
	if o.Object["status"] == nil {
		o.Object["status"] = map[string]any{"conditions": []any{
			map[string]any{"type": string(apiextensionsv1.Established), "status": "True"},
		}}
	}
	return nil
}

func sorted(objects map[string]*unstructured.Unstructured) []string {
	names := make([]string, 0, len(objects))
	for name := range objects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	group, version, resource := split(req.URL.Path)
	name := resource
	if group != "" {
		name += "." + group
	}
	q := req.URL.Query()

	s.mu.Lock()
	s.prepare()
	c, code := s.collections[name], s.codes[name]
	if code == 0 {
		code = s.codes[""]
	}
	found := c != nil && slices.Contains(c.served, version)
	s.mu.Unlock()

	switch {
	case code == Unreachable:
		panic(http.ErrAbortHandler)
	case code != 0:
		refuse(w, code, group, resource)
	case !found:
		refuse(w, http.StatusNotFound, group, resource)
	case q.Get("watch") == "":
		s.list(w, c)
	case q.Get("sendInitialEvents") == "true" && s.RefuseWatchList:
		refuse(w, http.StatusUnprocessableEntity, group, resource)
	default:
		s.watch(w, req, c)
	}
}

// split takes /apis/group/version/resource or /api/version/resource apart.
func split(path string) (group, version, resource string) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	if len(parts) > 0 && parts[0] == "apis" {
		parts = parts[1:]
	} else if len(parts) > 0 {
		parts[0] = ""
	}
	if len(parts) != 3 {
		return "", "", ""
	}
	return parts[0], parts[1], parts[2]
}

func refuse(w http.ResponseWriter, code int, group, resource string) {
	gr := schema.GroupResource{Group: group, Resource: resource}
	err := apierrors.NewGenericServerResponse(code, "list", gr, "", "", 0, false)
	if code == http.StatusForbidden { // as RBAC says it
		err = apierrors.NewForbidden(gr, "", errors.New(`user "test" cannot list resource`))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	status := err.ErrStatus
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	status.Message += ": as the test wants it"
	json.NewEncoder(w).Encode(status) //nolint:errcheck,errchkjson // The client may be gone.
}

func (s *Server) list(w http.ResponseWriter, c *collection) {
	s.mu.Lock()
	items := make([]json.RawMessage, 0, len(c.objects))
	for _, name := range sorted(c.objects) {
		b, err := s.marshal(c.objects[name])
		if err != nil {
			panic(err) // It was JSON or YAML before.
		}
		items = append(items, b)
	}
	version := s.version
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"kind":"%sList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"items":[`, c.kind.Kind, version)
	for i, b := range items {
		if i > 0 {
			io.WriteString(w, ",") //nolint:errcheck // The client may be gone.
		}
		w.Write(b)
	}
	io.WriteString(w, "]}\n") //nolint:errcheck // As above.
}

func (s *Server) watch(w http.ResponseWriter, req *http.Request, c *collection) {
	q := req.URL.Query()
	since, err := strconv.ParseInt(q.Get("resourceVersion"), 10, 64)
	fromNow := err != nil || since == 0
	bookmark := q.Get("sendInitialEvents") == "true"
	send := func(kind watch.EventType, object []byte) {
		fmt.Fprintf(w, `{"type":%q,"object":%s}`+"\n", kind, object)
	}

	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	s.mu.Lock()
	watches := c.watches
	gone := !fromNow && !bookmark && since < c.from
	var initial [][]byte
	if fromNow || bookmark {
		since = s.version
		for _, name := range sorted(c.objects) {
			b, err := s.marshal(c.objects[name])
			if err != nil {
				panic(err) // It was JSON or YAML before.
			}
			initial = append(initial, b)
		}
	}
	s.mu.Unlock()
	if gone {
		b, _ := json.Marshal(apierrors.NewResourceExpired("too old resource version").ErrStatus) //nolint:errchkjson // It is plain data.
		send(watch.Error, b)
		return
	}
	for _, b := range initial {
		send(watch.Added, b)
	}
	if bookmark {
		send(watch.Bookmark, fmt.Appendf(nil, `{"kind":%q,"apiVersion":"v1","metadata":{"resourceVersion":"%d","annotations":{%q:"true"}}}`,
			c.kind.Kind, since, metav1.InitialEventsAnnotationKey))
	}
	for {
		s.mu.Lock()
		log, changed, ended := slices.Clone(c.log), s.changed, c.watches != watches
		if since < c.from { // what it would send is not all there was
			log, ended = nil, true
		}
		s.mu.Unlock()
		for _, e := range log {
			if e.version > since {
				send(e.kind, e.object)
				since = e.version
			}
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		if ended {
			return
		}
		select {
		case <-changed:
		case <-req.Context().Done():
			return
		}
	}
}

// Config reaches the server without a network.
func (s *Server) Config() *rest.Config {
	return &rest.Config{Host: "http://cluster.test", Transport: s}
}
