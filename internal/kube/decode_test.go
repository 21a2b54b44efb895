package kube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const teamLabel = "platform.example.org/team"

var (
	vpcs         = Kind{Category: Managed, Group: "ec2.aws.upbound.io", Version: "v1beta1", Name: "VPC", Resource: "vpcs"}
	networks     = Kind{Category: Composite, Group: "example.org", Version: "v1", Name: "Network", Resource: "networks"}
	applications = Kind{Category: GitOps, Group: "argoproj.io", Version: "v1alpha1", Name: "Application", Resource: "applications", Namespaced: true}
)

type decodeCase struct {
	reason string
	args   decodeArgs
	want   Object
}

type decodeArgs struct {
	kind   Kind
	team   string
	object string
}

func decodeCases() map[string]decodeCase {
	return map[string]decodeCase{
		"Everything": {
			reason: "Every field of a managed resource should be read, wherever it stands, and all else passed over.",
			args: decodeArgs{vpcs, teamLabel, `{
				"kind": "VPC", "apiVersion": "ec2.aws.upbound.io/v1beta1",
				"status": {
					"atProvider": {"conditions": [{"type": "Fake", "status": "False"}], "arn": "arn:aws:ec2"},
					"conditions": [
						{"type": "Ready", "status": "True", "reason": "Available", "lastTransitionTime": "2026-03-01T10:00:00Z", "message": "not kept"},
						{"message": "cannot observe: denied", "lastTransitionTime": "2026-03-01T12:00:00+01:00", "observedGeneration": 6, "reason": "ReconcileError", "status": "False", "type": "Synced", "severity": {"level": 3}},
						{"type": "UpToDate", "status": "Unknown", "reason": "ReconcilePaused"}
					],
					"observedGeneration": 6
				},
				"spec": {
					"deletionPolicy": "Delete",
					"forProvider": {"tags": {"region": "mars"}, "region": "eu-central-1", "cidrBlock": "10.0.0.0/16"},
					"initProvider": {"region": "moon"},
					"managementPolicies": ["Observe"],
					"providerConfigRef": {"kind": "ClusterProviderConfig", "name": "production"}
				},
				"metadata": {
					"name": "a-vpc", "namespace": "orders", "resourceVersion": "4711", "generation": 7, "uid": "u",
					"creationTimestamp": "2026-03-01T09:00:00Z", "deletionTimestamp": "2026-03-02T09:00:00Z", "deletionGracePeriodSeconds": 0,
					"finalizers": ["finalizer.managedresource.crossplane.io", "example.org/wait"],
					"labels": {"crossplane.io/composite": "a-network-xk4bd", "crossplane.io/claim-namespace": "orders", "crossplane.io/claim-name": "a-network", "platform.example.org/team": "orders", "x": "y"},
					"annotations": {
						"crossplane.io/external-name": "vpc-0a1b2c", "crossplane.io/paused": "true", "crossplane.io/composition-resource-name": "vpc",
						"crossplane.io/external-create-pending": "2026-03-01T09:00:01Z", "crossplane.io/external-create-succeeded": "2026-03-01T09:00:03Z", "crossplane.io/external-create-failed": "2026-03-01T09:00:02Z"
					},
					"managedFields": [{"manager": "provider", "fieldsV1": {"f:metadata": {"f:name": {}}}}],
					"ownerReferences": [{"name": "other"}]
				}
			}`},
			want: Object{
				Namespace: "orders", Name: "a-vpc", ResourceVersion: "4711", Generation: 7,
				Created: 1772355600, Deleted: 1772442000, Finalizers: 2,
				Composite: "a-network-xk4bd", ClaimNamespace: "orders", ClaimName: "a-network", Team: "orders", ExternalName: "vpc-0a1b2c",
				Paused: true, CreatePending: 1772355601, CreateSucceeded: 1772355603, CreateFailed: 1772355602,
				ProviderConfig: "production", ObserveOnly: true, Region: "eu-central-1",
				Conditions: []Condition{
					{Type: "Ready", Status: True, Reason: "Available", Since: 1772359200},
					{Type: "Synced", Status: False, Reason: "ReconcileError", Message: "cannot observe: denied", Since: 1772362800, ObservedGeneration: 6},
					{Type: "UpToDate", Status: Unknown, Reason: "ReconcilePaused"},
				},
			},
		},
		"Nothing": {
			reason: "An object without anything has nothing, and is not odd.",
			args:   decodeArgs{vpcs, teamLabel, `{}`},
		},
		"NoStatus": {
			reason: "An object that no controller has seen yet has no status.",
			args:   decodeArgs{vpcs, "", `{"metadata":{"name":"a"},"spec":{"forProvider":{}}}`},
			want:   Object{Name: "a"},
		},
		"Nulls": {
			reason: "Null means absent, everywhere.",
			args: decodeArgs{vpcs, teamLabel, `{
				"metadata": {"name": "a", "namespace": null, "resourceVersion": null, "generation": null, "creationTimestamp": null, "deletionTimestamp": null, "finalizers": null, "annotations": null,
					"labels": {"crossplane.io/composite": null, "crossplane.io/claim-namespace": null, "crossplane.io/claim-name": null, "platform.example.org/team": null}},
				"spec": {"forProvider": null, "providerConfigRef": null, "managementPolicies": null, "suspend": null, "desiredState": null},
				"status": {"conditions": null}}`},
			want: Object{Name: "a"},
		},
		"NullParts": {
			reason: "So it does one level up and one level down.",
			args: decodeArgs{vpcs, teamLabel, `{
				"metadata": {"name": "a", "annotations": {"crossplane.io/external-name": null, "crossplane.io/paused": null, "crossplane.io/external-create-pending": null, "platform.example.org/team": null}},
				"spec": {"forProvider": {"region": null}, "providerConfigRef": {"name": null}},
				"status": null}`},
			want: Object{Name: "a"},
		},
		"WrongTypesInMetadata": {
			reason: "Fields of the wrong type count as absent, one by one, and cost nothing else.",
			args: decodeArgs{vpcs, teamLabel, `{
				"status": {"conditions": [{"type": "Ready", "status": "True"}]},
				"metadata": {"name": "a", "namespace": 5, "resourceVersion": {}, "generation": "7", "creationTimestamp": 1772355600, "deletionTimestamp": "yesterday", "finalizers": "f",
					"labels": {"crossplane.io/composite": ["x"], "crossplane.io/claim-namespace": true, "crossplane.io/claim-name": 1.5, "platform.example.org/team": {"a": "b"}},
					"annotations": {"crossplane.io/external-name": 42, "crossplane.io/paused": true, "crossplane.io/external-create-pending": "soon", "crossplane.io/external-create-succeeded": 1, "crossplane.io/external-create-failed": []}}}`},
			want: Object{Name: "a", Conditions: []Condition{{Type: "Ready", Status: True}}, Odd: 15},
		},
		"WrongTypesInSpec": {
			reason: "So it is in the spec.",
			args: decodeArgs{vpcs, "", `{"metadata": {"name": "a"},
				"spec": {"forProvider": {"region": 7}, "providerConfigRef": {"name": ["p"]}, "managementPolicies": "Observe", "suspend": "yes"}}`},
			want: Object{Name: "a", Odd: 4},
		},
		"WrongTypesAbove": {
			reason: "So it is where an object should be.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a", "labels": [], "annotations": "x"}, "spec": {"forProvider": [1, {"region": "x"}], "providerConfigRef": "p", "managementPolicies": {"0": "Observe"}}, "status": "fine"}`},
			want:   Object{Name: "a", Odd: 6},
		},
		"WrongTypesAtTheTop": {
			reason: "Not even metadata and spec have to be objects.",
			args:   decodeArgs{vpcs, "", `{"metadata": 3, "spec": false, "status": []}`},
			want:   Object{Odd: 3},
		},
		"NoObject": {
			reason: "Not even an object has to be one.",
			args:   decodeArgs{vpcs, "", `"hello"`},
			want:   Object{Odd: 1},
		},
		"NumbersOutOfRange": {
			reason: "A generation that is no int64 is none.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a", "generation": 9223372036854775808}, "status": {"conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1.5}]}}`},
			want:   Object{Name: "a", Conditions: []Condition{{Type: "Ready", Status: True}}, Odd: 2},
		},
		"ConditionsAString": {
			reason: "Conditions that are a string are none.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "status": {"conditions": "Ready"}}`},
			want:   Object{Name: "a", Odd: 1},
		},
		"ConditionsOfAnyType": {
			reason: "A condition that is no object, null among them, is none; the others are.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "status": {"conditions": [null, "Ready", 3, [], {"type": "Synced", "status": "True"}, {}, true]}}`},
			want:   Object{Name: "a", Conditions: []Condition{{Type: "Synced", Status: True}}, Odd: 7}, // {} has neither type nor status
		},
		"ConditionWithoutType": {
			reason: "A condition without a type cannot be told from others.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "status": {"conditions": [{"status": "True"}, {"type": "", "status": "True"}, {"type": null, "status": "True"}, {"type": 1, "status": "True"}]}}`},
			want:   Object{Name: "a", Odd: 5},
		},
		"ConditionWithoutStatus": {
			reason: "A condition whose status is absent or no status is Unknown.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "status": {"conditions": [{"type": "A"}, {"type": "B", "status": null}, {"type": "C", "status": "true"}, {"type": "D", "status": true}]}}`},
			want: Object{Name: "a", Odd: 5, Conditions: []Condition{
				{Type: "A", Status: Unknown}, {Type: "B", Status: Unknown}, {Type: "C", Status: Unknown}, {Type: "D", Status: Unknown},
			}},
		},
		"ConditionsDuplicated": {
			reason: "Of several conditions with one type the last counts, in the place of the first.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "status": {"conditions": [{"type": "Ready", "status": "False", "message": "m"}, {"type": "Synced", "status": "True"}, {"type": "Ready", "status": "True"}]}}`},
			want:   Object{Name: "a", Odd: 1, Conditions: []Condition{{Type: "Ready", Status: True}, {Type: "Synced", Status: True}}},
		},
		"StatusTwice": {
			reason: "Conditions elsewhere than in status.conditions are none.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "conditions": [{"type": "Ready", "status": "True"}], "spec": {"conditions": [{"type": "Ready", "status": "True"}]}}`},
			want:   Object{Name: "a"},
		},
		"MessageAfterStatus": {
			reason: "A message should be kept whatever the order of the fields, and only of a condition that is not True.",
			args:   decodeArgs{vpcs, "", `{"status": {"conditions": [{"type": "A", "status": "False", "message": "why"}, {"message": "why", "status": "True", "type": "B"}, {"type": "C", "status": "False"}]}}`},
			want:   Object{Conditions: []Condition{{Type: "A", Status: False, Message: "why"}, {Type: "B", Status: True}, {Type: "C", Status: False}}},
		},
		"Escapes": {
			reason: "Escapes are undone; control characters, quotes and lone surrogates are for those who print them.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a\u0000\n\t\"\\\u00e9\ud83d\ude00\ud800"}, "status": {"conditions": [{"type": "\u001b[31m", "status": "False", "reason": "\r\n", "message": "a\u0007b"}]}}`},
			want:   Object{Name: "a\x00\n\t\"\\é😀\uFFFD", Conditions: []Condition{{Type: "\x1b[31m", Status: False, Reason: "\r\n", Message: "a\ab"}}},
		},
		"InvalidUTF8": {
			reason: "Bytes that are no UTF-8 are replaced, so that what is kept always is.",
			args:   decodeArgs{vpcs, teamLabel, "{\"metadata\": {\"name\": \"a\xff\", \"labels\": {\"\xff\": \"\xfe\", \"platform.example.org/team\": \"\xc3\x28\"}}, \"status\": {\"conditions\": [{\"type\": \"\xf0\x9f\", \"status\": \"False\", \"message\": \"\xed\xa0\x80\"}]}}"},
			want:   Object{Name: "a\uFFFD", Team: "\uFFFD(", Conditions: []Condition{{Type: "\uFFFD\uFFFD", Status: False, Message: "\uFFFD\uFFFD\uFFFD"}}},
		},
		"Times": {
			reason: "A time with a fraction or an offset is one; one that is not RFC 3339 is none.",
			args: decodeArgs{vpcs, "", `{"metadata": {"creationTimestamp": "2026-03-01T09:00:00.999999Z", "deletionTimestamp": "2026-03-01", "annotations": {
				"crossplane.io/external-create-pending": "2026-03-01T10:00:00+01:00", "crossplane.io/external-create-succeeded": "", "crossplane.io/external-create-failed": "Sun Mar  1 09:00:00 UTC 2026"}}}`},
			want: Object{Created: 1772355600, CreatePending: 1772355600, Odd: 2},
		},
		"NotPaused": {
			reason: "Only the value true pauses, as in Crossplane.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a", "annotations": {"crossplane.io/paused": "True"}}}`},
			want:   Object{Name: "a"},
		},
		"PausedByPolicies": {
			reason: "A managed resource whose policies allow nothing at all is paused: Crossplane says ReconcilePaused of it.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "spec": {"managementPolicies": []}}`},
			want:   Object{Name: "a", Paused: true},
		},
		"NotObserveOnly": {
			reason: "A policy beside Observe, before or after it, lets the provider do more.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "spec": {"managementPolicies": ["Observe", "Create"]}}`},
			want:   Object{Name: "a"},
		},
		"NotObserveOnlyAfterAll": {
			reason: "A policy beside Observe, before or after it, lets the provider do more.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "spec": {"managementPolicies": ["LateInitialize", "Observe"]}}`},
			want:   Object{Name: "a"},
		},
		"ObserveOnlyTwice": {
			reason: "Policies are a set.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "spec": {"managementPolicies": ["Observe", "Observe"]}}`},
			want:   Object{Name: "a", ObserveOnly: true},
		},
		"TeamLabelBeforeAnnotation": {
			reason: "The team label goes before the annotation, in whichever order they come.",
			args:   decodeArgs{vpcs, teamLabel, `{"metadata": {"annotations": {"platform.example.org/team": "noted"}, "labels": {"platform.example.org/team": "labelled"}}}`},
			want:   Object{Team: "labelled"},
		},
		"TeamAnnotation": {
			reason: "Without the label the annotation of that key names the team.",
			args:   decodeArgs{vpcs, teamLabel, `{"metadata": {"annotations": {"platform.example.org/team": "noted"}, "labels": {"team": "no"}}}`},
			want:   Object{Team: "noted"},
		},
		"TeamEmptyLabel": {
			reason: "A label without a value names no team.",
			args:   decodeArgs{vpcs, teamLabel, `{"metadata": {"annotations": {"platform.example.org/team": "noted"}, "labels": {"platform.example.org/team": ""}}}`},
			want:   Object{Team: "noted"},
		},
		"TeamIsAnotherLabel": {
			reason: "The team label may be one that is read anyway.",
			args:   decodeArgs{vpcs, "crossplane.io/claim-namespace", `{"metadata": {"labels": {"crossplane.io/claim-namespace": "orders"}}}`},
			want:   Object{Team: "orders", ClaimNamespace: "orders"},
		},
		"TeamIsAnotherAnnotation": {
			reason: "The team annotation may be one that is read anyway.",
			args:   decodeArgs{vpcs, "crossplane.io/external-name", `{"metadata": {"annotations": {"crossplane.io/external-name": "orders"}}}`},
			want:   Object{Team: "orders", ExternalName: "orders"},
		},
		"TeamOfTheWrongType": {
			reason: "What was read before is not taken for a team that has the wrong type.",
			args:   decodeArgs{vpcs, teamLabel, `{"metadata": {"name": "a", "labels": {"crossplane.io/composite": "x", "platform.example.org/team": 3}}}`},
			want:   Object{Name: "a", Composite: "x", Odd: 1},
		},
		"NoTeamLabel": {
			reason: "Without a team label nothing is looked for, not even an empty key.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"labels": {"": "orders", "team": "orders"}, "annotations": {"": "orders"}}}`},
		},
		"Differing": {
			reason: "What a managed resource asks for, and its provider sees otherwise, should be named.",
			args:   decodeArgs{vpcs, "", `{"spec": {"forProvider": {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": true, "region": "eu-central-1"}}, "status": {"atProvider": {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": false}}}`},
			want:   Object{Region: "eu-central-1", Differing: []string{"enableDnsSupport"}},
		},
		"DifferingOfOthers": {
			reason: "So should it not of what is no managed resource.",
			args:   decodeArgs{Kind{Category: Other}, "", `{"spec": {"forProvider": {"enableDnsSupport": true}}, "status": {"atProvider": {"enableDnsSupport": false}}}`},
		},
		"DifferingOfTheWrongType": {
			reason: "Nor can it be of what is no object.",
			args:   decodeArgs{vpcs, "", `{"metadata": {"name": "a"}, "spec": {"forProvider": "x"}, "status": {"atProvider": ["y"]}}`},
			want:   Object{Name: "a", Odd: 1},
		},
		"FluxSuspended": {
			reason: "A Flux object that is suspended is paused.",
			args: decodeArgs{
				Kind{Category: GitOps, Group: "kustomize.toolkit.fluxcd.io", Name: "Kustomization"}, "",
				`{"metadata": {"name": "a"}, "spec": {"suspend": true}, "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "HealthCheckFailed", "message": "timeout"}]}}`,
			},
			want: Object{Name: "a", Paused: true, Conditions: []Condition{{Type: "Ready", Status: False, Reason: "HealthCheckFailed", Message: "timeout"}}},
		},
		"FluxNotSuspended": {
			reason: "One that is not, is not; and suspend: false does not unpause what an annotation pauses.",
			args:   decodeArgs{Kind{Category: GitOps}, "", `{"metadata": {"annotations": {"crossplane.io/paused": "true"}}, "spec": {"suspend": false}}`},
			want:   Object{Paused: true},
		},
		"PackageRevision": {
			reason: "An old package revision is inactive.",
			args:   decodeArgs{Kind{Category: Package, Group: "pkg.crossplane.io", Name: "ProviderRevision"}, "", `{"metadata": {"name": "a"}, "spec": {"desiredState": "Inactive", "revision": 3}}`},
			want:   Object{Name: "a", Inactive: true},
		},
		"PackageRevisionActive": {
			reason: "The one in use is not.",
			args:   decodeArgs{Kind{Category: Package, Group: "pkg.crossplane.io", Name: "ProviderRevision"}, "", `{"metadata": {"name": "a"}, "spec": {"desiredState": "Active"}}`},
			want:   Object{Name: "a"},
		},
		"ManagedResourceDefinition": {
			reason: "A ManagedResourceDefinition that is not activated is inactive.",
			args:   decodeArgs{Kind{Category: Definition, Group: "apiextensions.crossplane.io", Name: "ManagedResourceDefinition"}, "", `{"metadata": {"name": "a"}, "spec": {"state": "Inactive"}}`},
			want:   Object{Name: "a", Inactive: true},
		},
		"SpecOfAComposite": {
			reason: "The spec of a composite is its author's: what is called alike there means something else.",
			args:   decodeArgs{networks, "", `{"metadata": {"name": "a"}, "spec": {"suspend": true, "state": "Inactive", "managementPolicies": ["Observe"], "providerConfigRef": 7, "forProvider": {"region": "eu"}, "crossplane": {}}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}`},
			want:   Object{Name: "a", Conditions: []Condition{{Type: "Ready", Status: True}}},
		},
		"ArgoWell": {
			reason: "An Argo CD Application says in words of its own that it is well.",
			args:   decodeArgs{applications, "", `{"metadata": {"name": "a"}, "status": {"health": {"status": "Healthy"}, "sync": {"status": "Synced", "revision": "abc"}, "resources": [{"status": "OutOfSync", "health": {"status": "Degraded"}}]}}`},
			want:   Object{Name: "a", Conditions: []Condition{{Type: "Healthy", Status: True, Reason: "Healthy"}, {Type: "Synced", Status: True, Reason: "Synced"}}},
		},
		"ArgoConditionsFirst": {
			reason: "Its conditions are errors, and say why it is not well.",
			args:   decodeArgs{applications, "", `{"status": {"conditions": [{"type": "SyncError", "message": "denied", "lastTransitionTime": "2026-03-01T09:00:00Z"}], "health": {"status": "Degraded"}, "sync": {"status": "OutOfSync"}}}`},
			want:   Object{Conditions: []Condition{{Type: "Healthy", Status: False, Reason: "Degraded", Message: "denied"}, {Type: "Synced", Status: False, Reason: "OutOfSync", Message: "denied"}}},
		},
		"ArgoConditionsLast": {
			reason: "They do so in any order.",
			args:   decodeArgs{applications, "", `{"status": {"sync": {"status": "OutOfSync"}, "health": {"status": "Healthy"}, "conditions": [{"message": "denied", "type": "SyncError"}]}}`},
			want:   Object{Conditions: []Condition{{Type: "Synced", Status: False, Reason: "OutOfSync", Message: "denied"}, {Type: "Healthy", Status: True, Reason: "Healthy"}}},
		},
		"ArgoSuspended": {
			reason: "An Application that is suspended, or not done yet, is not failing.",
			args:   decodeArgs{applications, "", `{"status": {"health": {"status": "Suspended"}, "sync": {"status": "Unknown"}}}`},
			want:   Object{Paused: true, Conditions: []Condition{{Type: "Healthy", Status: Unknown, Reason: "Suspended"}, {Type: "Synced", Status: Unknown, Reason: "Unknown"}}},
		},
		"ArgoOdd": {
			reason: "Sync and health of the wrong type are none.",
			args:   decodeArgs{applications, "", `{"status": {"health": "Healthy", "sync": {"status": 3}, "conditions": [null, {"message": 4}, "x"]}}`},
			want:   Object{Odd: 4},
		},
		"ArgoOfOthers": {
			reason: "Only an Application of Argo CD says it so; its other kinds have conditions like everyone's.",
			args: decodeArgs{
				Kind{Category: GitOps, Group: "argoproj.io", Name: "ApplicationSet"}, "",
				`{"status": {"health": {"status": "Healthy"}, "conditions": [{"type": "ErrorOccurred", "status": "True", "reason": "ApplicationGenerationFromParamsError"}]}}`,
			},
			want: Object{Conditions: []Condition{{Type: "ErrorOccurred", Status: True, Reason: "ApplicationGenerationFromParamsError"}}},
		},
	}
}

