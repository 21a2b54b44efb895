package main

import (
	"context"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// spdxType is the media type of a bill of materials.
const spdxType = types.MediaType("application/spdx+json")

// upload pushes the image, and for each platform its bill of materials as what refers to it (OCI distribution, "referrers").
func (c config) upload(ctx context.Context, index v1.ImageIndex, bills []bill) error {
	tag, err := name.NewTag(c.name + ":" + c.version)
	if err != nil {
		return err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	if err := remote.WriteIndex(tag, index, options...); err != nil {
		return fmt.Errorf("push %s: %w", tag, err)
	}
	fmt.Fprintln(os.Stdout, "pushed", tag)
	for _, b := range bills {
		artifact, err := b.artifact()
		if err != nil {
			return err
		}
		digest, err := artifact.Digest()
		if err != nil {
			return err
		}
		if err := remote.Write(tag.Digest(digest.String()), artifact, options...); err != nil {
			return fmt.Errorf("push the bill of materials for %s: %w", b.platform, err)
		}
	}
	return nil
}

// artifact is a bill as a manifest that refers to its image.
func (b bill) artifact() (v1.Image, error) {
	subject, err := partial.Descriptor(b.image)
	if err != nil {
		return nil, err
	}
	artifact := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), spdxType)
	artifact, err = mutate.Append(artifact, mutate.Addendum{Layer: static.NewLayer(b.text, spdxType), MediaType: spdxType})
	if err != nil {
		return nil, err
	}
	return mutate.Subject(artifact, *subject).(v1.Image), nil //nolint:forcetypeassert // What it was.
}
