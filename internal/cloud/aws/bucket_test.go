package aws

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

const (
	bucket   = "trail-bucket"
	queueURL = "http://sqs.test/111111111111/trail"
)

// A store3 is an S3 with one bucket, that can be made to fail.
type bucketServer struct {
	backend *s3mem.Backend
	handler http.Handler

	mu   sync.Mutex
	fail func(http.ResponseWriter, *http.Request) bool // true if it has answered
	gets map[string]int
}

func newBucket(t testing.TB) *bucketServer {
	t.Helper()
	b := &bucketServer{backend: s3mem.New(), gets: map[string]int{}}
	if err := b.backend.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	b.handler = gofakes3.New(b.backend, gofakes3.WithTimeSkewLimit(0)).Server()
	return b
}

func (b *bucketServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	fail := b.fail
	b.gets[strings.TrimPrefix(r.URL.Path, "/"+bucket+"/")]++
	b.mu.Unlock()
	if fail == nil || !fail(w, r) {
		b.handler.ServeHTTP(w, r)
	}
}

func (b *bucketServer) failWith(f func(http.ResponseWriter, *http.Request) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = f
}

// asked is how often an object has been asked for.
func (b *bucketServer) asked(key string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.gets[key]
}

func (b *bucketServer) put(t testing.TB, key string, data []byte) {
	t.Helper()
	if _, err := b.backend.PutObject(bucket, key, map[string]string{}, bytes.NewReader(data), int64(len(data)), nil); err != nil {
		t.Fatal(err)
	}
}

func logFileOf(t testing.TB, events []awstest.Event) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := awstest.WriteLog(&b, events); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The messages that tell of a new object.
func s3Message(keys ...string) string {
	var records []string
	for _, key := range keys {
		records = append(records, fmt.Sprintf(`{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventName":"ObjectCreated:Put","s3":{"s3SchemaVersion":"1.0","bucket":{"name":%q,"arn":"arn:aws:s3:::x"},"object":{"key":%q,"size":1,"eTag":"x"}}}`,
			bucket, url.QueryEscape(key)))
	}
	return `{"Records":[` + strings.Join(records, ",") + `]}`
}

func snsMessage(inner string) string {
	b, _ := json.Marshal(map[string]string{"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:x", "Message": inner})
	return string(b)
}

func eventBridgeMessage(key string) string {
	return fmt.Sprintf(`{"version":"0","id":"1","detail-type":"Object Created","source":"aws.s3","region":"eu-west-1","detail":{"version":"0","bucket":{"name":%q},"object":{"key":%q,"size":1}}}`, bucket, key)
}

func cloudTrailMessage(keys ...string) string {
	b, _ := json.Marshal(map[string]any{"s3Bucket": bucket, "s3ObjectKey": keys})
	return string(b)
}

func (w *world) bucket(t *testing.T, c BucketConfig) cloud.Source {
	t.Helper()
	who := &Principals{}
	who.Know(Known{Providers: []string{awstest.ProviderRole}})
	return w.open(t, who).Bucket(c)
}

var notifiedConfig = BucketConfig{Queue: queueURL, Region: "eu-west-1"}