func TestDecode(t *testing.T) {
	for name, tc := range decodeCases() {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(strings.NewReader(tc.args.object), tc.args.kind, tc.args.team)
			got, err := d.object()
			if err != nil {
				t.Fatalf("%s\nobject(): %v", tc.reason, err)
			}
			if diff := cmp.Diff(&tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s\nobject(): -want, +got:\n%s", tc.reason, diff)
			}
			if _, err := d.object(); !errors.Is(err, io.EOF) {
				t.Errorf("%s\nthe object was not read to its end: %v", tc.reason, err)
			}
		})
	}
}

func TestDecodeManyConditions(t *testing.T) {
	var conditions []string
	for i := range 1000 {
		conditions = append(conditions, fmt.Sprintf(`{"type":"T%d","status":"False","reason":"R%d","message":%q}`, i, i, strings.Repeat("m", 5000)))
	}
	d := newDecoder(strings.NewReader(`{"status":{"conditions":[`+strings.Join(conditions, ",")+`]},"metadata":{"name":"a"}}`), vpcs, "")
	o, err := d.object()
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Conditions) != MaxConditions || o.Odd != 1000-MaxConditions || o.Name != "a" {
		t.Errorf("of 1,000 conditions the first %d should be kept and the others counted: got %d kept, %d odd, name %q", MaxConditions, len(o.Conditions), o.Odd, o.Name)
	}
	if want := "T31"; o.Conditions[31].Type != want {
		t.Errorf("Conditions[31].Type: want %q, got %q", want, o.Conditions[31].Type)
	}
}

