package pager

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// Slack stands in for Slack's chat.postMessage.
type Slack struct {
	service[SlackMessage]

	token string
}

// A SlackMessage is what chat.postMessage takes, as far as it is of use to Alertmanager.
type SlackMessage struct {
	Channel     string            `json:"channel"`
	Username    string            `json:"username,omitempty"`
	IconEmoji   string            `json:"icon_emoji,omitempty"`
	IconURL     string            `json:"icon_url,omitempty"`
	LinkNames   bool              `json:"link_names,omitempty"`
	Text        string            `json:"text,omitempty"`
	Attachments []SlackAttachment `json:"attachments,omitempty"`
}

// A SlackAttachment is one of a message's secondary attachments.
type SlackAttachment struct {
	Color      string        `json:"color,omitempty"`
	Fallback   string        `json:"fallback,omitempty"`
	CallbackID string        `json:"callback_id"`
	Pretext    string        `json:"pretext,omitempty"`
	Title      string        `json:"title,omitempty"`
	TitleLink  string        `json:"title_link,omitempty"`
	Text       string        `json:"text"`
	ImageURL   string        `json:"image_url,omitempty"`
	ThumbURL   string        `json:"thumb_url,omitempty"`
	Footer     string        `json:"footer"`
	MrkdwnIn   []string      `json:"mrkdwn_in,omitempty"`
	Actions    []SlackAction `json:"actions,omitempty"`
}

// A SlackAction is a button. One with a URL is a link and needs no app behind it.
type SlackAction struct {
	Type  string `json:"type"`
	Text  string `json:"text"`
	URL   string `json:"url,omitempty"`
	Style string `json:"style,omitempty"`
	Name  string `json:"name,omitempty"`
	Value string `json:"value,omitempty"`
}

// NewSlack starts a Slack of which a bot has that token.
func NewSlack(token string) *Slack {
	s := &Slack{token: token}
	s.start(s.serve)
	return s
}

// URL is where messages are posted.
func (s *Slack) URL() string { return s.server.URL + "/api/chat.postMessage" }

func (s *Slack) serve(w http.ResponseWriter, r *http.Request) {
	fail := func(code string, err error) {
		s.refuse(fmt.Errorf("slack: %s: %w", code, err))
		answer(w, http.StatusOK, map[string]any{"ok": false, "error": code}) // It is not HTTP that says so.
	}
	var m SlackMessage
	switch {
	case r.Method != http.MethodPost || r.URL.Path != "/api/chat.postMessage":
		fail("unknown_method", fmt.Errorf("%s %s", r.Method, r.URL.Path))
		return
	case r.Header.Get("Authorization") != "Bearer "+s.token:
		fail("invalid_auth", errors.New("the token is not the bot's"))
		return
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		fail("invalid_post_type", errors.New(r.Header.Get("Content-Type")))
		return
	}
	if err := decode(r, &m); err != nil {
		fail("invalid_json", err)
		return
	}
	if err := m.check(); err != nil {
		fail("invalid_arguments", err)
		return
	}
	s.accept(m)
	answer(w, http.StatusOK, map[string]any{"ok": true, "channel": m.Channel, "ts": strconv.Itoa(len(s.Received())) + ".0"})
}

var color = regexp.MustCompile(`^(good|warning|danger|#[0-9A-Fa-f]{6})$`)

// check holds a message against https://api.slack.com/methods/chat.postMessage and
// https://api.slack.com/reference/messaging/attachments.
func (m SlackMessage) check() error {
	const texts, attachments, actions, label = 4000, 100, 5, 75
	if m.Channel == "" {
		return errors.New("a message without a channel")
	}
	if m.Text == "" && len(m.Attachments) == 0 {
		return errors.New("a message without text and attachments")
	}
	if len(m.Attachments) > attachments {
		return fmt.Errorf("%d attachments", len(m.Attachments))
	}
	errs := []error{limit("text", m.Text, texts)}
	for _, a := range m.Attachments {
		if a.Fallback == "" && a.Text == "" {
			errs = append(errs, errors.New("an attachment without fallback and text"))
		}
		if a.Color != "" && !color.MatchString(a.Color) {
			errs = append(errs, fmt.Errorf("color %q", a.Color))
		}
		if len(a.Actions) > actions {
			errs = append(errs, fmt.Errorf("%d actions", len(a.Actions)))
		}
		errs = append(errs, limit("text of an attachment", a.Text, texts), mrkdwn(a.Text), link("title_link", a.TitleLink))
		for _, b := range a.Actions {
			errs = append(errs, oneOf("type of an action", b.Type, "button"), oneOf("style of an action", b.Style, "", "default", "primary", "danger"),
				limit("text of a button", b.Text, label), link("url of a button", b.URL))
			if b.URL == "" || b.Text == "" {
				errs = append(errs, fmt.Errorf("a button without URL or text: %+v", b))
			}
		}
	}
	return errors.Join(errs...)
}

var (
	// reference is what may begin with < in a text: a link, a user, a channel.
	reference = regexp.MustCompile(`<(https?://[^<>|\s]+(\|[^<>]+)?|[@#!][^<>]+)>`)
	entity    = regexp.MustCompile(`&(amp|lt|gt);`)
)

// mrkdwn is an error if &, < or > stand in a text as they are: Slack takes them for its own.
func mrkdwn(text string) error {
	rest := entity.ReplaceAllString(reference.ReplaceAllString(text, ""), "")
	if i := strings.IndexAny(rest, "&<>"); i >= 0 {
		return fmt.Errorf("%q is not escaped in %q", rest[i], text)
	}
	return nil
}
