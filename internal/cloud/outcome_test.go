package cloud

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/google/go-cmp/cmp"
)

func TestClassify(t *testing.T) {
	type args struct{ code, message string }
	cases := map[string]struct {
		reason string
		args   args
		want   Outcome
	}{
		"Success":            {"a call without an error is fine", args{}, OK},
		"DryRun":             {"EC2's dry run tells success by an error", args{"Client.DryRunOperation", "Request would have succeeded, but DryRun flag is set."}, OK},
		"EC2Throttled":       {"EC2 puts who is to blame before the SDK's code", args{"Client.RequestLimitExceeded", "Request limit exceeded."}, Throttled},
		"ServerThrottled":    {"either side", args{"Server.RequestLimitExceeded", "Request limit exceeded."}, Throttled},
		"SSM":                {"most services", args{"ThrottlingException", "Rate exceeded"}, Throttled},
		"Route53":            {"query protocol services", args{"Throttling", "Rate exceeded"}, Throttled},
		"LimitRate":          {"a quota code with a throttle's message", args{"LimitExceededException", "Rate exceeded"}, Throttled},
		"LimitQuota":         {"the SDK retries it, but it is a quota", args{"LimitExceededException", "Account already has the maximum number of trails."}, Quota},
		"MessageOnly":        {"services with codes of their own", args{"ServiceBusyThing", "Rate exceeded"}, Throttled},
		"KMS":                {"a throttle that speaks of a rate", args{"ThrottlingException", "You have exceeded the rate at which you may call KMS."}, Throttled},
		"DynamoTransaction":  {"the SDK retries it, but no one asked too often", args{"TransactionInProgressException", ""}, Conflict},
		"VpcLimit":           {"a quota", args{"Client.VpcLimitExceeded", "The maximum number of VPCs has been reached."}, Quota},
		"VcpuLimit":          {"a quota", args{"Client.VcpuLimitExceeded", ""}, Quota},
		"Buckets":            {"TooMany something is a quota", args{"TooManyBuckets", ""}, Quota},
		"ServiceQuota":       {"a quota by its name", args{"ServiceQuotaExceededException", ""}, Quota},
		"Unauthorized":       {"EC2's denial", args{"Client.UnauthorizedOperation", "You are not authorized to perform this operation."}, Denied},
		"AccessDenied":       {"S3's and IAM's denial", args{"AccessDenied", ""}, Denied},
		"AccessDeniedEx":     {"the JSON services' denial", args{"AccessDeniedException", ""}, Denied},
		"VPCE":               {"an endpoint's policy", args{"VpceAccessDenied", ""}, Denied},
		"Expired":            {"an old token is a denial in a trail", args{"ExpiredToken", ""}, Denied},
		"Token":              {"as is a wrong one", args{"InvalidClientTokenId", ""}, Denied},
		"Console":            {"a console login that failed has no code", args{"", "Failed authentication"}, Denied},
		"OddMessage":         {"a message alone is no success", args{"", "something"}, Other},
		"RouteTable":         {"not found beats invalid", args{"Client.InvalidRouteTableID.NotFound", ""}, NotFound},
		"NoSuch":             {"S3", args{"NoSuchBucketPolicy", ""}, NotFound},
		"Replication":        {"S3's longer ones", args{"ReplicationConfigurationNotFoundError", ""}, NotFound},
		"SQS":                {"SQS", args{"AWS.SimpleQueueService.NonExistentQueue", ""}, NotFound},
		"Bucket":             {"a conflict", args{"BucketNotEmpty", ""}, Conflict},
		"Duplicate":          {"conflict beats invalid", args{"Client.InvalidPermission.Duplicate", ""}, Conflict},
		"Exists":             {"a conflict", args{"EntityAlreadyExists", ""}, Conflict},
		"Dependency":         {"a conflict", args{"Client.DependencyViolation", ""}, Conflict},
		"State":              {"a conflict", args{"InvalidDBInstanceStateFault", ""}, Conflict},
		"Parameter":          {"the caller's mistake", args{"InvalidParameterValueException", ""}, Invalid},
		"Validation":         {"the caller's mistake", args{"ValidationException", ""}, Invalid},
		"Malformed":          {"the caller's mistake", args{"MalformedPolicyDocument", ""}, Invalid},
		"Capacity":           {"no machine left", args{"Server.InsufficientInstanceCapacity", ""}, Server},
		"Internal":           {"their mistake", args{"InternalFailure", ""}, Server},
		"ServerOther":        {"an unknown code of theirs", args{"Server.Odd", ""}, Server},
		"Unknown":            {"an unknown code", args{"Odd", ""}, Other},
		"GCPExhausted":       {"GCP's canonical code", args{"RESOURCE_EXHAUSTED", ""}, Throttled},
		"AzureAuthorization": {"Azure", args{"AuthorizationFailed", ""}, Denied},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Classify(tc.args.code, tc.args.message)); diff != "" {
				t.Errorf("%s: Classify(%q, %q): -want, +got:\n%s", tc.reason, tc.args.code, tc.args.message, diff)
			}
		})
	}
}

