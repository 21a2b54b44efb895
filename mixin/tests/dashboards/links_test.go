package dashboards

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-jsonnet"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// TestLinks follows every link of a value: to a dashboard that exists, with variables that it has, filled in with what is there where
// the link is.
func TestLinks(t *testing.T) {
	for variant, settings := range variants {
		all := render(t, settings)
		byUID := map[string]*Dashboard{}
		for _, d := range all {
			if byUID[deref(d.Uid)] != nil {
				t.Errorf("%s: uid %s is taken", d.File, deref(d.Uid))
			}
			byUID[deref(d.Uid)] = d
		}
		for _, d := range all {
			for _, p := range d.AllPanels() {
				for _, url := range urls(t, p) {
					t.Run(fmt.Sprintf("%s/%s/%s", variant, d.File, deref(p.Title)), func(t *testing.T) {
						uid, _, _ := strings.Cut(strings.TrimPrefix(url, "/d/"), "?")
						target := byUID[uid]
						if target == nil {
							t.Fatalf("%s leads nowhere", url)
						}
						for _, match := range regexp.MustCompile(`var-(\w+)=`).FindAllStringSubmatch(url, -1) {
							if !hasVariable(target, match[1]) {
								t.Errorf("%s: %s has no variable %s", url, target.File, match[1])
							}
						}
						for _, w := range unfilled(d, p, url) {
							t.Errorf("%s: %s", url, w)
						}
					})
				}
			}
			if len(d.Links) != 1 || d.Links[0].Type != dashboard.DashboardLinkTypeDashboards || !d.Links[0].IncludeVars || !d.Links[0].KeepTime {
				t.Errorf("%s has no menu of the dashboards that keeps what was chosen: %+v", d.File, d.Links)
			}
			for _, tag := range d.Links[0].Tags {
				if !strings.Contains(strings.Join(d.Tags, " "), tag) {
					t.Errorf("%s is not in its own menu: it has no tag %s", d.File, tag)
				}
			}
		}
	}
}

// urls are the addresses of all links of a panel's values.
func urls(t *testing.T, p dashboard.Panel) []string {
	t.Helper()
	raw, err := json.Marshal(p.FieldConfig)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, match := range regexp.MustCompile(`"url":"([^"]+)"`).FindAllStringSubmatch(string(raw), -1) {
		all = append(all, strings.ReplaceAll(match[1], `\u0026`, "&"))
	}
	return all
}

func hasVariable(d *Dashboard, name string) bool {
	for _, v := range d.Templating.List {
		if v.Name == name {
			return true
		}
	}
	return false
}

// unfilled is what a link takes from a row or a series that does not have it.
func unfilled(d *Dashboard, p dashboard.Panel, url string) []string {
	var all []string
	shown, _ := columnsOf(p)
	for _, match := range regexp.MustCompile(`\$\{__data\.fields\.(\w+)\}`).FindAllStringSubmatch(url, -1) {
		all = append(all, wrong(shown[match[1]], "the table has no column %s", match[1])...)
	}
	for _, match := range regexp.MustCompile(`\$\{__field\.labels\.(\w+)\}`).FindAllStringSubmatch(url, -1) {
		for _, target := range p.Targets {
			names, err := labelsOf(d, target.(*prometheus.Dataquery).Expr)
			all = append(all, wrong(err == nil && names[match[1]], "the series have no label %s", match[1])...)
		}
	}
	return all
}

// TestAlertLinks follows the links of alerts: each leads to a dashboard that exists, with variables that it has.
func TestAlertLinks(t *testing.T) {
	byUID := map[string]*Dashboard{}
	for _, d := range render(t, "{}") {
		byUID[deref(d.Uid)] = d
	}
	text, err := jsonnet.MakeVM().EvaluateAnonymousSnippet("alerts", "(import '../../mixin.libsonnet').prometheusAlerts")
	if err != nil {
		t.Fatal(err)
	}
	var alerts struct {
		Groups []struct {
			Rules []struct {
				Alert       string            `json:"alert"`
				Annotations map[string]string `json:"annotations"`
			} `json:"rules"`
		} `json:"groups"`
	}
	if err := json.Unmarshal([]byte(text), &alerts); err != nil {
		t.Fatal(err)
	}
	for _, g := range alerts.Groups {
		for _, a := range g.Rules {
			url := a.Annotations["dashboard_url"]
			_, path, _ := strings.Cut(url, "/d/")
			uid, _, _ := strings.Cut(path, "?")
			target := byUID[uid]
			if target == nil {
				t.Errorf("%s: %s leads nowhere", a.Alert, url)
				continue
			}
			for _, match := range regexp.MustCompile(`var-(\w+)=`).FindAllStringSubmatch(url, -1) {
				// A cluster can be chosen only where there are several.
				if !hasVariable(target, match[1]) && match[1] != "cluster" {
					t.Errorf("%s: %s has no variable %s", a.Alert, target.File, match[1])
				}
			}
		}
	}
}
