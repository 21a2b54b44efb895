package aws

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"crossplane-exporter/internal/cloud"
)

// realFiles are log files of a real trail, from the directory that CLOUDTRAIL_FILES names, or else from where people who work on
// this keep some: beside the checkout.
func realFiles(t testing.TB) []string {
	t.Helper()
	dir := os.Getenv("CLOUDTRAIL_FILES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data", "cloudtrail")
		if _, err := os.Stat(dir); err != nil {
			t.Skip("there are no CloudTrail log files in ../shared/data/cloudtrail beside the checkout, and CLOUDTRAIL_FILES names no other directory of some")
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no *.json.gz in %s: %v", dir, err)
	}
	return files
}

func decodeFiles(t testing.TB, d *Decoder, files []string) []cloud.Record {
	t.Helper()
	var records []cloud.Record
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		err = d.Decode(f, func(r *cloud.Record) error {
			records = append(records, *r)
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		f.Close()
	}
	return records
}

// plainRecords reads log files the slow way, for comparison.
func plainRecords(t testing.TB, files []string) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		var log struct{ Records []map[string]any }
		if err := json.NewDecoder(z).Decode(&log); err != nil {
			t.Fatal(err)
		}
		all = append(all, log.Records...)
		f.Close()
	}
	return all
}

// at is the value at a path of names, "" if there is none; a name * is any one.
func at(v any, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			if len(x) == 0 {
				return ""
			}
			v = x[0].(map[string]any)[name]
		default:
			return ""
		}
	}
	s, _ := v.(string)
	return s
}

// created says what the calls that make things make: the resource that Crossplane would have for it.
var created = map[string]struct{ group, kind, name, arn string }{
	"CreateVpc":              {"ec2.aws.upbound.io", "VPC", "responseElements.vpc.vpcId", ""},
	"CreateSubnet":           {"ec2.aws.upbound.io", "Subnet", "responseElements.subnet.subnetId", "responseElements.subnet.subnetArn"},
	"CreateRouteTable":       {"ec2.aws.upbound.io", "RouteTable", "responseElements.routeTable.routeTableId", ""},
	"CreateInternetGateway":  {"ec2.aws.upbound.io", "InternetGateway", "responseElements.internetGateway.internetGatewayId", ""},
	"CreateNatGateway":       {"ec2.aws.upbound.io", "NATGateway", "responseElements.CreateNatGatewayResponse.natGateway.natGatewayId", ""},
	"CreateNetworkInterface": {"ec2.aws.upbound.io", "NetworkInterface", "responseElements.networkInterface.networkInterfaceId", ""},
	"CreateSecurityGroup":    {"ec2.aws.upbound.io", "SecurityGroup", "responseElements.groupId", ""},
	"CreateSnapshot":         {"ec2.aws.upbound.io", "EBSSnapshot", "responseElements.snapshotId", ""},
	"CreateVolume":           {"ec2.aws.upbound.io", "EBSVolume", "responseElements.volumeId", ""},
	"AllocateAddress":        {"ec2.aws.upbound.io", "EIP", "responseElements.allocationId", ""},
	"RunInstances":           {"ec2.aws.upbound.io", "Instance", "responseElements.instancesSet.items.instanceId", ""},
	"AssociateRouteTable":    {"ec2.aws.upbound.io", "RouteTableAssociation", "responseElements.associationId", ""},
	"CreateRole":             {"iam.aws.upbound.io", "Role", "requestParameters.roleName", "responseElements.role.arn"},
	"CreateUser":             {"iam.aws.upbound.io", "User", "requestParameters.userName", "responseElements.user.arn"},
	"CreatePolicy":           {"iam.aws.upbound.io", "Policy", "responseElements.policy.arn", ""},
	"CreateInstanceProfile":  {"iam.aws.upbound.io", "InstanceProfile", "requestParameters.instanceProfileName", "responseElements.instanceProfile.arn"},
	"CreateBucket":           {"s3.aws.upbound.io", "Bucket", "requestParameters.bucketName", ""},
	"CreateSecret":           {"secretsmanager.aws.upbound.io", "Secret", "responseElements.arn", ""},
	"CreateTrail":            {"cloudtrail.aws.upbound.io", "Trail", "requestParameters.name", "responseElements.trailARN"},
	"CreateDBInstance":       {"rds.aws.upbound.io", "Instance", "requestParameters.dBInstanceIdentifier", "responseElements.dBInstanceArn"},
	"CreateDBSubnetGroup":    {"rds.aws.upbound.io", "SubnetGroup", "requestParameters.dBSubnetGroupName", "responseElements.dBSubnetGroupArn"},
	"CreateDBSnapshot":       {"rds.aws.upbound.io", "Snapshot", "requestParameters.dBSnapshotIdentifier", "responseElements.dBSnapshotArn"},
	"CreateFunction20150331": {"lambda.aws.upbound.io", "Function", "requestParameters.functionName", "responseElements.functionArn"},
	"PutParameter":           {"ssm.aws.upbound.io", "Parameter", "requestParameters.name", "resources.ARN"},
	"CreateKey":              {"kms.aws.upbound.io", "Key", "responseElements.keyMetadata.keyId", "responseElements.keyMetadata.arn"},
	"CreateTrustAnchor":      {"rolesanywhere.aws.upbound.io", "TrustAnchor", "responseElements.trustAnchor.trustAnchorId", "responseElements.trustAnchor.trustAnchorArn"},
}