// Whatever tells of files, they are counted, and the message is deleted after the checkpoint and not before.
func TestBucketMessages(t *testing.T) {
	credentials(t)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	a, b := LogName("111111111111", now, 1), "odd prefix+ü/"+LogName("111111111111", now, 2)
	org := "AWSLogs/o-abcdefghij/" + strings.TrimPrefix(LogName("222222222222", now, 3), "AWSLogs/")
	cases := map[string]struct {
		reason  string
		message string
		files   []string // that are counted
		skipped uint64
		left    bool // in the queue
	}{
		"S3":           {"from S3", s3Message(a), []string{a}, 0, false},
		"Escaped":      {"keys are escaped there", s3Message(b), []string{b}, 0, false},
		"Two":          {"two in one", s3Message(a, b), []string{a, b}, 0, false},
		"SNS":          {"through SNS", snsMessage(s3Message(a)), []string{a}, 0, false},
		"EventBridge":  {"from EventBridge, where they are not", eventBridgeMessage(b), []string{b}, 0, false},
		"BridgeSNS":    {"from EventBridge through SNS", snsMessage(eventBridgeMessage(a)), []string{a}, 0, false},
		"CloudTrail":   {"from CloudTrail through SNS", snsMessage(cloudTrailMessage(a, b)), []string{a, b}, 0, false},
		"Organisation": {"an organisation's", s3Message(org), []string{org}, 0, false},
		"Digest":       {"no log", s3Message("AWSLogs/1/CloudTrail-Digest/eu-west-1/2026/05/01/x.json.gz"), nil, 1, false},
		"Insight":      {"no log", s3Message("AWSLogs/1/CloudTrail-Insight/eu-west-1/2026/05/01/x.json.gz"), nil, 1, false},
		"Config":       {"something else in the bucket", s3Message("AWSLogs/1/vpcflowlogs/x.log.gz"), nil, 1, false},
		"Mixed":        {"a log and none", s3Message(a, "AWSLogs/1/CloudTrail-Digest/x.json.gz"), []string{a}, 1, false},
		"NoLog":        {"a digest by content", s3Message("digest.json.gz"), nil, 1, false},
		"Test":         {"S3's test", `{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"x"}`, nil, 0, false},
		"Removed":      {"an object that went", strings.ReplaceAll(s3Message(a), "ObjectCreated:Put", "ObjectRemoved:Delete"), nil, 0, false},
		"OtherEvent":   {"another event of EventBridge's", strings.ReplaceAll(eventBridgeMessage(a), "Object Created", "Object Deleted"), nil, 0, false},
		"Rubbish":      {"nothing that it knows", `hello`, nil, 0, true},
		"OtherJSON":    {"nothing that it knows", `{"a":1}`, nil, 0, true},
		"NoKey":        {"nothing that it can read", `{"Records":[{"eventName":"ObjectCreated:Put"}]}`, nil, 0, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s3 := newBucket(t)
				w := &world{s3: s3}
				files := map[string][]awstest.Event{}
				for i, key := range []string{a, b, org} {
					files[key] = awstest.Generate(uint64(i), 300+i, now, now.Add(time.Hour))
					s3.put(t, key, logFileOf(t, files[key]))
				}
				s3.put(t, "digest.json.gz", []byte(zip(t, `{"digestStartTime":"2026-05-01T12:00:01Z"}`)))
				w.sqs.Send(queueURL, tc.message)
				source := w.bucket(t, notifiedConfig)
				p := start(t, &disk{}, source)
				time.Sleep(time.Minute)
				var want []awstest.Event
				for _, key := range tc.files {
					want = append(want, files[key]...)
				}
				exactly(t, p.clone().IDs, want)
				if n := w.sqs.Len(queueURL); n != 1 && len(tc.files) > 0 {
					t.Errorf("%s: the message is gone before there was a checkpoint", tc.reason)
				}
				p.save(t)
				time.Sleep(time.Minute)
				if n := w.sqs.Len(queueURL); (n == 1) != tc.left {
					t.Errorf("%s: %d messages are left after the checkpoint", tc.reason, n)
				}
				st := source.Status()
				if st.Files != uint64(len(tc.files)) || st.Skipped != tc.skipped || (st.Bad > 0) != tc.left || st.Err != nil {
					t.Errorf("%s: status %+v", tc.reason, st)
				}
			})
		})
	}
}

// LogName is the key of a log file of one of the regions.
func LogName(account string, at time.Time, n int) string {
	return awstest.LogName(account, "eu-west-1", at, n)
}

