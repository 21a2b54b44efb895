// Package node stands in for a node and the scheduler before it: each pod of a control plane becomes a process on loopback, with the
// arguments, the environment, the mounted files and the rights that the pod's manifest says, and its status says how that is
// doing. `kubectl logs` and `kubectl port-forward` reach it through the API server.
//
// A pod has one container here. There is no sandbox: what a manifest says of users, of resources and of the file system is not
// enforced, and liveness is not probed.
package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"crossplane-exporter/playground/controlplane"
)

const name = "playground"

// A Node is a running node.
type Node struct {
	plane  *controlplane.ControlPlane
	client *kubernetes.Clientset
	dir    string
	images map[string]string
	stop   func()
	done   chan struct{}

	mu   sync.Mutex
	pods map[types.UID]*pod
	err  error
}

// Start makes the control plane a node that can run images: for each, the path of the program that is its entry point. Stop it
// before the control plane.
func Start(ctx context.Context, plane *controlplane.ControlPlane, images map[string]string) (*Node, error) {
	client, err := kubernetes.NewForConfig(plane.RESTConfig())
	if err != nil {
		return nil, fmt.Errorf("client of the node: %w", err)
	}
	dir, err := os.MkdirTemp(plane.Dir(), "node-")
	if err != nil {
		return nil, fmt.Errorf("directory of the node: %w", err)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	n := &Node{
		plane: plane, client: client, dir: dir, images: maps.Clone(images),
		stop: stop, done: make(chan struct{}), pods: make(map[types.UID]*pod),
	}
	server, port, err := n.serve()
	if err == nil {
		err = n.register(ctx, port)
	}
	if err != nil {
		stop()
		if server != nil {
			_ = server.Close() // the other error is the one that matters
		}
		return nil, err
	}
	go func() {
		defer close(n.done)
		defer func() { _ = server.Close() }() // what it serves ends with it
		n.run(running)
	}()
	return n, nil
}

// register makes the Node, so that the API server knows whom to ask for a pod's log.
func (n *Node) register(ctx context.Context, port int) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	node, err := n.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("register the node: %w", err)
	}
	node.Status = corev1.NodeStatus{
		Addresses:       []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(port)}}, //nolint:gosec // A port.
		Conditions:      []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}
	if _, err := n.client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("register the node: %w", err)
	}
	return nil
}

// run starts what is to run and stops what is not, until ctx ends.
func (n *Node) run(ctx context.Context) {
	const period = 100 * time.Millisecond
	tick := time.NewTicker(period)
	defer tick.Stop()
	var pods sync.WaitGroup
	defer pods.Wait()
	for {
		list, err := n.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
		if err == nil {
			for i := range list.Items {
				n.see(ctx, &list.Items[i], &pods)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// see starts a pod that is new, and tells one that is known what has become of it.
func (n *Node) see(ctx context.Context, seen *corev1.Pod, pods *sync.WaitGroup) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known := n.pods[seen.UID]; known != nil {
		if seen.DeletionTimestamp != nil {
			known.delete()
		}
		return
	}
	p := newPod(n, seen)
	p.number = len(n.pods)
	n.pods[seen.UID] = p
	pods.Go(func() {
		if err := p.live(ctx); err != nil && ctx.Err() == nil {
			n.mu.Lock()
			n.err = errors.Join(n.err, fmt.Errorf("pod %s/%s: %w", seen.Namespace, seen.Name, err))
			n.mu.Unlock()
		}
	})
}

// find is the newest pod of that name. A StatefulSet can make two of one name in a second, so that their times do not tell.
func (n *Node) find(namespace, name string) *pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found *pod
	for _, p := range n.pods {
		if p.object.Namespace == namespace && p.object.Name == name && (found == nil || found.number < p.number) {
			found = p
		}
	}
	return found
}

// Address is where the only port of a pod's container is on loopback, for who does not want to go through the API server.
func (n *Node) Address(namespace, name string) (string, error) {
	p := n.find(namespace, name)
	if p == nil {
		return "", fmt.Errorf("no pod %s/%s has been on the node", namespace, name)
	}
	return p.address(), nil
}

// Stop ends all pods' processes and takes the node out of the cluster. It fails if the node could not do what it was told at some time.
func (n *Node) Stop() error {
	n.stop()
	<-n.done
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	return errors.Join(n.err, n.client.CoreV1().Nodes().Delete(ctx, name, metav1.DeleteOptions{}), os.RemoveAll(n.dir))
}

// volumes writes what the pod mounts below root and returns the directory that stands for each path in the container.
func (n *Node) volumes(ctx context.Context, o *corev1.Pod, root string) (map[string]string, error) {
	files := make(map[string]map[string][]byte)
	for _, v := range o.Spec.Volumes {
		content := make(map[string][]byte)
		var items []corev1.KeyToPath
		switch {
		case v.ConfigMap != nil:
			c, err := n.client.CoreV1().ConfigMaps(o.Namespace).Get(ctx, v.ConfigMap.Name, metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			items = v.ConfigMap.Items
			for key, text := range c.Data {
				content[key] = []byte(text)
			}
		case v.Secret != nil:
			s, err := n.client.CoreV1().Secrets(o.Namespace).Get(ctx, v.Secret.SecretName, metav1.GetOptions{})
			if err != nil {
				return nil, err
			}
			items, content = v.Secret.Items, s.Data
		}
		files[v.Name] = selected(content, items)
	}
	mounts := make(map[string]string)
	for _, m := range o.Spec.Containers[0].VolumeMounts {
		dir := filepath.Join(root, m.MountPath)
		mounts[m.MountPath] = dir
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		for name, content := range files[m.Name] {
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), content, 0o600); err != nil {
				return nil, err
			}
		}
	}
	return mounts, nil
}

func selected(content map[string][]byte, items []corev1.KeyToPath) map[string][]byte {
	if items == nil {
		return content
	}
	s := make(map[string][]byte)
	for _, item := range items {
		s[item.Path] = content[item.Key]
	}
	return s
}

// gone is whether an error says that the object of a request is there no more, or is another one.
func gone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }

func listen() (net.Listener, error) {
	return net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Closed by who asked for it.
}
