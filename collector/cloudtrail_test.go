package collector

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
	"crossplane-exporter/internal/kube"
	"crossplane-exporter/internal/kube/kubetest"
)

const subnets = `
subnets.ec2.aws.upbound.io/v1beta1 Subnet managed
`

const subnet = `
apiVersion: ec2.aws.upbound.io/v1beta1
kind: Subnet
metadata: {name: front, creationTimestamp: "2027-01-14T08:00:00Z", annotations: {crossplane.io/external-name: subnet-0123456789abcdef0}}
spec: {forProvider: {region: eu-west-1}}
status: {conditions: [{type: Synced, status: "True", reason: ReconcileSuccess}, {type: Ready, status: "True", reason: Available}]}
`

// sum is what the samples of a family add up to, of those with that label if it is not empty.
func sum(t *testing.T, text, family, label string) (total float64) {
	t.Helper()
	for _, m := range parse(t, text)[family].GetMetric() {
		for _, l := range m.GetLabel() {
			if label == "" || fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()) == label {
				total += m.GetCounter().GetValue() + m.GetGauge().GetValue()
				break
			}
		}
	}
	return total
}

// A mortalKeeper keeps a checkpoint in memory until the process that writes it dies.
type mortalKeeper struct {
	mu   sync.Mutex
	data []byte
	dead bool
}

func (k *mortalKeeper) Load(context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.data, nil
}

func (k *mortalKeeper) Save(_ context.Context, data []byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.dead {
		k.data = data
	}
	return nil
}

func (*mortalKeeper) Room() int           { return 0 }
func (*mortalKeeper) Pace() time.Duration { return time.Second }
func (*mortalKeeper) String() string      { return "memory" }

func (k *mortalKeeper) die(dead bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dead = dead
}

// An end is how an exporter's life ends: how long before it Prometheus comes for the last time, and whether it is killed with whatever
// was not noted or is asked to stop.
type end struct {
	unseen time.Duration
	killed bool
}

// life runs an exporter for so long in the bubble that it is called in, kills it, and is what Prometheus heard of it last.
func life(t *testing.T, cfg Config, keeper *mortalKeeper, length time.Duration) string {
	t.Helper()
	return lifeTo(t, cfg, keeper, length, end{killed: true})
}

// lifeTo is a life to such an end.
func lifeTo(t *testing.T, cfg Config, keeper *mortalKeeper, length time.Duration, as end) string {
	t.Helper()
	cfg.Log, cfg.Checkpoint = slog.New(slog.DiscardHandler), keeper
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	time.Sleep(length - as.unseen)
	synctest.Wait()
	text := get(t, e.Handler("/metrics"), "GET", "/metrics").Body.String()
	keeper.die(as.killed)
	time.Sleep(as.unseen)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	keeper.die(false)
	return text
}

// TestTrailIsCountedOnce ends the exporter at random moments while CloudTrail shows events late and in no order, and adds up what a
// Prometheus would have seen of each life. One that is asked to stop leaves to the next what nobody has seen yet; one that is killed
// cannot, and is killed here when it has just been seen.
func TestTrailIsCountedOnce(t *testing.T) {
	ends := map[string]func(*rand.Rand) end{
		"killed":  func(*rand.Rand) end { return end{killed: true} },
		"stopped": func(r *rand.Rand) end { return end{unseen: time.Duration(r.IntN(50)) * time.Second} },
		"either": func(r *rand.Rand) end {
			return []end{{killed: true}, {unseen: time.Duration(r.IntN(50)) * time.Second}}[r.IntN(2)]
		},
	}
	for name, ending := range ends {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				countedOnce(t, seed, ending)
			}
		})
	}
}

