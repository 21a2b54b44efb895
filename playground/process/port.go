package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
)

// FreePort returns a TCP port on which nobody listens on loopback. Another process can take it before it is used: then start
// again with another one, on ErrAddressInUse.
//
// The port lies below those that systems give to outgoing connections (from 32768 up). A client that keeps dialling a port of
// that range on loopback while its server restarts can be given the very port it dials, and so be connected with itself.
func FreePort() (int, error) {
	const from, to, tries = 20000, 32000, 100
	var last error
	for range tries {
		port := from + rand.IntN(to-from) //nolint:gosec // Not a secret.
		if last = Free(port); last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d on 127.0.0.1 in %d tries: %w", from, to, tries, last)
}

// Free is nil if nobody listens on the port on loopback.
func Free(port int) error {
	l, err := net.Listen("tcp", Loopback(port)) //nolint:noctx // Closed at once.
	if err != nil {
		return err
	}
	return l.Close()
}

// WithFreePort calls start with free ports until it returns something else than ErrAddressInUse.
func WithFreePort[T any](start func(port int) (T, error)) (T, error) {
	const tries = 5
	for try := 1; ; try++ {
		port, err := FreePort()
		if err != nil {
			return *new(T), err
		}
		t, err := start(port)
		if err == nil || try == tries || !errors.Is(err, ErrAddressInUse) {
			return t, err
		}
	}
}

// Loopback is the address of a port on loopback.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Get is nil if a GET of url is answered with 200 OK: a check for Await.
func Get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}
