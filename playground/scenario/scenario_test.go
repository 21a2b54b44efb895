package scenario_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"crossplane-exporter/playground/apply"
	"crossplane-exporter/playground/controlplane/controlplanetest"
	"crossplane-exporter/playground/scenario"
)

const (
	objects     = "kubernetes.m.crossplane.io/v1alpha1 Object"
	nop         = "nop.crossplane.io/v1alpha1 NopResource"
	app         = "platform.example.org/v1 App"
	queue       = "platform.example.org/v1 Queue"
	providers   = "pkg.crossplane.io/v1 Provider"
	definitions = "apiextensions.crossplane.io/v2 CompositeResourceDefinition"
)

// want is a condition that a resource of the scenario comes to have.
type want struct {
	kind, namespace, name string
	condition, status     string
	message               string // part of it
}

func TestScenario(t *testing.T) {
	plane := controlplanetest.New(t)
	s, err := scenario.Start(t.Context(), plane, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	a, err := apply.New(plane.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}

	t.Run("Conditions", func(t *testing.T) {
		// Each in the words of whoever says it: the exporter has to make sense of them.
		for reason, w := range map[string]want{
			"well":               {objects, "team-a", "settings-1", "Ready", "True", ""},
			"well, cluster":      {"kubernetes.crossplane.io/v1alpha2 Object", "", "legacy-1", "Ready", "True", ""},
			"invalid":            {objects, "team-a", "invalid-name", "Synced", "False", "is invalid"},
			"not found":          {objects, "team-a", "missing-namespace", "Synced", "False", "not found"},
			"denied":             {objects, "team-b", "denied", "Synced", "False", "is forbidden"},
			"quota":              {objects, "sandbox", "over-quota", "Synced", "False", "exceeded quota"},
			"connect":            {objects, "team-b", "unreachable", "Synced", "False", "connection refused"},
			"no credentials":     {objects, "team-a", "no-credentials", "Synced", "False", "cannot get credentials"},
			"auth":               {objects, "team-a", "unknown-token", "Synced", "False", "Unauthorized"},
			"throttled":          {"ec2.aws.upbound.io/v1beta1 Subnet", "", "throttled", "Synced", "False", "RequestLimitExceeded"},
			"paused":             {objects, "team-a", "paused", "Synced", "False", ""},
			"observe-only":       {objects, "team-a", "observe-only", "Ready", "True", ""},
			"create incomplete":  {nop, "team-a", "create-incomplete", "Synced", "False", "cannot determine creation result"},
			"never ready":        {nop, "team-b", "forever-creating", "Ready", "False", ""},
			"composite":          {app, "team-a", "shop", "Ready", "True", ""},
			"unready composite":  {app, "team-b", "slow-backend", "Ready", "False", "Unready resources: backend"},
			"no composition":     {app, "team-a", "no-composition", "Synced", "False", "not found"},
			"claim":              {queue, "team-b", "events", "Ready", "True", ""},
			"waiting claim":      {queue, "team-b", "slow", "Ready", "False", ""},
			"definition":         {definitions, "", "apps.platform.example.org", "Established", "True", ""},
			"offered definition": {definitions, "", "xqueues.platform.example.org", "Offered", "True", ""},
			"package":            {providers, "", "provider-kubernetes", "Healthy", "True", ""},
			"missing package":    {providers, "", "provider-missing", "Installed", "False", "cannot unpack package"},
			"package conflict":   {providers, "", "provider-nop-fork", "Healthy", "False", "already controlled by"},
			"unmet dependency":   {"pkg.crossplane.io/v1 Configuration", "", "platform-next", "Healthy", "False", "missing dependencies"},
			"operation":          {"ops.crossplane.io/v1alpha1 Operation", "", "broken", "Succeeded", "False", "failure limit"},
			"usage":              {"protection.crossplane.io/v1beta1 Usage", "team-a", "settings-are-used", "Ready", "True", ""},
			"Flux":               {"kustomize.toolkit.fluxcd.io/v1 Kustomization", "flux-system", "team-b", "Ready", "False", "build failed"},
		} {
			t.Run(reason, func(t *testing.T) {
				eventually(t, func(ctx context.Context) error { return w.check(ctx, a) })
			})
		}
	})

	t.Run("Deleting", func(t *testing.T) {
		for _, w := range []want{
			{kind: objects, namespace: "team-b", name: "stuck-deleting"},
			{kind: "ec2.aws.upbound.io/v1beta1 SecurityGroup", name: "in-use"},
		} {
			o, err := w.get(t.Context(), a)
			if err != nil || o.GetDeletionTimestamp() == nil {
				t.Errorf("%s should be about to be deleted, held back by a finalizer: got %v, %v", w.name, o, err)
			}
		}
	})

	t.Run("Drift", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var drift sync.WaitGroup
		drift.Go(func() { s.Drift(ctx) })
		defer drift.Wait()
		defer cancel()
		client, err := kubernetes.NewForConfig(plane.RESTConfig())
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, func(ctx context.Context) error { return corrected(ctx, client, "two-masters", 2) })
	})
}

func (w want) get(ctx context.Context, a *apply.Applier) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	version, kind, _ := strings.Cut(w.kind, " ")
	o.SetAPIVersion(version)
	o.SetKind(kind)
	o.SetNamespace(w.namespace)
	r, err := a.Resource(o)
	if err != nil {
		return nil, err
	}
	return r.Get(ctx, w.name, metav1.GetOptions{})
}

func (w want) check(ctx context.Context, a *apply.Applier) error {
	o, err := w.get(ctx, a)
	if err != nil {
		return err
	}
	c, ok := apply.Condition(o, w.condition)
	message, _ := c["message"].(string)
	if !ok || c["status"] != w.status || !strings.Contains(message, w.message) {
		return fmt.Errorf("condition %s of %s: got %v, want %s with a message that contains %q", w.condition, w.name, c, w.status, w.message)
	}
	return nil
}

// corrected is nil when the provider has put an Object's ConfigMap back at least n times.
func corrected(ctx context.Context, client kubernetes.Interface, name string, n int32) error {
	events, err := client.CoreV1().Events(corev1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: "reason=UpdatedExternalResource,involvedObject.name=" + name,
	})
	if err != nil {
		return err
	}
	for _, e := range events.Items {
		n -= e.Count
	}
	if n > 0 {
		return fmt.Errorf("%d corrections of %s are missing", n, name)
	}
	return nil
}

// eventually waits until check is content.
func eventually(t *testing.T, check func(context.Context) error) {
	t.Helper()
	deadline := time.After(90 * time.Second)
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
