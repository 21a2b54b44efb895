package kube

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// eachWay runs a test on a server that streams lists and on one that does not.
func eachWay(t *testing.T, test func(t *testing.T, change func(*world))) {
	t.Helper()
	for name, refuse := range map[string]bool{"WatchList": false, "List": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test(t, func(w *world) { w.RefuseWatchList = refuse })
			})
		})
	}
}

const (
	vpcPath      = "/apis/ec2.aws.upbound.io/v1/vpcs"
	instancePath = "/apis/rds.aws.upbound.io/v1/instances"
	crdPath      = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	vpcKind      = ec2 + "/VPC"
	instanceKind = rds + "/Instance"
)

func TestSync(t *testing.T) {
	eachWay(t, func(t *testing.T, change func(*world)) {
		w := newWorld(t)
		change(w)
		w.do(w.Apply(vpcCRD().String() + instanceCRD().String() + vpc("a", "True") + vpc("b", "False")))
		if err := w.Ready(); err == nil || !strings.Contains(err.Error(), "not been read yet") {
			t.Errorf("before it runs a Cluster should not be ready, got %v", err)
		}
		w.begin()
		if err := w.Ready(); err != nil {
			t.Errorf("after the first sync a Cluster should be ready, got %v", err)
		}
		w.expect("The first sync should be one call with all objects.", vpcKind, "replace a Ready=True, b Ready=False")
		w.expect("A kind without objects is synced too.", instanceKind, "replace ")
		for _, s := range append(w.Kinds(), w.Definitions()) {
			if !s.Synced || !s.Current || s.Err != nil || s.Restarts != 0 || s.DecodeErrors != 0 || !s.Heard.Equal(time.Now()) {
				t.Errorf("after the first sync all should be well, got %+v", s)
			}
		}
		want := Kind{Category: Managed, Group: ec2, Version: "v1", Name: "VPC", Resource: "vpcs"}
		if got := w.status(vpcKind).Kind; got != want {
			t.Errorf("want %+v, got %+v", want, got)
		}
		if unknown := (Kind{Group: ec2, Name: "VPC"}); !w.Current(want) || w.Current(unknown) {
			t.Errorf("Current: want true of %+v, false of %+v", want, unknown)
		}
		w.logged("All that goes well is not worth a line.")

		w.do(w.Apply(vpc("c", "Unknown") + vpc("a", "False")))
		w.do(w.Delete(vpc("b", "")))
		w.do(w.Apply(vpc("b", "True")))
		w.expect("Changes should come one by one, in order.", vpcKind, "set c Ready=Unknown", "set a Ready=False", "delete b Ready=False", "set b Ready=True")
		w.expect("And touch no other kind.", instanceKind)

		w.stop()
		for _, s := range w.Kinds() {
			if s.Current {
				t.Errorf("after Run no watch is open, got %+v", s)
			}
		}
		w.logged("An end is not worth a line either.")
	})
}

// TestWatchCloses: the API server ends each watch every few minutes.
func TestWatchCloses(t *testing.T) {
	eachWay(t, func(t *testing.T, change func(*world)) {
		w := newWorld(t)
		change(w)
		w.do(w.Apply(vpcCRD().String() + instanceCRD().String() + vpc("a", "True")))
		w.begin()
		w.calls(vpcKind)
		w.wire.asked()
		for range 3 {
			w.pass(time.Minute)
			w.do(w.Disconnect("vpcs." + ec2))
		}
		w.do(w.Apply(vpc("a", "False")))
		w.expect("A watch that ends is resumed where it was, without a relist.", vpcKind, "set a Ready=False")
		if got, want := w.wire.asked(), slices.Repeat([]string{"watch " + vpcPath}, 3); !slices.Equal(got, want) {
			t.Errorf("a watch that ends should cost one request: want %q, got %q", want, got)
		}
		if s := w.status(vpcKind); s.Restarts != 3 || !s.Current || !s.Synced {
			t.Errorf("want 3 restarts, and all well, got %+v", s)
		}
		if s := w.status(instanceKind); s.Restarts != 0 {
			t.Errorf("another kind's watch was restarted: %+v", s)
		}
		w.logged("It is nothing unusual.")
	})
}

