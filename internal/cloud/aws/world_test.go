package aws

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

const (
	secretKey    = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	accessKey    = "AKIAIOSFODNN7EXAMPLE"
	sessionToken = "FwoGZXIvYXdzEXAMPLETOKENxyzAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

// credentials gives the SDK what it needs from the environment, and nothing of this machine's.
func credentials(t testing.TB) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": accessKey, "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_SESSION_TOKEN": sessionToken, "AWS_REGION": "eu-west-1",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": "",
		"AWS_ENDPOINT_URL": "", "AWS_ROLE_ARN": "", "AWS_WEB_IDENTITY_TOKEN_FILE": "", "AWS_CONTAINER_CREDENTIALS_FULL_URI": "",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "", "AWS_DEFAULT_REGION": "", "AWS_CA_BUNDLE": "",
	} {
		t.Setenv(name, value)
	}
}

// A world is the AWS that a test's sources live in, on a network that is within the process: time may be simulated.
type world struct {
	trail awstest.CloudTrail
	sqs   awstest.SQS
	sts   awstest.STS
	s3    http.Handler

	client *http.Client
	logs   syncBuffer

	mu       sync.Mutex
	requests []cloud.Request
}

// open makes a session in the world.
func (w *world) open(t testing.TB, who *Principals) *Session {
	t.Helper()
	if w.client == nil {
		w.client = network(t, map[string]http.Handler{"cloudtrail.test": &w.trail, "sqs.test": &w.sqs, "sts.test": &w.sts, "s3.test": w.s3})
	}
	s, err := Open(t.Context(), Config{
		Endpoints:  Endpoints{CloudTrail: "http://cloudtrail.test", SQS: "http://sqs.test", STS: "http://sts.test", S3: "http://s3.test"},
		HTTPClient: w.client, Principals: who, Log: slog.New(slog.NewTextHandler(&w.logs, nil)),
		OnRequest: func(r cloud.Request) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.requests = append(w.requests, r)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asked counts the requests by API and outcome.
func (w *world) asked() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := map[string]int{}
	for _, r := range w.requests {
		n[r.API+" "+string(r.Outcome)]++
	}
	return n
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// network serves hosts over pipes.
func network(t testing.TB, hosts map[string]http.Handler) *http.Client {
	t.Helper()
	conns := make(chan net.Conn)
	closed := make(chan struct{})
	server := &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := hosts[r.Host]; h != nil {
			h.ServeHTTP(w, r)
		}
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(pipes{conns, closed}) })
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		here, there := net.Pipe()
		select {
		case conns <- there:
			return here, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		wg.Wait()
	})
	return &http.Client{Transport: transport}
}

// pipes is a net.Listener.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	close(p.closed)
	return nil
}

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// A tally is what a test counts: each record by its ID, and writes.
type tally struct {
	mu     sync.Mutex
	IDs    map[string]int
	Writes map[string]int
}

func (c *tally) count(_ string, r *cloud.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.IDs[r.ID]++
	if r.Write {
		c.Writes[r.ID]++
	}
}

func (c *tally) clone() *tally {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &tally{IDs: maps.Clone(c.IDs), Writes: maps.Clone(c.Writes)}
}

// A disk is what outlives a process: a checkpoint.
type disk struct {
	State cloud.State
	*tally
}

// A process runs sources over a ledger until it is stopped or dies.
type process struct {
	*cloud.Ledger
	*tally
	disk   *disk
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// start starts sources where the disk says that they were.
func start(t testing.TB, d *disk, sources ...cloud.Source) *process {
	t.Helper()
	if d.tally == nil {
		d.tally = &tally{IDs: map[string]int{}, Writes: map[string]int{}}
	}
	p := &process{disk: d, tally: d.clone()}
	p.Ledger = cloud.NewLedger(cloud.LedgerConfig{Count: p.count, State: d.State})
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	t.Cleanup(p.die)
	for _, s := range sources {
		p.wg.Go(func() {
			if err := s.Run(ctx, p.Ledger); err != nil {
				t.Errorf("%s: %v", s.Name(), err)
			}
		})
	}
	return p
}

// save writes a checkpoint, through JSON as it is in life.
func (p *process) save(t testing.TB) {
	t.Helper()
	err := p.Checkpoint(func(s cloud.State) func() error {
		counts := p.clone()
		return func() error {
			data, err := json.Marshal(s)
			p.disk.tally, p.disk.State = counts, cloud.State{}
			if err == nil {
				err = json.Unmarshal(data, &p.disk.State)
			}
			return err
		}
	})
	if err != nil {
		t.Error(err)
	}
}

// die ends the process without a checkpoint.
func (p *process) die() {
	p.cancel()
	p.wg.Wait()
}

// within waits for something to become true.
func within(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", d, what)
		}
		tick := time.NewTimer(10 * time.Millisecond)
		<-tick.C
	}
}

// exactly checks that each event was counted once, and nothing else.
func exactly(t testing.TB, got map[string]int, want []awstest.Event) {
	t.Helper()
	missing, double := 0, 0
	wanted := map[string]bool{}
	for _, e := range want {
		wanted[e.ID] = true
		switch n := got[e.ID]; {
		case n == 0:
			missing++
		case n > 1:
			double++
		}
	}
	extra := 0
	for id := range got {
		if !wanted[id] {
			extra++
		}
	}
	if missing+double+extra > 0 {
		t.Errorf("of %d events %d were not counted, %d more than once, and %d others were", len(want), missing, double, extra)
	}
}

// noSecrets checks that a text has none of the credentials.
func noSecrets(t testing.TB, what, text string) {
	t.Helper()
	for _, s := range []string{secretKey, accessKey, sessionToken, "assumed-secret", "assumed-token"} {
		if strings.Contains(text, s) {
			t.Errorf("%s has a credential in it: %s", what, text)
		}
	}
}
