package pager_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"crossplane-exporter/playground/apply"
	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/controlplane/controlplanetest"
	"crossplane-exporter/playground/crossplane"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/exporter"
	"crossplane-exporter/playground/load"
	"crossplane-exporter/playground/pager"
	"crossplane-exporter/playground/process"
	"crossplane-exporter/playground/programs"
	"crossplane-exporter/playground/provider"
)

const (
	// fleet is how many managed resources of AWS there are, of so many kinds. No provider looks after them, because it would need an
	// account: their conditions are written here, and so is whether the provider's process runs.
	fleet, fleetKinds = 500, 5
	// kept is how many ConfigMaps provider-kubernetes really looks after, in that namespace.
	kept      = 100
	namespace = "default"
	// team is whose they are, and channel where that is told. Everything else is told in platform.
	team, channel, platform = "sales", "#sales", "#crossplane"
	// patience is how long anything may take.
	patience = 6 * time.Minute
	grace    = 20 * time.Second
)

// A world is a control plane with Crossplane, providers and resources, the exporter, a Prometheus with the rules that are shipped,
// and an Alertmanager for each pager with the configuration that is shipped.
//
// In it a minute lasts a second: rules and Alertmanager are made to wait for seconds where they wait for minutes in earnest, by their
// own settings. Nothing else about them is changed.
type world struct {
	plane      *controlplane.ControlPlane
	crossplane *crossplane.Crossplane
	provider   *provider.Provider
	fleet      *load.Fleet
	client     dynamic.Interface
	exporter   *exporter.Exporter
	dir        string // Of the exporter.
	port       int    // Of the exporter, so that Prometheus finds it again.
	trail      string // Where the cloud's audit trail is written.
	prometheus string
	desks      []*desk
}

// A desk is where alerts arrive: an Alertmanager, and those that it tells.
type desk struct {
	name, alertmanager string

	slack    *pager.Slack
	watchdog *pager.DeadMansSwitch
	// pages are the alerts or incidents that the pager was told of, and refused why it did not take some.
	pages   func() []page
	refused func() []string

	// requests is how many requests the pager took, and urgent what it calls what is critical.
	requests func() int
	urgent   string

	// messages are the beginnings of the titles of what Slack should have been told, rings how often somebody should have been
	// woken up, by the beginnings of priority and title.
	messages []string
	rings    map[string]int
}

// A page is what wakes somebody up.
type page struct {
	Title, Priority string
	// Rings is how often it did.
	Rings int
	Open  bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	bin, err := programs.Build(t.Context(), "etcd", "kube-apiserver", "crossplane", "provider-kubernetes", "prometheus", "alertmanager")
	check(t, err)
	mixin := buildMixin(t)
	w := &world{plane: controlplanetest.New(t)}
	w.client, err = dynamic.NewForConfig(w.plane.RESTConfig())
	check(t, err)
	w.startCrossplane(t)
	w.keepConfigMaps(t)
	w.fillFleet(t)
	w.dir, w.trail = t.TempDir(), t.TempDir()
	w.logCalls(t, 10, 1) // Counters that are there grow; those that begin do not.
	w.port, err = process.FreePort()
	check(t, err)
	w.startExporter(t)
	for _, name := range []string{"opsgenie", "jsm", "pagerduty"} {
		w.desks = append(w.desks, newDesk(t, bin, mixin, name))
	}
	w.startPrometheus(t, bin, mixin)
	return w
}

// buildMixin builds crossplane-mixin and returns a function that runs it and returns what it prints.
func buildMixin(t *testing.T) func(args ...string) []byte {
	t.Helper()
	root, err := programs.Root()
	check(t, err)
	program := filepath.Join(t.TempDir(), "crossplane-mixin")
	build := exec.CommandContext(t.Context(), "go", "-C", root, "build", "-o", program, "./cmd/crossplane-mixin")
	build.Env = append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build crossplane-mixin: %v\n%s", err, out)
	}
	return func(args ...string) []byte {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("crossplane-mixin %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
		}
		return out
	}
}

