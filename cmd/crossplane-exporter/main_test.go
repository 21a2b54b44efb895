package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/bcrypt"

	"crossplane-exporter/collector"
	"crossplane-exporter/internal/kube/kubetest"
)

// asExporter makes the test binary be the exporter.
const asExporter = "RUN_AS_CROSSPLANE_EXPORTER"

func TestMain(m *testing.M) {
	if os.Getenv(asExporter) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestFlags(t *testing.T) {
	defaults := func(change func(*cli)) *cli {
		c := &cli{}
		c.Log = logFlags{Level: "info", Format: "logfmt"}
		c.Serve.Detail, c.Serve.Memory, c.Serve.Checkpoint, c.Serve.MaxSeries, c.Serve.Shards = "unhealthy", 24*time.Hour, "auto", 1_000_000, 1
		c.Serve.Web = webFlags{ListenAddress: []string{":9948"}, TelemetryPath: "/metrics"}
		c.Check.Timeout = 2 * time.Minute
		trail := trailFlags{Source: "auto", Rate: 1}
		c.Serve.CloudTrail, c.Check.CloudTrail = trail, trail
		change(c)
		return c
	}
	tests := map[string]struct {
		reason      string
		args        []string
		env         map[string]string
		want        *cli
		wantCommand string
		wantErr     []string // parts of it
	}{
		"nothing": {
			reason:      "Without a word it serves, with sensible defaults.",
			want:        defaults(func(*cli) {}),
			wantCommand: "serve",
		},
		"serve by default": {
			reason:      "Flags of serve need no command.",
			args:        []string{"--detail=all", "--web.listen-address=127.0.0.1:1"},
			want:        defaults(func(c *cli) { c.Serve.Detail, c.Serve.Web.ListenAddress = "all", []string{"127.0.0.1:1"} }),
			wantCommand: "serve",
		},
		"serve": {
			reason:      "Nor are they refused with it.",
			args:        []string{"serve", "--series.max=5", "--detail.memory=1h", "--team-label=example.org/team"},
			wantCommand: "serve",
			want: defaults(func(c *cli) {
				c.Serve.MaxSeries, c.Serve.Memory, c.Serve.TeamLabel = 5, time.Hour, "example.org/team"
			}),
		},
		"environment": {
			reason: "Every flag is an environment variable, dots and dashes made underscores.",
			env: map[string]string{
				"CROSSPLANE_EXPORTER_WEB_TELEMETRY_PATH": "/telemetry", "CROSSPLANE_EXPORTER_LOG_LEVEL": "debug",
				"CROSSPLANE_EXPORTER_SERIES_MAX": "7", "CROSSPLANE_EXPORTER_INCLUDE": "a.org,b.org", "CROSSPLANE_EXPORTER_TEAM_LABEL": "team",
				"CROSSPLANE_EXPORTER_WEB_LISTEN_ADDRESS": "127.0.0.1:2",
			},
			want: defaults(func(c *cli) {
				c.Serve.Web.TelemetryPath, c.Serve.Web.ListenAddress, c.Log.Level, c.Serve.MaxSeries = "/telemetry", []string{"127.0.0.1:2"}, "debug", 7
				c.Serve.Include, c.Check.Include = []string{"a.org", "b.org"}, []string{"a.org", "b.org"}
				c.Serve.TeamLabel, c.Check.TeamLabel = "team", "team"
			}),
			wantCommand: "serve",
		},
		"flag before environment": {
			reason:      "What is said last and nearest counts.",
			args:        []string{"--log.level=warn"},
			env:         map[string]string{"CROSSPLANE_EXPORTER_LOG_LEVEL": "debug"},
			want:        defaults(func(c *cli) { c.Log.Level = "warn" }),
			wantCommand: "serve",
		},
		"repeated": {
			reason: "A list is a flag given again, or commas.",
			args:   []string{"--include=a.org", "--include=b.org/X,c.org", "--web.listen-address=:1", "--web.listen-address=[::1]:2"},
			want: defaults(func(c *cli) {
				c.Serve.Include, c.Serve.Web.ListenAddress = []string{"a.org", "b.org/X", "c.org"}, []string{":1", "[::1]:2"}
			}),
			wantCommand: "serve",
		},
		"check": {
			reason: "check has the flags that say what is watched, and a timeout.",
			args:   []string{"check", "--exclude=a.org", "--timeout=5s", "--log.format=json"},
			want: defaults(func(c *cli) {
				c.Check.Exclude, c.Check.Timeout, c.Log.Format = []string{"a.org"}, 5*time.Second, "json"
			}),
			wantCommand: "check",
		},
		"cloudtrail": {
			reason: "An ARN may be named in so many ways; none of them needs quoting.",
			args: []string{
				"--cloudtrail.source=s3", "--cloudtrail.queue=https://sqs.eu-west-1.amazonaws.com/1/trail", "--cloudtrail.role=arn:aws:iam::1:role/a,arn:aws:iam::2:role/a",
				"--cloudtrail.name-role=deployer=arn:aws:iam::1:role/path/deploy", "--cloudtrail.name-role=batch=arn:aws:iam::1:role/batch", "--cloudtrail.endpoint=sqs=http://127.0.0.1:1",
				"--cloudtrail.rate=0.5",
			},
			want: defaults(func(c *cli) {
				c.Serve.CloudTrail = trailFlags{
					Source: "s3", Queue: "https://sqs.eu-west-1.amazonaws.com/1/trail", Role: []string{"arn:aws:iam::1:role/a", "arn:aws:iam::2:role/a"}, Rate: 0.5,
					NameRole: map[string]string{"deployer": "arn:aws:iam::1:role/path/deploy", "batch": "arn:aws:iam::1:role/batch"},
					Endpoint: map[string]string{"sqs": "http://127.0.0.1:1"},
				}
			}),
			wantCommand: "serve",
		},
		"cloudtrail by variable": {
			reason: "check has them too, and several names fit into one variable.",
			args:   []string{"check"},
			env:    map[string]string{"CROSSPLANE_EXPORTER_CLOUDTRAIL_NAME_ROLE": "a=arn:aws:iam::1:role/a;b=arn:aws:iam::1:role/b", "CROSSPLANE_EXPORTER_CLOUDTRAIL_SOURCE": "none"},
			want: defaults(func(c *cli) {
				c.Check.CloudTrail.Source, c.Check.CloudTrail.NameRole = "none", map[string]string{"a": "arn:aws:iam::1:role/a", "b": "arn:aws:iam::1:role/b"}
				c.Serve.CloudTrail = c.Check.CloudTrail
			}),
			wantCommand: "check",
		},
		"wrong source":       {"What would be right is said.", []string{"--cloudtrail.source=lake"}, nil, nil, "", []string{"--cloudtrail.source", `"lookup"`, `"lake"`}},
		"no rate":            {"Never to ask is what none is for.", []string{"--cloudtrail.rate=0"}, nil, nil, "", []string{"--cloudtrail.rate=0"}},
		"same account":       {"Each account is read once.", []string{"--cloudtrail.role=arn:aws:iam::1:role/a,arn:aws:iam::1:role/b"}, nil, nil, "", []string{"--cloudtrail.role", "arn:aws:iam::1:role/a", "arn:aws:iam::1:role/b", "same account"}},
		"no role":            {"A name does not say the account.", []string{"--cloudtrail.role=exporter"}, nil, nil, "", []string{"--cloudtrail.role", "exporter", "ARN"}},
		"wrong endpoint":     {"A service that is not asked is a mistake.", []string{"--cloudtrail.endpoint=ec2=http://x"}, nil, nil, "", []string{"--cloudtrail.endpoint=ec2", "cloudtrail, s3, sqs or sts"}},
		"unknown flag":       {"The nearest one is named.", []string{"--web.lisen-address=:1"}, nil, nil, "", []string{"unknown flag --web.lisen-address", "--web.listen-address"}},
		"not of check":       {"Nothing is quietly ignored.", []string{"check", "--detail=all"}, nil, nil, "", []string{"unknown flag --detail"}},
		"unknown command":    {"A wrong word is no flag's value.", []string{"server"}, nil, nil, "", []string{"server"}},
		"wrong detail":       {"What would be right is said.", []string{"--detail=some"}, nil, nil, "", []string{"--detail", `"none"`, `"unhealthy"`, `"all"`, `"some"`}},
		"wrong level":        {"Of every enumeration.", []string{"--log.level=loud"}, nil, nil, "", []string{"--log.level", `"debug"`, `"loud"`}},
		"wrong by variable":  {"Also where it comes from the environment.", nil, map[string]string{"CROSSPLANE_EXPORTER_DETAIL": "some"}, nil, "", []string{"--detail", `"some"`}},
		"no number":          {"A number must be one.", []string{"--series.max=many"}, nil, nil, "", []string{"--series.max", "many"}},
		"no duration":        {"So must a duration.", []string{"check", "--timeout=soon"}, nil, nil, "", []string{"--timeout", "soon"}},
		"no path":            {"A path that no request can have would end in a panic.", []string{"--web.telemetry-path=metrics"}, nil, nil, "", []string{"--web.telemetry-path", `"metrics"`, "/metrics"}},
		"pattern":            {"Nor is it a pattern.", []string{"--web.telemetry-path=/{x}"}, nil, nil, "", []string{"--web.telemetry-path"}},
		"path of the page":   {"The page for people is there.", []string{"--web.telemetry-path=/"}, nil, nil, "", []string{"--web.telemetry-path"}},
		"path of the probes": {"The probe is there.", []string{"--web.telemetry-path=/-/ready"}, nil, nil, "", []string{"--web.telemetry-path"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for name, value := range tc.env {
				t.Setenv(name, value)
			}
			c := &cli{}
			k, err := kong.New(c, append(options(), kong.Exit(func(int) { t.Error("it exits") }))...)
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := k.Parse(tc.args)
			if tc.wantErr != nil {
				for _, part := range tc.wantErr {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("\n%s\nerror %q does not say %q", tc.reason, err, part)
					}
				}
				return
			}
			if err != nil {
				t.Fatalf("\n%s\n%v", tc.reason, err)
			}
			if diff := cmp.Diff(tc.want, c, cmp.AllowUnexported(cli{}, serveCmd{}, checkCmd{})); diff != "" {
				t.Errorf("\n%s\n-want +got:\n%s", tc.reason, diff)
			}
			if got := parsed.Command(); got != tc.wantCommand {
				t.Errorf("\n%s\ncommand %q, want %q", tc.reason, got, tc.wantCommand)
			}
		})
	}
}

