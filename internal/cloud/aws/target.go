package aws

import (
	"bytes"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"crossplane-exporter/internal/cloud"
)

// Limits of what is looked for in a record.
const (
	minID      = 3
	maxID      = 512
	maxDepth   = 12
	maxTargets = 256 // TerminateInstances may name a thousand; the first will do
)

// leaves collects the identifiers in the parts of a record: all strings that could be one, as there are far too many
// operations to know each one's fields. What they identify is decided by equality with what is known.
type leaves struct {
	json   *jsontext.Decoder
	input  bytes.Reader
	found  []cloud.Target
	tier   int8
	depth  int8
	region string
	record recordSet
	words  func([]byte) string
}

// A recordSet is the part of Route 53's records that names one.
type recordSet struct{ zone, name, kind string }

// targets are the identifiers in the record that has just been read.
func (d *Decoder) targets() []cloud.Target {
	l := &d.leaves
	l.found, l.region, l.record, l.words = l.found[:0], d.region, recordSet{}, d.keep
	for tier, raw := range [][]byte{d.params, d.resources, d.response} {
		if len(raw) == 0 {
			continue
		}
		l.tier = int8(tier)
		l.input.Reset(raw)
		l.json.Reset(&l.input, jsonOptions...)
		// The values were whole when they were copied; if not, what was found is as good as any.
		_ = l.walk("", "", 0)
		if tier == 0 {
			l.compose(d.rec.Service, d.rec.Operation)
		}
	}
	if len(l.found) == 0 {
		return nil
	}
	return append([]cloud.Target(nil), l.found...)
}

// walk reads one value, that is called key in something called parent. Lists have no name of their own, nor have the
// items in EC2's.
func (l *leaves) walk(parent, key string, depth int) error {
	switch l.json.PeekKind() {
	case '{':
		if depth >= maxDepth || passesOver(key) {
			return l.json.SkipValue()
		}
		if _, err := l.json.ReadToken(); err != nil {
			return err
		}
		for l.json.PeekKind() != '}' {
			name, err := l.json.ReadValue()
			if err != nil {
				return err
			}
			k := l.words(bytes.Trim(name, `"`))
			if k == "items" || k == "item" || k == "member" {
				k = key
			}
			if err := l.walk(key, k, depth+1); err != nil {
				return err
			}
		}
	case '[':
		if depth >= maxDepth || passesOver(key) {
			return l.json.SkipValue()
		}
		if _, err := l.json.ReadToken(); err != nil {
			return err
		}
		for l.json.PeekKind() != ']' {
			if err := l.walk(parent, key, depth+1); err != nil {
				return err
			}
		}
	case '"':
		v, err := l.json.ReadValue()
		if err != nil {
			return err
		}
		if len(v) > 2*maxID || passesOver(key) {
			return nil
		}
		s := string(v[1 : len(v)-1])
		if strings.IndexByte(s, '\\') >= 0 {
			b, _ := jsontext.AppendUnquote(nil, v)
			s = string(b)
		}
		l.depth = int8(depth)
		l.leaf(parent, key, s)
		return nil
	default:
		return l.json.SkipValue()
	}
	_, err := l.json.ReadToken()
	return err
}

