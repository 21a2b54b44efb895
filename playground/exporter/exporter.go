// Package exporter runs the exporter as a process, as it runs in earnest, and reads what it serves.
package exporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"crossplane-exporter/playground/process"
)

// Port is where the exporter listens unless told otherwise.
const Port = 9948

const (
	// grace is how long the exporter gets to end when asked to.
	grace = 20 * time.Second
	// scrapeTimeout is Prometheus' default.
	scrapeTimeout = 10 * time.Second
)

// A Config says how to run the exporter.
type Config struct {
	// Path of the program.
	Path string
	// Kubeconfig with which it reaches the cluster.
	Kubeconfig string
	// Dir is where its log and its checkpoint go.
	Dir string
	// Port on loopback; 0 is any that is free.
	Port int
	// Args are further flags.
	Args []string
	// Env is added to this process's own environment.
	Env []string
}

// An Exporter is a running exporter.
type Exporter struct {
	*process.Process
	url string
}

// Start starts the exporter and returns when it listens, which is before it is ready.
func Start(ctx context.Context, cfg Config) (*Exporter, error) {
	start := func(port int) (*Exporter, error) { return start(ctx, cfg, port) }
	if cfg.Port != 0 && process.Free(cfg.Port) == nil {
		e, err := start(cfg.Port)
		if !errors.Is(err, process.ErrAddressInUse) {
			return e, err
		}
	}
	return process.WithFreePort(start)
}

func start(ctx context.Context, cfg Config, port int) (*Exporter, error) {
	address := process.Loopback(port)
	p, err := process.Start(process.Config{
		Path: cfg.Path,
		Args: append([]string{
			"serve",
			"--kubeconfig", cfg.Kubeconfig,
			"--web.listen-address", address,
			"--checkpoint", "file:" + filepath.Join(cfg.Dir, "checkpoint"),
		}, cfg.Args...),
		Env: cfg.Env,
		Log: filepath.Join(cfg.Dir, "crossplane-exporter.log"),
	})
	if err != nil {
		return nil, err
	}
	e := &Exporter{Process: p, url: "http://" + address}
	err = p.Await(ctx, "the exporter listens", func(ctx context.Context) error {
		_, err := e.get(ctx, "/-/healthy")
		return err
	})
	if err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// URL is where its page is; what it serves to Prometheus is at /metrics below.
func (e *Exporter) URL() string { return e.url }

// Ready waits until the exporter has seen the whole cluster. The error says what it still waits for.
func (e *Exporter) Ready(ctx context.Context) error {
	return e.Await(ctx, "the exporter is ready", func(ctx context.Context) error {
		_, err := e.get(ctx, "/-/ready")
		return err
	})
}

// Metrics scrapes it.
func (e *Exporter) Metrics(ctx context.Context) (string, error) { return e.get(ctx, "/metrics") }

// Stop ends it and waits until it is gone.
func (e *Exporter) Stop() error { return e.Process.Stop(grace) }

func (e *Exporter) get(ctx context.Context, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s: %s", path, resp.Status, strings.TrimSpace(string(body)))
	}
	return string(body), nil
}
