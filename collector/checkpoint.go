package collector

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"crossplane-exporter/internal/cloud"
)

// A Keeper keeps a checkpoint from one run of the exporter to the next.
type Keeper interface {
	// Load returns what was saved last, nil if nothing was.
	Load(ctx context.Context) ([]byte, error)
	// Save keeps data instead of what was kept before: either all of it or none.
	Save(ctx context.Context, data []byte) error
	// Room is how many bytes it takes; 0 is any number.
	Room() int
	// Pace is the least time between two saves.
	Pace() time.Duration
	// String says where it keeps it, for people.
	String() string
}

// FileKeeper keeps a checkpoint in the file of that name.
type FileKeeper string

// Load implements Keeper.
func (f FileKeeper) Load(context.Context) ([]byte, error) {
	data, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Save implements Keeper. It writes another file first, so that a crash leaves one or the other.
func (f FileKeeper) Save(_ context.Context, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(string(f)), 0o750); err != nil {
		return err
	}
	next, err := os.OpenFile(string(f)+".next", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = next.Write(data)
	err = errors.Join(err, next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), string(f))
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}

// Room implements Keeper.
func (FileKeeper) Room() int { return 0 }

// Pace implements Keeper.
func (FileKeeper) Pace() time.Duration { return time.Second }

// String implements Keeper.
func (f FileKeeper) String() string { return "file " + string(f) }

// ConfigMapKeeper keeps a checkpoint in a ConfigMap.
type ConfigMapKeeper struct {
	Client          dynamic.Interface
	Namespace, Name string
}

var configMaps = corev1.SchemeGroupVersion.WithResource("configmaps")

const configMapKey = "checkpoint"

// Load implements Keeper.
func (c ConfigMapKeeper) Load(ctx context.Context) ([]byte, error) {
	u, err := c.Client.Resource(configMaps).Namespace(c.Namespace).Get(ctx, c.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	encoded, _, err := unstructured.NestedString(u.Object, "binaryData", configMapKey)
	if err != nil {
		return nil, err
	}
	var data []byte
	return data, json.Unmarshal([]byte(`"`+encoded+`"`), &data)
}

// Save implements Keeper.
func (c ConfigMapKeeper) Save(ctx context.Context, data []byte) error {
	maps := c.Client.Resource(configMaps).Namespace(c.Namespace)
	patch, err := json.Marshal(map[string]any{"binaryData": map[string][]byte{configMapKey: data}})
	if err != nil {
		return err
	}
	_, err = maps.Patch(ctx, c.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(patch, &u.Object); err != nil {
		return err
	}
	u.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	u.SetName(c.Name)
	_, err = maps.Create(ctx, u, metav1.CreateOptions{})
	return err
}

// Room implements Keeper: the API server takes no ConfigMap above 1 MiB.
func (ConfigMapKeeper) Room() int { return 1<<20 - 64<<10 }

// Pace implements Keeper: an etcd is no place for a write a second.
func (ConfigMapKeeper) Pace() time.Duration { return 10 * time.Second }

// String implements Keeper.
func (c ConfigMapKeeper) String() string { return "ConfigMap " + c.Namespace + "/" + c.Name }

// state is what a checkpoint holds.
type state struct {
	Version int `json:"version"`
	// At is when it was saved, in Unix seconds.
	At        int64                 `json:"at"`
	Events    map[string]*eventSeen `json:"events"`
	Resources savedResources        `json:"resources"`
	// Trail is where the audit trail is, nil where none is read.
	Trail *cloud.State `json:"trail,omitempty"`
}

const stateVersion = 1

// checkpoint saves state and survives that this fails.
type checkpoint struct {
	keeper Keeper // nil to keep nothing
	log    *slog.Logger
	tight  bool // it was said that not everything fits; only save's caller touches it

	failures prometheus.Counter
	saved    prometheus.Gauge

	mu     sync.Mutex
	took   time.Duration // the last save
	failed bool
}

func newCheckpoint(k Keeper, log *slog.Logger, reg prometheus.Registerer) *checkpoint {
	c := &checkpoint{
		keeper: k,
		log:    log,
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "crossplane_exporter_checkpoint_failures_total",
			Help: "Checkpoints that could not be saved or read. After a restart, what was counted since the last good one is counted again.",
		}),
		saved: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "crossplane_exporter_checkpoint_timestamp_seconds",
			Help: "When the checkpoint was last saved; 0 while none was.",
		}),
	}
	reg.MustRegister(c.failures, c.saved)
	return c
}