// startCrossplane starts Crossplane with two providers, whose packages it takes from a registry: provider-kubernetes, whose process this one
// runs, and provider-aws-ec2, which has no process, because it would need an account.
func (w *world) startCrossplane(t *testing.T) {
	t.Helper()
	var err error
	w.crossplane, err = crossplane.Start(t.Context(), w.plane)
	check(t, err)
	t.Cleanup(func() { check(t, w.crossplane.Stop()) })
	w.provider, err = provider.Start(t.Context(), w.plane, provider.Kubernetes, "--poll=2s")
	check(t, err)
	t.Cleanup(func() { check(t, w.provider.Stop()) })
	content, err := w.provider.Package()
	check(t, err)
	w.install(t, w.provider.Name(), content)
	w.follow(t)
	w.awaitProvider(t, w.provider.Name(), "True")

	files, err := load.Used(t.Context())
	check(t, err)
	parts := [][]byte{[]byte(`{"apiVersion":"meta.pkg.crossplane.io/v1","kind":"Provider","metadata":{"name":"` + awsProvider + `"}}`)}
	for _, f := range files[:fleetKinds] {
		crd, err := definitions.Read(f)
		check(t, err)
		parts = append(parts, crd)
	}
	w.install(t, awsProvider, bytes.Join(parts, []byte("\n---\n")))
	w.runs(t, awsProvider, "")
	w.awaitProvider(t, awsProvider, "True")
}

const awsProvider = "provider-aws-ec2"

// install installs a provider's package.
func (w *world) install(t *testing.T, name string, content []byte) {
	t.Helper()
	image, err := w.crossplane.Push(t.Context(), "example/"+name, "v1.0.0", content)
	check(t, err)
	w.apply(t, map[string]any{
		"apiVersion": "pkg.crossplane.io/v1", "kind": "Provider", "metadata": map[string]any{"name": name}, "spec": map[string]any{"package": image},
	})
}

// unavailable is what Crossplane says of a package whose pods do not run.
const unavailable = "provider package deployment is unavailable: Deployment does not have minimum availability."

// follow says of provider-kubernetes what its process is: that it runs, or does not. Crossplane would see it in a Deployment, of which
// there is none here.
func (w *world) follow(t *testing.T) {
	t.Helper()
	problem := ""
	if w.provider.Err() != nil {
		problem = unavailable
	}
	w.runs(t, w.provider.Name(), problem)
}

// runs says whether what is in a provider's package runs, in the words of the controller that runs packages.
func (w *world) runs(t *testing.T, name, problem string) {
	t.Helper()
	check(t, w.crossplane.Runs(t.Context(), "Provider", name, problem))
}

var providers = schema.GroupVersionResource{Group: "pkg.crossplane.io", Version: "v1", Resource: "providers"}

// awaitProvider waits until Crossplane says that a provider is healthy, or that it is not.
func (w *world) awaitProvider(t *testing.T, name, healthy string) {
	t.Helper()
	await(t, "Healthy of "+name+" is "+healthy, func(ctx context.Context) error {
		u, err := w.client.Resource(providers).Get(ctx, name, v1.GetOptions{})
		if err != nil {
			return err
		}
		if c, _ := apply.Condition(u, "Healthy"); c["status"] != healthy {
			return fmt.Errorf("it is %v", c)
		}
		return nil
	})
}

func (w *world) apply(t *testing.T, objects ...map[string]any) {
	t.Helper()
	a, err := apply.New(w.plane.RESTConfig())
	check(t, err)
	for _, o := range objects {
		check(t, a.Apply(t.Context(), &unstructured.Unstructured{Object: o}))
	}
}

