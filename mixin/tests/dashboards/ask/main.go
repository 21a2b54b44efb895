// Command ask asks a Prometheus everything that the dashboards ask and says what has no answer: with a cluster at hand it tells
// which panels would be empty, and why.
//
//	go -C mixin/tests run ./dashboards/ask -url http://localhost:9090 -set kind=Bucket
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"crossplane-exporter/mixin/tests/dashboards"
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "ask:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("ask", flag.ContinueOnError)
	dir := flags.String("dashboards", "../../dashboards", "`folder` of the dashboards")
	url := flags.String("url", "http://localhost:9090", "`address` of the Prometheus")
	span := flags.Duration("range", 6*time.Hour, "time range")
	step := flags.Duration("step", time.Minute, "time between two points of a chart")
	rate := flags.Duration("rate-interval", 4*time.Minute, "what $__rate_interval is: four times the scrape interval, or more")
	verbose := flags.Bool("v", false, "show the queries of what is empty")
	values := dashboards.Values{}
	flags.Func("set", "`variable=value`; the value is a regular expression. May be repeated; All is the default", func(s string) error {
		name, value, ok := strings.Cut(s, "=")
		if !ok {
			return fmt.Errorf("%q is not variable=value", s)
		}
		values[name] = value
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	all, err := dashboards.Load(*dir)
	if err != nil {
		return err
	}
	w := dashboards.Window{End: time.Now(), Range: *span, Step: *step, RateInterval: *rate}
	asked, empty, failed := 0, 0, 0
	for _, d := range all {
		choices, err := dashboards.Choices(ctx, *url, d, w, values)
		if err != nil {
			return err
		}
		for _, v := range d.Templating.List {
			if names, ok := choices[v.Name]; ok {
				fmt.Fprintf(out, "%-20s variable %s: %d choices\n", d.File, v.Name, len(names))
			}
		}
		for _, r := range dashboards.Ask(ctx, *url, d, w, values) {
			asked++
			switch {
			case r.Err != nil:
				failed++
				fmt.Fprintf(out, "%-20s %s %s: FAILED: %v\n%s\n", r.File, r.Panel, r.RefID, r.Err, r.Asked)
			case len(r.Series) == 0:
				empty++
				fmt.Fprintf(out, "%-20s %s %s: empty, shown as %q\n", r.File, r.Panel, r.RefID, r.NoValue)
				if *verbose {
					fmt.Fprintln(out, r.Asked)
				}
			}
		}
	}
	fmt.Fprintf(out, "%d queries, %d empty, %d failed\n", asked, empty, failed)
	if failed > 0 {
		return fmt.Errorf("%d queries failed", failed)
	}
	return nil
}