// A program is an exporter that runs.
type program struct {
	*exec.Cmd

	stdout, stderr output
	done           chan struct{} // closed when it has ended
	code           int           // then
}

// output is what a program has written so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// start starts an exporter, which the test's end kills.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.CommandContext(t.Context(), os.Args[0], args...), done: make(chan struct{})}
	p.Env = []string{asExporter + "=1", "HOME=" + t.TempDir()}
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		p.Wait() // The code says it.
		p.code = p.ProcessState.ExitCode()
	}()
	t.Cleanup(func() { <-p.done }) // after t.Context has ended, which kills it
	return p
}

// long is how long a test waits for what takes a moment: too long only for a machine that is far too busy.
const long = 30 * time.Second

// end waits for the exporter to end by itself, and returns its exit code.
func (p *program) end(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
		return p.code
	case <-time.After(long):
		t.Fatalf("it does not end:\n%s", &p.stderr)
		return 0
	}
}

var listening = regexp.MustCompile(`msg="Listening on" .*address=(\S+)`)

// url waits until the exporter serves, and returns where.
func (p *program) url(t *testing.T) string {
	t.Helper()
	var m []string
	p.until(t, "it serves", func() bool {
		m = listening.FindStringSubmatch(p.stderr.String())
		return m != nil
	})
	return "http://" + m[1]
}