// A long delivery with duplicates, out of order, while the process dies again and again.
func TestBucketIsExactOverDeaths(t *testing.T) {
	credentials(t)
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 1))
				s3 := newBucket(t)
				w := &world{s3: s3, sqs: awstest.SQS{Duplicates: 20, Shuffle: true, Seed: seed}}
				var losing atomic.Int64
				w.sqs.Fail = func(operation string) *awstest.Fault {
					if operation == "DeleteMessageBatch" && losing.Add(1)%3 == 0 {
						return &awstest.Fault{Status: 500, Code: "InternalError", Message: "lost"}
					}
					return nil
				}
				now := time.Now()
				all := awstest.Generate(seed, 6000, now, now.Add(time.Hour))
				for i, from := 0, 0; from < len(all); i++ {
					to := min(len(all), from+1+r.IntN(400))
					file := append([]awstest.Event(nil), all[from:to]...)
					if from > 0 && r.IntN(2) == 0 { // CloudTrail delivers some events twice
						file = append(file, all[max(0, from-r.IntN(50)):from]...)
					}
					key := LogName("111111111111", now, i)
					s3.put(t, key, logFileOf(t, file))
					w.sqs.Send(queueURL, s3Message(key))
					from = to
				}
				s3.failWith(func(http.ResponseWriter, *http.Request) bool {
					time.Sleep(200 * time.Millisecond)
					return false
				})
				d := &disk{}
				lives := 0
				for ; w.sqs.Len(queueURL) > 0 && lives < 500; lives++ {
					p := start(t, d, w.bucket(t, notifiedConfig))
					for range r.IntN(5) {
						time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
						p.save(t)
					}
					time.Sleep(time.Duration(r.IntN(800)) * time.Millisecond)
					p.die()
					w.sqs.Reveal() // what it held is not hidden for ever
				}
				if d.tally == nil {
					t.Fatal("no checkpoint was written")
				}
				exactly(t, d.IDs, all)
				if lives < 10 {
					t.Errorf("only %d lives", lives)
				}
			})
		})
	}
}

