package custody

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/seal"
)

// A plain model of one session: when it may still read, and which slots.
type sessionModel struct {
	*reading
	patient int
	granted uint64 // when it opened
	expires time.Time
	closed  bool
	fetches []*exchange.ReleaseRequest
}

// S3, S4: whatever happens in whatever order, a custodian releases exactly what the plain
// rule allows: a committed list, of records of the session's patient, in slots that were
// granted when the session opened and still are, before its end by block time and by the
// clock, from a fresh replica.
func TestReleasesFollowThePlainRule(t *testing.T) {
	w := newWorld(t)
	run, released, refused := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		if run++; run > 30 {
			return // every release waits for the disk
		}
		m := w.nodes[run%len(w.nodes)]
		patients := []string{fmt.Sprint("patient ", run, "a"), fmt.Sprint("patient ", run, "b")}
		allowed := map[int]uint64{}   // by patient: the mask of the grant in force
		version := map[int]uint64{}   // of that grant
		lives := map[int]int{}        // a revoked grant comes back under another id
		batches := map[int][]uint64{} // by patient: the slots of her batch
		sealed := map[int]*seal.Batch{}
		for i, p := range patients {
			w.must("hospital", identity.KindEnrol, &identity.Enrol{Patient: account(p), Keys: []tx.PublicKey{public(p)}})
			batches[i] = rapid.SliceOfN(rapid.SampledFrom([]uint64{0, 1, 2, 1 << 3, 1<<3 | 1<<40, 1 << 40, 1 << 63}), 1, 4).Draw(rt, "slots")
			sealed[i] = w.batch(p, batches[i]...)
		}
		var sessions []*sessionModel
		open := func(i int, seconds uint64) *sessionModel {
			s := &sessionModel{reading: w.session("doctor", patients[i], ttl(seconds)), patient: i, granted: allowed[i]}
			s.expires = w.now().Add(time.Duration(seconds) * time.Second)
			sessions = append(sessions, s)
			return s
		}
		grant := func(i, shift int) {
			version[i]++
			w.grant(patients[i], func(g *consent.Grant) {
				id := digest(fmt.Sprint("grant/", patients[i], lives[i]))
				g.ID, g.Version, g.Mask = consent.GrantID(id[:16]), version[i], mask<<shift
			})
			allowed[i] = mask << shift &^ outside
		}
		// Each run begins with a release that is allowed, if the record's slots are.
		grant(0, 0)
		s := open(0, 600)
		s.fetches = append(s.fetches, s.commit(items(sealed[0], 0)...))
		actions := map[string]func(*rapid.T){
			"grant": func(rt *rapid.T) {
				grant(rapid.IntRange(0, 1).Draw(rt, "patient"), rapid.SampledFrom([]int{0, 1, 4}).Draw(rt, "shift"))
			},
			"revoke": func(rt *rapid.T) {
				i := rapid.IntRange(0, 1).Draw(rt, "patient")
				if allowed[i] == 0 {
					rt.Skip()
				}
				w.revoke(patients[i])
				allowed[i] = 0
				version[i] = 0
				lives[i]++
			},
			"open": func(rt *rapid.T) {
				open(rapid.IntRange(0, 1).Draw(rt, "patient"), rapid.SampledFrom([]uint64{3, 8, 600}).Draw(rt, "ttl"))
			},
			"close": func(rt *rapid.T) {
				s := draw(rt, sessions)
				if s.closed || !w.now().Before(s.expires.Add(-2*time.Second)) {
					rt.Skip()
				}
				w.must("doctor", access.KindClose, &access.Close{Session: s.id})
				s.closed = true
			},
			"fetch": func(rt *rapid.T) {
				s := draw(rt, sessions)
				if s.closed || !w.now().Before(s.expires.Add(-2*time.Second)) {
					rt.Skip()
				}
				of := rapid.IntRange(0, 1).Draw(rt, "of")
				var list []exchange.Item
				for k := range batches[of] {
					if rapid.Bool().Draw(rt, "take") {
						list = append(list, items(sealed[of], k)...)
					}
				}
				if len(list) == 0 {
					rt.Skip()
				}
				s.fetches = append(s.fetches, s.commit(list...))
			},
			"block": func(*rapid.T) { w.block() },
			"stall": func(rt *rapid.T) {
				w.advance(time.Duration(rapid.IntRange(1, 20).Draw(rt, "seconds")) * time.Second)
			},
			"": func(rt *rapid.T) {
				for _, s := range sessions {
					for _, req := range s.fetches {
						want := s.may(w, m, req, sealed, batches, allowed)
						_, err := m.Release(context.Background(), req)
						if want {
							released++
						} else {
							refused++
						}
						if (err == nil) != want {
							rt.Fatalf("got %v (%v), want released %v", err, m.why(req), want)
						}
						for name, bad := range altered(req) {
							if _, err := m.Release(context.Background(), bad); err == nil {
								rt.Fatalf("released for an altered request: %s", name)
							}
						}
					}
				}
			},
		}
		rt.Repeat(actions)
	})
	// A run of the test that allowed or refused nothing at all has shown nothing; usual are tens and hundreds.
	if released == 0 || refused == 0 {
		t.Errorf("%d releases and %d refusals show too little", released, refused)
	}
}

func draw(rt *rapid.T, all []*sessionModel) *sessionModel {
	if len(all) == 0 {
		rt.Skip()
	}
	return rapid.SampledFrom(all).Draw(rt, "session")
}

func (w *world) now() time.Time {
	return time.Unix(0, w.clock.Load())
}

// may is the plain rule.
func (s *sessionModel) may(w *world, m *member, req *exchange.ReleaseRequest, sealed map[int]*seal.Batch, slots map[int][]uint64, allowed map[int]uint64) bool {
	head := time.Unix(int64(m.app.Head().Time), 0)
	if s.closed || !head.Before(s.expires) || w.now().After(s.expires.Add(2*time.Second)) || w.now().Sub(head) > 15*time.Second {
		return false
	}
	for _, it := range req.List.Items {
		if it.Header != tx.Hash(sealed[s.patient].Header.Hash()) {
			return false
		}
		of := slots[s.patient][it.Index]
		if of == 0 || of&^(s.granted&allowed[s.patient]) != 0 {
			return false
		}
	}
	return true
}

// altered are requests that nothing on the ledger allows, close to one that it may allow.
func altered(req *exchange.ReleaseRequest) map[string]*exchange.ReleaseRequest {
	out := map[string]*exchange.ReleaseRequest{}
	alter := func(name string, f func(*exchange.ReleaseRequest)) {
		c := *req
		c.List.Items = append([]exchange.Item(nil), req.List.Items...)
		f(&c)
		out[name] = &c
	}
	alter("session", func(r *exchange.ReleaseRequest) { r.Session[31] ^= 1 })
	alter("fetch", func(r *exchange.ReleaseRequest) { r.Fetch += 100 })
	alter("salt", func(r *exchange.ReleaseRequest) { r.List.Salt[5] ^= 8 })
	alter("index", func(r *exchange.ReleaseRequest) { r.List.Items[len(r.List.Items)-1].Index += 7 })
	alter("header", func(r *exchange.ReleaseRequest) { r.List.Items = []exchange.Item{{Header: digest("another")}} })
	return out
}
