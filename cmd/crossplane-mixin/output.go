package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"sigs.k8s.io/yaml"

	"crossplane-exporter/mixin"
)

// outputFlags are where it goes, and as what.
type outputFlags struct {
	Output    string            `type:"path" placeholder:"DIR" help:"Write files into this directory, instead of printing."`
	Namespace string            `placeholder:"NAME" help:"Namespace of manifests."`
	Label     map[string]string `placeholder:"KEY=VALUE" help:"A label of manifests: release=kube-prometheus-stack. Can be repeated."`
}

// A file is what is written or printed.
type file struct {
	name string
	text []byte
}

// say prints a file, or writes it.
func (o outputFlags) say(stdout io.Writer, files ...file) error {
	for _, f := range files {
		if o.Output == "" {
			if _, err := stdout.Write(f.text); err != nil {
				return err
			}
			continue
		}
		if err := os.MkdirAll(o.Output, 0o755); err != nil { //nolint:gosec // What is written is no secret.
			return err
		}
		if err := os.WriteFile(filepath.Join(o.Output, f.name), f.text, 0o644); err != nil { //nolint:gosec // Nor is this.
			return err
		}
	}
	return nil
}

// generated stands at the top of YAML.
const generated = "# Made by crossplane-mixin from mixin/. Change settings there, or with its flags.\n"

// yamlFile is values as documents of a YAML file.
func yamlFile(name string, values ...any) (file, error) {
	text := []byte(generated)
	for i, v := range values {
		document, err := yaml.Marshal(v)
		if err != nil {
			return file{}, fmt.Errorf("%s: %w", name, err)
		}
		if i > 0 {
			text = append(text, "---\n"...)
		}
		text = append(text, document...)
	}
	return file{name, text}, nil
}

// metadata of a manifest.
type metadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

func (o outputFlags) metadata(name string, more map[string]string) metadata {
	labels := map[string]string{"app.kubernetes.io/part-of": "crossplane-mixin"}
	maps.Copy(labels, more)
	maps.Copy(labels, o.Label)
	return metadata{Name: name, Namespace: o.Namespace, Labels: labels}
}

// A prometheusRule is Prometheus Operator's.
type prometheusRule struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   metadata       `json:"metadata"`
	Spec       mixin.RuleFile `json:"spec"`
}

func (o outputFlags) prometheusRule(name string, rules mixin.RuleFile) prometheusRule {
	return prometheusRule{"monitoring.coreos.com/v1", "PrometheusRule", o.metadata(name, nil), rules}
}

// A configMap is Kubernetes'.
type configMap struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metadata          `json:"metadata"`
	Data       map[string]string `json:"data"`
}

// configMap is one of files.
func (o outputFlags) configMap(name string, labels map[string]string, files ...file) configMap {
	data := map[string]string{}
	for _, f := range files {
		data[f.name] = string(f.text)
	}
	return configMap{"v1", "ConfigMap", o.metadata(name, labels), data}
}

// jsonFiles are documents as files, in the order of their names.
func jsonFiles(documents map[string]json.RawMessage) ([]file, error) {
	files := make([]file, 0, len(documents))
	for _, name := range slices.Sorted(maps.Keys(documents)) {
		var b bytes.Buffer
		if err := json.Indent(&b, documents[name], "", "  "); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, file{name, append(bytes.TrimSpace(b.Bytes()), '\n')})
	}
	return files, nil
}
