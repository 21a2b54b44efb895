package dashboards

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A Result is what Prometheus answers to a query.
type Result struct {
	Query

	// Asked is the query without variables.
	Asked string
	// Series are those that have a value to show.
	Series []Series
	// Err is why there is no answer.
	Err error
}

// A Series is what a panel shows of a series.
type Series struct {
	Labels map[string]string
	// Last is the latest value; 0 for a native histogram.
	Last float64
}

// Labels are the names of the labels that any of the series has, in order.
func (r Result) Labels() []string {
	names := map[string]bool{}
	for _, s := range r.Series {
		for name := range s.Labels {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// Ask asks a Prometheus everything that the panels of d ask, with All for variables that values do not name. Logs are left out. What
// cannot be asked is in the results.
func Ask(ctx context.Context, prometheus string, d *Dashboard, w Window, values Values) []Result {
	var results []Result
	for _, q := range d.Queries() {
		if q.Logs {
			continue
		}
		r := Result{Query: q}
		r.Asked, r.Err = d.interpolate(q.Expr, w, values)
		if r.Err == nil {
			r.Series, r.Err = ask(ctx, prometheus, r.Asked, w, q.Instant)
		}
		results = append(results, r)
	}
	return results
}

// Choices asks a Prometheus what each variable of d can be set to, with All for the others. A variable that asks nothing is left out.
func Choices(ctx context.Context, prometheus string, d *Dashboard, w Window, values Values) (map[string][]string, error) {
	choices := map[string][]string{}
	for _, v := range d.Templating.List {
		selector, label, ok := options(v)
		if !ok {
			continue
		}
		selector, err := d.interpolate(selector, w, values)
		if err != nil {
			return nil, fmt.Errorf("%s: variable %s: %w", d.File, v.Name, err)
		}
		var names []string
		err = get(ctx, prometheus, "label/"+url.PathEscape(label)+"/values", url.Values{
			"match[]": {selector}, "start": {seconds(w.End.Add(-w.Range).UnixMilli())}, "end": {seconds(w.End.UnixMilli())},
		}, &names)
		if err != nil {
			return nil, fmt.Errorf("%s: variable %s: %w", d.File, v.Name, err)
		}
		choices[v.Name] = names
	}
	return choices, nil
}

// ask asks one query.
func ask(ctx context.Context, prometheus, expr string, w Window, instant bool) ([]Series, error) {
	path, params := "query_range", url.Values{
		"query": {expr}, "start": {seconds(w.End.Add(-w.Range).UnixMilli())}, "end": {seconds(w.End.UnixMilli())},
		"step": {strconv.FormatFloat(w.Step.Seconds(), 'f', -1, 64)},
	}
	if instant {
		path, params = "query", url.Values{"query": {expr}, "time": {seconds(w.End.UnixMilli())}}
	}
	var data struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	}
	if err := get(ctx, prometheus, path, params, &data); err != nil {
		return nil, err
	}
	if data.ResultType == "scalar" {
		var value sample
		if err := json.Unmarshal(data.Result, &value); err != nil {
			return nil, err
		}
		return []Series{{Last: value.Value}}, nil
	}
	var answers []struct {
		Metric     map[string]string `json:"metric"`
		Value      *sample           `json:"value"`
		Histogram  json.RawMessage   `json:"histogram"`
		Values     []sample          `json:"values"`
		Histograms []json.RawMessage `json:"histograms"`
	}
	if err := json.Unmarshal(data.Result, &answers); err != nil {
		return nil, err
	}
	var series []Series
	for _, a := range answers {
		if a.Value != nil {
			a.Values = append(a.Values, *a.Value)
		}
		// No panel shows NaN.
		a.Values = slices.DeleteFunc(a.Values, func(s sample) bool { return math.IsNaN(s.Value) })
		switch {
		case len(a.Values) > 0:
			series = append(series, Series{a.Metric, a.Values[len(a.Values)-1].Value})
		case a.Histogram != nil || len(a.Histograms) > 0:
			series = append(series, Series{Labels: a.Metric})
		}
	}
	return series, nil
}

// A sample is a time and a value: [1800000000, "1"].
type sample struct{ Value float64 }

// UnmarshalJSON implements json.Unmarshaler.
func (s *sample) UnmarshalJSON(data []byte) error {
	var pair [2]json.RawMessage
	var text string
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if err := json.Unmarshal(pair[1], &text); err != nil {
		return err
	}
	var err error
	s.Value, err = strconv.ParseFloat(text, 64)
	return err
}

// get asks Prometheus' API and decodes the data of the answer.
func get(ctx context.Context, prometheus, path string, params url.Values, data any) error {
	address := strings.TrimSuffix(prometheus, "/") + "/api/v1/" + path
	method, body := http.MethodPost, io.Reader(strings.NewReader(params.Encode()))
	if strings.HasPrefix(path, "label/") {
		method, body, address = http.MethodGet, nil, address+"?"+params.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer := struct {
		Status string `json:"status"`
		Error  string `json:"error"`
		Data   any    `json:"data"`
	}{Data: data}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s answers %s: %w", path, resp.Status, err)
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", path, answer.Error)
	}
	return nil
}

// seconds is a time in milliseconds as Prometheus wants it.
func seconds(milliseconds int64) string {
	return strconv.FormatFloat(float64(milliseconds)/1000, 'f', 3, 64)
}
