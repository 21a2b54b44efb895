package kubetest

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// RoundTrip implements http.RoundTripper: it serves the request in a goroutine that ends with the request's context, or when
// the body of the answer is closed.
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	r, w := io.Pipe()
	context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	answer := &answer{w: w, header: http.Header{}, begun: make(chan struct{})}
	aborted := make(chan struct{})
	go func() {
		defer func() {
			if recover() != nil { // http.ErrAbortHandler: a real server would say what else it is
				close(aborted)
			}
		}()
		s.ServeHTTP(answer, req.WithContext(ctx))
		answer.WriteHeader(http.StatusOK)
		w.CloseWithError(io.EOF)
	}()
	select {
	case <-aborted:
		cancel()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case <-answer.begun:
		return &http.Response{
			StatusCode: answer.code, Status: http.StatusText(answer.code), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: answer.header, ContentLength: -1, Body: body{r, cancel}, Request: req,
		}, nil
	case <-ctx.Done():
		cancel()
		return nil, req.Context().Err()
	}
}

// answer is the http.ResponseWriter of a round trip.
type answer struct {
	w      io.Writer
	header http.Header
	once   sync.Once
	code   int
	begun  chan struct{}
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(code int) {
	a.once.Do(func() {
		a.code = code
		a.header = a.header.Clone()
		close(a.begun)
	})
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.w.Write(p)
}

// body is the body of an answer.
type body struct {
	*io.PipeReader

	cancel func()
}

func (b body) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}
