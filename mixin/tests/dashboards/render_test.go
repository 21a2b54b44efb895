package dashboards

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-jsonnet"
)

// render is the dashboards that the mixin has with a change to its settings, in jsonnet, in the order of their files' names.
func render(t *testing.T, settings string) []*Dashboard {
	t.Helper()
	files, err := jsonnet.MakeVM().EvaluateAnonymousSnippetMulti("settings", fmt.Sprintf(
		"((import '../../config.libsonnet') + (import '../../dashboards/dashboards.libsonnet') + { _config+:: %s }).grafanaDashboards", settings))
	if err != nil {
		t.Fatal(err)
	}
	var all []*Dashboard
	for _, file := range slices.Sorted(maps.Keys(files)) {
		d, err := Decode(file, []byte(files[file]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}
