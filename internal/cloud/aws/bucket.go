package aws

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"crossplane-exporter/internal/cloud"
)

// BucketConfig is how the log files are read that a trail, of an organisation perhaps, delivers to S3. Which are new it
// learns from notifications in an SQS queue, or by listing. It needs s3:GetObject, kms:Decrypt if the files are
// encrypted with a key, and sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility, or s3:ListBucket.
type BucketConfig struct {
	// Queue is the URL of a queue with notifications: of S3, directly or through SNS or EventBridge, or of CloudTrail
	// through SNS. A queue is read by one exporter; two would each have a part of the counts.
	Queue string
	// Bucket is listed if there is no queue, below Prefix: what comes before AWSLogs/.
	Bucket, Prefix string
	// Region is the bucket's; if empty, the queue's, or without one the session's. Where S3 says another, that one.
	Region string
	// Account is the one to read bucket and queue with.
	Account Account
	// Pause is the time between two listings, two minutes if 0.
	Pause time.Duration
	// Start is how far back the first listing goes, 15 minutes if 0, and Lookback the first one after it was away, a
	// day if 0.
	Start, Lookback time.Duration
	// Workers is how many files are read at a time, 2 if 0.
	Workers int
}

// Bucket makes a source of log files in S3.
func (s *Session) Bucket(c BucketConfig) cloud.Source {
	c.Pause, c.Start, c.Lookback = or(c.Pause, 2*time.Minute), or(c.Start, 15*time.Minute), or(c.Lookback, 24*time.Hour)
	if c.Workers == 0 {
		c.Workers = 2
	}
	store := s.store(c.Account, cmp.Or(c.Region, regionOfQueue(c.Queue)))
	if c.Queue != "" {
		b := &notified{
			standing: standing{log: s.config.Log, status: queueStatus("s3", c.Queue, c.Account)},
			store:    store, workers: c.Workers, files: map[string]*logFile{},
		}
		b.queue = s.queue(&b.standing, c.Queue, c.Account)
		store.standing = &b.standing
		return b
	}
	b := &listed{config: c, store: store, standing: standing{log: s.config.Log, status: cloud.Status{
		Source: "s3/" + c.Bucket + "/" + c.Prefix, Kind: "s3", Account: c.Account.ID(), Region: c.Region, Coverage: cloud.CoversNone,
	}}}
	store.standing = &b.standing
	return b
}

// A store reads log files from S3.
type store struct {
	*standing
	who     *Principals
	account Account
	region  string // where buckets are that nobody says it of
	client  func(region string) *s3.Client

	clientsMu sync.Mutex // of what follows
	clients   map[string]*s3.Client
	found     map[string]string // regions of buckets, as S3 says
}

func (s *Session) store(a Account, region string) *store {
	st := &store{
		who: s.config.Principals, account: a, region: s.in(a, region).Region,
		clients: map[string]*s3.Client{}, found: map[string]string{},
	}
	st.client = func(region string) *s3.Client {
		return s3.NewFromConfig(s.in(a, region), func(o *s3.Options) {
			o.BaseEndpoint = endpoint(s.config.Endpoints.S3)
			o.UsePathStyle = s.config.Endpoints.S3 != ""
			o.DisableLogOutputChecksumValidationSkipped = true
		})
	}
	return st
}

// in is a client for a region: a bucket answers in its own only.
func (s *store) in(region string) *s3.Client {
	if region == "" {
		region = s.region
	}
	s.clientsMu.Lock()
	defer s.clientsMu.Unlock()
	c, ok := s.clients[region]
	if !ok {
		c = s.client(region)
		s.clients[region] = c
	}
	return c
}

// regionOf is where to ask for a bucket that is said to be in a region, or nowhere.
func (s *store) regionOf(bucket, said string) string {
	s.clientsMu.Lock()
	defer s.clientsMu.Unlock()
	return cmp.Or(s.found[bucket], said, s.region)
}

// elsewhere is whether an error that a region answered with says that the bucket is in another one, and always in the same.
func (s *store) elsewhere(bucket, asked string, err error) bool {
	var response *awshttp.ResponseError
	if !errors.As(err, &response) || response.Response == nil {
		return false
	}
	region := response.Response.Header.Get("X-Amz-Bucket-Region")
	if !isRegion(region) || region == asked {
		return false
	}
	s.clientsMu.Lock()
	defer s.clientsMu.Unlock()
	before := s.found[bucket]
	s.found[bucket] = region
	return before == "" || before == region
}

