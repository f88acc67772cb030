package portal

import (
	"context"
	"net/http"
	"slices"

	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/module/recovery"
	"salus/ledger/tx"
)

// A Mandate gives the masks of somebody who may see everything of a patient but her order of kinds
// itself. Errors: the patient is not stewarded here.
type Mandate func(patient tx.Account) (mask, except uint64, err error)

// CaseOf is the body of POST /api/duties/case: what two members of staff record with papers that they
// saw. Executor and NotAfter are of an executor alone.
type CaseOf struct {
	Patient  tx.Account    `json:"patient"`
	Kind     recovery.Kind `json:"kind"` // "death", "life" or "executor"
	Document tx.Hash       `json:"document"`
	Executor *tx.Account   `json:"executor,omitempty"`
	NotAfter uint64        `json:"notAfter"` // unix seconds; 0: open
}

// dutyCase opens a case about a death. Who does that has just signed in.
// Errors: errRole, errStale, errArgument, the ledger's refusals.
func (p *Portal) dutyCase(w http.ResponseWriter, r *http.Request, s *session) error {
	var in CaseOf
	if err := body(r, &in); err != nil {
		return err
	}
	if err := p.reproofs(s); err != nil {
		return err
	}
	if in.Kind == recovery.Keys || (in.Kind == recovery.Executor) != (in.Executor != nil) {
		return errArgument // keys need the key of a device: dutyReproof
	}
	at, err := p.patientStatus(in.Patient)
	if err != nil {
		return err
	}
	t := recovery.Terms{Patient: in.Patient, Number: at.Number + 1, Kind: in.Kind, Document: in.Document}
	if in.Executor != nil {
		if p.Mandate == nil {
			return errUnknown
		}
		m := consent.Mandate{Account: *in.Executor, Purposes: consent.PurposesOf(consent.PWATRNY), NotAfter: in.NotAfter}
		if m.Mask, m.Except, err = p.Mandate(in.Patient); err != nil {
			return err
		}
		t.Executor = &m
	}
	return p.signAs(w, r, s, recovery.KindRequest, &recovery.Request{Terms: t})
}

// dutyFinish has this organisation carry out a case of its staff; the ledger says whether the time lock is over.
func (p *Portal) dutyFinish(w http.ResponseWriter, r *http.Request, s *session) error {
	var m recovery.Finish
	if err := body(r, &m); err != nil {
		return err
	}
	if !p.has(s, identity.PrivReproof) {
		return errRole
	}
	if p.Finish == nil {
		return errUnknown
	}
	var k recovery.Case
	if err := p.askLedger("recovery/case", recovery.ByCase(m), &k); err != nil || k.Member != p.Self {
		return errUnknown
	}
	ctx, cancel := context.WithTimeout(r.Context(), commitTime)
	defer cancel()
	got, err := p.Finish(ctx, &m)
	if err != nil {
		return err
	}
	return answer(w, map[string]int64{"height": got.Height})
}

// Acting is the answer of GET /api/acting/{account}: what the session's account may do in that patient's place.
type Acting struct {
	// State is "none" for whoever is not named, and for accounts that do not exist; "gathering" or "waiting"
	// while she is to become executor; "acting" from then on, and for any proxy that holds.
	State    string            `json:"state"`
	Case     tx.Hash           `json:"case"`  // while she is to become executor
	From     uint64            `json:"from"`  // end of the time lock, unix seconds; 0 while it gathers
	Until    uint64            `json:"until"` // "acting": it ends then, 0 for open; else it lapses from then on
	Now      uint64            `json:"now"`   // block time
	Executor bool              `json:"executor"`
	Purposes []consent.Purpose `json:"purposes"` // HL7 codes, those of a personal request
}

// acting tells somebody what she may do for another patient. Nothing is told to anybody who is not named.
func (p *Portal) acting(w http.ResponseWriter, r *http.Request, s *session) error {
	patient, err := tx.ParseAccount(r.PathValue("account"))
	if err != nil {
		return errArgument
	}
	out := Acting{State: "none", Now: p.Ledger.Head().Time, Purposes: []consent.Purpose{}}
	at, err := p.patientStatus(patient)
	if err != nil {
		return err
	}
	var all consent.Consents
	if err := p.askLedger("consent/grants", consent.ByPatient{Patient: patient}, &all); err != nil {
		return err
	}
	i := slices.IndexFunc(all.Proxies, func(x consent.StandingProxy) bool { return x.Proxy.Account == s.account })
	if i >= 0 && (at.Deceased == 0 || at.Executor == s.account) {
		x := all.Proxies[i].Proxy
		if out.Now >= x.NotBefore && (x.NotAfter == 0 || out.Now < x.NotAfter) {
			out.State, out.Until, out.Executor = "acting", x.NotAfter, at.Deceased != 0
			for b := consent.Purpose(1); b.Known(); b++ {
				if b.Personal() && consent.Covers(x.Purposes, b) {
					out.Purposes = append(out.Purposes, b)
				}
			}
			return answer(w, out)
		}
	}
	for _, k := range at.Running {
		if x := k.Terms.Executor; x != nil && x.Account == s.account {
			out.State, out.Case, out.From, out.Until, out.Executor = k.Status.String(), k.ID, k.From, k.Until, true
		}
	}
	return answer(w, out)
}
