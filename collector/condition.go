package collector

import (
	"slices"

	apiextensionsv1 "github.com/crossplane/crossplane/apis/v2/apiextensions/v1"
	apiextensionsv1alpha1 "github.com/crossplane/crossplane/apis/v2/apiextensions/v1alpha1"
	"github.com/crossplane/crossplane/apis/v2/core/v2"
	opsv1alpha1 "github.com/crossplane/crossplane/apis/v2/ops/v1alpha1"
	pkgv1 "github.com/crossplane/crossplane/apis/v2/pkg/v1"
	pkgv1beta1 "github.com/crossplane/crossplane/apis/v2/pkg/v1beta1"

	"crossplane-exporter/internal/kube"
)

// lastAsyncOperation is upjet's: how the last create, update or delete that it did in the background went.
const lastAsyncOperation = "LastAsyncOperation"

// wellWhen lists the conditions that say whether an object is well, and the status that says it is. Every other condition
// is shown too, but makes nothing unwell: what its statuses mean only its author knows.
var wellWhen = map[string]kube.Status{
	string(v2.TypeReady):                      kube.True,
	string(v2.TypeSynced):                     kube.True,
	string(v2.TypeHealthy):                    kube.True,
	string(v2.TypeUpToDate):                   kube.True,
	lastAsyncOperation:                        kube.True,
	string(pkgv1.TypeInstalled):               kube.True,
	string(pkgv1.TypeRevisionHealthy):         kube.True,
	string(pkgv1.TypeRuntimeHealthy):          kube.True,
	string(pkgv1beta1.TypeResolved):           kube.True,
	string(apiextensionsv1.TypeEstablished):   kube.True,
	string(apiextensionsv1.TypeOffered):       kube.True,
	string(apiextensionsv1.TypeValidPipeline): kube.True,
	string(apiextensionsv1.TypeResponsive):    kube.True,
	string(opsv1alpha1.TypeSucceeded):         kube.True,
	string(opsv1alpha1.TypeScheduling):        kube.True,
	string(opsv1alpha1.TypeWatching):          kube.True,
	"Stalled":                                 kube.False, // Flux, kstatus: no progress until someone changes something
	"Accepted":                                kube.True,  // Gateway API
	"Programmed":                              kube.True,  // Gateway API
}

// failingFirst is where an error is looked for: the first of these conditions that an object has and that is not well
// carries it. Ready comes last, because what is not ready yet has not failed.
var failingFirst = []string{
	string(v2.TypeSynced),
	lastAsyncOperation,
	string(pkgv1.TypeInstalled),
	string(pkgv1.TypeRevisionHealthy),
	string(pkgv1.TypeRuntimeHealthy),
	string(v2.TypeHealthy),
	string(pkgv1beta1.TypeResolved),
	string(apiextensionsv1.TypeEstablished),
	string(apiextensionsv1.TypeOffered),
	string(opsv1alpha1.TypeSucceeded),
	string(opsv1alpha1.TypeScheduling),
	string(opsv1alpha1.TypeWatching),
}

// failingCondition is the condition that says what o fails with, nil while nothing fails.
func failingCondition(o *kube.Object) *kube.Condition {
	hasSynced := false
	for _, kind := range failingFirst {
		i := slices.IndexFunc(o.Conditions, func(c kube.Condition) bool { return c.Type == kind })
		if i < 0 {
			continue
		}
		hasSynced = hasSynced || kind == string(v2.TypeSynced)
		c := &o.Conditions[i]
		// An MRAP that meets errors is not unhealthy but Unknown, and says so in its reason.
		if c.Status == kube.False || c.Reason == string(apiextensionsv1alpha1.ReasonUnhealthy) {
			return c
		}
	}
	if hasSynced {
		return nil
	}
	// What has no word for failing but Ready, as Flux and cert-manager.
	i := slices.IndexFunc(o.Conditions, func(c kube.Condition) bool {
		return c.Type == string(v2.TypeReady) && c.Status == kube.False && c.Message != ""
	})
	if i < 0 {
		return nil
	}
	return &o.Conditions[i]
}

// otherReason stands for each reason that is not in the list below, and otherCondition for the condition types of a kind
// beyond the first maxConditionTypes: what counts by them stays bounded whoever writes them.
const (
	otherReason       = "other"
	otherCondition    = "other"
	maxConditionTypes = 20
)

