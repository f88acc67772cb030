package portal

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"salus/gateway/balp"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// importTime is how long the body of an import may take to come.
const importTime = 15 * time.Minute

// administers asks the ledger again: the privilege may be gone since the sign-in.
func (p *Portal) administers(s *session) error {
	if who, ok := p.Ledger.Standing(s.account); !ok || !who.Has(identity.PrivAdmin) {
		return errRole
	}
	return nil
}

// operate passes a request of an administrator to the operator's API, of which it names the path.
func (p *Portal) operate(w http.ResponseWriter, r *http.Request, s *session, path, query string) error {
	if p.Admin == nil {
		return errUnknown
	}
	if err := p.administers(s); err != nil {
		return err
	}
	req := r.Clone(r.Context())
	req.URL = &url.URL{Path: path, RawQuery: query}
	req.RequestURI = ""
	req.Header = http.Header{"Content-Type": {r.Header.Get("Content-Type")}}
	p.Admin.ServeHTTP(w, req)
	return nil
}

// adminRegister draws a key for a practitioner or device and registers it on the ledger.
func (p *Portal) adminRegister(w http.ResponseWriter, r *http.Request, s *session) error {
	return p.operate(w, r, s, "/v1/staff/"+r.PathValue("name"), "")
}

// adminInvite makes a one-time code with which somebody of the staff signs in once, to register a passkey
// of her own. Who makes one is in the journal: it could be used in her name.
func (p *Portal) adminInvite(w http.ResponseWriter, r *http.Request, s *session) error {
	if err := p.administers(s); err != nil {
		return err
	}
	b, err := json.Marshal(map[string]string{"staff": r.PathValue("name")})
	if err != nil {
		return err
	}
	if err := p.note(r, balp.Event{Kind: balp.Keys, Outcome: balp.Success, User: practitioner(s.name)}); err != nil {
		return err
	}
	req := r.Clone(r.Context())
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
	req.Header = http.Header{"Content-Type": {"application/json"}}
	return p.operate(w, req, s, "/v1/codes", "")
}

func (p *Portal) adminPasskeys(w http.ResponseWriter, r *http.Request, s *session) error {
	account, err := p.ofStaff(r, s)
	if err != nil {
		return err
	}
	return p.sendPasskeys(w, r.PathValue("name"), account, true)
}

// adminTakePasskey takes somebody's passkey away, with the sessions that it began.
func (p *Portal) adminTakePasskey(w http.ResponseWriter, r *http.Request, s *session) error {
	if _, err := p.ofStaff(r, s); err != nil {
		return err
	}
	return p.takePasskey(w, r, s, r.PathValue("name"))
}

// ofStaff is the account of the practitioner whom an administrator's request names.
func (p *Portal) ofStaff(r *http.Request, s *session) (tx.Account, error) {
	if p.Passkeys == nil || p.Staff == nil {
		return tx.Account{}, errUnknown
	}
	if err := p.administers(s); err != nil {
		return tx.Account{}, err
	}
	account, ok := p.Staff.Account(r.PathValue("name"))
	if !ok {
		return tx.Account{}, errUnknown
	}
	return account, nil
}

// adminIntake hands a document or a table on as the administrator herself, with the token of her
// session: it is written, and logged, as hers. The answer is its report.
func (p *Portal) adminIntake(w http.ResponseWriter, r *http.Request, s *session) error {
	what := r.PathValue("what")
	if p.Intake == nil || what != "ccda" && what != "csv" {
		return errUnknown
	}
	if err := p.administers(s); err != nil {
		return err
	}
	token, err := p.token(r, s)
	if err != nil {
		return err
	}
	q := url.Values{}
	for _, name := range []string{"mapping", "zone", "dry-run"} {
		if v := r.URL.Query().Get(name); v != "" {
			q.Set(name, v)
		}
	}
	// A recorder of a test has no deadlines.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(importTime))
	req := r.Clone(r.Context())
	req.URL = &url.URL{Path: "/v1/intake/" + what, RawQuery: q.Encode()}
	req.RequestURI = ""
	req.Header = http.Header{"Content-Type": {r.Header.Get("Content-Type")}, "Authorization": {"Bearer " + token}}
	p.Intake.ServeHTTP(w, req)
	return nil
}

// adminImport takes a Bundle or NDJSON and answers progress line by line, then the report.
func (p *Portal) adminImport(w http.ResponseWriter, r *http.Request, s *session) error {
	q := url.Values{}
	for _, name := range []string{"format", "wait"} {
		if v := r.URL.Query().Get(name); v != "" {
			q.Set(name, v)
		}
	}
	// A recorder of a test has no deadlines.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(importTime))
	return p.operate(w, r, s, "/v1/import", q.Encode())
}
