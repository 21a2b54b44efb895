package cloud

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// An Outcome is how a call to a cloud's API ended, in one of a few words that are fit to be a label's value.
type Outcome string

// The outcomes. Timeout, Connect and Auth are only told from texts (ClassifyText): a call that never reached the API,
// or whose caller the API did not know, is not in its audit trail, or is there as Denied.
const (
	OK        Outcome = "ok"
	Throttled Outcome = "throttled" // asked too often; the same call may succeed later
	Denied    Outcome = "denied"    // the caller is known, and may not do this
	Quota     Outcome = "quota"     // there is no room for one more, however slowly one asks
	NotFound  Outcome = "not_found"
	Conflict  Outcome = "conflict" // exists already, is in use, is in the wrong state, has been changed meanwhile
	Invalid   Outcome = "invalid"  // the request makes no sense to the API
	Server    Outcome = "server"   // the cloud's own failure
	Timeout   Outcome = "timeout"
	Connect   Outcome = "connect" // names, routes, TLS: there was no conversation
	Auth      Outcome = "auth"    // no credentials, or not ones that the API takes
	Other     Outcome = "other"
)

// Outcomes lists what Classify may return, and Failures what ClassifyText may return, for those who keep a counter
// each.
func Outcomes() []Outcome {
	return []Outcome{OK, Throttled, Denied, Quota, NotFound, Conflict, Invalid, Server, Other}
}

// Failures lists what ClassifyText may return.
func Failures() []Outcome {
	return []Outcome{Throttled, Denied, Quota, NotFound, Conflict, Invalid, Timeout, Connect, Auth, Other}
}

// Classify says how a call ended whose audit record, or API error, has this code and message. It knows AWS's codes,
// with the "Client." and "Server." that CloudTrail and EC2 put before some of them, and those of the other clouds that
// are made of the same words. A call with neither code nor message was successful.
func Classify(code, message string) Outcome {
	switch o := ofCode(code); {
	case code == "" && message == "":
		return OK
	case code == "" && hasFold(message, "authenticat"): // a failed console login has a message only
		return Denied
	case o == Other && saysThrottled(message):
		return Throttled
	case o == Quota && strings.HasSuffix(code, "LimitExceededException") && saysThrottled(message):
		return Throttled
	default:
		return o
	}
}

// ofCode is what a code says without its message.
func ofCode(code string) Outcome {
	side, code := codeSide(code)
	switch code {
	case "":
		return Other
	case "DryRunOperation":
		// EC2's way to say that the call would have succeeded.
		return OK
	case "LimitExceededException":
		// The SDK retries it, as a few services throttle with it; in most it is a quota.
		return Quota
	case "TransactionInProgressException":
		// Two writers of one DynamoDB item. The SDK backs off, but no one was asked too often.
		return Conflict
	}
	if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
		return Throttled
	}
	for _, r := range codeRules {
		if r.matches(code) {
			return r.outcome
		}
	}
	if side == "Server." {
		return Server
	}
	return Other
}

// codeSide splits off the side that EC2 says is to blame.
func codeSide(code string) (side, rest string) {
	for _, side := range []string{"Client.", "Server."} {
		if rest, ok := strings.CutPrefix(code, side); ok {
			return side, rest
		}
	}
	return "", code
}

// saysThrottled is whether a message tells of throttling where its code does not: most services say "Rate exceeded" and
// no more.
func saysThrottled(message string) bool {
	message = bounded(message, maxHead)
	return hasFold(message, "rate exceeded") || hasFold(message, "throttl") || hasFold(message, "too many requests")
}

// A codeRule says the outcome of all codes that have a part: the APIs have thousands of codes, made of few words.
type codeRule struct {
	outcome Outcome
	parts   []string // anywhere, or at the start after a ^
}

func (r codeRule) matches(code string) bool {
	for _, p := range r.parts {
		if start, ok := strings.CutPrefix(p, "^"); ok {
			if strings.HasPrefix(code, start) {
				return true
			}
		} else if strings.Contains(code, p) {
			return true
		}
	}
	return false
}

