package pcf

import (
	"encoding/json"
	"slices"
	"time"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// A Frame is what a Consent says around its provisions.
type Frame struct {
	Patient   tx.Account
	Steward   tx.Account // the organisation that keeps the patient's consents
	ID        string     // logical id; "" leaves it out
	Version   string
	Updated   time.Time
	Active    bool
	Paper     *Paper // what was posted; nil if it is not kept here
	Directory Directory
	Policies  map[string]Policy
}

// posted are the elements that come back as they were posted: they describe and do not decide.
type posted struct {
	Identifier       []json.RawMessage `json:"identifier,omitempty"`
	Category         json.RawMessage   `json:"category,omitempty"`
	DateTime         json.RawMessage   `json:"dateTime,omitempty"`
	Performer        json.RawMessage   `json:"performer,omitempty"`
	Organization     json.RawMessage   `json:"organization,omitempty"`
	SourceAttachment json.RawMessage   `json:"sourceAttachment,omitempty"`
	SourceReference  json.RawMessage   `json:"sourceReference,omitempty"`
	Patient          json.RawMessage   `json:"patient,omitempty"`
	Policy           []jsonPolicy      `json:"policy,omitempty"`
}

// FromGrants writes the grants of one Consent, as they stand or last stood, as FHIR R4. The PCF
// profile that it follows is in meta.profile, who signed in meta.tag. Grants cannot be none.
func FromGrants(parts []consent.Standing, slots *record.SlotMap, f Frame) ([]byte, error) {
	if len(parts) == 0 {
		return nil, ErrNotFound
	}
	if f.Directory == nil {
		f.Directory = Accounts{}
	}
	if f.Policies == nil {
		f.Policies = Policies()
	}
	var wishes []Wish
	for i := range parts {
		w, err := WishOf(&parts[i].Grant, slots)
		if err != nil {
			return nil, err
		}
		wishes = append(wishes, w)
	}
	var said posted
	if f.Paper != nil && json.Unmarshal(f.Paper.Body, &said) != nil {
		return nil, errPaper
	}
	policy := PolicySalus
	if len(said.Policy) == 1 {
		// A denial of everything reads back as what it is on the ledger, with every actor named: then a
		// policy that permits by itself would say more.
		if p, ok := f.Policies[said.Policy[0].URI]; ok && !p.Open {
			policy = said.Policy[0].URI
		}
	}
	root, profile := provisions(Canonical(wishes), f.Directory, f.Policies[policy].Labels)
	c := consentJSON{
		ResourceType: "Consent", ID: f.ID, Status: "inactive", Meta: meta(parts, &f, profile),
		Scope: jsonConcept{[]jsonCoding{{System: systemScope, Code: "patient-privacy"}}}, Policy: []jsonPolicy{{policy}}, Provision: root,
	}
	if f.Active {
		c.Status = "active"
	}
	var err error
	fill := func(into *json.RawMessage, was json.RawMessage, otherwise any) {
		if *into = was; was == nil && err == nil {
			*into, err = encode(otherwise)
		}
	}
	newest := slices.MaxFunc(parts, func(a, b consent.Standing) int { return int(int64(a.Height) - int64(b.Height)) })
	fill(&c.Category, said.Category, []jsonConcept{{[]jsonCoding{{System: systemLOINC, Code: "59284-0"}}}})
	fill(&c.DateTime, said.DateTime, f.Updated.UTC().Format(wholeSecs))
	fill(&c.Patient, said.Patient, referenceJSON(f.Directory.Agent(f.Patient, "Patient")))
	fill(&c.Performer, said.Performer, []jsonReference{referenceJSON(performer(&newest, &f))})
	fill(&c.Organization, said.Organization, []jsonReference{referenceJSON(f.Directory.Agent(f.Steward, "Organization"))})
	fill(&c.Identifier, nil, identifiers(parts, said.Identifier))
	if c.SourceAttachment = said.SourceAttachment; said.SourceAttachment == nil {
		fill(&c.SourceReference, said.SourceReference, source(&newest))
	}
	if err != nil {
		return nil, err
	}
	return encode(c)
}

// consentJSON is a Consent as it is written.
type consentJSON struct {
	ResourceType     string          `json:"resourceType"`
	ID               string          `json:"id,omitempty"`
	Meta             jsonMeta        `json:"meta"`
	Identifier       json.RawMessage `json:"identifier,omitempty"`
	Status           string          `json:"status"`
	Scope            jsonConcept     `json:"scope"`
	Category         json.RawMessage `json:"category"`
	Patient          json.RawMessage `json:"patient"`
	DateTime         json.RawMessage `json:"dateTime"`
	Performer        json.RawMessage `json:"performer"`
	Organization     json.RawMessage `json:"organization"`
	SourceAttachment json.RawMessage `json:"sourceAttachment,omitempty"`
	SourceReference  json.RawMessage `json:"sourceReference,omitempty"`
	Policy           []jsonPolicy    `json:"policy"`
	Provision        *jsonProvision  `json:"provision"`
}

// capacity is in what right a grant was signed.
func capacity(s *consent.Standing, patient tx.Account) string {
	switch {
	case s.Grant.Recorded:
		return "steward"
	case s.By == patient:
		return "patient"
	}
	return "proxy"
}

func meta(parts []consent.Standing, f *Frame, profile string) jsonMeta {
	m := jsonMeta{VersionID: f.Version, Profile: []string{profile}}
	if !f.Updated.IsZero() {
		m.LastUpdated = f.Updated.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	for i := range parts {
		tag := jsonCoding{System: SystemCapacity, Code: capacity(&parts[i], f.Patient)}
		if !slices.Contains(m.Tag, tag) {
			m.Tag = append(m.Tag, tag)
		}
	}
	return m
}

// performer is who agreed: what a steward recorded is still the patient's.
func performer(s *consent.Standing, f *Frame) Reference {
	if capacity(s, f.Patient) == "proxy" {
		return f.Directory.Agent(s.By, "RelatedPerson")
	}
	return f.Directory.Agent(f.Patient, "Patient")
}

// identifiers are those that were posted, and the grants'.
func identifiers(parts []consent.Standing, said []json.RawMessage) []any {
	var out []any
	for _, raw := range said {
		var id jsonIdentifier
		if json.Unmarshal(raw, &id) != nil || id.System != SystemGrant { // not those of an older version
			out = append(out, raw)
		}
	}
	for _, s := range parts {
		out = append(out, jsonIdentifier{SystemGrant, s.Grant.ID.String()})
	}
	return out
}

// source names what the ledger commits to where the document itself is not at hand.
func source(s *consent.Standing) jsonReference {
	if s.Grant.Document != (tx.Hash{}) {
		return jsonReference{Type: "DocumentReference", Identifier: &jsonIdentifier{SystemDocument, s.Grant.Document.String()}}
	}
	return jsonReference{Type: "Consent", Identifier: &jsonIdentifier{SystemGrant, s.Grant.ID.String()}}
}
