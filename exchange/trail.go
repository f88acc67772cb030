package exchange

// PathTrail asks a member for the blocks that lead a verifier from the genesis over changes of
// validators: TrailRequest, TrailReply. Whoever asks follows them from its own genesis file.
const PathTrail = "ledger/trail"

// TrailRequest asks for the kept blocks above a height, the lowest first.
type TrailRequest struct {
	After uint64 `cbor:"1,keyasint"`
}

// TrailReply is as many of them as fit; an empty one is the end.
type TrailReply struct {
	Blocks [][]byte `cbor:"1,keyasint"` // as in a receipt
}
