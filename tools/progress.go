package main

import (
	"fmt"
	"os"
	"time"
)

// A progress tells a person what is being built and for how long: on a terminal in one line that is kept up to date, elsewhere
// (a CI log) in a line at the beginning and one at the end.
type progress struct {
	out      *os.File
	terminal bool
}

func newProgress(out *os.File) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (p *progress) line(text string) { fmt.Fprintln(p.out, text) }

// start tells that work on something begins, and what to expect. The function it returns tells that it has ended.
func (p *progress) start(what, expect string) func(error) {
	began := time.Now()
	took := func() time.Duration { return time.Since(began).Round(time.Second) }
	end := func(err error) string {
		if err != nil {
			return "failed after " + took().String()
		}
		return took().String()
	}
	if !p.terminal {
		p.line(fmt.Sprintf("%s … (%s)", what, expect))
		return func(err error) { p.line(fmt.Sprintf("%s %s", what, end(err))) }
	}
	const eraseLine = "\r\x1b[K"
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			fmt.Fprintf(p.out, "%s%s … %s (%s)", eraseLine, what, took(), expect)
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	}()
	return func(err error) {
		close(stop)
		<-stopped
		fmt.Fprintf(p.out, "%s%s %s\n", eraseLine, what, end(err))
	}
}
