// Package alertmanager has the texts that Alertmanager makes its messages of.
package alertmanager

import _ "embed" // The template.

// Template is the file templates/crossplane.tmpl.
//
//go:embed templates/crossplane.tmpl
var Template string
