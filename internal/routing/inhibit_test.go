package routing

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/eventrecorder"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/alertmanager/provider/mem"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// TestInhibitions has Alertmanager's inhibitor decide, by the rendered rules, on alerts with the labels that the mixin gives them.
func TestInhibitions(t *testing.T) {
	type set = map[string]string
	object := set{"category": "managed", "group": "s3.aws.upbound.io", "kind": "Bucket", "name": "logs", "domain": "aws.upbound.io", "provider": "aws", "provider_config": "production"}
	causes := set{"category": "managed", "domain": "aws.upbound.io", "provider": "aws", "provider_config": "production"}
	provider := set{"category": "package", "group": "pkg.crossplane.io", "kind": "Provider", "name": "provider-aws-s3", "domain": "pkg.crossplane.io", "package": "provider-aws-s3", "provider": "aws"}
	with := func(base set, more ...string) set {
		l := set{}
		for k, v := range base {
			l[k] = v
		}
		for i := 0; i < len(more); i += 2 {
			l[more[i]] = more[i+1]
		}
		return l
	}
	named := func(name string, base set) set { return with(base, "alertname", name, "cluster", "production") }
	without := func(base set, name string) set { l := with(base); delete(l, name); return l }

	cases := map[string]struct {
		reason        string
		cause, effect set
		muted         bool
	}{
		"ExporterResources":   {"Without the exporter nothing is known of resources.", named("CrossplaneExporterAbsent", nil), named("CrossplaneManagedResourceNotReady", object), true},
		"ExporterCritical":    {"Nor of pages, but these have to be told when they end.", named("CrossplaneExporterAbsent", nil), with(named("CrossplaneManyResourcesUnwell", causes), "severity", "critical"), false},
		"ExporterItself":      {"What is the cause is told.", named("CrossplaneExporterAbsent", nil), named("CrossplaneExporterAbsent", nil), false},
		"ExporterCrossplane":  {"Crossplane's own metrics do not come from the exporter.", named("CrossplaneExporterAbsent", nil), named("CrossplaneDown", nil), false},
		"ExporterWatchdog":    {"Nothing may keep the watchdog from barking.", named("CrossplaneExporterAbsent", nil), named(Watchdog, nil), false},
		"ExporterOtherAlerts": {"What is not of Crossplane is none of its business.", named("CrossplaneExporterAbsent", nil), named("KubePodCrashLooping", nil), false},
		"ExporterElsewhere":   {"Another cluster has its own.", with(named("CrossplaneExporterAbsent", nil), "cluster", "staging"), named("CrossplaneManagedResourceNotReady", object), false},
		"OneCluster":          {"Without clusters all are one.", without(named("CrossplaneExporterAbsent", nil), "cluster"), without(named("CrossplaneManagedResourceNotReady", object), "cluster"), true},

		"DownPackage":  {"Crossplane itself looks after packages.", named("CrossplaneDown", nil), named("CrossplanePackageNotHealthy", provider), true},
		"DownManaged":  {"It does not look after managed resources.", named("CrossplaneDown", nil), named("CrossplaneManagedResourceNotSynced", object), false},
		"DownExporter": {"It is no reason for the exporter to be away.", named("CrossplaneDown", nil), named("CrossplaneExporterAbsent", nil), false},

		"ProviderMany":   {"Resources of one package are left out by the rules. A small package of a cloud must not keep what fails in all of that cloud from being told.", named("CrossplanePackageRuntimeNotHealthy", provider), named("CrossplaneManyResourcesUnwell", causes), false},
		"ProviderSingle": {"Nor what is known of a single resource.", named("CrossplanePackageNotHealthy", provider), named("CrossplaneManagedResourceNotReady", object), false},

		"LockInstall": {"Nothing is installed while dependencies cannot be resolved.", named("CrossplanePackageLockUnresolved", set{"name": "lock"}), named("CrossplanePackageNotInstalled", provider), true},

		"ManyFew":       {"Fewer of the same were told of before.", named("CrossplaneManyResourcesUnwell", causes), named("CrossplaneResourcesFailing", with(causes, "error_class", "auth")), true},
		"ManyElsewhere": {"Another account is another incident.", named("CrossplaneManyResourcesUnwell", causes), named("CrossplaneResourcesFailing", with(causes, "provider_config", "staging")), false},
		"ManyOthers":    {"Certificates have no provider configuration either, but another domain.", named("CrossplaneManyResourcesUnwell", without(causes, "provider_config")), named("CrossplaneManyResourcesNotReady", set{"category": "managed", "kind": "Certificate", "domain": "cert-manager.io"}), false},

		"ThrottledFailing": {"Throttling explains resources that fail of it.", named("CrossplaneCloudThrottled", set{"cloud_provider": "aws", "api_service": "ec2"}), named("CrossplaneResourcesFailing", with(causes, "error_class", "throttled")), true},
		"ThrottledDenied":  {"It does not explain others.", named("CrossplaneCloudThrottled", set{"cloud_provider": "aws", "api_service": "ec2"}), named("CrossplaneResourcesFailing", with(causes, "error_class", "denied")), false},
		"ThrottledGoogle":  {"AWS does not throttle what is Google's.", named("CrossplaneCloudThrottled", set{"cloud_provider": "aws", "api_service": "ec2"}), named("CrossplaneResourcesFailing", with(causes, "error_class", "throttled", "domain", "gcp.upbound.io")), false},
		"ThrottledFlaps":   {"What is throttled flaps.", named("CrossplaneResourcesFailing", with(causes, "error_class", "throttled")), named("CrossplaneResourceFlapping", set{"category": "managed", "domain": "aws.upbound.io"}), true},

		"TrailLate":      {"A trail that cannot be read is late.", named("CrossplaneExporterCollectorDown", set{"collector": "cloudtrail"}), named("CrossplaneTrailLate", set{"cloud_provider": "aws"}), true},
		"TrailResources": {"The other collector has nothing to do with it.", named("CrossplaneExporterCollectorDown", set{"collector": "resources"}), named("CrossplaneTrailLate", set{"cloud_provider": "aws"}), false},

		"BurnSlow":      {"What burns quickly burns slowly, too.", named("CrossplaneReadinessBurnFast", set{"team": "sales"}), named("CrossplaneReadinessBurnSlow", set{"team": "sales"}), true},
		"BurnElsewhere": {"What is another team's does not.", named("CrossplaneReadinessBurnFast", set{"team": "sales"}), named("CrossplaneReadinessBurnSlow", set{"team": "shop"}), false},
	}
	text, err := Render(shipped)
	check(t, err)
	cfg, err := parse(text)
	check(t, err)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			alerts, err := mem.NewAlerts(t.Context(), time.Hour, 0, nil, slog.New(slog.DiscardHandler), eventrecorder.NopRecorder(), prometheus.NewRegistry(), featurecontrol.NoopFlags{})
			check(t, err)
			check(t, alerts.Put(t.Context(), &alert.Alert{Alert: model.Alert{Labels: labelSet(tc.cause), StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}, UpdatedAt: time.Now()}))
			i := inhibit.NewInhibitor(alerts, cfg.InhibitRules, slog.New(slog.DiscardHandler), eventrecorder.NopRecorder())
			go i.Run()
			defer i.Stop()
			i.WaitForLoading()
			if got := i.Mutes(t.Context(), labelSet(tc.effect)); got != tc.muted {
				t.Errorf("%s\n%v while %v fires: muted is %t, want %t", tc.reason, tc.effect, tc.cause, got, tc.muted)
			}
		})
	}
}

