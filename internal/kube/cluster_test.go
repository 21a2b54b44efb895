package kube

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
)

// moved expects that nothing was asked of the server but about this path.
func (w *world) moved(reason, path string) {
	w.t.Helper()
	for _, request := range w.wire.asked() {
		if !strings.HasSuffix(request, " "+path) {
			w.t.Errorf("%s\nanother kind was asked for: %s", reason, request)
		}
	}
}

func TestDefinitions(t *testing.T) {
	inBubble := func(name string, test func(t *testing.T, w *world)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.do(w.Apply(instanceCRD().String() + instance("db", "True")))
				w.begin()
				w.calls(instanceKind)
				w.wire.asked()
				test(t, w)
				w.expect("Another kind should not notice.", instanceKind)
				if s := w.status(instanceKind); s.Restarts != 0 || !s.Current || s.Err != nil {
					t.Errorf("another kind should not notice, got %+v", s)
				}
			})
		})
	}

	inBubble("Installed", func(t *testing.T, w *world) {
		begun := time.Now()
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		w.expect("A kind that is installed is watched.", vpcKind, "replace a Ready=True")
		if d := time.Since(begun); d > 0 {
			t.Errorf("it should be so at once, not after %v", d)
		}
		w.moved("A kind that is installed", vpcPath)
		if err := w.Ready(); err != nil {
			t.Errorf("want a Cluster that stays ready, got %v", err)
		}
		w.logged("It is not worth a line.")
	})

	inBubble("InstalledAndServedLater", func(t *testing.T, w *world) {
		w.wire.answer(vpcPath, func(*http.Request) (*http.Response, error) {
			return respond(http.StatusNotFound, "text/plain", "404 page not found"), nil
		})
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		if err := w.Ready(); err != nil {
			t.Errorf("a Cluster that was ready should stay so when a kind is installed, got %v", err)
		}
		w.wire.answer(vpcPath, nil)
		w.pass(600 * time.Millisecond) // the first backoff and its jitter, and a little
		w.expect("An API server serves a kind a moment after it has said so.", vpcKind, "replace a Ready=True")
		w.logged("That is not worth a line.")
	})

	inBubble("InstalledAndSlow", func(t *testing.T, w *world) {
		w.wire.answer(vpcPath, func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		if err := w.Ready(); err != nil {
			t.Fatal(err)
		}
		w.do(w.Apply(vpcCRD().String()))
		if s := w.status(vpcKind); s.Answered() {
			t.Errorf("a kind of which nothing was heard has not answered, got %+v", s)
		}
		if err := w.Ready(); err != nil {
			t.Errorf("a Cluster that was ready should stay so when a kind is installed, got %v", err)
		}
	})

	inBubble("EstablishedLater", func(t *testing.T, w *world) {
		d := vpcCRD()
		d.established = false
		w.do(w.Apply(d.String()))
		if w.store(vpcKind) != nil {
			t.Error("a kind that is not established should not be watched")
		}
		w.moved("A kind that is not established", vpcPath)
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		w.expect("Once it is established it should be.", vpcKind, "replace a Ready=True")
		w.do(w.Apply(d.String()))
		w.do(w.Apply(vpc("a", "False")))
		w.expect("One that is no longer established is not forgotten for that.", vpcKind, "set a Ready=False")
	})

	inBubble("Removed", func(t *testing.T, w *world) {
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		m := w.store(vpcKind)
		w.calls(vpcKind)
		w.do(w.Delete(vpcCRD().String()))
		w.pass(time.Minute)
		if !m.closed {
			t.Error("the store of a kind that is removed should be closed")
		}
		if calls := w.calls(vpcKind); calls[len(calls)-1] != "close" {
			t.Errorf("nothing should be told after Close, got %q", calls)
		}
		if got, want := w.watched(), []string{instanceKind}; !slices.Equal(got, want) {
			t.Errorf("watched: want %q, got %q", want, got)
		}
		w.moved("A kind that is removed", vpcPath)
		w.pass(time.Hour)
		if asked := slices.DeleteFunc(w.wire.asked(), func(s string) bool { return strings.HasSuffix(s, crdPath) }); len(asked) > 0 {
			t.Errorf("a kind that is removed should not be asked for, got %q", asked)
		}
		w.logged("It is not worth a line.")

		w.do(w.Apply(vpcCRD().String() + vpc("b", "True")))
		w.expect("One that comes back has a new store.", vpcKind, "replace b Ready=True")
	})

	inBubble("RemovedUnseen", func(t *testing.T, w *world) {
		w.do(w.Apply(vpcCRD().String()))
		m := w.store(vpcKind)
		w.pass(time.Minute)
		w.wire.stream(crdPath).deaf()
		w.do(w.Delete(vpcCRD().String()))
		w.do(w.Forget(strings.ReplaceAll("customresourcedefinitions.G", "G", "apiextensions.k8s.io")))
		w.pass(time.Minute)
		if !m.closed || len(w.watched()) != 1 {
			t.Errorf("a kind that was removed while nobody looked should be found out, watched: %q", w.watched())
		}
	})

	inBubble("VersionNoLongerServed", func(t *testing.T, w *world) {
		both := vpcCRD().serving(version{"v1beta1", true, false}, version{"v1", true, true})
		w.do(w.Apply(both.String() + vpc("a", "True")))
		old := w.store(vpcKind)
		w.wire.asked()
		w.do(w.Apply(vpcCRD().serving(version{"v1beta1", true, true}, version{"v1", false, false}).String()))
		w.pass(time.Minute)
		if !old.closed {
			t.Error("the store of the version that is no longer served should be closed")
		}
		w.expect("The version that is served should be watched instead.", vpcKind, "replace a Ready=True")
		if got := w.status(vpcKind); got.Kind.Version != "v1beta1" || !got.Current {
			t.Errorf("want version v1beta1, got %+v", got)
		}
		w.logged("It is not worth a line.")
	})

	inBubble("NoVersionServed", func(t *testing.T, w *world) {
		w.do(w.Apply(vpcCRD().String()))
		w.do(w.Apply(vpcCRD().serving(version{"v1", false, true}).String()))
		w.pass(time.Minute)
		if got, want := w.watched(), []string{instanceKind}; !slices.Equal(got, want) {
			t.Errorf("a kind none of whose versions is served should not be watched: want %q, got %q", want, got)
		}
	})

	inBubble("AnotherVersionServed", func(t *testing.T, w *world) {
		w.do(w.Apply(vpcCRD().String()))
		w.wire.asked()
		w.calls(vpcKind)
		w.do(w.Apply(vpcCRD().serving(version{"v1", true, true}, version{"v2", true, false}).String()))
		if len(w.stores[vpcKind]) != 1 {
			t.Error("a version beside the one that is watched is no reason to read all anew")
		}
	})

	inBubble("CategoryChanged", func(t *testing.T, w *world) {
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		old := w.store(vpcKind)
		w.do(w.Apply(crd("vpcs", ec2, "VPC", "composite").String()))
		if !old.closed {
			t.Error("the store of the old category should be closed")
		}
		w.expect("A kind whose category has changed is read anew.", vpcKind, "replace a Ready=True")
		if got := w.store(vpcKind).kind.Category; got != Composite {
			t.Errorf("category: want %q, got %q", Composite, got)
		}
		w.do(w.Apply(crd("vpcs", ec2, "VPC").String()))
		if got, want := w.watched(), []string{instanceKind}; !slices.Equal(got, want) {
			t.Errorf("a kind without a category that matters should not be watched: want %q, got %q", want, got)
		}
	})

	inBubble("ChangedOtherwise", func(t *testing.T, w *world) {
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		w.calls(vpcKind)
		w.wire.asked()
		for range 3 {
			w.do(w.Apply(vpcCRD().String()))
		}
		w.expect("A definition that changes in a way that does not matter is not noticed.", vpcKind)
		if asked := w.wire.asked(); len(asked) > 0 {
			t.Errorf("nothing should be asked for it, got %q", asked)
		}
	})

	inBubble("TwoOfOneName", func(_ *testing.T, w *world) {
		namespaced := crd("vpcs", "ec2.aws.m.upbound.io", "VPC", "managed")
		w.do(w.Apply(vpcCRD().String() + namespaced.String() + vpc("a", "True") + object("ec2.aws.m.upbound.io", "VPC", "a", "False")))
		w.expect("Two kinds of one name in two groups are two kinds.", vpcKind, "replace a Ready=True")
		w.expect("Two kinds of one name in two groups are two kinds.", "ec2.aws.m.upbound.io/VPC", "replace a Ready=False")
		w.do(w.Delete(namespaced.String()))
		w.pass(time.Minute)
		w.do(w.Apply(vpc("a", "False")))
		w.expect("The one goes on without the other.", vpcKind, "set a Ready=False")
	})
}

