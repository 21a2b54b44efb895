package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"crossplane-exporter/internal/cloud/aws/awstest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"crossplane-exporter/playground/apply"
	"crossplane-exporter/playground/aws"
	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/controlplane/controlplanetest"
	"crossplane-exporter/playground/exporter"
	"crossplane-exporter/playground/programs"
	"crossplane-exporter/playground/scenario"
)

const (
	objects     = "kubernetes.m.crossplane.io/v1alpha1 Object"
	nop         = "nop.crossplane.io/v1alpha1 NopResource"
	app         = "platform.example.org/v1 App"
	queue       = "platform.example.org/v1 Queue"
	providers   = "pkg.crossplane.io/v1 Provider"
	definitions = "apiextensions.crossplane.io/v2 CompositeResourceDefinition"
)

// want is a condition that a resource of the scenario comes to have.
type want struct {
	kind, namespace, name string
	condition, status     string
	message               string // part of it
}

func TestScenario(t *testing.T) {
	plane := controlplanetest.New(t)
	s, err := scenario.Start(t.Context(), plane, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
	a, err := apply.New(plane.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}

	t.Run("Conditions", func(t *testing.T) {
		// Each in the words of whoever says it: the exporter has to make sense of them.
		for reason, w := range map[string]want{
			"well":               {objects, "team-a", "settings-1", "Ready", "True", ""},
			"well, cluster":      {"kubernetes.crossplane.io/v1alpha2 Object", "", "legacy-1", "Ready", "True", ""},
			"invalid":            {objects, "team-a", "invalid-name", "Synced", "False", "is invalid"},
			"not found":          {objects, "team-a", "missing-namespace", "Synced", "False", "not found"},
			"denied":             {objects, "team-b", "denied", "Synced", "False", "is forbidden"},
			"quota":              {objects, "sandbox", "over-quota", "Synced", "False", "exceeded quota"},
			"connect":            {objects, "team-b", "unreachable", "Synced", "False", "connection refused"},
			"no credentials":     {objects, "team-a", "no-credentials", "Synced", "False", "cannot get credentials"},
			"auth":               {objects, "team-a", "unknown-token", "Synced", "False", "Unauthorized"},
			"throttled":          {"ec2.aws.upbound.io/v1beta1 Subnet", "", "throttled", "Synced", "False", "RequestLimitExceeded"},
			"paused":             {objects, "team-a", "paused", "Synced", "False", ""},
			"observe-only":       {objects, "team-a", "observe-only", "Ready", "True", ""},
			"create incomplete":  {nop, "team-a", "create-incomplete", "Synced", "False", "cannot determine creation result"},
			"never ready":        {nop, "team-b", "forever-creating", "Ready", "False", ""},
			"composite":          {app, "team-a", "shop", "Ready", "True", ""},
			"unready composite":  {app, "team-b", "slow-backend", "Ready", "False", "Unready resources: backend"},
			"no composition":     {app, "team-a", "no-composition", "Synced", "False", "not found"},
			"claim":              {queue, "team-b", "events", "Ready", "True", ""},
			"waiting claim":      {queue, "team-b", "slow", "Ready", "False", ""},
			"definition":         {definitions, "", "apps.platform.example.org", "Established", "True", ""},
			"offered definition": {definitions, "", "xqueues.platform.example.org", "Offered", "True", ""},
			"package":            {providers, "", "provider-kubernetes", "Healthy", "True", ""},
			"missing package":    {providers, "", "provider-missing", "Installed", "False", "cannot unpack package"},
			"package conflict":   {providers, "", "provider-nop-fork", "Healthy", "False", "already controlled by"},
			"unmet dependency":   {"pkg.crossplane.io/v1 Configuration", "", "platform-next", "Healthy", "False", "missing dependencies"},
			"operation":          {"ops.crossplane.io/v1alpha1 Operation", "", "broken", "Succeeded", "False", "failure limit"},
			"usage":              {"protection.crossplane.io/v1beta1 Usage", "team-a", "settings-are-used", "Ready", "True", ""},
			"Flux":               {"kustomize.toolkit.fluxcd.io/v1 Kustomization", "flux-system", "team-b", "Ready", "False", "build failed"},
		} {
			t.Run(reason, func(t *testing.T) {
				eventually(t, func(ctx context.Context) error { return w.check(ctx, a) })
			})
		}
	})

	t.Run("Deleting", func(t *testing.T) {
		for _, w := range []want{
			{kind: objects, namespace: "team-b", name: "stuck-deleting"},
			{kind: "ec2.aws.upbound.io/v1beta1 SecurityGroup", name: "in-use"},
		} {
			o, err := w.get(t.Context(), a)
			if err != nil || o.GetDeletionTimestamp() == nil {
				t.Errorf("%s should be about to be deleted, held back by a finalizer: got %v, %v", w.name, o, err)
			}
		}
	})

	t.Run("Drift", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var drift sync.WaitGroup
		drift.Go(func() { s.Drift(ctx) })
		defer drift.Wait()
		defer cancel()
		client, err := kubernetes.NewForConfig(plane.RESTConfig())
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, func(ctx context.Context) error { return corrected(ctx, client, "two-masters", 2) })
	})

	t.Run("AWS", func(t *testing.T) { changesInAWS(t, s, plane) })
}

