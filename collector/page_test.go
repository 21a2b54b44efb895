package collector

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/html"

	"crossplane-exporter/internal/kube/kubetest"
)

func TestPage(t *testing.T) {
	const (
		crd      = "instances.rds.aws.upbound.io"
		instance = "apiVersion: rds.aws.upbound.io/v1beta1\nkind: Instance\n"
	)
	tests := map[string]struct {
		reason  string
		happens func(*world)
		want    []string // parts of the page's text
	}{
		"empty": {
			reason:  "Nothing to complain of is said in so many words.",
			happens: func(*world) {},
			want:    []string{"0 objects of 0 kinds, 0 not well.", "Nothing: every object that is watched is well."},
		},
		"unreachable": {
			reason:  "Nothing known is not nothing wrong.",
			happens: func(w *world) { w.do(w.Answer("", kubetest.Unreachable)) },
			want:    []string{"Not ready: the cluster at http://cluster.test cannot be read yet", "Nothing is known yet."},
		},
		"well": {
			reason: "What is well is counted and not listed.",
			happens: func(w *world) {
				w.define(crd + "/v1beta1 Instance managed")
				w.do(w.Apply(instance + "metadata: {name: orders}\nstatus: {conditions: [{type: Ready, status: \"True\"}]}\n"))
			},
			want: []string{"1 objects of 1 kinds, 0 not well.", "managed 1 0", "Nothing: every object that is watched is well."},
		},
		"unwell": {
			reason: "What is wrong, since when, why, and whose it is.",
			happens: func(w *world) {
				w.define(crd + "/v1beta1 Instance managed")
				w.do(w.Apply(`{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: sales}}}`))
				w.do(w.Apply(instance + `
metadata: {name: orders, namespace: shop}
status:
  conditions:
  - {type: Ready, status: "True"}
  - {type: Synced, status: "False", reason: ReconcileError, message: "api error AccessDenied: no", lastTransitionTime: "2027-01-15T06:30:00Z"}
---
` + instance + `metadata: {name: gone, deletionTimestamp: "2027-01-13T07:00:00Z", finalizers: [a, b]}
---
` + instance + `metadata: {name: paused, creationTimestamp: "2027-01-15T07:59:30Z", annotations: {crossplane.io/paused: "true"}}
---
` + instance + `metadata: {name: incomplete, annotations: {crossplane.io/external-create-pending: "2027-01-15T07:30:00Z"}}
---
` + instance + `metadata: {name: new}
`))
			},
			want: []string{
				"5 objects of 1 kinds, 5 not well.",
				"Instance shop/orders rds.aws.upbound.io sales Synced False ReconcileError 1h 30m denied api error AccessDenied: no",
				"Instance gone rds.aws.upbound.io - deleting held by more than one finalizer 2d 1h",
				"Instance paused rds.aws.upbound.io - paused 30s",
				"Instance incomplete rds.aws.upbound.io - create incomplete a person must look",
				"Instance new rds.aws.upbound.io - not ready it has no Ready condition",
			},
		},
		"unreadable": {
			reason: "What cannot be seen, and why.",
			happens: func(w *world) {
				w.do(w.Answer(crd, 403))
				w.define(crd + "/v1beta1 Instance managed")
			},
			want: []string{"Cannot be seen", "Instance rds.aws.upbound.io", "forbidden"},
		},
		"hostile": {
			reason: "Who may name a condition or write a message must not be able to run a script in the browser of someone on call.",
			happens: func(w *world) {
				w.define(crd + "/v1beta1 Instance managed")
				w.do(w.Apply(instance + `
metadata: {name: "</td><script>alert(1)</script>", labels: {team: "\"><img src=x onerror=alert(2)>"}}
status:
  conditions:
  - {type: Synced, status: "False", reason: "<b onclick=alert(3)>", message: "<a href=\"javascript:alert(4)\">{{.}}</a><FF>"}
`))
			},
			want: []string{
				"</td><script>alert(1)</script>", `"><img src=x onerror=alert(2)>`, "<b onclick=alert(3)>",
				`<a href="javascript:alert(4)">{{.}}</a>` + "\uFFFD",
			},
		},
		"many": {
			reason: "A page is for reading: the latest, and how many there are in all.",
			happens: func(w *world) {
				w.define(crd + "/v1beta1 Instance managed")
				var b strings.Builder
				for i := range maxRows + 1 {
					fmt.Fprintf(&b, "---\n"+instance+"metadata: {name: n%03d, creationTimestamp: %q}\n", i, morning.Add(-time.Duration(i)*time.Hour).Format(time.RFC3339))
				}
				w.do(w.Apply(b.String()))
			},
			want: []string{"201 not well.", "The 200 latest of 201.", "Instance n000", "Instance n199"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := worldOf(t, &kubetest.Server{}, Config{TeamLabel: "team"}, tc.happens)
				rec := w.get("/")
				if rec.Code != http.StatusOK {
					t.Fatalf("status %d: %s", rec.Code, rec.Body)
				}
				for header, want := range map[string]string{
					"Content-Type":            "text/html; charset=utf-8",
					"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
				} {
					if got := rec.Header().Get(header); got != want {
						t.Errorf("%s: %q, want %q", header, got, want)
					}
				}
				text := pageText(t, rec.Body.String())
				for _, part := range tc.want {
					if !strings.Contains(text, part) {
						t.Errorf("\n%s\nthe page does not say %q:\n%s", tc.reason, part, text)
					}
				}
			})
		})
	}
}

// pageText is the words of a page, as a browser understands it. It fails for a page that runs, or loads, anything.
func pageText(t *testing.T, page string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range doc.Descendants() {
		switch n.Type {
		case html.TextNode:
			if n.Parent.Data != "style" {
				b.WriteString(n.Data)
				b.WriteByte(' ')
			}
		case html.ElementNode:
			switch n.Data {
			case "script", "img", "iframe", "object", "embed", "link", "svg", "form":
				t.Errorf("the page has a <%s>", n.Data)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "src" || a.Key == "href" && !strings.HasPrefix(a.Val, "/") {
					t.Errorf("the page has a %s=%q", a.Key, a.Val)
				}
			}
		}
	}
	return strings.ReplaceAll(strings.Join(strings.Fields(b.String()), " "), " .", ".")
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                    "0s",
		0:                               "0s",
		59 * time.Second:                "59s",
		61 * time.Second:                "1m 1s",
		time.Hour + 59*time.Second:      "1h 0m",
		25*time.Hour + 30*time.Minute:   "1d 1h",
		1000*24*time.Hour + time.Minute: "1000d 0h",
	} {
		if got := age(d); got != want {
			t.Errorf("age(%s) = %q, want %q", d, got, want)
		}
	}
}
