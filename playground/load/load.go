// Package load fills a control plane with as many managed resources as a big platform has, for benchmarks: of real AWS kinds, each
// of the size and shape that its schema gives it. No provider looks after them.
package load

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/programs"
)

// Definitions are the files with all 927 kinds of Upbound's AWS provider.
func Definitions(ctx context.Context) ([]string, error) {
	dir, err := programs.Module(ctx, "github.com/upbound/provider-aws", "v1.0.0")
	if err != nil {
		return nil, err
	}
	return definitions.Files(filepath.Join(dir, "package", "crds"))
}

// Used are the files with those of the kinds that Fill makes resources of.
func Used(ctx context.Context) ([]string, error) {
	all, err := Definitions(ctx)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, name := range used {
		files = append(files, filepath.Join(filepath.Dir(all[0]), name+".yaml"))
	}
	return files, nil
}

// A Config says what to make.
type Config struct {
	// Objects is how many, in all.
	Objects int
	// Kinds is how many kinds they are of, evenly; 40 at most, which is what 0 means.
	Kinds int
	// Seed makes the same objects every time. Their times are relative to now.
	Seed uint64
}

// A Fleet is the managed resources that were made.
type Fleet struct {
	// Kinds they are of.
	Kinds []Kind
	// Objects is how many there are; NotReady and NotSynced of them are as these say.
	Objects, NotReady, NotSynced int
	// Bytes is the size of all of them as they are stored, in JSON.
	Bytes int64

	client rest.Interface
	names  [][]string // by kind
	round  int
}

// A Kind is a kind of managed resource that is in use.
type Kind struct {
	schema.GroupVersionResource

	Kind string
}

// Fill makes managed resources. Their definitions must be installed: see Definitions and Used.
//
// Through the API, 100,000 objects and their status would take the better part of an hour on two cores that have other things to
// do. So the API server is given a few objects of each kind, which makes sure that they are valid and stored as it stores
// objects, and their like is put into etcd beside them. Fill returns when the API server has them all.
func Fill(ctx context.Context, plane *controlplane.ControlPlane, c Config) (*Fleet, error) {
	if c.Kinds == 0 {
		c.Kinds = len(used)
	}
	if c.Kinds > len(used) {
		return nil, fmt.Errorf("%d kinds are wanted and %d known", c.Kinds, len(used))
	}
	client, err := restClient(plane.RESTConfig())
	if err != nil {
		return nil, err
	}
	files, err := Used(ctx)
	if err != nil {
		return nil, err
	}
	f := &Fleet{client: client}
	etcd := store{url: plane.EtcdURL()}
	for i := range c.Kinds {
		t, err := readTemplate(files[i])
		if err != nil {
			return nil, err
		}
		n := c.Objects / c.Kinds
		if i < c.Objects%c.Kinds {
			n++
		}
		if err := f.fill(ctx, etcd, t, n, rand.NewPCG(c.Seed, uint64(i))); err != nil {
			return nil, fmt.Errorf("fill %s.%s: %w", t.Resource, t.Group, err)
		}
	}
	for i, k := range f.Kinds {
		if err := f.await(ctx, k, len(f.names[i])); err != nil {
			return nil, fmt.Errorf("wait for %s.%s: %w", k.Resource, k.Group, err)
		}
	}
	return f, nil
}

// fill makes the objects of a kind.
func (f *Fleet) fill(ctx context.Context, etcd store, t *template, n int, seed rand.Source) error {
	const models, batch = 4, 100
	random := rand.New(seed) //nolint:gosec // To be the same every time.
	f.Kinds = append(f.Kinds, t.Kind)
	names := make([]string, n)
	var made []map[string]any
	var puts []put
	for i := range n {
		names[i] = t.name(i)
		o := t.object(names[i], random, time.Now())
		f.count(o)
		if i < models {
			if err := f.create(ctx, t.Kind, o); err != nil {
				return fmt.Errorf("create %s: %w", names[i], err)
			}
			stored, size, err := etcd.get(ctx, t.key(names[i]))
			if err != nil {
				return err
			}
			made = append(made, stored)
			f.Bytes += int64(size)
			continue
		}
		value, err := o.like(made[i%len(made)])
		if err != nil {
			return err
		}
		f.Bytes += int64(len(value))
		puts = append(puts, put{t.key(names[i]), value})
		if len(puts) == batch || i == n-1 {
			if err := etcd.put(ctx, puts); err != nil {
				return err
			}
			puts = puts[:0]
		}
	}
	f.names = append(f.names, names)
	return nil
}