// keepConfigMaps makes Objects, each of which owns a ConfigMap, and waits until all are there.
func (w *world) keepConfigMaps(t *testing.T) {
	t.Helper()
	kubeconfig, err := controlplane.EncodeKubeconfig(w.plane.RESTConfig())
	check(t, err)
	w.apply(t,
		map[string]any{
			"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"namespace": namespace, "name": "cluster"},
			"stringData": map[string]any{"kubeconfig": string(kubeconfig)},
		},
		map[string]any{
			"apiVersion": "kubernetes.m.crossplane.io/v1alpha1", "kind": "ClusterProviderConfig", "metadata": map[string]any{"name": "default"},
			"spec": map[string]any{"credentials": map[string]any{"source": "Secret", "secretRef": map[string]any{"namespace": namespace, "name": "cluster", "key": "kubeconfig"}}},
		},
	)
	var objects []map[string]any
	for i := range kept {
		objects = append(objects, map[string]any{
			"apiVersion": "kubernetes.m.crossplane.io/v1alpha1", "kind": "Object",
			"metadata": map[string]any{"namespace": namespace, "name": keptName(i), "labels": map[string]any{"team": team}},
			"spec": map[string]any{
				"providerConfigRef": map[string]any{"kind": "ClusterProviderConfig", "name": "default"},
				"forProvider": map[string]any{"manifest": map[string]any{
					"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"namespace": namespace}, "data": map[string]any{"colour": "blue"},
				}},
			},
		})
	}
	w.apply(t, objects...)
	w.awaitColour(t, "blue")
}

func keptName(i int) string { return fmt.Sprintf("settings-%03d", i) }

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// colour is nil if a ConfigMap has that colour.
func (w *world) colour(ctx context.Context, i int, want string) error {
	u, err := w.client.Resource(configMaps).Namespace(namespace).Get(ctx, keptName(i), v1.GetOptions{})
	if err != nil {
		return err
	}
	if got, _, _ := unstructured.NestedString(u.Object, "data", "colour"); got != want {
		return fmt.Errorf("%s is %s, not %s", keptName(i), got, want)
	}
	return nil
}

// byHand changes all ConfigMaps, and waits until they are put back.
func (w *world) byHand(t *testing.T) {
	t.Helper()
	w.paint(t, "red", kept)
	w.awaitColour(t, "blue")
}

// paint gives the first n ConfigMaps a colour by hand.
func (w *world) paint(t *testing.T, colour string, n int) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(8)
	for i := range n {
		g.Go(func() error {
			_, err := w.client.Resource(configMaps).Namespace(namespace).Patch(ctx, keptName(i), types.MergePatchType,
				[]byte(`{"data":{"colour":"`+colour+`"}}`), v1.PatchOptions{FieldManager: "kubectl-edit"})
			return err
		})
	}
	check(t, g.Wait())
}

// awaitColour waits until all ConfigMaps have a colour.
func (w *world) awaitColour(t *testing.T, colour string) {
	t.Helper()
	await(t, "all ConfigMaps are "+colour, func(ctx context.Context) error {
		for i := range kept {
			if err := w.colour(ctx, i, colour); err != nil {
				return err
			}
		}
		return nil
	})
}

// fillFleet makes resources of AWS that are well.
func (w *world) fillFleet(t *testing.T) {
	t.Helper()
	var err error
	w.fleet, err = load.Fill(t.Context(), w.plane, load.Config{Objects: fleet, Kinds: fleetKinds})
	check(t, err)
	// Some are born unwell. Every second change makes all of those it reaches well.
	check(t, w.fleet.Change(t.Context(), fleet))
	check(t, w.fleet.Change(t.Context(), fleet))
}

// throttled is how many resources fail when the cloud throttles: more than would be an outage if they failed of anything else.
const throttled = 24

