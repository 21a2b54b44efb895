package deploy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"crossplane-exporter/playground/deploy/manifests"
	"crossplane-exporter/playground/deploy/node"
	"crossplane-exporter/playground/programs"
)

// buckets is how many objects there are for the exporter to see.
const buckets = 20

// A release is one of the chart, in a namespace that is called like it, with what it takes to change it.
type release struct {
	name, namespace string
	node            *node.Node
	bin             string
	script, chart   string
}

// TestUpgrade installs the exporter with deploy/upgrade.sh, and upgrades it to versions that are good, broken and half broken, on
// Kubernetes' own controllers. While it does, there must always be an exporter that is ready and says what there is to say.
func TestUpgrade(t *testing.T) {
	r := newRelease(t, "upgrade", images(t, "v1", "v2", "mortal"))
	visible(t, r.namespace)

	out := r.upgrade(t, 0, nil, "--set", "image.tag=v1")
	r.serves(t, "v1")
	if !strings.Contains(out, "now, revision 1: ") {
		t.Errorf("it does not say what the new version sees:\n%s", out)
	}
	if again := r.upgrade(t, 0, nil, "--set", "image.tag=v1"); !strings.Contains(again, "before, revision 1: ") {
		t.Errorf("run again, it does not say what there was before:\n%s", again)
	}
	noted, all, left := r.noted(t), r.objects(t, ""), r.objects(t, `group="s3.aws.upbound.io"`)
	if left < buckets {
		t.Fatalf("of %d buckets it sees %d", buckets, left)
	}

	steps := []struct {
		name, reason string
		flags        []string
		env          []string
		status       int
		says         string // in what the script prints
		version      string // that serves afterwards
		less         bool   // before or afterwards, buckets are left out on purpose
	}{
		{
			name: "Good", reason: "A version that sees what the old one saw replaces it.",
			flags: []string{"--set", "image.tag=v2"}, says: "now, revision ", version: "v2",
		},
		{
			name: "NoImage", reason: "A version that cannot be pulled never takes the place of the one that serves.",
			flags: []string{"--set", "image.tag=v3"}, env: []string{"TIMEOUT=4s"}, status: 1, says: "ErrImagePull: no image crossplane-exporter:v3", version: "v2",
		},
		{
			name: "Crash", reason: "Nor does one that does not start, and its log says why.",
			flags: []string{"--set", "image.tag=v1,extraArgs={--no-such-flag}"}, env: []string{"TIMEOUT=4s"}, status: 1, says: "unknown flag --no-such-flag", version: "v2",
		},
		{
			name: "SeesFewerKinds", reason: "One that is ready but leaves kinds out is half broken.",
			flags: []string{"--set", "image.tag=v1,exporter.exclude={s3.aws.upbound.io/*}"}, env: []string{"SETTLE=1"}, status: 1, says: "the new version sees less: ", version: "v2",
		},
		{
			name: "Dies", reason: "One that was ready once and is not any more does not pass for the old one, which still is.",
			flags: []string{"--set", "image.tag=mortal"}, env: []string{"SETTLE=2"}, status: 1, says: "the new version is not ready", version: "v2",
		},
		{
			name: "NoSuchValue", reason: "What helm does not even begin leaves no trace.",
			flags: []string{"--set", "replicas=2"}, status: 1, says: "'replicas' not allowed", version: "v2",
		},
		{
			name: "NoSuchCluster", reason: "That helm knows nothing does not mean that there is nothing.",
			env: []string{"KUBE_CONTEXT=none"}, status: 2, says: `context "none" does not exist`, version: "v2",
		},
		{
			name: "MayReadLess", reason: "So is one whose rights were taken away, and the kinds are named.",
			flags: []string{"--set", "image.tag=v1,rbac.aggregate=false"}, env: []string{"SETTLE=1"}, status: 1, says: "not readable: s3.aws.upbound.io/Bucket: forbidden", version: "v2",
		},
		{
			name: "MeantToSeeLess", reason: "Who leaves kinds out on purpose can say so.",
			flags: []string{"--set", "image.tag=v1,exporter.exclude={s3.aws.upbound.io/*}"}, env: []string{"EXPECT_LESS=yes"}, says: "now, ", version: "v1", less: true,
		},
		{
			name: "BackToAll", reason: "And put them in again.",
			flags: []string{"--set", "image.tag=v2"}, says: fmt.Sprintf("%d objects", all), version: "v2", less: true,
		},
	}
	for _, step := range steps {
		if !t.Run(step.name, func(t *testing.T) {
			least := all
			if step.less {
				least -= left
			}
			// The step before may have taken the collected rights away and brought them back, which the control plane fills in its own time.
			eventually(t, "the rights are collected", func(ctx context.Context) error {
				role, err := client.RbacV1().ClusterRoles().Get(ctx, r.name+"-crossplane-exporter-aggregate", metav1.GetOptions{})
				if err == nil && len(role.Rules) == 0 {
					err = errors.New("there are none")
				}
				return err
			})
			stop := r.uninterrupted(t, least)
			out := r.upgrade(t, step.status, step.env, step.flags...)
			stop()
			if !strings.Contains(out, step.says) {
				t.Errorf("%s\nIt does not say %q:\n%s", step.reason, step.says, out)
			}
			r.serves(t, step.version)
		}) {
			return // What follows builds on it.
		}
	}

	t.Run("Interrupted", func(t *testing.T) {
		stop := r.uninterrupted(t, all)
		r.interrupt(t, "\tpending-upgrade", nil, "--set", "image.tag=v3")
		out := r.upgrade(t, 0, []string{"TIMEOUT=15s"}, "--set", "image.tag=v1")
		stop()
		if !strings.Contains(out, "an earlier change was not finished: back to revision ") {
			t.Errorf("it does not say what it found:\n%s", out)
		}
		r.serves(t, "v1")
	})
	t.Run("InterruptedOnTrial", func(t *testing.T) {
		// What was not found good must not be what the next run compares with.
		less := []string{"--set", "image.tag=v2,exporter.exclude={s3.aws.upbound.io/*}"}
		stop := r.uninterrupted(t, all)
		r.interrupt(t, "\tupgrade.sh: on trial after revision ", nil, less...)
		out := r.upgrade(t, 1, []string{"TIMEOUT=15s", "SETTLE=1"}, less...)
		stop()
		for _, want := range []string{"an earlier change was not finished: back to revision ", "the new version sees less: "} {
			if !strings.Contains(out, want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
		r.serves(t, "v1")
	})
	t.Run("UnderWay", func(t *testing.T) {
		// What somebody is just about is not taken back by somebody else.
		busy := r.start(t, nil, "--set", "image.tag=v2")
		r.status(t, "\tpending-upgrade")
		out := r.upgrade(t, 0, []string{"TIMEOUT=1m"}, "--set", "image.tag=v1")
		if strings.Contains(out, "back to revision") || !strings.Contains(out, " s, it is taken back") {
			t.Errorf("it does not wait for the other:\n%s", out)
		}
		if err := busy.Wait(); busy.ProcessState.ExitCode() == 1 {
			t.Errorf("the other ended with %v: it has taken back what was not its own", err)
		}
		r.serves(t, "v1")
	})
	t.Run("Values", func(t *testing.T) {
		// Values are those that helm would take, and none is left of the trial.
		for _, flags := range [][]string{{"--set", "image.tag=v2,revisionHistoryLimit=4"}, nil, {"--reuse-values", "--set", "image.tag=v1"}} {
			r.upgrade(t, 0, nil, flags...)
			values, err := r.helm(t.Context(), "get", "values", r.name)
			check(t, err)
			if !strings.Contains(values, "revisionHistoryLimit: 4") || strings.Contains(values, "minReadySeconds") {
				t.Errorf("with the flags %q the values are\n%s", flags, values)
			}
		}
		r.serves(t, "v1")
	})
	t.Run("Checkpoint", func(t *testing.T) {
		if now := r.noted(t); now < noted/2 { // the same compresses to a few bytes more or less
			t.Errorf("what was noted before the upgrades is gone: %d bytes, then %d", noted, now)
		}
	})
	t.Run("Test", func(t *testing.T) {
		if out, err := r.helm(t.Context(), "test", r.name, "--logs", "--timeout", "30s"); err != nil || !strings.Contains(out, "objects") {
			t.Errorf("helm test: %v\n%s", err, out)
		}
		_, err := r.helm(t.Context(), "upgrade", r.name, r.chart, "--set", "image.tag=v1,rbac.aggregate=false", "--wait", "--timeout", "1m")
		check(t, err)
		if out, err := r.helm(t.Context(), "test", r.name, "--logs", "--timeout", "30s"); err == nil || !strings.Contains(out, "buckets.s3.aws.upbound.io") {
			t.Errorf("helm test, without the right to read buckets: %v\n%s", err, out)
		}
	})
}

// TestFirstInstall leaves nothing where the first version does not work, and says why it does not.
func TestFirstInstall(t *testing.T) {
	r := newRelease(t, "first", nil)
	space, err := client.CoreV1().Namespaces().Get(t.Context(), r.namespace, metav1.GetOptions{})
	check(t, err)
	space.Labels["pod-security.kubernetes.io/enforce"] = "restricted" // which the chart's pods are fit for by default
	_, err = client.CoreV1().Namespaces().Update(t.Context(), space, metav1.UpdateOptions{})
	check(t, err)
	for says, flags := range map[string][]string{
		": ErrImagePull: no image ":                nil,
		`violates PodSecurity "restricted:latest"`: {"--set", "securityContext.allowPrivilegeEscalation=true"},
	} {
		out := r.upgrade(t, 1, []string{"TIMEOUT=3s"}, flags...)
		for _, says := range []string{says, "nothing was installed before, and nothing is now"} {
			if !strings.Contains(out, says) {
				t.Errorf("it does not say %q:\n%s", says, out)
			}
		}
	}
	deployments, err := client.AppsV1().Deployments(r.namespace).List(t.Context(), metav1.ListOptions{})
	check(t, err)
	if len(deployments.Items) > 0 {
		t.Errorf("%d deployments are left", len(deployments.Items))
	}
	if out, err := r.helm(t.Context(), "history", r.name); err == nil || !strings.Contains(err.Error(), "release: not found") {
		t.Errorf("the release is left: %v %s", err, out)
	}
}

// TestFailedInstall upgrades a release of which helm says that it failed, though it serves: there is nothing to go back to, and so it is
// left alone.
func TestFailedInstall(t *testing.T) {
	r := newRelease(t, "failed", images(t, "v1"))
	visible(t, r.namespace)
	if _, err := r.helm(t.Context(), "install", r.name, r.chart, "--set", "image.tag=v1", "--wait", "--timeout", "1ms"); err == nil {
		t.Fatal("it is ready sooner than helm can look")
	}
	r.serves(t, "v1")
	stop := r.uninterrupted(t, buckets)
	out := r.upgrade(t, 2, []string{"TIMEOUT=4s"}, "--set", "image.tag=v2")
	if !strings.Contains(out, "there is no revision to go back to") {
		t.Errorf("it does not say why it leaves things as they are:\n%s", out)
	}
	r.upgrade(t, 0, nil, "--set", "image.tag=v1")
	stop()
	r.serves(t, "v1")
}

// TestStack installs the chart with the values for kube-prometheus-stack, TLS and basic auth. The exporter serves nobody without a
// password, and the script knows how to ask. Helm keeps the release in a Secret, which takes 1 MiB.
func TestStack(t *testing.T) {
	crds, err := manifests.Definitions(t.Context())
	check(t, err)
	for _, crd := range crds {
		check(t, applier.Apply(t.Context(), crd))
	}
	r := newRelease(t, "stack", images(t, "0.1.0"))
	visible(t, r.namespace)
	certificate := make(map[string][]byte)
	for _, file := range []string{"tls.crt", "tls.key", "ca.crt"} {
		certificate[file], err = os.ReadFile(filepath.Join(plane.CertificateDir(), file))
		check(t, err)
	}
	for name, data := range map[string]map[string][]byte{
		"tls": certificate,
		"web": {
			"username": []byte("prometheus"), "password": []byte("playground"),
			"web-config.yml": []byte("tls_server_config:\n  cert_file: ../tls/tls.crt\n  key_file: ../tls/tls.key\nbasic_auth_users:\n  prometheus: " + playground + "\n"),
		},
	} {
		_, err := client.CoreV1().Secrets(r.namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}, metav1.CreateOptions{})
		check(t, err)
	}
	values, err := manifests.Dir("kube-prometheus-stack", "crossplane-exporter.yaml")
	check(t, err)
	flags := []string{"--values", values, "--set", "web.tls.secretName=tls,web.basicAuth.secretName=web,minReadySeconds=1"}
	r.upgrade(t, 0, []string{"SCHEME=https", "CURL_FLAGS=--user prometheus:playground"}, flags...)

	pods, err := r.ready(t.Context())
	if err != nil || len(pods) != 1 {
		t.Fatalf("%d pods are ready (%v)", len(pods), err)
	}
	address, err := r.node.Address(r.namespace, pods[0])
	check(t, err)
	for _, url := range []string{"http://" + address, "https://" + address} {
		if text, err := get(t.Context(), url+"/metrics"); err == nil {
			t.Errorf("%s serves who has no password:\n%.200s", url, text)
		}
	}
	out := r.upgrade(t, 1, []string{"SCHEME=https", "CURL_FLAGS=--user prometheus:wrong", "SETTLE=0"}, flags...)
	if !strings.Contains(out, "401") {
		t.Errorf("with a wrong password, it does not say so:\n%s", out)
	}

	secrets, err := client.CoreV1().Secrets(r.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
	check(t, err)
	for _, s := range secrets.Items {
		if n := base64.StdEncoding.EncodedLen(len(s.Data["release"])); n > 1<<20/2 {
			t.Errorf("%s has %d bytes: there will be no room for the release", s.Name, n)
		}
	}
	if len(secrets.Items) == 0 {
		t.Error("no Secret of a release was found")
	}
}

// TestShards installs the examples of an exporter that is shared out: each kind that one exporter would watch is watched by one of them.
// It upgrades them to versions that are good, broken and half broken, and to another number of shards.
func TestShards(t *testing.T) {
	installKinds(t)
	image := images(t, "v1", "v2")
	values, err := manifests.Values()
	check(t, err)
	alone := 0
	type step struct {
		name, reason string
		flags        string
		status       int
		says         string
		pods         int
		version      string
	}
	broken := []step{
		{"NoImage", "A pod that never starts is in the way of the one that is to come back.", "image.tag=v3", 1, "ErrImagePull: no image crossplane-exporter:v3", 0, "v2"},
		{"Crash", "So is one that does not start.", "image.tag=v1,extraArgs={--no-such-flag}", 1, "unknown flag --no-such-flag", 0, "v2"},
		{"SeesFewerKinds", "All shards together are compared.", "image.tag=v1,exporter.exclude={s3.aws.upbound.io/*}", 1, "the new version sees less: ", 0, "v2"},
	}
	for _, tc := range []struct {
		name  string
		pods  int
		steps []step
	}{
		{"default", 1, []step{{"ToShards", "A Deployment becomes a StatefulSet.", "image.tag=v1,shards=2", 0, "now, revision", 2, "v1"}, {"ToOne", "And back.", "image.tag=v1,shards=1", 0, "now, revision", 1, "v1"}}},
		{"shards", 3, append(broken[:1:1], step{"Fewer", "The kinds are shared out anew.", "image.tag=v2,shards=2", 0, "now, revision", 2, "v2"})},
		{"shards-volume", 2, append(broken[:3:3], step{"More", "The kinds are shared out anew.", "image.tag=v2,shards=3", 0, "now, revision", 3, "v2"})},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRelease(t, "share-"+tc.name, image)
			flags := slices.Concat(values[tc.name], []string{"--set", "cloudtrail.source=none,rbac.groups={aws.upbound.io,aws.m.upbound.io,s3.aws.upbound.io,platform.example.org}"})
			out := r.upgrade(t, 0, nil, append(slices.Clone(flags), "--set", "image.tag=v1")...)
			watched := r.shared(t, tc.pods, "v1")
			if tc.name == "default" {
				alone = watched
			}
			if said := fmt.Sprintf(": %d readable kinds, ", watched); !strings.Contains(out, said) {
				t.Errorf("upgrade.sh does not see %q:\n%s", said, out)
			}
			steps := append([]step{{"Good", "One pod after the other is replaced.", "image.tag=v2", 0, "now, revision", tc.pods, "v2"}}, tc.steps...)
			for _, s := range steps {
				if !t.Run(s.name, func(t *testing.T) {
					out := r.upgrade(t, s.status, []string{"TIMEOUT=" + map[bool]string{true: "20s", false: "2m"}[s.status == 1], "SETTLE=10"}, append(slices.Clone(flags), "--set", s.flags)...)
					if !strings.Contains(out, s.says) {
						t.Errorf("%s\nIt does not say %q:\n%s", s.reason, s.says, out)
					}
					pods := s.pods
					if pods == 0 {
						pods = tc.pods
					}
					watched = r.shared(t, pods, s.version)
				}) {
					break
				}
			}
			if watched != alone {
				t.Errorf("together they watch %d kinds, one exporter watches %d", watched, alone)
			}
		})
	}
}

