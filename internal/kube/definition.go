package kube

import (
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// definitions is the kind of CustomResourceDefinitions themselves.
var definitions = Kind{
	Group:    apiextensionsv1.GroupName,
	Version:  apiextensionsv1.SchemeGroupVersion.Version,
	Name:     "CustomResourceDefinition",
	Resource: "customresourcedefinitions",
}

// A definition is what is read of a CustomResourceDefinition. Its schema, nearly all of its tens of kilobytes, is not.
type definition struct {
	name        string // plural.group
	group       string
	kind        string
	plural      string
	categories  []string
	namespaced  bool
	versions    []version
	established bool
}

type version struct {
	name            string
	served, storage bool
}

// watched is the version to watch, "" where none is served.
func (d *definition) watched() string {
	served := func(v version) bool { return v.served }
	if i := slices.IndexFunc(d.versions, func(v version) bool { return v.served && v.storage }); i >= 0 {
		return d.versions[i].name
	}
	if i := slices.IndexFunc(d.versions, served); i >= 0 {
		return d.versions[i].name
	}
	return ""
}

// definitionReader reads CustomResourceDefinitions.
type definitionReader struct{ d *decoder }

func (r definitionReader) stream() *scanner { return r.d.json }

func (r definitionReader) next() (*entry, error) {
	d := r.d
	d.reset()
	def := &definition{}
	err := d.members(func(name []byte) error {
		switch string(name) {
		case `"metadata"`:
			return d.members(d.metadata)
		case `"spec"`:
			return d.members(func(name []byte) error { return d.definitionSpec(name, def) })
		case `"status"`:
			return d.members(d.status)
		default:
			return d.skip()
		}
	})
	if err != nil {
		return nil, err
	}
	def.name = d.obj.Name
	for _, c := range d.obj.Conditions {
		if c.Type == string(apiextensionsv1.Established) {
			def.established = c.Status == True
		}
	}
	return d.entry(def), nil
}

func (d *decoder) definitionSpec(name []byte, def *definition) (err error) {
	switch string(name) {
	case `"group"`:
		def.group, err = d.str()
	case `"scope"`:
		var scope []byte
		scope, err = d.bytes()
		def.namespaced = string(scope) == string(apiextensionsv1.NamespaceScoped)
	case `"names"`:
		err = d.members(func(name []byte) (err error) {
			switch string(name) {
			case `"kind"`:
				def.kind, err = d.str()
			case `"plural"`:
				def.plural, err = d.str()
			case `"categories"`:
				err = d.elements(func() error {
					c, err := d.word()
					def.categories = append(def.categories, c)
					return err
				})
			default:
				err = d.skip()
			}
			return err
		})
	case `"versions"`:
		err = d.elements(func() error {
			var v version
			err := d.members(func(name []byte) (err error) {
				switch string(name) {
				case `"name"`:
					v.name, err = d.str()
				case `"served"`:
					v.served, err = d.boolean()
				case `"storage"`:
					v.storage, err = d.boolean()
				default:
					err = d.skip()
				}
				return err
			})
			def.versions = append(def.versions, v)
			return err
		})
	default:
		err = d.skip()
	}
	return err
}
