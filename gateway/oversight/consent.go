package oversight

import (
	"encoding/json"
	"net/http"
	"strings"

	"salus/gateway/pcf"
	"salus/gateway/rest"
	"salus/ledger/tx"
	"salus/record"
)

// consent serves Consent (IHE ITI.PCF): what stands on the ledger, and what staff record from a form
// that the patient signed. What she signs herself, her wallet submits.
func (s *Service) consent(x *recording, r *http.Request, parts []string) {
	p, err := s.consentReply(x, r, parts)
	if err != nil {
		x.fault(err)
		return
	}
	p.send(x)
}

var (
	errStaff   = rest.NewFault(http.StatusForbidden, "forbidden", "oversight-staff", "a consent is recorded by a practitioner of the patient's steward; the patient herself signs with her wallet")
	errPatient = rest.NewFault(http.StatusBadRequest, "required", "oversight-patient", "say whose: patient=Patient/<id>")
	errMethod  = rest.NewFault(http.StatusMethodNotAllowed, "not-supported", "rest-method", "not at this address")
	errStatus  = rest.NewFault(http.StatusBadRequest, "value", "search-value", "status is active or inactive")
)

func (s *Service) consentReply(x *recording, r *http.Request, parts []string) (reply, error) {
	a := &x.asker
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case len(parts) == 2 && parts[1] == "$explain" && (read || r.Method == http.MethodPost):
		return s.explain(x, r)
	case len(parts) == 2 && parts[1] == "$readers" && read:
		return s.readers(x, r)
	case len(parts) == 1 && read:
		return s.searchConsents(x, r)
	case len(parts) == 1 && r.Method == http.MethodPost:
		return s.writeConsent(x, r, "", rest.Create)
	case len(parts) == 2 && !read && strings.TrimSpace(r.Header.Get("If-None-Match")) == "*":
		return reply{}, rest.ErrExists // one that is not there is not made by PUT
	case len(parts) == 2 && r.Method == http.MethodPut:
		return s.writeConsent(x, r, parts[1], rest.Update)
	case len(parts) == 2 && r.Method == http.MethodDelete:
		if err := a.may(rest.Delete, "Consent"); err != nil {
			return reply{}, err
		}
		if a.Name == "" {
			return reply{}, errStaff
		}
		patient, ref, err := s.whose(r, a, parts[1])
		if err != nil {
			return reply{}, err
		}
		x.About(ref)
		err = s.Consents.Delete(r.Context(), patient, parts[1], ifMatch(r), s.author())
		return reply{status: http.StatusNoContent}, err
	case read && (len(parts) == 2 || len(parts) >= 3 && parts[2] == "_history" && len(parts) <= 4):
		if err := a.may(rest.Read, "Consent"); err != nil {
			return reply{}, err
		}
		patient, ref, err := s.whose(r, a, parts[1])
		if err != nil {
			return reply{}, err
		}
		x.About(ref)
		return s.readConsent(r, patient, parts)
	}
	return reply{}, errMethod
}

// may refuses what the asker's token does not allow.
func (a *Asker) may(i rest.Interaction, typ string) error {
	if a.May != nil && !a.May(i, typ) {
		return rest.ErrForbidden
	}
	return nil
}

// author signs as the patient's steward.
func (s *Service) author() pcf.Author { return pcf.Author{Submit: s.Steward, Steward: true} }

// ifMatch is the version that a change wants, "" for any: what is changed must be there in any case.
func ifMatch(r *http.Request) string {
	m := strings.TrimSpace(r.Header.Get("If-Match"))
	if m == "*" {
		return ""
	}
	return strings.Trim(strings.TrimPrefix(m, "W/"), `"`)
}

// patientOf resolves a reference that the asker may ask about.
func (s *Service) patientOf(a *Asker, ref string) (tx.Account, error) {
	if !strings.HasPrefix(ref, "Patient/") {
		ref = "Patient/" + ref
	}
	if a.Patient != "" && a.Patient != ref {
		return tx.Account{}, record.ErrUnknownPatient // as if she were not there
	}
	return s.Known(ref)
}

