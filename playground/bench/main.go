// Command bench measures the exporter beside kube-state-metrics: the same managed resources, of 40 of 900 real AWS kinds, on the
// same real API server, one after the other in one run. It prints a table and ratios; it judges nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/load"
	"crossplane-exporter/playground/programs"
)

func main() { os.Exit(run()) }

func run() int {
	objects := flag.String("objects", "10000,100000", "how many managed resources, one fleet after the other")
	scrapes := flag.Int("scrapes", 7, "how often each scrape is timed; the median counts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, n := range strings.Split(*objects, ",") {
		count, err := strconv.Atoi(n)
		if err == nil {
			err = fleet(ctx, count, *scrapes)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s resources: %v\n", n, err)
			return 1
		}
	}
	return 0
}

// fleet measures with so many managed resources, on a control plane of their own.
func fleet(ctx context.Context, objects, scrapes int) (err error) {
	dir, err := os.MkdirTemp("", "crossplane-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ours, err := programs.BuildExporter(ctx)
	if err != nil {
		return err
	}
	bin, err := programs.Build(ctx, "etcd", "kube-apiserver", "kube-state-metrics")
	if err != nil {
		return err
	}
	began := time.Now()
	plane, err := controlplane.Start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, plane.Stop()) }()
	files, err := load.Definitions(ctx)
	if err != nil {
		return err
	}
	if err := definitions.Install(ctx, plane.RESTConfig(), files); err != nil {
		return err
	}
	f, err := load.Fill(ctx, plane, load.Config{Objects: objects})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d definitions and %d resources of %d kinds, %d MB, are there after %s\n",
		len(files), f.Objects, len(f.Kinds), f.Bytes>>20, time.Since(began).Round(time.Second))
	kubeconfig := filepath.Join(dir, "bench.kubeconfig")
	if err := controlplane.WriteKubeconfig(kubeconfig, plane.RESTConfig()); err != nil {
		return err
	}

	b := &bench{dir: dir, fleet: f, scrapes: scrapes}
	warm, err := b.warm(ctx, plane.RESTConfig())
	if err != nil {
		return err
	}
	list, err := b.list(ctx, plane.RESTConfig())
	if err != nil {
		return err
	}
	theirs, err := b.kubeStateMetrics(ctx, filepath.Join(bin, "kube-state-metrics"), kubeconfig)
	if err != nil {
		return fmt.Errorf("kube-state-metrics: %w", err)
	}
	all, err := b.exporter(ctx, ours, kubeconfig, "all")
	if err != nil {
		return fmt.Errorf("the exporter: %w", err)
	}
	some, err := b.exporter(ctx, ours, kubeconfig, "unhealthy")
	if err != nil {
		return fmt.Errorf("the exporter with --detail=unhealthy: %w", err)
	}
	return report(f, warm, list, theirs, all, some)
}

type bench struct {
	dir     string
	fleet   *load.Fleet
	scrapes int
}

// A result is what was measured of a program.
type result struct {
	first   time.Duration // from start to the first scrape with everything in it
	cpu     time.Duration // spent until then
	peak    int64         // bytes of resident memory, at the most
	rest    int64         // afterwards
	series  int
	plain   scrape
	gzip    scrape
	changed scrape // gzip, after 100 objects have changed
}

// A scrape is the median of several.
type scrape struct {
	took  time.Duration
	bytes int64
}

// warm asks once for each kind, used or not. After its start an API server takes tens of milliseconds to get ready to serve a kind
// of a definition, at the first request for it; where providers run, they have made that request long ago.
func (b *bench) warm(ctx context.Context, cfg *rest.Config) (time.Duration, error) {
	d, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return 0, err
	}
	groups, err := d.ServerPreferredResources()
	if err != nil {
		return 0, err
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for _, g := range groups {
		if !strings.Contains(g.GroupVersion, ".aws.upbound.io/") {
			continue
		}
		for _, r := range g.APIResources {
			if _, err := fetch(ctx, client, cfg.Host+"/apis/"+g.GroupVersion+"/"+r.Name+"?limit=1", ""); err != nil {
				return 0, err
			}
		}
	}
	return time.Since(began), nil
}

