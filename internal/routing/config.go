// Package routing says what an Alertmanager does with the alerts that are shipped here: whom it tells, and what keeps it from
// telling. And it renders a configuration that does well by them.
package routing

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/config"
	"github.com/prometheus/alertmanager/dispatch"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/template"
	"go.yaml.in/yaml/v3"
)

// A Config is a configuration that Alertmanager takes.
type Config struct {
	cfg   *config.Config
	route *dispatch.Route
	texts *template.Template
}

// Load reads a configuration as Alertmanager does, with the templates it names. What Alertmanager refuses is refused in its
// words, with the line where that is known.
//
// Files with secrets are not looked at: they are where Alertmanager runs.
func Load(file string) (*Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("Alertmanager's configuration: %w", err) //nolint:staticcheck // It is a name.
	}
	cfg, err := parse(text)
	if err != nil {
		return nil, errors.New(located(file, text, err))
	}
	for i, glob := range cfg.Templates {
		if !filepath.IsAbs(glob) {
			cfg.Templates[i] = filepath.Join(filepath.Dir(file), glob)
		}
	}
	texts, err := template.FromGlobs(cfg.Templates)
	if err != nil {
		return nil, fmt.Errorf("%s: templates: %w", file, err)
	}
	return &Config{cfg: cfg, route: dispatch.NewRoute(cfg.Route, nil), texts: texts}, nil
}

// expands finds the names of templates that receivers have expanded.
var expands = regexp.MustCompile(`{{-? *template \\?"([^"\\]+)`)

// Missing are the templates that receivers have expanded and that no loaded file defines: each of their messages fails. unseen are those
// of Alertmanager's files that there are none of here, so that these could be in them.
func (c *Config) Missing() (templates, unseen []string) {
	for _, used := range expands.FindAllStringSubmatch(c.cfg.String(), -1) {
		// Others that are expanded in it need alerts.
		_, err := c.texts.ExecuteTextString(fmt.Sprintf("{{ template %q . }}", used[1]), &template.Data{})
		if err != nil && strings.Contains(err.Error(), fmt.Sprintf("%q not defined", used[1])) {
			templates = append(templates, used[1])
		}
	}
	slices.Sort(templates)
	for _, glob := range c.cfg.Templates {
		if files, err := filepath.Glob(glob); err == nil && len(files) == 0 {
			unseen = append(unseen, glob)
		}
	}
	return slices.Compact(templates), unseen
}

// parse reads a configuration with the matchers' grammar that Alertmanager has unless flags choose an older one.
func parse(text []byte) (*config.Config, error) {
	compat.InitFromFlags(slog.New(slog.DiscardHandler), featurecontrol.NoopFlags{})
	return config.Load(string(text))
}

// named finds the line that YAML's own errors name.
var named = regexp.MustCompile(`line \d+`)

// located is an error of Alertmanager's with the file and the line. Of errors in what a configuration means, rather than in how it
// is written, Alertmanager does not say where they are: then it is the smallest part without which there would be no such error.
func located(file string, text []byte, err error) string {
	if named.MatchString(err.Error()) {
		return fmt.Sprintf("%s: %v", file, err)
	}
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return fmt.Sprintf("%s: %v", file, err)
	}
	c := culprit{doc: &doc, err: err.Error()}
	return fmt.Sprintf("%s:%d: %v", file, c.find(doc.Content[0]).Line, err)
}

// A culprit is what is to blame for an error.
type culprit struct {
	doc *yaml.Node
	err string
}

// find goes down to the smallest node that is to blame, from one that is.
func (c culprit) find(n *yaml.Node) *yaml.Node {
	var to []*yaml.Node
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2 // A key, and its value.
	}
	for i := 0; n.Kind != yaml.ScalarNode && n.Kind != yaml.AliasNode && i < len(n.Content); i += step {
		if c.without(n, i, step) {
			to = append(to, n.Content[i+step-1])
		}
	}
	// What the error quotes is nearer than where it is missed. Of several that could be it, the last one is: it is the second
	// of two of the same name.
	if quoting := slices.DeleteFunc(slices.Clone(to), func(n *yaml.Node) bool { return !c.quotes(n) }); len(quoting) > 0 {
		to = quoting
	}
	if len(to) > 0 {
		return c.find(to[len(to)-1])
	}
	// Two that are wrong in the same way hide each other: the first is as good as any.
	if i := slices.IndexFunc(n.Content, c.quotes); i >= 0 && c.quotes(n) {
		return c.find(n.Content[i])
	}
	return n
}

// without tells whether the error is gone when some of a node's content is.
func (c culprit) without(n *yaml.Node, from, count int) bool {
	whole := n.Content
	n.Content = slices.Concat(whole[:from], whole[from+count:])
	text, err := yaml.Marshal(c.doc)
	n.Content = whole
	if err != nil {
		return false
	}
	_, err = parse(text)
	return err == nil || err.Error() != c.err
}

var quoted = regexp.MustCompile(`"([^"]+)"`)

// quotes tells whether a node has in it all that the error quotes.
func (c culprit) quotes(n *yaml.Node) bool {
	text, err := yaml.Marshal(n)
	if err != nil {
		return false
	}
	words := quoted.FindAllStringSubmatch(c.err, -1)
	return len(words) > 0 && !slices.ContainsFunc(words, func(w []string) bool { return !strings.Contains(string(text), w[1]) })
}
