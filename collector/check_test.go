package collector

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/client-go/rest"

	"crossplane-exporter/internal/cloud/aws/awstest"
	"crossplane-exporter/internal/kube/kubetest"
)

// silent is a server that takes a request and never answers.
type silent struct{}

func (silent) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func TestCheck(t *testing.T) {
	const kinds = `
instances.rds.aws.upbound.io/v1beta1 Instance managed
queues.sqs.aws.upbound.io/v1beta1 Queue managed
topics.sns.aws.upbound.io/v1beta1 Topic managed
`
	const objects = `
{apiVersion: rds.aws.upbound.io/v1beta1, kind: Instance, metadata: {name: a}, status: {conditions: [{type: Ready, status: "True"}]}}
---
{apiVersion: rds.aws.upbound.io/v1beta1, kind: Instance, metadata: {name: b}, status: {conditions: [{type: Ready, status: "False"}]}}
---
{apiVersion: sqs.aws.upbound.io/v1beta1, kind: Queue, metadata: {name: a}, spec: {forProvider: {region: eu-central-1}}, status: {conditions: [{type: Ready, status: "True"}]}}
`
	tests := map[string]struct {
		reason  string
		happens func(t *testing.T, s *kubetest.Server) error
		config  *rest.Config
		trail   *awstest.CloudTrail // nil for none
		timeout time.Duration
		want    []string // lines, with single spaces
		wantErr error
		wantFor time.Duration // that it takes, at most
	}{
		"well": {
			reason:  "Kinds, objects, and what each detail costs, largest first.",
			happens: func(*testing.T, *kubetest.Server) error { return nil },
			want: []string{
				"cluster http://cluster.test",
				"kinds 3 found, 3 readable, 0 not",
				"objects 3 of 2 kinds",
				"CATEGORY KIND VERSION OBJECTS NOT WELL",
				"managed rds.aws.upbound.io/Instance v1beta1 2 1",
				"managed sqs.aws.upbound.io/Queue v1beta1 1 0",
			},
			wantFor: time.Second,
		},
		"forbidden": {
			reason:  "Before deployment is when a missing permission should be found: the kind, its resource, and what the server said.",
			happens: func(_ *testing.T, s *kubetest.Server) error { return s.Answer("topics.sns.aws.upbound.io", 403) },
			want: []string{
				"kinds 3 found, 2 readable, 1 not",
				"NOT READABLE RESOURCE WHY",
				"sns.aws.upbound.io/Topic topics.sns.aws.upbound.io " +
					`topics.sns.aws.upbound.io is forbidden: user "test" cannot list resource: as the test wants it`,
			},
			wantErr: ErrIncomplete,
			wantFor: time.Second,
		},
		"broken": {
			reason:  "A conversion webhook that is down does not hold up the others.",
			happens: func(_ *testing.T, s *kubetest.Server) error { return s.Answer("queues.sqs.aws.upbound.io", 500) },
			want: []string{
				"kinds 3 found, 2 readable, 1 not",
				"objects 2 of 1 kinds",
				"managed rds.aws.upbound.io/Instance v1beta1 2 1",
				`sqs.aws.upbound.io/Queue queues.sqs.aws.upbound.io an error on the server ("") has prevented the request from succeeding (list queues.sqs.aws.upbound.io): as the test wants it`,
			},
			wantErr: ErrIncomplete,
			wantFor: time.Second,
		},
		"definitions forbidden": {
			reason: "Without CustomResourceDefinitions nothing can be found, and waiting does not help.",
			happens: func(_ *testing.T, s *kubetest.Server) error {
				return s.Answer("customresourcedefinitions.apiextensions.k8s.io", 403)
			},
			want: []string{
				`not ready CustomResourceDefinitions may not be listed and watched, so no kind can be found; allow it in the exporter's ClusterRole: ` +
					`customresourcedefinitions.apiextensions.k8s.io is forbidden: user "test" cannot list resource: as the test wants it`,
				"kinds 0 found, 0 readable, 0 not",
			},
			wantErr: ErrIncomplete,
			wantFor: time.Second,
		},
		"unreachable": {
			reason:  "It keeps trying until the time is over, and then says why.",
			happens: func(_ *testing.T, s *kubetest.Server) error { return s.Answer("", kubetest.Unreachable) },
			timeout: 30 * time.Second,
			want:    []string{"kinds 0 found, 0 readable, 0 not", "objects 0 of 0 kinds"},
			wantErr: ErrIncomplete,
			wantFor: 30 * time.Second,
		},
		"silent": {
			reason:  "A server that takes the connection and says nothing is no reason to wait for ever.",
			config:  &rest.Config{Host: "http://cluster.test", Transport: silent{}},
			timeout: 30 * time.Second,
			want:    []string{"kinds 0 found, 0 readable, 0 not"},
			wantErr: ErrIncomplete,
			wantFor: 30 * time.Second,
		},
		"trail": {
			reason:  "An audit trail that can be read is said, in the regions of resources too, and nothing of it is taken.",
			happens: func(*testing.T, *kubetest.Server) error { return nil },
			trail:   &awstest.CloudTrail{},
			want:    []string{"kinds 3 found, 3 readable, 0 not", "AUDIT TRAIL READABLE", "lookup/self/eu-west-1 yes", "lookup/self/us-east-1 yes", "lookup/self/eu-central-1 yes"},
			wantFor: time.Second,
		},
		"trail denied": {
			reason:  "Permissions of the cloud are needed as well, and ServiceAccounts to know the providers by.",
			happens: func(_ *testing.T, s *kubetest.Server) error { return s.Answer("serviceaccounts", 403) },
			trail: &awstest.CloudTrail{Fail: func(c awstest.Call) *awstest.Fault {
				if c.Region == "us-east-1" {
					return &awstest.Fault{Status: 400, Code: "AccessDeniedException", Message: "not authorized"}
				}
				return nil
			}},
			want: []string{
				"kinds 3 found, 3 readable, 0 not",
				`ServiceAccount serviceaccounts ` + `serviceaccounts is forbidden: user "test" cannot list resource: as the test wants it`,
				"lookup/self/eu-west-1 yes",
				"lookup/self/us-east-1 account self region us-east-1: cloudtrail:LookupEvents: denied; allow cloudtrail:LookupEvents to the role that the exporter runs with: AccessDeniedException: not authorized",
			},
			wantErr: ErrIncomplete,
			wantFor: 5 * time.Second,
		},
		"late": {
			reason: "A cluster that comes up meanwhile is waited for.",
			happens: func(t *testing.T, s *kubetest.Server) error {
				t.Helper()
				time.AfterFunc(20*time.Second, func() {
					if err := s.Answer("", 0); err != nil {
						t.Error(err)
					}
				})
				return s.Answer("", kubetest.Unreachable)
			},
			timeout: 5 * time.Minute,
			want:    []string{"kinds 3 found, 3 readable, 0 not"},
			wantFor: 2 * time.Minute,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &kubetest.Server{}
				if err := errors.Join(s.Apply(definitionsYAML(t, kinds)), s.Apply(objects)); err != nil {
					t.Fatal(err)
				}
				if tc.config == nil {
					tc.config = s.Config()
					if err := tc.happens(t, s); err != nil {
						t.Fatal(err)
					}
				}
				if tc.timeout == 0 {
					tc.timeout = time.Minute
				}
				ctx, cancel := context.WithTimeout(t.Context(), tc.timeout)
				defer cancel()
				begun := time.Now()
				var out bytes.Buffer
				cfg := Config{REST: tc.config, Log: slog.New(slog.DiscardHandler)}
				if tc.trail != nil {
					cfg.Trail = lookup(tc.trail)
				}
				err := Check(ctx, cfg, &out)
				if diff := cmp.Diff(tc.wantErr, err, cmpopts.EquateErrors()); diff != "" {
					t.Errorf("\n%s\nerror: -want +got:\n%s", tc.reason, diff)
				}
				if took := time.Since(begun); took > tc.wantFor {
					t.Errorf("\n%s\nit took %s, want %s at most", tc.reason, took, tc.wantFor)
				}
				report := ""
				for line := range strings.Lines(out.String()) {
					report += strings.Join(strings.Fields(line), " ") + "\n"
				}
				for _, line := range tc.want {
					if !strings.Contains("\n"+report, "\n"+line+"\n") {
						t.Errorf("\n%s\nthe report has no line %q:\n%s", tc.reason, line, report)
					}
				}
			})
		})
	}
}

