package aws

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

// late makes events visible some minutes after they happened, as CloudTrail does: 10 at most, in no order.
func (w *world) late(seed uint64, events []awstest.Event) {
	r := rand.New(rand.NewPCG(seed, 9))
	groups := map[time.Duration][]awstest.Event{}
	for _, e := range events {
		d := time.Duration(r.IntN(11)) * time.Minute
		groups[d] = append(groups[d], e)
	}
	for d, group := range groups {
		for _, e := range group {
			w.trail.Add(e.Time.Add(d), e)
		}
	}
}

func until(events []awstest.Event, t time.Time) []awstest.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e awstest.Event) bool { return e.Time.After(t) })
}

// only are the counts of some events.
func only(counts map[string]int, events []awstest.Event) map[string]int {
	some := map[string]int{}
	for _, e := range events {
		if n, ok := counts[e.ID]; ok {
			some[e.ID] = n
		}
	}
	return some
}

func writesOf(events []awstest.Event) []awstest.Event {
	return slices.DeleteFunc(slices.Clone(events), func(e awstest.Event) bool { return e.ReadOnly })
}

// inRegion makes events happen elsewhere.
func inRegion(region string, events []awstest.Event) []awstest.Event {
	for i := range events {
		events[i].Region = region
	}
	return events
}

const home = "us-east-1"

// onlyHome has one source for one region.
var onlyHome = LookupConfig{Regions: []string{home}}

func (w *world) lookup(t *testing.T, c LookupConfig) []cloud.Source {
	t.Helper()
	who := &Principals{}
	who.Know(Known{Providers: []string{awstest.ProviderRole}})
	return w.open(t, who).Lookup(c)
}

// Over an hour, with events that come late, no two requests are less than a second apart, none is refused, and each
// event is counted once.
func TestLookupHoldsItsBudget(t *testing.T) {
	credentials(t)
	cases := map[string]struct {
		reason string
		events int
		pause  time.Duration
		least  int // requests
	}{
		"Busy":     {"sweeps of dozens of pages", 3000, 0, 500},
		"Restless": {"one sweep after the other: the budget is all that holds it", 120, time.Nanosecond, 3599},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				begin := time.Now()
				events := inRegion(home, awstest.Generate(1, tc.events, begin.Add(-14*time.Minute), begin.Add(time.Hour)))
				w.late(1, events)
				c := onlyHome
				c.Pause = tc.pause
				s := w.lookup(t, c)
				p := start(t, &disk{}, s...)
				time.Sleep(time.Hour)
				p.die()

				calls := w.trail.Calls()
				for i := 1; i < len(calls); i++ {
					if gap := calls[i].Time.Sub(calls[i-1].Time); gap < time.Second {
						t.Errorf("%s: requests %d and %d are %s apart", tc.reason, i-1, i, gap)
					}
					if calls[i].Rejected {
						t.Errorf("%s: request %d was refused", tc.reason, i)
					}
				}
				if n := len(calls); n > 3601 || n < tc.least {
					t.Errorf("%s: %d requests in an hour", tc.reason, n)
				}
				if n := w.asked()["cloudtrail:LookupEvents ok"]; n < len(calls)-1 { // the last may not have been answered any more
					t.Errorf("%s: OnRequest heard of %v, want %d requests", tc.reason, w.asked(), len(calls))
				}
				st := s[0].Status()
				if st.Coverage != cloud.CoversAll || st.Err != nil || time.Since(st.Through) > 5*time.Minute {
					t.Errorf("%s: status %+v", tc.reason, st)
				}
				seen := until(events, begin.Add(40*time.Minute)) // of the last minutes, some have come
				exactly(t, only(p.clone().IDs, seen), seen)
				t.Logf("%d requests, %d events, tallies %+v", len(calls), len(seen), p.Tallies())
			})
		})
	}
}

