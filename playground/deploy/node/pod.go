package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"crossplane-exporter/playground/controlplane"
	"crossplane-exporter/playground/process"
)

const (
	// probing is how often a pod is probed for readiness: sooner than manifests ask for, because nobody wants to wait.
	probing = 100 * time.Millisecond
	// grace is how long a process gets to end when asked to.
	grace = 10 * time.Second
)

// A pod is a pod on the node and its process.
type pod struct {
	node   *Node
	object *corev1.Pod // as it was first seen
	number int         // how many the node has seen before
	dir    string

	deleted    chan struct{}
	deleteOnce sync.Once

	mu       sync.Mutex
	port     int
	restarts int32
}

func newPod(n *Node, o *corev1.Pod) *pod {
	return &pod{node: n, object: o, dir: filepath.Join(n.dir, string(o.UID)), deleted: make(chan struct{})}
}

func (p *pod) delete() { p.deleteOnce.Do(func() { close(p.deleted) }) }

func (p *pod) address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return process.Loopback(p.port)
}

func (p *pod) log() string { return filepath.Join(p.dir, "container.log") }

// live is the pod's whole life: it is bound to the node, its process runs, again and again if it ends, and it goes when it is deleted.
func (p *pod) live(ctx context.Context) error {
	o := p.object
	if err := os.Mkdir(p.dir, 0o700); err != nil {
		return err
	}
	if o.Spec.NodeName == "" {
		err := p.node.client.CoreV1().Pods(o.Namespace).Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, UID: o.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: name},
		}, metav1.CreateOptions{})
		if err != nil && !gone(err) {
			return err
		}
	}
	err := p.work(ctx)
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, p.say(ctx, corev1.PodPending, waiting("CreateContainerError", err.Error()), false))
	}
	select {
	case <-p.deleted:
	case <-ctx.Done():
		return nil
	}
	zero := int64(0)
	left := p.node.client.CoreV1().Pods(o.Namespace).Delete(ctx, o.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &o.UID},
	})
	if gone(left) {
		left = nil
	}
	return errors.Join(err, left)
}

// work runs the process until the pod is deleted, or has ended and is not to be started again.
func (p *pod) work(ctx context.Context) error {
	image := p.object.Spec.Containers[0].Image
	program, ok := p.node.images[image]
	if !ok {
		if err := p.say(ctx, corev1.PodPending, waiting("ErrImagePull", "no image "+image), false); err != nil {
			return err
		}
		p.rest(ctx, 0)
		return nil
	}
	cfg, err := p.command(ctx, program)
	if err != nil {
		return err
	}
	// A kubelet begins with ten seconds and ends with five minutes.
	const first, longest = 200 * time.Millisecond, 2 * time.Second
	for pause := first; ; pause = min(2*pause, longest) {
		ended, err := p.process(ctx, cfg)
		if err != nil || ended == nil {
			return err
		}
		switch {
		case p.object.Spec.RestartPolicy != corev1.RestartPolicyNever:
			err = p.say(ctx, corev1.PodRunning, waiting("CrashLoopBackOff", ended.Error()), false)
		case strings.Contains(ended.Error(), "exit status 0"):
			err = p.say(ctx, corev1.PodSucceeded, terminated("Completed", 0), false)
			pause = 0
		default:
			err = p.say(ctx, corev1.PodFailed, terminated("Error", 1), false)
			pause = 0
		}
		if err != nil || p.rest(ctx, pause) {
			return err
		}
		p.mu.Lock()
		p.restarts++
		p.mu.Unlock()
	}
}

// rest waits, for 0 without an end. It is true if the pod was deleted meanwhile.
func (p *pod) rest(ctx context.Context, pause time.Duration) bool {
	var over <-chan time.Time
	if pause > 0 {
		over = time.After(pause)
	}
	select {
	case <-p.deleted:
		return true
	case <-ctx.Done():
		return true
	case <-over:
		return false
	}
}

// process runs it once. It returns how it ended, or nil if it was stopped because the pod is deleted or the node stops.
func (p *pod) process(ctx context.Context, cfg process.Config) (ended, err error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.port = port
	p.mu.Unlock()
	if len(cfg.Args) == 0 || cfg.Args[0] != "check" {
		cfg.Args = append(cfg.Args[:len(cfg.Args):len(cfg.Args)], "--web.listen-address="+process.Loopback(port))
	}
	run, err := process.Start(cfg)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(probing)
	defer tick.Stop()
	for ready, said := false, false; ; {
		select {
		case <-run.Done():
			return run.Err(), nil
		case <-ctx.Done():
			return nil, run.Stop(grace)
		case <-p.deleted:
			return nil, errors.Join(p.say(ctx, corev1.PodRunning, running(), false), run.Stop(grace))
		case <-tick.C:
		}
		now := p.probe(ctx) == nil
		if said && now == ready {
			continue
		}
		ready, said = now, true
		if err := p.say(ctx, corev1.PodRunning, running(), ready); err != nil && ctx.Err() == nil {
			return nil, errors.Join(err, run.Stop(grace))
		}
	}
}