// read counts a file. It returns nil if it is done with it, for good or ill, and finish will be called.
func (s *store) read(ctx context.Context, in cloud.Inbox, d *Decoder, o object, p *part, finish func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	said := o.region
	o.region = s.regionOf(o.bucket, said)
	out, err := s.in(o.region).GetObject(ctx, &s3.GetObjectInput{Bucket: &o.bucket, Key: &o.key})
	if err != nil && s.elsewhere(o.bucket, o.region, err) {
		o.region = s.regionOf(o.bucket, said)
		out, err = s.in(o.region).GetObject(ctx, &s3.GetObjectInput{Bucket: &o.bucket, Key: &o.key})
	}
	if err != nil {
		var response *awshttp.ResponseError
		if errors.As(err, &response) && response.HTTPStatusCode() == http.StatusNotFound && strings.Contains(err.Error(), "NoSuchKey") {
			s.broken(o, errors.New("it has been deleted"))
			return in.Take(ctx, cloud.Batch{Source: s.Name(), Done: finish, Marks: []cloud.Mark{
				{Key: markPart + p.name}, {Key: markDone + p.name, Value: p.done},
			}})
		}
		return fail(ctx, err, s.account.ID(), o.region, "object s3://"+o.bucket+"/"+o.key)
	}
	body := newBody(out.Body)
	defer body.Close() //nolint:errcheck // It is only read.
	p.whole = func() bool {
		// What is broken in its middle may have come to us whole.
		_, _ = io.Copy(io.Discard, body)
		return body.failed == nil && (out.ContentLength == nil || body.n >= *out.ContentLength)
	}
	err = p.deliver(ctx, in, d, body, finish)
	s.update(func(st *cloud.Status) {
		st.Bad, st.Odd, st.Coverage = st.Bad+d.Bad, st.Odd+d.Odd, cloud.CoversAll
		d.Bad, d.Odd = 0, 0
		if err == nil {
			st.Files++
		} else if errors.Is(err, ErrNoLog) {
			st.Skipped++
		}
	})
	switch {
	case err == nil, errors.Is(err, ErrNoLog):
		s.worked("get")
		return nil
	case errors.Is(err, errBroken):
		s.broken(o, err)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return fail(ctx, err, s.account.ID(), o.region, "object s3://"+o.bucket+"/"+o.key)
	}
}

// broken notes a file that cannot be read to the end.
func (s *store) broken(o object, err error) {
	s.update(func(st *cloud.Status) { st.Broken++ })
	s.log.Warn("log file of the audit trail cannot be read to the end",
		"trail_source", s.Name(), "bucket", o.bucket, "key", o.key, "err", scrub(err.Error()))
}

// A notified reads the log files that messages in a queue tell of.
type notified struct {
	standing
	queue   *queue
	store   *store
	workers int

	mu    sync.Mutex
	files map[string]*logFile // by name in marks
	// known are the files whose messages have been deleted, the oldest first. Notifications are repeated now and then.
	known []string
	stale []cloud.Mark // to be set
}

// A logFile is one that we have been told of.
type logFile struct {
	object
	part
	state   fileState
	waiting []*notice // messages that tell of it
	open    int       // messages that are waited for to be deleted
}

type fileState int

const (
	reading fileState = iota
	counted           // but in no checkpoint yet
	safe
)

// A notice is a message and how many of its files are not safe yet.
type notice struct {
	message *message
	left    int
	failed  bool
	files   []*logFile
}

const (
	// maxKnown is how many files are remembered after their messages have been deleted.
	maxKnown = 10000
	// openFor is how long they are if that is not known: as long as SQS keeps messages.
	openFor = 14 * 24 * time.Hour
	closed  = "closed"
)

// Run implements cloud.Source.
func (b *notified) Run(ctx context.Context, in cloud.Inbox) error {
	ctx = withAccount(ctx, b.status.Account)
	b.resume(in.Marks(b.Name()))
	work := make(chan *logFile)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(work)
	for range b.workers {
		wg.Go(func() {
			d := NewDecoder(b.store.who)
			for f := range work {
				b.count(ctx, in, d, f)
			}
		})
	}
	b.queue.run(ctx, func(messages []*message) {
		for _, m := range messages {
			for _, f := range b.take(m) {
				select {
				case work <- f:
				case <-ctx.Done():
				}
			}
		}
		b.mu.Lock()
		stale := b.stale
		b.stale = nil
		b.mu.Unlock()
		if len(stale) > 0 && in.Take(ctx, cloud.Batch{Source: b.Name(), Marks: stale}) != nil {
			return // ctx ended
		}
	}, b.drained)
	return nil
}

// drained notes that there is nothing more to be read for now, unless a file is still being read.
func (b *notified) drained() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.files {
		if f.state == reading && len(f.waiting) > 0 {
			return
		}
	}
	b.update(func(s *cloud.Status) { s.Through = time.Now() })
}