func countedOnce(t *testing.T, seed uint64, ending func(*rand.Rand) end) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(morning))
		r := rand.New(rand.NewPCG(seed, 1))
		s := &kubetest.Server{}
		if err := s.Apply(definitionsYAML(t, subnets)); err != nil {
			t.Fatal(err)
		}
		if err := s.Apply(subnet); err != nil {
			t.Fatal(err)
		}
		calls := &awstest.CloudTrail{}
		events := awstest.Generate(seed, 500, morning, morning.Add(30*time.Minute))
		writes := 0
		for i := range events {
			e := &events[i]
			e.Region = "eu-west-1"
			if i%10 == 0 {
				writes++
				*e = awstest.Event{
					ID: fmt.Sprint("write-", i), Time: e.Time, Account: "111122223333", Region: "eu-west-1", Source: "ec2.amazonaws.com", Name: "ModifySubnetAttribute",
					Role: "arn:aws:iam::111122223333:role/deploy", Session: "ci", Request: map[string]any{"subnetId": "subnet-0123456789abcdef0"},
				}
			}
			calls.Add(e.Time.Add(time.Duration(r.IntN(600))*time.Second), *e)
		}
		keeper := &mortalKeeper{}
		var got struct{ calls, changes, resource float64 }
		for lives := 0; time.Since(morning) < 50*time.Minute; lives++ {
			text := lifeTo(t, Config{REST: s.Config(), Trail: lookup(calls)}, keeper, time.Duration(60+r.IntN(300))*time.Second, ending(r))
			got.calls += sum(t, text, "platform_cloud_api_calls_total", "")
			got.changes += sum(t, text, "platform_cloud_out_of_band_changes_total", `principal_class="deployer"`)
			got.resource += sum(t, text, "platform_resource_out_of_band_changes_total", `principal_class="deployer"`)
		}
		want := struct{ calls, changes, resource float64 }{500, float64(writes), float64(writes)}
		if got != want {
			t.Errorf("seed %d: got %+v, want %+v", seed, got, want)
		}
	})
}

// TestRevertOverARestart lets a change be put right by the time that another exporter has taken over.
func TestRevertOverARestart(t *testing.T) {
	for name, as := range map[string]end{"killed": {killed: true}, "stopped": {}} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(morning))
			s := &kubetest.Server{}
			if err := errors.Join(s.Apply(definitionsYAML(t, subnets)), s.Apply(subnet)); err != nil {
				t.Fatal(err)
			}
			calls, keeper := &awstest.CloudTrail{}, &mortalKeeper{}
			write := func(id, role, agent string) {
				calls.Add(time.Now(), awstest.Event{
					ID: id, Time: time.Now(), Account: "111122223333", Region: "eu-west-1", Source: "ec2.amazonaws.com", Name: "ModifySubnetAttribute", Agent: agent,
					Role: "arn:aws:iam::111122223333:role/" + role, Session: "a", Request: map[string]any{"subnetId": "subnet-0123456789abcdef0"},
				})
			}
			cfg := Config{REST: s.Config(), Trail: lookup(calls)}
			write("changed", "deploy", "")
			lifeTo(t, cfg, keeper, 5*time.Minute, as)
			cfg.Trail = lookup(calls)
			write("corrected", "provider", "crossplane-provider-aws/v2")
			text := lifeTo(t, cfg, keeper, 5*time.Minute, as)
			h := parse(t, text)["platform_cloud_revert_seconds"].GetMetric()
			if len(h) != 1 || h[0].GetHistogram().GetSampleSum() != 300 {
				t.Errorf("%s: want a revert after 300 seconds, got %v", name, h)
			}
		})
	}
}