// command is how the container's process is started, but for where it listens.
func (p *pod) command(ctx context.Context, program string) (process.Config, error) {
	o := p.object
	if len(o.Spec.Containers) != 1 {
		return process.Config{}, fmt.Errorf("it has %d containers, and the node runs one", len(o.Spec.Containers))
	}
	container := o.Spec.Containers[0]
	kubeconfig := filepath.Join(p.dir, "kubeconfig")
	if err := p.credentials(ctx, kubeconfig); err != nil {
		return process.Config{}, err
	}
	mounts, err := p.node.volumes(ctx, o, filepath.Join(p.dir, "root"))
	if err != nil {
		return process.Config{}, fmt.Errorf("mount volumes: %w", err)
	}
	// The credentials of whoever runs this are not the pod's.
	env := []string{"KUBECONFIG=" + kubeconfig, "HOME=" + p.dir, "AWS_ACCESS_KEY_ID=", "AWS_PROFILE=", "AWS_WEB_IDENTITY_TOKEN_FILE="}
	replace := []string{"$(", "$("}
	for _, v := range container.Env {
		value := v.Value
		if v.ValueFrom != nil {
			ref := v.ValueFrom.FieldRef
			if ref == nil {
				return process.Config{}, fmt.Errorf("%s is from something else than a field", v.Name)
			}
			label, isLabel := strings.CutPrefix(ref.FieldPath, "metadata.labels['")
			switch {
			case ref.FieldPath == "metadata.namespace":
				value = o.Namespace
			case isLabel:
				value = o.Labels[strings.TrimSuffix(label, "']")]
			default:
				return process.Config{}, fmt.Errorf("%s is from %s, and not from metadata.namespace or a label", v.Name, ref.FieldPath)
			}
		}
		env = append(env, v.Name+"="+value)
		replace = append([]string{"$(" + v.Name + ")", value}, replace...)
	}
	for path, dir := range mounts {
		replace = append([]string{"=" + path + "/", "=" + dir + "/"}, replace...)
	}
	expand := strings.NewReplacer(replace...)
	args := make([]string, 0, len(container.Args))
	for _, a := range container.Args {
		if strings.HasPrefix(a, "--checkpoint=file:") {
			for path, dir := range mounts {
				a = strings.Replace(a, "file:"+path, "file:"+dir, 1)
			}
		}
		args = append(args, expand.Replace(a))
	}
	return process.Config{Path: program, Args: args, Env: env, Log: p.log()}, nil
}

// credentials writes a kubeconfig with a token of the pod's service account.
func (p *pod) credentials(ctx context.Context, path string) error {
	o := p.object
	t, err := p.node.client.CoreV1().ServiceAccounts(o.Namespace).CreateToken(ctx, o.Spec.ServiceAccountName, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{
			BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: o.Name, UID: o.UID},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("token of service account %s: %w", o.Spec.ServiceAccountName, err)
	}
	admin := p.node.plane.RESTConfig()
	return controlplane.WriteKubeconfig(path, &rest.Config{
		Host: admin.Host, TLSClientConfig: rest.TLSClientConfig{CAData: admin.CAData}, BearerToken: t.Status.Token,
	})
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func running() corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
}

func terminated(reason string, code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, ExitCode: code}}
}

// say writes the pod's status.
func (p *pod) say(ctx context.Context, phase corev1.PodPhase, state corev1.ContainerState, ready bool) error {
	p.mu.Lock()
	restarts := p.restarts
	p.mu.Unlock()
	container := p.object.Spec.Containers[0]
	for {
		o, err := p.node.client.CoreV1().Pods(p.object.Namespace).Get(ctx, p.object.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && o.UID != p.object.UID {
			return nil
		}
		if err != nil {
			return err
		}
		started := state.Running != nil
		o.Status.Phase, o.Status.HostIP, o.Status.PodIP = phase, "127.0.0.1", ""
		o.Status.ContainerStatuses = []corev1.ContainerStatus{{
			Name: container.Name, Image: container.Image, State: state, Ready: ready, Started: &started, RestartCount: restarts,
		}}
		condition(o, corev1.PodScheduled, true)
		condition(o, corev1.PodInitialized, true)
		condition(o, corev1.ContainersReady, ready)
		condition(o, corev1.PodReady, ready)
		_, err = p.node.client.CoreV1().Pods(o.Namespace).UpdateStatus(ctx, o, metav1.UpdateOptions{})
		if !apierrors.IsConflict(err) {
			return err
		}
	}
}

func condition(o *corev1.Pod, kind corev1.PodConditionType, is bool) {
	status := corev1.ConditionFalse
	if is {
		status = corev1.ConditionTrue
	}
	for i, c := range o.Status.Conditions {
		if c.Type != kind {
			continue
		}
		if c.Status != status {
			o.Status.Conditions[i] = corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: metav1.Now()}
		}
		return
	}
	o.Status.Conditions = append(o.Status.Conditions, corev1.PodCondition{Type: kind, Status: status, LastTransitionTime: metav1.Now()})
}

// dial connects to the container's port.
func (p *pod) dial(ctx context.Context) (*net.TCPConn, error) {
	conn, err := (&net.Dialer{Timeout: grace}).DialContext(ctx, "tcp", p.address())
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), nil //nolint:forcetypeassert // That is what "tcp" makes.
}
