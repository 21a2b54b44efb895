package aws

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOperationOf(t *testing.T) {
	for event, want := range map[string]string{
		"DescribeVpcs":                 "DescribeVpcs",
		"CreateFunction20150331":       "CreateFunction",
		"UpdateFunctionCode20150331v2": "UpdateFunctionCode",
		"GetFunction20150331v10":       "GetFunction",
		"CreateDistribution2020_05_31": "CreateDistribution",
		"20150331":                     "20150331",
		"v2":                           "v2",
		"UpdateV2":                     "UpdateV2",
		"PutThing99999999":             "PutThing99999999", // no date of an API
		"":                             "",
		"GetRestApiV2":                 "GetRestApiV2",
	} {
		if got := operationOf(event); got != want {
			t.Errorf("operationOf(%q) = %q, want %q", event, got, want)
		}
	}
}

func TestNounOf(t *testing.T) {
	type noun struct {
		Noun   string
		Create bool
	}
	for op, want := range map[[2]string]noun{
		{"ec2", "ModifySubnetAttribute"}:         {"SubnetAttribute", false},
		{"ec2", "CreateSubnet"}:                  {"Subnet", true},
		{"ec2", "CreateTags"}:                    {"Tags", false},
		{"ec2", "RunInstances"}:                  {"Instance", false},
		{"iam", "AddRoleToInstanceProfile"}:      {"InstanceProfile", false},
		{"iam", "RemoveRoleFromInstanceProfile"}: {"InstanceProfile", false},
		{"iam", "AddUserToGroup"}:                {"Group", false},
		{"iam", "UpdateAssumeRolePolicy"}:        {"Role", false},
		{"s3", "PutBucketTagging"}:               {"BucketTagging", false},
		{"ec2", "AllocateAddress"}:               {"Address", true},
		{"autoscaling", "SetDesiredCapacity"}:    {"AutoscalingGroup", false},
		{"x", "Frobnicate"}:                      {"Frobnicate", false},
		{"x", "Settle"}:                          {"Settle", false},
		{"x", "Create"}:                          {"Create", false},
	} {
		n, c := nounOf(op[0], op[1])
		if diff := cmp.Diff(want, noun{n, c}); diff != "" {
			t.Errorf("%v: -want, +got:\n%s", op, diff)
		}
	}
}

func TestServiceOf(t *testing.T) {
	for source, want := range map[string]string{
		"ec2.amazonaws.com": "ec2", "ec2.amazonaws.com.cn": "ec2", "models.lex.amazonaws.com": "models.lex", "odd": "odd", "": "",
	} {
		if got := serviceOf(source); got != want {
			t.Errorf("serviceOf(%q) = %q, want %q", source, got, want)
		}
	}
}
