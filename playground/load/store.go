package load

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// A store is an etcd, spoken to in JSON: byte slices are base64 there, as they are in Go's JSON.
type store struct{ url string }

type put struct {
	key   string
	value []byte
}

// get returns the object stored under a key, and its size.
func (s store) get(ctx context.Context, key string) (map[string]any, int, error) {
	var got struct{ Kvs []struct{ Value []byte } }
	if err := s.call(ctx, "/v3/kv/range", map[string]any{"key": []byte(key)}, &got); err != nil {
		return nil, 0, err
	}
	if len(got.Kvs) == 0 {
		return nil, 0, fmt.Errorf("etcd has no %s", key)
	}
	var o map[string]any
	if err := json.Unmarshal(got.Kvs[0].Value, &o); err != nil {
		return nil, 0, fmt.Errorf("etcd's %s: %w", key, err)
	}
	return o, len(got.Kvs[0].Value), nil
}

// put stores objects, all or none: no more than etcd takes in one transaction, which is 128.
func (s store) put(ctx context.Context, puts []put) error {
	type operation struct {
		Put struct {
			Key   []byte `json:"key"`
			Value []byte `json:"value"`
		} `json:"requestPut"`
	}
	operations := make([]operation, len(puts))
	for i, p := range puts {
		operations[i].Put.Key, operations[i].Put.Value = []byte(p.key), p.value
	}
	var done struct{ Succeeded bool }
	if err := s.call(ctx, "/v3/kv/txn", map[string]any{"success": operations}, &done); err != nil {
		return err
	}
	if !done.Succeeded {
		return fmt.Errorf("etcd did not store %s and the %d after it", puts[0].key, len(puts)-1)
	}
	return nil
}

func (s store) call(ctx context.Context, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("etcd %s: %w", path, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("etcd %s: %w", path, err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("etcd %s: %w", path, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("etcd %s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd %s: %s: %s", path, resp.Status, bytes.TrimSpace(got))
	}
	if err := json.Unmarshal(got, into); err != nil {
		return fmt.Errorf("etcd %s: %w", path, err)
	}
	return nil
}