// pace is the time between two looks for something to save: never so short that saving takes more than a twentieth of it.
func (c *checkpoint) pace() time.Duration {
	if c.keeper == nil {
		return time.Second
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(c.keeper.Pace(), 20*c.took)
}

// load returns what was saved last, nil for nothing. What cannot be used is said once and left behind; a cluster that does not
// answer is waited for, because to begin without what was saved would overwrite it.
func (c *checkpoint) load(ctx context.Context, now time.Time) *state {
	if c.keeper == nil {
		return nil
	}
	said := false
	for ctx.Err() == nil {
		s, err := c.read(ctx, now)
		var refused apierrors.APIStatus
		switch _, local := c.keeper.(FileKeeper); {
		case err == nil:
			return s
		case local || errors.As(err, &refused) || errors.Is(err, errUnusable):
			c.failures.Inc()
			c.log.Warn("the checkpoint cannot be used; what happened while the exporter was away is not counted", "checkpoint", c.keeper.String(), "err", err)
			return nil
		case !said:
			said = true
			c.log.Warn("the checkpoint cannot be read yet; nothing is watched before it is", "checkpoint", c.keeper.String(), "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return nil
}

// errUnusable is in the error of a checkpoint that was read and makes no sense.
var errUnusable = errors.New("unusable")

func (c *checkpoint) read(ctx context.Context, now time.Time) (*state, error) {
	const patience = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	data, err := c.keeper.Load(ctx)
	if err != nil || len(data) == 0 {
		return nil, err
	}
	s, err := parseState(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUnusable, err)
	case s.Version != stateVersion:
		return nil, fmt.Errorf("%w: it has version %d, and this exporter knows %d", errUnusable, s.Version, stateVersion)
	case s.At > now.Add(5*time.Minute).Unix():
		return nil, fmt.Errorf("%w: it is from the future: %s", errUnusable, time.Unix(s.At, 0).UTC())
	}
	return s, nil
}

func parseState(data []byte) (*state, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	const most = 256 << 20 // a checkpoint has a few megabytes; more is no checkpoint
	data, err = io.ReadAll(io.LimitReader(z, most))
	if err != nil {
		return nil, err
	}
	s := &state{}
	return s, json.Unmarshal(data, s)
}

// save keeps s. An error has been said.
func (c *checkpoint) save(ctx context.Context, s *state) error {
	if c.keeper == nil {
		return nil
	}
	began := time.Now()
	err := c.write(ctx, s)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took = time.Since(began)
	switch {
	case err == nil:
		c.saved.Set(seconds(began))
		if c.failed {
			c.log.Info("the checkpoint is saved again", "checkpoint", c.keeper.String())
		}
		c.failed = false
	case ctx.Err() != nil:
	default:
		c.failures.Inc()
		if !c.failed {
			c.log.Warn("the checkpoint cannot be saved; after a restart, what was counted since the last one is counted again", "checkpoint", c.keeper.String(), "err", err)
		}
		c.failed = true
	}
	return err
}

func (c *checkpoint) write(ctx context.Context, s *state) error {
	data, err := s.encode()
	for room := c.keeper.Room(); err == nil && room > 0 && len(data) > room && s.halve(); {
		if !c.tight {
			c.log.Warn("the checkpoint is too large for where it is kept, and not all of it is: after a restart some conditions look younger, and a record of the audit trail that is delivered again may be counted again; a file takes any size",
				"checkpoint", c.keeper.String(), "bytes", len(data), "room", room)
		}
		c.tight = true
		data, err = s.encode()
	}
	if err != nil {
		return err
	}
	return c.keeper.Save(ctx, data)
}

// halve makes s smaller by what matters least, and is false if it cannot.
func (s *state) halve() bool { return s.Resources.halve() || s.Trail.Halve() }

func (s *state) encode() ([]byte, error) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if err := json.NewEncoder(z).Encode(s); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
