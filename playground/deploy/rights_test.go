package deploy_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/deploy/manifests"
	"crossplane-exporter/playground/exporter"
	"crossplane-exporter/playground/process"
	"crossplane-exporter/playground/programs"
)

// A platformKind is a kind that the exporter watches beside what Crossplane defines.
type platformKind struct{ group, kind, resource string }

// platform has for each row of the exporter's own table kinds that it matches. Those that Crossplane has are installed from its module.
var platform = map[string][]platformKind{
	"*/ProviderConfig":        {{"aws.upbound.io", "ProviderConfig", "providerconfigs"}},
	"*/ClusterProviderConfig": {{"aws.m.upbound.io", "ClusterProviderConfig", "clusterproviderconfigs"}},
	"*.toolkit.fluxcd.io/*": {
		{"helm.toolkit.fluxcd.io", "HelmRelease", "helmreleases"},
		{"image.toolkit.fluxcd.io", "ImageRepository", "imagerepositories"},
		{"kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations"},
		{"notification.toolkit.fluxcd.io", "Alert", "alerts"},
		{"source.toolkit.fluxcd.io", "GitRepository", "gitrepositories"},
	},
	"argoproj.io/Application":    {{"argoproj.io", "Application", "applications"}},
	"argoproj.io/ApplicationSet": {{"argoproj.io", "ApplicationSet", "applicationsets"}},
	"external-secrets.io/*":      {{"external-secrets.io", "ExternalSecret", "externalsecrets"}, {"external-secrets.io", "SecretStore", "secretstores"}},
	"cert-manager.io/*": {
		{"cert-manager.io", "Certificate", "certificates"},
		{"cert-manager.io", "ClusterIssuer", "clusterissuers"},
		{"cert-manager.io", "Issuer", "issuers"},
	},
	"kyverno.io/Policy":                             {{"kyverno.io", "Policy", "policies"}},
	"kyverno.io/ClusterPolicy":                      {{"kyverno.io", "ClusterPolicy", "clusterpolicies"}},
	"gateway.networking.k8s.io/Gateway":             {{"gateway.networking.k8s.io", "Gateway", "gateways"}},
	"gateway.networking.k8s.io/GatewayClass":        {{"gateway.networking.k8s.io", "GatewayClass", "gatewayclasses"}},
	"pkg.crossplane.io/DeploymentRuntimeConfig":     nil,
	"pkg.crossplane.io/ControllerConfig":            nil,
	"pkg.crossplane.io/ImageConfig":                 nil,
	"pkg.crossplane.io/*":                           nil,
	"apiextensions.crossplane.io/EnvironmentConfig": nil,
	"apiextensions.crossplane.io/Usage":             nil,
	"apiextensions.crossplane.io/*":                 nil,
	"ops.crossplane.io/*":                           nil,
	"protection.crossplane.io/*":                    nil,
}

// TestRights runs the exporter as the chart's service account, with the rights that the chart gives it and Crossplane's own RBAC manager
// adds to, on a cluster with every kind that it looks for. With all rights it sees everything; without any one of them it says by
// name what it cannot do.
func TestRights(t *testing.T) {
	const space = "rights"
	namespace(t, space)
	installKinds(t)
	objects, err := manifests.Helm(t.Context(), "crossplane-exporter", space, "--set", "exporter.teamLabel=team")
	check(t, err)
	for _, o := range objects {
		if o.GetKind() != "Pod" && o.GetKind() != "Deployment" {
			check(t, applier.Apply(t.Context(), o))
		}
	}
	startRBACManager(t)
	all := rights(t, objects, space)
	const account = "crossplane-exporter" // as the chart calls it
	e := watch(t, space, account)
	eventually(t, "everything can be read, once Crossplane and the control plane have put the rights together", func(ctx context.Context) error {
		text, err := e.Metrics(ctx)
		if err != nil {
			return err
		}
		for _, want := range []string{
			"\ncrossplane_exporter_kinds_forbidden 0\n",
			"\ncrossplane_exporter_collector_up{collector=\"resources\"} 1\n",
			"\ncrossplane_exporter_checkpoint_failures_total 0\n",
		} {
			if !strings.Contains(text, want) {
				return fmt.Errorf("it does not say %q:\n%s", want, said(text))
			}
		}
		return e.Ready(ctx)
	})
	somethingHappens(t, space)
	eventually(t, "a checkpoint is saved", func(ctx context.Context) error {
		text, err := e.Metrics(ctx)
		if err == nil && strings.Contains(text, "\ncrossplane_exporter_checkpoint_timestamp_seconds 0\n") {
			err = errors.New("none was")
		}
		return err
	})
	check(t, e.Stop())
	log, err := os.ReadFile(e.Log())
	check(t, err)
	for line := range strings.Lines(string(log)) {
		// Until the rights are put together some are missing, and that is said of kinds.
		if strings.Contains(line, "forbidden") && !strings.Contains(line, "kind may not be read") {
			t.Error(line)
		}
	}

	t.Run("NoMore", func(t *testing.T) { noMore(t, space, account) })
	t.Run("ByName", func(t *testing.T) { byName(t, space) })
	for name, r := range all {
		t.Run("Without "+name, func(t *testing.T) {
			t.Parallel()
			without(t, space, name, r)
		})
	}
}