// touched says, worked out by hand, what a call changes: the kind, and where the call names it.
var touched = map[string]struct{ kind, path string }{
	"AddRoleToInstanceProfile":      {"InstanceProfile", "instanceProfileName"},
	"RemoveRoleFromInstanceProfile": {"InstanceProfile", "instanceProfileName"},
	"TagInstanceProfile":            {"InstanceProfile", "instanceProfileName"},
	"DeleteInstanceProfile":         {"InstanceProfile", "instanceProfileName"},
	"AttachRolePolicy":              {"Role", "roleName"},
	"DetachRolePolicy":              {"Role", "roleName"},
	"PutRolePolicy":                 {"Role", "roleName"},
	"DeleteRolePolicy":              {"Role", "roleName"},
	"DeleteRole":                    {"Role", "roleName"},
	"UpdateAssumeRolePolicy":        {"Role", "roleName"},
	"AttachUserPolicy":              {"User", "userName"},
	"DetachUserPolicy":              {"User", "userName"},
	"DeleteUser":                    {"User", "userName"},
	"DeleteLoginProfile":            {"User", "userName"},
	"UpdateLoginProfile":            {"User", "userName"},
	"DeleteAccessKey":               {"User", "userName"},
	"DeletePolicy":                  {"Policy", "policyArn"},
	"AttachInternetGateway":         {"InternetGateway", "internetGatewayId"},
	"DetachInternetGateway":         {"InternetGateway", "internetGatewayId"},
	"DeleteInternetGateway":         {"InternetGateway", "internetGatewayId"},
	"DisassociateRouteTable":        {"RouteTableAssociation", "associationId"},
	"DeleteRoute":                   {"RouteTable", "routeTableId"},
	"DeleteRouteTable":              {"RouteTable", "routeTableId"},
	"DeleteSubnet":                  {"Subnet", "subnetId"},
	"ModifySubnetAttribute":         {"Subnet", "subnetId"},
	"DeleteVpc":                     {"VPC", "vpcId"},
	"ModifyVpcAttribute":            {"VPC", "vpcId"},
	"DeleteNatGateway":              {"NATGateway", "DeleteNatGatewayRequest.NatGatewayId"},
	"DeleteNetworkInterface":        {"NetworkInterface", "networkInterfaceId"},
	"AuthorizeSecurityGroupIngress": {"SecurityGroup", "groupId"},
	"AuthorizeSecurityGroupEgress":  {"SecurityGroup", "groupId"},
	"RevokeSecurityGroupIngress":    {"SecurityGroup", "groupId"},
	"RevokeSecurityGroupEgress":     {"SecurityGroup", "groupId"},
	"DeleteSecurityGroup":           {"SecurityGroup", "groupId"},
	"ModifySnapshotAttribute":       {"EBSSnapshot", "snapshotId"},
	"DeleteSnapshot":                {"EBSSnapshot", "snapshotId"},
	"DeleteVolume":                  {"EBSVolume", "volumeId"},
	"ReleaseAddress":                {"EIP", "allocationId"},
	"TerminateInstances":            {"Instance", "instancesSet.items.instanceId"},
	"StopInstances":                 {"Instance", "instancesSet.items.instanceId"},
	"StartInstances":                {"Instance", "instancesSet.items.instanceId"},
	"ModifyInstanceAttribute":       {"Instance", "instanceId"},
	"PutBucketPolicy":               {"Bucket", "bucketName"},
	"PutBucketTagging":              {"Bucket", "bucketName"},
	"PutBucketLifecycle":            {"Bucket", "bucketName"},
	"PutBucketAcl":                  {"Bucket", "bucketName"},
	"DeleteBucketPolicy":            {"Bucket", "bucketName"},
	"DeleteBucket":                  {"Bucket", "bucketName"},
	"PutSecretValue":                {"Secret", "secretId"},
	"DeleteSecret":                  {"Secret", "secretId"},
	"PutEventSelectors":             {"Trail", "trailName"},
	"StartLogging":                  {"Trail", "name"},
	"StopLogging":                   {"Trail", "name"},
	"DeleteTrail":                   {"Trail", "name"},
	"DeleteParameter":               {"Parameter", "name"},
	"ModifyDBSnapshotAttribute":     {"Snapshot", "dBSnapshotIdentifier"},
	"DeleteDBSubnetGroup":           {"SubnetGroup", "dBSubnetGroupName"},
	"ModifyDBInstance":              {"Instance", "dBInstanceIdentifier"},
	"DeleteDBInstance":              {"Instance", "dBInstanceIdentifier"},
	"AddPermission20150331v2":       {"Function", "functionName"},
	"RemovePermission20150331v2":    {"Function", "functionName"},
	"UpdateFunctionCode20150331v2":  {"Function", "functionName"},
	"DeleteFunction20150331":        {"Function", "functionName"},
	"DeleteTrustAnchor":             {"TrustAnchor", "trustAnchorId"},
	"DeleteFlowLogs":                {"FlowLog", "DeleteFlowLogsRequest.FlowLogId.content"},
	"ModifyImageAttribute":          {"AMI", "imageId"},
	"DeregisterImage":               {"AMI", "imageId"},
	"CreateTags":                    {"AMI", "resourcesSet.items.resourceId"}, // in these files
	"CreateAccessKey":               {},                                       // something new, of a user
	"CreateLoginProfile":            {},
	"CreateRoute":                   {},
	"SendCommand":                   {}, // to whom, not about whom
}