// TestCheckCountsSeries compares the series that Check promises with what is said then.
func TestCheckCountsSeries(t *testing.T) {
	for _, detail := range []Detail{DetailNone, DetailUnhealthy, DetailAll} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, Config{Detail: detail})
			w.define("instances.rds.aws.upbound.io/v1beta1 Instance managed")
			w.do(w.Apply(`
{apiVersion: rds.aws.upbound.io/v1beta1, kind: Instance, metadata: {name: a}, status: {conditions: [{type: Ready, status: "True"}]}}
---
{apiVersion: rds.aws.upbound.io/v1beta1, kind: Instance, metadata: {name: b}, status: {conditions: [{type: Synced, status: "False"}]}}
`))
			n := 0
			for line := range strings.Lines(w.metrics()) {
				if strings.HasPrefix(line, "# HELP crossplane_exporter_build_info") { // the first of client_golang's
					break
				}
				if !strings.HasPrefix(line, "#") {
					n++
				}
			}
			var report bytes.Buffer
			if err := w.report(&report, "test"); err != nil {
				t.Fatal(err)
			}
			want := strconv.Itoa(n) + " with --detail=" + string(detail) + "\n"
			if !strings.Contains(report.String(), want) {
				t.Errorf("the exposition has %q:\n%s", want, &report)
			}
		})
	}
}
