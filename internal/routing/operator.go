package routing

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
)

// operator renders an AlertmanagerConfig: the plain form's route, receivers, time intervals and inhibit rules, spelled as the
// custom resource spells them.
func (r rendering) operator(t *template.Template) ([]byte, error) {
	head, err := expand(t, "operator.yaml.tmpl", r)
	if err != nil {
		return nil, err
	}
	spec := &yaml.Node{Kind: yaml.MappingNode}
	for _, part := range []struct{ key, template string }{
		{"route", "route"}, {"receivers", "receivers"}, {"muteTimeIntervals", "intervals"}, {"inhibitRules", "inhibitions"},
	} {
		text, err := expand(t, part.template, r)
		if err != nil {
			return nil, err
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(text, &doc); err != nil {
			return nil, fmt.Errorf("render: %s: %w", part.key, err)
		}
		n := doc.Content[0]
		if part.key == "route" {
			n = n.Content[0] // The plain form has a list of routes, of which it is the only one.
		}
		if err := r.respell(n); err != nil {
			return nil, fmt.Errorf("render: %s: %w", part.key, err)
		}
		set(spec, part.key, n)
	}
	var out bytes.Buffer
	out.Write(head)
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	doc := &yaml.Node{Kind: yaml.MappingNode}
	set(doc, "spec", spec)
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("render: %w", err)
	}
	return out.Bytes(), nil
}

// keys that are not simply the same words in camelCase.
//
//nolint:gochecknoglobals // because it is a table, and never changed.
var keys = map[string]string{
	"links":             "pagerDutyLinkConfigs",
	"title_link":        "titleLink",
	"source_matchers":   "sourceMatch",
	"target_matchers":   "targetMatch",
	"opsgenie_configs":  "opsgenieConfigs",
	"pagerduty_configs": "pagerdutyConfigs",
}

// respell turns a part of Alertmanager's configuration into one of an AlertmanagerConfig's.
func (r rendering) respell(n *yaml.Node) error {
	n.Style &^= yaml.FlowStyle
	if n.Kind != yaml.MappingNode {
		for _, c := range n.Content {
			if err := r.respell(c); err != nil {
				return err
			}
		}
		return nil
	}
	whole := n.Content
	n.Content = nil
	for i := 0; i < len(whole); i += 2 {
		key, value := whole[i], whole[i+1]
		if key.Value == "links" {
			rename(value, "text", "alt")
		}
		switch {
		case strings.HasSuffix(key.Value, "matchers"):
			if err := matchers(value); err != nil {
				return err
			}
		case key.Value == "details":
			pairs(value)
		case strings.HasSuffix(key.Value, "_file"):
			// A file in the Secret's directory is a key of the Secret.
			key.Value = strings.TrimSuffix(key.Value, "_file")
			if key.Value == "url" {
				key.Value = "urlSecret"
			}
			*value = *r.selector(value.Value[strings.LastIndex(value.Value, "/")+1:])
		case key.Value == "api_url" && value.Value == r.SlackURL: // Of which the custom resource makes a secret.
			*value = *r.selector(slackURLKey)
		default:
			if err := r.respell(value); err != nil {
				return err
			}
		}
		key.Value = camel(key.Value)
		n.Content = append(n.Content, key, value)
	}
	return nil
}

// rename gives a key of all maps of a list another name.
func rename(list *yaml.Node, from, to string) {
	for _, n := range list.Content {
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == from {
				n.Content[i].Value = to
			}
		}
	}
}

var underscore = regexp.MustCompile(`_([a-z]+)`)

func camel(key string) string {
	if special, ok := keys[key]; ok {
		return special
	}
	return underscore.ReplaceAllStringFunc(key, func(s string) string {
		if s == "_url" {
			return "URL"
		}
		return strings.ToUpper(s[1:2]) + s[2:]
	})
}

var matcher = regexp.MustCompile(`^(\w+)(=~|!~|!=|=)(".*")$`)

// matchers turns texts into objects.
func matchers(list *yaml.Node) error {
	list.Style &^= yaml.FlowStyle
	for i, text := range list.Content {
		parts := matcher.FindStringSubmatch(text.Value)
		if parts == nil {
			return fmt.Errorf("matcher %s is not of the form name=\"value\"", text.Value)
		}
		value, err := strconv.Unquote(parts[3])
		if err != nil {
			return fmt.Errorf("matcher %s: %w", text.Value, err)
		}
		o := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		set(o, "name", scalar(parts[1]))
		// Quoted, because = alone is a type of its own to some readers of YAML.
		set(o, "matchType", quotedScalar(parts[2]))
		set(o, "value", quotedScalar(value))
		list.Content[i] = o
	}
	return nil
}

// pairs turns a map into a list.
func pairs(n *yaml.Node) {
	var list []*yaml.Node
	for i := 0; i < len(n.Content); i += 2 {
		o := &yaml.Node{Kind: yaml.MappingNode}
		set(o, "key", scalar(n.Content[i].Value))
		set(o, "value", n.Content[i+1])
		list = append(list, o)
	}
	n.Kind, n.Tag, n.Content = yaml.SequenceNode, "!!seq", list
}

// selector names a key of the Secret.
func (r rendering) selector(key string) *yaml.Node {
	o := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	set(o, "name", scalar(r.Secret))
	set(o, "key", scalar(key))
	return o
}

func set(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, scalar(key), value)
}

func quotedScalar(value string) *yaml.Node {
	n := scalar(value)
	n.Style = yaml.DoubleQuotedStyle
	return n
}

func scalar(value string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(value)
	return n
}