// Whatever the SDK backs off for is throttling, but for the two that are not.
func TestClassifyKnowsTheSDKsList(t *testing.T) {
	for code := range retry.DefaultThrottleErrorCodes {
		want := Throttled
		switch code {
		case "LimitExceededException":
			want = Quota
		case "TransactionInProgressException":
			want = Conflict
		}
		for _, c := range []string{code, "Client." + code} {
			if got := Classify(c, ""); got != want {
				t.Errorf("Classify(%q) = %s, want %s", c, got, want)
			}
		}
	}
}

// texts are messages as providers, Kubernetes and Go write them; most are from issues of the projects, with names
// changed.
var texts = map[string]struct {
	text string
	want Outcome
}{
	// provider-upjet-aws, without a fork of Terraform (SDK v2's wording).
	"EC2RequestLimit": {"observe failed: failed to observe the resource: [{0 reading EC2 VPC (vpc-0a1b2c): operation error EC2: DescribeVpcs, https response error StatusCode: 503, RequestID: 1b2c3d4e-0000-4242-8888-abcdefabcdef, api error RequestLimitExceeded: Request limit exceeded.  []}]", Throttled},
	"SDKv2Throttling": {"observe failed: operation error Route 53: GetHostedZone, exceeded maximum number of attempts, 3, https response error StatusCode: 400, RequestID: 6a7b, api error Throttling: Rate exceeded", Throttled},
	"SDKv2Exception":  {"update failed: async update failed: failed to update the resource: [{0 updating ELBv2: operation error Elastic Load Balancing v2: ModifyLoadBalancerAttributes, https response error StatusCode: 400, RequestID: 6a7b, ThrottlingException: Rate exceeded []}]", Throttled},
	"SDKBucketEmpty":  {"observe failed: operation error IAM: GetRole, failed to get rate limit token, retry quota exceeded, 0 available, 5 requested", Throttled},
	"S3SlowDown":      {"operation error S3: PutBucketTagging, https response error StatusCode: 503, RequestID: X, HostID: Y, api error SlowDown: Please reduce your request rate.", Throttled},
	"LimitRate":       {"operation error Organizations: ListAccounts, api error LimitExceededException: Rate exceeded", Throttled},
	"LimitQuota":      {"operation error KMS: CreateAlias, api error LimitExceededException: Too many aliases", Quota},
	"IRSA":            {`cannot initialize the Terraform plugin SDK async external client: cannot get terraform setup: failed to retrieve aws credentials from aws config: failed to refresh cached credentials, failed to retrieve credentials, operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 403, RequestID: 4a8524d5-fc0e-46ff-9000-fd823d1b8661, api error AccessDenied: Not authorized to perform sts:AssumeRoleWithWebIdentity`, Auth},
	"IRSAThrottled":   {"connect failed: cannot get terraform setup: failed to refresh cached credentials, operation error STS: AssumeRoleWithWebIdentity, https response error StatusCode: 400, RequestID: 1, api error Throttling: Rate exceeded", Throttled},
	"ClientToken":     {"(combined from similar events): cannot get terraform setup: cannot get the caller identity: GetCallerIdentity query failed: GetCallerIdentity query failed: operation error STS: GetCallerIdentity, https response error StatusCode: 403, RequestID: badc1359-cb3b-4eae-bf92-0bde87b43a46, api error InvalidClientTokenId: The security token included in the request is invalid.", Auth},
	"Expired":         {"observe failed: failed to observe the resource: [{0 reading IAM Role (x): operation error IAM: GetRole, https response error StatusCode: 403, RequestID: 1, api error ExpiredToken: The security token included in the request is expired []}]", Auth},
	"IMDS":            {"observe failed: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: GetMetadata, canceled, context deadline exceeded", Auth},
	"IMDS404":         {"no EC2 IMDS role found, operation error ec2imds: GetMetadata, http response error StatusCode: 404, request to EC2 IMDS failed", Auth},
	"EC2Role":         {"observe failed: cannot describe Cache Cluster: EC2RoleRequestError: no EC2 instance role found", Auth},
	"NoChain":         {"NoCredentialProviders: no valid providers in chain. Deprecated.", Auth},
	"MSKDenied":       {"reading MSK Serverless Cluster (dev-1): AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/crossplane/aws-go-sdk-1699620053884928729 is not authorized to perform: kafka:DescribeClusterV2 on resource: dev-1", Denied},
	"V1Denied":        {"create failed: cannot create Bucket: AccessDenied: Access Denied\n\tstatus code: 403, request id: X, host id: Y", Denied},
	"UserArn":         {"AccessDenied: User: arn:aws:iam::123456789012:user/x is not authorized to perform: iam:CreateRole on resource: arn:aws:iam::123456789012:role/not-found because no identity-based policy allows the iam:CreateRole action", Denied},
	"EC2Denied":       {"create failed: async create failed: failed to create the resource: [{0 creating EC2 VPC: operation error EC2: CreateVpc, https response error StatusCode: 403, RequestID: 1, api error UnauthorizedOperation: You are not authorized to perform this operation. Encoded authorization failure message: AbCd-1234 []}]", Denied},
	"VpcLimit":        {"create failed: async create failed: operation error EC2: CreateVpc, https response error StatusCode: 400, RequestID: 1, api error VpcLimitExceeded: The maximum number of VPCs has been reached.", Quota},
	"RoleQuota":       {"api error LimitExceeded: Cannot exceed quota for RolesPerAccount: 1000", Quota},
	"RouteTable":      {"observe failed: operation error EC2: DescribeRouteTables, api error InvalidRouteTableID.NotFound: The routeTable ID 'rtb-1' does not exist", NotFound},
	"NoSuchEntity":    {"cannot get IAM role: NoSuchEntity: The role with name x cannot be found.\n\tstatus code: 404, request id: 1", NotFound},
	"Dependency":      {"delete failed: async delete failed: failed to delete the resource: [{0 deleting EC2 Subnet (subnet-1): operation error EC2: DeleteSubnet, https response error StatusCode: 400, RequestID: 1, api error DependencyViolation: The subnet 'subnet-1' has dependencies and cannot be deleted. []}]", Conflict},
	"BucketOwned":     {"create failed: operation error S3: CreateBucket, https response error StatusCode: 409, RequestID: 1, BucketAlreadyExists: ", Conflict},
	"RoleExists":      {"EntityAlreadyExists: Role with name x already exists.", Conflict},
	"Import":          {`async create failed: [{0 A resource with the ID "x" already exists - to be managed via Terraform this resource needs to be imported into the State. []}]`, Conflict},
	"CodeBeatsPhrase": {"api error InvalidParameterValue: The role defined for the function cannot be assumed by Lambda, or does not exist", Invalid},
	"Malformed":       {"api error MalformedPolicyDocument: Has prohibited field Resource", Invalid},
	"Region":          {"cannot initialize the Terraform plugin SDK async external client: cannot get terraform setup: could not configure the no-fork AWS client: cannot construct TF AWS Client from TF AWS Config, [{0 invalid AWS Region:   []}]", Other},
	"Replace":         {`update failed: cannot update: refuse to update the external resource because the following update requires replacing it: cannot change the value of the argument "name" from "a" to "b"`, Invalid},
	"SNSServer":       {"operation error SNS: GetTopicAttributes, https response error StatusCode: 500, RequestID: 1, api error InternalError: We encountered an internal error. Please try again.", Other},
	"NameIsNoCode":    {`observe failed: cannot run refresh: refresh failed: the resource "throttling-test" of kind CertificateValidation.acm.aws.upbound.io had a problem`, Other},
	"Budget":          {"observe failed: cannot schedule a native provider during observe: e2eb787b: cannot schedule native Terraform provider process: native provider reuse budget has been exceeded: invocationCount: 112, ttl: 100", Other},
	"Plan":            {"observe failed: cannot run plan: plan failed", Other},
	"ConnectFailed":   {`connect failed: cannot get terraform setup: failed to use pod service account: unknown endpoint, could not resolve endpoint, partition: "aws", service: "sts", region: ""`, Other},

	// GCP.
	"GCPGroup":      {"observe failed: cannot run refresh: refresh failed: Error when reading or editing ComputeReservation \"x\": googleapi: Error 403: Quota exceeded for quota group 'ReadGroup' and limit 'Read requests per user per 100 seconds' of service 'compute.googleapis.com' for consumer 'project_number:123456'., rateLimitExceeded", Throttled},
	"GCP429":        {"googleapi: Error 429: Quota exceeded for quota metric 'Default requests' and limit 'Default requests per minute' of service 'serviceusage.googleapis.com' for consumer 'project_number:1'.", Throttled},
	"GCPTokens":     {"googleapi: Error 429: Insufficient tokens for quota 'DefaultGroup' and limit 'CLIENT_PROJECT-100s' of service 'servicemanagement.googleapis.com', rateLimitExceeded", Throttled},
	"GCPUser":       {"googleapi: Error 403: User Rate Limit Exceeded, userRateLimitExceeded", Throttled},
	"GCPExhausted":  {`Error creating Topic: googleapi: Error 429: {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}`, Throttled},
	"GCPgRPC":       {"rpc error: code = ResourceExhausted desc = Quota exceeded", Throttled},
	"GCPQuota":      {"create failed: googleapi: Error 403: Quota 'CPUS' exceeded. Limit: 24.0 in region us-central1., quotaExceeded", Quota},
	"GCPPermission": {"cannot create GKE cluster: googleapi: Error 403: Retry budget exhausted (5 attempts): Google Compute Engine: Required 'compute.regions.get' permission for 'projects/p/regions/europe-west3'., forbidden", Denied},
	"GCPDenied":     {"Error 403: Permission 'pubsub.topics.get' denied on resource 'projects/p' (or it may not exist)., PERMISSION_DENIED", Denied},
	"GCPDisabled":   {"googleapi: Error 403: Cloud SQL Admin API has not been used in project 1 before or it is disabled.", Denied},
	"GCPNotFound":   {"googleapi: Error 404: The resource 'projects/p/global/networks/x' was not found, notFound", NotFound},
	"GCPExists":     {"googleapi: Error 409: The resource 'projects/p/global/networks/x' already exists, alreadyExists", Conflict},
	"GCPInUse":      {"googleapi: Error 400: The network resource 'projects/p/global/networks/x' is already being used by 'y', resourceInUseByAnotherResource", Conflict},
	"GCPInvalid":    {"googleapi: Error 400: Invalid value for field 'resource.name': 'A'. Must be a match of regex, invalid", Invalid},
	"GCPGrant":      {`Get "https://compute.googleapis.com/x": oauth2: "invalid_grant" "Invalid JWT Signature."`, Auth},
	"GCPDefault":    {"google: could not find default credentials. See https://cloud.google.com/docs/authentication", Auth},
	"GCP401":        {"googleapi: Error 401: Request had invalid authentication credentials.", Auth},

	// Azure.
	"Azure429":       {`observe failed: failed to observe the resource: [{0 retrieving: compute.VirtualMachineScaleSetsClient#Get: Failure responding to request: StatusCode=429 -- Original Error: autorest/azure: Service returned an error. Status=429 Code="OperationNotAllowed" Message="The server rejected the request because too many requests have been received for this subscription." Details=[{"code":"TooManyRequests"}] []}]`, Throttled},
	"AzureCode":      {`StatusCode=429 -- Original Error: Code="TooManyRequests" Message="x"`, Throttled},
	"AzureTrack2":    {"performing CreateOrUpdate: unexpected status 429 (429 Too Many Requests) with error: RetryableError: A retryable error occurred.", Throttled},
	"AzureResponse":  {"RESPONSE 429: 429 Too Many Requests\nERROR CODE: RetryableError\n", Throttled},
	"AzureSub":       {`ReadSubscription: Code="SubscriptionRequestsThrottled" Message="x"`, Throttled},
	"AzureDenied":    {"Failure responding to request: StatusCode=403 -- Original Error: autorest/azure: Service returned an error. Status=403 Code=\"AuthorizationFailed\" Message=\"The client 'x' with object id 'y' does not have authorization to perform action 'Microsoft.Storage/storageAccounts/managementPolicies/read' over scope '/subscriptions/s' or the scope is invalid. If access was recently granted, please refresh your credentials.\"", Denied},
	"AzureDenied2":   {"RESPONSE 403: 403 Forbidden\nERROR CODE: AuthorizationFailed\n", Denied},
	"AzureAuth":      {`queues.Client#GetServiceProperties: Failure responding to request: StatusCode=403 -- Original Error: autorest/azure: Service returned an error. Status=403 Code="AuthenticationFailed" Message="Server failed to authenticate the request."`, Auth},
	"AzureSecret":    {"building account: clientCredentialsToken: received HTTP status 401 with response: {\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret provided.\"}", Auth},
	"AzureIdentity":  {"DefaultAzureCredential: failed to acquire a token.\nAttempted credentials:", Auth},
	"AzureQuota":     {`StatusCode=409 -- Original Error: Code="OperationNotAllowed" Message="Operation could not be completed as it results in exceeding approved Total Regional Cores quota."`, Quota},
	"AzureQuotaCode": {`Code="QuotaExceeded" Message="x"`, Quota},
	"AzureNotFound":  {`StatusCode=404 -- Original Error: Code="ResourceGroupNotFound" Message="Resource group 'x' could not be found."`, NotFound},
	"AzureLocked":    {`StatusCode=409 -- Original Error: Code="ScopeLocked" Message="x"`, Conflict},
	"AzurePolicy":    {`Code="RequestDisallowedByPolicy" Message="Resource 'x' was disallowed by policy."`, Denied},
	"AzureStatus":    {"unexpected status 409 with error", Conflict},

	// Kubernetes, as provider-kubernetes, provider-helm and the runtime pass it on.
	"K8sForbidden":     {`create failed: cannot create object: configmaps is forbidden: User "system:serviceaccount:crossplane-system:provider-kubernetes" cannot create resource "configmaps" in API group "" in the namespace "default"`, Denied},
	"K8sRBAC":          {`manageddisks.compute.azure.upbound.io is forbidden: User "x" cannot list resource at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io "y" not found`, Denied},
	"K8sQuota":         {`pods "x" is forbidden: exceeded quota: compute, requested: pods=1, used: pods=10, limited: pods=10`, Quota},
	"K8sNotFound":      {`connect failed: cannot get ProviderConfig: ProviderConfig.kubernetes.crossplane.io "provider-kubernetes" not found`, NotFound},
	"K8sNoMatch":       {`observe failed: cannot get object: no matches for kind "Namespace" in version "v1"`, NotFound},
	"K8sModified":      {`cannot update managed resource: Operation cannot be fulfilled on buckets.s3.aws.upbound.io "x": the object has been modified; please apply your changes to the latest version and try again`, Conflict},
	"K8sExists":        {`configmaps "x" already exists`, Conflict},
	"K8sWebhook":       {`cannot apply object: admission webhook "validate.kyverno.svc-fail" denied the request: policy x`, Denied},
	"K8sWebhookDown":   {`Internal error occurred: failed calling webhook "x": failed to call webhook: Post "https://x.svc:443/validate?timeout=10s": dial tcp 10.96.0.1:443: connect: connection refused`, Connect},
	"K8sWebhookSlow":   {`failed calling webhook "x": failed to call webhook: Post "https://x.svc:443/validate?timeout=10s": context deadline exceeded`, Timeout},
	"K8sInvalid":       {`Deployment.apps "x" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0`, Invalid},
	"K8sImmutable":     {`Service "x" is invalid: spec.clusterIP: field is immutable`, Invalid},
	"K8sUnauthorized":  {"cannot get object: Unauthorized", Auth},
	"K8sCredentials":   {"the server has asked for the client to provide credentials", Auth},
	"K8sSecret":        {`connect failed: cannot extract credentials: cannot get credentials secret: Secret "aws-creds" not found`, Auth},
	"K8sTooMany":       {"the server has received too many requests and has asked us to try again later", Throttled},
	"K8sClientLimiter": {"client rate limiter Wait returned an error: context deadline exceeded", Throttled},
	"Etcd":             {"etcdserver: request timed out", Timeout},

	// The network.
	"Deadline":     {"observe failed: cannot run refresh: context deadline exceeded", Timeout},
	"Headers":      {`Get "https://container.googleapis.com/v1beta1/x": net/http: request canceled (Client.Timeout exceeded while awaiting headers)`, Timeout},
	"IOTimeout":    {"dial tcp 10.0.0.1:443: i/o timeout", Timeout},
	"TLSTimeout":   {"net/http: TLS handshake timeout", Timeout},
	"Wait":         {"waiting for RDS DB Instance (x) create: timeout while waiting for state to become 'available'", Timeout},
	"Refused":      {`Get "https://10.0.0.1:6443/api": dial tcp 10.0.0.1:6443: connect: connection refused`, Connect},
	"Host":         {`operation error S3: HeadBucket, exceeded maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , HostID: , request send failed, Head "https://x": dial tcp: lookup x.s3.amazonaws.com: no such host`, Connect},
	"X509":         {`Get "https://10.0.0.1:6443/api": tls: failed to verify certificate: x509: certificate signed by unknown authority`, Connect},
	"Reset":        {"read tcp 10.0.0.1:1->10.0.0.2:443: read: connection reset by peer", Connect},
	"EOF":          {`Get "https://x": EOF`, Connect},
	"Unavailable":  {`rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing"`, Connect},
	"Spread":       {"api error Odd: you are not\n\tauthorized  to perform\tthis", Denied},
	"Empty":        {"", Other},
	"Nothing":      {"something happened", Other},
	"PrefixOfWord": {"the timeouts of the resource were fine and notfoundable", Other},
}

