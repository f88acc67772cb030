package record

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"strings"

	"salus/ledger/tx"
)

const (
	codeAlphabet = "0123456789abcdefghjkmnpqrstvwxyz" // Crockford's base32
	codeLetters  = 80
)

func codeCheck(patient tx.Account, secret []byte) []byte {
	h := sha256.New()
	h.Write([]byte("salus/code/v1\x00"))
	h.Write(patient[:])
	h.Write(secret)
	return h.Sum(nil)[:2]
}

// Text writes the code for people: pseudonym, secret and 2 bytes of a check, in 80 letters of
// Crockford's base32 in groups of four. The slot map is left out: the record holds it. Whoever reads
// the text can claim the record.
func (c ClaimCode) Text() (string, error) {
	if len(c.Secret) != 32 {
		return "", errClaimCode
	}
	b := append(append(append([]byte{}, c.Patient[:]...), c.Secret...), codeCheck(c.Patient, c.Secret)...)
	var s strings.Builder
	have, bits := uint(0), 0
	for _, v := range b {
		have, bits = have<<8|uint(v), bits+8
		for ; bits >= 5; bits -= 5 {
			if n := s.Len(); n%5 == 4 {
				s.WriteByte('-')
			}
			s.WriteByte(codeAlphabet[have>>(bits-5)&31])
		}
		have &= 31
	}
	return s.String(), nil
}

// Link is the address that opens the claim in a portal: the code is in the fragment, which browsers
// keep to themselves.
func (c ClaimCode) Link(origin string) (string, error) {
	s, err := c.Text()
	return origin + "/#/patient/claim/" + strings.ReplaceAll(s, "-", ""), err
}

// ErrCodeText: a claim code was mistyped.
var ErrCodeText = errors.New("record: that is no claim code; look for a missing or mistaken letter")

// ParseClaimCode reads the text in either case, with any spaces and dashes; o is 0, i and l are 1.
// The code has no slot map. Errors: ErrCodeText.
func ParseClaimCode(text string) (ClaimCode, error) {
	text = strings.NewReplacer(" ", "", "-", "", "\n", "", "\t", "", "o", "0", "i", "1", "l", "1").Replace(strings.ToLower(text))
	if len(text) != codeLetters {
		return ClaimCode{}, ErrCodeText
	}
	b := make([]byte, 0, 50)
	have, bits := uint(0), 0
	for _, c := range []byte(text) {
		v := strings.IndexByte(codeAlphabet, c)
		if v < 0 {
			return ClaimCode{}, ErrCodeText
		}
		have, bits = have<<5|uint(v), bits+5
		if bits >= 8 {
			bits -= 8
			b = append(b, byte(have>>bits))
			have &= 1<<bits - 1
		}
	}
	c := ClaimCode{Patient: tx.Account(b[:16]), Secret: b[16:48:48]}
	if subtle.ConstantTimeCompare(b[48:], codeCheck(c.Patient, c.Secret)) != 1 {
		return ClaimCode{}, ErrCodeText
	}
	return c, nil
}
