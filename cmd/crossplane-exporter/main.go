// Command crossplane-exporter watches a cluster's Crossplane and platform resources and serves what it sees to Prometheus.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/common/version"
	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"crossplane-exporter/collector"
	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws"
)

type cli struct {
	Serve   serveCmd   `cmd:"" default:"withargs" help:"Watch the cluster and serve metrics. This is the default."`
	Check   checkCmd   `cmd:"" help:"Say what a deployment would see: kinds, permissions, objects, series. Exit with 1 if something cannot be read."`
	Version versionCmd `cmd:"" help:"Print the version."`

	Log logFlags `embed:"" prefix:"log."`
}

type logFlags struct {
	Level  string `default:"info" enum:"debug,info,warn,error" help:"Log what is at least this severe: ${enum}."`
	Format string `default:"logfmt" enum:"logfmt,json" help:"Log in this format: ${enum}."`
}

type clusterFlags struct {
	Kubeconfig string `type:"path" placeholder:"FILE" help:"Reach the cluster with this kubeconfig. By default: KUBECONFIG's, the pod's service account, or ~/.kube/config."`
	Context    string `placeholder:"NAME" help:"Use this context of the kubeconfig."`

	Include   []string `placeholder:"GLOB" help:"Watch kinds that are not watched by default, as a glob of group/kind: 'example.org/*'. Can be repeated."`
	Exclude   []string `placeholder:"GLOB" help:"Leave kinds out, as a glob of group/kind: '*.azure.upbound.io/*'. Wins over --include. Can be repeated."`
	TeamLabel string   `placeholder:"KEY" help:"Name an object's team by this label or annotation, on itself or else on its namespace."`

	CloudTrail trailFlags `embed:"" prefix:"cloudtrail."`
}

type trailFlags struct {
	Source        string            `default:"auto" enum:"auto,lookup,s3,eventbridge,file,none" help:"Read CloudTrail by the LookupEvents API, from log files in S3, from EventBridge's events, from log files in a directory, or not at all: ${enum}. auto is lookup if the process was given AWS credentials by IRSA, Pod Identity, the environment or a profile, and none otherwise."`
	Region        []string          `placeholder:"REGION" help:"Look up this region. Can be repeated. By default: those of the managed resources, of which --shards see a part each: they need it. The one with the global services' events always."`
	Role          []string          `placeholder:"ARN" help:"Read with this role; lookup: read its account. Can be repeated. By default: what the process was given."`
	ExternalID    string            `placeholder:"ID" help:"Assume roles with this external ID."`
	Queue         string            `placeholder:"URL" help:"Read this SQS queue: notifications of log files for s3, or events for eventbridge."`
	Bucket        string            `placeholder:"s3://BUCKET/PREFIX" help:"List log files in this bucket, where s3 has no queue. The prefix is what comes before AWSLogs/."`
	Path          string            `type:"path" placeholder:"DIR" help:"Read log files in this directory, for file."`
	Rate          float64           `default:"1" help:"LookupEvents requests a second in each account and region. AWS allows 2, for everyone together."`
	Pause         time.Duration     `placeholder:"1m" help:"The least time between two looks at what does not notify: sweeps of lookup (1m), listings of a bucket (2m), a directory (30s)."`
	ProviderRole  []string          `placeholder:"ARN" help:"A role or user that providers call with, besides those that are found in provider configurations, runtime configurations and ServiceAccounts. Can be repeated."`
	ProviderAgent []string          `placeholder:"TEXT" help:"What is part of the user agent of providers that are built without the usual one. Can be repeated."`
	IaCRole       []string          `name:"iac-role" placeholder:"ARN" help:"A role or user of other infrastructure as code: of class iac. Can be repeated."`
	NameRole      map[string]string `placeholder:"NAME=ARN" help:"A role or user that has a principal_class of its own. Can be repeated."`
	Endpoint      map[string]string `placeholder:"SERVICE=URL" help:"Use this endpoint for cloudtrail, s3, sqs or sts, instead of AWS's own. Can be repeated."`
}

