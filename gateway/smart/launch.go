package smart

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"salus/ledger/module/consent"
)

// A Launch is what the EHR had open when it started an app (SMART 2.2, "Launch context
// arrives with your access_token").
type Launch struct {
	Client    string    `json:"client,omitempty"` // the app that it is for; "" for any
	User      string    `json:"user"`             // who is at the EHR; nobody else can use it
	Patient   string    `json:"patient,omitempty"`
	Encounter string    `json:"encounter,omitempty"`
	Purpose   string    `json:"purpose_of_use"`
	Intent    string    `json:"intent,omitempty"`
	Context   []Context `json:"fhirContext,omitempty"`
	Banner    *bool     `json:"need_patient_banner,omitempty"`
	Style     string    `json:"smart_style_url,omitempty"`
	Tenant    string    `json:"tenant,omitempty"`
}

// A Context is an entry of fhirContext. Patients and encounters have places of their
// own.
type Context struct {
	Reference string `json:"reference,omitempty"`
	Canonical string `json:"canonical,omitempty"`
	Type      string `json:"type,omitempty"`
	Role      string `json:"role,omitempty"`
}

// ErrLaunch is the error of a launch that cannot be.
var ErrLaunch = errors.New("smart: the launch cannot be registered so")

type launchRow struct {
	ends
	Launch
}

func (l *Launch) check() error {
	switch {
	case l.User == "" || len(l.User) > 255:
		return fmt.Errorf("%w: it has no user", ErrLaunch)
	case !idOrNone(l.Patient) || !idOrNone(l.Encounter):
		return fmt.Errorf("%w: patient and encounter are ids", ErrLaunch)
	case len(l.Intent) > 255 || len(l.Tenant) > 255 || len(l.Style) > 2000 || len(l.Context) > 50:
		return fmt.Errorf("%w: too long", ErrLaunch)
	}
	if _, err := consent.ParsePurpose(l.Purpose); err != nil {
		return fmt.Errorf("%w: %w", ErrLaunch, err)
	}
	for _, c := range l.Context {
		typ, id, ok := strings.Cut(c.Reference, "/")
		switch {
		case c.Reference == "" && c.Canonical == "":
			return fmt.Errorf("%w: a context has a reference or a canonical", ErrLaunch)
		case c.Reference != "" && (!ok || typ == "*" || !typeName(typ) || id == "" || !idOrNone(id)):
			return fmt.Errorf("%w: a context's reference is Type/id", ErrLaunch)
		case (typ == "Patient" || typ == "Encounter") && (c.Role == "" || c.Role == "launch"):
			return fmt.Errorf("%w: patient and encounter are not in fhirContext", ErrLaunch)
		}
	}
	return nil
}

// idOrNone reports whether s is empty or an id (R4 2.24.0.1).
func idOrNone(s string) bool {
	return len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	})
}

// Launch registers what the EHR has open and returns the opaque id that goes into the
// app's launch URL. It serves once, for Lifetimes.Launch. Errors: ErrLaunch.
func (s *Server) Launch(l Launch) (id string, err error) {
	if err := l.check(); err != nil {
		return "", err
	}
	id = newSecret()
	return id, s.Keeper.Change(func(r Rows) error {
		return put(r, keyOf(rowLaunch, id), &launchRow{until(s.Now().Add(s.Lifetimes.Launch)), l})
	})
}

// ServeLaunch registers a launch by POST of its JSON, for the organisation's own EHR
// and portal: whoever mounts it must have authenticated them. The answer has the id,
// and the address to open where the app registered one.
func (s *Server) ServeLaunch(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		s.fail(w, r, &oauthError{http.StatusMethodNotAllowed, "invalid_request", "launches are registered by POST"})
		return
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	var l Launch
	if err != nil || json.Unmarshal(b, &l) != nil {
		s.fail(w, r, invalidRequest("the body is the JSON of a launch"))
		return
	}
	out := map[string]string{}
	if l.Client != "" {
		c, err := s.client(l.Client)
		if err != nil {
			s.fail(w, r, invalidRequest("no such app"))
			return
		}
		out["launch_url"] = c.LaunchURL
	}
	id, err := s.Launch(l)
	if errors.Is(err, ErrLaunch) {
		s.fail(w, r, invalidRequest(err.Error()))
		return
	} else if err != nil {
		s.fail(w, r, err)
		return
	}
	out["launch"] = id
	if base := out["launch_url"]; base != "" {
		out["launch_url"] = withParams(base, "iss", s.FHIR, "launch", id)
	}
	s.answer(w, http.StatusCreated, out)
}

// launched is the launch with that id, if it is there for that app.
func (s *Server) launched(from loader, id, client string) (*Launch, error) {
	row, err := load[launchRow](from, keyOf(rowLaunch, id))
	if errors.Is(err, ErrNoRow) || err == nil && (row.over(s.Now()) || row.Client != "" && row.Client != client) {
		return nil, invalidRequest("the launch is unknown, used, over, or for another app")
	}
	if err != nil {
		return nil, err
	}
	return &row.Launch, nil
}

// suits reports whether the person is the one whom the launch is for.
func (l *Launch) suits(u *User) bool { return l == nil || l.User == u.ID }

// context are the parameters of a token response that say in which context the app is
// (SMART 2.2, "Launch context").
func (t *Token) context() map[string]any {
	m := map[string]any{}
	if t.Patient != "" {
		m["patient"] = t.Patient
	}
	if t.Purpose != "" {
		// A parameter of our own: SMART reserves two underscores for such ("Extensibility").
		m["__purpose_of_use"] = t.Purpose
	}
	l := t.Launch
	if l == nil {
		return m
	}
	for name, v := range map[string]string{"encounter": l.Encounter, "intent": l.Intent, "smart_style_url": l.Style, "tenant": l.Tenant} {
		if v != "" {
			m[name] = v
		}
	}
	if l.Banner != nil {
		m["need_patient_banner"] = *l.Banner
	}
	if len(l.Context) > 0 {
		m["fhirContext"] = slices.Clone(l.Context)
	}
	return m
}
