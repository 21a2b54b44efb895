package kube

import (
	"bytes"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// scalarsDiffer compares two scalars, given as JSON and as text, that are not the same JSON.
func (c *comparer) scalarsDiffer(name, a, b, ta, tb []byte) bool {
	switch {
	case bytes.Equal(ta, tb):
		return false // "443" and 443
	case isNumber(a) && isNumber(b):
		return numbersDiffer(ta, tb)
	}
	switch c.way {
	case exactly:
		return isString(a) == isString(b)
	case asManifest:
		return manifestTextsDiffer(ta, tb)
	case asPolicy, asStatement:
		return policyTextsDiffer(ta, tb)
	default:
		return textsDiffer(name, ta, tb)
	}
}

func isNumber(v []byte) bool { return v[0] == '-' || isDigit(v[0]) }
func isString(v []byte) bool { return v[0] == '"' }
func isDigit(b byte) bool    { return b >= '0' && b <= '9' }

// manifestTextsDiffer compares as an API server's decoder would: quantities, durations and times are the same however they
// are spelt, and so is base64 in lines.
func manifestTextsDiffer(a, b []byte) bool {
	if sameBut(a, b, "\r\n", false) {
		return false
	}
	if equal, ok := compareAmounts(a, b); ok {
		return !equal
	}
	equal, _ := compareTimes(a, b)
	return !equal
}

// policyTextsDiffer compares the names, actions and ARNs in a policy. Actions are in any case. AWS makes an ARN of an account ID
// and of execute-api:/*, and a unique ID of the ARN of a principal that is gone.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
func policyTextsDiffer(a, b []byte) bool {
	if bytes.EqualFold(a, b) {
		return false
	}
	return isARN(a) == isARN(b) || string(a) == "*" || string(b) == "*"
}

func isARN(t []byte) bool { return bytes.HasPrefix(t, []byte("arn:")) }

// A textKind is what a text looks like. Two of different kinds may well mean the same: a name and the ID of what has it, a
// script and its hash, "latest" and a number.
type textKind int8

const (
	textWord textKind = iota
	textNumber
	textBoolean
	textAmount  // a number with a unit
	textPeriod  // ISO 8601
	textInstant // RFC 3339
	textAddress // of the internet, or a block of them
	textARN
	textPath       // with slashes: a URL, an Azure ID, a GCP self link
	textIdentifier // that was generated, or a digest
	textBlob       // base64
	textDocument   // JSON, XML
	textChoice     // a word that leaves it to the cloud
	textMasked
)

// textsDiffer compares two texts in a cloud's attribute of that name.
func textsDiffer(name, a, b []byte) bool {
	a, b = bytes.TrimSpace(a), bytes.TrimSpace(b)
	if len(a) == 0 || len(b) == 0 || sameBut(trimEnd(a), trimEnd(b), " \t\r\n\"", true) || synonyms(a, b) {
		return false
	}
	if bytes.Contains(name, []byte("ersion")) {
		if equal, ok := compareVersions(a, b); ok {
			return !equal
		}
	}
	if (equalFold(name, "status") || equalFold(name, "state")) && hasSuffixFold(b, "ing") {
		return false // on its way
	}
	k := kindOf(a)
	if k != kindOf(b) {
		return false
	}
	switch k {
	case textNumber:
		return numbersDiffer(a, b)
	case textAmount:
		equal, ok := compareAmounts(a, b)
		return ok && !equal
	case textPeriod:
		equal, ok := comparePeriods(a, b)
		return ok && !equal
	case textInstant:
		equal, ok := compareTimes(a, b)
		return ok && !equal
	case textAddress:
		equal, ok := compareAddresses(a, b)
		return ok && !equal
	case textDocument, textChoice, textMasked:
		return false
	case textPath:
		return !partOf(a, b) && !partOf(b, a) && pathsDiffer(a, b)
	case textARN:
		return !partOf(a, b) && !partOf(b, a)
	case textWord:
		return !partOf(a, b) && !partOf(b, a) && !leadingZero(a, b) && !leadingZero(b, a)
	default:
		return true
	}
}

// trimEnd takes off what ends an absolute domain name or a URL's path.
func trimEnd(t []byte) []byte {
	if n := len(t); n > 1 && (t[n-1] == '.' || t[n-1] == '/') {
		return t[:n-1]
	}
	return t
}

// sameBut reports whether two texts are equal if all bytes of ignore are taken out and, if fold, ASCII letters have one
// case.
func sameBut(a, b []byte, ignore string, fold bool) bool {
	next := func(t []byte) []byte {
		for len(t) > 0 && strings.IndexByte(ignore, t[0]) >= 0 {
			t = t[1:]
		}
		return t
	}
	for {
		a, b = next(a), next(b)
		if len(a) == 0 || len(b) == 0 {
			return len(a) == len(b)
		}
		if a[0] != b[0] && (!fold || lower(a[0]) != lower(b[0])) {
			return false
		}
		a, b = a[1:], b[1:]
	}
}

func lower(b byte) byte {
	if 'A' <= b && b <= 'Z' {
		b += 'a' - 'A'
	}
	return b
}

func equalFold(t []byte, word string) bool {
	return len(t) == len(word) && strings.EqualFold(string(t), word) // short, so string does not allocate
}

func hasSuffixFold(t []byte, suffix string) bool {
	return len(t) >= len(suffix) && equalFold(t[len(t)-len(suffix):], suffix)
}

// wordsFor are words for the same thing: the user's or the cloud's.
var wordsFor = [...][]string{
	{"all", "any", "*", "-1"},                                                             // protocols
	{"int64", "integer"}, {"float64", "float"}, {"bool", "boolean"}, {"struct", "record"}, // types of BigQuery
}

func synonyms(a, b []byte) bool {
	for _, words := range wordsFor {
		if oneOf(a, words) && oneOf(b, words) {
			return true
		}
	}
	return false
}

func oneOf(t []byte, words []string) bool {
	for _, w := range words {
		if equalFold(t, w) {
			return true
		}
	}
	return false
}

func kindOf(t []byte) textKind {
	value, unit, ok := parseAmount(t)
	switch {
	case ok && len(unit) == 0 && value != -1: // -1 is a word: all of them, or no limit
		return textNumber
	case ok && len(unit) > 0, isDuration(t):
		return textAmount
	case oneOf(t, []string{"true", "false"}):
		return textBoolean
	case oneOf(t, []string{"auto", "automatic", "default", "latest", "$default", "$latest"}):
		return textChoice
	case isMasked(t):
		return textMasked
	case len(t) > 0 && strings.IndexByte("{[<", t[0]) >= 0:
		return textDocument
	case isDate(t):
		return textInstant
	case isPeriod(t):
		return textPeriod
	case isARN(t):
		return textARN
	case isAddress(t):
		return textAddress
	case isIdentifier(t):
		return textIdentifier
	case isBlob(t):
		return textBlob
	case bytes.IndexByte(t, '/') >= 0 && !bytes.ContainsAny(t, " \t\r\n"):
		return textPath
	default:
		return textWord
	}
}

// numbersDiffer compares decimal numbers, generously where one may have been through 32 bits.
func numbersDiffer(a, b []byte) bool {
	x, errX := strconv.ParseFloat(string(a), 64)
	y, errY := strconv.ParseFloat(string(b), 64)
	return errX == nil && errY == nil && !near(x, y, 1e-6)
}

func near(x, y, tolerance float64) bool {
	if x == y || x == math.Trunc(x) && y == math.Trunc(y) {
		return x == y
	}
	return math.Abs(x-y) <= tolerance*max(math.Abs(x), math.Abs(y))
}

// compareVersions compares versions. One may say no more than the other: a database asked for as 16 is 16.4, a
// cluster of 1.31 is 1.31.5-gke.1000.
func compareVersions(a, b []byte) (equal, ok bool) {
	trim := func(v []byte) []byte {
		if len(v) > 1 && lower(v[0]) == 'v' {
			v = v[1:]
		}
		return bytes.TrimSuffix(v, []byte(".x"))
	}
	a, b = trim(a), trim(b)
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(a) == 0 || !isDigit(a[0]) || !isDigit(b[0]) {
		return false, false
	}
	return bytes.HasPrefix(b, a) && (len(a) == len(b) || strings.IndexByte(".-+", b[len(a)]) >= 0), true
}

// parseAmount splits a number from the unit that may follow.
func parseAmount(t []byte) (value float64, unit []byte, ok bool) {
	unit = bytes.TrimLeft(t, "+-."+digits)
	n := t[:len(t)-len(unit)]
	unit = bytes.TrimLeft(unit, " ")
	if !bytes.ContainsAny(n, digits) || bytes.Count(n, []byte(".")) > 1 || bytes.LastIndexAny(n, "+-") > 0 || len(unit) > 5 || !madeOf(unit, uppers+lowers+"%") {
		return 0, nil, false
	}
	value, err := strconv.ParseFloat(string(n), 64)
	return value, unit, err == nil
}

// compareAmounts compares numbers with units, as Kubernetes and Go have them, or of the same unit.
func compareAmounts(a, b []byte) (equal, ok bool) {
	x, ux, okX := parseAmount(a)
	y, uy, okY := parseAmount(b)
	if okX && okY {
		if bytes.Equal(ux, uy) {
			return near(x, y, 1e-9), true
		}
		if fx, fy := quantityFactor(ux), quantityFactor(uy); fx != 0 && fy != 0 {
			return near(x*fx, y*fy, 1e-9), true
		}
	}
	if isDuration(a) && isDuration(b) {
		x, errX := time.ParseDuration(string(a))
		y, errY := time.ParseDuration(string(b))
		return x == y, errX == nil && errY == nil
	}
	return false, false
}

// quantityFactor is what the suffix of a Kubernetes quantity multiplies by, 0 if it is none.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
func quantityFactor(suffix []byte) float64 {
	switch {
	case len(suffix) == 0:
		return 1
	case len(suffix) == 1:
		if i := strings.IndexByte("num kMGTPE", suffix[0]); i >= 0 {
			return math.Pow10(3 * (i - 3))
		}
	case len(suffix) == 2 && suffix[1] == 'i':
		if i := strings.IndexByte("KMGTPE", suffix[0]); i >= 0 {
			return math.Ldexp(1, 10*(i+1))
		}
	}
	return 0
}

// isDuration reports whether a text looks like a duration of Go.
func isDuration(t []byte) bool {
	return len(t) > 1 && isDigit(t[0]) && strings.IndexByte("hms", t[len(t)-1]) >= 0 && madeOf(t, digits+".hmsun")
}

// parsePeriod reads an ISO 8601 duration as months and seconds, of which nobody can make the other.
func parsePeriod(t []byte) (months, seconds float64, ok bool) {
	if len(t) < 3 || t[0] != 'P' {
		return 0, 0, false
	}
	units := "YMWD"
	inMonths, inSeconds := [4]float64{12, 1, 0, 0}, [4]float64{0, 0, 7 * 86400, 86400}
	for t = t[1:]; len(t) > 0; {
		if t[0] == 'T' && len(t) > 1 {
			t, units = t[1:], "HMS"
			inMonths, inSeconds = [4]float64{}, [4]float64{3600, 60, 1, 0}
		}
		end := bytes.IndexAny(t, units)
		if end < 0 {
			return 0, 0, false
		}
		n, err := strconv.ParseFloat(string(t[:end]), 64)
		if err != nil {
			return 0, 0, false
		}
		unit := strings.IndexByte(units, t[end])
		months += n * inMonths[unit]
		seconds += n * inSeconds[unit]
		t = t[end+1:]
	}
	return months, seconds, true
}

func isPeriod(t []byte) bool {
	_, _, ok := parsePeriod(t)
	return ok
}

func comparePeriods(a, b []byte) (equal, ok bool) {
	ma, sa, okA := parsePeriod(a)
	mb, sb, okB := parsePeriod(b)
	if !okA || !okB || ma != mb && sa != sb {
		return false, false
	}
	return ma == mb && near(sa, sb, 1e-9), true
}

func isDate(t []byte) bool {
	if len(t) < len(time.DateOnly) {
		return false
	}
	for i, b := range []byte(time.DateOnly) {
		if (b == '-') != (t[i] == '-') || b != '-' && !isDigit(t[i]) {
			return false
		}
	}
	return true
}

// compareTimes compares times or dates, but not one with the other: whose midnight was meant?
func compareTimes(a, b []byte) (equal, ok bool) {
	if !isDate(a) || !isDate(b) {
		return false, false
	}
	if len(a) == len(time.DateOnly) && len(b) == len(time.DateOnly) {
		return bytes.Equal(a, b), true
	}
	var x, y time.Time
	if x.UnmarshalText(a) != nil || y.UnmarshalText(b) != nil {
		return false, false
	}
	return x.Equal(y), true
}

// isAddress reports whether a text looks like an IP address or a block of them.
func isAddress(t []byte) bool {
	return (bytes.Count(t, []byte(".")) == 3 || bytes.Count(t, []byte(":")) > 1) && madeOf(t, digits+"abcdefABCDEF.:/")
}

// compareAddresses compares IP addresses and blocks, of which one may be a block of one.
func compareAddresses(a, b []byte) (equal, ok bool) {
	x, errX := parseAddress(string(a))
	y, errY := parseAddress(string(b))
	return x == y, errX == nil && errY == nil
}

func parseAddress(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		p, err := netip.ParsePrefix(s)
		return p.Masked(), err
	}
	a, err := netip.ParseAddr(s)
	return netip.PrefixFrom(a, a.BitLen()), err
}

