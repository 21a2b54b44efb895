package awstest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"
)

// An Event is one of CloudTrail's, in few words. Record makes a whole one of it.
type Event struct {
	ID       string // made up if empty
	Time     time.Time
	Account  string
	Region   string
	Source   string // ec2.amazonaws.com
	Name     string
	ReadOnly bool
	// Data is whether it is about what is in a resource. Nameless is whether the record does not have the ID.
	Data, Nameless bool
	// Role is the ARN of the role that the caller was in, with Session; or User that of the user that it was.
	Role, Session, User string
	// Console is whether the session came from the web console.
	Console   bool
	Agent     string
	ErrorCode string
	Message   string
	Request   map[string]any
	Response  map[string]any
}

// Record is the event as CloudTrail writes it.
func (e *Event) Record() map[string]any {
	identity := map[string]any{"accountId": e.Account}
	if e.Role != "" {
		identity["type"] = "AssumedRole"
		identity["arn"] = fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", e.Account, lastPart(e.Role), e.Session)
		identity["sessionContext"] = map[string]any{
			"sessionIssuer": map[string]any{"type": "Role", "arn": e.Role, "accountId": e.Account, "userName": lastPart(e.Role)},
			"attributes":    map[string]any{"creationDate": e.Time.Add(-time.Hour).Format(time.RFC3339), "mfaAuthenticated": "false"},
		}
	} else {
		identity["type"] = "IAMUser"
		identity["arn"] = e.User
		identity["userName"] = lastPart(e.User)
	}
	r := map[string]any{
		"eventVersion": "1.11", "userIdentity": identity, "eventTime": e.Time.UTC().Format(time.RFC3339), "eventSource": e.Source,
		"eventName": e.Name, "awsRegion": e.Region, "sourceIPAddress": "192.0.2.1", "userAgent": e.Agent,
		"requestParameters": nilIfEmpty(e.Request), "responseElements": nilIfEmpty(e.Response), "requestID": e.ID, "eventID": e.ID,
		"readOnly": e.ReadOnly, "eventType": "AwsApiCall", "managementEvent": true, "recipientAccountId": e.Account, "eventCategory": "Management",
		"tlsDetails": map[string]any{"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256", "clientProvidedHostHeader": e.Source},
	}
	if e.Data {
		r["managementEvent"], r["eventCategory"] = false, "Data"
	}
	if e.Nameless {
		delete(r, "eventID")
	}
	if e.ErrorCode != "" {
		r["errorCode"], r["errorMessage"] = e.ErrorCode, e.Message
	}
	if e.Console {
		r["sessionCredentialFromConsole"] = "true"
	}
	return r
}

func nilIfEmpty(m map[string]any) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

func lastPart(arn string) string {
	for i := len(arn) - 1; i >= 0; i-- {
		if arn[i] == '/' {
			return arn[i+1:]
		}
	}
	return arn
}

// JSON is the record's.
func (e *Event) JSON() []byte {
	b, err := json.Marshal(e.Record())
	if err != nil {
		panic(err) // made of nothing but strings
	}
	return b
}

// WriteLog writes events as a log file of a trail, gzipped.
func WriteLog(w io.Writer, events []Event) error {
	z := gzip.NewWriter(w)
	var b bytes.Buffer
	b.WriteString(`{"Records":[`)
	for i := range events {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(events[i].JSON())
		if b.Len() > 1<<16 {
			if _, err := z.Write(b.Bytes()); err != nil {
				return err
			}
			b.Reset()
		}
	}
	b.WriteString(`]}`)
	if _, err := z.Write(b.Bytes()); err != nil {
		return err
	}
	return z.Close()
}

// LogName is the key of a log file in a trail's bucket, delivered at a time. Unique tells files of the same minute
// apart.
func LogName(account, region string, delivered time.Time, unique int) string {
	t := delivered.UTC()
	return fmt.Sprintf("AWSLogs/%s/CloudTrail/%s/%s/%s_CloudTrail_%s_%s_%016d.json.gz",
		account, region, t.Format("2006/01/02"), account, region, t.Format("20060102T1504Z"), unique)
}

// The identities of generated events.
const (
	ProviderRole  = "arn:aws:iam::111111111111:role/crossplane/provider-aws"
	ProviderAgent = "APN/1.0 HashiCorp/1.0 Terraform (+https://www.terraform.io) terraform-provider-aws/dev (+https://registry.terraform.io/providers/hashicorp/aws) aws-sdk-go-v2/1.47.6 ua/2.1 os/linux lang/go#1.26.8 md/GOOS#linux md/GOARCH#amd64 api/ec2#1.251.0 m/e crossplane-provider-aws/v2.3.0 upbound-provider-aws/v2.3.0"
	SSORole       = "arn:aws:iam::111111111111:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdef"
)

