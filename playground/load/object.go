package load

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"crossplane-exporter/playground/definitions"
)

// used are the definitions of the kinds that a platform on AWS has most of.
//
//nolint:gochecknoglobals // because it is a list, and never changed.
var used = []string{
	"ec2.aws.upbound.io_vpcs", "ec2.aws.upbound.io_subnets", "ec2.aws.upbound.io_routetables", "ec2.aws.upbound.io_routes",
	"ec2.aws.upbound.io_routetableassociations", "ec2.aws.upbound.io_internetgateways", "ec2.aws.upbound.io_natgateways",
	"ec2.aws.upbound.io_eips", "ec2.aws.upbound.io_securitygroups", "ec2.aws.upbound.io_securitygrouprules",
	"ec2.aws.upbound.io_instances", "ec2.aws.upbound.io_launchtemplates", "ec2.aws.upbound.io_vpcendpoints",
	"iam.aws.upbound.io_roles", "iam.aws.upbound.io_policies", "iam.aws.upbound.io_rolepolicyattachments",
	"iam.aws.upbound.io_users", "iam.aws.upbound.io_instanceprofiles", "iam.aws.upbound.io_openidconnectproviders",
	"s3.aws.upbound.io_buckets", "s3.aws.upbound.io_bucketpolicies", "s3.aws.upbound.io_bucketversionings",
	"s3.aws.upbound.io_bucketpublicaccessblocks", "rds.aws.upbound.io_instances", "rds.aws.upbound.io_clusters",
	"rds.aws.upbound.io_subnetgroups", "eks.aws.upbound.io_clusters", "eks.aws.upbound.io_nodegroups",
	"eks.aws.upbound.io_addons", "route53.aws.upbound.io_records", "route53.aws.upbound.io_zones",
	"sqs.aws.upbound.io_queues", "sns.aws.upbound.io_topics", "kms.aws.upbound.io_keys", "kms.aws.upbound.io_aliases",
	"dynamodb.aws.upbound.io_tables", "lambda.aws.upbound.io_functions", "cloudwatchlogs.aws.upbound.io_groups",
	"ecr.aws.upbound.io_repositories", "secretsmanager.aws.upbound.io_secrets",
}

// A template makes objects of a kind.
type template struct {
	Kind

	spec, status properties
}

// properties are what is used of an OpenAPI schema.
type properties struct {
	Type                 string                     `json:"type"`
	Properties           map[string]properties      `json:"properties"`
	Items                *properties                `json:"items"`
	AdditionalProperties json.RawMessage            `json:"additionalProperties"`
	Required             []string                   `json:"required"`
	Enum                 []any                      `json:"enum"`
	Validations          []struct{ Message string } `json:"x-kubernetes-validations"`
}

func readTemplate(file string) (*template, error) {
	text, err := definitions.Read(file)
	if err != nil {
		return nil, err
	}
	var crd struct {
		Spec struct {
			Group string
			Names struct{ Kind, Plural string }
			// The first is the only one here.
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema properties
				}
			}
		}
	}
	if err := json.Unmarshal(text, &crd); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	v := crd.Spec.Versions[0]
	top := v.Schema.OpenAPIV3Schema.Properties
	spec := top["spec"].Properties["forProvider"]
	for _, v := range top["spec"].Validations {
		if name, ok := strings.CutSuffix(v.Message, " is a required parameter"); ok {
			spec.Required = append(spec.Required, strings.TrimPrefix(name, "spec.forProvider."))
		}
	}
	return &template{
		Kind: Kind{
			GroupVersionResource: schema.GroupVersionResource{Group: crd.Spec.Group, Version: v.Name, Resource: crd.Spec.Names.Plural},
			Kind:                 crd.Spec.Names.Kind,
		},
		spec:   spec,
		status: top["status"].Properties["atProvider"],
	}, nil
}

type object struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       map[string]any `json:"spec"`
	Status     status         `json:"status"`

	uid types.UID
}

type status struct {
	AtProvider any         `json:"atProvider"`
	Conditions []condition `json:"conditions"`
}

type condition struct {
	Type               string `json:"type"`
	Status             string `json:"status"`
	Reason             string `json:"reason"`
	Message            string `json:"message,omitempty"`
	LastTransitionTime string `json:"lastTransitionTime"`
}

func (o *object) is(kind string) bool {
	return slices.ContainsFunc(o.Status.Conditions, func(c condition) bool { return c.Type == kind && c.Status == "True" })
}

func (o *object) name() string {
	name, _ := o.Metadata["name"].(string)
	return name
}

// like is the object as it would be stored, made of another one of its kind as it is stored: with the same spec, the same world to go with
// it, and the same record of who owns which field.
func (o *object) like(stored map[string]any) ([]byte, error) {
	stored = maps.Clone(stored)
	metadata, ok := stored["metadata"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s is stored without metadata", o.name())
	}
	metadata = maps.Clone(metadata)
	maps.Copy(metadata, o.Metadata)
	metadata["uid"] = o.uid
	seen, _, err := unstructured.NestedFieldNoCopy(stored, "status", "atProvider")
	if err != nil {
		return nil, fmt.Errorf("%s is stored without what was seen: %w", o.name(), err)
	}
	stored["metadata"], stored["status"] = metadata, status{seen, o.Status.Conditions}
	return json.Marshal(stored)
}

func (t *template) name(i int) string { return fmt.Sprintf("%s-%06d", strings.ToLower(t.Kind.Kind), i) }

