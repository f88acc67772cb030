package pcf

import (
	"bytes"
	"encoding/json"
	"slices"

	"salus/ledger/module/consent"
)

// quote writes a JSON string.
func quote(s string) string {
	b, _ := json.Marshal(s) // a string always marshals
	return string(b)
}

type jsonCoding struct {
	System  string `json:"system"`
	Code    string `json:"code"`
	Display string `json:"display,omitempty"`
}

type jsonConcept struct {
	Coding []jsonCoding `json:"coding"`
}

type jsonIdentifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

type jsonReference struct {
	Reference  string          `json:"reference,omitempty"`
	Type       string          `json:"type,omitempty"`
	Identifier *jsonIdentifier `json:"identifier,omitempty"`
	Display    string          `json:"display,omitempty"`
}

type jsonPeriod struct {
	Start string `json:"start,omitempty"`
	End   string `json:"end,omitempty"`
}

type jsonActor struct {
	Role      jsonConcept   `json:"role"`
	Reference jsonReference `json:"reference"`
}

type jsonExtension struct {
	URL  string `json:"url"`
	Uses uint16 `json:"valuePositiveInt"`
}

type jsonProvision struct {
	ModifierExtension []jsonExtension  `json:"modifierExtension,omitempty"`
	Type              string           `json:"type"`
	Period            *jsonPeriod      `json:"period,omitempty"`
	Actor             []jsonActor      `json:"actor,omitempty"`
	SecurityLabel     []jsonCoding     `json:"securityLabel,omitempty"`
	Purpose           []jsonCoding     `json:"purpose,omitempty"`
	Provision         []*jsonProvision `json:"provision,omitempty"`
}

type jsonMeta struct {
	VersionID   string       `json:"versionId,omitempty"`
	LastUpdated string       `json:"lastUpdated,omitempty"`
	Profile     []string     `json:"profile"`
	Tag         []jsonCoding `json:"tag,omitempty"`
}

type jsonPolicy struct {
	URI string `json:"uri"`
}

func referenceJSON(r Reference) jsonReference {
	j := jsonReference{Reference: r.Reference, Type: r.Type, Display: r.Display}
	if r.Value != "" {
		j.Identifier = &jsonIdentifier{r.System, r.Value}
	}
	return j
}

func codingsJSON(codes []Coding) (out []jsonCoding) {
	for _, c := range codes {
		out = append(out, jsonCoding{System: c.System, Code: c.Code})
	}
	return out
}

// A group is wishes that differ in nothing but the grantee: one provision with several actors.
type group struct {
	Wish
	grantees []consent.Grantee
}

func groups(wishes []Wish) (out []group) {
	for _, w := range wishes {
		i := slices.IndexFunc(out, func(g group) bool {
			return g.NotBefore == w.NotBefore && g.NotAfter == w.NotAfter && g.Purposes == w.Purposes && g.Uses == w.Uses && g.Allow == w.Allow && g.Deny == w.Deny
		})
		if i < 0 {
			out = append(out, group{Wish: w})
			i = len(out) - 1
		}
		out[i].grantees = append(out[i].grantees, w.Grantee)
	}
	// The root is one that allows something, if there is any: what it denies is nested in it.
	slices.SortStableFunc(out, func(a, b group) int {
		switch opens := a.Allow != 0; {
		case opens == (b.Allow != 0):
			return 0
		case opens:
			return -1
		}
		return 1
	})
	return out
}

// provisions writes wishes as a provision tree, and says which level of PCF that is. The root is the
// first group; each of the others is nested in it and says everything itself, so that it inherits
// nothing.
func provisions(wishes []Wish, d Directory, unlabelled Labels) (root *jsonProvision, profile string) {
	for i, g := range groups(wishes) {
		if i == 0 {
			root = g.root(d, unlabelled)
			continue
		}
		if g.Allow != 0 || g.Deny == 0 {
			p := g.provision(d, "permit", permitCodes(g.Allow), true)
			if g.Uses > 0 {
				p.ModifierExtension = []jsonExtension{{ExtensionUses, g.Uses}}
			}
			root.Provision = append(root.Provision, p)
		}
		if g.Deny != 0 {
			root.Provision = append(root.Provision, g.provision(d, "deny", denyCodes(g.Deny), true))
		}
	}
	profile = ProfileBasic
	if len(root.Provision) > 0 {
		profile = ProfileIntermediate
	}
	for _, p := range append([]*jsonProvision{root}, root.Provision...) {
		if len(p.SecurityLabel) > 0 {
			profile = ProfileAdvanced
		}
	}
	return root, profile
}

func (g *group) root(d Directory, unlabelled Labels) *jsonProvision {
	if g.Allow == 0 && g.Deny != 0 && g.Uses == 0 {
		codes := denyCodes(g.Deny)
		if g.Deny == everything {
			codes = nil
		}
		return g.provision(d, "deny", codes, false)
	}
	codes := permitCodes(g.Allow)
	if g.Allow == unlabelled {
		codes = nil
	}
	root := g.provision(d, "permit", codes, false)
	if g.Uses > 0 {
		root.ModifierExtension = []jsonExtension{{ExtensionUses, g.Uses}}
	}
	if g.Deny != 0 {
		root.Provision = append(root.Provision, &jsonProvision{Type: "deny", SecurityLabel: codingsJSON(denyCodes(g.Deny))})
	}
	return root
}

// provision writes one provision; whole means that it says also what is open.
func (g *group) provision(d Directory, typ string, codes []Coding, whole bool) *jsonProvision {
	p := &jsonProvision{Type: typ, SecurityLabel: codingsJSON(codes)}
	for _, who := range g.grantees {
		p.Actor = append(p.Actor, jsonActor{jsonConcept{[]jsonCoding{{System: systemParticipation, Code: "IRCP"}}}, referenceJSON(d.Reference(who))})
	}
	for _, u := range g.Purposes.List() {
		p.Purpose = append(p.Purpose, jsonCoding{System: systemReason, Code: u.String()})
	}
	if g.NotBefore != 0 || g.NotAfter != 0 || whole {
		p.Period = &jsonPeriod{Start: startText(g.NotBefore), End: endText(g.NotAfter)}
		if !whole && g.NotBefore == 0 {
			p.Period.Start = ""
		}
		if !whole && g.NotAfter == 0 {
			p.Period.End = ""
		}
	}
	return p
}

// encode writes JSON as FHIR has it: no escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
