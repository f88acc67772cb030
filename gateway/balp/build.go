package balp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// A Site is who observes and reports: this gateway.
type Site struct {
	Name     string // host name or address of the installation
	Observer Who
}

type identifier struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value"`
}

type reference struct {
	Reference  string      `json:"reference,omitempty"`
	Identifier *identifier `json:"identifier,omitempty"`
	Display    string      `json:"display,omitempty"`
}

type network struct {
	Address string `json:"address"`
	Type    string `json:"type"`
}

type agent struct {
	Type         *concept  `json:"type"`
	Who          reference `json:"who"`
	Requestor    bool      `json:"requestor"`
	Policy       []string  `json:"policy,omitempty"`
	Network      *network  `json:"network,omitempty"`
	PurposeOfUse []concept `json:"purposeOfUse,omitempty"`
}

type detail struct {
	Type  string `json:"type"`
	Value string `json:"valueString"`
}

type entity struct {
	What        *reference `json:"what,omitempty"`
	Type        *coding    `json:"type,omitempty"`
	Role        *coding    `json:"role,omitempty"`
	Description string     `json:"description,omitempty"`
	Query       string     `json:"query,omitempty"` // base64
	Detail      []detail   `json:"detail,omitempty"`
}

type source struct {
	Site     string    `json:"site,omitempty"`
	Observer reference `json:"observer"`
	Type     []coding  `json:"type"`
}

// A period is a day: when what was recorded later happened.
type period struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

type meta struct {
	Profile []string `json:"profile,omitempty"`
}

// auditEvent is R4 AuditEvent (6.4) as far as it is written here.
type auditEvent struct {
	ResourceType   string    `json:"resourceType"`
	ID             string    `json:"id,omitempty"`
	Meta           *meta     `json:"meta,omitempty"`
	Type           coding    `json:"type"`
	Subtype        []coding  `json:"subtype,omitempty"`
	Action         string    `json:"action"`
	Period         *period   `json:"period,omitempty"`
	Recorded       string    `json:"recorded"`
	Outcome        Outcome   `json:"outcome"`
	OutcomeDesc    string    `json:"outcomeDesc,omitempty"`
	PurposeOfEvent []concept `json:"purposeOfEvent,omitempty"`
	Agent          []agent   `json:"agent"`
	Source         source    `json:"source"`
	Entity         []entity  `json:"entity,omitempty"`
}

// ErrEvent is an event that says too little to be one.
var ErrEvent = errors.New("balp: an event needs a kind, a time, an outcome and somebody who took part")

const instant = "2006-01-02T15:04:05.000Z"

// AuditEvent writes an event as FHIR JSON. id is its logical id; "" leaves it out.
func (s *Site) AuditEvent(e *Event, id string) ([]byte, error) {
	a, err := s.build(e, id)
	if err != nil {
		return nil, err
	}
	return encode(a)
}