func TestBucketTroubles(t *testing.T) {
	credentials(t)
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	good, bad := LogName("111111111111", now, 1), LogName("111111111111", now, 2)
	goodEvents, badEvents := awstest.Generate(1, 300, now, now.Add(time.Hour)), awstest.Generate(2, 700, now, now.Add(time.Hour))
	s3Error := func(status int, code string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no: %s %s</Message></Error>", code, accessKey, sessionToken)
			return true
		}
	}
	cases := map[string]struct {
		reason string
		file   func(t *testing.T, whole []byte) []byte // what is in the bucket
		fail   func(http.ResponseWriter, *http.Request) bool
		broken bool // for good: what can be read is counted, and the message deleted
		say    []string
	}{
		"Denied":    {"it may not read the file", nil, s3Error(403, "AccessDenied"), false, []string{"allow s3:GetObject", "s3://" + bucket + "/" + bad, "account self", "eu-west-1"}},
		"Throttled": {"S3 is asked too often", nil, s3Error(503, "SlowDown"), false, []string{"throttled", "s3:GetObject"}},
		"Server":    {"S3 is broken", nil, s3Error(500, "InternalError"), false, []string{"s3:GetObject", "InternalError"}},
		"Cut": {"the connection breaks half-way", nil, func(w http.ResponseWriter, _ *http.Request) bool {
			whole := logFileOf(t, badEvents)
			w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
			_, _ = w.Write(whole[:len(whole)*2/3])
			panic(http.ErrAbortHandler)
		}, false, []string{"s3://" + bucket + "/" + bad}},
		"Stalls": {"the file stops coming", nil, func(w http.ResponseWriter, r *http.Request) bool {
			whole := logFileOf(t, badEvents)
			w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
			_, _ = w.Write(whole[:len(whole)/2])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return true
		}, false, []string{"no answer in time", "s3://" + bucket + "/" + bad}},
		"Torn":    {"it was cut when it was made", func(_ *testing.T, whole []byte) []byte { return whole[:len(whole)*2/3] }, nil, true, nil},
		"TornEnd": {"by a byte", func(_ *testing.T, whole []byte) []byte { return whole[:len(whole)-1] }, nil, true, nil},
		"Middle": {"a byte of a long one has gone wrong", func(t *testing.T, _ []byte) []byte {
			long := logFileOf(t, awstest.Generate(3, 5000, now, now.Add(time.Hour)))
			long[len(long)/5] ^= 0x55
			return long
		}, nil, true, nil},
		"MiddleOfJSON": {"it was made wrong", func(t *testing.T, _ []byte) []byte {
			noise := make([]byte, 1<<20)
			r := rand.New(rand.NewPCG(1, 1))
			for i := range noise {
				noise[i] = byte(r.Uint32())
			}
			return []byte(zip(t, `{"Records":[`+full+`,}`+string(noise)))
		}, nil, true, nil},
		"Rubbish": {"it is something else", func(*testing.T, []byte) []byte { return []byte("hello") }, nil, true, nil},
		"Deleted": {"it is gone", func(*testing.T, []byte) []byte { return nil }, nil, true, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s3 := newBucket(t)
				w := &world{s3: s3}
				s3.put(t, good, logFileOf(t, goodEvents))
				file := logFileOf(t, badEvents)
				if tc.file != nil {
					file = tc.file(t, file)
				}
				if file != nil {
					s3.put(t, bad, file)
				}
				begin := time.Now()
				if tc.fail != nil {
					s3.failWith(func(w http.ResponseWriter, r *http.Request) bool {
						return strings.HasSuffix(r.URL.Path, bad) && time.Since(begin) < time.Hour && tc.fail(w, r)
					})
				}
				w.sqs.Send(queueURL, s3Message(bad))
				w.sqs.Send(queueURL, s3Message(good))
				source := w.bucket(t, notifiedConfig)
				d := &disk{}
				p := start(t, d, source)
				for range 6 {
					time.Sleep(10 * time.Minute)
					p.save(t)
				}
				st := source.Status()
				got := p.clone().IDs
				for _, e := range goodEvents {
					if got[e.ID] != 1 {
						t.Fatalf("%s: the good file was not counted: %+v", tc.reason, st)
					}
				}
				if tc.broken {
					if st.Broken != 1 || st.Err != nil || w.sqs.Len(queueURL) != 0 {
						t.Errorf("%s: it is broken for good, but status is %+v, and %d messages are left", tc.reason, st, w.sqs.Len(queueURL))
					}
					if text := w.logs.String(); strings.Count(text, "cannot be read to the end") != 1 || !strings.Contains(text, bad) {
						t.Errorf("%s: the log says %s", tc.reason, text)
					}
					if n := len(got) - len(goodEvents); strings.HasPrefix(name, "Torn") && n < 300 {
						t.Errorf("%s: %d of its records were counted, want what is readable", tc.reason, n)
					}
					return
				}
				for _, say := range tc.say {
					if st.Err == nil || !strings.Contains(st.Err.Error(), say) {
						t.Errorf("%s: status %v does not say %q", tc.reason, st.Err, say)
					}
				}
				if w.sqs.Len(queueURL) != 1 {
					t.Errorf("%s: the message is gone", tc.reason)
				}
				if n := s3.asked(bad); n < 5 || n > 300 {
					t.Errorf("%s: it was tried %d times in an hour", tc.reason, n)
				}
				// It dies in the middle, and then all is well.
				p.die()
				source = w.bucket(t, notifiedConfig)
				p = start(t, d, source)
				time.Sleep(30 * time.Minute)
				p.save(t)
				time.Sleep(time.Minute)
				exactly(t, p.clone().IDs, append(append([]awstest.Event(nil), goodEvents...), badEvents...))
				if st := source.Status(); st.Err != nil || w.sqs.Len(queueURL) != 0 {
					t.Errorf("%s: when all is well again: %+v, %d messages", tc.reason, st, w.sqs.Len(queueURL))
				}
				noSecrets(t, "the log", w.logs.String())
			})
		})
	}
}

