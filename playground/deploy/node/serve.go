package node

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// serve starts the server that the API server asks for a pod's log, and for a way to its port.
func (n *Node) serve() (*http.Server, int, error) {
	l, err := listen()
	if err != nil {
		return nil, 0, fmt.Errorf("server of the node: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.containerLogs)
	mux.HandleFunc("/portForward/{namespace}/{pod}", n.portForward)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	dir := n.plane.CertificateDir()
	go func() { _ = s.ServeTLS(l, filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")) }() // until it is closed
	return s, l.Addr().(*net.TCPAddr).Port, nil                                                     //nolint:forcetypeassert // It is one of TCP.
}

func (n *Node) containerLogs(w http.ResponseWriter, req *http.Request) {
	p := n.find(req.PathValue("namespace"), req.PathValue("pod"))
	if p == nil {
		http.Error(w, "no such pod", http.StatusNotFound)
		return
	}
	text, err := os.ReadFile(p.log())
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	_, _ = w.Write(text) // who has gone needs no answer
}

// portForward speaks portforward.k8s.io/v1 of kubelets: for each connection a stream for errors and then one for data. It leads to
// the container's port, whichever is asked for.
func (n *Node) portForward(w http.ResponseWriter, req *http.Request) {
	p := n.find(req.PathValue("namespace"), req.PathValue("pod"))
	if p == nil {
		http.Error(w, "no such pod", http.StatusNotFound)
		return
	}
	if _, err := httpstream.Handshake(req, w, []string{"portforward.k8s.io"}); err != nil {
		return // it has answered
	}
	var mu sync.Mutex
	failures := make(map[string]httpstream.Stream) // by the number of the connection
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, req, func(s httpstream.Stream, replied <-chan struct{}) error {
		id := s.Headers().Get("requestID")
		mu.Lock()
		defer mu.Unlock()
		if s.Headers().Get("streamType") == "error" {
			failures[id] = s
			return nil
		}
		failure := failures[id]
		go func() {
			<-replied
			if err := p.forward(req, s); err != nil {
				fmt.Fprint(failure, err)
			}
			_ = failure.Close() // both ends are done
			_ = s.Close()
		}()
		return nil
	})
	if conn == nil {
		return // it has answered
	}
	select {
	case <-conn.CloseChan():
	case <-n.done:
	}
	_ = conn.Close() // it may have been already
}

// forward copies between a stream and the container's port until one of them ends.
func (p *pod) forward(req *http.Request, s httpstream.Stream) error {
	conn, err := p.dial(req.Context())
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(conn, s) // an end of the one is an end of the other
		_ = conn.CloseWrite()
	}()
	_, err = io.Copy(s, conn)
	return errors.Join(err, conn.Close())
}
