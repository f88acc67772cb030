package tx

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// Hash is a SHA-256 digest, or another 32 bytes that name or commit. Its text
// form is 64 lower case hexadecimal digits.
type Hash [32]byte

// digestDomain separates what is signed here from everything else that is hashed.
const digestDomain = "salus/tx/v1\x00"

// Digest names a transaction: SHA-256("salus/tx/v1\0" || len64(chain) || chain
// || body), where len64 is big-endian and body the bytes as received. It is the
// id of the transaction, what every signature signs, and the challenge of a
// passkey (WebAuthn Level 3 section 13.4.3).
func Digest(body []byte, chain string) Hash {
	h := sha256.New()
	var head [len(digestDomain) + 8 + MaxChain]byte
	p := append(head[:0], digestDomain...)
	p = binary.BigEndian.AppendUint64(p, uint64(len(chain)))
	p = append(p, chain...)
	h.Write(p)
	h.Write(body)
	var d Hash
	h.Sum(d[:0])
	return d
}

// IsZero reports whether h is all zero.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns the text form.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads the text form, and no other. The error is CodeText.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if !parseHex(h[:], s) {
		return Hash{}, errText
	}
	return h, nil
}

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(b []byte) error {
	v, err := ParseHash(string(b))
	if err != nil {
		return err
	}
	*h = v
	return nil
}

// parseHex fills dst from exactly as many lower case digits.
func parseHex(dst []byte, s string) bool {
	if len(s) != hex.EncodedLen(len(dst)) {
		return false
	}
	for i := range dst {
		hi, ok := hexValue(s[2*i])
		lo, ok2 := hexValue(s[2*i+1])
		if !ok || !ok2 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

func hexValue(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
