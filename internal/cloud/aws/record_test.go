package aws

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

func decodeAll(d *Decoder, file string) (records []cloud.Record, err error) {
	err = d.Decode(strings.NewReader(file), func(r *cloud.Record) error {
		records = append(records, *r)
		return nil
	})
	return records, err
}

// full is a record with all that is read of one.
const full = `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROA:s","arn":"arn:aws:sts::111111111111:assumed-role/admin/jane",
"accountId":"111111111111","accessKeyId":"ASIAXXXXXXXXXXXXXXXX","sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::111111111111:role/ops/admin",
"userName":"admin"},"attributes":{"mfaAuthenticated":"false"}}},"eventTime":"2026-05-01T12:00:01Z","eventSource":"lambda.amazonaws.com",
"eventName":"UpdateFunctionCode20150331v2","awsRegion":"eu-west-1","sourceIPAddress":"192.0.2.7","userAgent":"aws-cli/2","requestParameters":
{"functionName":"arn:aws:lambda:eu-west-1:222222222222:function:f\u002d1","tags":{"Name":"other"},"dryRun":false},"responseElements":{"functionName":"f-1"},
"requestID":"r","eventID":"0aab9947-662e-407b-bbc7-e86981879d38","readOnly":false,"resources":[{"ARN":"arn:aws:lambda:eu-west-1:222222222222:function:f-1"}],
"eventType":"AwsApiCall","managementEvent":true,"recipientAccountId":"222222222222","eventCategory":"Management"}`

