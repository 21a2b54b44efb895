// Package scenario fills a control plane with what platform teams have: Crossplane resources of which most are well and some are
// not, each in a way of its own. Files in objects/ say which; providers really reconcile them where that needs no cloud.
package scenario

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"crossplane-exporter/playground/apply"
	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/crossplane"
	"crossplane-exporter/playground/definitions"
	"crossplane-exporter/playground/programs"
	"crossplane-exporter/playground/provider"
)

// deleteAnnotation says in objects/ that an object is deleted in the end. It does not reach the API server.
const deleteAnnotation = "playground/delete"

// A Scenario is a control plane's content and the providers that look after it.
type Scenario struct {
	plane   *controlplane.ControlPlane
	log     *slog.Logger
	applier *apply.Applier
	dynamic dynamic.Interface

	crossplane *crossplane.Crossplane
	providers  []*provider.Provider
	place      place
	deleted    []*unstructured.Unstructured // in the end
}

// Start starts the providers and creates all resources. Within seconds they are as they will be.
func Start(ctx context.Context, plane *controlplane.ControlPlane, log *slog.Logger) (*Scenario, error) {
	a, err := apply.New(plane.RESTConfig())
	if err != nil {
		return nil, err
	}
	d, err := dynamic.NewForConfig(plane.RESTConfig())
	if err != nil {
		return nil, fmt.Errorf("scenario: %w", err)
	}
	s := &Scenario{plane: plane, log: log, applier: a, dynamic: d}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Scenario) start(ctx context.Context) error {
	var err error
	if s.crossplane, err = crossplane.Start(ctx, s.plane); err != nil {
		return err
	}
	s.place = place{Registry: s.crossplane.Registry(), Packages: make(map[string]string)}
	for _, step := range []func(context.Context) error{
		s.startProviders,
		s.installDefinitions,
		s.apply("objects/namespaces.yaml"),
		s.applySecrets,
		s.pushPackages,
		s.apply("objects/packages.yaml"),
		s.apply("objects/configs.yaml"),
		s.apply("objects/kubernetes.yaml"),
		s.apply("objects/nop.yaml"),
		s.apply("objects/aws.yaml"),
		s.runPackages,
		s.apply("objects/fork.yaml"),
		s.runFork,
		s.apply("objects/composites.yaml"),
		s.apply("objects/operations.yaml"),
		s.apply("objects/gitops.yaml"),
		s.delete,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *Scenario) startProviders(ctx context.Context) error {
	// They look for drift more often than anybody would in earnest.
	for _, name := range []string{provider.Kubernetes, provider.Nop} {
		p, err := provider.Start(ctx, s.plane, name, "--poll=5s")
		if err != nil {
			return err
		}
		s.providers = append(s.providers, p)
	}
	return nil
}

// installDefinitions installs kinds whose controllers do not run here.
func (s *Scenario) installDefinitions(ctx context.Context) error {
	for _, from := range []struct {
		module, version, dir string
		files                []string
	}{
		{"github.com/upbound/provider-aws", "v1.0.0", "package/crds", []string{
			"aws.upbound.io_providerconfigs.yaml", "ec2.aws.upbound.io_vpcs.yaml", "ec2.aws.upbound.io_subnets.yaml", "ec2.aws.upbound.io_securitygroups.yaml",
			"iam.aws.upbound.io_roles.yaml", "rds.aws.upbound.io_instances.yaml", "route53.aws.upbound.io_records.yaml",
			"s3.aws.upbound.io_buckets.yaml",
		}},
		{"github.com/fluxcd/kustomize-controller", "v1.6.0", "config/crd/bases", []string{"kustomize.toolkit.fluxcd.io_kustomizations.yaml"}},
	} {
		dir, err := programs.Module(ctx, from.module, from.version)
		if err != nil {
			return err
		}
		files, err := definitions.Files(filepath.Join(dir, filepath.FromSlash(from.dir)), from.files...)
		if err != nil {
			return err
		}
		if err := definitions.Install(ctx, s.plane.RESTConfig(), files); err != nil {
			return err
		}
	}
	return nil
}

// apply applies the objects of a file.
func (s *Scenario) apply(file string) func(context.Context) error {
	return func(ctx context.Context) error {
		all, err := render(file, s.place, time.Now())
		if err != nil {
			return err
		}
		for _, o := range all {
			annotations := o.GetAnnotations()
			if _, ok := annotations[deleteAnnotation]; ok {
				delete(annotations, deleteAnnotation)
				o.SetAnnotations(annotations)
				s.deleted = append(s.deleted, o)
			}
			if err := s.applier.Apply(ctx, o); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
		return nil
	}
}

// pushPackages fills the registry: with packages made of packages/, and of the providers' modules.
func (s *Scenario) pushPackages(ctx context.Context) error {
	push := func(name, version string, content []byte) (err error) {
		s.place.Packages[name], err = s.crossplane.Push(ctx, "example/"+name, version, content)
		return err
	}
	for _, name := range []string{"function", "platform", "platform-next"} {
		content, err := expand("packages/"+name+".yaml", s.place, time.Now())
		if err != nil {
			return err
		}
		if err := push(name, "v1.0.0", content); err != nil {
			return err
		}
	}
	for _, p := range s.providers {
		content, err := p.Package()
		if err != nil {
			return err
		}
		if err := push(p.Name(), p.Version(), content); err != nil {
			return err
		}
		if p.Name() == provider.Nop {
			if err := push(p.Name()+"-fork", "v0.0.1", content); err != nil {
				return err
			}
		}
	}
	return nil
}

// runPackages says in the packages' status how what is in them runs.
func (s *Scenario) runPackages(ctx context.Context) error {
	for _, p := range s.providers {
		if err := s.crossplane.Runs(ctx, "Provider", p.Name(), ""); err != nil {
			return err
		}
	}
	if err := s.crossplane.Runs(ctx, "Function", "function-templates", ""); err != nil {
		return err
	}
	return s.healthy(ctx, provider.Nop) // the fork wants the same kinds, and must come too late
}

func (s *Scenario) runFork(ctx context.Context) error {
	return s.crossplane.Runs(ctx, "Provider", "provider-nop-fork", "provider package deployment is unavailable: Deployment does not have minimum availability.")
}

// healthy waits until a provider's package is.
func (s *Scenario) healthy(ctx context.Context, name string) error {
	const patience, pause = time.Minute, 200 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	providers := s.dynamic.Resource(schema.GroupVersionResource{Group: "pkg.crossplane.io", Version: "v1", Resource: "providers"})
	for {
		o, err := providers.Get(ctx, name, metav1.GetOptions{})
		if err == nil {
			if c, ok := apply.Condition(o, "Healthy"); ok && c["status"] == "True" {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("package %s is not healthy: %w", name, errors.Join(ctx.Err(), err))
		case <-time.After(pause):
		}
	}
}

// delete deletes what is to be deleted. Finalizers keep it.
func (s *Scenario) delete(ctx context.Context) error {
	for _, o := range s.deleted {
		if err := s.applier.Delete(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// applySecrets makes the Secrets of configs.yaml: kubeconfigs with which things go well, or wrong in different ways.
func (s *Scenario) applySecrets(ctx context.Context) error {
	unreachable := s.plane.RESTConfig()
	unreachable.Host = "https://127.0.0.1:1"
	unknown := s.plane.RESTConfig()
	unknown.CertData, unknown.KeyData, unknown.BearerToken = nil, nil, "no-such-token"
	outsider, err := s.plane.User("outsider")
	if err != nil {
		return err
	}
	for name, cfg := range map[string]*rest.Config{
		"default": s.plane.RESTConfig(), "without-role": outsider, "unreachable": unreachable, "unknown-token": unknown,
	} {
		kubeconfig, err := controlplane.EncodeKubeconfig(cfg)
		if err != nil {
			return err
		}
		if err := s.applier.Apply(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1",
			"kind":       "Secret",
			"metadata":   map[string]any{"namespace": "crossplane-system", "name": name},
			"stringData": map[string]any{"kubeconfig": string(kubeconfig)},
		}}); err != nil {
			return err
		}
	}
	return nil
}

// Providers are those that run.
func (s *Scenario) Providers() []*provider.Provider { return s.providers }

// Err says what has ended without being asked to; nil while all run.
func (s *Scenario) Err() error {
	errs := make([]error, 0, len(s.providers)+1)
	errs = append(errs, s.crossplane.Err())
	for _, p := range s.providers {
		errs = append(errs, p.Err())
	}
	return errors.Join(errs...)
}

// Stop stops Crossplane and the providers. What they looked after stays, as it does in earnest.
func (s *Scenario) Stop() error {
	errs := make([]error, 0, len(s.providers)+1)
	if s.crossplane != nil {
		errs = append(errs, s.crossplane.Stop())
	}
	for _, p := range s.providers {
		errs = append(errs, p.Stop())
	}
	return errors.Join(errs...)
}
