package portal

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"salus/gateway/balp"
	"salus/gateway/smart"
	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// What a staff challenge was given for.
const (
	forSignIn   = "sign-in"
	forRegister = "register"
)

// An asked is a challenge of staff that was given out: what for, to whom, until when.
type asked struct {
	what    string     // as staffDigest takes it
	account tx.Account // of the session that asked; zero before the sign-in
	declare *declaration
	ends    time.Time
}

// staffAsked are those not used yet. A challenge serves once.
type staffAsked struct {
	mu   sync.Mutex
	open map[[32]byte]asked
}

func (c *staffAsked) give(a asked, now time.Time) ([]byte, error) {
	nonce := draw32()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[[32]byte]asked{}
	}
	for k, one := range c.open {
		if !now.Before(one.ends) {
			delete(c.open, k)
		}
	}
	if len(c.open) >= maxChallenges {
		return nil, errFull
	}
	c.open[nonce] = a
	return nonce[:], nil
}

// take ends a challenge; ok says that it was open for that account. A wrong try uses it up.
func (c *staffAsked) take(nonce [32]byte, account tx.Account, now time.Time) (a asked, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok = c.open[nonce]
	delete(c.open, nonce)
	return a, ok && now.Before(a.ends) && a.account == account
}

// StaffSignIn is the body of POST /api/staff/sign-in: which passkey, what it signed, and what for she reads.
type StaffSignIn struct {
	ID      string `json:"id"` // of the credential, base64url
	Purpose string `json:"purpose"`
	Proof   Proof  `json:"proof"`
}

func (p *Portal) staffChallenge(w http.ResponseWriter, _ *http.Request, _ *session) error {
	if p.Staff == nil || p.Passkeys == nil {
		return errUnknown
	}
	now := p.Now()
	n, err := p.asked.give(asked{what: forSignIn, ends: now.Add(challengeLife)}, now)
	if err != nil {
		return err
	}
	return answer(w, Challenge{n})
}

// staffSignIn opens a session for who signs with a passkey that she registered here. Whether a credential
// is known cannot be told from the answer.
func (p *Portal) staffSignIn(w http.ResponseWriter, r *http.Request, _ *session) error {
	if p.Staff == nil || p.Passkeys == nil {
		return errUnknown
	}
	var in StaffSignIn
	if err := body(r, &in); err != nil {
		return err
	}
	if code, err := consent.ParsePurpose(in.Purpose); err != nil || code.Emergency() {
		return errArgument // an emergency is declared: stepup.go
	}
	one, _, err := p.assertion(r, in.ID, &in.Proof, tx.Account{}, forSignIn)
	if err != nil {
		return err
	}
	now := p.Now()
	s, err := p.passkeySession(r, one, smart.Admission{Purpose: in.Purpose, SignedIn: now})
	if err != nil {
		p.noteRefused(r, one.User, err)
		return err
	}
	s.ends = now.Add(min(p.Staff.OAuth().Session, p.Absolute))
	if err := p.note(r, balp.Event{Kind: balp.Login, Outcome: balp.Success, User: practitioner(one.User), Purposes: purposesOf(in.Purpose)}); err != nil {
		p.giveBack(s.bearer)
		return err
	}
	if err := p.swap(w, r, s); err != nil {
		return err
	}
	return answer(w, p.info(s))
}

// assertion verifies what a passkey of staff signed over a challenge, and takes its counter on. mine is the
// account of the session that asked for the challenge, zero before the sign-in; what is what for, "" for a
// declaration, which the challenge then has. Errors: errArgument, errProof.
func (p *Portal) assertion(r *http.Request, id string, proof *Proof, mine tx.Account, what string) (*smart.Passkey, *declaration, error) {
	sig, nonce, err := proof.signature()
	if err != nil {
		return nil, nil, err
	}
	raw, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(raw) < minID || len(raw) > maxID || sig.Alg != tx.AlgPasskeyES256 {
		return nil, nil, errArgument
	}
	a, ok := p.asked.take(nonce, mine, p.Now())
	one, err := p.Passkeys.Find(raw)
	if err != nil && !errors.Is(err, smart.ErrNoPasskey) {
		return nil, nil, err
	}
	user, why := "", ""
	switch {
	case one == nil:
		why = "passkey-unknown"
	case !ok || (what == "") != (a.declare != nil) || what != "" && what != a.what:
		user, why = one.User, "passkey-challenge"
	case mine != (tx.Account{}) && one.Account != mine:
		user, why = one.User, "passkey-other"
	default:
		user = one.User
		sig.Account, sig.Key = one.Account, one.Key.ID()
		policy := tx.PasskeyPolicy{Origins: []string{p.Origin}, RequireUV: true}
		if sig.Validate() != nil || one.Key.Verify(staffDigest(p.Chain, p.Origin, a.what, nonce), &sig, policy) != nil {
			why = "passkey-signature"
			break
		}
		switch err := p.Passkeys.Use(raw, binary.BigEndian.Uint32(sig.AuthData[33:37])); {
		case errors.Is(err, smart.ErrPasskeyCount):
			why = "passkey-count"
		case errors.Is(err, smart.ErrNoPasskey):
			why = "passkey-unknown"
		case err != nil:
			return nil, nil, err
		}
	}
	if why != "" {
		p.refused(r, user, why)
		return nil, nil, errProof
	}
	return one, a.declare, nil
}