func TestDecode(t *testing.T) {
	got, err := decodeAll(NewDecoder(&Principals{}), `{"Records":[`+full+`]}`)
	if err != nil {
		t.Fatal(err)
	}
	fn := "arn:aws:lambda:eu-west-1:222222222222:function:f-1"
	want := []cloud.Record{{
		ID: "0aab9947-662e-407b-bbc7-e86981879d38", Cloud: "aws", Time: time.Date(2026, 5, 1, 12, 0, 1, 0, time.UTC),
		Account: "222222222222", Region: "eu-west-1", Service: "lambda", Operation: "UpdateFunctionCode", Noun: "FunctionCode",
		Write: true, Outcome: cloud.OK,
		Principal: cloud.Principal{
			Class: cloud.Role, ID: "arn:aws:iam::111111111111:role/ops/admin", Session: "jane", Account: "111111111111", Address: "192.0.2.7", Agent: "aws-cli/2",
		},
		Targets: []cloud.Target{
			{ID: fn, Key: "functionName", Unique: true, Depth: 1}, {ID: "f-1", Key: "function", Depth: 1},
			{ID: fn, Key: "ARN", Unique: true, Tier: 1, Depth: 2}, {ID: "f-1", Key: "function", Tier: 1, Depth: 2},
			{ID: "f-1", Key: "functionName", Tier: 2, Depth: 1},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want, +got:\n%s", diff)
	}
}

func TestDecodeIsLenient(t *testing.T) {
	const base = `"eventTime":"2026-05-01T12:00:01Z","eventSource":"ec2.amazonaws.com","eventName":"DeleteVpc","eventID":"1"`
	type want struct {
		Write   bool
		Class   string
		Outcome cloud.Outcome
		Odd     uint64
	}
	cases := map[string]struct {
		reason string
		fields string
		want   want
	}{
		"Nothing":          {"all else may be missing", ``, want{true, cloud.Unknown, cloud.OK, 0}},
		"ReadOnlyBool":     {"a boolean", `,"readOnly":true`, want{false, cloud.Unknown, cloud.OK, 0}},
		"ReadOnlyString":   {"a string", `,"readOnly":"true"`, want{false, cloud.Unknown, cloud.OK, 0}},
		"ReadOnlyFalse":    {"the string false is not true", `,"readOnly":"false"`, want{true, cloud.Unknown, cloud.OK, 0}},
		"ReadOnlyNumber":   {"nothing that means anything", `,"readOnly":1`, want{true, cloud.Unknown, cloud.OK, 1}},
		"ReadOnlyNull":     {"as good as missing", `,"readOnly":null`, want{true, cloud.Unknown, cloud.OK, 0}},
		"ConsoleBool":      {"a boolean", `,"sessionCredentialFromConsole":true`, want{true, cloud.Console, cloud.OK, 0}},
		"ConsoleString":    {"a string", `,"sessionCredentialFromConsole":"true"`, want{true, cloud.Console, cloud.OK, 0}},
		"ConsoleFalse":     {"the string false", `,"sessionCredentialFromConsole":"false"`, want{true, cloud.Unknown, cloud.OK, 0}},
		"IdentityString":   {"not an object", `,"userIdentity":"me"`, want{true, cloud.Unknown, cloud.OK, 1}},
		"IdentityNull":     {"null", `,"userIdentity":null`, want{true, cloud.Unknown, cloud.OK, 0}},
		"IdentityEmptyCtx": {"an issuer without anything", `,"userIdentity":{"type":"IAMUser","sessionContext":{"sessionIssuer":{}}}`, want{true, cloud.User, cloud.OK, 0}},
		"IdentityOdd":      {"fields of odd types", `,"userIdentity":{"type":["Root"],"arn":{},"sessionContext":[1]}`, want{true, cloud.Unknown, cloud.OK, 3}},
		"CodeNumber":       {"a number is its text", `,"errorCode":404`, want{true, cloud.Unknown, cloud.Other, 1}},
		"CodeNull":         {"no error", `,"errorCode":null`, want{true, cloud.Unknown, cloud.OK, 0}},
		"ParamsString":     {"not an object", `,"requestParameters":"x","responseElements":7,"resources":"y"`, want{true, cloud.Unknown, cloud.OK, 3}},
		"Twice":            {"the last of two fields of a name counts", `,"readOnly":false,"readOnly":true`, want{false, cloud.Unknown, cloud.OK, 0}},
		"NotUTF8":          {"text that is none", ",\"userAgent\":\"Mozilla/\xff\\n\"", want{true, cloud.Console, cloud.OK, 0}},
		"ServiceEvent":     {"AWS by itself", `,"eventType":"AwsServiceEvent"`, want{true, cloud.Service, cloud.OK, 0}},
		"Newer":            {"fields of the future", `,"eventVersion":"2.0","novelty":{"a":[1,{"b":null}]}`, want{true, cloud.Unknown, cloud.OK, 0}},
		"AccountIsANumber": {"the label is its text", `,"recipientAccountId":111111111111`, want{true, cloud.Unknown, cloud.OK, 1}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(&Principals{})
			got, err := decodeAll(d, `{"Records":[{`+base+tc.fields+`}]}`)
			if err != nil || len(got) != 1 {
				t.Fatalf("%s: %d records, error %v", tc.reason, len(got), err)
			}
			if diff := cmp.Diff(tc.want, want{got[0].Write, got[0].Principal.Class, got[0].Outcome, d.Odd}); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDecodeABadRecordCostsItself(t *testing.T) {
	for name, bad := range map[string]string{
		"Null": `null`, "String": `"x"`, "List": `[1,{"eventID":"3"}]`, "Empty": `{}`,
		"NoTime":  `{"eventSource":"a","eventName":"b"}`,
		"OddTime": `{"eventSource":"a","eventName":"b","eventTime":"yesterday"}`,
		"Insight": `{"eventSource":"a","eventName":"b","eventTime":"2026-05-01T12:00:01Z","eventCategory":"Insight","eventType":"AwsCloudTrailInsight"}`,
	} {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(&Principals{})
			got, err := decodeAll(d, `{"Records":[`+full+`,`+bad+`,`+full+`]}`)
			if err != nil || len(got) != 2 || d.Bad != 1 {
				t.Errorf("%d records, %d bad, error %v; want 2, 1, none", len(got), d.Bad, err)
			}
		})
	}
}

func zip(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, s); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestDecodeFiles(t *testing.T) {
	good := `{"Records":[` + full + `,` + full + `]}`
	zipped := zip(t, good)
	huge := `{"Records":[` + full + `,{"x":"` + strings.Repeat("y", maxRecord) + `"},` + full + `]}`
	cases := map[string]struct {
		reason string
		file   string
		want   int   // records
		err    error // nil, or cmpopts.AnyError
	}{
		"Plain":       {"JSON as it is", good, 2, nil},
		"Zipped":      {"gzip", zipped, 2, nil},
		"Members":     {"gzip in several members, as concatenated files have", zip(t, good[:100]) + zip(t, good[100:]), 2, nil},
		"Spaces":      {"with white space", "\n " + strings.ReplaceAll(good, ",", " ,\t") + "\n", 2, nil},
		"More":        {"other things beside the records", `{"a":[1],` + good[1:len(good)-1] + `,"b":{}}`, 2, nil},
		"NoRecords":   {"an empty log", `{"Records":[]}`, 0, nil},
		"Digest":      {"a digest is no log", `{"awsAccountId":"111111111111","digestStartTime":"2026-05-01T12:00:01Z","logFiles":[]}`, 0, ErrNoLog},
		"NoObject":    {"nor is a list", `[` + full + `]`, 0, ErrNoLog},
		"RecordsOdd":  {"nor is something else of that name", `{"Records":{"a":1}}`, 0, ErrNoLog},
		"Empty":       {"nothing at all", ``, 0, cmpopts.AnyError},
		"NoJSON":      {"something else", `hello`, 0, cmpopts.AnyError},
		"Torn":        {"JSON that ends early", good[:len(good)-40], 1, cmpopts.AnyError},
		"TornZip":     {"gzip that ends early", zipped[:len(zipped)-12], 2, cmpopts.AnyError},
		"HalfZip":     {"gzip of half", zip(t, good)[:len(zipped)/2], 0, cmpopts.AnyError},
		"NoZip":       {"gzip in its first bytes only", zipped[:3] + "rubbish", 0, cmpopts.AnyError},
		"Checksum":    {"gzip with a wrong checksum", zipped[:len(zipped)-8] + "abcd" + zipped[len(zipped)-4:], 2, cmpopts.AnyError},
		"Huge":        {"a record that would fill the memory", huge, 1, errTooLarge},
		"HugeZip":     {"a small file with one", zip(t, huge), 1, errTooLarge},
		"HugeOutside": {"and outside of the records", `{"a":"` + strings.Repeat("y", maxRecord+1) + `"}`, 0, errTooLarge},
		"Deep":        {"a record deeper than any", `{"Records":[` + full + `,{"x":` + strings.Repeat(`[`, 20000) + `}]}`, 1, cmpopts.AnyError},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := NewDecoder(&Principals{})
			for range 2 { // a decoder is used again after whatever it saw
				got, err := decodeAll(d, tc.file)
				if len(got) != tc.want || !cmp.Equal(tc.err, err, cmpopts.EquateErrors()) {
					t.Errorf("%s: %d records, error %v; want %d, %v", tc.reason, len(got), err, tc.want, tc.err)
				}
			}
		})
	}
}

func TestDecodeStopsWhenToldTo(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	err := NewDecoder(&Principals{}).Decode(strings.NewReader(`{"Records":[`+full+`,`+full+`]}`), func(*cloud.Record) error {
		n++
		return stop
	})
	if !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d records, error %v", n, err)
	}
}

