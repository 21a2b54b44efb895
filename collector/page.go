package collector

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/version"

	"crossplane-exporter/internal/kube"
)

// maxRows is how many resources the page lists: more than anyone reads, and little for a browser.
const maxRows = 200

//go:embed page.html
var pageHTML string

// page is for people: what is unwell, since when and why, and what cannot be seen. It needs no scripts.
func (e *Exporter) page(telemetryPath string) http.Handler {
	tmpl := template.Must(template.New("page").Parse(pageHTML))
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		var b bytes.Buffer
		if err := tmpl.Execute(&b, e.pageData(telemetryPath)); err != nil {
			e.log.Error("the page cannot be rendered", "err", err)
			http.Error(w, "The page cannot be rendered; see the log.", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
		b.WriteTo(w) //nolint:errcheck // A client that has gone needs no page.
	})
}

type pageData struct {
	Version, TelemetryPath string
	NotReady               string
	Kinds, Objects, Unwell int
	Categories             []pageCategory
	Rows                   []pageRow
	Drifters               []pageDrifter
	Trail                  *pageTrail // nil where no audit trail is read
	Unreadable             []pageKind
}

type pageCategory struct {
	Name            string
	Objects, Unwell int
}

type pageRow struct {
	Kind, Group, Namespace, Name, Team string
	What, Reason, Class, Message       string
	Since                              time.Time
	Age                                string
}

type pageDrifter struct {
	Kind, Group, Namespace, Name, Team string
	Hour, Day                          int
	Age                                string // of the last correction
	Last                               time.Time
	Loop                               bool
	Who                                []string // field managers that wrote to the spec, and when
	Outside                            []string // classes of principals that changed the external resource, and when
	Fields                             []string // that are not what the spec says now
}

// maxDrifters is how many resources the page lists that were put back.
const maxDrifters = 20

type pageKind struct {
	Kind, Group, Error string
	Stale              bool
}

func (e *Exporter) pageData(telemetryPath string) pageData {
	now := e.resources.now()
	d := pageData{Version: version.Info(), TelemetryPath: telemetryPath}
	if err := e.Ready(); err != nil {
		d.NotReady = err.Error()
	}
	categories := map[kube.Category]*pageCategory{}
	e.resources.each(func(s *resourceStore) {
		c := categories[s.kind.Category]
		if c == nil {
			c = &pageCategory{Name: string(s.kind.Category)}
			categories[s.kind.Category] = c
		}
		d.Kinds++
		c.Objects += s.group.Len()
		for _, r := range s.group.All() {
			if r.unwell {
				c.Unwell++
				d.Rows = append(d.Rows, row(s.kind, r, now))
			}
			if r.lately || r.drifting {
				d.Drifters = append(d.Drifters, drifter(s.kind, r, now))
			}
		}
	})
	for _, c := range categories {
		d.Objects += c.Objects
		d.Unwell += c.Unwell
		if c.Objects > 0 {
			d.Categories = append(d.Categories, *c)
		}
	}
	slices.SortFunc(d.Categories, func(a, b pageCategory) int { return cmp.Or(b.Objects-a.Objects, cmp.Compare(a.Name, b.Name)) })
	slices.SortStableFunc(d.Rows, func(a, b pageRow) int { return b.Since.Compare(a.Since) })
	d.Rows = d.Rows[:min(len(d.Rows), maxRows)]
	slices.SortStableFunc(d.Drifters, func(a, b pageDrifter) int { return cmp.Or(b.Day-a.Day, b.Last.Compare(a.Last)) })
	d.Drifters = d.Drifters[:min(len(d.Drifters), maxDrifters)]
	if e.trail != nil {
		d.Trail = e.trail.page(now)
	}
	for _, k := range append(e.cluster.Kinds(), e.cluster.ServiceAccounts()) { // which are none where no trail is read
		if k.Err != nil {
			d.Unreadable = append(d.Unreadable, pageKind{k.Kind.Name, k.Kind.Group, k.Err.Error(), k.Synced})
		}
	}
	return d
}

// row says what is wrong with an unwell resource, the worst first.
func row(k kube.Kind, r *resource, now time.Time) pageRow {
	p := pageRow{Kind: k.Name, Group: k.Group, Namespace: r.namespace, Name: r.name, Team: r.team.name}
	if r.failing != nil {
		p.Class, p.Message = string(r.failing.class), r.failing.message
	}
	since := int64(0)
	bad := r.worst()
	switch {
	case r.createIncomplete:
		p.What, p.Reason = "create incomplete", "a person must look whether the external resource exists"
	case r.deleted != 0:
		p.What, since = "deleting", r.deleted
		if r.finalizers > 1 {
			p.Reason = "held by more than one finalizer"
		}
	case r.paused:
		p.What = "paused"
	}
	if c := bad; c.word != nil {
		if p.What == "" {
			p.What, p.Reason = c.name+" "+c.status.String(), c.reason.name
		}
		if since == 0 {
			since = c.since
		}
	}
	if p.What == "" {
		p.What, p.Reason = "not ready", "it has no Ready condition: nobody has dealt with it yet"
	}
	if since == 0 {
		since = r.created
	}
	if since != 0 {
		p.Since = time.Unix(since, 0).UTC()
		p.Age = age(now.Sub(p.Since))
	}
	return p
}

