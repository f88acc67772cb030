package process

import "syscall"

// withParent has a node killed when this process ends without Close: a test's deadline, a kill.
func withParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
