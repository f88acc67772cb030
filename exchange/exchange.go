// Package exchange is what author, custodian and reader say to each other off
// the ledger: the parcel that carries a batch's shares to the custodians, the
// question which batches a session may see, and the release of shares.
//
// Contract: every message is canonical CBOR with integer keys, and nothing in it
// is believed: a custodian checks a parcel against the header in its own replica,
// a reader checks every answer against the ledger. It must hold no logic beyond
// encoding, hashing and limits; it never sees a plaintext.
package exchange

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"salus/ledger/tx"
	"salus/seal"
)

// Paths of the members' link (internal/peer).
const (
	PathParcels  = "custody/parcels"   // author to custodian: Load of Parcels, LoadReply
	PathParcelOf = "custody/parcel-of" // custodian to another of the same epoch: ParcelRequest, Parcel
	PathKey      = "custody/key"       // KeyRequest, KeyReply
	PathLocate   = "custody/locate"    // LocateRequest, Sealed
	PathRelease  = "custody/release"   // ReleaseRequest, ReleaseReply
	PathOpenings = "custody/openings"  // OpeningsRequest, Sealed: which records each fetch of a session named
	PathPack     = "vault/pack"        // PUT and GET <pack id in hex>
	PathBlob     = "vault/blob"        // GET <address in hex>
	PathSlots    = "record/slots"      // author to steward: SlotsRequest, SlotsReply
)

// A Parcel is a batch on its way to the custodians: everything but the ciphertexts.
// It carries all n envelopes, so that any custodian can relay to one that missed it.
type Parcel struct {
	Header      seal.Header  `cbor:"1,keyasint"`
	Entries     []seal.Entry `cbor:"2,keyasint"`
	ShareRoots  [][32]byte   `cbor:"3,keyasint"`
	Commitments [][32]byte   `cbor:"4,keyasint"`
	Envelopes   [][]byte     `cbor:"5,keyasint"`
	KeyEpochs   []uint64     `cbor:"6,keyasint"` // custody key epoch of each envelope
	Pack        [32]byte     `cbor:"7,keyasint"` // vault.PackID
}

var errParcel = errors.New("exchange: the parcel's parts do not fit its header")

// Validate checks what needs neither ledger nor key: every part has the number and the
// size that the header fixes and hashes to what the header commits to. Pack, envelopes
// and key epochs are not under the header: anchor.put commits to the first two, and the
// last are only a hint.
func (p *Parcel) Validate() error {
	h := &p.Header
	if h.Validate() != nil {
		return errParcel
	}
	n, count := int(h.N), int(h.Count)
	if len(p.Entries) != count || len(p.ShareRoots) != n || len(p.Commitments) != int(h.T) || len(p.Envelopes) != n || len(p.KeyEpochs) != n {
		return errParcel
	}
	for _, e := range p.Envelopes {
		if len(e) != envelopeSize(count) {
			return errParcel
		}
	}
	if seal.ManifestRoot(p.Entries) != h.ManifestRoot || seal.ShareRootsHash(p.ShareRoots) != h.ShareRoots || seal.CommitmentsHash(p.Commitments) != h.VSSRoot {
		return errParcel
	}
	return nil
}

// envelopeSize is the size of a sealed envelope for count records: blinding share, shares,
// opening and pseudonym (custody.md B.2 step 8).
func envelopeSize(count int) int { return seal.Overhead + 32*(count+2) + 16 }

// ParcelRequest asks for the parcel of one header.
type ParcelRequest struct {
	Header tx.Hash `cbor:"1,keyasint"`
}

// KeyRequest asks for the public custody key with this hash, which is on the ledger. A
// custodian answers for its own keys and for copies of the others' live ones, so that a
// batch can be dealt while one custodian is down.
type KeyRequest struct {
	Hash tx.Hash `cbor:"1,keyasint"`
}

// KeyReply carries the 1,216-byte public key; its hash is on the ledger.
type KeyReply struct {
	Public []byte `cbor:"1,keyasint"`
}

