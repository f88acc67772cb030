package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuTime is the user and system time that this process has used on all cores.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprintf("perf: internal error: getrusage: %v", err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A cost is the time that something took, on the clock and on the cores.
type cost struct{ wall, cpu time.Duration }

// spent measures f, with a CPU profile if one is asked for.
func (b *bench) spent(profile string, f func() error) (c cost, err error) {
	stop, err := b.startProfile(profile)
	if err != nil {
		return c, err
	}
	defer stop()
	wall, cpu := time.Now(), b.cpu()
	err = f()
	return cost{time.Since(wall), b.cpu() - cpu}, err
}

// cpu is the time used by this process and by those that it measures.
func (b *bench) cpu() time.Duration {
	if b.others == nil {
		return cpuTime()
	}
	return cpuTime() + b.others()
}

// cpu is the time that the process of the network has used, 0 if it cannot be read.
func (w *world) cpu() time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.pid))
	if err != nil {
		return 0
	}
	// proc(5): after the name in parentheses, user and system time are fields 14 and 15 of the
	// line, in ticks of which the kernel's interface has 100 a second.
	_, rest, _ := strings.Cut(string(raw), ") ")
	ticks := 0
	for i, f := range strings.Fields(rest) {
		if n, err := strconv.Atoi(f); err == nil && (i == 11 || i == 12) {
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// startProfile begins a CPU profile of that name. Of several runs the last one is kept.
func (b *bench) startProfile(name string) (stop func(), err error) {
	if b.profile == "" || name == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(b.profile, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(filepath.Join(b.profile, name+".pprof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	b.profiles[name] = time.Now()
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}

func (c cost) rate(n int) float64 { return float64(n) / c.wall.Seconds() }

// each is the CPU time of one of n in microseconds.
func (c cost) each(n int) float64 { return float64(c.cpu.Microseconds()) / float64(n) }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// every is how often a condition is looked at that nothing announces.
const every = time.Millisecond

// patience is longer than anything here should take, on a busy machine too.
const patience = time.Minute

// until returns when ok does, or with an error when patience ends.
func until(what string, ok func() bool) error {
	t := time.NewTicker(every)
	defer t.Stop()
	end := time.NewTimer(patience)
	defer end.Stop()
	for !ok() {
		select {
		case <-t.C:
		case <-end.C:
			return fmt.Errorf("waited %s for %s", patience, what)
		}
	}
	return nil
}

// diskBytes adds up the files below dir.
func diskBytes(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		return err
	})
	return n, err
}
