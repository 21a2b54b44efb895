package cloud

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func write(service, operation, noun string, create bool, targets ...Target) *Record {
	return &Record{
		Service: service, Operation: operation, Noun: noun, Create: create, Write: true, Outcome: OK,
		Account: "111111111111", Region: "eu-west-1", Targets: targets,
	}
}

func TestIndexMatch(t *testing.T) {
	x := NewIndex[string](func(s string) string { return strings.TrimSuffix(s, "v2") })
	here := func(service, kind string, ids ...string) Identity {
		return Identity{Service: service, Kind: kind, Account: "111111111111", Region: "eu-west-1", IDs: ids}
	}
	x.Set("vpc", here("ec2", "VPC", "vpc-1"))
	x.Set("subnet", here("ec2", "Subnet", "subnet-1", "arn:subnet-1"))
	x.Set("subnet2", here("ec2", "Subnet", "subnet-2"))
	x.Set("elsewhere", Identity{Service: "ec2", Kind: "Subnet", Account: "111111111111", Region: "us-east-1", IDs: []string{"subnet-e"}})
	x.Set("others", Identity{Service: "ec2", Kind: "Subnet", Account: "222222222222", Region: "eu-west-1", IDs: []string{"subnet-o"}})
	x.Set("group", here("ec2", "SecurityGroup", "sg-1"))
	x.Set("group2", here("ec2", "SecurityGroup", "sg-2"))
	x.Set("table", here("ec2", "RouteTable", "rtb-1"))
	x.Set("route", here("ec2", "Route", "rtb-1_0.0.0.0/0"))
	x.Set("db", here("rds", "Instance", "main"))
	x.Set("dbcluster", here("rds", "Cluster", "main"))
	x.Set("bucket", Identity{Service: "s3", Kind: "Bucket", IDs: []string{"logs"}})
	x.Set("versioning", Identity{Service: "s3", Kind: "BucketVersioning", IDs: []string{"logs"}})
	x.Set("role", Identity{Service: "iam", Kind: "Role", Account: "111111111111", IDs: []string{"admin"}})
	x.Set("user", Identity{Service: "iam", Kind: "User", Account: "111111111111", IDs: []string{"admin"}})
	x.Set("profile", Identity{Service: "iam", Kind: "InstanceProfile", Account: "111111111111", IDs: []string{"node"}})
	x.Set("function", here("lambda", "Function", "f", "arn:function:f"))
	x.Set("elbs", here("elb", "LB", "arn:lb"))

	unique := func(key, id string) Target { return Target{ID: id, Key: key, Unique: true, Depth: 1} }
	name := func(key, id string) Target { return Target{ID: id, Key: key, Depth: 1} }
	type matches = []Match[string]
	cases := map[string]struct {
		reason string
		record *Record
		want   matches
	}{
		"Direct":       {"an ID is enough", write("ec2", "ModifySubnetAttribute", "SubnetAttribute", false, unique("subnetId", "subnet-1")), matches{{"subnet", false}}},
		"Unknown":      {"nobody knows it", write("ec2", "DeleteSubnet", "Subnet", false, unique("subnetId", "subnet-9")), nil},
		"Service":      {"the ID of another service's call is a reference", write("rds", "CreateDBSubnetGroup", "DBSubnetGroup", true, unique("subnetIds", "subnet-1")), nil},
		"Scope":        {"services with two names", write("elbv2", "SetSubnets", "LB", false, unique("loadBalancerArn", "arn:lb")), matches{{"elbs", false}}},
		"Region":       {"it lives elsewhere", write("ec2", "DeleteSubnet", "Subnet", false, unique("subnetId", "subnet-e")), nil},
		"Account":      {"it is someone else's", write("ec2", "DeleteSubnet", "Subnet", false, unique("subnetId", "subnet-o")), nil},
		"Two":          {"a call may be about several", write("ec2", "DeleteSubnets", "Subnets", false, unique("subnetId", "subnet-1"), unique("subnetId", "subnet-2")), matches{{"subnet", false}, {"subnet2", false}}},
		"Once":         {"named twice is once", write("ec2", "DeleteSubnet", "Subnet", false, unique("subnetId", "subnet-1"), unique("subnetArn", "arn:subnet-1")), matches{{"subnet", false}}},
		"Noun":         {"the operation says which is meant", write("ec2", "MoveSubnet", "Subnet", false, unique("vpcId", "vpc-1"), unique("subnetId", "subnet-1")), matches{{"subnet", false}}},
		"Parent":       {"a new thing's parent is only related", write("ec2", "CreateSubnet", "Subnet", true, unique("vpcId", "vpc-1")), matches{{"vpc", true}}},
		"Recreated":    {"what is created may be known by its name", write("s3", "CreateBucket", "Bucket", true, name("bucketName", "logs")), matches{{"bucket", false}}},
		"Deeper":       {"what is named less deep is meant", write("ec2", "AuthorizeSecurityGroupIngress", "SecurityGroup", false, unique("groupId", "sg-1"), Target{ID: "sg-2", Key: "groupId", Unique: true, Depth: 4}), matches{{"group", false}}},
		"Subject":      {"the operation has a field for what it is about, and that is unknown", write("ec2", "DetachInternetGateway", "InternetGateway", false, unique("internetGatewayId", "igw-9"), unique("vpcId", "vpc-1")), matches{{"vpc", true}}},
		"NoSubject":    {"the operation's noun is a part of the thing", write("lambda", "AddPermission", "Permission", false, name("functionName", "f"), name("action", "lambda:Invoke")), matches{{"function", false}}},
		"Tags":         {"resources of several kinds may be tagged at once", write("ec2", "CreateTags", "Tags", false, unique("resourceId", "vpc-1"), unique("resourceId", "subnet-1")), matches{{"vpc", false}, {"subnet", false}}},
		"Mixed":        {"kinds that nothing tells apart are related", write("ec2", "MagicallyJoin", "MagicallyJoin", false, unique("vpcId", "vpc-1"), unique("subnetId", "subnet-1")), matches{{"vpc", true}, {"subnet", true}}},
		"Composite":    {"a part of it, which has a resource of its own", write("ec2", "DeleteRoute", "Route", false, unique("routeTableId", "rtb-1"), unique("Route", "rtb-1_0.0.0.0/0")), matches{{"route", false}}},
		"KindField":    {"a name that two kinds share: the field says which", write("rds", "RebootSomething", "Something", false, name("dBInstanceIdentifier", "main")), matches{{"db", false}}},
		"KindField2":   {"the other", write("rds", "RebootSomething", "Something", false, name("dBClusterIdentifier", "main")), matches{{"dbcluster", false}}},
		"SubKinds":     {"kinds of one ID: the operation says which", write("s3", "PutBucketVersioning", "BucketVersioning", false, name("bucketName", "logs")), matches{{"versioning", false}}},
		"SubKinds2":    {"nothing of the kind: the thing itself", write("s3", "PutBucketPolicy", "BucketPolicy", false, name("bucketName", "logs")), matches{{"bucket", false}}},
		"NameElse":     {"a name where another kind is named is no match", write("iam", "PutRolePolicy", "RolePolicy", false, name("roleName", "x"), name("policyName", "admin")), nil},
		"NameGeneric":  {"a name in a field for any name must fit the operation", write("iam", "UpdateThing", "Thing", false, name("name", "admin")), nil},
		"NameGeneric2": {"and does here", write("iam", "UpdateRole", "Role", false, name("name", "admin")), matches{{"role", false}}},
		"ToLink":       {"a link's other end is not meant", write("iam", "AddRoleToInstanceProfile", "InstanceProfile", false, name("roleName", "admin"), name("instanceProfileName", "node")), matches{{"profile", false}}},
		"Tier":         {"the answer counts if the question names nothing", write("ec2", "DeleteSubnet", "Subnet", false, Target{ID: "subnet-1", Key: "subnetId", Unique: true, Tier: 2}), matches{{"subnet", false}}},
		"TierLess":     {"and not if it does", write("ec2", "DeleteSubnet", "Subnet", false, unique("subnetId", "subnet-2"), Target{ID: "subnet-1", Key: "subnetId", Unique: true, Tier: 2}), matches{{"subnet2", false}}},
		"Read":         {"reads touch nothing", &Record{Service: "ec2", Outcome: OK, Targets: []Target{unique("subnetId", "subnet-1")}}, nil},
		"Failed":       {"nor do failures", &Record{Service: "ec2", Outcome: Denied, Write: true, Targets: []Target{unique("subnetId", "subnet-1")}}, nil},
	}
	for key, tc := range cases {
		t.Run(key, func(t *testing.T) {
			if tc.record.Account == "" {
				tc.record.Account, tc.record.Region = "111111111111", "eu-west-1"
			}
			if diff := cmp.Diff(tc.want, x.Match(nil, tc.record)); diff != "" {
				t.Errorf("%s: -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
	// Matches are appended.
	if got := x.Match(matches{{"before", true}}, write("ec2", "DeleteVpc", "Vpc", false, unique("vpcId", "vpc-1"))); len(got) != 2 || got[1].Key != "vpc" {
		t.Errorf("appended to one: %v", got)
	}
}

// Against a plain map, over many changes.
func TestIndexFollows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := NewIndex[int](nil)
	plain := map[int]Identity{}
	for i := range 20000 {
		key := r.IntN(300)
		switch r.IntN(3) {
		case 0:
			x.Remove(key)
			delete(plain, key)
		case 1:
			id := Identity{Service: fmt.Sprint("s", r.IntN(2)), Kind: fmt.Sprint("Kind", r.IntN(3))}
			for range r.IntN(5) {
				id.IDs = append(id.IDs, fmt.Sprint("id-", r.IntN(100))) // shared, and some twice
			}
			x.Set(key, id)
			plain[key] = id
		default:
			record := write(fmt.Sprint("s", r.IntN(2)), "UpdateIt", "It", false, Target{ID: fmt.Sprint("id-", r.IntN(100)), Key: "resourceId", Unique: true})
			var got, want []int
			for _, m := range x.Match(nil, record) {
				got = append(got, m.Key)
			}
			for key, id := range plain {
				if id.Service == record.Service && slices.Contains(id.IDs, record.Targets[0].ID) {
					want = append(want, key)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("step %d: -want, +got:\n%s", i, diff)
			}
		}
		if x.Len() != len(plain) {
			t.Fatalf("step %d: Len() = %d, want %d", i, x.Len(), len(plain))
		}
	}
	for key := range 300 {
		x.Remove(key)
	}
	if len(x.byID) != 0 || len(x.keys) != 0 {
		t.Errorf("all are gone, but %d IDs and %d keys are left", len(x.byID), len(x.keys))
	}
	links := len(x.links)
	for key := range 100 {
		x.Set(key, Identity{IDs: []string{"a", "b"}})
	}
	if len(x.links) != links {
		t.Error("the memory of what is gone is not used again")
	}
}

func identity(i int) Identity {
	id := fmt.Sprintf("subnet-%017x", i)
	return Identity{
		Service: "ec2", Kind: "Subnet", Account: "111111111111", Region: "eu-west-1",
		IDs: []string{id, "arn:aws:ec2:eu-west-1:111111111111:subnet/" + id, fmt.Sprintf("name-%d", i)},
	}
}

// What an index of 100,000 resources takes is said per resource.
func BenchmarkIndexMemory(b *testing.B) {
	const n = 100_000
	keys := make([]struct{ _ int }, n)
	var before, after runtime.MemStats
	var x *Index[*struct{ _ int }]
	for b.Loop() {
		x = nil //nolint:ineffassign,wastedassign // So that the last one is collected before memory is read.
		runtime.GC()
		runtime.ReadMemStats(&before)
		x = NewIndex[*struct{ _ int }](nil)
		for i := range keys {
			x.Set(&keys[i], identity(i))
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
	}
	runtime.KeepAlive(x)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/resource")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/set")
}

func BenchmarkIndexMatch(b *testing.B) {
	x := NewIndex[int](nil)
	for i := range 100_000 {
		x.Set(i, identity(i))
	}
	r := write("ec2", "ModifySubnetAttribute", "SubnetAttribute", false)
	for i := range 40 {
		r.Targets = append(r.Targets, Target{ID: fmt.Sprintf("eni-%017x", i), Key: "networkInterfaceId", Unique: true})
	}
	r.Targets = append(r.Targets, Target{ID: identity(4711).IDs[0], Key: "subnetId", Unique: true})
	var m []Match[int]
	b.ReportAllocs()
	for b.Loop() {
		m = x.Match(m[:0], r)
	}
	if len(m) != 1 || m[0].Key != 4711 {
		b.Fatal(m)
	}
}
