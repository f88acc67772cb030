package merge

import (
	"bytes"
	"errors"

	"salus/ledger"
)

// genesis begins with nothing.
func genesis(_ *ledger.Context, raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) != 0 && string(raw) != "{}" && string(raw) != "null" {
		return errors.New("merge: genesis: there is nothing to set")
	}
	return nil
}
