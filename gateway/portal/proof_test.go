package portal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmtversion "github.com/cometbft/cometbft/proto/tendermint/version"
	ctypes "github.com/cometbft/cometbft/rpc/core/types"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"

	"salus/client"
	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/receipt"
	"salus/seal"
)

var organisations = []string{"hospital", "clinic", "insurer", "institute"}

// proving is a portal over a real state machine whose blocks the test's validators sign.
type proving struct {
	*world
	tb      testing.TB
	chain   *ledgertest.Chain
	genesis []byte
	apps    map[int64][32]byte // app hash that the header of a height carries
	away    []string           // validators that do not sign
	batches []*anchor.Put      // the last one is not ACTIVE
}

func digest(name string) [32]byte { return sha256.Sum256([]byte(name)) }

func validatorKey(name string) cmted25519.PrivKey {
	return cmted25519.PrivKey(ledgertest.Key("validator " + name))
}

func validators() *cmttypes.ValidatorSet {
	var vals []*cmttypes.Validator
	for _, n := range organisations {
		vals = append(vals, cmttypes.NewValidator(validatorKey(n).PubKey(), 1))
	}
	return cmttypes.NewValidatorSet(vals)
}

func (p *proving) Head() ledger.Head { return p.chain.Head() }

func (p *proving) Entry(index uint64) ([]byte, bool) {
	v := p.chain.App(0).View()
	defer v.Close()
	return v.Entry(index)
}

// Commit implements client.Blocks.
func (p *proving) Commit(_ context.Context, height *int64) (*ctypes.ResultCommit, error) {
	set, app := validators(), p.apps[*height]
	h := &cmttypes.Header{
		Version: cmtversion.Consensus{Block: version.BlockProtocol}, ChainID: ledgertest.ChainID, Height: *height, Time: time.Unix(ledgertest.Start+*height, 0).UTC(),
		LastBlockID:    cmttypes.BlockID{Hash: sum("last"), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: sum("parts")}},
		LastCommitHash: sum("commit"), DataHash: sum("data"), ValidatorsHash: set.Hash(), NextValidatorsHash: set.Hash(),
		ConsensusHash: sum("params"), AppHash: app[:], LastResultsHash: sum("results"), EvidenceHash: sum("evidence"), ProposerAddress: set.Validators[0].Address,
	}
	id := cmttypes.BlockID{Hash: h.Hash(), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: sum(fmt.Sprint(*height))}}
	c := &cmttypes.Commit{Height: *height, BlockID: id}
	for _, v := range set.Validators {
		i := slices.IndexFunc(organisations, func(n string) bool { return validatorKey(n).PubKey().Equals(v.PubKey) })
		if slices.Contains(p.away, organisations[i]) {
			c.Signatures = append(c.Signatures, cmttypes.NewCommitSigAbsent())
			continue
		}
		vote := cmtproto.Vote{Type: cmtproto.PrecommitType, Height: *height, BlockID: id.ToProto(), Timestamp: h.Time}
		sig, err := validatorKey(organisations[i]).Sign(cmttypes.VoteSignBytes(ledgertest.ChainID, &vote))
		if err != nil {
			return nil, err
		}
		c.Signatures = append(c.Signatures, cmttypes.CommitSig{BlockIDFlag: cmttypes.BlockIDFlagCommit, ValidatorAddress: v.Address, Timestamp: vote.Timestamp, Signature: sig})
	}
	return &ctypes.ResultCommit{SignedHeader: cmttypes.SignedHeader{Header: h, Commit: c}}, nil
}

// Validators implements client.Blocks.
func (p *proving) Validators(context.Context, *int64, *int, *int) (*ctypes.ResultValidators, error) {
	return &ctypes.ResultValidators{Validators: validators().Validators}, nil
}

func sum(text string) []byte { h := digest(text); return h[:] }

// above is a transport on which the block above every state is there.
type above struct{ client.Transport }

func (above) WaitChange(context.Context, int64) error { return nil }

