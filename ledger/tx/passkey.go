package tx

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"slices"
)

// PasskeyPolicy is what the network asks of a passkey assertion.
type PasskeyPolicy struct {
	Origins   []string // exact serialized origins that may sign, governed on chain
	RequireUV bool     // the authenticator must have verified its user
}

// Sizes of a WebAuthn assertion, bytes.
const (
	minAuthData   = 37 // rpIdHash, flags, signCount: WebAuthn Level 3 section 6.1
	maxAuthData   = 512
	maxClientData = 1024
)

// AuthFlags are the flags of a passkey's authenticator data: WebAuthn Level 3 section 6.1.
type AuthFlags byte

// The flags that have a meaning.
const (
	UserPresent        AuthFlags = 1 << 0
	UserVerified       AuthFlags = 1 << 2
	BackupEligible     AuthFlags = 1 << 3
	BackedUp           AuthFlags = 1 << 4
	AttestedCredential AuthFlags = 1 << 6 // attested credential data follow
	ExtensionData      AuthFlags = 1 << 7 // extension data follow
)

// Consistent reports what holds of every ceremony: somebody was there, and what is backed up is eligible
// for it (sections 7.1 and 7.2).
func (f AuthFlags) Consistent() bool {
	return f&UserPresent != 0 && (f&BackedUp == 0 || f&BackupEligible != 0)
}

// The serialization of the client data: WebAuthn Level 3 section 5.8.1.1.
const (
	clientDataType   = `{"type":"webauthn.get","challenge":"`
	clientDataOrigin = `","origin":"`
	clientDataCross  = `,"crossOrigin":false`
)

// verifyPasskey is section 7.2 of WebAuthn Level 3, steps 11 to 24, over bytes:
// nothing is parsed as JSON, CBOR or ASN.1, so no parser's leniency can make
// two nodes differ. spec/tx.md tells each rule and why. The signature counter
// is ignored: synced passkeys report zero, and the nonce stops replays.
func verifyPasskey(p PublicKey, digest Hash, s *Signature, pol PasskeyPolicy) error {
	if err := checkAuthData(s.AuthData, p.RPIDHash, pol.RequireUV); err != nil {
		return err
	}
	if err := checkClientData(s.ClientData, digest, pol.Origins); err != nil {
		return err
	}
	key, err := parseP256(p.Key)
	if err != nil {
		return err
	}
	var msg [maxAuthData + sha256.Size]byte
	n := copy(msg[:], s.AuthData)
	cd := sha256.Sum256(s.ClientData)
	n += copy(msg[n:], cd[:])
	return verifyP256(key, sha256.Sum256(msg[:n]), s.Sig)
}

func checkAuthData(ad, rpidHash []byte, requireUV bool) error {
	if len(ad) < minAuthData || len(ad) > maxAuthData {
		return errFieldLength
	}
	if !bytes.Equal(ad[:sha256.Size], rpidHash) {
		return errPasskeyRP
	}
	f := AuthFlags(ad[sha256.Size])
	switch {
	case !f.Consistent(), f&AttestedCredential != 0:
		return errPasskeyFlags
	case requireUV && f&UserVerified == 0:
		return errUserVerification
	case f&ExtensionData == 0 && len(ad) != minAuthData:
		return errPasskey
	case f&ExtensionData != 0 && !prfOutput(ad[minAuthData:]):
		return errPasskey
	}
	return nil
}

// prfOutput reports whether ext is the one extension that a wallet may ask for
// while signing: the encrypted output of hmac-secret, which is the PRF
// extension on the wire (CTAP 2.1 section 12.5), {"hmac-secret": bytes}, of one
// or two outputs under PIN protocol one (32, 64) or two (48, 80).
func prfOutput(ext []byte) bool {
	rest, ok := bytes.CutPrefix(ext, []byte("\xa1\x6bhmac-secret\x58"))
	if !ok || len(rest) == 0 || int(rest[0]) != len(rest)-1 {
		return false
	}
	switch rest[0] {
	case 32, 48, 64, 80:
		return true
	}
	return false
}

