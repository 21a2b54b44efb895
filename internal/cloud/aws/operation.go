package aws

import "strings"

// serviceOf is the service of an eventSource: ec2 for ec2.amazonaws.com.
func serviceOf(eventSource string) string {
	service, _, _ := strings.Cut(eventSource, ".amazonaws.com")
	return service
}

// operationOf is an eventName without the API's version, which some services add: UpdateFunctionCode20150331v2,
// CreateDistribution2020_05_31.
func operationOf(eventName string) string {
	s := eventName
	if i := strings.LastIndexByte(s, 'v'); i > 0 && i >= len(s)-3 && digits(s[i+1:]) {
		s = s[:i]
	}
	// A date, with or without underscores.
	for _, n := range []int{len("2020_05_31"), len("20150331")} {
		if len(s) <= n {
			continue
		}
		if date := s[len(s)-n:]; strings.HasPrefix(date, "20") && digits(strings.ReplaceAll(date, "_", "")) {
			return s[:len(s)-n]
		}
	}
	return eventName
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || '9' < s[i] {
			return false
		}
	}
	return s != ""
}

// Verbs begin the names of operations that change something. The makers make the thing that they name.
var (
	makers = []string{"Allocate", "BatchCreate", "Copy", "Create", "Import", "Provision", "Request", "Run"}
	verbs  = []string{
		"Accept", "Add", "Apply", "Assign", "Associate", "Attach", "Authorize", "BatchDelete", "BatchUpdate", "Cancel",
		"Change", "Configure", "Deactivate", "Delete", "Deregister", "Detach", "Disable", "Disassociate", "Enable",
		"Modify", "Put", "Reboot", "Register", "Reject", "Release", "Remove", "Replace", "Reset", "Restore", "Revoke",
		"Rotate", "Schedule", "Set", "Start", "Stop", "Tag", "Terminate", "Unassign", "Untag", "Update",
	}
	// readers begin those that do not.
	readers = []string{
		"BatchGet", "Check", "Describe", "Get", "Head", "List", "Lookup", "Query", "Scan", "Search", "Select", "View",
	}
)

// afterVerb is what follows the first of some verbs that a name begins with.
func afterVerb(name string, verbs []string) (rest string, ok bool) {
	for _, v := range verbs {
		if rest, ok := strings.CutPrefix(name, v); ok && rest != "" && isUpper(rest[0]) {
			return rest, true
		}
	}
	return name, false
}