// whose finds the patient of a Consent: the one that the request names, or the one of those that
// are known who has it.
func (s *Service) whose(r *http.Request, a *Asker, id string) (tx.Account, string, error) {
	refs := []string{a.Patient}
	if a.Patient == "" {
		if p := r.URL.Query().Get("patient"); p != "" {
			refs[0] = "Patient/" + strings.TrimPrefix(p, "Patient/")
		} else {
			var err error
			if refs, err = s.Patients(); err != nil {
				return tx.Account{}, "", err
			}
		}
	}
	for _, ref := range refs {
		patient, err := s.patientOf(a, ref)
		if err != nil {
			continue // not hers, or not known: as if it were not there
		}
		if _, err := s.Consents.Read(r.Context(), patient, id); err == nil {
			return patient, ref, nil
		}
	}
	return tx.Account{}, "", pcf.ErrNotFound
}

func (s *Service) readConsent(r *http.Request, patient tx.Account, parts []string) (reply, error) {
	switch len(parts) {
	case 2:
		c, err := s.Consents.Read(r.Context(), patient, parts[1])
		return s.told(c, http.StatusOK), err
	case 4:
		c, err := s.Consents.ReadVersion(r.Context(), patient, parts[1], parts[3])
		return s.told(c, http.StatusOK), err
	}
	list, err := s.Consents.History(r.Context(), patient, parts[1])
	if err != nil {
		return reply{}, err
	}
	n := len(list)
	b := bundle{Type: "history", Total: &n}
	for _, c := range list {
		b.Entry = append(b.Entry, entry{FullURL: s.url(c), Resource: c.Body, Request: &method{"PUT", "Consent/" + c.ID}, Response: &done{"200 OK", etag(c)}})
	}
	return b.reply()
}

func (s *Service) url(c *pcf.Resource) string { return s.Base + "/Consent/" + c.ID }
func etag(c *pcf.Resource) string             { return `W/"` + c.Version + `"` }

// told is the answer with a Consent.
func (s *Service) told(c *pcf.Resource, status int) reply {
	if c == nil {
		return reply{}
	}
	h := http.Header{"Etag": {etag(c)}, "Last-Modified": {c.Updated.UTC().Format(http.TimeFormat)}}
	if status == http.StatusCreated {
		h.Set("Location", s.url(c)+"/_history/"+c.Version)
	}
	return reply{status: status, body: c.Body, header: h}
}

func (s *Service) searchConsents(x *recording, r *http.Request) (reply, error) {
	a, q := &x.asker, r.URL.Query()
	if err := a.may(rest.Search, "Consent"); err != nil {
		return reply{}, err
	}
	ref := q.Get("patient")
	if ref == "" {
		ref = a.Patient
	}
	if ref == "" {
		return reply{}, errPatient
	}
	var f pcf.Filter
	if f.Status = q.Get("status"); f.Status != "" && f.Status != "active" && f.Status != "inactive" {
		return reply{}, errStatus
	}
	n := 0
	b := bundle{Type: "searchset", Total: &n, Link: []link{{"self", s.Base + "/Consent?" + q.Encode()}}}
	patient, err := s.patientOf(a, ref)
	if err != nil {
		return b.reply() // nobody of that name: no consents
	}
	x.About("Patient/" + strings.TrimPrefix(ref, "Patient/"))
	list, err := s.Consents.Search(r.Context(), patient, f)
	if err != nil {
		return reply{}, err
	}
	n = len(list)
	for _, c := range list {
		b.Entry = append(b.Entry, entry{FullURL: s.url(c), Resource: c.Body, Search: &mode{"match"}})
	}
	return b.reply()
}

// writeConsent records a Consent from a form: a new one, or in the place of one.
func (s *Service) writeConsent(x *recording, r *http.Request, id string, what rest.Interaction) (reply, error) {
	a := &x.asker
	if err := a.may(what, "Consent"); err != nil {
		return reply{}, err
	}
	if a.Name == "" {
		return reply{}, errStaff
	}
	raw, err := rest.ReadBody(r, pcf.MaxSize)
	if err != nil {
		return reply{}, err
	}
	var said struct {
		Patient struct{ Reference string }
	}
	if json.Unmarshal(raw, &said) != nil || said.Patient.Reference == "" {
		return reply{}, errPatient
	}
	patient, err := s.patientOf(a, said.Patient.Reference)
	if err != nil {
		return reply{}, err
	}
	x.About(said.Patient.Reference)
	if id == "" {
		c, err := s.Consents.Create(r.Context(), patient, raw, s.author())
		return s.told(c, http.StatusCreated), err
	}
	c, err := s.Consents.Update(r.Context(), patient, id, ifMatch(r), raw, s.author())
	return s.told(c, http.StatusOK), err
}
