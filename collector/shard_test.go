package collector

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"crossplane-exporter/internal/cloud/aws"
	"crossplane-exporter/internal/cloud/aws/awstest"
	"crossplane-exporter/internal/kube/kubetest"
)

// TestShards plays the story of everything to three shards, and compares what they say together with what one exporter says.
func TestShards(t *testing.T) {
	story, err := txtar.ParseFile("testdata/everything.txtar")
	if err != nil {
		t.Fatal(err)
	}
	// What is said of the cluster and the cloud, less what each says of its own trail.
	said := func(w *world) (lines []string) {
		for line := range strings.Lines(show(t, w.metrics(), []string{"platform_*"})) {
			if !strings.HasPrefix(line, "platform_cloud_trail_") {
				lines = append(lines, line)
			}
		}
		return lines
	}
	var want, got []string
	synctest.Test(t, func(t *testing.T) { want = said(play(t, story)) })
	shares := map[int]int{}
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			lines := said(playTo(t, story, Shard{Index: i, Of: 3}))
			shares[i] = len(lines)
			got = append(got, lines...)
		})
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("one exporter, and three shards together: -one +three:\n%s", diff)
	}
	if len(shares) != 3 || shares[0] == len(want) {
		t.Errorf("the shares are %v of %d lines", shares, len(want))
	}
}

// TestShardsInTwoRegions lets CloudTrail show calls in two regions, with resources of two kinds, and compares what three shards count
// with what one exporter does. Kinds are counted once as well, and each shard says which it is.
func TestShardsInTwoRegions(t *testing.T) {
	const kinds = subnets + "buckets.s3.aws.upbound.io/v1beta1 Bucket managed\nproviderconfigs.aws.upbound.io/v1beta1 ProviderConfig\n"
	const bucket = `
apiVersion: s3.aws.upbound.io/v1beta1
kind: Bucket
metadata: {name: assets, creationTimestamp: "2027-01-14T08:00:00Z", annotations: {crossplane.io/external-name: assets}}
spec: {forProvider: {region: eu-central-1}}
`
	said := func(t *testing.T, shard Shard) (lines []string, watched float64) {
		t.Helper()
		calls := &awstest.CloudTrail{}
		trail := aws.NewTrail(aws.TrailConfig{
			Source: "lookup", Regions: []string{"eu-west-1", "eu-central-1"},
			Endpoints: aws.Endpoints{CloudTrail: "http://cloudtrail.test"}, HTTPClient: &http.Client{Transport: handler{calls}},
		})
		w := newWorld(t, Config{Trail: trail, Shard: shard})
		w.cloud = calls
		w.define(kinds)
		w.do(errors.Join(w.Apply(subnet), w.Apply(bucket)))
		w.happened(`
- {id: e1, time: "2027-01-15T08:01:00Z", account: "111122223333", region: eu-west-1, source: ec2.amazonaws.com, name: ModifySubnetAttribute, role: "arn:aws:iam::111122223333:role/admin", session: a, request: {subnetId: subnet-0123456789abcdef0}}
- {id: e2, time: "2027-01-15T08:01:00Z", account: "111122223333", region: eu-central-1, source: s3.amazonaws.com, name: PutBucketPolicy, role: "arn:aws:iam::111122223333:role/admin", session: a, request: {bucketName: assets}}
- {id: e3, time: "2027-01-15T08:01:00Z", account: "111122223333", region: eu-central-1, source: ec2.amazonaws.com, name: DescribeVpcs, readonly: true, role: "arn:aws:iam::111122223333:role/admin", session: a, errorcode: Client.RequestLimitExceeded}
- {id: e4, time: "2027-01-15T08:01:00Z", account: "111122223333", region: eu-central-1, source: s3.amazonaws.com, name: PutObject, data: true, role: "arn:aws:iam::111122223333:role/admin", session: a, request: {bucketName: assets}}
`)
		w.until("08:04:00")
		text := w.metrics()
		for line := range strings.Lines(show(t, text, []string{"platform_*"})) {
			if !strings.HasPrefix(line, "platform_cloud_trail_") {
				lines = append(lines, line)
			}
		}
		if want := fmt.Sprintf("crossplane_exporter_shards{shard=%q} %d\n", fmt.Sprint(shard.Index), max(shard.Of, 1)); !strings.Contains(text, want) {
			t.Errorf("it does not say %s", want)
		}
		return lines, parse(t, text)["crossplane_exporter_kinds_watched"].GetMetric()[0].GetGauge().GetValue()
	}
	var want, got []string
	var all, sum float64
	synctest.Test(t, func(t *testing.T) { want, all = said(t, Shard{}) })
	for i := range 3 {
		synctest.Test(t, func(t *testing.T) {
			lines, n := said(t, Shard{i, 3})
			got = append(got, lines...)
			sum += n
		})
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("one exporter, and three shards together: -one +three:\n%s", diff)
	}
	for _, line := range []string{`api_operation="DescribeVpcs"`, `platform_cloud_out_of_band_changes_total{api_operation="PutBucketPolicy"`, `api_operation="PutObject"`} {
		if !strings.Contains(strings.Join(want, ""), line) {
			t.Errorf("%s is not counted:\n%s", line, strings.Join(want, ""))
		}
	}
	if strings.Contains(strings.Join(want, ""), `changes_total{api_operation="PutObject"`) {
		t.Error("an object in a bucket is a change of the bucket")
	}
	if all != 3 || sum != all {
		t.Errorf("%v kinds are watched by one exporter and %v by three shards", all, sum)
	}
}

