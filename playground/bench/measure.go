package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"crossplane-exporter/playground/process"
)

// measure starts a program, waits until its first complete scrape, and scrapes it.
func (b *bench) measure(ctx context.Context, path, metrics string, args func(port int) []string, complete func(context.Context, string) (bool, error)) (r *result, err error) {
	const patience = 15 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	address := "http://127.0.0.1:" + strconv.Itoa(port)
	r = &result{}
	began := time.Now()
	p, err := process.Start(process.Config{Path: path, Args: args(port), Log: filepath.Join(b.dir, filepath.Base(path)+".log")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Stop(20*time.Second)) }()
	if err := await(ctx, p, func(ctx context.Context) (bool, error) { return complete(ctx, address) }); err != nil {
		return nil, err
	}
	if r.series, err = count(ctx, address+metrics, ""); err != nil {
		return nil, err
	}
	r.first = time.Since(began)
	if r.cpu, err = cpu(p.PID()); err != nil {
		return nil, err
	}
	if r.plain, err = b.scrape(ctx, address+metrics, "identity", false); err != nil {
		return nil, err
	}
	if r.gzip, err = b.scrape(ctx, address+metrics, "gzip", false); err != nil {
		return nil, err
	}
	if r.changed, err = b.scrape(ctx, address+metrics, "gzip", true); err != nil {
		return nil, err
	}
	if r.peak, err = status(p.PID(), "VmHWM"); err != nil {
		return nil, err
	}
	r.rest, err = status(p.PID(), "VmRSS")
	return r, err
}

// await asks whether it is done now and then: seldom, because to ask is work for the program that is measured.
func await(ctx context.Context, p *process.Process, done func(context.Context) (bool, error)) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := done(ctx); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is not complete: %w", ctx.Err())
		case <-p.Done():
			return p.Err()
		case <-tick.C:
		}
	}
}

// scrape is the median of several scrapes, each after 100 objects have changed if change is true.
func (b *bench) scrape(ctx context.Context, url, encoding string, change bool) (scrape, error) {
	// Not http.DefaultTransport, which would unpack what it gets.
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	var all []scrape
	for range b.scrapes + 1 {
		if change {
			if err := b.change(ctx); err != nil {
				return scrape{}, err
			}
		}
		began := time.Now()
		n, err := fetch(ctx, client, url, encoding)
		if err != nil {
			return scrape{}, err
		}
		all = append(all, scrape{time.Since(began), n})
	}
	return median(all[1:]), nil // the first one warms up
}

// change changes 100 objects and gives their watches a second, which is what counts as news for a scrape every 30.
func (b *bench) change(ctx context.Context) error {
	if err := b.fleet.Change(ctx, 100); err != nil {
		return err
	}
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// fetch reads what is at url and says how long it is.
func fetch(ctx context.Context, client *http.Client, url, encoding string) (int64, error) {
	body, err := open(ctx, client, url, encoding)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	return io.Copy(io.Discard, body)
}

func open(ctx context.Context, client *http.Client, url, encoding string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if encoding != "" {
		req.Header.Set("Accept-Encoding", encoding)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp.Body, nil
}

// count is how many samples at url begin with prefix.
func count(ctx context.Context, url, prefix string) (int, error) {
	body, err := open(ctx, http.DefaultClient, url, "identity")
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n := 0
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if l := lines.Bytes(); len(l) > 0 && l[0] != '#' && bytes.HasPrefix(l, []byte(prefix)) {
			n++
		}
	}
	return n, lines.Err()
}

// cpu is what a process has used so far (proc(5): utime and stime, in hundredths of a second).
func cpu(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	const utime, stime = 11, 12
	if len(fields) <= stime {
		return 0, fmt.Errorf("/proc/%d/stat: %q has too few fields", pid, stat)
	}
	var sum time.Duration
	for _, f := range []string{fields[utime], fields[stime]} {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum, nil
}

// status is a size in /proc/PID/status, in bytes.
func status(pid int, name string) (int64, error) {
	all, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(all)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, name)
}
