package aws

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"crossplane-exporter/internal/cloud"
)

// Principals tells who made a call. The zero value knows no roles, and Crossplane by its user agent only. It may be
// changed while records are being read.
type Principals struct {
	known atomic.Pointer[known]
}

// Known is what a Principals is told of the identities in use. ARNs are those of roles
// (arn:aws:iam::123456789012:role/path/name) or users, not of sessions.
type Known struct {
	// Providers are the ARNs that Crossplane's providers call with: from the assume-role chains of ProviderConfigs, and
	// the role annotations of their ServiceAccounts.
	Providers []string
	// Agents are parts of user agents that also are the provider's, for images built without the usual one.
	Agents []string
	// IaC are ARNs of other infrastructure as code.
	IaC []string
	// Names are classes of the user's own, by ARN. They go before all classes but those of AWS itself and the
	// provider's.
	Names map[string]string
}

type known struct {
	class map[string]string // ARN -> cloud.Crossplane, cloud.IaC or a name
	// loose has the roles in class whose ARN has a path, without it: assumed-role ARNs, which are all that some records
	// have, lack it.
	loose  map[string]string
	agents []string
}

// Know replaces what is known.
func (p *Principals) Know(k Known) {
	n := &known{class: map[string]string{}, loose: map[string]string{}, agents: slices.Clone(k.Agents)}
	maps.Copy(n.class, k.Names)
	for _, arn := range k.IaC {
		n.class[arn] = cloud.IaC
	}
	for _, arn := range k.Providers {
		n.class[arn] = cloud.Crossplane
	}
	for arn, class := range n.class {
		if account, name, ok := roleOf(arn); ok {
			n.loose[account+"/"+name] = class
		}
	}
	p.known.Store(n)
}

// roleOf takes the ARN of a role, or of a session of it, apart into account and the role's name without its path.
func roleOf(arn string) (account, name string, ok bool) {
	f := strings.SplitN(arn, ":", 6)
	if len(f) != 6 || f[0] != "arn" {
		return "", "", false
	}
	switch kind, rest, _ := strings.Cut(f[5], "/"); kind {
	case "role":
		return f[4], rest[strings.LastIndexByte(rest, '/')+1:], true
	case "assumed-role":
		name, _, _ = strings.Cut(rest, "/")
		return f[4], name, true
	}
	return "", "", false
}

// A caller is what a record says of who made the call.
type caller struct {
	kind, arn, account, user  string
	invokedBy                 string
	issuerARN, issuerUserName string
	agent                     string
	console                   bool // the session came from a login to the console
	serviceEvent              bool // nobody called: AWS did it by itself
}

// classify says who made a call, and by what identity: the issuer of the session, or the user.
func (p *Principals) classify(c *caller) (class, id string) {
	id = c.issuerARN
	if id == "" {
		id = c.arn
	}
	return p.class(c, id), id
}

func (p *Principals) class(c *caller, id string) string {
	switch {
	case c.invokedBy == cloudFormation:
		return cloud.IaC // on behalf of whoever owns the stack
	case c.kind == "AWSService", strings.HasSuffix(c.invokedBy, ".amazonaws.com"), c.serviceEvent && c.kind == "":
		// invokedBy "AWS Internal" is not a service but a person in the console.
		return cloud.Service
	case strings.Contains(id, ":role/aws-service-role/"):
		return cloud.ServiceLinked
	}
	k := p.known.Load()
	if k == nil {
		k = &known{}
	}
	byAgent := k.isProvider(c.agent)
	switch class := k.of(id); {
	case class == cloud.Crossplane:
		// Calls that AWS makes for the provider carry AWS's own agent.
		if !c.console && (byAgent || c.agent == "AWS Internal" || strings.HasSuffix(c.agent, ".amazonaws.com")) {
			return cloud.Crossplane
		}
		return cloud.CrossplaneOtherAgent
	case class != "":
		return class
	case byAgent:
		return cloud.Crossplane
	case c.kind == "Root":
		return cloud.Root
	case isIaC(c.agent):
		return cloud.IaC
	case c.console || isConsole(c.agent):
		return cloud.Console
	case strings.HasPrefix(roleName(c, id), "AWSReservedSSO_"):
		return cloud.SSO
	}
	switch c.kind {
	case "IAMUser":
		return cloud.User
	case "AssumedRole", "Role", "FederatedUser":
		return cloud.Role
	}
	return cloud.Unknown
}

const cloudFormation = "cloudformation.amazonaws.com"

func roleName(c *caller, id string) string {
	if c.issuerUserName != "" {
		return c.issuerUserName
	}
	_, name, _ := roleOf(id)
	return name
}

// of returns the class of a known identity.
func (k *known) of(id string) string {
	if class, ok := k.class[id]; ok {
		return class
	}
	if len(k.loose) > 0 && strings.Contains(id, ":assumed-role/") {
		account, name, _ := roleOf(id)
		return k.loose[account+"/"+name]
	}
	return ""
}

// isProvider is whether a user agent is that of a Crossplane provider: crossplane-provider-aws,
// crossplane-provider-jet-aws, upbound-provider-aws, with their versions.
func (k *known) isProvider(agent string) bool {
	if strings.Contains(agent, "crossplane-provider-") || strings.Contains(agent, "upbound-provider-") {
		return true
	}
	for _, part := range k.agents {
		if part != "" && strings.Contains(agent, part) {
			return true
		}
	}
	return false
}

// isIaC is whether a user agent is that of another tool for infrastructure as code. The provider's Terraform has no
// version.
func isIaC(agent string) bool {
	return strings.Contains(agent, "Terraform") || strings.Contains(agent, "HashiCorp") || strings.Contains(agent, "Pulumi") ||
		strings.Contains(agent, "OpenTofu") || strings.Contains(agent, cloudFormation)
}

// isConsole is whether a user agent is a browser or the console's own. S3 puts brackets around agents.
func isConsole(agent string) bool {
	agent = strings.TrimPrefix(agent, "[")
	return strings.HasPrefix(agent, "Mozilla/") || strings.HasPrefix(agent, "S3Console") || agent == "signin.amazonaws.com" ||
		strings.HasPrefix(agent, "console.") && strings.Contains(agent, "amazonaws.com")
}
