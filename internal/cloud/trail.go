package cloud

import "log/slog"

// A Trail is the audit trail of one cloud, with what its records mean for the resources of a cluster. The cloud's own package
// makes it.
type Trail interface {
	// Cloud is the cloud's name: aws.
	Cloud() string
	// Open makes the sources, without going to the network. It fails for a configuration that cannot work. Nothing else is called
	// before.
	Open(o Opening) ([]Source, error)
	// Reach makes the sources that are needed beside those there are, because there are managed resources in a region; mostly none.
	// It is called for each resource, by the goroutine that watches its kind.
	Reach(region string) []Source
	// Scope is that of an Index of the cloud's resources.
	Scope(service string) string
	// Identify says how the trail would name a managed resource, and whether it is one of this cloud at all.
	Identify(m Managed) (Identity, bool)
	// Know is told of the principals that providers call with, instead of those it was told of before. It passes over what is none,
	// and may be called at any time.
	Know(principals []string)
	// Account is where a principal lives, empty where that cannot be told.
	Account(principal string) string
}

// An Opening is what a Trail is opened with.
type Opening struct {
	Log *slog.Logger
	// OnRequest, if not nil, is told of every request that was made, retries too. It is called by several goroutines.
	OnRequest func(Request)
}

// A Managed is a managed resource, in the words of its Kubernetes object.
type Managed struct {
	// Group and Kind are the object's: ec2.aws.upbound.io, Subnet.
	Group, Kind string
	// Account is where the resource lives, if its provider config tells; an ARN tells it better. Region is
	// spec.forProvider.region.
	Account, Region string
	ExternalName    string
	// IDs are what else identifies it: id, arn, name, identifier, url and the like of status.atProvider and
	// spec.forProvider.
	IDs []string
}
