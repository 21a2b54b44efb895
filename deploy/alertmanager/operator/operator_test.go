// Package operator_test has Prometheus Operator put the AlertmanagerConfig into Alertmanager's configuration, as it would on a
// cluster, and compares the outcome with the plain form.
package operator_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blang/semver/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus-operator/prometheus-operator/pkg/alertmanager"
	"github.com/prometheus-operator/prometheus-operator/pkg/alertmanager/validation/v1alpha1"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	monitoringv1alpha1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1"
	"github.com/prometheus-operator/prometheus-operator/pkg/assets"
	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/inhibit"
	commoncfg "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"sigs.k8s.io/yaml"
)

// secrets are the Secret's, and what files of the plain form have.
var secrets = map[string]string{
	"slack-url":    "https://slack.com/api/chat.postMessage",
	"slack-token":  "xoxb-token",
	"pager-key":    "genie-key",
	"watchdog-url": "https://watchdog.example.org/ping/1f1b1c2d",
}

// base is what stands there before the AlertmanagerConfig is put into it: what the plain form has for all other alerts, and the inhibit
// rules that kube-prometheus-stack has by default.
const base = `
templates: ["templates/*.tmpl"]
route: {receiver: default}
receivers: [{name: default}]
inhibit_rules:
  - source_matchers: [severity = critical]
    target_matchers: ["severity =~ warning|info"]
    equal: [namespace, alertname]
  - source_matchers: [severity = warning]
    target_matchers: [severity = info]
    equal: [namespace, alertname]
  - source_matchers: [alertname = InfoInhibitor]
    target_matchers: [severity = info]
    equal: [namespace]
  - target_matchers: [alertname = InfoInhibitor]
`

// pagers are where the AlertmanagerConfig for each pager is, and the plain form.
var pagers = map[string]string{"opsgenie": "..", "jsm": filepath.Join("testdata", "jsm"), "pagerduty": filepath.Join("testdata", "pagerduty")}

// TestSameAsPlain compares the two forms, whatever the operator's strategy as long as it is one that works.
func TestSameAsPlain(t *testing.T) {
	for pager, dir := range pagers {
		want := plain(t, dir)
		for _, strategy := range []monitoringv1.AlertmanagerConfigMatcherStrategyType{
			monitoringv1.NoneConfigMatcherStrategyType,
			monitoringv1.OnNamespaceExceptForAlertmanagerNamespaceConfigMatcherStrategyType,
		} {
			t.Run(pager+"/"+string(strategy), func(t *testing.T) {
				got := built(t, dir, strategy)
				got["inhibit_rules"] = got["inhibit_rules"].([]any)[len(normal(t, []byte(base))["inhibit_rules"].([]any)):]
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("Alertmanager's configuration (-plain +of the AlertmanagerConfig):\n%s", diff)
				}
			})
		}
	}
}

// TestWatchdog sees that no inhibit rule is of the watchdog: neither ours, nor one that was there before.
func TestWatchdog(t *testing.T) {
	watchdog := model.LabelSet{"alertname": "CrossplaneWatchdog", "severity": severity(t, "CrossplaneWatchdog")}
	var cfg config.Config
	text, err := yaml.Marshal(map[string]any{"inhibit_rules": built(t, "..", monitoringv1.NoneConfigMatcherStrategyType)["inhibit_rules"]})
	check(t, err)
	check(t, yaml.Unmarshal(text, &cfg))
	for _, r := range cfg.InhibitRules {
		if inhibit.NewInhibitRule(r).TargetMatchers.Matches(watchdog) {
			t.Errorf("%v is muted by %v", watchdog, r.SourceMatchers)
		}
	}
}

// severity is the one that an alert's rule gives it.
func severity(t *testing.T, alert string) model.LabelValue {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "alerts", "alerts.yaml"))
	check(t, err)
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert  string
				Labels map[string]model.LabelValue
			}
		}
	}
	check(t, yaml.Unmarshal(text, &file))
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert == alert {
				return r.Labels["severity"]
			}
		}
	}
	t.Fatalf("there is no alert %s", alert)
	return ""
}

