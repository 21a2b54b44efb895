package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// syncsAtOnce is how many kinds do their first sync at the same time.
const syncsAtOnce = 16

// A Config says what a Cluster watches and who is told.
type Config struct {
	REST   *rest.Config
	Select Selection
	// TeamLabel is the key of the label, or else annotation, that names an object's team. "" looks for none.
	TeamLabel string
	// Watches is whether a kind that is selected is watched; nil watches all.
	Watches func(Kind) bool
	// Open makes the store of a kind that is found.
	Open func(Kind) Store
	// TeamChanged is told that Team says something new about a namespace. May be nil.
	TeamChanged func(namespace string)
	// Identities is whether it is read who the objects are outside of the cluster: IDs, Principals and ServiceAccounts.
	Identities bool
	// ServiceAccounts holds the cluster's ServiceAccounts; nil for nobody.
	ServiceAccounts Store
	// Events is told of the cluster's Events; nil for nobody.
	Events EventStore
	Log    *slog.Logger
}

// A Cluster watches the kinds of a cluster that matter, as they come and go.
type Cluster struct {
	cfg    Config
	client rest.Interface
	server *server
	gate   chan struct{}

	definitions *watcher
	namespaces  *watcher // nil without a team label
	accounts    *watcher // nil without Config.ServiceAccounts
	events      *watcher // nil without Config.Events
	teams       sync.Map // of namespace to team
	ready       atomic.Bool

	mu    sync.Mutex
	kinds map[string]*running // by the name of the definition
	ctx   context.Context     //nolint:containedctx // Of Run: kinds found later live as long as it.
	wg    sync.WaitGroup
}

type running struct {
	*watcher
	stop func()
}

// New makes a Cluster. It fails only when cfg.REST cannot be used at all; it does not connect yet.
func New(cfg Config) (*Cluster, error) {
	rc := rest.CopyConfig(cfg.REST)
	rc.GroupVersion = &schema.GroupVersion{}
	rc.NegotiatedSerializer = serializer.NewCodecFactory(scheme()).WithoutConversion() // for errors
	// The API server limits by priority and fairness; a limit on this side would make hundreds of kinds queue for nothing.
	rc.QPS = -1
	// What is saved on the wire inside a cluster is paid several times over in the API server's CPU.
	rc.DisableCompression = true
	client, err := rest.UnversionedRESTClientFor(rc)
	if err != nil {
		return nil, fmt.Errorf("cannot use the configuration of the cluster at %q: %w", rc.Host, err)
	}
	c := &Cluster{cfg: cfg, client: client, server: &server{host: rc.Host, log: cfg.Log}, gate: make(chan struct{}, syncsAtOnce), kinds: map[string]*running{}}
	c.definitions = c.watcher(definitions, definitionStore{c})
	c.definitions.read = func(r io.Reader) reader { return definitionReader{newDecoder(r, definitions, "")} }
	if cfg.TeamLabel != "" {
		c.namespaces = c.watcher(Kind{Version: "v1", Name: "Namespace", Resource: "namespaces"}, namespaceStore{c})
	}
	if cfg.ServiceAccounts != nil {
		c.accounts = c.watcher(Kind{Version: "v1", Name: "ServiceAccount", Resource: "serviceaccounts", Namespaced: true}, cfg.ServiceAccounts)
	}
	if cfg.Events != nil {
		c.events = c.watcher(events, eventStore{cfg.Events})
		c.events.fields = eventFields
		c.events.read = func(r io.Reader) reader { return eventReader{newDecoder(r, events, "")} }
	}
	return c, nil
}

func (c *Cluster) watcher(k Kind, s Store) *watcher {
	w := &watcher{kind: k, client: c.client, store: s, server: c.server, gate: c.gate, log: c.cfg.Log, state: KindStatus{Kind: k}}
	w.read = func(r io.Reader) reader {
		d := newDecoder(r, k, c.cfg.TeamLabel)
		d.identities = c.cfg.Identities
		return objectReader{d: d, keep: s.Keep, odd: w.odd}
	}
	return w
}

