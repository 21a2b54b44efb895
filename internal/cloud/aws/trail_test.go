package aws

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
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
	want := []string{"lookup/self/ap-south-1", "lookup/self/eu-central-1", "lookup/self/eu-west-1", "lookup/self/us-east-1"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("each region that the credentials reach is read once (-want +got):\n%s", diff)
	}
}

// Accounts may have regions of their own, and be more than there is room for regions.
func TestReachInManyAccounts(t *testing.T) {
	credentials(t)
	c := TrailConfig{Source: "lookup"}
	for i := range 40 {
		c.Accounts = append(c.Accounts, Account{Role: fmt.Sprintf("arn:aws:iam::%012d:role/exporter", i)})
	}
	c.Accounts[0].Regions = []string{"ap-south-1"}
	c.Accounts[1].Role = "arn:aws-cn:iam::000000000001:role/exporter"
	trail := NewTrail(c)
	sources, err := trail.Open(cloud.Opening{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{"eu-central-1", "ap-south-1", "cn-north-1", "ap-south-1"} {
		sources = append(sources, trail.Reach(region)...)
	}
	names := map[string]int{}
	for _, s := range sources {
		names[s.Name()]++
	}
	for name, n := range names {
		if n > 1 {
			t.Errorf("%s is read %d times", name, n)
		}
	}
	for name, want := range map[string]int{
		"lookup/000000000000/ap-south-1": 1, "lookup/000000000000/eu-central-1": 0, "lookup/000000000039/ap-south-1": 1,
		"lookup/000000000001/cn-north-1": 1, "lookup/000000000001/ap-south-1": 0, "lookup/000000000001/eu-west-1": 0, "lookup/000000000002/cn-north-1": 0,
	} {
		if names[name] != want {
			t.Errorf("%s is read %d times, want %d", name, names[name], want)
		}
	}
}

func TestCheckAccounts(t *testing.T) {
	for name, tc := range map[string]struct {
		accounts []Account
		say      string
	}{
		"None":       {nil, ""},
		"Own":        {[]Account{{}, {Role: "arn:aws:iam::111122223333:role/a"}}, ""},
		"Two":        {[]Account{{Role: "arn:aws:iam::111122223333:role/a"}, {Role: "arn:aws:iam::444455556666:role/a"}}, ""},
		"SameRole":   {[]Account{{Role: "arn:aws:iam::111122223333:role/a"}, {Role: "arn:aws:iam::111122223333:role/a"}}, "read twice"},
		"OneAccount": {[]Account{{Role: "arn:aws:iam::111122223333:role/a"}, {Role: "arn:aws:iam::111122223333:role/path/b"}}, "in the same account"},
		"NoRole":     {[]Account{{Role: "arn:aws:iam::111122223333:user/a"}}, "is not the ARN of a role"},
		"NoARN":      {[]Account{{Role: "exporter"}}, "is not the ARN of a role"},
	} {
		t.Run(name, func(t *testing.T) {
			err := CheckAccounts(tc.accounts)
			if tc.say == "" && err != nil || tc.say != "" && (err == nil || !strings.Contains(err.Error(), tc.say)) {
				t.Errorf("got %v, want %q", err, tc.say)
			}
			if _, opened := NewTrail(TrailConfig{Source: "lookup", Accounts: tc.accounts}).Open(cloud.Opening{}); (opened != nil) != (err != nil) {
				t.Errorf("Open: %v", opened)
			}
		})
	}
}
