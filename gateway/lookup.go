package gateway

import (
	"net/http"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// An Identifier is record.Identifier on the wire.
type Identifier struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value,omitempty"`
	Family string `json:"family,omitempty"`
	Given  string `json:"given,omitempty"`
	Born   string `json:"born,omitempty"` // YYYY-MM-DD
	Sex    string `json:"sex,omitempty"`  // FHIR administrative gender
}

// FindPatient is the body of POST /v1/lookups.
type FindPatient struct {
	As          string          `json:"as"` // name of the practitioner's or device's key
	Purpose     consent.Purpose `json:"purpose"`
	Identifiers []Identifier    `json:"identifiers"` // 1 to 4; each costs one entry on the ledger
}

// EnrolIdentifier is the body of POST /v1/patients/{patient}/identifiers.
type EnrolIdentifier struct {
	Identifier Identifier `json:"identifier"`
}

// EnrolledIdentifier is the answer: the entry by which the identifier is forgotten again.
type EnrolledIdentifier struct {
	Entry tx.Hash `json:"entry"`
}

func (i Identifier) record() record.Identifier {
	return record.Identifier{System: i.System, Value: i.Value, Family: i.Family, Given: i.Given, Born: i.Born, Sex: i.Sex}
}

// findPatient looks identifiers up in the network; nobody found is an empty list.
func (g *Gateway) findPatient(w http.ResponseWriter, r *http.Request) error {
	var in FindPatient
	if err := body(r, &in); err != nil {
		return err
	}
	by, err := g.Staff.Signer(in.As)
	if err != nil {
		return err
	}
	ids := make([]record.Identifier, len(in.Identifiers))
	for i := range ids {
		ids[i] = in.Identifiers[i].record()
	}
	found, err := g.Record.LookUp(r.Context(), g.Client.As(by), in.Purpose, ids)
	if err != nil {
		return err
	}
	if found == nil {
		found = []record.Match{}
	}
	return answer(w, found)
}

func (g *Gateway) enrolIdentifier(w http.ResponseWriter, r *http.Request) error {
	patient, err := tx.ParseAccount(r.PathValue("patient"))
	if err != nil {
		return errArgument
	}
	var in EnrolIdentifier
	if err := body(r, &in); err != nil {
		return err
	}
	entry, err := g.Record.EnrolIdentifier(r.Context(), patient, in.Identifier.record())
	if err != nil {
		return err
	}
	return answer(w, EnrolledIdentifier{entry})
}
