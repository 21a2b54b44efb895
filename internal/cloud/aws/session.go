package aws

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"

	"crossplane-exporter/internal/cloud"
)

// Config is what all sources of a Session share. The zero value reads AWS as the SDK's defaults say: environment,
// profiles, IRSA, Pod Identity, instance roles.
type Config struct {
	// Profile is a profile of the shared configuration files.
	Profile string
	// Region is asked where no region is said; the SDK's default if empty.
	Region string
	// Endpoints replace AWS's own, for proxies, VPC endpoints and tests.
	Endpoints Endpoints
	// HTTPClient replaces the SDK's.
	HTTPClient *http.Client
	// Principals tell who made a call; nil knows nobody.
	Principals *Principals
	Log        *slog.Logger
	// OnRequest, if not nil, is told of every request that was made, retries too. It is called by several goroutines.
	OnRequest func(cloud.Request)
}

// Endpoints are base URLs, empty for AWS's own.
type Endpoints struct{ CloudTrail, S3, SQS, STS string }

// An Account is one that is read with a role assumed in it, or with the session's own credentials if Role is empty.
type Account struct {
	Role, ExternalID string
	// Regions are those to read, the configuration's if there are none.
	Regions []string
}

// self is the account of the session's own credentials, in names and messages.
const self = "self"

// ID is the account's number as its role has it, or "self".
func (a Account) ID() string {
	if account, _, ok := roleOf(a.Role); ok {
		return account
	}
	return self
}

// partition is the part of AWS that its role is in, empty without one.
func (a Account) partition() string {
	f := strings.SplitN(a.Role, ":", 3)
	if len(f) < 3 {
		return ""
	}
	return f[1]
}

// A Session makes sources that read AWS with the same credentials, each perhaps in a role.
type Session struct {
	config Config
	sdk    aws.Config

	mu    sync.Mutex
	roles map[string]aws.CredentialsProvider
}

const (
	// headerTimeout is how long AWS may take to begin to answer, and stallTimeout how long it may be silent in an
	// answer.
	headerTimeout = 60 * time.Second
	stallTimeout  = 60 * time.Second
	// leastBackoff and mostBackoff are how long a source waits after it failed.
	leastBackoff = 5 * time.Second
	mostBackoff  = 5 * time.Minute
)

// Open loads the SDK's configuration. It does not go to the network; whether the credentials are any good shows in each
// source's Status.
func Open(ctx context.Context, c Config) (*Session, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Principals == nil {
		c.Principals = &Principals{}
	}
	s := &Session{config: c, roles: map[string]aws.CredentialsProvider{}}
	options := []func(*config.LoadOptions) error{
		config.WithAPIOptions([]func(*middleware.Stack) error{s.observe}),
		config.WithLogger(logging.Nop{}), // we say what is wrong, and nothing else
	}
	if c.Profile != "" {
		options = append(options, config.WithSharedConfigProfile(c.Profile))
	}
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.HTTPClient != nil {
		options = append(options, config.WithHTTPClient(c.HTTPClient))
	} else {
		options = append(options, config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.ResponseHeaderTimeout = headerTimeout
		})))
	}
	sdk, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %s", scrub(err.Error()))
	}
	if sdk.Region == "" {
		sdk.Region = homeRegion("")
	}
	sdk.HTTPClient = wholeBodies{sdk.HTTPClient}
	s.sdk = sdk
	return s, nil
}

// wholeBodies sends requests whose body is in memory. Of others the SDK closes the body as soon as the answer begins, which may be
// before the transport has seen the body's end: it then takes the connection for broken.
type wholeBodies struct{ aws.HTTPClient }

func (c wholeBodies) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err := errors.Join(err, r.Body.Close()); err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(b))
	}
	return c.HTTPClient.Do(r)
}

// in is the SDK's configuration for a region of an account.
func (s *Session) in(a Account, region string) aws.Config {
	c := s.sdk.Copy()
	if region != "" {
		c.Region = region
	}
	if a.Role != "" {
		c.Credentials = s.assume(a)
	}
	return c
}

