package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

type differArgs struct {
	forProvider, atProvider string
	limit                   int
}

type differCase struct {
	reason string
	args   differArgs
	want   []string
}

func differCases() map[string]differCase {
	both := func(forProvider, atProvider string) differArgs {
		return differArgs{forProvider: forProvider, atProvider: atProvider, limit: 10}
	}
	return map[string]differCase{
		// What is on one side only, or says nothing.
		"Equal":            {"The same is no difference.", both(`{"a":1,"b":{"c":"x"}}`, `{"a":1,"b":{"c":"x"}}`), nil},
		"NothingObserved":  {"Before the first observation there is nothing to compare with.", both(`{"a":1}`, `{}`), nil},
		"OneSide":          {"What only one side has is write-only, computed or not yet observed.", both(`{"a":1,"c":3,"e":{"x":1}}`, `{"b":2,"d":4,"e":{"y":1}}`), nil},
		"Absent":           {"Null, empty texts, lists and blocks are what providers put for absent, zero and false too if the other is absent.", both(`{"a":null,"b":"","c":[],"d":{},"e":false,"f":0,"g":[ ],"h":{ }}`, `{"d":{"x":1}}`), nil},
		"AbsentOrSet":      {"Upjet drops empty values: what the cloud then chooses is a default (crossplane/upjet issue 455).", both(`{"a":null,"b":"","c":[],"d":{},"e":[null],"g":"  ","h":null,"tags":{"a":"","b":null},"manifest":{"a":"","b":null,"c":[]}}`, `{"a":1,"b":"x","c":["x"],"d":{"x":1},"e":["x"],"g":"x","h":"x","tags":{"a":"x","b":"x"},"manifest":{"a":"x","b":"x","c":["x"]}}`), nil},
		"SetOrAbsent":      {"What is not read back is empty in status.", both(`{"a":1,"b":"x","c":["x"],"d":{"x":1}}`, `{"a":null,"b":"","c":[],"d":{}}`), nil},
		"NotObjects":       {"Of anything but objects nothing can be said.", both(`[1]`, `{"a":1}`), nil},
		"LateInitialised":  {"Inside a block, defaults that were not late-initialised are no difference (provider-upjet-aws issue 2074).", both(`{"rule":[{"apply":[{"sseAlgorithm":"AES256"}]}]}`, `{"rule":[{"apply":[{"kmsMasterKeyId":"","sseAlgorithm":"AES256"}],"bucketKeyEnabled":false}]}`), nil},
		"FalseIsSaid":      {"False and 0 say something if the other side says something else: this is how protection is taken off by hand.", both(`{"a":true,"b":false,"c":7,"d":0}`, `{"a":false,"b":true,"c":0,"d":7}`), []string{"a", "b", "c", "d"}},
		"WhitespaceInJSON": {"How the JSON is laid out says nothing.", both("{ \"a\" : 1 ,\n\"b\" : [ 1 , 2 ] }", `{"a":1,"b":[1,2]}`), nil},

		// Values.
		"Word":           {"Another value of an attribute is drift.", both(`{"instanceClass":"db.m6g.large"}`, `{"instanceClass":"db.m6g.xlarge"}`), []string{"instanceClass"}},
		"Number":         {"Another number is drift.", both(`{"maxSize":10}`, `{"maxSize":20}`), []string{"maxSize"}},
		"Beginning":      {"What begins like the other is not the other.", both(`{"a":1,"b":12,"c":"x","d":true}`, `{"a":12,"b":1,"c":"xy","d":true}`), []string{"a", "b", "c"}},
		"NumberSpelling": {"Numbers are the same in any spelling, as text too, and after 32 bits.", both(`{"a":"443","b":1,"c":1e3,"d":0.1,"e":"010","f":"1.50"}`, `{"a":443,"b":1.0,"c":1000,"d":0.10000000149011612,"e":"10","f":1.5}`), nil},
		"NumberText":     {"A number as text can differ from a number.", both(`{"a":"443","b":8080}`, `{"a":80,"b":"8081"}`), []string{"a", "b"}},
		"BooleanText":    {"Terraform has booleans as text; 1 and enabled may mean true.", both(`{"a":"true","b":true,"c":"1","d":true,"e":"True"}`, `{"a":true,"b":"TRUE","c":true,"d":"enabled","e":"true"}`), nil},
		"BooleanOther":   {"A boolean as text can differ.", both(`{"a":"true","b":false}`, `{"a":false,"b":"true"}`), []string{"a", "b"}},
		"Case":           {"Clouds have a case of their own.", both(`{"protocol":"TCP","window":"Sun:05:00-Sun:06:00"}`, `{"protocol":"tcp","window":"sun:05:00-sun:06:00"}`), nil},
		"Space":          {"Azure names locations both ways; nobody means the newline at the end of a YAML block.", both(`{"location":"West Europe","script":"a\n  b\n"}`, `{"location":"westeurope","script":"a\nb"}`), nil},
		"End":            {"Absolute domain names and URLs of directories end so or so.", both(`{"fqdn":"example.org.","url":"https://example.org/a/"}`, `{"fqdn":"example.org","url":"https://example.org/a"}`), nil},
		"Quotes":         {"DNS has TXT records in quotes.", both(`{"records":["v=spf1 -all"]}`, `{"records":["\"v=spf1 -all\""]}`), nil},
		"Synonyms":       {"All protocols are called -1 by EC2, and * or Any elsewhere.", both(`{"a":"all","b":"-1","c":"*"}`, `{"a":"-1","b":"ALL","c":"Any"}`), nil},
		"Opened":         {"From one protocol to all of them is drift.", both(`{"protocol":"tcp"}`, `{"protocol":"-1"}`), []string{"protocol"}},
		"Choice":         {"A word that leaves the choice to the cloud is answered by what was chosen.", both(`{"a":"$Latest","b":"auto","c":"default"}`, `{"a":"7","b":"eu-central-1a","c":"orders"}`), nil},
		"Version":        {"A version that says less holds for all that begin so.", both(`{"version":"1.31","engineVersion":"16","a":{"kubernetesVersion":"v1.31.4"},"b":{"engineVersion":"6.x"}}`, `{"version":"1.31.4-gke.1372000","engineVersion":"16.4","a":{"kubernetesVersion":"1.31.4"},"b":{"engineVersion":"6.2.6"}}`), nil},
		"OtherVersion":   {"Versions are not numbers.", both(`{"version":"1.30","engineVersion":"16.4","runtimeVersion":"1.31"}`, `{"version":"1.3","engineVersion":"16.8","runtimeVersion":"1.32.1-gke.7"}`), []string{"engineVersion", "runtimeVersion", "version"}},
		"OnItsWay":       {"A status in between is on its way, another one is drift.", both(`{"status":"ENABLED","a":{"state":"Active"},"b":{"status":"Active"}}`, `{"status":"ENABLING","a":{"state":"Updating"},"b":{"status":"Inactive"}}`), []string{"b.status"}},
		"Masked":         {"A mask says nothing.", both(`{"a":"x","b":"y","c":"z"}`, `{"a":"****","b":"(sensitive value)","c":"<REDACTED>"}`), nil},

		// Names, IDs, paths.
		"ARN":            {"A name and the ARN that ends in it are the same; any other name may be an alias.", both(`{"role":"orders","key":"alias/orders","topic":"orders"}`, `{"role":"arn:aws:iam::111122223333:role/x/orders","key":"arn:aws:kms:eu-central-1:111122223333:key/3f6f2d0e-7a52-4b1e-9a34-0d0b8a1f9c11","topic":"arn:aws:sns:eu-central-1:111122223333:orders"}`), nil},
		"ARNSuffix":      {"Secrets Manager and Lambda add to ARNs.", both(`{"a":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:orders","b":"arn:aws:lambda:eu-central-1:111122223333:function:orders"}`, `{"a":"arn:aws:secretsmanager:eu-central-1:111122223333:secret:orders-AbCdEf","b":"arn:aws:lambda:eu-central-1:111122223333:function:orders:7"}`), nil},
		"OtherARN":       {"Another ARN is drift.", both(`{"role":"arn:aws:iam::111122223333:role/orders"}`, `{"role":"arn:aws:iam::111122223333:role/admin"}`), []string{"role"}},
		"ID":             {"A name may be resolved to an ID (provider-keycloak issue 458), a script to its digest.", both(`{"securityGroups":["default-db"],"policies":["token-exchange"],"userData":"#!/bin/sh\n"}`, `{"securityGroups":["sg-0a1b2c3d4e5f60718"],"policies":["8a4b1e9c-7a52-4b1e-9a34-0d0b8a1f9c11"],"userData":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}`), nil},
		"OtherID":        {"Another ID is drift.", both(`{"subnetId":"subnet-0c1d2e3f4a5b6c7d8","b":"3f6f2d0e-7a52-4b1e-9a34-0d0b8a1f9c11"}`, `{"subnetId":"subnet-0a1b2c3d4e5f60718","b":"8a4b1e9c-7a52-4b1e-9a34-0d0b8a1f9c11"}`), []string{"b", "subnetId"}},
		"SelfLink":       {"Google answers names and paths as self links, or the other way round.", both(`{"network":"orders","subnet":"projects/p/regions/r/subnetworks/s","a":"https://www.googleapis.com/compute/v1/projects/p/global/networks/n"}`, `{"network":"https://www.googleapis.com/compute/v1/projects/p/global/networks/orders","subnet":"https://compute.googleapis.com/compute/v1/projects/p/regions/r/subnetworks/s","a":"global/networks/n"}`), nil},
		"OtherSelfLink":  {"Another network is drift, whatever comes before it.", both(`{"network":"projects/p/global/networks/n","b":"projects/p/global/networks/n","c":"projects/p/locations/r/clusters/k"}`, `{"network":"https://www.googleapis.com/compute/v1/projects/p/global/networks/m","b":"projects/q/global/networks/n","c":"projects/p/locations/r/clusters/k/nodePools/n"}`), []string{"b", "network"}},
		"ProjectNumber":  {"Google calls a project by its name or its number, and a location a zone.", both(`{"a":"projects/orders/locations/r/keyRings/k"}`, `{"a":"projects/123456789012/zones/r/keyRings/k"}`), nil},
		"AzureID":        {"Azure does not keep the case of IDs (provider-upjet-azure issue 1003).", both(`{"scope":"/subscriptions/s/resourceGroups/Orders"}`, `{"scope":"/subscriptions/s/resourcegroups/orders"}`), nil},
		"OtherPath":      {"Another path is drift.", both(`{"path":"/a/b","url":"https://example.org/x"}`, `{"path":"/a/c","url":"https://example.org/y/z"}`), []string{"path", "url"}},
		"Image":          {"A registry or a tag that goes without saying.", both(`{"a":"nginx","b":"orders"}`, `{"a":"docker.io/library/nginx","b":"orders:latest"}`), nil},
		"ServiceAccount": {"Google has members with their kind and without.", both(`{"a":"x@p.iam.gserviceaccount.com"}`, `{"a":"serviceAccount:x@p.iam.gserviceaccount.com"}`), nil},

		// Spellings with a grammar.
		"Time":         {"An instant is the same in every zone; a day is not an instant.", both(`{"a":"2026-03-01T12:00:00+01:00","b":"2026-03-01T11:00:00.000Z","c":"2026-03-01"}`, `{"a":"2026-03-01T11:00:00Z","b":"2026-03-01T11:00:00Z","c":"2026-02-28T23:00:00Z"}`), nil},
		"OtherTime":    {"Another instant or day is drift.", both(`{"a":"2026-03-01T12:00:00+01:00","b":"2026-03-01"}`, `{"a":"2026-03-01T12:00:00Z","b":"2026-03-02"}`), []string{"a", "b"}},
		"Hour":         {"Google puts a zero in front.", both(`{"startTime":"3:00"}`, `{"startTime":"03:00"}`), nil},
		"Duration":     {"Durations are the same in other units.", both(`{"a":"3600s","b":"1h30m","c":"60.0s","d":"PT60M","e":"P2W","f":"P1Y"}`, `{"a":"1h","b":"5400s","c":"60s","d":"PT1H","e":"P14D","f":"P12M"}`), nil},
		"OtherDur":     {"Another duration is drift; how long a month is nobody knows.", both(`{"a":"3600s","b":"PT1H","c":"P1M","d":"1d","e":"P1M"}`, `{"a":"2h","b":"PT2H","c":"P30D","d":"24h","e":"P2M"}`), []string{"a", "b", "e"}},
		"Quantity":     {"Sizes are the same in other units, and who knows what a bare number counts.", both(`{"a":"1Gi","b":"100 GB","c":"100"}`, `{"a":"1024Mi","b":"100GB","c":"100Gi"}`), nil},
		"OtherQty":     {"Another size is drift.", both(`{"a":"1Gi","b":"50%"}`, `{"a":"2Gi","b":"60%"}`), []string{"a", "b"}},
		"Address":      {"Addresses have one value and many spellings.", both(`{"a":"10.0.0.1/16","b":"2001:DB8:0:0::1","c":"10.0.0.7","d":"/16"}`, `{"a":"10.0.0.0/16","b":"2001:db8::1","c":"10.0.0.7/32","d":"10.4.0.0/16"}`), nil},
		"OtherAddress": {"Another block is drift.", both(`{"a":"10.0.0.0/16","b":"10.0.0.7"}`, `{"a":"0.0.0.0/0","b":"10.0.0.8"}`), []string{"a", "b"}},
		"PortRange":    {"Google makes a range of a port.", both(`{"portRange":"80"}`, `{"portRange":"80-80"}`), nil},
		"Base64":       {"Base64 may be of the other.", both(`{"userData":"#!/bin/sh\necho orders > /etc/motd\n"}`, `{"userData":"IyEvYmluL3NoCmVjaG8gb3JkZXJzID4gL2V0Yy9tb3RkCg=="}`), nil},
		"XML":          {"Clouds sanitise XML (provider-upjet-aws issue 1454).", both(`{"data":"<broker><a/></broker>"}`, `{"data":"<broker>\n<a></a></broker>"}`), nil},

		// Fields that do not count.
		"References":   {"References, selectors and secrets are Crossplane's.", both(`{"vpcIdRef":{"name":"a"},"vpcIdSelector":{"matchLabels":{"a":"b"}},"subnetIdRefs":[{"name":"a"}],"passwordSecretRef":{"key":"a"}}`, `{"vpcIdRef":{"name":"b"},"vpcIdSelector":{"matchLabels":{"a":"c"}},"subnetIdRefs":[{"name":"b"}],"passwordSecretRef":{"key":"b"}}`), nil},
		"Passwords":    {"Passwords are hashed or changed on the way.", both(`{"password":"a","masterPassword":"b"}`, `{"password":"TU_XYZ","masterPassword":"c"}`), nil},
		"CallOptions":  {"Options of a call are not part of the resource.", both(`{"applyImmediately":true,"skipFinalSnapshot":true,"forceDestroy":true}`, `{"applyImmediately":false,"skipFinalSnapshot":false,"forceDestroy":false}`), nil},
		"Grows":        {"Storage grows by itself, and ACM adds the domain to the names.", both(`{"allocatedStorage":100,"domainName":"a","subjectAlternativeNames":["b"]}`, `{"allocatedStorage":150,"domainName":"a","subjectAlternativeNames":["a","b"]}`), nil},
		"Region":       {"Where a provider does not observe the region it is left out.", both(`{"region":"eu-central-1"}`, `{"arn":"arn:aws:ec2:eu-central-1::vpc/x"}`), nil},
		"InitProvider": {"Only what is asked for now counts.", differArgs{`{"desiredSize":3}`, `{"desiredSize":7,"maxSize":10}`, 10}, []string{"desiredSize"}},

		// Tags and labels.
		"Tags":         {"Tags that are there on both sides are compared, to the letter.", both(`{"tags":{"owner":"orders","team":"Orders","size":"1"}}`, `{"tags":{"owner":"someone","team":"orders","size":"1.0"}}`), []string{"tags.owner", "tags.size", "tags.team"}},
		"TagsAdded":    {"Tags on one side only are the provider's, the account's or not yet there.", both(`{"tags":{"a":"1","b":"2"}}`, `{"tags":{"a":"1","crossplane-kind":"vpc.ec2.aws.upbound.io","aws:createdBy":"x"}}`), nil},
		"TagsAll":      {"tagsAll is computed; old providers late-initialised it.", both(`{"tags":{"a":"1"},"tagsAll":{"a":"0"}}`, `{"tags":{"a":"1"},"tagsAll":{"a":"1","b":"2"}}`), nil},
		"TagList":      {"Classic providers list tags with their keys, in any order.", both(`{"tags":[{"key":"a","value":"1"},{"key":"b","value":"2"}]}`, `{"tags":[{"key":"crossplane-name","value":"x"},{"key":"b","value":"3"},{"key":"a","value":"1"}]}`), []string{"tags[1].value"}},
		"LabelPath":    {"A name with dots is put in brackets.", both(`{"labels":{"example.org/team":"a"}}`, `{"labels":{"example.org/team":"b"}}`), []string{"labels[example.org/team]"}},
		"NetworkTags":  {"Google's network tags are a set of words.", both(`{"tags":["a","b"]}`, `{"tags":["b","a","ssh-open"]}`), []string{"tags"}},
		"TagsAreWords": {"What looks like JSON in a tag is still a word.", both(`{"tags":{"a":"{\"x\":1}","b":"{}"}}`, `{"tags":{"a":"{\"x\":2}","b":"{ }"}}`), []string{"tags.a", "tags.b"}},

		// Arrays.
		"Set":              {"Arrays of scalars are sets.", both(`{"a":["x","y","y"],"b":[1,2],"c":["TCP","10.0.0.0/8"]}`, `{"a":["y","x"],"b":["2",1],"c":["10.0.0.0/8","tcp"]}`), nil},
		"SetAdded":         {"A security group attached by hand is drift.", both(`{"vpcSecurityGroupIds":["sg-0a1b2c3d4e5f60718"]}`, `{"vpcSecurityGroupIds":["sg-0a1b2c3d4e5f60718","sg-0f1e2d3c4b5a69788"]}`), []string{"vpcSecurityGroupIds"}},
		"SetRemoved":       {"So is one that was taken off.", both(`{"logs":["audit","api"]}`, `{"logs":["audit"]}`), []string{"logs"}},
		"SetOfOther":       {"Elements that cannot be compared are left out.", both(`{"policies":["admin","read"],"a":["x",{"y":1}],"b":[["x"]]}`, `{"policies":["arn:aws:iam::aws:policy/ReadOnlyAccess","read"],"a":["z",{"y":2}],"b":[["y"]]}`), nil},
		"Singleton":        {"A block that is an object in one version of a resource is a list of one in another.", both(`{"scalingConfig":[{"maxSize":10}],"b":{"x":1}}`, `{"scalingConfig":{"maxSize":20},"b":[{"x":1}]}`), []string{"scalingConfig.maxSize"}},
		"NotASingleton":    {"One and many, a text and a list, a text and a block cannot be compared.", both(`{"a":{"x":1},"b":"x","c":"x"}`, `{"a":[{"x":2},{"x":3}],"b":["y"],"c":{"y":1}}`), nil},
		"OneBlock":         {"A list of one block has nothing to be mixed up with.", both(`{"a":[{"x":1,"y":2}]}`, `{"a":[{"x":3,"y":2,"z":1}]}`), []string{"a[0].x"}},
		"Keyed":            {"Blocks are told by name, wherever they stand and whatever else is there.", both(`{"rule":[{"name":"b","status":"Enabled"},{"name":"a","status":"Enabled"}]}`, `{"rule":[{"name":"a","status":"Disabled"},{"name":"b","status":"Enabled"},{"name":"c","status":"Disabled"}]}`), []string{"rule[1].status"}},
		"KeyedByID":        {"Or by ID.", both(`{"rule":[{"id":"b","status":"Enabled"},{"id":"a","status":"Enabled"}]}`, `{"rule":[{"id":"a","status":"Enabled"},{"id":"b","status":"Disabled"}]}`), []string{"rule[0].status"}},
		"NameNotUnique":    {"A name that is there twice tells nothing: settings have one in each namespace.", both(`{"setting":[{"name":"a","namespace":"x","value":"1"},{"name":"a","namespace":"y","value":"2"}]}`, `{"setting":[{"name":"a","namespace":"y","value":"2"},{"name":"a","namespace":"x","value":"1"}]}`), nil},
		"OneOfSameName":    {"So they are compared as blocks without a name are.", both(`{"setting":[{"name":"a","namespace":"x","value":"1"},{"name":"a","namespace":"y","value":"2"}]}`, `{"setting":[{"name":"a","namespace":"x","value":"1"},{"name":"a","namespace":"y","value":"3"}]}`), []string{"setting[1].value"}},
		"Pairs":            {"Blocks without names pair up if they can, in any order, with defaults.", both(`{"ingress":[{"fromPort":80,"cidrBlocks":["a","b"]},{"fromPort":443}]}`, `{"ingress":[{"fromPort":443,"self":false},{"cidrBlocks":["b","a"],"fromPort":80,"self":false}]}`), nil},
		"PairsNeedSearch":  {"The first that would do is not always the right one.", both(`{"a":[{"x":1},{"x":1,"y":2},{"y":2,"z":3}]}`, `{"a":[{"x":1,"y":2,"z":9},{"x":1,"y":5,"z":3},{"x":7,"y":2,"z":3}]}`), nil},
		"OneChanged":       {"If all but one pair up, that one is what was changed.", both(`{"ingress":[{"cidrBlocks":["10.0.0.0/8"],"fromPort":80},{"cidrBlocks":["10.0.0.0/8"],"fromPort":443}]}`, `{"ingress":[{"cidrBlocks":["10.0.0.0/8"],"fromPort":443},{"cidrBlocks":["0.0.0.0/0"],"fromPort":80}]}`), []string{"ingress[0].cidrBlocks"}},
		"NestedInPairs":    {"Trying what pairs up leaves no trace.", both(`{"a":[{"p":"TCP","t":{"tags":{"x":{"y":"1"}}}},{"p":"udp","t":{"tags":{"x":{"y":"2"}}}},{"b":[{"d":[1]}],"p":"icmp"}],"b":"TCP","c":{"d":1}}`, `{"a":[{"b":[{"d":[2]}],"p":"icmp"},{"p":"udp","t":{"tags":{"x":{"y":"2"}}}},{"p":"tcp","t":{"tags":{"x":{"y":"1"}}}}],"b":"tcp","c":{"d":2}}`), []string{"a[2].b[0].d", "c.d"}},
		"AllChanged":       {"If there is less in common they may mean another thing.", both(`{"a":[{"x":1},{"x":2}]}`, `{"a":[{"x":3},{"x":4}]}`), nil},
		"OtherLength":      {"A block more may be a default, and then which is which?", both(`{"a":[{"x":1},{"x":2}]}`, `{"a":[{"x":3},{"x":4},{"x":5}]}`), nil},
		"IndexOfTheSpec":   {"The index is that of the specification.", both(`{"a":[{"k":1,"b":[{"c":1},{"c":2}]},{"k":2}]}`, `{"a":[{"k":2},{"k":1,"b":[{"c":9},{"c":1}]}]}`), []string{"a[0].b[1].c"}},
		"EmptyAmongOthers": {"Empty elements say nothing.", both(`{"a":[null,"x",""],"b":[{},{"x":1}]}`, `{"a":["x"],"b":[{"x":2}]}`), []string{"b[0].x"}},

		// JSON in a text.
		"Document":        {"JSON is the same in any layout and order, with defaults.", both(`{"definition":"{\"b\": [2, 1], \"a\": {\"x\": 1}}\n"}`, `{"definition":"{\"a\":{\"x\":1,\"y\":2},\"b\":[1,2]}"}`), nil},
		"OtherDocument":   {"What differs in it is a field like others.", both(`{"definition":"{\"b\": [2, 1], \"a\": {\"x.y\": 1}}"}`, `{"definition":"{\"a\":{\"x.y\":2},\"b\":[1]}"}`), []string{"definition.a[x.y]", "definition.b"}},
		"BrokenDocument":  {"What only looks like JSON is left out.", both(`{"a":"{{ .Values.x }}","b":"{\"x\":1}","c":"[x]"}`, `{"a":"{{ .Values.y }}","b":"{\"x\":","c":"plain"}`), nil},
		"DocumentOfDocs":  {"JSON in JSON in JSON.", both(`{"a":"{\"b\":\"{\\\"c\\\": 1}\"}"}`, `{"a":"{\"b\":\"{\\\"c\\\":2}\"}"}`), []string{"a.b.c"}},
		"Policy":          {"In a policy one is as good as a list of one, statements and actions have no order, account IDs become ARNs.", both(policies(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*","Principal":{"AWS":"111122223333"}},{"Effect":"Deny","Action":["s3:B","s3:A"],"Resource":"x"}`, `{"Action":["S3:a","s3:b"],"Effect":"Deny","Resource":["x"],"Sid":""},{"Action":["s3:GetObject"],"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:root"},"Resource":["*"]}`)), nil},
		"PolicyOne":       {"A single statement need not be in a list; everyone is called * or {AWS: *}; a deleted principal is its unique ID.", both(`{"policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"NotPrincipal\":{\"AWS\":\"arn:aws:iam::111122223333:role/x\"}}}"}`, `{"policy":"{\"Version\":\"2008-10-17\",\"Id\":\"x\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"*\"},\"NotPrincipal\":{\"AWS\":\"AROAEXAMPLEID1234567\"}}]}"}`), nil},
		"PolicyAction":    {"An action more is drift.", both(policies(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`, `{"Effect":"Allow","Action":["s3:GetObject","s3:*"],"Resource":"*"}`)), []string{"policy.Statement[0].Action"}},
		"PolicyResource":  {"An ARN in a policy is to the letter: all below a bucket is not the bucket.", both(policies(`{"Effect":"Allow","Resource":"arn:aws:s3:::a"}`, `{"Effect":"Allow","Resource":"arn:aws:s3:::a/*"}`)), []string{"policy.Statement[0].Resource"}},
		"PolicyARN":       {"API Gateway makes ARNs of its short names; a wildcard is not one.", both(policies(`{"Resource":"execute-api:/*","Principal":{"AWS":"arn:aws:iam::111122223333:role/x"}}`, `{"Resource":"arn:aws:execute-api:eu-central-1:111122223333:x/*","Principal":{"AWS":"*"}}`)), []string{"policy.Statement[0].Principal.AWS"}},
		"PolicyStatement": {"A statement more is drift: nobody adds one by default.", both(policies(`{"Effect":"Allow"}`, `{"Effect":"Allow"},{"Effect":"Allow","Action":"*"}`)), []string{"policy.Statement"}},
		"PolicySid":       {"Statements are told by their Sid; one that went is drift.", both(policies(`{"Sid":"a","Effect":"Allow"},{"Sid":"b","Effect":"Allow"}`, `{"Sid":"b","Effect":"Deny"},{"Sid":"c","Effect":"Allow"}`)), []string{"policy.Statement", "policy.Statement[1].Effect"}},
		"PolicyCondition": {"A condition that was taken out is drift.", both(policies(`{"Effect":"Allow","Condition":{"Bool":{"x":"true"}}}`, `{"Effect":"Allow"}`)), []string{"policy.Statement[0].Condition"}},
		"PolicyRewritten": {"A policy of which nothing is left is drift.", both(policies(`{"Effect":"Allow","Action":"a"},{"Effect":"Allow","Action":"b"}`, `{"Effect":"Allow","Action":"c"},{"Effect":"Allow","Action":"d"}`)), []string{"policy.Statement"}},
		"PolicyNames":     {"A Sid may be filled in, and S3 has two names for a CloudFront identity.", both(policies(`{"Effect":"Allow","Principal":{"CanonicalUser":"x"}}`, `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::cloudfront:user/x"},"Sid":"1"}`)), nil},
		"PolicyVersion":   {"Another version of the language is drift.", both(`{"policy":"{\"Version\":\"2012-10-17\",\"Statement\":[]}"}`, `{"policy":"{\"Version\":\"2008-10-17\",\"Statement\":[]}"}`), []string{"policy.Version"}},

		// Objects of provider-kubernetes.
		"Manifest":         {"What the API server adds and keeps for itself is no difference.", both(`{"manifest":{"kind":"ConfigMap","metadata":{"creationTimestamp":null,"name":"a","uid":"1","finalizers":["a"]},"data":{"k":"v"},"status":{"x":1}}}`, `{"manifest":{"kind":"ConfigMap","metadata":{"creationTimestamp":"2026-03-02T09:14:07Z","name":"a","uid":"2","finalizers":["b"]},"data":{"k":"v","l":"w"},"status":{"x":2}}}`), nil},
		"ManifestExact":    {"All else is to the letter.", both(`{"manifest":{"data":{"ca.crt":"a","b":"True","c":"a\n","d":"{\"x\":1}","e":"auto","f":"a  b"}}}`, `{"manifest":{"data":{"ca.crt":"b","b":"true","c":"a","d":"{\"x\": 1}","e":"x","f":"a b"}}}`), []string{"manifest.data.b", "manifest.data.d", "manifest.data.e", "manifest.data.f", "manifest.data[ca.crt]"}},
		"ManifestAmounts":  {"An API server respells quantities, durations and times; a port may be a number as text.", both(`{"manifest":{"spec":{"cpu":"1000m","memory":"1024Mi","cpus":2,"interval":"60s","at":"2026-03-01T12:00:00+01:00","port":"80"}}}`, `{"manifest":{"spec":{"cpu":"1","memory":"1Gi","cpus":"2000m","interval":"1m0s","at":"2026-03-01T11:00:00Z","port":80}}}`), nil},
		"ManifestOther":    {"Another quantity or number of replicas is drift.", both(`{"manifest":{"spec":{"cpu":"500m","replicas":2}}}`, `{"manifest":{"spec":{"cpu":"1","replicas":5}}}`), []string{"manifest.spec.cpu", "manifest.spec.replicas"}},
		"ManifestLists":    {"Webhooks add to lists: what is asked for must be there.", both(`{"manifest":{"args":["a","b"],"containers":[{"name":"a","image":"x:1"}]}}`, `{"manifest":{"args":["b","a","c"],"containers":[{"name":"sidecar","image":"y"},{"name":"a","image":"x:2"}]}}`), []string{"manifest.containers[0].image"}},
		"ManifestMissing":  {"An argument that went is drift.", both(`{"manifest":{"args":["a","b"]}}`, `{"manifest":{"args":["b"]}}`), []string{"manifest.args"}},
		"ManifestRedacted": {"provider-kubernetes can redact secrets in status.", both(`{"manifest":{"kind":"Secret","data":{"a":"b"}}}`, `{"manifest":{"kind":"Secret","data":{"redacted":null}}}`), nil},
		"ManifestBase64":   {"Secrets are decoded and encoded again.", both(`{"manifest":{"data":{"a":"YWJj\nZGVm\n"}}}`, `{"manifest":{"data":{"a":"YWJjZGVm"}}}`), nil},
		"ManifestRefs":     {"References in a manifest are the object's own.", both(`{"manifest":{"roleRef":{"name":"view"},"podSelector":{"matchLabels":{"a":"b"}}}}`, `{"manifest":{"roleRef":{"name":"admin"},"podSelector":{"matchLabels":{"a":"c"}}}}`), []string{"manifest.podSelector.matchLabels.a", "manifest.roleRef.name"}},
		"ManifestDeeper":   {"Only the field of provider-kubernetes is a manifest.", both(`{"a":{"manifest":{"protocol":"TCP"}}}`, `{"a":{"manifest":{"protocol":"tcp"}}}`), nil},

		// The order of names, paths, limits.
		"Shuffled":        {"Names in no order are found all the same.", both(`{"c":{"z":1,"y":2},"a":1,"b":2}`, `{"b":3,"d":1,"c":{"y":3,"z":1},"a":2}`), []string{"a", "b", "c.y"}},
		"ShuffledOneSide": {"On one side or the other.", both(`{"a":1,"b":2,"c":3}`, `{"c":1,"b":1,"a":1}`), []string{"b", "c"}},
		"ShuffledLater":   {"What was found before the disorder is not found twice.", both(`{"a":1,"b":2,"d":1,"c":3}`, `{"a":2,"b":3,"c":4,"d":2}`), []string{"a", "b", "c", "d"}},
		"Twice":           {"Of a name that is there twice nobody knows which counts.", both(`{"a":1,"a":2,"b":1}`, `{"a":2,"b":2}`), []string{"b"}},
		"EscapedNames":    {"Names are shown as they read.", both(`{"a\"b":1,"\u00e4":1,"":1}`, `{"a\"b":2,"\u00e4":2,"":2}`), []string{"[]", `a"b`, "ä"}},
		"EscapedTexts":    {"Texts are compared as they read.", both(`{"a":"\u00e4","b":"x\\","c":"\"","d":"a\/b"}`, `{"a":"ä","b":"x\\","c":"x","d":"a/b"}`), []string{"c"}},
		"TooDeep":         {"There is an end to how deep is looked.", both(strings.Repeat(`{"a":`, 99)+"1"+strings.Repeat("}", 99), strings.Repeat(`{"a":`, 99)+"2"+strings.Repeat("}", 99)), nil},
		"DeepLists":       {"In lists too.", both(strings.Repeat(`{"a":[`, 99)+"1"+strings.Repeat("]}", 99), strings.Repeat(`{"a":[`, 99)+"2"+strings.Repeat("]}", 99)), nil},
		"Limit":           {"The limit is kept.", differArgs{`{"a":1,"b":1,"c":1}`, `{"a":2,"b":2,"c":2}`, 2}, []string{"a", "b"}},
		"Whether":         {"Without a limit, one tells whether there are any.", differArgs{`{"a":1,"b":1}`, `{"a":2,"b":2}`, 0}, []string{"a"}},
		"LongPath":        {"A path is cut between two characters.", both(`{"ä`+strings.Repeat("ä", 200)+`":1}`, `{"ä`+strings.Repeat("ä", 200)+`":2}`), []string{strings.Repeat("ä", 128) + "…"}},
	}
}

func valid(t []byte) bool {
	return jsontext.Value(t).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// policies makes a policy of the statements that are asked for and one of those that are there.
func policies(forProvider, atProvider string) (string, string) {
	return policyField(forProvider), policyField(atProvider)
}

func policyField(statements string) string {
	b, _ := json.Marshal(map[string]string{"policy": `{"Version":"2012-10-17","Statement":[` + statements + `]}`})
	return string(b)
}

func TestDiffer(t *testing.T) {
	var c comparer // one for all, to see that nothing is left of one in the next
	for name, tc := range differCases() {
		t.Run(name, func(t *testing.T) {
			for _, s := range []string{tc.args.forProvider, tc.args.atProvider} {
				if !valid([]byte(s)) {
					t.Fatalf("not JSON: %s", s)
				}
			}
			got := c.differ([]byte(tc.args.forProvider), []byte(tc.args.atProvider), tc.args.limit)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("\n%s\ndiffer(%s, %s, %d): -want, +got:\n%s", tc.reason, tc.args.forProvider, tc.args.atProvider, tc.args.limit, diff)
			}
		})
	}
}

// A resource as testdata has it: of a provider that found nothing to update.
type observedResource struct {
	forProvider, atProvider []byte
}

// observed reads resources that are as they should be: in their own spellings, with defaults, with what providers add.
func observed(tb testing.TB) map[string]observedResource {
	tb.Helper()
	resources := map[string]observedResource{}
	for _, file := range []string{"testdata/instance.json", "testdata/subnet.json"} {
		var o struct {
			Spec   struct{ ForProvider json.RawMessage }
			Status struct{ AtProvider json.RawMessage }
		}
		readJSON(tb, file, &o)
		resources[strings.TrimSuffix(filepath.Base(file), ".json")] = observedResource{compact(tb, o.Spec.ForProvider), compact(tb, o.Status.AtProvider)}
	}
	files, err := filepath.Glob("testdata/fields/*.json")
	if err != nil || len(files) == 0 {
		tb.Fatalf("testdata/fields: %d files, %v", len(files), err)
	}
	for _, file := range files {
		var o struct{ ForProvider, AtProvider json.RawMessage }
		readJSON(tb, file, &o)
		resources[strings.TrimSuffix(filepath.Base(file), ".json")] = observedResource{compact(tb, o.ForProvider), compact(tb, o.AtProvider)}
	}
	return resources
}

func readJSON(tb testing.TB, file string, to any) {
	tb.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		tb.Fatalf("%s: %v", file, err)
	}
}

// compact is JSON as the API server writes that of custom resources: without space, names in order.
func compact(tb testing.TB, b []byte) []byte {
	tb.Helper()
	return marshal(tb, decoded(tb, b))
}

func decoded(tb testing.TB, b []byte) any {
	tb.Helper()
	var v any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		tb.Fatal(err)
	}
	return v
}

func marshal(tb testing.TB, v any) []byte {
	tb.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // as the API server does
	if err := e.Encode(v); err != nil {
		tb.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

func TestDifferNeverCriesWolf(t *testing.T) {
	for name, r := range observed(t) {
		t.Run(name, func(t *testing.T) {
			var c comparer
			if got := c.differ(r.forProvider, r.atProvider, 10); got != nil {
				t.Errorf("the provider found nothing to update, but differ returns %q", got)
			}
		})
	}
}

// TestDifferSeesChanges changes every value of these resources, one at a time and to one of its kind, in what was observed.
// That is the price of never crying wolf: the changes in want are not seen, all others are.
func TestDifferSeesChanges(t *testing.T) {
	want := []string{
		// Told by its name, an element of another name is another element: with a default, or yet to come.
		"nodegroup launchTemplate[0].name", "nodegroup taint[0].key",
		"role inlinePolicy[0].name",
		// Options of a call.
		"instance applyImmediately", "instance finalSnapshotIdentifier", "instance skipFinalSnapshot",
		// It may have grown by itself.
		"instance allocatedStorage",
	}
	indexes := regexp.MustCompile(`\[\d+\]`) // those of the one are not those of the other
	changed, unseen := 0, []string{}
	var c comparer
	for name, r := range observed(t) {
		at := decoded(t, r.atProvider)
		eachCommon(decoded(t, r.forProvider), at, "", func(path string, value any, set func(any)) {
			set(changedValue(value))
			got := c.differ(r.forProvider, marshal(t, at), 10)
			set(value)
			changed++
			switch {
			case len(got) == 0:
				unseen = append(unseen, name+" "+path)
			case len(got) > 1 || !strings.HasPrefix(indexes.ReplaceAllString(path, "[]"), indexes.ReplaceAllString(got[0], "[]")):
				t.Errorf("%s: %s was changed, but differ returns %q", name, path, got)
			}
		})
	}
	slices.Sort(unseen)
	slices.Sort(want)
	if diff := cmp.Diff(want, unseen); diff != "" {
		t.Errorf("of %d changes, not seen: -want, +got:\n%s", changed, diff)
	}
	if changed < 100 {
		t.Errorf("only %d changes were tried", changed)
	}
}

// eachCommon calls f with each scalar that is the same in two values, and a function to set that of the second.
func eachCommon(a, b any, path string, f func(path string, value any, set func(any))) {
	visit := func(a, b any, path string, set func(any)) {
		switch b.(type) {
		case map[string]any, []any:
			eachCommon(a, b, path, f)
		default:
			if a == b && a != nil && a != "" {
				f(path, b, set)
			}
		}
	}
	switch b := b.(type) {
	case map[string]any:
		a, _ := a.(map[string]any)
		for name, v := range b {
			sub := name
			switch {
			case strings.Contains(name, "."):
				sub = path + "[" + name + "]"
			case path != "":
				sub = path + "." + name
			}
			visit(a[name], v, sub, func(v any) { b[name] = v })
		}
	case []any:
		a, _ := a.([]any)
		for i, v := range b {
			if len(a) == len(b) {
				visit(a[i], v, fmt.Sprintf("%s[%d]", path, i), func(v any) { b[i] = v })
			}
		}
	}
}

// changedValue is another value of the same kind.
func changedValue(v any) any {
	switch v := v.(type) {
	case bool:
		return !v
	case json.Number:
		n, _ := v.Int64()
		return json.Number(fmt.Sprint(n + 7))
	case string:
		if v == "true" {
			return "false"
		}
		if i := strings.LastIndexAny(v, "0123456789"); i >= 0 {
			return v[:i] + fmt.Sprint((int(v[i]-'0')+1)%10) + v[i+1:]
		}
		return v + "x"
	default:
		return "x"
	}
}

// random makes JSON of the kind that managed resources are made of.
type random struct{ *rand.Rand }

func (r random) name() string {
	names := []string{"a", "b", "c", "name", "id", "key", "tags", "labels", "manifest", "policy", "version", "ä", "x.y", "vpcIdRef", "Statement", `q"`, "a b", "a!"}
	return names[r.IntN(len(names))]
}

func (r random) scalar() any {
	scalars := []any{
		nil, true, false, "true", "", " ", "x", "X", "y", "tcp", "TCP", "all", "-1", "auto", "443", "****",
		json.Number("0"), json.Number("1"), json.Number("1.0"), json.Number("443"), json.Number("-1"), json.Number("1e2"),
		"10.0.0.0/8", "10.0.0.1", "::1", "1h", "60m", "PT1H", "1Gi", "1024Mi", "2026-03-01", "2026-03-01T00:00:00Z", "1.31", "1.31.4",
		"arn:aws:iam::111122223333:role/x", "projects/p/zones/z", "i-0a1b2c3d4e5f60718", "a\"b\\", "ä\n", "{", "[]", `{"a":[1,"2"]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["a","b"]},{"Effect":"Deny","Action":"a"}]}`,
	}
	return scalars[r.IntN(len(scalars))]
}

func (r random) value(depth int) any {
	switch n := r.IntN(10); {
	case depth > 0 && n < 3:
		return r.object(depth - 1)
	case depth > 0 && n < 5:
		list := make([]any, r.IntN(5))
		object := r.IntN(2) == 0
		for i := range list {
			switch {
			case r.IntN(20) == 0:
				list[i] = r.value(depth - 1)
			case object:
				list[i] = r.object(depth - 1)
			default:
				list[i] = r.scalar()
			}
		}
		return list
	default:
		return r.scalar()
	}
}

func (r random) object(depth int) map[string]any {
	o := map[string]any{}
	for range r.IntN(6) {
		o[r.name()] = r.value(depth)
	}
	return o
}

// grown is a value with more fields, and the elements of its arrays in another order.
func (r random) grown(v any) any {
	switch v := v.(type) {
	case map[string]any:
		o := map[string]any{"extra": r.value(1), "0": r.scalar(), "zz": r.object(1)}
		for name, v := range v {
			o[name] = r.grown(v)
		}
		return o
	case []any:
		list := make([]any, len(v))
		for i, j := range r.Perm(len(v)) {
			list[i] = r.grown(v[j])
		}
		return list
	default:
		return v
	}
}

// shuffled is JSON with the names of objects in any order, and white space.
func (r random) shuffled(tb testing.TB, v any) []byte {
	tb.Helper()
	var b []byte
	switch v := v.(type) {
	case map[string]any:
		b = append(b, "{ "...)
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names)
		for i, j := range r.Perm(len(names)) {
			if i > 0 {
				b = append(b, " ,\n"...)
			}
			b = append(append(b, marshal(tb, names[j])...), ": "...)
			b = append(b, r.shuffled(tb, v[names[j]])...)
		}
		return append(b, " }"...)
	case []any:
		b = append(b, "[ "...)
		for i, v := range v {
			if i > 0 {
				b = append(b, " ,"...)
			}
			b = append(b, r.shuffled(tb, v)...)
		}
		return append(b, ']')
	default:
		return marshal(tb, v)
	}
}

// eachRandom calls f a few thousand times, with a source of its own each time that a failure can be repeated with.
func eachRandom(t *testing.T, f func(t *testing.T, c *comparer, r random)) {
	t.Helper()
	var c comparer
	for seed := range uint64(500) {
		f(t, &c, random{rand.New(rand.NewPCG(seed, 0))})
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func TestDifferGrown(t *testing.T) {
	eachRandom(t, func(t *testing.T, c *comparer, r random) {
		v := r.object(3)
		a, grown := marshal(t, v), r.grown(v)
		for _, b := range [][]byte{a, r.shuffled(t, v), marshal(t, grown), r.shuffled(t, grown)} {
			if got := c.differ(a, b, 10); got != nil {
				t.Errorf("more fields and another order are no difference, but differ(%s, %s) returns %q", a, b, got)
			}
		}
	})
}

func TestDifferSymmetric(t *testing.T) {
	eachRandom(t, func(t *testing.T, c *comparer, r random) {
		a, b := map[string]any{}, map[string]any{}
		for range 8 {
			a[r.name()], b[r.name()] = r.scalar(), r.scalar()
		}
		ja, jb := marshal(t, a), marshal(t, b)
		if one, other := c.differ(ja, jb, 100), c.differ(jb, ja, 100); !slices.Equal(one, other) {
			t.Errorf("differ(%s, %s) and the other way round: -one, +other:\n%s", ja, jb, cmp.Diff(one, other))
		}
	})
}

// TestDifferReference compares with a plain walk over decoded objects that have no arrays and only numbers in them: the one
// pass, the sorting of shuffled names, the paths.
func TestDifferReference(t *testing.T) {
	found := 0
	eachRandom(t, func(t *testing.T, c *comparer, r random) {
		a, b := r.plain(3), r.plain(3)
		want := plainDiffer(a, b, "")
		slices.Sort(want)
		found += len(want)
		ja, jb := marshal(t, a), marshal(t, b)
		if c.differ(ja, jb, 100); c.shuffled {
			t.Errorf("differ(%s, %s) takes the names to be shuffled", ja, jb)
		}
		for _, args := range [][2][]byte{{ja, jb}, {r.shuffled(t, a), jb}, {ja, r.shuffled(t, b)}, {r.shuffled(t, a), r.shuffled(t, b)}} {
			if got := c.differ(args[0], args[1], 100); !slices.Equal(want, got) {
				t.Errorf("differ(%s, %s): -want, +got:\n%s", args[0], args[1], cmp.Diff(want, got))
			}
			if got := c.differ(args[0], args[1], 2); len(got) != min(2, len(want)) {
				t.Errorf("differ(%s, %s, 2) returns %q of %q", args[0], args[1], got, want)
			}
		}
	})
	if found < 300 {
		t.Errorf("only %d differences were made", found)
	}
}

// plain is an object with no arrays and only numbers in it.
func (r random) plain(depth int) map[string]any {
	o := map[string]any{}
	for range 4 + r.IntN(5) {
		names := []string{"a", "b", "ä", "x.y", `q"`, "a b", "a!"}
		name := names[r.IntN(len(names))]
		if o[name] = json.Number(fmt.Sprint(r.IntN(3))); depth > 0 && r.IntN(3) == 0 {
			o[name] = r.plain(depth - 1)
		}
	}
	return o
}

func plainDiffer(a, b map[string]any, path string) (found []string) {
	for name, va := range a {
		sub := name
		switch {
		case strings.Contains(name, "."):
			sub = path + "[" + name + "]"
		case path != "":
			sub = path + "." + name
		}
		na, isA := va.(json.Number)
		nb, isB := b[name].(json.Number)
		oa, _ := va.(map[string]any)
		ob, _ := b[name].(map[string]any)
		found = append(found, plainDiffer(oa, ob, sub)...)
		if isA && isB && na != nb {
			found = append(found, sub)
		}
	}
	return found
}

// TestDifferIsBounded has what people may put into a resource to keep the exporter busy. What is compared of it does not
// matter, only that there is an end.
func TestDifferIsBounded(t *testing.T) {
	nested := func(open, inner, shut string, depth int) string {
		return strings.Repeat(open, depth) + inner + strings.Repeat(shut, depth)
	}
	list := func(n int, element func(i int) string) string {
		elements := make([]string, n)
		for i := range elements {
			elements[i] = element(i)
		}
		return "[" + strings.Join(elements, ",") + "]"
	}
	bushes := "1"
	for range 4 {
		inner := bushes
		bushes = list(maxPairs/2, func(i int) string { return fmt.Sprintf(`{"x":%d,"y":%s}`, i%2, inner) })
	}
	for name, args := range map[string][2]string{
		"DeepObjects":   {nested(`{"a":`, "1", "}", 9000), nested(`{"a":`, "2", "}", 9000)},
		"DeepShuffled":  {nested(`{"b":1,"a":`, "1", "}", 9000), nested(`{"b":1,"a":`, "2", "}", 9000)},
		"DeepArrays":    {nested("[", "1", "]", 9000), nested("[", "2", "]", 9000)},
		"DeepBlocks":    {nested(`[{"a":1,"b":`, "1", "}]", 4000), nested(`[{"a":1,"b":`, "2", "}]", 4000)},
		"ManyPairs":     {list(5000, func(i int) string { return fmt.Sprintf(`{"x":%d}`, i) }), list(5000, func(i int) string { return fmt.Sprintf(`{"x":%d}`, i+1) })},
		"BigSets":       {list(maxElements, func(i int) string { return fmt.Sprintf(`"a%d"`, i) }), list(maxElements, func(i int) string { return fmt.Sprintf(`"arn:aws:x:::%d/b"`, i) })},
		"BushesOfPairs": {bushes, strings.ReplaceAll(bushes, "1", "3")},
		"LongTexts":     {list(10, func(i int) string { return `"` + strings.Repeat(`\na`, 10000+i) + `"` }), list(10, func(i int) string { return `"` + strings.Repeat("a ", 9000+i) + `"` })},
	} {
		t.Run(name, func(t *testing.T) {
			var c comparer
			c.differ([]byte(`{"f":`+args[0]+`}`), []byte(`{"f":`+args[1]+`}`), 10)
			if got := c.differ([]byte(`{"f":`+args[0]+`}`), []byte(`{"f":`+args[0]+`,"g":1}`), 10); got != nil {
				t.Errorf("of the same, differ returns %q", got)
			}
			if n := max(cap(c.values), cap(c.members), cap(c.text)); n > maxScratch {
				c.differ([]byte(`{}`), []byte(`{}`), 1)
				if n := max(cap(c.values), cap(c.members), cap(c.text)); n > maxScratch {
					t.Errorf("the comparer holds on to %d", n)
				}
			}
		})
	}
}

func TestDifferAllocates(t *testing.T) {
	var c comparer
	// Addresses and durations that are not the same text are parsed as strings.
	// The race detector has jsontext's pool lose things.
	most := map[string]float64{"gcpnodepool": 2, "securitygroup": 16, "role": 16}
	for name, r := range observed(t) {
		n := testing.AllocsPerRun(10, func() { c.differ(r.forProvider, r.atProvider, 1) })
		if n > most[name] {
			t.Errorf("%s: %v allocations where nothing differs", name, n)
		}
	}
}

func FuzzDiffer(f *testing.F) {
	for _, tc := range differCases() {
		f.Add([]byte(tc.args.forProvider), []byte(tc.args.atProvider))
	}
	for _, r := range observed(f) {
		f.Add(r.forProvider, r.atProvider)
	}
	var c comparer
	f.Fuzz(func(t *testing.T, a, b []byte) {
		got := c.differ(a, b, 3) // of broken JSON too: it must only come to an end
		if !valid(a) || !valid(b) {
			return
		}
		if len(got) > 3 || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("differ returns %q", got)
		}
		for _, path := range got {
			if !jsontext.Value(marshal(t, path)).IsValid() || len(path) > maxPath+len("…") {
				t.Errorf("path %q", path)
			}
		}
		var reshaped jsontext.Value = slices.Clone(a)
		if reshaped.Indent(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true), jsontext.PreserveRawStrings(true)) == nil {
			if got := c.differ(a, reshaped, 3); got != nil {
				t.Errorf("of %s and itself, indented, differ returns %q", a, got)
			}
		}
		if got := c.differ(a, a, 3); got != nil {
			t.Errorf("of %s and itself, differ returns %q", a, got)
		}
	})
}

func BenchmarkDiffer(b *testing.B) {
	resources := observed(b)
	r := resources["instance"]
	resources["instance-changed"] = observedResource{r.forProvider, bytes.Replace(r.atProvider, []byte("db.m6g.large"), []byte("db.m6g.xlarge"), 1)}
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		r := resources[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(r.forProvider) + len(r.atProvider)))
			var c comparer
			for b.Loop() {
				c.differ(r.forProvider, r.atProvider, 1)
			}
		})
	}
}