// shared is how many kinds the exporters watch together, when so many are ready, all of that version, and may read what they watch.
func (r *release) shared(t *testing.T, pods int, version string) int {
	t.Helper()
	watched := 0
	eventually(t, fmt.Sprintf("%d exporters of version %s are ready", pods, version), func(ctx context.Context) error {
		ready, err := r.ready(ctx)
		if err != nil || len(ready) != pods {
			return fmt.Errorf("ready are %v (%w)", ready, err)
		}
		watched = 0
		for _, pod := range ready {
			text, err := r.metrics(ctx, pod)
			if err != nil {
				return err
			}
			kinds := 0
			_, rest, _ := strings.Cut(text, "\ncrossplane_exporter_kinds_watched ")
			if _, err := fmt.Sscan(rest, &kinds); err != nil || kinds == 0 || !strings.Contains(text, "\ncrossplane_exporter_kinds_forbidden 0\n") || !strings.Contains(text, `version="`+version+`"`) {
				return fmt.Errorf("%s watches %d kinds (%w), and is %s\n%s", pod, kinds, err, buildInfo(text), said(text))
			}
			watched += kinds
		}
		return nil
	})
	return watched
}

// playground is the word as basic auth has it, by bcrypt.
const playground = "$2a$04$j2P0KgniREoFYpt.C8EFheVc67TCQBNO.Ejkn8zgMkoNVCdN5IWa6"