// TestRelist has a watch miss changes in every way there is.
func TestRelist(t *testing.T) {
	const expired = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old resource version: 5 (99)","reason":"Expired","code":410}`
	cases := map[string]struct {
		reason string
		lose   func(w *world) error
		errors uint64 // DecodeErrors
		log    []string
	}{
		"GoneStatus": {
			reason: "A server that has forgotten where the watch was says so when it is resumed.",
			lose: func(w *world) error {
				w.wire.answer(vpcPath, func(req *http.Request) (*http.Response, error) {
					if req.URL.Query().Get("sendInitialEvents") == "" && req.URL.Query().Get("watch") != "" {
						w.wire.answer(vpcPath, nil)
						return respond(http.StatusGone, "application/json", expired), nil
					}
					return nil, nil
				})
				return w.Forget("vpcs." + ec2)
			},
		},
		"GoneEvent": {
			reason: "Or in the stream, once it is resumed.",
			lose:   func(w *world) error { return w.Forget("vpcs." + ec2) },
		},
		"GoneEventInAStream": {
			reason: "Or in a stream that was open all the time.",
			lose: func(w *world) error {
				return w.wire.stream(vpcPath).say(`{"type":"ERROR","object":` + expired + "}\n")
			},
		},
		"ErrorEvent": {
			reason: "A stream may end with another error, as when an object cannot be converted.",
			lose: func(w *world) error {
				return w.wire.stream(vpcPath).say(`{"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"conversion webhook","reason":"InternalError","code":500}}` + "\n")
			},
		},
		"ErrorEventOddlyOrdered": {
			reason: "The type of an event may stand after its object.",
			lose: func(w *world) error {
				return w.wire.stream(vpcPath).say(`{"object":{"kind":"Status","code":500},"type":"ERROR"}` + "\n")
			},
		},
		"BrokenJSON": {
			reason: "A stream that makes no sense is not read further.",
			lose: func(w *world) error {
				return w.wire.stream(vpcPath).say(`{"type":"MODIFIED","object":{"metadata":{"name":"a"]}}`)
			},
			errors: 1,
			log:    []string{"WARN makes no sense vpcs", "INFO again " + vpcKind},
		},
		"NoEvent": {
			reason: "Nor is one of something else than events.",
			lose:   func(w *world) error { return w.wire.stream(vpcPath).say(`[1,2]`) },
			errors: 1,
			log:    []string{"WARN makes no sense vpcs", "INFO again " + vpcKind},
		},
		"NoObject": {
			reason: "Nor is one of events without an object.",
			lose:   func(w *world) error { return w.wire.stream(vpcPath).say(`{"type":"ADDED"}`) },
			errors: 1,
			log:    []string{"WARN makes no sense vpcs", "INFO again " + vpcKind},
		},
		"UnknownEvent": {
			reason: "Nor is one of events that are not known.",
			lose: func(w *world) error {
				return w.wire.stream(vpcPath).say(`{"type":"RENAMED","object":{"metadata":{"name":"a"}}}`)
			},
			errors: 1,
			log:    []string{"WARN makes no sense vpcs", "INFO again " + vpcKind},
		},
		"ErrorOfAnotherType": {
			reason: "Nor is an error that is none.",
			lose:   func(w *world) error { return w.wire.stream(vpcPath).say(`{"type":"ERROR","object":"sorry"}`) },
			errors: 1,
			log:    []string{"WARN makes no sense vpcs", "INFO again " + vpcKind},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, change func(*world)) {
				w := newWorld(t)
				change(w)
				w.do(w.Apply(vpcCRD().String() + instanceCRD().String() + vpc("a", "True") + vpc("ghost", "True")))
				w.begin()
				w.calls(vpcKind)
				w.calls(instanceKind)
				w.wire.asked()
				w.pass(time.Minute)
				// What happens from here on the watch does not see.
				w.wire.stream(vpcPath).deaf()
				w.do(w.Delete(vpc("ghost", "")))
				w.do(w.Apply(vpc("a", "False") + vpc("new", "True")))
				w.do(tc.lose(w))
				w.pass(time.Second)
				w.expect(tc.reason+" Then all is read anew, and told in one call.", vpcKind, "replace a Ready=False, new Ready=True")
				w.expect("Other kinds are not concerned.", instanceKind)
				s := w.status(vpcKind)
				if !s.Synced || !s.Current || s.Err != nil || s.DecodeErrors != tc.errors {
					t.Errorf("%s\nwant all well, and %d decode errors, got %+v", tc.reason, tc.errors, s)
				}
				w.logged(tc.reason, tc.log...)
				w.do(w.Apply(vpc("a", "Unknown")))
				w.expect("The new watch goes on.", vpcKind, "set a Ready=Unknown")
			})
		})
	}
}