// throttle makes resources of one account fail, because the cloud throttles their provider; or has them be well.
func (w *world) throttle(t *testing.T, fail bool) {
	t.Helper()
	type object struct {
		kind schema.GroupVersionResource
		name string
	}
	byAccount := make(map[string][]object)
	for _, kind := range w.fleet.Kinds {
		all, err := w.client.Resource(kind.GroupVersionResource).List(t.Context(), v1.ListOptions{})
		check(t, err)
		for _, o := range all.Items {
			account, _, _ := unstructured.NestedString(o.Object, "spec", "providerConfigRef", "name")
			byAccount[account] = append(byAccount[account], object{kind.GroupVersionResource, o.GetName()})
		}
	}
	most := slices.MaxFunc(slices.Sorted(maps.Keys(byAccount)), func(a, b string) int { return len(byAccount[a]) - len(byAccount[b]) })
	synced := map[string]any{"type": "Synced", "status": "True", "reason": "ReconcileSuccess", "lastTransitionTime": time.Now().UTC().Format(time.RFC3339)}
	if fail {
		synced["status"], synced["reason"] = "False", "ReconcileError"
		synced["message"] = "observe failed: cannot run refresh: operation error EC2: DescribeVpcs, exceeded maximum number of attempts, 25, https response error StatusCode: 503, RequestID: 3f9f0d4c-6f0e-4a64-8a57-1d4e7c3f2b10, api error RequestLimitExceeded: Request limit exceeded."
	}
	body, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []any{
		synced, map[string]any{"type": "Ready", "status": "True", "reason": "Available", "lastTransitionTime": synced["lastTransitionTime"]},
	}}})
	check(t, err)
	for _, o := range byAccount[most][:throttled] {
		_, err := w.client.Resource(o.kind).Patch(t.Context(), o.name, types.MergePatchType, body, v1.PatchOptions{FieldManager: "provider"}, "status")
		check(t, err)
	}
}

// trailDelay waits until the trail is read again in a quarter of a minute, as CloudTrail brings calls within a quarter of an hour. It is
// looked at every half minute, and no setting changes that.
func (w *world) trailDelay(t *testing.T) {
	t.Helper()
	const pause, delay = 30 * time.Second, 15 * time.Second
	const read = "sum(crossplane_exporter_trail_records_total)"
	before, err := w.query(t.Context(), read)
	check(t, err)
	w.logCalls(t, 10, 0)
	await(t, "the trail is read", func(ctx context.Context) error {
		n, err := w.query(ctx, read)
		if err == nil && n == before {
			err = fmt.Errorf("%g records were", n)
		}
		return err
	})
	pass(t, time.Now(), pause-delay)
}

// query is what Prometheus answers to a question with one answer.
func (w *world) query(ctx context.Context, expr string) (float64, error) {
	var answer struct {
		Data struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := getJSON(ctx, w.prometheus+"/api/v1/query?"+url.Values{"query": {expr}}.Encode(), &answer); err != nil {
		return 0, err
	}
	if len(answer.Data.Result) != 1 {
		return 0, fmt.Errorf("%s: %d results", expr, len(answer.Data.Result))
	}
	return strconv.ParseFloat(fmt.Sprint(answer.Data.Result[0].Value[1]), 64)
}

// logCalls writes calls that Crossplane's provider made into the cloud's audit trail, of which some were throttled.
func (w *world) logCalls(t *testing.T, calls, throttled int) {
	t.Helper()
	records := make([]any, calls)
	for i := range records {
		r := map[string]any{
			"eventVersion": "1.11", "eventID": rand.Text(), "eventType": "AwsApiCall", "eventCategory": "Management", "readOnly": true,
			"eventTime": time.Now().UTC().Format(time.RFC3339), "eventSource": "ec2.amazonaws.com", "eventName": "DescribeVpcs",
			"awsRegion": "eu-central-1", "recipientAccountId": "123456789012", "userAgent": "upbound-provider-aws/v1.0.0",
			"userIdentity": map[string]any{"type": "AssumedRole", "arn": "arn:aws:sts::123456789012:assumed-role/crossplane/1", "accountId": "123456789012"},
		}
		if i < throttled {
			r["errorCode"], r["errorMessage"] = "Client.RequestLimitExceeded", "Request limit exceeded."
		}
		records[i] = r
	}
	text, err := json.Marshal(map[string]any{"Records": records})
	check(t, err)
	// Moved there, so that it is there all at once.
	name := rand.Text() + ".json"
	check(t, os.WriteFile(filepath.Join(w.dir, name), text, 0o600))
	check(t, os.Rename(filepath.Join(w.dir, name), filepath.Join(w.trail, name)))
}

// logThrottled writes calls of which four in ten are throttled into the trail, again and again, until it is over.
func (w *world) logThrottled(t *testing.T) (over func()) {
	t.Helper()
	const pause = 10 * time.Second
	w.logCalls(t, 100, 40)
	ctx, cancel := context.WithCancel(t.Context())
	var calls sync.WaitGroup
	calls.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
				w.logCalls(t, 100, 40)
			}
		}
	})
	return func() { cancel(); calls.Wait() }
}

