package collector

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/yaml"

	"crossplane-exporter/internal/cloud"
	"crossplane-exporter/internal/cloud/aws"
	"crossplane-exporter/internal/cloud/aws/awstest"
	"crossplane-exporter/internal/kube/kubetest"
)

// secretKey is to be seen nowhere.
const secretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"

// TestMain takes away what client-go does with errors besides: it sleeps when the last error was a moment ago, and remembers when that was
// from one bubble to the next, whose clock begins anew.
//
// It also gives the AWS SDK what it needs, and nothing of this machine's.
func TestMain(m *testing.M) {
	utilruntime.ErrorHandlers = nil //nolint:reassign // There is no other way to take them away.
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": secretKey, "AWS_REGION": "eu-west-1",
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CA_BUNDLE": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// A world is a cluster and an Exporter that watches it, in a bubble of testing/synctest: its clock stands still until all that
// has happened has been seen.
type world struct {
	*kubetest.Server
	*Exporter

	t     testing.TB
	cloud *awstest.CloudTrail // nil where none is read
}

// morning is when a world begins: 1800000000 in Unix seconds, so that people can read what follows.
var morning = time.Date(2027, 1, 15, 8, 0, 0, 0, time.UTC)

// newWorld begins a world in the bubble that it is called in. It ends with the test.
func newWorld(t testing.TB, cfg Config) *world {
	t.Helper()
	return worldOf(t, &kubetest.Server{}, cfg, func(*world) {})
}

// worldOf begins a world with that server, to which something happens before the exporter starts.
func worldOf(t testing.TB, s *kubetest.Server, cfg Config, happens func(*world)) *world {
	t.Helper()
	w := &world{Server: s, t: t}
	w.Mangle = invalidUTF8
	time.Sleep(time.Until(morning))
	cfg.REST = w.Config()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	e, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.Exporter = e
	happens(w)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	synctest.Wait()
	return w
}

// lookup is a Trail that looks up what the server has.
func lookup(s *awstest.CloudTrail) cloud.Trail {
	return aws.NewTrail(aws.TrailConfig{
		Source: "lookup", Endpoints: aws.Endpoints{CloudTrail: "http://cloudtrail.test"}, HTTPClient: &http.Client{Transport: handler{s}},
		Known: aws.Known{Names: map[string]string{"arn:aws:iam::111122223333:role/deploy": "deployer"}},
	})
}

// A handler answers requests without a network.
type handler struct{ http.Handler }

func (h handler) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	if err := r.Context().Err(); err != nil { // it has hung until nobody waited any more
		return nil, err
	}
	return rec.Result(), nil
}

// happened lets CloudTrail show events, as YAML, from now on.
func (w *world) happened(events string) {
	w.t.Helper()
	var list []awstest.Event
	if err := yaml.UnmarshalStrict([]byte(events), &list); err != nil {
		w.t.Fatal(err)
	}
	w.cloud.Add(time.Now(), list...)
}

// invalidUTF8 puts in what neither YAML nor Go's JSON can say: the byte 0xFF where a string has <FF>.
func invalidUTF8(object []byte) []byte {
	return bytes.ReplaceAll(object, []byte(`\u003cFF\u003e`), []byte{0xFF})
}

// now is the world's time of day.
func (w *world) now() string { return w.resources.now().UTC().Format(time.TimeOnly) }

// until lets the world's time pass.
func (w *world) until(clock string) {
	w.t.Helper()
	at, err := time.Parse(time.TimeOnly, clock)
	if err != nil {
		w.t.Fatal(err)
	}
	now, err := time.Parse(time.TimeOnly, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(at.Sub(now)) // of the bubble: it takes no time
	synctest.Wait()
}

// do does something to the cluster and waits until the exporter has seen it.
func (w *world) do(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	synctest.Wait()
}

// define installs CustomResourceDefinitions, one a line: plural.group/version kind category. A version with a minus is not
// served; more than one are joined by commas, the one objects are stored in first.
func (w *world) define(lines string) {
	w.t.Helper()
	w.do(w.Apply(definitionsYAML(w.t, lines)))
}

func definitionsYAML(t testing.TB, lines string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(lines) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		name, versions, _ := strings.Cut(f[0], "/")
		plural, group, ok := strings.Cut(name, ".")
		if !ok || len(f) < 2 {
			t.Fatalf("%q is not: plural.group/version kind category", line)
		}
		var vs []string
		for i, v := range strings.Split(versions, ",") {
			v, notServed := strings.CutPrefix(v, "-")
			vs = append(vs, fmt.Sprintf("{name: %s, served: %t, storage: %t}", v, !notServed, i == 0))
		}
		fmt.Fprintf(&b, "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: %s}\n", name)
		fmt.Fprintf(&b, "spec: {group: %s, names: {kind: %s, plural: %s, categories: [%s]}, versions: [%s]}\n",
			group, f[1], plural, strings.Join(f[2:], ", "), strings.Join(vs, ", "))
	}
	return b.String()
}

// get asks the exporter over HTTP. Headers are given as "Name: value".
func (w *world) get(path string, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	return get(w.t, w.Handler("/metrics"), http.MethodGet, path, headers...)
}

func get(t testing.TB, h http.Handler, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for _, h := range headers {
		name, value, ok := strings.Cut(h, ": ")
		if !ok {
			t.Fatalf("%q is no header", h)
		}
		req.Header.Add(name, value)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	return rec
}

// metrics is the exporter's whole exposition, once it has stood up to those who know what one has to be like.
func (w *world) metrics() string {
	w.t.Helper()
	rec := w.get("/metrics")
	if rec.Code != http.StatusOK {
		w.t.Fatalf("GET /metrics: %d: %s", rec.Code, rec.Body)
	}
	text := rec.Body.String()
	lint(w.t, text)
	return text
}

// lint complains of what is not right about an exposition.
func lint(t testing.TB, text string) {
	t.Helper()
	parse(t, text)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatalf("promlint: %v", err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
}

// parse is what the reference parser reads in an exposition.
func parse(t testing.TB, text string) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("the exposition cannot be parsed: %v\n%s", err, text)
	}
	return families
}