func TestSelection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewSelection([]string{"example.org/Widget", "backup.example.org"}, []string{"*.azure.upbound.io/*", "*/ProviderConfig"})
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, func(c *Config) { c.Select = s })
		var all strings.Builder
		for _, d := range []definitionYAML{
			vpcCRD(),
			crd("accounts", "storage.azure.upbound.io", "Account", "managed"),
			crd("networks", "example.org", "Network", "composite"),
			crd("networkclaims", "example.org", "NetworkClaim", "claim"),
			crd("widgets", "example.org", "Widget"),
			crd("gadgets", "example.org", "Gadget"),
			crd("plans", "backup.example.org", "Plan", "all"),
			crd("providers", "pkg.crossplane.io", "Provider", "crossplane", "pkg"),
			crd("imageconfigs", "pkg.crossplane.io", "ImageConfig", "crossplane"),
			crd("providerconfigs", "aws.upbound.io", "ProviderConfig"),
			crd("clusterproviderconfigs", "aws.m.upbound.io", "ClusterProviderConfig"),
			crd("providerconfigusages", "aws.upbound.io", "ProviderConfigUsage"),
			crd("compositions", "apiextensions.crossplane.io", "Composition"),
			crd("kustomizations", "kustomize.toolkit.fluxcd.io", "Kustomization"),
			crd("applications", "argoproj.io", "Application"),
			crd("workflows", "argoproj.io", "Workflow"),
			crd("certificaterequests", "cert-manager.io", "CertificateRequest"),
			crd("certificates", "cert-manager.io", "Certificate"),
			crd("usages", "protection.crossplane.io", "Usage"),
			crd("operations", "ops.crossplane.io", "Operation"),
			crd("gateways", "gateway.networking.k8s.io", "Gateway"),
			crd("httproutes", "gateway.networking.k8s.io", "HTTPRoute"),
		} {
			all.WriteString(d.String())
		}
		w.do(w.Apply(all.String()))
		w.begin()
		got := map[string]Category{}
		for _, s := range w.Kinds() {
			got[s.Kind.String()] = s.Kind.Category
		}
		want := map[string]Category{
			"ec2.aws.upbound.io/VPC":                    Managed,
			"example.org/Network":                       Composite,
			"example.org/NetworkClaim":                  Claim,
			"example.org/Widget":                        Other,
			"backup.example.org/Plan":                   Other,
			"pkg.crossplane.io/Provider":                Package,
			"pkg.crossplane.io/ImageConfig":             Configuration,
			"aws.m.upbound.io/ClusterProviderConfig":    Configuration,
			"apiextensions.crossplane.io/Composition":   Definition,
			"kustomize.toolkit.fluxcd.io/Kustomization": GitOps,
			"argoproj.io/Application":                   GitOps,
			"cert-manager.io/Certificate":               Certificate,
			"protection.crossplane.io/Usage":            Policy,
			"ops.crossplane.io/Operation":               Operation,
			"gateway.networking.k8s.io/Gateway":         Gateway,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("what is watched: -want, +got:\n%s", diff)
		}
	})
}

