// Package passkey is a software authenticator together with the browser in
// front of it: it makes WebAuthn assertions (ES256) over transactions, for
// tests and for development wallets. Normalise, which a server needs to take an
// assertion from a real browser onto the ledger, is here too.
//
// Contract: what it signs passes tx.PublicKey.Verify and any other conforming
// verifier. Signatures are deterministic (RFC 6979), so vectors can be made
// with it.
//
// It must never hold a real patient's key: the key is plain bytes in memory and
// nobody is asked whether she is present.
package passkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strings"

	"salus/ledger/tx"
)

// Flags of the authenticator data: WebAuthn Level 3 section 6.1.
const (
	FlagUP byte = 1 << 0 // user present
	FlagUV byte = 1 << 2 // user verified
	FlagBE byte = 1 << 3 // backup eligible
	FlagBS byte = 1 << 4 // backed up
	FlagAT byte = 1 << 6 // attested credential data
	FlagED byte = 1 << 7 // extension data
)

// Passkey is one credential. The fields may be changed before signing, to act
// like another client or to break a rule; a Passkey in use is not for several
// goroutines.
type Passkey struct {
	Origin string
	Flags  byte   // New sets UP, UV, BE and BS, as a synced passkey does
	Count  uint32 // signature counter; zero for a synced passkey
	Cross  Cross  // what the client writes about crossOrigin
	Extra  string // further members of the client data, each with a leading comma
	Ext    []byte // extension data, CBOR; set FlagED with it

	rpIDHash [32]byte
	key      *ecdsa.PrivateKey
}

// Cross is what a client writes about crossOrigin.
type Cross uint8

const (
	CrossFalse   Cross = iota // "crossOrigin":false, as Chrome and Firefox do
	CrossTrue                 // "crossOrigin":true, inside a foreign frame
	CrossOmitted              // nothing, as WebKit does
)

// New makes a passkey for a relying party id ("wallet.example.org") at an
// origin ("https://wallet.example.org"), from 32 bytes or more of rand: the
// same bytes give the same key.
func New(rand io.Reader, rpid, origin string) (*Passkey, error) {
	var seed [32]byte
	for {
		if _, err := io.ReadFull(rand, seed[:]); err != nil {
			return nil, fmt.Errorf("passkey: read key: %w", err)
		}
		// Refused only for zero and for n or more: one in 2^32.
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), seed[:])
		if err != nil {
			continue
		}
		return &Passkey{
			Origin:   origin,
			Flags:    FlagUP | FlagUV | FlagBE | FlagBS,
			rpIDHash: sha256.Sum256([]byte(rpid)),
			key:      key,
		}, nil
	}
}

// Public returns the key as the ledger keeps it.
func (p *Passkey) Public() tx.PublicKey {
	b, err := p.key.PublicKey.Bytes()
	if err != nil {
		panic("passkey: internal error: " + err.Error())
	}
	return tx.PublicKey{Alg: tx.AlgPasskeyES256, Key: b[1:], RPIDHash: p.rpIDHash[:]}
}

// AuthData returns the authenticator data for the present fields.
func (p *Passkey) AuthData() []byte {
	b := append([]byte(nil), p.rpIDHash[:]...)
	b = append(b, p.Flags)
	b = binary.BigEndian.AppendUint32(b, p.Count)
	return append(b, p.Ext...)
}

// ClientData returns the client data for a challenge and the present fields, in
// the serialization of WebAuthn Level 3 section 5.8.1.1.
func (p *Passkey) ClientData(challenge [32]byte) []byte {
	var b strings.Builder
	b.WriteString(`{"type":"webauthn.get","challenge":"`)
	b.WriteString(base64.RawURLEncoding.EncodeToString(challenge[:]))
	b.WriteString(`","origin":"` + p.Origin + `"`)
	switch p.Cross {
	case CrossFalse:
		b.WriteString(`,"crossOrigin":false`)
	case CrossTrue:
		b.WriteString(`,"crossOrigin":true`)
	}
	b.WriteString(p.Extra + "}")
	return []byte(b.String())
}

// SignRaw signs authenticator data and client data of the caller's making and
// returns the signature as an authenticator does: DER, with either s.
func (p *Passkey) SignRaw(authData, clientData []byte) (der []byte, err error) {
	cd := sha256.Sum256(clientData)
	msg := sha256.Sum256(append(append([]byte(nil), authData...), cd[:]...))
	der, err = p.key.Sign(nil, msg[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("passkey: sign: %w", err)
	}
	return der, nil
}

// Assert makes the assertion of one challenge.
func (p *Passkey) Assert(challenge [32]byte) (authData, clientData, der []byte, err error) {
	authData, clientData = p.AuthData(), p.ClientData(challenge)
	der, err = p.SignRaw(authData, clientData)
	return authData, clientData, der, err
}

// Signer returns a signer for account with this passkey. It signs with the
// passkey's fields as they are at the time.
func (p *Passkey) Signer(account tx.Account) tx.Signer { return &signer{account, p} }

type signer struct {
	account tx.Account
	passkey *Passkey
}

// Account implements tx.Signer.
func (s *signer) Account() tx.Account { return s.account }

// Public implements tx.Signer.
func (s *signer) Public() tx.PublicKey { return s.passkey.Public() }

// Sign implements tx.Signer.
func (s *signer) Sign(digest tx.Hash) (tx.Signature, error) {
	authData, clientData, der, err := s.passkey.Assert(digest)
	if err != nil {
		return tx.Signature{}, err
	}
	sig, err := Normalise(der)
	if err != nil {
		return tx.Signature{}, err
	}
	return tx.Signature{
		Account:    s.account,
		Key:        s.Public().ID(),
		Alg:        tx.AlgPasskeyES256,
		Sig:        sig[:],
		AuthData:   authData,
		ClientData: clientData,
	}, nil
}

// ErrSignature means that bytes are no DER signature by a P-256 key.
var ErrSignature = errors.New("passkey: not a P-256 signature in DER")

// Normalise turns the DER signature of a browser into the ledger's form: r||s,
// 64 bytes, with the low s of the two that verify.
func Normalise(der []byte) (sig [64]byte, err error) {
	var v struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &v)
	n := elliptic.P256().Params().N
	if err != nil || len(rest) != 0 || !inRange(v.R, n) || !inRange(v.S, n) {
		return sig, ErrSignature
	}
	if other := new(big.Int).Sub(n, v.S); other.Cmp(v.S) < 0 {
		v.S = other
	}
	v.R.FillBytes(sig[:32])
	v.S.FillBytes(sig[32:])
	return sig, nil
}

func inRange(v, n *big.Int) bool { return v.Sign() > 0 && v.Cmp(n) < 0 }

// Format prints no key, with any verb.
func (p Passkey) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[sealed]") }
