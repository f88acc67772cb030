package portal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"sync"
	"time"

	"salus/internal/passkey"
	"salus/ledger"
	"salus/ledger/tx"
)

// challengeLife is how long a person may take to answer her authenticator.
const challengeLife = 3 * time.Minute

const maxChallenges = 10_000

// challenges are those that were given out and not used. A challenge serves once.
type challenges struct {
	mu   sync.Mutex
	open map[[32]byte]time.Time // its end
}

func (c *challenges) give(now time.Time) ([32]byte, error) {
	var n [32]byte
	_, _ = rand.Read(n[:]) // never fails
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[[32]byte]time.Time{}
	}
	for k, end := range c.open {
		if !now.Before(end) {
			delete(c.open, k)
		}
	}
	if len(c.open) >= maxChallenges {
		return n, errFull
	}
	c.open[n] = now.Add(challengeLife)
	return n, nil
}

func (c *challenges) take(n [32]byte, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	end, ok := c.open[n]
	delete(c.open, n)
	return ok && now.Before(end)
}

// Challenge is the answer of POST /api/challenge.
type Challenge struct {
	Nonce []byte `json:"nonce"`
}

func (p *Portal) challenge(w http.ResponseWriter, _ *http.Request, _ *session) error {
	n, err := p.proofs.give(p.Now())
	if err != nil {
		return err
	}
	return answer(w, Challenge{n[:]})
}

// signInDigest is what a key signs to open a session:
//
//	SHA-256("salus/portal/v1" 00 ‖ len(chain) in 8 bytes ‖ chain ‖ len(origin) in 8 bytes ‖ origin ‖ account ‖ nonce)
//
// The account is zero where the wallet does not know it before its passkey answers. The wallet
// computes the digest itself: so no portal can have a transaction signed in the name of a
// sign-in, whose digest begins otherwise, nor use the signature at another origin.
func signInDigest(chain, origin string, account tx.Account, nonce [32]byte) tx.Hash {
	h := sha256.New()
	h.Write([]byte("salus/portal/v1\x00"))
	for _, s := range []string{chain, origin} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		h.Write([]byte(s))
	}
	h.Write(account[:])
	h.Write(nonce[:])
	return tx.Hash(h.Sum(nil))
}

// Proof is a signature over a challenge. A passkey's assertion is as the browser gave it: the
// signature in DER, all in base64url without padding. An Ed25519 key signs with 64 bytes and
// leaves the other two out.
type Proof struct {
	Nonce             []byte `json:"nonce"`
	AuthenticatorData string `json:"authenticatorData,omitempty"`
	ClientDataJSON    string `json:"clientDataJSON,omitempty"`
	Signature         string `json:"signature"`
}

// signature checks lengths and makes the ledger's form. Errors: errArgument.
func (f *Proof) signature() (s tx.Signature, nonce [32]byte, err error) {
	raw := make([][]byte, 3)
	for i, text := range []string{f.AuthenticatorData, f.ClientDataJSON, f.Signature} {
		if raw[i], err = base64.RawURLEncoding.DecodeString(text); err != nil {
			return s, nonce, errArgument
		}
	}
	if len(f.Nonce) != len(nonce) {
		return s, nonce, errArgument
	}
	copy(nonce[:], f.Nonce)
	if len(raw[0]) == 0 && len(raw[1]) == 0 {
		return tx.Signature{Alg: tx.AlgEd25519, Sig: raw[2]}, nonce, nil
	}
	sig, err := passkey.Normalise(raw[2])
	if err != nil {
		return s, nonce, errArgument
	}
	return tx.Signature{Alg: tx.AlgPasskeyES256, Sig: sig[:], AuthData: raw[0], ClientData: raw[1]}, nonce, nil
}

// verifies reports whether a key made the proof for an account.
func (p *Portal) verifies(key tx.PublicKey, account tx.Account, nonce [32]byte, s tx.Signature) bool {
	if key.Alg != s.Alg {
		return false
	}
	s.Account, s.Key = account, key.ID()
	if s.Validate() != nil {
		return false
	}
	policy := tx.PasskeyPolicy{Origins: []string{p.Origin}, RequireUV: true}
	for _, named := range []tx.Account{account, {}} {
		if key.Verify(signInDigest(p.Chain, p.Origin, named, nonce), &s, policy) == nil {
			return true
		}
		if s.Alg == tx.AlgEd25519 {
			break // whoever holds such a key knows its account
		}
	}
	return false
}

// SignIn is the body of POST /api/sign-in.
type SignIn struct {
	Account tx.Account `json:"account"`
	Proof   Proof      `json:"proof"`
}

// signIn opens a session for who signs with a live key of an account. Whether the account exists
// cannot be told from the answer.
func (p *Portal) signIn(w http.ResponseWriter, r *http.Request, _ *session) error {
	var in SignIn
	if err := body(r, &in); err != nil {
		return err
	}
	s, nonce, err := in.Proof.signature()
	if err != nil {
		return err
	}
	if !p.proofs.take(nonce, p.Now()) {
		return errProof
	}
	who, ok := p.Ledger.Standing(in.Account)
	if !ok || who.Class != ledger.ClassPatient {
		return errProof
	}
	height := uint64(p.Ledger.Head().Height) + 1 // keys live from the block after the one that named them
	for _, k := range who.Keys {
		if k.LiveAt(height) && p.verifies(k.Public, in.Account, nonce, s) {
			return p.enter(w, r, session{account: in.Account, role: patient})
		}
	}
	return errProof
}

// enter ends the browser's former session and begins another.
func (p *Portal) enter(w http.ResponseWriter, r *http.Request, s session) error {
	if err := p.swap(w, r, &s); err != nil {
		return err
	}
	return answer(w, SessionInfo{s.role.String(), s.account, s.name, "", int(p.Idle / time.Second), p.Now().Add(p.Absolute).UTC().Truncate(time.Second)})
}