func newRelease(t *testing.T, space string, images map[string]string) *release {
	t.Helper()
	bin, err := programs.Build(t.Context(), "helm", "kubectl")
	check(t, err)
	namespace(t, space)
	n, err := node.Start(t.Context(), plane, images)
	check(t, err)
	t.Cleanup(func() { check(t, n.Stop()) })
	script, err := manifests.Dir("upgrade.sh")
	check(t, err)
	chart, err := manifests.Chart()
	check(t, err)
	return &release{name: space, namespace: space, node: n, bin: bin, script: script, chart: chart}
}

// images builds the exporter in versions, and names the images that the chart asks for. The version mortal is testdata/mortal.go.
func images(t *testing.T, versions ...string) map[string]string {
	t.Helper()
	root, err := programs.Root()
	check(t, err)
	m := make(map[string]string)
	for _, v := range versions {
		path := filepath.Join(t.TempDir(), "crossplane-exporter")
		pkg := "./cmd/crossplane-exporter"
		if v == "mortal" {
			pkg = "./playground/deploy/testdata/mortal.go"
		}
		cmd := exec.CommandContext(t.Context(), "go", "-C", root, "build", "-o", path, "-ldflags=-X github.com/prometheus/common/version.Version="+v, pkg)
		cmd.Env = append(os.Environ(), "GOWORK=off")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("build %s: %v\n%s", v, err, out)
		}
		m["crossplane-exporter:"+v] = path
	}
	return m
}