func TestDecodeLongMessage(t *testing.T) {
	for name, fill := range map[string]string{"ASCII": "x", "TwoBytes": "é", "ThreeBytes": "…", "FourBytes": "😀", "Escaped": "\n"} {
		t.Run(name, func(t *testing.T) {
			message := "cannot apply: " + strings.Repeat(fill, 1<<20/len(fill)) + ": api error Throttling"
			quoted, err := json.Marshal(message)
			if err != nil {
				t.Fatal(err)
			}
			text := `{"status":{"conditions":[{"type":"Synced","status":"False","message":` + string(quoted) + `}]},"metadata":{"name":"a"}}`
			d := newDecoder(strings.NewReader(text+`{"metadata":{"name":"b"}}`), vpcs, "")
			o, err := d.object()
			if err != nil {
				t.Fatal(err)
			}
			got := o.Conditions[0].Message
			if !strings.HasPrefix(got, "cannot apply: "+fill) || !strings.HasSuffix(got, fill+": api error Throttling") {
				t.Errorf("head and tail of a long message should be kept, got %.40q … %q", got, got[len(got)-40:])
			}
			if len(got) > MaxMessage || len(got) < MaxMessage-8 {
				t.Errorf("a long message should be cut to %d bytes, not to %d", MaxMessage, len(got))
			}
			if !utf8.ValidString(got) {
				t.Error("a message should not be cut within a character")
			}
			if o, err := d.object(); err != nil || o.Name != "b" {
				t.Errorf("the object after should be read: got %q, %v", o.Name, err)
			}
			if cap(d.text) > maxText {
				t.Errorf("the decoder goes on holding %d bytes for one long message", cap(d.text))
			}
		})
	}
}

