package pager

import (
	"fmt"
	"net/http"
	"time"
)

// A DeadMansSwitch waits to be called, and would raise an alarm if it were not.
type DeadMansSwitch struct {
	service[time.Time]
}

// NewDeadMansSwitch starts one.
func NewDeadMansSwitch() *DeadMansSwitch {
	d := &DeadMansSwitch{}
	d.start(d.serve)
	return d
}

// URL is what has to be called.
func (d *DeadMansSwitch) URL() string { return d.server.URL + "/ping/1f1b1c2d" }

func (d *DeadMansSwitch) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.URL.Path != "/ping/1f1b1c2d" {
		d.refuse(fmt.Errorf("dead man's switch: %s %s", r.Method, r.URL.Path))
		http.NotFound(w, r)
		return
	}
	d.accept(time.Now())
}
