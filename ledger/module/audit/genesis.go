package audit

import (
	"bytes"
	"errors"

	"salus/ledger"
)

// genesis begins with no chain.
func genesis(_ *ledger.Context, raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) != 0 && string(raw) != "{}" && string(raw) != "null" {
		return errors.New("audit: genesis: there is nothing to set")
	}
	return nil
}
