package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A sight is what the exporter sees, in a few numbers.
type sight struct {
	categories map[string]*counts
	failing    map[string]float64 // by class of error
	outside    map[outsider]*intrusions
	throttled  map[string]float64 // calls to the cloud, by class of who made them
	series     int
}

// An outsider is someone who changes resources of a kind past their provider.
type outsider struct{ kind, class string }

// intrusions are the changes that an outsider made.
type intrusions struct {
	changes     float64
	putBack     uint64
	putBackTook float64 // seconds, of all together
}

// counts are the objects of a category.
type counts struct {
	kinds                                                                    map[string]bool
	objects, notReady, notSynced, paused, deleting, createIncomplete, drifts float64
}

// read reads what the exporter serves.
func read(text string) (*sight, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("what the exporter serves is not in the text format: %w", err)
	}
	s := &sight{
		categories: make(map[string]*counts), failing: make(map[string]float64), outside: make(map[outsider]*intrusions), throttled: make(map[string]float64),
	}
	for _, f := range families {
		s.series += len(f.GetMetric())
		for _, m := range f.GetMetric() {
			s.add(f.GetName(), m)
		}
	}
	return s, nil
}

func (s *sight) add(family string, m *dto.Metric) {
	label := make(map[string]string)
	for _, l := range m.GetLabel() {
		label[l.GetName()] = l.GetValue()
	}
	category, value := label["category"], cmp.Or(m.GetGauge().GetValue(), m.GetCounter().GetValue())
	switch by := (outsider{label["kind"], label["principal_class"]}); {
	case family == "platform_cloud_api_throttled_total":
		s.throttled[by.class] += value
	case family == "platform_cloud_out_of_band_changes_total" && value > 0:
		s.by(by).changes += value
	case family == "platform_cloud_revert_seconds" && m.GetHistogram().GetSampleCount() > 0:
		i := s.by(by)
		i.putBack += m.GetHistogram().GetSampleCount()
		i.putBackTook += m.GetHistogram().GetSampleSum()
	}
	if category == "" || value == 0 {
		return
	}
	c := s.categories[category]
	if c == nil {
		c = &counts{kinds: make(map[string]bool)}
		s.categories[category] = c
	}
	switch family {
	case "platform_resources":
		c.objects += value
		c.kinds[label["group"]+"/"+label["kind"]] = true
	case "platform_resources_by_condition":
		switch {
		case label["status"] == "True":
		case label["condition"] == "Ready":
			c.notReady += value
		case label["condition"] == "Synced":
			c.notSynced += value
		}
	case "platform_resources_failing":
		s.failing[label["error_class"]] += value
	case "platform_resources_paused":
		c.paused += value
	case "platform_resources_deleting":
		c.deleting += value
	case "platform_resources_create_incomplete":
		c.createIncomplete += value
	case "platform_drift_corrections_total":
		c.drifts += value
	}
}

// by is what an outsider did.
func (s *sight) by(o outsider) *intrusions {
	if s.outside[o] == nil {
		s.outside[o] = &intrusions{}
	}
	return s.outside[o]
}

// table is the sight for people.
func (s *sight) table(now time.Time) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(&b, "What the exporter sees at %s, in %d series:\n\n", now.Format(time.TimeOnly), s.series)
	fmt.Fprintln(w, "\tkinds\tobjects\tnot ready\tnot synced\tpaused\tdeleting\tcreate incomplete\tdrift put back\t")
	for _, name := range sorted(s.categories) {
		c := s.categories[name]
		fmt.Fprintf(w, "%s\t%d\t%v\t%v\t%v\t%v\t%v\t%v\t%v\t\n", name, len(c.kinds), c.objects, c.notReady, c.notSynced, c.paused, c.deleting, c.createIncomplete, c.drifts)
	}
	_ = w.Flush()
	if len(s.failing)+len(s.throttled) > 0 {
		b.WriteString("\n")
	}
	list(&b, "failing, by what the error says", s.failing)
	list(&b, "calls that the cloud throttled, by who made them", s.throttled)
	s.tableOutside(&b)
	return b.String()
}

// list writes a line of numbers, if there are any.
func list(b *strings.Builder, what string, numbers map[string]float64) {
	for i, name := range sorted(numbers) {
		separator := ", "
		if i == 0 {
			separator = what + ": "
		}
		fmt.Fprintf(b, "%s%s %v", separator, name, numbers[name])
	}
	if len(numbers) > 0 {
		b.WriteString("\n")
	}
}

// maxOutsiders is how many the table has: what is more needs a screen of its own.
const maxOutsiders = 10

// tableOutside says who changed things from outside, those who did most first, and how long that stood.
func (s *sight) tableOutside(b *strings.Builder) {
	if len(s.outside) == 0 {
		return
	}
	all := slices.SortedFunc(maps.Keys(s.outside), func(x, y outsider) int {
		return cmp.Or(cmp.Compare(s.outside[y].changes, s.outside[x].changes), cmp.Compare(x.kind, y.kind), cmp.Compare(x.class, y.class))
	})
	b.WriteString("\n")
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tchanged from outside by\ttimes\tput back\tafter, on average\t")
	for _, o := range all[:min(len(all), maxOutsiders)] {
		i, after := s.outside[o], "-"
		if i.putBack > 0 {
			after = time.Duration(i.putBackTook / float64(i.putBack) * float64(time.Second)).Round(time.Second).String()
		}
		fmt.Fprintf(w, "%s\t%s\t%v\t%d\t%s\t\n", o.kind, o.class, i.changes, i.putBack, after)
	}
	_ = w.Flush()
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// A screen shows a table that changes: on a terminal always in the same place; elsewhere (a log) at first, when things have had time
// to settle, and every few minutes.
type screen struct {
	out      io.Writer
	terminal bool
	shown    int // how often
	last     time.Time
	lines    int // that the table shown last takes
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

// due tells whether it is time for the next table.
func (s *screen) due(now time.Time) bool {
	const redraw, settle, repeat = 3 * time.Second, 20 * time.Second, 5 * time.Minute
	age := now.Sub(s.last)
	switch {
	case s.terminal:
		return age >= redraw
	case s.shown == 1:
		return age >= settle
	default:
		return age >= repeat
	}
}

func (s *screen) show(table string, now time.Time) {
	table = "\n" + table
	if s.terminal && s.lines > 0 {
		// Up to where the last one began, and away with it.
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.lines)
	}
	fmt.Fprint(s.out, table)
	s.lines = strings.Count(table, "\n")
	s.shown++
	s.last = now
}
