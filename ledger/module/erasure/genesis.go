package erasure

import (
	"bytes"
	"errors"

	"salus/ledger"
)

// genesis begins with nothing: cases come by transactions and votes only.
func genesis(_ *ledger.Context, raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) != 0 && string(raw) != "{}" && string(raw) != "null" {
		return errors.New("erasure: genesis: there is nothing to set")
	}
	return nil
}