// visible makes what there is to see, and a ClusterRole to view it as Crossplane's RBAC manager makes them.
func visible(t *testing.T, space string) {
	t.Helper()
	define(t, "s3.aws.upbound.io", "Bucket", "buckets", "crossplane", "managed")
	_, err := client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: space, Labels: map[string]string{"rbac.crossplane.io/aggregate-to-view": "true"}},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"s3.aws.upbound.io", "aws.upbound.io", "aws.m.upbound.io", "platform.example.org"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"},
		}},
	}, metav1.CreateOptions{})
	check(t, err)
	for i := range buckets {
		check(t, applier.Apply(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "s3.aws.upbound.io/v1", "kind": "Bucket", "metadata": map[string]any{"namespace": space, "name": "bucket-" + strconv.Itoa(i)},
			"status": map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True", "reason": "Available"}}},
		}}))
	}
}

// upgrade runs the script, which has to end with that status, and returns what it prints.
func (r *release) upgrade(t *testing.T, status int, env []string, flags ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.script, append([]string{r.name, r.namespace, r.chart}, flags...)...)
	cmd.Env = append(r.env(), env...)
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != status {
		t.Fatalf("upgrade.sh %q %q ended with %d (%v), want %d:\n%s", env, flags, got, err, status, out)
	}
	return string(out)
}