// passesOver is whether a field says things about a resource rather than which one it is: its tags, its policy, its
// description.
func passesOver(key string) bool {
	switch key {
	case "clientToken", "clientRequestToken", "comment", "credentials", "description", "environment", "filter",
		"filterSet", "filters", "Host", "message", "subject", "tag", "tags", "userData":
		return true
	}
	for _, start := range []string{"tagSet", "tagSpec", "tagging", "Tagging"} {
		if strings.HasPrefix(key, start) {
			return true
		}
	}
	for _, end := range []string{"Tags", "bucketPolicy", "olicyDocument", "Password"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return false
}

func (l *leaves) leaf(parent, key, value string) {
	if key == "content" || key == "value" && parent != "" {
		key = parent // what was XML once: {"FlowLogId":{"tag":1,"content":"fl-1"}}
	}
	if l.tier == 0 {
		switch {
		case key == "hostedZoneId":
			l.record.zone = strings.TrimPrefix(value, "/hostedzone/")
		case parent == "resourceRecordSet" && key == "name":
			l.record.name = value
		case parent == "resourceRecordSet" && key == "type":
			l.record.kind = value
		}
		if l.record.name != "" && l.record.kind != "" {
			// changeBatch comes after or before hostedZoneId; compose puts the zone before it.
			l.add(cloud.Target{ID: dnsName(l.record.name) + "_" + l.record.kind, Key: recordSetKey})
			l.record.name, l.record.kind = "", ""
		}
	}
	if value == l.region || len(value) > maxID || strings.ContainsAny(value, " \n{") || len(value) == 12 && digits(value) {
		return
	}
	for f := range forms(value) {
		if f.Key == "" {
			f.Key = key
		}
		l.add(f)
	}
}

const recordSetKey = "resourceRecordSet"

// dnsName is a domain name as external names have it, from one as Route 53 has it.
func dnsName(s string) string {
	return strings.ReplaceAll(strings.TrimSuffix(s, "."), `\052`, "*")
}

func (l *leaves) add(t cloud.Target) {
	if len(t.ID) < minID || len(l.found) >= maxTargets {
		return
	}
	t.Tier, t.Depth = l.tier, l.depth
	l.found = append(l.found, t)
}

// compose adds the identifiers that are made of several fields.
func (l *leaves) compose(service, operation string) {
	for i := range l.found {
		if t := &l.found[i]; t.Key == recordSetKey {
			t.ID, t.Key, t.Unique = l.record.zone+"_"+t.ID, "Record", true
		}
	}
	c, ok := composites[service+":"+operation]
	if !ok {
		return
	}
	var first, second string
	for _, t := range l.found {
		switch {
		case t.Key == c.first && first == "":
			first = t.ID
		case second == "" && (t.Key == c.second || t.Key == c.orSecond):
			second = t.ID
		}
	}
	l.depth = 0
	if first != "" && second != "" {
		l.add(cloud.Target{ID: first + c.between + second, Key: c.kind, Unique: true})
	}
}

// A composite is an identifier that Crossplane makes of two fields of a call.
type composite struct {
	kind             string
	first, between   string
	second, orSecond string
}

var (
	route      = composite{"Route", "routeTableId", "_", "destinationCidrBlock", "destinationIpv6CidrBlock"}
	attachment = composite{"RolePolicyAttachment", "roleName", "/", "policyArn", ""}
	userPolicy = composite{"UserPolicyAttachment", "userName", "/", "policyArn", ""}
	inline     = composite{"RolePolicy", "roleName", ":", "policyName", ""}
	nodeGroup  = composite{"NodeGroup", "clusterName", ":", "nodegroupName", "name"}
	addon      = composite{"Addon", "clusterName", ":", "addonName", "name"}
	ecsService = composite{"Service", "cluster", "/", "service", ""}
)

// composites are the operations on resources whose external name no single field has.
var composites = map[string]composite{
	"ec2:CreateRoute":            route,
	"ec2:ReplaceRoute":           route,
	"ec2:DeleteRoute":            route,
	"iam:AttachRolePolicy":       attachment,
	"iam:DetachRolePolicy":       attachment,
	"iam:AttachUserPolicy":       userPolicy,
	"iam:DetachUserPolicy":       userPolicy,
	"iam:PutRolePolicy":          inline,
	"iam:DeleteRolePolicy":       inline,
	"eks:UpdateNodegroupConfig":  nodeGroup,
	"eks:UpdateNodegroupVersion": nodeGroup,
	"eks:DeleteNodegroup":        nodeGroup,
	"eks:UpdateAddon":            addon,
	"eks:DeleteAddon":            addon,
	"ecs:UpdateService":          ecsService,
	"ecs:DeleteService":          ecsService,
}

// forms are the ways to write an identifier: itself, and for ARNs, URLs and the like also what they are made of. A form
// without Key takes that of the field.
func forms(value string) func(yield func(cloud.Target) bool) {
	return func(yield func(cloud.Target) bool) {
		if arn, ok := strings.CutPrefix(value, "arn:"); ok {
			if !yield(cloud.Target{ID: value, Unique: true}) {
				return
			}
			arnForms(arn, yield)
			return
		}
		if account, name, ok := queueOf(value); ok {
			yield(cloud.Target{ID: account + "/" + name, Key: "Queue", Unique: true})
			return
		}
		if id, ok := strings.CutPrefix(value, "/hostedzone/"); ok {
			value = id
		}
		yield(cloud.Target{ID: value, Unique: unique(value)})
	}
}

// arnForms are the names in an ARN, after "arn:", under the kind that it says they are of.
func arnForms(arn string, yield func(cloud.Target) bool) {
	f := strings.SplitN(arn, ":", 5)
	if len(f) < 5 {
		return
	}
	service, rest := f[1], f[4]
	if service == "s3" {
		name, _, _ := strings.Cut(rest, "/")
		yield(cloud.Target{ID: name, Key: "Bucket"})
		return
	}
	i := strings.IndexAny(rest, ":/")
	if i < 0 {
		yield(cloud.Target{ID: rest}) // sns, sqs
		return
	}
	kind, name := rest[:i], rest[i+1:]
	if service == "iam" && kind == "policy" {
		return // calls use the ARN; a policy's name is more often that of one within a role
	}
	if !yield(cloud.Target{ID: name, Key: kind, Unique: unique(name)}) {
		return
	}
	switch service {
	case "ssm":
		yield(cloud.Target{ID: "/" + name, Key: kind})
	case "secretsmanager":
		if n := len(name) - len("-AbCdEf"); n > 0 && name[n] == '-' {
			yield(cloud.Target{ID: name[:n], Key: kind})
		}
	case "lambda": // function:name:version
		if name, version, ok := strings.Cut(name, ":"); ok && version != "" {
			yield(cloud.Target{ID: name, Key: kind})
		}
	case "iam", "elasticloadbalancing", "ecs":
		if i := strings.LastIndexByte(name, '/'); i >= 0 { // a path
			yield(cloud.Target{ID: name[i+1:], Key: kind, Unique: unique(name[i+1:])})
		}
	case "logs":
		yield(cloud.Target{ID: strings.TrimSuffix(name, ":*"), Key: kind})
	}
}

// queueOf takes the URL of an SQS queue apart; its host has several spellings.
func queueOf(url string) (account, name string, ok bool) {
	rest, ok := strings.CutPrefix(url, "https://")
	if !ok || !strings.Contains(rest, "sqs") && !strings.Contains(rest, "queue.amazonaws") {
		return "", "", false
	}
	f := strings.Split(rest, "/")
	if len(f) != 3 || len(f[1]) != 12 || !digits(f[1]) {
		return "", "", false
	}
	return f[1], f[2], true
}

// unique is whether an identifier was made by AWS to be unlike all others, and not by people: subnet-0a1b2c3d4e, a
// UUID, Z0123456789ABC.
func unique(id string) bool {
	if i := strings.LastIndexByte(id, '-'); i > 0 && len(id)-i-1 >= 8 && hexDigits(id[i+1:]) {
		return true
	}
	return len(id) >= 13 && len(id) <= 32 && id[0] == 'Z' && capitals(id)
}

func hexDigits(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; (c < '0' || '9' < c) && (c < 'a' || 'f' < c) {
			return false
		}
	}
	return true
}

func capitals(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || 'Z' < c) && (c < '0' || '9' < c) {
			return false
		}
	}
	return true
}