// Kinds of events that Generate makes, in thousands: most of what happens in an account with Crossplane is Crossplane
// looking.
var kinds = []struct {
	share int
	make  func(r *rand.Rand, e *Event)
}{
	{700, func(r *rand.Rand, e *Event) { // the provider observes
		asProvider(r, e)
		e.ReadOnly = true
		e.Source, e.Name = pick(r, [][2]string{
			{"ec2.amazonaws.com", "DescribeSubnets"}, {"ec2.amazonaws.com", "DescribeVpcs"}, {"iam.amazonaws.com", "GetRole"}, {"s3.amazonaws.com", "GetBucketTagging"},
		})
		e.Request = map[string]any{"subnetSet": map[string]any{"items": []any{map[string]any{"subnetId": id(r, "subnet")}}}, "filterSet": map[string]any{}}
	}},
	{120, func(r *rand.Rand, e *Event) { // and is throttled
		asProvider(r, e)
		e.ReadOnly = true
		e.Source, e.Name, e.ErrorCode, e.Message = "ec2.amazonaws.com", "DescribeSecurityGroups", "Client.RequestLimitExceeded", "Request limit exceeded."
		if r.IntN(2) == 0 {
			e.Source, e.Name, e.ErrorCode, e.Message = "ssm.amazonaws.com", "DescribeParameters", "ThrottlingException", "Rate exceeded"
		}
	}},
	{60, func(r *rand.Rand, e *Event) { // or looks for what is not there
		asProvider(r, e)
		e.ReadOnly = true
		e.Source, e.Name, e.ErrorCode, e.Message = "s3.amazonaws.com", "GetBucketPolicy", "NoSuchBucketPolicy", "The bucket policy does not exist"
	}},
	{40, func(r *rand.Rand, e *Event) { // or may not
		asProvider(r, e)
		e.Source, e.Name, e.ErrorCode, e.Message = "ec2.amazonaws.com", "CreateVpc", "Client.UnauthorizedOperation", "You are not authorized to perform this operation."
	}},
	{40, func(r *rand.Rand, e *Event) { // or puts things right
		asProvider(r, e)
		e.Source, e.Name = "ec2.amazonaws.com", "ModifySubnetAttribute"
		e.Request = map[string]any{"subnetId": subnet(r), "mapPublicIpOnLaunch": map[string]any{"value": false}}
		e.Response = map[string]any{"_return": true}
	}},
	{30, func(r *rand.Rand, e *Event) { // that someone changed
		e.Role, e.Session, e.Agent, e.Console = SSORole, "jane@example.org", "Mozilla/5.0 (X11; Linux x86_64)", true
		e.Source, e.Name = "ec2.amazonaws.com", "ModifySubnetAttribute"
		e.Request = map[string]any{"subnetId": subnet(r), "mapPublicIpOnLaunch": map[string]any{"value": true}}
		e.Response = map[string]any{"_return": true}
	}},
	{10, func(r *rand.Rand, e *Event) { // from a script
		e.User, e.Agent = "arn:aws:iam::111111111111:user/bob", "aws-cli/2.31.0 md/awscrt#0.28.1"
		e.Source, e.Name = "ec2.amazonaws.com", "CreateTags"
		e.Request = map[string]any{"resourcesSet": map[string]any{"items": []any{map[string]any{"resourceId": subnet(r)}}}}
	}},
}

func asProvider(r *rand.Rand, e *Event) {
	e.Role, e.Session, e.Agent = ProviderRole, strconv.FormatInt(1700000000000000000+r.Int64N(1e15), 10), ProviderAgent
}

func pick(r *rand.Rand, from [][2]string) (string, string) {
	p := from[r.IntN(len(from))]
	return p[0], p[1]
}

// Subnets are how many subnets the generated writes are about.
const Subnets = 50

// SubnetID is the ID of one of them.
func SubnetID(i int) string { return fmt.Sprintf("subnet-%017x", i) }

func subnet(r *rand.Rand) string { return SubnetID(r.IntN(Subnets)) }

func id(r *rand.Rand, kind string) string { return fmt.Sprintf("%s-%017x", kind, r.Uint64()>>4) }

// Generate makes n events between two times, in order, the same for the same seed.
func Generate(seed uint64, n int, from, to time.Time) []Event {
	r := rand.New(rand.NewPCG(seed, 0))
	total := 0
	for _, k := range kinds {
		total += k.share
	}
	events := make([]Event, n)
	for i := range events {
		e := &events[i]
		*e = Event{
			ID:      uuid(r),
			Time:    from.Add(time.Duration(float64(to.Sub(from)) * float64(i) / float64(n))).Truncate(time.Second),
			Account: "111111111111", Region: "eu-west-1",
		}
		at := r.IntN(total)
		for _, k := range kinds {
			if at -= k.share; at < 0 {
				k.make(r, e)
				break
			}
		}
	}
	return events
}

func uuid(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}
