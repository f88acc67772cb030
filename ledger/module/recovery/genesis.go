package recovery

import (
	"bytes"
	"errors"

	"salus/ledger"
)

// genesis begins with nothing: guardians and cases come by transactions only.
func genesis(_ *ledger.Context, raw []byte) error {
	if raw = bytes.TrimSpace(raw); len(raw) != 0 && string(raw) != "{}" && string(raw) != "null" {
		return errors.New("recovery: genesis: there is nothing to set")
	}
	return nil
}