// codeRules are tried in order, so that InvalidVpcID.NotFound is not_found and InvalidPermission.Duplicate is a
// conflict.
var codeRules = []codeRule{
	{Throttled, []string{
		"Throttl", "RequestLimitExceeded", "TooManyRequests", "SlowDown", "^RateExceeded", "RateLimitExceeded", "rateLimitExceeded",
		"RATE_LIMIT_EXCEEDED", "RateLimitExceed", "RESOURCE_EXHAUSTED", "ResourceExhausted", "TooManyUpdates",
		"ServerBusy", "^EC2Throttled", "^RequestThrottled", "RequestRateTooLarge",
	}},
	{Server, []string{"^InsufficientInstanceCapacity", "^InsufficientCapacity", "CapacityNotAvailable", "^InsufficientHostCapacity"}},
	{Quota, []string{
		"LimitExceeded", "QuotaExceeded", "quotaExceeded", "QUOTA_EXCEEDED", "^TooMany", "ExceededLimit", "CountExceeded", "^MaxIOPSLimit",
		"LimitReached", "QuotaViolation", "SizeExceeded",
	}},
	{Denied, []string{
		"UnauthorizedOperation", "AccessDenied", "NotAuthorized", "Unauthorized", "Forbidden", "^forbidden", "AuthorizationError",
		"AuthorizationFailed", "^PERMISSION_DENIED", "^PermissionDenied", "^AccountProblem", "RequestDisallowedByPolicy",
		"^OptInRequired", "^SubscriptionRequired", "^Blocked", "^accessNotConfigured", "^UNAUTHENTICATED", "^Unauthenticated",
		// The caller could not prove to be who it said: in an audit trail a denial like others.
		"InvalidClientTokenId", "ExpiredToken", "TokenExpired", "UnrecognizedClient", "SignatureDoesNotMatch", "^InvalidSignature",
		"^IncompleteSignature", "^InvalidAccessKeyId", "^MissingAuthenticationToken", "AuthenticationFailed",
		"AuthenticationToken", "^AuthFailure", "^InvalidToken", "^InvalidIdentityToken", "^InvalidSecurity", "^RequestExpired",
		"^ExpiredAuth", "^MissingSecurityHeader",
	}},
	{NotFound, []string{
		"NotFound", "^notFound", "^NOT_FOUND", "^NoSuch", "DoesNotExist", "NonExistent", "NotExist", "UnknownResource", "^NoEntity",
	}},
	{Conflict, []string{
		"AlreadyExist", "^alreadyExists", "^ALREADY_EXISTS", "AlreadyOwned", "Duplicate", "Conflict", "^conflict", "InUse", "inUse",
		"DependencyViolation", "NotEmpty", "Concurrent", "OperationAborted", "^ABORTED", "^Aborted", "^Incorrect", "InvalidState",
		"StateException", "StateFault", "InstanceState", "AlreadyAssociated", "NotReady", "PreconditionFailed", "^conditionNotMet",
		"^FAILED_PRECONDITION", "^FailedPrecondition", "InProgress", "IdempotentParameterMismatch", "SequenceToken", "StaleResource",
		"AlreadyAccepted", "^ScopeLocked", "AnotherOperation", "HasDependents", "HasAttached", "AlreadyAttached",
	}},
	{Server, []string{
		"^Internal", "^INTERNAL", "ServiceUnavailable", "ServiceFailure", "^ServerException", "^Unavailable", "^UNAVAILABLE",
		"DependencyFailure", "^GatewayTimeout", "ServiceException", "BackendError", "backendError",
	}},
	{Invalid, []string{
		"Invalid", "^invalid", "^INVALID_ARGUMENT", "Malformed", "^Missing", "Validation", "BadRequest", "^badRequest", "Unsupported",
		"NotSupported", "^Serialization", "^UnknownParameter", "^UnknownOperation", "ParameterCombination", "IllegalArgument",
		"^MethodNotAllowed", "^IllegalLocation", "^PropertyChangeNotAllowed", "^EntityTooLarge", "UnprocessableEntity", "OutOfRange", "^OUT_OF_RANGE",
	}},
}

