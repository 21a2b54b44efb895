// Package controlplanetest gives tests a control plane.
package controlplanetest

import (
	"context"
	"fmt"
	"os"
	"testing"

	"crossplane-exporter/playground/controlplane"
)

// New starts a control plane that a test has to itself, and stops it when the test is over. It costs some five seconds:
// tests that do not get in each other's way share one with Main.
func New(t testing.TB) *controlplane.ControlPlane {
	t.Helper()
	c, err := controlplane.Start(t.Context(), t.TempDir())
	if err != nil {
		t.Fatalf("control plane: %v", err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Errorf("stop the control plane: %v", err)
		}
	})
	return c
}

// Main runs the tests of a package with a control plane that they share, for its TestMain:
//
//	var plane *controlplane.ControlPlane
//
//	func TestMain(m *testing.M) {
//		os.Exit(controlplanetest.Main(m, func(c *controlplane.ControlPlane) { plane = c }))
//	}
//
// What a test makes it has to keep apart from what others make, by kind or by namespace.
func Main(m *testing.M, with func(*controlplane.ControlPlane)) (code int) {
	c, err := controlplane.Start(context.Background(), "")
	if err != nil {
		fmt.Fprintln(os.Stderr, "control plane:", err)
		return 1
	}
	defer func() {
		if err := c.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the control plane:", err)
			code = 1
		}
	}()
	with(c)
	return m.Run()
}
