package custody

import (
	"bytes"
	"context"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

const (
	mask    = uint64(0x00000000ffffffff) // 32 bits: what grants allow
	outside = uint64(0xffffff0000000000) // 24 bits beside it: what they except

	allowedSlot = uint64(1) << 3
	deniedSlot  = uint64(1) << 35
)

// plain is the content of a record in tests, found nowhere on a disk.
func plain(i int) []byte { return fmt.Appendf(nil, "sample record number %06d: blood pressure", i) }

// deal seals records with these slots for the patient, as the author.
func (w *world) deal(author, patient string, slots ...uint64) (*exchange.Parcel, *seal.Batch) {
	w.Helper()
	v := w.node(author).app.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil {
		w.Fatal(err)
	}
	live := map[int]committee.CustodyKey{}
	for _, l := range committee.LiveKeys(v, v.Meta().Time) {
		live[l.Index] = l.Key
	}
	var custodians []seal.Custodian
	p := &exchange.Parcel{}
	for i, owner := range epoch.Members {
		k, ok := live[i+1]
		var key exchange.KeyReply
		for _, m := range append([]tx.Account{owner}, epoch.Members...) {
			if ok && w.node(author).Call(context.Background(), m, exchange.PathKey, exchange.KeyRequest{Hash: k.Hash}, &key) == nil {
				break
			}
		}
		switch {
		case !ok: // as an author does when a custodian has no key: nobody opens this envelope
			if _, key.Public, err = seal.NewCustodyKey(rand.Reader); err != nil {
				w.Fatal(err)
			}
		case tx.Hash(sha256.Sum256(key.Public)) != k.Hash:
			w.Fatal("nobody has a custodian's key")
		}
		public, err := seal.ParsePublicKey(key.Public)
		if err != nil {
			w.Fatal(err)
		}
		custodians = append(custodians, seal.Custodian{Index: i + 1, KeyEpoch: k.KeyEpoch, Public: public})
		p.KeyEpochs = append(p.KeyEpochs, k.KeyEpoch)
	}
	var recs []seal.Record
	for i, s := range slots {
		r := seal.Record{Slots: s, Plain: plain(i)}
		_, _ = rand.Read(r.ID[:])
		recs = append(recs, r)
	}
	b, err := seal.Seal(rand.Reader, chainID, account(author), account(patient), epoch.Epoch, int(epoch.T), custodians, recs)
	if err != nil {
		w.Fatal(err)
	}
	pack, err := w.node(author).vault.PutPack(context.Background(), b.Ciphertexts)
	if err != nil {
		w.Fatal(err)
	}
	for i, m := range w.nodes { // the author, one more of the first four, and all others there are
		if m.name != "lab" && i < len(members) {
			continue
		}
		if _, err := m.vault.PutPack(context.Background(), b.Ciphertexts); err != nil {
			w.Fatal(err)
		}
	}
	p.Header, p.Entries, p.ShareRoots, p.Commitments, p.Envelopes, p.Pack = b.Header, b.Entries, b.ShareRoots, b.Commitments, b.Envelopes, pack
	return p, b
}

// put anchors a parcel.
func (w *world) put(author string, p *exchange.Parcel) tx.Hash {
	w.Helper()
	w.must(author, anchor.KindPut, &anchor.Put{Header: p.Header, Envelopes: seal.EnvelopesHash(p.Envelopes), Pack: tx.Hash(p.Pack)})
	return p.Header.Hash()
}

// send brings parcels to a custodian, which takes each.
func (w *world) send(author string, to *member, parcels ...*exchange.Parcel) {
	w.Helper()
	var l exchange.Load
	for _, p := range parcels {
		l.Parts = append(l.Parts, tx.MustEncode(p))
	}
	var r exchange.LoadReply
	err := w.node(author).Call(context.Background(), account(to.name), exchange.PathParcels, l, &r)
	if err == nil {
		err = r.Answers(&l)
	}
	if err != nil || slices.Max(r.Codes) != 0 {
		w.Fatalf("got %x, %v", r.Codes, err)
	}
}

// deliver sends the parcel to every custodian that is up.
func (w *world) deliver(author string, p *exchange.Parcel) {
	w.Helper()
	for _, m := range w.nodes {
		if m.down || m.Custodian == nil {
			continue
		}
		w.send(author, m, p)
	}
}

// batch brings a batch of the hospital's to ACTIVE.
func (w *world) batch(patient string, slots ...uint64) *seal.Batch {
	w.Helper()
	p, b := w.deal("hospital", patient, slots...)
	w.deliver("hospital", p)
	hh := w.put("hospital", p)
	w.step()
	if !w.active(hh) {
		w.Fatal("the batch is not active")
	}
	return b
}

func (w *world) row(hh tx.Hash) anchor.Batch {
	v := w.nodes[0].app.View()
	defer v.Close()
	b, _ := anchor.Lookup(v, hh)
	return b
}

func (w *world) active(hh tx.Hash) bool { b := w.row(hh); return b.Active > 0 }

// grant lets the doctor treat the patient.
func (w *world) grant(patient string, change ...func(*consent.Grant)) {
	w.Helper()
	id := digest("grant/" + patient)
	g := consent.Grant{
		ID: consent.GrantID(id[:16]), Version: 1, Grantee: consent.Grantee{Kind: consent.OnePractitioner, Account: account("doctor")},
		Mask: mask, Except: outside, Purposes: consent.PurposesOf(consent.TREAT),
	}
	for _, f := range change {
		f(&g)
	}
	w.must(patient, consent.KindGrant, &consent.Give{Patient: account(patient), Grant: g})
}

func (w *world) revoke(patient string) {
	w.Helper()
	w.must(patient, consent.KindRevoke, &consent.Revoke{Patient: account(patient)})
}

// A reading is an open session of a reader.
type reading struct {
	w       *world
	by      string
	id      tx.Hash
	private hpke.PrivateKey
	public  []byte
	fetches uint32
}

func (w *world) session(by, patient string, change ...func(*access.Request)) *reading {
	w.Helper()
	seed, pub, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	sk, err := seal.CustodyKeyFromSeed(seed)
	if err != nil {
		w.Fatal(err)
	}
	m := &access.Request{Patient: account(patient), Purpose: consent.TREAT, Mask: ^uint64(0), ReaderKey: sha256.Sum256(pub), TTL: 600}
	if by == patient {
		m.Purpose = consent.PATRQT
	}
	for _, f := range change {
		f(m)
	}
	return &reading{w: w, by: by, id: w.must(by, access.KindRequest, m), private: sk, public: pub}
}

// locate asks one custodian for all pages.
func (r *reading) locate(at *member) []exchange.LocatedBatch {
	r.w.Helper()
	var out []exchange.LocatedBatch
	for after := uint64(0); ; {
		var box exchange.Sealed
		req := &exchange.LocateRequest{Session: r.id, ReaderKey: r.public, After: after}
		if err := r.w.node("clinic").Call(context.Background(), account(at.name), exchange.PathLocate, req, &box); err != nil {
			r.w.Fatal(err)
		}
		var page exchange.Located
		r.open("locate", &box, &page)
		out = append(out, page.Batches...)
		if page.Next == 0 {
			return out
		}
		after = page.Next
	}
}

func (r *reading) open(what string, box *exchange.Sealed, v any) {
	r.w.Helper()
	b, err := seal.Unbox(r.private, exchange.AnswerInfo(what, r.id), box.Box)
	if err != nil {
		r.w.Fatal(err)
	}
	if err := tx.DecodeAny(b, v, len(b)); err != nil {
		r.w.Fatal(err)
	}
}

// commit puts a list of these records on the ledger and returns the request for it.
func (r *reading) commit(items ...exchange.Item) *exchange.ReleaseRequest {
	r.w.Helper()
	l := exchange.List{Items: slices.Clone(items)}
	slices.SortFunc(l.Items, exchange.Item.Compare)
	_, _ = rand.Read(l.Salt[:])
	r.w.must(r.by, access.KindFetch, &access.CommitFetch{Session: r.id, Root: l.Root(), Count: uint32(len(l.Items))})
	r.fetches++
	return &exchange.ReleaseRequest{Session: r.id, Fetch: r.fetches, ReaderKey: r.public, List: l}
}

// items names these records of a batch.
func items(b *seal.Batch, indices ...int) (out []exchange.Item) {
	hh := b.Header.Hash()
	for _, i := range indices {
		out = append(out, exchange.Item{Header: hh, Index: uint16(i)})
	}
	return out
}

// shares opens a reply, by batch.
func (r *reading) shares(req *exchange.ReleaseRequest, reply *exchange.ReleaseReply) map[tx.Hash][]threshold.Share {
	r.w.Helper()
	out := map[tx.Hash][]threshold.Share{}
	n := 0
	for hh, indices := range req.List.Groups() {
		s, err := seal.OpenRelease(r.private, r.id, int(reply.Custodian), hh, indices, reply.Parts[n].Sealed)
		if err != nil {
			r.w.Fatal(err)
		}
		out[hh] = s
		n++
	}
	return out
}

// read releases from these custodians and decrypts the records of one batch.
func (r *reading) read(b *seal.Batch, req *exchange.ReleaseRequest, from ...*member) ([][]byte, error) {
	r.w.Helper()
	hh := b.Header.Hash()
	shares := map[int][]threshold.Share{}
	for _, m := range from {
		reply, err := m.Release(context.Background(), req)
		if err != nil {
			return nil, err
		}
		shares[int(reply.Custodian)] = r.shares(req, reply)[hh]
	}
	var list []int
	for h, indices := range req.List.Groups() {
		if h == hh {
			list = indices
		}
	}
	entries := make([]seal.Entry, len(list))
	for k, i := range list {
		entries[k] = b.Entries[i]
	}
	keys, err := seal.Combine(&b.Header, entries, list, shares)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for k, i := range list {
		rec, err := seal.Decrypt(&b.Header, &b.Entries[i], keys[k], b.Ciphertexts[i])
		if err != nil {
			return nil, err
		}
		out = append(out, rec)
	}
	return out, nil
}

func TestAGrantedReaderOpensRecordsWithThreeOfFourCustodians(t *testing.T) {
	w := newWorld(t)
	b := w.batch("alice", allowedSlot, allowedSlot, deniedSlot)
	w.grant("alice")
	r := w.session("doctor", "alice")
	for _, m := range w.nodes {
		found := r.locate(m)
		if len(found) != 1 || len(found[0].Entries) != 2 {
			t.Fatalf("%s locates %d batches, want one with two entries", m.name, len(found))
		}
		for _, e := range found[0].Entries {
			if err := seal.VerifyEntry(b.Header.ManifestRoot, int(e.Index), int(b.Header.Count), &e.Entry, e.Path); err != nil {
				t.Error(err)
			}
		}
	}
	req := r.commit(items(b, 0, 1)...)
	for skip := range w.nodes {
		from := slices.Delete(slices.Clone(w.nodes), skip, skip+1)
		got, err := r.read(b, req, from...)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if !bytes.Equal(got[i], plain(i)) {
				t.Errorf("record %d: got %q", i, got[i])
			}
		}
	}
	if _, err := r.read(b, req, w.nodes[:2]...); err == nil {
		t.Error("two shares opened a record")
	}
}