// Probe implements cloud.Prober. Which files it will be told of, and whether it may read them, only time can tell.
func (b *notified) Probe(ctx context.Context) error { return b.queue.probe(ctx) }

// resume takes up where an earlier life ended.
func (b *notified) resume(marks map[string]string) {
	for key, value := range marks {
		name, done := strings.CutPrefix(key, markDone)
		switch {
		case done && value == closed:
			b.known = append(b.known, name)
			b.files[name] = &logFile{state: safe}
		case done:
			if at, err := strconv.ParseInt(value, 10, 64); err != nil || time.Since(time.Unix(at, 0)) > openFor {
				b.stale = append(b.stale, cloud.Mark{Key: key})
				continue
			}
			b.files[name] = &logFile{state: safe, part: part{name: name}}
		default:
			if name, ok := strings.CutPrefix(key, markPart); ok {
				n, _ := strconv.Atoi(value)
				b.files[name] = &logFile{state: reading, part: part{name: name, skip: n}}
			}
		}
	}
}

// take notes what a message tells of, and returns the files that are to be read.
func (b *notified) take(m *message) (read []*logFile) {
	objects, err := objectsOf(m.body)
	if err != nil {
		b.update(func(s *cloud.Status) { s.Bad++ })
		b.queue.forget(m)
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	n := &notice{message: m}
	for _, o := range objects {
		if !isLog(o.key) {
			b.update(func(s *cloud.Status) { s.Skipped++ })
			continue
		}
		name := markOf("s3://" + o.bucket + "/" + o.key)
		f, ok := b.files[name]
		if !ok {
			f = &logFile{}
			b.files[name] = f
		}
		n.files = append(n.files, f)
		f.open++
		if f.state == safe {
			continue
		}
		n.left++
		f.waiting = append(f.waiting, n)
		if f.state == reading && len(f.waiting) == 1 {
			f.object = o
			f.part = part{source: b.Name(), name: name, skip: f.skip}
			read = append(read, f)
		}
	}
	if n.left == 0 {
		b.finish(n)
	}
	return read
}

// count reads a file.
func (b *notified) count(ctx context.Context, in cloud.Inbox, d *Decoder, f *logFile) {
	f.done = strconv.FormatInt(time.Now().Unix(), 10)
	err := b.store.read(ctx, in, d, f.object, &f.part, func() { b.safe(f) })
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		if f.state == reading {
			f.state = counted
		}
		return
	}
	// The messages come again.
	for _, n := range f.waiting {
		n.left--
		n.failed = true
		if n.left == 0 {
			b.finish(n)
		}
	}
	f.waiting = nil
	if ctx.Err() == nil {
		b.failing("get", err, backoff(1))
	}
}

// safe notes that a file is in a checkpoint.
func (b *notified) safe(f *logFile) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f.state = safe
	for _, n := range f.waiting {
		if n.left--; n.left == 0 {
			b.finish(n)
		}
	}
	f.waiting = nil
}

// finish has a message deleted, or if one of its files could not be read, come again. b.mu is held.
func (b *notified) finish(n *notice) {
	if n.failed {
		for _, f := range n.files {
			f.open--
		}
		b.queue.giveBack(n.message)
		return
	}
	b.queue.finish(n.message, func() { b.closed(n.files) })
}

// closed notes that a message about some files has been deleted. Those that no message tells of any more are forgotten
// in the end.
func (b *notified) closed(files []*logFile) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range files {
		if f.open--; f.open > 0 || f.name == "" {
			continue
		}
		b.known = append(b.known, f.name)
		b.stale = append(b.stale, cloud.Mark{Key: markDone + f.name, Value: closed})
		f.name = "" // once is enough
	}
	for len(b.known) > maxKnown {
		b.stale = append(b.stale, cloud.Mark{Key: markDone + b.known[0]})
		delete(b.files, b.known[0])
		b.known = b.known[1:]
	}
}

// A listed finds the log files by listing the bucket.
type listed struct {
	standing
	config BucketConfig
	store  *store

	cursor time.Time
	done   map[string]time.Time // files from after cursor that have been counted, and the times in their names
	skip   map[string]int
}

// Marks of a listed source: the time up to which all files have been counted. Files are named after the time of their
// delivery, which is before they appear, but not by much.
const (
	markCursor = "cursor"
	nameDelay  = time.Hour
)

