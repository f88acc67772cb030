package receipt

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	cmtjson "github.com/cometbft/cometbft/libs/json"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	cmtversion "github.com/cometbft/cometbft/proto/tendermint/version"
	cmttypes "github.com/cometbft/cometbft/types"
	"github.com/cometbft/cometbft/version"

	"salus/ledger"
	"salus/ledger/ledgertest"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// A world is a real state machine with a history, and blocks above it that validators of the
// test sign.
type world struct {
	tb      testing.TB
	chain   *ledgertest.Chain
	genesis []byte
}

const patient = "patient-1"

var validators = []string{"v1", "v2", "v3", "v4"}

func key(name string) cmted25519.PrivKey { return cmted25519.PrivKey(ledgertest.Key(name)) }

func set(names ...string) *cmttypes.ValidatorSet {
	var vals []*cmttypes.Validator
	for _, n := range names {
		vals = append(vals, cmttypes.NewValidator(key(n).PubKey(), 1))
	}
	return cmttypes.NewValidatorSet(vals)
}

func genesis(tb testing.TB, chain string, names ...string) []byte {
	tb.Helper()
	doc := cmttypes.GenesisDoc{ChainID: chain, GenesisTime: time.Unix(ledgertest.Start, 0).UTC(), InitialHeight: 1}
	for _, n := range names {
		doc.Validators = append(doc.Validators, cmttypes.GenesisValidator{PubKey: key(n).PubKey(), Power: 1, Name: n})
	}
	b, err := cmtjson.Marshal(&doc)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// modules of a network; importing node would build all of it for this.
func modules() []ledger.Module {
	return []ledger.Module{
		governance.Module(), identity.Module(), committee.Module(), anchor.Module(), consent.Module(), access.Module(), audit.Module(), emergency.Module(), erasure.Module(),
	}
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	var g governance.Genesis
	for i, name := range []string{"hospital", "clinic"} {
		class := []governance.Class{governance.Hospital, governance.Clinic}[i]
		g.Members = append(g.Members, governance.Admit{
			Account: ledgertest.Account(name), Name: "Sample " + name, Class: class, Validator: ledgertest.Public("validator " + name).Key,
			Peer: ledgertest.Public("peer " + name).Key, Address: name + ".example:7000", Keys: []tx.PublicKey{ledgertest.Public(name)},
		})
	}
	w := &world{tb: tb, genesis: genesis(tb, ledgertest.ChainID, validators...)}
	w.chain = ledgertest.New(tb, ledgertest.Params{
		Modules: modules(), Authenticate: identity.Authenticate, Params: governance.LedgerParams,
		Validators: []string{"validator hospital", "validator clinic"}, Genesis: map[string]any{"governance": g},
	})
	account := ledgertest.Account(patient)
	w.do(identity.KindEnrol, &identity.Enrol{Patient: account, Keys: []tx.PublicKey{ledgertest.Public(patient)}}, "hospital")
	for i := range 3 {
		w.do(consent.KindGrant, &consent.Give{Patient: account, Grant: consent.Grant{
			ID: consent.GrantID{byte(i + 1)}, Version: 1, Grantee: consent.Grantee{Kind: consent.OfMember, Account: ledgertest.Account("clinic")},
			Mask: 1<<32 - 1, Except: 0xffffff << 40, Purposes: 1 << consent.TREAT,
		}}, patient)
	}
	w.do(identity.KindEnrol, &identity.Enrol{Patient: ledgertest.Account("patient-2"), Keys: []tx.PublicKey{ledgertest.Public("patient-2")}}, "clinic")
	w.do(consent.KindRevoke, &consent.Revoke{Patient: account, ID: consent.GrantID{2}}, patient)
	return w
}

func (w *world) do(kind tx.Kind, msg tx.Message, names ...string) {
	w.tb.Helper()
	if _, r := w.chain.Do(kind, msg, names...); r.Code != tx.CodeOK {
		w.tb.Fatalf("%s: %#04x %s", kind, r.Code, r.Log)
	}
}

func (w *world) view() *state.View {
	v := w.chain.App(0).View()
	w.tb.Cleanup(v.Close)
	return v
}

// A blockSpec says who validates a block and how they voted.
type blockSpec struct {
	height  int64
	app     [32]byte
	set     *cmttypes.ValidatorSet
	next    *cmttypes.ValidatorSet // nil: the same
	absent  []string
	against []string // voted nil
	chain   string
}

func hash32(text string) []byte { h := sha256.Sum256([]byte(text)); return h[:] }

// block makes a light block as consensus would.
func block(tb testing.TB, s blockSpec) *cmttypes.LightBlock {
	tb.Helper()
	if s.next == nil {
		s.next = s.set
	}
	if s.chain == "" {
		s.chain = ledgertest.ChainID
	}
	at := time.Unix(ledgertest.Start+s.height, 123456789).UTC()
	h := &cmttypes.Header{
		Version: cmtversion.Consensus{Block: version.BlockProtocol, App: 1}, ChainID: s.chain, Height: s.height, Time: at,
		LastBlockID:    cmttypes.BlockID{Hash: hash32("last"), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: hash32("parts")}},
		LastCommitHash: hash32("commit"), DataHash: hash32("data"), ValidatorsHash: s.set.Hash(), NextValidatorsHash: s.next.Hash(),
		ConsensusHash: hash32("params"), AppHash: s.app[:], LastResultsHash: hash32("results"), EvidenceHash: hash32("evidence"),
		ProposerAddress: s.set.Validators[0].Address,
	}
	id := cmttypes.BlockID{Hash: h.Hash(), PartSetHeader: cmttypes.PartSetHeader{Total: 1, Hash: hash32(fmt.Sprint("parts of ", s.height))}}
	c := &cmttypes.Commit{Height: s.height, BlockID: id}
	for _, v := range s.set.Validators {
		c.Signatures = append(c.Signatures, vote(tb, s, v, id, at))
	}
	return &cmttypes.LightBlock{SignedHeader: &cmttypes.SignedHeader{Header: h, Commit: c}, ValidatorSet: s.set}
}

