package aws

import (
	"cmp"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"crossplane-exporter/internal/cloud"
)

// A standing is the Status of a source, kept by its goroutines. It logs what goes wrong when it begins to, changes and
// ends, not each time.
type standing struct {
	log *slog.Logger

	mu     sync.Mutex
	status cloud.Status
	failed map[string]error // by what was tried
}

// Name implements part of cloud.Source.
func (s *standing) Name() string { return s.status.Source }

// Status implements part of cloud.Source.
func (s *standing) Status() cloud.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *standing) update(f func(*cloud.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.status)
}

// worked notes that the trail gave an answer.
func (s *standing) worked(what string) {
	s.update(func(st *cloud.Status) { st.LastSuccess = time.Now() })
	s.recovered(what)
}

// recovered notes that something went well.
func (s *standing) recovered(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.failed[what]; !ok {
		return
	}
	delete(s.failed, what)
	s.status.Err = s.anyError()
	s.log.Info("audit trail can be read again", "trail_source", s.status.Source, "what", what)
}

// failing notes that it did not, and when it is tried again.
func (s *standing) failing(what string, err error, retry time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, known := s.failed[what]
	if s.failed == nil {
		s.failed = map[string]error{}
	}
	s.failed[what] = err
	s.status.Err = s.anyError()
	if !known || outcome(old) != outcome(err) {
		s.log.Warn("cannot read audit trail", "trail_source", s.status.Source, "what", what, "err", err, "retry", retry)
	}
}

// anyError is one of the errors there are, the same one as long as it is there.
func (s *standing) anyError() error {
	if len(s.failed) == 0 {
		return nil
	}
	return s.failed[slices.MinFunc(slices.Collect(maps.Keys(s.failed)), cmp.Compare[string])]
}

// backoff is how long to wait after the n-th failure in a row, from 1.
func backoff(n int) time.Duration {
	return min(mostBackoff, leastBackoff<<min(max(n-1, 0), 10))
}

// missed notes that a source was away for so long that it does not read all of what has been since.
func (s *standing) missed(from, to time.Time) {
	s.log.Warn("audit trail was left for too long, a part of it is skipped", "trail_source", s.Name(), "from", from, "to", to)
	s.update(func(st *cloud.Status) { st.Missed += to.Sub(from) })
}

// resumeAt is the time in a mark, or a while before now if there is none, or one that cannot be.
func resumeAt(s *standing, mark string, now time.Time, otherwise time.Duration) time.Time {
	switch at, err := time.Parse(time.RFC3339, mark); {
	case mark == "":
	case err != nil || at.After(now):
		s.log.Warn("position in the audit trail is not in the past, starting afresh", "trail_source", s.Name(), "position", mark)
	default:
		return at
	}
	return now.Add(-otherwise)
}