// passkeySession gets tokens for who signed with a passkey, and says who she is. Errors: errRole.
func (p *Portal) passkeySession(r *http.Request, one *smart.Passkey, a smart.Admission) (*session, error) {
	// Asked before there is a token: who may not act any more, or is another's, or has another key by now.
	account, ok := p.Staff.Account(one.User)
	who, stands := p.Ledger.Standing(account)
	if !ok || account != one.Account || !stands || who.Class != ledger.ClassPractitioner || who.Member != p.Self {
		return nil, errRole
	}
	user, ok := p.Staff.Person(one.User)
	if !ok {
		return nil, errRole
	}
	verifier := drawn()
	a.User, a.Client, a.Redirect, a.Scope, a.Challenge = user, appID, p.Origin+backPath, appScopes, challengeOf(verifier)
	code, err := p.Staff.OAuth().Admit(&a)
	if err != nil {
		p.Log.WarnContext(r.Context(), "passkey_not_admitted", "err", err)
		return nil, errRole
	}
	b, err := p.redeem(r, code, verifier)
	if err != nil {
		return nil, err
	}
	s, err := p.staffSession(r, b)
	if err != nil {
		p.giveBack(b)
		return nil, err
	}
	s.credential = string(one.ID)
	return s, nil
}

// practitioner is one of the staff as the journal names her.
func practitioner(name string) balp.Who {
	if name == "" {
		return balp.Who{}
	}
	return balp.Who{Reference: "Practitioner/" + name, Display: name}
}

func purposesOf(code string) consent.Purposes {
	p, err := consent.ParsePurpose(code)
	if err != nil {
		return 0
	}
	return consent.PurposesOf(p)
}

// note puts into the organisation's journal what staff did; nil says that it is on disk.
func (p *Portal) note(r *http.Request, e balp.Event) error {
	if p.Note == nil {
		return nil
	}
	e.Time, e.Client = p.Now(), balp.Who{Display: "Salus portal", Address: place(r)}
	if e.Query == "" {
		e.Query = r.Method + " " + r.URL.Path
	}
	return p.Note(context.WithoutCancel(r.Context()), e)
}

// refused notes a passkey that was not taken. The answer is the same if the journal cannot be written.
func (p *Portal) refused(r *http.Request, user, why string) {
	err := p.note(r, balp.Event{Kind: balp.Login, Outcome: balp.Serious, Reason: why, User: practitioner(user)})
	if err != nil {
		p.Log.ErrorContext(r.Context(), "refusal_not_noted", "err", err)
	}
}

func (p *Portal) noteRefused(r *http.Request, user string, err error) {
	p.refused(r, user, "passkey-"+p.problemOf(r.Context(), err).Code)
}

// StaffPasskey is a passkey as its owner and administrators see it.
type StaffPasskey struct {
	ID    string    `json:"id"` // of the credential, base64url
	Label string    `json:"label"`
	Made  time.Time `json:"made"`
	Used  time.Time `json:"used,omitzero"`
}

// StaffPasskeys is the answer of GET /api/staff/passkeys and GET /api/admin/passkeys/{name}.
type StaffPasskeys struct {
	Handle string         `json:"handle"` // the user handle of her passkeys, base64url
	Fresh  bool           `json:"fresh"`  // she signed in just now, and may change them
	Keys   []StaffPasskey `json:"keys"`
}

// handleOf is the user handle of a practitioner's passkeys. A patient's is her account of 16 bytes: neither
// signs in as the other, and one does not take the other's place on a device.
func handleOf(account tx.Account) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{1}, account[:]...))
}

func (p *Portal) sendPasskeys(w http.ResponseWriter, name string, account tx.Account, fresh bool) error {
	list, err := p.Passkeys.Of(name)
	if err != nil {
		return err
	}
	out := StaffPasskeys{Handle: handleOf(account), Fresh: fresh, Keys: []StaffPasskey{}}
	for _, k := range list {
		line := StaffPasskey{ID: base64.RawURLEncoding.EncodeToString(k.ID), Label: k.Label, Made: time.Unix(k.Made, 0).UTC()}
		if k.Used != 0 {
			line.Used = time.Unix(k.Used, 0).UTC()
		}
		out.Keys = append(out.Keys, line)
	}
	return answer(w, out)
}