func TestMessageBounds(t *testing.T) {
	for _, n := range []int{0, 1, MaxMessage - 1, MaxMessage, MaxMessage + 1, MaxMessage + 2, 2 * MaxMessage} {
		message := strings.Repeat("m", n)
		got := string(appendCut(nil, []byte(message)))
		if n <= MaxMessage && got != message {
			t.Errorf("a message of %d bytes should be kept as it is, got %d bytes", n, len(got))
		}
		if len(got) > MaxMessage {
			t.Errorf("a message of %d bytes should be cut to %d bytes, got %d", n, MaxMessage, len(got))
		}
	}
}

// TestDecodeLeavesNothingBehind decodes objects that have everything between ones that have nothing.
func TestDecodeLeavesNothingBehind(t *testing.T) {
	everything := `{"metadata":{"name":"a","namespace":"n","resourceVersion":"1","generation":2,"creationTimestamp":"2026-03-01T09:00:00Z","deletionTimestamp":"2026-03-01T09:00:00Z","finalizers":["f"],
		"labels":{"crossplane.io/composite":"c"},"annotations":{"crossplane.io/paused":"true","platform.example.org/team":"t","k8s.io/initial-events-end":"true"}},
		"spec":{"suspend":true,"state":"Inactive","managementPolicies":["Observe"],"providerConfigRef":{"name":"p"}},
		"status":{"conditions":[{"type":"Ready","status":"False","message":"m"}],"sync":{"status":"OutOfSync"}}}`
	unwell := `{"metadata":{"name":"b"},"status":{"sync":{"status":"OutOfSync"},"conditions":[{"type":"Ready","status":"False"}]}}`
	for name, tc := range map[string]struct {
		kind Kind
		want []Condition
	}{
		"Managed": {vpcs, []Condition{{Type: "Ready", Status: False}}},
		"Argo":    {applications, []Condition{{Type: "Synced", Status: False, Reason: "OutOfSync"}}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(strings.NewReader(everything+unwell+everything+`{}`), tc.kind, teamLabel)
			for _, want := range []*Object{nil, {Name: "b", Conditions: tc.want}, nil, {}} {
				got, err := d.object()
				if err != nil {
					t.Fatal(err)
				}
				if want == nil {
					if !d.initialEnd {
						t.Error("the annotation that ends the initial events was not seen")
					}
					continue
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("an object should have nothing of the one before: -want, +got:\n%s", diff)
				}
				if d.initialEnd {
					t.Error("the end of the initial events is that of the object before")
				}
			}
		})
	}
}

