package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"
)

// A bill is an image's bill of materials.
type bill struct {
	platform v1.Platform
	image    v1.Image
	text     []byte // SPDX 2.3, as JSON
}

// bill says what the program at path was built from, by what it says of that itself.
func (c config) bill(p v1.Platform, path string, image v1.Image) (bill, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return bill{}, err
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return bill{}, err
	}
	sum := sha256.Sum256(content)
	hash := hex.EncodeToString(sum[:])
	main := &spdx.Package{
		PackageName: program, PackageSPDXIdentifier: "Package-" + program, PackageVersion: c.version,
		PackageFileName: program, PackageDownloadLocation: none, FilesAnalyzed: false, IsFilesAnalyzedTagPresent: true,
		PackageChecksums:        []common.Checksum{{Algorithm: common.SHA256, Value: hash}},
		PackageLicenseConcluded: "Apache-2.0", PackageLicenseDeclared: "Apache-2.0", PackageCopyrightText: unknown,
	}
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: fmt.Sprintf("%s-%s-%s", program, c.version, p), DocumentNamespace: "urn:sha256:" + hash,
		CreationInfo: &spdx.CreationInfo{
			Created:  c.made.Format("2006-01-02T15:04:05Z"),
			Creators: []common.Creator{{CreatorType: "Tool", Creator: program + "/tools/image"}},
		},
		Packages:      []*spdx.Package{main},
		Relationships: []*spdx.Relationship{relation("DOCUMENT", common.TypeRelationshipDescribe, main.PackageSPDXIdentifier)},
	}
	// The standard library, what the program is linked with, and the certificates beside it.
	parts := []*debug.Module{{Path: "std", Version: info.GoVersion[len("go"):]}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		parts = append(parts, m)
	}
	own, ok := debug.ReadBuildInfo()
	if !ok {
		return bill{}, errors.New("this program does not say where its certificates are from")
	}
	for _, m := range own.Deps {
		if m.Path == certificates {
			parts = append(parts, m)
		}
	}
	for _, m := range parts {
		part := modulePackage(m)
		doc.Packages = append(doc.Packages, part)
		kind := common.TypeRelationshipDependsOn
		if m.Path == certificates {
			kind = common.TypeRelationshipContains
		}
		doc.Relationships = append(doc.Relationships, relation(main.PackageSPDXIdentifier, kind, part.PackageSPDXIdentifier))
	}
	var b bytes.Buffer
	if err := spdxjson.Write(doc, &b, spdxjson.Indent("  ")); err != nil {
		return bill{}, err
	}
	return bill{platform: p, image: image, text: b.Bytes()}, nil
}

// certificates is the module that they are from.
const certificates = "golang.org/x/crypto/x509roots/fallback"

// What SPDX calls what there is none of, and what was not looked into.
const none, unknown = "NONE", "NOASSERTION"

// unfit is what no identifier of SPDX has.
var unfit = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

func modulePackage(m *debug.Module) *spdx.Package {
	return &spdx.Package{
		PackageName: m.Path, PackageVersion: m.Version,
		PackageSPDXIdentifier:   common.ElementID("Package-" + unfit.ReplaceAllString(m.Path+"-"+m.Version, "-")),
		PackageDownloadLocation: unknown, FilesAnalyzed: false, IsFilesAnalyzedTagPresent: true,
		PackageLicenseConcluded: unknown, PackageLicenseDeclared: unknown, PackageCopyrightText: unknown,
		PackageExternalReferences: []*spdx.PackageExternalReference{{
			Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: "pkg:golang/" + m.Path + "@" + m.Version,
		}},
	}
}

func relation(a common.ElementID, kind string, b common.ElementID) *spdx.Relationship {
	return &spdx.Relationship{RefA: common.MakeDocElementID("", string(a)), Relationship: kind, RefB: common.MakeDocElementID("", string(b))}
}