func newProving(tb testing.TB, batches int) *proving {
	tb.Helper()
	var g governance.Genesis
	doc := &cmttypes.GenesisDoc{ChainID: ledgertest.ChainID, GenesisTime: time.Unix(ledgertest.Start, 0).UTC(), InitialHeight: 1}
	var names []string
	for _, n := range organisations {
		g.Members = append(g.Members, governance.Admit{
			Account: ledgertest.Account(n), Name: "Sample " + n, Class: governance.Hospital, Validator: ledgertest.Public("validator " + n).Key,
			Peer: ledgertest.Public("peer " + n).Key, Address: n + ".example:7000", Keys: []tx.PublicKey{ledgertest.Public(n)},
		})
		doc.Validators = append(doc.Validators, cmttypes.GenesisValidator{PubKey: validatorKey(n).PubKey(), Power: 1})
		names = append(names, "validator "+n)
	}
	p := &proving{world: newWorld(tb), tb: tb, apps: map[int64][32]byte{}}
	var err error
	if p.genesis, err = cmtjson.Marshal(doc); err != nil {
		tb.Fatal(err)
	}
	p.chain = ledgertest.New(tb, ledgertest.Params{
		Modules:      []ledger.Module{governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), audit.Module()},
		Authenticate: identity.Authenticate, Params: governance.LedgerParams, Validators: names, Genesis: map[string]any{"governance": g},
	})
	p.Ledger, p.Genesis = p, p.genesis
	p.Prover = client.NewProver(p.chain.App(0), above{}, func() client.Blocks { return p }, doc)
	p.do(identity.KindEnrol, &identity.Enrol{Patient: ledgertest.Account("patient"), Keys: []tx.PublicKey{ledgertest.Public("patient")}}, "hospital")
	for i := range batches + 1 {
		p.put(fmt.Sprint("batch ", i))
	}
	active := slices.Clone(p.batches[:batches])
	slices.SortFunc(active, func(a, b *anchor.Put) int { x, y := a.Header.Hash(), b.Header.Hash(); return bytes.Compare(x[:], y[:]) })
	for some := range slices.Chunk(active, anchor.MaxReceipts) {
		m := &anchor.Receipts{}
		for _, b := range some {
			m.List = append(m.List, anchor.Receipt{Header: b.Header.Hash(), Holds: true})
		}
		for _, n := range organisations[:3] {
			p.do(anchor.KindReceipts, m, n)
		}
	}
	p.block()
	return p
}

func (p *proving) note() { h := p.chain.Head(); p.apps[h.Height+1] = h.AppHash }

func (p *proving) block() { p.chain.Block(); p.note() }

func (p *proving) do(kind tx.Kind, m tx.Message, by string) {
	p.tb.Helper()
	if _, r := p.chain.Do(kind, m, by); r.Code != tx.CodeOK {
		p.tb.Fatalf("%s by %s: %s", kind, by, r.Log)
	}
	p.note()
}

func (p *proving) put(name string) {
	p.tb.Helper()
	m := &anchor.Put{Envelopes: digest("envelopes"), Pack: digest("pack " + name), Header: seal.Header{
		Version: seal.Version, Suite: seal.Suite, Chain: ledgertest.ChainID, Author: ledgertest.Account("hospital"), PatientCommit: digest("patient " + name),
		BatchNonce: digest("nonce " + name), Epoch: 1, N: 4, T: 3, Count: 3, ManifestRoot: digest("manifest"), ShareRoots: digest("shares"), VSSRoot: digest("vss"),
	}}
	p.do(anchor.KindPut, m, "hospital")
	p.batches = append(p.batches, m)
}

var (
	pointerKey = []byte{committee.Prefix, 0x02}
	paramsKey  = []byte{governance.Prefix, 0x02}
)

func (p *proving) batchKey(i int) []byte { return anchor.BatchKey(p.batches[i].Header.Hash()) }

func (p *proving) index(i int) uint64 {
	v := p.chain.App(0).View()
	defer v.Close()
	b, _ := anchor.Lookup(v, p.batches[i].Header.Hash())
	return b.Index
}