// Records without an ID are counted once by where they are in their file, whatever happens on the way.
func TestBucketCountsNamelessRecordsOnce(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		const records = 5000
		nameless := strings.Replace(full, "0aab9947-662e-407b-bbc7-e86981879d38", "", 1)
		file := []byte(zip(t, `{"Records":[`+strings.Repeat(nameless+",", records-1)+nameless+`]}`))
		key := LogName("111111111111", time.Now(), 1)
		s3 := newBucket(t)
		s3.put(t, key, file)
		w := &world{s3: s3}
		tries := 0
		s3.failWith(func(w http.ResponseWriter, _ *http.Request) bool {
			if tries++; tries > 6 {
				return false
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(file)))
			_, _ = w.Write(file[:len(file)*tries/8])
			panic(http.ErrAbortHandler)
		})
		w.sqs.Send(queueURL, s3Message(key))
		d := &disk{}
		for range 3 {
			p := start(t, d, w.bucket(t, notifiedConfig))
			time.Sleep(40 * time.Second)
			p.save(t)
			time.Sleep(20 * time.Second)
			p.die()
			w.sqs.Reveal()
		}
		p := start(t, d, w.bucket(t, notifiedConfig))
		time.Sleep(time.Hour)
		p.die()
		if got := p.clone().IDs[""]; got != records {
			t.Errorf("counted %d of %d", got, records)
		}
	})
}

func TestBucketQueueTroubles(t *testing.T) {
	credentials(t)
	cases := map[string]struct {
		reason    string
		operation string
		fault     *awstest.Fault
		want      cloud.Outcome
		say       string
	}{
		"Denied":       {"it may not read the queue", "ReceiveMessage", &awstest.Fault{Status: 400, Code: "AccessDeniedException", Message: "no: " + sessionToken}, cloud.Denied, "allow sqs:ReceiveMessage"},
		"NoQueue":      {"there is no queue", "ReceiveMessage", &awstest.Fault{Status: 400, Code: "QueueDoesNotExist", Message: "The specified queue does not exist."}, cloud.NotFound, queueURL},
		"Expired":      {"its token is old", "ReceiveMessage", &awstest.Fault{Status: 403, Code: "ExpiredToken", Message: "The security token included in the request is expired"}, cloud.Auth, "no valid AWS credentials"},
		"Hangs":        {"the queue does not answer", "ReceiveMessage", &awstest.Fault{Hang: true}, cloud.Timeout, "no answer in time"},
		"MayNotDelete": {"it may not delete", "DeleteMessageBatch", &awstest.Fault{Status: 400, Code: "AccessDeniedException", Message: "no"}, cloud.Denied, "allow sqs:DeleteMessage"},
		"MayNotHide":   {"it may not hide", "ChangeMessageVisibilityBatch", &awstest.Fault{Status: 400, Code: "AccessDeniedException", Message: "no"}, cloud.Denied, "allow sqs:ChangeMessageVisibility"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				s3 := newBucket(t)
				w := &world{s3: s3, sqs: awstest.SQS{Fail: func(operation string) *awstest.Fault {
					if operation == tc.operation && time.Since(begin) < time.Hour {
						return tc.fault
					}
					return nil
				}}}
				events := awstest.Generate(1, 3000, begin, begin.Add(time.Hour))
				for i := range 10 {
					key := LogName("111111111111", begin, i)
					s3.put(t, key, logFileOf(t, events[i*300:(i+1)*300]))
					w.sqs.Send(queueURL, s3Message(key))
				}
				source := w.bucket(t, notifiedConfig)
				d := &disk{}
				p := start(t, d, source)
				time.Sleep(8 * time.Minute) // without a checkpoint, so that messages must be hidden for longer
				st := source.Status()
				if tc.operation == "DeleteMessageBatch" {
					p.save(t)
					time.Sleep(2 * time.Minute)
					st = source.Status()
				}
				if st.Err == nil || outcome(st.Err) != tc.want || !strings.Contains(st.Err.Error(), tc.say) {
					t.Errorf("%s: status %v", tc.reason, st.Err)
				}
				noSecrets(t, "Status.Err", fmt.Sprint(st.Err))
				for range 12 {
					time.Sleep(10 * time.Minute)
					p.save(t)
				}
				exactly(t, p.clone().IDs, events)
				if st := source.Status(); st.Err != nil || w.sqs.Len(queueURL) != 0 {
					t.Errorf("%s: when all is well again: %v, %d messages", tc.reason, st.Err, w.sqs.Len(queueURL))
				}
				if n := strings.Count(w.logs.String(), "cannot read audit trail"); n != 1 {
					t.Errorf("%s: logged %d times: %s", tc.reason, n, w.logs.String())
				}
				noSecrets(t, "the log", w.logs.String())
			})
		})
	}
}

