package collector

import (
	"fmt"
	"hash/fnv"

	"crossplane-exporter/internal/kube"
)

// A Shard is one of several exporters that share the kinds of a cluster among them: each kind is watched, and said, by one. The zero
// value is the only one.
type Shard struct{ Index, Of int }

func (s Shard) check() error {
	if s.Of < 0 || s.Index < 0 || s.Of > 0 && s.Index >= s.Of {
		return fmt.Errorf("shard %d of %d: they are counted from 0", s.Index, s.Of)
	}
	return nil
}

// has is whether a kind is this shard's.
func (s Shard) has(group, kind string) bool {
	if s.Of <= 1 {
		return true
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s/%s", group, kind)
	return int(h.Sum32()%uint32(s.Of)) == s.Index //nolint:gosec // There are no four billion shards.
}

// count is how many shards there are.
func (s Shard) count() int { return max(s.Of, 1) }

// first is whether the shard counts what belongs to no kind.
func (s Shard) first() bool { return s.Index == 0 }

// A configurationStore is a kube.Store of configurations that another shard says: this one has to know whom providers are in the cloud
// as well.
type configurationStore struct {
	providers *providers
	kind      kube.Kind
	names     map[string]struct{}
}

type keptConfiguration struct {
	key    string
	config configuration
}

func (s *configurationStore) Keep(o *kube.Object) any {
	return keptConfiguration{
		s.kind.String() + " " + resourceKey(o.Namespace, o.Name),
		*newConfiguration(s.kind, o),
	}
}

func (s *configurationStore) Set(kept any) {
	k := kept.(keptConfiguration) //nolint:forcetypeassert // What Keep returns.
	if s.names == nil {
		s.names = map[string]struct{}{}
	}
	s.names[k.key] = struct{}{}
	s.providers.configure(k.key, &k.config)
}

func (s *configurationStore) Delete(kept any) {
	k := kept.(keptConfiguration) //nolint:forcetypeassert // What Keep returns.
	delete(s.names, k.key)
	s.providers.configure(k.key, nil)
}

func (s *configurationStore) Replace(kept []any) {
	gone := s.names
	s.names = nil
	for _, k := range kept {
		s.Set(k)
	}
	for name := range gone {
		if _, ok := s.names[name]; !ok {
			s.providers.configure(name, nil)
		}
	}
}

func (s *configurationStore) Close() { s.Replace(nil) }
