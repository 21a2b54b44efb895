// Package manifests renders what deploy/ has: the Helm chart, and the kustomizations.
package manifests

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"crossplane-exporter/playground/programs"
)

// Chart is the directory of the Helm chart.
func Chart() (string, error) { return Dir("helm", "crossplane-exporter") }

// Dir is a directory or file below deploy/.
func Dir(path ...string) (string, error) {
	root, err := programs.Root()
	return filepath.Join(append([]string{root, "deploy"}, path...)...), err
}

// Helm renders the chart as `helm template` does for a release, with further flags.
func Helm(ctx context.Context, release, namespace string, flags ...string) ([]*unstructured.Unstructured, error) {
	chart, err := Chart()
	if err != nil {
		return nil, err
	}
	text, err := run(ctx, "helm", append([]string{"template", release, chart, "--namespace", namespace}, flags...)...)
	if err != nil {
		return nil, err
	}
	return Decode(text)
}

// Values are the chart's values to try, by name: the flags for each file in its ci/, and none for the defaults.
func Values() (map[string][]string, error) {
	chart, err := Chart()
	if err != nil {
		return nil, err
	}
	const suffix = "-values.yaml"
	files, err := filepath.Glob(filepath.Join(chart, "ci", "*"+suffix))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no values in %s/ci", chart)
	}
	v := map[string][]string{"default": nil}
	for _, f := range files {
		v[strings.TrimSuffix(filepath.Base(f), suffix)] = []string{"--values", f}
	}
	return v, nil
}

// overlays are the names of the examples.
var overlays = []string{"production", "staging"}

// Everything is all that deploy/ has: the chart with each of the values, and the example overlays.
func Everything(ctx context.Context) (map[string][]*unstructured.Unstructured, error) {
	values, err := Values()
	if err != nil {
		return nil, err
	}
	all := make(map[string][]*unstructured.Unstructured)
	for name, flags := range values {
		if all["chart "+name], err = Helm(ctx, "crossplane-exporter", "monitoring", flags...); err != nil {
			return nil, fmt.Errorf("values of %s: %w", name, err)
		}
	}
	for _, name := range overlays {
		dir, err := Dir("kustomize", "overlays", name)
		if err != nil {
			return nil, err
		}
		if all["overlay "+name], err = Kustomize(ctx, dir); err != nil {
			return nil, fmt.Errorf("overlay %s: %w", name, err)
		}
	}
	return all, nil
}

// Kustomize renders a directory as `kustomize build` does.
func Kustomize(ctx context.Context, dir string) ([]*unstructured.Unstructured, error) {
	text, err := run(ctx, "kustomize", "build", dir)
	if err != nil {
		return nil, err
	}
	return Decode(text)
}

// Decode reads YAML documents, in which no key may be there twice. Those that are empty are left out.
func Decode(text []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for r := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := r.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		o := &unstructured.Unstructured{}
		if err == nil {
			err = sigsyaml.UnmarshalStrict(document, &o.Object)
		}
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", len(objects), err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}

// Encode writes objects as YAML documents.
func Encode(objects []*unstructured.Unstructured) ([]byte, error) {
	var b bytes.Buffer
	for _, o := range objects {
		text, err := sigsyaml.Marshal(o.Object)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", o.GetKind(), o.GetName(), err)
		}
		fmt.Fprintf(&b, "---\n%s", text)
	}
	return b.Bytes(), nil
}

// run builds a program if need be, runs it, and returns its standard output.
func run(ctx context.Context, program string, args ...string) ([]byte, error) {
	bin, err := programs.Build(ctx, program)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, program), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.Bytes(), fmt.Errorf("%s %s: %w\n%s", program, args[0], err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}