// TestTrailInTrouble breaks what AWS answers, and sees that it is said, that nothing else suffers, and that it mends.
func TestTrailInTrouble(t *testing.T) {
	in := func(region string, f *awstest.Fault) func(awstest.Call) *awstest.Fault {
		return func(c awstest.Call) *awstest.Fault {
			if c.Region == region || region == "" {
				return f
			}
			return nil
		}
	}
	cases := map[string]struct {
		reason string
		fail   func(awstest.Call) *awstest.Fault
		up     map[string]float64 // by region
		log    string
	}{
		"Denied": {
			reason: "The permission that is missing is named.",
			fail:   in("", &awstest.Fault{Status: 400, Code: "AccessDeniedException", Message: "User is not authorized"}),
			up:     map[string]float64{"eu-west-1": 0, "us-east-1": 0},
			log:    "account self region eu-west-1: cloudtrail:LookupEvents: denied; allow cloudtrail:LookupEvents to the role that the exporter runs with",
		},
		"Expired": {
			reason: "Credentials that have run out are a matter of the service account.",
			fail:   in("", &awstest.Fault{Status: 400, Code: "ExpiredTokenException", Message: "The security token included in the request is expired"}),
			up:     map[string]float64{"eu-west-1": 0, "us-east-1": 0},
			log:    "no valid AWS credentials",
		},
		"RegionHangs": {
			reason: "A region that does not answer keeps no other waiting.",
			fail:   in("us-east-1", &awstest.Fault{Hang: true}),
			up:     map[string]float64{"eu-west-1": 1, "us-east-1": 0},
			log:    "account self region us-east-1: cloudtrail:LookupEvents: no answer in time",
		},
		"Throttled": {
			reason: "Others may use up what the account is allowed.",
			fail:   in("us-east-1", &awstest.Fault{Status: 400, Code: "ThrottlingException", Message: "Rate exceeded"}),
			up:     map[string]float64{"eu-west-1": 1, "us-east-1": 0},
			log:    "throttled; others may be using up",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logs syncBuffer
				var mended sync.Map
				calls := &awstest.CloudTrail{Fail: func(c awstest.Call) *awstest.Fault {
					if _, ok := mended.Load(true); ok {
						return nil
					}
					return tc.fail(c)
				}}
				w := newWorld(t, Config{Trail: lookup(calls), Log: slog.New(slog.NewTextHandler(&logs, nil))})
				w.define(subnets)
				w.do(w.Apply(subnet))
				w.until("08:12:30")
				text := w.metrics()
				got := map[string]float64{}
				for region := range tc.up {
					got[region] = sum(t, text, "crossplane_exporter_trail_up", fmt.Sprintf("cloud_region=%q", region))
				}
				if diff := cmp.Diff(tc.up, got); diff != "" {
					t.Errorf("%s\ncrossplane_exporter_trail_up: -want +got:\n%s", tc.reason, diff)
				}
				if n := strings.Count(logs.String(), tc.log); n < 1 || n > 2 {
					t.Errorf("%s\nthe log has %d lines with %q, want one for each region:\n%s", tc.reason, n, tc.log, &logs)
				}
				if sum(t, text, "platform_resources", "") != 1 || sum(t, text, "crossplane_exporter_collector_up", `collector="resources"`) != 1 {
					t.Errorf("%s\nthe resources suffer:\n%s", tc.reason, text)
				}
				if sum(t, text, "crossplane_exporter_collector_up", `collector="cloudtrail"`) != 0 {
					t.Errorf("%s\ncollector_up does not say so:\n%s", tc.reason, text)
				}
				page := w.get("/").Body.String()
				for what, text := range map[string]string{"log": logs.String(), "metrics": text, "page": page} {
					if strings.Contains(text, secretKey) {
						t.Errorf("the %s holds a secret", what)
					}
				}

				mended.Store(true, true)
				calls.Add(time.Now(), awstest.Event{
					ID: "after", Time: time.Now().Add(-10 * time.Minute), Account: "111122223333", Region: "us-east-1", Source: "iam.amazonaws.com", Name: "ListRoles", User: "arn:aws:iam::111122223333:user/a",
				})
				w.until("08:25:30")
				text = w.metrics()
				if sum(t, text, "crossplane_exporter_collector_up", `collector="cloudtrail"`) != 1 || sum(t, text, "platform_cloud_api_calls_total", "") != 1 {
					t.Errorf("%s\nit does not mend, or an event of meanwhile is lost:\n%s", tc.reason, text)
				}
			})
		})
	}
}

// A stubTrail is CloudTrail with sources that stand as a test says.
type stubTrail struct {
	cloud.Trail

	sources []cloud.Source
	reach   []cloud.Source // of any region, once
	once    sync.Once
}

func (s *stubTrail) Open(cloud.Opening) ([]cloud.Source, error) { return s.sources, nil }

func (s *stubTrail) Reach(string) (sources []cloud.Source) {
	s.once.Do(func() { sources = s.reach })
	return sources
}

type stubSource struct {
	mu      sync.Mutex
	status  cloud.Status
	records chan []cloud.Record
}

func (s *stubSource) Name() string { return s.Status().Source }

func (s *stubSource) Status() cloud.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *stubSource) stand(f func(*cloud.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}

func (s *stubSource) Run(ctx context.Context, in cloud.Inbox) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-s.records:
			if err := in.Take(ctx, cloud.Batch{Source: s.Name(), Records: r}); err != nil {
				return err
			}
		}
	}
}

