package aws

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

// From the bytes of a file in S3 to the counts: decompressed, decoded, classified, known by ID, matched with 100,000
// resources, and counted.
func BenchmarkDeliver(b *testing.B) {
	const files = 10
	from := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	events := awstest.Generate(7, 100_000, from, from.Add(time.Hour))
	var zipped [files][]byte
	for i := range zipped {
		zipped[i] = logFileOf(b, events[i*len(events)/files:(i+1)*len(events)/files])
	}
	who := &Principals{}
	who.Know(Known{Providers: []string{awstest.ProviderRole}})
	index := cloud.NewIndex[int](Scope)
	for i := range 100_000 {
		id, _ := Identify(cloud.Managed{Group: "ec2.aws.upbound.io", Kind: "Subnet", Account: "111111111111", Region: "eu-west-1", ExternalName: awstest.SubnetID(i)})
		index.Set(i, id)
	}
	type key struct {
		service, operation, class string
		outcome                   cloud.Outcome
	}
	d := NewDecoder(who)
	records, heap := 0, uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		counts, matched := map[key]int{}, 0
		var matches []cloud.Match[int]
		ledger := cloud.NewLedger(cloud.LedgerConfig{Count: func(_ string, r *cloud.Record) {
			counts[key{r.Service, r.Operation, r.Principal.Class, r.Outcome}]++
			matches = index.Match(matches[:0], r)
			matched += len(matches)
		}})
		for i, file := range zipped {
			p := &part{source: "s3", name: markOf(string(rune(i))), done: "1", whole: func() bool { return true }}
			if err := p.deliver(context.Background(), ledger, d, bytes.NewReader(file), nil); err != nil {
				b.Fatal(err)
			}
		}
		if n := ledger.Tallies()["s3"].Records; n != uint64(len(events)) || matched < len(events)/20 {
			b.Fatalf("%d records, %d matched", n, matched)
		}
		records += len(events)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		heap = max(heap, m.HeapInuse)
	}
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}
