package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"crossplane-exporter/internal/cloud"
)

// A TrailConfig says how CloudTrail is read.
type TrailConfig struct {
	// Source is lookup, s3, eventbridge or file.
	Source string
	// Profile, Region and Endpoints are those of a Config.
	Profile, Region string
	Endpoints       Endpoints
	// HTTPClient replaces the SDK's.
	HTTPClient *http.Client
	// Accounts are those that lookup reads, the session's own if there are none. The other sources read with the first.
	Accounts []Account
	// Regions are those that lookup reads; if there are none, those that Reach is told of.
	Regions []string
	// Interval is the least time between two LookupEvents in an account and region, a second if 0.
	Interval time.Duration
	// Pause is the least time between two looks at what does not notify: sweeps of lookup, listings, directories; each its own
	// default if 0.
	Pause time.Duration
	// Queue is a queue's URL; Bucket, as s3://bucket/prefix, is listed if there is no queue; Path is a directory.
	Queue, Bucket, Path string
	// Known are identities that are told of by hand.
	Known Known
}

// A Trail is CloudTrail.
type Trail struct {
	config  TrailConfig
	who     Principals
	session *Session

	mu      sync.Mutex
	read    map[string]bool // the sources that there are, by name
	reached int             // how many regions Reach was told of that are read now
}

// NewTrail makes a Trail.
func NewTrail(c TrailConfig) *Trail {
	if len(c.Accounts) == 0 {
		c.Accounts = []Account{{}}
	}
	t := &Trail{config: c, read: map[string]bool{}}
	t.who.Know(c.Known)
	return t
}

// CheckAccounts says what is wrong with accounts that are to be read side by side: sources are named after them.
func CheckAccounts(accounts []Account) error {
	role := map[string]string{}
	for _, a := range accounts {
		if a.Role == "" {
			continue
		}
		if _, _, ok := roleOf(a.Role); !ok {
			return fmt.Errorf("%q is not the ARN of a role, such as arn:aws:iam::111122223333:role/crossplane-exporter", a.Role)
		}
		if other, ok := role[a.ID()]; ok {
			return fmt.Errorf("%q and %q are in the same account, which would be read twice; leave one of them out", other, a.Role)
		}
		role[a.ID()] = a.Role
	}
	return nil
}

// Credentialed is whether the process was given AWS credentials on purpose: by EKS (IRSA or Pod Identity), by the environment or by a
// profile. What a node's metadata service would give is not the exporter's.
func Credentialed() bool {
	return slices.ContainsFunc([]string{
		"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	}, func(name string) bool { return os.Getenv(name) != "" })
}

// Cloud implements cloud.Trail.
func (*Trail) Cloud() string { return "aws" }

// Open implements cloud.Trail.
func (t *Trail) Open(o cloud.Opening) (sources []cloud.Source, err error) {
	c := t.config
	if err := CheckAccounts(c.Accounts); err != nil {
		return nil, err
	}
	t.session, err = Open(context.Background(), Config{ // which is not used for anything that takes time
		Profile: c.Profile, Region: c.Region, Endpoints: c.Endpoints, HTTPClient: c.HTTPClient,
		Principals: &t.who, Log: o.Log, OnRequest: o.OnRequest,
	})
	if err != nil {
		return nil, err
	}
	account := c.Accounts[0]
	switch c.Source {
	case "lookup":
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.lookup(c.Accounts, c.Regions), nil
	case "s3":
		b := BucketConfig{Queue: c.Queue, Account: account, Pause: c.Pause}
		if c.Queue == "" {
			where, ok := strings.CutPrefix(c.Bucket, "s3://")
			b.Bucket, b.Prefix, _ = strings.Cut(where, "/")
			if !ok || b.Bucket == "" {
				return nil, fmt.Errorf("log files in S3 are found by a queue or in a bucket; %q is no s3://BUCKET/PREFIX", c.Bucket)
			}
		}
		return []cloud.Source{t.session.Bucket(b)}, nil
	case "eventbridge":
		if c.Queue == "" {
			return nil, errors.New("events of EventBridge come through a queue, and none is named")
		}
		return []cloud.Source{t.session.Events(EventsConfig{Queue: c.Queue, Account: account})}, nil
	case "file":
		if c.Path == "" {
			return nil, errors.New("log files are read from a directory, and none is named")
		}
		return []cloud.Source{t.session.Directory(DirectoryConfig{Path: c.Path, Pause: c.Pause})}, nil
	default:
		return nil, fmt.Errorf("%q is none of lookup, s3, eventbridge and file", c.Source)
	}
}

// maxRegions bounds how many regions are read without being asked for; AWS has some thirty.
const maxRegions = 64

// Reach implements cloud.Trail. A region that the credentials do not reach, because it is in another partition, has no sources.
func (t *Trail) Reach(region string) []cloud.Source {
	if t.config.Source != "lookup" || len(t.config.Regions) > 0 || !isRegion(region) {
		return nil
	}
	accounts := slices.DeleteFunc(slices.Clone(t.config.Accounts), func(a Account) bool {
		return partitionOf(t.session.regionOf(a)) != partitionOf(region)
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(accounts) == 0 || t.reached >= maxRegions {
		return nil
	}
	sources := t.lookup(accounts, []string{region})
	if len(sources) > 0 {
		t.reached++
	}
	return sources
}

// lookup makes the sources for some regions of accounts that are not there yet. t.mu is held.
func (t *Trail) lookup(accounts []Account, regions []string) []cloud.Source {
	all := t.session.Lookup(LookupConfig{Accounts: accounts, Regions: regions, Interval: t.config.Interval, Pause: t.config.Pause})
	sources := slices.DeleteFunc(all, func(s cloud.Source) bool { return t.read[s.Name()] })
	for _, s := range sources {
		t.read[s.Name()] = true
	}
	return sources
}

// isRegion is whether a word has the form of a region's name: anybody may write anything into a resource.
func isRegion(s string) bool {
	parts := strings.Split(s, "-")
	if len(s) > 20 || len(parts) < 3 || len(parts) > 4 {
		return false
	}
	last := parts[len(parts)-1]
	return len(last) == 1 && last[0] >= '1' && last[0] <= '9' && !slices.ContainsFunc(parts[:len(parts)-1], func(p string) bool {
		return p == "" || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") != ""
	})
}

// Scope implements cloud.Trail.
func (*Trail) Scope(service string) string { return Scope(service) }

// Identify implements cloud.Trail.
func (*Trail) Identify(m cloud.Managed) (cloud.Identity, bool) { return Identify(m) }

// Know implements cloud.Trail.
func (t *Trail) Know(principals []string) {
	k := t.config.Known
	k.Providers = slices.Clone(k.Providers)
	for _, p := range principals {
		if t.Account(p) != "" {
			k.Providers = append(k.Providers, p)
		}
	}
	t.who.Know(k)
}

// Account implements cloud.Trail. Principals are roles and users.
func (*Trail) Account(principal string) string {
	f := strings.SplitN(principal, ":", 6)
	if len(f) != 6 || f[0] != "arn" || f[2] != "iam" || !strings.HasPrefix(f[5], "role/") && !strings.HasPrefix(f[5], "user/") {
		return ""
	}
	return f[4]
}
