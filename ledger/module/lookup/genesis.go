package lookup

import (
	"bytes"
	"errors"

	"salus/ledger"
)

// genesis begins with nothing: the key is made by the custodians, by transactions.
func genesis(_ *ledger.Context, raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) != 0 && string(raw) != "{}" && string(raw) != "null" {
		return errors.New("lookup: genesis: there is nothing to set")
	}
	return nil
}
