package main

// A tool is a program built from a Go module.
type tool struct {
	// name of the binary.
	name string

	// module and version it is built from, and the main package in it.
	module, version, pkg string

	// pinned is the directory, beside this program, of a module of ours that requires the tool's, so that go.sum has a
	// sum for all it is built from, and because `go install` refuses modules with replace lines. The version stands
	// there too; a test compares the two.
	pinned string

	// ldflags and tags it is built with.
	ldflags, tags string

	// patches are made to what it is built from.
	patches []patch

	// first is how long the first build takes on two cores, the download left aside.
	first string
}

const (
	// stripped leaves out symbols and debug information: a third of the size and of the time to link.
	stripped = "-s -w"

	// kubernetes makes its programs say which version they are, as Kubernetes' own build does. What they take for their
	// version decides on defaults of feature gates.
	kubernetes = stripped +
		" -X k8s.io/component-base/version.gitVersion=v1.35.0" +
		" -X k8s.io/component-base/version.gitMajor=1" +
		" -X k8s.io/component-base/version.gitMinor=35" +
		" -X k8s.io/component-base/version.gitCommit=66452049f3d692768c39c797b21b793dce80314e" +
		" -X k8s.io/component-base/version.gitTreeState=archive"

	// crossplane makes Crossplane say which version it is: packages can ask for one.
	crossplane = stripped + " -X github.com/crossplane/crossplane/v2/internal/version.version=v2.2.0"

	// helm has helm know which version it is, and take a cluster that it is not asked about for one of Kubernetes 1.35.
	helm = stripped +
		" -X helm.sh/helm/v3/internal/version.version=v3.22.0" +
		" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1" +
		" -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=35" +
		" -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1" +
		" -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=35"

	// fewDiscoveries leaves out the clouds that Prometheus can find targets in: a third of its packages.
	fewDiscoveries = "remove_all_sd,enable_kubernetes_sd,enable_dns_sd"
)

// addresses has the servers of a program made with controller-runtime listen where the environment says. Crossplane and its
// providers serve metrics, webhooks and probes on fixed ports of every interface, and have flags for some of it at most: two of
// them would not run on one machine, and would be open to the network.
//
//nolint:gochecknoglobals // because it is a constant that Go cannot write as one.
var addresses = []patch{
	{
		module: "sigs.k8s.io/controller-runtime", file: "pkg/metrics/server/server.go",
		old: `	if o.BindAddress == "" {`,
		new: `	if address := os.Getenv("METRICS_BIND_ADDRESS"); address != "" {
		o.BindAddress = address
	}
	if o.BindAddress == "" {`,
	},
	{
		module: "sigs.k8s.io/controller-runtime", file: "pkg/webhook/server.go",
		old: "	if o.Port <= 0 {",
		new: `	if port, err := strconv.Atoi(os.Getenv("WEBHOOK_PORT")); err == nil {
		o.Host, o.Port = "127.0.0.1", port
	}
	if o.Port <= 0 {`,
	},
	{
		module: "sigs.k8s.io/controller-runtime", file: "pkg/manager/manager.go",
		old: "func defaultHealthProbeListener(addr string) (net.Listener, error) {",
		new: `func defaultHealthProbeListener(addr string) (net.Listener, error) {
	if address, ok := syscall.Getenv("HEALTH_PROBE_BIND_ADDRESS"); ok {
		addr = address
	}`,
	},
	{
		module: "sigs.k8s.io/controller-runtime", file: "pkg/manager/manager.go",
		old: "import (\n",
		new: "import (\n\t\"syscall\"\n",
	},
}