// More events than the budget can read: writes are all read nevertheless, and it says so; when there are fewer, it
// reads all again.
func TestLookupNarrowsAndWidens(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		begin := time.Now()
		busy := inRegion(home, awstest.Generate(2, 9000, begin, begin.Add(time.Hour)))
		calm := inRegion(home, awstest.Generate(3, 200, begin.Add(time.Hour), begin.Add(4*time.Hour)))
		w.late(2, busy)
		w.late(3, calm)
		c := onlyHome
		c.Interval = 24 * time.Second // at most 2 events a second; there are 2.5
		s := w.lookup(t, c)
		p := start(t, &disk{}, s...)
		time.Sleep(time.Hour)
		if st := s[0].Status(); st.Coverage != cloud.CoversWrites {
			t.Errorf("an hour into the rush it says that it covers %q", st.Coverage)
		}
		time.Sleep(3*time.Hour + 30*time.Minute)
		if st := s[0].Status(); st.Coverage != cloud.CoversAll || st.Err != nil {
			t.Errorf("hours after it says %+v", st)
		}
		p.die()
		got := p.clone()
		all := append(slices.Clone(busy), calm...)
		exactly(t, got.Writes, writesOf(all))
		later := 0
		for _, e := range calm[100:] {
			later += got.IDs[e.ID]
		}
		if later != len(calm[100:]) {
			t.Errorf("%d of the last %d events were read", later, len(calm[100:]))
		}
		if text := w.logs.String(); strings.Count(text, "reading writes only") == 0 {
			t.Errorf("it has not said that it narrows: %s", text)
		}
		for i, c := range w.trail.Calls() {
			if c.Rejected {
				t.Errorf("request %d was refused", i)
			}
		}
	})
}

// It dies at random moments, and what happened meanwhile is read when it is back.
func TestLookupGoesOnAfterADeath(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(4, 4))
		w := &world{}
		begin := time.Now()
		events := inRegion(home, awstest.Generate(4, 3000, begin, begin.Add(6*time.Hour)))
		w.late(4, events)
		d := &disk{}
		for time.Since(begin) < 6*time.Hour {
			p := start(t, d, w.lookup(t, onlyHome)...)
			for range r.IntN(5) {
				time.Sleep(time.Duration(r.IntN(300)) * time.Second)
				p.save(t)
			}
			time.Sleep(time.Duration(r.IntN(100)) * time.Second)
			p.die()
			time.Sleep(time.Duration(r.IntN(100)) * time.Minute / time.Duration(1+r.IntN(20)))
		}
		p := start(t, d, w.lookup(t, onlyHome)...)
		time.Sleep(2 * time.Hour)
		p.die()
		exactly(t, p.clone().IDs, events)
	})
}