// Limits of what ClassifyText looks at. The error code is in the first or the last lines of even the longest message:
// errors are wrapped at the front, and Terraform's end with the API's words.
const (
	maxHead = 4096
	maxTail = 1024
	maxWord = 80 // longer words are names, tokens and policies, never codes
	maxSign = 24 // and no phrase begins with a longer one than this
)

// ClassifyText says why something failed from the free text of a Kubernetes condition or Event: those of Crossplane's
// providers (whatever the cloud, the SDK and its version), of the Kubernetes API and of Go's own network errors. It
// returns one of Failures: Other if nothing is recognised, and for a cloud's own failures. It looks at a bounded part
// of the text, in one pass, and does not allocate.
//
// An error code beats a phrase, and a phrase an HTTP status; throttling and missing credentials beat all others,
// because whatever else a text says then is a consequence.
func ClassifyText(text string) Outcome {
	if len(text) <= maxHead+maxTail {
		return scan(text, verdict{}).outcome()
	}
	return scan(text[len(text)-maxTail:], scan(text[:maxHead], verdict{})).outcome()
}

// A verdict is the best guess so far and the weight of what it was made of.
type verdict struct {
	best   Outcome
	weight int
}

func (v verdict) outcome() Outcome {
	if v.weight == 0 {
		return Other
	}
	return v.best
}

// Weights of evidence. What is found twice the same way is decided by precedence.
const (
	byStatus = (iota + 1) * 100
	byPhrase
	byCode
	byCause
)

// precedence is which outcome wins among those found with equal weight: the narrower ones.
func precedence(o Outcome) int {
	switch o {
	case Throttled:
		return 9
	case Auth:
		return 8
	case Quota:
		return 7
	case Denied:
		return 6
	case Conflict:
		return 5
	case NotFound:
		return 4
	case Invalid:
		return 3
	case Timeout:
		return 2
	case Connect:
		return 1
	default:
		return 0
	}
}

func (v verdict) or(o Outcome, weight int) verdict {
	if w := weight + precedence(o); w > v.weight {
		return verdict{o, w}
	}
	return v
}

// scan goes over the words of a text once.
func scan(text string, v verdict) verdict {
	var announced int // how many of the next words may be what a word before announced
	for i := 0; i < len(text); {
		if !inWord(text[i]) {
			i++
			continue
		}
		end := i + 1
		for end < len(text) && inWord(text[end]) {
			end++
		}
		word := text[i:end]
		for word != "" && (word[len(word)-1] == ':' || word[len(word)-1] == '.') {
			word = word[:len(word)-1]
		}
		if 0 < len(word) && len(word) <= maxWord {
			v = judge(word, text[i:], announced > 0, v)
		}
		announced--
		if announces(word) {
			announced = 2
		}
		i = end
	}
	return v
}

// inWord is whether a byte is part of a word. Names with dashes, ARNs and URLs are one word each, so that what they are
// made of is not taken for an error.
func inWord(c byte) bool {
	switch {
	case c <= ' ':
		return false
	case c >= 0x80:
		return true
	}
	switch c {
	case '"', '\'', '`', '\\', '(', ')', '[', ']', '{', '}', '<', '>', '=', ',', ';', '|', '!', '?':
		return false
	}
	return true
}

// judge weighs one word, with which the text begins.
func judge(word, text string, announced bool, v verdict) verdict {
	if announced && len(word) == 3 {
		if o, ok := ofStatus(word); ok {
			if o == Throttled {
				return v.or(o, byCause)
			}
			return v.or(o, byStatus)
		}
	}
	if len(word) <= maxSign {
		var low [maxSign]byte
		for i := range len(word) {
			low[i] = lower(word[i])
		}
		for _, s := range signs[string(low[:len(word)])] {
			if beginsFold(text, s.text) {
				v = v.or(s.outcome, s.weight)
			}
		}
	}
	rest := text[len(word):]
	if !isCode(word, announced || strings.HasPrefix(rest, ":")) {
		return v
	}
	if authCode(word) {
		return v.or(Auth, byCause)
	}
	switch o := ofCode(word); o { // what a message says, the signs say
	case OK, Server, Other:
		return v
	case Throttled:
		return v.or(o, byCause)
	default:
		return v.or(o, byCode)
	}
}

