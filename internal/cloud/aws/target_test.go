package aws

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"crossplane-exporter/internal/cloud"
)

// From the object's words and the record's words to a match: the external names of upjet's providers, and the calls as
// CloudTrail shows them (in its documentation, or in real files).
func TestManagedResourcesAreFound(t *testing.T) {
	const account, region = "111111111111", "eu-west-1"
	arn := func(service, rest string) string {
		return fmt.Sprintf("arn:aws:%s:%s:%s:%s", service, region, account, rest)
	}
	cases := map[string]struct {
		managed       cloud.Managed
		source, event string
		params        string
		more          string // other fields of the record
		related       bool
	}{
		"Bucket":          {cloud.Managed{Group: "s3.aws.upbound.io", Kind: "Bucket", ExternalName: "logs"}, "s3", "PutBucketPolicy", `{"bucketName":"logs","Host":"logs.s3.amazonaws.com","bucketPolicy":{"Statement":[{"Resource":"arn:aws:s3:::others"}]}}`, "", false},
		"BucketARN":       {cloud.Managed{Group: "s3.aws.m.upbound.io", Kind: "Bucket", ExternalName: "logs"}, "s3", "DeleteBucket", `{}`, `,"resources":[{"ARN":"arn:aws:s3:::logs"}]`, false},
		"BucketEncrypt":   {cloud.Managed{Group: "s3.aws.upbound.io", Kind: "BucketServerSideEncryptionConfiguration", ExternalName: "logs"}, "s3", "PutBucketEncryption", `{"bucketName":"logs"}`, "", false},
		"BucketBlock":     {cloud.Managed{Group: "s3.aws.upbound.io", Kind: "BucketPublicAccessBlock", ExternalName: "logs"}, "s3", "DeletePublicAccessBlock", `{"bucketName":"logs"}`, "", false},
		"Role":            {cloud.Managed{Group: "iam.aws.upbound.io", Kind: "Role", ExternalName: "app"}, "iam", "AttachRolePolicy", `{"roleName":"app","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"}`, "", false},
		"RoleByARN":       {cloud.Managed{Group: "iam.aws.upbound.io", Kind: "Role", IDs: []string{"arn:aws:iam::" + account + ":role/team/app"}}, "iam", "UpdateRole", `{"roleName":"app"}`, "", false},
		"Attachment":      {cloud.Managed{Group: "iam.aws.upbound.io", Kind: "RolePolicyAttachment", ExternalName: "app/arn:aws:iam::aws:policy/ReadOnlyAccess"}, "iam", "DetachRolePolicy", `{"roleName":"app","policyArn":"arn:aws:iam::aws:policy/ReadOnlyAccess"}`, "", false},
		"Inline":          {cloud.Managed{Group: "iam.aws.upbound.io", Kind: "RolePolicy", ExternalName: "app:inline"}, "iam", "PutRolePolicy", `{"roleName":"app","policyName":"inline","policyDocument":"{}"}`, "", false},
		"Policy":          {cloud.Managed{Group: "iam.aws.upbound.io", Kind: "Policy", ExternalName: "arn:aws:iam::111111111111:policy/p"}, "iam", "CreatePolicyVersion", `{"policyArn":"arn:aws:iam::111111111111:policy/p"}`, "", false},
		"SecurityGroup":   {cloud.Managed{Group: "ec2.aws.upbound.io", Kind: "SecurityGroup", ExternalName: "sg-0123456789abcdef0"}, "ec2", "AuthorizeSecurityGroupIngress", `{"groupId":"sg-0123456789abcdef0","ipPermissions":{"items":[{"groups":{"items":[{"groupId":"sg-other"}]}}]}}`, "", false},
		"Route":           {cloud.Managed{Group: "ec2.aws.upbound.io", Kind: "Route", ExternalName: "rtb-0123456789abcdef0_0.0.0.0/0"}, "ec2", "ReplaceRoute", `{"routeTableId":"rtb-0123456789abcdef0","destinationCidrBlock":"0.0.0.0/0"}`, "", false},
		"RouteTable":      {cloud.Managed{Group: "ec2.aws.upbound.io", Kind: "RouteTable", ExternalName: "rtb-0123456789abcdef0"}, "ec2", "CreateRoute", `{"routeTableId":"rtb-0123456789abcdef0","destinationCidrBlock":"0.0.0.0/0"}`, "", true},
		"VPCParent":       {cloud.Managed{Group: "ec2.aws.upbound.io", Kind: "VPC", ExternalName: "vpc-0123456789abcdef0"}, "ec2", "CreateSubnet", `{"vpcId":"vpc-0123456789abcdef0"}`, "", true},
		"Tags":            {cloud.Managed{Group: "ec2.aws.upbound.io", Kind: "EBSVolume", ExternalName: "vol-0123456789abcdef0"}, "ec2", "CreateTags", `{"resourcesSet":{"items":[{"resourceId":"vol-0123456789abcdef0"}]},"tagSet":{"items":[{"key":"a","value":"vol-x"}]}}`, "", false},
		"FlowLog":         {cloud.Managed{Group: "ec2.aws.upbound.io", Kind: "FlowLog", ExternalName: "fl-064ed3a785e4a37ef"}, "ec2", "DeleteFlowLogs", `{"DeleteFlowLogsRequest":{"FlowLogId":{"tag":1,"content":"fl-064ed3a785e4a37ef"}}}`, "", false},
		"DBInstance":      {cloud.Managed{Group: "rds.aws.upbound.io", Kind: "Instance", ExternalName: "db-ABCDEFGHIJKLMNOP", IDs: []string{"main", arn("rds", "db:main")}}, "rds", "ModifyDBInstance", `{"dBInstanceIdentifier":"main","applyImmediately":true}`, "", false},
		"DBCluster":       {cloud.Managed{Group: "rds.aws.upbound.io", Kind: "Cluster", ExternalName: "main"}, "rds", "ModifyDBCluster", `{"dBClusterIdentifier":"main"}`, "", false},
		"RDSContrib":      {cloud.Managed{Group: "database.aws.crossplane.io", Kind: "RDSInstance", ExternalName: "main"}, "rds", "RebootDBInstance", `{"dBInstanceIdentifier":"main"}`, "", false},
		"Table":           {cloud.Managed{Group: "dynamodb.aws.upbound.io", Kind: "Table", ExternalName: "orders"}, "dynamodb", "UpdateTable", `{"provisionedThroughput":{}}`, `,"responseElements":{"tableDescription":{"tableName":"orders","tableStatus":"UPDATING"}}`, false},
		"EKSCluster":      {cloud.Managed{Group: "eks.aws.upbound.io", Kind: "Cluster", ExternalName: "prod"}, "eks", "UpdateClusterConfig", `{"name":"prod","logging":{}}`, "", false},
		"NodeGroup":       {cloud.Managed{Group: "eks.aws.upbound.io", Kind: "NodeGroup", ExternalName: "prod:workers"}, "eks", "UpdateNodegroupConfig", `{"clusterName":"prod","nodegroupName":"workers"}`, "", false},
		"Queue":           {cloud.Managed{Group: "sqs.aws.upbound.io", Kind: "Queue", ExternalName: "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs"}, "sqs", "SetQueueAttributes", `{"queueUrl":"https://eu-west-1.queue.amazonaws.com/111111111111/jobs"}`, "", false},
		"Topic":           {cloud.Managed{Group: "sns.aws.upbound.io", Kind: "Topic", ExternalName: arn("sns", "alerts")}, "sns", "SetTopicAttributes", `{"topicArn":"` + arn("sns", "alerts") + `"}`, "", false},
		"Function":        {cloud.Managed{Group: "lambda.aws.upbound.io", Kind: "Function", ExternalName: "resize"}, "lambda", "UpdateFunctionCode20150331v2", `{"functionName":"` + arn("lambda", "function:resize") + `"}`, "", false},
		"FunctionVersion": {cloud.Managed{Group: "lambda.aws.upbound.io", Kind: "Function", ExternalName: "resize"}, "lambda", "AddPermission20150331v2", `{"functionName":"` + arn("lambda", "function:resize:7") + `"}`, "", false},
		"Key":             {cloud.Managed{Group: "kms.aws.upbound.io", Kind: "Key", ExternalName: "0aab9947-662e-407b-bbc7-e86981879d38"}, "kms", "ScheduleKeyDeletion", `{"keyId":"alias/main"}`, `,"resources":[{"ARN":"` + arn("kms", "key/0aab9947-662e-407b-bbc7-e86981879d38") + `","accountId":"111111111111","type":"AWS::KMS::Key"}]`, false},
		"Secret":          {cloud.Managed{Group: "secretsmanager.aws.upbound.io", Kind: "Secret", ExternalName: arn("secretsmanager", "secret:db/password-AbCdEf")}, "secretsmanager", "PutSecretValue", `{"secretId":"db/password"}`, "", false},
		"Parameter":       {cloud.Managed{Group: "ssm.aws.upbound.io", Kind: "Parameter", ExternalName: "/app/key"}, "ssm", "PutParameter", `{"name":"/app/key","overwrite":true}`, "", false},
		"ParameterARN":    {cloud.Managed{Group: "ssm.aws.upbound.io", Kind: "Parameter", ExternalName: "/app/key"}, "ssm", "LabelParameterVersion", `{}`, `,"resources":[{"ARN":"` + arn("ssm", "parameter/app/key") + `"}]`, false},
		"Zone":            {cloud.Managed{Group: "route53.aws.upbound.io", Kind: "Zone", ExternalName: "Z0123456789ABC"}, "route53", "UpdateHostedZoneComment", `{"hostedZoneId":"/hostedzone/Z0123456789ABC"}`, "", false},
		"Record":          {cloud.Managed{Group: "route53.aws.upbound.io", Kind: "Record", ExternalName: "Z0123456789ABC_*.example.org_A"}, "route53", "ChangeResourceRecordSets", `{"changeBatch":{"changes":[{"action":"UPSERT","resourceRecordSet":{"name":"\\052.example.org.","type":"A"}}]},"hostedZoneId":"Z0123456789ABC"}`, "", false},
		"LoadBalancer":    {cloud.Managed{Group: "elbv2.aws.upbound.io", Kind: "LB", ExternalName: arn("elasticloadbalancing", "loadbalancer/app/web/50dc6c495c0c9188")}, "elasticloadbalancing", "ModifyLoadBalancerAttributes", `{"loadBalancerArn":"` + arn("elasticloadbalancing", "loadbalancer/app/web/50dc6c495c0c9188") + `"}`, "", false},
		"ClassicELB":      {cloud.Managed{Group: "elb.aws.upbound.io", Kind: "ELB", ExternalName: "web"}, "elasticloadbalancing", "ConfigureHealthCheck", `{"loadBalancerName":"web"}`, "", false},
		"FileSystem":      {cloud.Managed{Group: "efs.aws.upbound.io", Kind: "FileSystem", ExternalName: "fs-0123456789abcdef0"}, "elasticfilesystem", "UpdateFileSystem", `{"fileSystemId":"fs-0123456789abcdef0"}`, "", false},
		"Alarm":           {cloud.Managed{Group: "cloudwatch.aws.upbound.io", Kind: "MetricAlarm", ExternalName: "cpu"}, "monitoring", "PutMetricAlarm", `{"alarmName":"cpu"}`, "", false},
		"LogGroup":        {cloud.Managed{Group: "cloudwatchlogs.aws.upbound.io", Kind: "Group", ExternalName: "/app"}, "logs", "PutRetentionPolicy", `{"logGroupName":"/app","retentionInDays":1}`, "", false},
		"Rule":            {cloud.Managed{Group: "cloudwatchevents.aws.upbound.io", Kind: "Rule", ExternalName: "nightly"}, "events", "DisableRule", `{"name":"nightly"}`, "", false},
		"Repository":      {cloud.Managed{Group: "ecr.aws.upbound.io", Kind: "Repository", ExternalName: "app"}, "ecr", "PutImageTagMutability", `{"repositoryName":"app"}`, "", false},
		"ASG":             {cloud.Managed{Group: "autoscaling.aws.upbound.io", Kind: "AutoscalingGroup", ExternalName: "workers"}, "autoscaling", "SetDesiredCapacity", `{"autoScalingGroupName":"workers","desiredCapacity":3}`, "", false},
		"Trail":           {cloud.Managed{Group: "cloudtrail.aws.upbound.io", Kind: "Trail", ExternalName: "main"}, "cloudtrail", "StopLogging", `{"name":"main"}`, "", false},
		"Jet":             {cloud.Managed{Group: "ec2.aws.jet.crossplane.io", Kind: "VPC", ExternalName: "vpc-0123456789abcdef0"}, "ec2", "DeleteVpc", `{"vpcId":"vpc-0123456789abcdef0"}`, "", false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.managed.Account, tc.managed.Region = account, region
			id, ok := Identify(tc.managed)
			if !ok {
				t.Fatalf("%s is none of AWS", tc.managed.Group)
			}
			index := cloud.NewIndex[string](Scope)
			index.Set("it", id)
			event := fmt.Sprintf(`{"eventID":"1","eventTime":"2026-05-01T12:00:01Z","eventSource":"%s.amazonaws.com","eventName":%q,"awsRegion":%q,`+
				`"recipientAccountId":%q,"readOnly":false,"requestParameters":%s%s}`, tc.source, tc.event, region, account, tc.params, tc.more)
			r, err := NewDecoder(&Principals{}).One([]byte(event))
			if err != nil || r == nil {
				t.Fatalf("%s: %v", event, err)
			}
			if diff := cmp.Diff([]cloud.Match[string]{{Key: "it", Related: tc.related}}, index.Match(nil, r)); diff != "" {
				t.Errorf("-want, +got:\n%s\nthe object has %q\nthe record %+v", diff, id.IDs, r.Targets)
			}
			// Elsewhere it is another.
			r.Account = "999999999999"
			if got := index.Match(nil, r); len(got) != 0 {
				t.Errorf("the same in another account matches: %v", got)
			}
		})
	}
}

