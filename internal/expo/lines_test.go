package expo

import (
	"math"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

func TestLabel(t *testing.T) {
	cases := map[string]struct {
		reason string
		value  string
		want   string
	}{
		"Plain":       {"A name is written as it is.", "vpc-1.example", `l="vpc-1.example"`},
		"Empty":       {"An empty value is a value.", "", `l=""`},
		"Escapes":     {"The three characters that the format escapes are escaped.", "a\\b\"c\nd", `l="a\\b\"c\nd"`},
		"Unicode":     {"UTF-8 is kept.", "größe 日本", `l="größe 日本"`},
		"InvalidUTF8": {"Each byte that is not UTF-8 is replaced, or Prometheus refuses the scrape.", "a\xff\xfeb", "l=\"a\uFFFD\uFFFDb\""},
		"Surrogate":   {"Half a surrogate pair is not UTF-8.", "\xed\xa0\x80", "l=\"\uFFFD\uFFFD\uFFFD\""},
		"Control":     {"What a terminal obeys is replaced, C1 controls too; a tab is harmless.", "\x00\x1b[2J\u009b\x7f\r\t", "l=\"\uFFFD\uFFFD[2J\uFFFD\uFFFD\uFFFD\t\""},
		"AtLimit":     {"A value of 256 bytes is not cut.", strings.Repeat("x", 256), `l="` + strings.Repeat("x", 256) + `"`},
		"OverLimit":   {"A longer one is, and says so.", strings.Repeat("x", 257), `l="` + strings.Repeat("x", 253) + `…"`},
		"RuneAtLimit": {"The cut is between two runes.", strings.Repeat("x", 252) + "ééé", `l="` + strings.Repeat("x", 252) + `…"`},
		"GrowsOver":   {"What counts is the length of what is said.", strings.Repeat("\xff", 100), `l="` + strings.Repeat("\uFFFD", 84) + `…"`},
		"EscapesCost": {"Escapes do not count: they are gone in Prometheus.", strings.Repeat(`"`, 256), `l="` + strings.Repeat(`\"`, 256) + `"`},
		"Huge":        {"A megabyte is cut like anything else.", strings.Repeat("é", 1<<19), `l="` + strings.Repeat("é", 126) + `…"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Label("l", tc.value)); diff != "" {
				t.Errorf("%s\nLabel(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

// FuzzLabel has any value read back by Prometheus' parser, and compares it with what a plainer Label would have said.
func FuzzLabel(f *testing.F) {
	for _, s := range []string{"", "a", "\\\"\n", "\xff\x00\x1b", strings.Repeat("é", 200), "\u2028\u0085", `a",b="c`, "}\n# EOF\n", `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		want := []rune(value)
		for i, r := range want {
			if unicode.IsControl(r) && r != '\n' && r != '\t' {
				want[i] = unicode.ReplacementChar
			}
		}
		if len(string(want)) > 256 {
			for len(string(want)) > 253 {
				want = want[:len(want)-1]
			}
			want = append(want, '…')
		}

		var text Text
		text.Begin("m", "Help.", Gauge)
		text.Sample(1, Label("a", value), Label("b", "after"))
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(string(text.lines.buf)))
		if err != nil {
			t.Fatalf("parse %q: %v", text.lines.buf, err)
		}
		labels := map[string]string{}
		for _, l := range families["m"].GetMetric()[0].GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		if diff := cmp.Diff(map[string]string{"a": string(want), "b": "after"}, labels); diff != "" {
			t.Errorf("labels read back: -want, +got:\n%s", diff)
		}
	})
}

func TestSample(t *testing.T) {
	cases := map[string]struct {
		reason string
		group  string
		key    string
		value  float64
		labels []string
		want   string
	}{
		"Bare":        {"Without labels there are no braces.", "", "", 1, nil, "m 1\n"},
		"Group":       {"A group may lead alone.", `a="1"`, "", 1, nil, "m{a=\"1\"} 1\n"},
		"Key":         {"A key may stand alone.", "", `b="2"`, 1, nil, "m{b=\"2\"} 1\n"},
		"Labels":      {"The family's labels may stand alone; empty lists leave no comma.", "", "", 1, []string{"", `c="3"`, "", `d="4"`}, "m{c=\"3\",d=\"4\"} 1\n"},
		"All":         {"Group, key, labels: in this order.", `a="1"`, `b="2"`, 1, []string{`c="3"`}, "m{a=\"1\",b=\"2\",c=\"3\"} 1\n"},
		"EmptyLabels": {"Empty lists alone are no labels.", "", "", 1, []string{"", ""}, "m 1\n"},
		"Timestamp":   {"Instants are readable.", "", "", 1763645112, nil, "m 1763645112\n"},
		"Negative":    {"Unknown is -1.", "", "", -1, nil, "m -1\n"},
		"Fraction":    {"Fractions are exact.", "", "", 0.1, nil, "m 0.1\n"},
		"Large":       {"Beyond the exact whole numbers, floats are floats.", "", "", 1 << 60, nil, "m 1.152921504606847e+18\n"},
		"NaN":         {"NaN is allowed.", "", "", math.NaN(), nil, "m NaN\n"},
		"Inf":         {"So are infinities.", "", "", math.Inf(1), nil, "m +Inf\n"},
		"-Inf":        {"Both of them.", "", "", math.Inf(-1), nil, "m -Inf\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var l Lines
			l.begin("m", tc.group, math.MaxInt)
			l.key = tc.key
			l.Sample(tc.value, tc.labels...)
			if diff := cmp.Diff(tc.want, string(l.buf)); diff != "" {
				t.Errorf("%s\nSample(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	var l Lines
	l.begin("platform_resource_condition", `category="managed"`, math.MaxInt)
	l.key = `name="vpc-1"`
	l.buf = make([]byte, 0, 1024)
	label := Label("reason", "Available")
	dst := make([]byte, 0, 1024)
	cases := map[string]struct {
		reason string
		do     func()
	}{
		"Sample":      {"A scrape calls it once a sample.", func() { l.buf = l.buf[:0]; l.Sample(1763645112, label, "") }},
		"SampleFloat": {"Floats too.", func() { l.buf = l.buf[:0]; l.Sample(0.25, label) }},
		"AppendLabel": {"Decoding an object calls it once a label.", func() { AppendLabel(dst, "name", "a\"\xff") }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, tc.do); n != 0 {
				t.Errorf("%s\ngot %v allocations, want none", tc.reason, n)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	want := "# HELP m a\\\\b\\nc \"d\"\n# TYPE m counter\n"
	if diff := cmp.Diff(want, header("m", "a\\b\nc \"d\"", Counter)); diff != "" {
		t.Errorf("header(...): -want, +got:\n%s", diff)
	}
}