// A right is one that the chart gives, and what the exporter says when it does not have it.
type right struct {
	cluster, own []rbacv1.PolicyRule // what is left of the ClusterRole and of the Role
	says         string              // in the log, on /-/ready or in the metrics
}

// rights are those that the chart gives, by their names.
func rights(t *testing.T, objects []*unstructured.Unstructured, space string) map[string]right {
	t.Helper()
	var cluster, own []rbacv1.PolicyRule
	for _, o := range objects {
		var role rbacv1.ClusterRole
		if o.GetName() != "crossplane-exporter" || !strings.HasSuffix(o.GetKind(), "Role") {
			continue
		}
		check(t, runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &role))
		if o.GetKind() == "Role" {
			own = role.Rules
		} else {
			cluster = role.Rules
		}
	}
	all := make(map[string]right)
	for i, rule := range cluster {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				r := right{cluster: less(cluster, i, group, resource), own: own}
				switch resource {
				case "customresourcedefinitions":
					r.says = "CustomResourceDefinitions may not be listed and watched"
				case "*":
					r.says = fmt.Sprintf("group=%q", group)
				default:
					r.says = fmt.Sprintf("group=%q,resource=%q", group, resource)
				}
				all[group+" "+resource] = r
			}
		}
	}
	for _, rule := range own {
		for _, verb := range rule.Verbs {
			left := rule.DeepCopy()
			left.Verbs = slices.DeleteFunc(left.Verbs, func(v string) bool { return v == verb })
			all["configmaps "+verb] = right{
				cluster: cluster, own: []rbacv1.PolicyRule{*left},
				says: fmt.Sprintf(`configmaps \"crossplane-exporter-checkpoint\" is forbidden: User \"system:serviceaccount:%s:without-configmaps-%s\" cannot %s`, space, verb, verb),
			}
		}
	}
	const few = 15
	if len(all) < few {
		t.Fatalf("there are %d rights: %v", len(all), slices.Sorted(maps.Keys(all)))
	}
	return all
}

// less is rules without one resource of one group.
func less(rules []rbacv1.PolicyRule, i int, group, resource string) []rbacv1.PolicyRule {
	left := slices.Clone(rules)
	rule := left[i]
	left = slices.Delete(left, i, i+1)
	others := rule.DeepCopy()
	others.APIGroups = slices.DeleteFunc(others.APIGroups, func(g string) bool { return g == group })
	if len(others.APIGroups) > 0 {
		left = append(left, *others)
	}
	others = rule.DeepCopy()
	others.APIGroups = []string{group}
	others.Resources = slices.DeleteFunc(others.Resources, func(r string) bool { return r == resource })
	if len(others.Resources) > 0 {
		left = append(left, *others)
	}
	return left
}

