package collector

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube"
	"crossplane-exporter/internal/kube/kubetest"
)

// unconnected is an Exporter that watches nothing: a test plays the watches.
func unconnected(t testing.TB, cfg Config) *Exporter {
	t.Helper()
	cfg.REST, cfg.Log = (&kubetest.Server{}).Config(), slog.New(slog.DiscardHandler)
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return morning }
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func testKind(i int) kube.Kind {
	return kube.Kind{Category: kube.Managed, Group: "rds.aws.upbound.io", Version: "v1beta1", Name: fmt.Sprintf("Kind%d", i), Resource: fmt.Sprintf("kind%ds", i)}
}

// said is all lines that an exporter says of kinds and resources, but for the clocks: they depend on what was before.
func (e *Exporter) said(t testing.TB) []string {
	t.Helper()
	e.resources.say(nil)
	var b bytes.Buffer
	if _, err := expo.WriteText(&b, e.resources.kinds, e.resources.table); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Collect(strings.Lines(b.String())), func(line string) bool {
		return strings.HasPrefix(line, "platform_resource_condition_since_timestamp_seconds{")
	})
}

// randomObject is one of few objects, in one of many states.
func randomObject(rng *rand.Rand) *kube.Object {
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	o := &kube.Object{
		Namespace:       pick("", "blue", "red"),
		Name:            fmt.Sprintf("n%d", rng.IntN(40)),
		ResourceVersion: fmt.Sprint(rng.IntN(1000)),
		Generation:      rng.Int64N(3),
		Created:         morning.Unix() - rng.Int64N(100),
		Finalizers:      rng.IntN(3),
		Paused:          rng.IntN(8) == 0,
		Inactive:        rng.IntN(8) == 0,
		ObserveOnly:     rng.IntN(8) == 0,
		Team:            pick("", "", "sales", `a "team"`),
		ClaimNamespace:  pick("", "", "blue"),
		CreatePending:   rng.Int64N(2) * morning.Unix(),
		CreateSucceeded: rng.Int64N(2) * morning.Unix(),
	}
	if rng.IntN(6) == 0 {
		o.Deleted = morning.Unix() - rng.Int64N(100)
	}
	for _, kind := range []string{"Ready", "Synced", "Healthy", "LastAsyncOperation", "Custom", "not a type", "a\x00", "a\x01"} {
		if rng.IntN(3) > 0 {
			o.Conditions = append(o.Conditions, kube.Condition{
				Type:    kind,
				Status:  kube.Status(rng.IntN(3) - 1),
				Reason:  pick("", "Available", "ReconcileError", "ReconcilePaused", "OfMyOwn"),
				Message: pick("", "api error AccessDenied", "ThrottlingException: Rate exceeded", "odd"),
				Since:   rng.Int64N(2) * (morning.Unix() - rng.Int64N(100)),
			})
		}
	}
	rng.Shuffle(len(o.Conditions), func(i, j int) { o.Conditions[i], o.Conditions[j] = o.Conditions[j], o.Conditions[i] })
	return o
}

// TestCountsEqualRecount lets objects of some kinds come, change and go at random, one by one and by relists, and compares what is said
// with what an exporter says that has seen nothing but the objects there are now.
func TestCountsEqualRecount(t *testing.T) {
	const kinds, steps = 3, 4000
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 1))
			e := unconnected(t, Config{Detail: DetailAll})
			var stores [kinds]kube.Store
			var there [kinds]map[string]*kube.Object
			var used [kinds]bool
			for step := range steps {
				k := rng.IntN(kinds)
				if stores[k] == nil {
					stores[k], there[k], used[k] = e.resources.open(testKind(k)), map[string]*kube.Object{}, false
				}
				o := randomObject(rng)
				key := o.Namespace + "/" + o.Name
				switch n := rng.IntN(100); {
				case n < 70:
					stores[k].Set(stores[k].Keep(o))
					there[k][key], used[k] = o, true
				case n < 95:
					stores[k].Delete(stores[k].Keep(o)) // which is there or not
					delete(there[k], key)
				case n < 99:
					for key := range there[k] {
						if rng.IntN(2) == 0 {
							delete(there[k], key)
						}
					}
					there[k][key], used[k] = o, true
					var kept []any
					for _, o := range there[k] {
						kept = append(kept, stores[k].Keep(o))
					}
					stores[k].Replace(kept)
				default:
					stores[k].Close()
					stores[k] = nil
					continue
				}
				if rng.IntN(20) == 0 {
					e.resources.say(nil)
				}
				if step%97 != 0 {
					continue
				}

				recount := unconnected(t, Config{Detail: DetailAll})
				for k, s := range stores {
					if s == nil {
						continue
					}
					fresh := recount.resources.open(testKind(k))
					if used[k] { // a kind that had objects says that it has none now
						once := fresh.Keep(&kube.Object{Name: "once"})
						fresh.Set(once)
						fresh.Delete(once)
					}
					var kept []any
					for _, o := range there[k] {
						kept = append(kept, fresh.Keep(o))
					}
					fresh.Replace(kept)
				}
				if diff := cmp.Diff(recount.said(t), e.said(t)); diff != "" {
					t.Fatalf("after step %d (-recounted +said):\n%s", step, diff)
				}
			}
		})
	}
}

