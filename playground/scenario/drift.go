package scenario

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"crossplane-exporter/playground/apply"
)

// A change is something that happens again and again.
type change struct {
	every time.Duration
	do    func(ctx context.Context, n int) error
}

// Drift keeps changing things until ctx ends: mostly what a provider then puts back, sometimes what is meant.
func (s *Scenario) Drift(ctx context.Context) {
	changes := []change{
		// Somebody helps out by hand, here and there.
		{15 * time.Second, func(ctx context.Context, n int) error {
			places := []types.NamespacedName{{Namespace: "team-a", Name: "settings-1"}, {Namespace: "team-a", Name: "settings-2"}, {Namespace: "team-b", Name: "settings-3"}, {Namespace: "default", Name: "legacy-1"}}
			return s.writeConfigMap(ctx, places[n%len(places)], "kubectl-edit", map[string]string{"colour": fmt.Sprintf("red-%d", n)})
		}},
		// A controller that wants something else never gives in.
		{3 * time.Second, func(ctx context.Context, _ int) error {
			return s.writeConfigMap(ctx, types.NamespacedName{Namespace: "team-b", Name: "two-masters"}, "config-sync", map[string]string{"owner": "config-sync"})
		}},
		// A release: the spec changes, as Git says. The update that follows is no drift.
		{45 * time.Second, func(ctx context.Context, n int) error {
			return s.release(ctx, types.NamespacedName{Namespace: "team-a", Name: "settings-7"}, apply.GitOps, n)
		}},
		// The same, past Git.
		{80 * time.Second, func(ctx context.Context, n int) error {
			return s.release(ctx, types.NamespacedName{Namespace: "team-b", Name: "settings-8"}, "kubectl-edit", n)
		}},
		// A provider that is throttled tries again, and says so with the request's new number.
		{20 * time.Second, func(ctx context.Context, _ int) error { return s.retryThrottled(ctx) }},
	}
	var all sync.WaitGroup
	for _, c := range changes {
		all.Go(func() {
			tick := time.NewTicker(c.every)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				// The API server may be restarting; the next time will do.
				if err := c.do(ctx, n); err != nil && ctx.Err() == nil {
					s.log.Warn("the playground could not change something", "error", err)
				}
			}
		})
	}
	all.Wait()
}

var (
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	object     = schema.GroupVersionResource{Group: "kubernetes.m.crossplane.io", Version: "v1alpha1", Resource: "objects"}
	records    = schema.GroupVersionResource{Group: "route53.aws.upbound.io", Version: "v1beta1", Resource: "records"}
	subnets    = schema.GroupVersionResource{Group: "ec2.aws.upbound.io", Version: "v1beta1", Resource: "subnets"}
)

func (s *Scenario) writeConfigMap(ctx context.Context, at types.NamespacedName, manager string, data map[string]string) error {
	return s.patch(ctx, configMaps, at, manager, map[string]any{"data": data})
}

// release changes what an Object is to make of its ConfigMap.
func (s *Scenario) release(ctx context.Context, at types.NamespacedName, manager string, revision int) error {
	data := map[string]any{"revision": strconv.Itoa(revision + 2)}
	return s.patch(ctx, object, at, manager, map[string]any{"spec": map[string]any{"forProvider": map[string]any{"manifest": map[string]any{"data": data}}}})
}

func (s *Scenario) patch(ctx context.Context, what schema.GroupVersionResource, at types.NamespacedName, manager string, patch any) error {
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	_, err = s.dynamic.Resource(what).Namespace(at.Namespace).Patch(ctx, at.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: manager})
	return err
}

// retryThrottled writes the throttled resources' conditions anew, as their provider would after one more try: with another
// request's number in the message, and so with another lastTransitionTime, though the status has not changed.
func (s *Scenario) retryThrottled(ctx context.Context) error {
	request := regexp.MustCompile(`RequestID: [0-9a-f-]+`)
	for _, what := range []schema.GroupVersionResource{records, subnets} {
		all, err := s.dynamic.Resource(what).List(ctx, metav1.ListOptions{LabelSelector: "playground/throttled"})
		if err != nil {
			return err
		}
		for _, o := range all.Items {
			conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
			if err != nil {
				return err
			}
			for _, c := range conditions {
				c, _ := c.(map[string]any)
				if message, ok := c["message"].(string); ok {
					c["message"] = request.ReplaceAllString(message, "RequestID: "+requestID())
					c["lastTransitionTime"] = time.Now().UTC().Format(time.RFC3339)
				}
			}
			if err := unstructured.SetNestedSlice(o.Object, conditions, "status", "conditions"); err != nil {
				return err
			}
			if _, err := s.dynamic.Resource(what).UpdateStatus(ctx, &o, metav1.UpdateOptions{FieldManager: "controller"}); err != nil {
				return err
			}
		}
	}
	return nil
}

// requestID is a number as AWS gives to requests.
func requestID() string {
	r := rand.Text() + rand.Text()
	hex := strings.Map(func(c rune) rune { return rune("0123456789abcdef"[c%16]) }, r)
	return hex[:8] + "-" + hex[8:12] + "-" + hex[12:16] + "-" + hex[16:20] + "-" + hex[20:32]
}
