package aws

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

func TestPrincipals(t *testing.T) {
	const (
		provider = awstest.ProviderRole
		session  = "arn:aws:sts::111111111111:assumed-role/provider-aws/1700000000000000000"
		agent    = awstest.ProviderAgent
		cli      = "aws-cli/2.31.0 md/awscrt#0.28.1 ua/2.1"
		human    = "APN/1.0 HashiCorp/1.0 Terraform/1.9.8 (+https://www.terraform.io) terraform-provider-aws/5.80.0"
	)
	who := &Principals{}
	who.Know(Known{
		Providers: []string{provider, "arn:aws:iam::111111111111:user/crossplane"},
		Agents:    []string{"acme-provider"},
		IaC:       []string{"arn:aws:iam::111111111111:role/atlantis"},
		Names:     map[string]string{"arn:aws:iam::111111111111:role/backup": "backup"},
	})
	role := func(issuer, agent string) caller {
		return caller{kind: "AssumedRole", arn: session, issuerARN: issuer, agent: agent}
	}
	cases := map[string]struct {
		reason string
		caller caller
		want   string
	}{
		"Provider":       {"the role and the agent", role(provider, agent), cloud.Crossplane},
		"ProviderS3":     {"S3 puts brackets around agents", role(provider, "["+agent+"]"), cloud.Crossplane},
		"ProviderOld":    {"crossplane-contrib's", role(provider, "aws-sdk-go/1.44.0 (go1.18.8; linux; amd64) crossplane-provider-aws/v0.34.0"), cloud.Crossplane},
		"ProviderJet":    {"jet's", role(provider, "x crossplane-provider-jet-aws/0.4"), cloud.Crossplane},
		"ProviderOwn":    {"an image of one's own", role(provider, "acme-provider/1"), cloud.Crossplane},
		"ProviderFAS":    {"what AWS does for the provider is not misuse", role(provider, "rds.amazonaws.com"), cloud.Crossplane},
		"ProviderAWS":    {"nor this", role(provider, "AWS Internal"), cloud.Crossplane},
		"Misuse":         {"the role, by hand", role(provider, cli), cloud.CrossplaneOtherAgent},
		"MisuseTF":       {"the role, with a person's Terraform", role(provider, human), cloud.CrossplaneOtherAgent},
		"MisuseConsole":  {"the role, in the console", caller{kind: "AssumedRole", issuerARN: provider, agent: "AWS Internal", console: true}, cloud.CrossplaneOtherAgent},
		"MisuseForged":   {"the role, in the console, as whoever", caller{kind: "AssumedRole", issuerARN: provider, agent: agent, console: true}, cloud.CrossplaneOtherAgent},
		"NoIssuer":       {"a record without the issuer has the role without its path", caller{kind: "AssumedRole", arn: session, agent: agent}, cloud.Crossplane},
		"NoIssuerMisuse": {"and misuse is seen there", caller{kind: "AssumedRole", arn: session, agent: cli}, cloud.CrossplaneOtherAgent},
		"OtherAccount":   {"a role of that name elsewhere is another", role("arn:aws:iam::222222222222:role/crossplane/provider-aws", cli), cloud.Role},
		"ByAgent":        {"a role nobody told of is known by its agent", role("arn:aws:iam::111111111111:role/new", agent), cloud.Crossplane},
		"User":           {"a user's static keys", caller{kind: "IAMUser", arn: "arn:aws:iam::111111111111:user/crossplane", agent: agent}, cloud.Crossplane},
		"UserMisuse":     {"used by hand", caller{kind: "IAMUser", arn: "arn:aws:iam::111111111111:user/crossplane", agent: cli}, cloud.CrossplaneOtherAgent},
		"Named":          {"a class of one's own", role("arn:aws:iam::111111111111:role/backup", human), "backup"},
		"IaCRole":        {"a role that was said to be", role("arn:aws:iam::111111111111:role/atlantis", cli), cloud.IaC},
		"IaCAgent":       {"Terraform says so", caller{kind: "IAMUser", arn: "u", agent: human}, cloud.IaC},
		"Pulumi":         {"so does Pulumi", role("r", "APN/1.0 Pulumi/1.0 PulumiAWS/6.0"), cloud.IaC},
		"CloudFormation": {"on behalf of whoever made the stack", caller{kind: "AssumedRole", issuerARN: "r", invokedBy: "cloudformation.amazonaws.com", agent: "cloudformation.amazonaws.com"}, cloud.IaC},
		"Service":        {"AWS itself", caller{kind: "AWSService", invokedBy: "autoscaling.amazonaws.com"}, cloud.Service},
		"ForProvider":    {"a service on behalf of the provider", caller{kind: "AssumedRole", issuerARN: provider, invokedBy: "rds.amazonaws.com", agent: "rds.amazonaws.com"}, cloud.Service},
		"ServiceEvent":   {"nobody called", caller{serviceEvent: true}, cloud.Service},
		"Linked":         {"a service-linked role", role("arn:aws:iam::111111111111:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS", "x"), cloud.ServiceLinked},
		"AWSInternal":    {"a person in the console, for all that it says", caller{kind: "IAMUser", arn: "u", invokedBy: "AWS Internal", agent: "AWS Internal", console: true}, cloud.Console},
		"AWSInternalOld": {"the same without the newer field", caller{kind: "IAMUser", arn: "u", invokedBy: "AWS Internal", agent: "AWS Internal"}, cloud.User},
		"Root":           {"nobody should", caller{kind: "Root", arn: "arn:aws:iam::111111111111:root", console: true}, cloud.Root},
		"Console":        {"a session from the console", caller{kind: "AssumedRole", issuerARN: awstest.SSORole, console: true}, cloud.Console},
		"Browser":        {"a browser", caller{kind: "IAMUser", arn: "u", agent: "Mozilla/5.0 (X11)"}, cloud.Console},
		"S3Console":      {"S3's own", caller{kind: "IAMUser", arn: "u", agent: "[S3Console/0.4, aws-internal/3]"}, cloud.Console},
		"SSO":            {"a person in a terminal", caller{kind: "AssumedRole", issuerARN: awstest.SSORole, issuerUserName: "AWSReservedSSO_Admin_0123456789abcdef", agent: cli}, cloud.SSO},
		"SSONoIssuer":    {"the same without the issuer", caller{kind: "AssumedRole", arn: "arn:aws:sts::111111111111:assumed-role/AWSReservedSSO_Admin_0123456789abcdef/jane", agent: cli}, cloud.SSO},
		"IAMUser":        {"a user", caller{kind: "IAMUser", arn: "u", agent: cli}, cloud.User},
		"Role":           {"a role", role("r", cli), cloud.Role},
		"Federated":      {"as good as a role", caller{kind: "FederatedUser", arn: "f"}, cloud.Role},
		"Nobody":         {"nothing is known", caller{}, cloud.Unknown},
		"WebIdentity":    {"not yet in a role", caller{kind: "WebIdentityUser"}, cloud.Unknown},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, _ := who.classify(&tc.caller)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}

	forger := caller{kind: "AssumedRole", issuerARN: "arn:aws:iam::111111111111:role/new", agent: agent}
	if class, id := (&Principals{}).classify(&forger); class != cloud.Crossplane || id != forger.issuerARN {
		t.Errorf("the zero value knows Crossplane by its agent: got %s, %s", class, id)
	}
	who.Know(Known{})
	if class, _ := who.classify(&caller{kind: "AssumedRole", issuerARN: provider, agent: cli}); class != cloud.Role {
		t.Errorf("Know replaces what was known: got %s", class)
	}
}
