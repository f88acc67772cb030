package portal

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/gateway/smart"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// Declare is the body of POST /api/emergency/challenge: what a practitioner is about to declare.
type Declare struct {
	// Step is "declare", or "widen" for the second, explicit step, which has neither reason nor seconds.
	Step    string `json:"step"`
	Patient string `json:"patient"` // as this organisation refers to her: "Patient/<id>"
	Reason  string `json:"reason"`  // a code of HL7 v3 ActReason
	Seconds uint64 `json:"seconds"`
}

// A declaration is what a challenge was given for.
type declaration struct {
	Declare

	patient tx.Account
	time    uint64 // unix seconds
}

// DeclareChallenge is the answer. The page shows what is declared and computes the digest from it, so that
// what the passkey signs is that and nothing else.
type DeclareChallenge struct {
	Nonce   []byte     `json:"nonce"`
	Patient tx.Account `json:"patient"` // her pseudonym
	Time    uint64     `json:"time"`    // unix seconds
}

// what is the declaration as staffDigest takes it:
//
//	"emergency <step> <pseudonym> <SHA-256 of the reason, hex> <seconds> <time>"
func (d *declaration) what() string {
	return fmt.Sprintf("emergency %s %s %x %d %d", d.Step, d.patient, sha256.Sum256([]byte(d.Reason)), d.Seconds, d.time)
}

// confirmed is the declaration as the FHIR server compares it with what is then declared.
func (d *declaration) confirmed() string {
	if d.Step == stepWiden {
		return chart.Confirmed(d.Patient, "", 0)
	}
	return chart.Confirmed(d.Patient, d.Reason, d.Seconds)
}

const (
	stepDeclare = "declare"
	stepWiden   = "widen"
)

// Emergency is the answer of GET /api/emergency: how she who asks declares one.
type Emergency struct {
	May     bool `json:"may"`     // the ledger lets her
	Passkey bool `json:"passkey"` // she confirms with one; else she signs in anew for the purpose
	Age     int  `json:"age"`     // seconds that a step-up may be old
}

func (p *Portal) emergencyHow(w http.ResponseWriter, _ *http.Request, s *session) error {
	out := Emergency{May: p.Desk != nil && p.Passkeys != nil && p.has(s, identity.PrivEmergency), Age: int(p.StepUp / time.Second)}
	if out.May {
		list, err := p.Passkeys.Of(s.name)
		if err != nil {
			return err
		}
		out.Passkey = len(list) > 0
	}
	return answer(w, out)
}

// emergencyChallenge gives a challenge for one declaration of who is signed in.
func (p *Portal) emergencyChallenge(w http.ResponseWriter, r *http.Request, s *session) error {
	if p.Desk == nil || p.Passkeys == nil {
		return errUnknown
	}
	var in Declare
	if err := body(r, &in); err != nil {
		return err
	}
	switch in.Step {
	case stepDeclare:
		if _, err := emergency.ParseReason(in.Reason); err != nil || in.Seconds == 0 || in.Seconds > 1<<31 {
			return errArgument
		}
	case stepWiden:
		if in.Reason != "" || in.Seconds != 0 {
			return errArgument
		}
	default:
		return errArgument
	}
	if !p.has(s, identity.PrivEmergency) {
		return errRole
	}
	patient, ok := p.Desk.Pseudonym(in.Patient)
	if !ok {
		return errUnknown
	}
	if list, err := p.Passkeys.Of(s.name); err != nil {
		return err
	} else if len(list) == 0 {
		return errNoPasskey
	}
	now := p.Now()
	d := &declaration{in, patient, uint64(max(0, now.Unix()))}
	n, err := p.asked.give(asked{what: d.what(), account: s.account, declare: d, ends: now.Add(min(challengeLife, p.StepUp))}, now)
	if err != nil {
		return err
	}
	return answer(w, DeclareChallenge{n, patient, d.time})
}