func stubOf(source string) *stubSource {
	kind, _, _ := strings.Cut(source, "/")
	return &stubSource{status: cloud.Status{Source: source, Kind: kind, Account: "self", Region: "eu-west-1", Coverage: cloud.CoversNone}, records: make(chan []cloud.Record, 1)}
}

// TestTrailOfManyAccounts reads a queue with the calls of several accounts, in which nothing is at first.
func TestTrailOfManyAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stubOf("s3/111122223333/trail")
		w := newWorld(t, Config{Trail: &stubTrail{Trail: lookup(&awstest.CloudTrail{}), sources: []cloud.Source{s}}})
		say := func() string {
			return show(t, w.metrics(), []string{"*_trail_up", "*_trail_delay_seconds", "*_collector_up"})
		}
		want := func(reason, want string) {
			t.Helper()
			if diff := cmp.Diff(strings.TrimLeft(want, "\n"), say()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", reason, diff)
			}
		}
		want("it has not been asked", `
crossplane_exporter_collector_up{collector="cloudtrail"} 0
crossplane_exporter_collector_up{collector="resources"} 1
crossplane_exporter_trail_up{cloud_account="",cloud_provider="aws",cloud_region="eu-west-1",trail_source="s3/111122223333/trail"} 0
`)
		s.stand(func(st *cloud.Status) { st.LastSuccess = time.Now() })
		want("it is empty", `
crossplane_exporter_collector_up{collector="cloudtrail"} 1
crossplane_exporter_collector_up{collector="resources"} 1
crossplane_exporter_trail_up{cloud_account="",cloud_provider="aws",cloud_region="eu-west-1",trail_source="s3/111122223333/trail"} 1
`)
		for i, account := range []string{"111122223333", "444455556666"} {
			s.records <- []cloud.Record{{ID: account, Account: account, Time: morning.Add(time.Duration(i-120) * time.Minute), Cloud: "aws"}}
			w.until(fmt.Sprintf("08:0%d:00", i+1))
			want("the account is none of many, and old calls are being caught up with", `
crossplane_exporter_collector_up{collector="cloudtrail"} 1
crossplane_exporter_collector_up{collector="resources"} 1
crossplane_exporter_trail_up{cloud_account="",cloud_provider="aws",cloud_region="eu-west-1",trail_source="s3/111122223333/trail"} 1
platform_cloud_trail_delay_seconds{cloud_account="",cloud_provider="aws",cloud_region="eu-west-1",trail_source="s3/111122223333/trail"} 7260
`)
		}
		s.stand(func(st *cloud.Status) { st.Through = time.Now() })
		w.until("08:02:20")
		want("there are no more", `
crossplane_exporter_collector_up{collector="cloudtrail"} 1
crossplane_exporter_collector_up{collector="resources"} 1
crossplane_exporter_trail_up{cloud_account="",cloud_provider="aws",cloud_region="eu-west-1",trail_source="s3/111122223333/trail"} 1
platform_cloud_trail_delay_seconds{cloud_account="",cloud_provider="aws",cloud_region="eu-west-1",trail_source="s3/111122223333/trail"} 20
`)
	})
}

// TestRegionOfAResource lets a resource name a region that cannot be read: one tenant's mistake is not the exporter's trouble.
func TestRegionOfAResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own, reached := stubOf("lookup/self/us-east-1"), stubOf("lookup/self/eu-north-7")
		own.status.LastSuccess = time.Now()
		reached.status.Err = errors.New("no such host")
		w := newWorld(t, Config{Trail: &stubTrail{Trail: lookup(&awstest.CloudTrail{}), sources: []cloud.Source{own}, reach: []cloud.Source{reached}}})
		w.define(subnets)
		w.do(w.Apply(subnet))
		w.until("08:00:10")
		for _, step := range []struct {
			reason string
			status func(*cloud.Status)
			up     float64
		}{
			{"it has never worked", func(*cloud.Status) {}, 1},
			{"it works", func(s *cloud.Status) { s.Err, s.LastSuccess = nil, time.Now() }, 1},
			{"it works no more", func(s *cloud.Status) { s.Err = errors.New("denied") }, 0},
		} {
			reached.stand(step.status)
			text := w.metrics()
			if n := sum(t, text, "crossplane_exporter_collector_up", `collector="cloudtrail"`); n != step.up {
				t.Errorf("%s: collector_up is %v, want %v", step.reason, n, step.up)
			}
			if n := len(parse(t, text)["crossplane_exporter_trail_up"].GetMetric()); n != 2 {
				t.Errorf("%s: %d sources are said", step.reason, n)
			}
		}
	})
}

