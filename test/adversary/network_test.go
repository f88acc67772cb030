package adversary

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	rpc "github.com/cometbft/cometbft/rpc/client/http"
	cmttypes "github.com/cometbft/cometbft/types"

	"salus/client"
	"salus/gateway"
	"salus/ledger"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/receipt"
)

// TestFourOrganisations plays, against one network, the attacks that need one. They follow each other: the
// last ones take members away.
func TestFourOrganisations(t *testing.T) {
	w := newWorld(t)
	t.Run("a transaction of another chain", func(t *testing.T) { w.in(t).crossChain() })
	t.Run("a receipt forged, cut or spliced", func(t *testing.T) { w.in(t).receipts() })
	t.Run("a member that lies as a custodian", func(t *testing.T) { w.in(t).liar() })
	t.Run("a validator that signs twice", func(t *testing.T) { w.in(t).doubleSign() })
}

// in is the world as a part of the test sees it.
func (w *world) in(t *testing.T) *world {
	c := *w
	c.T = t
	return &c
}

// crossChain signs for another chain, under this one's name and back, and sends a committed transaction again.
func (w *world) crossChain() {
	w.Helper()
	hospital := w.api("hospital")
	key := w.wallet.Signer()
	nonce, err := hospital.NextNonce(w.ctx, key.Account())
	if err != nil {
		w.Fatal(err)
	}
	head, err := hospital.Head(w.ctx)
	if err != nil {
		w.Fatal(err)
	}
	seed := sha256.Sum256([]byte("another device of the patient"))
	other := identity.ClaimSigner(key.Account(), seed)
	msg := &identity.Rotate{Account: key.Account(), Add: []tx.PublicKey{other.Public()}}
	sign := func(chain string) []byte {
		raw, _, err := tx.Sign(chain, identity.KindRotate, msg, key.Account(), nonce, uint64(head.Height)+50, key)
		if err != nil {
			w.Fatal(err)
		}
		return raw
	}
	refused := func(name string, raw []byte, want uint32) {
		w.Helper()
		err := hospital.Broadcast(w.ctx, raw)
		if code, _ := tx.CodeOf(err); err == nil || code != want {
			w.Errorf("%s: got %v, want code %#04x", name, err, want)
		}
	}
	foreign := sign("salus-dev-elsewhere")
	refused("signed for another chain", foreign, tx.CodeWrongChain)
	// The body of this chain under the signature made for the other one.
	env, body, err := tx.DecodeEnvelope(foreign)
	if err != nil {
		w.Fatal(err)
	}
	body.Chain = w.chain
	moved, err := tx.Assemble(tx.MustEncode(body), env.Signatures...)
	if err != nil {
		w.Fatal(err)
	}
	refused("the signature carried over", moved, tx.CodeBadSignature)
	own := sign(w.chain)
	if err := hospital.Broadcast(w.ctx, own); err != nil {
		w.Fatal(err)
	}
	_, own2, err := tx.DecodeEnvelope(own)
	if err != nil {
		w.Fatal(err)
	}
	got, err := client.New(hospital, w.chain).Wait(w.ctx, tx.Digest(tx.MustEncode(own2), w.chain))
	if err != nil || got.Code != tx.CodeOK {
		w.Fatalf("the same for this chain: got %+v, %v", got, err)
	}
	// Its nonce is spent on every member's replica, also for something else.
	again := &identity.Rotate{Account: key.Account(), Revoke: []tx.KeyID{other.Public().ID()}}
	raw, _, err := tx.Sign(w.chain, identity.KindRotate, again, key.Account(), nonce, uint64(head.Height)+50, key)
	if err != nil {
		w.Fatal(err)
	}
	for _, org := range w.Orgs() {
		w.until(org+" has the block", func() bool {
			h, err := w.api(org).Head(w.ctx)
			return err == nil && h.Height >= got.Height
		})
		if code, _ := tx.CodeOf(w.api(org).Broadcast(w.ctx, raw)); code != tx.CodeNonceReplay {
			w.Errorf("%s: got code %#04x for a nonce used again, want %#04x", org, code, tx.CodeNonceReplay)
		}
	}
}

