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

	mu   sync.Mutex
	read map[string]bool // regions, by name
}

// NewTrail makes a Trail.
func NewTrail(c TrailConfig) *Trail {
	t := &Trail{config: c, read: map[string]bool{}}
	t.who.Know(c.Known)
	return t
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
	t.session, err = Open(context.Background(), Config{ // which is not used for anything that takes time
		Profile: c.Profile, Region: c.Region, Endpoints: c.Endpoints, HTTPClient: c.HTTPClient,
		Principals: &t.who, Log: o.Log, OnRequest: o.OnRequest,
	})
	if err != nil {
		return nil, err
	}
	var account Account
	if len(c.Accounts) > 0 {
		account = c.Accounts[0]
	}
	switch c.Source {
	case "lookup":
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.lookup(c.Regions), nil
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

// Reach implements cloud.Trail.
func (t *Trail) Reach(region string) []cloud.Source {
	if t.config.Source != "lookup" || len(t.config.Regions) > 0 {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.read[region] || len(t.read) >= maxRegions || !isRegion(region) {
		return nil
	}
	return t.lookup([]string{region})
}

// lookup makes the sources for some regions that are not there yet. t.mu is held.
func (t *Trail) lookup(regions []string) []cloud.Source {
	all := t.session.Lookup(LookupConfig{Accounts: t.config.Accounts, Regions: regions, Interval: t.config.Interval, Pause: t.config.Pause})
	sources := slices.DeleteFunc(all, func(s cloud.Source) bool { return t.read[s.Status().Region] })
	for _, s := range sources {
		t.read[s.Status().Region] = true
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