func (w *world) startExporter(t *testing.T) {
	t.Helper()
	program, err := programs.BuildExporter(t.Context())
	check(t, err)
	w.exporter, err = exporter.Start(t.Context(), exporter.Config{
		Path: program, Kubeconfig: w.plane.Kubeconfig(), Dir: w.dir, Port: w.port,
		Args: []string{"--team-label=team", "--cloudtrail.source=file", "--cloudtrail.path=" + w.trail},
	})
	check(t, err)
	t.Cleanup(func() { check(t, w.exporter.Stop()) })
	check(t, w.exporter.Ready(t.Context()))
}

// newDesk starts an Alertmanager with the configuration that crossplane-mixin renders, and those that it tells. Addresses, secrets and
// times are not those that are shipped; nothing else differs.
func newDesk(t *testing.T, bin string, mixin func(...string) []byte, name string) *desk {
	t.Helper()
	d := &desk{name: name, slack: pager.NewSlack(token), watchdog: pager.NewDeadMansSwitch(), rings: make(map[string]int)}
	t.Cleanup(d.slack.Close)
	t.Cleanup(d.watchdog.Close)
	key := genieKey
	var address string
	switch name {
	case "pagerduty":
		p := pager.NewPagerDuty(routingKey)
		t.Cleanup(p.Close)
		key, address, d.refused, d.urgent = routingKey, p.URL(), p.Refused, "critical"
		d.requests = func() int { return len(p.Received()) }
		d.pages = func() (all []page) {
			for _, i := range p.Incidents() {
				all = append(all, page{i.Payload.Summary, i.Payload.Severity, i.Pages, i.Open})
			}
			return all
		}
	default:
		o := pager.NewOpsgenie(genieKey)
		if name == "jsm" {
			o = pager.NewJSM(genieKey)
		}
		t.Cleanup(o.Close)
		address, d.refused, d.urgent = o.URL(), o.Refused, "P1"
		d.requests = func() int { return len(o.Received()) }
		d.pages = func() (all []page) {
			for _, a := range o.Alerts() {
				all = append(all, page{a.Message, a.Priority, a.Pages, a.Open})
			}
			return all
		}
	}
	dir := t.TempDir()
	for file, secret := range map[string]string{"slack-token": token, "pager-key": key, "watchdog-url": d.watchdog.URL()} {
		check(t, os.WriteFile(filepath.Join(dir, file), []byte(secret+"\n"), 0o600))
	}
	text := mixin("receivers", "--pager", name, "--pager-url", address, "--slack-url", d.slack.URL(), "--slack-channel", platform, "--team", team+"="+channel, "--secret-dir", dir)
	for _, minute := range []struct{ from, to string }{{"30s", "500ms"}, {"50s", "800ms"}, {"1m", "1s"}, {"5m", "5s"}, {"12h", "12m"}} {
		text = regexp.MustCompile(`(?m)(_wait|_interval): `+minute.from+`$`).ReplaceAll(text, []byte("${1}: "+minute.to))
	}
	root, err := programs.Root()
	check(t, err)
	check(t, os.CopyFS(filepath.Join(dir, "templates"), os.DirFS(filepath.Join(root, "deploy", "alertmanager", "templates"))))
	check(t, os.WriteFile(filepath.Join(dir, "alertmanager.yml"), text, 0o600))
	p, err := process.WithFreePort(func(port int) (*process.Process, error) {
		d.alertmanager = "http://" + process.Loopback(port)
		return startServer(t, d.alertmanager, process.Config{
			Path: filepath.Join(bin, "alertmanager"), Log: filepath.Join(dir, "alertmanager.log"), Args: []string{
				"--config.file=" + filepath.Join(dir, "alertmanager.yml"), "--storage.path=" + filepath.Join(dir, "data"),
				"--web.listen-address=" + process.Loopback(port), "--web.external-url=https://alertmanager.example.org", "--web.route-prefix=/",
				"--cluster.listen-address=",
			},
		})
	})
	check(t, err)
	t.Cleanup(func() {
		check(t, p.Stop(grace))
		if t.Failed() {
			t.Logf("what the Alertmanager of %s said:\n%s", name, read(t, p.Log()))
		}
	})
	return d
}

