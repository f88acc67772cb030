package oversight

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"salus/gateway/balp"
	"salus/gateway/rest"
)

// auditEvent serves AuditEvent (IHE BALP), to the patient whom it is about and to the operator, and
// the accounting of disclosures (45 CFR 164.528). Nobody writes one.
func (s *Service) auditEvent(x *recording, r *http.Request, parts []string) {
	p, err := s.auditReply(x, r, parts)
	if err != nil {
		x.fault(err)
		return
	}
	p.send(x)
}

var errOwnLog = rest.NewFault(http.StatusForbidden, "forbidden", "oversight-log", "the log is for the patient whom it is about, and for the organisation's operator")

func (s *Service) auditReply(x *recording, r *http.Request, parts []string) (reply, error) {
	a := &x.asker
	q := r.URL.Query()
	if r.Method != http.MethodGet || len(parts) > 2 {
		return reply{}, errMethod
	}
	if err := a.may(rest.Read, "AuditEvent"); err != nil {
		return reply{}, err
	}
	// A patient's own app, not a practitioner's in her context.
	own := a.Patient != "" && strings.HasPrefix(a.User.Reference, "Patient/") && a.User.Reference == a.Patient
	if !own && !a.Operator {
		return reply{}, errOwnLog
	}
	subject, err := s.subject(a, q)
	if err != nil {
		return reply{}, err
	}
	by := balp.Request(r, nil, s.Prefix, http.StatusOK)
	s.fill(&by, a, subject.Ref)
	switch {
	case len(parts) == 2 && parts[1] == "$accounting-of-disclosures":
		return s.accounting(x, r, subject, by)
	case len(parts) == 2:
		body, err := s.Events.Read(r.Context(), subject, parts[1], by)
		x.quiet = err == nil // it is recorded with the reading
		return reply{status: http.StatusOK, body: body}, err
	}
	query, err := balp.ParseQuery(q)
	if err != nil {
		return reply{}, err
	}
	page, err := s.Events.Search(r.Context(), subject, query, by)
	if err != nil {
		return reply{}, err
	}
	x.quiet = true
	b := bundle{Type: "searchset", Total: &page.Total, Link: []link{{"self", s.Base + "/AuditEvent?" + q.Encode()}}}
	if page.Next != "" {
		q.Set("_cursor", page.Next)
		b.Link = append(b.Link, link{"next", s.Base + "/AuditEvent?" + q.Encode()})
	}
	for i, body := range page.Events {
		b.Entry = append(b.Entry, entry{FullURL: s.Base + "/AuditEvent/" + page.IDs[i], Resource: body, Search: &mode{"match"}})
	}
	return b.reply()
}

// subject is whose log is asked for: the asker's own, or the one that the operator names.
func (s *Service) subject(a *Asker, q url.Values) (balp.Subject, error) {
	ref := a.Patient
	if p := q.Get("patient"); p != "" {
		p = "Patient/" + strings.TrimPrefix(p, "Patient/")
		if ref != "" && ref != p {
			return balp.Subject{}, balp.ErrNotFound
		}
		ref = p
	}
	if ref == "" {
		return balp.Subject{}, nil // the operator: the journal of this organisation
	}
	account, err := s.Known(ref)
	if err != nil {
		return balp.Subject{}, balp.ErrNotFound
	}
	return balp.Subject{Ref: ref, Account: account, Real: s.Real(account)}, nil
}

// accounting answers the accounting of a patient's disclosures as JSON, CSV or FHIR.
func (s *Service) accounting(x *recording, r *http.Request, subject balp.Subject, by balp.Event) (reply, error) {
	if subject.Ref == "" {
		return reply{}, errPatient
	}
	q := r.URL.Query()
	now := time.Now()
	t := balp.Terms{Patient: balp.Who{Reference: subject.Ref}, Requested: now, To: now, Everything: q.Get("everything") == "true", Officer: x.asker.Operator}
	for name, to := range map[string]*time.Time{"start": &t.From, "end": &t.To} {
		if v := q.Get(name); v != "" {
			at, err := time.Parse(time.DateOnly, v)
			if err != nil {
				return reply{}, errPeriod
			}
			*to = at
		}
	}
	acc, err := s.Events.Accounting(r.Context(), subject, t, by)
	if errors.Is(err, balp.ErrPeriod) {
		return reply{}, errPeriod
	}
	if err != nil {
		return reply{}, err
	}
	x.quiet = true
	var b strings.Builder
	switch q.Get("_format") {
	case "csv", "text/csv":
		err = acc.CSV(&b)
		return reply{status: http.StatusOK, body: []byte(b.String()), header: http.Header{"Content-Type": {"text/csv; charset=utf-8"}}}, err
	case "application/json":
		err = acc.JSON(&b)
		return reply{status: http.StatusOK, body: []byte(b.String()), header: http.Header{"Content-Type": {"application/json"}}}, err
	}
	body, err := acc.Bundle(&s.Events.Recorder.Site, s.Base)
	return reply{status: http.StatusOK, body: body}, err
}

var errPeriod = rest.NewFault(http.StatusBadRequest, "value", "oversight-period", "start and end are dates, YYYY-MM-DD, the one before the other, and neither is to come")