func (p *proving) facts(c *http.Cookie, q *FactsAsked) *httptest.ResponseRecorder {
	return p.ask("POST", "/api/proofs", string(tx.MustEncode(q)), c, nil)
}

func TestPublicFactsAreProvenAndNothingElse(t *testing.T) {
	p := newProving(t, 2)
	me := ledgertest.Account("patient")
	c := p.as(t, session{account: me, role: patient})
	v := p.chain.App(0).View()
	defer v.Close()
	receiptOf := func(path string) *receipt.Finding {
		rec := p.ask("GET", path, nil, c, nil)
		if rec.Code != 200 {
			t.Fatalf("%s: got %d %s", path, rec.Code, rec.Body)
		}
		rc, err := receipt.DecodeReceipt(rec.Body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		f, err := receipt.Verify(p.genesis, rc)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		return f
	}
	none := anchor.BatchKey(tx.Hash{1})
	for name, key := range map[string][]byte{
		"params": paramsKey, "member": governance.MemberKey(ledgertest.Account("clinic")), "pointer": pointerKey, "epoch": committee.EpochKey(1), "batch": p.batchKey(0), "no batch": none,
	} {
		f := receiptOf("/api/proofs/row/" + hex.EncodeToString(key))
		want, ok := v.Get(key)
		if f.Row == nil || !bytes.Equal(f.Row.Value, want) || f.Row.Absent == ok {
			t.Errorf("%s: got another row", name)
		}
	}
	if f := receiptOf("/api/proofs/entry/" + strconv.FormatUint(p.index(0), 10)); f.Entry == nil {
		t.Error("got no entry")
	}
	// Rows and entries about people are answered as if there were none, and so is what does not exist.
	refused := map[string][]byte{
		"nothing": {}, "a principal": append([]byte{identity.Prefix, 1}, me[:]...), "grants": append([]byte{consent.Prefix, 3}, me[:]...), "an access log": audit.Key(me),
		"a nonce": append([]byte{1, 1}, me[:]...), "a proposal": append([]byte{governance.Prefix, 3}, sum("x")...), "an ended key": append([]byte{governance.Prefix, 7}, make([]byte, 32)...),
		"a longer member": append(governance.MemberKey(me), 0), "a shorter batch": none[:33], "a longer pointer": append(slices.Clone(pointerKey), 0), "a prefix": {anchor.Prefix, 1}, "one byte": {2},
	}
	for name, key := range refused {
		if name != "nothing" { // the router knows no empty key
			if rec := p.ask("GET", "/api/proofs/row/"+hex.EncodeToString(key), nil, c, nil); rec.Code != 404 || codeOf(rec) != "unknown" {
				t.Errorf("%s: got %d %s", name, rec.Code, rec.Body)
			}
		}
		if rec := p.facts(c, &FactsAsked{Rows: [][]byte{pointerKey, key}}); rec.Code != 404 || codeOf(rec) != "unknown" {
			t.Errorf("%s among facts: got %d %s", name, rec.Code, rec.Body)
		}
	}
	for index := range v.Size() + 2 {
		raw, ok := v.Entry(index)
		var e ledger.Entry
		public := ok && tx.DecodeAny(raw, &e, len(raw)) == nil && e.Kind == anchor.EntryHeader
		want := map[bool]int{true: 200, false: 404}[public]
		if rec := p.ask("GET", fmt.Sprint("/api/proofs/entry/", index), nil, c, nil); rec.Code != want {
			t.Errorf("entry %d: got %d, want %d", index, rec.Code, want)
		}
		if rec := p.facts(c, &FactsAsked{Entries: []uint64{index}}); rec.Code != want {
			t.Errorf("entry %d among facts: got %d, want %d", index, rec.Code, want)
		}
	}
	for _, path := range []string{"row/zz", "row/0", "entry/x", "entry/-1"} {
		if rec := p.ask("GET", "/api/proofs/"+path, nil, c, nil); rec.Code != 400 {
			t.Errorf("%s: got %d", path, rec.Code)
		}
	}
	for name, q := range map[string]*FactsAsked{
		"nothing asked": {}, "too many rows": {Rows: slices.Repeat([][]byte{pointerKey}, maxClaims+1)}, "too many entries": {Entries: make([]uint64, maxClaims+1)},
	} {
		if rec := p.facts(c, q); rec.Code != 400 {
			t.Errorf("%s: got %d", name, rec.Code)
		}
	}
	if rec := p.facts(c, &FactsAsked{Rows: [][]byte{pointerKey}, Least: 1 << 63}); rec.Code != 404 {
		t.Errorf("of the future: got %d", rec.Code)
	}
	if rec := p.ask("POST", "/api/proofs", "x", c, nil); rec.Code != 400 {
		t.Errorf("no CBOR: got %d", rec.Code)
	}
}

func TestFactsComeWithWhatFollowsFromThem(t *testing.T) {
	p := newProving(t, 2)
	c := p.as(t, session{account: tx.Account{1}, role: patient})
	read := func(q *FactsAsked) *client.Claims {
		t.Helper()
		rec := p.facts(c, q)
		var out client.Claims
		if rec.Code != 200 || tx.DecodeAny(rec.Body.Bytes(), &out, rec.Body.Len()) != nil {
			t.Fatalf("got %d %s", rec.Code, rec.Body)
		}
		return &out
	}
	got := read(&FactsAsked{Rows: [][]byte{pointerKey, p.batchKey(0), p.batchKey(1), p.batchKey(2), pointerKey}})
	if len(got.Rows) != 1+1+4+3 || len(got.Entries) != 2 {
		t.Errorf("got %d rows and %d entries", len(got.Rows), len(got.Entries))
	}
	// Every claim is a receipt's, under the one block; the state is the last one whose block is there.
	for i := range got.Rows {
		f, err := receipt.Verify(p.genesis, &receipt.Receipt{Version: got.Version, Chain: got.Chain, Row: &got.Rows[i], Block: got.Block, Trail: got.Trail})
		if err != nil || f.Height != p.Head().Height-1 {
			t.Errorf("row %d: got %+v, %v", i, f, err)
		}
	}
	for i := range got.Entries {
		if _, err := receipt.Verify(p.genesis, &receipt.Receipt{Version: got.Version, Chain: got.Chain, Entry: &got.Entries[i], Block: got.Block, Trail: got.Trail}); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	last := read(&FactsAsked{Least: uint64(p.Head().Height), Rows: [][]byte{paramsKey}})
	if f, err := receipt.Verify(p.genesis, &receipt.Receipt{Version: 1, Chain: last.Chain, Row: &last.Rows[0], Block: last.Block, Trail: last.Trail}); err != nil || f.Height != p.Head().Height {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestProofsAreLimitedPerAccount(t *testing.T) {
	p := newProving(t, 1)
	p.Ledger, p.now = p, time.Unix(1_800_000_000, 0)
	c, other := p.as(t, session{account: tx.Account{1}, role: patient}), p.as(t, session{account: tx.Account{2}, role: patient})
	q := &FactsAsked{Rows: slices.Repeat([][]byte{paramsKey}, maxClaims)}
	for i := range factsPerWindow / (requestCost + maxClaims) {
		if rec := p.facts(c, q); rec.Code != 200 {
			t.Fatalf("request %d: got %d %s", i, rec.Code, rec.Body)
		}
	}
	if rec := p.facts(c, q); rec.Code != 429 || codeOf(rec) != "rate" {
		t.Errorf("got %d %s", rec.Code, rec.Body)
	}
	if rec := p.facts(other, q); rec.Code != 200 {
		t.Errorf("another account: got %d", rec.Code)
	}
	p.now = p.now.Add(window)
	if rec := p.facts(c, q); rec.Code != 200 {
		t.Errorf("a minute later: got %d", rec.Code)
	}
}