// Validate is called by kong.
func (f clusterFlags) Validate() error { return f.CloudTrail.validate() }

func (f trailFlags) validate() error {
	if f.Rate <= 0 {
		return fmt.Errorf("--cloudtrail.rate=%v: want more than none", f.Rate)
	}
	for service := range f.Endpoint {
		if !slices.Contains([]string{"cloudtrail", "s3", "sqs", "sts"}, service) {
			return fmt.Errorf("--cloudtrail.endpoint=%s=...: want cloudtrail, s3, sqs or sts", service)
		}
	}
	if err := aws.CheckAccounts(f.accounts()); err != nil {
		return fmt.Errorf("--cloudtrail.role: %w", err)
	}
	return nil
}

func (f trailFlags) accounts() (accounts []aws.Account) {
	for _, role := range f.Role {
		accounts = append(accounts, aws.Account{Role: role, ExternalID: f.ExternalID})
	}
	return accounts
}

// source is --cloudtrail.source, or what auto is here.
func (f trailFlags) source() string {
	switch {
	case f.Source != "auto":
		return f.Source
	case aws.Credentialed():
		return "lookup"
	default:
		return "none"
	}
}

// trail is CloudTrail as the flags say, nil for none. The shards share the rate.
func (f trailFlags) trail(log *slog.Logger, shards int) cloud.Trail {
	source := f.source()
	if source == "none" {
		if f.Source == "auto" {
			log.Info("the cloud's audit trail is not read, because the process was given no AWS credentials; --cloudtrail.source=none says so without this line")
		}
		return nil
	}
	c := aws.TrailConfig{
		Source: source, Accounts: f.accounts(), Regions: f.Region, Queue: f.Queue, Bucket: f.Bucket, Path: f.Path,
		Pause:     f.Pause,
		Interval:  time.Duration(float64(time.Second) / f.Rate * float64(max(shards, 1))),
		Endpoints: aws.Endpoints{CloudTrail: f.Endpoint["cloudtrail"], S3: f.Endpoint["s3"], SQS: f.Endpoint["sqs"], STS: f.Endpoint["sts"]},
		Known:     aws.Known{Providers: f.ProviderRole, Agents: f.ProviderAgent, IaC: f.IaCRole, Names: map[string]string{}},
	}
	for name, arn := range f.NameRole {
		c.Known.Names[arn] = name
	}
	return aws.NewTrail(c)
}

type webFlags struct {
	ListenAddress []string `default:":9948" sep:"none" help:"Serve at this address. Can be repeated; vsock:// works too."`
	SystemdSocket bool     `help:"Serve at the sockets systemd passes instead (Linux only)."`
	ConfigFile    string   `name:"config.file" type:"path" placeholder:"FILE" help:"TLS and basic auth: https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md"`
	TelemetryPath string   `default:"/metrics" help:"Serve the metrics at this path."`
}

type serveCmd struct {
	clusterFlags `embed:""`

	Detail         string        `default:"unhealthy" enum:"none,unhealthy,all" help:"Which objects have series of their own: ${enum}."`
	Memory         time.Duration `name:"detail.memory" default:"24h" help:"How long a resource that was changed behind its back is not fine."`
	Checkpoint     string        `default:"auto" placeholder:"WHERE" help:"Where to keep what must survive a restart: file:PATH, configmap:NAMESPACE/NAME, none, or auto: a ConfigMap in a pod, a file in the user's cache elsewhere."`
	TrustedManager []string      `name:"drift.trusted-manager" placeholder:"GLOB" help:"A field manager that may write to specs, besides Crossplane, its providers and GitOps: 'ci-*'. Can be repeated."`
	DriftFields    bool          `name:"drift.fields" help:"Name the fields that have drifted, in series of their own."`
	Shards         int           `default:"1" help:"How many exporters share the kinds among them. Each watches, and says, its own."`
	Shard          *int          `placeholder:"N" help:"Which of them this one is, from 0. By default: the number at the end of the host's name, as a StatefulSet gives it."`
	MaxSeries      int           `name:"series.max" default:"1000000" help:"How many series each metric family may have; 0 is no limit. What is left out is counted."`
	Web            webFlags      `embed:"" prefix:"web."`
}

