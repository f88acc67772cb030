package gateway

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"salus/fhir"
	"salus/gateway/chart"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

// ImportLine is one line of the answer to POST /v1/import (NDJSON): progress, then the report.
type ImportLine struct {
	Progress *record.Progress `json:"progress,omitempty"`
	Done     *ImportReport    `json:"done,omitempty"`
	Error    *Problem         `json:"error,omitempty"`
}

// ImportReport is the last line.
type ImportReport struct {
	record.Progress
	Patients []tx.Account    `json:"accounts"`
	Rejected []fhir.Rejected `json:"rejected"`
	Active   bool            `json:"active"` // waited for, with ?wait=active
}

// imports takes a FHIR Bundle or, with ?format=ndjson, NDJSON. With ?wait=active it answers
// after every record is active, otherwise as soon as all are stored.
func (g *Gateway) imports(w http.ResponseWriter, r *http.Request) error {
	format, wait := r.URL.Query().Get("format"), r.URL.Query().Get("wait")
	if format != "" && format != "ndjson" && format != "bundle" || wait != "" && wait != "active" && wait != "stored" {
		return errArgument
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	send := func(l ImportLine) {
		_ = out.Encode(l) // a caller that went away does not stop the import
		_ = flush.Flush()
	}
	rep, err := g.Record.Import(r.Context(), format, r.Body, g.enrol, func(p record.Progress) { send(ImportLine{Progress: &p}) })
	if err == nil && wait == "active" {
		err = g.Record.Wait(r.Context(), rep.IDs...)
	}
	if err != nil {
		send(ImportLine{Error: g.problemOf(r.Context(), err)})
		return nil
	}
	send(ImportLine{Done: &ImportReport{Progress: rep.Progress, Patients: rep.Accounts, Rejected: rep.Reject, Active: wait == "active"}})
	return nil
}

// enrol registers a fresh pseudonym; this organisation is its steward.
func (g *Gateway) enrol(ctx context.Context, patient tx.Account, claim tx.Hash) error {
	_, err := g.Member.Submit(ctx, identity.KindEnrol, &identity.Enrol{Patient: patient, Claim: claim})
	return err
}

func (g *Gateway) patients(w http.ResponseWriter, _ *http.Request) error {
	ps, err := g.Record.Patients()
	if err != nil {
		return err
	}
	return answer(w, slices.DeleteFunc(ps, func(p record.Patient) bool { return p.Reference == chart.Directory }))
}

// adopt makes another steward's patient known here: {"reference": "Patient/..."}.
func (g *Gateway) adopt(w http.ResponseWriter, r *http.Request) error {
	patient, err := accountOf(r, "patient")
	if err != nil {
		return err
	}
	var in struct {
		Reference string `json:"reference"`
	}
	if err := body(r, &in); err != nil {
		return err
	}
	if err := g.Record.Adopt(patient, in.Reference); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// claimCode is what a clerk prints for the patient who stands before her.
func (g *Gateway) claimCode(w http.ResponseWriter, r *http.Request) error {
	patient, err := accountOf(r, "patient")
	if err != nil {
		return err
	}
	c, err := g.Record.ClaimCode(patient)
	if err != nil {
		return err
	}
	return answer(w, c)
}

func (g *Gateway) records(w http.ResponseWriter, r *http.Request) error {
	patient, err := accountOf(r, "patient")
	if err != nil {
		return err
	}
	rs, err := g.Record.Records(patient)
	if err != nil {
		return err
	}
	return answer(w, rs)
}

// record answers the exact bytes of an own record.
func (g *Gateway) record(w http.ResponseWriter, r *http.Request) error {
	id, err := record.ParseID(r.PathValue("id"))
	if err != nil {
		return errArgument
	}
	b, o, err := g.Record.Body(id)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/fhir+json")
	if strings.HasPrefix(o.Type, "x-") {
		w.Header().Set("Content-Type", "application/cbor")
	}
	w.Header().Set("Salus-Status", o.Status)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, err = w.Write(b)
	return err
}

// log answers a patient's access log as this replica has it, verified complete.
func (g *Gateway) log(w http.ResponseWriter, r *http.Request) error {
	patient, err := accountOf(r, "patient")
	if err != nil {
		return err
	}
	v := g.App.View()
	defer v.Close()
	links, at, err := record.Log(v, patient)
	if err != nil {
		return err
	}
	return answer(w, map[string]any{"patient": patient, "complete": true, "height": v.Meta().Height, "position": at, "entries": links})
}
