package main

import (
	"sync"
	"time"
)

// A Run is all that was seen. Times are seconds since the load began.
type Run struct {
	Seed     uint64   `json:"seed"`
	Seconds  float64  `json:"seconds"` // of load
	Idle     float64  `json:"idle"`    // seconds without load after it
	Every    float64  `json:"every"`   // seconds between samples
	Rate     float64  `json:"rate"`    // operations a second that were asked for
	Cgo      bool     `json:"cgo"`     // how the salus command was built
	Commit   string   `json:"commit"`  // of its source, if the build knew
	Machine  string   `json:"machine"`
	Orgs     []string `json:"orgs"`
	Samples  []Sample `json:"samples"`
	Ops      []Op     `json:"ops"`
	Outages  []Outage `json:"outages"`
	Findings []string `json:"findings"` // what must never happen and did
	End      []Check  `json:"end"`      // what was compared after the load
}

// A Sample is one node at one moment; a node that is down has only its disk.
type Sample struct {
	T          float64          `json:"t"`
	Org        string           `json:"org"`
	Up         bool             `json:"up"`
	Start      float64          `json:"start"` // of the process, Unix seconds: it tells its lives apart
	RSS        float64          `json:"rss"`
	Live       float64          `json:"live"` // heap in use after the last collection
	Heap       float64          `json:"heap"` // allocated, garbage included
	Goroutines float64          `json:"goroutines"`
	FDs        float64          `json:"fds"`
	CPU        float64          `json:"cpu"` // seconds of this process so far
	Height     int64            `json:"height"`
	Outbox     float64          `json:"outbox"`
	Disk       map[string]int64 `json:"disk"`    // allocated bytes by part
	Records    int              `json:"records"` // acknowledged as active so far, network-wide
	Done       int              `json:"done"`    // operations so far, network-wide
	Load       float64          `json:"load"`    // average of the last minute
	Other      float64          `json:"other"`   // processors that others than this run kept busy since the last sample
}

// An Op is one operation.
type Op struct {
	T    float64 `json:"t"` // of its begin
	Kind string  `json:"kind"`
	Ms   float64 `json:"ms"`
	Code string  `json:"code,omitempty"` // of its error
}

// An Outage is one kill, until the node took part again.
type Outage struct {
	Org   string  `json:"org"`
	Kill  float64 `json:"kill"`
	Ready float64 `json:"ready"`
}

// A Check is one line of the verdict.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Judged bool   `json:"judged"` // false: said, but not counted, and Detail says why
	Detail string `json:"detail"`
}

// A log collects a run from several goroutines.
type log struct {
	mu      sync.Mutex // guards run and records
	run     *Run
	records int
	begin   time.Time
}

func (l *log) now() float64 { return time.Since(l.begin).Seconds() }

// op times f as an operation.
func (l *log) op(kind string, f func() error) error {
	from := l.now()
	err := f()
	o := Op{T: from, Kind: kind, Ms: 1000 * (l.now() - from), Code: code(err)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run.Ops = append(l.run.Ops, o)
	return err
}

// acked counts records that were acknowledged as active.
func (l *log) acked(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records += n
}

// finding notes what must never happen.
func (l *log) finding(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run.Findings = append(l.run.Findings, text)
}

func (l *log) outage(o Outage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run.Outages = append(l.run.Outages, o)
}

func (l *log) check(name string, err error, detail string) {
	if err != nil {
		detail = err.Error()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.run.End = append(l.run.End, Check{Name: name, OK: err == nil, Judged: true, Detail: detail})
}
