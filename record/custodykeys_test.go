package record

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"salus/exchange"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
)

// published are links where the bytes are had whose hash a dishonest custodian has published.
type published struct {
	Links
	public []byte
	asked  atomic.Int64 // for their hash
}

// Call implements Links.
func (p *published) Call(ctx context.Context, to tx.Account, path string, req, resp any) error {
	if q, ok := req.(exchange.KeyRequest); ok && q.Hash == sha256.Sum256(p.public) {
		p.asked.Add(1)
		resp.(*exchange.KeyReply).Public = p.public
		return nil
	}
	return p.Links.Call(ctx, to, path, req, resp)
}

// A custodian can publish any hash as that of its custody key. Whatever it is of, what is written is sealed to the
// others, and becomes active with their receipts.
func TestNoCustodyKeyStopsTheSealing(t *testing.T) {
	good := func(w *world) []byte {
		key, err := newCustodyKeys(w.app, w.orgs["hospital"]).public(w.Context(), []tx.Account{account("clinic")}, 0, w.latestKey("clinic").Hash)
		if err != nil {
			w.Fatal(err)
		}
		return key.Bytes()
	}
	for rule, change := range map[string]func(good []byte) []byte{
		"nothing":   func([]byte) []byte { return nil },
		"too short": func(b []byte) []byte { return b[1:] },
		"too long":  func(b []byte) []byte { return append(b, 0) },
		// A coefficient of 4,095 is no residue modulo 3,329 (FIPS 203, 7.2).
		"no ML-KEM key": func(b []byte) []byte { b[0], b[1] = 0xff, 0xff; return b },
		// With the point 0 X25519 agrees on zeros, whatever the other side has (RFC 7748, 6.1).
		"a point of low order": func(b []byte) []byte { clear(b[seal.PublicKeySize-32:]); return b },
		"the key of another":   func(b []byte) []byte { return b },
	} {
		t.Run(rule, func(t *testing.T) {
			w := newWorld(t)
			bad := change(good(w))
			last := w.latestKey("lab")
			w.must("lab", committee.KindKey, &committee.Publish{KeyEpoch: last.KeyEpoch + 1, Hash: sha256.Sum256(bad), From: last.From + 1, Until: last.Until + 1})
			w.pass(2 * time.Second)
			h := w.orgs["hospital"]
			links := &published{Links: h, public: bad}
			c := h.config(t.TempDir())
			c.Links = links
			s, err := Open(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			h.record = s
			t.Cleanup(h.close)
			var asked atomic.Int64
			s.keys.now = func() time.Time { return time.Unix(start, 0).Add(time.Duration(asked.Add(1)) * graceTime) }
			if _, _, err := s.keys.current(t.Context()); bytes.Equal(bad, good(w)) != (err == nil) || err != nil && !errors.Is(err, errNoKeys) {
				t.Fatalf("got %v", err)
			}
			id, err := s.Enrol(t.Context(), "Patient/p", h.enrol)
			if err != nil {
				t.Fatal(err)
			}
			w.activeSoon(w.put(id, observation(t, "o", "sample"))...)
			if n := links.asked.Load(); n != 1 {
				t.Errorf("asked %d times for the same key", n)
			}
			w.blocksUntil("who has a key holds the batches", func() bool {
				for name, o := range w.orgs {
					st, err := o.custody.Status()
					if err != nil {
						t.Fatal(err)
					}
					if held := st.Batches > 0; held == (name == "lab") {
						return false
					}
				}
				return true
			})
		})
	}
}

// mute are links to a custodian that takes the question for its key and does not answer.
type mute struct {
	Links
	hash  tx.Hash
	of    tx.Account
	asked int
}

// Call implements Links.
func (l *mute) Call(ctx context.Context, to tx.Account, path string, req, resp any) error {
	q, ok := req.(exchange.KeyRequest)
	switch {
	case !ok || q.Hash != l.hash:
		return l.Links.Call(ctx, to, path, req, resp)
	case to != l.of:
		return errNotFound
	}
	l.asked++
	<-ctx.Done()
	return ctx.Err()
}

// A custodian that does not answer is asked for its key once in a while. Meanwhile nobody waits for its answer.
func TestACustodianThatKeepsItsKeyHoldsUpOneDealingInAWhile(t *testing.T) {
	w := newWorld(t)
	links, now := &mute{Links: w.orgs["hospital"], hash: w.latestKey("lab").Hash, of: account("lab")}, time.Unix(start, 0)
	k := newCustodyKeys(w.app, links)
	k.wait, k.now = 10*time.Millisecond, func() time.Time { return now }
	for i, at := range []struct {
		after time.Duration
		asked int
		ready bool
	}{{0, 1, false}, {askPause / 2, 1, false}, {askPause / 2, 2, false}, {graceTime, 3, true}, {0, 3, true}, {askPause / 2, 3, true}, {askPause, 4, true}} {
		now = now.Add(at.after)
		if _, _, err := k.current(t.Context()); (err == nil) != at.ready || err != nil && !errors.Is(err, errNoKeys) {
			t.Errorf("step %d: got %v", i, err)
		}
		if links.asked != at.asked {
			t.Errorf("step %d: it was asked %d times, want %d", i, links.asked, at.asked)
		}
	}
}

// latestKey is the custody key that an organisation published last.
func (w *world) latestKey(name string) committee.CustodyKey {
	w.Helper()
	v := w.app.View()
	defer v.Close()
	k, ok := committee.Latest(v, account(name))
	if !ok {
		w.Fatal("no custody key")
	}
	return k
}
