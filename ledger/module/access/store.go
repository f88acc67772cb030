package access

import (
	"encoding/binary"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x07:
//
//	07 01 session[32]            -> Session
//	07 02 session[32] number[4]  -> Fetch
//	07 03 custodian[16]          -> Released
var (
	sessions = state.NewTable[Session]("sessions", Prefix, 0x01)
	fetches  = state.NewTable[Fetch]("fetches", Prefix, 0x02)
	released = state.NewTable[Released]("release receipts", Prefix, 0x03)
)

// SessionKey is the state key of a session's row, for proofs.
func SessionKey(id tx.Hash) []byte {
	return append([]byte{Prefix, 0x01}, id[:]...)
}

// FetchKey is the state key of a fetch's row, for proofs.
func FetchKey(id tx.Hash, n uint32) []byte {
	return append([]byte{Prefix, 0x02}, numbered(id, n)...)
}

func numbered(id tx.Hash, n uint32) []byte {
	return binary.BigEndian.AppendUint32(id[:], n)
}

// Lookup returns the session with that id, whatever its state.
func Lookup(r state.Reader, id tx.Hash) (Session, bool) {
	return sessions.Get(r, id[:])
}

// LookupFetch returns the list committed as fetch number n of a session.
func LookupFetch(r state.Reader, id tx.Hash, n uint32) (Fetch, bool) {
	return fetches.Get(r, numbered(id, n))
}

// ReleasedBy returns how far a custodian's release receipts have come.
func ReleasedBy(r state.Reader, custodian tx.Account) Released {
	got, ok := released.Get(r, custodian[:])
	if !ok {
		got.Next = 1
	}
	return got
}

func tables() []state.TableInfo {
	return []state.TableInfo{sessions.Info(), fetches.Info(), released.Info()}
}
