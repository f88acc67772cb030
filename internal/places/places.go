// Package places says on how many threads at once a node runs.
//
// A node waits for disks all the time: CometBFT's log, Pebble's, the journal and SQLite make each step durable before
// the next. A goroutine that is in a system call keeps its place among GOMAXPROCS until the scheduler takes it away,
// which looks for such ones every 20 us when much goes on and every 10 ms when little does. With as many places as
// processors, the processors stand idle meanwhile: a quarter of their time under load, as measured by test/perf.
//
// Contract: it changes nothing that somebody has decided: the variable GOMAXPROCS, or a limit of processors that the
// operating system enforces, beyond which threads would only be held up. It must be called by programs alone, once,
// before they start anything.
package places

import (
	"os"
	"runtime"
)

// each is how many places there are for each processor.
const each = 2

// Use lets twice as many threads run Go code at once as there are processors.
func Use() {
	if n := of(os.Getenv("GOMAXPROCS"), runtime.GOMAXPROCS(0), runtime.NumCPU()); n > 0 {
		runtime.GOMAXPROCS(n)
	}
}

// of is how many places there are to be, or 0 if what is there was decided by somebody: by the variable's value, or by
// a limit below the processors.
func of(variable string, now, processors int) int {
	if variable != "" || now != processors {
		return 0
	}
	return each * processors
}
