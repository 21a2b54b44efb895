// Package apply brings objects to an API server.
package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// GitOps is the field manager of what is applied: Flux's, as most of it would be in earnest.
const GitOps = "kustomize-controller"

// An Applier applies objects.
type Applier struct {
	dynamic dynamic.Interface
	mapper  meta.ResettableRESTMapper
}

// New returns an Applier for the API server of cfg.
func New(cfg *rest.Config) (*Applier, error) {
	// The API server has opinions on names of finalizers; they are Crossplane's.
	cfg = rest.CopyConfig(cfg)
	cfg.WarningHandler = rest.NoWarnings{}
	dyn, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("client to apply objects: %w", err)
	}
	disc, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("client to apply objects: %w", err)
	}
	return &Applier{dynamic: dyn, mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disc))}, nil
}

// Resource is where objects of an object's kind and namespace are.
func (a *Applier) Resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	gvk := o.GroupVersionKind()
	m, err := a.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if err != nil {
		return nil, err
	}
	if m.Scope.Name() == meta.RESTScopeNameRoot {
		return a.dynamic.Resource(m.Resource), nil
	}
	return a.dynamic.Resource(m.Resource).Namespace(o.GetNamespace()), nil
}

// Apply applies an object and then, if it has one, its status, as its controller would write it. The API server may not serve a
// kind yet whose definition it has just established: Apply waits for it, within limits.
func (a *Applier) Apply(ctx context.Context, o *unstructured.Unstructured) error {
	const patience, pause = 30 * time.Second, 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := a.apply(ctx, o.DeepCopy())
		if err == nil {
			return nil
		}
		var missing *meta.NoKindMatchError
		if !errors.As(err, &missing) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		a.mapper.Reset()
		select {
		case <-ctx.Done():
			return fmt.Errorf("apply %s %s: %w", o.GetKind(), o.GetName(), err)
		case <-time.After(pause):
		}
	}
}

func (a *Applier) apply(ctx context.Context, o *unstructured.Unstructured) error {
	r, err := a.Resource(o)
	if err != nil {
		return err
	}
	// Where the status is a subresource, this leaves it out.
	if _, err := r.Apply(ctx, o.GetName(), o, metav1.ApplyOptions{FieldManager: GitOps, Force: true}); err != nil {
		return err
	}
	status, ok := o.Object["status"]
	if !ok {
		return nil
	}
	s := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	s.SetGroupVersionKind(o.GroupVersionKind())
	s.SetName(o.GetName())
	s.SetNamespace(o.GetNamespace())
	_, err = r.ApplyStatus(ctx, o.GetName(), s, metav1.ApplyOptions{FieldManager: "controller", Force: true})
	if apierrors.IsNotFound(err) {
		return nil // There is no such subresource.
	}
	return err
}

// Delete has an object deleted, which takes until its finalizers are gone, once its condition Ready is known: what its
// controller has not seen yet is gone too soon to be of interest.
func (a *Applier) Delete(ctx context.Context, o *unstructured.Unstructured) error {
	const patience, pause = 30 * time.Second, 100 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := a.Resource(o)
	if err != nil {
		return err
	}
	for {
		got, err := r.Get(ctx, o.GetName(), metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("delete %s %s: %w", o.GetKind(), o.GetName(), err)
		}
		if _, ok := Condition(got, "Ready"); ok {
			return r.Delete(ctx, o.GetName(), metav1.DeleteOptions{})
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("delete %s %s: it has no condition Ready: %w", o.GetKind(), o.GetName(), ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Condition finds a condition of an object. It is false if there is none of this type.
func Condition(o *unstructured.Unstructured, kind string) (map[string]any, bool) {
	all, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	for _, c := range all {
		if c, ok := c.(map[string]any); ok && c["type"] == kind {
			return c, true
		}
	}
	return nil, false
}