// TestShardKnowsProviders sees that a shard to which no configuration belongs still knows whom providers are.
func TestShardKnowsProviders(t *testing.T) {
	of := 0
	for n := 2; of == 0; n++ { // a number of shards in which the two kinds are apart, and the first has the subnets
		if s := (Shard{0, n}); s.has("ec2.aws.upbound.io", "Subnet") && !s.has("aws.upbound.io", "ProviderConfig") {
			of = n
		}
	}
	synctest.Test(t, func(t *testing.T) {
		calls := &awstest.CloudTrail{}
		w := newWorld(t, Config{Trail: lookup(calls), Shard: Shard{0, of}, Log: slog.New(slog.DiscardHandler)})
		w.cloud = calls
		w.define(subnets + "providerconfigs.aws.upbound.io/v1beta1 ProviderConfig\n")
		w.do(w.Apply(subnet))
		const config = `{apiVersion: aws.upbound.io/v1beta1, kind: ProviderConfig, metadata: {name: default}, spec: {assumeRoleChain: [{roleARN: "arn:aws:iam::111122223333:role/provider"}]}}`
		class := func(id string) string {
			w.happened(fmt.Sprintf(`[{id: %s, time: %q, account: "111122223333", region: eu-west-1, source: ec2.amazonaws.com, name: ModifySubnetAttribute, role: "arn:aws:iam::111122223333:role/provider", session: a, agent: %s, request: {subnetId: subnet-0123456789abcdef0}}]`,
				id, w.resources.now().Format("2006-01-02T15:04:05Z"), id))
			w.until(w.resources.now().Add(2 * 60e9).UTC().Format("15:04:05"))
			text := w.metrics()
			if strings.Contains(text, `kind="ProviderConfig"`) {
				t.Errorf("it says what another shard does:\n%s", text)
			}
			for _, m := range parse(t, text)["platform_resource_out_of_band_changes_total"].GetMetric() {
				for _, l := range m.GetLabel() {
					if l.GetName() == "principal_class" {
						return l.GetValue()
					}
				}
			}
			return ""
		}
		w.do(w.Apply(config))
		if got := class("a"); got != "crossplane_role_other_agent" {
			t.Errorf("with the configuration: %q", got)
		}
		w.do(w.Forget("providerconfigs.aws.upbound.io"))
		w.do(w.Delete(config))
		w.until(w.resources.now().Add(5e9).UTC().Format("15:04:05")) // the watch is opened again
		class("b")
		if n := sum(t, w.metrics(), "platform_resource_out_of_band_changes_total", `principal_class="role"`); n != 1 {
			t.Errorf("without it: %v changes by a role:\n%s", n, show(t, w.metrics(), []string{"platform_cloud_*", "platform_res*"}))
		}
	})
}

func TestShardsThatCannotBe(t *testing.T) {
	for _, s := range []Shard{{-1, 2}, {2, 2}, {0, -1}} {
		if _, err := New(Config{REST: (&kubetest.Server{}).Config(), Log: slog.New(slog.DiscardHandler), Shard: s}); err == nil {
			t.Errorf("%+v is taken", s)
		}
	}
}