// The API groups of the providers meet the event sources of CloudTrail.
func TestScope(t *testing.T) {
	for group, source := range map[string]string{
		"accessanalyzer": "access-analyzer", "acmpca": "acm-pca", "amp": "aps", "apigatewayv2": "apigateway",
		"appautoscaling": "application-autoscaling", "autoscaling": "autoscaling", "cloudcontrol": "cloudcontrolapi",
		"cloudwatch": "monitoring", "cloudwatchevents": "events", "cloudwatchlogs": "logs", "cognitoidp": "cognito-idp",
		"configservice": "config", "deploy": "codedeploy", "docdb": "rds", "ec2": "ec2", "ecrpublic": "ecr-public",
		"efs": "elasticfilesystem", "elasticsearch": "es", "elb": "elasticloadbalancing", "emr": "elasticmapreduce",
		"emrserverless": "emr-serverless", "keyspaces": "cassandra", "licensemanager": "license-manager",
		"location": "geo", "memorydb": "memory-db", "mq": "amazonmq", "neptune": "rds", "networkfirewall": "network-firewall",
		"opensearch": "es", "redshiftserverless": "redshift-serverless", "s3control": "s3", "sesv2": "ses", "sfn": "states",
		"ssoadmin": "sso", "wafregional": "waf-regional",
	} {
		if g, s := Scope(group), Scope(source); g != s {
			t.Errorf("%s is %q, and its calls to %s are %q", group, g, source, s)
		}
	}
}

