package intake

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"salus/ccda"
	"salus/gateway/rest"
	"salus/tabular"
)

// MaxListed bounds each list of a report; the counts count on.
const MaxListed = 10000

// What became of a resource.
const (
	Created   = "created"
	Updated   = "updated"
	Unchanged = "unchanged"
)

// A Written is one resource of what came in.
type Written struct {
	Type    string `json:"type"`
	ID      string `json:"id,omitempty"` // "" of one that a dry run would create
	Version int64  `json:"version,omitempty"`
	Outcome string `json:"outcome"`
}

// An Unmapped is a place of a document that became no resource of its own.
type Unmapped struct {
	Template string `json:"template,omitempty"` // OID
	Path     string `json:"path"`
	Reason   string `json:"reason"`
}

// A Rejected is a row of a table that was not written. Where is the element that is wrong with what it
// became, a FHIRPath.
type Rejected struct {
	tabular.Rejection

	Where string `json:"where,omitempty"`
}

// A Stop says where a table could not be read on. What came before was dealt with.
type Stop struct {
	Line   int    `json:"line"`
	Column string `json:"column,omitempty"`
	Code   string `json:"code"`
}

// A Report is the answer to an intake. It holds nothing that a document says.
type Report struct {
	SHA256    string         `json:"sha256"` // of what came in
	DryRun    bool           `json:"dry_run,omitempty"`
	Status    string         `json:"status,omitempty"` // stored or active, of what was written
	Created   int            `json:"created"`
	Updated   int            `json:"updated"`
	Unchanged int            `json:"unchanged"`
	Resources []Written      `json:"resources"`
	Unmapped  []Unmapped     `json:"unmapped,omitempty"`
	Rows      *tabular.Count `json:"rows,omitempty"`
	Rejected  []Rejected     `json:"rejected,omitempty"`
	Stopped   *Stop          `json:"stopped,omitempty"`
	Truncated bool           `json:"truncated,omitempty"` // a list is longer than MaxListed
}

func (r *Report) wrote(list []Written) {
	for _, w := range list {
		switch w.Outcome {
		case Created:
			r.Created++
		case Updated:
			r.Updated++
		default:
			r.Unchanged++
		}
		if len(r.Resources) < MaxListed {
			r.Resources = append(r.Resources, w)
		} else {
			r.Truncated = true
		}
	}
}

func (r *Report) reject(x Rejected) {
	if len(r.Rejected) < MaxListed {
		r.Rejected = append(r.Rejected, x)
	} else {
		r.Truncated = true
	}
}

// A Problem is a refusal: a stable code and a sentence, the gateway's form of errors.
type Problem struct {
	Code string `json:"code"`
	Text string `json:"text"`
	Line int    `json:"line,omitempty"`
	// Where is the element that is wrong with what a document became, a FHIRPath.
	Where  string `json:"where,omitempty"`
	Status int    `json:"-"`
}

// Error implements error.
func (p *Problem) Error() string { return p.Text }

var (
	errMethod     = &Problem{Code: "intake-method", Text: "intake: send it with POST", Status: http.StatusMethodNotAllowed}
	errForbidden  = &Problem{Code: "intake-scope", Text: "intake: the token does not permit to write such resources here", Status: http.StatusForbidden}
	errMedia      = &Problem{Code: "intake-media", Text: "intake: want application/xml or text/xml for a document; text/csv, or multipart/form-data with the parts mapping and file, for a table", Status: http.StatusUnsupportedMediaType}
	errLarge      = &Problem{Code: "intake-large", Text: "intake: larger than what is taken in at once", Status: http.StatusRequestEntityTooLarge}
	errBody       = &Problem{Code: "intake-body", Text: "intake: the body could not be read to its end", Status: http.StatusBadRequest}
	errArgument   = &Problem{Code: "intake-argument", Text: "intake: a parameter is not known or is said twice: mapping, zone, dry-run", Status: http.StatusBadRequest}
	errNoMapping  = &Problem{Code: "intake-mapping", Text: "intake: this node has no mapping of that name", Status: http.StatusNotFound}
	errDirectory  = &Problem{Code: "intake-patient", Text: "intake: the mapping makes resources about a patient, and no Patient: whose the rows are could not be known", Status: http.StatusUnprocessableEntity}
	errAmbiguous  = &Problem{Code: "intake-ambiguous", Text: "intake: an identifier is of several resources here", Status: http.StatusConflict}
	errServer     = &Problem{Code: "intake-server", Text: "intake: the FHIR server does not take it at the moment; send it again: what is there already is left alone", Status: http.StatusServiceUnavailable}
	errBusy       = &Problem{Code: "intake-busy", Text: "intake: others changed the same resources again and again; send it again", Status: http.StatusConflict}
	errUnrecorded = &Problem{Code: "intake-journal", Text: "intake: what happens cannot be recorded: nothing is answered", Status: http.StatusServiceUnavailable}
)

// problemOf is an error as the sender sees it.
func problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	var doc *ccda.Error
	var table *tabular.Error
	var mapping *tabular.MappingError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &large):
		return errLarge
	case errors.As(err, &doc):
		return &Problem{Code: doc.Code, Text: doc.Error(), Line: doc.Line, Status: http.StatusUnprocessableEntity}
	case errors.As(err, &table):
		return &Problem{Code: table.Code, Text: table.Error(), Line: table.Line, Status: http.StatusUnprocessableEntity}
	case errors.As(err, &mapping):
		return &Problem{Code: "mapping", Text: mapping.Error(), Status: http.StatusUnprocessableEntity}
	}
	f := rest.FaultFor(ctx, err)
	out := &Problem{Code: "internal", Text: "intake: the node failed; its log says why", Status: f.Status}
	if len(f.Issues) > 0 {
		out.Code, out.Text, out.Where = f.Issues[0].Code, f.Issues[0].Text, f.Issues[0].Expression
	}
	return out
}

// send writes the gateway's JSON.
func send(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the sender sees a short body
}