// TestConnectionCut: a connection that ends within an event loses nothing, and no relist is needed to know that.
func TestConnectionCut(t *testing.T) {
	for name, err := range map[string]error{
		"EOF":        io.ErrUnexpectedEOF,
		"CleanEOF":   io.EOF,
		"Reset":      &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)},
		"HTTP2":      errors.New("http2: client connection lost"),
		"GoAway":     errors.New("http2: server sent GOAWAY and closed the connection"),
		"StreamDown": errors.New("stream error: stream ID 3; INTERNAL_ERROR; received from peer"),
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, change func(*world)) {
				w := newWorld(t)
				change(w)
				w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
				w.begin()
				w.calls(vpcKind)
				w.wire.asked()
				w.pass(time.Minute)
				w.do(w.wire.stream(vpcPath).say(`{"type":"MODIFIED","object":{"metadata":{"name":"a","resourceVersion":"99`))
				w.do(w.wire.stream(vpcPath).cut(err))
				w.do(w.Apply(vpc("a", "False")))
				w.expect("What was cut is read again.", vpcKind, "set a Ready=False")
				if got, want := w.wire.asked(), []string{"watch " + vpcPath}; !slices.Equal(got, want) {
					t.Errorf("the watch should be resumed: want %q, got %q", want, got)
				}
				if s := w.status(vpcKind); s.DecodeErrors != 0 || s.Restarts != 1 || !s.Current {
					t.Errorf("a connection that ends is no decode error, got %+v", s)
				}
				w.logged("It is nothing unusual.")
			})
		})
	}
}

