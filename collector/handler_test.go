package collector

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"crossplane-exporter/internal/expo"
	"crossplane-exporter/internal/kube/kubetest"
)

func TestAcceptsGzip(t *testing.T) {
	tests := map[string]struct {
		reason string
		accept []string
		want   bool
	}{
		"none":         {"A client that says nothing may not know gzip.", nil, false},
		"empty":        {"It wants the text as it is.", []string{""}, false},
		"Prometheus":   {"What Prometheus sends.", []string{"gzip"}, true},
		"browser":      {"What browsers send.", []string{"gzip, deflate, br, zstd"}, true},
		"last":         {"The order does not matter.", []string{"br;q=1.0, gzip;q=0.8, *;q=0.1"}, true},
		"others":       {"Nothing we can do.", []string{"br, deflate"}, false},
		"refused":      {"q=0 is a refusal.", []string{"gzip;q=0"}, false},
		"refused long": {"So is q=0.000.", []string{"gzip; q=0.000, identity"}, false},
		"any":          {"An asterisk is any coding that is not named.", []string{"*"}, true},
		"none but":     {"An asterisk with q=0 refuses what is not named.", []string{"*;q=0"}, false},
		"named":        {"What is said of gzip goes before what is said of all.", []string{"*;q=0, gzip"}, true},
		"all but":      {"Whatever the order.", []string{"*, gzip;q=0"}, false},
		"capitals":     {"Codings are not case-sensitive.", []string{"GZIP;Q=0.5"}, true},
		"two fields":   {"Several fields are one list.", []string{"br", "gzip"}, true},
		"part":         {"gzipped is no gzip.", []string{"gzipped"}, false},
		"odd weight":   {"A weight that is no number is not a refusal.", []string{"gzip;q=very"}, true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := acceptsGzip(http.Header{"Accept-Encoding": tc.accept}); got != tc.want {
				t.Errorf("\n%s\nacceptsGzip(%q) = %t, want %t", tc.reason, tc.accept, got, tc.want)
			}
		})
	}
}

const (
	prometheusText  = "Accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
	prometheusProto = "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)

func TestMetricsHeaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := everything(t)
		const proto = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
		tests := map[string]struct {
			reason              string
			headers             []string
			wantType, wantCoded string
		}{
			"curl":            {"Who asks for nothing gets text.", nil, expo.ContentType, ""},
			"curl compressed": {"curl --compressed takes what it can have.", []string{"Accept: */*", "Accept-Encoding: deflate, gzip, br, zstd"}, expo.ContentType, "gzip"},
			"Prometheus":      {"There is one text format, and Prometheus takes it though it likes others better.", []string{prometheusText, "Accept-Encoding: gzip"}, expo.ContentType, "gzip"},
			"histograms":      {"A Prometheus that wants native histograms asks for protobuf first.", []string{prometheusProto, "Accept-Encoding: gzip"}, proto, ""},
			"OpenMetrics":     {"Who takes nothing but OpenMetrics gets text all the same, as from client_golang.", []string{"Accept: application/openmetrics-text"}, expo.ContentType, ""},
			"browser":         {"A browser can read it.", []string{"Accept: text/html,application/xhtml+xml,*/*;q=0.8"}, expo.ContentType, ""},
		}
		for name, tc := range tests {
			rec := w.get("/metrics", tc.headers...)
			if rec.Code != http.StatusOK {
				t.Errorf("%s: %s\nstatus %d", name, tc.reason, rec.Code)
			}
			want := http.Header{"Content-Type": {tc.wantType}, "Vary": {"Accept, Accept-Encoding"}}
			if tc.wantCoded != "" {
				want.Set("Content-Encoding", tc.wantCoded)
			}
			if diff := cmp.Diff(want, rec.Header()); diff != "" {
				t.Errorf("%s: %s\nheaders: -want +got:\n%s", name, tc.reason, diff)
			}
		}
	})
}