type checkCmd struct {
	clusterFlags `embed:""`

	Timeout time.Duration `default:"2m" help:"Wait so long for the cluster."`
}

type versionCmd struct{}

func main() { os.Exit(run()) }

// run does what the command line says and returns the exit status.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c cli
	k := kong.Parse(&c, append(options(), kong.BindTo(ctx, (*context.Context)(nil)))...)
	if err := k.Run(&c.Log); err != nil {
		fmt.Fprintf(os.Stderr, "crossplane-exporter: %v\n", err)
		return 1
	}
	return 0
}

// options are how flags and environment variables are read.
func options() []kong.Option {
	return []kong.Option{
		kong.Name("crossplane-exporter"),
		kong.Description("A Prometheus exporter for Crossplane and the platform around it. Every flag is an environment variable too: --web.telemetry-path is CROSSPLANE_EXPORTER_WEB_TELEMETRY_PATH."),
		kong.DefaultEnvars("CROSSPLANE_EXPORTER"),
		kong.UsageOnError(),
	}
}

// Validate is called by kong.
func (f webFlags) Validate() error {
	p := f.TelemetryPath
	if !strings.HasPrefix(p, "/") || p == "/" || p == "/-/healthy" || p == "/-/ready" || path.Clean(p) != p || strings.ContainsAny(p, "{}?#% ") {
		return fmt.Errorf("--web.telemetry-path=%q: want a path of its own, such as /metrics", p)
	}
	return nil
}

func (f *logFlags) logger() *slog.Logger {
	cfg := &promslog.Config{Level: promslog.NewLevel(), Format: promslog.NewFormat()}
	// Both were checked by kong.
	_ = cfg.Level.Set(f.Level)
	_ = cfg.Format.Set(f.Format)
	log := promslog.New(cfg)
	klog.SetSlogLogger(log)
	return log
}

func (f *clusterFlags) config(log *slog.Logger, shards int) (collector.Config, error) {
	rc, err := f.rest()
	if err != nil {
		return collector.Config{}, fmt.Errorf("how to reach the cluster: %w", err)
	}
	return collector.Config{
		REST: rc, Log: log, Include: f.Include, Exclude: f.Exclude, TeamLabel: f.TeamLabel, Trail: f.CloudTrail.trail(log, shards),
	}, nil
}

func (f *clusterFlags) rest() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.Kubeconfig
	rc, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.Context}).ClientConfig()
	if err != nil {
		return nil, err
	}
	rc.UserAgent = "crossplane-exporter/" + version.Version
	return rc, nil
}

// Run serves until ctx ends.
func (s *serveCmd) Run(ctx context.Context, l *logFlags) error {
	log := l.logger()
	cfg, err := s.config(log, s.Shards)
	if err != nil {
		return err
	}
	cfg.Detail, cfg.MaxSeries, cfg.Memory, cfg.DriftFields = collector.Detail(s.Detail), s.MaxSeries, s.Memory, s.DriftFields
	cfg.TrustedManagers = s.TrustedManager
	if cfg.Shard, err = s.share(); err != nil {
		return err
	}
	if cfg.Checkpoint, err = s.keeper(cfg.REST, cfg.Shard); err != nil {
		return err
	}
	e, err := collector.New(cfg)
	if err != nil {
		return err
	}
	log.Info("starting crossplane-exporter", "version", version.Info(), "cluster", cfg.REST.Host, "detail", s.Detail)

	server := &http.Server{Handler: e.Handler(s.Web.TelemetryPath), ReadHeaderTimeout: 10 * time.Second}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return e.Run(ctx) })
	group.Go(func() error {
		err := web.ListenAndServe(server, &web.FlagConfig{
			WebListenAddresses: &s.Web.ListenAddress,
			WebSystemdSocket:   &s.Web.SystemdSocket,
			WebConfigFile:      &s.Web.ConfigFile,
		}, log)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("cannot serve at %v, because another program does already; choose another --web.listen-address: %w", s.Web.ListenAddress, err)
		}
		if !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return server.Shutdown(closing)
	})
	return group.Wait()
}

