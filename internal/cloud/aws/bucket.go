package aws

import (
	"context"
	"errors"
	"net/http"
	"regexp"
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
	// Region is the bucket's, the session's if empty.
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
	store := s.store(c.Account, c.Region)
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
	region  string
	client  func(region string) *s3.Client

	clientsMu sync.Mutex
	clients   map[string]*s3.Client
}

func (s *Session) store(a Account, region string) *store {
	st := &store{who: s.config.Principals, account: a, region: region, clients: map[string]*s3.Client{}}
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

// read counts a file. It returns nil if it is done with it, for good or ill, and finish will be called.
func (s *store) read(ctx context.Context, in cloud.Inbox, d *Decoder, o object, p *part, finish func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if o.region == "" {
		o.region = s.region
	}
	out, err := s.in(o.region).GetObject(ctx, &s3.GetObjectInput{Bucket: &o.bucket, Key: &o.key})
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
	})
	return nil
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
		err := b.pass(ctx, in, d)
		wait := b.config.Pause - time.Since(start)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // It was asked to stop.
		case err != nil:
			failures++
			wait = backoff(failures)
			b.failing("list", err, wait)
		default:
			failures = 0
			b.recovered("list")
			b.advance(ctx, in, start)
		}
		sleep(ctx, wait)
	}
	return nil
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
	if oldest := now.Add(-b.config.Lookback); b.cursor.Before(oldest) {
		b.missed(b.cursor, oldest)
		b.cursor = oldest
	}
	for key, value := range marks {
		if name, ok := strings.CutPrefix(key, markDone); ok {
			b.done[name], _ = time.Parse(nameTime, value)
		} else if name, ok := strings.CutPrefix(key, markPart); ok {
			b.skip[name], _ = strconv.Atoi(value)
		}
	}
}

// pass lists the bucket once and counts what is new.
func (b *listed) pass(ctx context.Context, in cloud.Inbox, d *Decoder) error {
	trails, err := b.trails(ctx)
	if err != nil {
		return err
	}
	for _, prefix := range trails {
		account, region := trailOf(prefix)
		after := prefix + b.cursor.Format("2006/01/02/") + account + "_CloudTrail_" + region + "_" + b.cursor.Format(nameTime)
		pages := s3.NewListObjectsV2Paginator(b.store.in(""), &s3.ListObjectsV2Input{
			Bucket: &b.config.Bucket, Prefix: &prefix, StartAfter: &after,
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return b.fail(ctx, err)
			}
			b.worked("list")
			for _, o := range page.Contents {
				if err := b.count(ctx, in, d, aws.ToString(o.Key)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *listed) count(ctx context.Context, in cloud.Inbox, d *Decoder, key string) error {
	at, ok := timeInName(key)
	if !ok || !isLog(key) {
		return nil
	}
	name := markOf("s3://" + b.config.Bucket + "/" + key)
	if _, ok := b.done[name]; ok {
		return nil
	}
	p := &part{source: b.Name(), name: name, done: at.Format(nameTime), skip: b.skip[name]}
	err := b.store.read(ctx, in, d, object{b.config.Bucket, key, b.config.Region}, p, nil)
	if err != nil {
		b.skip[name] = p.skip
		return err
	}
	delete(b.skip, name)
	b.done[name] = at
	return nil
}

// advance moves the cursor after a pass that began at a time, and forgets the files before it.
func (b *listed) advance(ctx context.Context, in cloud.Inbox, start time.Time) {
	if to := start.Add(-nameDelay); to.After(b.cursor) {
		b.cursor = to
	}
	marks := []cloud.Mark{{Key: markCursor, Value: b.cursor.Format(time.RFC3339)}}
	for name, at := range b.done {
		if at.Before(b.cursor.Truncate(time.Minute)) {
			delete(b.done, name)
			marks = append(marks, cloud.Mark{Key: markDone + name})
		}
	}
	b.update(func(s *cloud.Status) { s.Through = start })
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
	pages := s3.NewListObjectsV2Paginator(b.store.in(""), &s3.ListObjectsV2Input{
		Bucket: &b.config.Bucket, Prefix: &prefix, Delimiter: aws.String("/"),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, b.fail(ctx, err)
		}
		for _, p := range page.CommonPrefixes {
			found = append(found, aws.ToString(p.Prefix))
		}
	}
	return found, nil
}

func (b *listed) fail(ctx context.Context, err error) error {
	return fail(ctx, err, b.status.Account, b.status.Region, "bucket "+b.config.Bucket)
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
