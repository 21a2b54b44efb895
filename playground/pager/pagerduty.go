package pager

import (
	"errors"
	"fmt"
	"net/http"
)

// PagerDuty stands in for PagerDuty's Events API v2.
type PagerDuty struct { //nolint:revive // It is the name of the product.
	service[Event]

	key       string
	incidents map[string]*Incident
}

// An Event triggers an incident of PagerDuty's, or resolves it.
type Event struct {
	RoutingKey  string        `json:"routing_key"`
	EventAction string        `json:"event_action"`
	DedupKey    string        `json:"dedup_key,omitempty"`
	Payload     *EventPayload `json:"payload,omitempty"`
	Client      string        `json:"client,omitempty"`
	ClientURL   string        `json:"client_url,omitempty"`
	Images      []struct {
		Src  string `json:"src"`
		Href string `json:"href,omitempty"`
		Alt  string `json:"alt,omitempty"`
	} `json:"images,omitempty"`
	Links []EventLink `json:"links,omitempty"`
}

// An EventLink is shown with an incident.
type EventLink struct {
	Href string `json:"href"`
	Text string `json:"text,omitempty"`
}

// An EventPayload says what has happened.
type EventPayload struct {
	Summary       string         `json:"summary"`
	Source        string         `json:"source"`
	Severity      string         `json:"severity"`
	Timestamp     string         `json:"timestamp,omitempty"`
	Component     string         `json:"component,omitempty"`
	Group         string         `json:"group,omitempty"`
	Class         string         `json:"class,omitempty"`
	CustomDetails map[string]any `json:"custom_details,omitempty"`
}

// An Incident of PagerDuty's is what somebody is told of, once, however often it is triggered while it is open.
type Incident struct {
	Event

	// Pages is how often it was opened, which is how often a telephone rang.
	Pages int
	Open  bool
}

// NewPagerDuty starts a PagerDuty with a service of that integration key.
func NewPagerDuty(key string) *PagerDuty {
	p := &PagerDuty{key: key, incidents: make(map[string]*Incident)}
	p.start(p.serve)
	return p
}

// URL is where events are sent.
func (p *PagerDuty) URL() string { return p.server.URL + "/v2/enqueue" }

// Incidents are all that were ever opened, in no order.
func (p *PagerDuty) Incidents() []Incident {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Incident, 0, len(p.incidents))
	for _, i := range p.incidents {
		all = append(all, *i)
	}
	return all
}

func (p *PagerDuty) serve(w http.ResponseWriter, r *http.Request) {
	var e Event
	err := decode(r, &e)
	if err == nil {
		err = e.check(p.key)
	}
	if err == nil && (r.Method != http.MethodPost || r.URL.Path != "/v2/enqueue") {
		err = fmt.Errorf("%s %s is no method", r.Method, r.URL.Path)
	}
	if err != nil {
		p.refuse(fmt.Errorf("pagerduty: %w", err))
		answer(w, http.StatusBadRequest, map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": []string{err.Error()}})
		return
	}
	p.accept(e)
	p.process(e)
	answer(w, http.StatusAccepted, map[string]any{"status": "success", "message": "Event processed", "dedup_key": e.DedupKey})
}

func (p *PagerDuty) process(e Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := p.incidents[e.DedupKey]
	switch {
	case e.EventAction == "resolve" && i != nil:
		i.Open = false
	case e.EventAction == "trigger" && i == nil:
		p.incidents[e.DedupKey] = &Incident{Event: e, Pages: 1, Open: true}
	case e.EventAction == "trigger" && !i.Open:
		i.Event, i.Open = e, true
		i.Pages++
	}
}

// check holds an event against https://developer.pagerduty.com/docs/send-alert-event.
func (e Event) check(key string) error {
	errs := []error{
		oneOf("routing_key", e.RoutingKey, key),
		oneOf("event_action", e.EventAction, "trigger", "acknowledge", "resolve"),
		limit("dedup_key", e.DedupKey, 255),
		link("client_url", e.ClientURL),
	}
	if len(e.RoutingKey) != 32 {
		errs = append(errs, errors.New("length of 'routing_key' is incorrect (should be 32 characters)"))
	}
	if e.EventAction != "trigger" && e.DedupKey == "" {
		errs = append(errs, errors.New("an event that triggers nothing needs a dedup_key"))
	}
	for _, l := range e.Links {
		errs = append(errs, link("link", l.Href))
	}
	if e.EventAction != "trigger" {
		return errors.Join(errs...)
	}
	if e.Payload == nil || e.Payload.Summary == "" || e.Payload.Source == "" {
		return errors.Join(append(errs, errors.New("an event needs payload.summary and payload.source"))...)
	}
	return errors.Join(append(errs,
		limit("payload.summary", e.Payload.Summary, 1024),
		oneOf("payload.severity", e.Payload.Severity, "critical", "error", "warning", "info"),
	)...)
}