// until waits for a condition.
func (p *program) until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-p.done:
			if !happened() {
				t.Fatalf("it ended with %d before %s:\n%s", p.code, what, &p.stderr)
			}
		case <-ctx.Done():
			t.Fatalf("still waiting until %s:\n%s", what, &p.stderr)
		}
	}
}

// fetch asks for a URL, with credentials or "".
func fetch(t *testing.T, url, user, password string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// cluster is an API server on loopback with one object, and a kubeconfig of it.
func cluster(t *testing.T) (api *kubetest.Server, kubeconfig string) {
	t.Helper()
	api = &kubetest.Server{}
	err := api.Apply(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: instances.rds.aws.upbound.io}
spec:
  group: rds.aws.upbound.io
  names: {kind: Instance, plural: instances, categories: [managed]}
  versions: [{name: v1beta1, served: true, storage: true}]
---
apiVersion: rds.aws.upbound.io/v1beta1
kind: Instance
metadata: {name: orders}
status: {conditions: [{type: Ready, status: "False", reason: Creating}]}
`)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return api, kubeconfigOf(t, server.URL)
}

func kubeconfigOf(t *testing.T, url string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	config := fmt.Sprintf(`
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
users: [{name: test, user: {}}]
current-context: test
`, url)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTrail(t *testing.T) {
	tests := map[string]struct {
		reason string
		source string
		env    map[string]string
		want   bool
	}{
		"nothing given":  {"A cluster that has nothing to do with AWS asks it nothing.", "auto", nil, false},
		"IRSA":           {"EKS gives a token to a ServiceAccount that is annotated with a role.", "auto", map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": "/var/run/token", "AWS_ROLE_ARN": "arn:aws:iam::1:role/a"}, true},
		"Pod Identity":   {"Or a pod an address to ask.", "auto", map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.23/v1/credentials"}, true},
		"profile":        {"People have profiles.", "auto", map[string]string{"AWS_PROFILE": "work"}, true},
		"not wanted":     {"What is said goes before what is given.", "none", map[string]string{"AWS_PROFILE": "work"}, false},
		"asked for":      {"And a node's own role will do for who asks for it.", "lookup", nil, true},
		"without a word": {"A directory needs no credentials.", "file", nil, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, v := range []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
				t.Setenv(v, tc.env[v])
			}
			got := trailFlags{Source: tc.source, Rate: 1}.trail(slog.New(slog.DiscardHandler), 1)
			if (got != nil) != tc.want {
				t.Errorf("%s\ngot %v", tc.reason, got)
			}
		})
	}
}

func TestShare(t *testing.T) {
	index := func(n int) *int { return &n }
	tests := map[string]struct {
		reason  string
		args    serveCmd
		want    collector.Shard
		wantErr string
	}{
		"alone":    {"One exporter is no shard.", serveCmd{Shards: 1}, collector.Shard{}, ""},
		"said":     {"What is said counts.", serveCmd{Shards: 3, Shard: index(2)}, collector.Shard{Index: 2, Of: 3}, ""},
		"not said": {"A host's name without a number tells nothing.", serveCmd{Shards: 3}, collector.Shard{}, "say it by --shard"},
		"with a queue": {
			"Messages that one shard takes the others never see.", serveCmd{Shards: 2, Shard: index(0), clusterFlags: clusterFlags{CloudTrail: trailFlags{Queue: "https://q"}}},
			collector.Shard{}, "one exporter alone",
		},
		"looking up": {
			"Regions of the resources of one shard the others never see.", serveCmd{Shards: 2, Shard: index(0), clusterFlags: clusterFlags{CloudTrail: trailFlags{Source: "lookup"}}},
			collector.Shard{}, "--cloudtrail.region",
		},
		"by credentials": {
			"auto looks up, too.", serveCmd{Shards: 2, Shard: index(0), clusterFlags: clusterFlags{CloudTrail: trailFlags{Source: "auto"}}},
			collector.Shard{}, "--cloudtrail.region",
		},
		"looking up regions": {
			"Then the first counts them all.", serveCmd{Shards: 2, Shard: index(0), clusterFlags: clusterFlags{CloudTrail: trailFlags{Source: "lookup", Region: []string{"eu-west-1"}}}},
			collector.Shard{Of: 2}, "",
		},
		"a bucket":   {"It has all regions.", serveCmd{Shards: 2, Shard: index(1), clusterFlags: clusterFlags{CloudTrail: trailFlags{Source: "s3", Bucket: "s3://a"}}}, collector.Shard{Index: 1, Of: 2}, ""},
		"one of one": {"It sees all resources.", serveCmd{Shards: 1, Shard: index(0), clusterFlags: clusterFlags{CloudTrail: trailFlags{Source: "lookup"}}}, collector.Shard{Of: 1}, ""},
	}
	t.Setenv("AWS_PROFILE", "test") // these are credentials
	if host, err := os.Hostname(); err != nil || regexp.MustCompile(`-[0-9]+$`).MatchString(host) {
		delete(tests, "not said") // this host's does
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tc.args.share()
			if tc.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tc.wantErr)) || tc.wantErr == "" && err != nil {
				t.Fatalf("%s\nerror %v, want %q", tc.reason, err, tc.wantErr)
			}
			if got != tc.want {
				t.Errorf("%s\ngot %+v, want %+v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestServe(t *testing.T) {
	_, kubeconfig := cluster(t)
	p := start(t, "--kubeconfig="+kubeconfig, "--web.listen-address=127.0.0.1:0", "--checkpoint=none")
	url := p.url(t)
	p.until(t, "it is ready", func() bool {
		code, _ := fetch(t, url+"/-/ready", "", "")
		return code == http.StatusOK
	})
	const want = `platform_resource_condition{category="managed",group="rds.aws.upbound.io",kind="Instance",resource_namespace="",name="orders",condition="Ready"} 0`
	if _, text := fetch(t, url+"/metrics", "", ""); !strings.Contains(text, want) {
		t.Errorf("no %s in\n%s", want, text)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.end(t); code != 0 {
		t.Errorf("it ends with %d after SIGTERM:\n%s", code, &p.stderr)
	}
	if log := p.stderr.String(); strings.Contains(log, "level=ERROR") || strings.Contains(log, "panic") || strings.Contains(log, "goroutine") {
		t.Errorf("its log is not that of a program that ends well:\n%s", log)
	}
	if p.stdout.String() != "" {
		t.Errorf("it writes to standard output: %s", &p.stdout)
	}
}

// TestServeWithoutACluster has the API server come up after the exporter.
func TestServeWithoutACluster(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	p := start(t, "--kubeconfig="+kubeconfigOf(t, "http://"+address), "--web.listen-address=127.0.0.1:0", "--checkpoint=none")
	url := p.url(t)
	p.until(t, "it says why it is not ready", func() bool {
		code, text := fetch(t, url+"/-/ready", "", "")
		return code == http.StatusServiceUnavailable && strings.Contains(text, "http://"+address) && strings.Contains(text, "connection refused")
	})
	p.until(t, "it has tried again", func() bool { return strings.Contains(p.stderr.String(), "cannot be reached") })
	if code, text := fetch(t, url+"/metrics", "", ""); code != http.StatusOK || !strings.Contains(text, `crossplane_exporter_collector_up{collector="resources"} 0`) {
		t.Errorf("without a cluster it says of itself: %d\n%s", code, text)
	}

	if l, err = net.Listen("tcp", address); err != nil {
		t.Skipf("someone else has taken %s meanwhile: %v", address, err)
	}
	server := &http.Server{Handler: &kubetest.Server{}, ReadHeaderTimeout: time.Second}
	go server.Serve(l) // It ends with the test.
	t.Cleanup(func() { server.Close() })
	p.until(t, "it is ready", func() bool {
		code, _ := fetch(t, url+"/-/ready", "", "")
		return code == http.StatusOK
	})
	if n := strings.Count(p.stderr.String(), "cannot be reached"); n != 1 {
		t.Errorf("it says %d times that there is no cluster, want once:\n%s", n, &p.stderr)
	}
}

func TestServeWithAPassword(t *testing.T) {
	_, kubeconfig := cluster(t)
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "web.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, "basic_auth_users: {prometheus: %q}\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "--kubeconfig="+kubeconfig, "--web.listen-address=127.0.0.1:0", "--checkpoint=none", "--web.config.file="+config)
	url := p.url(t)
	for user, want := range map[string]int{"": http.StatusUnauthorized, "prometheus": http.StatusOK} {
		if code, _ := fetch(t, url+"/metrics", user, "secret"); code != want {
			t.Errorf("as %q: %d, want %d", user, code, want)
		}
	}
}

func TestExits(t *testing.T) {
	api, kubeconfig := cluster(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() // It was only to be there.
	forbidden, forbiddenConfig := cluster(t)
	if err := errors.Join(api.Disconnect(""), forbidden.Answer("instances.rds.aws.upbound.io", http.StatusForbidden)); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		reason     string
		args       []string
		want       int // -1 is anything but 0
		wantStdout []string
		wantStderr []string
	}{
		"check": {
			reason: "All is well.", args: []string{"check", "--kubeconfig=" + kubeconfig},
			wantStdout: []string{"1 found, 1 readable, 0 not", "rds.aws.upbound.io/Instance"},
		},
		"check forbidden": {
			reason: "A script can tell that something cannot be read, a person what.", args: []string{"check", "--kubeconfig=" + forbiddenConfig},
			want: 1, wantStdout: []string{"1 found, 0 readable, 1 not", "is forbidden"}, wantStderr: []string{"crossplane-exporter: not everything can be read\n"},
		},
		"check unreachable": {
			reason: "Nobody is there, and it does not wait for ever.", args: []string{"check", "--timeout=1s", "--kubeconfig=" + kubeconfigOf(t, "http://127.0.0.1:1")},
			want: 1, wantStdout: []string{"http://127.0.0.1:1 cannot be read yet", "connection refused"},
		},
		"version": {reason: "Which one is it?", args: []string{"version"}, wantStdout: []string{"crossplane-exporter, version"}},
		"help": {
			reason: "With every flag, its default and its variable.", args: []string{"serve", "--help"},
			wantStdout: []string{"Usage: crossplane-exporter", "--web.listen-address", ":9948", "CROSSPLANE_EXPORTER_WEB_LISTEN_ADDRESS"},
		},
		"port in use": {
			reason: "A plain sentence, and what to do.", args: []string{"--kubeconfig=" + kubeconfig, "--checkpoint=none", "--web.listen-address=" + taken.Addr().String()},
			want: 1, wantStderr: []string{"crossplane-exporter: cannot serve at [" + taken.Addr().String() + "], because another program does already; choose another --web.listen-address"},
		},
		"no kubeconfig": {
			reason: "Which file is missing.", args: []string{"--kubeconfig=/does/not/exist"},
			want: 1, wantStderr: []string{"crossplane-exporter: how to reach the cluster: ", "/does/not/exist"},
		},
		"wrong context": {
			reason: "Which context is not there.", args: []string{"--kubeconfig=" + kubeconfig, "--context=moon"},
			want: 1, wantStderr: []string{"moon"},
		},
		"wrong glob": {
			reason: "What a glob looks like.", args: []string{"--kubeconfig=" + kubeconfig, "--checkpoint=none", "--include=[/x"},
			want: 1, wantStderr: []string{`which kinds to watch: "[/x" is no glob`},
		},
		"wrong checkpoint": {
			reason: "What it may be.", args: []string{"--kubeconfig=" + kubeconfig, "--checkpoint=somewhere"},
			want: 1, wantStderr: []string{`--checkpoint="somewhere"`, "file:PATH"},
		},
		"wrong flag": {
			reason: "The usage, and what is wrong.", args: []string{"--lisen=:1"},
			want: -1, wantStdout: []string{"Usage: crossplane-exporter"}, wantStderr: []string{"crossplane-exporter: error: unknown flag --lisen"},
		},
		"wrong enum": {
			reason: "What it may be.", args: []string{"--detail=some"},
			want: -1, wantStderr: []string{`--detail must be one of "none","unhealthy","all" but got "some"`},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := start(t, tc.args...)
			if code := p.end(t); code != tc.want && (tc.want != -1 || code <= 0) {
				t.Errorf("\n%s\nexit code %d, want %d", tc.reason, code, tc.want)
			}
			for _, out := range []struct {
				name, text string
				want       []string
			}{{"standard output", p.stdout.String(), tc.wantStdout}, {"standard error", p.stderr.String(), tc.wantStderr}} {
				for _, part := range out.want {
					if !strings.Contains(out.text, part) {
						t.Errorf("\n%s\n%s does not say %q:\n%s", tc.reason, out.name, part, out.text)
					}
				}
			}
		})
	}
}
