package fault

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"salus/config"
)

// wires are proxies on every link between the members. A connection in consensus has a listener of its own
// for each ordered pair. The members' link has one address for all callers; who calls is found by the
// process that owns the connection's other end.
type wires struct {
	w    *world
	lns  []net.Listener
	done sync.WaitGroup

	mu     sync.Mutex // guards what is below
	cut    func(from, to string) bool
	delay  time.Duration
	change chan struct{} // closed and renewed with the rules
	conns  map[net.Conn]bool
}

// wire puts proxies into the homes of a network that has not started.
func (w *world) wire() *wires {
	w.t.Helper()
	x := &wires{w: w, change: make(chan struct{}), conns: map[net.Conn]bool{}, cut: func(string, string) bool { return false }}
	w.t.Cleanup(x.close)
	homes := map[string]*config.Config{}
	consensus := map[string]string{} // address to organisation
	for _, o := range w.orgs {
		c, err := config.Load(w.Home(o))
		if err != nil {
			w.t.Fatal(err)
		}
		homes[o], consensus[c.Ledger.Listen] = c, o
	}
	port := w.Port + 45
	for _, from := range w.orgs {
		c := homes[from]
		for i, p := range c.Ledger.Peers {
			id, at, _ := strings.Cut(p, "@")
			to := consensus[at]
			c.Ledger.Peers[i] = id + "@" + x.listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), at, func(net.Conn) string { return from }, to)
			port++
		}
		// The address on the ledger becomes the proxy's, and the node listens beside it.
		public := c.Peer.Listen
		_, p, err := net.SplitHostPort(public)
		if err != nil {
			w.t.Fatal(err)
		}
		n, err := strconv.Atoi(p)
		if err != nil {
			w.t.Fatal(err)
		}
		c.Peer.Listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(n+3))
		x.listen(public, c.Peer.Listen, x.caller, from)
		if err := c.Save(); err != nil {
			w.t.Fatal(err)
		}
	}
	return x
}

func (x *wires) listen(at, target string, from func(net.Conn) string, to string) string {
	ln, err := net.Listen("tcp", at)
	if err != nil {
		x.w.t.Fatal(err)
	}
	x.lns = append(x.lns, ln)
	x.done.Go(func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return // closed
			}
			x.done.Go(func() { x.serve(in, target, from(in), to) })
		}
	})
	return at
}

func (x *wires) serve(in net.Conn, target, from, to string) {
	defer in.Close()
	out, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		return // the callee does not run
	}
	defer out.Close()
	x.mu.Lock()
	x.conns[in], x.conns[out] = true, true
	x.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { x.carry(out, in, from, to) })
	both.Go(func() { x.carry(in, out, to, from) })
	both.Wait()
	x.mu.Lock()
	delete(x.conns, in)
	delete(x.conns, out)
	x.mu.Unlock()
}

// carry copies one direction: late if links are slow, and not at all while it is cut, as lost packets do.
func (x *wires) carry(dst, src net.Conn, from, to string) {
	defer dst.Close()
	defer src.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := src.Read(b)
		if n > 0 {
			for {
				x.mu.Lock()
				cut, delay, change := x.cut(from, to), x.delay, x.change
				x.mu.Unlock()
				if cut {
					<-change
					continue
				}
				if delay > 0 {
					pause(x.w.t.Context(), delay)
				}
				break
			}
			if _, err := dst.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// set changes the rules: cut tells for each direction whether it carries nothing.
func (x *wires) set(delay time.Duration, cut func(from, to string) bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.delay, x.cut = delay, cut
	close(x.change)
	x.change = make(chan struct{})
}

func (x *wires) heal() { x.set(0, func(string, string) bool { return false }) }

// part cuts between a group and all others, both ways.
func (x *wires) part(group ...string) {
	in := map[string]bool{}
	for _, o := range group {
		in[o] = true
	}
	x.set(0, func(from, to string) bool { return in[from] != in[to] })
}

// drop closes all connections.
func (x *wires) drop() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for c := range x.conns {
		_ = c.Close()
	}
}

func (x *wires) close() {
	for _, ln := range x.lns {
		_ = ln.Close()
	}
	x.heal()
	x.drop()
	x.done.Wait()
}

var errNoOwner = errors.New("fault: no process of the network has that connection")

// caller is the organisation whose process holds the other end of a connection.
func (x *wires) caller(c net.Conn) string {
	inode, err := inodeOf(c.RemoteAddr().(*net.TCPAddr).Port, c.LocalAddr().(*net.TCPAddr).Port)
	if err != nil {
		return ""
	}
	for _, o := range x.w.orgs {
		p := x.w.Process(o)
		if p == nil {
			continue
		}
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.PID()))
		if err != nil {
			continue
		}
		for _, l := range links {
			if to, err := os.Readlink(l); err == nil && to == "socket:["+inode+"]" {
				return o
			}
		}
	}
	return ""
}

// inodeOf finds a loopback connection by its ports, as its own end has them, in the kernel's table.
func inodeOf(local, remote int) (string, error) {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", local)) && strings.HasSuffix(fields[2], fmt.Sprintf(":%04X", remote)) {
			return fields[9], nil
		}
	}
	return "", errNoOwner
}