// receipts alters receipts that verify.
func (w *world) receipts() {
	w.Helper()
	one, err := w.entry("clinic", 0)
	if err != nil {
		w.Fatal(err)
	}
	two, err := w.entry("insurer", 1)
	if err != nil {
		w.Fatal(err)
	}
	for _, r := range []*receipt.Receipt{one, two} {
		if _, err := receipt.Verify(w.genesis, r); err != nil {
			w.Fatal(err)
		}
	}
	for name, forge := range map[string]func(r *receipt.Receipt){
		"another entry at its place":    func(r *receipt.Receipt) { r.Entry.Entry = two.Entry.Entry },
		"another place for its entry":   func(r *receipt.Receipt) { r.Entry.Index = two.Entry.Index },
		"another receipt's whole claim": func(r *receipt.Receipt) { r.Entry.Index, r.Entry.Entry = two.Entry.Index, two.Entry.Entry },
		"a byte of the entry":           func(r *receipt.Receipt) { r.Entry.Entry[len(r.Entry.Entry)/2] ^= 1 },
		"the block cut short":           func(r *receipt.Receipt) { r.Block = r.Block[:len(r.Block)-8] },
		"no block":                      func(r *receipt.Receipt) { r.Block = nil },
		"another chain's name":          func(r *receipt.Receipt) { r.Chain += "x" },
	} {
		c := *one
		e := *one.Entry
		c.Entry, c.Block = &e, bytes.Clone(one.Block)
		c.Entry.Entry = bytes.Clone(e.Entry)
		forge(&c)
		if _, err := receipt.Verify(w.genesis, &c); err == nil {
			w.Errorf("%s: the receipt verifies", name)
		}
	}
	raw, err := one.Encode()
	if err != nil {
		w.Fatal(err)
	}
	for _, n := range []int{0, 1, len(raw) / 2, len(raw) - 1} {
		if r, err := receipt.DecodeReceipt(raw[:n]); err == nil {
			if _, err = receipt.Verify(w.genesis, r); err == nil {
				w.Errorf("cut to %d bytes, the receipt verifies", n)
			}
		}
	}
}

