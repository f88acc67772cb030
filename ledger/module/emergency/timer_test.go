package emergency_test

import (
	"salus/ledger"
	"salus/ledger/state"
)

// ledgerSigner signs a block's hooks: nobody.
var ledgerSigner = ledger.Signer{}

// counter counts the rows that a scan hands out.
type counter struct {
	*state.Cache
	n *int
}

func (c *counter) Scan(prefix []byte, fn func(key, value []byte) bool) {
	c.Cache.Scan(prefix, func(k, v []byte) bool {
		*c.n++
		return fn(k, v)
	})
}
