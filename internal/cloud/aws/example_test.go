package aws_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

// A program that counts changes to managed resources by who made them, and goes on after it was killed.
func Example() {
	dir, err := os.MkdirTemp("", "trail")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	writeTrail(filepath.Join(dir, "trail.json.gz"))

	// Who is who, and which resources there are: both may change at any time.
	who := &aws.Principals{}
	who.Know(aws.Known{Providers: []string{awstest.ProviderRole}})
	index := cloud.NewIndex[string](aws.Scope)
	for i := range awstest.Subnets {
		managed := cloud.Managed{Group: "ec2.aws.upbound.io", Kind: "Subnet", Region: "eu-west-1", ExternalName: awstest.SubnetID(i)}
		if id, ok := aws.Identify(managed); ok {
			index.Set(fmt.Sprint("subnet-", i), id)
		}
	}

	// What is written together: the counts, and what belongs to them.
	type saved struct {
		Trail   cloud.State
		Changes map[string]int
	}
	s := saved{Changes: map[string]int{}}
	checkpoint := filepath.Join(dir, "checkpoint")
	if data, err := os.ReadFile(checkpoint); err == nil {
		if err := json.Unmarshal(data, &s); err != nil {
			fmt.Println("starting afresh:", err)
		}
	}
	ledger := cloud.NewLedger(cloud.LedgerConfig{State: s.Trail, Count: func(_ string, r *cloud.Record) {
		for _, m := range index.Match(nil, r) {
			if !m.Related {
				s.Changes[r.Principal.Class]++
			}
		}
	}})
	save := func() error {
		return ledger.Checkpoint(func(trail cloud.State) func() error {
			now := saved{Trail: trail, Changes: map[string]int{}}
			for class, n := range s.Changes {
				now.Changes[class] = n
			}
			return func() error { // in life, to another file first
				data, err := json.Marshal(now)
				if err != nil {
					return err
				}
				return os.WriteFile(checkpoint, data, 0o600)
			}
		})
	}

	session, err := aws.Open(context.Background(), aws.Config{Region: "eu-west-1", Principals: who})
	if err != nil {
		panic(err)
	}
	source := session.Directory(aws.DirectoryConfig{Path: dir})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- source.Run(ctx, ledger) }()

	for source.Status().Files == 0 {
		<-time.After(time.Millisecond)
	}
	if err := save(); err != nil { // in life, every few seconds
		fmt.Println(err)
	}
	stop()
	if err := <-done; err != nil {
		fmt.Println(err)
	}
	fmt.Println(s.Changes)
	// Output: map[console:33 crossplane:39 iam_user:11]
}

func writeTrail(name string) {
	f, err := os.Create(name)
	if err != nil {
		panic(err)
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	if err := awstest.WriteLog(f, awstest.Generate(1, 1000, now, now.Add(time.Hour))); err != nil {
		panic(err)
	}
	if err := f.Close(); err != nil {
		panic(err)
	}
}