func TestClassifyText(t *testing.T) {
	for name, tc := range texts {
		t.Run(name, func(t *testing.T) {
			if got := ClassifyText(tc.text); got != tc.want {
				t.Errorf("ClassifyText(%q) = %s, want %s", tc.text, got, tc.want)
			}
		})
	}
}

// The code is found before and after a megabyte of anything else.
func TestClassifyTextLooksAtBothEnds(t *testing.T) {
	const code = "api error RequestLimitExceeded: Request limit exceeded. "
	filler := strings.Repeat("lorem ipsum ", 1<<20/12)
	for name, text := range map[string]string{"Head": code + filler, "Tail": filler + code} {
		if got := ClassifyText(text); got != Throttled {
			t.Errorf("%s: got %s, want %s", name, got, Throttled)
		}
	}
}

// Every sign can be found: its first word is not too long, and no other sign's weight is in its way.
func TestClassifyTextFindsEverySign(t *testing.T) {
	for word, all := range signs {
		if len(word) > maxSign {
			t.Errorf("%q is longer than maxSign", word)
		}
		for _, s := range all {
			if got := ClassifyText("x " + s.text + " y"); got != s.outcome {
				t.Errorf("%q: got %s, want %s", s.text, got, s.outcome)
			}
		}
	}
}