// TestOneSeriesTooMany makes two sources of the same name: the page is there all the same, and the log says what is wrong, once.
func TestOneSeriesTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs syncBuffer
		w := newWorld(t, Config{
			Trail: &stubTrail{Trail: lookup(&awstest.CloudTrail{}), sources: []cloud.Source{stubOf("lookup/self/us-east-1"), stubOf("lookup/self/us-east-1")}},
			Log:   slog.New(slog.NewTextHandler(&logs, nil)),
		})
		w.define(subnets)
		w.do(w.Apply(subnet))
		w.metrics()
		text := w.metrics()
		if sum(t, text, "platform_resources", "") != 1 || !strings.Contains(text, "crossplane_exporter_kinds_watched 1\n") {
			t.Errorf("the rest is not there:\n%s", text)
		}
		if rec := w.get("/metrics", "Accept: application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"); rec.Code != 200 {
			t.Errorf("in protobuf: %d: %s", rec.Code, rec.Body)
		}
		if n := strings.Count(logs.String(), "make no sense"); n != 1 {
			t.Errorf("it is said %d times:\n%s", n, &logs)
		}
	})
}

// TestTrailWaitsForServiceAccounts: a call that is counted before it is known whom providers are is anybody's.
func TestTrailWaitsForServiceAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := &awstest.CloudTrail{}
		w := worldOf(t, &kubetest.Server{}, Config{Trail: lookup(calls)}, func(w *world) {
			w.cloud = calls
			w.do(w.Answer("serviceaccounts", kubetest.Unreachable))
		})
		w.until("08:01:00")
		if n := len(calls.Calls()); n > 0 {
			t.Errorf("the trail was read %d times", n)
		}
		w.do(w.Answer("serviceaccounts", 403)) // which is an answer
		w.until("08:02:00")
		if len(calls.Calls()) == 0 {
			t.Error("the trail is not read")
		}
	})
}

// TestProviderConfigsOfNamespaces tells configurations of the same name apart.
func TestProviderConfigsOfNamespaces(t *testing.T) {
	p := newProviders(lookup(&awstest.CloudTrail{}))
	configs := 0
	configure := func(group, kind, namespace, name string, principals ...string) {
		k := kube.Kind{Group: group, Name: kind, Category: kube.Configuration}
		configs++
		p.configure(fmt.Sprint(configs), newConfiguration(k, &kube.Object{Namespace: namespace, Name: name, Principals: principals}))
	}
	role := func(account string) string { return "arn:aws:iam::" + account + ":role/provider" }
	const a, b, c, d, all = "111111111111", "222222222222", "333333333333", "444444444444", "555555555555"
	configure("aws.m.upbound.io", "ProviderConfig", "team-a", "default", role(a))
	configure("aws.m.upbound.io", "ProviderConfig", "team-b", "default", role(b))
	configure("aws.upbound.io", "ProviderConfig", "", "default", role(c))
	configure("aws.m.upbound.io", "ClusterProviderConfig", "", "shared", role(d))
	configure("gcp.m.upbound.io", "ProviderConfig", "team-c", "default", "serviceAccount:x")
	configure("aws.upbound.io", "ProviderConfig", "", "chain", role(a), role(b), "not-an-arn")
	for name, tc := range map[string]struct {
		group, namespace, config string
		accounts                 []string
	}{
		"OneNamespace":   {"ec2.aws.m.upbound.io", "team-a", "default", []string{a}},
		"AnotherOne":     {"s3.aws.m.upbound.io", "team-b", "default", []string{b}},
		"Cluster":        {"ec2.aws.upbound.io", "", "default", []string{c}},
		"ClusterConfig":  {"ec2.aws.m.upbound.io", "team-a", "shared", []string{d}},
		"ChainOfRoles":   {"ec2.aws.upbound.io", "", "chain", []string{b}},
		"Unknown":        {"ec2.aws.m.upbound.io", "team-d", "default", []string{a, b, c, d, all}},
		"WithoutAccount": {"storage.gcp.m.upbound.io", "team-c", "default", []string{a, b, c, d, all}},
	} {
		t.Run(name, func(t *testing.T) {
			ref := refOf(kube.Kind{Group: tc.group}, &kube.Object{Namespace: tc.namespace, ProviderConfig: tc.config})
			var got []string
			for _, account := range []string{a, b, c, d, all} {
				if p.speaksIn(ref, account) {
					got = append(got, account)
				}
			}
			if diff := cmp.Diff(tc.accounts, got); diff != "" {
				t.Errorf("accounts that it may be in: -want +got:\n%s", diff)
			}
		})
	}
}

