package collector

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/kube"
)

// providers knows whom Crossplane's providers are in the cloud: the roles that provider configurations, runtime configurations and the
// providers' ServiceAccounts name. It tells the trail.
type providers struct {
	trail cloud.Trail

	mu       sync.Mutex
	configs  map[string]configuration // by group/kind and key
	accounts map[string]kube.Object   // ServiceAccounts with a role, by namespace/name
	told     []string
	speaks   map[configRef]map[string]struct{} // by provider configuration, the cloud accounts that it leads to
}

// A configuration is what is held of a ProviderConfig or DeploymentRuntimeConfig.
type configuration struct {
	configRef

	principals, serviceAccounts []string
}

// A configRef is which configuration is meant: those of a namespace may have the name of the cluster's, or of another's.
type configRef struct{ group, namespace, name string }

func newConfiguration(k kube.Kind, o *kube.Object) *configuration {
	return &configuration{
		configRef{k.Group, o.Namespace, o.Name}, slices.Clone(o.Principals), slices.Clone(o.ServiceAccounts),
	}
}

// refOf is what a managed resource is configured by. Its group is below that of its provider's configurations, as in
// ec2.aws.m.upbound.io.
func refOf(k kube.Kind, o *kube.Object) configRef {
	_, group, _ := strings.Cut(k.Group, ".")
	return configRef{group, o.Namespace, o.ProviderConfig}
}

func newProviders(t cloud.Trail) *providers {
	return &providers{trail: t, configs: map[string]configuration{}, accounts: map[string]kube.Object{}, speaks: map[configRef]map[string]struct{}{}}
}

// configure notes what a configuration says, nil that it is gone.
func (p *providers) configure(name string, c *configuration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c != nil {
		p.configs[name] = *c
	} else {
		delete(p.configs, name)
	}
	p.speaks = map[configRef]map[string]struct{}{}
	for _, c := range p.configs {
		account := "" // that the last of them is in, which the others lead to
		for _, principal := range c.principals {
			account = cmp.Or(p.trail.Account(principal), account)
		}
		if account == "" {
			continue
		}
		if p.speaks[c.configRef] == nil {
			p.speaks[c.configRef] = map[string]struct{}{}
		}
		p.speaks[c.configRef][account] = struct{}{}
	}
	p.tell()
}

// tell tells the trail if anything is new.
func (p *providers) tell() {
	all, named := map[string]struct{}{}, map[string]struct{}{}
	for _, c := range p.configs {
		for _, principal := range c.principals {
			all[principal] = struct{}{}
		}
		for _, account := range c.serviceAccounts {
			named[account] = struct{}{}
		}
	}
	for _, o := range p.accounts {
		if _, ok := named[o.Name]; !ok && !o.OfPackage {
			continue // some other workload's
		}
		for _, principal := range o.Principals {
			all[principal] = struct{}{}
		}
	}
	if next := slices.Sorted(maps.Keys(all)); !slices.Equal(next, p.told) {
		p.told = next
		p.trail.Know(next)
	}
}

// speaksIn is whether resources of a provider configuration may be in a cloud account: it leads there, or nobody knows where. That of a
// resource in a namespace is either in there, or one for all.
func (p *providers) speaksIn(config configRef, account string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	own, all := p.speaks[config], p.speaks[configRef{group: config.group, name: config.name}]
	_, inOwn := own[account]
	_, inAll := all[account]
	return inOwn || inAll || len(own)+len(all) == 0
}

// A serviceAccountStore is a kube.Store of ServiceAccounts that name a role.
type serviceAccountStore struct{ *providers }

func (serviceAccountStore) Keep(o *kube.Object) any {
	return kube.Object{Namespace: o.Namespace, Name: o.Name, Principals: slices.Clone(o.Principals), OfPackage: o.OfPackage}
}

func (s serviceAccountStore) Set(kept any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(kept)
	s.tell()
}

func (s serviceAccountStore) set(kept any) {
	o := kept.(kube.Object) //nolint:forcetypeassert // What Keep returns.
	if name := o.Namespace + "/" + o.Name; len(o.Principals) > 0 {
		s.accounts[name] = o
	} else {
		delete(s.accounts, name)
	}
}

func (s serviceAccountStore) Delete(kept any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := kept.(kube.Object) //nolint:forcetypeassert // What Keep returns.
	delete(s.accounts, o.Namespace+"/"+o.Name)
	s.tell()
}

func (s serviceAccountStore) Replace(kept []any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.accounts)
	for _, k := range kept {
		s.set(k)
	}
	s.tell()
}

func (serviceAccountStore) Close() {}