// TestScrapesWhileTheWorldChanges is for the race detector, and for what is left behind when kinds go while they are said.
func TestScrapesWhileTheWorldChanges(t *testing.T) {
	e := unconnected(t, Config{Detail: DetailAll})
	handler := e.Handler("/metrics")
	done := make(chan struct{})
	var readers, writers sync.WaitGroup
	for _, path := range []string{"/metrics", "/"} {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					get(t, handler, "GET", path, "Accept-Encoding: gzip")
				}
			}
		})
	}
	readers.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				e.resources.say(nil)
				e.resources.teamChanged("blue")
			}
		}
	})
	for k := range 2 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(k), 2))
			for range 300 {
				s := e.resources.open(testKind(k))
				s.Replace([]any{s.Keep(randomObject(rng)), s.Keep(randomObject(rng))})
				for range 5 {
					s.Set(s.Keep(randomObject(rng)))
					s.Delete(s.Keep(randomObject(rng)))
				}
				s.Close()
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
	for _, line := range e.said(t) {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("all kinds are gone, and still it says %s", line)
		}
	}
	text := get(t, handler, "GET", "/metrics").Body.String()
	for line := range strings.Lines(text) {
		if strings.Contains(line, `kind="Kind`) {
			t.Errorf("all kinds are gone, and still it says %s", line)
		}
	}
}

// TestConditionTypesAreBounded has objects with ever new condition types: what counts by them stays bounded and adds up, and what an
// object says of itself is bounded too.
func TestConditionTypesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{Detail: DetailAll})
		w.define("widgets.example.org/v1 Widget managed")
		const objects = 3
		var b strings.Builder
		for i := range objects {
			fmt.Fprintf(&b, "---\napiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w%d}\nstatus:\n  conditions:\n", i)
			for c := range 1000 {
				fmt.Fprintf(&b, "  - {type: Type%dOf%d, status: \"True\"}\n", c, i)
			}
		}
		w.do(w.Apply(b.String()))
		families := parse(t, w.metrics())
		if n, want := len(families["platform_resource_condition"].GetMetric()), objects*kube.MaxConditions; n != want {
			t.Errorf("%d conditions of %d objects are said, want %d", n, objects, want)
		}
		counts := families["platform_resources_by_condition"].GetMetric()
		if n, want := len(counts), maxConditionTypes+1; n != want {
			t.Errorf("%d condition types are counted, want %d", n, want)
		}
		sum := 0.0
		for _, m := range counts {
			sum += m.GetGauge().GetValue()
		}
		if want := float64(objects * kube.MaxConditions); sum != want {
			t.Errorf("%v conditions are counted, want %v", sum, want)
		}
		for i := range objects {
			w.do(w.Delete(fmt.Sprintf("{apiVersion: example.org/v1, kind: Widget, metadata: {name: w%d}}", i)))
		}
		if f := parse(t, w.metrics())["platform_resources_by_condition"]; f != nil {
			t.Errorf("all objects are gone, and still it counts %v", f)
		}
	})
}

// TestHistogramBuckets looks at the classic buckets once; golden files leave them out.
func TestHistogramBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := everything(t) // one resource was ready after 180 seconds
		for _, m := range parse(t, w.metrics())["platform_time_to_ready_seconds"].GetMetric() {
			for _, b := range m.GetHistogram().GetBucket() {
				want := uint64(0)
				if b.GetUpperBound() >= 180 {
					want = 1
				}
				if b.GetCumulativeCount() != want {
					t.Errorf("le=%v: %d, want %d", b.GetUpperBound(), b.GetCumulativeCount(), want)
				}
			}
		}
	})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	tests := map[string]struct {
		reason string
		cfg    Config
		want   string
	}{
		"include": {"A glob that is none must be named.", Config{Include: []string{"a/["}}, `"a/["`},
		"exclude": {"In either list.", Config{Exclude: []string{"[/x"}}, `"[/x"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.cfg.REST, tc.cfg.Log = (&kubetest.Server{}).Config(), slog.New(slog.DiscardHandler)
			_, err := New(tc.cfg)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("\n%s\nerror %v does not say %s", tc.reason, err, tc.want)
			}
		})
	}
}
