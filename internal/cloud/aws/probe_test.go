package aws

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

func TestProbe(t *testing.T) {
	credentials(t)
	denied := &awstest.Fault{Status: 400, Code: "AccessDeniedException", Message: "no"}
	sqsDenies := func(operation string) func(*world, *bucketServer) {
		return func(w *world, _ *bucketServer) {
			w.sqs.Fail = func(o string) *awstest.Fault {
				if o == operation {
					return denied
				}
				return nil
			}
		}
	}
	none := func(*world, *bucketServer) {}
	type making = func(t *testing.T, w *world) cloud.Source
	lookups := func(t *testing.T, w *world) cloud.Source { return w.lookup(t, onlyHome)[0] }
	notified := func(t *testing.T, w *world) cloud.Source { return w.bucket(t, notifiedConfig) }
	listed := func(t *testing.T, w *world) cloud.Source { return w.bucket(t, BucketConfig{Bucket: bucket}) }
	bridge := func(t *testing.T, w *world) cloud.Source { return w.events(t) }
	directory := func(path string) making {
		return func(t *testing.T, w *world) cloud.Source {
			return w.open(t, nil).Directory(DirectoryConfig{Path: path})
		}
	}
	cases := map[string]struct {
		source making
		spoil  func(*world, *bucketServer)
		say    string // "" if it works
	}{
		"Lookup":       {lookups, none, ""},
		"LookupDenied": {lookups, func(w *world, _ *bucketServer) { w.trail.Fail = func(awstest.Call) *awstest.Fault { return denied } }, "allow cloudtrail:LookupEvents"},
		"Queue":        {notified, none, ""},
		"QueueReceive": {notified, sqsDenies("ReceiveMessage"), "allow sqs:ReceiveMessage"},
		"QueueDelete":  {notified, sqsDenies("DeleteMessageBatch"), "allow sqs:DeleteMessage"},
		"QueueHide":    {bridge, sqsDenies("ChangeMessageVisibilityBatch"), "allow sqs:ChangeMessageVisibility"},
		"Listed":       {listed, none, ""},
		"ListedDenied": {listed, func(_ *world, b *bucketServer) {
			b.failWith(func(w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(http.StatusForbidden)
				return true
			})
		}, "s3:ListBucket"},
		"Directory":   {directory(t.TempDir()), none, ""},
		"NoDirectory": {directory("/nowhere/at/all"), none, "/nowhere/at/all"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s3 := newBucket(t)
				w := &world{s3: s3}
				tc.spoil(w, s3)
				w.sqs.Send(queueURL, "a message")
				err := tc.source(t, w).(cloud.Prober).Probe(t.Context())
				if tc.say == "" && err != nil || tc.say != "" && (err == nil || !strings.Contains(err.Error(), tc.say)) {
					t.Errorf("Probe: %v, want %q", err, tc.say)
				}
				time.Sleep(2 * time.Second)
				if n := w.sqs.Len(queueURL); n != 1 {
					t.Errorf("%d messages are left, want the one", n)
				}
			})
		})
	}
}