func TestDecodeIdentities(t *testing.T) {
	config := Kind{Category: Configuration, Group: "aws.upbound.io", Version: "v1beta1", Name: "ProviderConfig"}
	account := Kind{Version: "v1", Name: "ServiceAccount"}
	for name, tc := range map[string]struct {
		reason string
		kind   Kind
		object string
		want   Object
	}{
		"Managed": {
			"Who a resource is says its spec or its status; what belongs to others does not count.", vpcs,
			`{"spec":{"forProvider":{"name":"net","region":"eu-west-1","vpcId":"vpc-1","identifier":7}},"status":{"atProvider":{"arn":"arn:aws:ec2:eu-west-1:1:vpc/v","id":"v","tags":{"id":"no"}}}}`,
			Object{Region: "eu-west-1", IDs: []string{"net", "arn:aws:ec2:eu-west-1:1:vpc/v", "v"}},
		},
		"ProviderConfig": {
			"Roles are found however deep, and nothing else is.", config,
			`{"spec":{"credentials":{"source":"IRSA"},"assumeRoleChain":[{"roleARN":"arn:aws:iam::1:role/a","externalID":"x","tags":[{"key":"k","value":null}]}],"endpoint":{"services":["ec2"],"hostnameImmutable":true}}}`,
			Object{Principals: []string{"arn:aws:iam::1:role/a"}},
		},
		"Chain": {
			"Whom a provider becomes by a chain of roles comes last.", config,
			`{"spec":{"assumeRoleChain":[{"roleARN":"arn:aws:iam::2:role/hub"},{"roleARN":"arn:aws:iam::3:role/spoke"}],"credentials":{"source":"WebIdentity","webIdentity":{"roleARN":"arn:aws:iam::1:role/web"}}}}`,
			Object{Principals: []string{"arn:aws:iam::1:role/web", "arn:aws:iam::2:role/hub", "arn:aws:iam::3:role/spoke"}},
		},
		"RuntimeConfig": {
			"The ServiceAccounts of packages are named in two places.", config,
			`{"spec":{"serviceAccountTemplate":{"metadata":{"name":"one","annotations":{"eks.amazonaws.com/role-arn":"arn:aws:iam::1:role/b"}}},"deploymentTemplate":{"spec":{"template":{"spec":{"serviceAccountName":"two"}}}}}}`,
			Object{ServiceAccounts: []string{"one", "two"}, Principals: []string{"arn:aws:iam::1:role/b"}},
		},
		"ServiceAccount": {
			"A package's owns the role that its annotation names.", account,
			`{"metadata":{"annotations":{"eks.amazonaws.com/role-arn":"arn:aws:iam::1:role/c"},"ownerReferences":[{"apiVersion":"apps/v1"},{"apiVersion":"pkg.crossplane.io/v1","kind":"ProviderRevision"}]}}`,
			Object{Principals: []string{"arn:aws:iam::1:role/c"}, OfPackage: true},
		},
		"Odd": {
			"What is not as it should be is passed over.", config,
			`{"metadata":{"ownerReferences":7},"spec":{"serviceAccountTemplate":{"metadata":[]},"serviceAccountName":{}}}`,
			Object{Odd: 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDecoder(strings.NewReader(tc.object), tc.kind, "")
			d.identities = true
			got, err := d.object()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s\n-want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestDecodeBroken(t *testing.T) {
	for name, tc := range map[string]struct {
		reason    string
		text      string
		malformed bool
	}{
		"Empty":        {"The end between two objects is a plain end.", ``, false},
		"Cut":          {"An object that is cut is a connection that was.", `{"metadata":{"name":"a"`, false},
		"CutInString":  {"So it is within a string.", `{"metadata":{"name":"a`, false},
		"CutInSkipped": {"So it is in what is passed over.", `{"metadata":{"managedFields":[{"a":`, false},
		"NoJSON":       {"What is no JSON is not read further.", `<html>`, true},
		"NoColon":      {"What is no JSON is not read further.", `{"metadata" {}}`, true},
		"WrongBracket": {"What is no JSON is not read further.", `{"metadata":{"finalizers":["a"}}`, true},
		"NoComma":      {"What is no JSON is not read further.", `{"metadata":{"name":"a" "namespace":"b"}}`, true},
		"NoMember":     {"What is no JSON is not read further.", `{"metadata":{"name":"a",}}`, true},
		"NoElement":    {"What is no JSON is not read further.", `{"metadata":{"finalizers":["a",]}}`, true},
		"NoName":       {"What is no JSON is not read further.", `{"metadata":{name:"a"}}`, true},
		"NoValue":      {"What is no JSON is not read further.", `{"metadata":}`, true},
		"NoWord":       {"Nor are words of its own.", `{"metadata":{"generation":1x}}`, true},
		"NoEscape":     {"Nor are other escapes.", `{"metadata":{"name":"\x41"}}`, true},
		"InSkipped":    {"Nor is what is passed over, where it may not end where it seems to.", `{"spec":{"other":{"c":[1}]}}`, true},
		"Deep":         {"What is nested without end is not followed.", `{"metadata":` + strings.Repeat("[", maxDepth), true},
		"ControlChar":  {"A control character in a string should have been escaped.", "{\"metadata\":{\"name\":\"a\x01\"}}", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newDecoder(strings.NewReader(tc.text), vpcs, "").object()
			if err == nil {
				t.Fatalf("%s\nwant an error", tc.reason)
			}
			if malformed(err) != tc.malformed {
				t.Errorf("%s\nmalformed(%v): want %t", tc.reason, err, tc.malformed)
			}
		})
	}
}

// TestDecodePassesOver is that what nobody asks for costs the object nothing, whatever it is, as long as it is seen where it ends.
func TestDecodePassesOver(t *testing.T) {
	const skipped = `{"a":tru,"b":"\x","c":[1 2,]}`
	o, err := newDecoder(strings.NewReader(`{"spec":{"other":`+skipped+`},"metadata":{"name":"a"}}`), vpcs, "").object()
	if err != nil || o.Name != "a" {
		t.Errorf("want the object a, got %+v, %v", o, err)
	}
}

// TestWordsAreBounded reads more different words than a decoder may hold.
func TestWordsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 3 * maxWords {
		fmt.Fprintf(&b, `{"metadata":{"namespace":"n%d"}}`, i)
	}
	d := newDecoder(strings.NewReader(b.String()), vpcs, "")
	for i := range 3 * maxWords {
		o, err := d.object()
		if want := fmt.Sprintf("n%d", i); err != nil || o.Namespace != want {
			t.Fatalf("want %q, got %q, %v", want, o.Namespace, err)
		}
		if len(d.words) > maxWords {
			t.Fatalf("the decoder holds %d words, more than %d", len(d.words), maxWords)
		}
	}
}