// Run watches until ctx ends. Nothing the cluster does ends it.
func (c *Cluster) Run(ctx context.Context) error {
	c.mu.Lock()
	c.ctx = ctx
	c.mu.Unlock()
	if c.namespaces != nil {
		c.wg.Go(func() { c.namespaces.run(ctx) })
	}
	if c.accounts != nil {
		c.wg.Go(func() { c.accounts.run(ctx) })
	}
	if c.events != nil {
		c.wg.Go(func() { c.events.run(ctx) })
	}
	c.definitions.run(ctx)
	c.wg.Wait()
	return nil
}

// Kinds is how each watched kind is doing, in order of group and kind.
func (c *Cluster) Kinds() []KindStatus {
	c.mu.Lock()
	list := make([]KindStatus, 0, len(c.kinds))
	for _, r := range c.kinds {
		list = append(list, r.status())
	}
	c.mu.Unlock()
	slices.SortFunc(list, func(a, b KindStatus) int { return strings.Compare(a.Kind.String(), b.Kind.String()) })
	return list
}

// Current is whether all objects of a kind have been seen and its watch is open.
func (c *Cluster) Current(k Kind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.kinds {
		if r.kind == k {
			s := r.status()
			return s.Synced && s.Current
		}
	}
	return false
}

// Definitions is how the watch that finds the kinds is doing.
func (c *Cluster) Definitions() KindStatus { return c.definitions.status() }

// ServiceAccounts is how the watch of ServiceAccounts is doing; zero where nobody asked for them.
func (c *Cluster) ServiceAccounts() KindStatus {
	if c.accounts == nil {
		return KindStatus{}
	}
	return c.accounts.status()
}

// Events is how the watch of Events is doing; zero where nobody asked for them.
func (c *Cluster) Events() KindStatus {
	if c.events == nil {
		return KindStatus{}
	}
	return c.events.status()
}

// Ready is nil once the server has answered for every kind: with all its objects, or with why it does not give them.
// Until then it is an error that says what is missing; afterwards it stays nil, for what is amiss then is said by Kinds.
func (c *Cluster) Ready() error {
	d := c.Definitions()
	switch {
	case c.ready.Load():
		return nil
	case d.Forbidden():
		return fmt.Errorf("CustomResourceDefinitions may not be listed and watched, so no kind can be found; allow it in the exporter's ClusterRole: %w", d.Err)
	case !d.Synced && d.Err != nil:
		return fmt.Errorf("the cluster at %s cannot be read yet: %w", c.server.host, d.Err)
	case !d.Synced:
		return errors.New("CustomResourceDefinitions have not been read yet")
	}
	kinds := c.Kinds()
	var missing []string
	for _, k := range kinds {
		if !k.Answered() {
			missing = append(missing, k.Kind.String())
		}
	}
	if n := len(missing); n > 0 {
		return fmt.Errorf("%d of %d kinds have not been read yet: %s", n, len(kinds), strings.Join(missing[:min(n, 5)], ", "))
	}
	c.ready.Store(true)
	return nil
}

// Team is the team that a namespace is labelled with, "" for none.
func (c *Cluster) Team(namespace string) string {
	if t, ok := c.teams.Load(namespace); ok {
		return t.(string) //nolint:forcetypeassert // Only strings are stored.
	}
	return ""
}

// A definitionStore starts and stops the watches of kinds.
type definitionStore struct{ c *Cluster }

func (definitionStore) Keep(*Object) any { return nil } // definitionReader keeps the definition itself
func (definitionStore) Close()           {}

func (s definitionStore) Set(kept any) { s.c.follow(kept.(*definition)) } //nolint:forcetypeassert // What definitionReader keeps.

func (s definitionStore) Delete(kept any) { s.c.drop(kept.(*definition).name) } //nolint:forcetypeassert // As above.

