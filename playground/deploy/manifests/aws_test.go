package manifests_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"crossplane-exporter/playground/deploy/manifests"
)

// A policy is one of IAM's.
type policy struct {
	Version   string
	Statement []struct {
		Sid, Effect string
		Principal   map[string]string
		Action      words
		Resource    words
		Condition   map[string]map[string]string
	}
}

// words are one or several.
type words []string

func (w *words) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*w = words{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(w))
}

// queue is what reading a queue takes.
var queue = words{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"}

// TestPolicies lists what each policy allows: nothing else may be in it.
func TestPolicies(t *testing.T) {
	cases := map[string]struct {
		reason string
		allows words
		// conditions each statement has to have, by the key of one
		condition string
	}{
		"lookup.json":             {"LookupEvents is all that the shortest way needs.", words{"cloudtrail:LookupEvents"}, ""},
		"s3-queue.json":           {"The queue tells of log files, which are read.", append(slices.Clone(queue), "s3:GetObject", "kms:Decrypt"), ""},
		"s3-list.json":            {"Log files are listed and read.", words{"s3:ListBucket", "s3:GetObject", "kms:Decrypt"}, ""},
		"eventbridge.json":        {"The queue has the events.", queue, ""},
		"assume.json":             {"Each account has a role to read it.", words{"sts:AssumeRole"}, ""},
		"trust-irsa.json":         {"One ServiceAccount of one cluster.", words{"sts:AssumeRoleWithWebIdentity"}, ":sub"},
		"trust-pod-identity.json": {"One ServiceAccount.", words{"sts:AssumeRole", "sts:TagSession"}, "aws:RequestTag/kubernetes-service-account"},
		"trust-account.json":      {"The exporter's role, which has to say the external ID.", words{"sts:AssumeRole"}, "sts:ExternalId"},
		"queue-s3.json":           {"The trail's bucket.", words{"sqs:SendMessage"}, "aws:SourceArn"},
		"queue-eventbridge.json":  {"The rule.", words{"sqs:SendMessage"}, "aws:SourceArn"},
	}
	dir, err := manifests.Dir("iam")
	check(t, err)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	check(t, err)
	for _, path := range files {
		name := filepath.Base(path)
		if name == "event-pattern.json" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			tc, ok := cases[name]
			if !ok {
				t.Fatal("nobody has said what it is to allow")
			}
			f, err := os.Open(path)
			check(t, err)
			defer f.Close()
			d := json.NewDecoder(f)
			d.DisallowUnknownFields()
			var p policy
			check(t, d.Decode(&p))
			var allows words
			for _, s := range p.Statement {
				if p.Version != "2012-10-17" || s.Effect != "Allow" || s.Sid == "" {
					t.Errorf("statement %+v", s)
				}
				allows = append(allows, s.Action...)
				if slices.Contains(s.Resource, "*") && name != "lookup.json" {
					t.Errorf("%s allows %v of everything", s.Sid, s.Action)
				}
				if strings.HasPrefix(name, "trust-") == (s.Resource != nil) {
					t.Errorf("%s: resources are %v", s.Sid, s.Resource)
				}
				if tc.condition != "" && !strings.Contains(fmt.Sprint(s.Condition), tc.condition) {
					t.Errorf("%s has no condition on %s: %v", s.Sid, tc.condition, s.Condition)
				}
			}
			if diff := cmp.Diff(tc.allows, allows); diff != "" {
				t.Errorf("%s\nIt allows (-want, +got):\n%s", tc.reason, diff)
			}
		})
	}
	if len(files) != len(cases)+1 {
		t.Errorf("%d files, %d policies and a pattern are expected", len(files), len(cases))
	}
}

