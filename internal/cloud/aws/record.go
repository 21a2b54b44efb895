package aws

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"

	"crossplane-exporter/internal/cloud"
)

// Name is the name of this cloud, in cloud.Record.Cloud.
const Name = "aws"

const (
	// maxRecord is how many bytes one record may have; CloudTrail cuts them at 256 KiB, and Lake's at 1 MiB.
	maxRecord = 8 << 20
	// maxText is how much of an error message is kept.
	maxText = 1024
	// maxWords bounds the strings that are kept because they come again and again, and maxWordSize each of them.
	maxWords    = 1 << 14
	maxWordSize = 512
)

// ErrNoLog is what Decode returns for a file that is JSON but no log of events: a digest, say.
var ErrNoLog = errors.New("no CloudTrail log: it has no Records")

var errTooLarge = fmt.Errorf("a record is larger than %d bytes", maxRecord)

// A Decoder reads CloudTrail records. It is not safe for use by several goroutines, and worth keeping.
//
// A field that is missing or has an unexpected type counts as absent; a record that is not an object, or is none of a
// call (an insight), costs only itself. Only broken JSON ends a file.
type Decoder struct {
	// Bad counts records that were passed over, Odd fields.
	Bad, Odd uint64

	who   *Principals
	json  *jsontext.Decoder
	gzip  *gzip.Reader
	input *bufio.Reader
	limit limitReader
	words map[string]string
	text  []byte // scratch of unquote

	// The record that is being read.
	rec                          cloud.Record
	by                           caller
	event, source, region, owner string
	category                     string
	readOnly, management         opt
	params, response, resources  []byte // copies of the raw values
	leaves                       leaves
}

// An opt is a boolean that may not have been there.
type opt int8

const (
	absent opt = iota
	no
	yes
)

// NewDecoder returns a decoder that asks who for the class of principals; nil knows nobody.
func NewDecoder(who *Principals) *Decoder {
	if who == nil {
		who = &Principals{}
	}
	return &Decoder{
		who:   who,
		json:  jsontext.NewDecoder(bytes.NewReader(nil), jsonOptions...),
		words: map[string]string{},
		leaves: leaves{
			json: jsontext.NewDecoder(bytes.NewReader(nil), jsonOptions...),
		},
	}
}

var jsonOptions = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

// Decode reads a log file, gzipped or not, and calls each for every event in it, in order. The record is valid until
// the function returns; what it refers to stays. An error of each ends it and is returned as it is; other errors are
// about the file: ErrNoLog, or what is broken. What comes before the break has been handed over.
func (d *Decoder) Decode(file io.Reader, each func(*cloud.Record) error) error {
	if d.input == nil {
		d.input = bufio.NewReaderSize(nil, 64<<10)
	}
	d.input.Reset(file)
	d.limit = limitReader{r: d.input, max: maxRecord}
	if magic, _ := d.input.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		if err := d.unzip(); err != nil {
			return err
		}
		d.limit.r = d.gzip
	}
	d.json.Reset(&d.limit, jsonOptions...)
	return d.file(each)
}

func (d *Decoder) unzip() (err error) {
	if d.gzip == nil {
		d.gzip, err = gzip.NewReader(d.input)
	} else {
		err = d.gzip.Reset(d.input)
	}
	if err != nil {
		return fmt.Errorf("read gzip: %w", err)
	}
	return nil
}

// One decodes a single event, as LookupEvents and EventBridge deliver them. The result is valid until the next call. It
// is nil if the event is not of a call.
func (d *Decoder) One(event []byte) (*cloud.Record, error) {
	d.limit = limitReader{r: bytes.NewReader(event), max: maxRecord}
	d.json.Reset(&d.limit, jsonOptions...)
	ok, err := d.record()
	if err != nil {
		return nil, fmt.Errorf("decode event: %w", err)
	}
	if !ok {
		return nil, nil
	}
	return &d.rec, nil
}

// file reads the object around the records.
func (d *Decoder) file(each func(*cloud.Record) error) error {
	if k := d.json.PeekKind(); k != '{' {
		if err := d.json.SkipValue(); err != nil {
			return fmt.Errorf("decode log file: %w", err)
		}
		return ErrNoLog
	}
	found := false
	var stop error
	err := d.members(func(name []byte) error {
		if string(name) != `"Records"` || d.json.PeekKind() != '[' {
			d.limit.max = d.json.InputOffset() + maxRecord
			return d.json.SkipValue()
		}
		found = true
		if _, err := d.json.ReadToken(); err != nil {
			return err
		}
		for d.json.PeekKind() != ']' {
			d.limit.max = d.json.InputOffset() + maxRecord
			ok, err := d.record()
			if err != nil {
				return err
			}
			if !ok {
				d.Bad++
				continue
			}
			if stop = each(&d.rec); stop != nil {
				return stop
			}
		}
		_, err := d.json.ReadToken()
		return err
	})
	switch {
	case stop != nil:
		return stop
	case err == nil:
		// What follows is for the checksum, and to see that the file is whole.
		if _, err = io.Copy(io.Discard, d.limit.r); err == nil && !found {
			return ErrNoLog
		}
	}
	if err != nil {
		return fmt.Errorf("decode log file: %w", err)
	}
	return nil
}

