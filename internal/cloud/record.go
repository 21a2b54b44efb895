package cloud

import "time"

// A Record is one event of an audit trail: one call to a cloud's API.
type Record struct {
	// ID is unique to the event, however often and in however many places it is delivered. An empty ID is counted
	// without asking.
	ID string
	// Cloud is the name of the cloud's package: aws.
	Cloud string
	// Time is when the call was made, to the second.
	Time time.Time
	// Account is the account, project or subscription that the trail belongs to, and Region where the call was made.
	Account, Region string
	// Service and Operation are the API's, in the cloud's own words but without versions: ec2, ModifySubnetAttribute.
	Service, Operation string
	// Noun is what the operation says it acts on, SubnetAttribute, and Create whether it makes a new one.
	Noun   string
	Create bool
	// Write is whether the call changes anything, had it been successful.
	Write   bool
	Outcome Outcome
	// Code and Message are the API's error. A code is of a bounded set, a message is not.
	Code, Message string
	Principal     Principal
	// Targets are what a successful write names, in the order of trust. They are not read from other records.
	Targets []Target
}

// A Principal is who made a call. Only Class may become a label; the rest is for logs and people.
type Principal struct {
	Class string
	// ID is the cloud's name of the identity that the call was made with, of the role and not of its session.
	ID string
	// Session is the session's name or the user's, Account where the identity lives, Address where the call came from,
	// and Agent what the caller said to be, which proves nothing.
	Session, Account, Address, Agent string
}

// The classes of principals. A class may also be the name that was configured for a role.
const (
	Crossplane           = "crossplane"
	CrossplaneOtherAgent = "crossplane_role_other_agent" // the provider's role, used by something that is not the provider
	Root                 = "root"
	IaC                  = "iac"     // infrastructure as code that is not Crossplane
	Console              = "console" // a person in the cloud's web console
	SSO                  = "sso"     // a person, from a terminal
	User                 = "iam_user"
	Role                 = "role"
	Service              = "aws_service"
	ServiceLinked        = "service_linked"
	Unknown              = "unknown"
)

// A Target is an identifier found in a record.
type Target struct {
	ID string
	// Key is what the record calls it: the name of a field, or a kind of resource.
	Key string
	// Unique is whether the ID alone is enough to know the resource by, as with ARNs; names are used for many things.
	Unique bool
	// Tier is 0 for what the caller asked for, 1 for what the cloud says the call was about, and 2 for what it answered
	// with. A later tier only counts where none before it names a resource that is known.
	Tier int8
	// Depth is how deep in it, 0 at the top.
	Depth int8
}

// A Request is one request that a source made to a cloud's API, for those who count them.
type Request struct {
	API             string // as the cloud's permissions spell it: cloudtrail:LookupEvents
	Account, Region string
	Outcome         Outcome
	Took            time.Duration
}
