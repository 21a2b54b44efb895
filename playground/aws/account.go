// Package aws plays AWS and its provider, for there is no account here: nothing of it is real but how it is told.
//
// People and programs change a few of the scenario's resources behind their provider's back, and what plays the provider puts
// them back. CloudTrail shows those calls, among many others, some seconds later: the exporter asks it with AWS's own SDK. The
// objects' status and Events are written on the control plane as the real provider would write them, but for one thing: status
// follows a change at once, and not when the provider looks for the next time.
package aws

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crossplane-exporter/internal/cloud/aws/awstest"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
)

// A Config says how things go.
type Config struct {
	// REST is how to reach the control plane that has the scenario's resources.
	REST *rest.Config
	Log  *slog.Logger
	// Every is how often someone changes a resource.
	Every time.Duration
	// Poll is how often the provider looks at its resources, and puts them back.
	Poll time.Duration
	// Delay is how long after a call CloudTrail shows it. AWS takes three to ten minutes.
	Delay time.Duration
}

// An Account is an AWS account with resources of the scenario in it.
type Account struct {
	config  Config
	dynamic dynamic.Interface
	events  record.EventBroadcaster

	trail  *awstest.CloudTrail
	fault  atomic.Pointer[awstest.Fault]
	server *http.Server
	url    string

	round []int // of intrude alone

	mu      sync.Mutex
	changed map[*subject]bool // that are not as their provider wants them
}

// Start starts the account's CloudTrail. Nothing happens in it before Run.
func Start(ctx context.Context, cfg Config) (*Account, error) {
	d, err := dynamic.NewForConfig(cfg.REST)
	if err != nil {
		return nil, fmt.Errorf("a client for AWS's resources: %w", err)
	}
	core, err := typedcorev1.NewForConfig(cfg.REST)
	if err != nil {
		return nil, fmt.Errorf("a client for the Events of AWS's resources: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("a port for CloudTrail: %w", err)
	}
	a := &Account{
		config: cfg, dynamic: d, events: record.NewBroadcaster(),
		url: "http://" + l.Addr().String(), changed: map[*subject]bool{},
	}
	a.events.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: core.Events("")})
	// AWS answers twice a second. Whoever watches here does not want to wait for that.
	a.trail = &awstest.CloudTrail{Rate: -1, Fail: func(awstest.Call) *awstest.Fault { return a.fault.Load() }}
	a.server = &http.Server{Handler: a.trail, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := a.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			cfg.Log.Error("the playground's CloudTrail has ended", "error", err)
		}
	}()
	return a, nil
}

// Args are the exporter's flags for this account.
func (a *Account) Args() []string {
	return []string{
		"--cloudtrail.source=lookup",
		"--cloudtrail.endpoint=cloudtrail=" + a.url,
		"--cloudtrail.rate=20",
		"--cloudtrail.pause=5s",
		"--cloudtrail.name-role=batch=" + batch.role,
	}
}

// Env is the exporter's environment for this account: credentials that are good for nothing else, and nothing of what this
// process's own environment says of AWS.
func (*Account) Env() []string {
	var env []string
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			env = append(env, name+"=") // which the SDK takes for unset
		}
	}
	return append(env,
		"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", // AWS's own examples
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true",
	)
}

// Refuse has CloudTrail answer with a fault from now on; nil ends that.
func (a *Account) Refuse(f *awstest.Fault) { a.fault.Store(f) }

// Run has things happen until ctx ends.
func (a *Account) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, activity := range []struct {
		every time.Duration
		do    func(ctx context.Context, n int) error
	}{
		{a.config.Every, a.intrude},
		{a.config.Poll, a.reconcile},
		{time.Second, a.bustle},
	} {
		all.Go(func() {
			tick := time.NewTicker(activity.every)
			defer tick.Stop()
			for n := 0; ; n++ {
				// The API server may be restarting; the next time will do.
				if err := activity.do(ctx, n); err != nil && ctx.Err() == nil {
					a.config.Log.Warn("the playground could not do something to AWS's resources", "error", err)
				}
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	all.Wait()
}

// Stop ends what Start began.
func (a *Account) Stop() error {
	a.events.Shutdown()
	return a.server.Close()
}

// happened puts a call into the trail.
func (a *Account) happened(by caller, c call) {
	now := time.Now()
	a.trail.Add(now.Add(a.config.Delay), awstest.Event{
		ID: string(uuid.NewUUID()), Time: now.Truncate(time.Second), Account: accountID,
		Role: by.role, Session: by.session, Agent: by.agent, Console: by.console,
		Region: c.region, Source: c.service + ".amazonaws.com", Name: c.operation, ReadOnly: c.readOnly,
		Request: c.request, ErrorCode: c.code, Message: c.message,
	})
}

// recorder writes Events as crossplane-runtime does, for the controller of a kind.
func (a *Account) recorder(controller string) record.EventRecorder {
	return a.events.NewRecorder(scheme.Scheme, corev1.EventSource{Component: controller})
}