func TestLookupIsKeptOut(t *testing.T) {
	credentials(t)
	denied := &awstest.Fault{Status: 400, Code: "AccessDeniedException", Message: "User: arn:aws:sts::111111111111:assumed-role/x/y is not authorized to perform: cloudtrail:LookupEvents because no identity-based policy allows the cloudtrail:LookupEvents action"}
	cases := map[string]struct {
		reason string
		fault  *awstest.Fault
		want   cloud.Outcome
		say    []string
	}{
		"Denied":    {"it may not", denied, cloud.Denied, []string{"account self", "region us-east-1", "allow cloudtrail:LookupEvents"}},
		"Expired":   {"its token is old", &awstest.Fault{Status: 400, Code: "ExpiredTokenException", Message: "The security token included in the request is expired: " + sessionToken}, cloud.Auth, []string{"account self", "us-east-1", "no valid AWS credentials"}},
		"NoKey":     {"its key is none", &awstest.Fault{Status: 400, Code: "UnrecognizedClientException", Message: "The security token included in the request is invalid: " + accessKey + "."}, cloud.Auth, []string{"no valid AWS credentials"}},
		"Throttled": {"others take all there is", &awstest.Fault{Status: 400, Code: "ThrottlingException", Message: "Rate exceeded"}, cloud.Throttled, []string{"throttled", "us-east-1"}},
		"Server":    {"it is broken", &awstest.Fault{Status: 500, Code: "InternalFailure", Message: "oops"}, cloud.Server, []string{"cloudtrail:LookupEvents", "InternalFailure"}},
		"Hangs":     {"it does not answer", &awstest.Fault{Hang: true}, cloud.Timeout, []string{"no answer in time", "us-east-1"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				begin := time.Now()
				w.trail.Fail = func(c awstest.Call) *awstest.Fault {
					if c.Region == home && time.Since(begin) < 2*time.Hour {
						return tc.fault
					}
					return nil
				}
				events := inRegion(home, awstest.Generate(5, 150, begin, begin.Add(3*time.Hour)))
				other := inRegion("eu-west-1", awstest.Generate(6, 150, begin, begin.Add(3*time.Hour)))
				w.late(5, append(slices.Clone(events), other...))
				sources := w.lookup(t, LookupConfig{Regions: []string{"eu-west-1"}})
				p := start(t, &disk{}, sources...)
				time.Sleep(time.Hour)
				for _, s := range sources {
					st := s.Status()
					if st.Region == home {
						if st.Err == nil || outcome(st.Err) != tc.want || st.Coverage != cloud.CoversNone {
							t.Fatalf("%s: status %+v", tc.reason, st)
						}
						for _, say := range tc.say {
							if !strings.Contains(st.Err.Error(), say) {
								t.Errorf("%s: %q does not say %q", tc.reason, st.Err, say)
							}
						}
						noSecrets(t, "Status.Err", st.Err.Error())
					} else if st.Err != nil || st.Coverage != cloud.CoversAll {
						t.Errorf("the other region does not work: %+v", st)
					}
				}
				if n := strings.Count(w.logs.String(), "cannot read audit trail"); n != 1 {
					t.Errorf("it was logged %d times: %s", n, w.logs.String())
				}
				if n := w.asked()["cloudtrail:LookupEvents "+string(tc.want)]; n < 10 || n > 800 {
					t.Errorf("%d requests in an hour of it, by outcome %v", n, w.asked())
				}
				time.Sleep(3 * time.Hour)
				p.die()
				exactly(t, p.clone().IDs, append(events, other...))
				for _, s := range sources {
					if st := s.Status(); st.Err != nil || st.Coverage != cloud.CoversAll {
						t.Errorf("when all is well again: %+v", st)
					}
				}
				noSecrets(t, "the log", w.logs.String())
			})
		})
	}
}

func TestLookupWithoutCredentials(t *testing.T) {
	credentials(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_SESSION_TOKEN", "")
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		s := w.lookup(t, onlyHome)
		p := start(t, &disk{}, s...)
		time.Sleep(10 * time.Minute)
		p.die()
		if st := s[0].Status(); outcome(st.Err) != cloud.Auth || !strings.Contains(st.Err.Error(), "no valid AWS credentials") {
			t.Errorf("status %+v", st)
		}
		if n := len(w.trail.Calls()); n != 0 {
			t.Errorf("%d requests without a signature", n)
		}
	})
}