func TestClassifyTextDoesNotAllocate(t *testing.T) {
	for name, tc := range texts {
		if n := testing.AllocsPerRun(10, func() { ClassifyText(tc.text) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

func FuzzClassifyText(f *testing.F) {
	for _, tc := range texts {
		f.Add(tc.text)
	}
	may := map[Outcome]bool{}
	for _, o := range Failures() {
		may[o] = true
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := ClassifyText(text); !may[got] {
			t.Errorf("ClassifyText(%q) = %q, which is not one of Failures", text, got)
		}
		// Nothing outweighs a throttle's code.
		if got := ClassifyText("api error ThrottlingException: Rate exceeded: " + text); got != Throttled {
			t.Errorf("a throttle before %q: %s", text, got)
		}
	})
}

func FuzzClassify(f *testing.F) {
	for code := range retry.DefaultThrottleErrorCodes {
		f.Add(code, "Rate exceeded")
	}
	may := map[Outcome]bool{}
	for _, o := range Outcomes() {
		may[o] = true
	}
	f.Fuzz(func(t *testing.T, code, message string) {
		if got := Classify(code, message); !may[got] {
			t.Errorf("Classify(%q, %q) = %q, which is not one of Outcomes", code, message, got)
		}
	})
}

func BenchmarkClassifyText(b *testing.B) {
	for name, text := range map[string]string{
		"typical": texts["EC2RequestLimit"].text,
		"unknown": strings.Repeat("something happened to it ", 16),
		"1MB":     strings.Repeat("failed to observe the resource: not quite known, ", 1<<20/49),
		"hostile": strings.Repeat("rate rate cannot cannot get get is is not not ", 1<<20/46), //nolint:dupword // That is what is hostile about it.
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ClassifyText(text)
			}
		})
	}
}
