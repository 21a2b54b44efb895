// Package pager stands in for those that Alertmanager tells: Slack, Opsgenie and its successor in Jira Service Management,
// PagerDuty, and whoever waits for a watchdog. Each listens on loopback, answers as its documentation says, refuses what it
// would refuse, and keeps what it was sent.
package pager

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"unicode/utf8"
)

// most is how much of a request is read. PagerDuty takes the most of them, 512 KB.
const most = 512 << 10

// A service is a server that remembers what it was told and what it refused.
type service[T any] struct {
	server *httptest.Server

	mu       sync.Mutex
	received []T
	refused  []string
}

func (s *service[T]) start(h http.HandlerFunc) { s.server = httptest.NewServer(h) }

// Close ends the server.
func (s *service[T]) Close() { s.server.Close() }

// Received is what was accepted, in the order it came.
func (s *service[T]) Received() []T {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.received)
}

// Refused says why requests were refused. A configuration that is right has none of these.
func (s *service[T]) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

func (s *service[T]) accept(t T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received = append(s.received, t)
}

func (s *service[T]) refuse(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, err.Error())
}

// decode reads the body of a request, which may have no field that is not documented.
func decode(r *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, r.URL.Path, err)
	}
	if len(body) > most {
		return fmt.Errorf("%s %s: the body has more than %d bytes", r.Method, r.URL.Path, most)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s %s: %w: %s", r.Method, r.URL.Path, err, body)
	}
	return nil
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) //nolint:errchkjson // To a client that may have gone.
}

// limit is an error if a text has more characters than may be.
func limit(name, text string, characters int) error {
	if n := utf8.RuneCountInString(text); n > characters {
		return fmt.Errorf("%s has %d characters, of %d that may be: %.60s…", name, n, characters, text)
	}
	return nil
}

// oneOf is an error if a value is none of those that may be.
func oneOf(name, value string, values ...string) error {
	if !slices.Contains(values, value) {
		return fmt.Errorf("%s is %q, not one of %q", name, value, values)
	}
	return nil
}
