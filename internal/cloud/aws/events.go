package aws

import (
	"context"
	"encoding/json"
	"time"

	"crossplane-exporter/internal/cloud"
)

// EventsConfig is how single events are read from an SQS queue that an EventBridge rule on "AWS API Call via
// CloudTrail" fills, directly or through SNS. Which calls those are is the rule's choice; without the state
// ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS they are writes. It needs sqs:ReceiveMessage, sqs:DeleteMessage and
// sqs:ChangeMessageVisibility.
type EventsConfig struct {
	// Queue is the queue's URL.
	Queue string
	// Account is the one to read the queue with.
	Account Account
	// Coverage is what the rule lets through: writes unless said otherwise.
	Coverage cloud.Coverage
}

// Events makes a source of single events.
func (s *Session) Events(c EventsConfig) cloud.Source {
	if c.Coverage == "" {
		c.Coverage = cloud.CoversWrites
	}
	e := &events{
		standing: standing{log: s.config.Log, status: queueStatus("eventbridge", c.Queue, c.Account)},
		decoder:  NewDecoder(s.config.Principals), covers: c.Coverage,
	}
	e.queue = s.queue(&e.standing, c.Queue, c.Account)
	return e
}

type events struct {
	standing
	queue   *queue
	decoder *Decoder
	covers  cloud.Coverage
}

// Run implements cloud.Source.
func (e *events) Run(ctx context.Context, in cloud.Inbox) error {
	ctx = withAccount(ctx, e.status.Account)
	e.queue.run(ctx, func(messages []*message) {
		var batch []cloud.Record
		var taken []*message
		var skipped uint64
		for _, m := range messages {
			event, err := eventOf(m.body)
			var r *cloud.Record
			if err == nil && event != nil {
				r, err = e.decoder.One(event)
			}
			if err != nil {
				// Left to the queue, which may have somewhere to put what nobody understands.
				e.decoder.Bad++
				e.queue.forget(m)
				continue
			}
			taken = append(taken, m)
			if r == nil {
				skipped++
				continue
			}
			batch = append(batch, *r)
		}
		e.update(func(s *cloud.Status) {
			s.Bad, s.Odd, s.Skipped, s.Coverage = s.Bad+e.decoder.Bad, s.Odd+e.decoder.Odd, s.Skipped+skipped, e.covers
		})
		e.decoder.Bad, e.decoder.Odd = 0, 0
		// It only fails if ctx ended; the messages come again then.
		_ = in.Take(ctx, cloud.Batch{Source: e.Name(), Records: batch, Done: func() {
			for _, m := range taken {
				e.queue.finish(m, nil)
			}
		}})
	}, func() {
		e.update(func(s *cloud.Status) { s.Through = time.Now() })
	})
	return nil
}

// Probe implements cloud.Prober.
func (e *events) Probe(ctx context.Context) error { return e.queue.probe(ctx) }

// eventOf is the event in a message, nil if it is about something else.
func eventOf(body string) ([]byte, error) {
	var m struct {
		Type, Message string // SNS
		DetailType    string `json:"detail-type"`
		Detail        json.RawMessage
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return nil, err
	}
	if m.Type == "Notification" && m.Message != "" {
		inner := m.Message
		m.Type, m.Message = "", ""
		if err := json.Unmarshal([]byte(inner), &m); err != nil {
			return nil, err
		}
	}
	switch {
	case m.DetailType == "":
		return nil, errNoNotification
	case len(m.Detail) == 0 || m.Detail[0] != '{':
		return nil, nil
	}
	return m.Detail, nil
}