// without runs the exporter with all rights but one.
func without(t *testing.T, space, name string, r right) {
	t.Helper()
	account := "without-" + strings.NewReplacer(" ", "-", "*", "all").Replace(name)
	account = strings.Trim(strings.ReplaceAll(account, "--", "-"), "-")
	bind(t, space, account, r)
	e := watch(t, space, account)
	if r.says == "" {
		t.Fatal("nobody knows what it should say")
	}
	group, resource, _ := strings.Cut(name, " ")
	if resource == "patch" {
		eventually(t, "it is ready", e.Ready)
		somethingHappens(t, space)
	}
	eventually(t, "it says that it may not read "+name, func(ctx context.Context) error {
		log, err := os.ReadFile(e.Log())
		if err != nil {
			return err
		}
		if resource == "customresourcedefinitions" {
			ctx, cancel := context.WithTimeout(ctx, time.Second) // it never will be
			defer cancel()
			if err := e.Ready(ctx); err == nil || !strings.Contains(err.Error(), r.says) {
				return fmt.Errorf("it says: %w", err)
			}
			return nil
		}
		if strings.HasPrefix(name, "configmaps ") {
			if !strings.Contains(string(log), r.says) {
				return fmt.Errorf("the log does not say %s:\n%s", r.says, log)
			}
			return nil
		}
		text, err := e.Metrics(ctx)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, "kind may not be read") && strings.Contains(line, " group="+quoted(group)+" ") && (resource == "*" || strings.Contains(line, " resource="+resource+" ")) {
				if group != "" && !strings.Contains(text, fmt.Sprintf("\ncrossplane_exporter_kind_unreadable{category=%q,group=%q", category(text, group), group)) {
					return fmt.Errorf("the metrics do not say it:\n%s", said(text))
				}
				return nil
			}
		}
		return fmt.Errorf("the log does not say it:\n%s", log)
	})
	if resource == "customresourcedefinitions" {
		return
	}
	// And it goes on with what it may read.
	eventually(t, "it is ready", e.Ready)
}

// quoted is a value as it is in a log.
func quoted(s string) string {
	if s == "" {
		return `""`
	}
	return s
}

// category is that of the first unreadable kind of a group.
func category(text, group string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "crossplane_exporter_kind_unreadable{category=\""); ok && strings.Contains(line, "group="+strconv.Quote(group)) {
			c, _, _ := strings.Cut(rest, `"`)
			return c
		}
	}
	return "none"
}

// said is what the exporter says of itself, as far as it matters here.
func said(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "crossplane_exporter_kind") || strings.HasPrefix(line, "crossplane_exporter_checkpoint") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// noMore asks for what the exporter has no business with.
func noMore(t *testing.T, space, account string) {
	t.Helper()
	for _, a := range []authorizationv1.ResourceAttributes{
		{Verb: "get", Resource: "secrets", Namespace: space},
		{Verb: "list", Resource: "secrets"},
		{Verb: "watch", Resource: "secrets"},
		{Verb: "get", Resource: "configmaps", Namespace: space, Name: "another"},
		{Verb: "list", Resource: "configmaps", Namespace: space},
		{Verb: "create", Resource: "configmaps", Namespace: space},
		{Verb: "delete", Resource: "configmaps", Namespace: space, Name: "crossplane-exporter-checkpoint"},
		{Verb: "get", Resource: "configmaps", Namespace: "default", Name: "crossplane-exporter-checkpoint"},
		{Verb: "list", Resource: "pods"},
		{Verb: "create", Resource: "pods", Namespace: space},
		{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: space},
		{Verb: "list", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Verb: "update", Group: "pkg.crossplane.io", Resource: "providers"},
		{Verb: "patch", Group: "s3.aws.upbound.io", Resource: "buckets"},
		{Verb: "delete", Group: "platform.example.org", Resource: "networks"},
		{Verb: "list", Group: "cert-manager.io", Resource: "certificaterequests"},
		{Verb: "impersonate", Resource: "users"},
	} {
		review, err := client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: "system:serviceaccount:" + space + ":" + account, Groups: []string{"system:serviceaccounts", "system:authenticated"}, ResourceAttributes: &a,
			},
		}, metav1.CreateOptions{})
		check(t, err)
		if review.Status.Allowed {
			t.Errorf("the exporter may %s %s.%s %s: %s", a.Verb, a.Resource, a.Group, a.Name, review.Status.Reason)
		}
	}
}

