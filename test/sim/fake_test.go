package sim

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"

	"salus/custody"
	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/committee"
	"salus/ledger/tx"
	"salus/seal"
	"salus/threshold"
)

type custodyConfig = custody.Config

// A fake is a custodian that does what it likes. It keeps everything in memory that
// survives crashes.
type fake struct {
	w           *world
	leaks       bool // releases whatever anybody asks for
	lies        bool // releases shares that are not the dealt ones, names what is not the session's
	withholds   bool // answers nothing and sends no receipts
	receiptsAll bool // sends receipts for what it has not checked
	honest      bool // a mutant: it counts as an honest custodian, and keeps a journal

	private  hpke.PrivateKey
	public   []byte
	parcels  map[tx.Hash]*exchange.Parcel
	open     map[tx.Hash]*seal.Custody
	told     map[tx.Hash]bool
	sequence uint64
	prev     [32]byte
}

func newFake(w *world) *fake {
	seed, public, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		w.fail("custody key: %v", err)
	}
	private, err := seal.CustodyKeyFromSeed(seed)
	if err != nil {
		w.fail("custody key: %v", err)
	}
	return &fake{w: w, private: private, public: public, parcels: map[tx.Hash]*exchange.Parcel{}, open: map[tx.Hash]*seal.Custody{}, told: map[tx.Hash]bool{}}
}

func (f *fake) publicKey(hash tx.Hash) []byte {
	if sha256.Sum256(f.public) == hash {
		return f.public
	}
	return nil
}

// follow opens what it can, and sends receipts.
func (f *fake) follow(n *node) {
	v := n.app.View()
	defer v.Close()
	if _, ok := committee.Latest(v, n.account); !ok && v.Meta().Height > 0 {
		now := v.Meta().Time
		_, _ = n.Submit(context.Background(), committee.KindKey, &committee.Publish{KeyEpoch: 1, Hash: sha256.Sum256(f.public), From: now, Until: now + 7*24*3600}) // sent again until it is there
	}
	epoch, err := committee.Current(v)
	if err != nil {
		return
	}
	index, _ := epoch.IndexOf(n.account)
	var list []anchor.Receipt
	for _, hh := range slices.SortedFunc(maps.Keys(f.parcels), func(a, b tx.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		b, anchored := anchor.Lookup(v, hh)
		if !anchored {
			continue
		}
		p := f.parcels[hh]
		if f.open[hh] == nil {
			if c, err := seal.OpenEnvelope(f.private, index, 1, &p.Header, p.ShareRoots, p.Commitments, p.Envelopes[index-1]); err == nil {
				f.open[hh] = c
			}
		}
		if b.Receipts&(1<<(index-1)) == 0 && (f.open[hh] != nil || f.receiptsAll) {
			list = append(list, anchor.Receipt{Header: hh, Holds: true})
		}
	}
	if len(list) > 0 && !f.withholds {
		_, _ = n.Submit(context.Background(), anchor.KindReceipts, &anchor.Receipts{List: list}) // sent again until it is there
	}
}

// locate answers which records there are.
func (f *fake) locate(n *node, req *exchange.LocateRequest) *exchange.Sealed {
	v := n.app.View()
	defer v.Close()
	s, ok := access.Lookup(v, req.Session)
	if !ok || f.withholds {
		return nil
	}
	page := &exchange.Located{}
	for _, hh := range slices.SortedFunc(maps.Keys(f.open), func(a, b tx.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		p, c := f.parcels[hh], f.open[hh]
		row, _ := anchor.Lookup(v, hh)
		if (tx.Account(c.Patient) != s.Patient) != f.lies || row.Active == 0 {
			continue // a liar names the others' records and hides the patient's
		}
		b := exchange.LocatedBatch{Header: hh, LogIndex: row.Index, ShareRoots: p.ShareRoots, Pack: p.Pack}
		for i, e := range p.Entries {
			b.Entries = append(b.Entries, exchange.LocatedEntry{Index: uint16(i), Entry: e, Path: seal.ManifestProof(p.Entries, i)})
		}
		page.Batches = append(page.Batches, b)
	}
	box, err := seal.Box(req.ReaderKey, exchange.AnswerInfo("locate", req.Session), tx.MustEncode(page))
	if err != nil {
		return nil
	}
	return &exchange.Sealed{Box: box}
}

// release answers without a question to the ledger.
func (f *fake) release(n *node, req *exchange.ReleaseRequest) *exchange.ReleaseReply {
	if f.withholds || !f.leaks && !f.honest {
		return nil
	}
	index := f.w.truth.seat(n.account)
	f.sequence++
	reply := &exchange.ReleaseReply{Custodian: uint8(index), Sequence: f.sequence, Height: uint64(n.height())}
	for hh, list := range req.List.Groups() {
		c := f.open[hh]
		if c == nil {
			return nil
		}
		var shares []threshold.Share
		for _, i := range list {
			if i+1 >= len(c.Shares) {
				return nil
			}
			s := c.Record(i)
			if f.lies {
				s = c.Shares[0] // canonical, and the wrong one
				f.w.saw("Byzantine: wrong shares")
			}
			shares = append(shares, s)
		}
		sealed, err := seal.Release(req.ReaderKey, req.Session, index, hh, list, shares)
		if err != nil {
			return nil
		}
		reply.Parts = append(reply.Parts, exchange.ReleasedPart{Header: hh, Sealed: sealed})
	}
	if f.honest {
		f.journal(n, req, reply)
	} else {
		f.w.saw("Byzantine: releases without asking the ledger")
	}
	digest := exchange.ReplyDigest(chainID, req.Session, req.List.Root(), reply)
	reply.Signature = ed25519.Sign(f.w.key(n.name), digest[:])
	return reply
}

// journal writes the receipt ahead as the real custodian does.
func (f *fake) journal(n *node, req *exchange.ReleaseRequest, reply *exchange.ReleaseReply) {
	r := custody.ReleaseReceipt{Sequence: f.sequence, Prev: f.prev, Session: req.Session, Fetch: req.Fetch, List: req.List.Root(), Height: reply.Height, Time: n.app.Head().Time}
	f.prev = r.Hash()
	payload := tx.MustEncode([]custody.ReleaseReceipt{r})
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	frame = binary.BigEndian.AppendUint32(frame, crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)))
	file, err := n.disk.OpenReadWrite("custody/receipts.wal")
	n.must("journal", err)
	info, err := file.Stat()
	n.must("journal", err)
	_, err = file.WriteAt(append(frame, payload...), info.Size())
	n.must("journal", err)
	n.must("journal", file.Sync())
	dir, err := n.disk.OpenDir("custody")
	n.must("journal", err)
	n.must("journal", dir.Sync())
}