// TestFormatsAgree compares what is said in each format, sample by sample.
func TestFormatsAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := everything(t)
		w.metrics() // so that what is counted at a scrape is there

		plain := w.get("/metrics").Body.String()
		z, err := gzip.NewReader(w.get("/metrics", "Accept-Encoding: gzip").Body)
		if err != nil {
			t.Fatal(err)
		}
		zipped, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		proto := decodeProtobuf(t, w.get("/metrics", prometheusProto).Body)

		want := samples(parse(t, plain))
		if diff := cmp.Diff(want, samples(parse(t, string(zipped)))); diff != "" {
			t.Errorf("gzip says other samples than text (-text +gzip):\n%s", diff)
		}
		if diff := cmp.Diff(want, samples(proto)); diff != "" {
			t.Errorf("protobuf says other samples than text (-text +protobuf):\n%s", diff)
		}

		for _, name := range []string{"platform_time_to_ready_seconds", "platform_time_to_delete_seconds"} {
			f := proto[name]
			if f == nil || len(f.GetMetric()) != 1 {
				t.Fatalf("%s is not there", name)
			}
			h := f.GetMetric()[0].GetHistogram()
			if h.Schema == nil || len(h.GetPositiveSpan()) == 0 || len(h.GetBucket()) == 0 {
				t.Errorf("%s in protobuf is not a classic and a native histogram: %v", name, h)
			}
		}
	})
}

func decodeProtobuf(t *testing.T, r io.Reader) map[string]*dto.MetricFamily {
	t.Helper()
	families := map[string]*dto.MetricFamily{}
	for dec := expfmt.NewDecoder(r, expfmt.NewFormat(expfmt.TypeProtoDelim)); ; {
		f := &dto.MetricFamily{}
		switch err := dec.Decode(f); {
		case errors.Is(err, io.EOF):
			return families
		case err != nil:
			t.Fatal(err)
		case families[f.GetName()] != nil:
			t.Fatalf("family %s comes twice", f.GetName())
		}
		families[f.GetName()] = f
	}
}

// samples are all that families say, in a form that can be compared, but for what the Go runtime and the process say: that
// changes from one scrape to the next.
func samples(families map[string]*dto.MetricFamily) map[string]string {
	all := map[string]string{}
	for name, f := range families {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			value := fmt.Sprint(m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue())
			if h := m.GetHistogram(); h != nil {
				value = fmt.Sprint(h.GetSampleCount(), h.GetSampleSum())
				for _, b := range h.GetBucket() {
					value += fmt.Sprintf(" le %v: %d", b.GetUpperBound(), b.GetCumulativeCount())
				}
				value = strings.TrimSuffix(value, fmt.Sprintf(" le +Inf: %d", h.GetSampleCount())) // protobuf leaves it out
			}
			all[f.GetType().String()+" "+name+"{"+strings.Join(labels, ",")+"}"] = value
		}
	}
	return all
}

func TestHandlerPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Config{})
		tests := map[string]struct {
			reason, method, path string
			wantCode             int
			wantBody             string // its beginning
		}{
			"metrics":       {"Where Prometheus looks.", http.MethodGet, "/metrics", 200, "# HELP "},
			"metrics HEAD":  {"Some check with HEAD whether an exporter is there.", http.MethodHead, "/metrics", 200, ""},
			"metrics POST":  {"Metrics are only read.", http.MethodPost, "/metrics", 405, ""},
			"metrics below": {"There is nothing below.", http.MethodGet, "/metrics/x", 404, ""},
			"healthy":       {"A liveness probe.", http.MethodGet, "/-/healthy", 200, "Healthy.\n"},
			"healthy HEAD":  {"Without a body.", http.MethodHead, "/-/healthy", 200, ""},
			"ready":         {"A readiness probe.", http.MethodGet, "/-/ready", 200, "Ready.\n"},
			"page":          {"For people.", http.MethodGet, "/", 200, "<!doctype html>"},
			"unknown":       {"The page is not the answer to everything.", http.MethodGet, "/favicon.ico", 404, ""},
			"capitals":      {"Paths are exact.", http.MethodGet, "/Metrics", 404, ""},
		}
		for name, tc := range tests {
			rec := get(t, w.Handler("/metrics"), tc.method, tc.path)
			if rec.Code != tc.wantCode || !strings.HasPrefix(rec.Body.String(), tc.wantBody) {
				t.Errorf("%s: %s\n%s %s: %d %.60q, want %d %q", name, tc.reason, tc.method, tc.path, rec.Code, rec.Body, tc.wantCode, tc.wantBody)
			}
		}
		if rec := get(t, w.Handler("/telemetry"), http.MethodGet, "/telemetry"); rec.Code != http.StatusOK {
			t.Errorf("another telemetry path: %d", rec.Code)
		}
	})
}