// What is held long is hidden from others as long.
func TestBucketKeepsItsMessagesHidden(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		s3 := newBucket(t)
		w := &world{s3: s3}
		key := LogName("111111111111", time.Now(), 1)
		events := awstest.Generate(1, 10, time.Now(), time.Now().Add(time.Minute))
		s3.put(t, key, logFileOf(t, events))
		w.sqs.Send(queueURL, s3Message(key))
		p := start(t, &disk{}, w.bucket(t, notifiedConfig))
		time.Sleep(2 * time.Hour) // and no checkpoint
		if n := s3.asked(key); n != 1 {
			t.Errorf("the file was read %d times", n)
		}
		if w.asked()["sqs:ChangeMessageVisibility ok"] < 20 {
			t.Errorf("the message was not kept hidden: %v", w.asked())
		}
		p.save(t)
		time.Sleep(10 * time.Second)
		if n := w.sqs.Len(queueURL); n != 0 {
			t.Errorf("%d messages are left", n)
		}
		exactly(t, p.clone().IDs, events)
	})
}

func TestBucketListed(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 1))
		s3 := newBucket(t)
		w := &world{s3: s3}
		c := BucketConfig{Bucket: bucket, Prefix: "audit/", Region: "eu-west-1"}
		begin := time.Now().Add(23 * time.Hour) // over midnight
		time.Sleep(23 * time.Hour)
		events := awstest.Generate(1, 6000, begin, begin.Add(3*time.Hour))
		put := func(prefix, account, region string, events []awstest.Event, delivered time.Time, n int) {
			key := prefix + strings.TrimPrefix(awstest.LogName(account, region, delivered, n), "AWSLogs/")
			s3.put(t, key, logFileOf(t, events))
			if r.IntN(5) == 0 {
				s3.put(t, strings.ReplaceAll(key, "/CloudTrail/", "/CloudTrail-Digest/"), []byte("x"))
			}
		}
		// Long ago, and not to be counted.
		put("audit/AWSLogs/", "111111111111", "eu-west-1", awstest.Generate(99, 10, begin, begin.Add(time.Second)), begin.Add(-20*time.Hour), 0)
		s3.put(t, "audit/AWSLogs/111111111111/CloudTrail/eu-west-1/readme.txt", []byte("x"))
		d := &disk{}
		p := start(t, d, w.bucket(t, c))
		for i := range 60 { // a file every three minutes
			delivered := time.Now()
			time.Sleep(time.Duration(r.IntN(170)) * time.Second) // it appears after the time in its name
			put([]string{"audit/AWSLogs/", "audit/AWSLogs/o-abcdefghij/"}[i%2], fmt.Sprint(111111111111+i%3), []string{"eu-west-1", "us-east-1"}[i%2],
				events[i*100:(i+1)*100], delivered, r.IntN(1000000))
			time.Sleep(3*time.Minute - time.Since(delivered))
			if i%7 == 0 {
				p.save(t)
			}
			if i%10 == 9 {
				p.die()
				p = start(t, d, w.bucket(t, c))
			}
		}
		time.Sleep(10 * time.Minute)
		p.save(t)
		p.die()
		exactly(t, p.clone().IDs, events)
		var marks int
		for _, s := range d.State.Sources {
			marks += len(s.Marks)
		}
		if marks > 30 {
			t.Errorf("%d marks: those of files from long ago are not forgotten", marks)
		}
	})
}