// Over generated days: counts by outcome and by principal are those of the events, read the slow way.
func TestDecodeGeneratedDays(t *testing.T) {
	from := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	events := awstest.Generate(7, 5000, from, from.Add(48*time.Hour))
	var file bytes.Buffer
	if err := awstest.WriteLog(&file, events); err != nil {
		t.Fatal(err)
	}
	who := &Principals{}
	who.Know(Known{Providers: []string{awstest.ProviderRole}})
	outcomes, classes := map[cloud.Outcome]int{}, map[string]int{}
	i := 0
	err := NewDecoder(who).Decode(&file, func(r *cloud.Record) error {
		outcomes[r.Outcome]++
		classes[r.Principal.Class]++
		if e := events[i]; r.ID != e.ID || !r.Time.Equal(e.Time) || r.Operation != e.Name || r.Write == e.ReadOnly || r.Account != e.Account {
			return fmt.Errorf("record %d is %+v, want %+v", i, r, e)
		}
		i++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantOutcomes, wantClasses := map[cloud.Outcome]int{}, map[string]int{}
	for _, e := range events {
		wantOutcomes[map[string]cloud.Outcome{
			"": cloud.OK, "Client.RequestLimitExceeded": cloud.Throttled, "ThrottlingException": cloud.Throttled,
			"NoSuchBucketPolicy": cloud.NotFound, "Client.UnauthorizedOperation": cloud.Denied,
		}[e.ErrorCode]]++
		wantClasses[map[string]string{awstest.ProviderRole: cloud.Crossplane, awstest.SSORole: cloud.Console, "": cloud.User}[e.Role]]++
	}
	if diff := cmp.Diff(wantOutcomes, outcomes); diff != "" {
		t.Errorf("outcomes: -want, +got:\n%s", diff)
	}
	if diff := cmp.Diff(wantClasses, classes); diff != "" {
		t.Errorf("classes: -want, +got:\n%s", diff)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"Records":[` + full + `]}`))
	f.Add([]byte(`{"Records":[` + strings.ReplaceAll(full, `"`, `'`) + `]}`))
	f.Add([]byte(zip(f, `{"Records":[`+full+`]}`)))
	f.Add([]byte(`{"Records":[{"eventTime":"2026-05-01T12:00:01Z","eventSource":"route53.amazonaws.com","eventName":"ChangeResourceRecordSets","requestParameters":{"hostedZoneId":"Z1","changeBatch":{"changes":[{"resourceRecordSet":{"name":"\\052.a.","type":"A"}}]}}}]}`))
	index := cloud.NewIndex[int](Scope)
	f.Fuzz(func(t *testing.T, data []byte) {
		d := NewDecoder(&Principals{})
		_ = d.Decode(bytes.NewReader(data), func(r *cloud.Record) error {
			if r.Time.IsZero() || r.Service == "" && r.Operation == "" || r.Principal.Class == "" || r.Outcome == "" {
				t.Errorf("half a record: %+v", r)
			}
			if len(r.Targets) > maxTargets || len(r.Message) > maxText {
				t.Errorf("too much: %d targets, %d bytes of message", len(r.Targets), len(r.Message))
			}
			index.Match(nil, r)
			return nil
		})
	})
}

// What a file holds is not held: the memory stays flat over a large one.
func TestDecodeMemoryIsFlat(t *testing.T) {
	const records = 50_000
	d := NewDecoder(&Principals{})
	n := 0
	var most uint64
	err := d.Decode(largeFile(records), func(*cloud.Record) error {
		if n++; n%5000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
		}
		return nil
	})
	if err != nil || n != records {
		t.Errorf("%d records of %d, error %v", n, records, err)
	}
	if size := records * len(full); most > uint64(size)/2 {
		t.Errorf("the heap grew to %d MB over a file of %d MB", most>>20, size>>20)
	}
}

// largeFile is a log file that is made while it is read.
func largeFile(records int) io.Reader {
	return io.MultiReader(strings.NewReader(`{"Records":[`), &repeat{text: full + ",", left: records - 1}, strings.NewReader(full+`]}`))
}

// A repeat is a text, so many times.
type repeat struct {
	text     string
	left, at int
}

func (r *repeat) Read(p []byte) (n int, err error) {
	for n < len(p) && r.left > 0 {
		k := copy(p[n:], r.text[r.at:])
		n += k
		if r.at += k; r.at == len(r.text) {
			r.at = 0
			r.left--
		}
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Records a second on one core, from gzipped files as they are in S3.
func BenchmarkDecode(b *testing.B) {
	from := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	var file bytes.Buffer
	if err := awstest.WriteLog(&file, awstest.Generate(7, 20_000, from, from.Add(time.Hour))); err != nil {
		b.Fatal(err)
	}
	who := &Principals{}
	who.Know(Known{Providers: []string{awstest.ProviderRole}})
	d := NewDecoder(who)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Decode(bytes.NewReader(file.Bytes()), func(*cloud.Record) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkDecodeRealFiles(b *testing.B) {
	files := realFiles(b)
	d := NewDecoder(&Principals{})
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n += len(decodeFiles(b, d, files))
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "records/s")
}

// A file of 1 GB: how much the heap holds at most while it is read.
func BenchmarkDecodeOneGigabyte(b *testing.B) {
	d := NewDecoder(&Principals{})
	records := 1 << 30 / len(full)
	var most uint64
	for b.Loop() {
		n := 0
		err := d.Decode(largeFile(records), func(*cloud.Record) error {
			if n++; n%10000 == 0 {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(most)/(1<<20), "MB-heap")
	b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "records/s")
}
