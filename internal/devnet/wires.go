package devnet

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Link says what a connection between two members carries.
type Link string

// The links between members.
const (
	Consensus Link = "consensus" // CometBFT's peer-to-peer link
	Members   Link = "members"   // custody and vault, TLS 1.3
)

// Tap is asked once for each direction of each new connection: what is written goes
// from one organisation to the other. A nil writer listens to nothing.
type Tap func(from, to string, on Link) io.Writer

// Wires are proxies on every link between the members of a sample network. They live in
// the test's process, so they serve networks of this process and of others alike.
//
// A connection in consensus has a listener of its own per ordered pair. The members' link
// has one address per callee, the one on the ledger, and the caller is told by its source:
// each organisation has a loopback address of its own (127.0.0.10 and up), from which it
// dials (peer.Client.From). So wires need a system whose whole 127.0.0.0/8 is loopback: Linux.
type Wires struct {
	orgs      []string
	listeners map[end]net.Listener

	mu     sync.Mutex // guards what follows
	target map[end]string
	rules  map[pair]rule
	conns  map[*wire]bool
	tap    Tap
	closed bool
	change chan struct{} // closed and renewed when rules change
	done   sync.WaitGroup
}

// pair is one direction between two organisations.
type pair struct{ from, to string }

// end is one listener; from is empty on the members' link.
type end struct {
	on       Link
	from, to string
}

// rule is what happens to the bytes of a pair.
type rule struct {
	cut, stall bool
	delay      time.Duration
	rate       int // bytes a second, 0 for no limit
}

// firstHost is the last number of the first organisation's loopback address.
const firstHost = 10

func hostOf(i int) string { return netip.AddrFrom4([4]byte{127, 0, 0, byte(firstHost + i)}).String() }

// OpenWires listens for the organisations from port on, n*n ports for n of them; 0 lets the
// system choose. Close ends it.
func OpenWires(port int, orgs ...string) (*Wires, error) {
	w := &Wires{
		orgs: orgs, listeners: map[end]net.Listener{}, target: map[end]string{}, rules: map[pair]rule{},
		conns: map[*wire]bool{}, change: make(chan struct{}),
	}
	for _, to := range orgs {
		ends := []end{{on: Members, to: to}}
		for _, from := range orgs {
			if from != to {
				ends = append(ends, end{Consensus, from, to})
			}
		}
		for _, e := range ends {
			ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				return nil, errors.Join(fmt.Errorf("devnet: wires: %w", err), w.Close())
			}
			w.listeners[e] = ln
			w.done.Go(func() { w.accept(e, ln) })
			if port != 0 {
				port++
			}
		}
	}
	return w, nil
}

// address is where e is reached; target says where it leads.
func (w *Wires) address(e end, target string) (string, error) {
	ln := w.listeners[e]
	if ln == nil {
		return "", fmt.Errorf("devnet: wires: no wire to %s", e.to)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.target[e] = target
	return ln.Addr().String(), nil
}

// host is the loopback address of an organisation.
func (w *Wires) host(org string) string { return hostOf(slices.Index(w.orgs, org)) }

// Listen sets the tap of the connections that open from now on.
func (w *Wires) Listen(t Tap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tap = t
}

// Cut parts the network: organisations of different groups lose their connections and get no
// new ones. Those in no group form one more together.
func (w *Wires) Cut(groups ...[]string) { w.part(groups, func(r *rule) { r.cut = true }) }

// Stall parts the network as lost packets do: connections stay open and open anew, but carry
// nothing between the groups.
func (w *Wires) Stall(groups ...[]string) { w.part(groups, func(r *rule) { r.stall = true }) }

// Heal ends every Cut and Stall; stalled bytes go on. Delays and bandwidths stay.
func (w *Wires) Heal() {
	w.edit(func() {
		for p, r := range w.rules {
			r.cut, r.stall = false, false
			w.rules[p] = r
		}
	})
}

// Delay holds every byte from one organisation to another back by d.
func (w *Wires) Delay(from, to string, d time.Duration) {
	w.edit(func() { r := w.rules[pair{from, to}]; r.delay = d; w.rules[pair{from, to}] = r })
}

// Bandwidth limits each connection from one organisation to another, in bytes a second; 0 lifts it.
func (w *Wires) Bandwidth(from, to string, rate int) {
	w.edit(func() { r := w.rules[pair{from, to}]; r.rate = max(rate, 0); w.rules[pair{from, to}] = r })
}

func (w *Wires) part(groups [][]string, set func(*rule)) {
	group := func(org string) int {
		return slices.IndexFunc(groups, func(g []string) bool { return slices.Contains(g, org) })
	}
	w.edit(func() {
		for _, from := range w.orgs {
			for _, to := range w.orgs {
				if group(from) != group(to) {
					r := w.rules[pair{from, to}]
					set(&r)
					w.rules[pair{from, to}] = r
				}
			}
		}
	})
}

// edit changes rules, wakes who waits for them, and closes what is cut now.
func (w *Wires) edit(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.change)
	w.change = make(chan struct{})
	for c := range w.conns {
		if w.rules[pair{c.from, c.to}].cut || w.rules[pair{c.to, c.from}].cut {
			c.close()
		}
	}
}

// rule returns a pair's rule and what closes when it may have changed.
func (w *Wires) rule(from, to string) (rule, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rules[pair{from, to}], w.change
}

// Close ends all proxies and their connections.
func (w *Wires) Close() error {
	w.mu.Lock()
	w.closed = true
	for c := range w.conns {
		c.close()
	}
	w.mu.Unlock()
	var errs []error
	for _, ln := range w.listeners {
		errs = append(errs, ln.Close())
	}
	w.done.Wait()
	return errors.Join(errs...)
}

func (w *Wires) accept(e end, ln net.Listener) {
	for {
		in, err := ln.Accept()
		if err != nil {
			return // closed
		}
		w.done.Go(func() { w.serve(e, in) })
	}
}

// caller names who dialled the members' link, "" for a stranger, whom no rule concerns.
func (w *Wires) caller(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return ""
	}
	for i, org := range w.orgs {
		if hostOf(i) == host {
			return org
		}
	}
	return ""
}

func (w *Wires) serve(e end, in net.Conn) {
	defer in.Close()
	if e.on == Members {
		e.from = w.caller(in)
	}
	w.mu.Lock()
	target := w.target[end{e.on, e.from, e.to}]
	if e.on == Members {
		target = w.target[end{on: Members, to: e.to}]
	}
	w.mu.Unlock()
	out, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		return // the callee does not run: the caller sees a closed connection
	}
	c := &wire{wires: w, from: e.from, to: e.to, in: in, out: out, gone: make(chan struct{})}
	defer c.close()
	var there, back io.Writer
	w.mu.Lock()
	if w.closed || w.rules[pair{c.from, c.to}].cut || w.rules[pair{c.to, c.from}].cut {
		w.mu.Unlock()
		return
	}
	w.conns[c] = true
	if w.tap != nil {
		there, back = w.tap(c.from, c.to, e.on), w.tap(c.to, c.from, e.on)
	}
	w.mu.Unlock()
	c.run(there, back)
	w.mu.Lock()
	delete(w.conns, c)
	w.mu.Unlock()
}
