package kube

// An Object is all that is decoded of a Kubernetes object; the decoder skips the rest unread. It is only valid during
// the call it is handed to: keep copies. Strings may be kept.
//
// A field of the wrong type counts as absent, so that one odd object costs nothing but itself.
type Object struct {
	Namespace       string
	Name            string
	ResourceVersion string
	Generation      int64
	// Created and Deleted are metadata.creationTimestamp and deletionTimestamp in Unix seconds, 0 where absent.
	Created, Deleted int64
	Finalizers       int

	// Composite, ClaimNamespace and ClaimName are the links that Crossplane labels its resources with.
	Composite, ClaimNamespace, ClaimName string
	// Team is the value of the team label, or else annotation, on the object itself.
	Team         string
	ExternalName string
	Paused       bool // by annotation, or spec.suspend of a GitOps object
	// CreatePending, CreateSucceeded and CreateFailed are the external-create annotations in Unix seconds, 0 where absent.
	CreatePending, CreateSucceeded, CreateFailed int64

	ProviderConfig string
	// ObserveOnly is whether spec.managementPolicies lets the provider do nothing but observe.
	ObserveOnly bool
	// Inactive is whether spec asks for the object to be out of use: an old package revision, a definition not activated.
	Inactive bool
	Region   string

	// Differing are fields of a managed resource's spec.forProvider that status.atProvider has with another value, MaxDiffering
	// at most: what has drifted, or has not been dealt with yet.
	Differing []string
	// IDs are what a managed resource is known by outside, besides its external name: id, arn, name, identifier and url of
	// spec.forProvider and status.atProvider. Only with Config.Identities.
	IDs []string
	// Principals are the ARNs in the spec of a configuration, or in the annotation of a ServiceAccount that names its role: whom
	// providers are in the cloud. Only with Config.Identities.
	Principals []string
	// ServiceAccounts are those that a runtime configuration names for its packages, and OfPackage is whether a ServiceAccount was
	// made for one. Only with Config.Identities.
	ServiceAccounts []string
	OfPackage       bool
	// Writers are the field managers that own something of spec, as metadata.managedFields has them.
	Writers []Writer

	Conditions []Condition
	// Odd counts the parts that were not what the API promises and were passed over.
	Odd int
}

// A Writer is a field manager that wrote to an object's spec (KEP-555). The same manager is there twice if it both applied and
// updated.
type Writer struct {
	Manager string
	// Time is when it last wrote anything that changed, in Unix seconds.
	Time int64
	// Fields is a hash of which fields of spec it owns.
	Fields uint64
}

// A Condition of an object. Types are unique within an object.
type Condition struct {
	Type   string
	Status Status
	Reason string
	// Message is the text of a condition that is not True, cut to MaxMessage bytes.
	Message string
	// Since is lastTransitionTime in Unix seconds, 0 where absent. Providers rewrite it when only the message changes.
	Since              int64
	ObservedGeneration int64
}

// A Status of a condition, as a metric's value says it.
type Status int8

// The statuses of a condition.
const (
	Unknown Status = -1
	False   Status = 0
	True    Status = 1
)

// String is the status as the Kubernetes API spells it.
func (s Status) String() string {
	switch s {
	case True:
		return "True"
	case False:
		return "False"
	default:
		return "Unknown"
	}
}

const (
	// MaxMessage is how much of a condition's message is kept, in bytes: enough for the error at its end or beginning.
	MaxMessage = 4096
	// MaxDiffering is how many fields of one object are named that differ.
	MaxDiffering = 8
	// MaxIDs bounds IDs, Principals and ServiceAccounts each.
	MaxIDs = 32
	// MaxConditions is how many conditions of one object are read; an object has three or four.
	MaxConditions = 32
)
