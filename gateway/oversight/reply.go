package oversight

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"

	"salus/client"
	"salus/gateway/balp"
	"salus/gateway/pcf"
	"salus/gateway/rest"
	"salus/ledger/tx"
	"salus/record"
)

// A reply is an answer of this room.
type reply struct {
	status      int
	issue, text string // of an OperationOutcome
	issues      []rest.Issue
	body        []byte
	header      http.Header
}

func (p reply) send(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	maps.Copy(h, p.header)
	if p.issue != "" {
		p.issues = append(p.issues, rest.Issue{Severity: "error", Type: "processing", Code: p.issue, Text: p.text})
	}
	if len(p.issues) > 0 {
		p.body = rest.Outcome(p.issues)
	}
	if len(p.body) > 0 && h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/fhir+json; charset=utf-8")
	}
	w.WriteHeader(p.status)
	_, _ = w.Write(p.body) // a client that has gone has nobody to be told
}

var (
	errUnsettled = rest.NewFault(http.StatusServiceUnavailable, "transient", "ledger-unsettled", client.ErrUnsettled.Error())
	errNoQuorum  = rest.NewFault(http.StatusServiceUnavailable, "transient", "ledger-no-quorum", client.ErrNoQuorum.Text)
)

// fault answers an error.
func (x *recording) fault(err error) {
	var refusal *pcf.Refusal
	var query *balp.QueryError
	var ledger *tx.Refusal
	switch {
	case errors.Is(err, client.ErrUnsettled):
		reply{status: errUnsettled.Status, header: later, issues: errUnsettled.Issues}.send(x)
	case errors.Is(err, client.ErrNoQuorum):
		reply{status: errNoQuorum.Status, header: later, issues: errNoQuorum.Issues}.send(x)
	case errors.As(err, &refusal):
		p := reply{status: http.StatusUnprocessableEntity}
		for _, i := range refusal.Issues {
			p.issues = append(p.issues, issueOf(i))
		}
		p.send(x)
	case errors.As(err, &query):
		reply{status: http.StatusBadRequest, issue: "search-value", text: query.Error()}.send(x)
	case errors.Is(err, pcf.ErrNotFound), errors.Is(err, balp.ErrNotFound), errors.Is(err, record.ErrUnknownPatient):
		reply{status: http.StatusNotFound, issue: "rest-not-found", text: "there is no such resource"}.send(x)
	case errors.Is(err, pcf.ErrConflict):
		reply{status: http.StatusPreconditionFailed, issue: "rest-version", text: pcf.ErrConflict.Error()}.send(x)
	case errors.Is(err, pcf.ErrSlots):
		reply{status: http.StatusConflict, issue: "pcf-slots", text: pcf.ErrSlots.Error()}.send(x)
	case errors.As(err, &ledger):
		reply{status: http.StatusUnprocessableEntity, issue: "ledger-refused", text: ledger.Text}.send(x)
	default:
		f := rest.FaultFor(x.r.Context(), err)
		if f.Status == http.StatusInternalServerError {
			x.s.Log.ErrorContext(x.r.Context(), "request_failed", "err", err)
		}
		reply{status: f.Status, issues: f.Issues}.send(x)
	}
}

// later tells when to try again what needs the ledger.
var later = http.Header{"Retry-After": {"10"}}

func issueOf(i pcf.Issue) rest.Issue {
	return rest.Issue(i)
}

// A bundle is one of resources that are there as bytes.
type bundle struct {
	ResourceType string  `json:"resourceType"`
	Type         string  `json:"type"`
	Total        *int    `json:"total,omitempty"`
	Link         []link  `json:"link,omitempty"`
	Entry        []entry `json:"entry,omitempty"`
}

type link struct {
	Relation string `json:"relation"`
	URL      string `json:"url"`
}

type entry struct {
	FullURL  string          `json:"fullUrl,omitempty"`
	Resource json.RawMessage `json:"resource,omitempty"`
	Search   *mode           `json:"search,omitempty"`
	Request  *method         `json:"request,omitempty"`
	Response *done           `json:"response,omitempty"`
}

type mode struct {
	Mode string `json:"mode"`
}

type method struct {
	Method string `json:"method"`
	URL    string `json:"url"`
}

type done struct {
	Status string `json:"status"`
	ETag   string `json:"etag,omitempty"`
}

func (b bundle) reply() (reply, error) {
	b.ResourceType = "Bundle"
	raw, err := json.Marshal(b)
	return reply{status: http.StatusOK, body: raw}, err
}
