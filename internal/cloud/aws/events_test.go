package aws

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

func bridged(event string) string {
	return fmt.Sprintf(`{"version":"0","id":"7","detail-type":"AWS API Call via CloudTrail","source":"aws.ec2","account":"111111111111","time":"2026-05-01T12:00:01Z","region":"eu-west-1","resources":[],"detail":%s}`, event)
}

func (w *world) events(t *testing.T) cloud.Source {
	t.Helper()
	who := &Principals{}
	who.Know(Known{Providers: []string{awstest.ProviderRole}})
	return w.open(t, who).Events(EventsConfig{Queue: queueURL})
}

func TestEventsMessages(t *testing.T) {
	credentials(t)
	cases := map[string]struct {
		reason  string
		message string
		counted int
		skipped uint64
		left    bool
	}{
		"Event":    {"from EventBridge", bridged(full), 1, 0, false},
		"SNS":      {"through SNS", snsMessage(bridged(full)), 1, 0, false},
		"SignIn":   {"another kind of event with a record in it", strings.Replace(bridged(full), "AWS API Call", "AWS Console Sign In", 1), 1, 0, false},
		"Other":    {"something else on the bus", `{"detail-type":"EC2 Instance State-change Notification","detail":"x"}`, 0, 1, false},
		"Insight":  {"no event of a call", bridged(strings.Replace(full, `"Management"`, `"Insight"`, 1)), 0, 1, false},
		"Rubbish":  {"nothing that it knows", `hello`, 0, 0, true},
		"NoBridge": {"nothing that it knows", full, 0, 0, true},
		"Torn":     {"nothing that it can read", bridged(full)[:700], 0, 0, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				w.sqs.Send(queueURL, tc.message)
				source := w.events(t)
				p := start(t, &disk{}, source)
				time.Sleep(time.Minute)
				if n := len(p.clone().IDs); n != tc.counted {
					t.Errorf("%s: counted %d, want %d", tc.reason, n, tc.counted)
				}
				if w.sqs.Len(queueURL) != 1 {
					t.Errorf("%s: the message is gone before there was a checkpoint", tc.reason)
				}
				p.save(t)
				time.Sleep(time.Minute)
				if n := w.sqs.Len(queueURL); (n == 1) != tc.left {
					t.Errorf("%s: %d messages are left", tc.reason, n)
				}
				if st := source.Status(); st.Skipped != tc.skipped || (st.Bad > 0) != tc.left || st.Err != nil || st.Coverage != cloud.CoversWrites {
					t.Errorf("%s: status %+v", tc.reason, st)
				}
			})
		})
	}
}

func TestEventsAreExactOverDeaths(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		w := &world{sqs: awstest.SQS{Duplicates: 30, Shuffle: true}}
		now := time.Now()
		all := awstest.Generate(1, 1500, now, now.Add(time.Hour))
		d := &disk{}
		for from := 0; from < len(all); {
			to := min(len(all), from+r.IntN(200))
			for i := range all[from:to] {
				w.sqs.Send(queueURL, bridged(string(all[from+i].JSON())))
			}
			from = to
			p := start(t, d, w.events(t))
			for range r.IntN(4) {
				time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
				p.save(t)
			}
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
			p.die()
			w.sqs.Reveal()
		}
		p := start(t, d, w.events(t))
		time.Sleep(10 * time.Minute)
		p.save(t)
		time.Sleep(time.Minute)
		exactly(t, p.clone().IDs, all)
		if n := w.sqs.Len(queueURL); n != 0 {
			t.Errorf("%d messages are left", n)
		}
	})
}
