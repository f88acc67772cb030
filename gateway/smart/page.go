package smart

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed page/page.html
var pageSource string

//go:embed page/style.css
var styleSource []byte

// pages are parsed once; html/template escapes by context all that apps and people say.
var pages = template.Must(template.New("page").Parse(pageSource))

// view is what a page shows.
type view struct {
	Base, Organisation, Title, Error string
	Flow, CSRF                       string

	App, Host string
	Unknown   bool // nobody here has looked at the app
	Person    string
	Asked     []offer
	Purposes  []offer
	Emergency bool
	Wants     bool // a patient
	Fixed     string
	Search    bool
	Text      string
	Charts    []Chart
	Chosen    string
	Given     []given
}

// An offer is something to tick.
type offer struct {
	Value, Words string
	Ticked       bool
}

// given is an app that has access.
type given struct {
	ID, App, What, Since, Until string
}

// page is what all pages have in common: nobody keeps them.
func (s *Server) page(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		next(w, r)
	}
}

// show writes a page. to is where its form may lead in the end: Chromium holds the
// redirect after a form to form-action.
func (s *Server) show(w http.ResponseWriter, status int, name, to string, v view) {
	v.Base, v.Organisation = pathOf(s.Issuer), s.Name
	if v.Organisation == "" {
		v.Organisation = "this organisation"
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, v); err != nil {
		s.Log.Error("a page could not be made", "err", err)
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
		return
	}
	target := "'self'"
	if u, err := url.Parse(to); err == nil && u.Scheme != "" {
		if origin := originOf(u); origin != "" {
			target += " " + origin
		} else {
			target += " " + u.Scheme + ":"
		}
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action "+target+"; frame-ancestors 'none'; base-uri 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}

func (s *Server) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=3600")
	_, _ = w.Write(styleSource)
}

func (s *Server) errorPage(w http.ResponseWriter, status int, text string) {
	s.show(w, status, "error", "", view{Title: "This did not work", Error: text})
}

func (s *Server) signInPage(w http.ResponseWriter, status int, f *flow, text string) {
	s.show(w, status, "signin", f.redirect, view{Title: "Sign in", Error: text, Flow: f.id, CSRF: f.csrf, App: appName(f.client)})
}

func (s *Server) approvalPage(w http.ResponseWriter, r *http.Request, status int, f *flow, form url.Values, text string) {
	v := view{
		Title: "Allow access", Error: text, Flow: f.id, CSRF: f.csrf, App: appName(f.client), Unknown: f.client.Dynamic, Person: f.user.Name,
		Wants: f.wantsPatient(f.scopes), Text: form.Get("text"), Chosen: form.Get("patient"),
	}
	if u, err := url.Parse(f.redirect); err == nil {
		v.Host = u.Host
		if v.Host == "" {
			v.Host = u.Scheme
		}
	}
	for _, sc := range f.scopes {
		if asksAbout(sc) {
			v.Asked = append(v.Asked, offer{sc.String(), words(sc), form == nil || slices.Contains(form["scope"], sc.String())})
		}
	}
	for _, p := range f.purposes() {
		// Nothing is ticked before she does, unless it is stated already.
		v.Purposes = append(v.Purposes, offer{p, purposeWords(p), p == f.purpose || p == form.Get("purpose")})
		v.Emergency = v.Emergency || emergency(p) && p == f.purpose
	}
	if f.launch != nil && f.launch.Patient != "" {
		v.Fixed = "the one whose record was open when the app was started"
	} else if v.Wants {
		v.Charts, v.Search = s.charts(r, f.user, v.Text), s.Charts != nil && !f.user.bound()
	}
	s.show(w, status, "approve", f.redirect, v)
}

func appName(c *Client) string {
	if c.Name != "" {
		return c.Name
	}
	return c.ID
}

// purposeWords are for people; HL7 v3 ActReason's code stands beside them.
func purposeWords(code string) string {
	if w, ok := map[string]string{
		"TREAT": "Treating the patient", "ETREAT": "Emergency treatment", "BTG": "Breaking the glass in an emergency", "ERTREAT": "Emergency room treatment",
		"HPAYMT": "Payment", "HOPERAT": "Running the organisation", "HRESCH": "Research", "CLINTRCH": "A clinical trial",
		"PUBHLTH": "Public health", "PATRQT": "The patient wants it", "FAMRQT": "The patient's family wants it",
		"PWATRNY": "On behalf of the patient, with power of attorney", "COC": "Coordinating care", "CAREMGT": "Managing care",
	}[code]; ok {
		return w + " (" + code + ")"
	}
	return code
}

// kinds are resource types in plain words; of the others, the name is taken apart.
var kinds = map[string]string{
	"*": "every kind of record, also kinds that are added later", "AllergyIntolerance": "allergies", "Appointment": "appointments",
	"AuditEvent": "the log of who looked at records", "CarePlan": "care plans", "CareTeam": "care teams", "Claim": "claims",
	"Condition": "diagnoses and problems", "Consent": "consents", "Coverage": "insurance", "Device": "devices",
	"DiagnosticReport": "reports of tests", "DocumentReference": "documents", "Encounter": "visits and stays", "Goal": "goals",
	"Immunization": "vaccinations", "Location": "places", "Medication": "medicines", "MedicationRequest": "prescriptions",
	"MedicationStatement": "medicines taken", "Observation": "measurements and test results", "Organization": "organisations",
	"Patient": "name, address, birth date and other personal details", "Practitioner": "doctors and other staff",
	"PractitionerRole": "roles of staff", "Procedure": "operations and procedures", "Provenance": "where records come from",
	"QuestionnaireResponse": "answers to questionnaires", "RelatedPerson": "relatives", "ServiceRequest": "orders and referrals",
}

// words says what a scope allows.
func words(sc Scope) string {
	switch sc.Name {
	case "openid":
		return "Know that it is you"
	case "fhirUser":
		return "Know your entry in this organisation's records"
	case "profile":
		return "Know your name"
	case "offline_access":
		return "Keep this access after you leave, until it is taken back"
	case "online_access":
		return "Keep this access while you are signed in"
	}
	var do []string
	for _, v := range []struct {
		verb Verbs
		word string
	}{{Read | Search, "read"}, {Create, "add"}, {Update, "change"}, {Delete, "delete"}} {
		if sc.Verbs&v.verb != 0 {
			do = append(do, v.word)
		}
	}
	if sc.Verbs&readVerbs == Search {
		do[0] = "search"
	}
	text := do[0]
	if n := len(do); n > 1 {
		text = strings.Join(do[:n-1], ", ") + " and " + do[n-1]
	}
	kind, ok := kinds[sc.Type]
	if !ok {
		kind = strings.ToLower(strings.TrimSpace(spaced(sc.Type)))
	}
	text = strings.ToUpper(text[:1]) + text[1:] + ": " + kind
	for i, p := range sc.pairs() {
		text += map[bool]string{true: ", only where ", false: " and "}[i == 0] + p.Name + " is " + p.Value
	}
	if sc.Level == PatientLevel {
		return text + ". Of one patient."
	}
	return text + ". Of everybody whom you may see."
}

// spaced takes a name in camel case apart.
func spaced(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
