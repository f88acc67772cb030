package pcf

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"salus/fhir/element"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// MaxSize is the largest Consent, in bytes.
const MaxSize = 256 << 10

// skew is how far ahead of this node's clock a Consent may be dated.
const skew = 5 * time.Minute

// A Policy is what an overarching policy (PCF volume 1, Implicit option) says where a provision says
// nothing. Whatever no provision speaks of is denied: a policy that permits of itself is none that
// the ledger can enforce.
type Policy struct {
	Purposes consent.Purposes // of a permit that names none
	Labels   Labels           // of a permit that names none
	// Open says that the policy permits something by itself. It is taken only with a root that denies
	// everything to everybody, so that nothing is left to the policy.
	Open bool
}

// Policies are those that this room knows by itself.
func Policies() map[string]Policy {
	tpo := Policy{Purposes: consent.PurposesOf(consent.TREAT, consent.HPAYMT, consent.HOPERAT), Labels: usual}
	open := tpo
	open.Open = true
	return map[string]Policy{PolicySalus: tpo, PolicyDeny: tpo, PolicyBreakGlassOnly: open, PolicyBasicNormal: open, PolicyAllNormal: open}
}

// Options are what a Consent is read with.
type Options struct {
	Patient   tx.Account   // whose it must be
	Proxies   []tx.Account // who else may agree for her
	Steward   tx.Account   // the organisation that keeps her consents; zero does not look at it
	Community []tx.Account // active members that are not clinical: with the clinical ones, everybody
	Directory Directory    // Accounts{} if nil
	Policies  map[string]Policy
	Zone      *time.Location // of dates without a time; UTC if nil
	Now       time.Time      // of the ledger; zero does not look at the time
}

