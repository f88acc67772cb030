package oversight

import (
	"net/http"
	"net/url"
	"strings"

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
	if !a.own() && !a.Operator {
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