func (p *Portal) passkeys(w http.ResponseWriter, _ *http.Request, s *session) error {
	if p.Passkeys == nil {
		return errUnknown
	}
	return p.sendPasskeys(w, s.name, s.account, p.fresh(s))
}

// passkeyChallenge is what a new passkey is made over.
func (p *Portal) passkeyChallenge(w http.ResponseWriter, _ *http.Request, s *session) error {
	if p.Passkeys == nil {
		return errUnknown
	}
	if !p.fresh(s) {
		return errStale
	}
	now := p.Now()
	n, err := p.asked.give(asked{what: forRegister, account: s.account, ends: now.Add(challengeLife)}, now)
	if err != nil {
		return err
	}
	return answer(w, Challenge{n})
}

// NewPasskey is the body of POST /api/staff/passkeys: what navigator.credentials.create gave, in base64url.
type NewPasskey struct {
	Label             string `json:"label"`
	Nonce             []byte `json:"nonce"`
	AuthenticatorData string `json:"authenticatorData"`
	ClientDataJSON    string `json:"clientDataJSON"`
}

const maxLabel = 60 // characters

// registerPasskey takes a new passkey of who has just signed in: a desk that somebody left is not enough to
// come in as her for ever.
func (p *Portal) registerPasskey(w http.ResponseWriter, r *http.Request, s *session) error {
	if p.Passkeys == nil {
		return errUnknown
	}
	var in NewPasskey
	if err := body(r, &in); err != nil {
		return err
	}
	auth, aerr := base64.RawURLEncoding.DecodeString(in.AuthenticatorData)
	client, cerr := base64.RawURLEncoding.DecodeString(in.ClientDataJSON)
	label := strings.TrimSpace(in.Label)
	if aerr != nil || cerr != nil || len(in.Nonce) != 32 || label == "" || utf8.RuneCountInString(label) > maxLabel || strings.ContainsFunc(label, unicode.IsControl) {
		return errArgument
	}
	if !p.fresh(s) {
		return errStale
	}
	nonce := [32]byte(in.Nonce)
	if a, ok := p.asked.take(nonce, s.account, p.Now()); !ok || a.what != forRegister {
		return errProof
	}
	made, err := decodeAttested(auth)
	if err != nil {
		return err
	}
	key, err := made.sound(p.rpHash)
	if err != nil {
		return err
	}
	if !created(client, staffDigest(p.Chain, p.Origin, forRegister, nonce), p.Origin) {
		return errProof
	}
	// Noted first: what is in the journal and then failed is seen, what is not in it never is.
	if err := p.note(r, balp.Event{Kind: balp.Keys, Outcome: balp.Success, User: practitioner(s.name)}); err != nil {
		return err
	}
	err = p.Passkeys.Add(smart.Passkey{ID: made.id, User: s.name, Account: s.account, Key: key, Count: made.count, Label: label})
	switch {
	case errors.Is(err, smart.ErrPasskeyTaken), errors.Is(err, smart.ErrPasskeys):
		return errPasskeys
	case err != nil:
		return err
	}
	return p.sendPasskeys(w, s.name, s.account, true)
}

// removePasskey is her own.
func (p *Portal) removePasskey(w http.ResponseWriter, r *http.Request, s *session) error {
	if p.Passkeys == nil {
		return errUnknown
	}
	if !p.fresh(s) {
		return errStale
	}
	return p.takePasskey(w, r, s, s.name)
}

// takePasskey removes a passkey, and ends the sessions that were begun with it, but the one that asks.
func (p *Portal) takePasskey(w http.ResponseWriter, r *http.Request, s *session, name string) error {
	id, err := base64.RawURLEncoding.DecodeString(r.PathValue("key"))
	if err != nil {
		return errArgument
	}
	if one, err := p.Passkeys.Find(id); errors.Is(err, smart.ErrNoPasskey) || err == nil && one.User != name {
		return errUnknown
	} else if err != nil {
		return err
	}
	if err := p.note(r, balp.Event{Kind: balp.Keys, Outcome: balp.Success, User: practitioner(s.name)}); err != nil {
		return err
	}
	err = p.Passkeys.Drop(name, id)
	if errors.Is(err, smart.ErrNoPasskey) {
		return errUnknown
	}
	if err != nil {
		return err
	}
	p.endAll(func(other *session, _ time.Time) bool { return other != s && other.credential == string(id) })
	w.WriteHeader(http.StatusNoContent)
	return nil
}
