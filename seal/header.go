package seal

import (
	"encoding/binary"
	"fmt"

	"salus/threshold"
)

// A Header is what the ledger holds of a batch. Its hash is the info of every envelope
// and release, so nobody can register another's envelopes under terms of its own.
type Header struct {
	Version       uint8    `cbor:"1,keyasint"`
	Suite         uint16   `cbor:"2,keyasint"`
	Chain         string   `cbor:"3,keyasint"`
	Author        [16]byte `cbor:"4,keyasint"`  // the member that sealed the batch
	PatientCommit [32]byte `cbor:"5,keyasint"`  // H("patient", pseudonym, opening): unlinkable once the opening is erased
	BatchNonce    [32]byte `cbor:"6,keyasint"`  // random; salts the record keys and the share leaves
	Epoch         uint64   `cbor:"7,keyasint"`  // committee epoch: fixes who the custodians are
	N             uint8    `cbor:"8,keyasint"`  // custodians
	T             uint8    `cbor:"9,keyasint"`  // threshold
	Count         uint16   `cbor:"10,keyasint"` // records
	ManifestRoot  [32]byte `cbor:"11,keyasint"` // Merkle root over the entries
	ShareRoots    [32]byte `cbor:"12,keyasint"` // hash of the n custodians' share roots
	VSSRoot       [32]byte `cbor:"13,keyasint"` // hash of the t Pedersen commitments
}

// Hash returns H("header", every field in order): version in 1 byte, suite in 2, epoch
// in 8, the other numbers in 4, all big endian.
func (h *Header) Hash() [32]byte {
	return Sum("header",
		[]byte{h.Version}, binary.BigEndian.AppendUint16(nil, h.Suite), []byte(h.Chain), h.Author[:], h.PatientCommit[:],
		h.BatchNonce[:], u64(h.Epoch), u32(int(h.N)), u32(int(h.T)), u32(int(h.Count)),
		h.ManifestRoot[:], h.ShareRoots[:], h.VSSRoot[:])
}

// Validate checks what can be checked without the ledger's state: version, suite,
// sizes, and a threshold that neither f faulty custodians with f lagging ones can
// reach nor f silent ones can deny. Errors wrap [ErrInvalid].
func (h *Header) Validate() error {
	switch {
	case h.Version != Version:
		return fmt.Errorf("%w: header version %d", ErrInvalid, h.Version)
	case h.Suite != Suite:
		return fmt.Errorf("%w: header suite %#04x", ErrInvalid, h.Suite)
	case h.Chain == "" || len(h.Chain) > maxChain:
		return fmt.Errorf("%w: header chain of %d bytes", ErrInvalid, len(h.Chain))
	case h.Count < 1 || h.Count > MaxRecords:
		return fmt.Errorf("%w: header counts %d records, want 1 to %d", ErrInvalid, h.Count, MaxRecords)
	}
	if err := threshold.CheckParams(int(h.N), int(h.T)); err != nil {
		return fmt.Errorf("%w: header: %w", ErrInvalid, err)
	}
	var zero [32]byte
	for _, f := range [...]*[32]byte{&h.PatientCommit, &h.BatchNonce, &h.ManifestRoot, &h.ShareRoots, &h.VSSRoot} {
		if *f == zero {
			return fmt.Errorf("%w: header with an empty commitment", ErrInvalid)
		}
	}
	if h.Author == ([16]byte{}) {
		return fmt.Errorf("%w: header without author", ErrInvalid)
	}
	return nil
}

// PatientCommit hides a patient's pseudonym under a random opening. Custodians and the
// author keep the opening; when they erase it, the header belongs to nobody.
func PatientCommit(patient [16]byte, opening [32]byte) [32]byte {
	return Sum("patient", patient[:], opening[:])
}

// ShareRootsHash is the header's commitment to the n share roots, in custodian order.
func ShareRootsHash(roots [][32]byte) [32]byte { return sumAll("shareroots", roots) }

// CommitmentsHash is the header's commitment to the t Pedersen commitments.
func CommitmentsHash(commitments [][32]byte) [32]byte { return sumAll("vss", commitments) }

// EnvelopesHash commits to all n envelopes, in custodian order. The author's transaction
// carries it beside the header; a custodian compares before it blames the author, for
// HPKE does not say who sealed.
func EnvelopesHash(envs [][]byte) [32]byte { return Sum("envelopes", envs...) }

func sumAll(label string, hashes [][32]byte) [32]byte {
	parts := make([][]byte, len(hashes))
	for i := range hashes {
		parts[i] = hashes[i][:]
	}
	return Sum(label, parts...)
}