func (s definitionStore) Replace(kept []any) {
	there := map[string]bool{}
	for _, k := range kept {
		there[k.(*definition).name] = true //nolint:forcetypeassert // As above.
		s.Set(k)
	}
	s.c.mu.Lock()
	var gone []string
	for name := range s.c.kinds {
		if !there[name] {
			gone = append(gone, name)
		}
	}
	s.c.mu.Unlock()
	for _, name := range gone {
		s.c.drop(name)
	}
}

// follow makes the watch of d's kind what d says it should be. It touches no other kind.
func (c *Cluster) follow(d *definition) {
	category, wanted := c.cfg.Select.category(d)
	k := Kind{Category: category, Group: d.group, Version: d.watched(), Name: d.kind, Resource: d.plural, Namespaced: d.namespaced}
	c.mu.Lock()
	r, runs := c.kinds[d.name]
	c.mu.Unlock()
	switch {
	case !wanted || k.Version == "" || c.cfg.Watches != nil && !c.cfg.Watches(k):
		c.drop(d.name)
		return
	case runs && r.kind == k:
		return
	case !d.established: // not served yet, or a name conflict: nothing to watch, but nothing to forget either
		return
	case runs:
		c.drop(d.name)
	}
	w := c.watcher(k, c.cfg.Open(k))
	c.mu.Lock()
	defer c.mu.Unlock()
	ctx, cancel := context.WithCancel(c.ctx)
	done := make(chan struct{})
	c.kinds[d.name] = &running{w, func() { cancel(); <-done; w.store.Close() }}
	c.wg.Go(func() {
		defer close(done)
		w.run(ctx)
	})
	c.cfg.Log.Debug("watching kind", "kind", k.String(), "version", k.Version, "category", k.Category)
}

// drop stops watching a kind and closes its store.
func (c *Cluster) drop(name string) {
	c.mu.Lock()
	r, runs := c.kinds[name]
	delete(c.kinds, name)
	c.mu.Unlock()
	if runs {
		r.stop()
		c.cfg.Log.Debug("no longer watching kind", "kind", r.kind.String(), "version", r.kind.Version)
	}
}

// A namespaceStore remembers the team of each namespace.
type namespaceStore struct{ c *Cluster }

type namespaceTeam struct{ namespace, team string }

func (namespaceStore) Keep(o *Object) any { return namespaceTeam{o.Name, o.Team} }
func (namespaceStore) Close()             {}

func (s namespaceStore) Set(kept any) {
	n := kept.(namespaceTeam) //nolint:forcetypeassert // What Keep returns.
	if s.c.Team(n.namespace) == n.team {
		return
	}
	s.c.teams.Store(n.namespace, n.team)
	if s.c.cfg.TeamChanged != nil {
		s.c.cfg.TeamChanged(n.namespace)
	}
}

func (s namespaceStore) Delete(kept any) {
	s.c.teams.Delete(kept.(namespaceTeam).namespace) //nolint:forcetypeassert // As above.
}

func (s namespaceStore) Replace(kept []any) {
	there := map[string]bool{}
	for _, k := range kept {
		there[k.(namespaceTeam).namespace] = true //nolint:forcetypeassert // As above.
		s.Set(k)
	}
	s.c.teams.Range(func(namespace, _ any) bool {
		if !there[namespace.(string)] { //nolint:forcetypeassert // As above.
			s.c.teams.Delete(namespace)
		}
		return true
	})
}

// A server says once that the API server cannot be reached, and once that it can again.
type server struct {
	host string
	log  *slog.Logger

	mu   sync.Mutex
	gone bool
}

func (s *server) unreachable(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gone {
		s.log.Warn("the API server cannot be reached; what was seen is kept, and it is tried again", "server", s.host, "err", err)
	}
	s.gone = true
}

func (s *server) reached() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		s.log.Info("the API server is reached again", "server", s.host)
	}
	s.gone = false
}
