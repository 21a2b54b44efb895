// Package controlplane runs a Kubernetes API server with its etcd on loopback: real ones, that start within seconds, for the
// playground and for tests.
//
// There is nothing behind the API: no controller manager, no scheduler, no kubelet. So a namespace that is deleted stays
// Terminating and what an owner leaves behind is not collected.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"crossplane-exporter/playground/process"
	"crossplane-exporter/playground/programs"
)

// grace is how long a process gets to end when asked to. An idle API server takes about a second.
const grace = 20 * time.Second

// A ControlPlane is a running API server and its etcd.
type ControlPlane struct {
	dir       string
	bin       string
	authority *authority
	etcd      *process.Process
	etcdURL   string
	port      int
	admin     *rest.Config

	mu        sync.Mutex
	apiserver *process.Process
}

// Start starts a control plane, building its programs first if need be, and returns when it answers. It keeps all it writes in
// a new directory below dir ("" is the system's for temporary files) that Stop removes.
func Start(ctx context.Context, dir string) (*ControlPlane, error) {
	bin, err := programs.Build(ctx, "etcd", "kube-apiserver")
	if err != nil {
		return nil, err
	}
	own, err := os.MkdirTemp(dir, "controlplane-")
	if err != nil {
		return nil, fmt.Errorf("directory of the control plane: %w", err)
	}
	c := &ControlPlane{dir: own, bin: bin}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context) error {
	const patience = 2 * time.Minute // Seconds are the rule; a machine may be busy building.
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.writeCertificates(); err != nil {
		return err
	}
	var err error
	if c.etcd, err = process.WithFreePort(func(port int) (*process.Process, error) { return c.startEtcd(ctx, port) }); err != nil {
		return err
	}
	c.apiserver, err = process.WithFreePort(func(port int) (*process.Process, error) {
		c.port = port
		if c.admin, err = c.User("admin", "system:masters"); err != nil {
			return nil, err
		}
		return c.startAPIServer(ctx)
	})
	if err != nil {
		return err
	}
	return WriteKubeconfig(c.Kubeconfig(), c.admin)
}

func (c *ControlPlane) writeCertificates() error {
	var err error
	if c.authority, err = newAuthority(); err != nil {
		return err
	}
	// The second pair is for the tokens of service accounts.
	for _, dir := range []string{c.CertificateDir(), c.path("tokens")} {
		p, err := c.authority.server()
		if err != nil {
			return err
		}
		if err := p.write(dir, c.authority); err != nil {
			return err
		}
	}
	return nil
}

func (c *ControlPlane) startEtcd(ctx context.Context, port int) (*process.Process, error) {
	peers, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	clientURL, peerURL := "http://"+process.Loopback(port), "http://"+process.Loopback(peers)
	p, err := process.Start(process.Config{Path: filepath.Join(c.bin, "etcd"), Log: c.path("etcd.log"), Args: []string{
		"--data-dir", c.path("etcd"),
		"--listen-client-urls", clientURL,
		"--advertise-client-urls", clientURL,
		"--listen-peer-urls", peerURL,
		"--initial-advertise-peer-urls", peerURL,
		"--initial-cluster", "default=" + peerURL,
		"--log-level", "warn",
		// What is lost when the machine goes down is not missed, and a write costs a tenth.
		"--unsafe-no-fsync",
		// 100,000 resources, each written a few times, need more than the 2 GiB it starts out with.
		"--quota-backend-bytes", strconv.Itoa(8 << 30),
	}})
	if err != nil {
		return nil, err
	}
	c.etcdURL = clientURL
	return ready(ctx, p, "etcd is ready", func(ctx context.Context) error { return process.Get(ctx, clientURL+"/readyz") })
}

func (c *ControlPlane) startAPIServer(ctx context.Context) (*process.Process, error) {
	p, err := process.Start(process.Config{Path: filepath.Join(c.bin, "kube-apiserver"), Log: c.path("kube-apiserver.log"), Args: []string{
		"--etcd-servers", c.etcdURL,
		"--bind-address", "127.0.0.1",
		"--advertise-address", "127.0.0.1",
		"--secure-port", strconv.Itoa(c.port),
		"--endpoint-reconciler-type", "none",
		"--tls-cert-file", filepath.Join(c.CertificateDir(), certificateFile),
		"--tls-private-key-file", filepath.Join(c.CertificateDir(), keyFile),
		"--client-ca-file", filepath.Join(c.CertificateDir(), authorityFile),
		"--authorization-mode", "RBAC",
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--service-account-key-file", c.path(filepath.Join("tokens", certificateFile)),
		"--service-account-signing-key-file", c.path(filepath.Join("tokens", keyFile)),
		"--service-cluster-ip-range", "10.0.0.0/24",
		"--feature-gates", "WatchList=true",
	}})
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(c.admin)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("client of the API server: %w", err), p.Stop(grace))
	}
	return ready(ctx, p, "the API server is ready", func(ctx context.Context) error {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Timeout(5 * time.Second).Do(ctx).Error()
	})
}