// members reads an object, calling f after each name, to read the value.
func (d *Decoder) members(f func(name []byte) error) error {
	if _, err := d.json.ReadToken(); err != nil {
		return err
	}
	for d.json.PeekKind() != '}' {
		name, err := d.json.ReadValue()
		if err != nil {
			return err
		}
		if err := f(name); err != nil {
			return err
		}
	}
	_, err := d.json.ReadToken()
	return err
}

// record reads one record into d.rec. It is false if it is none of a call.
func (d *Decoder) record() (ok bool, err error) {
	if d.json.PeekKind() != '{' {
		return false, d.json.SkipValue()
	}
	d.rec, d.by = cloud.Record{Cloud: Name}, caller{}
	d.event, d.source, d.region, d.owner, d.category = "", "", "", "", ""
	d.readOnly, d.management = absent, absent
	d.params, d.response, d.resources = d.params[:0], d.response[:0], d.resources[:0]
	if err := d.members(d.field); err != nil {
		return false, err
	}
	if d.source == "" || d.event == "" || d.rec.Time.IsZero() || d.category == "Insight" {
		return false, nil
	}
	d.finish()
	return true, nil
}

func (d *Decoder) field(name []byte) (err error) {
	switch string(name) {
	case `"userIdentity"`:
		return d.object(d.identity)
	case `"eventTime"`:
		d.rec.Time, err = d.time()
	case `"eventSource"`:
		d.source, err = d.word()
	case `"eventName"`:
		d.event, err = d.word()
	case `"awsRegion"`:
		d.region, err = d.word()
	case `"sourceIPAddress"`:
		d.rec.Principal.Address, err = d.word()
	case `"userAgent"`:
		d.by.agent, err = d.word()
	case `"errorCode"`:
		d.rec.Code, err = d.word()
	case `"errorMessage"`:
		d.rec.Message, err = d.message()
	case `"eventID"`:
		d.rec.ID, err = d.string()
	case `"recipientAccountId"`:
		d.owner, err = d.word()
	case `"eventCategory"`:
		d.category, err = d.word()
	case `"eventType"`:
		var s string
		s, err = d.word()
		d.by.serviceEvent = s == "AwsServiceEvent"
	case `"managementEvent"`:
		d.management, err = d.bool()
	case `"readOnly"`:
		d.readOnly, err = d.bool()
	case `"sessionCredentialFromConsole"`:
		var b opt
		b, err = d.bool()
		d.by.console = b == yes
	case `"requestParameters"`:
		d.params, err = d.raw(d.params)
	case `"responseElements"`:
		d.response, err = d.raw(d.response)
	case `"resources"`:
		d.resources, err = d.raw(d.resources)
	default:
		return d.json.SkipValue()
	}
	return err
}

func (d *Decoder) identity(name []byte) (err error) {
	switch string(name) {
	case `"type"`:
		d.by.kind, err = d.word()
	case `"arn"`:
		d.by.arn, err = d.word()
	case `"accountId"`:
		d.by.account, err = d.word()
	case `"userName"`:
		d.by.user, err = d.word()
	case `"invokedBy"`:
		d.by.invokedBy, err = d.word()
	case `"sessionContext"`:
		return d.object(func(name []byte) error {
			if string(name) != `"sessionIssuer"` {
				return d.json.SkipValue()
			}
			return d.object(d.issuer)
		})
	default:
		return d.json.SkipValue()
	}
	return err
}

func (d *Decoder) issuer(name []byte) (err error) {
	switch string(name) {
	case `"arn"`:
		d.by.issuerARN, err = d.word()
	case `"userName"`:
		d.by.issuerUserName, err = d.word()
	default:
		return d.json.SkipValue()
	}
	return err
}