// partOf reports whether the whole is the part with something before or after that says the same at more length: an ARN,
// a self link or an image with a registry; a version, a tag, a domain.
func partOf(part, whole []byte) bool {
	n := len(whole) - len(part)
	switch {
	case n <= 0:
		return false
	case strings.IndexByte("/:", whole[n-1]) >= 0 && bytes.EqualFold(whole[n:], part):
		return true
	case !bytes.EqualFold(whole[:len(part)], part):
		return false
	case whole[len(part)] == '-': // Secrets Manager ends ARNs at random
		return isARN(whole)
	default:
		return strings.IndexByte("./:@", whole[len(part)]) >= 0
	}
}

// leadingZero reports whether a is b but for a zero in front, as in 1:00 and 01:00.
func leadingZero(a, b []byte) bool {
	return len(b) > 0 && b[0] == '0' && bytes.EqualFold(a, b[1:])
}

// pathsDiffer compares paths segment by segment. Google calls one project by name and by number, and one place a location, a
// region and a zone; and its self links begin before projects/.
func pathsDiffer(a, b []byte) bool {
	const projects = "projects/"
	if i, j := bytes.Index(a, []byte(projects)), bytes.Index(b, []byte(projects)); i >= 0 && j >= 0 {
		a, b = a[i:], b[j:]
	}
	var last []byte
	for len(a) > 0 && len(b) > 0 {
		var x, y []byte
		x, a, _ = bytes.Cut(a, []byte("/"))
		y, b, _ = bytes.Cut(b, []byte("/"))
		places := []string{"locations", "regions", "zones"}
		switch {
		case bytes.EqualFold(x, y), oneOf(x, places) && oneOf(y, places):
		case string(last) == "projects" && (kindOf(x) == textNumber) != (kindOf(y) == textNumber):
		default:
			return true
		}
		last = x
	}
	return len(a) > 0 || len(b) > 0
}

