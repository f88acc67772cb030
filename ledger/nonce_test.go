package ledger

import (
	"testing"

	"pgregory.net/rapid"

	"salus/ledger/tx"
)

// The window against the plain rule: a set of all used nonces.
func TestWindowIsTheSetOfUsedNonces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w window
		used := map[uint64]bool{}
		highest := uint64(0)
		near := rapid.Uint64Range(0, 2*nonceWindow)
		far := rapid.Uint64Range(0, 2*nonceAhead)
		t.Repeat(map[string]func(*rapid.T){
			"near the highest": func(t *rapid.T) {
				step(t, &w, used, &highest, highest+near.Draw(t, "up")-min(highest, near.Draw(t, "down")))
			},
			"far above": func(t *rapid.T) { step(t, &w, used, &highest, highest+far.Draw(t, "up")) },
			"anything":  func(t *rapid.T) { step(t, &w, used, &highest, rapid.Uint64().Draw(t, "n")) },
		})
	})
}

func step(t *rapid.T, w *window, used map[uint64]bool, highest *uint64, n uint64) {
	want := tx.CodeOK
	switch {
	case n == 0, n <= *highest && *highest-n >= nonceWindow:
		want = tx.CodeNonceTooOld
	case used[n]:
		want = tx.CodeNonceReplay
	case n > *highest && n-*highest > nonceAhead:
		want = tx.CodeNonceTooFarAhead
	}
	got, _ := tx.CodeOf(w.check(n))
	if got != want {
		t.Fatalf("nonce %d below %d: got %#04x, want %#04x", n, *highest, got, want)
	}
	if got == tx.CodeOK {
		w.use(n)
		used[n], *highest = true, max(*highest, n)
		if code, _ := tx.CodeOf(w.check(n)); code != tx.CodeNonceReplay {
			t.Fatalf("nonce %d again: got %#04x, want a replay", n, code)
		}
	}
}

// A remembered signature is exactly the one that verified.
func TestMemoRemembersNothingElse(t *testing.T) {
	m := newMemo(2)
	key := tx.PublicKey{Alg: tx.AlgEd25519, Key: make([]byte, 32)}
	sig := &tx.Signature{Alg: tx.AlgEd25519, Sig: make([]byte, 64)}
	id := verdictOf(key, tx.Hash{1}, sig, tx.PasskeyPolicy{})
	m.good[id] = struct{}{}
	m.ring = append(m.ring, id)
	if err := m.verify(key, tx.Hash{1}, sig, tx.PasskeyPolicy{}); err != nil {
		t.Fatalf("a remembered signature: %v", err)
	}
	other := *sig
	other.Sig = append(make([]byte, 63), 1)
	for name, err := range map[string]error{
		"digest":        m.verify(key, tx.Hash{2}, sig, tx.PasskeyPolicy{}),
		"signature":     m.verify(key, tx.Hash{1}, &other, tx.PasskeyPolicy{}),
		"policy":        m.verify(key, tx.Hash{1}, sig, tx.PasskeyPolicy{RequireUV: true}),
		"origin":        m.verify(key, tx.Hash{1}, sig, tx.PasskeyPolicy{Origins: []string{"https://a.example"}}),
		"relying party": m.verify(tx.PublicKey{Alg: key.Alg, Key: key.Key, RPIDHash: make([]byte, 32)}, tx.Hash{1}, sig, tx.PasskeyPolicy{}),
	} {
		if err == nil {
			t.Errorf("another %s passed for the remembered one", name)
		}
	}
	if len(m.good) != 1 {
		t.Errorf("bad signatures are remembered: %d", len(m.good))
	}
}