// interrupt runs the script until helm says something of the release, and ends both as a machine does that loses its power.
func (r *release) interrupt(t *testing.T, says string, env []string, flags ...string) {
	t.Helper()
	cmd := r.start(t, env, flags...)
	r.status(t, says)
	check(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL))
	if err := cmd.Wait(); err == nil {
		t.Error("it ended well, though it was killed")
	}
}

// start starts the script, in a process group of its own.
func (r *release) start(t *testing.T, env []string, flags ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), r.script, append([]string{r.name, r.namespace, r.chart}, flags...)...)
	cmd.Env = append(r.env(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	check(t, cmd.Start())
	return cmd
}

// status waits until helm says something of the newest revision.
func (r *release) status(t *testing.T, says string) {
	t.Helper()
	eventually(t, fmt.Sprintf("helm says %q", says), func(ctx context.Context) error {
		out, err := r.helm(ctx, "history", r.name, "--max", "1")
		if err == nil && !strings.Contains(out, says) {
			err = errors.New(out)
		}
		return err
	})
}

func (r *release) helm(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.bin, "helm"), append([]string{"--namespace", r.namespace}, args...)...)
	cmd.Env = r.env()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("helm %s: %w: %s", args[0], err, stderr.Bytes())
	}
	return stdout.String(), nil
}

