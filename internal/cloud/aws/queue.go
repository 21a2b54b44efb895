package aws

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"crossplane-exporter/internal/cloud"
)

const (
	// hidden is how long a message that we hold is hidden from others. It is renewed when half of it is over.
	hidden = 5 * time.Minute
	// longPoll is how long SQS waits for a message to come.
	longPoll = 20 * time.Second
	// maxHeld is how many messages we hold that are not yet in a checkpoint. SQS lets 120,000 be held.
	maxHeld = 5000
	// atOnce is how many messages one request may be about.
	atOnce = 10
	// tidyEvery is how often what is done is deleted.
	tidyEvery = time.Second
)

// A queue is a reader of an SQS queue. It holds the messages that it was given, that is keeps them hidden from others,
// until they are done with or given back.
type queue struct {
	*standing
	client *sqs.Client
	url    string

	mu   sync.Mutex
	held map[string]*message // by ID
	gone []*message          // done with, to be deleted
	back map[string]*message // to be given back
}

// A message is one that was received. Its fields belong to the queue.
type message struct {
	id, handle string
	body       string
	received   int
	until      time.Time // hidden
	again      time.Time // given back for
	deleted    func()    // called once it is deleted
}

func (s *Session) queue(st *standing, url string, a Account) *queue {
	region := regionOfQueue(url)
	c := s.in(a, region)
	st.status.Region = c.Region
	return &queue{
		standing: st, url: url, held: map[string]*message{}, back: map[string]*message{},
		client: sqs.NewFromConfig(c, func(o *sqs.Options) { o.BaseEndpoint = endpoint(s.config.Endpoints.SQS) }),
	}
}

// regionOfQueue is the region in a queue's URL, if it has one: https://sqs.eu-west-1.amazonaws.com/123456789012/name.
func regionOfQueue(url string) string {
	rest, _ := strings.CutPrefix(url, "https://sqs.")
	region, _, ok := strings.Cut(rest, ".amazonaws.com")
	if !ok || rest == url {
		return ""
	}
	return region
}

func (q *queue) room() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.held) < maxHeld
}

// receive waits for messages, for some seconds at most. Those that are held already have come again: their newest
// handle is kept, and they are not returned. Drained is whether there was none at all.
func (q *queue) receive(ctx context.Context) (fresh []*message, drained bool, err error) {
	once, cancel := context.WithTimeout(ctx, longPoll+headerTimeout)
	defer cancel()
	now := time.Now()
	out, err := q.client.ReceiveMessage(once, &sqs.ReceiveMessageInput{
		QueueUrl: &q.url, MaxNumberOfMessages: atOnce,
		WaitTimeSeconds: int32(longPoll / time.Second), VisibilityTimeout: int32(hidden / time.Second),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameApproximateReceiveCount},
	})
	if err != nil {
		return nil, false, q.fail(ctx, err)
	}
	q.worked("receive")
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range out.Messages {
		id, until := aws.ToString(m.MessageId), now.Add(hidden)
		if old, ok := q.held[id]; ok {
			old.handle, old.until = aws.ToString(m.ReceiptHandle), until
			continue
		}
		n, _ := strconv.Atoi(m.Attributes[string(types.MessageSystemAttributeNameApproximateReceiveCount)])
		msg := &message{id: id, handle: aws.ToString(m.ReceiptHandle), body: aws.ToString(m.Body), received: n, until: until}
		q.held[id] = msg
		fresh = append(fresh, msg)
	}
	return fresh, len(out.Messages) == 0, nil
}

// probe makes each of the requests that run makes. A message that it receives is hidden for a second; the others are
// about one that is not there.
func (q *queue) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(withAccount(ctx, q.status.Account), headerTimeout)
	defer cancel()
	_, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: 1, VisibilityTimeout: 1})
	if err == nil {
		_, err = q.client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{
			QueueUrl: &q.url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
				{Id: aws.String("0"), ReceiptHandle: aws.String("none"), VisibilityTimeout: 1},
			},
		})
	}
	if err == nil {
		_, err = q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{
			QueueUrl: &q.url, Entries: []types.DeleteMessageBatchRequestEntry{{Id: aws.String("0"), ReceiptHandle: aws.String("none")}},
		})
	}
	if err != nil {
		return q.fail(ctx, err)
	}
	return nil
}

// fail makes an error of the SDK's that names the queue.
func (q *queue) fail(ctx context.Context, err error) error {
	return fail(ctx, err, q.status.Account, q.status.Region, "queue "+q.url)
}

// finish has a message deleted, soon. Deleted, if not nil, is called after that.
func (q *queue) finish(m *message, deleted func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m.deleted = deleted
	q.gone = append(q.gone, m)
}

