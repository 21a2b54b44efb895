// Package controllers runs Kubernetes' own controllers beside a control plane: those that make a Deployment a ReplicaSet and a
// ReplicaSet Pods, collect ClusterRoles into others, and clean up after an owner that is gone.
package controllers

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/process"
	"crossplane-exporter/playground/programs"
)

const (
	program = "kube-controller-manager"
	// grace is how long it gets to end when asked to.
	grace = 20 * time.Second
)

// wanted are the controllers that run; the others look after what there is none of here: nodes, clouds, volumes.
var wanted = []string{
	"clusterrole-aggregation-controller",
	"deployment-controller",
	"garbage-collector-controller",
	"replicaset-controller",
	"statefulset-controller",
}

// A Manager is a running kube-controller-manager.
type Manager struct{ process *process.Process }

// Start starts the controllers, building their program first if need be, and returns when they run. Stop them before the control
// plane.
func Start(ctx context.Context, plane *controlplane.ControlPlane) (*Manager, error) {
	const patience = time.Minute
	bin, err := programs.Build(ctx, program)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p, err := process.WithFreePort(func(port int) (*process.Process, error) {
		p, err := process.Start(process.Config{Path: filepath.Join(bin, program), Log: filepath.Join(plane.Dir(), program+".log"), Args: []string{
			"--kubeconfig", plane.Kubeconfig(),
			"--bind-address", "127.0.0.1",
			"--secure-port", strconv.Itoa(port),
			"--cert-dir", filepath.Join(plane.Dir(), program),
			"--controllers", strings.Join(wanted, ","),
			"--leader-elect=false",
		}})
		if err != nil {
			return nil, err
		}
		return p, p.Await(ctx, "the controllers listen", func(context.Context) error {
			if process.Free(port) == nil {
				return fmt.Errorf("nothing listens at port %d", port)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return &Manager{p}, nil
}

// Err says that the controllers have ended and why; nil while they run.
func (m *Manager) Err() error { return m.process.Err() }

// Stop ends the controllers.
func (m *Manager) Stop() error { return m.process.Stop(grace) }