func TestNotMatched(t *testing.T) {
	index := cloud.NewIndex[string](Scope)
	for _, m := range []cloud.Managed{
		{Group: "s3.aws.upbound.io", Kind: "Bucket", ExternalName: "prod"},
		{Group: "iam.aws.upbound.io", Kind: "User", ExternalName: "prod"},
		{Group: "iam.aws.upbound.io", Kind: "Policy", ExternalName: "arn:aws:iam::111111111111:policy/prod"},
		{Group: "ec2.aws.upbound.io", Kind: "KeyPair", ExternalName: "prod"},
		{Group: "ssm.aws.upbound.io", Kind: "Parameter", ExternalName: "/prod/key"},
		{Group: "rds.aws.upbound.io", Kind: "SubnetGroup", ExternalName: "prod"},
	} {
		id, _ := Identify(m)
		index.Set(m.Kind, id)
	}
	for name, tc := range map[string]struct{ source, event, params string }{
		"TagValue":     {"ec2", "CreateTags", `{"resourcesSet":{"items":[{"resourceId":"i-0123456789abcdef0"}]},"tagSet":{"items":[{"key":"env","value":"prod"}]}}`},
		"TagList":      {"rds", "CreateDBInstance", `{"dBInstanceIdentifier":"x","tags":[{"key":"env","value":"prod"}]}`},
		"PolicyName":   {"iam", "PutUserPolicy", `{"userName":"jane","policyName":"prod"}`},
		"Description":  {"s3", "PutBucketTagging", `{"bucketName":"other","description":"prod"}`},
		"InPolicy":     {"s3", "PutBucketPolicy", `{"bucketName":"other","bucketPolicy":{"Statement":[{"Resource":["arn:aws:s3:::prod"]}]}}`},
		"OtherService": {"lambda", "TagResource", `{"resource":"prod"}`},
		"OtherName":    {"iam", "UpdateGroup", `{"groupName":"prod"}`},
		"DBName":       {"rds", "ModifyDBInstance", `{"dBInstanceIdentifier":"prod"}`},
		"Prefix":       {"ssm", "PutParameter", `{"name":"/prod/key2"}`},
	} {
		t.Run(name, func(t *testing.T) {
			event := fmt.Sprintf(`{"eventTime":"2026-05-01T12:00:01Z","eventSource":"%s.amazonaws.com","eventName":%q,"readOnly":false,"requestParameters":%s}`,
				tc.source, tc.event, tc.params)
			r, err := NewDecoder(&Principals{}).One([]byte(event))
			if err != nil {
				t.Fatal(err)
			}
			if got := index.Match(nil, r); len(got) != 0 {
				t.Errorf("%s matches %v", event, got)
			}
		})
	}
}