// ready returns the process once check is content with it. A process that does not get there is stopped.
func ready(ctx context.Context, p *process.Process, what string, check func(context.Context) error) (*process.Process, error) {
	if err := p.Await(ctx, what, check); err != nil {
		return nil, errors.Join(err, p.Stop(grace))
	}
	return p, nil
}

func (c *ControlPlane) path(name string) string { return filepath.Join(c.dir, name) }

// Dir is where the control plane keeps its data and logs, until Stop removes it. What runs beside it may use it too.
func (c *ControlPlane) Dir() string { return c.dir }

// EtcdURL is where etcd serves its clients, for what would take too long through the API.
func (c *ControlPlane) EtcdURL() string { return c.etcdURL }

// CertificateDir has a certificate for servers on loopback, and for their clients, as tls.crt, tls.key and ca.crt.
func (c *ControlPlane) CertificateDir() string { return c.path("server") }

// RESTConfig lets a client do anything, as fast as it can.
func (c *ControlPlane) RESTConfig() *rest.Config { return rest.CopyConfig(c.admin) }

// Kubeconfig is the path of a file that lets kubectl and others do anything.
func (c *ControlPlane) Kubeconfig() string { return c.path("kubeconfig") }

// User returns the configuration of a client that is known to RBAC as a user of some groups, and may do what rules say of them.
func (c *ControlPlane) User(name string, groups ...string) (*rest.Config, error) {
	p, err := c.authority.user(name, groups)
	if err != nil {
		return nil, err
	}
	return &rest.Config{
		Host: "https://" + process.Loopback(c.port),
		TLSClientConfig: rest.TLSClientConfig{
			CAData:   c.authority.pem(),
			CertData: p.certificate,
			KeyData:  p.key,
		},
		QPS: -1, // The server limits, if need be.
	}, nil
}

// EncodeKubeconfig is the content of a file with which kubectl and others do what a client of cfg does.
func EncodeKubeconfig(cfg *rest.Config) ([]byte, error) {
	const name = "playground"
	k := api.NewConfig()
	k.Clusters[name] = &api.Cluster{Server: cfg.Host, CertificateAuthorityData: cfg.CAData}
	k.AuthInfos[name] = &api.AuthInfo{ClientCertificateData: cfg.CertData, ClientKeyData: cfg.KeyData, Token: cfg.BearerToken}
	k.Contexts[name] = &api.Context{Cluster: name, AuthInfo: name}
	k.CurrentContext = name
	text, err := clientcmd.Write(*k)
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	return text, nil
}

// WriteKubeconfig writes such a file.
func WriteKubeconfig(path string, cfg *rest.Config) error {
	text, err := EncodeKubeconfig(cfg)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	return nil
}

// KillAPIServer ends the API server as a crash would: connections break, etcd and its data stay.
func (c *ControlPlane) KillAPIServer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.apiserver.Kill()
}

// StopAPIServer ends the API server as an upgrade would: it tells its clients and lets requests end.
func (c *ControlPlane) StopAPIServer() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apiserver.Stop(grace)
}

// StartAPIServer starts the API server again, on the same port and with the same data, and returns when it is ready.
func (c *ControlPlane) StartAPIServer(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apiserver.Err() == nil {
		return errors.New("the API server is running: kill or stop it before it is started again")
	}
	p, err := c.startAPIServer(ctx)
	if err != nil {
		return err
	}
	c.apiserver = p
	return nil
}

// Err says which process has ended without being asked to, and what it said last; nil while all run.
func (c *ControlPlane) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return errors.Join(c.etcd.Err(), c.apiserver.Err())
}

// Stop ends the control plane and removes all it wrote. Nothing is left even where it returns an error.
func (c *ControlPlane) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, p := range []*process.Process{c.apiserver, c.etcd} {
		if p != nil {
			errs = append(errs, p.Stop(grace))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// PIDs of the processes that make up the control plane.
func (c *ControlPlane) PIDs() []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []int{c.etcd.PID(), c.apiserver.PID()}
}