// A file that may not be read keeps no other one waiting. It is read once it may be, and given up in the end.
func TestBucketListedGoesOn(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		s3 := newBucket(t)
		w := &world{s3: s3}
		now := time.Now()
		events := awstest.Generate(1, 600, now, now.Add(time.Hour))
		var keys []string
		for i := range 6 {
			keys = append(keys, awstest.LogName("111111111111", []string{"eu-west-1", "us-east-1"}[i%2], now.Add(time.Duration(i)*time.Minute), i))
			s3.put(t, keys[i], logFileOf(t, events[i*100:(i+1)*100]))
		}
		late, never := keys[0], keys[3]
		s3.failWith(func(w http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, never) || strings.HasSuffix(r.URL.Path, late) && time.Since(now) < 3*time.Hour {
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
				return true
			}
			return false
		})
		d, c := &disk{}, BucketConfig{Bucket: bucket, Region: "eu-west-1"}
		source := w.bucket(t, c)
		p := start(t, d, source)
		time.Sleep(10 * time.Minute)
		without := append(append([]awstest.Event(nil), events[100:300]...), events[400:]...)
		exactly(t, p.clone().IDs, without)
		err := source.Status().Err
		for _, say := range []string{"allow s3:GetObject", late, never} {
			if err == nil || !strings.Contains(err.Error(), say) {
				t.Errorf("%v does not say %q", err, say)
			}
		}
		time.Sleep(2 * time.Hour)
		p.save(t)
		p.die()
		source = w.bucket(t, c)
		p = start(t, d, source)
		time.Sleep(2 * time.Hour)
		exactly(t, p.clone().IDs, append(without, events[:100]...))
		if st := source.Status(); st.Err == nil || strings.Contains(st.Err.Error(), late) || !st.Through.Before(time.Now().Add(-time.Hour)) {
			t.Errorf("what may still be read is forgotten: %+v", st)
		}
		if n := strings.Count(w.logs.String(), "cannot read audit trail"); n > 2 {
			t.Errorf("it complained %d times:\n%s", n, w.logs.String())
		}
		time.Sleep(24 * time.Hour)
		if st := source.Status(); st.Err != nil || st.Missed == 0 || s3.asked(never) > 500 {
			t.Errorf("asked %d times for what cannot be read, and not given it up: %+v", s3.asked(never), st)
		}
		exactly(t, p.clone().IDs, append(without, events[:100]...))
	})
}

// A bucket answers in its own region alone, and says which that is.
func TestBucketElsewhere(t *testing.T) {
	credentials(t)
	for name, tc := range map[string]struct {
		config  BucketConfig
		home    string
		message string
		wrong   int // requests to the wrong region
	}{
		"Listed":     {BucketConfig{Bucket: bucket}, "eu-central-1", "", 1},
		"Said":       {BucketConfig{Bucket: bucket, Region: "eu-central-1"}, "eu-central-1", "", 0},
		"Queue":      {BucketConfig{Queue: "https://sqs.eu-central-1.amazonaws.com/111111111111/trail"}, "eu-central-1", "CloudTrail", 0},
		"OtherQueue": {BucketConfig{Queue: "https://sqs.eu-central-1.amazonaws.com/111111111111/trail"}, "ap-south-1", "CloudTrail", 1},
		"Message":    {BucketConfig{Queue: queueURL}, "eu-west-1", "S3", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s3 := newBucket(t)
				w := &world{s3: s3}
				events := awstest.Generate(1, 200, time.Now(), time.Now().Add(time.Hour))
				var keys []string
				for i := range 2 {
					keys = append(keys, LogName("111111111111", time.Now(), i))
					s3.put(t, keys[i], logFileOf(t, events[i*100:(i+1)*100]))
				}
				var wrong, denied atomic.Int64
				s3.failWith(func(w http.ResponseWriter, r *http.Request) bool {
					if strings.Contains(r.Header.Get("Authorization"), "/"+tc.home+"/s3/") {
						if denied.Load() == 0 {
							return false
						}
						w.WriteHeader(http.StatusForbidden)
						_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
						return true
					}
					wrong.Add(1)
					w.Header().Set("X-Amz-Bucket-Region", tc.home)
					w.WriteHeader(http.StatusMovedPermanently)
					_, _ = io.WriteString(w, "<Error><Code>PermanentRedirect</Code><Message>It is elsewhere.</Message></Error>")
					return true
				})
				switch tc.message {
				case "S3":
					w.sqs.Send(tc.config.Queue, s3Message(keys...))
				case "CloudTrail":
					w.sqs.Send(tc.config.Queue, cloudTrailMessage(keys...))
				}
				source := w.bucket(t, tc.config)
				p := start(t, &disk{}, source)
				time.Sleep(5 * time.Minute)
				exactly(t, p.clone().IDs, events)
				if n := int(wrong.Load()); n > 2*tc.wrong || n < tc.wrong { // two files may be asked for at once
					t.Errorf("%d requests went to the wrong region, want %d", n, tc.wrong)
				}
				denied.Store(1)
				if tc.message == "" {
					s3.put(t, LogName("111111111111", time.Now(), 3), logFileOf(t, events))
				} else {
					w.sqs.Send(tc.config.Queue, cloudTrailMessage("new.json.gz"))
				}
				time.Sleep(5 * time.Minute)
				if err := source.Status().Err; tc.message != "S3" && (err == nil || !strings.Contains(err.Error(), "region "+tc.home)) {
					t.Errorf("%v does not say the region", err)
				}
			})
		})
	}
}