// TestFirstSyncBroken has all that can happen to a stream happen while all objects are sent for the first time.
func TestFirstSyncBroken(t *testing.T) {
	const added = `{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"2"}}}` + "\n"
	failed := func(code int, reason string) string {
		return fmt.Sprintf(`%s{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":"m"}}`+"\n", added, code, reason)
	}
	for name, tc := range map[string]struct {
		reason string
		stream string
		errors bool // are counted
	}{
		"Cut":      {"A connection may be cut.", added + `{"type":"ADDED","obj`, false},
		"Ended":    {"Or end, before the bookmark that says all was sent.", added, false},
		"Gone":     {"The server may find that it has forgotten too much.", failed(http.StatusGone, "Expired"), false},
		"Busy":     {"Or that it is too busy.", failed(http.StatusTooManyRequests, "TooManyRequests"), false},
		"Internal": {"Or that it cannot convert an object.", failed(http.StatusInternalServerError, "InternalError"), false},
		"NoJSON":   {"Or make no sense.", added + `}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.do(w.Apply(vpcCRD().String() + vpc("a", "True") + vpc("b", "True")))
				var asked atomic.Int64
				w.wire.answer(vpcPath, func(req *http.Request) (*http.Response, error) {
					asked.Add(1)
					text := tc.stream
					if req.URL.Query().Get("watch") == "" {
						text = `{"metadata":{"resourceVersion":"3"},"items":[{"metadata":{"name":"a"}},{"metad`
					}
					return respond(http.StatusOK, "application/json", text), nil
				})
				w.begin()
				w.pass(500 * time.Millisecond)
				if n := asked.Load(); n > 4 {
					t.Errorf("%s\nThe server should be asked again after a while, not %d times in half a second", tc.reason, n)
				}
				w.pass(time.Hour)
				if n := asked.Load(); n > 300 {
					t.Errorf("%s\nThe server should be asked ever more rarely, not %d times in an hour", tc.reason, n)
				}
				if err := w.Ready(); err == nil || !strings.Contains(err.Error(), vpcKind) {
					t.Errorf("%s\nA Cluster is not ready before it has seen all of a kind, got %v", tc.reason, err)
				}
				w.expect("Half a list is none.", vpcKind)
				if lines := w.logs.since(); len(lines) > 2 || slices.ContainsFunc(lines, func(s string) bool { return strings.Contains(s, "reached") }) {
					t.Errorf("%s\nIt should be said once, and not that the server is gone, got %q", tc.reason, lines)
				}
				w.wire.answer(vpcPath, nil)
				w.pass(time.Minute)
				w.expect("At last there is a whole one.", vpcKind, "replace a Ready=True, b Ready=True")
				if s := w.status(vpcKind); (s.DecodeErrors > 0) != tc.errors || s.Err != nil || !s.Synced || !s.Current {
					t.Errorf("%s\nwant all well, got %+v", tc.reason, s)
				}
			})
		})
	}
}

// TestRefused has the server refuse one kind in every way it does.
func TestRefused(t *testing.T) {
	for code, tc := range map[int]struct {
		reason    string
		forbidden bool
		lists     bool // may work where a stream does not
		log       string
	}{
		http.StatusUnauthorized:        {"A token that is not accepted is a refusal.", true, false, "WARN ClusterRole " + ec2 + " vpcs"},
		http.StatusForbidden:           {"A kind that RBAC does not allow is a line in the log, not a failure of the rest.", true, false, "WARN ClusterRole " + ec2 + " vpcs"},
		http.StatusNotFound:            {"A kind that is not served, though its definition says so, is worth a line after a while.", false, false, "WARN tried again vpcs"},
		http.StatusGone:                {"A server that has forgotten even the present cannot be read.", false, true, "WARN tried again vpcs"},
		http.StatusTooManyRequests:     {"A server that is too busy is asked again.", false, false, "WARN tried again vpcs"},
		http.StatusInternalServerError: {"A conversion webhook that is down makes a list fail.", false, true, "WARN tried again vpcs"},
		http.StatusServiceUnavailable:  {"As does an aggregated API server.", false, true, "WARN tried again vpcs"},
		http.StatusGatewayTimeout:      {"As does a storage that is slow.", false, true, "WARN tried again vpcs"},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			eachWay(t, func(t *testing.T, change func(*world)) {
				w := newWorld(t)
				change(w)
				w.do(w.Apply(vpcCRD().String() + instanceCRD().String() + vpc("a", "True") + instance("b", "True")))
				w.do(w.Answer("vpcs."+ec2, code))
				w.begin()
				w.expect("The other kinds are read.", instanceKind, "replace b Ready=True")
				if err := w.Ready(); err != nil {
					t.Errorf("%s\nA refusal is an answer, so the Cluster should be ready, got %v", tc.reason, err)
				}
				w.pass(time.Hour)
				s := w.status(vpcKind)
				if s.Synced || s.Current || s.Err == nil || s.Forbidden() != tc.forbidden || s.DecodeErrors != 0 {
					t.Errorf("%s\nwant it to stay so, got %+v", tc.reason, s)
				}
				if !strings.Contains(s.Err.Error(), "as the test wants it") {
					t.Errorf("the error should be the server's own words, got %v", s.Err)
				}
				w.logged(tc.reason+" It is said once.", tc.log)
				asked := w.wire.asked()
				if n := len(asked); n < 60 || n > 500 {
					t.Errorf("a kind that is refused should be asked for once or twice a minute, not %d times in an hour", n)
				}
				if slices.Contains(asked, "list "+vpcPath) != tc.lists {
					t.Errorf("%s\nwhether to ask for a list, too: want %t, asked %q", tc.reason, tc.lists, slices.Compact(asked))
				}

				w.do(w.Answer("vpcs."+ec2, 0))
				w.pass(2 * time.Minute)
				w.expect("When it is allowed at last it is read.", vpcKind, "replace a Ready=True")
				if s := w.status(vpcKind); !s.Synced || !s.Current || s.Err != nil {
					t.Errorf("%s\nwant all well again, got %+v", tc.reason, s)
				}
				w.logged("That is said once, too.", "INFO again "+vpcKind)

				w.do(w.Answer("vpcs."+ec2, code))
				w.pass(time.Hour)
				w.expect("What was seen is kept when it is refused later.", vpcKind)
				if s := w.status(vpcKind); !s.Synced || s.Current || s.Err == nil {
					t.Errorf("want it synced once, and not current, got %+v", s)
				}
				w.logged("The second time is worth a line again.", tc.log)
			})
		})
	}
}