func (f *Fleet) count(o *object) {
	f.Objects++
	if !o.is("Ready") {
		f.NotReady++
	}
	if !o.is("Synced") {
		f.NotSynced++
	}
}

// create writes an object and its status through the API, as a user and a provider would one after the other.
func (f *Fleet) create(ctx context.Context, k Kind, o *object) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	var made struct {
		Metadata struct{ ResourceVersion string }
	}
	post := func() error {
		return f.do(ctx, f.client.Post().AbsPath(k.path()).Param("fieldManager", "kustomize-controller"), body, &made)
	}
	err = post()
	for try := 0; try < 5 && apierrors.IsTimeout(err); try++ { // a busy API server has not got round to it, or has
		if err = post(); apierrors.IsAlreadyExists(err) {
			err = f.do(ctx, f.client.Get().AbsPath(k.path(), o.name()), nil, &made)
		}
	}
	if err != nil {
		return err
	}
	o.Metadata["resourceVersion"] = made.Metadata.ResourceVersion
	if body, err = json.Marshal(o); err != nil {
		return err
	}
	return f.do(ctx, f.client.Put().AbsPath(k.path(), o.name(), "status").Param("fieldManager", "provider"), body, &made)
}

func (f *Fleet) do(ctx context.Context, r *rest.Request, body []byte, into any) error {
	result := r.SetHeader("Content-Type", "application/json").Body(body).Do(ctx)
	if err := result.Error(); err != nil {
		return err
	}
	got, err := result.Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(got, into)
}

// await waits until the API server says that there are n objects of a kind.
func (f *Fleet) await(ctx context.Context, k Kind, n int) error {
	const patience, pause = 5 * time.Minute, 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		body, err := f.client.Get().AbsPath(k.path()).Param("limit", "1").Do(ctx).Raw()
		if err != nil {
			return err
		}
		var got struct {
			Metadata struct{ RemainingItemCount int }
			Items    []struct{}
		}
		if err := json.Unmarshal(body, &got); err != nil {
			return err
		}
		there := len(got.Items) + got.Metadata.RemainingItemCount
		if there == n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the API server has %d of %d: %w", there, n, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Change gives n objects, spread over all kinds, a new Ready condition: those that were ready are not, and the other way round
// the next time the same ones are reached.
func (f *Fleet) Change(ctx context.Context, n int) error {
	f.round++
	status := "False"
	if f.round%2 == 0 {
		status = "True"
	}
	const atOnce = 8
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range n {
		kind := i % len(f.Kinds)
		if len(f.names[kind]) == 0 {
			continue
		}
		name := f.names[kind][i/len(f.Kinds)%len(f.names[kind])]
		g.Go(func() error {
			body, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []condition{
				{Type: "Ready", Status: status, Reason: "Changed", LastTransitionTime: time.Now().UTC().Format(time.RFC3339)},
				{Type: "Synced", Status: "True", Reason: "ReconcileSuccess", LastTransitionTime: time.Now().UTC().Format(time.RFC3339)},
			}}})
			if err != nil {
				return err
			}
			return f.client.Patch(types.MergePatchType).AbsPath(f.Kinds[kind].path(), name, "status").Param("fieldManager", "provider").
				Body(body).Do(ctx).Error()
		})
	}
	return g.Wait()
}

func (k Kind) key(name string) string {
	return "/registry/" + k.Group + "/" + k.Resource + "/" + name
}

func (k Kind) path() string { return "/apis/" + k.Group + "/" + k.Version + "/" + k.Resource }

func restClient(cfg *rest.Config) (rest.Interface, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	cfg.WarningHandler = rest.NoWarnings{} // The API server has opinions on names of finalizers.
	d, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("client to load with: %w", err)
	}
	return d.RESTClient(), nil
}
