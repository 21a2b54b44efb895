package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	spdxjson "github.com/spdx/tools-golang/json"
)

const version = "v1.2.3"

// build runs the command for this machine's architecture and returns the directory it has written into.
func build(t *testing.T, args ...string) string {
	t.Helper()
	t.Setenv("SOURCE_DATE_EPOCH", "1760000000")
	dir := t.TempDir()
	err := run(t.Context(), append(args,
		"-platforms", "linux/"+runtime.GOARCH, "-version", version,
		"-ldflags", "-s -w -X github.com/prometheus/common/version.Version="+version, dir))
	check(t, err)
	return dir
}

func TestImage(t *testing.T) {
	const name = "crossplane-exporter"
	dir := build(t, "-name", name)
	index, descriptor := open(t, dir)
	if got := descriptor.Annotations["io.containerd.image.name"]; !strings.HasSuffix(got, ".io/library/"+name+":"+version) || strings.HasPrefix(got, "index.") {
		t.Errorf("the archive's image is called %q, and containerd would not find it", got)
	}
	manifest, err := index.IndexManifest()
	check(t, err)
	if len(manifest.Manifests) != 1 || manifest.Manifests[0].Platform.Architecture != runtime.GOARCH {
		t.Fatalf("images: %+v", manifest.Manifests)
	}
	image, err := index.Image(manifest.Manifests[0].Digest)
	check(t, err)
	config, err := image.ConfigFile()
	check(t, err)

	t.Run("Config", func(t *testing.T) {
		want := v1.Config{
			User:         "65532:65532",
			Entrypoint:   []string{"/crossplane-exporter"},
			ExposedPorts: map[string]struct{}{"9948/tcp": {}},
			Labels: map[string]string{
				"org.opencontainers.image.title":       "crossplane-exporter",
				"org.opencontainers.image.description": "A Prometheus exporter for Crossplane and the platform around it",
				"org.opencontainers.image.licenses":    "Apache-2.0",
				"org.opencontainers.image.version":     version,
				"org.opencontainers.image.created":     "2025-10-09T08:53:20Z",
			},
		}
		if diff := cmp.Diff(want, config.Config); diff != "" {
			t.Errorf("configuration (-want, +got):\n%s", diff)
		}
	})
	files := content(t, image)
	t.Run("Files", func(t *testing.T) {
		var names []string
		for f := range files {
			names = append(names, f)
		}
		slices.Sort(names)
		if diff := cmp.Diff([]string{"crossplane-exporter", "etc", "etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt"}, names); diff != "" {
			t.Errorf("the image has more or less than the program and the certificates (-want, +got):\n%s", diff)
		}
	})
	t.Run("Program", func(t *testing.T) {
		f, err := elf.NewFile(bytes.NewReader(files["crossplane-exporter"]))
		check(t, err)
		if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 || f.Section(".interp") != nil {
			t.Errorf("it is not static: it needs %q (%v)", libraries, err)
		}
		path := filepath.Join(t.TempDir(), "crossplane-exporter")
		check(t, os.WriteFile(path, files["crossplane-exporter"], 0o700))
		cmd := exec.CommandContext(t.Context(), path, "version")
		cmd.Env = []string{} // as in a container
		out, err := cmd.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("version "+version)) {
			t.Errorf("crossplane-exporter version: %v\n%s", err, out)
		}
	})
	t.Run("Certificates", func(t *testing.T) {
		roots := make(map[string]bool)
		for rest := files["etc/ssl/certs/ca-certificates.crt"]; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			c, err := x509.ParseCertificate(block.Bytes)
			check(t, err)
			roots[c.Subject.CommonName] = true
		}
		// Whose certificates AWS' services have.
		for _, name := range []string{"Amazon Root CA 1", "Amazon Root CA 2", "Amazon Root CA 3", "Amazon Root CA 4"} {
			if !roots[name] {
				t.Errorf("%s is not in the trust store of %d certificates", name, len(roots))
			}
		}
	})
	t.Run("Bill", func(t *testing.T) {
		f, err := os.Open(filepath.Join(dir, "crossplane-exporter-"+version+"-linux-"+runtime.GOARCH+".spdx.json"))
		check(t, err)
		defer f.Close()
		doc, err := spdxjson.Read(f)
		check(t, err)
		listed := make(map[string]string)
		ids := map[string]bool{"DOCUMENT": true}
		for _, p := range doc.Packages {
			listed[p.PackageName] = p.PackageVersion
			if id := string(p.PackageSPDXIdentifier); ids[id] {
				t.Errorf("two are called %s", id)
			} else {
				ids[id] = true
			}
		}
		for _, r := range doc.Relationships {
			if !ids[string(r.RefA.ElementRefID)] || !ids[string(r.RefB.ElementRefID)] {
				t.Errorf("a relation of what is not there: %+v", r)
			}
		}
		required, err := os.ReadFile(filepath.Join("..", "..", "go.mod"))
		check(t, err)
		for _, module := range []string{"k8s.io/client-go", "github.com/prometheus/exporter-toolkit"} {
			if v := listed[module]; v == "" || !bytes.Contains(required, []byte(module+" "+v)) {
				t.Errorf("%s has version %q, which is not that of go.mod", module, v)
			}
		}
		for _, name := range []string{"crossplane-exporter", "std", certificates} {
			if listed[name] == "" {
				t.Errorf("%s is not listed", name)
			}
		}
	})
	t.Run("Again", func(t *testing.T) {
		again, _ := open(t, build(t, "-name", name))
		first, err := index.Digest()
		check(t, err)
		second, err := again.Digest()
		check(t, err)
		if first != second {
			t.Errorf("the same source has made another image: %s, then %s", first, second)
		}
	})
	t.Run("Dockerfile", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join("..", "..", "Dockerfile"))
		check(t, err)
		for _, line := range []string{
			"FROM scratch",
			"USER " + config.Config.User,
			`ENTRYPOINT ["` + config.Config.Entrypoint[0] + `"]`,
			"EXPOSE 9948/tcp",
			"/etc/ssl/certs/ca-certificates.crt",
		} {
			if !strings.Contains(string(text), line) {
				t.Errorf("the Dockerfile makes another image: it has no %q", line)
			}
		}
	})
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true)))
	defer server.Close()
	repository := strings.TrimPrefix(server.URL, "http://") + "/platform/crossplane-exporter"
	dir := build(t, "-name", repository, "-push")
	tag, err := name.NewTag(repository + ":" + version)
	check(t, err)
	pulled, err := remote.Index(tag)
	check(t, err)
	written, _ := open(t, dir)
	want, err := written.Digest()
	check(t, err)
	if got, err := pulled.Digest(); err != nil || got != want {
		t.Errorf("pulled %s (%v), written was %s", got, err, want)
	}
	manifest, err := pulled.IndexManifest()
	check(t, err)
	referrers, err := remote.Referrers(tag.Digest(manifest.Manifests[0].Digest.String()))
	check(t, err)
	bills, err := referrers.IndexManifest()
	check(t, err)
	if len(bills.Manifests) != 1 || bills.Manifests[0].ArtifactType != string(spdxType) {
		t.Fatalf("what refers to the image: %+v", bills.Manifests)
	}
	artifact, err := remote.Image(tag.Digest(bills.Manifests[0].Digest.String()))
	check(t, err)
	layers, err := artifact.Layers()
	check(t, err)
	r, err := layers[0].Uncompressed()
	check(t, err)
	if _, err := spdxjson.Read(r); err != nil {
		t.Errorf("the bill of materials in the registry: %v", err)
	}
}