// tools is every program, in the order they are built.
//
//nolint:gochecknoglobals // because it is the table this program is about, and is never changed.
var tools = []tool{
	{
		name:   "etcd",
		module: "go.etcd.io/etcd/server/v3", version: "v3.6.6", pkg: "go.etcd.io/etcd/server/v3",
		pinned: "etcd", ldflags: stripped, first: "1 minute",
	},
	{
		name:   "kube-apiserver",
		module: "k8s.io/kubernetes", version: "v1.35.0", pkg: "k8s.io/kubernetes/cmd/kube-apiserver",
		pinned: "kubernetes", ldflags: kubernetes, first: "3 minutes",
	},
	{
		name:   "kube-controller-manager",
		module: "k8s.io/kubernetes", version: "v1.35.0", pkg: "k8s.io/kubernetes/cmd/kube-controller-manager",
		pinned: "kubernetes", ldflags: kubernetes, first: "2 minutes",
	},
	{
		name:   "kubectl",
		module: "k8s.io/kubernetes", version: "v1.35.0", pkg: "k8s.io/kubernetes/cmd/kubectl",
		pinned: "kubernetes", ldflags: kubernetes, first: "1 minute",
	},
	{
		name:   "provider-kubernetes",
		module: "github.com/crossplane-contrib/provider-kubernetes", version: "v1.2.0",
		pkg:    "github.com/crossplane-contrib/provider-kubernetes/cmd/provider",
		pinned: "provider-kubernetes", ldflags: stripped, patches: addresses, first: "2 minutes",
	},
	{
		name:   "provider-nop",
		module: "github.com/crossplane-contrib/provider-nop", version: "v0.5.0",
		pkg:    "github.com/crossplane-contrib/provider-nop/cmd/provider",
		pinned: "provider-nop", ldflags: stripped, patches: addresses, first: "1 minute",
	},
	{
		name:   "crossplane",
		module: "github.com/crossplane/crossplane/v2", version: "v2.2.0", pkg: "github.com/crossplane/crossplane/v2/cmd/crossplane",
		pinned: "crossplane", ldflags: crossplane, patches: addresses, first: "4 minutes",
	},
	{
		name:   "prometheus",
		module: "github.com/prometheus/prometheus", version: "v0.311.3", pkg: "github.com/prometheus/prometheus/cmd/prometheus",
		pinned: "prometheus", ldflags: stripped, tags: fewDiscoveries, first: "3 minutes",
	},
	{
		name:   "promtool",
		module: "github.com/prometheus/prometheus", version: "v0.311.3", pkg: "github.com/prometheus/prometheus/cmd/promtool",
		pinned: "prometheus", ldflags: stripped, tags: fewDiscoveries, first: "1 minute",
	},
	{
		name:   "alertmanager",
		module: "github.com/prometheus/alertmanager", version: "v0.28.1", pkg: "github.com/prometheus/alertmanager/cmd/alertmanager",
		pinned: "alertmanager", ldflags: stripped, first: "1 minute",
	},
	{
		name:   "amtool",
		module: "github.com/prometheus/alertmanager", version: "v0.28.1", pkg: "github.com/prometheus/alertmanager/cmd/amtool",
		pinned: "alertmanager", ldflags: stripped, first: "30 seconds",
	},
	{
		name:   "kube-state-metrics",
		module: "k8s.io/kube-state-metrics/v2", version: "v2.18.0", pkg: "k8s.io/kube-state-metrics/v2",
		pinned: "kube-state-metrics", ldflags: stripped, first: "2 minutes",
	},
	{
		name:   "helm",
		module: "helm.sh/helm/v3", version: "v3.22.0", pkg: "helm.sh/helm/v3/cmd/helm",
		pinned: "helm", ldflags: helm, first: "2 minutes",
	},
	{
		name:   "kustomize",
		module: "sigs.k8s.io/kustomize/kustomize/v5", version: "v5.8.1", pkg: "sigs.k8s.io/kustomize/kustomize/v5",
		pinned: "kustomize", ldflags: stripped, first: "30 seconds",
	},
	{
		name:   "kubeconform",
		module: "github.com/yannh/kubeconform", version: "v0.8.0", pkg: "github.com/yannh/kubeconform/cmd/kubeconform",
		pinned: "kubeconform", ldflags: stripped, first: "20 seconds",
	},
	{
		name:   "kube-score",
		module: "github.com/zegl/kube-score", version: "v1.20.0", pkg: "github.com/zegl/kube-score/cmd/kube-score",
		pinned: "kube-score", ldflags: stripped, first: "1 minute",
	},
	{
		name:   "golangci-lint",
		module: "github.com/golangci/golangci-lint/v2", version: "v2.15.0",
		pkg:    "github.com/golangci/golangci-lint/v2/cmd/golangci-lint",
		pinned: "golangci-lint", ldflags: stripped, first: "4 minutes",
	},
	{
		name:   "benchstat",
		module: "golang.org/x/perf", version: "v0.0.0-20260908200009-22c9c6c9d4da", pkg: "golang.org/x/perf/cmd/benchstat",
		pinned: "benchstat", ldflags: stripped, first: "10 seconds",
	},
}