// liar lets a member answer with shares that it made up, and signs for.
func (w *world) liar() {
	w.Helper()
	const liar = "institute"
	if err := w.Lie(w.ctx, liar); err != nil {
		w.Fatal(err)
	}
	s := w.session()
	var res gateway.ReadResult
	w.until("the liar is asked too", func() bool {
		res = gateway.ReadResult{}
		w.call("clinic", http.MethodPost, "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{}, &res)
		if len(res.Records) != w.stored {
			w.Fatalf("got %d records, want %d in spite of one liar", len(res.Records), w.stored)
		}
		return len(res.Bad) > 0
	})
	if len(res.Bad) != 1 || res.Bad[0].Account != w.account(liar) {
		w.Errorf("got %+v, want %s alone", res.Bad, liar)
	}
	if err := w.Stop(liar); err != nil {
		w.Fatal(err)
	}
	if err := w.Start(w.ctx, liar); err != nil {
		w.Fatal(err)
	}
	if err := w.Ready(w.ctx, liar); err != nil {
		w.Fatal(err)
	}
}

// doubleSign takes the institute's validator key and votes for two blocks of one height. The evidence gets
// into a block and into every member's log, and the validator is out of consensus by rule: nobody votes.
func (w *world) doubleSign() {
	w.Helper()
	const culprit = "institute"
	c, err := w.Config("clinic")
	if err != nil {
		w.Fatal(err)
	}
	node, err := rpc.New("http://"+c.Ledger.RPC, "/websocket")
	if err != nil {
		w.Fatal(err)
	}
	at := int64(3)
	block, err := node.Block(w.ctx, &at)
	if err != nil {
		w.Fatal(err)
	}
	vals, err := node.Validators(w.ctx, &at, nil, nil)
	if err != nil {
		w.Fatal(err)
	}
	home, err := w.Config(culprit)
	if err != nil {
		w.Fatal(err)
	}
	stolen := privval.LoadFilePVEmptyState(filepath.Join(home.Home, "priv_validator_key.json"), "")
	set := cmttypes.NewValidatorSet(vals.Validators)
	index, _ := set.GetByAddress(stolen.Key.Address)
	votes := make([]*cmttypes.Vote, 2)
	for i := range votes {
		hash := sha256.Sum256([]byte{byte(i)})
		v := &cmttypes.Vote{
			Type: cmtproto.PrecommitType, Height: at, Round: 0, Timestamp: block.Block.Time, ValidatorAddress: stolen.Key.Address, ValidatorIndex: index,
			BlockID: cmttypes.BlockID{Hash: hash[:], PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: hash[:]}},
		}
		if v.Signature, err = stolen.Key.PrivKey.Sign(cmttypes.VoteSignBytes(w.chain, v.ToProto())); err != nil {
			w.Fatal(err)
		}
		votes[i] = v
	}
	proof, err := cmttypes.NewDuplicateVoteEvidence(votes[0], votes[1], block.Block.Time, set)
	if err != nil {
		w.Fatal(err)
	}
	// What is not signed by the validator is no evidence: nobody is framed.
	framed := *proof
	forged := *proof.VoteA
	forged.Signature = bytes.Clone(forged.Signature)
	forged.Signature[5] ^= 1
	framed.VoteA = &forged
	if _, err := node.BroadcastEvidence(w.ctx, &framed); err == nil {
		w.Error("evidence with a forged vote was taken")
	}
	if _, err := node.BroadcastEvidence(w.ctx, proof); err != nil {
		w.Fatal(err)
	}
	height := at
	w.until("the evidence is in a block", func() bool {
		b, err := node.Block(w.ctx, &height)
		if err != nil {
			return false // not yet
		}
		height++
		return len(b.Block.Evidence.Evidence) > 0
	})
	where := w.misbehavior(uint64(height-1), ledger.Misbehavior{Kind: 1, Validator: stolen.Key.Address, Height: uint64(at)})
	for _, org := range []string{"clinic", "insurer"} {
		r, err := w.entry(org, where)
		if err != nil {
			w.Fatal(err)
		}
		if f, err := receipt.Verify(w.genesis, r); err != nil || f.Entry.Kind != ledger.EntryMisbehavior {
			w.Errorf("%s: got another entry at %d, %v", org, where, err)
		}
	}
	// Nobody votes: the rule takes its power, and only that.
	w.until("its votes count no more", func() bool {
		now, err := node.Validators(w.ctx, nil, nil, nil)
		return err == nil && len(now.Validators) == 3 && !slices.ContainsFunc(now.Validators, func(v *cmttypes.Validator) bool {
			return bytes.Equal(v.Address, stolen.Key.Address)
		})
	})
	var members []governance.Member
	w.call("clinic", http.MethodGet, "/v1/members", nil, &members)
	for _, m := range members {
		if out := m.Account == w.account(culprit); !m.Active || m.IsValidator() == out {
			w.Errorf("member %s: active %v, validates %v", m.Name, m.Active, m.IsValidator())
		}
	}
	// The evidence counts once, and who is out does not bring itself back.
	if _, err := node.BroadcastEvidence(w.ctx, proof); err == nil {
		w.Log("the evidence was taken a second time") // the log tells of it once, whoever puts it into a block
	}
	fresh := &governance.Validator{Validator: cmted25519.GenPrivKey().PubKey().Bytes(), Old: make([]byte, 64), New: make([]byte, 64)}
	err = w.api("hospital").JSON(w.ctx, http.MethodPost, "/v1/submit/"+string(governance.KindValidator), fresh, nil)
	if code, _ := tx.CodeOf(err); code != governance.ErrPossession.Code {
		w.Errorf("a forged handover of a validator: got %v", err)
	}
	err = w.api(culprit).JSON(w.ctx, http.MethodPost, "/v1/submit/"+string(governance.KindValidator), fresh, nil)
	if code, _ := tx.CodeOf(err); code != governance.ErrNotValidator.Code {
		w.Errorf("it brings itself back: got %v, want %v", err, governance.ErrNotValidator)
	}
}

// misbehavior finds the proven log entry of that block which says so. A receipt waits for the next block, so
// a part of the log is asked for at once.
func (w *world) misbehavior(height uint64, want ledger.Misbehavior) (index uint64) {
	w.Helper()
	const part = 8
	for from := uint64(0); ; from += part {
		got := make([]*receipt.Receipt, part)
		var all sync.WaitGroup
		for i := range got {
			all.Go(func() { got[i], _ = w.entry("hospital", from+uint64(i)) })
		}
		all.Wait()
		for i, r := range got {
			var err error
			if r == nil { // the block is there before what it says is carried out
				w.until(fmt.Sprintf("the log tells of it, at %d or later", from+uint64(i)), func() bool {
					r, err = w.entry("hospital", from+uint64(i))
					return err == nil
				})
			}
			f, err := receipt.Verify(w.genesis, r)
			if err != nil {
				w.Fatal(err)
			}
			if f.Entry.Kind != ledger.EntryMisbehavior {
				continue
			}
			var m ledger.Misbehavior
			if err := tx.Decode(f.Entry.Payload, &m); err != nil {
				w.Fatal(err)
			}
			if f.Entry.Height != height || m.Kind != want.Kind || m.Height != want.Height || !bytes.Equal(m.Validator, want.Validator) {
				w.Errorf("got %+v in block %d, want %+v in %d", m, f.Entry.Height, want, height)
			}
			return from + uint64(i)
		}
	}
}