// TestCalls compares the policies of the exporter's role with the requests that its source makes.
func TestCalls(t *testing.T) {
	allows := map[string]bool{}
	for _, name := range []string{"lookup", "s3-queue", "s3-list", "eventbridge", "assume"} {
		path, err := manifests.Dir("iam", name+".json")
		check(t, err)
		text, err := os.ReadFile(path)
		check(t, err)
		var p policy
		check(t, json.Unmarshal(text, &p))
		for _, s := range p.Statement {
			for _, action := range s.Action {
				allows[action] = true
			}
		}
	}
	// S3 asks for it when it gives out a file that is encrypted with a key.
	delete(allows, "kms:Decrypt")

	calls := map[string]bool{}
	dir, err := manifests.Dir("..", "internal", "cloud", "aws")
	check(t, err)
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	check(t, err)
	request := regexp.MustCompile(`\b(cloudtrail|s3|sqs|sts)\.(\w+)Input\b`)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		check(t, err)
		for _, m := range request.FindAllStringSubmatch(string(text), -1) {
			// A batch takes the right to do one, and so does ListObjectsV2 the one named after what is listed.
			action := m[1] + ":" + strings.TrimSuffix(m[2], "Batch")
			calls[strings.Replace(action, "s3:ListObjectsV2", "s3:ListBucket", 1)] = true
		}
		if strings.Contains(string(text), "stscreds.NewAssumeRoleProvider(") {
			calls["sts:AssumeRole"] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(calls)), slices.Sorted(maps.Keys(allows))); diff != "" {
		t.Errorf("the policies allow something else than what is called (-called, +allowed):\n%s", diff)
	}
}

// TestTerraform parses the Terraform, as Terraform does, and looks for what is referred to and not there.
func TestTerraform(t *testing.T) {
	root, err := manifests.Dir("terraform")
	check(t, err)
	modules := make(map[string][]string)
	check(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".tf" {
			modules[filepath.Dir(path)] = append(modules[filepath.Dir(path)], path)
		}
		return err
	}))
	if len(modules) != 2 {
		t.Fatalf("modules: %v", modules)
	}
	for dir, files := range modules {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			declared := map[string]bool{"each.value": true}
			var bodies []*hclsyntax.Body
			for _, path := range files {
				text, err := os.ReadFile(path)
				check(t, err)
				if formatted := hclwrite.Format(text); string(formatted) != string(text) {
					t.Errorf("terraform fmt would change %s:\n%s", filepath.Base(path), cmp.Diff(string(text), string(formatted)))
				}
				f, diagnostics := hclparse.NewParser().ParseHCL(text, filepath.Base(path))
				if diagnostics.HasErrors() {
					t.Fatal(diagnostics)
				}
				body := f.Body.(*hclsyntax.Body)
				bodies = append(bodies, body)
				for _, b := range body.Blocks {
					switch b.Type {
					case "variable":
						declared["var."+b.Labels[0]] = true
					case "resource":
						declared[b.Labels[0]+"."+b.Labels[1]] = true
					case "data":
						declared["data."+b.Labels[0]+"."+b.Labels[1]] = true
					case "locals":
						for name := range b.Body.Attributes {
							declared["local."+name] = true
						}
					}
				}
			}
			used := make(map[string]bool)
			for _, body := range bodies {
				refer(t, body, declared, used)
			}
			for name := range declared {
				if !used[name] && name != "each.value" && !strings.HasPrefix(name, "aws_") {
					t.Errorf("%s is not used", name)
				}
			}
		})
	}
}

// refer notes what a body refers to, all of which has to be declared.
func refer(t *testing.T, body *hclsyntax.Body, declared, used map[string]bool) {
	t.Helper()
	for name, a := range body.Attributes {
		if name == "type" && a.Expr.Range().Filename == "variables.tf" {
			continue // of a variable: the names of types
		}
		for _, v := range a.Expr.Variables() {
			parts := []string{v.RootName()}
			for _, step := range v[1:] {
				if attribute, ok := step.(hcl.TraverseAttr); ok {
					parts = append(parts, attribute.Name)
				}
			}
			n := 2
			if parts[0] == "data" {
				n = 3
			}
			if len(parts) < n {
				continue // a type, in `type = string`
			}
			reference := strings.Join(parts[:n], ".")
			if !declared[reference] {
				t.Errorf("%s refers to %s, which is not there", a.Range(), reference)
			}
			used[reference] = true
		}
	}
	for _, b := range body.Blocks {
		refer(t, b.Body, declared, used)
	}
}