func TestCategory(t *testing.T) {
	cases := map[string]struct {
		reason           string
		include, exclude []string
		d                definition
		want             Category
		watched          bool
	}{
		"Nothing":       {"A kind that says nothing of itself is not watched.", nil, nil, definition{group: "example.org", kind: "A"}, Other, false},
		"Include":       {"It is if it is included.", []string{"example.org/A"}, nil, definition{group: "example.org", kind: "A"}, Other, true},
		"IncludeGroup":  {"A glob without a slash means all kinds of a group.", []string{"example.*"}, nil, definition{group: "example.org", kind: "A"}, Other, true},
		"IncludeAll":    {"A star means everything.", []string{"*"}, nil, definition{group: "a.b.example.org", kind: "A"}, Other, true},
		"IncludeKnown":  {"What has a category keeps it when it is included.", []string{"*"}, nil, definition{group: "example.org", kind: "A", categories: []string{"managed"}}, Managed, true},
		"IncludeKept":   {"What is kept out can be included.", []string{"*/ProviderConfigUsage"}, nil, definition{group: "aws.upbound.io", kind: "ProviderConfigUsage"}, Other, true},
		"Exclude":       {"What is excluded is not watched.", nil, []string{"example.org/A"}, definition{group: "example.org", kind: "A", categories: []string{"managed"}}, "", false},
		"ExcludeWins":   {"Exclude goes before include.", []string{"example.org"}, []string{"example.org/A"}, definition{group: "example.org", kind: "A"}, "", false},
		"ExcludeOthers": {"A glob does not match a part.", nil, []string{"example.org/A"}, definition{group: "example.org", kind: "AB", categories: []string{"claim"}}, Claim, true},
		"FirstCategory": {"The first category that matters counts.", nil, nil, definition{group: "example.org", kind: "A", categories: []string{"all", "composite", "managed"}}, Composite, true},
		"BeforeTable":   {"What a definition says goes before the table.", nil, nil, definition{group: "pkg.crossplane.io", kind: "A", categories: []string{"managed"}}, Managed, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, err := NewSelection(tc.include, tc.exclude)
			if err != nil {
				t.Fatal(err)
			}
			if got, watched := s.category(&tc.d); got != tc.want || watched != tc.watched {
				t.Errorf("%s\ncategory(): want %q, %t, got %q, %t", tc.reason, tc.want, tc.watched, got, watched)
			}
		})
	}
}