func (r *release) env() []string {
	return append(os.Environ(), "PATH="+r.bin+":"+os.Getenv("PATH"), "KUBECONFIG="+plane.Kubeconfig())
}

// ready is the pods that a Service would lead to.
func (r *release) ready(ctx context.Context) ([]string, error) {
	list, err := client.CoreV1().Pods(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=crossplane-exporter,app.kubernetes.io/instance=" + r.name})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range list.Items {
		for _, c := range p.Status.Conditions {
			if p.DeletionTimestamp == nil && c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				names = append(names, p.Name)
			}
		}
	}
	return names, nil
}

// serves is that one exporter serves, of that version.
func (r *release) serves(t *testing.T, version string) {
	t.Helper()
	eventually(t, "version "+version+" serves", func(ctx context.Context) error {
		pods, err := r.ready(ctx)
		if err != nil || len(pods) != 1 {
			return fmt.Errorf("ready are %v (%w)", pods, err)
		}
		text, err := r.metrics(ctx, pods[0])
		if err == nil && !strings.Contains(text, `crossplane_exporter_build_info{`) || !strings.Contains(text, `version="`+version+`"`) {
			return fmt.Errorf("it is of another version: %v", buildInfo(text))
		}
		return err
	})
}

func buildInfo(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "crossplane_exporter_build_info") {
			return line
		}
	}
	return "none"
}