// TestListedButNotWatched: a kind that can be listed and not watched must not look well, nor come and go.
func TestListedButNotWatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.RefuseWatchList = true
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		w.wire.answer(vpcPath, func(req *http.Request) (*http.Response, error) {
			if q := req.URL.Query(); q.Get("watch") == "" || q.Get("sendInitialEvents") != "" {
				return nil, nil
			}
			return respond(http.StatusForbidden, "application/json", `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"vpcs is forbidden: cannot watch","reason":"Forbidden","code":403}`), nil
		})
		w.begin()
		w.pass(time.Hour)
		if s := w.status(vpcKind); !s.Forbidden() || s.Current {
			t.Errorf("a kind that may not be watched is forbidden, got %+v", s)
		}
		w.logged("It is said once, for all that the list works.", "WARN ClusterRole vpcs")
	})
}

// TestTriedSoonAgain: a kind that failed for long, and then worked for long, is tried soon when it fails again.
func TestTriedSoonAgain(t *testing.T) {
	eachWay(t, func(t *testing.T, change func(*world)) {
		w := newWorld(t)
		change(w)
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True")))
		w.do(w.Answer("vpcs."+ec2, http.StatusInternalServerError))
		w.begin()
		w.pass(time.Hour)
		w.do(w.Answer("vpcs."+ec2, 0))
		w.pass(time.Hour)
		w.expect("After a while it is read.", vpcKind, "replace a Ready=True")
		w.do(w.wire.stream(vpcPath).say("}"))
		w.pass(time.Second)
		w.expect("It works, so it is read again at once when a watch is lost.", vpcKind, "replace a Ready=True")
	})
}