// isCode is whether a word looks like an error code rather than like a kind, a name or prose: letters, digits and dots
// with a capital after a small letter (InvalidVpcID.NotFound), where a code stands ("api error X", "X: message") or
// with an ending that only errors have; or all in capitals with an underscore (RESOURCE_EXHAUSTED).
func isCode(word string, marked bool) bool {
	var small, camel, under bool
	for i := range len(word) {
		switch c := word[i]; {
		case 'a' <= c && c <= 'z':
			if i > 0 && word[i-1] == '.' {
				return false // Bucket.s3.aws.upbound.io
			}
			small = true
		case 'A' <= c && c <= 'Z':
			camel = camel || small
		case c == '_':
			under = true
		case c == '.' || '0' <= c && c <= '9':
		default:
			return false
		}
	}
	switch {
	case under:
		return !small
	case !camel:
		return word == "Throttling"
	}
	return marked || strings.HasSuffix(word, "Exception") || strings.HasSuffix(word, "Error") || strings.HasSuffix(word, "Fault")
}

// authCode is whether an error code says that there were no credentials, or not ones that the API takes.
func authCode(code string) bool {
	for _, part := range []string{
		"ExpiredToken", "TokenExpired", "InvalidClientTokenId", "UnrecognizedClient", "SignatureDoesNotMatch", "InvalidSignature",
		"IncompleteSignature", "InvalidAccessKeyId", "MissingAuthenticationToken", "AuthenticationFailed", "AuthenticationToken",
		"ExpiredAuthenticationToken", "AuthFailure", "InvalidIdentityToken", "RequestExpired", "NoCredentialProviders",
		"EC2RoleRequestError", "WebIdentityErr", "CredentialsError", "UNAUTHENTICATED", "Unauthenticated", "InvalidClientSecret",
		"SharedConfigProfileNotExist", "EnvAccessKeyNotFound",
	} {
		if strings.Contains(code, part) {
			return true
		}
	}
	return false
}

// announces is whether an HTTP status or an error code may be the next word or the one after it.
func announces(word string) bool {
	switch len(word) {
	case len("code"):
		return strings.EqualFold(word, "code")
	case len("error"): // googleapi: Error 403, api error AccessDenied
		return strings.EqualFold(word, "error")
	case len("status"):
		return strings.EqualFold(word, "status") || strings.EqualFold(word, "reason")
	case len("response"): // RESPONSE 429: 429 Too Many Requests
		return strings.EqualFold(word, "response") || strings.EqualFold(word, "HTTP/1.1")
	case len("httperror"):
		return strings.EqualFold(word, "httperror")
	case len("statuscode"):
		return strings.EqualFold(word, "statuscode")
	}
	return false
}

// ofStatus is what an HTTP status says by itself.
func ofStatus(status string) (Outcome, bool) {
	switch status {
	case "429":
		return Throttled, true
	case "401":
		return Auth, true
	case "403":
		return Denied, true
	case "404", "410":
		return NotFound, true
	case "409", "412", "423":
		return Conflict, true
	case "400", "405", "413", "415", "422":
		return Invalid, true
	case "408", "504":
		return Timeout, true
	}
	return "", false
}

// A sign is a phrase, in small letters, that tells an outcome.
type sign struct {
	text    string
	outcome Outcome
	weight  int
}

