package cloud

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// This package and those below know no Kubernetes and no Prometheus, and this one no cloud but for the SDK's list of
// codes.
func TestImports(t *testing.T) {
	n := 0
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			n++
			for _, bad := range []string{"k8s.io/", "github.com/prometheus/", "sigs.k8s.io/", "crossplane-exporter/internal/kube", "crossplane-exporter/collector"} {
				if strings.HasPrefix(i.Path.Value, `"`+bad) {
					t.Errorf("%s imports %s", path, i.Path.Value)
				}
			}
			here := filepath.Dir(path) == "."
			if here && strings.Contains(i.Path.Value, "aws") && i.Path.Value != `"github.com/aws/aws-sdk-go-v2/aws/retry"` {
				t.Errorf("%s imports %s", path, i.Path.Value)
			}
		}
		return nil
	})
	if err != nil || n < 50 {
		t.Errorf("%d imports, error %v", n, err)
	}
}
