package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// program is the exporter's name, in the image and out of it.
const program = "crossplane-exporter"

// user is nobody's: without a name, without a home, in no group. Kubernetes wants a number to see that it is not root.
const user = "65532:65532"

// run builds the image for all platforms and writes it.
func (c config) run(ctx context.Context) error {
	if err := os.MkdirAll(c.dir, 0o750); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(c.dir, ".image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var bills []bill
	for _, platform := range c.platforms {
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			return err
		}
		path := filepath.Join(scratch, strings.ReplaceAll(platform, "/", "-"))
		if err := c.compile(ctx, *p, path); err != nil {
			return err
		}
		image, err := c.image(*p, path)
		if err != nil {
			return fmt.Errorf("image for %s: %w", platform, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: p}})
		b, err := c.bill(*p, path, image)
		if err != nil {
			return fmt.Errorf("bill of materials for %s: %w", platform, err)
		}
		bills = append(bills, b)
	}
	index = mutate.Annotations(index, c.labels()).(v1.ImageIndex) //nolint:forcetypeassert // What it was.
	if err := c.write(index, bills, filepath.Join(scratch, "layout")); err != nil {
		return err
	}
	if c.push {
		return c.upload(ctx, index, bills)
	}
	return nil
}

// compile builds the exporter.
func (c config) compile(ctx context.Context, p v1.Platform, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-ldflags", c.ldflags, "-o", path, "./cmd/"+program)
	cmd.Dir = c.root
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=", "CGO_ENABLED=0", "GOOS="+p.OS, "GOARCH="+p.Architecture)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the exporter for %s: %w", p, err)
	}
	return nil
}

// image has the certificates in one layer, because they seldom change, and the program in another.
func (c config) image(p v1.Platform, path string) (v1.Image, error) {
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	certificates, err := c.layer("etc/ssl/certs/ca-certificates.crt", 0o444, roots())
	if err != nil {
		return nil, err
	}
	executable, err := c.layer(program, 0o555, binary)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	made := v1.Time{Time: c.made}
	image, err = mutate.Append(image,
		mutate.Addendum{Layer: certificates, History: v1.History{Created: made, CreatedBy: "certificates of Mozilla's trust store"}},
		mutate.Addendum{Layer: executable, History: v1.History{Created: made, CreatedBy: "go build ./cmd/" + program}},
	)
	if err != nil {
		return nil, err
	}
	f, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	f = f.DeepCopy()
	f.Created, f.OS, f.Architecture, f.Variant = made, p.OS, p.Architecture, p.Variant
	f.Config = v1.Config{
		User:         user,
		Entrypoint:   []string{"/" + program},
		ExposedPorts: map[string]struct{}{"9948/tcp": {}},
		Labels:       c.labels(),
	}
	return mutate.ConfigFile(image, f)
}

// labels are what the OCI has names for.
func (c config) labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       program,
		"org.opencontainers.image.description": "A Prometheus exporter for Crossplane and the platform around it",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.version":     c.version,
		"org.opencontainers.image.created":     c.made.Format("2006-01-02T15:04:05Z"),
	}
}

// layer is one file and the directories above it.
func (c config) layer(path string, mode fs.FileMode, content []byte) (v1.Layer, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, r := range path {
		if r != '/' {
			continue
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: path[:i+1], Mode: 0o755, ModTime: c.made}); err != nil {
			return nil, err
		}
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path, Mode: int64(mode), Size: int64(len(content)), ModTime: c.made}); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
}

// roots is Mozilla's trust store, but for the few certificates that it trusts with a condition, which this format cannot say.
func roots() []byte {
	var b bytes.Buffer
	for r := range bundle.Roots() {
		if r.Constraint == nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate}) // to memory
		}
	}
	return b.Bytes()
}

// write writes the archive and the bills of materials.
func (c config) write(index v1.ImageIndex, bills []bill, scratch string) error {
	path, err := layout.Write(scratch, empty.Index)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(c.name + ":" + c.version)
	if err != nil {
		return err
	}
	reference := tag.Name()
	if tag.RegistryStr() == name.DefaultRegistry {
		// Without a registry an image is the default one's, which container engines call by its shorter name.
		reference = strings.TrimPrefix(reference, "index.")
	}
	// The first is what the OCI asks for, the second what containerd and docker look at.
	err = path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": c.version,
		"io.containerd.image.name":          reference,
	}))
	if err != nil {
		return err
	}
	file := filepath.Join(c.dir, fmt.Sprintf("%s-%s-image.tar", program, c.version))
	if err := archive(scratch, file); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "%s\n  %s@%s\n", file, reference, digest)
	for _, b := range bills {
		file := filepath.Join(c.dir, fmt.Sprintf("%s-%s-%s.spdx.json", program, c.version, strings.ReplaceAll(b.platform.String(), "/", "-")))
		if err := os.WriteFile(file, b.text, 0o600); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, file)
	}
	return nil
}

// archive writes a directory as a tar file.
func archive(dir, to string) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return f.Close()
}
