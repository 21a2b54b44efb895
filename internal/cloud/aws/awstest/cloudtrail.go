package awstest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A CloudTrail answers LookupEvents. The zero value has no events. Its fields must not be changed once it is in use.
type CloudTrail struct {
	// Rate is how many requests a second it answers for each account and region, 2 if 0, as AWS; below 0 all.
	Rate int
	// Skew is how far its clock is ahead of ours.
	Skew time.Duration
	// Latency is how long it takes over an answer.
	Latency time.Duration
	// Fail, if not nil, is asked before each answer; a Fault is answered with.
	Fail func(Call) *Fault

	mu     sync.Mutex
	events []event // the oldest first
	calls  []Call
	recent map[string][]time.Time
}

// A Call is a request that was made.
type Call struct {
	Time                time.Time
	AccessKey           string
	Region              string
	Start, End          time.Time
	WritesOnly          bool
	Token               string
	Throttled, Rejected bool
}

// A Fault is an answer that is none.
type Fault struct {
	Status  int
	Code    string
	Message string
	// Hang answers nothing until the caller goes away.
	Hang bool
}

type event struct {
	at, appears time.Time
	region      string
	readOnly    bool
	id          string
	json        json.RawMessage // as LookupEvents lists it
}

// Add adds events that can be seen from a time on.
func (c *CloudTrail) Add(appears time.Time, events ...Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range events {
		e := &events[i]
		listed, err := json.Marshal(struct {
			CloudTrailEvent, EventId, EventName, EventSource string //nolint:revive // AWS spells it so.
			EventTime                                        int64
			ReadOnly                                         string
		}{string(e.JSON()), e.ID, e.Name, e.Source, e.Time.Unix(), strconv.FormatBool(e.ReadOnly)})
		if err != nil {
			panic(err) // made here
		}
		c.events = append(c.events, event{e.Time.Truncate(time.Second), appears, e.Region, e.ReadOnly, e.ID, listed})
	}
	slices.SortStableFunc(c.events, func(a, b event) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
}

// Calls are the requests so far.
func (c *CloudTrail) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// ServeHTTP implements http.Handler.
func (c *CloudTrail) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now().Add(c.Skew)
	w.Header().Set("Date", now.UTC().Format(http.TimeFormat))
	if target := r.Header.Get("X-Amz-Target"); target != "CloudTrail_20131101.LookupEvents" {
		refuse(w, "", &Fault{Status: 400, Code: "UnknownOperationException", Message: target})
		return
	}
	var in struct {
		StartTime, EndTime float64
		MaxResults         int
		NextToken          string
		LookupAttributes   []struct{ AttributeKey, AttributeValue string }
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, "", &Fault{Status: 400, Code: "SerializationException", Message: err.Error()})
		return
	}
	key, region := credential(r)
	call := Call{Time: now, AccessKey: key, Region: region, Start: unix(in.StartTime), End: unix(in.EndTime), Token: in.NextToken}
	for _, a := range in.LookupAttributes {
		call.WritesOnly = call.WritesOnly || a.AttributeKey == "ReadOnly" && a.AttributeValue == "false"
	}
	fault := c.admit(&call, r)
	if fault == nil && c.Latency > 0 {
		wait(r, c.Latency)
	}
	if fault != nil && fault.Hang {
		<-r.Context().Done()
		return
	}
	if fault != nil {
		refuse(w, "", fault)
		return
	}

	if in.MaxResults == 0 {
		in.MaxResults = 50
	}
	found, next := c.page(call, in.MaxResults)
	var b bytes.Buffer
	b.WriteString(`{"Events":[`)
	for i, e := range found {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(e.json)
	}
	b.WriteByte(']')
	if next != "" {
		fmt.Fprintf(&b, `,"NextToken":%q`, next)
	}
	b.WriteByte('}')
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_, _ = w.Write(b.Bytes()) // the caller has gone away if it fails
}

// admit notes a call, and refuses it if there is reason to.
func (c *CloudTrail) admit(call *Call, r *http.Request) (fault *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() {
		call.Rejected = fault != nil
		c.calls = append(c.calls, *call)
	}()
	if at, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date")); err != nil || at.Sub(call.Time).Abs() > 5*time.Minute {
		return &Fault{Status: 403, Code: "InvalidSignatureException", Message: "Signature expired: " + r.Header.Get("X-Amz-Date") + " is now earlier than it may be"}
	}
	if c.Rate >= 0 {
		if c.recent == nil {
			c.recent = map[string][]time.Time{}
		}
		who := call.AccessKey + call.Region
		recent := slices.DeleteFunc(c.recent[who], func(t time.Time) bool { return call.Time.Sub(t) >= time.Second })
		c.recent[who] = append(recent, call.Time)
		if len(recent) >= cmp.Or(c.Rate, 2) {
			call.Throttled = true
			return &Fault{Status: 400, Code: "ThrottlingException", Message: "Rate exceeded"}
		}
	}
	if c.Fail != nil {
		return c.Fail(*call)
	}
	return nil
}

// page finds the events of a call, the newest first. A token says which was the last one of the page before.
func (c *CloudTrail) page(call Call, most int) (found []event, next string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	end, _ := slices.BinarySearchFunc(c.events, call.End, func(e event, t time.Time) int {
		if e.at.After(t) {
			return 1
		}
		return -1
	})
	var lastAt, lastID string
	if call.Token != "" {
		lastAt, lastID, _ = strings.Cut(call.Token, "/")
	}
	for i := end - 1; i >= 0; i-- {
		e := c.events[i]
		if e.at.Before(call.Start) {
			break
		}
		if e.region != call.Region || e.appears.After(call.Time) || call.WritesOnly && e.readOnly {
			continue
		}
		at := fmt.Sprintf("%020d", e.at.Unix())
		if lastAt != "" && (at > lastAt || at == lastAt && e.id >= lastID) {
			continue
		}
		if len(found) == most {
			last := found[most-1]
			return found, fmt.Sprintf("%020d/%s", last.at.Unix(), last.id)
		}
		found = append(found, e)
	}
	return found, ""
}

func unix(seconds float64) time.Time { return time.Unix(int64(seconds), 0).UTC() }

// credential is who signed a request, and for which region.
func credential(r *http.Request) (key, region string) {
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	f := strings.SplitN(scope, "/", 4)
	if len(f) < 4 {
		return "", ""
	}
	return f[0], f[2]
}

// wait waits, unless the caller goes away.
func wait(r *http.Request, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // made here
	}
	_, _ = w.Write(b) // the caller has gone away if it fails
}

func refuse(w http.ResponseWriter, prefix string, f *Fault) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(f.Status)
	b, _ := json.Marshal(map[string]string{"__type": prefix + f.Code, "message": f.Message})
	_, _ = w.Write(b)
}
