package provider_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"crossplane-exporter/playground/controlplane/controlplanetest"
	"crossplane-exporter/playground/provider"
)

func TestProviders(t *testing.T) {
	plane := controlplanetest.New(t)
	nop, err := provider.Start(t.Context(), plane, provider.Nop, "--poll=1s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nop.Stop(); err != nil {
			t.Error(err)
		}
	})
	// A second provider on the same machine: each has ports of its own.
	kubernetes, err := provider.Start(t.Context(), plane, provider.Kubernetes, "--poll=1s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := kubernetes.Stop(); err != nil {
			t.Error(err)
		}
	})

	client, err := dynamic.NewForConfig(plane.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	resources := client.Resource(schema.GroupVersionResource{Group: "nop.crossplane.io", Version: "v1alpha1", Resource: "nopresources"}).Namespace("default")
	create := func(name string) {
		t.Helper()
		_, err := resources.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "nop.crossplane.io/v1alpha1",
			"kind":       "NopResource",
			"metadata":   map[string]any{"name": name},
			"spec": map[string]any{"forProvider": map[string]any{"conditionAfter": []any{
				map[string]any{"time": "0s", "conditionType": "Ready", "conditionStatus": "True"},
			}}},
		}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	create("first")
	eventually(t, func(ctx context.Context) error { return ready(ctx, resources, "first") })

	pid := nop.PID()
	nop.Kill()
	if nop.Err() == nil {
		t.Error("a provider that was killed should be told by Err")
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process after Kill: got %v, want no such process", err)
	}
	if err := nop.Start(t.Context()); err != nil {
		t.Fatalf("start again: %v", err)
	}
	if err := nop.Start(t.Context()); err == nil {
		t.Error("a provider that runs was started once more")
	}
	create("second")
	eventually(t, func(ctx context.Context) error { return ready(ctx, resources, "second") })
	if err := resources.Delete(t.Context(), "first", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func(ctx context.Context) error {
		if _, err := resources.Get(ctx, "first", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("first: got %w, want it gone", err)
		}
		return nil
	})
}

func ready(ctx context.Context, r dynamic.ResourceInterface, name string) error {
	u, err := r.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	if s := fmt.Sprint(conditions); !strings.Contains(s, "status:True type:Ready") {
		return fmt.Errorf("%s is not ready: %s", name, s)
	}
	return nil
}

func eventually(t *testing.T, check func(context.Context) error) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(t.Context())
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-tick.C:
		}
	}
}