// Calls that change nothing about the resource that they name are calls, and no changes.
func TestUsesAreNoChanges(t *testing.T) {
	const (
		data = `,"managementEvent":false,"eventCategory":"Data"`
		dry  = `,"errorCode":"Client.DryRunOperation","errorMessage":"Request would have succeeded, but DryRun flag is set."`
	)
	index := cloud.NewIndex[string](Scope)
	for _, m := range []cloud.Managed{
		{Group: "s3.aws.upbound.io", Kind: "Bucket", ExternalName: "logs"},
		{Group: "lambda.aws.upbound.io", Kind: "Function", ExternalName: "resize"},
		{Group: "dynamodb.aws.upbound.io", Kind: "Table", ExternalName: "orders"},
		{Group: "sqs.aws.upbound.io", Kind: "Queue", ExternalName: "https://sqs.eu-west-1.amazonaws.com/111111111111/jobs"},
		{Group: "sfn.aws.upbound.io", Kind: "StateMachine", ExternalName: "arn:aws:states:eu-west-1:111111111111:stateMachine:pay"},
		{Group: "codebuild.aws.upbound.io", Kind: "Project", ExternalName: "shop"},
		{Group: "ecr.aws.upbound.io", Kind: "Repository", ExternalName: "shop"},
		{Group: "ec2.aws.upbound.io", Kind: "Instance", ExternalName: "i-0123456789abcdef0"},
	} {
		id, _ := Identify(m)
		index.Set(m.Kind, id)
	}
	for name, tc := range map[string]struct {
		reason                string
		source, event, params string
		more                  string // of the record
		change                string // an operation that is one
	}{
		"PutObject":    {"an object is not its bucket", "s3", "PutObject", `{"bucketName":"logs","key":"a"}`, data, "PutBucketAcl"},
		"DeleteObject": {"as above", "s3", "DeleteObject", `{"bucketName":"logs","key":"a"}`, data, "PutBucketAcl"},
		"ByCategory":   {"Lake's records and EventBridge's may have one of the two", "s3", "DeleteObjects", `{"bucketName":"logs"}`, `,"eventCategory":"Data"`, "PutBucketAcl"},
		"ByString":     {"booleans may be strings", "s3", "DeleteObjects", `{"bucketName":"logs"}`, `,"managementEvent":"false"`, "PutBucketAcl"},
		"Network":      {"what went through a VPC endpoint", "s3", "DeleteObjects", `{"bucketName":"logs"}`, `,"eventCategory":"NetworkActivity"`, "PutBucketAcl"},
		"Invoke":       {"it runs", "lambda", "Invoke20150331", `{"functionName":"resize"}`, "", "UpdateFunctionCode20150331v2"},
		"PutItem":      {"a row is not its table", "dynamodb", "PutItem", `{"tableName":"orders"}`, data, "UpdateTable"},
		"SendMessage":  {"a message is not its queue", "sqs", "SendMessage", `{"queueUrl":"https://sqs.eu-west-1.amazonaws.com/111111111111/jobs"}`, data, "SetQueueAttributes"},
		"Execution":    {"management, but a use", "states", "StartExecution", `{"stateMachineArn":"arn:aws:states:eu-west-1:111111111111:stateMachine:pay"}`, "", "UpdateStateMachine"},
		"Build":        {"as above", "codebuild", "StartBuild", `{"projectName":"shop"}`, "", "UpdateProject"},
		"Layer":        {"as above", "ecr", "UploadLayerPart", `{"repositoryName":"shop"}`, "", "PutImageTagMutability"},
		"Upload":       {"as above", "ecr", "InitiateLayerUpload", `{"repositoryName":"shop"}`, "", "PutImageTagMutability"},
		"DryRun":       {"it would have been", "ec2", "TerminateInstances", `{"instancesSet":{"items":[{"instanceId":"i-0123456789abcdef0"}]}}`, dry, "TerminateInstances"},
	} {
		t.Run(name, func(t *testing.T) {
			decode := func(event, more string) *cloud.Record {
				r, err := NewDecoder(&Principals{}).One(fmt.Appendf(nil, `{"eventTime":"2026-05-01T12:00:01Z","eventSource":"%s.amazonaws.com","eventName":%q,"readOnly":false,"recipientAccountId":"111111111111","requestParameters":%s%s}`,
					tc.source, event, tc.params, more))
				if err != nil || r == nil {
					t.Fatalf("it is not counted: %v, %v", r, err)
				}
				return r
			}
			r := decode(tc.event, tc.more)
			if got := index.Match(nil, r); len(got) != 0 || len(r.Targets) != 0 || !r.Write || r.Outcome != cloud.OK {
				t.Errorf("%s: it is a change of %v: %+v", tc.reason, got, r)
			}
			if got := index.Match(nil, decode(tc.change, `,"managementEvent":true`)); len(got) != 1 || got[0].Related {
				t.Errorf("%s: and what is one is not: %v", tc.reason, got)
			}
		})
	}
}

