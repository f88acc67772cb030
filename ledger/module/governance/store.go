package governance

import (
	"encoding/binary"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x02:
//
//	02 01 account[16]                -> Member
//	02 02                            -> Params
//	02 03 id[32]                     -> Proposal
//	02 04 deadline[8] id[32]         -> (empty) undecided proposals, first to lapse first
//	02 05 validator[32]              -> owner: a consensus key belongs to one member for ever
//	02 06 peer[32]                   -> owner: a peer key belongs to one member for ever
//	02 07 account[16] keyid[16]      -> Key that has ended
//	02 18 height[8] id[32]           -> Order: for module erasure to carry out
//	02 0b                            -> ReshareOrder: the last one
//	02 08                            -> Planned: the upgrade that waits
//	02 09 account[16]                -> Switch: the last change of its consensus key
//	02 23                            -> DisasterRow: the last one
var (
	members    = state.NewTable[Member]("members", Prefix, 0x01)
	params     = state.NewTable[Params]("params", Prefix, 0x02)
	proposals  = state.NewTable[Proposal]("proposals", Prefix, 0x03)
	open       = state.NewTable[openMark]("open proposals", Prefix, 0x04)
	validators = state.NewTable[owner]("validator keys", Prefix, 0x05)
	peers      = state.NewTable[owner]("peer keys", Prefix, 0x06)
	ended      = state.NewTable[Key]("ended member keys", Prefix, 0x07)
	plan       = state.NewTable[Planned]("planned upgrade", Prefix, 0x08)
	switches   = state.NewTable[Switch]("validator switches", Prefix, 0x09)
)

type openMark struct{}

type owner struct {
	Account tx.Account `cbor:"1,keyasint"`
}

// MemberKey is the state key of a member's row, for proofs.
func MemberKey(account tx.Account) []byte {
	return members.Key(account[:])
}

func keyID(account tx.Account, id tx.KeyID) []byte {
	return append(account[:], id[:]...)
}

func openID(deadline uint64, id tx.Hash) []byte {
	return append(binary.BigEndian.AppendUint64(nil, deadline), id[:]...)
}

// openIDs returns the ids of the undecided proposals, the first to lapse first.
func openIDs(r state.Reader) []tx.Hash {
	var ids []tx.Hash
	open.Scan(r, nil, func(key []byte, _ openMark) bool {
		ids = append(ids, tx.Hash(key[len(key)-32:]))
		return true
	})
	return ids
}

// retire keeps a key that has ended, so that KeyAt still knows its heights.
func retire(w state.Writer, account tx.Account, keys []Key) {
	for _, k := range keys {
		ended.Put(w, keyID(account, k.Public.ID()), k)
	}
}

func tables() []state.TableInfo {
	return []state.TableInfo{
		members.Info(),
		params.Info(),
		proposals.Info(),
		open.Info(),
		validators.Info(),
		peers.Info(),
		ended.Info(),
		orders.Info(),
		reshareOrders.Info(),
		plan.Info(),
		switches.Info(),
		disasters.Info(),
	}
}