func TestNewSelection(t *testing.T) {
	for _, glob := range []string{"[", "example.org/[a", `example.org/\`, "a[/b"} {
		for name, globs := range map[string][2][]string{"include": {{"fine", glob}, nil}, "exclude": {nil, {"fine", glob}}} {
			_, err := NewSelection(globs[0], globs[1])
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", glob)) {
				t.Errorf("%s %q should be refused with an error that names it, got %v", name, glob, err)
			}
		}
	}
	include := []string{"example.org"}
	if _, err := NewSelection(include, nil); err != nil || include[0] != "example.org" {
		t.Errorf("NewSelection should leave its arguments alone, got %q, %v", include, err)
	}
}

// TestPlatformTable is why the errors of its globs may be passed over.
func TestPlatformTable(t *testing.T) {
	var globs []string
	for _, row := range platform {
		globs = append(globs, row.match)
		if !strings.Contains(row.match, "/") {
			t.Errorf("%q is no group/kind", row.match)
		}
	}
	if _, err := NewSelection(globs, nil); err != nil {
		t.Error(err)
	}
}

func TestWatched(t *testing.T) {
	for name, tc := range map[string]struct {
		reason   string
		versions []version
		want     string
	}{
		"None":           {"Without versions there is none to watch.", nil, ""},
		"NotServed":      {"A version that is not served cannot be watched.", []version{{"v1", false, true}}, ""},
		"Storage":        {"The version objects are stored in needs no conversion.", []version{{"v1beta1", true, false}, {"v1beta2", true, true}, {"v1", true, false}}, "v1beta2"},
		"StorageMissing": {"If it is not served, the first that is will do.", []version{{"v1alpha1", false, false}, {"v1", true, false}, {"v2", false, true}, {"v3", true, false}}, "v1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (&definition{versions: tc.versions}).watched(); got != tc.want {
				t.Errorf("%s\nwatched(): want %q, got %q", tc.reason, tc.want, got)
			}
		})
	}
}

func TestTeams(t *testing.T) {
	namespace := func(name, team string) string {
		return fmt.Sprintf("---\n{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {%s: '%s'}}}\n", name, teamLabel, team)
	}
	eachWay(t, func(t *testing.T, change func(*world)) {
		w := newWorld(t, func(c *Config) { c.TeamLabel = teamLabel })
		change(w)
		told := func() []string {
			w.mu.Lock()
			defer w.mu.Unlock()
			told := w.told
			w.told = nil
			slices.Sort(told)
			return told
		}
		expect := func(reason string, teams map[string]string, want ...string) {
			t.Helper()
			for namespace, team := range teams {
				if got := w.Team(namespace); got != team {
					t.Errorf("%s\nTeam(%q): want %q, got %q", reason, namespace, team, got)
				}
			}
			if got := told(); !slices.Equal(got, want) {
				t.Errorf("%s\nTeamChanged: want %q, got %q", reason, want, got)
			}
		}
		w.do(w.Apply(namespace("orders", "red") + namespace("billing", "blue") + "---\n{apiVersion: v1, kind: Namespace, metadata: {name: plain}}\n" +
			fmt.Sprintf("---\n{apiVersion: v1, kind: Namespace, metadata: {name: noted, annotations: {%s: green}}}\n", teamLabel)))
		w.begin()
		expect("Namespaces say their teams.", map[string]string{"orders": "red", "billing": "blue", "noted": "green", "plain": "", "absent": ""}, "billing", "noted", "orders")
		w.do(w.Apply(namespace("orders", "blue") + namespace("billing", "blue")))
		expect("Only a team that changes is told.", map[string]string{"orders": "blue", "billing": "blue"}, "orders")
		w.do(w.Apply("{apiVersion: v1, kind: Namespace, metadata: {name: orders}}"))
		expect("A label may go.", map[string]string{"orders": ""}, "orders")
		w.do(w.Delete("{apiVersion: v1, kind: Namespace, metadata: {name: billing}}"))
		expect("A namespace may go.", map[string]string{"billing": ""})
		w.pass(time.Minute)
		w.wire.stream("/api/v1/namespaces").deaf()
		w.do(w.Delete(namespace("noted", "")))
		w.do(w.Apply(namespace("plain", "red")))
		w.do(w.Forget("namespaces"))
		w.pass(time.Minute)
		expect("What changed while nobody looked is found out.", map[string]string{"noted": "", "plain": "red"}, "plain")
	})
}

func TestNoTeamLabel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.begin()
		if asked := w.wire.asked(); slices.ContainsFunc(asked, func(s string) bool { return strings.Contains(s, "namespaces") }) {
			t.Errorf("without a team label namespaces should not be asked for, got %q", asked)
		}
		if got := w.Team("orders"); got != "" {
			t.Errorf("want no team, got %q", got)
		}
	})
}

func TestDefinitionsForbidden(t *testing.T) {
	eachWay(t, func(t *testing.T, change func(*world)) {
		w := newWorld(t)
		change(w)
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		w.do(w.Answer("customresourcedefinitions.apiextensions.k8s.io", http.StatusForbidden))
		w.begin()
		w.pass(time.Hour)
		if err := w.Ready(); err == nil || !strings.Contains(err.Error(), "ClusterRole") || !strings.Contains(err.Error(), "CustomResourceDefinitions") {
			t.Errorf("a Cluster that may not see the definitions is not ready, and says what to do; got %v", err)
		}
		w.logged("It is said once.", "WARN ClusterRole customresourcedefinitions apiextensions.k8s.io")
		w.wire.setDown(errors.New("no route to host"))
		w.pass(time.Hour)
		w.logged("That the server is gone is another matter.", "WARN reached no route")
		w.wire.setDown(nil)
		w.pass(time.Minute)
		w.logged("A server that refuses is there.", "INFO again http://cluster.test")
		w.do(w.Answer("customresourcedefinitions.apiextensions.k8s.io", http.StatusInternalServerError))
		w.pass(time.Hour)
		if err := w.Ready(); err == nil || !strings.Contains(err.Error(), "http://cluster.test") {
			t.Errorf("a Cluster that cannot read the definitions is not ready, and says why; got %v", err)
		}
		w.do(w.Answer("customresourcedefinitions.apiextensions.k8s.io", 0))
		w.pass(time.Minute)
		if err := w.Ready(); err != nil {
			t.Errorf("once it may, it is ready, got %v", err)
		}
		w.expect("And the kinds are read.", vpcKind, "replace a Ready=True")
	})
}

func TestNewRefusesConfig(t *testing.T) {
	_, err := New(Config{REST: &rest.Config{Host: "https://cluster.test:notaport"}})
	if err == nil || !strings.Contains(err.Error(), "cluster.test:notaport") {
		t.Errorf("a configuration that cannot be used should be refused with its host, got %v", err)
	}
}

// TestNewborn has a kind served only some time after its definition says that it is.
func TestNewborn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.begin()
		var asked atomic.Int64
		w.wire.answer(vpcPath, func(*http.Request) (*http.Response, error) {
			asked.Add(1)
			return respond(http.StatusNotFound, "text/plain", "404 page not found"), nil
		})
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		w.pass(1700 * time.Millisecond)
		if asked.Load() == 0 {
			t.Fatal("The kind should have been asked for.")
		}
		w.wire.answer(vpcPath, nil)
		w.pass(300 * time.Millisecond)
		w.expect("Once it is served it is seen within a quarter of a second, not after a pause that has grown.", vpcKind, "replace a Ready=True")
	})
}