// deal seals a batch whose shares for some custodians are not those of the committed
// polynomials. It deals to keys of its own first, to get at the shares.
func (w *world) deal(author, patient tx.Account, t int, custodians []seal.Custodian, recs []seal.Record, bad map[int]bool) (*seal.Batch, error) {
	own := slices.Clone(custodians)
	private := make([]hpke.PrivateKey, len(own))
	for i := range own {
		seed, _, err := seal.NewCustodyKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		if private[i], err = seal.CustodyKeyFromSeed(seed); err != nil {
			return nil, err
		}
		own[i].Public = private[i].PublicKey()
	}
	b, err := seal.Seal(rand.Reader, chainID, author, patient, 1, t, own, recs)
	if err != nil {
		return nil, err
	}
	other, err := threshold.Deal(rand.Reader, len(recs), len(own), t)
	if err != nil {
		return nil, err
	}
	plain, roots := make([][]threshold.Share, len(own)), make([][32]byte, len(own))
	for i, c := range own {
		open, err := seal.OpenEnvelope(private[i], c.Index, c.KeyEpoch, &b.Header, b.ShareRoots, b.Commitments, b.Envelopes[i])
		if err != nil {
			return nil, err
		}
		if plain[i] = open.Shares; bad[i] {
			plain[i] = other.Shares[i]
		}
		roots[i] = seal.ShareRoot(b.Header.BatchNonce, i+1, plain[i])
	}
	b.ShareRoots = roots
	b.Header.ShareRoots = seal.ShareRootsHash(b.ShareRoots)
	hh := b.Header.Hash()
	for i, c := range custodians {
		var text []byte
		for r := range plain[i] {
			text = append(text, plain[i][r][:]...)
		}
		text = append(append(text, b.Opening[:]...), b.Patient[:]...)
		info := seal.Sum("envelope", hh[:], binary.BigEndian.AppendUint32(nil, uint32(c.Index)), binary.BigEndian.AppendUint64(nil, c.KeyEpoch))
		if b.Envelopes[i], err = seal.Box(c.Public.Bytes(), info, text); err != nil {
			return nil, err
		}
	}
	return b, nil
}