// Confirm is the body of POST /api/emergency: the passkey's answer to a declaration's challenge.
type Confirm struct {
	ID    string `json:"id"`
	Proof Proof  `json:"proof"`
}

// Declared is the answer: the session of the purpose BTG that goes on from here, and what the FHIR server said.
type Declared struct {
	SessionInfo
	Outcome json.RawMessage `json:"outcome"`
}

// emergencyDeclare declares what was confirmed, over FHIR as any app does, with a token for it alone. Only
// if the ledger took it does the browser's session become one for the purpose BTG.
func (p *Portal) emergencyDeclare(w http.ResponseWriter, r *http.Request, s *session) error {
	if p.Staff == nil || p.Desk == nil || p.Passkeys == nil {
		return errUnknown
	}
	var in Confirm
	if err := body(r, &in); err != nil {
		return err
	}
	one, d, err := p.assertion(r, in.ID, &in.Proof, s.account, "")
	if err != nil {
		return err
	}
	next, err := p.passkeySession(r, one, smart.Admission{Purpose: consent.BTG.String(), SignedIn: p.Now(), Declared: d.confirmed()})
	if err != nil {
		p.noteRefused(r, one.User, err)
		return err
	}
	if err := p.note(r, balp.Event{Kind: balp.Login, Outcome: balp.Success, User: practitioner(one.User), Purposes: purposesOf(consent.BTG.String())}); err != nil {
		p.giveBack(next.bearer)
		return err
	}
	got, err := p.operation(r, next.bearer.token, d)
	if err != nil {
		p.giveBack(next.bearer)
		return err
	}
	next.ends = s.ends // it goes on from the sign-in
	if err := p.swap(w, r, next); err != nil {
		return err
	}
	return answer(w, Declared{p.info(next), got})
}

// operation calls the FHIR server's operation of a declaration. Errors: what it answered, as a Problem.
func (p *Portal) operation(r *http.Request, token string, d *declaration) (json.RawMessage, error) {
	type parameter struct {
		Name      string            `json:"name"`
		Reference map[string]string `json:"valueReference,omitempty"`
		Code      string            `json:"valueCode,omitempty"`
		Seconds   uint64            `json:"valuePositiveInt,omitempty"`
	}
	name, list := "$break-glass-widen", []parameter{{Name: "patient", Reference: map[string]string{"reference": d.Patient}}}
	if d.Step == stepDeclare {
		name = "$break-glass"
		list = append(list, parameter{Name: "reason", Code: d.Reason}, parameter{Name: "seconds", Seconds: d.Seconds})
	}
	b, err := json.Marshal(map[string]any{"resourceType": "Parameters", "parameter": list})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "/fhir/Patient/"+name, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	req.RemoteAddr, req.Host = r.RemoteAddr, r.Host
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/fhir+json"}, "Accept": {"application/fhir+json"}}
	var got reply
	p.Staff.FHIR().ServeHTTP(&got, req)
	if got.status == 0 || got.status/100 == 2 {
		return got.body.Bytes(), nil
	}
	return nil, outcomeOf(got.status, got.body.Bytes())
}

// outcomeOf is an OperationOutcome as this API tells errors.
func outcomeOf(status int, body []byte) error {
	var o struct {
		Issue []struct {
			Code    string `json:"code"`
			Details struct {
				Text   string `json:"text"`
				Coding []struct {
					Code string `json:"code"`
				} `json:"coding"`
			} `json:"details"`
			Diagnostics string `json:"diagnostics"`
		} `json:"issue"`
	}
	if json.Unmarshal(body, &o) != nil || len(o.Issue) == 0 || status >= http.StatusInternalServerError {
		return errInternal
	}
	i := o.Issue[0]
	out := &Problem{i.Code, i.Details.Text, status}
	if len(i.Details.Coding) > 0 {
		out.Code = i.Details.Coding[0].Code
	}
	if out.Text == "" {
		out.Text = i.Diagnostics
	}
	if status == http.StatusUnauthorized {
		out.Status = http.StatusForbidden // the portal's session goes on
	}
	return out
}
