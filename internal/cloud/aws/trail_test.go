package aws

import (
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"crossplane-exporter/internal/cloud"
)

// TestReachFromManyGoroutines: each kind has a goroutine of its own, and the first resources of many kinds come at once. The race
// detector watches.
func TestReachFromManyGoroutines(t *testing.T) {
	credentials(t)
	trail := NewTrail(TrailConfig{Source: "lookup"})
	sources, err := trail.Open(cloud.Opening{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	for range 16 {
		wg.Go(func() {
			for _, region := range []string{"eu-central-1", "eu-west-1", "ap-south-1", "", "us-gov-west-1", "no region", "us-east-1"} {
				more := trail.Reach(region)
				mu.Lock()
				sources = append(sources, more...)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var names []string
	for _, s := range sources {
		names = append(names, s.Name())
	}
	slices.Sort(names)
	want := []string{"lookup/self/ap-south-1", "lookup/self/eu-central-1", "lookup/self/eu-west-1", "lookup/self/us-east-1", "lookup/self/us-gov-west-1"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("each region is read once (-want +got):\n%s", diff)
	}
}