func TestServerGone(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for name, down := range map[string]error{
		"Refused": refused,
		"NoHost":  &net.DNSError{Err: "no such host", Name: "cluster.test"},
		"Timeout": &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded},
		"Unknown": errors.New("tls: failed to verify certificate"),
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, change func(*world)) {
				w := newWorld(t)
				change(w)
				w.do(w.Apply(vpcCRD().String() + instanceCRD().String() + vpc("a", "True")))
				w.wire.setDown(down)
				w.begin()
				w.pass(10 * time.Minute)
				if err := w.Ready(); err == nil || !strings.Contains(err.Error(), "http://cluster.test") || !strings.Contains(err.Error(), down.Error()) {
					t.Errorf("a Cluster whose server is not there should say which and why, got %v", err)
				}
				w.logged("A server that is not there at the start is said once.", "WARN reached http://cluster.test")
				if n := len(w.wire.asked()); n < 10 || n > 100 {
					t.Errorf("a server that is not there should be tried again after a while, and not %d times in ten minutes", n)
				}

				w.wire.setDown(nil)
				w.pass(time.Minute)
				if err := w.Ready(); err != nil {
					t.Errorf("once the server is there, a Cluster becomes ready, got %v", err)
				}
				w.expect("Once the server is there, it is read.", vpcKind, "replace a Ready=True")
				w.logged("That it is there is said once.", "INFO again http://cluster.test")

				// It goes away while it is watched, and changes meanwhile.
				w.wire.setDown(down)
				w.do(w.Disconnect(""))
				w.pass(10 * time.Minute)
				if err := w.Ready(); err != nil {
					t.Errorf("a Cluster that was ready stays so: what it has seen is still worth saying; got %v", err)
				}
				for _, s := range append(w.Kinds(), w.Definitions()) {
					if s.Current || !s.Synced || s.Err == nil || s.Forbidden() {
						t.Errorf("a kind whose server is not there is not current, got %+v", s)
					}
				}
				w.expect("What was seen is kept.", vpcKind)
				w.logged("That it is gone is said once, for all kinds.", "WARN reached http://cluster.test")
				w.do(w.Apply(vpc("a", "False") + vpc("b", "True")))

				w.wire.setDown(nil)
				w.pass(time.Minute)
				m := w.store(vpcKind)
				m.mu.Lock()
				if len(m.kept) != 2 || m.kept["/a"].Conditions[0].Status != False {
					t.Errorf("what changed meanwhile should be seen, got %+v", m.kept)
				}
				m.mu.Unlock()
				for _, s := range append(w.Kinds(), w.Definitions()) {
					if !s.Current || s.Err != nil || s.DecodeErrors != 0 {
						t.Errorf("when the server is back all is well, got %+v", s)
					}
				}
				w.logged("That it is back is said once, for all kinds.", "INFO again http://cluster.test")

				// And it may be gone when the exporter is to end: begin's stop measures how long that takes.
				w.wire.setDown(down)
				w.do(w.Disconnect(""))
				w.pass(10 * time.Minute)
				w.stop()
			})
		})
	}
}

// TestBusyAtTheEnd stops while the server says it is too busy: client-go would wait that out.
func TestBusyAtTheEnd(t *testing.T) {
	eachWay(t, func(t *testing.T, change func(*world)) {
		w := newWorld(t)
		change(w)
		w.do(w.Apply(vpcCRD().String()))
		w.do(w.Answer("", http.StatusTooManyRequests))
		w.begin()
		w.pass(10*time.Minute + 7*time.Second)
		w.stop()
	})
}

// TestOddAnswers has the server answer a list with something else.
func TestOddAnswers(t *testing.T) {
	for name, tc := range map[string]struct{ contentType, body string }{
		"HTML":       {"text/html", "<html><body>Please log in</body></html>"},
		"Array":      {"application/json", `[]`},
		"ItemsBad":   {"application/json", `{"metadata":{},"items":{"a":1}}`},
		"MetaBad":    {"application/json", `{"metadata":{"resourceVersion":7},"items":[]}`},
		"BadJSON":    {"application/json", `{"metadata":{},"items":[{"metadata":{"name":"a",}}]}`},
		"WatchFrame": {"application/json", `"hello"`},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, change func(*world)) {
				w := newWorld(t)
				change(w)
				w.do(w.Apply(vpcCRD().String() + instanceCRD().String() + vpc("a", "True")))
				w.wire.answer(vpcPath, func(*http.Request) (*http.Response, error) {
					return respond(http.StatusOK, tc.contentType, tc.body), nil
				})
				w.begin()
				w.expect("The other kinds are read.", instanceKind, "replace ")
				if err := w.Ready(); err != nil {
					t.Errorf("an answer that makes no sense is an answer, so the Cluster should be ready, got %v", err)
				}
				w.pass(time.Hour)
				w.expect("Nothing is kept of it.", vpcKind)
				if s := w.status(vpcKind); s.Synced || s.Current || s.Err == nil || s.DecodeErrors == 0 {
					t.Errorf("want an error, and that it was counted, got %+v", s)
				}
				w.logged("It is said once, and not that the server is gone.", "WARN makes no sense vpcs")
				w.wire.answer(vpcPath, nil)
				w.pass(2 * time.Minute)
				w.expect("When the answer makes sense it is read.", vpcKind, "replace a Ready=True")
				w.logged("That is said once, too.", "INFO again "+vpcKind)
			})
		})
	}
}