// A clock that is wrong must not make it settle what is still to come, nor be refused for good.
func TestLookupWithAWrongClock(t *testing.T) {
	credentials(t)
	for _, skew := range []time.Duration{-3 * time.Hour, -20 * time.Minute, 20 * time.Minute, 3 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				w.trail.Skew = skew
				there := time.Now().Add(skew)
				events := inRegion(home, awstest.Generate(7, 300, there, there.Add(4*time.Hour)))
				w.late(7, events)
				s := w.lookup(t, onlyHome)
				p := start(t, &disk{}, s...)
				time.Sleep(5 * time.Hour)
				p.die()
				exactly(t, p.clone().IDs, events)
				if err := s[0].Status().Err; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestLookupLooksBackSoFar(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		begin := time.Now()
		events := inRegion(home, awstest.Generate(8, 2000, begin, begin.Add(72*time.Hour)))
		w.late(8, events)
		d := &disk{}
		p := start(t, d, w.lookup(t, onlyHome)...)
		time.Sleep(time.Hour)
		p.save(t)
		p.die()
		time.Sleep(71*time.Hour + 30*time.Minute)
		s := w.lookup(t, onlyHome)
		back := time.Now()
		p = start(t, d, s...)
		time.Sleep(time.Hour)
		p.die()
		if st := s[0].Status(); st.Missed < 46*time.Hour || st.Missed > 48*time.Hour {
			t.Errorf("it missed %s, want some 47 hours", st.Missed)
		}
		if !strings.Contains(w.logs.String(), "a part of it is skipped") {
			t.Errorf("it has not said so: %s", w.logs.String())
		}
		day := slices.DeleteFunc(slices.Clone(events), func(e awstest.Event) bool {
			return e.Time.After(begin.Add(45*time.Minute)) && e.Time.Before(back.Add(-24*time.Hour))
		})
		// What was between the last checkpoint's settled time and its end may be there too.
		exactly(t, only(p.clone().IDs, day), day)
	})
}

// A checkpoint may be of another machine, whose clock was wrong, or have been edited.
func TestLookupDoubtsItsPosition(t *testing.T) {
	credentials(t)
	for name, mark := range map[string]string{"Future": "2100-01-01T00:00:00Z", "Rubbish": "yesterday"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				begin := time.Now()
				events := inRegion(home, awstest.Generate(9, 200, begin.Add(-10*time.Minute), begin.Add(time.Hour)))
				w.late(9, events)
				d := &disk{State: cloud.State{Sources: map[string]cloud.SourceState{
					"lookup/self/us-east-1": {Marks: map[string]string{markSettled: mark}},
				}}}
				p := start(t, d, w.lookup(t, onlyHome)...)
				time.Sleep(2 * time.Hour)
				p.die()
				exactly(t, p.clone().IDs, events)
				if n := strings.Count(w.logs.String(), "not in the past"); n != 1 {
					t.Errorf("it said so %d times: %s", n, w.logs.String())
				}
			})
		})
	}
}

// Pages that take long, tokens that expire, and events that are none.
func TestLookupOfADifficultAPI(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		w.trail.Latency = 4 * time.Second // as in us-east-1
		n := 0
		w.trail.Fail = func(c awstest.Call) *awstest.Fault {
			if n++; c.Token != "" && n%7 == 0 {
				return &awstest.Fault{Status: 400, Code: "InvalidNextTokenException", Message: "Invalid NextToken in request"}
			}
			return nil
		}
		begin := time.Now()
		events := inRegion(home, awstest.Generate(10, 4500, begin, begin.Add(time.Hour)))
		w.late(10, events)
		s := w.lookup(t, onlyHome)
		p := start(t, &disk{}, s...)
		time.Sleep(2 * time.Hour)
		p.die()
		exactly(t, p.clone().IDs, events)
		if st := s[0].Status(); st.Coverage != cloud.CoversAll {
			t.Errorf("%+v", st)
		}
		calls, beside := w.trail.Calls(), 0
		for i := 1; i < len(calls); i++ {
			switch gap := calls[i].Time.Sub(calls[i-1].Time); {
			case gap < time.Second:
				t.Errorf("requests %d and %d are %s apart", i-1, i, gap)
			case gap < w.trail.Latency:
				beside++
			}
		}
		if beside < len(calls)/4 {
			t.Errorf("%d of %d requests were made before another was answered", beside, len(calls))
		}
	})
}