// changesInAWS has the exporter read CloudTrail, which at first it may not, and Prometheus read the exporter.
func changesInAWS(t *testing.T, s *scenario.Scenario, plane *controlplane.ControlPlane) {
	t.Setenv("AWS_PROFILE", "that-of-whoever-runs-this") // which the exporter must not see
	account, err := aws.Start(t.Context(), aws.Config{
		REST: plane.RESTConfig(), Log: slog.New(slog.DiscardHandler), Every: 100 * time.Millisecond, Poll: 150 * time.Millisecond,
	})
	check(t, err)
	t.Cleanup(func() { check(t, account.Stop()) })
	account.Refuse(&awstest.Fault{
		Status: 400, Code: "AccessDeniedException",
		Message: "User: arn:aws:sts::111122223333:assumed-role/monitoring/1 is not authorized to perform: cloudtrail:LookupEvents because no identity-based policy allows the cloudtrail:LookupEvents action",
	})

	program, err := programs.BuildExporter(t.Context())
	check(t, err)
	e, err := exporter.Start(t.Context(), exporter.Config{
		Path: program, Kubeconfig: plane.Kubeconfig(), Dir: t.TempDir(), Args: append(account.Args(), "--detail=all"), Env: account.Env(),
	})
	check(t, err)
	t.Cleanup(func() { check(t, e.Stop()) })
	check(t, e.Ready(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	var changes sync.WaitGroup
	changes.Go(func() { account.Run(ctx) })
	t.Cleanup(func() { cancel(); changes.Wait() })

	// What the cloud shows of itself, and what the exporter is to make of it: who changed what, and whom that is.
	changed := []struct{ kind, name, class string }{
		{"Subnet", "public-a", "console"},
		{"VPC", "network-2", "crossplane_role_other_agent"},
		{"Role", "app", "sso"},
		{"Bucket", "assets-1", "role"},
	}
	regions := []string{"eu-central-1", "eu-west-1", "us-east-1"}
	positive := func(n float64) bool { return n > 0 }
	is := func(want float64) func(float64) bool { return func(n float64) bool { return n == want } }

	says := []saying{
		{"resources are seen all the same", "crossplane_exporter_collector_up", []string{`collector="resources"`}, is(1)},
		{"the trail is not", "crossplane_exporter_collector_up", []string{`collector="cloudtrail"`}, is(0)},
		{"and nobody counts what cannot be read", "platform_cloud_api_calls_total", nil, is(0)},
	}
	for _, region := range regions {
		says = append(says,
			saying{"each region says so", "crossplane_exporter_trail_up", []string{`cloud_region="` + region + `"`}, is(0)},
			saying{"each region says so", "platform_cloud_trail_coverage", []string{`cloud_region="` + region + `"`, `coverage="none"`}, is(1)},
		)
	}
	for _, c := range changed {
		says = append(says, saying{"Kubernetes tells of drift", "platform_resource_drift_corrections_total", []string{`name="` + c.name + `"`}, positive})
	}
	await(t, e, says)

	account.Refuse(nil)
	says = []saying{
		{"the trail can be read again", "crossplane_exporter_collector_up", []string{`collector="cloudtrail"`}, is(1)},
		{"the provider is throttled", "platform_cloud_api_throttled_total", []string{`principal_class="crossplane"`, `api_operation="DescribeSubnets"`, `error_code="RequestLimitExceeded"`}, positive},
		{"so is the one who eats the quota", "platform_cloud_api_throttled_total", []string{`principal_class="batch"`}, positive},
		{"the provider is refused", "platform_cloud_api_calls_total", []string{`principal_class="crossplane"`, `outcome="denied"`}, positive},
		{"AWS does things by itself", "platform_cloud_api_calls_total", []string{`principal_class="service_linked"`}, positive},
		{"somebody uses the provider's role", "platform_cloud_provider_role_misuse_total", []string{`principal_class="crossplane_role_other_agent"`, `api_operation="ModifyVpcAttribute"`}, positive},
	}
	for _, region := range regions {
		says = append(says, saying{"each region is read", "crossplane_exporter_trail_up", []string{`cloud_region="` + region + `"`}, is(1)})
	}
	for _, c := range changed {
		by := `principal_class="` + c.class + `"`
		says = append(says,
			saying{"who changed it", "platform_resource_out_of_band_changes_total", []string{`name="` + c.name + `"`, by}, positive},
			saying{"how long it took to put it back", "platform_cloud_revert_seconds_count", []string{`kind="` + c.kind + `"`, by}, positive},
		)
	}
	text := await(t, e, says)
	for _, c := range changed {
		all := sum(text, "platform_resource_out_of_band_changes_total", `name="`+c.name+`"`)
		known := sum(text, "platform_resource_out_of_band_changes_total", `name="`+c.name+`"`, `principal_class="`+c.class+`"`)
		if all != known {
			t.Errorf("%s was changed by class %s alone: got %v changes, %v of them by it", c.name, c.class, all, known)
		}
	}

	log, err := os.ReadFile(e.Log())
	check(t, err)
	for _, region := range regions {
		var lines []string
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, "cannot read audit trail") && strings.Contains(line, "lookup/self/"+region) {
				lines = append(lines, line)
			}
		}
		if len(lines) != 1 || !strings.Contains(lines[0], "allow cloudtrail:LookupEvents") {
			t.Errorf("the log says once which permission is missing in %s: got %q", region, lines)
		}
	}
	readByPrometheus(t, s, e)
}

