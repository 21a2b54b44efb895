package aws

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"crossplane-exporter/internal/cloud"
)

// LookupConfig is how the LookupEvents API is read. It needs no trail and no set-up but the permission
// cloudtrail:LookupEvents.
//
// The API gives 50 events a request and takes two requests a second from everyone in an account and region together. So
// a source has a budget, and within it reads all events as long as it keeps up. Where reads come faster than that it
// narrows to writes, and says so in its Status: throttled reads are not seen then.
type LookupConfig struct {
	// Accounts are those to read; the session's own if there are none.
	Accounts []Account
	// Regions are those to read in each, the session's if there are none; us-east-1, which has the global services'
	// events, always.
	Regions []string
	// Interval is the least time between two requests in an account and region, a second if 0.
	Interval time.Duration
	// Pause is the least time between two sweeps, a minute if 0.
	Pause time.Duration
	// Overlap is how much later than they happened events may appear, 15 minutes if 0.
	Overlap time.Duration
	// Start is how far back the first sweep goes, Overlap if 0, and Lookback the first one after it was away, a day if
	// 0. The API keeps 90 days.
	Start, Lookback time.Duration
	// WritesOnly reads no reads from the start.
	WritesOnly bool
}

const (
	// pageSize is the most that LookupEvents gives.
	pageSize = 50
	// maxSweep is how long a sweep of all events may take before it is narrowed; easySweep what one must promise to be
	// widened again.
	maxSweep  = 10 * time.Minute
	easySweep = maxSweep / 2
	// maxWindow is how much is read at once on the way back to the present.
	maxWindow = time.Hour
	// maxPagers is how many parts of a window are read side by side where the API is slower than the budget.
	maxPagers = 4
	// pagesEach is how many pages a part should have at least to be worth it.
	pagesEach = 2
	// enoughPages are enough to judge from how long the rest will take; bursts of a few hundred calls are common.
	enoughPages = 60
	// maxSkew is how wrong a clock may be; answers take their time, and say theirs to the second.
	maxSkew = 10 * time.Second
	// pageTries is how often a page is asked for before the sweep is given up.
	pageTries = 5
)

// Marks of a lookup source.
const (
	markSettled  = "settled"
	markCoverage = "coverage"
)

// Lookup makes a source for each account and region.
func (s *Session) Lookup(c LookupConfig) []cloud.Source {
	c.Interval = or(c.Interval, time.Second)
	c.Pause = or(c.Pause, time.Minute)
	c.Overlap = or(c.Overlap, 15*time.Minute)
	c.Start, c.Lookback = or(c.Start, c.Overlap), or(c.Lookback, 24*time.Hour)
	if len(c.Accounts) == 0 {
		c.Accounts = []Account{{}}
	}
	var sources []cloud.Source
	for _, a := range c.Accounts {
		for _, region := range regions(a, c.Regions, s.regionOf(a)) {
			client := cloudtrail.NewFromConfig(s.in(a, region), func(o *cloudtrail.Options) {
				o.BaseEndpoint = endpoint(s.config.Endpoints.CloudTrail)
				o.Retryer = aws.NopRetryer{} // every attempt waits for its turn
			})
			sources = append(sources, &lookup{
				standing: standing{log: s.config.Log, status: cloud.Status{
					Source: "lookup/" + a.ID() + "/" + region, Kind: "lookup",
					Account: a.ID(), Region: region, Coverage: cloud.CoversNone,
				}},
				config: c, client: client, budget: budget{interval: c.Interval}, who: s.config.Principals,
				writesOnly: c.WritesOnly,
			})
		}
	}
	return sources
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// A lookup reads one region of one account.
//
// Events appear minutes after they happened, in no order. So it sweeps from the time up to which nothing can appear any
// more, that is settled, to the present, over and over; what it has seen before the ledger knows by its ID.
type lookup struct {
	standing
	config LookupConfig
	client *cloudtrail.Client
	budget budget
	who    *Principals

	began      time.Time
	settled    time.Time // zero until resumed
	writesOnly bool
	latency    time.Duration // of a page, smoothed
	ahead      time.Duration // AWS's clock, of this one
}

// Run implements cloud.Source.
func (l *lookup) Run(ctx context.Context, in cloud.Inbox) error {
	ctx = withAccount(ctx, l.status.Account)
	l.began = time.Now()
	for failures := 0; ctx.Err() == nil; {
		start := time.Now()
		behind, err := l.sweep(ctx, in)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			failures++
			wait := backoff(failures)
			l.failing("lookup", err, wait)
			sleep(ctx, wait)
		case behind:
			failures = 0
		default:
			failures = 0
			sleep(ctx, l.config.Pause-time.Since(start))
		}
	}
	return nil
}