func TestIdentify(t *testing.T) {
	for group, want := range map[string]string{
		"ec2.aws.upbound.io": "ec2", "ec2.aws.m.upbound.io": "ec2", "elbv2.aws.crossplane.io": "elasticloadbalancing",
		"rds.aws.jet.crossplane.io": "rds", "neptune.aws.upbound.io": "rds",
		"aws.upbound.io": "", "compute.gcp.upbound.io": "", "kubernetes.crossplane.io": "", "a.b.aws.upbound.io": "", "": "",
	} {
		id, ok := Identify(cloud.Managed{Group: group})
		if id.Service != want || ok != (want != "") {
			t.Errorf("%s: service %q, %v; want %q", group, id.Service, ok, want)
		}
	}
	got, _ := Identify(cloud.Managed{
		Group: "iam.aws.upbound.io", Kind: "Role", Account: "999999999999", Region: "eu-west-1", ExternalName: "app",
		IDs: []string{"", "app", "ab", "arn:aws:iam::111111111111:role/team/app", strings.Repeat("x", 1000)},
	})
	want := cloud.Identity{
		Service: "iam", Kind: "Role", Account: "111111111111", // as its ARN says; and no region
		IDs: []string{"app", "arn:aws:iam::111111111111:role/team/app", "team/app"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}