// byName has the script print the groups that are installed, and runs the exporter with these alone.
func byName(t *testing.T, space string) {
	t.Helper()
	bin, err := programs.Build(t.Context(), "kubectl")
	check(t, err)
	script, err := manifests.Dir("rbac-groups.sh")
	check(t, err)
	cmd := exec.CommandContext(t.Context(), script)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "KUBECTL_FLAGS=--kubeconfig="+plane.Kubeconfig())
	values, err := cmd.Output()
	check(t, err)
	const want = `rbac:
  aggregate: false
  groups:
    - aws.m.upbound.io
    - aws.upbound.io
    - platform.example.org
    - s3.aws.upbound.io
`
	if string(values) != want {
		t.Fatalf("the script prints\n%s\nwant\n%s", values, want)
	}
	path := filepath.Join(t.TempDir(), "rbac.yaml")
	check(t, os.WriteFile(path, values, 0o600))
	objects, err := manifests.Helm(t.Context(), "by-name", space, "--values", path)
	check(t, err)
	for _, o := range objects {
		if o.GetKind() != "Pod" && o.GetKind() != "Deployment" {
			check(t, applier.Apply(t.Context(), o))
		}
	}
	e := watch(t, space, "by-name-crossplane-exporter", "--checkpoint=none", "--team-label=")
	eventually(t, "it is ready", e.Ready)
	text, err := e.Metrics(t.Context())
	check(t, err)
	if !strings.Contains(text, "\ncrossplane_exporter_kinds_forbidden 0\n") {
		t.Errorf("some kinds cannot be read:\n%s", said(text))
	}
}

// somethingHappens to a managed resource: what has to be noted in the checkpoint.
func somethingHappens(t *testing.T, space string) {
	t.Helper()
	_, err := client.CoreV1().Events(space).Create(t.Context(), &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{GenerateName: "bucket."},
		InvolvedObject: corev1.ObjectReference{APIVersion: "s3.aws.upbound.io/v1", Kind: "Bucket", Namespace: space, Name: "bucket"},
		Type:           corev1.EventTypeWarning, Reason: "CannotConnectToProvider", Count: 1,
		FirstTimestamp: metav1.Now(), LastTimestamp: metav1.Now(),
	}, metav1.CreateOptions{})
	check(t, err)
}

// bind gives a new service account rights, and those that Crossplane's RBAC manager has added.
func bind(t *testing.T, space, account string, r right) {
	t.Helper()
	subject := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: space, Name: account}}
	meta := metav1.ObjectMeta{Name: account}
	ctx := t.Context()
	_, err := client.CoreV1().ServiceAccounts(space).Create(ctx, &corev1.ServiceAccount{ObjectMeta: meta}, metav1.CreateOptions{})
	check(t, err)
	_, err = client.RbacV1().Roles(space).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: r.own}, metav1.CreateOptions{})
	check(t, err)
	_, err = client.RbacV1().RoleBindings(space).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: meta, Subjects: subject, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account}}, metav1.CreateOptions{})
	check(t, err)
	_, err = client.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: r.cluster}, metav1.CreateOptions{})
	check(t, err)
	for _, role := range []string{account, "crossplane-exporter-aggregate"} {
		_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: account + "-" + role}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		}, metav1.CreateOptions{})
		check(t, err)
	}
}