// objects is how many the exporter that serves sees, of those with that label.
func (r *release) objects(t *testing.T, label string) int {
	t.Helper()
	pods, err := r.ready(t.Context())
	check(t, err)
	if len(pods) == 0 {
		t.Fatal("no exporter is ready")
	}
	text, err := r.metrics(t.Context(), pods[0])
	check(t, err)
	return count(t, text, label)
}

// count is the sum of platform_resources with that label.
func count(t *testing.T, text, label string) int {
	t.Helper()
	var sum float64
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "platform_resources{") && strings.Contains(line, label) {
			n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
			check(t, err)
			sum += n
		}
	}
	return int(sum)
}

func (r *release) metrics(ctx context.Context, pod string) (string, error) {
	address, err := r.node.Address(r.namespace, pod)
	if err != nil {
		return "", err
	}
	return get(ctx, "http://"+address+"/metrics")
}

// uninterrupted looks, until the function that it returns is called, whether there is always an exporter that is ready and sees at least
// so many objects: as Prometheus would, but all the time.
func (r *release) uninterrupted(t *testing.T, least int) (stop func()) {
	t.Helper()
	const period = 20 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	scrapes, holes := 0, 0
	wg.Go(func() {
		for ctx.Err() == nil {
			// A pod may go between being listed and being asked.
			most, err := 0, error(nil)
			for try := 0; try < 3 && (err != nil || most < least) && ctx.Err() == nil; try++ {
				var pods []string
				if pods, err = r.ready(ctx); err == nil && len(pods) == 0 {
					err = errors.New("no exporter is ready")
				}
				for _, pod := range pods {
					var text string
					if text, err = r.metrics(ctx, pod); err == nil {
						most = max(most, count(t, text, ""))
					}
				}
			}
			if most >= least {
				err = nil
			} else if err == nil {
				err = fmt.Errorf("%d objects are seen, of %d", most, least)
			}
			scrapes++
			if err != nil && ctx.Err() == nil {
				if holes++; holes == 1 {
					t.Logf("the first hole: %v", err)
				}
			}
			time.Sleep(period)
		}
	})
	return func() {
		cancel()
		wg.Wait()
		if holes > 0 || scrapes == 0 {
			t.Errorf("of %d scrapes %d found no exporter that is ready and sees what there is", scrapes, holes)
		}
	}
}

// noted is how many bytes the checkpoint has, when something has happened that is noted.
func (r *release) noted(t *testing.T) int {
	t.Helper()
	somethingHappens(t, r.namespace)
	size := 0
	eventually(t, "a checkpoint is saved", func(ctx context.Context) error {
		c, err := client.CoreV1().ConfigMaps(r.namespace).Get(ctx, r.name+"-crossplane-exporter-checkpoint", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			t.Fatal(err) // the chart makes it
		}
		if err == nil && len(c.BinaryData["checkpoint"]) == 0 {
			err = errors.New("it is empty")
		}
		if err == nil {
			size = len(c.BinaryData["checkpoint"])
		}
		return err
	})
	return size
}

// scraper is a client that takes any certificate: it is not what is tried here.
var scraper = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := scraper.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	return string(body), err
}