// A LocateRequest asks which entries a session may see. ReaderKey is the HPKE key
// whose hash the session fixed; the answer is sealed to it, so it does not matter who asks.
type LocateRequest struct {
	Session   tx.Hash `cbor:"1,keyasint"`
	ReaderKey []byte  `cbor:"2,keyasint"`
	// After continues a long answer at the page before's Next, 0 to begin.
	After uint64 `cbor:"3,keyasint"`
	// Height is the block that the reader has seen its session in: a custodian a moment behind
	// waits for it instead of answering that it knows nothing. It decides nothing.
	Height uint64 `cbor:"4,keyasint"`
}

// Sealed is an answer encrypted to the session's reader key, with info
// AnswerInfo(what, session).
type Sealed struct {
	Box []byte `cbor:"1,keyasint"`
}

// AnswerInfo is the info under which an answer of this kind is sealed.
func AnswerInfo(what string, session tx.Hash) [32]byte {
	return seal.Sum("answer", []byte(what), session[:])
}

// Located is the plaintext of a LocateRequest's answer.
type Located struct {
	Batches []LocatedBatch `cbor:"1,keyasint"`
	// Next is the After of the next page, 0 at the end.
	Next uint64 `cbor:"2,keyasint"`
}

// LocatedBatch is one batch with the entries that the session may see and their manifest paths.
type LocatedBatch struct {
	Header     tx.Hash        `cbor:"1,keyasint"`
	LogIndex   uint64         `cbor:"2,keyasint"`
	ShareRoots [][32]byte     `cbor:"3,keyasint"`
	Pack       [32]byte       `cbor:"4,keyasint"`
	Entries    []LocatedEntry `cbor:"5,keyasint"`
}

// LocatedEntry is entry Index (0-based) of a batch's manifest.
type LocatedEntry struct {
	Index uint16     `cbor:"1,keyasint"`
	Entry seal.Entry `cbor:"2,keyasint"`
	Path  [][32]byte `cbor:"3,keyasint"`
}

// Item names one record: its batch's header hash and its index in the manifest.
type Item struct {
	Header tx.Hash `cbor:"1,keyasint"`
	Index  uint16  `cbor:"2,keyasint"`
}

// A List is the opening of a fetch's committed record list.
type List struct {
	Salt  [32]byte `cbor:"1,keyasint"`
	Items []Item   `cbor:"2,keyasint"` // sorted by header, then index; unique
}

// MaxList is the most records one fetch names.
const MaxList = 4096

var errList = errors.New("exchange: record list must be sorted, unique and hold 1 to 4096 items")

// Validate checks order, uniqueness and size.
func (l *List) Validate() error {
	if len(l.Items) == 0 || len(l.Items) > MaxList {
		return errList
	}
	for i := 1; i < len(l.Items); i++ {
		if l.Items[i-1].Compare(l.Items[i]) >= 0 {
			return errList
		}
	}
	return nil
}

// Compare orders items by header, then index.
func (a Item) Compare(b Item) int {
	if c := bytes.Compare(a.Header[:], b.Header[:]); c != 0 {
		return c
	}
	return int(a.Index) - int(b.Index)
}

// Root is the commitment that access.request and access.fetch put on the ledger: the
// RFC 6962 Merkle root over one salted leaf per item. The salts keep anybody who knows
// the batches from testing which of them were read; the tree lets the patient show one
// item without the others.
func (l *List) Root() [32]byte {
	r := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for i, it := range l.Items {
		leaf := seal.Sum("list", l.Salt[:], binary.BigEndian.AppendUint32(nil, uint32(i)), it.Header[:], binary.BigEndian.AppendUint16(nil, it.Index))
		// An append to a range cannot fail: only overlapping merges do.
		_ = r.Append(rfc6962.DefaultHasher.HashLeaf(leaf[:]), nil)
	}
	root, err := r.GetRootHash(nil)
	if err != nil || len(root) != 32 {
		return [32]byte{} // an empty list commits to nothing and is refused by Validate
	}
	return [32]byte(root)
}

// A ReleaseRequest asks one custodian for its shares of the records of one fetch.
// It carries ids and openings only: what is allowed, the custodian finds in its own replica.
type ReleaseRequest struct {
	Session   tx.Hash `cbor:"1,keyasint"`
	Fetch     uint32  `cbor:"2,keyasint"` // 0: the list of access.request, n: the n-th access.fetch
	ReaderKey []byte  `cbor:"3,keyasint"`
	List      List    `cbor:"4,keyasint"`
	Proofs    bool    `cbor:"5,keyasint"` // ask for share proofs, to find out who lied
	Height    uint64  `cbor:"6,keyasint"` // block of the fetch; waited for as in LocateRequest
	// Epoch is the custody epoch that the reader takes to hold the list's batches, 0 for the one in
	// force. It allows nothing: a custodian that finds another one on its ledger cannot decide now.
	Epoch uint64 `cbor:"7,keyasint,omitempty"`
}

