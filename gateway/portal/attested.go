package portal

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"

	"salus/ledger/tx"
)

// An attested is the authenticator data of a new passkey (WebAuthn Level 3 section 6.1, with the attested
// credential data of section 6.5.2). Nothing vouches for it but who sent it: no attestation is asked for.
type attested struct {
	rpHash  [32]byte
	flags   tx.AuthFlags
	count   uint32
	aaguid  [16]byte
	id      []byte // 16 to 1023 bytes
	key     []byte // of P-256, X||Y
	further []byte // extensions; nobody asked for one, some authenticators tell theirs
}

// Sizes, bytes.
const (
	attestedHead = 32 + 1 + 4 + 16 + 2
	minID, maxID = 16, 1023
	maxFurther   = 512
)

// The COSE key of ES256 in CTAP2's canonical form, which section 6.5.1.1 demands: kty EC2, alg -7, crv P-256, x, y.
var coseX, coseY = []byte{0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20}, []byte{0x22, 0x58, 0x20}

// decodeAttested reads authenticator data with one passkey of ES256 in it. Errors: errPasskey.
func decodeAttested(b []byte) (a attested, err error) {
	if len(b) < attestedHead {
		return a, errPasskey
	}
	copy(a.rpHash[:], b)
	a.flags, a.count = tx.AuthFlags(b[32]), binary.BigEndian.Uint32(b[33:])
	copy(a.aaguid[:], b[37:])
	n, rest := int(binary.BigEndian.Uint16(b[53:])), b[attestedHead:]
	if n < minID || n > maxID || len(rest) < n {
		return a, errPasskey
	}
	a.id, rest = bytes.Clone(rest[:n]), rest[n:]
	for _, head := range [][]byte{coseX, coseY} {
		after, ok := bytes.CutPrefix(rest, head)
		if !ok || len(after) < 32 {
			return a, errPasskey
		}
		a.key, rest = append(a.key, after[:32]...), after[32:]
	}
	if len(rest) > maxFurther || (len(rest) > 0) != (a.flags&tx.ExtensionData != 0) {
		return a, errPasskey
	}
	a.further = bytes.Clone(rest)
	return a, nil
}

// encode is the inverse of decodeAttested.
func (a *attested) encode() []byte {
	b := append([]byte(nil), a.rpHash[:]...)
	b = binary.BigEndian.AppendUint32(append(b, byte(a.flags)), a.count)
	b = append(b, a.aaguid[:]...)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(a.id))), a.id...)
	b = append(append(b, coseX...), a.key[:32]...)
	b = append(append(b, coseY...), a.key[32:]...)
	return append(b, a.further...)
}

// sound checks what section 7.1 does of a new passkey: whose host it is of, that somebody was there and was
// verified, and that the key is one.
func (a *attested) sound(rpHash [32]byte) (tx.PublicKey, error) {
	key := tx.PublicKey{Alg: tx.AlgPasskeyES256, Key: a.key, RPIDHash: rpHash[:]}
	const needed = tx.UserVerified | tx.AttestedCredential
	if a.rpHash != rpHash || !a.flags.Consistent() || a.flags&needed != needed || key.Validate() != nil {
		return key, errPasskey
	}
	return key, nil
}

// created checks the client data of a new passkey: its prefix byte for byte, as every conforming client
// writes it (section 5.8.1.1), so that no reader of JSON can take it for something else.
func created(clientData []byte, digest tx.Hash, origin string) bool {
	prefix := `{"type":"webauthn.create","challenge":"` + base64.RawURLEncoding.EncodeToString(digest[:]) + `","origin":"` + origin + `"`
	rest, ok := bytes.CutPrefix(clientData, []byte(prefix))
	if !ok || len(clientData) > 4<<10 || len(rest) == 0 || rest[0] != '}' && rest[0] != ',' || !json.Valid(clientData) {
		return false
	}
	var said struct {
		Cross bool   `json:"crossOrigin"`
		Top   string `json:"topOrigin"`
	}
	return json.Unmarshal(clientData, &said) == nil && !said.Cross && said.Top == ""
}

// staffDigest is what a passkey of staff signs, or is made over:
//
//	SHA-256("salus/portal/staff/v1" 00 ‖ len(chain) in 8 bytes ‖ chain ‖ len(origin) in 8 bytes ‖ origin ‖ len(what) in 8 bytes ‖ what ‖ nonce)
//
// what is "sign-in", "register", or the text of a declaration. No transaction, and no sign-in of a
// patient, has such a digest.
func staffDigest(chain, origin, what string, nonce [32]byte) tx.Hash {
	h := sha256.New()
	h.Write([]byte("salus/portal/staff/v1\x00"))
	for _, s := range []string{chain, origin, what} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	h.Write(nonce[:])
	return tx.Hash(h.Sum(nil))
}
