package aws

import (
	"context"
	"sync"
	"time"
)

// A budget lets requests through at a fixed rate: never two within an interval, and none saved up.
type budget struct {
	interval time.Duration

	mu   sync.Mutex
	next time.Time
}

// wait waits for the next request's turn, and is false if ctx ended first.
func (b *budget) wait(ctx context.Context) bool {
	b.mu.Lock()
	at := time.Now()
	if at.Before(b.next) {
		at = b.next
	}
	b.next = at.Add(b.interval)
	b.mu.Unlock()
	return sleep(ctx, time.Until(at))
}

// pause lets none through for a while.
func (b *budget) pause(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if until := time.Now().Add(d); until.After(b.next) {
		b.next = until
	}
}
