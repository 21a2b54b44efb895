// Package deploy_test tries what deploy/ has on a real control plane with Kubernetes' own controllers.
package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"crossplane-exporter/playground/apply"
	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/deploy/controllers"
	"crossplane-exporter/playground/programs"
)

// What the tests share. Each has namespaces and names of its own.
var (
	program string // the exporter's
	plane   *controlplane.ControlPlane
	client  *kubernetes.Clientset
	applier *apply.Applier
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	if program, err = programs.BuildExporter(ctx); err != nil {
		return 0, err
	}
	if plane, err = controlplane.Start(ctx, ""); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	if client, err = kubernetes.NewForConfig(plane.RESTConfig()); err != nil {
		return 0, err
	}
	if applier, err = apply.New(plane.RESTConfig()); err != nil {
		return 0, err
	}
	manager, err := controllers.Start(ctx, plane)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, manager.Stop()) }()
	return m.Run(), nil
}

// namespace makes a namespace.
func namespace(t *testing.T, name string) {
	t.Helper()
	_, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	check(t, err)
}

// define installs a kind as its CustomResourceDefinition would, without a schema.
func define(t *testing.T, group, kind, resource string, categories ...any) {
	t.Helper()
	check(t, applier.Apply(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{
			"name": resource + "." + group,
			// Groups of Kubernetes' own want to know who has approved of a kind.
			"annotations": map[string]any{"api-approved.kubernetes.io": "unapproved, a test"},
		},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced",
			"names": map[string]any{"kind": kind, "plural": resource, "categories": categories},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
			}},
		},
	}}))
}

// eventually calls f until it returns nil, and gives up after a time that is enough for a busy machine.
func eventually(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil || last == nil {
			last = err // what it was before there was no time left
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, last)
		case <-tick.C:
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