const (
	digits = "0123456789"
	uppers = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	lowers = "abcdefghijklmnopqrstuvwxyz"
)

// madeOf reports whether a text has no other bytes than these.
func madeOf(t []byte, set string) bool { return len(bytes.Trim(t, set)) == 0 }

// isIdentifier recognises what was generated: UUIDs, digests, i-0abc1234def567890, Z1RLNUO7B9Q6NB.
func isIdentifier(t []byte) bool {
	if !bytes.ContainsAny(t, digits) {
		return false
	}
	if madeOf(t, digits+uppers) {
		return len(t) >= 10
	}
	tail := t[bytes.LastIndexByte(t, '-')+1:]
	return len(tail) >= 8 && (len(tail) < len(t) || len(t) >= 16) && madeOf(tail, digits+"abcdef") && bytes.ContainsAny(tail, digits)
}

// isBlob recognises base64.
func isBlob(t []byte) bool {
	return len(t) >= 24 && len(t)%4 == 0 && madeOf(t, digits+uppers+lowers+"+/=") && bytes.ContainsAny(t, digits) &&
		bytes.ContainsAny(t, uppers) && bytes.ContainsAny(t, lowers) && (t[len(t)-1] == '=' || len(t) >= 64 || !bytes.ContainsAny(t, "/"))
}

// isMasked recognises what stands for a value that is not shown.
func isMasked(t []byte) bool {
	if len(t) > 2 && madeOf(t, "*") {
		return true
	}
	return oneOf(bytes.Trim(t, "<>()[]*"), []string{"redacted", "sensitive", "sensitive value"})
}

// unquote is the text of a scalar. That of a string with escapes is pushed onto text.
func (c *comparer) unquote(v []byte) []byte {
	if !isString(v) || len(v) < 2 {
		return v
	}
	if bytes.IndexByte(v, '\\') < 0 {
		return v[1 : len(v)-1]
	}
	base := len(c.text)
	c.text, _ = jsontext.AppendUnquote(c.text, v) // which replaces what is not valid
	return c.text[base:]
}

// appendText appends what a JSON string without its quotes says, as valid UTF-8.
func appendText(dst, s []byte) []byte {
	if bytes.IndexByte(s, '\\') < 0 && utf8.Valid(s) {
		return append(dst, s...)
	}
	dst, _ = jsontext.AppendUnquote(dst, append(append([]byte{'"'}, s...), '"'))
	return dst
}