func TestRefused(t *testing.T) {
	cases := map[string]struct {
		reason string
		args   []string
		want   string
	}{
		"Name":      {"An image without a name cannot be loaded.", []string{"-version", "v1", "dist"}, "-name and -version"},
		"Version":   {"A tag has no spaces.", []string{"-name", "xp", "-version", "a b", "dist"}, "-name and -version"},
		"Directory": {"There is no place that is anybody's.", []string{"-name", "xp", "-version", "v1"}, "want one directory"},
		"Platform":  {"What Go does not know it cannot build for.", []string{"-name", "xp", "-version", "v1", "-platforms", "plan10/vax", "DIR"}, "build the exporter for plan10/vax"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("SOURCE_DATE_EPOCH", "0")
			dir := t.TempDir()
			args := slices.Clone(tc.args)
			if i := slices.Index(args, "DIR"); i >= 0 {
				args[i] = dir
			}
			if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s\nrun(%q): got %v, want %q", tc.reason, args, err, tc.want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("it left %v (%v)", left, err)
			}
		})
	}
}

// open reads the archive in dir as a tool would that loads it.
func open(t *testing.T, dir string) (v1.ImageIndex, v1.Descriptor) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "crossplane-exporter-"+version+"-image.tar"))
	check(t, err)
	defer f.Close()
	to := t.TempDir()
	each(t, f, func(h *tar.Header, content []byte) {
		path := filepath.Join(to, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			check(t, os.MkdirAll(path, 0o700))
			return
		}
		check(t, os.WriteFile(path, content, 0o600))
	})
	all, err := layout.ImageIndexFromPath(to)
	check(t, err)
	manifest, err := all.IndexManifest()
	check(t, err)
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the archive has %d images", len(manifest.Manifests))
	}
	index, err := all.ImageIndex(manifest.Manifests[0].Digest)
	check(t, err)
	return index, manifest.Manifests[0]
}

// content is the files of an image, which may not belong to anybody but root, nor be written by anybody.
func content(t *testing.T, image v1.Image) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	r := mutate.Extract(image)
	defer r.Close()
	each(t, r, func(h *tar.Header, content []byte) {
		if h.Uid != 0 || h.Gid != 0 || h.Mode&0o022 != 0 {
			t.Errorf("%s belongs to %d:%d, with mode %o", h.Name, h.Uid, h.Gid, h.Mode)
		}
		files[h.Name] = content
	})
	return files
}

func each(t *testing.T, r io.Reader, do func(h *tar.Header, content []byte)) {
	t.Helper()
	for files := tar.NewReader(r); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		check(t, err)
		content, err := io.ReadAll(files)
		check(t, err)
		do(h, content)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
