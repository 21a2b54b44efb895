package crossplane

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	xpv2 "github.com/crossplane/crossplane/apis/v2/core/v2"
	pkgv1 "github.com/crossplane/crossplane/apis/v2/pkg/v1"
	"github.com/google/go-containerregistry/pkg/name"
	oci "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// A registry serves packages to Crossplane, on loopback and from memory.
type registry struct {
	server  *http.Server
	address string
}

func startRegistry() (*registry, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Nothing to wait for.
	if err != nil {
		return nil, fmt.Errorf("registry of packages: %w", err)
	}
	const patience = 10 * time.Second
	r := &registry{address: l.Addr().String(), server: &http.Server{
		Handler:           oci.New(oci.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: patience,
	}}
	go func() { _ = r.server.Serve(l) }() // Until stop.
	return r, nil
}

func (r *registry) stop() error { return r.server.Close() }

// Registry is the address of the registry that packages are pushed to.
func (c *Crossplane) Registry() string { return c.registry.address }

// Push makes a package of its meta file and the objects in it, and pushes it. What it returns can be spec.package of a
// Provider, Function or Configuration.
func (c *Crossplane) Push(ctx context.Context, repository, version string, yaml []byte) (string, error) {
	ref, err := name.NewTag(c.registry.address + "/" + repository + ":" + version)
	if err != nil {
		return "", fmt.Errorf("package %s: %w", repository, err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Name: "package.yaml", Mode: 0o644, Size: int64(len(yaml))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(yaml); err != nil {
			return nil, err
		}
		return io.NopCloser(&b), w.Close()
	})
	if err != nil {
		return "", fmt.Errorf("package %s: %w", repository, err)
	}
	image, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return "", fmt.Errorf("package %s: %w", repository, err)
	}
	if err := remote.Write(ref, image, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("push package %s: %w", repository, err)
	}
	return ref.String(), nil
}

// Endpoint is where the composition function listens: what the status of an active FunctionRevision has to say.
func (c *Crossplane) Endpoint() string { return c.function.endpoint }

// Runs writes into the status of the active revision of a Provider or Function that what is in its package runs, as the
// controller would that runs packages: or that it does not, and why not. It waits for the revision.
func (c *Crossplane) Runs(ctx context.Context, kind, pkg, problem string) error {
	const patience, pause = 30 * time.Second, 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	resources := map[string]string{"Provider": "providerrevisions", "Function": "functionrevisions"}
	client, err := dynamic.NewForConfig(c.plane.RESTConfig())
	if err != nil {
		return fmt.Errorf("runtime of %s: %w", pkg, err)
	}
	revisions := client.Resource(schema.GroupVersionResource{Group: "pkg.crossplane.io", Version: "v1", Resource: resources[kind]})
	condition := pkgv1.RuntimeHealthy()
	if problem != "" {
		condition = pkgv1.RuntimeUnhealthy().WithMessage(problem)
	}
	for {
		err := c.mark(ctx, revisions, pkg, condition)
		if err == nil {
			return nil
		}
		if !errors.Is(err, errNoRevision) && !apierrors.IsConflict(err) {
			return fmt.Errorf("runtime of %s: %w", pkg, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("runtime of %s: %w", pkg, err)
		case <-time.After(pause):
		}
	}
}

var errNoRevision = errors.New("the package has no active revision")

func (c *Crossplane) mark(ctx context.Context, revisions dynamic.ResourceInterface, pkg string, condition xpv2.Condition) error {
	all, err := revisions.List(ctx, metav1.ListOptions{LabelSelector: pkgv1.LabelParentPackage + "=" + pkg})
	if err != nil {
		return err
	}
	for _, r := range all.Items {
		if state, _, _ := unstructured.NestedString(r.Object, "spec", "desiredState"); state != string(pkgv1.PackageRevisionActive) {
			continue
		}
		status, _, err := unstructured.NestedMap(r.Object, "status")
		if err != nil {
			return err
		}
		var typed pkgv1.FunctionRevisionStatus
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(status, &typed); err != nil {
			return err
		}
		typed.SetConditions(condition)
		conditions, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&typed.ConditionedStatus)
		if err != nil {
			return err
		}
		if err := unstructured.SetNestedField(r.Object, conditions["conditions"], "status", "conditions"); err != nil {
			return err
		}
		if err := unstructured.SetNestedField(r.Object, tlsSecret, "status", "tlsServerSecretName"); err != nil {
			return err
		}
		if r.GetKind() == pkgv1.FunctionRevisionKind {
			if err := unstructured.SetNestedField(r.Object, c.Endpoint(), "status", "endpoint"); err != nil {
				return err
			}
		}
		_, err = revisions.UpdateStatus(ctx, &r, metav1.UpdateOptions{FieldManager: "playground"})
		return err
	}
	return errNoRevision
}
