package collector

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"crossplane-exporter/internal/kube"
	"crossplane-exporter/internal/kube/kubetest"
)

// TestSinceSurvivesRestarts: a provider rewrites lastTransitionTime whenever it retries, so that after a restart the object alone would
// say that it has only just begun to fail.
func TestSinceSurvivesRestarts(t *testing.T) {
	const object = `
apiVersion: rds.aws.upbound.io/v1beta1
kind: Instance
metadata: {name: orders}
status:
  conditions:
  - {type: Synced, status: %q, reason: R, message: %q%s}
`
	at := func(clock string) string { return fmt.Sprintf(`, lastTransitionTime: "2027-01-15T%sZ"`, clock) }
	const began = "07:59:00"
	cases := map[string]struct {
		reason        string
		status, since string        // of the object when the exporter comes back
		away          time.Duration // until then
		want          string
	}{
		"Retried": {
			reason: "Retries before and while the exporter was away change nothing.",
			status: "False", since: at("08:06:30"), away: time.Minute, want: began,
		},
		"NotRetried": {
			reason: "Nor does their absence.",
			status: "False", since: at("08:05:00"), away: time.Minute, want: began,
		},
		"WithoutTime": {
			reason: "An object that does not say since when is believed less than we are.",
			status: "False", away: time.Minute, want: began,
		},
		"Unknown": {
			reason: "Nor is it well while it is tried again.",
			status: "Unknown", since: at("08:06:30"), away: time.Minute, want: began,
		},
		"Mended": {
			reason: "What is well is so since it says.",
			status: "True", since: at("08:06:30"), away: time.Minute, want: "08:06:30",
		},
		"LongAbsence": {
			reason: "In hours it may have been well and failed again.",
			status: "False", since: at("10:00:00"), away: 2 * time.Hour, want: "10:00:00",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(morning))
				s, keeper := &kubetest.Server{}, &mortalKeeper{}
				apply := func(status, message, since string) {
					if err := s.Apply(fmt.Sprintf(object, status, message, since)); err != nil {
						t.Fatal(err)
					}
				}
				if err := s.Apply(definitionsYAML(t, "instances.rds.aws.upbound.io/v1beta1 Instance managed")); err != nil {
					t.Fatal(err)
				}
				apply("False", "request 1 failed", at(began))
				time.AfterFunc(5*time.Minute, func() { apply("False", "request 2 failed", at("08:05:00")) })
				life(t, Config{REST: s.Config(), Detail: DetailAll}, keeper, 6*time.Minute)

				time.Sleep(tc.away)
				apply(tc.status, "request 3 failed", tc.since)
				// Twice, because what was taken from a checkpoint must get into the next one.
				for range 2 {
					text := life(t, Config{REST: s.Config(), Detail: DetailAll}, keeper, 20*time.Second)
					since := time.Unix(int64(sum(t, text, "platform_resource_condition_since_timestamp_seconds", "")), 0).UTC()
					if got := since.Format(time.TimeOnly); got != tc.want {
						t.Errorf("%s\nsince %s, want %s", tc.reason, got, tc.want)
					}
				}
			})
		})
	}
}

// TestWhatIsGoneIsForgotten: a checkpoint must not fill up with resources that went while nobody watched.
func TestWhatIsGoneIsForgotten(t *testing.T) {
	s := newStage(t, nil)
	s.fails("b", 10)
	s.fails("c", 10)
	s.Replace(nil)
	s.passes(5)
	s.fails("b", 900)
	s.fails("c", 900)
	before := s.state()
	if n := len(before.Resources[bucket.String()]); n != 2 {
		t.Fatalf("%d resources are remembered, want 2", n)
	}

	next := newStage(t, before)
	if n := len(next.state().Resources[bucket.String()]); n != 2 {
		t.Errorf("%d resources are remembered before any was seen, want 2", n)
	}
	next.store.Replace([]any{next.failing("b", 900)})
	if got := next.state().Resources[bucket.String()]; len(got) != 1 || len(got[resourceKey("", "b")].Since) != 1 {
		t.Errorf("remembered: %+v, want the one that is there", got)
	}
	next.store.Delete(next.failing("b", 900))
	if got := next.state().Resources; len(got) != 0 {
		t.Errorf("remembered: %+v, want nothing", got)
	}
}

// TestManyFailAtOnce has more to remember than there is room for.
func TestManyFailAtOnce(t *testing.T) {
	s := newStage(t, nil)
	for _, since := range []int64{10, 900} {
		for i := range 10_000 {
			s.fails(fmt.Sprintf("bucket-%x", uint64(i)*0x9E3779B97F4A7C15), since)
		}
	}
	all := s.state()
	keeper := &smallKeeper{}
	if err := newCheckpoint(keeper, slog.New(slog.DiscardHandler), prometheus.NewRegistry()).save(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(keeper.data))
	if err != nil {
		t.Fatal(err)
	}
	var kept state
	if err := json.NewDecoder(z).Decode(&kept); err != nil {
		t.Fatal(err)
	}
	if n := len(kept.Resources[bucket.String()]); len(keeper.data) > keeper.Room() || n < 1000 {
		t.Errorf("%d of 10,000 are remembered in %d bytes", n, len(keeper.data))
	}
}

// failing is a bucket that says it has failed since then, fails lets the watch show it.
func (s *stage) failing(name string, since int64) any {
	return s.store.Keep(&kube.Object{
		Name: name, ResourceVersion: "1", Generation: 1, Conditions: []kube.Condition{{Type: "Synced", Status: kube.False, Since: since}},
	})
}

func (s *stage) fails(name string, since int64) { s.store.Set(s.failing(name, since)) }