// nounOf is what an operation says it acts on, and whether it makes one: SubnetAttribute for ModifySubnetAttribute,
// InstanceProfile for AddRoleToInstanceProfile. Where the name misleads, nouns has the last word.
func nounOf(service, operation string) (noun string, create bool) {
	if n, ok := nouns[service+":"+operation]; ok {
		return n, strings.HasPrefix(operation, "Create")
	}
	if noun, create = afterVerb(operation, makers); !create {
		noun, _ = afterVerb(operation, verbs)
	}
	if noun == "Tags" || strings.HasSuffix(operation, "Tagging") {
		create = false // the thing that is tagged exists
	}
	for _, link := range []string{"To", "From"} {
		if i := strings.LastIndex(noun, link); i > 0 && i+len(link) < len(noun) && isUpper(noun[i+len(link)]) {
			return noun[i+len(link):], create
		}
	}
	return noun, create
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// nouns are the operations whose name does not say the kind of resource that they change.
var nouns = map[string]string{
	"cloudtrail:StartLogging":                "Trail",
	"cloudtrail:StopLogging":                 "Trail",
	"cloudtrail:PutEventSelectors":           "Trail",
	"ec2:RunInstances":                       "Instance",
	"ec2:AssociateAddress":                   "EIPAssociation",
	"ec2:DisassociateAddress":                "EIPAssociation",
	"ec2:AssociateRouteTable":                "RouteTableAssociation",
	"ec2:DisassociateRouteTable":             "RouteTableAssociation",
	"ec2:ReplaceRouteTableAssociation":       "RouteTableAssociation",
	"ec2:AuthorizeSecurityGroupIngress":      "SecurityGroup",
	"ec2:AuthorizeSecurityGroupEgress":       "SecurityGroup",
	"ec2:RevokeSecurityGroupIngress":         "SecurityGroup",
	"ec2:RevokeSecurityGroupEgress":          "SecurityGroup",
	"ec2:ModifySecurityGroupRules":           "SecurityGroup",
	"iam:AttachRolePolicy":                   "RolePolicyAttachment",
	"iam:DetachRolePolicy":                   "RolePolicyAttachment",
	"iam:AttachUserPolicy":                   "UserPolicyAttachment",
	"iam:DetachUserPolicy":                   "UserPolicyAttachment",
	"iam:AttachGroupPolicy":                  "GroupPolicyAttachment",
	"iam:DetachGroupPolicy":                  "GroupPolicyAttachment",
	"iam:UpdateAssumeRolePolicy":             "Role",
	"iam:CreatePolicyVersion":                "Policy",
	"iam:SetDefaultPolicyVersion":            "Policy",
	"route53:ChangeResourceRecordSets":       "Record",
	"s3:PutBucketEncryption":                 "BucketServerSideEncryptionConfiguration",
	"s3:DeleteBucketEncryption":              "BucketServerSideEncryptionConfiguration",
	"s3:PutPublicAccessBlock":                "BucketPublicAccessBlock",
	"s3:DeletePublicAccessBlock":             "BucketPublicAccessBlock",
	"elasticloadbalancing:SetSecurityGroups": "LoadBalancer",
	"elasticloadbalancing:SetSubnets":        "LoadBalancer",
	"elasticloadbalancing:RegisterTargets":   "TargetGroup",
	"elasticloadbalancing:DeregisterTargets": "TargetGroup",
	"lambda:AddPermission":                   "Permission",
	"events:PutTargets":                      "Target",
	"events:RemoveTargets":                   "Target",
	"secretsmanager:PutSecretValue":          "SecretVersion",
	"kms:ScheduleKeyDeletion":                "Key",
	"logs:PutRetentionPolicy":                "LogGroup",
	"logs:DeleteRetentionPolicy":             "LogGroup",
	"autoscaling:SetDesiredCapacity":         "AutoscalingGroup",
}

// uses are the operations that use the resource they name and leave it as it is, though CloudTrail has them as writes.
var uses = map[string]bool{
	// They run what it is there to run.
	"athena:StartQueryExecution":               true,
	"athena:StopQueryExecution":                true,
	"batch:SubmitJob":                          true,
	"codebuild:RetryBuild":                     true,
	"codebuild:StartBuild":                     true,
	"codebuild:StartBuildBatch":                true,
	"codebuild:StopBuild":                      true,
	"codebuild:StopBuildBatch":                 true,
	"codepipeline:RetryStageExecution":         true,
	"codepipeline:StartPipelineExecution":      true,
	"codepipeline:StopPipelineExecution":       true,
	"datasync:StartTaskExecution":              true,
	"ecs:RunTask":                              true,
	"ecs:StartTask":                            true,
	"ecs:StopTask":                             true,
	"elasticmapreduce:AddJobFlowSteps":         true,
	"elasticmapreduce:CancelSteps":             true,
	"emr-containers:StartJobRun":               true,
	"emr-serverless:StartJobRun":               true,
	"glue:BatchStopJobRun":                     true,
	"glue:StartCrawler":                        true,
	"glue:StartJobRun":                         true,
	"glue:StartWorkflowRun":                    true,
	"glue:StopCrawler":                         true,
	"imagebuilder:StartImagePipelineExecution": true,
	"lambda:Invoke":                            true,
	"lambda:InvokeAsync":                       true,
	"logs:StartQuery":                          true,
	"ssm:SendCommand":                          true,
	"ssm:StartAutomationExecution":             true,
	"ssm:StartSession":                         true,
	"states:RedriveExecution":                  true,
	"states:StartExecution":                    true,
	"states:StartSyncExecution":                true,
	"states:StopExecution":                     true,
	// They put something in, or take it out.
	"codecommit:GitPush":         true,
	"ecr:BatchDeleteImage":       true,
	"ecr:CompleteLayerUpload":    true,
	"ecr:InitiateLayerUpload":    true,
	"ecr:PutImage":               true,
	"ecr:UploadLayerPart":        true,
	"ecr-public:PutImage":        true,
	"ecr-public:UploadLayerPart": true,
	"events:PutEvents":           true,
	"glue:BatchCreatePartition":  true,
	"glue:BatchUpdatePartition":  true,
	"glue:CreatePartition":       true,
	"glue:UpdatePartition":       true,
	// Those who work for it, or wait at its door, report.
	"autoscaling:CompleteLifecycleAction":        true,
	"autoscaling:RecordLifecycleActionHeartbeat": true,
	"codepipeline:PutApprovalResult":             true,
	"codepipeline:PutJobFailureResult":           true,
	"codepipeline:PutJobSuccessResult":           true,
	"ecs:SubmitAttachmentStateChanges":           true,
	"ecs:SubmitContainerStateChange":             true,
	"ecs:SubmitTaskStateChange":                  true,
	"ssm:PutComplianceItems":                     true,
	"ssm:PutInventory":                           true,
	"ssm:UpdateInstanceAssociationStatus":        true,
	"ssm:UpdateInstanceInformation":              true,
	"states:SendTaskFailure":                     true,
	"states:SendTaskHeartbeat":                   true,
	"states:SendTaskSuccess":                     true,
	// They let someone in.
	"cognito-idp:AdminInitiateAuth":           true,
	"cognito-idp:AdminRespondToAuthChallenge": true,
	"cognito-idp:ConfirmForgotPassword":       true,
	"cognito-idp:ConfirmSignUp":               true,
	"cognito-idp:ForgotPassword":              true,
	"cognito-idp:GlobalSignOut":               true,
	"cognito-idp:InitiateAuth":                true,
	"cognito-idp:RespondToAuthChallenge":      true,
	"cognito-idp:RevokeToken":                 true,
	"cognito-idp:SignUp":                      true,
	"redshift:GetClusterCredentials":          true,
	"redshift:GetClusterCredentialsWithIAM":   true,
}

// readsOnly guesses whether an operation changes nothing, for records that do not say.
func readsOnly(operation string) bool {
	_, ok := afterVerb(operation, readers)
	return ok
}
