package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// A subject is a field of a resource in aws.yaml that someone keeps changing.
type subject struct {
	resource      schema.GroupVersionResource
	name          string
	field         []string // of status.atProvider
	wanted, other any      // what the spec says, and what the other one makes of it
	by            caller   // the other one
	look          call
	write         func(value any) call
}

func kind(service, plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: service + ".aws.upbound.io", Version: "v1beta1", Resource: plural}
}

var subjects = []*subject{
	{
		resource: kind("ec2", "subnets"), name: "public-a", field: []string{"mapPublicIpOnLaunch"}, wanted: false, other: true, by: alice,
		look: call{
			service: "ec2", operation: "DescribeSubnets", region: "eu-central-1", readOnly: true,
			request: map[string]any{"subnetSet": map[string]any{"items": []any{map[string]any{"subnetId": "subnet-0b7c1d2e3f4a5b6c7"}}}},
		},
		write: func(value any) call {
			return call{service: "ec2", operation: "ModifySubnetAttribute", region: "eu-central-1", request: map[string]any{
				"subnetId": "subnet-0b7c1d2e3f4a5b6c7", "mapPublicIpOnLaunch": map[string]any{"value": value},
			}}
		},
	},
	{
		resource: kind("ec2", "vpcs"), name: "network-2", field: []string{"enableDnsHostnames"}, wanted: true, other: false, by: bob,
		look: call{
			service: "ec2", operation: "DescribeVpcAttribute", region: "eu-central-1", readOnly: true,
			request: map[string]any{"vpcId": "vpc-0a1b2c3d4e5f6a7b2", "attribute": "enableDnsHostnames"},
		},
		write: func(value any) call {
			return call{service: "ec2", operation: "ModifyVpcAttribute", region: "eu-central-1", request: map[string]any{
				"vpcId": "vpc-0a1b2c3d4e5f6a7b2", "enableDnsHostnames": map[string]any{"value": value},
			}}
		},
	},
	{
		resource: kind("s3", "buckets"), name: "assets-1", field: []string{"tags", "cost-center"}, wanted: "4711", other: "unknown", by: tagging,
		look: call{
			service: "s3", operation: "GetBucketTagging", region: "eu-west-1", readOnly: true,
			request: map[string]any{"bucketName": "assets-1", "tagging": ""},
		},
		write: func(value any) call {
			return call{service: "s3", operation: "PutBucketTagging", region: "eu-west-1", request: map[string]any{
				"bucketName": "assets-1", "tagging": "",
				"Tagging": map[string]any{"TagSet": map[string]any{"Tag": map[string]any{"Key": "cost-center", "Value": value}}},
			}}
		},
	},
	{
		resource: kind("iam", "roles"), name: "app", field: []string{"maxSessionDuration"}, wanted: int64(3600), other: int64(43200), by: carol,
		look: call{service: "iam", operation: "GetRole", region: "us-east-1", readOnly: true, request: map[string]any{"roleName": "app"}},
		write: func(value any) call {
			return call{service: "iam", operation: "UpdateRole", region: "us-east-1", request: map[string]any{
				"roleName": "app", "maxSessionDuration": value,
			}}
		},
	},
}

// intrude has someone change a resource behind its provider's back: each once in a round, in no order, for people do not come like
// clockwork.
func (a *Account) intrude(ctx context.Context, n int) error {
	if n%len(subjects) == 0 {
		a.round = rand.Perm(len(subjects)) //nolint:gosec // Nobody gains by guessing it.
	}
	s := subjects[a.round[n%len(subjects)]]
	a.happened(s.by, s.write(s.other))
	a.mu.Lock()
	a.changed[s] = true
	a.mu.Unlock()
	return a.observed(ctx, s, s.other)
}

// reconcile does what the resources' provider would do: it looks at each, and puts back what is not as it should be.
func (a *Account) reconcile(ctx context.Context, n int) error {
	if n == 0 {
		return nil // What happens at the very beginning is not for it to see at once.
	}
	for _, s := range subjects {
		a.happened(provider, s.look)
		a.mu.Lock()
		changed := a.changed[s]
		a.mu.Unlock()
		if !changed {
			continue
		}
		held, err := a.dynamic.Resource(s.resource).Get(ctx, s.name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("put %s back: %w", s.name, err)
		}
		a.mu.Lock()
		delete(a.changed, s)
		a.mu.Unlock()
		a.happened(provider, s.write(s.wanted))
		controller := "managed/" + strings.ToLower(held.GroupVersionKind().String())
		a.recorder(controller).Event(held, corev1.EventTypeNormal, "UpdatedExternalResource", "Successfully requested update of external resource")
		if err := a.observed(ctx, s, s.wanted); err != nil {
			return err
		}
	}
	return nil
}

// observed writes into a resource's status what its field is in AWS.
func (a *Account) observed(ctx context.Context, s *subject, value any) error {
	o := map[string]any{}
	if err := unstructured.SetNestedField(o, value, append([]string{"status", "atProvider"}, s.field...)...); err != nil {
		return err
	}
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	_, err = a.dynamic.Resource(s.resource).Patch(ctx, s.name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: "controller"}, "status")
	if err != nil {
		return fmt.Errorf("status of %s: %w", s.name, err)
	}
	return nil
}
