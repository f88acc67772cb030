package tx

import (
	"errors"
	"fmt"
)

// A Refusal is the coded error of the ledger: the answer to bad input, or to
// what the rules do not allow. Code is prefix<<8 | n, where prefix is the
// module's state prefix (0 for this package and the ledger's core), and is
// unique for ever. Text is one sentence that begins with "<room>: " and holds
// nothing of the input.
//
// An error that is no Refusal is a failure of the machine, not an answer.
type Refusal struct {
	Code uint32
	Text string
}

// Refuse makes a refusal.
func Refuse(code uint32, text string) *Refusal { return &Refusal{Code: code, Text: text} }

// Error returns the text, or the code if there is no text.
func (r *Refusal) Error() string {
	if r.Text == "" {
		return fmt.Sprintf("tx: refused with code 0x%04x", r.Code)
	}
	return r.Text
}

// Is reports whether target is a refusal of the same code.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && t.Code == r.Code
}

// CodeOf returns the code of the refusal in err's chain. A nil error has
// CodeOK; ok is false for an error that is no refusal.
func CodeOf(err error) (code uint32, ok bool) {
	if err == nil {
		return CodeOK, true
	}
	if r, is := errors.AsType[*Refusal](err); is {
		return r.Code, true
	}
	return 0, false
}