func TestLookupInManyAccounts(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		w.sts.Fail = func(role string) *awstest.Fault {
			if strings.Contains(role, "333333333333") {
				return &awstest.Fault{Status: 403, Code: "AccessDenied", Message: "User: arn:aws:iam::111111111111:user/x is not authorized to perform: sts:AssumeRole on resource: " + role}
			}
			return nil
		}
		sources := w.lookup(t, LookupConfig{
			Regions: []string{"eu-west-1", "us-east-1"},
			Accounts: []Account{
				{}, {Role: "arn:aws:iam::222222222222:role/exporter", ExternalID: "x"},
				{Role: "arn:aws:iam::333333333333:role/exporter", Regions: []string{"eu-central-1"}},
				{Role: "arn:aws-cn:iam::444444444444:role/exporter", Regions: []string{"cn-north-1"}},
			},
		})
		p := start(t, &disk{}, sources...)
		time.Sleep(20 * time.Minute)
		p.die()
		var names []string
		for _, s := range sources {
			names = append(names, s.Name())
		}
		want := []string{
			"lookup/self/eu-west-1", "lookup/self/us-east-1", "lookup/222222222222/eu-west-1", "lookup/222222222222/us-east-1",
			"lookup/333333333333/eu-central-1", "lookup/333333333333/us-east-1", "lookup/444444444444/cn-north-1", "lookup/444444444444/cn-northwest-1",
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("the global services' region is in each account: -want, +got:\n%s", diff)
		}
		calls := map[string]bool{}
		for _, c := range w.trail.Calls() {
			calls[w.sts.Role(c.AccessKey)+" "+c.Region] = true
		}
		for _, who := range []string{" eu-west-1", "arn:aws:iam::222222222222:role/exporter us-east-1", "arn:aws-cn:iam::444444444444:role/exporter cn-north-1"} {
			if !calls[who] {
				t.Errorf("no request as %q: %v", who, calls)
			}
		}
		for _, s := range sources {
			st := s.Status()
			if st.Account != "333333333333" {
				if st.Err != nil {
					t.Errorf("%s: %v", st.Source, st.Err)
				}
				continue
			}
			for _, say := range []string{"account 333333333333", st.Region, "sts:AssumeRole", "allow"} {
				if st.Err == nil || !strings.Contains(st.Err.Error(), say) {
					t.Errorf("%s: %v does not say %q", st.Source, st.Err, say)
				}
			}
		}
		noSecrets(t, "the log", w.logs.String())
	})
}

// What LookupEvents lists may be no event: that is counted and passed over.
func TestLookupOfRubbish(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		rubbish := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			fmt.Fprintf(w, `{"Events":[{"EventId":"1"},{"EventId":"2","CloudTrailEvent":"{"},{"EventId":"3","CloudTrailEvent":"[]"},
				{"EventId":"4","EventTime":%d,"CloudTrailEvent":%q}]}`, time.Now().Unix(), full)
		})
		client := network(t, map[string]http.Handler{"cloudtrail.test": rubbish})
		session, err := Open(t.Context(), Config{HTTPClient: client, Endpoints: Endpoints{CloudTrail: "http://cloudtrail.test"}})
		if err != nil {
			t.Fatal(err)
		}
		s := session.Lookup(onlyHome)
		p := start(t, &disk{}, s...)
		time.Sleep(30 * time.Second)
		p.die()
		if st := s[0].Status(); st.Bad != 3 || st.Err != nil {
			t.Errorf("status %+v", st)
		}
		if got := p.clone().IDs; len(got) != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

// What LookupEvents lists has an ID of its own, which stands in for one that a record does not have: every sweep would count it anew.
func TestLookupNamesTheNameless(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		events := inRegion("eu-west-1", awstest.Generate(1, 20, time.Now().Add(-5*time.Minute), time.Now()))
		for i := range events {
			events[i].Nameless = true
		}
		w.trail.Add(time.Now(), events...)
		p := start(t, &disk{}, w.open(t, nil).Lookup(LookupConfig{Regions: []string{"eu-west-1"}})...)
		time.Sleep(10 * time.Minute)
		p.die()
		exactly(t, p.clone().IDs, events)
	})
}
