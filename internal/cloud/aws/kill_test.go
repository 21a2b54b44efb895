package aws

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws/awstest"
)

// survived is what the process that is killed keeps in its checkpoint: the counts, and what belongs to them.
type survived struct {
	Trail cloud.State
	By    map[string]int // outcome and class
}

func (s *survived) load(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, s)
}

// save replaces the file in one step: the process may be killed in any.
func (s *survived) save(file string) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".next", data, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".next", file)
}

// The environment of the process that is killed.
const (
	envS3, envSQS, envCheckpoint = "KILL_TEST_S3", "KILL_TEST_SQS", "KILL_TEST_CHECKPOINT"
)

// TestKilledProcess is not a test, but the process that TestKillNine kills.
func TestKilledProcess(t *testing.T) {
	file := os.Getenv(envCheckpoint)
	if file == "" {
		t.Skip("run by TestKillNine")
	}
	c := survived{By: map[string]int{}}
	if err := c.load(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	who := &Principals{}
	who.Know(Known{Providers: []string{awstest.ProviderRole}})
	ctx := context.Background()
	session, err := Open(ctx, Config{Endpoints: Endpoints{S3: os.Getenv(envS3), SQS: os.Getenv(envSQS)}, Principals: who})
	if err != nil {
		t.Fatal(err)
	}
	ledger := cloud.NewLedger(cloud.LedgerConfig{State: c.Trail, Count: func(_ string, r *cloud.Record) {
		c.By[string(r.Outcome)+" "+r.Principal.Class]++
	}})
	go func() {
		_ = session.Bucket(BucketConfig{Queue: queueURL, Region: "eu-west-1"}).Run(ctx, ledger)
	}()
	for range time.Tick(20 * time.Millisecond) {
		err := ledger.Checkpoint(func(s cloud.State) func() error {
			now := survived{Trail: s, By: map[string]int{}}
			for k, n := range c.By {
				now.By[k] = n
			}
			return func() error { return now.save(file) }
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A process is killed at random points of a long delivery, in which messages and events come twice and in no order. In
// the end each event is in the counts, once.
func TestKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	credentials(t)
	r := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	s3 := newBucket(t)
	sqs := &awstest.SQS{Duplicates: 20, Shuffle: true}
	s3.failWith(func(http.ResponseWriter, *http.Request) bool {
		<-time.After(100 * time.Millisecond) // so that it takes a while
		return false
	})
	s3Server, sqsServer := httptest.NewUnstartedServer(s3), httptest.NewServer(sqs)
	s3Server.Config.ErrorLog = log.New(io.Discard, "", 0) // it says when a caller went away
	s3Server.Start()
	defer s3Server.Close()
	defer sqsServer.Close()

	now := time.Now()
	all := awstest.Generate(1, 30_000, now.Add(-time.Hour), now)
	for i, from := 0, 0; from < len(all); i++ {
		to := min(len(all), from+1+r.IntN(600))
		file := append([]awstest.Event(nil), all[from:to]...)
		file = append(file, all[max(0, from-r.IntN(100)):from]...) // again
		key := LogName("111111111111", now, i)
		s3.put(t, key, logFileOf(t, file))
		sqs.Send(queueURL, s3Message(key))
		from = to
	}

	checkpoint := filepath.Join(t.TempDir(), "checkpoint")
	lives, deadline := 0, time.Now().Add(5*time.Minute)
	for sqs.Len(queueURL) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d messages are left after %d lives", sqs.Len(queueURL), lives)
		}
		process := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledProcess$")
		process.Env = append(os.Environ(), envS3+"="+s3Server.URL, envSQS+"="+sqsServer.URL, envCheckpoint+"="+checkpoint)
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		// It lives for some part of a second from when it has begun.
		<-time.After(time.Duration(50+r.IntN(1500)) * time.Millisecond)
		if err := process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := process.Wait(); err == nil {
			t.Fatal("the process ended before it was killed")
		}
		sqs.Reveal()
		lives++
	}

	var got survived
	if err := got.load(checkpoint); err != nil {
		t.Fatal(err)
	}
	who := &Principals{}
	who.Know(Known{Providers: []string{awstest.ProviderRole}})
	want, d := map[string]int{}, NewDecoder(who)
	for i := range all {
		e, err := d.One(all[i].JSON())
		if err != nil {
			t.Fatal(err)
		}
		want[string(e.Outcome)+" "+e.Principal.Class]++
	}
	if diff := cmp.Diff(want, got.By); diff != "" {
		t.Errorf("after %d lives: -want, +got:\n%s", lives, diff)
	}
	if lives < 5 {
		t.Errorf("only %d lives", lives)
	}
	t.Logf("%d lives, %d events: %v", lives, len(all), got.By)
}
