// Package provider runs Crossplane providers, built from their modules, beside a control plane.
package provider

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/process"
	"crossplane-exporter/playground/programs"
)

// Names of the providers there are.
const (
	// Kubernetes manages objects of a Kubernetes API: its Objects own ConfigMaps and whatever else.
	Kubernetes = "provider-kubernetes"
	// Nop manages nothing: it sets the conditions that its NopResources ask for.
	Nop = "provider-nop"
)

// grace is how long a provider gets to end when asked to.
const grace = 20 * time.Second

// A Provider is a provider that runs, or can be made to run again.
type Provider struct {
	name, path string
	module     programs.Source
	args       []string
	plane      *controlplane.ControlPlane
	process    *process.Process
	metrics    string
}

// Install builds a provider if need be and installs its CustomResourceDefinitions.
func Install(ctx context.Context, plane *controlplane.ControlPlane, name string) (*Provider, error) {
	bin, err := programs.Build(ctx, name)
	if err != nil {
		return nil, err
	}
	p := &Provider{name: name, path: filepath.Join(bin, name), plane: plane}
	if p.module, err = programs.SourceOf(ctx, p.path); err != nil {
		return nil, err
	}
	files, err := p.definitions()
	if err != nil {
		return nil, err
	}
	return p, definitions.Install(ctx, plane.RESTConfig(), files)
}

// Start installs a provider and starts it, with flags of its own such as --poll=5s. Stop it before its control plane.
func Start(ctx context.Context, plane *controlplane.ControlPlane, name string, args ...string) (*Provider, error) {
	p, err := Install(ctx, plane, name)
	if err != nil {
		return nil, err
	}
	return p, p.Start(ctx, args...)
}

// Start starts the provider, after Install or when it has been stopped or killed; without flags, with those of the last time. It
// returns when the provider serves metrics: soon afterwards it reconciles.
func (p *Provider) Start(ctx context.Context, args ...string) error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if p.process != nil && p.process.Err() == nil {
		return fmt.Errorf("%s is running: stop or kill it before it is started again", p.name)
	}
	if len(args) > 0 {
		p.args = args
	}
	cfg, err := p.plane.User(p.name, "system:masters")
	if err != nil {
		return err
	}
	kubeconfig := filepath.Join(p.plane.Dir(), p.name+".kubeconfig")
	if err := controlplane.WriteKubeconfig(kubeconfig, cfg); err != nil {
		return err
	}
	p.process, err = process.WithFreePort(func(port int) (*process.Process, error) { return p.start(ctx, kubeconfig, port) })
	return err
}

func (p *Provider) start(ctx context.Context, kubeconfig string, port int) (*process.Process, error) {
	webhooks, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	probes, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	metrics := process.Loopback(port)
	proc, err := process.Start(process.Config{
		Path: p.path,
		Args: p.args,
		Env: []string{
			"KUBECONFIG=" + kubeconfig,
			"TLS_SERVER_CERTS_DIR=" + p.plane.CertificateDir(),
			// Read by what tools/ adds to the providers, which have no flags for it.
			"METRICS_BIND_ADDRESS=" + metrics,
			"WEBHOOK_PORT=" + strconv.Itoa(webhooks),
			"HEALTH_PROBE_BIND_ADDRESS=" + process.Loopback(probes),
		},
		Log: filepath.Join(p.plane.Dir(), p.name+".log"),
	})
	if err != nil {
		return nil, err
	}
	p.metrics = "http://" + metrics + "/metrics"
	err = proc.Await(ctx, p.name+" serves metrics", func(ctx context.Context) error { return process.Get(ctx, p.metrics) })
	if err != nil {
		return nil, errors.Join(err, proc.Stop(grace))
	}
	return proc, nil
}

func (p *Provider) definitions() ([]string, error) {
	return definitions.Files(filepath.Join(p.module.Dir, "package", "crds"))
}

// Package is what the provider's package has in it: its meta file and its definitions.
func (p *Provider) Package() ([]byte, error) {
	meta, err := os.ReadFile(filepath.Join(p.module.Dir, "package", "crossplane.yaml"))
	if err != nil {
		return nil, fmt.Errorf("package of %s: %w", p.name, err)
	}
	files, err := p.definitions()
	if err != nil {
		return nil, err
	}
	all := [][]byte{meta}
	for _, f := range files {
		crd, err := definitions.Read(f)
		if err != nil {
			return nil, fmt.Errorf("package of %s: %w", p.name, err)
		}
		all = append(all, crd)
	}
	return bytes.Join(all, []byte("\n---\n")), nil
}

// Name of the provider and its program.
func (p *Provider) Name() string { return p.name }

// Version of the module it was built from.
func (p *Provider) Version() string { return p.module.Version }

// Metrics is the URL of the provider's own metrics. It changes with every start.
func (p *Provider) Metrics() string { return p.metrics }

// Err says that the provider has ended and why; nil while it runs.
func (p *Provider) Err() error { return p.process.Err() }

// PID of the provider's process.
func (p *Provider) PID() int { return p.process.PID() }

// Kill ends the provider at once, as a crash would.
func (p *Provider) Kill() { p.process.Kill() }

// Stop ends the provider. A provider that has not been started or has ended is fine too.
func (p *Provider) Stop() error {
	if p.process == nil {
		return nil
	}
	return p.process.Stop(grace)
}