// finish makes of the fields what they mean.
func (d *Decoder) finish() {
	r := &d.rec
	r.Service, r.Operation = serviceOf(d.source), operationOf(d.event)
	r.Region = d.region
	r.Account = d.owner
	if r.Account == "" {
		r.Account = d.by.account
	}
	r.Outcome = cloud.Classify(r.Code, r.Message)
	r.Code = strings.TrimPrefix(strings.TrimPrefix(r.Code, "Client."), "Server.")
	r.Write = d.readOnly == no || d.readOnly == absent && !readsOnly(r.Operation)
	r.Principal.Class, r.Principal.ID = d.who.classify(&d.by)
	r.Principal.Agent, r.Principal.Account = d.by.agent, d.by.account
	r.Principal.Session = d.by.user
	if d.by.issuerARN != "" {
		r.Principal.Session = d.by.arn[strings.LastIndexByte(d.by.arn, '/')+1:]
	}
	if r.Write && r.Outcome == cloud.OK && d.changes() {
		r.Noun, r.Create = nounOf(r.Service, r.Operation)
		r.Targets = d.targets()
	}
}

// changes is whether a successful write changes the resource that it names. Data events are about what is in it, a bucket's
// objects or a queue's messages; a dry run has a code, and has done nothing.
func (d *Decoder) changes() bool {
	data := d.management == no || d.management == absent && d.category != "" && d.category != "Management"
	return !data && d.rec.Code == "" && !uses[d.rec.Service+":"+d.rec.Operation]
}

// object reads an object's members, or passes over what is none.
func (d *Decoder) object(f func(name []byte) error) error {
	switch d.json.PeekKind() {
	case '{':
		return d.members(f)
	case 'n':
	default:
		d.Odd++
	}
	return d.json.SkipValue()
}

// raw keeps an object or array as it stands, in the memory of buf.
func (d *Decoder) raw(buf []byte) ([]byte, error) {
	switch d.json.PeekKind() {
	case '{', '[':
		v, err := d.json.ReadValue()
		return append(buf[:0], v...), err
	case 'n':
	default:
		d.Odd++
	}
	return buf[:0], d.json.SkipValue()
}

// scalar reads a value's text: that of a string, or the value itself of a number or boolean. It is valid until the next
// read.
func (d *Decoder) scalar() ([]byte, error) {
	switch d.json.PeekKind() {
	case '"':
		v, err := d.json.ReadValue()
		if err != nil {
			return nil, err
		}
		if bytes.IndexByte(v, '\\') < 0 {
			return v[1 : len(v)-1], nil
		}
		d.text, err = jsontext.AppendUnquote(d.text[:0], v)
		return d.text, ignoreUTF8(err)
	case '0', 't', 'f':
		d.Odd++
		return d.json.ReadValue()
	case 'n':
	default:
		d.Odd++
	}
	return nil, d.json.SkipValue()
}

// ignoreUTF8 passes over the complaint about text that is not UTF-8: AppendUnquote has replaced it.
func ignoreUTF8(error) error { return nil }

// word reads a string of which there are few.
func (d *Decoder) word() (string, error) {
	b, err := d.scalar()
	return d.keep(b), err
}

// keep makes a string of bytes, and equal strings one.
func (d *Decoder) keep(b []byte) string {
	if w, ok := d.words[string(b)]; ok {
		return w
	}
	if len(b) > maxWordSize {
		return string(b[:maxWordSize])
	}
	if len(d.words) >= maxWords {
		clear(d.words)
	}
	s := string(b)
	d.words[s] = s
	return s
}

func (d *Decoder) string() (string, error) {
	b, err := d.scalar()
	return string(b[:min(len(b), maxWordSize)]), err
}

func (d *Decoder) message() (string, error) {
	b, err := d.scalar()
	return string(b[:min(len(b), maxText)]), err
}

// bool reads a boolean, which may be a string.
func (d *Decoder) bool() (opt, error) {
	switch d.json.PeekKind() {
	case 't':
		return yes, d.json.SkipValue()
	case 'f':
		return no, d.json.SkipValue()
	}
	b, err := d.scalar()
	switch {
	case strings.EqualFold(string(b), "true"):
		return yes, err
	case strings.EqualFold(string(b), "false"):
		return no, err
	default:
		return absent, err
	}
}

func (d *Decoder) time() (time.Time, error) {
	b, err := d.scalar()
	if err != nil {
		return time.Time{}, err
	}
	var t time.Time
	if t.UnmarshalText(b) != nil {
		if len(b) > 0 {
			d.Odd++
		}
		return time.Time{}, nil
	}
	return t.UTC(), nil
}

// A limitReader ends a stream that goes on past a point which moves on with every record, so that no record can fill
// the memory.
type limitReader struct {
	r    io.Reader
	read int64
	max  int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.read >= l.max {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.max-l.read)])
	l.read += int64(n)
	return n, err
}