// checkClientData takes the prefix that every conforming client writes, byte
// for byte, then "}", or crossOrigin:false followed by members that mean
// nothing here. WebKit leaves crossOrigin out when it is false.
func checkClientData(cd []byte, digest Hash, origins []string) error {
	rest, ok := bytes.CutPrefix(cd, []byte(clientDataType))
	if !ok {
		return errPasskeyClientData
	}
	const n = 43 // base64url of 32 bytes, no padding
	var challenge [n]byte
	base64.RawURLEncoding.Encode(challenge[:], digest[:])
	if rest, ok = bytes.CutPrefix(rest, challenge[:]); !ok {
		return errPasskeyClientData
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(clientDataOrigin)); !ok {
		return errPasskeyClientData
	}
	end := bytes.IndexByte(rest, '"')
	if end < 0 {
		return errPasskeyClientData
	}
	if !allowedOrigin(rest[:end], origins) {
		return errPasskeyOrigin
	}
	rest = rest[end+1:]
	if string(rest) == "}" {
		return nil
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(clientDataCross)); !ok || !harmlessMembers(rest) {
		return errPasskeyClientData
	}
	return nil
}

// allowedOrigin compares whole strings; an origin with a backslash could mean
// another one after unescaping and is never allowed.
func allowedOrigin(origin []byte, origins []string) bool {
	if bytes.IndexByte(origin, '\\') >= 0 {
		return false
	}
	return slices.Contains(origins, string(origin))
}

// harmlessMembers reports whether b is `}` after any number of members
// `,"name":"text"` that no reader could take for one that matters. Clients may
// add such members at any time (WebAuthn Level 3 section 5.8.1.1), and Chrome
// does so at random.
func harmlessMembers(b []byte) bool {
	for {
		if string(b) == "}" {
			return true
		}
		rest, ok := bytes.CutPrefix(b, []byte(`,"`))
		if !ok {
			return false
		}
		end := bytes.IndexByte(rest, '"')
		if end < 1 || !harmlessName(rest[:end]) {
			return false
		}
		if rest, ok = bytes.CutPrefix(rest[end:], []byte(`":`)); !ok {
			return false
		}
		if b, ok = cutString(rest); !ok {
			return false
		}
	}
}

// harmlessName takes letters, digits and '_', but no name that a reader which
// ignores case would take for a member of CollectedClientData.
func harmlessName(name []byte) bool {
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_') {
			return false
		}
	}
	for _, known := range [...]string{"type", "challenge", "origin", "crossOrigin", "topOrigin", "tokenBinding"} {
		if bytes.EqualFold(name, []byte(known)) {
			return false
		}
	}
	return true
}

// cutString cuts a string of printable ASCII without escapes. Only strings: a
// reader that knows the member's name may not take another type.
func cutString(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, false
	}
	for i := 1; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return b[i+1:], true
		case c < 0x20 || c > 0x7e || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// halfN is floor(n/2) for the order n of P-256: the greatest low s.
var halfN = [32]byte{
	0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
}

// verifyP256 verifies r||s with low s over a hash. Of the two signatures (r, s)
// and (r, n-s), which anyone can turn into each other, one is valid here.
func verifyP256(key *ecdsa.PublicKey, hash [32]byte, sig []byte) error {
	if bytes.Compare(sig[32:], halfN[:]) > 0 {
		return errHighS
	}
	var der [72]byte
	d := append(der[:0], 0x30, 0)
	d = appendInteger(d, sig[:32])
	d = appendInteger(d, sig[32:])
	d[1] = byte(len(d) - 2)
	if !ecdsa.VerifyASN1(key, hash[:], d) {
		return errBadSignature
	}
	return nil
}

// appendInteger appends a DER INTEGER of the unsigned big-endian v.
func appendInteger(d, v []byte) []byte {
	for len(v) > 1 && v[0] == 0 {
		v = v[1:]
	}
	if v[0]&0x80 != 0 {
		return append(append(d, 2, byte(len(v)+1), 0), v...)
	}
	return append(append(d, 2, byte(len(v))), v...)
}