func (o *Options) fill() {
	if o.Directory == nil {
		o.Directory = Accounts{}
	}
	if o.Policies == nil {
		o.Policies = Policies()
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
}

// A Document is a Consent that was read.
type Document struct {
	ID       string
	Version  string // meta.versionId
	Status   string
	DateTime string
	Agreed   []tx.Account // who agreed: the patient or proxies of hers
	Policy   string
	Wishes   []Wish  // canonical; none unless the status is active
	Notes    []Issue // warnings and information
}

// ToWishes turns a posted Consent into wishes. The error is a *Refusal that names every element that
// cannot be enforced.
func ToWishes(raw []byte, o Options) ([]Wish, []Issue, error) {
	d, err := Read(raw, o)
	if err != nil {
		return nil, nil, err
	}
	if d.Status != "active" {
		return nil, nil, &Refusal{[]Issue{{"error", "business-rule", CodeStatus, "only an active Consent is enforced; a refusal is an active Consent whose provision denies", "Consent.status"}}}
	}
	return d.Wishes, d.Notes, nil
}

// Read reads a posted Consent. The error is a *Refusal.
func Read(raw []byte, o Options) (*Document, error) {
	o.fill()
	r := reader{o: o, d: &Document{}}
	if len(raw) > MaxSize {
		r.refuse(CodeSize, "too-long", "a Consent has at most 262144 bytes", "Consent")
		return nil, r.refusal()
	}
	t, err := element.Parser{Depth: 32, Size: MaxSize, Known: known}.Parse(raw)
	if err != nil {
		text := "not FHIR JSON"
		if e, ok := errors.AsType[*element.Error](err); ok {
			text = e.Code + " at byte " + strconv.Itoa(e.Offset)
		}
		r.refuse(CodeJSON, "structure", text, "Consent")
		return nil, r.refusal()
	}
	root := t.Root()
	if root.Kind() != element.Object || root.Get("resourceType").Text() != "Consent" {
		r.refuse(CodeJSON, "structure", "not a Consent", "Consent")
		return nil, r.refusal()
	}
	r.d.Status = root.Get("status").Text() // before the periods
	r.consent(root)
	if err := r.refusal(); err != nil {
		return nil, err
	}
	if r.d.Status == "active" {
		r.compile()
	}
	if err := r.refusal(); err != nil {
		return nil, err
	}
	return r.d, nil
}

// A reader accounts for every element: what it has no place for, it refuses.
type reader struct {
	o        Options
	d        *Document
	issues   []Issue
	root     *provision
	policy   Policy
	profiles []string
}

func (r *reader) refuse(code, typ, text, path string) {
	r.issues = append(r.issues, Issue{"error", typ, code, text, path})
}

func (r *reader) note(code, text, path string) {
	r.d.Notes = append(r.d.Notes, Issue{"information", "informational", code, text, path})
}

func (r *reader) refusal() error {
	if len(r.issues) == 0 {
		return nil
	}
	return &Refusal{r.issues}
}

// fields are the members that an object may have, and what reads each.
type fields map[string]func(n element.Node, path string)

// members are the names of R4 Consent and of what is in it: they may be shown.
var members = strings.Fields(`id meta implicitRules language text contained extension modifierExtension identifier status scope category
	patient dateTime performer organization sourceAttachment sourceReference policy policyRule verification provision authority uri verified
	verifiedWith verificationDate type period actor action securityLabel purpose class code dataPeriod data role reference meaning start end
	coding system version display userSelected value assigner use url valuePositiveInt versionId lastUpdated source profile security tag resourceType`)

func known(name string) bool { return slices.Contains(members, strings.TrimPrefix(name, "_")) }

func (r *reader) object(n element.Node, path string, f fields) {
	if n.Kind() != element.Object {
		r.refuse(CodeType, "structure", "an object is needed here", path)
		return
	}
	for m := range n.Children() {
		name := m.Name()
		if read, ok := f[name]; ok {
			read(m, path+"."+name)
			continue
		}
		switch {
		case name == "id" && m.Kind() == element.String:
		case name == "extension":
			r.refuse(CodeUnsupported, "not-supported", "an extension here may change what is agreed to", path+".extension")
		case name == "modifierExtension":
			r.refuse(CodeModifier, "extension", "a modifier extension that this server does not know", path+".modifierExtension")
		case strings.HasPrefix(name, "_") && f[name[1:]] != nil:
			r.refuse(CodeUnsupported, "not-supported", "an extension of this element may change what is agreed to", path+"."+name[1:])
		default:
			at := path
			if known(name) {
				at += "." + name
			}
			r.refuse(CodeUnknown, "structure", "FHIR R4 has no such element here", at)
		}
	}
}

// each reads the elements of an array that is not empty.
func (r *reader) each(n element.Node, path string, read func(n element.Node, path string)) {
	if n.Kind() != element.Array || n.Len() == 0 {
		r.refuse(CodeType, "structure", "a list with at least one element is needed here", path)
		return
	}
	i := 0
	for m := range n.Children() {
		read(m, path+"["+strconv.Itoa(i)+"]")
		i++
	}
}

func (r *reader) list(read func(n element.Node, path string)) func(element.Node, string) {
	return func(n element.Node, path string) { r.each(n, path, read) }
}

func (r *reader) text(into *string) func(element.Node, string) {
	return func(n element.Node, path string) {
		if n.Kind() != element.String || n.Text() == "" {
			r.refuse(CodeType, "structure", "a string that is not empty is needed here", path)
			return
		}
		*into = n.Text()
	}
}

// keep accepts an element that describes and does not decide.
func keep(element.Node, string) {}

// not refuses an element that FHIR has and that cannot be enforced.
func (r *reader) not(code, text string) func(element.Node, string) {
	return func(_ element.Node, path string) { r.refuse(code, "not-supported", text, path) }
}

func (r *reader) consent(n element.Node) {
	var scope []Coding
	var categories, policies int
	var patient Reference
	f := fields{
		"resourceType": keep, "id": r.text(&r.d.ID), "language": keep, "text": keep, "identifier": keep,
		"meta": r.meta, "implicitRules": r.not(CodeModifier, "rules outside of the resource are not followed"),
		"contained": r.not(CodeContained, "refer to resources of their own"),
		"extension": func(_ element.Node, path string) { r.note(CodeKept, "extensions are kept and not enforced", path) },
		"status":    r.text(&r.d.Status),
		"scope":     func(m element.Node, path string) { scope = r.concept(m, path) },
		"category":  r.list(func(m element.Node, path string) { r.concept(m, path); categories++ }),
		"patient":   func(m element.Node, path string) { patient = r.reference(m, path) },
		"dateTime":  r.text(&r.d.DateTime), "performer": r.list(r.performer),
		"organization":     r.list(r.organization),
		"sourceAttachment": keep, "sourceReference": func(m element.Node, path string) { r.reference(m, path) },
		"policy":       r.list(func(m element.Node, path string) { r.policyOf(m, path); policies++ }),
		"policyRule":   r.not(CodePolicy, "name the policy in policy.uri, as PCF requires"),
		"verification": r.not(CodeUnsupported, "PCF has no verification; who signed is in meta.tag"),
		"provision":    func(m element.Node, path string) { r.root = r.provision(m, path, 0) },
	}
	r.object(n, "Consent", f)
	for _, name := range []string{"status", "scope", "category", "patient", "dateTime", "performer", "organization", "policy", "provision"} {
		if n.Get(name).Kind() == element.Absent {
			r.refuse(CodeRequired, "required", "PCF requires this element", "Consent."+name)
		}
	}
	if n.Get("sourceAttachment").Kind() == element.Absent == (n.Get("sourceReference").Kind() == element.Absent) {
		r.refuse(CodeRequired, "required", "PCF requires one source", "Consent.source")
	}
	if policies > 1 {
		r.refuse(CodePolicy, "business-rule", "which of several policies prevails is not said", "Consent.policy")
	}
	if len(scope) > 0 && !slices.Contains(scope, Coding{systemScope, "patient-privacy"}) {
		r.refuse(CodeScope, "business-rule", "only the scope patient-privacy is enforced", "Consent.scope")
	}
	if p := r.root; p != nil && r.policy.Open && (p.permit || p.period || p.actors != nil || p.purposes != 0 || p.labels != nil) {
		r.refuse(CodePolicy, "business-rule", "this policy permits by itself what the provision does not speak of: the ledger does not", "Consent.policy[0].uri")
	}
	r.statusAndTime()
	if n.Get("patient").Kind() != element.Absent {
		if who, ok := r.o.Directory.Person(patient); !ok || who != r.o.Patient {
			r.refuse(CodePatient, "business-rule", "not the patient that this is posted for", "Consent.patient")
		}
	}
	r.level()
}

func (r *reader) statusAndTime() {
	switch r.d.Status {
	case "", "active", "inactive", "entered-in-error":
	case "draft", "proposed", "rejected":
		r.refuse(CodeStatus, "business-rule", "only an active Consent is enforced; a refusal is an active Consent whose provision denies", "Consent.status")
	default:
		r.refuse(CodeStatus, "code-invalid", "not a code of consent-state-codes", "Consent.status")
	}
	if r.d.DateTime == "" {
		return
	}
	at, _, err := interval(r.d.DateTime, r.o.Zone)
	if errors.Is(err, errFraction) {
		at, err = time.Parse(time.RFC3339Nano, r.d.DateTime)
	}
	if err != nil || !r.o.Now.IsZero() && at.After(r.o.Now.Add(skew)) {
		r.refuse(CodeTime, "value", "a date or dateTime that is not in the future is needed", "Consent.dateTime")
	}
}

func (r *reader) meta(n element.Node, path string) {
	r.object(n, path, fields{
		"versionId": r.text(&r.d.Version), "lastUpdated": keep, "source": keep, "security": keep, "tag": keep, "extension": keep,
		"profile": r.list(func(m element.Node, _ string) { r.profiles = append(r.profiles, m.Text()) }),
	})
}

// level compares what is there with the PCF profile that the Consent says it follows.
func (r *reader) level() {
	if r.root == nil {
		return
	}
	labels := len(r.root.labels) > 0 || slices.ContainsFunc(r.root.nested, func(p *provision) bool { return len(p.labels) > 0 })
	basic, intermediate := slices.Contains(r.profiles, ProfileBasic), slices.Contains(r.profiles, ProfileIntermediate)
	if labels && (basic || intermediate) || basic && len(r.root.nested) > 0 {
		r.refuse(CodeProfile, "structure", "the profile that is named does not allow these provisions", "Consent.meta.profile")
	}
}

func (r *reader) performer(n element.Node, path string) {
	who, ok := r.o.Directory.Person(r.reference(n, path))
	if !ok || who != r.o.Patient && !slices.Contains(r.o.Proxies, who) {
		r.refuse(CodePerformer, "business-rule", "only the patient or a proxy of hers agrees for her", path)
		return
	}
	r.d.Agreed = append(r.d.Agreed, who)
}

// organization reads who manages the Consent (R4 6.2.4). One that is no member here is kept as it is said.
func (r *reader) organization(n element.Node, path string) {
	g, ok := r.o.Directory.Grantee(r.reference(n, path))
	if ok && !r.o.Steward.IsZero() && (g.Kind != consent.OfMember || g.Account != r.o.Steward) {
		r.refuse(CodeSteward, "business-rule", "the patient's consents are kept by her steward: name that organization", path)
	}
}

func (r *reader) policyOf(n element.Node, path string) {
	r.object(n, path, fields{"uri": r.text(&r.d.Policy), "authority": keep})
	p, ok := r.o.Policies[r.d.Policy]
	switch {
	case n.Get("uri").Kind() == element.Absent:
		r.refuse(CodeRequired, "required", "PCF requires the policy's uri", path+".uri")
	case !ok:
		r.refuse(CodePolicy, "business-rule", "this network does not implement that policy", path+".uri")
	}
	r.policy = p
}

// reference reads a Reference.
func (r *reader) reference(n element.Node, path string) (ref Reference) {
	r.object(n, path, fields{
		"reference": r.text(&ref.Reference), "type": r.text(&ref.Type), "display": r.text(&ref.Display),
		"identifier": func(m element.Node, path string) {
			r.object(m, path, fields{"system": r.text(&ref.System), "value": r.text(&ref.Value), "use": keep, "type": keep, "period": keep, "assigner": keep})
		},
	})
	if len(r.issues) == 0 && ref.Reference == "" && ref.Value == "" {
		r.refuse(CodeRequired, "required", "a reference or an identifier is needed", path)
	}
	return ref
}

// coding reads a Coding.
func (r *reader) coding(n element.Node, path string) (c Coding) {
	r.object(n, path, fields{"system": r.text(&c.System), "code": r.text(&c.Code), "version": keep, "display": keep, "userSelected": keep})
	if full, ok := oids[c.System]; ok {
		c.System = full
	}
	return c
}

// oids are the code systems' object identifiers, as older senders write them (R4 4.3).
var oids = map[string]string{
	"urn:oid:2.16.840.1.113883.5.8": systemReason, "urn:oid:2.16.840.1.113883.5.25": systemConfidentiality,
	"urn:oid:2.16.840.1.113883.5.4": systemActCode, "urn:oid:2.16.840.1.113883.5.90": systemParticipation,
}

// concept reads a CodeableConcept.
func (r *reader) concept(n element.Node, path string) (out []Coding) {
	r.object(n, path, fields{
		"coding": r.list(func(m element.Node, path string) { out = append(out, r.coding(m, path)) }), "text": keep,
	})
	return out
}