func TestAPatientReadsEverythingOfHerOwn(t *testing.T) {
	w := newWorld(t)
	b := w.batch("alice", allowedSlot, deniedSlot)
	r := w.session("alice", "alice")
	got, err := r.read(b, r.commit(items(b, 0, 1)...), w.nodes[1:]...)
	if err != nil || len(got) != 2 {
		t.Fatalf("got %d records, %v", len(got), err)
	}
}

func TestRepliesAreSignedOverTheirReceipt(t *testing.T) {
	w := newWorld(t)
	b := w.batch("alice", allowedSlot)
	w.grant("alice")
	r := w.session("doctor", "alice")
	req := r.commit(items(b, 0)...)
	v := w.nodes[0].app.View()
	defer v.Close()
	for want := uint64(1); want <= 3; want++ {
		m := w.node("lab")
		reply, err := m.Release(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		if reply.Sequence != want {
			t.Errorf("got sequence %d, want %d", reply.Sequence, want)
		}
		key, ok := identity.KeyAt(v, account("lab"), public("lab").ID(), reply.Height)
		if !ok {
			t.Fatal("no key")
		}
		digest := exchange.ReplyDigest(chainID, r.id, req.List.Root(), reply)
		sig := tx.Signature{Account: account("lab"), Key: public("lab").ID(), Alg: tx.AlgEd25519, Sig: reply.Signature}
		if err := key.Public.Verify(digest, &sig, tx.PasskeyPolicy{}); err != nil {
			t.Error(err)
		}
	}
}

func TestProofsShowWhoseShareIsTheDealtOne(t *testing.T) {
	w := newWorld(t)
	b := w.batch("alice", allowedSlot, allowedSlot, allowedSlot)
	w.grant("alice")
	r := w.session("doctor", "alice")
	req := r.commit(items(b, 0, 2)...)
	req.Proofs = true
	m := w.node("clinic")
	reply, err := m.Release(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	index, list := int(reply.Custodian), []int{0, 2}
	proofs, err := seal.OpenReleaseProofs(r.private, r.id, index, &b.Header, list, reply.Parts[0].Proofs)
	if err != nil {
		t.Fatal(err)
	}
	shares := r.shares(req, reply)[b.Header.Hash()]
	for k, i := range list {
		if err := seal.VerifyShare(b.ShareRoots[index-1], b.Header.BatchNonce, index, 3, i, shares[k], proofs[k]); err != nil {
			t.Error(err)
		}
	}
}
