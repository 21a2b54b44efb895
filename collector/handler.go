package collector

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"crossplane-exporter/internal/expo"
)

// Handler answers what the exporter is asked over HTTP: the metrics at telemetryPath, /-/healthy, /-/ready, and a page for
// people at /.
func (e *Exporter) Handler(telemetryPath string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+telemetryPath, e.metrics)
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "Healthy.") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := e.Ready(); err != nil {
			http.Error(w, "Not ready: "+err.Error()+".", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "Ready.")
	})
	mux.Handle("GET /{$}", e.page(telemetryPath))
	return mux
}

// metrics writes all families. It reads what is held already and waits for nothing.
func (e *Exporter) metrics(w http.ResponseWriter, req *http.Request) {
	registered, passed, err := e.gather()
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Vary", "Accept, Accept-Encoding")
	format := expfmt.NegotiateAccept(req.Header, expfmt.NewFormat(expfmt.TypeTextPlain), expfmt.NewFormat(expfmt.TypeProtoDelim))
	if format.FormatType() == expfmt.TypeProtoDelim {
		err = e.protobuf(w, registered)
	} else {
		err = e.text(w, registered, acceptsGzip(req.Header))
	}
	if err != nil {
		e.log.Debug("a scrape was broken off", "remote", req.RemoteAddr, "err", err)
		return
	}
	passed()
}

// gather is what the registry has, and what is to be called once it has been passed on. What makes no sense in it, one series twice
// perhaps, is left out and said: the rest is all the more needed.
func (e *Exporter) gather() (registered []*dto.MetricFamily, passed func(), err error) {
	e.resources.say(e.cluster.Kinds())
	passed = func() {}
	gather := func() {
		var wrong error
		registered, wrong = e.registry.Gather()
		e.complain(wrong)
	}
	if e.trail != nil {
		passed, err = e.trail.read(gather)
		return registered, passed, err
	}
	gather()
	return registered, passed, nil
}

// complain says what is wrong with the exporter's own metrics, once.
func (e *Exporter) complain(wrong error) {
	text := ""
	if wrong != nil {
		text = wrong.Error()
	}
	if before := e.wrong.Swap(&text); wrong != nil && (before == nil || *before != text) {
		e.log.Error("some of the exporter's own metrics make no sense, and are left out", "err", wrong)
	}
}

// text answers in the text format.
func (e *Exporter) text(w http.ResponseWriter, registered []*dto.MetricFamily, gzip bool) error {
	text := &expo.Text{}
	enc := expfmt.NewEncoder(text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range registered {
		if err := enc.Encode(f); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return fmt.Errorf("encode %s: %w", f.GetName(), err)
		}
	}
	h := w.Header()
	h.Set("Content-Type", expo.ContentType)
	write := expo.WriteText
	if gzip {
		h.Set("Content-Encoding", "gzip")
		write = expo.WriteGzip
	}
	tallies, err := write(w, e.resources.kinds, e.resources.table, text)
	e.self.scraped(tallies)
	return err
}

// protobuf answers a Prometheus that asks for native histograms, which text has no words for. The families that are many are
// made from the very text that others get, by the reference parser: right, but slow where there are a million series.
func (e *Exporter) protobuf(w http.ResponseWriter, registered []*dto.MetricFamily) error {
	var text bytes.Buffer
	tallies, err := expo.WriteText(&text, e.resources.kinds, e.resources.table)
	e.self.scraped(tallies)
	if err == nil {
		err = encodeProtobuf(w, &text, registered)
	}
	if err != nil {
		e.log.Warn("a scrape in protobuf failed", "err", err)
		http.Error(w, err.Error(), http.StatusInternalServerError) // for a scrape that has not begun; one that has is cut off
	}
	return err
}

func encodeProtobuf(w http.ResponseWriter, text io.Reader, registered []*dto.MetricFamily) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	parsed, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return fmt.Errorf("parse our own text: %w", err)
	}
	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	w.Header().Set("Content-Type", string(format))
	enc := expfmt.NewEncoder(w, format)
	said := slices.SortedFunc(maps.Values(parsed), func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	for _, f := range slices.Concat(said, registered) {
		if err := enc.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// acceptsGzip is whether a client takes gzip (RFC 9110, 12.5.3). What it says of gzip goes before what it says of "*".
func acceptsGzip(h http.Header) bool {
	others := false
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		coding, params, _ := strings.Cut(part, ";")
		q, weighted := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q=")
		weight, err := strconv.ParseFloat(q, 64)
		takes := !weighted || err != nil || weight > 0
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return takes
		case "*":
			others = takes
		}
	}
	return others
}