// A saying is what the exporter says in the end.
type saying struct {
	reason string
	family string
	labels []string // of all that are added up
	want   func(float64) bool
}

// await waits until the exporter says all of it, and returns the metrics in which it does.
func await(t *testing.T, e *exporter.Exporter, says []saying) (text string) {
	t.Helper()
	eventually(t, func(ctx context.Context) (err error) {
		if text, err = e.Metrics(ctx); err != nil {
			return err
		}
		var missing []error
		for _, s := range says {
			if n := sum(text, s.family, s.labels...); !s.want(n) {
				missing = append(missing, fmt.Errorf("%s: got %s%v %v", s.reason, s.family, s.labels, n))
			}
		}
		return errors.Join(missing...)
	})
	return text
}

// sum adds up the samples of a family that have those labels.
func sum(text, family string, labels ...string) (total float64) {
lines:
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, family+"{") {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(line, l) {
				continue lines
			}
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			return math.NaN()
		}
		total += n
	}
	return total
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w want) get(ctx context.Context, a *apply.Applier) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	version, kind, _ := strings.Cut(w.kind, " ")
	o.SetAPIVersion(version)
	o.SetKind(kind)
	o.SetNamespace(w.namespace)
	r, err := a.Resource(o)
	if err != nil {
		return nil, err
	}
	return r.Get(ctx, w.name, metav1.GetOptions{})
}

func (w want) check(ctx context.Context, a *apply.Applier) error {
	o, err := w.get(ctx, a)
	if err != nil {
		return err
	}
	c, ok := apply.Condition(o, w.condition)
	message, _ := c["message"].(string)
	if !ok || c["status"] != w.status || !strings.Contains(message, w.message) {
		return fmt.Errorf("condition %s of %s: got %v, want %s with a message that contains %q", w.condition, w.name, c, w.status, w.message)
	}
	return nil
}

// corrected is nil when the provider has put an Object's ConfigMap back at least n times.
func corrected(ctx context.Context, client kubernetes.Interface, name string, n int32) error {
	events, err := client.CoreV1().Events(corev1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: "reason=UpdatedExternalResource,involvedObject.name=" + name,
	})
	if err != nil {
		return err
	}
	for _, e := range events.Items {
		n -= e.Count
	}
	if n > 0 {
		return fmt.Errorf("%d corrections of %s are missing", n, name)
	}
	return nil
}

// eventually waits until check is content.
func eventually(t *testing.T, check func(context.Context) error) {
	t.Helper()
	deadline := time.After(90 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(t.Context())
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatal(err)
		case <-tick.C:
		}
	}
}
