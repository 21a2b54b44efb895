package scenario

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed objects packages
var files embed.FS

// A place is what the files need to know of where they are used.
type place struct {
	// Registry is the address of the registry of packages.
	Registry string
	// Packages are the images of packages, by name.
	Packages map[string]string
}

// expand expands the template that a file is.
func expand(file string, p place, now time.Time) ([]byte, error) {
	stamp := func(ago string) (string, error) {
		d, err := time.ParseDuration(ago)
		return now.Add(-d).UTC().Format(time.RFC3339), err
	}
	left, right := "{{", "}}"
	if strings.HasPrefix(file, "packages/") {
		left, right = "[[", "]]" // The others stand in compositions, for the function.
	}
	t, err := template.New(path.Base(file)).Delims(left, right).Option("missingkey=error").Funcs(template.FuncMap{
		"add":  func(a, b int) int { return a + b },
		"mul":  func(a, b int) int { return a * b },
		"list": func(s ...string) []string { return s },
		// dict is a map of the keys and values that it is given by turns.
		"dict": func(kv ...any) map[any]any {
			m := make(map[any]any)
			for i := 1; i < len(kv); i += 2 {
				m[kv[i-1]] = kv[i]
			}
			return m
		},
		// seq is the numbers from 1 to n.
		"seq": func(n int) []int {
			s := make([]int, n)
			for i := range s {
				s[i] = i + 1
			}
			return s
		},
		// ago is a time so long ago, as a string.
		"ago": func(d string) (string, error) {
			s, err := stamp(d)
			return strconv.Quote(s), err
		},
		// condition is a condition that has been so for so long.
		"condition": func(kind, status, reason, since string, message ...string) (string, error) {
			s, err := stamp(since)
			if err != nil {
				return "", err
			}
			c := map[string]string{"type": kind, "status": status, "reason": reason, "lastTransitionTime": s}
			for _, m := range message {
				c["message"] = m
			}
			text, err := json.Marshal(c)
			return string(text), err
		},
	}).ParseFS(files, file)
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	var text bytes.Buffer
	if err := t.Execute(&text, p); err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	return text.Bytes(), nil
}

// render makes objects of a file.
func render(file string, p place, now time.Time) ([]*unstructured.Unstructured, error) {
	text, err := expand(file, p, now)
	if err != nil {
		return nil, err
	}
	var all []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		var o map[string]any
		switch err := d.Decode(&o); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("scenario: %s, object %d: %w", file, len(all)+1, err)
		case len(o) > 0:
			all = append(all, &unstructured.Unstructured{Object: o})
		}
	}
}
