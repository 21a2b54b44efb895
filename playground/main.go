// Command playground shows the exporter at work: on a control plane of its own, full of resources that are well, unwell and
// drifting, or on a cluster of yours. It runs until it is interrupted and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"crossplane-exporter/playground/aws"
	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/exporter"
	"crossplane-exporter/playground/programs"
	"crossplane-exporter/playground/scenario"
)

func main() {
	// A Ctrl-C may come twice, from the terminal and from make: the second one must not keep the first from ending in order.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "playground:", err)
		os.Exit(1) //nolint:gocritic // Of what is deferred nothing is missed.
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	p := &playground{out: out}
	flags := flag.NewFlagSet("playground", flag.ContinueOnError)
	flags.StringVar(&p.kubeconfig, "kubeconfig", "", "run the exporter on the cluster of this `file` instead of a control plane made for it")
	flags.StringVar(&p.exporter, "exporter", "", "run this `program` instead of building the exporter from source")
	flags.IntVar(&p.port, "port", exporter.Port, "port that the exporter listens on if it is free; another one if not")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; flags are listed by -help", flags.Arg(0))
	}
	if p.dir, err = os.MkdirTemp("", "crossplane-playground-"); err != nil {
		return fmt.Errorf("directory of the playground: %w", err)
	}
	p.atEnd(func() error { return os.RemoveAll(p.dir) })
	err = p.run(ctx)
	if ctx.Err() != nil {
		// What was under way when it was interrupted is no news.
		err = nil
		fmt.Fprintln(out, "\nStopping.")
	}
	return errors.Join(err, p.end())
}

// A playground is what runs and how to end it.
type playground struct {
	out        io.Writer
	kubeconfig string
	exporter   string
	port       int
	dir        string
	ends       []func() error
}

// atEnd has f called at the end, after what is still to be registered.
func (p *playground) atEnd(f func() error) { p.ends = append(p.ends, f) }

func (p *playground) end() error {
	errs := make([]error, 0, len(p.ends))
	for i := range p.ends {
		errs = append(errs, p.ends[len(p.ends)-1-i]())
	}
	return errors.Join(errs...)
}

func (p *playground) run(ctx context.Context) error {
	if p.exporter == "" {
		fmt.Fprintln(p.out, "building the exporter")
		var err error
		if p.exporter, err = programs.BuildExporter(ctx); err != nil {
			return err
		}
	}
	cfg := exporter.Config{
		Path: p.exporter, Kubeconfig: p.kubeconfig, Dir: p.dir, Port: p.port, Args: []string{"--detail=all", "--team-label=team"},
	}
	alive := func() error { return nil }
	if p.kubeconfig == "" {
		var err error
		if alive, err = p.world(ctx, &cfg); err != nil {
			return err
		}
	}
	began := time.Now()
	e, err := exporter.Start(ctx, cfg)
	if err != nil {
		return err
	}
	p.atEnd(e.Stop)
	p.said(began, "exporter")
	p.guide(e, cfg.Kubeconfig)
	return p.watch(ctx, e, func() error { return errors.Join(alive(), e.Err()) })
}

// world starts the control plane, all that is in it, and what plays AWS, and notes for the exporter where they are. The function
// that it returns says what has ended without being asked to.
func (p *playground) world(ctx context.Context, cfg *exporter.Config) (alive func() error, err error) {
	// All of it now, so that no build comes as a surprise later.
	if _, err := programs.Build(ctx, "etcd", "kube-apiserver", "kubectl", "provider-kubernetes", "provider-nop", "crossplane"); err != nil {
		return nil, err
	}
	began := time.Now()
	plane, err := controlplane.Start(ctx, p.dir)
	if err != nil {
		return nil, err
	}
	p.atEnd(plane.Stop)
	p.said(began, "etcd and kube-apiserver")
	began = time.Now()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := scenario.Start(ctx, plane, log)
	if err != nil {
		return nil, err
	}
	p.atEnd(s.Stop)
	p.said(began, "Crossplane and resources")
	account, err := aws.Start(ctx, aws.Config{
		REST: plane.RESTConfig(), Log: log, Every: 15 * time.Second, Poll: 25 * time.Second, Delay: 5 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	p.atEnd(account.Stop)
	// Those who change things have to end before what they change does.
	ctx, cancel := context.WithCancel(ctx)
	var changes sync.WaitGroup
	changes.Go(func() { s.Drift(ctx) })
	changes.Go(func() { account.Run(ctx) })
	p.atEnd(func() error {
		cancel()
		changes.Wait()
		return nil
	})
	cfg.Kubeconfig, cfg.Args, cfg.Env = plane.Kubeconfig(), append(cfg.Args, account.Args()...), account.Env()
	return func() error { return errors.Join(plane.Err(), s.Err()) }, nil
}

func (p *playground) said(since time.Time, what string) {
	fmt.Fprintf(p.out, "%-25s %5.1fs\n", what, time.Since(since).Seconds())
}

// guide says where to look.
func (p *playground) guide(e *exporter.Exporter, kubeconfig string) {
	fmt.Fprintf(p.out, `
  page      %s/
  metrics   %s/metrics
`, e.URL(), e.URL())
	if p.kubeconfig == "" {
		kubectl := "kubectl"
		if root, err := programs.Root(); err == nil {
			kubectl = filepath.Join(root, "bin", "kubectl")
			if wd, err := os.Getwd(); err == nil {
				if short, err := filepath.Rel(wd, kubectl); err == nil {
					kubectl = short
				}
			}
		}
		fmt.Fprintf(p.out, "  kubectl   %s --kubeconfig %s get managed -A\n", kubectl, kubeconfig)
		fmt.Fprintf(p.out, "  AWS       is played, CloudTrail too: nothing here leaves this machine\n")
	}
	fmt.Fprintf(p.out, "  logs      %s\n\nCtrl-C ends it and removes all of it.\n", p.dir)
}

// watch shows what the exporter sees until ctx ends or something else does.
func (p *playground) watch(ctx context.Context, e *exporter.Exporter, alive func() error) error {
	if err := p.ready(ctx, e); err != nil {
		return err
	}
	screen := newScreen(p.out)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if screen.due(time.Now()) {
			p.look(ctx, e, screen)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if dead := alive(); dead != nil {
			return dead
		}
	}
}

// look shows what the exporter sees now.
func (p *playground) look(ctx context.Context, e *exporter.Exporter, screen *screen) {
	text, err := e.Metrics(ctx)
	if err == nil {
		var s *sight
		if s, err = read(text); err == nil {
			screen.show(s.table(time.Now()), time.Now())
		}
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(p.out, "\nThe exporter cannot be scraped just now: %v\n", err)
	}
}

// ready waits until the exporter has seen everything. On a cluster of one's own that may take a while, or need something: it is
// said then, and waited for.
func (p *playground) ready(ctx context.Context, e *exporter.Exporter) error {
	for patience := 15 * time.Second; ; patience = time.Minute {
		within, cancel := context.WithTimeout(ctx, patience)
		err := e.Ready(within)
		cancel()
		if err == nil || ctx.Err() != nil || e.Err() != nil {
			return err
		}
		fmt.Fprintf(p.out, "\nNot ready yet: %v\n", err)
	}
}