// startPrometheus starts a Prometheus that scrapes the exporter and evaluates the rules that are shipped, every second.
func (w *world) startPrometheus(t *testing.T, bin string, mixin func(...string) []byte) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"rules", "alerts"} {
		check(t, os.WriteFile(filepath.Join(dir, name+".yaml"), mixin(append([]string{name}, secondsForMinutes(t)...)...), 0o600))
	}
	targets := make([]string, 0, len(w.desks))
	for _, d := range w.desks {
		targets = append(targets, strings.TrimPrefix(d.alertmanager, "http://"))
	}
	config, err := json.Marshal(map[string]any{ // JSON is YAML.
		"global":         map[string]any{"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s", "external_labels": map[string]any{"cluster": "playground"}},
		"rule_files":     []string{"rules.yaml", "alerts.yaml"},
		"scrape_configs": []any{map[string]any{"job_name": "crossplane-exporter", "static_configs": []any{map[string]any{"targets": []string{strings.TrimPrefix(w.exporter.URL(), "http://")}}}}},
		"alerting":       map[string]any{"alertmanagers": []any{map[string]any{"static_configs": []any{map[string]any{"targets": targets}}}}},
	})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), config, 0o600))
	p, err := process.WithFreePort(func(port int) (*process.Process, error) {
		w.prometheus = "http://" + process.Loopback(port)
		return startServer(t, w.prometheus, process.Config{
			Path: filepath.Join(bin, "prometheus"), Log: filepath.Join(dir, "prometheus.log"), Args: []string{
				"--config.file=" + filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path=" + filepath.Join(dir, "data"),
				"--web.listen-address=" + process.Loopback(port),
			},
		})
	})
	check(t, err)
	t.Cleanup(func() { check(t, p.Stop(grace)) })
}

// startServer starts Prometheus or Alertmanager and waits until it is ready.
func startServer(t *testing.T, url string, cfg process.Config) (*process.Process, error) {
	p, err := process.Start(cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Await(ctx, url+" is ready", func(ctx context.Context) error { return process.Get(ctx, url+"/-/ready") }); err != nil {
		return nil, errors.Join(err, p.Stop(grace))
	}
	return p, nil
}

// known are the names of the alerts that an Alertmanager has and tells of, and of those that it mutes.
func (d *desk) known(ctx context.Context) (active, muted map[string]int, err error) {
	var alerts []struct {
		Labels map[string]string
		Status struct{ InhibitedBy []string }
	}
	err = getJSON(ctx, d.alertmanager+"/api/v2/alerts?"+url.Values{"filter": {`alertname!="CrossplaneWatchdog"`}}.Encode(), &alerts)
	active, muted = make(map[string]int), make(map[string]int)
	for _, a := range alerts {
		if len(a.Status.InhibitedBy) > 0 {
			muted[a.Labels["alertname"]]++
		} else {
			active[a.Labels["alertname"]]++
		}
	}
	return active, muted, err
}

func getJSON(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, body)
	}
	return json.Unmarshal(body, into)
}

// pass waits until some time has passed since then.
func pass(t *testing.T, since time.Time, d time.Duration) {
	t.Helper()
	await(t, "some time has passed", func(context.Context) error {
		if time.Since(since) < d {
			return fmt.Errorf("%s", time.Since(since))
		}
		return nil
	})
}

// await waits until f returns nil.
func await(t *testing.T, what string, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		err := f(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("wait until %s: %v", what, last)
		case <-tick.C:
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	check(t, err)
	return string(text)
}
