package load_test

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"crossplane-exporter/playground/apply"
	"crossplane-exporter/playground/controlplane/controlplanetest"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/load"
)

func TestFill(t *testing.T) {
	const objects, kinds = 2003, 40
	plane := controlplanetest.New(t)
	files, err := load.Used(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := definitions.Install(t.Context(), plane.RESTConfig(), files); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	f, err := load.Fill(t.Context(), plane, load.Config{Objects: objects, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects of %d bytes each, %d not ready, %d not synced, in %s", f.Objects, f.Bytes/objects, f.NotReady, f.NotSynced, time.Since(began))
	if len(f.Kinds) != kinds || f.Objects != objects {
		t.Errorf("got %d objects of %d kinds, want %d of %d", f.Objects, len(f.Kinds), objects, kinds)
	}
	if size := f.Bytes / objects; size < 4700 || size > 5100 {
		t.Errorf("size of an object: got %d bytes, want 4.9 KB", size)
	}

	// What the API server has is what Fill says there is, and valid: the API server takes it back unchanged.
	client, err := dynamic.NewForConfig(plane.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	there, notReady, notSynced := 0, 0, 0
	for _, k := range f.Kinds {
		all, err := client.Resource(k.GroupVersionResource).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		uids := make(map[string]bool)
		for _, o := range all.Items {
			there++
			uids[string(o.GetUID())] = true
			if !is(&o, "Ready") {
				notReady++
			}
			if !is(&o, "Synced") {
				notSynced++
			}
			wanted, _, _ := unstructured.NestedMap(o.Object, "spec", "forProvider")
			seen, _, _ := unstructured.NestedMap(o.Object, "status", "atProvider")
			for name, value := range seen {
				if w, ok := wanted[name]; ok && !reflect.DeepEqual(w, value) {
					t.Errorf("%s %s has drifted: %s should be %v, and is %v", k.Kind, o.GetName(), name, w, value)
				}
			}
		}
		if len(uids) != len(all.Items) {
			t.Errorf("%s: %d objects have %d UIDs", k.Kind, len(all.Items), len(uids))
		}
		last := all.Items[len(all.Items)-1]
		updated, err := client.Resource(k.GroupVersionResource).Update(t.Context(), &last, metav1.UpdateOptions{})
		if err != nil {
			t.Errorf("%s %s is not valid: %v", k.Kind, last.GetName(), err)
		} else if updated.GetGeneration() != last.GetGeneration() {
			t.Errorf("%s %s was not stored as the API server stores it: an update with nothing new raised its generation", k.Kind, last.GetName())
		}
	}
	if there != f.Objects || notReady != f.NotReady || notSynced != f.NotSynced {
		t.Errorf("the API server has %d objects, %d not ready, %d not synced, want %d, %d, %d", there, notReady, notSynced, f.Objects, f.NotReady, f.NotSynced)
	}

	before := names(t, client, f)
	if err := f.Change(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	changed := 0
	for name, ready := range names(t, client, f) {
		if before[name] != ready {
			changed++
		}
	}
	// A few were not ready before.
	if changed < 90 || changed > 100 {
		t.Errorf("objects whose Ready has changed: got %d, want about 100", changed)
	}
}

func names(t *testing.T, client dynamic.Interface, f *load.Fleet) map[string]bool {
	t.Helper()
	ready := make(map[string]bool)
	for _, k := range f.Kinds {
		all, err := client.Resource(k.GroupVersionResource).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range all.Items {
			ready[k.Group+"/"+o.GetName()] = is(&o, "Ready")
		}
	}
	return ready
}

func is(o *unstructured.Unstructured, condition string) bool {
	c, ok := apply.Condition(o, condition)
	return ok && c["status"] == "True"
}
