package chart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"salus/gateway/rest"
	"salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/tx"
	"salus/record"
)

// An emergency is declared by an operation of its own, and by nothing else: a request that names BTG as
// its purpose sees what a declared emergency opens, and is answered as if there were nothing where none
// was declared. No answer tells whether there was a restriction (IHE PCF, issue 20; EHDS Art. 8).

// emergencyLasts is for how long an emergency is declared if the declaration does not say.
const emergencyLasts = time.Hour

// StepUp is how long ago a person may have signed in to the app with which she declares an emergency, if
// the configuration does not say.
const StepUp = 2 * time.Minute

// Confirmed is what somebody confirms with a passkey before she declares an emergency: about whom, as
// "Patient/<id>", why and for how long; reason "" is the second step of one.
func Confirmed(ref, reason string, seconds uint64) string {
	if reason == "" {
		return "break-glass-widen " + ref
	}
	return fmt.Sprintf("break-glass %s %s %d", ref, reason, seconds)
}

var (
	errEmergencyWho     = rest.NewFault(http.StatusForbidden, "forbidden", "emergency-caller", "an emergency is declared by a practitioner, for the purpose of use BTG")
	errEmergencyReason  = rest.NewFault(http.StatusUnprocessableEntity, "required", "emergency-reason", "say why: the parameter reason is OVRER, OVRINCOMP, OVRPJ, OVRPS or OVRTPS (HL7 v3 ActReason), once")
	errEmergencySeconds = rest.NewFault(http.StatusUnprocessableEntity, "value", "emergency-ttl", "the parameter seconds is a number from 1")
	errEmergencyPatient = rest.NewFault(http.StatusUnprocessableEntity, "required", "emergency-patient", "say for whom: Patient/[id]/$break-glass, or the parameter patient as Patient/[id], once")
	errEmergencyPasskey = rest.NewFault(http.StatusForbidden, "forbidden", "emergency-passkey", "who has a passkey at this organisation's portal declares emergencies there, with the passkey; what is declared then opens here too")
	errEmergencyUnknown = rest.NewFault(http.StatusNotFound, "not-found", "emergency-unknown-patient", "this organisation knows no such patient: adopt her pseudonym first")
	errEmergencyNone    = rest.NewFault(http.StatusConflict, "conflict", "emergency-ended", "no emergency that this practitioner declared about the patient is open here")
	errEmergencyParam   = rest.NewFault(http.StatusBadRequest, "not-supported", "emergency-parameter", "the parameters are patient, reason and seconds")
	errStepUp           = rest.NewFault(http.StatusUnauthorized, "login", "emergency-step-up", "an emergency needs somebody who has just signed in: authorise again with max_age")
)

// emergencies are the operations of emergencies.
func (s *Service) emergencies() []rest.Operation {
	return []rest.Operation{
		{Name: "break-glass", Types: []string{"Patient"}, Instances: []string{"Patient"}, Definition: "urn:salus:operation:break-glass", Handle: s.breakGlass},
		{Name: "break-glass-widen", Types: []string{"Patient"}, Instances: []string{"Patient"}, Definition: "urn:salus:operation:break-glass-widen", Handle: s.widenGlass},
	}
}

// An urgency is a call of one of them that may go on.
type urgency struct {
	key     chartKey
	ref     string
	reason  emergency.Reason
	seconds uint64
}

// urgent says who calls, and about whom. reply is the answer of a call that may not go on for want of
// a fresh sign-in.
func (s *Service) urgent(ctx context.Context, c *rest.Call, declares bool) (u urgency, reply *rest.Reply, err error) {
	r, err := http.NewRequestWithContext(ctx, c.Method, "/", nil)
	if err != nil {
		return u, nil, err
	}
	r.Header = c.Header
	who, err := s.Caller(r)
	switch {
	case err != nil:
		return u, nil, err
	case who.Name == "", who.Purpose != consent.BTG:
		return u, nil, errEmergencyWho
	case !c.Leave.Allows(rest.Read, "Patient"):
		return u, nil, rest.ErrForbidden
	}
	if u, err = parameters(c, declares); err != nil {
		return u, nil, err
	}
	if who.Patient != "" && who.Patient != u.ref {
		return u, nil, rest.ErrForbidden
	}
	if time.Since(who.Verified) > s.stepUpAge() {
		return u, s.askStepUp(), nil
	}
	if who.Passkey && who.Declared != u.confirmed(declares) {
		return u, nil, errEmergencyPasskey
	}
	patient, err := s.Record.Known(u.ref)
	if errors.Is(err, record.ErrUnknownPatient) {
		return u, nil, errEmergencyUnknown
	}
	u.key = chartKey{who.Name, patient, consent.BTG}
	return u, nil, err
}

// confirmed is what of the call its caller has to have confirmed with a passkey, if she has one.
func (u *urgency) confirmed(declares bool) string {
	if !declares {
		return Confirmed(u.ref, "", 0)
	}
	return Confirmed(u.ref, u.reason.String(), u.seconds)
}

func (s *Service) stepUpAge() time.Duration {
	if s.StepUp > 0 {
		return s.StepUp
	}
	return StepUp
}

// askStepUp asks for a fresh sign-in (RFC 9470).
func (s *Service) askStepUp() *rest.Reply {
	text := errStepUp.Issues[0].Text
	return &rest.Reply{
		Status: errStepUp.Status,
		Header: http.Header{"Www-Authenticate": {fmt.Sprintf(`Bearer error="insufficient_user_authentication", error_description=%q, max_age="%d"`, text, int(s.stepUpAge()/time.Second))}},
		Body:   rest.Outcome(errStepUp.Issues),
	}
}

