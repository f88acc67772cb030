package gateway

import (
	"net/http"
	"time"

	"salus/gateway/smart"
	"salus/ledger/module/identity"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Apps is the organisation's authorisation server for apps, and the codes with which its people
// sign in there.
type Apps struct {
	Server *smart.Server
	Codes  *smart.Codes
}

// StaffUser is a practitioner as she signs in to apps: her id is the name of her key. An app may
// name an emergency as her purpose if the ledger gives her that privilege.
func StaffUser(name string, account tx.Account, ledger *state.View) *smart.User {
	p, ok := identity.Lookup(ledger, account)
	return &smart.User{ID: name, Name: name, FHIRUser: "Practitioner/" + name, Emergency: ok && p.Has(identity.PrivEmergency)}
}

// codeLife is how long a sign-in code can be used.
const codeLife = 10 * time.Minute

// NewCode is the body of POST /v1/codes: the name of a practitioner's key, or the id of a Patient
// in the own store.
type NewCode struct {
	Staff   string `json:"staff,omitempty"`
	Patient string `json:"patient,omitempty"`
}

// Code is the answer: it signs its person in once, within ten minutes.
type Code struct {
	Code    string    `json:"code"`
	Expires time.Time `json:"expires"`
}

// RegisteredApp is the answer of POST /v1/apps; the secret is shown this once.
type RegisteredApp struct {
	smart.Client
	Secret string `json:"client_secret,omitempty"`
}

func (g *Gateway) newCode(w http.ResponseWriter, r *http.Request) error {
	var in NewCode
	if err := body(r, &in); err != nil {
		return err
	}
	var u *smart.User
	switch {
	case in.Staff != "" && in.Patient == "":
		by, err := g.Staff.Signer(in.Staff)
		if err != nil {
			return err
		}
		v := g.App.View()
		u = StaffUser(in.Staff, by.Account(), v)
		v.Close()
	case in.Patient != "" && in.Staff == "":
		u = &smart.User{ID: "Patient/" + in.Patient, Name: "Patient", FHIRUser: "Patient/" + in.Patient, Purposes: []string{"PATRQT"}}
	default:
		return errArgument
	}
	code, err := g.Apps.Codes.Issue(*u, codeLife)
	if err != nil {
		return err
	}
	return answer(w, Code{code, time.Now().Add(codeLife).UTC().Truncate(time.Second)})
}

func (g *Gateway) registerApp(w http.ResponseWriter, r *http.Request) error {
	var in smart.Client
	if err := body(r, &in); err != nil {
		return err
	}
	out, secret, err := g.Apps.Server.Register(in)
	if err != nil {
		return err
	}
	out.SecretHash = ""
	return answer(w, RegisteredApp{out, secret})
}

func (g *Gateway) apps(w http.ResponseWriter, _ *http.Request) error {
	list, err := g.Apps.Server.Clients()
	if err != nil {
		return err
	}
	out := []smart.Client{}
	for _, c := range list {
		c.SecretHash = ""
		out = append(out, c)
	}
	return answer(w, out)
}

func (g *Gateway) dropApp(w http.ResponseWriter, r *http.Request) error {
	if err := g.Apps.Server.DropClient(r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (g *Gateway) launch(w http.ResponseWriter, r *http.Request) error {
	g.Apps.Server.ServeLaunch(w, r)
	return nil
}