// Probe implements cloud.Prober.
func (l *lookup) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(withAccount(ctx, l.status.Account), headerTimeout)
	defer cancel()
	_, err := l.client.LookupEvents(ctx, &cloudtrail.LookupEventsInput{MaxResults: aws.Int32(1)})
	return l.explain(ctx, err)
}

// explain makes an error of the SDK's one that says where.
func (l *lookup) explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	return fail(ctx, err, l.status.Account, l.status.Region, "")
}

// resume takes up where an earlier life ended. What AWS's time is, it must ask first.
func (l *lookup) resume(ctx context.Context, in cloud.Inbox) error {
	now := time.Now()
	if _, err := l.pager(nil, window{now.Add(-time.Second), now}, true, time.Time{}).request(ctx); err != nil {
		return err
	}
	marks := in.Marks(l.Name())
	// The beginning is when it was started, not when it was first let in.
	l.settled = resumeAt(&l.standing, marks[markSettled], l.now(l.began), l.config.Start)
	l.writesOnly = l.config.WritesOnly || marks[markCoverage] == string(cloud.CoversWrites)
	return nil
}

// sweep reads once from what is settled to the present, or an hour of it, and is behind if there is more.
func (l *lookup) sweep(ctx context.Context, in cloud.Inbox) (behind bool, err error) {
	if l.settled.IsZero() {
		if err := l.resume(ctx, in); err != nil {
			return false, err
		}
	}
	start := time.Now()
	now := l.now(start)
	if oldest := now.Add(-l.config.Lookback); l.settled.Before(oldest) {
		l.missed(l.settled, oldest)
		l.settled = oldest
	}
	w := window{from: l.settled, to: now}
	if behind = w.to.Sub(w.from) > maxWindow; behind {
		w.to = w.from.Add(maxWindow)
	}
	if l.writesOnly && !l.config.WritesOnly {
		if l.writesOnly, err = l.stillTooMany(ctx, now); err != nil {
			return false, err
		}
	}
	if !l.writesOnly {
		switch err = l.read(ctx, in, w, false); {
		case errors.Is(err, errTooMany):
			l.log.Warn("more calls than LookupEvents can list in time, reading writes only",
				"trail_source", l.Name(), "interval", l.config.Interval)
			l.writesOnly = true
			l.update(func(s *cloud.Status) { s.Coverage = cloud.CoversWrites })
		case err != nil:
			return false, err
		}
	}
	if l.writesOnly {
		if err := l.read(ctx, in, w, true); err != nil {
			return false, err
		}
	}
	return behind, l.settle(ctx, in, w, l.now(start))
}

// now is the time that AWS has at a time here. Were this clock ahead, it would settle what has not happened yet.
func (l *lookup) now(here time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return here.Add(l.ahead).UTC().Truncate(time.Second)
}