// vote is what one validator contributes to a commit.
func vote(tb testing.TB, s blockSpec, v *cmttypes.Validator, id cmttypes.BlockID, at time.Time) cmttypes.CommitSig {
	tb.Helper()
	is := func(n string) bool { return slices.Equal(key(n).PubKey().Address(), v.Address) }
	if slices.ContainsFunc(s.absent, is) {
		return cmttypes.NewCommitSigAbsent()
	}
	flag := cmttypes.BlockIDFlagCommit
	if slices.ContainsFunc(s.against, is) {
		flag, id = cmttypes.BlockIDFlagNil, cmttypes.BlockID{}
	}
	p := cmtproto.Vote{Type: cmtproto.PrecommitType, Height: s.height, BlockID: id.ToProto(), Timestamp: at.Add(time.Millisecond)}
	for _, n := range []string{"v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "stranger"} {
		if is(n) {
			sig, err := key(n).Sign(cmttypes.VoteSignBytes(s.chain, &p))
			if err != nil {
				tb.Fatal(err)
			}
			return cmttypes.CommitSig{BlockIDFlag: flag, ValidatorAddress: v.Address, Timestamp: p.Timestamp, Signature: sig}
		}
	}
	tb.Fatal("a validator without a name")
	panic("unreachable")
}

func encodeBlock(tb testing.TB, b *cmttypes.LightBlock) []byte {
	tb.Helper()
	raw, err := EncodeBlock(b)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// above is the block that carries a view's app hash.
func above(v *state.View) blockSpec {
	return blockSpec{height: v.Meta().Height + 1, app: v.Meta().AppHash, set: set(validators...)}
}

func (w *world) receipt(b *cmttypes.LightBlock, trail ...*cmttypes.LightBlock) *Receipt {
	r := &Receipt{Version: Version, Chain: ledgertest.ChainID, Block: encodeBlock(w.tb, b)}
	for _, t := range trail {
		r.Trail = append(r.Trail, encodeBlock(w.tb, t))
	}
	return r
}

func must[V any](tb testing.TB) func(V, error) V {
	return func(v V, err error) V {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func (w *world) entry(index uint64) *Receipt {
	v := w.view()
	r := w.receipt(block(w.tb, above(v)))
	raw, _ := v.Entry(index)
	r.Entry = &EntryClaim{Index: index, Entry: raw, Proof: must[*state.EntryProof](w.tb)(v.ProveEntry(index))}
	return r
}

func (w *world) row(key []byte) *Receipt {
	v := w.view()
	r := w.receipt(block(w.tb, above(v)))
	value, ok := v.Get(key)
	r.Row = &RowClaim{Key: key, Value: value, Absent: !ok, Proof: must[*state.KeyProof](w.tb)(v.ProveKey(key))}
	return r
}

// log is a receipt over a pseudonym's whole access log.
func (w *world) log(name string) *Receipt {
	v := w.view()
	account := ledgertest.Account(name)
	r := w.receipt(block(w.tb, above(v)))
	at, ok := audit.At(v, account)
	c := &AuditClaim{Patient: account, Position: at, Proof: must[*state.KeyProof](w.tb)(v.ProveKey(audit.Key(account)))}
	for index, i := at.Index, at.Seq; ok && i > 0; i-- {
		raw, _ := v.Entry(index)
		_, rec, err := audit.Decode(raw)
		if err != nil {
			w.tb.Fatal(err)
		}
		c.Entries = append(c.Entries, raw)
		index = rec.PrevIndex
	}
	slices.Reverse(c.Entries)
	r.Audit = c
	return r
}

// clone is a deep copy by way of the bytes.
func clone(tb testing.TB, r *Receipt) *Receipt {
	tb.Helper()
	return must[*Receipt](tb)(DecodeReceipt(must[[]byte](tb)(r.Encode())))
}
