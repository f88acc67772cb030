package access

import (
	"bytes"
	"errors"

	"salus/ledger"
)

// genesis begins with nothing: sessions are opened by transactions only.
func genesis(_ *ledger.Context, raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) != 0 && string(raw) != "{}" && string(raw) != "null" {
		return errors.New("access: genesis: there is nothing to set")
	}
	return nil
}
