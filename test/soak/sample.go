package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"salus/ledger/tx"
)

// sample looks at every node again and again.
func (w *world) sample(ctx context.Context) {
	seen := map[int64]tx.Hash{} // app hashes by height, to find a fork while it is young
	var last usage
	for {
		var mine usage
		at := len(w.run.Samples)
		load := loadAverage()
		for _, org := range w.run.Orgs {
			s := Sample{T: w.now(), Org: org, Load: load, Disk: disk(w.net.Home(org))}
			w.scrape(ctx, org, &s)
			if h, err := w.api[org].Head(ctx); err == nil {
				s.Height = h.Height
				if old, ok := seen[h.Height]; ok && old != h.AppHash {
					w.finding(fmt.Sprintf("a fork: two app hashes at height %d", h.Height))
				}
				seen[h.Height] = h.AppHash
			}
			w.mu.Lock()
			s.Records, s.Done = w.records, len(w.run.Ops)
			w.run.Samples = append(w.run.Samples, s)
			w.mu.Unlock()
			mine.ours += s.CPU
		}
		mine.ours += ownCPU()
		mine.all, mine.at = machineCPU(), w.now()
		// A restarted process counts from zero: then nothing is known of this interval.
		if d := mine.at - last.at; last.at > 0 && mine.ours >= last.ours {
			for i := at; i < len(w.run.Samples); i++ {
				w.run.Samples[i].Other = max(0, (mine.all-last.all-(mine.ours-last.ours))/d)
			}
		}
		last = mine
		w.say(w.run.Samples[at:])
		if !pause(ctx, w.opts.every) {
			return
		}
	}
}

// usage is processor time in seconds.
type usage struct{ at, all, ours float64 }

// say prints a line for each node.
func (w *world) say(now []Sample) {
	w.mu.Lock()
	failed := 0
	for _, o := range w.run.Ops {
		if o.Code != "" {
			failed++
		}
	}
	w.mu.Unlock()
	for _, s := range now {
		var total int64
		for _, b := range s.Disk {
			total += b
		}
		fmt.Fprintf(os.Stdout, "%6.0fs %-9s height %6d  rss %4.0f MB  live %5.1f MB  goroutines %4.0f  fds %4.0f  disk %4d MB  records %6d  ops %6d (%d not answered)  load %.1f\n",
			s.T, s.Org, s.Height, s.RSS/1e6, s.Live/1e6, s.Goroutines, s.FDs, total/1e6, s.Records, s.Done, failed, s.Load)
	}
}

// scrape reads a node's metrics; one that is down leaves the sample as it is.
func (w *world) scrape(ctx context.Context, org string, s *Sample) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	b, err := w.api[org].Bytes(ctx, "GET", "/metrics", nil)
	if err != nil {
		return
	}
	m := parseMetrics(b)
	s.Up = true
	s.Start, s.RSS, s.Live, s.Heap = m["process_start_time_seconds"], m["process_resident_memory_bytes"], m["go_gc_heap_live_bytes"], m["go_memstats_heap_alloc_bytes"]
	s.Goroutines, s.FDs, s.CPU, s.Outbox = m["go_goroutines"], m["process_open_fds"], m["process_cpu_seconds_total"], m["salus_record_outbox_batches"]
}

// parseMetrics reads the plain samples of Prometheus' text form, those with labels left out.
func parseMetrics(b []byte) map[string]float64 {
	out := map[string]float64{}
	for line := range bytes.Lines(b) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		if !ok || strings.HasPrefix(name, "#") || strings.Contains(name, "{") {
			continue
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			out[name] = v
		}
	}
	return out
}

// parts of a home's data: what a path belongs to.
var parts = []struct{ path, name string }{
	{"comet/data/cs.wal", "consensus log"},
	{"comet/data/blockstore.pebble", "blocks"},
	{"comet", "consensus state"},
	{"ledger", "ledger"},
	{"custody", "custody"},
	{"vault", "vault"},
	{"record", "record"},
}

// journals are the logs in front of all stores. They are written around in a circle: how long
// they are says nothing about what is kept.
const journals = "journals"

// partNames are the parts in the order of the tables.
var partNames = []string{"ledger", "blocks", "consensus state", "consensus log", "custody", "vault", "record", journals}

// disk adds up the bytes in a home's files. Files that come and go are counted or not.
func disk(home string) map[string]int64 {
	out := map[string]int64{}
	root := filepath.Join(home, "data")
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // gone in the meantime
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // gone in the meantime
		}
		rel, _ := filepath.Rel(root, path)
		if filepath.Ext(rel) == ".log" {
			out[journals] += info.Size()
			return nil
		}
		for _, p := range parts {
			if rel == p.path || strings.HasPrefix(rel, p.path+"/") {
				out[p.name] += info.Size()
				break
			}
		}
		return nil
	})
	return out
}

func loadAverage() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	v, _ := strconv.ParseFloat(first, 64)
	return v
}

// machineCPU is the time all processors were busy.
func machineCPU() float64 {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	busy := 0.0
	for i, f := range strings.Fields(line) {
		if i == 1 || i == 2 || i == 3 || i == 6 || i == 7 || i == 8 { // user, nice, system, irq, softirq, steal
			v, _ := strconv.ParseFloat(f, 64)
			busy += v / 100 // Linux counts hundredths
		}
	}
	return busy
}

func ownCPU() float64 {
	var u syscall.Rusage
	if err := errors.Join(syscall.Getrusage(syscall.RUSAGE_SELF, &u)); err != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
