package seal

import (
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"

	"salus/threshold"
)

// A Custodian receives one envelope of a batch.
type Custodian struct {
	Index    int            // 1-based position in the committee
	KeyEpoch uint64         // which of its custody keys Public is
	Public   hpke.PublicKey // of [ParsePublicKey]
}

// A Record is one record to seal.
type Record struct {
	ID    [16]byte // random, unique
	Slots uint64
	Kind  uint8
	Plain []byte // compressed or not: seal does not care
}

// A Batch is what [Seal] makes. Header goes to the ledger, Ciphertexts to the vault,
// Entries, ShareRoots, Commitments and Envelopes to the custodians. Opening and Patient
// stay with the author (custodians find them in their envelopes). It prints as "[sealed]".
type Batch struct {
	Header      Header
	Entries     []Entry
	Ciphertexts [][]byte
	ShareRoots  [][32]byte // R_1 to R_n
	Commitments [][32]byte // D_0 to D_{t-1}
	Envelopes   [][]byte   // for custodians 1 to n
	Opening     [32]byte   // of Header.PatientCommit
	Patient     [16]byte
}

// String hides the batch: it knows whose it is.
func (*Batch) String() string { return redacted }

// Format hides the batch from every verb.
func (*Batch) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// LogValue hides the batch from logs.
func (*Batch) LogValue() slog.Value { return slog.StringValue(redacted) }

// Seal encrypts 1 to 1,024 records of one patient and shares their keys t of n among
// the custodians, which come in the order of their index, 1 to n. The entries and the
// ciphertexts are in the order of the records.
//
// Two custodians may have the same key. A dishonest one can put its name to the key of another: it cannot open its
// envelope, and the other one holds two shares of what it was trusted with. Were that refused, or its key taken for
// nobody's, it could keep everybody's records, or the other's shares, from being sealed.
//
// Nonce, opening and shares come from rand, in this order; the envelopes' encapsulation
// draws from the system. Errors wrap [ErrInvalid] for arguments out of range.
func Seal(rand io.Reader, chain string, author, patient [16]byte, epoch uint64, t int, custodians []Custodian, recs []Record) (*Batch, error) {
	if err := checkSeal(t, custodians, recs); err != nil {
		return nil, err
	}
	b := &Batch{Patient: patient, Header: Header{
		Version: Version, Suite: Suite, Chain: chain, Author: author, Epoch: epoch,
		N: uint8(len(custodians)), T: uint8(t), Count: uint16(len(recs)),
	}}
	for _, dst := range [][]byte{b.Header.BatchNonce[:], b.Opening[:]} {
		if _, err := io.ReadFull(rand, dst); err != nil {
			return nil, fmt.Errorf("seal: randomness: %w", err)
		}
	}
	b.Header.PatientCommit = PatientCommit(patient, b.Opening)
	d, err := threshold.Deal(rand, len(recs), len(custodians), t)
	if err != nil {
		return nil, fmt.Errorf("seal: deal: %w", err)
	}
	if err := b.encrypt(d.Secrets, recs); err != nil {
		return nil, err
	}
	b.commit(d)
	if err := b.Header.Validate(); err != nil {
		return nil, err
	}
	return b, b.envelop(custodians, d.Shares)
}

func checkSeal(t int, custodians []Custodian, recs []Record) error {
	if err := threshold.CheckParams(len(custodians), t); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if len(recs) < 1 || len(recs) > MaxRecords {
		return fmt.Errorf("%w: %d records, want 1 to %d", ErrInvalid, len(recs), MaxRecords)
	}
	for i, c := range custodians {
		if c.Public == nil || c.Public.KEM().ID() != Suite {
			return fmt.Errorf("%w: public key of custodian %d", ErrInvalid, i+1)
		}
		if c.Index != i+1 {
			return fmt.Errorf("%w: custodians must be 1 to n in order", ErrInvalid)
		}
	}
	ids := make(map[[16]byte]bool, len(recs))
	for i := range recs {
		switch {
		case len(recs[i].Plain) > MaxPlain:
			return fmt.Errorf("%w: record at position %d is larger than %d bytes", ErrInvalid, i, MaxPlain)
		case recs[i].Kind > KindIndex:
			return fmt.Errorf("%w: record at position %d is of unknown kind %d", ErrInvalid, i, recs[i].Kind)
		case ids[recs[i].ID]:
			return fmt.Errorf("%w: record at position %d repeats an id", ErrInvalid, i)
		}
		ids[recs[i].ID] = true
	}
	return nil
}

// encrypt makes the ciphertexts and the manifest.
func (b *Batch) encrypt(secrets []threshold.Secret, recs []Record) error {
	h := &b.Header
	b.Entries, b.Ciphertexts = make([]Entry, len(recs)), make([][]byte, len(recs))
	for i := range recs {
		r := &recs[i]
		key, commit, err := recordKey(secrets[i], h.BatchNonce, r.ID)
		if err != nil {
			return err
		}
		ct, err := encryptRecord(key, commit, h.Chain, h.PatientCommit, r.ID, r.Plain)
		if err != nil {
			return err
		}
		b.Ciphertexts[i] = ct
		b.Entries[i] = Entry{ID: r.ID, Slots: r.Slots, Kind: r.Kind, Ciphertext: sha256.Sum256(ct), KeyCommit: commit, Size: uint32(len(ct))}
	}
	return nil
}

// commit fills in what the header says of manifest and shares.
func (b *Batch) commit(d *threshold.Dealing) {
	for i, s := range d.Shares {
		b.ShareRoots = append(b.ShareRoots, ShareRoot(b.Header.BatchNonce, i+1, s))
	}
	b.Commitments = d.Commitments
	b.Header.ManifestRoot = ManifestRoot(b.Entries)
	b.Header.ShareRoots = ShareRootsHash(b.ShareRoots)
	b.Header.VSSRoot = CommitmentsHash(b.Commitments)
}

// envelop seals each custodian's share vector, the opening and the pseudonym to it.
func (b *Batch) envelop(custodians []Custodian, shares [][]threshold.Share) error {
	hh := b.Header.Hash()
	for i, c := range custodians {
		plain := make([]byte, 0, envelopeSize(len(shares[i])-1))
		for r := range shares[i] {
			plain = append(plain, shares[i][r][:]...)
		}
		plain = append(append(plain, b.Opening[:]...), b.Patient[:]...)
		env, err := box(c.Public, envelopeInfo(hh, c.Index, c.KeyEpoch), plain)
		clear(plain)
		if err != nil {
			return err
		}
		b.Envelopes = append(b.Envelopes, env)
	}
	return nil
}

// envelopeSize is the size of an envelope's plaintext for count records: the blinding
// share, the records' shares, the opening, the pseudonym.
func envelopeSize(count int) int { return 32*(count+2) + 16 }

func envelopeInfo(hh [32]byte, index int, keyEpoch uint64) [32]byte {
	return Sum("envelope", hh[:], u32(index), binary.BigEndian.AppendUint64(nil, keyEpoch))
}