// Run implements cloud.Source.
func (b *listed) Run(ctx context.Context, in cloud.Inbox) error {
	ctx = withAccount(ctx, b.status.Account)
	b.resume(in.Marks(b.Name()))
	d := NewDecoder(b.store.who)
	for failures := 0; ctx.Err() == nil; {
		start := time.Now().UTC()
		b.forgo(start)
		left := b.pass(ctx, in, d)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // It was asked to stop.
		}
		wait := b.config.Pause - time.Since(start)
		if failures++; left.any() {
			wait = backoff(failures)
		} else {
			failures = 0
		}
		b.say("list", left.lists, wait)
		b.say("read", left.files, wait)
		b.advance(ctx, in, start, left)
		sleep(ctx, wait)
	}
	return nil
}

// say notes what went wrong with some of what was tried, or that nothing did.
func (b *listed) say(what string, errs []error, retry time.Duration) {
	const enough = 3
	switch n := len(errs); {
	case n == 0:
		b.recovered(what)
		return
	case n > enough:
		errs = append(errs[:enough:enough], fmt.Errorf("and %d more", n-enough))
	}
	b.failing(what, errors.Join(errs...), retry)
}

// Probe implements cloud.Prober.
func (b *listed) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(withAccount(ctx, b.status.Account), headerTimeout)
	defer cancel()
	_, err := b.trails(ctx)
	return err
}

func (b *listed) resume(marks map[string]string) {
	now := time.Now().UTC()
	b.done, b.skip = map[string]time.Time{}, map[string]int{}
	b.cursor = resumeAt(&b.standing, marks[markCursor], now, b.config.Start)
	for key, value := range marks {
		if name, ok := strings.CutPrefix(key, markDone); ok {
			b.done[name], _ = time.Parse(nameTime, value)
		} else if name, ok := strings.CutPrefix(key, markPart); ok {
			b.skip[name], _ = strconv.Atoi(value)
		}
	}
}

// forgo gives up what is too far back by now: it was away, or could not read something for as long.
func (b *listed) forgo(now time.Time) {
	if oldest := now.Add(-b.config.Lookback); b.cursor.Before(oldest) {
		b.missed(b.cursor, oldest)
		b.cursor = oldest
	}
}

// leftovers are what a pass could not list or read. Nothing of it is from before since.
type leftovers struct {
	since        time.Time
	lists, files []error
}

func (l *leftovers) any() bool { return len(l.lists)+len(l.files) > 0 }

// list notes what could not be listed, so that nobody knows what is in it.
func (l *leftovers) list(err error, cursor time.Time) {
	l.lists = append(l.lists, err)
	l.since = cursor
}

func (l *leftovers) file(err error, at time.Time) {
	if !l.any() || at.Before(l.since) {
		l.since = at
	}
	l.files = append(l.files, err)
}

// maxTroubles is how many requests of a pass may fail for reasons that are not those of one file or prefix.
const maxTroubles = 3

var errForLater = errors.New("the rest is left for later")

// troubles is whether an error is likely to come again with whatever is asked for next.
func troubles(err error) bool {
	return slices.Contains([]cloud.Outcome{cloud.Throttled, cloud.Timeout, cloud.Connect, cloud.Auth}, outcome(err))
}

// pass lists the bucket once and counts what is new. A file that cannot be read, or a prefix that cannot be listed, does not
// keep it from the others.
func (b *listed) pass(ctx context.Context, in cloud.Inbox, d *Decoder) (left leftovers) {
	trails, err := b.trails(ctx)
	if err != nil {
		left.list(err, b.cursor)
		return left
	}
	troubled := 0
	for _, prefix := range trails {
		account, region := trailOf(prefix)
		after := prefix + b.cursor.Format("2006/01/02/") + account + "_CloudTrail_" + region + "_" + b.cursor.Format(nameTime)
		err := b.list(ctx, &s3.ListObjectsV2Input{Prefix: &prefix, StartAfter: &after}, func(page *s3.ListObjectsV2Output) error {
			for _, o := range page.Contents {
				at, err := b.count(ctx, in, d, aws.ToString(o.Key))
				if err == nil {
					continue
				}
				left.file(err, at)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if troubles(err) {
					troubled++
				}
				if troubled >= maxTroubles {
					return errForLater
				}
			}
			return nil
		})
		if err != nil {
			if troubles(err) {
				troubled++
			}
			left.list(err, b.cursor)
			if ctx.Err() != nil || troubled >= maxTroubles {
				return left
			}
		}
	}
	return left
}

