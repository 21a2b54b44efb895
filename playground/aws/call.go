package aws

import (
	"context"

	"crossplane-exporter/internal/cloud/aws/awstest"
)

const accountID = "111122223333"

// A caller is who calls AWS.
type caller struct {
	role, session, agent string
	console              bool
}

const (
	roles   = "arn:aws:iam::" + accountID + ":role/"
	ssoRole = roles + "aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_AdministratorAccess_0123456789abcdef"
	cli     = "aws-cli/2.31.0 md/awscrt#0.28.1 ua/2.1 os/linux#6.12 md/arch#x86_64 lang/python#3.13.7"
)

var (
	// provider is the one of configs.yaml's ProviderConfig.
	provider = caller{role: roles + "crossplane/provider-aws", session: "1763712000000000000", agent: awstest.ProviderAgent}
	// bob has assumed the provider's role in a terminal.
	bob = caller{role: provider.role, session: "bob", agent: cli}
	// alice is in the web console, carol in a terminal.
	alice = caller{role: ssoRole, session: "alice@example.org", agent: "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", console: true}
	carol = caller{role: ssoRole, session: "carol@example.org", agent: cli}
	// tagging is a script that knows nothing of Crossplane.
	tagging = caller{role: roles + "cost-tagging", session: "nightly", agent: "Boto3/1.40.55 md/Botocore#1.40.55 ua/2.1 os/linux#6.12 lang/python#3.13.7"}
	// batch is a workload that uses up the account's rate.
	batch = caller{role: roles + "batch", session: "i-0d1e2f3a4b5c6d7e8", agent: "aws-sdk-java/2.35.0 ua/2.1 os/Linux#6.12 lang/java#21.0.8"}
	// autoscaling is AWS by itself.
	autoscaling = caller{
		role:    roles + "aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling",
		session: "AutoScaling", agent: "autoscaling.amazonaws.com",
	}
)

// A call is one of AWS's API.
type call struct {
	service, operation, region string
	readOnly                   bool
	request                    map[string]any
	code, message              string
}

// throttled is the call refused by EC2 because there were too many. CloudTrail then does not say what it was about.
func (c call) throttled() call {
	c.request, c.code, c.message = nil, "Client.RequestLimitExceeded", "Request limit exceeded."
	return c
}

// bustle is what goes on in an account all the time. The provider's failures are those that the objects in aws.yaml tell of.
func (a *Account) bustle(_ context.Context, second int) error {
	describeInstances := call{
		service: "ec2", operation: "DescribeInstances", region: "eu-central-1", readOnly: true,
		request: map[string]any{"maxResults": 1000, "instancesSet": map[string]any{}, "filterSet": map[string]any{}},
	}
	for _, b := range []struct {
		every int // seconds
		by    caller
		call  call
	}{
		{2, batch, describeInstances},
		{5, batch, describeInstances.throttled()},
		{10, provider, call{service: "ec2", operation: "DescribeSubnets", region: "eu-central-1", readOnly: true}.throttled()},
		{15, provider, call{
			service: "route53", operation: "ListResourceRecordSets", region: "us-east-1", readOnly: true, code: "Throttling", message: "Rate exceeded",
		}},
		{30, provider, call{
			service: "iam", operation: "UpdateAssumeRolePolicy", region: "us-east-1", code: "AccessDenied",
			message: "User: arn:aws:sts::" + accountID + ":assumed-role/provider-aws/" + provider.session +
				" is not authorized to perform: iam:UpdateAssumeRolePolicy on resource: role deployer",
		}},
		{30, provider, call{
			service: "ec2", operation: "CreateVpc", region: "eu-central-1", request: map[string]any{"cidrBlock": "10.9.0.0/16"},
			code: "Client.VpcLimitExceeded", message: "The maximum number of VPCs has been reached.",
		}},
		{45, provider, call{
			service: "ec2", operation: "DeleteSecurityGroup", region: "eu-central-1", request: map[string]any{"groupId": "sg-0123456789abcdef0"},
			code: "Client.DependencyViolation", message: "resource sg-0123456789abcdef0 has a dependent object",
		}},
		{60, autoscaling, call{
			service: "ec2", operation: "TerminateInstances", region: "eu-central-1",
			request: map[string]any{"instancesSet": map[string]any{"items": []any{map[string]any{"instanceId": "i-0f1e2d3c4b5a69788"}}}},
		}},
	} {
		if second%b.every == 0 {
			a.happened(b.by, b.call)
		}
	}
	return nil
}