// watch runs the exporter as a service account of the namespace. It reads an audit trail, from a directory with nothing in it, so that
// it asks for what that takes.
func watch(t *testing.T, space, account string, args ...string) *exporter.Exporter {
	t.Helper()
	token, err := client.CoreV1().ServiceAccounts(space).CreateToken(t.Context(), account, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	check(t, err)
	admin := plane.RESTConfig()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	check(t, controlplane.WriteKubeconfig(kubeconfig, &rest.Config{
		Host: admin.Host, TLSClientConfig: rest.TLSClientConfig{CAData: admin.CAData}, BearerToken: token.Status.Token,
	}))
	e, err := exporter.Start(t.Context(), exporter.Config{
		Path: program, Kubeconfig: kubeconfig, Dir: t.TempDir(),
		Args: append([]string{
			"--checkpoint=configmap:" + space + "/crossplane-exporter-checkpoint", "--team-label=team",
			"--cloudtrail.source=file", "--cloudtrail.path=" + t.TempDir(),
		}, args...),
	})
	check(t, err)
	t.Cleanup(func() { check(t, e.Stop()) })
	return e
}

// installKinds installs every kind that the exporter looks for.
func installKinds(t *testing.T) {
	t.Helper()
	bin, err := programs.Build(t.Context(), "crossplane")
	check(t, err)
	source, err := programs.SourceOf(t.Context(), filepath.Join(bin, "crossplane"))
	check(t, err)
	files, err := definitions.Files(filepath.Join(source.Dir, "cluster", "crds"))
	check(t, err)
	check(t, definitions.Install(t.Context(), plane.RESTConfig(), files))
	for _, row := range rows(t) {
		kinds, ok := platform[row]
		if !ok {
			t.Fatalf("internal/kube/kind.go has a row %q: the chart's ClusterRole and this test have to know it", row)
		}
		for _, k := range kinds {
			define(t, k.group, k.kind, k.resource)
		}
	}
	define(t, "s3.aws.upbound.io", "Bucket", "buckets", "crossplane", "managed")
	define(t, "platform.example.org", "XNetwork", "xnetworks", "crossplane", "composite")
	define(t, "platform.example.org", "Network", "networks", "claim")
}

// rows are the globs in the exporter's table of kinds that have a category.
func rows(t *testing.T) []string {
	t.Helper()
	root, err := programs.Root()
	check(t, err)
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal", "kube", "kind.go"), nil, 0)
	check(t, err)
	var table *ast.CompositeLit
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == "platform" {
			table = v.Values[0].(*ast.CompositeLit)
		}
		return table == nil
	})
	if table == nil {
		t.Fatal("internal/kube/kind.go has no variable platform")
	}
	var globs []string
	for _, row := range table.Elts {
		fields := row.(*ast.CompositeLit).Elts
		if _, out := fields[1].(*ast.BasicLit); out {
			continue // "" leaves a kind out
		}
		glob, err := strconv.Unquote(fields[0].(*ast.BasicLit).Value)
		check(t, err)
		globs = append(globs, glob)
	}
	return globs
}

// startRBACManager starts Crossplane's RBAC manager, and gives it a provider and a definition whose kinds are those installed.
func startRBACManager(t *testing.T) {
	t.Helper()
	bin, err := programs.Build(t.Context(), "crossplane")
	check(t, err)
	dir := t.TempDir()
	p, err := process.WithFreePort(func(port int) (*process.Process, error) {
		return process.Start(process.Config{
			Path: filepath.Join(bin, "crossplane"), Args: []string{"rbac", "start"}, Log: filepath.Join(dir, "rbac-manager.log"),
			Env: []string{"KUBECONFIG=" + plane.Kubeconfig(), "METRICS_BIND_ADDRESS=" + process.Loopback(port), "HEALTH_PROBE_BIND_ADDRESS="},
		})
	})
	check(t, err)
	t.Cleanup(func() { check(t, p.Stop(10*time.Second)) })

	check(t, applier.Apply(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.crossplane.io/v1", "kind": "CompositeResourceDefinition",
		"metadata": map[string]any{"name": "xnetworks.platform.example.org"},
		"spec": map[string]any{
			"group":      "platform.example.org",
			"names":      map[string]any{"kind": "XNetwork", "plural": "xnetworks"},
			"claimNames": map[string]any{"kind": "Network", "plural": "networks"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "referenceable": true,
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}},
			}},
		},
	}}))
	var refs []any
	for _, name := range []string{"buckets.s3.aws.upbound.io", "providerconfigs.aws.upbound.io", "clusterproviderconfigs.aws.m.upbound.io"} {
		refs = append(refs, map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "name": name})
	}
	check(t, applier.Apply(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "pkg.crossplane.io/v1", "kind": "ProviderRevision",
		"metadata": map[string]any{"name": "provider-aws-1"},
		"spec": map[string]any{
			"image": "example.org/provider-aws:v1", "desiredState": "Active", "revision": int64(1),
		},
		"status": map[string]any{"objectRefs": refs},
	}}))
}