// share is what --shard and --shards mean.
func (s *serveCmd) share() (collector.Shard, error) {
	if s.Shards <= 1 && s.Shard == nil {
		return collector.Shard{}, nil
	}
	if s.CloudTrail.Queue != "" {
		return collector.Shard{}, errors.New("a queue is read by one exporter alone, and --shards are several; look CloudTrail up, or list its bucket")
	}
	if s.Shards > 1 && s.CloudTrail.source() == "lookup" && len(s.CloudTrail.Region) == 0 {
		return collector.Shard{}, errors.New("no shard sees all managed resources, and so none knows all regions to look CloudTrail up in: name each by --cloudtrail.region, or say --cloudtrail.source=none")
	}
	if s.Shard != nil {
		return collector.Shard{Index: *s.Shard, Of: s.Shards}, nil
	}
	host, err := os.Hostname()
	if err != nil {
		return collector.Shard{}, fmt.Errorf("which shard this is: %w; say it by --shard", err)
	}
	index, err := strconv.Atoi(host[strings.LastIndexByte(host, '-')+1:])
	if err != nil {
		return collector.Shard{}, fmt.Errorf("which of %d shards this is does not stand at the end of the host's name %q; say it by --shard", s.Shards, host)
	}
	return collector.Shard{Index: index, Of: s.Shards}, nil
}

// inPod is where a pod finds its namespace.
const inPod = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// keeper is what --checkpoint means.
func (s *serveCmd) keeper(rc *rest.Config, shard collector.Shard) (collector.Keeper, error) {
	own := "" // every shard has a checkpoint of its own
	if shard.Of > 1 {
		own = "-" + strconv.Itoa(shard.Index)
	}
	kind, where, _ := strings.Cut(s.Checkpoint, ":")
	switch {
	case s.Checkpoint == "none":
		return nil, nil
	case s.Checkpoint == "auto":
		if namespace, err := os.ReadFile(inPod); err == nil && s.Kubeconfig == "" {
			return configMap(rc, string(namespace), "crossplane-exporter-checkpoint"+own)
		}
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no place for a checkpoint; name one with --checkpoint=file:PATH, or --checkpoint=none: %w", err)
		}
		return collector.FileKeeper(filepath.Join(cache, "crossplane-exporter", url.QueryEscape(rc.Host)+own+".json.gz")), nil
	case kind == "file" && where != "":
		return collector.FileKeeper(where + own), nil
	case kind == "configmap":
		if namespace, name, ok := strings.Cut(where, "/"); ok && namespace != "" && name != "" {
			return configMap(rc, namespace, name+own)
		}
	}
	return nil, fmt.Errorf("--checkpoint=%q is none of file:PATH, configmap:NAMESPACE/NAME, none and auto", s.Checkpoint)
}

func configMap(rc *rest.Config, namespace, name string) (collector.Keeper, error) {
	client, err := dynamic.NewForConfig(rc)
	if err != nil {
		return nil, fmt.Errorf("a client for the checkpoint: %w", err)
	}
	return collector.ConfigMapKeeper{Client: client, Namespace: namespace, Name: name}, nil
}

// Run checks once.
func (c *checkCmd) Run(ctx context.Context, l *logFlags) error {
	cfg, err := c.config(l.logger(), 1)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	return collector.Check(ctx, cfg, os.Stdout)
}

// Run prints the version.
func (versionCmd) Run() error {
	_, err := fmt.Println(version.Print("crossplane-exporter"))
	return err
}