// list calls each for the pages of a listing.
func (b *listed) list(ctx context.Context, in *s3.ListObjectsV2Input, each func(*s3.ListObjectsV2Output) error) error {
	in.Bucket = &b.config.Bucket
	for {
		region := b.store.regionOf(b.config.Bucket, "")
		page, err := b.store.in(region).ListObjectsV2(ctx, in)
		if err != nil {
			if b.store.elsewhere(b.config.Bucket, region, err) {
				continue
			}
			return fail(ctx, err, b.status.Account, region, "bucket "+b.config.Bucket)
		}
		b.update(func(s *cloud.Status) { s.LastSuccess = time.Now() })
		if err := each(page); err != nil || !aws.ToBool(page.IsTruncated) {
			return err
		}
		in.ContinuationToken = page.NextContinuationToken
	}
}

// count counts a file unless it has been, and is when it was delivered.
func (b *listed) count(ctx context.Context, in cloud.Inbox, d *Decoder, key string) (time.Time, error) {
	at, ok := timeInName(key)
	if !ok || !isLog(key) {
		return at, nil
	}
	name := markOf("s3://" + b.config.Bucket + "/" + key)
	if _, ok := b.done[name]; ok {
		return at, nil
	}
	p := &part{source: b.Name(), name: name, done: at.Format(nameTime), skip: b.skip[name]}
	err := b.store.read(ctx, in, d, object{b.config.Bucket, key, b.config.Region}, p, nil)
	if err != nil {
		b.skip[name] = p.skip
		return at, err
	}
	delete(b.skip, name)
	b.done[name] = at
	return at, nil
}

// advance moves the cursor after a pass that began at a time, but not beyond what it has left, and forgets the files before it.
func (b *listed) advance(ctx context.Context, in cloud.Inbox, start time.Time, left leftovers) {
	to := start.Add(-nameDelay)
	if left.any() && left.since.Before(to) {
		to = left.since
	}
	if to.After(b.cursor) {
		b.cursor = to
	}
	marks := []cloud.Mark{{Key: markCursor, Value: b.cursor.Format(time.RFC3339)}}
	for name, at := range b.done {
		if at.Before(b.cursor.Truncate(time.Minute)) {
			delete(b.done, name)
			marks = append(marks, cloud.Mark{Key: markDone + name})
		}
	}
	if !left.any() {
		b.update(func(s *cloud.Status) { s.Through = start })
	}
	// It only fails if ctx ended: then this is done again.
	_ = in.Take(ctx, cloud.Batch{Source: b.Name(), Marks: marks})
}

// trails are the prefixes of the bucket that have one region's files of one account:
// [prefix/]AWSLogs/[o-organisation/]123456789012/CloudTrail/eu-west-1/.
func (b *listed) trails(ctx context.Context) ([]string, error) {
	root := strings.TrimPrefix(strings.TrimSuffix(b.config.Prefix, "/")+"/AWSLogs/", "/")
	accounts, err := b.below(ctx, root)
	if err != nil {
		return nil, err
	}
	var trails []string
	for len(accounts) > 0 {
		prefix := accounts[0]
		accounts = accounts[1:]
		name := strings.TrimPrefix(prefix, root)
		if strings.HasPrefix(name, "o-") && strings.Count(name, "/") == 1 {
			more, err := b.below(ctx, prefix)
			if err != nil {
				return nil, err
			}
			accounts = append(accounts, more...)
			continue
		}
		regions, err := b.below(ctx, prefix+"CloudTrail/")
		if err != nil {
			return nil, err
		}
		trails = append(trails, regions...)
	}
	return trails, nil
}

// below are the prefixes one level below a prefix.
func (b *listed) below(ctx context.Context, prefix string) ([]string, error) {
	var found []string
	err := b.list(ctx, &s3.ListObjectsV2Input{Prefix: &prefix, Delimiter: aws.String("/")}, func(page *s3.ListObjectsV2Output) error {
		for _, p := range page.CommonPrefixes {
			found = append(found, aws.ToString(p.Prefix))
		}
		return nil
	})
	return found, err
}

// trailOf are the account and the region in a prefix of trails.
func trailOf(prefix string) (account, region string) {
	f := strings.Split(strings.TrimSuffix(prefix, "/"), "/")
	if len(f) < 3 {
		return "", ""
	}
	return f[len(f)-3], f[len(f)-1]
}

// nameTime is how names of log files have the time of delivery, before a Z.
const nameTime = "20060102T1504"

var nameTimeIn = regexp.MustCompile(`_CloudTrail_[^_/]+_(\d{8}T\d{4})Z_[^/]*$`)

// timeInName is when a log file was delivered.
func timeInName(key string) (time.Time, bool) {
	m := nameTimeIn.FindStringSubmatch(key)
	if m == nil {
		return time.Time{}, false
	}
	t, err := time.Parse(nameTime, m[1])
	return t, err == nil
}