// giveBack lets a message come again after a while, longer each time it came.
func (q *queue) giveBack(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m.again = time.Now().Add(backoff(m.received))
	q.back[m.id] = m
	delete(q.held, m.id)
}

// forget lets a message come again when it is not hidden any more.
func (q *queue) forget(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, m.id)
}

// tidy deletes what is done with, renews what is held, and gives back, until ctx ends.
func (q *queue) tidy(ctx context.Context) {
	for failures := 0; ctx.Err() == nil; {
		wait, failed := tidyEvery, false
		for what, f := range map[string]func(context.Context) error{"delete": q.delete, "renew": q.renew} {
			switch err := f(ctx); {
			case ctx.Err() != nil:
				return
			case err != nil:
				failed = true
				wait = backoff(failures + 1)
				q.failing(what, err, wait)
			}
		}
		if failures++; !failed {
			failures = 0
		}
		sleep(ctx, wait)
	}
}

func (q *queue) delete(ctx context.Context) error {
	for ctx.Err() == nil {
		q.mu.Lock()
		some := q.gone[:min(atOnce, len(q.gone))]
		entries := make([]types.DeleteMessageBatchRequestEntry, len(some))
		for i, m := range some {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(m.handle)}
		}
		q.mu.Unlock()
		if len(some) == 0 {
			q.recovered("delete")
			return nil
		}
		once, cancel := context.WithTimeout(ctx, headerTimeout)
		out, err := q.client.DeleteMessageBatch(once, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		cancel()
		if err != nil {
			return q.fail(ctx, err)
		}
		q.recovered("delete")
		again := map[int]bool{}
		for _, f := range out.Failed {
			// A handle that is no good any more belongs to a message that has come again, or will.
			if i, err := strconv.Atoi(aws.ToString(f.Id)); err == nil && !f.SenderFault {
				again[i] = true
			}
		}
		q.mu.Lock()
		q.gone = q.gone[len(some):]
		var deleted []func()
		for i, m := range some {
			if again[i] {
				q.gone = append(q.gone, m)
				continue
			}
			delete(q.held, m.id)
			if m.deleted != nil {
				deleted = append(deleted, m.deleted)
			}
		}
		q.mu.Unlock()
		for _, f := range deleted {
			f()
		}
		if len(again) > 0 {
			return nil // next time
		}
	}
	return ctx.Err()
}

func (q *queue) renew(ctx context.Context) error {
	now := time.Now()
	q.mu.Lock()
	var due []*message
	for _, m := range q.back {
		due = append(due, m)
	}
	for _, m := range q.held {
		if m.until.Sub(now) < hidden/2 {
			due = append(due, m)
		}
	}
	held := len(q.held) + len(q.back)
	q.mu.Unlock()
	if held == 0 {
		q.recovered("renew")
	}
	for some := range slices.Chunk(due, atOnce) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(some))
		q.mu.Lock()
		for i, m := range some {
			d := hidden
			if !m.again.IsZero() {
				d = max(0, m.again.Sub(now))
			}
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{
				Id: aws.String(strconv.Itoa(i)), ReceiptHandle: aws.String(m.handle), VisibilityTimeout: int32(d / time.Second),
			}
		}
		q.mu.Unlock()
		once, cancel := context.WithTimeout(ctx, headerTimeout)
		// Single failures are of messages that are hidden no longer. They come again, and are known.
		_, err := q.client.ChangeMessageVisibilityBatch(once, &sqs.ChangeMessageVisibilityBatchInput{
			QueueUrl: &q.url, Entries: entries,
		})
		cancel()
		if err != nil {
			return q.fail(ctx, err)
		}
		q.recovered("renew")
		q.mu.Lock()
		for _, m := range some {
			m.until = now.Add(hidden)
			delete(q.back, m.id)
		}
		q.mu.Unlock()
	}
	return nil
}

// run receives messages until ctx ends, and calls handle for each, in the order of arrival, and drained when there was none.
func (q *queue) run(ctx context.Context, handle func([]*message), drained func()) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { q.tidy(ctx) })
	for failures := 0; ctx.Err() == nil; {
		if !q.room() {
			sleep(ctx, tidyEvery)
			continue
		}
		messages, none, err := q.receive(ctx)
		if err != nil {
			failures++
			if ctx.Err() == nil {
				wait := backoff(failures)
				q.failing("receive", err, wait)
				sleep(ctx, wait)
			}
			continue
		}
		failures = 0
		if len(messages) > 0 {
			handle(messages)
		}
		if none {
			drained()
		}
	}
}

// queueStatus is the first status of a source that reads a queue.
func queueStatus(kind, url string, a Account) cloud.Status {
	name := url
	if account, queue, ok := queueOf(url); ok {
		name = account + "/" + queue
	}
	return cloud.Status{Source: kind + "/" + name, Kind: kind, Account: a.ID(), Coverage: cloud.CoversNone}
}