// TestOddObject: an object with fields of the wrong type costs only itself.
func TestOddObject(t *testing.T) {
	eachWay(t, func(t *testing.T, change func(*world)) {
		w := newWorld(t)
		change(w)
		odd := fmt.Sprintf("---\n{apiVersion: %s/v1, kind: VPC, metadata: {name: odd, generation: many}, status: {conditions: none}}\n", ec2)
		w.do(w.Apply(vpcCRD().String() + vpc("a", "True") + odd + vpc("z", "True")))
		w.begin()
		w.expect("The others are read, and of it what can be.", vpcKind, "replace a Ready=True, odd, z Ready=True")
		for range 3 {
			w.do(w.Apply(odd))
		}
		w.do(w.Apply(vpc("a", "False")))
		w.expect("So it is later.", vpcKind, "set odd", "set odd", "set odd", "set a Ready=False")
		if s := w.status(vpcKind); s.DecodeErrors != 4 || !s.Current || s.Err != nil {
			t.Errorf("want 4 odd objects counted, and all well, got %+v", s)
		}
		w.logged("It is said once for a kind.", "WARN type "+vpcKind+" odd")
	})
}

// TestPages has the server give a list in pages, as it does when it has to ask its storage.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.RefuseWatchList = true
		w.do(w.Apply(vpcCRD().String()))
		w.wire.answer(vpcPath, func(req *http.Request) (*http.Response, error) {
			q := req.URL.Query()
			if q.Get("watch") != "" {
				return nil, nil
			}
			page := map[string]string{
				"":  `{"metadata":{"resourceVersion":"7","continue":"x"},"items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"}}]}`,
				"x": `{"items":[{"metadata":{"name":"c"}}],"metadata":{"resourceVersion":"7","continue":"y"}}`,
				"y": `{"metadata":{"resourceVersion":"7"},"items":null}`,
			}[q.Get("continue")]
			return respond(http.StatusOK, "application/json", page), nil
		})
		w.begin()
		w.expect("A list in pages is one list.", vpcKind, "replace a, b, c")
	})
}

// TestGate: kinds sync a few at a time, and one that hangs does not keep the others waiting for long.
func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var definitions strings.Builder
		const kinds = 3 * syncsAtOnce
		for i := range kinds {
			group := fmt.Sprintf("g%02d.example.org", i)
			definitions.WriteString(crd("things", group, "Thing", "managed").String())
			if i%3 > 0 {
				continue
			}
			w.wire.answer("/apis/"+group+"/v1/things", func(req *http.Request) (*http.Response, error) {
				<-req.Context().Done()
				return nil, req.Context().Err()
			})
		}
		w.do(w.Apply(definitions.String()))
		w.begin()
		for range 3 {
			if n := len(w.gate); n > syncsAtOnce {
				t.Errorf("%d kinds sync at once, more than %d", n, syncsAtOnce)
			}
			w.pass(maxTurn)
		}
		synced := 0
		for _, s := range w.Kinds() {
			if s.Synced {
				synced++
			}
		}
		if want := kinds - kinds/3; synced != want {
			t.Errorf("kinds that hang should not keep the others waiting: want %d synced, got %d", want, synced)
		}
		if err := w.Ready(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%d of %d kinds", kinds/3, kinds)) || !strings.Contains(err.Error(), "g00.example.org/Thing") {
			t.Errorf("Ready should say how many kinds it waits for, and some of them, got %v", err)
		}
		w.stop()
		synctest.Wait()
		w.logged("An end is not worth a line, not even of those that were still waiting.")
	})
}
