//go:build !linux

package process

import "syscall"

// withParent is nothing: only Linux tells a child of its parent's end.
func withParent() *syscall.SysProcAttr { return nil }