// TestInhibitionsAreOfShippedAlerts sees that each rule has a cause and an effect among the alerts that the mixin's own tests expect, with
// the labels that it asks for, whatever their values: no rule waits for a name or a label that there is none of.
func TestInhibitionsAreOfShippedAlerts(t *testing.T) {
	alerts := expectedAlerts(t)
	text, err := Render(shipped)
	check(t, err)
	cfg, err := parse(text)
	check(t, err)
	for i, cr := range cfg.InhibitRules {
		rule := inhibit.NewInhibitRule(cr)
		have := map[string]bool{"cluster": true} // In a Prometheus of several clusters.
		for side, matchers := range map[string]labels.Matchers{"cause": rule.SourceMatchers, "effect": rule.TargetMatchers} {
			found := false
			for _, a := range alerts {
				if slices.ContainsFunc(matchers, func(m *labels.Matcher) bool {
					value, has := a[model.LabelName(m.Name)]
					return !has || m.Name == model.AlertNameLabel && !m.Matches(string(value))
				}) {
					continue
				}
				found = true
				for name := range a {
					have[string(name)] = true
				}
			}
			if !found {
				t.Errorf("%s: of the alerts that mixin/tests expects, none is the %s: %s", Inhibitions()[i].Why, side, matchers)
			}
		}
		for _, name := range cr.Equal {
			if !have[name] {
				t.Errorf("%s: neither cause nor effect ever has the label %s, so that it is always equal", Inhibitions()[i].Why, name)
			}
		}
	}
}

// expectedAlerts are the labels of all alerts that mixin/tests expects.
func expectedAlerts(t *testing.T) []model.LabelSet {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "mixin", "tests", "*.yaml"))
	check(t, err)
	var alerts []model.LabelSet
	for _, f := range files {
		text, err := os.ReadFile(f)
		check(t, err)
		var file struct {
			Tests []struct {
				AlertRuleTest []struct {
					Alertname string
					ExpAlerts []struct {
						ExpLabels map[string]string `yaml:"exp_labels"`
					} `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
			}
		}
		check(t, yaml.Unmarshal(text, &file))
		for _, test := range file.Tests {
			for _, expected := range test.AlertRuleTest {
				for _, a := range expected.ExpAlerts {
					alerts = append(alerts, Alert{Name: expected.Alertname}.labels(a.ExpLabels))
				}
			}
		}
	}
	if len(alerts) == 0 {
		t.Fatal("mixin/tests expects no alert")
	}
	return alerts
}

func labelSet(labels map[string]string) model.LabelSet {
	s := make(model.LabelSet)
	for k, v := range labels {
		s[model.LabelName(k)] = model.LabelValue(v)
	}
	return s
}