// regionOf is the region to ask for an account where none is said: the session's, unless the account is in another partition.
func (s *Session) regionOf(a Account) string {
	if p := a.partition(); p != "" && p != partitionOf(s.sdk.Region) {
		return homeRegion(strings.TrimPrefix(p, "aws-") + "-")
	}
	return s.sdk.Region
}

// assume returns the credentials of an account's role, the same ones for all its regions.
func (s *Session) assume(a Account) aws.CredentialsProvider {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := a.Role + " " + a.ExternalID
	if c, ok := s.roles[key]; ok {
		return c
	}
	here := s.sdk.Copy()
	here.Region = s.regionOf(a)
	client := sts.NewFromConfig(here, func(o *sts.Options) { o.BaseEndpoint = endpoint(s.config.Endpoints.STS) })
	c := aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, a.Role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = "crossplane-exporter"
		if a.ExternalID != "" {
			o.ExternalID = aws.String(a.ExternalID)
		}
	}))
	s.roles[key] = c
	return c
}

func endpoint(url string) *string {
	if url == "" {
		return nil
	}
	return &url
}

// observe adds a step to every client, within the SDK's retries, that tells OnRequest of each attempt.
func (s *Session) observe(stack *middleware.Stack) error {
	if s.config.OnRequest == nil {
		return nil
	}
	step := middleware.FinalizeMiddlewareFunc("ObserveRequests", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		start := time.Now()
		out, metadata, err := next.HandleFinalize(ctx, in)
		if errors.Is(ctx.Err(), context.Canceled) {
			return out, metadata, err // nobody waits for it any more: no fault of the API's
		}
		s.config.OnRequest(cloud.Request{
			API:     permission(awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)),
			Account: accountIn(ctx), Region: awsmiddleware.GetRegion(ctx), Outcome: outcomeOf(err), Took: time.Since(start),
		})
		return out, metadata, err
	})
	return stack.Finalize.Insert(step, "Retry", middleware.After)
}

type accountKey struct{}

// withAccount says to OnRequest which account requests are about.
func withAccount(ctx context.Context, account string) context.Context {
	return context.WithValue(ctx, accountKey{}, account)
}

func accountIn(ctx context.Context) string {
	a, _ := ctx.Value(accountKey{}).(string)
	return a
}

// permission is what a role must be allowed for an operation.
func permission(service, operation string) string {
	switch operation {
	case "ListObjectsV2":
		operation = "ListBucket"
	case "DeleteMessageBatch", "ChangeMessageVisibilityBatch":
		operation = strings.TrimSuffix(operation, "Batch")
	}
	return strings.ToLower(service) + ":" + operation
}

// outcomeOf says how a request ended.
func outcomeOf(err error) cloud.Outcome {
	var api smithy.APIError
	switch {
	case err == nil:
		return cloud.OK
	case errors.Is(err, context.DeadlineExceeded):
		return cloud.Timeout
	case errors.As(err, &api):
		if o := cloud.ClassifyText("api error " + api.ErrorCode() + ": "); o == cloud.Auth {
			return o
		}
		return cloud.Classify(api.ErrorCode(), api.ErrorMessage())
	default:
		return cloud.ClassifyText(err.Error())
	}
}

// An Error is a request that failed, told so that a person knows what to do. It does not lead to the SDK's error, which
// may say more than a log should.
type Error struct {
	// API is the request, as permissions spell it; Account and Region where it went, and Subject what it was about, if
	// there is such a thing.
	API, Account, Region, Subject string
	Outcome                       cloud.Outcome
	// Detail is the API's code and message.
	Detail string
}

