package portal

import (
	"context"
	"net/http"
	"slices"

	"salus/client"
	"salus/ledger"
	"salus/ledger/module/emergency"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// RecoverStart is the body of POST /api/recover: whoever lost all her keys shows the key of a new
// device, which is none of the account yet. Who comes back leaves the key out: it stands in the case.
type RecoverStart struct {
	Account tx.Account    `json:"account"`
	Key     *tx.PublicKey `json:"key,omitempty"`
	Proof   Proof         `json:"proof"`
}

// Recovering is the answer of GET /api/recover: how the case stands that asks for this session's key.
type Recovering struct {
	// State is "none" as long as nobody asked for the key, "live" once it is a key of the account, and
	// else the status of the case.
	State     string  `json:"state"`
	Case      tx.Hash `json:"case"`
	Approvals int     `json:"approvals"`
	Needed    int     `json:"needed"`
	From      uint64  `json:"from"`  // end of the time lock, unix seconds; 0 while it gathers
	Until     uint64  `json:"until"` // it lapses from then on
	Now       uint64  `json:"now"`   // block time
}

// recoverStart opens a session for the holder of a key: it tells nothing but of cases that ask for that
// very key, and whether the account exists cannot be told from the answer.
func (p *Portal) recoverStart(w http.ResponseWriter, r *http.Request, _ *session) error {
	var in RecoverStart
	if err := body(r, &in); err != nil {
		return err
	}
	s, nonce, err := in.Proof.signature()
	if err != nil {
		return err
	}
	if in.Account == (tx.Account{}) {
		return errArgument
	}
	var keys []tx.PublicKey
	if k := in.Key; k != nil {
		if k.Alg != tx.AlgPasskeyES256 || k.Validate() != nil || string(k.RPIDHash) != string(p.rpHash[:]) {
			return errArgument
		}
		keys = []tx.PublicKey{*k}
	} else {
		cases, err := p.casesOf(in.Account)
		if err != nil {
			return err
		}
		for _, k := range cases {
			keys = append(keys, k.Terms.Keys...)
		}
	}
	if !p.proofs.take(nonce, p.Now()) {
		return errProof
	}
	for _, k := range keys {
		if p.verifies(k, in.Account, nonce, s) {
			return p.enter(w, r, session{account: in.Account, role: newcomer, key: k.ID()})
		}
	}
	return errProof
}

// casesOf lists the cases of a patient that run, and her last one.
func (p *Portal) casesOf(patient tx.Account) ([]recovery.Case, error) {
	at, err := p.patientStatus(patient)
	if err != nil || at.Last == (tx.Hash{}) {
		return at.Running, err
	}
	var k recovery.Case
	err = p.askLedger("recovery/case", recovery.ByCase{Case: at.Last}, &k)
	return append(at.Running, k), err
}

func (p *Portal) recoverStatus(w http.ResponseWriter, _ *http.Request, s *session) error {
	out, err := p.recovering(s)
	if err != nil {
		return err
	}
	return answer(w, out)
}

// recovering finds the case that asks for the session's key.
func (p *Portal) recovering(s *session) (Recovering, error) {
	head := p.Ledger.Head()
	out := Recovering{State: "none", Now: head.Time}
	if who, ok := p.Ledger.Standing(s.account); ok && who.Class == ledger.ClassPatient {
		for _, k := range who.Keys {
			if k.Public.ID() == s.key && k.LiveAt(uint64(head.Height)+1) {
				out.State = "live"
				return out, nil
			}
		}
	}
	all, err := p.casesOf(s.account)
	if err != nil {
		return out, err
	}
	for _, k := range all {
		if k.Terms.Kind != recovery.Keys || !slices.ContainsFunc(k.Terms.Keys, func(key tx.PublicKey) bool { return key.ID() == s.key }) {
			continue
		}
		out.State, out.Case, out.Approvals, out.Needed, out.From, out.Until = k.Status.String(), k.ID, len(k.Approvals), int(k.Needed), k.From, k.Until
		break
	}
	return out, nil
}

func (p *Portal) patientStatus(patient tx.Account) (s recovery.PatientStatus, err error) {
	return s, p.askLedger("recovery/patient", recovery.ByAccount{Account: patient}, &s)
}

// askLedger asks a query of a module and decodes its answer.
func (p *Portal) askLedger(path string, arg, out any) error {
	q, err := tx.Encode(arg)
	if err != nil {
		return err
	}
	b, err := p.Ledger.Ask(path, q)
	if err != nil {
		return err
	}
	return tx.DecodeAny(b, out, len(b))
}

// recoverFinish has this organisation carry out the case that asks for the session's key: the ledger
// lets anybody do that after the time lock, and the key signs nothing before it.
func (p *Portal) recoverFinish(w http.ResponseWriter, r *http.Request, s *session) error {
	if p.Finish == nil {
		return errUnknown
	}
	k, err := p.recovering(s)
	if err != nil {
		return err
	}
	if k.Case == (tx.Hash{}) {
		return errUnknown
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTime)
	defer cancel()
	if _, err := p.Finish(ctx, &recovery.Finish{Case: k.Case}); err != nil {
		return err
	}
	return p.recoverStatus(w, r, s)
}

// GuardianOf is the body of POST /api/guardian: what a guardian's card says. Key is the id of the
// card's own key; without it the session's account is the guardian.
type GuardianOf struct {
	Patient tx.Account `json:"patient"`
	Salt    tx.Hash    `json:"salt"`
	Key     *tx.KeyID  `json:"key,omitempty"`
}

// guardian tells a guardian, who shows that she is one, how the recoveries of her patient stand:
// recovery.PatientStatus, canonical CBOR. For anybody else there is no such patient.
func (p *Portal) guardian(w http.ResponseWriter, r *http.Request, s *session) error {
	var in GuardianOf
	if err := body(r, &in); err != nil {
		return err
	}
	c := recovery.CommitAccount(in.Salt, in.Patient, s.account)
	if in.Key != nil {
		c = recovery.CommitKey(in.Salt, in.Patient, *in.Key)
	}
	at, err := p.patientStatus(in.Patient)
	if err != nil {
		return err
	}
	if !slices.Contains(at.Guardians.Commitments, c) {
		return errUnknown
	}
	return encoded(w, at)
}

// ownCase answers a case of a module to the patient whom it is about; of another's it is not said that
// it exists.
func (p *Portal) ownCase(w http.ResponseWriter, path string, arg []byte, patient func(answer []byte) (tx.Account, error), s *session) error {
	out, err := p.Ledger.Ask(path, arg)
	if err != nil {
		return errUnknown
	}
	if of, err := patient(out); err != nil || of != s.account {
		return errUnknown
	}
	return cbor(w, out)
}

// ownFlags tells the patient why an emergency about her is looked at sooner: emergency.Flagged, canonical CBOR.
func (p *Portal) ownFlags(w http.ResponseWriter, arg []byte, s *session) error {
	var q emergency.ByCase
	if tx.Decode(arg, &q) != nil {
		return errArgument
	}
	var k emergency.Case
	if err := p.askLedger("emergency/case", q, &k); err != nil || k.Patient != s.account {
		return errUnknown
	}
	var f emergency.Flagged
	if err := p.askLedger("emergency/flags", q, &f); err != nil {
		return err
	}
	return encoded(w, f)
}

// A Finisher carries a recovery out, as this organisation.
type Finisher func(ctx context.Context, m *recovery.Finish) (client.Committed, error)
