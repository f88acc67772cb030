package exchange_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"salus/exchange"
	"salus/internal/sample"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/record"
	"salus/seal"
	"salus/seal/compress"
	"salus/threshold"
)

// The vector is one session of a reader with four custodians, for wallets in other
// languages; spec/custody.md describes it. -update makes it anew: all but what is sealed,
// whose encapsulation is random, comes out the same.
var update = flag.Bool("update", false, "write spec/vectors/custody anew")

const vectorFile = "../spec/vectors/custody/session.json"

type sessionVector struct {
	About      string        `json:"about"`
	Chain      string        `json:"chain"`
	Session    string        `json:"session"`
	ReaderSeed string        `json:"readerSeed"`
	Committee  string        `json:"committee"` // epoch and service keys, record.Committee
	Batches    []batchVector `json:"batches"`
	// Requests as the wallet must encode them.
	Locate   string `json:"locateRequest"`
	Release  string `json:"releaseRequest"`
	Salt     string `json:"salt"`
	ListRoot string `json:"listRoot"`
	// By custodian. Custodian 4 tells of a record that nobody else knows of.
	Located []string `json:"located"`
	// Custodian 2 sends a wrong share of one record; its signature is right.
	Released []string `json:"released"`
	Proven   []string `json:"proven"` // the same with share proofs
	// What the patient's wallet asks and is told; see OpeningsDigest.
	OpeningsDigest string `json:"openingsDigest"`
	Openings       string `json:"openings"`
	// The same session while the shares pass to another committee.
	Moved movedVector `json:"moved"`
}

// movedVector: an epoch of five follows. The first batch has moved to it; the second became active
// late and is of the epoch before still. A list is of one epoch.
type movedVector struct {
	Committee string   `json:"committee"` // record.Committee: epoch 4, and 3 before it
	Anchored  []string `json:"anchored"`  // of the first two batches
	Located   []string `json:"located"`   // by custodian of epoch 4
	// One list for each epoch, the older one first: what the wallet asks, and what custodians
	// of that epoch reply. Custodian 2 of epoch 4 sends a wrong share of one record.
	Lists []movedList `json:"lists"`
	// When the second pass is over: the second batch is of epoch 4 as well, and the ledger's row of
	// the committee has no epoch before.
	After movedAfter `json:"after"`
}

type movedList struct {
	Epoch    uint64   `json:"epoch"`
	Release  string   `json:"releaseRequest"`
	ListRoot string   `json:"listRoot"`
	Released []string `json:"released"`
}

type movedAfter struct {
	Committee string    `json:"committee"`
	Anchored  []string  `json:"anchored"`
	List      movedList `json:"list"` // of the second batch
}