// reasons are those that platform_resources_by_condition tells apart.
var reasons = set(
	"", // a condition without one
	string(v2.ReasonAvailable), string(v2.ReasonUnavailable), string(v2.ReasonCreating), string(v2.ReasonDeleting),
	string(v2.ReasonReconcileSuccess), string(v2.ReasonReconcileError), string(v2.ReasonReconcilePaused),
	string(v2.ReasonUpdateRestricted), string(v2.ReasonObserveMatched), string(v2.ReasonUpdateFailed), string(v2.ReasonUpdateRequested),
	string(pkgv1.ReasonUnpacking), string(pkgv1.ReasonInactive), string(pkgv1.ReasonActive),
	string(pkgv1.ReasonUnhealthy), string(pkgv1.ReasonHealthy), string(pkgv1.ReasonUnknownHealth),
	string(pkgv1beta1.ReasonFailed), string(pkgv1beta1.ReasonSucceeded),
	string(apiextensionsv1.ReasonWatchingComposite), string(apiextensionsv1.ReasonWatchingClaim),
	string(apiextensionsv1.ReasonTerminatingComposite), string(apiextensionsv1.ReasonTerminatingClaim),
	string(apiextensionsv1.ReasonValidPipeline), string(apiextensionsv1.ReasonMissingCapabilities),
	string(apiextensionsv1.ReasonWatchCircuitOpen), string(apiextensionsv1.ReasonWatchCircuitClosed),
	string(apiextensionsv1alpha1.ReasonHealthy), string(apiextensionsv1alpha1.ReasonUnhealthy),
	string(apiextensionsv1alpha1.EstablishedManagedResource), string(apiextensionsv1alpha1.ReasonPendingManaged),
	string(apiextensionsv1alpha1.ReasonInactiveManaged), string(apiextensionsv1alpha1.ReasonTerminatingManaged),
	string(apiextensionsv1alpha1.ReasonBlockedActivationPolicy), string(apiextensionsv1alpha1.ReasonTerminatingActivationPolicy),
	string(opsv1alpha1.ReasonPipelineRunning), string(opsv1alpha1.ReasonPipelineSuccess), string(opsv1alpha1.ReasonPipelineError),
	string(opsv1alpha1.ReasonWatchActive), string(opsv1alpha1.ReasonWatchFailed), string(opsv1alpha1.ReasonWatchPaused),
	string(opsv1alpha1.ReasonScheduleActive), string(opsv1alpha1.ReasonScheduleInvalid), string(opsv1alpha1.ReasonSchedulePaused),
	// A claim whose composite is not ready (crossplane's claim controller).
	"Waiting",
	// upjet/pkg/resource/conditions.go
	"Success", "ApplyFailure", "DestroyFailure", "AsyncCreateFailure", "AsyncUpdateFailure", "AsyncDeleteFailure", "Ongoing", "Finished",
	// Flux (fluxcd/pkg apis/meta, kustomize-controller and helm-controller api)
	"Succeeded", "Failed", "Progressing", "Suspended", "DependencyNotReady", "ReconciliationSucceeded", "ReconciliationFailed",
	"BuildFailed", "HealthCheckFailed", "PruneFailed", "ArtifactFailed", "InstallSucceeded", "InstallFailed", "UpgradeSucceeded",
	"UpgradeFailed", "TestFailed", "RollbackSucceeded", "RollbackFailed", "UninstallFailed",
	// Argo CD: sync and health status
	"Synced", "OutOfSync", "Unknown", "Healthy", "Degraded", "Missing",
	// cert-manager and External Secrets
	"Ready", "DoesNotExist", "Issuing", "Renewing", "Expired", "InvalidRequest", "SecretSynced", "SecretSyncedError", "Valid",
	// Gateway API
	"Accepted", "Invalid", "Pending", "Programmed",
)

// boundedReason is reason if it is one that is told apart.
func boundedReason(reason string) string {
	if _, ok := reasons[reason]; ok {
		return reason
	}
	return otherReason
}

func set(words ...string) map[string]struct{} {
	s := make(map[string]struct{}, len(words))
	for _, w := range words {
		s[w] = struct{}{}
	}
	return s
}