func parameters(c *rest.Call, declares bool) (u urgency, err error) {
	var refs, reasons, seconds []string
	for _, p := range c.Params {
		switch {
		case p.Name == "patient":
			refs = append(refs, p.Value)
		case p.Name == "reason" && declares:
			reasons = append(reasons, p.Value)
		case p.Name == "seconds" && declares:
			seconds = append(seconds, p.Value)
		default:
			return u, errEmergencyParam
		}
	}
	if c.ID != "" {
		refs = append(refs, "Patient/"+c.ID)
	}
	if len(refs) != 1 || patientRef(refs[0]) == "" {
		return u, errEmergencyPatient
	}
	u.ref = patientRef(refs[0])
	if !declares {
		return u, nil
	}
	if len(reasons) != 1 {
		return u, errEmergencyReason
	}
	if u.reason, err = emergency.ParseReason(reasons[0]); err != nil {
		return u, errEmergencyReason
	}
	u.seconds = uint64(emergencyLasts / time.Second)
	if len(seconds) > 0 {
		u.seconds, err = strconv.ParseUint(seconds[0], 10, 32)
		if len(seconds) > 1 || err != nil || u.seconds == 0 {
			return u, errEmergencySeconds
		}
	}
	return u, nil
}

// urgentChart is urgent, and the patient's chart as it stands. The caller unlocks the chart; there is one if
// there is neither a reply nor an error.
func (s *Service) urgentChart(ctx context.Context, c *rest.Call, declares bool) (u urgency, x *chart, reply *rest.Reply, err error) {
	u, reply, err = s.urgent(ctx, c, declares)
	if reply != nil || err != nil {
		return u, nil, reply, err
	}
	if x, err = s.charts.get(u.key, u.ref); err != nil {
		return u, nil, nil, err
	}
	x.mu.Lock()
	if err := s.check(ctx, x); err != nil {
		x.mu.Unlock()
		return u, nil, nil, err
	}
	return u, x, nil, nil
}

// breakGlass declares an emergency about one patient. From then on requests about her for the purpose
// BTG see what it opens.
func (s *Service) breakGlass(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
	u, x, reply, err := s.urgentChart(ctx, c, true)
	if reply != nil || err != nil {
		return reply, err
	}
	defer x.mu.Unlock()
	by, err := s.Signer(u.key.name)
	if err != nil {
		return nil, rest.ErrForbidden
	}
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	session, err := record.OpenEmergency(ctx, s.Record.Reading(), s.Client.As(by), u.key.patient, u.reason, time.Duration(u.seconds)*time.Second)
	if err != nil {
		return nil, refusal(err)
	}
	if err := s.empty(ctx, x); err != nil {
		return nil, err
	}
	s.charts.keep(x)
	x.session = session
	_, x.allowed = s.standing(x)
	return s.toldOf(session.ID, u.ref)
}

// widenGlass takes the second, explicit step of an emergency that was declared here.
func (s *Service) widenGlass(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
	u, x, reply, err := s.urgentChart(ctx, c, false)
	if reply != nil || err != nil {
		return reply, err
	}
	defer x.mu.Unlock()
	if x.session == nil {
		return nil, errEmergencyNone
	}
	if err := x.session.Widen(ctx); err != nil {
		return nil, refusal(err)
	}
	if err := s.check(ctx, x); err != nil { // it allows something else now
		return nil, err
	}
	return s.toldOf(x.session.ID, u.ref)
}

// toldOf says what was declared: until when, and what is owed. Nothing says what it opens.
func (s *Service) toldOf(id tx.Hash, ref string) (*rest.Reply, error) {
	v := s.View()
	defer v.Close()
	e, ok := emergency.Lookup(v, id)
	if !ok {
		return nil, access.ErrUnknown
	}
	type parameter struct {
		Name           string     `json:"name"`
		ValueString    string     `json:"valueString,omitempty"`
		ValueInstant   string     `json:"valueInstant,omitempty"`
		ValueReference *reference `json:"valueReference,omitempty"`
	}
	at := func(seconds uint64) string { return time.Unix(int64(seconds), 0).UTC().Format(time.RFC3339) }
	body, err := json.Marshal(struct {
		ResourceType string      `json:"resourceType"`
		Parameter    []parameter `json:"parameter"`
	}{"Parameters", []parameter{
		{Name: "session", ValueString: id.String()},
		{Name: "patient", ValueReference: &reference{Reference: ref}},
		{Name: "until", ValueInstant: at(e.Until)},
		{Name: "attestBy", ValueInstant: at(e.AttestBy)},
		{Name: "reviewBy", ValueInstant: at(e.ReviewBy)},
	}})
	return &rest.Reply{Body: body, About: ref}, err
}

// refusal is what the ledger said, as the caller sees it. None of these depends on what the patient allows.
func refusal(err error) error {
	var r *tx.Refusal
	if !errors.As(err, &r) {
		return err
	}
	codes := emergency.Codes()
	i := slices.IndexFunc(codes, func(c tx.CodeInfo) bool { return c.Code == r.Code })
	if i < 0 {
		return err
	}
	status, typ := http.StatusForbidden, "forbidden"
	switch {
	case errors.Is(err, emergency.ErrRunning), errors.Is(err, emergency.ErrWidened), errors.Is(err, emergency.ErrEnded):
		status, typ = http.StatusConflict, "conflict"
	case errors.Is(err, emergency.ErrTTL):
		status, typ = http.StatusUnprocessableEntity, "value"
	case errors.Is(err, emergency.ErrQuota):
		status, typ = http.StatusTooManyRequests, "throttled"
	}
	return rest.NewFault(status, typ, codes[i].Name, codes[i].Text)
}