func TestBucketListedIsKeptOut(t *testing.T) {
	credentials(t)
	synctest.Test(t, func(t *testing.T) {
		s3 := newBucket(t)
		s3.failWith(func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
			return true
		})
		w := &world{s3: s3}
		source := w.bucket(t, BucketConfig{Bucket: bucket, Region: "eu-west-1"})
		p := start(t, &disk{}, source)
		time.Sleep(10 * time.Minute)
		p.die()
		err := source.Status().Err
		for _, say := range []string{"allow s3:ListBucket", "bucket " + bucket, "account self", "eu-west-1"} {
			if err == nil || !strings.Contains(err.Error(), say) {
				t.Errorf("%v does not say %q", err, say)
			}
		}
	})
}

// A queue that has no more has been read until now, however old what came last is; one with a file that is still being read has not.
func TestQueueIsDrained(t *testing.T) {
	credentials(t)
	for name, open := range map[string]func(*testing.T, *world) (source cloud.Source, send func()){
		"Events": func(t *testing.T, w *world) (cloud.Source, func()) {
			return w.events(t), func() { w.sqs.Send(queueURL, bridged(full)) }
		},
		"Files": func(t *testing.T, w *world) (cloud.Source, func()) {
			s3 := newBucket(t)
			key := LogName("111111111111", time.Now(), 1)
			s3.put(t, key, logFileOf(t, awstest.Generate(1, 10, time.Now().Add(-5*time.Hour), time.Now().Add(-4*time.Hour))))
			s3.failWith(func(http.ResponseWriter, *http.Request) bool {
				time.Sleep(50 * time.Second)
				return false
			})
			w.s3 = s3
			return w.bucket(t, notifiedConfig), func() { w.sqs.Send(queueURL, s3Message(key)) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{}
				source, send := open(t, w)
				late := func() time.Duration { return time.Since(source.Status().Through) }
				if !source.Status().Through.IsZero() {
					t.Error("it has been read before it was")
				}
				start(t, &disk{}, source)
				time.Sleep(time.Minute)
				if late() > 2*longPoll {
					t.Errorf("it is empty, and said to be %s late", late())
				}
				send()
				time.Sleep(45 * time.Second)
				if name == "Files" && late() < 40*time.Second {
					t.Errorf("a file is being read, and it is said to be %s late", late())
				}
				time.Sleep(time.Minute)
				if late() > 2*longPoll {
					t.Errorf("all is read, and it is said to be %s late", late())
				}
			})
		})
	}
}
