package peer

import "salus/ledger/tx"

// fault is an error on the wire.
type fault struct {
	Code uint32 `cbor:"1,keyasint"`
	Text string `cbor:"2,keyasint"`
}

// Codes of the link itself: prefix 0x20 is no ledger module's.
var (
	errNotMember = tx.Refuse(0x2001, "peer: not an active member of this network")
	errTooLarge  = tx.Refuse(0x2002, "peer: message is larger than allowed")
	errInternal  = tx.Refuse(0x2003, "peer: the other side failed; its own log says why")
	errEncoding  = tx.Refuse(0x2004, "peer: message is not canonical CBOR of the expected shape")
)

func decode(b []byte, v any) error {
	if err := tx.DecodeAny(b, v, int(DefaultLimits.Body)); err != nil {
		return errEncoding
	}
	return nil
}
