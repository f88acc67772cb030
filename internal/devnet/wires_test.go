package devnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"salus/gateway"
	"salus/internal/sample"
)

// echo answers every connection with its own bytes until the test ends.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); _, _ = io.Copy(c, c) }()
		}
	}()
	return ln.Addr().String()
}

// dialAs connects to address as an organisation of w.
func dialAs(t *testing.T, w *Wires, org, address string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(w.host(org))}}
	c, err := d.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends a word and wants it back.
func ask(c net.Conn, word string) error {
	if _, err := io.WriteString(c, word); err != nil {
		return err
	}
	b := make([]byte, len(word))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if string(b) != word {
		return errors.New("got other bytes than were sent")
	}
	return nil
}

func testWires(t *testing.T) (w *Wires, consensus, members string) {
	t.Helper()
	w, err := OpenWires(0, "a", "b", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if consensus, err = w.address(end{Consensus, "a", "b"}, echo(t)); err != nil {
		t.Fatal(err)
	}
	if members, err = w.address(end{on: Members, to: "b"}, echo(t)); err != nil {
		t.Fatal(err)
	}
	return w, consensus, members
}

func TestACutClosesLinksAcrossItRefusesNewOnesAndHeals(t *testing.T) {
	w, consensus, members := testWires(t)
	across, within := dialAs(t, w, "a", members), dialAs(t, w, "c", members)
	voter := dialAs(t, w, "a", consensus)
	for _, c := range []net.Conn{across, within, voter} {
		if err := ask(c, "hello"); err != nil {
			t.Fatal(err)
		}
	}
	w.Cut([]string{"a"}) // b and c are the rest
	for _, c := range []net.Conn{across, voter, dialAs(t, w, "a", members), dialAs(t, w, "a", consensus)} {
		if err := ask(c, "hello"); err == nil {
			t.Error("bytes crossed a cut")
		}
	}
	if err := ask(within, "hello"); err != nil {
		t.Errorf("a link on one side of the cut: %v", err)
	}
	w.Heal()
	for _, at := range []string{members, consensus} {
		if err := ask(dialAs(t, w, "a", at), "hello"); err != nil {
			t.Errorf("after Heal: %v", err)
		}
	}
}

func TestAStalledLinkStaysOpenAndGoesOnAfterHeal(t *testing.T) {
	w, consensus, _ := testWires(t)
	c := dialAs(t, w, "a", consensus)
	if err := ask(c, "before"); err != nil {
		t.Fatal(err)
	}
	w.Stall([]string{"a", "c"}, []string{"b"})
	answer := make(chan error, 1)
	go func() { answer <- ask(c, "held back") }()
	select {
	case err := <-answer:
		t.Fatalf("a stalled link answered: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	w.Heal()
	if err := <-answer; err != nil {
		t.Errorf("after Heal: %v", err)
	}
}

func TestDelayAndBandwidthSlowOneDirection(t *testing.T) {
	w, consensus, _ := testWires(t)
	c := dialAs(t, w, "a", consensus)
	const d = 60 * time.Millisecond
	w.Delay("a", "b", d)
	start := time.Now()
	if err := ask(c, "x"); err != nil {
		t.Fatal(err)
	}
	if got := time.Since(start); got < d {
		t.Errorf("delayed: got an answer after %s, want at least %s", got, d)
	}
	w.Delay("a", "b", 0)
	w.Bandwidth("b", "a", 1<<20)
	big := bytes.Repeat([]byte("x"), 128<<10)
	start = time.Now()
	go func() { _, _ = c.Write(big) }()
	if _, err := io.ReadFull(c, make([]byte, len(big))); err != nil {
		t.Fatal(err)
	}
	// The last chunk does not wait for what it costs itself.
	if got, want := time.Since(start), 100*time.Millisecond; got < want {
		t.Errorf("limited: got %d bytes in %s, want at least %s", len(big), got, want)
	}
}

// tally counts bytes of a tap.
type tally struct {
	mu sync.Mutex
	n  int
}

func (c *tally) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += len(b)
	return len(b), nil
}

func (c *tally) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// TestEveryLinkOfANetworkRunsThroughItsWires runs a network, sees traffic on every link,
// cuts one member off and takes it back.
func TestEveryLinkOfANetworkRunsThroughItsWires(t *testing.T) {
	if testing.Short() {
		t.Skip("runs four nodes")
	}
	var names []string
	for _, o := range Orgs() {
		names = append(names, o.Name)
	}
	w, err := OpenWires(0, names...)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var mu sync.Mutex
	seen := map[Link]map[pair]*tally{Consensus: {}, Members: {}}
	w.Listen(func(from, to string, on Link) io.Writer {
		mu.Lock()
		defer mu.Unlock()
		p := pair{from, to}
		if seen[on][p] == nil {
			seen[on][p] = &tally{}
		}
		return seen[on][p]
	})
	dir := filepath.Join(t.TempDir(), "net")
	if _, err := Init(dir, Options{Port: freePorts(t), Wires: w}); err != nil {
		t.Fatal(err)
	}
	n, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.StopAll(); err != nil {
			t.Error(err)
		}
	}()
	if err := n.StartAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	send := func(org, name string) error {
		api, err := n.API(org)
		if err != nil {
			return err
		}
		return api.JSON(t.Context(), "POST", "/v1/staff/"+name, gateway.Registration{Roles: []string{"sct:59058001"}, Privileges: 3}, nil)
	}
	hospital, err := n.API("hospital")
	if err != nil {
		t.Fatal(err)
	}
	if err := send("hospital", "hospital-doctor"); err != nil {
		t.Fatal(err)
	}
	r, err := hospital.Do(t.Context(), "POST", "/v1/import?wait=active", "application/fhir+json", bytes.NewReader(sample.Bundle(1, 5)))
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, r.Body)
	if err = errors.Join(err, r.Body.Close()); err != nil {
		t.Fatal(err)
	}
	// Three of four are enough to go on: the last links may come up later.
	silent := func() (out []string) {
		mu.Lock()
		defer mu.Unlock()
		for _, a := range names {
			for _, b := range names {
				if p := (pair{a, b}); a != b && (seen[Consensus][p] == nil || seen[Consensus][p].count() == 0) {
					out = append(out, "consensus from "+a+" to "+b)
				}
			}
			if p := (pair{"hospital", a}); a != "hospital" && (seen[Members][p] == nil || seen[Members][p].count() == 0) {
				out = append(out, "members' link from hospital to "+a)
			}
		}
		return out
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s := silent(); len(s) > 0; s = silent() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("no bytes on: %v", s)
		}
	}
	mu.Lock()
	if seen[Members][pair{"", "clinic"}] != nil {
		t.Error("a member dialled from an address that is not its own")
	}
	mu.Unlock()

	w.Cut([]string{"institute"})
	if err := send("hospital", "another-doctor"); err != nil {
		t.Errorf("three of four do not go on: %v", err)
	}
	w.Heal()
	if err := send("institute", "researcher"); err != nil {
		t.Errorf("the member that was cut off does not come back: %v", err)
	}
}
