// Package crossplane runs Crossplane itself beside a control plane: its package manager and its composite resources, with a
// registry of packages and a composition function that live in this process.
package crossplane

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"crossplane-exporter/playground/apply"
	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/process"
	"crossplane-exporter/playground/programs"
)

// Namespace is where Crossplane keeps what is its own.
const Namespace = "crossplane-system"

const (
	program = "crossplane"
	// grace is how long it gets to end when asked to.
	grace = 20 * time.Second
)

// A Crossplane is a running Crossplane.
type Crossplane struct {
	plane    *controlplane.ControlPlane
	process  *process.Process
	registry *registry
	function *function
	metrics  string
}

// Start installs Crossplane's CustomResourceDefinitions and starts it. Stop it before its control plane.
func Start(ctx context.Context, plane *controlplane.ControlPlane) (*Crossplane, error) {
	c := &Crossplane{plane: plane}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *Crossplane) start(ctx context.Context) error {
	const patience = time.Minute
	bin, err := programs.Build(ctx, program)
	if err != nil {
		return err
	}
	path := filepath.Join(bin, program)
	source, err := programs.SourceOf(ctx, path)
	if err != nil {
		return err
	}
	files, err := definitions.Files(filepath.Join(source.Dir, "cluster", "crds"))
	if err != nil {
		return err
	}
	if err := definitions.Install(ctx, c.plane.RESTConfig(), files); err != nil {
		return err
	}
	if err := c.init(ctx); err != nil {
		return err
	}
	if c.registry, err = startRegistry(); err != nil {
		return err
	}
	if c.function, err = startFunction(c.plane.CertificateDir()); err != nil {
		return err
	}
	cfg, err := c.plane.User("crossplane", "system:masters")
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(c.plane.Dir(), "crossplane.kubeconfig")
	if err := controlplane.WriteKubeconfig(kubeconfig, cfg); err != nil {
		return err
	}
	if err := os.MkdirAll(c.cache(), 0o700); err != nil {
		return fmt.Errorf("cache of packages: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c.process, err = process.WithFreePort(func(port int) (*process.Process, error) { return c.run(ctx, path, kubeconfig, port) })
	return err
}

//go:embed init.yaml
var initial []byte

// tlsSecret has the certificate that programs in packages have; here it is everybody's.
const tlsSecret = "playground-tls"

// init makes what Crossplane expects to find.
func (c *Crossplane) init(ctx context.Context) error {
	a, err := apply.New(c.plane.RESTConfig())
	if err != nil {
		return err
	}
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(initial), len(initial)); ; {
		o := &unstructured.Unstructured{}
		if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("init.yaml: %w", err)
		}
		if err := a.Apply(ctx, o); err != nil {
			return err
		}
	}
	data := make(map[string]any)
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		content, err := os.ReadFile(filepath.Join(c.plane.CertificateDir(), name))
		if err != nil {
			return fmt.Errorf("certificate of packages: %w", err)
		}
		data[name] = string(content)
	}
	return a.Apply(ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata":   map[string]any{"namespace": Namespace, "name": tlsSecret},
		"stringData": data,
	}})
}

func (c *Crossplane) run(ctx context.Context, path, kubeconfig string, port int) (*process.Process, error) {
	webhooks, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	c.metrics = process.Loopback(port)
	p, err := process.Start(process.Config{
		Path: path,
		Args: []string{
			"core", "start",
			"--namespace", Namespace,
			"--poll-interval", "10s",
			"--enable-operations",
			"--xpkg-cache-dir", c.cache(),
			// This process runs what is in packages, and says so in their status. See packages.go.
			"--package-runtime", "External",
		},
		Env: []string{
			"KUBECONFIG=" + kubeconfig,
			"TLS_SERVER_CERTS_DIR=" + c.plane.CertificateDir(),
			"TLS_CLIENT_CERTS_DIR=" + c.plane.CertificateDir(),
			// The first and the last are read by what tools/ adds to it.
			"METRICS_BIND_ADDRESS=" + c.metrics,
			"WEBHOOK_PORT=" + strconv.Itoa(webhooks),
			"HEALTH_PROBE_BIND_ADDRESS=",
		},
		Log: filepath.Join(c.plane.Dir(), "crossplane.log"),
	})
	if err != nil {
		return nil, err
	}
	err = p.Await(ctx, "Crossplane serves metrics", func(ctx context.Context) error { return process.Get(ctx, c.Metrics()) })
	if err != nil {
		return nil, errors.Join(err, p.Stop(grace))
	}
	return p, nil
}

func (c *Crossplane) cache() string { return filepath.Join(c.plane.Dir(), "packages") }

// Metrics is the URL of Crossplane's own metrics.
func (c *Crossplane) Metrics() string { return "http://" + c.metrics + "/metrics" }

// PID of Crossplane's process.
func (c *Crossplane) PID() int { return c.process.PID() }

// Err says that Crossplane has ended and why; nil while it runs.
func (c *Crossplane) Err() error { return c.process.Err() }

// Stop ends Crossplane, its registry and its function.
func (c *Crossplane) Stop() error {
	var errs []error
	if c.process != nil {
		errs = append(errs, c.process.Stop(grace))
	}
	if c.function != nil {
		c.function.stop()
	}
	if c.registry != nil {
		errs = append(errs, c.registry.stop())
	}
	return errors.Join(errs...)
}