func TestReady(t *testing.T) {
	const instances = "instances.rds.aws.upbound.io"
	tests := map[string]struct {
		reason   string
		happens  func(*world)
		wantCode int
		want     []string // parts of the answer
	}{
		"empty": {
			reason:   "A cluster without anything to watch is seen completely.",
			happens:  func(*world) {},
			wantCode: http.StatusOK, want: []string{"Ready."},
		},
		"unreachable": {
			reason:   "Whoever looks why the exporter is not ready should not have to find its log.",
			happens:  func(w *world) { w.do(w.Answer("", kubetest.Unreachable)) },
			wantCode: http.StatusServiceUnavailable, want: []string{"Not ready: ", "http://cluster.test", "connection refused"},
		},
		"definitions forbidden": {
			reason:   "Nothing can be found then, and who deploys must be told what to allow.",
			happens:  func(w *world) { w.do(w.Answer("customresourcedefinitions.apiextensions.k8s.io", 403)) },
			wantCode: http.StatusServiceUnavailable, want: []string{"CustomResourceDefinitions", "ClusterRole"},
		},
		"kind unreachable": {
			reason: "A kind that has not been read, because nobody answered, is named.",
			happens: func(w *world) {
				w.do(w.Answer(instances, kubetest.Unreachable))
				w.define(instances + "/v1beta1 Instance managed")
			},
			wantCode: http.StatusServiceUnavailable, want: []string{"1 of 1 kinds", "rds.aws.upbound.io/Instance"},
		},
		"kind forbidden": {
			reason: "A kind that may not be read is said elsewhere, and does not hold up the others.",
			happens: func(w *world) {
				w.do(w.Answer(instances, 403))
				w.define(instances + "/v1beta1 Instance managed")
			},
			wantCode: http.StatusOK, want: []string{"Ready."},
		},
		"kind broken": {
			reason: "A conversion webhook that is down is the kind's trouble alone.",
			happens: func(w *world) {
				w.do(w.Answer(instances, 500))
				w.define(instances + "/v1beta1 Instance managed")
			},
			wantCode: http.StatusOK, want: []string{"Ready."},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := worldOf(t, &kubetest.Server{}, Config{}, tc.happens)
				rec := w.get("/-/ready")
				if rec.Code != tc.wantCode {
					t.Errorf("\n%s\nstatus %d, want %d", tc.reason, rec.Code, tc.wantCode)
				}
				for _, part := range tc.want {
					if !strings.Contains(rec.Body.String(), part) {
						t.Errorf("\n%s\n%q does not say %q", tc.reason, rec.Body, part)
					}
				}
				if !bytes.HasSuffix(rec.Body.Bytes(), []byte(".\n")) || bytes.Count(rec.Body.Bytes(), []byte("\n")) != 1 {
					t.Errorf("%q is not one sentence", rec.Body)
				}
				if rec := w.get("/metrics"); rec.Code != http.StatusOK { // what is known is said meanwhile
					t.Errorf("GET /metrics: %d", rec.Code)
				}
				w.metrics()
			})
		})
	}
}

// TestReadyAgain has the cluster come back.
func TestReadyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := worldOf(t, &kubetest.Server{}, Config{}, func(w *world) { w.do(w.Answer("", kubetest.Unreachable)) })
		if rec := w.get("/-/ready"); rec.Code != http.StatusServiceUnavailable {
			t.Fatalf("without a cluster: %d %s", rec.Code, rec.Body)
		}
		w.do(w.Answer("", 0))
		w.until("08:02:00")
		if rec := w.get("/-/ready"); rec.Code != http.StatusOK {
			t.Fatalf("with a cluster: %d %s", rec.Code, rec.Body)
		}
		w.do(w.Answer("", kubetest.Unreachable))
		w.until("08:04:00")
		if rec := w.get("/-/ready"); rec.Code != http.StatusOK {
			t.Errorf("what is stale is said by metrics, not by taking the metrics away: %d %s", rec.Code, rec.Body)
		}
	})
}
