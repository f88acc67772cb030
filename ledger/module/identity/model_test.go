package identity

import (
	"testing"

	"pgregory.net/rapid"

	"salus/ledger/module/audit"
)

// Against a naive model: whatever a patient rotates, at every height exactly
// the keys of her history are live, she is never left without one, and her
// chain has one entry for each change.
func TestKeysModel(t *testing.T) {
	type life struct{ from, until uint64 }
	names := []string{"k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10", "k11"}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		if err := do(w, "h1", enrol, &Enrol{Patient: account("alice"), Keys: keys("k0")}); err != nil {
			t.Fatal(err)
		}
		model := map[string]*life{"k0": {from: 1}}
		changes := uint64(1)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			w.height += int64(rapid.IntRange(0, 2).Draw(t, "blocks"))
			add := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(t, "add")
			revoke := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(t, "revoke")
			allowed, open := len(add)+len(revoke) > 0, 0
			for _, l := range model {
				if l.until == 0 {
					open++
				}
			}
			for _, n := range add {
				allowed = allowed && model[n] == nil
				open++
			}
			for _, n := range revoke {
				allowed = allowed && model[n] != nil && model[n].until == 0
				open--
			}
			err := do(w, "alice", rotate, &Rotate{Account: account("alice"), Add: keys(add...), Revoke: ids(revoke...)})
			if want := allowed && open >= 1 && open <= MaxKeys; (err == nil) != want {
				t.Fatalf("got %v, want allowed %v", err, want)
			}
			if err == nil {
				changes++
				for _, n := range add {
					model[n] = &life{from: uint64(w.height) + 1}
				}
				for _, n := range revoke {
					model[n].until = uint64(w.height) + 1
				}
			}
			for n, l := range model {
				for h := uint64(0); h <= uint64(w.height)+2; h++ {
					want := l.from <= h && (l.until == 0 || h < l.until)
					if _, got := KeyAt(w.state, account("alice"), key(n).ID(), h); got != want {
						t.Fatalf("key %s at height %d: got live %v, want %v", n, h, got, want)
					}
				}
			}
			p, _ := Lookup(w.state, account("alice"))
			if len(p.Keys.Open()) == 0 || len(p.Keys) > 2*MaxKeys {
				t.Fatalf("%d open of %d keys in the row", len(p.Keys.Open()), len(p.Keys))
			}
		}
		if at, _ := audit.At(w.state, account("alice")); at.Seq != changes {
			t.Fatalf("got %d entries, want %d", at.Seq, changes)
		}
	})
}
