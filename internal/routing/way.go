package routing

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/inhibit"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// A Way is one that an alert goes.
type Way struct {
	// Receiver at the end of it, and what it tells: "slack", "opsgenie". Without any it is no more than a name.
	Receiver string
	Tells    []string
	// Only and Never are the names of the time intervals in which it is open alone, or shut.
	Only, Never []string
}

// String is such as "crossplane-slack (slack, only in crossplane-office-hours)".
func (w Way) String() string {
	said := []string{"nobody"}
	if len(w.Tells) > 0 {
		said = slices.Clone(w.Tells)
	}
	if len(w.Only) > 0 {
		said = append(said, "only in "+strings.Join(w.Only, " or "))
	}
	if len(w.Never) > 0 {
		said = append(said, "not in "+strings.Join(w.Never, " or "))
	}
	return fmt.Sprintf("%s (%s)", w.Receiver, strings.Join(said, ", "))
}

// Ways are those that an alert goes, with labels it has beside those of its rule. There is always one.
func (c *Config) Ways(a Alert, further map[string]string) []Way {
	routes := c.route.Match(a.labels(further))
	ways := make([]Way, 0, len(routes))
	for _, r := range routes {
		w := Way{Receiver: r.RouteOpts.Receiver, Only: r.RouteOpts.ActiveTimeIntervals, Never: r.RouteOpts.MuteTimeIntervals}
		i := slices.IndexFunc(c.cfg.Receivers, func(r config.Receiver) bool { return r.Name == w.Receiver })
		w.Tells = tells(c.cfg.Receivers[i])
		ways = append(ways, w)
	}
	return ways
}

// tells names the integrations of a receiver, as Alertmanager does in its metrics.
func tells(r config.Receiver) []string {
	var names []string
	for field, v := range reflect.ValueOf(r).Fields() {
		if v.Kind() == reflect.Slice && v.Len() > 0 {
			key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			names = append(names, strings.TrimSuffix(key, "_configs"))
		}
	}
	return names
}

// A Mute is an inhibit rule that could keep an alert from being told of.
type Mute struct {
	// By are the shipped alerts whose firing does that; or what alerts have to match, if there are more than two or none of these.
	By []string
	// Equal are the labels that have to be the same. An alert without them is muted by one without them.
	Equal []string
}

// String is such as "CrossplaneExporterAbsent with the same cluster".
func (m Mute) String() string {
	by := strings.Join(m.By, " or ")
	if len(m.Equal) == 0 {
		return by
	}
	return fmt.Sprintf("%s with the same %s", by, strings.Join(m.Equal, ", "))
}

// Mutes are the inhibit rules that could mute one of the shipped alerts. What a rule asks of labels that only a firing alert has,
// such as the kind of its resource, is taken to be so.
func (c *Config) Mutes(a Alert, further map[string]string, shipped []Alert) []Mute {
	var mutes []Mute
	target := a.labels(further)
	for _, cr := range c.cfg.InhibitRules {
		rule := inhibit.NewInhibitRule(cr)
		if !could(rule.TargetMatchers, target) || differ(cr.Equal, target, asked(rule.SourceMatchers)) {
			continue
		}
		m := Mute{Equal: cr.Equal}
		of := false // Whether the rule is of shipped alerts at all.
		for _, s := range shipped {
			source := s.labels(further)
			if !could(rule.SourceMatchers, source) || differ(cr.Equal, target, source) {
				continue
			}
			of = true
			// What matches both sides is muted by nothing that does, too.
			if rule.SourceMatchers.Matches(target) && rule.TargetMatchers.Matches(source) || slices.Contains(m.By, s.Name) {
				continue
			}
			m.By = append(m.By, s.Name)
		}
		// One of the same name is a shipped alert.
		const few = 2
		if len(m.By) > few || !of && !slices.Contains(cr.Equal, model.AlertNameLabel) {
			m.By = []string{rule.SourceMatchers.String()}
		}
		if len(m.By) > 0 {
			mutes = append(mutes, m)
		}
	}
	return mutes
}

// Muzzles are what could keep the watchdog from barking: inhibit rules, and time intervals on its way. Its labels are all known: those of
// its rule, and further ones.
func (c *Config) Muzzles(watchdog Alert, further map[string]string) []string {
	var muzzles []string
	for _, w := range c.Ways(watchdog, further) {
		if len(w.Only)+len(w.Never) > 0 {
			muzzles = append(muzzles, w.String())
		}
	}
	target := watchdog.labels(further)
	for _, cr := range c.cfg.InhibitRules {
		rule := inhibit.NewInhibitRule(cr)
		// By the same name it would have to mute itself.
		if slices.Contains(cr.Equal, model.AlertNameLabel) || !rule.TargetMatchers.Matches(target) || differ(cr.Equal, target, asked(rule.SourceMatchers)) {
			continue
		}
		muzzles = append(muzzles, Mute{By: []string{rule.SourceMatchers.String()}, Equal: cr.Equal}.String())
	}
	return muzzles
}

// asked are the labels that matchers ask for by value.
func asked(ms labels.Matchers) model.LabelSet {
	set := make(model.LabelSet)
	for _, m := range ms {
		if m.Type == labels.MatchEqual {
			set[model.LabelName(m.Name)] = model.LabelValue(m.Value)
		}
	}
	return set
}

// could tells whether an alert that has at least these labels may match.
func could(ms labels.Matchers, set model.LabelSet) bool {
	return !slices.ContainsFunc(ms, func(m *labels.Matcher) bool {
		value, known := set[model.LabelName(m.Name)]
		return known && !m.Matches(string(value))
	})
}

// differ tells whether a label that has to be the same is known to both, and is not.
func differ(equal []string, a, b model.LabelSet) bool {
	return slices.ContainsFunc(equal, func(name string) bool {
		x, inA := a[model.LabelName(name)]
		y, inB := b[model.LabelName(name)]
		return inA && inB && x != y
	})
}