// Every successful write by people and their tools is looked up in an inventory, and the answer compared with what touched says. The
// strict inventory is what the calls in these files have made, as in the experiment, which had all files of the trail: these are some of
// them, and most of what is written to was made in others. The whole one has that too, under the names that touched finds.
func TestRealFilesMatch(t *testing.T) {
	files := realFiles(t)
	d := NewDecoder(&Principals{})
	records, plain := decodeFiles(t, d, files), plainRecords(t, files)
	if len(records) != len(plain) {
		t.Fatalf("decoded %d records of %d", len(records), len(plain))
	}
	for name, tc := range map[string]struct {
		whole bool
		least float64 // of the relevant writes, to be matched
	}{
		"Strict": {false, 0.64},
		"Whole":  {true, 0.99},
	} {
		t.Run(name, func(t *testing.T) { matchRealFiles(t, records, plain, tc.whole, tc.least) })
	}
}

func matchRealFiles(t *testing.T, records []cloud.Record, plain []map[string]any, whole bool, least float64) {
	t.Helper()
	index := cloud.NewIndex[string](Scope)
	names := map[string]string{} // key in the index, by kind and what calls name it
	add := func(p map[string]any, group, kind, name, arn string) {
		key := kind + "/" + name
		id, ok := Identify(cloud.Managed{
			Group: group, Kind: kind, Account: at(p, "recipientAccountId"), Region: at(p, "awsRegion"), ExternalName: name, IDs: []string{arn},
		})
		if !ok || name == "" {
			t.Fatalf("%s: no %s in its record", at(p, "eventName"), kind)
		}
		index.Set(key, id)
		for _, n := range []string{name, arn} {
			names[kind+"/"+n] = key
			if kind == "Secret" && strings.HasPrefix(n, "arn:") { // calls may use the name in the ARN
				names[kind+"/"+n[strings.LastIndex(n, ":")+1:strings.LastIndex(n, "-")]] = key
			}
		}
	}
	for i, p := range plain {
		if c, ok := created[at(p, "eventName")]; ok && records[i].Outcome == cloud.OK {
			add(p, c.group, c.kind, at(p, c.name), at(p, c.arn))
		}
	}
	for i, p := range plain {
		w := touched[at(p, "eventName")]
		name := at(p, "requestParameters."+w.path)
		if !whole || w.kind == "" || records[i].Outcome != cloud.OK || names[w.kind+"/"+name] != "" {
			continue
		}
		add(p, strings.TrimSuffix(at(p, "eventSource"), "amazonaws.com")+"aws.upbound.io", w.kind, name, "")
	}

	relevant, known, matched, without := 0, 0, 0, map[string]int{}
	for i, p := range plain {
		op, r := at(p, "eventName"), &records[i]
		if _, ok := created[op]; ok || !r.Write || r.Outcome != cloud.OK || r.Principal.Class == cloud.Service ||
			r.Principal.Class == cloud.ServiceLinked || strings.Contains(r.Principal.Agent, "ssm-agent") || r.Service == "signin" {
			continue
		}
		relevant++
		want, ok := touched[op]
		if !ok {
			t.Errorf("%s is not in touched: work out what it changes", op)
			continue
		}
		var wants, got []string
		if name := names[want.kind+"/"+at(p, "requestParameters."+want.path)]; name != "" {
			wants = []string{name}
			known++
		}
		matches := index.Match(nil, r)
		for _, m := range matches {
			if !m.Related {
				got = append(got, m.Key)
			}
		}
		if diff := cmp.Diff(wants, got); diff != "" {
			t.Errorf("%s %s: -want, +got:\n%s", at(p, "eventID"), op, diff)
		}
		if len(matches) > 0 {
			matched++
		} else {
			without[op]++
		}
	}
	t.Logf("%d resources; of %d writes %d matched (%.1f %%), of the %d to one of them all; none for %v",
		index.Len(), relevant, matched, 100*float64(matched)/float64(relevant), known, without)
	if float64(matched) < least*float64(relevant) {
		t.Errorf("matched %d of %d writes, want %.1f %% at least", matched, relevant, 100*least)
	}
}

