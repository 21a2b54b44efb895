//go:build unix && !linux

package process

import "syscall"

// attributes puts a child into a process group of its own, so that a Ctrl-C reaches it through us, in order, and not at once
// with us. Only Linux can also be asked to kill it should we die without stopping it.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