type batchVector struct {
	Header   string   `json:"header"` // hash
	Anchored string   `json:"anchored"`
	Believed bool     `json:"believed"`
	Encoded  []string `json:"ciphertexts"`
	Plain    []string `json:"plain"`
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func stream(label string) io.Reader {
	h := sha3.NewSHAKE128()
	_, _ = h.Write([]byte(label))
	return h
}

func account(name string) tx.Account { h := sha256.Sum256([]byte(name)); return tx.Account(h[:16]) }

// A session is the world of the vector.
type session struct {
	id         tx.Hash
	reader     hpke.PrivateKey
	seed       seal.Seed
	epoch      committee.Epoch
	signers    []ed25519.PrivateKey
	custodians []seal.Custodian
	keys       []hpke.PrivateKey
	batches    []*seal.Batch
	plain      [][][]byte
}

const chain = "salus-test"

func newSession() *session {
	s := &session{id: sha256.Sum256([]byte("session")), epoch: committee.Epoch{Epoch: 3, N: 4, T: 3, From: 7}}
	seed, _, err := seal.NewCustodyKey(stream("reader"))
	s.seed, s.reader = seed, must(seal.CustodyKeyFromSeed(must(seed, err)))
	for i := range 4 {
		name := fmt.Sprintf("custodian %d", i+1)
		seed, public, err := seal.NewCustodyKey(stream(name))
		s.keys = append(s.keys, must(seal.CustodyKeyFromSeed(must(seed, err))))
		s.custodians = append(s.custodians, seal.Custodian{Index: i + 1, KeyEpoch: 1, Public: must(seal.ParsePublicKey(public))})
		h := sha256.Sum256([]byte(name))
		s.signers = append(s.signers, ed25519.NewKeyFromSeed(h[:]))
		s.epoch.Members = append(s.epoch.Members, account(name))
	}
	lines := slices.Collect(bytes.Lines(sample.NDJSON(9002, 9)))
	for b := range 3 {
		var recs []seal.Record
		var plain [][]byte
		for i, line := range lines[3*b : 3*b+3] {
			body := bytes.TrimSpace(line)
			plain = append(plain, body)
			id := sha256.Sum256(fmt.Append(nil, "record ", b, i))
			recs = append(recs, seal.Record{ID: [16]byte(id[:16]), Slots: 1 << i, Plain: compress.Compress(body)})
		}
		s.plain = append(s.plain, plain)
		s.batches = append(s.batches, must(seal.Seal(stream(fmt.Sprint("batch ", b)), chain, account("author"), account("patient"), 3, 3, s.custodians, recs)))
	}
	return s
}

func (s *session) anchored(b int) *exchange.Anchored {
	h := s.batches[b].Header
	return &exchange.Anchored{
		Put:     anchor.Put{Header: h, Envelopes: seal.EnvelopesHash(s.batches[b].Envelopes), Pack: tx.Hash{byte(b + 1)}},
		Batch:   anchor.Batch{Author: h.Author, Epoch: h.Epoch, Count: h.Count, Pack: tx.Hash{byte(b + 1)}, Height: 9, Time: 1_800_000_000 + uint64(b), Index: uint64(20 + b), Receipts: 15, Holds: 3, Active: 10},
		Holders: s.epoch.Members[:2],
	}
}

func (s *session) box(what string, v any) []byte {
	return must(tx.Encode(&exchange.Sealed{Box: must(seal.Box(s.reader.PublicKey().Bytes(), exchange.AnswerInfo(what, s.id), must(tx.Encode(v))))}))
}

// located is custodian i's answer: two batches, and of the fourth a third that it made up.
func (s *session) located(i int) []byte {
	page := &exchange.Located{}
	for b, batch := range s.batches {
		if b == 2 && i != 4 {
			continue
		}
		l := exchange.LocatedBatch{Header: batch.Header.Hash(), LogIndex: uint64(20 + b), ShareRoots: batch.ShareRoots, Pack: [32]byte{byte(b + 1)}}
		for x, e := range batch.Entries {
			l.Entries = append(l.Entries, exchange.LocatedEntry{Index: uint16(x), Entry: e, Path: seal.ManifestProof(batch.Entries, x)})
		}
		page.Batches = append(page.Batches, l)
	}
	return s.box("locate", page)
}

func (s *session) list() *exchange.List {
	l := &exchange.List{Salt: sha256.Sum256([]byte("salt"))}
	for _, b := range s.batches[:2] {
		for x := range b.Entries {
			l.Items = append(l.Items, exchange.Item{Header: b.Header.Hash(), Index: uint16(x)})
		}
	}
	slices.SortFunc(l.Items, exchange.Item.Compare)
	return l
}

func (s *session) batch(header tx.Hash) *seal.Batch {
	i := slices.IndexFunc(s.batches, func(b *seal.Batch) bool { return b.Header.Hash() == header })
	return s.batches[i]
}

// released is custodian i's reply; the second lies about its share of record 1 of each batch.
func (s *session) released(i int, proofs bool) []byte {
	list, reply := s.list(), &exchange.ReleaseReply{Custodian: uint8(i), Sequence: uint64(40 + i), Height: 12}
	for header, indices := range list.Groups() {
		b := s.batch(header)
		held := must(seal.OpenEnvelope(s.keys[i-1], i, 1, &b.Header, b.ShareRoots, b.Commitments, b.Envelopes[i-1]))
		var shares []threshold.Share
		for _, x := range indices {
			shares = append(shares, held.Record(x))
		}
		if i == 2 {
			shares[1] = shares[0]
		}
		part := exchange.ReleasedPart{Header: header, Sealed: must(seal.Release(s.reader.PublicKey().Bytes(), s.id, i, header, indices, shares))}
		if proofs {
			part.Proofs = must(seal.ReleaseProofs(s.reader.PublicKey().Bytes(), s.id, i, &b.Header, indices, held.Shares))
		}
		reply.Parts = append(reply.Parts, part)
	}
	digest := exchange.ReplyDigest(chain, s.id, list.Root(), reply)
	reply.Signature = ed25519.Sign(s.signers[i-1], digest[:])
	return must(tx.Encode(reply))
}

func (s *session) vector() *sessionVector {
	list, root := s.list(), s.list().Root()
	com := record.Committee{Epoch: s.epoch}
	for _, k := range s.signers {
		com.Keys = append(com.Keys, [][]byte{k.Public().(ed25519.PublicKey)})
	}
	public := s.reader.PublicKey().Bytes()
	digest := exchange.OpeningsDigest(chain, s.id, public)
	v := &sessionVector{
		About: "One session of a reader with four custodians; see spec/custody.md. Messages are canonical CBOR in hex.",
		Chain: chain, Session: s.id.String(), ReaderSeed: hex.EncodeToString(s.seed[:]), Committee: hex.EncodeToString(must(tx.Encode(&com))),
		Locate:  hex.EncodeToString(must(tx.Encode(&exchange.LocateRequest{Session: s.id, ReaderKey: public, Height: 11}))),
		Release: hex.EncodeToString(must(tx.Encode(&exchange.ReleaseRequest{Session: s.id, Fetch: 1, ReaderKey: public, List: *list, Height: 12, Epoch: 3}))),
		Salt:    hex.EncodeToString(list.Salt[:]), ListRoot: hex.EncodeToString(root[:]),
		OpeningsDigest: digest.String(), Openings: hex.EncodeToString(s.box("openings", &exchange.Openings{Lists: []exchange.OpenedList{{Fetch: 1, List: *list}}})),
	}
	v.Moved = s.moved()
	for b, batch := range s.batches {
		hh := batch.Header.Hash()
		out := batchVector{Header: hex.EncodeToString(hh[:]), Anchored: hex.EncodeToString(must(tx.Encode(s.anchored(b)))), Believed: b < 2}
		for x, ct := range batch.Ciphertexts {
			out.Encoded, out.Plain = append(out.Encoded, hex.EncodeToString(ct)), append(out.Plain, hex.EncodeToString(s.plain[b][x]))
		}
		v.Batches = append(v.Batches, out)
	}
	for i := 1; i <= 4; i++ {
		v.Located = append(v.Located, hex.EncodeToString(s.located(i)))
		v.Released = append(v.Released, hex.EncodeToString(s.released(i, false)))
		v.Proven = append(v.Proven, hex.EncodeToString(s.released(i, true)))
	}
	return v
}

// next is the committee that follows: five, the newcomer first.
func (s *session) next() (committee.Epoch, []ed25519.PrivateKey) {
	h := sha256.Sum256([]byte("custodian 5"))
	e := committee.Epoch{Epoch: 4, N: 5, T: 4, From: 11, Members: append([]tx.Account{account("custodian 5")}, s.epoch.Members...)}
	return e, append([]ed25519.PrivateKey{ed25519.NewKeyFromSeed(h[:])}, s.signers...)
}

func seats(e committee.Epoch, signers []ed25519.PrivateKey) record.Committee {
	com := record.Committee{Epoch: e}
	for _, k := range signers {
		com.Keys = append(com.Keys, [][]byte{k.Public().(ed25519.PublicKey)})
	}
	return com
}

// dealt deals a batch to the committee that follows, by the first three of the one before, and
// returns each new custodian's shares.
func (s *session) dealt(b *seal.Batch) (out [][]threshold.Share) {
	subs := make([][]threshold.Received, 5)
	for i := 1; i <= 3; i++ {
		held := must(seal.OpenEnvelope(s.keys[i-1], i, 1, &b.Header, b.ShareRoots, b.Commitments, b.Envelopes[i-1]))
		d := must(threshold.Subdeal(stream(fmt.Sprint("subdeal ", i)), held.Shares, 5, 4))
		for j := range subs {
			subs[j] = append(subs[j], threshold.Received{From: i, Commitments: d.Commitments, Shares: d.Shares[j]})
		}
	}
	for j := range subs {
		out = append(out, must(threshold.CombineVerified(subs[j])))
	}
	return out
}

// movedList is the list of one batch, asked of an epoch's custodians, of whom liar lies.
func (s *session) movedList(fetch uint32, epoch uint64, b *seal.Batch, signers []ed25519.PrivateKey, shares [][]threshold.Share, liar int) movedList {
	list := &exchange.List{Salt: s.list().Salt}
	var indices []int
	for x := range b.Entries {
		list.Items, indices = append(list.Items, exchange.Item{Header: b.Header.Hash(), Index: uint16(x)}), append(indices, x)
	}
	root, public := list.Root(), s.reader.PublicKey().Bytes()
	out := movedList{Epoch: epoch, ListRoot: hex.EncodeToString(root[:])}
	out.Release = hex.EncodeToString(must(tx.Encode(&exchange.ReleaseRequest{Session: s.id, Fetch: fetch, ReaderKey: public, List: *list, Height: 12, Epoch: epoch})))
	for i, held := range shares {
		asked := slices.Clone(held[1:])
		if i+1 == liar {
			asked[1] = asked[0]
		}
		reply := &exchange.ReleaseReply{Custodian: uint8(i + 1), Sequence: uint64(60 + i), Height: 12}
		reply.Parts = []exchange.ReleasedPart{{Header: b.Header.Hash(), Sealed: must(seal.Release(public, s.id, i+1, b.Header.Hash(), indices, asked))}}
		digest := exchange.ReplyDigest(chain, s.id, root, reply)
		reply.Signature = ed25519.Sign(signers[i], digest[:])
		out.Released = append(out.Released, hex.EncodeToString(must(tx.Encode(reply))))
	}
	return out
}

func (s *session) moved() (v movedVector) {
	e, signers := s.next()
	now, before := seats(e, signers), seats(s.epoch, s.signers)
	now.Before = &before
	v.Committee = hex.EncodeToString(must(tx.Encode(&now)))
	now.Before = nil
	v.After.Committee = hex.EncodeToString(must(tx.Encode(&now)))
	for b := range 2 {
		a := s.anchored(b)
		if b == 0 {
			a.Epoch = 4
		}
		v.Anchored = append(v.Anchored, hex.EncodeToString(must(tx.Encode(a))))
		a.Epoch = 4
		v.After.Anchored = append(v.After.Anchored, hex.EncodeToString(must(tx.Encode(a))))
	}
	for range e.Members {
		v.Located = append(v.Located, hex.EncodeToString(s.located(1)))
	}
	var old [][]threshold.Share
	late := s.batches[1]
	for i := 1; i <= 4; i++ {
		old = append(old, must(seal.OpenEnvelope(s.keys[i-1], i, 1, &late.Header, late.ShareRoots, late.Commitments, late.Envelopes[i-1])).Shares)
	}
	v.Lists = []movedList{
		s.movedList(1, 3, late, s.signers, old, 0),
		s.movedList(2, 4, s.batches[0], signers, s.dealt(s.batches[0]), 2),
	}
	v.After.List = s.movedList(1, 4, late, signers, s.dealt(late), 0)
	return v
}

func TestSessionVector(t *testing.T) {
	s := newSession()
	if *update {
		b := must(json.MarshalIndent(s.vector(), "", " "))
		if err := os.MkdirAll(filepath.Dir(vectorFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(vectorFile, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var got sessionVector
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	// All but what is sealed, and signed over what is sealed, is the same each time.
	want := s.vector()
	want.Located, want.Released, want.Proven, want.Openings = got.Located, got.Released, got.Proven, got.Openings
	want.Moved.Located, want.Moved.Anchored, want.Moved.After.Anchored = got.Moved.Located, got.Moved.Anchored, got.Moved.After.Anchored
	want.Moved.Lists = slices.Clone(want.Moved.Lists)
	for i := range min(len(want.Moved.Lists), len(got.Moved.Lists)) {
		want.Moved.Lists[i].Released = got.Moved.Lists[i].Released
	}
	want.Moved.After.List.Released = got.Moved.After.List.Released
	for i := range want.Batches { // commits to the envelopes
		want.Batches[i].Anchored = got.Batches[i].Anchored
	}
	if again := must(json.MarshalIndent(want, "", " ")); !bytes.Equal(append(again, '\n'), b) {
		t.Error("session.json: got another session than the file holds; if the messages were meant to change, run with -update")
	}
	if len(got.Located) != 4 || len(got.Released) != 4 || len(got.Proven) != 4 {
		t.Fatal("session.json: want an answer of each custodian")
	}
	for i, text := range got.Located {
		var box exchange.Sealed
		var page exchange.Located
		if err := tx.DecodeAny(must(hex.DecodeString(text)), &box, 1<<20); err != nil {
			t.Fatal(err)
		}
		plain := must(seal.Unbox(s.reader, exchange.AnswerInfo("locate", s.id), box.Box))
		if err := tx.DecodeAny(plain, &page, 1<<20); err != nil || len(page.Batches) < 2 {
			t.Errorf("custodian %d: got %d batches and %v", i+1, len(page.Batches), err)
		}
	}
	root := s.list().Root()
	for i, text := range append(got.Released, got.Proven...) {
		var reply exchange.ReleaseReply
		if err := tx.DecodeAny(must(hex.DecodeString(text)), &reply, 1<<20); err != nil {
			t.Fatal(err)
		}
		digest := exchange.ReplyDigest(chain, s.id, root, &reply)
		if !ed25519.Verify(s.signers[i%4].Public().(ed25519.PublicKey), digest[:], reply.Signature) {
			t.Errorf("reply %d: the signature does not verify", i)
		}
	}
}
