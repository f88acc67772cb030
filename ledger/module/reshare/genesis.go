package reshare

import (
	"bytes"
	"errors"

	"salus/ledger"
)

// genesis begins with nothing: a resharing is started by an order of the members.
func genesis(_ *ledger.Context, raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) != 0 && string(raw) != "{}" && string(raw) != "null" {
		return errors.New("reshare: genesis: there is nothing to set")
	}
	return nil
}
