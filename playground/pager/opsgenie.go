package pager

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Opsgenie stands in for Opsgenie's alert API, and for the one of Jira Service Management that takes its place.
type Opsgenie struct {
	service[OpsgenieRequest]

	path, key string

	alerts map[string]*OpsgenieAlert
}

// An OpsgenieRequest is something that was asked for: that an alert be created, or closed.
type OpsgenieRequest struct {
	// Create is what is to be created; nil if an alert is to be closed.
	Create *OpsgenieCreate
	Alias  string
}

// OpsgenieCreate is the request body with which an alert is created.
type OpsgenieCreate struct {
	Message     string              `json:"message"`
	Alias       string              `json:"alias,omitempty"`
	Description string              `json:"description,omitempty"`
	Responders  []OpsgenieResponder `json:"responders,omitempty"`
	VisibleTo   []OpsgenieResponder `json:"visibleTo,omitempty"`
	Actions     []string            `json:"actions,omitempty"`
	Tags        []string            `json:"tags,omitempty"`
	Details     map[string]string   `json:"details,omitempty"`
	Entity      string              `json:"entity,omitempty"`
	Source      string              `json:"source,omitempty"`
	Priority    string              `json:"priority,omitempty"`
	User        string              `json:"user,omitempty"`
	Note        string              `json:"note,omitempty"`
}

// An OpsgenieResponder is who is to be told.
type OpsgenieResponder struct {
	ID       string `json:"id,omitempty"`
	Name     string `json:"name,omitempty"`
	Username string `json:"username,omitempty"`
	Type     string `json:"type"`
}

// An OpsgenieAlert is an alert that somebody is told of, once, however often it is created while it is open.
type OpsgenieAlert struct {
	OpsgenieCreate

	// Pages is how often it was opened, which is how often a telephone rang.
	Pages int
	Open  bool
}

// NewOpsgenie starts an Opsgenie with an API integration of that key.
func NewOpsgenie(key string) *Opsgenie { return newOpsgenie("/", key) }

// NewJSM starts a Jira Service Management with an API integration of that key.
func NewJSM(key string) *Opsgenie { return newOpsgenie("/jsm/ops/integration/", key) }

func newOpsgenie(path, key string) *Opsgenie {
	o := &Opsgenie{path: path, key: key, alerts: make(map[string]*OpsgenieAlert)}
	o.start(o.serve)
	return o
}

// URL is what Alertmanager's api_url has to be.
func (o *Opsgenie) URL() string { return o.server.URL + o.path }

// Alerts are all that were ever opened, in no order.
func (o *Opsgenie) Alerts() []OpsgenieAlert {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]OpsgenieAlert, 0, len(o.alerts))
	for _, a := range o.alerts {
		all = append(all, *a)
	}
	return all
}

func (o *Opsgenie) serve(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, err error) {
		o.refuse(fmt.Errorf("opsgenie: %w", err))
		answer(w, status, map[string]any{"message": err.Error(), "took": 0.001, "requestId": "refused"})
	}
	if r.Header.Get("Authorization") != "GenieKey "+o.key {
		fail(http.StatusUnauthorized, errors.New("could not authenticate"))
		return
	}
	path, known := strings.CutPrefix(r.URL.Path, o.path+"v2/alerts")
	alias, closes := strings.CutSuffix(strings.TrimPrefix(path, "/"), "/close")
	var err error
	switch {
	// There is more to Opsgenie's API, but nothing else that both have.
	case !known || r.Method != http.MethodPost || path != "" && !closes:
		fail(http.StatusMethodNotAllowed, fmt.Errorf("%s %s is no method of both", r.Method, r.URL.Path))
		return
	case closes:
		err = o.close(r, alias)
	default:
		err = o.create(r)
	}
	if err != nil {
		fail(http.StatusUnprocessableEntity, err)
		return
	}
	answer(w, http.StatusAccepted, map[string]any{"result": "Request will be processed", "took": 0.001, "requestId": "accepted"})
}

func (o *Opsgenie) create(r *http.Request) error {
	var c OpsgenieCreate
	if err := decode(r, &c); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	o.accept(OpsgenieRequest{Create: &c, Alias: c.Alias})
	o.mu.Lock()
	defer o.mu.Unlock()
	switch a := o.alerts[c.Alias]; {
	case a == nil:
		o.alerts[c.Alias] = &OpsgenieAlert{OpsgenieCreate: c, Pages: 1, Open: true}
	case !a.Open:
		a.OpsgenieCreate, a.Open = c, true
		a.Pages++
	}
	// One that is open is only counted: neither its text changes, nor is anybody told again.
	return nil
}

func (o *Opsgenie) close(r *http.Request, alias string) error {
	var c struct {
		User   string `json:"user,omitempty"`
		Source string `json:"source,omitempty"`
		Note   string `json:"note,omitempty"`
	}
	if err := decode(r, &c); err != nil {
		return err
	}
	if err := errors.Join(oneOf("identifierType", r.URL.Query().Get("identifierType"), "alias"), limit("source", c.Source, 100)); err != nil {
		return err
	}
	o.accept(OpsgenieRequest{Alias: alias})
	o.mu.Lock()
	defer o.mu.Unlock()
	if a := o.alerts[alias]; a != nil {
		a.Open = false
	}
	return nil
}

// check holds a request against https://docs.opsgenie.com/docs/alert-api#create-alert and
// https://developer.atlassian.com/cloud/jira/service-desk-ops/rest/v1/api-group-integration-events/.
func (c OpsgenieCreate) check() error {
	const most, each = 20, 50
	if c.Message == "" {
		return errors.New("an alert without a message")
	}
	errs := []error{
		limit("message", c.Message, 130),
		limit("alias", c.Alias, 512),
		limit("description", c.Description, 15000),
		limit("entity", c.Entity, 512),
		limit("source", c.Source, 100),
		limit("note", c.Note, 25000),
		limit("user", c.User, 100),
		oneOf("priority", c.Priority, "", "P1", "P2", "P3", "P4", "P5"),
	}
	if len(c.Tags) > most {
		errs = append(errs, fmt.Errorf("%d tags", len(c.Tags)))
	}
	for _, t := range c.Tags {
		errs = append(errs, limit("tag", t, each))
	}
	if len(c.Actions) > most/2 {
		errs = append(errs, fmt.Errorf("%d actions", len(c.Actions)))
	}
	details := 0
	for k, v := range maps.All(c.Details) {
		details += utf8.RuneCountInString(k) + utf8.RuneCountInString(v)
	}
	if details > 8000 {
		errs = append(errs, fmt.Errorf("details have %d characters, of 8000 that may be", details))
	}
	for _, to := range slices.Concat(c.Responders, c.VisibleTo) {
		errs = append(errs, oneOf("type of a responder", to.Type, "team", "user", "escalation", "schedule"))
	}
	return errors.Join(errs...)
}

// scheme is how a link begins.
var scheme = regexp.MustCompile(`^https?://[^\s"<>\\^{|}` + "`" + `]+$`)

// link is an error if a text is neither empty nor a URL as it has to be written.
func link(name, text string) error {
	if text != "" && !scheme.MatchString(text) {
		return fmt.Errorf("%s is no URL: %q", name, text)
	}
	return nil
}
