package awstest

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An SQS is a service of standard queues: they deliver at least once and in no order. A queue is there once it is
// named. The fields must not be changed once it is in use.
type SQS struct {
	// Duplicates is how many of a hundred messages are delivered twice.
	Duplicates int
	// Shuffle delivers in random order.
	Shuffle bool
	// Seed is that of the randomness.
	Seed uint64
	// Fail, if not nil, is asked before each answer, with the name of the operation; a Fault is answered with.
	Fail func(operation string) *Fault

	mu      sync.Mutex
	queues  map[string][]*sqsMessage
	sent    int
	handles int
	changed chan struct{} // closed and replaced when a message comes
	random  *rand.Rand
}

type sqsMessage struct {
	id, body string
	visible  time.Time
	received int
	handles  []string
}

// Send puts a message into a queue.
func (s *SQS) Send(url, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(url, body)
}

func (s *SQS) send(url, body string) string {
	s.start()
	s.sent++
	id := fmt.Sprintf("message-%d", s.sent)
	s.queues[url] = append(s.queues[url], &sqsMessage{id: id, body: body, visible: time.Now()})
	if s.random.IntN(100) < s.Duplicates {
		// Another copy: a standard queue may keep one on each of several servers.
		s.queues[url] = append(s.queues[url], &sqsMessage{id: id, body: body, visible: time.Now()})
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return id
}

// start makes what the zero value lacks.
func (s *SQS) start() {
	if s.queues == nil {
		s.queues, s.changed, s.random = map[string][]*sqsMessage{}, make(chan struct{}), rand.New(rand.NewPCG(s.Seed, 1))
	}
}

// Len is how many messages a queue has, hidden or not.
func (s *SQS) Len(url string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queues[url])
}

// Reveal makes all messages visible, as time would.
func (s *SQS) Reveal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	for _, q := range s.queues {
		for _, m := range q {
			m.visible = time.Now()
		}
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

type sqsEntry struct {
	ID                string `json:"Id"`
	ReceiptHandle     string
	VisibilityTimeout int
}

type sqsRequest struct {
	QueueURL            string `json:"QueueUrl"`
	MessageBody         string
	MaxNumberOfMessages int
	WaitTimeSeconds     int
	VisibilityTimeout   *int
	ReceiptHandle       string
	Entries             []sqsEntry
}

// ServeHTTP implements http.Handler.
func (s *SQS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	var in sqsRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, "com.amazonaws.sqs#", &Fault{Status: 400, Code: "SerializationException", Message: err.Error()})
		return
	}
	if s.Fail != nil {
		if f := s.Fail(operation); f != nil {
			if f.Hang {
				<-r.Context().Done()
				return
			}
			refuse(w, "com.amazonaws.sqs#", f)
			return
		}
	}
	switch operation {
	case "SendMessage":
		s.mu.Lock()
		id := s.send(in.QueueURL, in.MessageBody)
		s.mu.Unlock()
		reply(w, map[string]string{"MessageId": id, "MD5OfMessageBody": sum(in.MessageBody)})
	case "ReceiveMessage":
		reply(w, map[string]any{"Messages": s.receive(r, &in)})
	case "DeleteMessage":
		s.each(&in, []sqsEntry{{ReceiptHandle: in.ReceiptHandle}}, true)
		reply(w, map[string]any{})
	case "DeleteMessageBatch":
		reply(w, s.each(&in, in.Entries, true))
	case "ChangeMessageVisibilityBatch":
		reply(w, s.each(&in, in.Entries, false))
	case "GetQueueAttributes":
		reply(w, map[string]any{"Attributes": map[string]string{"ApproximateNumberOfMessages": strconv.Itoa(s.Len(in.QueueURL))}})
	default:
		refuse(w, "com.amazonaws.sqs#", &Fault{Status: 400, Code: "UnsupportedOperation", Message: operation})
	}
}

// receive waits for messages and hides them.
func (s *SQS) receive(r *http.Request, in *sqsRequest) []map[string]any {
	until := time.NewTimer(time.Duration(in.WaitTimeSeconds) * time.Second)
	defer until.Stop()
	for {
		out, changed, soon := s.take(in)
		if len(out) > 0 {
			return out
		}
		next := time.NewTimer(soon)
		select {
		case <-until.C:
			next.Stop()
			return nil
		case <-r.Context().Done():
			next.Stop()
			return nil
		case <-changed:
		case <-next.C:
		}
		next.Stop()
	}
}

// take takes what is visible, or says when something may be.
func (s *SQS) take(in *sqsRequest) (out []map[string]any, changed chan struct{}, soon time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	now := time.Now()
	hidden := 30 * time.Second
	if in.VisibilityTimeout != nil {
		hidden = time.Duration(*in.VisibilityTimeout) * time.Second
	}
	queue := slices.Clone(s.queues[in.QueueURL])
	if s.Shuffle {
		s.random.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
	}
	soon = time.Hour
	for _, m := range queue {
		if m.visible.After(now) {
			soon = min(soon, m.visible.Sub(now))
			continue
		}
		if len(out) >= max(1, in.MaxNumberOfMessages) {
			break
		}
		m.received++
		m.visible = now.Add(hidden)
		s.handles++
		handle := fmt.Sprintf("handle-%d", s.handles)
		m.handles = append(m.handles, handle)
		out = append(out, map[string]any{
			"MessageId": m.id, "ReceiptHandle": handle, "Body": m.body, "MD5OfBody": sum(m.body),
			"Attributes": map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)},
		})
	}
	return out, s.changed, soon
}

// each deletes messages by their handles, or changes how long they are hidden.
func (s *SQS) each(in *sqsRequest, entries []sqsEntry, remove bool) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start()
	done, failed := []map[string]any{}, []map[string]any{}
	for _, e := range entries {
		i := slices.IndexFunc(s.queues[in.QueueURL], func(m *sqsMessage) bool { return slices.Contains(m.handles, e.ReceiptHandle) })
		if i < 0 {
			failed = append(failed, map[string]any{"Id": e.ID, "Code": "ReceiptHandleIsInvalid", "SenderFault": true})
			continue
		}
		if remove {
			s.queues[in.QueueURL] = slices.Delete(s.queues[in.QueueURL], i, i+1)
		} else {
			s.queues[in.QueueURL][i].visible = time.Now().Add(time.Duration(e.VisibilityTimeout) * time.Second)
		}
		done = append(done, map[string]any{"Id": e.ID})
	}
	return map[string]any{"Successful": done, "Failed": failed}
}

func sum(s string) string {
	h := md5.Sum([]byte(s))
	return hex.EncodeToString(h[:])
}