// The counts by outcome and by principal are those that jq has:
//
//	zcat *.json.gz | jq -r '.Records[] | (.errorCode // "") as $c |
//	  if $c == "" then "ok" elif $c | test("Throttl|RequestLimitExceeded") then "throttled"
//	  elif $c | test("UnauthorizedOperation|AccessDenied") then "denied" elif $c | test("LimitExceeded") then "quota"
//	  elif $c | test("NotFound|NoSuch") then "not_found" elif $c | test("NotEmpty|Exists|Duplicate|InUse|Dependency") then "conflict"
//	  elif $c | test("Invalid|Validation") then "invalid" else "other" end' | sort | uniq -c
//
//	zcat *.json.gz | jq -r '.Records[] | (.userAgent // "") as $a | .userIdentity as $i |
//	  if $i.type == "AWSService" or ($i.invokedBy // "" | endswith(".amazonaws.com")) then "aws_service"
//	  elif $i.sessionContext.sessionIssuer.arn // "" | test(":role/aws-service-role/") then "service_linked"
//	  elif $a | test("crossplane-provider-|upbound-provider-") then "crossplane" elif $i.type == "Root" then "root"
//	  elif $a | test("Terraform|HashiCorp|Pulumi") then "iac"
//	  elif .sessionCredentialFromConsole == "true" or ($a | test("^\\[?(Mozilla/|S3Console)|^signin.amazonaws.com$")) then "console"
//	  elif $i.sessionContext.sessionIssuer.userName // "" | test("^AWSReservedSSO_") then "sso"
//	  elif $i.type == "IAMUser" then "iam_user" elif $i.type == "AssumedRole" then "role" else "unknown" end' | sort | uniq -c
func TestRealFilesCounts(t *testing.T) {
	files := realFiles(t)
	d := NewDecoder(&Principals{})
	outcomes, classes := map[string]int{}, map[string]int{}
	for _, r := range decodeFiles(t, d, files) {
		outcomes[string(r.Outcome)]++
		classes[r.Principal.Class]++
	}
	wantOutcomes, wantClasses := map[string]int{}, map[string]int{}
	first := func(s string, of [][2]string) string {
		for _, o := range of {
			if regexp.MustCompile(o[0]).MatchString(s) {
				return o[1]
			}
		}
		return ""
	}
	for _, p := range plainRecords(t, files) {
		wantOutcomes[first(at(p, "errorCode"), [][2]string{
			{"^$", "ok"}, {"Throttl|RequestLimitExceeded", "throttled"}, {"UnauthorizedOperation|AccessDenied", "denied"}, {"LimitExceeded", "quota"},
			{"NotFound|NoSuch", "not_found"}, {"NotEmpty|Exists|Duplicate|InUse|Dependency", "conflict"}, {"Invalid|Validation", "invalid"}, {"", "other"},
		})]++
		who := strings.Join([]string{
			at(p, "userIdentity.type"), at(p, "userIdentity.invokedBy"), at(p, "userIdentity.sessionContext.sessionIssuer.arn"),
			at(p, "userIdentity.sessionContext.sessionIssuer.userName"), at(p, "sessionCredentialFromConsole"), at(p, "userAgent"),
		}, "|")
		wantClasses[first(who, [][2]string{
			{`^AWSService|^[^|]*\|[^|]*\.amazonaws\.com\|`, "aws_service"}, {":role/aws-service-role/", "service_linked"},
			{"crossplane-provider-|upbound-provider-", "crossplane"}, {`^Root`, "root"}, {"Terraform|HashiCorp|Pulumi", "iac"},
			{`\|true\|[^|]*$|\|\[?(Mozilla/|S3Console)[^|]*$|\|signin.amazonaws.com$`, "console"}, {`\|AWSReservedSSO_`, "sso"},
			{"^IAMUser", "iam_user"}, {"^AssumedRole", "role"}, {"", "unknown"},
		})]++
	}
	if diff := cmp.Diff(wantOutcomes, outcomes); diff != "" {
		t.Errorf("outcomes: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff(wantClasses, classes); diff != "" {
		t.Errorf("classes: -want, +got:\n%s", diff)
	}
	if d.Bad+d.Odd > 0 {
		t.Errorf("%d bad records, %d odd fields", d.Bad, d.Odd)
	}
	t.Log(outcomes, classes)
}
