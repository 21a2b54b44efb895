// Package definitions installs CustomResourceDefinitions from the Go modules of those who publish them, so that none is copied
// into this repository.
package definitions

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

// Files lists the files in dir that match one of the patterns, as filepath.Match has them; all of them without a pattern. A
// pattern that matches nothing is an error.
func Files(dir string, patterns ...string) ([]string, error) {
	if len(patterns) == 0 {
		patterns = []string{"*.yaml"}
	}
	var files []string
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(dir, p))
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("no CustomResourceDefinitions called %s in %s", p, dir)
		}
		files = append(files, found...)
	}
	return files, nil
}

// Install creates the definitions in the files, several at a time, and returns when the API server serves them all. One that
// exists already is left as it is.
//
// Conversion webhooks are dropped: nobody answers them here, and then every list of such a kind fails.
func Install(ctx context.Context, cfg *rest.Config, files []string) error {
	const atOnce = 16 // Most of the time is spent waiting for the API server to establish them.
	d, err := discovery.NewDiscoveryClientForConfig(cfg)
	if err != nil {
		return fmt.Errorf("client for definitions: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, f := range files {
		g.Go(func() error {
			if err := install(ctx, d.RESTClient(), f); err != nil {
				return fmt.Errorf("install %s: %w", filepath.Base(f), err)
			}
			return nil
		})
	}
	return g.Wait()
}

// Read reads a definition as JSON, without its conversion webhook.
func Read(file string) ([]byte, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var crd map[string]any
	if err := yaml.Unmarshal(text, &crd); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if spec, ok := crd["spec"].(map[string]any); ok {
		delete(spec, "conversion")
	}
	return json.Marshal(crd)
}

func install(ctx context.Context, client rest.Interface, file string) error {
	body, err := Read(file)
	if err != nil {
		return err
	}
	var crd struct{ Metadata struct{ Name string } }
	if err := json.Unmarshal(body, &crd); err != nil {
		return err
	}
	err = client.Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	return Established(ctx, client, crd.Metadata.Name)
}

// Established waits until the API server serves the kind that a definition of this name defines.
func Established(ctx context.Context, client rest.Interface, name string) error {
	const pause = 100 * time.Millisecond
	for {
		body, err := client.Get().AbsPath(path, name).Do(ctx).Raw()
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		// Schemas are megabytes: only what matters is decoded.
		var crd struct {
			Status struct {
				Conditions []struct{ Type, Status, Message string } `json:"conditions"`
			} `json:"status"`
		}
		if err == nil {
			if err := json.Unmarshal(body, &crd); err != nil {
				return err
			}
		}
		problem := "it does not exist"
		for _, c := range crd.Status.Conditions {
			switch {
			case c.Type == "Established" && c.Status == "True":
				return nil
			case c.Status == "False":
				problem = c.Type + " is False: " + c.Message
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s is established: %w; %s", name, ctx.Err(), problem)
		case <-time.After(pause):
		}
	}
}
