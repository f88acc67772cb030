package seal

import (
	"crypto/hpke"
	"encoding/binary"
	"fmt"

	"salus/threshold"
)

// A list names records of one batch by position (0-based), strictly rising.
func checkList(list []int, count int) error {
	if len(list) < 1 || len(list) > count {
		return fmt.Errorf("%w: list of %d records, want 1 to %d", ErrInvalid, len(list), count)
	}
	for k, i := range list {
		if i < 0 || i >= count || k > 0 && i <= list[k-1] {
			return fmt.Errorf("%w: list must hold rising positions below %d", ErrInvalid, count)
		}
	}
	return nil
}

func releaseInfo(label string, session [32]byte, index int, headerHash [32]byte, list []int) [32]byte {
	numbers := make([]byte, 0, 4*len(list))
	for _, i := range list {
		numbers = binary.BigEndian.AppendUint32(numbers, uint32(i+1))
	}
	return Sum(label, session[:], u32(index), headerHash[:], numbers)
}

// Release seals custodian index's shares of the listed records to the reader's key
// (1,216 bytes), for one session. shares[k] is the share of the record at position
// list[k]: [Custody.Record] of it, never the blinding share. Whether the reader may
// have them is decided before, by the custodian's own replica.
func Release(readerKey []byte, session [32]byte, index int, headerHash [32]byte, list []int, shares []threshold.Share) ([]byte, error) {
	if err := checkList(list, MaxRecords); err != nil {
		return nil, err
	}
	if len(shares) != len(list) || index < 1 || index > threshold.MaxCustodians {
		return nil, fmt.Errorf("%w: release of %d shares for %d records by custodian %d", ErrInvalid, len(shares), len(list), index)
	}
	plain := make([]byte, 0, 32*len(shares))
	for k := range shares {
		plain = append(plain, shares[k][:]...)
	}
	defer clear(plain)
	return Box(readerKey, releaseInfo("release", session, index, headerHash, list), plain)
}

// OpenRelease opens a release of custodian index for this session, batch and list. The
// shares are as the custodian sent them: [Combine] finds out whether they are right.
// It fails with [ErrOpen] for anything that was sealed to another key, session,
// custodian, batch or list, or is of another length.
func OpenRelease(sk hpke.PrivateKey, session [32]byte, index int, headerHash [32]byte, list []int, sealed []byte) ([]threshold.Share, error) {
	if err := checkList(list, MaxRecords); err != nil {
		return nil, err
	}
	plain, err := Unbox(sk, releaseInfo("release", session, index, headerHash, list), sealed)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	if len(plain) != 32*len(list) {
		return nil, fmt.Errorf("%w: release of another length", ErrOpen)
	}
	shares := make([]threshold.Share, len(list))
	for k := range shares {
		copy(shares[k][:], plain[32*k:])
	}
	return shares, nil
}

// Proofs holds, for each record of a list, the path of its share ([ShareProof]).
type Proofs [][][32]byte

// ReleaseProofs seals the paths of the listed records' shares to the reader's key, to go
// with a [Release] of the same list. shares is the custodian's whole vector, blinding
// share first. Paths are sealed because they tell leaves of other records' shares,
// which a holder of guesses could test.
func ReleaseProofs(readerKey []byte, session [32]byte, index int, h *Header, list []int, shares []threshold.Share) ([]byte, error) {
	if err := checkList(list, int(h.Count)); err != nil {
		return nil, err
	}
	if len(shares) != int(h.Count)+1 || index < 1 || index > int(h.N) {
		return nil, fmt.Errorf("%w: proofs need the whole share vector of a custodian", ErrInvalid)
	}
	leaves := shareLeaves(h.BatchNonce, index, shares)
	var plain []byte
	for _, i := range list {
		for _, s := range merklePath(leaves, i+1) {
			plain = append(plain, s[:]...)
		}
	}
	return Box(readerKey, releaseInfo("release-proofs", session, index, h.Hash(), list), plain)
}

// OpenReleaseProofs opens what [ReleaseProofs] sealed. It fails with [ErrOpen].
func OpenReleaseProofs(sk hpke.PrivateKey, session [32]byte, index int, h *Header, list []int, sealed []byte) (Proofs, error) {
	if err := checkList(list, int(h.Count)); err != nil {
		return nil, err
	}
	plain, err := Unbox(sk, releaseInfo("release-proofs", session, index, h.Hash(), list), sealed)
	if err != nil {
		return nil, err
	}
	p, ok := decodeProofs(plain, list, int(h.Count))
	if !ok {
		return nil, fmt.Errorf("%w: proofs of another length", ErrOpen)
	}
	return p, nil
}

// decodeProofs splits concatenated paths: their lengths follow from list and count.
func decodeProofs(plain []byte, list []int, count int) (Proofs, bool) {
	total := 0
	for _, i := range list {
		total += pathLen(i+1, count+1)
	}
	if len(plain) != 32*total {
		return nil, false
	}
	p := make(Proofs, len(list))
	for k, i := range list {
		p[k] = make([][32]byte, pathLen(i+1, count+1))
		for d := range p[k] {
			p[k][d] = [32]byte(plain[:32])
			plain = plain[32:]
		}
	}
	return p, true
}
