package expo

import (
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLabelValue is the number of bytes, before escaping, that a label value may have. A Kubernetes name has at most 253.
const maxLabelValue = 256

// ellipsis ends a label value that was cut.
const ellipsis = "…"

// Label returns name="value" as it stands between the braces of a sample. The value may come from anywhere: it is
// escaped, what is not UTF-8 and every control character but tab and newline becomes U+FFFD (Prometheus refuses a whole
// scrape for one NUL, and a terminal obeys an ESC), and what is longer than 256 bytes is cut between two runes and ends
// in an ellipsis. The name is taken as it is.
func Label(name, value string) string {
	return string(AppendLabel(make([]byte, 0, len(name)+min(len(value), maxLabelValue)+len(`="\\"`)), name, value))
}

// AppendLabel appends what Label returns to dst.
func AppendLabel(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, '=', '"')
	if len(value) <= maxLabelValue && plain(value) {
		dst = append(dst, value...)
	} else {
		dst = appendEscaped(dst, value)
	}
	return append(dst, '"')
}

// plain says whether a label value can be written as it is; nearly all can.
func plain(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' || c > '~' || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}

func appendEscaped(dst []byte, value string) []byte {
	size := 0         // bytes so far, before escaping
	whole := len(dst) // where to cut so that the ellipsis still fits
	for _, r := range value {
		if unicode.IsControl(r) && r != '\t' && r != '\n' {
			r = utf8.RuneError
		}
		if size += utf8.RuneLen(r); size > maxLabelValue {
			return append(dst[:whole], ellipsis...)
		}
		switch r {
		case '\\', '"':
			dst = append(dst, '\\', byte(r))
		case '\n':
			dst = append(dst, '\\', 'n')
		default:
			dst = utf8.AppendRune(dst, r)
		}
		if size <= maxLabelValue-len(ellipsis) {
			whole = len(dst)
		}
	}
	return dst
}

// Lines is where a Family says the samples of a record.
type Lines struct {
	buf  []byte
	head []byte // the metric's name, the brace, the group's labels
	led  bool   // head has labels
	key  string // the record's labels

	limit   int // samples that may be written
	samples int // samples written
	cut     int // samples not written because of limit
}

// begin starts a family, led by the labels of a group, of which at most limit samples are written.
func (l *Lines) begin(name, labels string, limit int) {
	l.head = append(l.head[:0], name...)
	l.head = append(l.head, '{')
	l.head = append(l.head, labels...)
	l.led = labels != ""
	l.key = ""
	l.limit, l.samples, l.cut = limit, 0, 0
}

// Sample writes one line: the family's name, the labels of the group and of the record, the given ones, and the value.
// Each of labels is a rendered list, as Label returns it, or several joined by a comma, or "", which adds nothing.
func (l *Lines) Sample(value float64, labels ...string) {
	if l.samples == l.limit {
		l.cut++
		return
	}
	l.samples++
	b := append(l.buf, l.head...) //nolint:gocritic // It goes back to l.buf in the end.
	labelled := l.led
	if l.key != "" {
		if labelled {
			b = append(b, ',')
		}
		b = append(b, l.key...)
		labelled = true
	}
	for _, s := range labels {
		if s == "" {
			continue
		}
		if labelled {
			b = append(b, ',')
		}
		b = append(b, s...)
		labelled = true
	}
	if labelled {
		b = append(b, '}', ' ')
	} else {
		b[len(b)-1] = ' ' // in place of the brace
	}
	l.buf = append(appendValue(b, value), '\n')
}

// appendValue writes whole numbers in full, as a reader wants to see a timestamp, and is faster at it than strconv is at
// floats.
func appendValue(b []byte, v float64) []byte {
	const exact = 1 << 53 // beyond it a float64 skips whole numbers
	switch {
	case v > -exact && v < exact && v == math.Trunc(v):
		return strconv.AppendInt(b, int64(v), 10)
	case math.IsInf(v, +1):
		return append(b, "+Inf"...)
	default:
		return strconv.AppendFloat(b, v, 'g', -1, 64)
	}
}

// header returns the comment lines that lead a family.
func header(name, help string, typ Type) string {
	help = strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(help)
	return "# HELP " + name + " " + help + "\n# TYPE " + name + " " + string(typ) + "\n"
}