func (e *Error) Error() string {
	where := "account " + e.Account
	if e.Region != "" {
		where += " region " + e.Region
	}
	if e.Subject != "" {
		where += " " + e.Subject
	}
	advice := string(e.Outcome)
	switch e.Outcome {
	case cloud.Denied:
		advice = "denied; allow " + e.API + " to the role that the exporter runs with"
	case cloud.Auth:
		advice = "no valid AWS credentials; see to the exporter's service account, role or profile"
	case cloud.Throttled:
		advice = "throttled; others may be using up the account's rate"
	case cloud.Timeout:
		advice = "no answer in time"
	case cloud.Connect:
		advice = "cannot be reached"
	}
	return fmt.Sprintf("%s: %s: %s: %s", where, e.API, advice, e.Detail)
}

// fail makes an Error of the SDK's, or returns the context's if that is why.
func fail(ctx context.Context, err error, account, region, subject string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := &Error{Account: account, Region: region, Subject: subject, Outcome: outcomeOf(err), API: "request"}
	var op *smithy.OperationError
	if errors.As(err, &op) {
		e.API = permission(op.Service(), op.Operation())
	}
	// The innermost operation is the one that failed: an AssumeRole, say, within a LookupEvents.
	for inner := op; inner != nil; {
		op, inner = inner, nil
		e.API = permission(op.Service(), op.Operation())
		errors.As(op.Err, &inner)
	}
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		e.Detail = api.ErrorCode() + ": " + api.ErrorMessage()
	case op != nil:
		e.Detail = op.Err.Error()
	default:
		e.Detail = err.Error()
	}
	e.Detail = scrub(e.Detail)
	return e
}

// outcome is that of an error that fail made.
func outcome(err error) cloud.Outcome {
	var e *Error
	if errors.As(err, &e) {
		return e.Outcome
	}
	return cloud.Other
}

// scrub makes an error's text fit for logs: short, and without access keys and whatever else is long enough to be a
// secret.
func scrub(text string) string {
	const longest = 100
	words := strings.FieldsFunc(text, func(r rune) bool { return r <= ' ' })
	for i, w := range words {
		if strings.HasPrefix(w, "arn:") {
			continue
		}
		for _, part := range strings.FieldsFunc(w, func(r rune) bool { return strings.ContainsRune(`"'=:,;&?()[]{}<>`, r) }) {
			key := len(part) >= 16 && (strings.HasPrefix(part, "AKIA") || strings.HasPrefix(part, "ASIA"))
			if key || len(part) > longest || len(part) >= 40 && mixed(part) {
				words[i] = strings.ReplaceAll(words[i], part, "…")
			}
		}
	}
	text = strings.Join(words, " ")
	const enough = 600
	if len(text) > enough {
		text = strings.ToValidUTF8(text[:enough], "") + "…"
	}
	return text
}

// mixed is whether a word has capitals and small letters and no dots or dashes, as base64 has.
func mixed(s string) bool {
	return strings.ToLower(s) != s && strings.ToUpper(s) != s && !strings.ContainsAny(s, ".-")
}

// regions are the regions to read in an account, with the one that has the global services' events.
func regions(a Account, common []string, fallback string) []string {
	r := slices.Clone(a.Regions)
	if len(r) == 0 {
		r = slices.Clone(common)
	}
	if len(r) == 0 {
		r = []string{fallback}
	}
	r = append(r, homeRegion(r[0]))
	slices.Sort(r)
	return slices.Compact(r)
}

// partitionOf is the part of AWS that a region belongs to; nothing crosses from one to another.
func partitionOf(region string) string {
	for _, prefix := range []string{"cn-", "us-gov-"} {
		if strings.HasPrefix(region, prefix) {
			return "aws-" + strings.TrimSuffix(prefix, "-")
		}
	}
	return "aws"
}

// homeRegion has the events of the services that have no region, in the partition of a region.
func homeRegion(region string) string {
	switch partitionOf(region) {
	case "aws-cn":
		return "cn-northwest-1"
	case "aws-us-gov":
		return "us-gov-west-1"
	default:
		return "us-east-1"
	}
}

// sleep waits, and is false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