// A syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestTrailOnThePage looks for what people ask first: who it was.
func TestTrailOnThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := &awstest.CloudTrail{}
		w := newWorld(t, Config{Trail: lookup(calls)})
		w.cloud = calls
		w.define(subnets)
		w.do(w.Apply(subnet))
		w.until("08:04:00")
		w.happened(`
- {id: e1, time: "2027-01-15T08:01:00Z", account: "111122223333", region: eu-west-1, source: ec2.amazonaws.com, name: ModifySubnetAttribute, role: "arn:aws:iam::111122223333:role/admin", session: "<script>alice", console: true, agent: Mozilla/5.0, request: {subnetId: subnet-0123456789abcdef0}}
- {id: e2, time: "2027-01-15T08:03:00Z", account: "111122223333", region: eu-west-1, source: ec2.amazonaws.com, name: ModifySubnetAttribute, role: "arn:aws:iam::111122223333:role/crossplane", session: "1", agent: crossplane-provider-aws/v2, request: {subnetId: subnet-0123456789abcdef0}}
- {id: e3, time: "2027-01-15T08:03:00Z", account: "111122223333", region: eu-west-1, source: ec2.amazonaws.com, name: DescribeVpcs, readonly: true, role: "arn:aws:iam::111122223333:role/batch", session: "1", agent: boto3, errorcode: Client.RequestLimitExceeded, message: Request limit exceeded.}
`)
		w.until("08:06:30")
		page := w.get("/").Body.String()
		for _, want := range []string{
			"Subnet <strong>front</strong>", "ec2:ModifySubnetAttribute", "arn:aws:iam::111122223333:role/admin", "&lt;script&gt;alice", "192.0.2.1", "event e1", "<td>2m 0s</td>",
			"ec2:DescribeVpcs", "lookup/self/eu-west-1",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not have %q:\n%s", want, page)
			}
		}
	})
}

// TestCheckpointWithoutRoom fills a checkpoint with more IDs than where it is kept takes.
func TestCheckpointWithoutRoom(t *testing.T) {
	ids := make([]byte, 12*10_000)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range ids {
		ids[i] = byte(r.Uint32())
	}
	for i := 0; i < len(ids); i += 12 { // a hash, and a time
		binary.BigEndian.PutUint32(ids[i+8:], uint32(i))
	}
	keeper := &smallKeeper{}
	cp := newCheckpoint(keeper, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	s := &state{Version: stateVersion, At: 1, Trail: &cloud.State{Sources: map[string]cloud.SourceState{"a": {IDs: bytes.Clone(ids), Marks: map[string]string{"at": "here"}}}}}
	if err := cp.save(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	back := cp.load(t.Context(), time.Unix(2, 0))
	if back == nil || back.Trail == nil {
		t.Fatal("nothing was kept")
	}
	kept := back.Trail.Sources["a"]
	if n := len(kept.IDs); n == 0 || n%12 != 0 || len(keeper.data) > keeper.Room() || !bytes.HasSuffix(ids, kept.IDs) {
		t.Errorf("%d bytes of IDs in a checkpoint of %d were kept, want the newest that there is room for", n, len(keeper.data))
	}
	if kept.Marks["at"] != "here" {
		t.Error("the position was lost")
	}
}

type smallKeeper struct{ mortalKeeper }

func (*smallKeeper) Room() int { return 50_000 }