// worst is the condition that says most of what is wrong with r: one that carries an error, or else any that is bad. It has no type
// where none is.
func (r *resource) worst() condition {
	for _, kind := range failingFirst {
		if c, ok := r.condition(kind); ok && c.bad() {
			return c
		}
	}
	for _, c := range r.conditions {
		if c.bad() {
			return c
		}
	}
	return condition{}
}

// drifter says how often a resource was put back.
func drifter(k kube.Kind, r *resource, now time.Time) pageDrifter {
	const hour, day = 3600, 24 * 3600
	p := pageDrifter{Kind: k.Name, Group: k.Group, Namespace: r.namespace, Name: r.name, Team: r.team.name}
	if r.drifting && r.differing != nil {
		p.Fields = *r.differing
	}
	if r.drift == nil {
		return p
	}
	p.Hour, p.Day, p.Loop = r.drift.within(hour, now.Unix()), r.drift.within(day, now.Unix()), r.looping
	if r.drift.last != 0 {
		p.Last = time.Unix(r.drift.last, 0).UTC()
		p.Age = age(now.Sub(p.Last))
	}
	for _, o := range r.drift.outside {
		p.Outside = append(p.Outside, fmt.Sprintf("%s %s ago", o.class, age(now.Sub(time.Unix(o.last, 0)))))
	}
	for _, w := range r.drift.foreign {
		p.Who = append(p.Who, fmt.Sprintf("%s %s ago", w.manager, age(now.Sub(time.Unix(w.last, 0)))))
	}
	return p
}

// A pageTrail is what the page says of the cloud's audit trail.
type pageTrail struct {
	Sources   []pageSource
	Changes   []pageChange
	Throttled []pageThrottled
}

type pageSource struct {
	Name, Coverage, Error, Delay string
	Records                      uint64
}

type pageChange struct {
	Kind, Group, Namespace, Name     string
	Operation, Account, Region       string
	Class, Principal, Session        string
	Address, Agent, Event, Age, Back string
	At                               time.Time
}

type pageThrottled struct {
	Operation, Account, Region, Class, Age string
	Times                                  int
}

// maxThrottled is how many operations the page lists that were throttled.
const maxThrottled = 20

// page is what the trail has for the page.
func (t *trail) page(now time.Time) *pageTrail {
	p := &pageTrail{}
	sources, ledger, heardOf := t.standing()
	for _, s := range sources {
		st := s.Status()
		source := pageSource{Name: s.Name(), Coverage: string(st.Coverage)}
		if ledger != nil {
			source.Records = ledger.Tallies()[s.Name()].Records
		}
		if st.Err != nil {
			source.Error = st.Err.Error()
		}
		if late, ok := delay(st, heardOf[s.Name()], now); ok {
			source.Delay = age(late)
		}
		p.Sources = append(p.Sources, source)
	}
	t.mu.Lock()
	lately := slices.Clone(t.lately)
	for c, l := range t.limited {
		p.Throttled = append(p.Throttled, pageThrottled{c.service + ":" + c.operation, c.account, c.region, c.class, age(now.Sub(l.last)), l.times})
	}
	t.mu.Unlock()
	slices.SortStableFunc(lately, func(a, b seenChange) int { return a.at.Compare(b.at) })
	slices.SortFunc(p.Throttled, func(a, b pageThrottled) int {
		return cmp.Or(b.Times-a.Times, cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Class, b.Class))
	})
	p.Throttled = p.Throttled[:min(len(p.Throttled), maxThrottled)]
	for _, c := range slices.Backward(lately) {
		namespace, name := c.subject.names()
		k := c.subject.store.kind
		row := pageChange{
			Kind: k.Name, Group: k.Group, Namespace: namespace, Name: name, Operation: c.service + ":" + c.operation, Account: c.account, Region: c.region,
			Class: c.class, Principal: c.who.ID, Session: c.who.Session, Address: c.who.Address, Agent: c.who.Agent, Event: c.event,
			At: c.at.UTC(), Age: age(now.Sub(c.at)),
		}
		if c.reverted != nil {
			row.Back = age(*c.reverted)
		}
		p.Changes = append(p.Changes, row)
	}
	return p
}

// age is a duration as people say it: its two largest units.
func age(d time.Duration) string {
	days, hours, minutes, secs := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd %dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh %dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm %ds", minutes, secs)
	default:
		return fmt.Sprintf("%ds", max(secs, 0))
	}
}
