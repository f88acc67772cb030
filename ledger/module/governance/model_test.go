package governance

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"salus/ledger/tx"
)

// Against a naive model: whatever members propose and vote, an action happens
// exactly when two thirds of those active at the block's end approve it.
func TestVotesModel(t *testing.T) {
	type ballot struct {
		id       tx.Hash
		target   string // whom it removes
		yes, no  []string
		deadline uint64
		status   Status
	}
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c", "d", "e", "f", "g"}[:rapid.IntRange(1, 7).Draw(t, "members")]
		var g Genesis
		for _, n := range names {
			g.Members = append(g.Members, *admission(n, Hospital, true))
		}
		w, err := found(&g)
		if err != nil {
			t.Fatal(err)
		}
		active := map[string]bool{}
		for _, n := range names {
			active[n] = true
		}
		var ballots []*ballot
		byDeadline := func() []*ballot {
			list := slices.Clone(ballots)
			slices.SortFunc(list, func(x, y *ballot) int {
				return slices.Compare(openID(x.deadline, x.id), openID(y.deadline, y.id))
			})
			return list
		}
		pick := rapid.SampledFrom(names)
		t.Repeat(map[string]func(*rapid.T){
			"propose": func(t *rapid.T) {
				by, target := pick.Draw(t, "by"), pick.Draw(t, "target")
				id, err := do(w, by, propose, &Propose{Action{Remove: &Remove{account(target)}}})
				mine, all := 0, 0
				for _, b := range ballots {
					if b.status == Open {
						all++
						if p, _ := LookupProposal(w.state, b.id); p.Proposer == account(by) {
							mine++
						}
					}
				}
				allowed := active[by] && active[target] && len(active) > 1 && mine < MaxOpenOfMember && all < MaxOpen
				if (err == nil) != allowed {
					t.Fatalf("got %v, want allowed %v", err, allowed)
				}
				if err == nil {
					ballots = append(ballots, &ballot{id: id, target: target, yes: []string{by}, deadline: w.time + DefaultParams().ProposalPeriod, status: Open})
				}
			},
			"vote": func(t *rapid.T) {
				if len(ballots) == 0 {
					t.Skip("nothing to vote on")
				}
				b, by, yes := rapid.SampledFrom(ballots).Draw(t, "ballot"), pick.Draw(t, "by"), rapid.Bool().Draw(t, "yes")
				_, err := do(w, by, vote, &Vote{b.id, yes})
				allowed := active[by] && b.status == Open && w.time < b.deadline && !slices.Contains(b.yes, by) && !slices.Contains(b.no, by)
				if (err == nil) != allowed {
					t.Fatalf("got %v, want allowed %v", err, allowed)
				}
				if err == nil && yes {
					b.yes = append(b.yes, by)
				} else if err == nil {
					b.no = append(b.no, by)
				}
			},
			"block": func(t *rapid.T) {
				for _, b := range byDeadline() {
					n, yes, no := len(active), 0, 0
					for _, v := range b.yes {
						if active[v] {
							yes++
						}
					}
					for _, v := range b.no {
						if active[v] {
							no++
						}
					}
					switch {
					case b.status != Open:
					case 3*yes >= 2*n && active[b.target] && n > 1:
						b.status = Executed
						delete(active, b.target)
					case 3*yes >= 2*n:
						b.status = Failed
					case 3*(n-no) < 2*n:
						b.status = Rejected
					case w.time >= b.deadline:
						b.status = Lapsed
					}
				}
				if err := settle(w.context(w.state, nobody)); err != nil {
					t.Fatal(err)
				}
				w.height++
				w.time += rapid.SampledFrom([]uint64{0, 1, 86400, DefaultParams().ProposalPeriod}).Draw(t, "seconds")
			},
			"": func(t *rapid.T) {
				for _, b := range ballots {
					if p, _ := LookupProposal(w.state, b.id); p.Status != b.status {
						t.Fatalf("got %v, want %v", p.Status, b.status)
					}
				}
				if got := len(Active(w.state)); got != len(active) || len(Validators(w.state)) != len(active) {
					t.Fatalf("got %d active members, want %d", got, len(active))
				}
			},
		})
	})
}

// Against a naive model: a key is live exactly from the block after the one
// that added it to the one that revoked it, at every height, for ever.
func TestRingModel(t *testing.T) {
	type life struct{ from, until uint64 }
	names := []string{"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10", "k11"}
	rapid.Check(t, func(t *rapid.T) {
		w, err := found(&Genesis{Members: []Admit{*admission("a", Hospital, true)}})
		if err != nil {
			t.Fatal(err)
		}
		model := map[string]*life{"a": {}}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			add := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(t, "add")
			revoke := rapid.SliceOfNDistinct(rapid.SampledFrom(append(names, "a")), 0, 3, rapid.ID).Draw(t, "revoke")
			if len(add)+len(revoke) == 0 {
				continue
			}
			var m Rotate
			allowed, open := true, 0
			for _, l := range model {
				if l.until == 0 {
					open++
				}
			}
			for _, n := range add {
				m.Add = append(m.Add, key(n))
				allowed = allowed && model[n] == nil
				open++
			}
			for _, n := range revoke {
				m.Revoke = append(m.Revoke, key(n).ID())
				allowed = allowed && model[n] != nil && model[n].until == 0
				open--
			}
			_, err := do(w, "a", rotate, &m)
			if want := allowed && open >= 1 && open <= MaxKeys; (err == nil) != want {
				t.Fatalf("got %v, want allowed %v", err, want)
			}
			next := uint64(w.height) + 1
			if err == nil {
				for _, n := range add {
					model[n] = &life{from: next}
				}
				for _, n := range revoke {
					model[n].until = next
				}
			}
			w.height += int64(rapid.IntRange(0, 2).Draw(t, "blocks"))
			for n, l := range model {
				for h := uint64(0); h <= uint64(w.height)+2; h++ {
					want := l.from <= h && (l.until == 0 || h < l.until)
					if _, got := KeyAt(w.state, account("a"), key(n).ID(), h); got != want {
						t.Fatalf("key %s at height %d: got live %v, want %v", n, h, got, want)
					}
				}
			}
			if m, _ := LookupMember(w.state, account("a")); len(m.Keys) > 2*MaxKeys {
				t.Fatalf("%d keys in the row", len(m.Keys))
			}
		}
	})
}