// encode writes JSON as FHIR has it: no escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	if err := j.Encode(v); err != nil {
		return nil, fmt.Errorf("balp: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// Valid says whether the event is whole enough to be recorded.
func (e *Event) Valid() error {
	_, ok := shapes[e.Kind]
	if !ok || e.Time.IsZero() || !slices.Contains([]Outcome{Success, Minor, Serious, Major}, e.Outcome) || !e.User.known() && !e.Client.known() && !e.Organization.known() {
		return ErrEvent
	}
	return nil
}

func (s *Site) build(e *Event, id string) (*auditEvent, error) {
	if err := e.Valid(); err != nil {
		return nil, err
	}
	h := shapes[e.Kind]
	a := &auditEvent{
		ResourceType: "AuditEvent", ID: id, Type: h.typ, Subtype: slices.Clone(h.subtype), Action: h.action,
		Recorded: e.Time.UTC().Format(instant), Outcome: e.Outcome, PurposeOfEvent: purposesOf(e.Purposes),
		Source: source{Site: s.Name, Observer: ref(s.Observer), Type: []coding{sourceServer}},
	}
	if e.Outcome != Success {
		a.OutcomeDesc = e.Reason
	}
	if e.emergency() && h.typ == typeAlert && e.Kind != Override && e.Outcome == Success {
		a.Subtype = append(a.Subtype, overriding)
	}
	if h.server == agentAuthZ || h.server == agentToken {
		a.Source.Type = []coding{sourceGuard}
	}
	if e.On != "" {
		a.Period = &period{e.On, e.On}
	}
	a.Agent = s.agents(e, &h)
	a.Entity = e.entities()
	if p := e.profile(&h, a); p != "" {
		a.Meta = &meta{Profile: []string{p}}
	}
	return a, nil
}

func (e *Event) emergency() bool {
	return slices.ContainsFunc(e.Purposes.List(), consent.Purpose.Emergency)
}

// profile is BALP's profile of the event, "" if it does not meet one.
func (e *Event) profile(h *shape, a *auditEvent) string {
	has := func(t coding) bool {
		return slices.ContainsFunc(a.Agent, func(g agent) bool {
			return g.Type.Coding[0] == t && (g.Network != nil || t == agentReader || t == agentOrg || t == agentAuthZ)
		})
	}
	patient, data := e.Patient.known(), len(e.Resources) == 1 && e.Query == ""
	switch {
	case e.Kind == Login:
		if e.Outcome == Success && has(agentApp) && has(agentToken) && len(a.Entity) == 1 && e.Query != "" {
			return ProfileToken
		}
		return ""
	case h.profile == "":
		return ""
	case e.Kind == Decide:
		if has(agentApp) && has(agentReader) && has(agentOrg) && has(agentAuthZ) && patient && len(e.Consents) > 0 {
			return profiles + h.profile
		}
		return ""
	case !h.rest:
		if has(agentSource) && has(agentDest) && patient && len(a.Entity) > 1 {
			return profiles + h.profile
		}
		return ""
	}
	if e.Outcome != Success || !has(h.client) || !has(h.server) || (h.profile == "Query") != (e.Query != "") || h.profile != "Query" && !data {
		return ""
	}
	if patient {
		return profiles + "Patient" + h.profile
	}
	return profiles + h.profile
}

// agents are who took part: the client first, then who was asked, then the person and hers.
func (s *Site) agents(e *Event, h *shape) (out []agent) {
	add := func(t coding, w Who, requestor, net bool) {
		if t == (coding{}) || !w.known() {
			return
		}
		g := agent{Type: conceptOf(t), Who: ref(w), Requestor: requestor}
		if net {
			g.Network = networkOf(w.Address)
		}
		out = append(out, g)
	}
	server := e.Server
	if !server.known() {
		server = s.Observer
	}
	person := e.User.known()
	add(h.client, e.Client, !person && h.client != (coding{}), true)
	add(h.server, server, false, h.server != agentAuthZ) // AuthZconsent: no network of the authorizer
	if e.Kind == Disclose || e.Kind == Receive {
		to := e.Recipient
		if !to.known() && e.Kind == Receive {
			to = s.Observer
		}
		add(agentDest, to, !person, true)
		add(agentApp, e.Client, false, true)
	}
	add(h.user, e.User, true, false)
	if person {
		u := &out[len(out)-1]
		u.PurposeOfUse = purposesOf(e.Purposes)
		u.Policy = e.policies()
	}
	if e.Kind != Login { // IUA.71 has three agents at most
		add(agentOrg, e.Organization, !person && !e.Client.known() && e.Kind != Disclose && e.Kind != Receive, false)
	}
	if !slices.ContainsFunc(out, func(g agent) bool { return g.Requestor }) && len(out) > 0 {
		out[len(out)-1].Requestor = true
	}
	return out
}

// policies are by what the user was let in: token, session, grants.
func (e *Event) policies() (out []string) {
	if e.Token != "" {
		out = append(out, "urn:salus:token:"+e.Token)
	}
	if e.Session != (tx.Hash{}) {
		out = append(out, systemSession+":"+e.Session.String())
	}
	for _, g := range e.Grants {
		out = append(out, systemGrantID+":"+g.String())
	}
	return out
}

// spoken is a text without what a FHIR string must not have: control characters, or nothing but blanks (R4 2.24.0.1).
func spoken(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if strings.TrimSpace(s) == "" {
		return "an address without a name"
	}
	return s
}

func (e *Event) entities() (out []entity) {
	query := func() {
		if e.Query != "" {
			out = append(out, entity{Type: &entitySystem, Role: &roleQuery, Query: base64.StdEncoding.EncodeToString([]byte(e.Query))})
		}
	}
	if e.Kind == Login {
		query()
		return out
	}
	if e.Query != "" {
		query()
	} else {
		role := &roleDomain
		if !shapes[e.Kind].rest {
			role = &roleReport
		}
		for _, r := range e.Resources {
			x := entity{What: &reference{Reference: r}, Type: &entitySystem, Role: role}
			if !fhir.Relative(r) { // an address at which there is nothing, as it was asked for
				x.What, x.Description = nil, spoken(r)
			}
			out = append(out, x)
		}
	}
	if e.On != "" && e.What != "" { // there is no resource that says what it was
		out = append(out, entity{Type: &entityOther, Role: &roleReport, Description: e.What})
	}
	if e.Patient.known() {
		p := ref(e.Patient)
		out = append(out, entity{What: &p, Type: &entityPerson, Role: &rolePatient})
	}
	for _, c := range e.Consents {
		w := ref(c)
		out = append(out, entity{What: &w, Type: &entityAgree})
	}
	if e.List != (tx.Hash{}) {
		typ := &entitySystem
		if shapes[e.Kind].rest { // whose profiles have one system object
			typ = &entityOther
		}
		out = append(out, entity{
			What: &reference{Identifier: &identifier{systemList, e.List.String()}}, Type: typ, Role: &roleReport,
			Detail: []detail{{"records", strconv.FormatUint(uint64(e.Count), 10)}},
		})
	}
	if e.Request != "" {
		out = append(out, entity{What: &reference{Identifier: &identifier{Value: e.Request}}, Type: &entityReq})
	}
	if e.Session != (tx.Hash{}) {
		out = append(out, entity{What: &reference{Identifier: &identifier{systemSession, e.Session.String()}}, Type: &entityOther, Role: &roleJob})
	}
	if l := e.Ledger; l != nil {
		out = append(out, entity{
			What: &reference{Identifier: &identifier{systemLog, strconv.FormatUint(l.Index, 10)}}, Type: &entityOther,
			Detail: []detail{
				{"height", strconv.FormatUint(l.Height, 10)},
				{"transaction", l.Tx.String()},
				{"sequence", strconv.FormatUint(l.Seq, 10)},
				{"chain-head-before", l.Head.String()},
			},
		})
	}
	return out
}

func ref(w Who) reference {
	r := reference{Reference: w.Reference, Display: w.Display}
	if w.Value != "" {
		r.Identifier = &identifier{w.System, w.Value}
	}
	return r
}

// networkOf tells what an address is (R4 network-type).
func networkOf(address string) *network {
	if address == "" {
		return nil
	}
	if _, err := netip.ParseAddr(address); err == nil {
		return &network{address, "2"}
	}
	if strings.Contains(address, "://") || strings.HasPrefix(address, "urn:") {
		return &network{address, "5"}
	}
	return &network{address, "1"}
}
