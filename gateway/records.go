package gateway

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"salus/fhir"
	"salus/gateway/chart"
	"salus/gateway/intake"
	"salus/ledger/tx"
	"salus/record"
)

// ImportLine is one line of the answer to POST /v1/import (NDJSON): progress, then the report.
type ImportLine struct {
	Progress *intake.Progress `json:"progress,omitempty"`
	Done     *ImportReport    `json:"done,omitempty"`
	Error    *Problem         `json:"error,omitempty"`
}

// ImportReport is the last line.
type ImportReport struct {
	intake.Progress
	Patients  []tx.Account    `json:"accounts"`
	Rejected  []fhir.Rejected `json:"rejected"`
	Truncated bool            `json:"truncated,omitempty"` // more were rejected than are listed
	Active    bool            `json:"active"`              // waited for, with ?wait=active
	// Waits says why they are stored and not active: the ledger stands still. They become active when it goes on.
	Waits string `json:"waits,omitempty"`
}

// An Importer takes files of FHIR resources in.
type Importer interface {
	// Import writes what the body of a request holds. Errors: what is wrong with the whole; of this node.
	Import(r *http.Request, format string, progress func(intake.Progress)) (*intake.Taken, error)
	// Await returns when all that it took is active.
	Await(ctx context.Context, t *intake.Taken) error
}

// formatOf is what a body is, by the address and the header.
func formatOf(r *http.Request) (string, error) {
	format := r.URL.Query().Get("format")
	if format != "" && format != "ndjson" && format != "bundle" {
		return "", errArgument
	}
	if c := r.Header.Get("Content-Encoding"); c != "" && c != "identity" {
		return "", errMedia
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return "", errMedia
	case media == "application/fhir+ndjson", media == "application/ndjson", media == "application/x-ndjson":
		if format == "" {
			format = "ndjson"
		}
	case media != "application/fhir+json" && media != "application/json":
		return "", errMedia
	}
	return format, nil
}

// imports takes a FHIR Bundle or, with ?format=ndjson, NDJSON. With ?wait=active it answers
// after every record is active, otherwise as soon as all are stored.
func (g *Gateway) imports(w http.ResponseWriter, r *http.Request) error {
	wait := r.URL.Query().Get("wait")
	if wait != "" && wait != "active" && wait != "stored" {
		return errArgument
	}
	format, err := formatOf(r)
	if err != nil {
		return err
	}
	if r.ContentLength > whole.bytes {
		return errTooLarge
	}
	if g.Room != nil {
		if err := g.Room(int(max(0, r.ContentLength))); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	said := false
	send := func(l ImportLine) {
		said = true
		_ = out.Encode(l) // a caller that went away does not stop the import
		_ = flush.Flush()
	}
	// The body is read to its end before the first group is written and told of.
	rep, err := g.Import.Import(r, format, func(p intake.Progress) { send(ImportLine{Progress: &p}) })
	active, waits := false, ""
	if err == nil && wait == "active" {
		active, waits, err = g.waitActive(r.Context(), rep)
	}
	if err != nil {
		p := g.problemOf(r.Context(), err)
		if !said && p.Status != http.StatusUnprocessableEntity {
			return p
		}
		send(ImportLine{Error: p})
		return nil
	}
	send(ImportLine{Done: &ImportReport{Progress: rep.Progress, Patients: rep.Accounts, Rejected: rep.Reject, Truncated: rep.Truncated, Active: active, Waits: waits}})
	return nil
}

// waitActive waits until what was imported is active, or until that is not to be waited for.
func (g *Gateway) waitActive(ctx context.Context, t *intake.Taken) (active bool, waits string, err error) {
	going, cancel := g.while(ctx)
	defer cancel()
	err = g.Import.Await(going, t)
	if since, lost := g.standing(); err != nil && ctx.Err() == nil && lost {
		return false, "gateway: everything is stored and becomes active later: " + g.lost(since), nil
	}
	return err == nil, "", err
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