// settle notes that a window has been read at a time.
func (l *lookup) settle(ctx context.Context, in cloud.Inbox, w window, at time.Time) error {
	settled := w.to
	if possible := at.Add(-l.config.Overlap); possible.Before(settled) {
		settled = possible
	}
	if settled.After(l.settled) {
		l.settled = settled
	}
	coverage := cloud.CoversAll
	if l.writesOnly {
		coverage = cloud.CoversWrites
	}
	l.update(func(s *cloud.Status) { s.Coverage, s.Through = coverage, w.to })
	return in.Take(ctx, cloud.Batch{
		Source: l.Name(),
		Marks: []cloud.Mark{
			{Key: markSettled, Value: l.settled.Format(time.RFC3339)},
			{Key: markCoverage, Value: string(coverage)},
		},
		Settled: l.settled,
	})
}

// A window is a stretch of time, both ends included.
type window struct{ from, to time.Time }

// errTooMany is that a sweep of all events would not keep up.
var errTooMany = errors.New("too many events")

// read reads a window to the end.
func (l *lookup) read(ctx context.Context, in cloud.Inbox, w window, writes bool) error {
	deadline := time.Now().Add(max(maxSweep, w.to.Sub(w.from)/2))
	if writes {
		deadline = time.Time{} // these must be read, however long it takes
	}
	p := l.pager(in, w, writes, deadline)
	for more := true; more; {
		var err error
		if more, err = p.step(ctx); err != nil {
			return err
		}
		left := p.expect(p.oldest.Sub(w.from))
		if parts := min(maxPagers, left/pagesEach, int(l.latency/l.config.Interval)+1); more && parts > 1 {
			return l.sideBySide(ctx, in, window{w.from, p.oldest}, parts, writes, deadline)
		}
	}
	return nil
}