// list is how long it takes to read all objects over plain HTTP, kind after kind: no one can be complete sooner, except by asking
// for several kinds at a time.
func (b *bench) list(ctx context.Context, cfg *rest.Config) (time.Duration, error) {
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for _, k := range b.fleet.Kinds {
		url := strings.Join([]string{cfg.Host, "apis", k.Group, k.Version, k.Resource}, "/")
		if _, err := fetch(ctx, client, url, ""); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// exporter measures the exporter.
func (b *bench) exporter(ctx context.Context, path, kubeconfig, detail string) (*result, error) {
	return b.measure(ctx, path, "/metrics", func(port int) []string {
		return []string{"serve", "--kubeconfig=" + kubeconfig, "--web.listen-address=127.0.0.1:" + strconv.Itoa(port), "--detail=" + detail, "--checkpoint=none", "--cloudtrail.source=none"}
	}, func(ctx context.Context, address string) (bool, error) {
		_, err := fetch(ctx, http.DefaultClient, address+"/-/ready", "")
		return err == nil, nil
	})
}

// kubeStateMetrics measures kube-state-metrics with five series a resource.
func (b *bench) kubeStateMetrics(ctx context.Context, path, kubeconfig string) (*result, error) {
	config := filepath.Join(b.dir, "custom-resource-state.yaml")
	if err := os.WriteFile(config, []byte(b.customResourceState()), 0o600); err != nil {
		return nil, err
	}
	info := `kube_customresource_info{`
	return b.measure(ctx, path, "/metrics", func(port int) []string {
		return []string{
			"--kubeconfig=" + kubeconfig, "--custom-resource-state-only=true", "--custom-resource-state-config-file=" + config,
			"--host=127.0.0.1", "--port=" + strconv.Itoa(port), "--telemetry-host=127.0.0.1", "--telemetry-port=" + strconv.Itoa(port+1),
			"--enable-gzip-encoding=true",
		}
	}, func(ctx context.Context, address string) (bool, error) {
		// It has no word for being complete, so its resources are counted.
		n, err := count(ctx, address+"/metrics", info)
		if err != nil {
			return false, nil //nolint:nilerr // It does not listen yet.
		}
		return n >= b.fleet.Objects, nil
	})
}

// customResourceState is what kube-state-metrics must be told to say of each resource what the exporter says without.
func (b *bench) customResourceState() string {
	var s strings.Builder
	s.WriteString("kind: CustomResourceStateMetrics\nspec:\n  resources:\n")
	for _, k := range b.fleet.Kinds {
		fmt.Fprintf(&s, `  - groupVersionKind: {group: %s, version: %s, kind: %s}
    labelsFromPath:
      name: [metadata, name]
    metrics:
    - name: info
      help: what a resource is linked to
      each:
        type: Info
        info:
          labelsFromPath:
            external_name: [metadata, annotations, crossplane.io/external-name]
            provider_config: [spec, providerConfigRef, name]
            region: [spec, forProvider, region]
    - name: condition
      help: the status of each condition
      each:
        type: Gauge
        gauge:
          path: [status, conditions]
          labelsFromPath: {condition: [type], reason: [reason]}
          valueFrom: [status]
    - name: condition_since
      help: the last transition time of each condition
      each:
        type: Gauge
        gauge:
          path: [status, conditions]
          labelsFromPath: {condition: [type]}
          valueFrom: [lastTransitionTime]
`, k.Group, k.Version, k.Kind)
	}
	return s.String()
}

func report(f *load.Fleet, warm, list time.Duration, theirs, all, some *result) error {
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "\n%d managed resources of %d kinds\tkube-state-metrics\tall detail\tratio\tdefault detail\tratio\t\n", f.Objects, len(f.Kinds))
	row := func(name string, say func(*result) string, value func(*result) float64) {
		fmt.Fprintf(out, "%s\t%s\t%s\t%.3f\t%s\t%.3f\t\n", name, say(theirs), say(all), value(all)/value(theirs), say(some), value(some)/value(theirs))
	}
	duration := func(name string, of func(*result) time.Duration) {
		row(name, func(r *result) string { return of(r).Round(10 * time.Microsecond).String() }, func(r *result) float64 { return of(r).Seconds() })
	}
	size := func(name string, of func(*result) int64) {
		row(name, func(r *result) string { return fmt.Sprintf("%.2f MB", float64(of(r))/1e6) }, func(r *result) float64 { return float64(of(r)) })
	}
	size("peak RSS", func(r *result) int64 { return r.peak })
	size("RSS afterwards", func(r *result) int64 { return r.rest })
	duration("first complete scrape", func(r *result) time.Duration { return r.first })
	duration("CPU until then", func(r *result) time.Duration { return r.cpu })
	row("series", func(r *result) string { return strconv.Itoa(r.series) }, func(r *result) float64 { return float64(r.series) })
	duration("scrape, gzip, unchanged", func(r *result) time.Duration { return r.gzip.took })
	duration("scrape, gzip, 100 changed", func(r *result) time.Duration { return r.changed.took })
	duration("scrape, plain", func(r *result) time.Duration { return r.plain.took })
	size("size, gzip", func(r *result) int64 { return r.gzip.bytes })
	size("size, plain", func(r *result) int64 { return r.plain.bytes })
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := fmt.Printf("\na plain HTTP list, kind after kind: %s\nthe API server's first answer for each of all kinds, before any of this: %s\n",
		list.Round(time.Millisecond), warm.Round(time.Millisecond))
	return err
}

func median(all []scrape) scrape {
	slices.SortFunc(all, func(a, b scrape) int { return int(a.took - b.took) })
	return all[len(all)/2]
}