// object makes an object. Its size, with what the API server adds, is 4.9 KB on average over all kinds.
func (t *template) object(name string, random *rand.Rand, now time.Time) *object {
	created := now.Add(-time.Duration(random.IntN(int(2000 * time.Hour))))
	external := fmt.Sprintf("%s-%s", strings.ToLower(t.Kind.Kind), hexadecimal(random, 17))
	v := values{random: random, left: specBudget}
	wanted := v.object(t.spec, 0)
	spec := map[string]any{
		"deletionPolicy":     "Delete",
		"managementPolicies": []string{"*"},
		"forProvider":        wanted,
		"providerConfigRef":  map[string]string{"name": fmt.Sprintf("account-%d", random.IntN(20))},
	}
	applied, _ := json.Marshal(spec) //nolint:errchkjson // It is made of strings and numbers.
	v.left = statusBudget
	seen := v.object(t.status, 0)
	for name, value := range wanted { // or else it has drifted
		if _, ok := t.status.Properties[name]; ok {
			seen[name] = value
		}
	}
	return &object{
		APIVersion: t.Group + "/" + t.Version,
		Kind:       t.Kind.Kind,
		Metadata: map[string]any{
			"name": name,
			"annotations": map[string]string{
				"crossplane.io/external-name":                      external,
				"crossplane.io/external-create-pending":            created.UTC().Format(time.RFC3339),
				"crossplane.io/external-create-succeeded":          created.Add(3 * time.Second).UTC().Format(time.RFC3339),
				"crossplane.io/composition-resource-name":          strings.ToLower(t.Kind.Kind),
				"kubectl.kubernetes.io/last-applied-configuration": string(applied[:min(len(applied), appliedBudget)]),
			},
			"finalizers": []string{"finalizer.managedresource.crossplane.io"},
			"labels": map[string]string{
				"crossplane.io/composite":       fmt.Sprintf("platform-%04d", random.IntN(5000)),
				"crossplane.io/claim-name":      fmt.Sprintf("platform-%04d", random.IntN(5000)),
				"crossplane.io/claim-namespace": fmt.Sprintf("team-%02d", random.IntN(50)),
			},
		},
		uid:    uid(random),
		Spec:   spec,
		Status: status{AtProvider: seen, Conditions: conditions(random, created)},
	}
}

const (
	// Bytes of what is made from schemas. What the schema requires is made in any case.
	specBudget, statusBudget, appliedBudget = 600, 1000, 460

	// Per mille of objects that are not ready, and that are not synced.
	notReady, notSynced = 20, 30
)

func conditions(random *rand.Rand, created time.Time) []condition {
	stamp := created.Add(time.Minute).UTC().Format(time.RFC3339)
	c := []condition{
		{Type: "Ready", Status: "True", Reason: "Available", LastTransitionTime: stamp},
		{Type: "Synced", Status: "True", Reason: "ReconcileSuccess", LastTransitionTime: stamp},
		{Type: "LastAsyncOperation", Status: "True", Reason: "Success", LastTransitionTime: stamp},
	}
	switch d := random.IntN(1000); {
	case d < notReady:
		c[0].Status, c[0].Reason = "False", "Creating"
	case d < notReady+notSynced:
		c[1].Status, c[1].Reason = "False", "ReconcileError"
		c[1].Message = fmt.Sprintf("observe failed: failed to observe the resource: [{0 operation error: https response error StatusCode: 400, RequestID: %s, api error %s  []}]",
			hexadecimal(random, 32), failures[random.IntN(len(failures))])
	}
	return c
}

// failures are what AWS says when it does not do what it is asked for.
//
//nolint:gochecknoglobals // because it is a list, and never changed.
var failures = []string{
	"Throttling: Rate exceeded",
	"RequestLimitExceeded: Request limit exceeded.",
	"AccessDenied: User is not authorized to perform this operation",
	"VpcLimitExceeded: The maximum number of VPCs has been reached.",
	"InvalidParameterValue: Value is not valid for this parameter",
}

// values makes values of schemas until a budget of bytes is spent.
type values struct {
	random *rand.Rand
	left   int
}

// object makes an object: what is required, and of the rest, in order, what there is room for.
func (v *values) object(p properties, depth int) map[string]any {
	const deepest = 2
	o := make(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		required := slices.Contains(p.Required, name) || name == "region"
		reference := strings.HasSuffix(name, "Ref") || strings.HasSuffix(name, "Refs") || strings.HasSuffix(name, "Selector")
		if !required && (v.left <= 0 || reference || depth >= deepest) {
			continue
		}
		o[name] = v.value(p.Properties[name], depth+1)
		v.left -= len(name) + len(`"":,`)
	}
	return o
}

func (v *values) value(p properties, depth int) any {
	const numbers = 1000
	switch {
	case len(p.Enum) > 0:
		return p.Enum[0]
	case p.Type == "boolean":
		return v.random.IntN(2) == 0
	case p.Type == "number", p.Type == "integer":
		return v.random.IntN(numbers)
	case p.Type == "array" && p.Items != nil:
		return []any{v.value(*p.Items, depth)}
	case p.Type == "object" && len(p.Properties) == 0:
		tags := make(map[string]any)
		for _, key := range []string{"cost-center", "crossplane-kind", "crossplane-name", "environment"} {
			tags[key] = v.text()
		}
		return tags
	case p.Type == "object":
		return v.object(p, depth)
	default:
		return v.text()
	}
}

func (v *values) text() string {
	s := fmt.Sprintf("%s-%s", []string{"subnet", "eu-central-1", "arn:aws", "production"}[v.random.IntN(4)], hexadecimal(v.random, 17))
	v.left -= len(s) + len(`""`)
	return s
}

func uid(random *rand.Rand) types.UID {
	h := hexadecimal(random, 32)
	return types.UID(h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:])
}

func hexadecimal(random *rand.Rand, n int) string {
	b := make([]byte, (n+1)/2)
	for i := range b {
		b[i] = byte(random.IntN(256)) //nolint:gosec // It fits.
	}
	return hex.EncodeToString(b)[:n]
}