// signs are the phrases by their first word, without the punctuation after it.
var signs = bySignWord([]sign{
	{"rate exceeded", Throttled, byCause},
	{"rate limit", Throttled, byCause},
	{"rate limited", Throttled, byCause},
	{"rate limiter", Throttled, byCause}, // client rate limiter Wait returned an error
	{"ratelimitexceeded", Throttled, byCause},
	{"userratelimitexceeded", Throttled, byCause},
	{"too many requests", Throttled, byCause},
	{"toomanyrequests", Throttled, byCause},
	{"throttled", Throttled, byCause},
	{"throttling", Throttled, byCause},
	{"request limit exceeded", Throttled, byCause},
	{"reduce your request rate", Throttled, byCause},
	{"slow down", Throttled, byCause},
	{"retry quota exceeded", Throttled, byCause}, // the SDK's own bucket, emptied by retries
	{"quota exceeded for quota group", Throttled, byCause},
	{"quota exceeded for quota metric", Throttled, byCause},
	{"has received too many requests", Throttled, byCause},

	{"failed to refresh cached credentials", Auth, byCause},
	{"no ec2 imds role found", Auth, byCause},
	{"no ec2 instance role found", Auth, byCause},
	{"no valid credential", Auth, byCause},
	{"get credentials", Auth, byCause},
	{"cannot get credentials", Auth, byCause},
	{"cannot extract credentials", Auth, byCause},
	{"failed to retrieve credentials", Auth, byCause},
	{"cannot assume role", Auth, byCause},
	{"could not find default credentials", Auth, byCause},
	{"cannot fetch token", Auth, byCause},
	{"invalid_grant", Auth, byCause},
	{"invalid_client", Auth, byCause},
	{"invalid client secret", Auth, byCause},
	{"security token included in the request is", Auth, byCause}, // expired, invalid
	{"provided token has expired", Auth, byCause},
	{"server has asked for the client to provide credentials", Auth, byCause},
	{"defaultazurecredential", Auth, byCause},
	{"obtain a token", Auth, byPhrase},
	{"authentication failed", Auth, byPhrase},
	{"failed to acquire a token", Auth, byCause},
	{"invalid authentication credentials", Auth, byCause},
	{"unauthorized", Auth, byPhrase},
	{"unauthenticated", Auth, byPhrase},

	{"exceeded quota", Quota, byPhrase}, // a Kubernetes ResourceQuota's "is forbidden: exceeded quota"
	{"quota exceeded", Quota, byPhrase},
	{"quotaexceeded", Quota, byCode},
	{"exceeds quota", Quota, byPhrase},
	{"approved total regional cores quota", Quota, byCause}, // its code is OperationNotAllowed
	{"exceeding approved", Quota, byCause},
	{"limit exceeded", Quota, byPhrase},
	{"maximum number of", Quota, byStatus},
	{"has reached the limit", Quota, byPhrase},
	{"have reached the limit", Quota, byPhrase},

	{"is forbidden", Denied, byPhrase},
	{"forbidden", Denied, byPhrase},
	{"access denied", Denied, byPhrase},
	{"accessdenied", Denied, byCode},
	{"permission denied", Denied, byPhrase},
	{"not authorized to perform", Denied, byPhrase},
	{"does not have authorization to perform", Denied, byPhrase},
	{"denied the request", Denied, byPhrase}, // admission webhook … denied the request
	{"does not have permission", Denied, byPhrase},
	{"insufficient permission", Denied, byPhrase},
	{"insufficientpermissions", Denied, byCode},
	{"required permission", Denied, byPhrase},
	{"permission for", Denied, byPhrase}, // Required 'compute.regions.get' permission for
	{"explicit deny", Denied, byPhrase},
	{"disallowed by policy", Denied, byPhrase},
	{"has not been used in project", Denied, byPhrase},

	{"object has been modified", Conflict, byCode},
	{"operation cannot be fulfilled", Conflict, byCode},
	{"already exists", Conflict, byPhrase},
	{"alreadyexists", Conflict, byCode},
	{"to be managed via terraform this resource needs to be imported", Conflict, byPhrase},
	{"already in use", Conflict, byPhrase},
	{"is in use", Conflict, byPhrase},
	{"being used by", Conflict, byPhrase},
	{"dependent object", Conflict, byPhrase},
	{"already being used", Conflict, byPhrase},
	{"in progress", Conflict, byStatus},
	{"conflict", Conflict, byStatus},

	{"not found", NotFound, byPhrase},
	{"notfound", NotFound, byCode},
	{"could not find the requested resource", NotFound, byPhrase},
	{"no matches for kind", NotFound, byPhrase},
	{"does not exist", NotFound, byPhrase},
	{"doesn't exist", NotFound, byPhrase},
	{"do not exist", NotFound, byPhrase},
	{"couldn't find", NotFound, byPhrase},

	{"is invalid", Invalid, byPhrase},
	{"invalid value", Invalid, byPhrase},
	{"unsupported value", Invalid, byPhrase},
	{"required value", Invalid, byPhrase},
	{"invalid argument", Invalid, byPhrase},
	{"invalid parameter", Invalid, byPhrase},
	{"invalid configuration", Invalid, byPhrase},
	{"unknown field", Invalid, byPhrase},
	{"missing required", Invalid, byPhrase},
	{"is immutable", Invalid, byPhrase},
	{"is a required field", Invalid, byPhrase},
	{"required parameter", Invalid, byStatus},
	{"unsupported argument", Invalid, byPhrase},
	{"unsuitable value", Invalid, byPhrase},
	{"bad request", Invalid, byPhrase},
	{"malformed", Invalid, byPhrase},
	{"cannot unmarshal", Invalid, byPhrase},
	{"refuse to update the external resource", Invalid, byPhrase},

	{"context deadline exceeded", Timeout, byPhrase},
	{"deadline exceeded", Timeout, byPhrase},
	{"i/o timeout", Timeout, byPhrase},
	{"handshake timeout", Timeout, byPhrase},
	{"timed out", Timeout, byPhrase},
	{"timeout while waiting", Timeout, byPhrase},
	{"timeout", Timeout, byStatus},
	{"client.timeout", Timeout, byPhrase},
	{"deadline_exceeded", Timeout, byPhrase},
	{"deadlineexceeded", Timeout, byPhrase},

	{"connection refused", Connect, byPhrase},
	{"connection reset", Connect, byPhrase},
	{"connection error", Connect, byPhrase},
	{"no such host", Connect, byPhrase},
	{"no route to host", Connect, byPhrase},
	{"network is unreachable", Connect, byPhrase},
	{"server misbehaving", Connect, byPhrase},
	{"broken pipe", Connect, byPhrase},
	{"x509:", Connect, byPhrase},
	{"tls:", Connect, byPhrase},
	{"eof", Connect, byPhrase},
	{"dial tcp", Connect, byPhrase},
	{"no healthy upstream", Connect, byPhrase},
	{"no endpoints available", Connect, byPhrase},
	{"currently unable to handle the request", Connect, byPhrase},
	{"http2:", Connect, byPhrase},
})

func bySignWord(all []sign) map[string][]sign {
	m := make(map[string][]sign, len(all))
	for _, s := range all {
		end := 0
		for end < len(s.text) && inWord(s.text[end]) {
			end++
		}
		word := strings.TrimRight(s.text[:end], ":.")
		m[word] = append(m[word], s)
	}
	return m
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// beginsFold is whether text begins with a phrase of whole words, in whatever case and however its words are spaced.
func beginsFold(text, phrase string) bool {
	i := 0
	for j := range len(phrase) {
		if i >= len(text) {
			return false
		}
		if phrase[j] != ' ' {
			if lower(text[i]) != phrase[j] {
				return false
			}
			i++
			continue
		}
		if text[i] > ' ' {
			return false
		}
		for i < len(text) && text[i] <= ' ' {
			i++
		}
	}
	return i == len(text) || !inWord(text[i]) || text[i] == ':' || text[i] == '.'
}

// hasFold is whether text has the part, which is in small letters, in whatever case.
func hasFold(text, part string) bool {
	for i := 0; i+len(part) <= len(text); i++ {
		if lower(text[i]) == part[0] && strings.EqualFold(text[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

func bounded(s string, n int) string {
	if len(s) > n {
		return s[:n]
	}
	return s
}
