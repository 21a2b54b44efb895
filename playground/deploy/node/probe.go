package node

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"time"
)

// kubelet is a client as a kubelet has it: without credentials, and content with any certificate.
var kubelet = &http.Client{
	Timeout:       5 * time.Second,
	Transport:     &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}, //nolint:gosec // As it is.
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// probe is nil if the container is ready by its readiness probe, or has none.
func (p *pod) probe(ctx context.Context) error {
	probe := p.object.Spec.Containers[0].ReadinessProbe
	switch {
	case probe == nil:
		return nil
	case probe.TCPSocket != nil:
		conn, err := p.dial(ctx)
		if err != nil {
			return err
		}
		return conn.Close()
	case probe.HTTPGet == nil:
		return errors.New("the node probes by HTTP and TCP alone")
	}
	scheme := strings.ToLower(string(probe.HTTPGet.Scheme))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+p.address()+probe.HTTPGet.Path, nil)
	if err != nil {
		return err
	}
	resp, err := kubelet.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusBadRequest {
		return errors.New(resp.Status)
	}
	return nil
}