// sideBySide reads parts of a window at the same time, within the one budget.
func (l *lookup) sideBySide(ctx context.Context, in cloud.Inbox, w window, parts int, writes bool, deadline time.Time) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	each := (w.to.Sub(w.from) / time.Duration(parts)).Truncate(time.Second)
	for i := range parts {
		part := window{w.from.Add(time.Duration(i) * each), w.from.Add(time.Duration(i+1) * each)}
		if i == parts-1 {
			part.to = w.to
		}
		wg.Go(func() {
			p := l.pager(in, part, writes, deadline)
			for more := true; more; {
				var err error
				if more, err = p.step(ctx); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// stillTooMany looks at one page of what is settled, and is whether a sweep of all events would still be a long one.
func (l *lookup) stillTooMany(ctx context.Context, now time.Time) (bool, error) {
	const sample = 5 * time.Minute
	to := now.Add(-l.config.Overlap)
	p := l.pager(nil, window{to.Add(-sample), to}, false, time.Time{})
	if more, err := p.next(ctx); err != nil || !more {
		return err != nil, err
	}
	return time.Duration(p.expect(l.config.Overlap+maxSweep))*l.config.Interval > easySweep, nil
}

// A pager reads a window page by page, the newest first.
type pager struct {
	*lookup
	inbox    cloud.Inbox // nil reads for nobody
	input    cloudtrail.LookupEventsInput
	deadline time.Time
	decoder  *Decoder
	batch    []cloud.Record
	newest   time.Time // the end of the window
	oldest   time.Time // of the events read so far
	pages    int
	began    time.Time
}

func (l *lookup) pager(in cloud.Inbox, w window, writes bool, deadline time.Time) *pager {
	p := &pager{
		lookup: l, inbox: in, deadline: deadline, decoder: NewDecoder(l.who),
		newest: w.to, oldest: w.to, began: time.Now(),
		input: cloudtrail.LookupEventsInput{
			StartTime: aws.Time(w.from), EndTime: aws.Time(w.to), MaxResults: aws.Int32(pageSize),
		},
	}
	if writes {
		p.input.LookupAttributes = []types.LookupAttribute{{
			AttributeKey: types.LookupAttributeKeyReadOnly, AttributeValue: aws.String("false"),
		}}
	}
	return p
}

// step is next, unless reading to the end would take too long.
func (p *pager) step(ctx context.Context) (more bool, err error) {
	if !p.deadline.IsZero() {
		left := time.Until(p.deadline)
		if p.pages >= enoughPages {
			todo := p.expect(p.oldest.Sub(aws.ToTime(p.input.StartTime)))
			left -= time.Since(p.began) / time.Duration(p.pages) * time.Duration(todo)
		}
		if left < 0 {
			return false, errTooMany
		}
	}
	return p.next(ctx)
}

// expect is how many pages a stretch of time has, if it is like the pages so far.
func (p *pager) expect(d time.Duration) int {
	return int(d*time.Duration(p.pages)/max(p.newest.Sub(p.oldest), time.Second)) + 1
}

// next reads a page, hands it over, and says whether there are more.
func (p *pager) next(ctx context.Context) (more bool, err error) {
	out, err := p.request(ctx)
	if err != nil {
		return false, err
	}
	p.pages++
	p.batch = p.batch[:0]
	for i := range out.Events {
		e := &out.Events[i]
		if e.EventTime != nil && e.EventTime.Before(p.oldest) {
			p.oldest = e.EventTime.UTC()
		}
		if r, err := p.decoder.One([]byte(aws.ToString(e.CloudTrailEvent))); err != nil || r == nil {
			p.decoder.Bad++
		} else {
			r.ID = cmp.Or(r.ID, aws.ToString(e.EventId)) // without one it would count anew in every sweep
			p.batch = append(p.batch, *r)
		}
	}
	if p.inbox != nil {
		err = p.inbox.Take(ctx, cloud.Batch{Source: p.Name(), Records: p.batch, Settled: p.settled})
		p.update(func(s *cloud.Status) { s.Bad, s.Odd = s.Bad+p.decoder.Bad, s.Odd+p.decoder.Odd })
		p.decoder.Bad, p.decoder.Odd = 0, 0
	}
	more = aws.ToString(out.NextToken) != ""
	if more && aws.ToString(p.input.NextToken) == *out.NextToken {
		return false, &Error{
			API: "cloudtrail:LookupEvents", Account: p.status.Account, Region: p.status.Region, Outcome: cloud.Server,
			Detail: "the same NextToken twice",
		}
	}
	p.input.NextToken = out.NextToken
	return more, err
}

// request asks for a page until it has it.
func (p *pager) request(ctx context.Context) (*cloudtrail.LookupEventsOutput, error) {
	for try := 1; ; try++ {
		if !p.budget.wait(ctx) {
			return nil, context.Cause(ctx)
		}
		start := time.Now()
		once, cancel := context.WithTimeout(ctx, headerTimeout)
		out, err := p.client.LookupEvents(once, &p.input)
		cancel()
		if err == nil {
			p.worked("lookup")
			end := time.Now()
			p.update(func(*cloud.Status) {
				p.latency += (end.Sub(start) - p.latency) / 8
				p.ahead = 0
				there, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
				switch {
				case ok && there.After(end.Add(maxSkew)):
					p.ahead = there.Sub(end)
				case ok && there.Before(start.Add(-maxSkew)):
					p.ahead = there.Sub(start)
				}
			})
			return out, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		err = p.explain(ctx, err)
		wait := backoff(try)
		switch o := outcome(err); {
		case o == cloud.Throttled:
			// Someone else has used the account's rate, or it is lower than they say.
			p.failing("lookup", err, wait)
			p.budget.pause(wait)
			if try < 2*pageTries {
				continue
			}
		case try < pageTries && (o == cloud.Server || o == cloud.Timeout || o == cloud.Connect || o == cloud.Other):
			p.failing("lookup", err, wait)
			if sleep(ctx, wait) {
				continue
			}
		case o == cloud.Invalid && p.input.NextToken != nil && strings.Contains(err.Error(), "NextToken"):
			// Tokens expire. What it was for begins where the last page ended, or in the same second.
			p.input.NextToken, p.input.EndTime = nil, aws.Time(p.oldest)
			if try < pageTries {
				continue
			}
		}
		return nil, err
	}
}