// A ReleaseReply carries the sealed shares, batch by batch in the order of the list, and
// the custodian's signature over its receipt.
type ReleaseReply struct {
	Custodian uint8          `cbor:"1,keyasint"` // 1-based index in the committee
	Parts     []ReleasedPart `cbor:"2,keyasint"`
	Sequence  uint64         `cbor:"3,keyasint"` // in the custodian's write-ahead log of releases
	Height    uint64         `cbor:"4,keyasint"` // of the custodian's replica at the decision
	Signature []byte         `cbor:"5,keyasint"` // Ed25519 by the member's service key over ReplyDigest
}

// ReleasedPart holds the shares of one batch, sealed by seal.Release.
type ReleasedPart struct {
	Header tx.Hash `cbor:"1,keyasint"`
	Sealed []byte  `cbor:"2,keyasint"`
	// Proofs holds, if asked, the encoded seal share proof of each index, sealed like the shares.
	Proofs []byte `cbor:"3,keyasint,omitempty"`
}

// ReplyDigest is what a custodian signs: with it, a reply without a receipt, or two
// replies under one sequence number, are faults that anybody can check.
func ReplyDigest(chain string, session tx.Hash, root [32]byte, r *ReleaseReply) [32]byte {
	var n [17]byte
	n[0] = r.Custodian
	binary.BigEndian.PutUint64(n[1:], r.Sequence)
	binary.BigEndian.PutUint64(n[9:], r.Height)
	parts := [][]byte{[]byte(chain), session[:], root[:], n[:]}
	for _, p := range r.Parts {
		parts = append(parts, p.Header[:], p.Sealed, p.Proofs)
	}
	return seal.Sum("reply", parts...)
}

// Groups splits a valid list into its batches, in order: the header and its rising indices.
func (l *List) Groups() iter.Seq2[tx.Hash, []int] {
	return func(yield func(tx.Hash, []int) bool) {
		for i := 0; i < len(l.Items); {
			header, indices := l.Items[i].Header, []int(nil)
			for ; i < len(l.Items) && l.Items[i].Header == header; i++ {
				indices = append(indices, int(l.Items[i].Index))
			}
			if !yield(header, indices) {
				return
			}
		}
	}
}

// OpeningsRequest asks what each fetch of a session named. Only the session's patient
// is answered: Signature is by a live key of hers over OpeningsDigest, and the answer
// is sealed to ReaderKey.
type OpeningsRequest struct {
	Session   tx.Hash      `cbor:"1,keyasint"`
	ReaderKey []byte       `cbor:"2,keyasint"`
	Signature tx.Signature `cbor:"3,keyasint"`
	// After continues a long answer at the page before's Next, 0 to begin. It is not signed:
	// every page goes to the same key.
	After uint32 `cbor:"4,keyasint"`
}

// OpeningsDigest is what the patient signs.
func OpeningsDigest(chain string, session tx.Hash, readerKey []byte) tx.Hash {
	return seal.Sum("openings", []byte(chain), session[:], readerKey)
}

// Openings is the plaintext answer: the list of each fetch the custodian released for.
type Openings struct {
	Lists []OpenedList `cbor:"1,keyasint"`
	// Next is the After of the next page, 0 at the end.
	Next uint32 `cbor:"2,keyasint"`
}

// OpenedList is the list that was committed as fetch number Fetch.
type OpenedList struct {
	Fetch uint32 `cbor:"1,keyasint"`
	List  List   `cbor:"2,keyasint"`
}

// SlotsRequest asks a patient's steward for the slots of the labels the author is about to write.
type SlotsRequest struct {
	Patient tx.Account `cbor:"1,keyasint"`
	Labels  []string   `cbor:"2,keyasint"`
}

// SlotsReply gives one slot (0 to 63) per label asked for, and no other.
type SlotsReply struct {
	Slots []uint8 `cbor:"1,keyasint"`
}