// TestNamespaceTrap shows what happens by default, so that nobody has to find out: only alerts of one namespace are routed.
func TestNamespaceTrap(t *testing.T) {
	cfg := built(t, "..", monitoringv1.OnNamespaceConfigMatcherStrategyType)
	rules := cfg["inhibit_rules"].([]any) // Those that were there before come first.
	for what, matchers := range map[string]any{
		"route":        cfg["route"].(map[string]any)["routes"].([]any)[0].(map[string]any)["matchers"],
		"inhibit rule": rules[len(rules)-1].(map[string]any)["source_matchers"],
	} {
		if !slices.Contains(matchers.([]any), any(`namespace="monitoring"`)) {
			t.Errorf("%s: got %v, want a matcher of the namespace: then what the AlertmanagerConfig says of it is not true any more", what, matchers)
		}
	}
}

// built is Alertmanager's configuration as the operator makes it of the AlertmanagerConfig in a directory.
func built(t *testing.T, dir string, strategy monitoringv1.AlertmanagerConfigMatcherStrategyType) map[string]any {
	t.Helper()
	var amc monitoringv1alpha1.AlertmanagerConfig
	text := read(t, filepath.Join(dir, "alertmanagerconfig.yaml"))
	check(t, yaml.UnmarshalStrict(text, &amc))
	check(t, v1alpha1.ValidateAlertmanagerConfig(&amc))

	client := fake.NewClientset(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "crossplane-alertmanager", Namespace: amc.Namespace}, Data: data(),
	})
	am := &monitoringv1.Alertmanager{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: amc.Namespace}}
	am.Spec.AlertmanagerConfigMatcherStrategy.Type = strategy
	b := alertmanager.NewConfigBuilder(slog.New(slog.DiscardHandler), semver.MustParse("0.28.1"), assets.NewStoreBuilder(client.CoreV1(), client.CoreV1()), am)
	check(t, b.InitializeFromRawConfiguration([]byte(base)))
	check(t, b.AddAlertmanagerConfigs(t.Context(), map[string]*monitoringv1alpha1.AlertmanagerConfig{"crossplane": &amc}))
	out, err := b.MarshalJSON() // It is YAML.
	check(t, err)
	// The operator names things after the AlertmanagerConfig, and goes on after its routes.
	out = bytes.ReplaceAll(out, []byte(amc.Namespace+"/"+amc.Name+"/"), nil)
	cfg := normal(t, out)
	route := cfg["route"].(map[string]any)["routes"].([]any)[0].(map[string]any)
	if route["continue"] != true {
		t.Error("the operator does not go on after the AlertmanagerConfig's route: then what is said there of it is not true any more")
	}
	route["continue"] = false
	return cfg
}

// plain is the plain form in a directory, with secrets in place of files.
func plain(t *testing.T, dir string) map[string]any {
	t.Helper()
	text := string(read(t, filepath.Join(dir, "alertmanager.yml")))
	for key, value := range secrets {
		for _, field := range []string{"credentials", "api_key", "routing_key", "url"} {
			text = strings.ReplaceAll(text, field+"_file: /etc/alertmanager/secrets/crossplane-alertmanager/"+key, field+": "+value)
		}
	}
	return normal(t, []byte(text))
}

// normal is what Alertmanager holds after it has read a configuration, with all defaults.
func normal(t *testing.T, text []byte) map[string]any {
	t.Helper()
	cfg, err := config.Load(string(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	commoncfg.MarshalSecretValue = true
	// Muted and active time intervals were two lists once.
	for _, i := range cfg.MuteTimeIntervals {
		cfg.TimeIntervals = append(cfg.TimeIntervals, config.TimeInterval(i))
	}
	cfg.MuteTimeIntervals = nil
	out, err := yaml.YAMLToJSON([]byte(cfg.String()))
	check(t, err)
	var all map[string]any
	check(t, json.Unmarshal(out, &all))
	return all
}

func data() map[string][]byte {
	d := make(map[string][]byte)
	for k, v := range secrets {
		d[k] = []byte(v)
	}
	return d
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	check(t, err)
	return text
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
