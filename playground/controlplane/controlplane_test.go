package controlplane_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/controlplane/controlplanetest"
)

func client(t *testing.T, cfg *rest.Config) *kubernetes.Clientset {
	t.Helper()
	c, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestControlPlane(t *testing.T) {
	plane := controlplanetest.New(t)
	ctx := t.Context()
	admin := client(t, plane.RESTConfig())
	if _, err := admin.CoreV1().ConfigMaps("default").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create a ConfigMap: %v", err)
	}

	t.Run("Version", func(t *testing.T) {
		v, err := admin.Discovery().ServerVersion()
		if err != nil {
			t.Fatal(err)
		}
		if want := "v1.35.0"; v.GitVersion != want {
			t.Errorf("the server says it is %s, want %s", v.GitVersion, want)
		}
	})

	t.Run("WatchList", func(t *testing.T) {
		yes := true
		w, err := admin.CoreV1().ConfigMaps("default").Watch(ctx, metav1.ListOptions{
			SendInitialEvents: &yes, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, AllowWatchBookmarks: true,
		})
		if err != nil {
			t.Fatalf("the server does not stream lists: %v", err)
		}
		defer w.Stop()
		for e := range w.ResultChan() {
			if cm, ok := e.Object.(*corev1.ConfigMap); ok && cm.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
				return
			}
		}
		t.Error("the watch ended without a bookmark that marks the end of the initial events")
	})

	t.Run("Kubeconfig", func(t *testing.T) {
		cfg, err := clientcmd.BuildConfigFromFlags("", plane.Kubeconfig())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client(t, cfg).CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err != nil {
			t.Errorf("the user of the kubeconfig should be allowed anything: %v", err)
		}
	})

	t.Run("RBAC", func(t *testing.T) {
		cfg, err := plane.User("somebody")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client(t, cfg).CoreV1().Nodes().List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("a user without a role lists nodes: got error %v, want forbidden", err)
		}
	})

	t.Run("Restart", func(t *testing.T) {
		for name, end := range map[string]func() error{
			"Kill": func() error { plane.KillAPIServer(); return nil },
			"Stop": plane.StopAPIServer,
		} {
			t.Run(name, func(t *testing.T) {
				if err := end(); err != nil {
					t.Fatal(err)
				}
				if plane.Err() == nil {
					t.Error("an API server that has ended should be told by Err")
				}
				if _, err := admin.Discovery().ServerVersion(); err == nil {
					t.Error("an API server that has ended answers")
				}
				if err := plane.StartAPIServer(ctx); err != nil {
					t.Fatal(err)
				}
				if err := plane.Err(); err != nil {
					t.Errorf("after a restart: %v", err)
				}
				// The same client: the port and the certificates are the same. And the data are.
				if _, err := admin.CoreV1().ConfigMaps("default").Get(ctx, "kept", metav1.GetOptions{}); err != nil {
					t.Errorf("after a restart: %v", err)
				}
			})
		}
	})
}

func TestStopLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	plane, err := controlplane.Start(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	pids := plane.PIDs()
	if len(pids) != 2 {
		t.Errorf("processes of a control plane: got %d, want etcd and kube-apiserver", len(pids))
	}
	host := plane.RESTConfig().Host
	if err := plane.Stop(); err != nil {
		t.Error(err)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("process %d after Stop: got %v, want no such process", pid, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("files left by Stop: %s", left)
	}
	if c, err := net.Dial("tcp", strings.TrimPrefix(host, "https://")); err == nil {
		_ = c.Close()
		t.Errorf("somebody still listens on %s", host)
	}
	if err := plane.Stop(); err != nil {
		t.Errorf("stopping twice: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	t.Run("Directory", func(t *testing.T) {
		_, err := controlplane.Start(t.Context(), filepath.Join(t.TempDir(), "missing"))
		if !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a directory that does not exist: got %v", err)
		}
	})
	t.Run("Cancelled", func(t *testing.T) {
		dir := t.TempDir()
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		if _, err := controlplane.Start(ctx, dir); err == nil {
			t.Error("a start that is given no time should fail")
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
			t.Errorf("files left by a start that failed: %s", left)
		}
	})
}
