// Package kube sees a cluster: it finds the kinds that matter from their CustomResourceDefinitions, keeps one
// reflector a kind, and decodes each object once, from the stream, into the few fields the exporter says.
package kube

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Category says what sort of platform resource a kind is.
type Category string

// The categories. Managed, composite and claim are what a CustomResourceDefinition calls itself (spec.names.categories);
// the others come from the table below. Other is what only --include brought in.
const (
	Managed       Category = "managed"
	Composite     Category = "composite"
	Claim         Category = "claim"
	Package       Category = "package"
	Definition    Category = "definition"
	Operation     Category = "operation"
	Configuration Category = "config"
	GitOps        Category = "gitops"
	Secret        Category = "secret"
	Certificate   Category = "certificate"
	Policy        Category = "policy"
	Gateway       Category = "gateway"
	Other         Category = "other"
)

// platform lists the kinds that are watched though no category of their CustomResourceDefinition says so. The first
// row that matches decides; a row without a category keeps a kind out.
var platform = []struct {
	match    string // a glob of group/kind, as --include takes it
	category Category
}{
	// One exists for every managed resource, and it says nothing that the resource does not.
	{"*/ProviderConfigUsage", ""},
	{"*/ClusterProviderConfigUsage", ""},
	{"*/StoreConfig", ""},

	{"pkg.crossplane.io/DeploymentRuntimeConfig", Configuration},
	{"pkg.crossplane.io/ControllerConfig", Configuration},
	{"pkg.crossplane.io/ImageConfig", Configuration},
	{"pkg.crossplane.io/*", Package},
	{"apiextensions.crossplane.io/EnvironmentConfig", Configuration},
	{"apiextensions.crossplane.io/Usage", Policy},
	{"apiextensions.crossplane.io/*", Definition},
	{"ops.crossplane.io/*", Operation},
	{"protection.crossplane.io/*", Policy},
	{"*/ProviderConfig", Configuration},
	{"*/ClusterProviderConfig", Configuration},

	{"*.toolkit.fluxcd.io/*", GitOps},
	{"argoproj.io/Application", GitOps},
	{"argoproj.io/ApplicationSet", GitOps},
	{"external-secrets.io/*", Secret},
	{"cert-manager.io/CertificateRequest", ""}, // one for every renewal, and it never leaves
	{"cert-manager.io/*", Certificate},
	{"kyverno.io/Policy", Policy},
	{"kyverno.io/ClusterPolicy", Policy},
	{"gateway.networking.k8s.io/Gateway", Gateway},
	{"gateway.networking.k8s.io/GatewayClass", Gateway},
}

// A Kind is a kind of object that is watched.
type Kind struct {
	Category Category
	Group    string
	// Version is the one watched: the version objects are stored in, if it is served, because reading it needs no
	// conversion webhook; else the first one served.
	Version    string
	Name       string // the kind itself: VPC
	Resource   string // as URLs spell it: vpcs
	Namespaced bool
}

// String is group/kind, as --include and --exclude match it.
func (k Kind) String() string { return k.Group + "/" + k.Name }

// A Selection says which kinds are watched.
type Selection struct {
	include, exclude []string
}

// NewSelection takes globs of group/kind, in the syntax of path.Match: "*.aws.upbound.io/*", "example.org/Widget". A glob
// without a slash means every kind of the group. include adds kinds to those that are watched anyway; exclude, which
// wins, leaves kinds out.
func NewSelection(include, exclude []string) (Selection, error) {
	s := Selection{slices.Clone(include), slices.Clone(exclude)}
	for _, globs := range [][]string{s.include, s.exclude} {
		for i, g := range globs {
			if !strings.Contains(g, "/") {
				globs[i] = g + "/*"
			}
			if _, err := path.Match(globs[i], ""); err != nil {
				return Selection{}, fmt.Errorf("%q is no glob of group/kind such as \"*.aws.upbound.io/*\": %w", g, err)
			}
		}
	}
	return s, nil
}

// Category says what d's kind is, and whether it is watched at all.
func (s Selection) category(d *definition) (Category, bool) {
	name := d.group + "/" + d.kind
	if matches(s.exclude, name) {
		return "", false
	}
	for _, c := range d.categories {
		switch Category(c) {
		case Managed, Composite, Claim:
			return Category(c), true
		}
	}
	for _, row := range platform {
		if ok, _ := path.Match(row.match, name); ok { // the globs are the table's own, and tested
			if row.category != "" {
				return row.category, true
			}
			break
		}
	}
	return Other, matches(s.include, name)
}

func matches(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(g string) bool {
		ok, err := path.Match(g, name)
		return err == nil && ok
	})
}
