package pcf

import (
	"errors"
	"slices"
	"strconv"

	"salus/fhir/element"
	"salus/ledger/module/consent"
)

// A provision is R4 Consent.provision as far as it can be enforced. What it does not say is its
// parent's.
type provision struct {
	path     string
	permit   bool
	period   bool // said
	from, to uint64
	actors   []consent.Grantee // none: not said
	purposes consent.Purposes  // 0: not said
	labels   []Coding          // none: not said
	at       []string          // of the labels
	uses     uint16
	nested   []*provision
}

// maxActors bounds the actors of one provision; a Consent is at most 256 grants anyway.
const maxActors = 256

func (r *reader) provision(n element.Node, path string, depth int) *provision {
	p := &provision{path: path}
	var typ string
	f := fields{
		"type": r.text(&typ), "period": func(m element.Node, path string) { r.period(p, m, path) },
		"actor":   r.list(func(m element.Node, path string) { r.actor(p, m, path) }),
		"purpose": r.list(func(m element.Node, path string) { r.purpose(p, m, path) }),
		"securityLabel": r.list(func(m element.Node, path string) {
			p.labels, p.at = append(p.labels, r.coding(m, path)), append(p.at, path)
		}),
		"action":     r.not(CodeUnsupported, "the ledger knows one action, to read; PCF forbids this element"),
		"class":      r.not(CodeUnsupported, "the ledger does not know the class of a record; use a security label"),
		"code":       r.not(CodeUnsupported, "the ledger does not know the code of a record; use a security label"),
		"dataPeriod": r.not(CodeDataPeriod, "the ledger does not know when a record is from"),
		"data":       r.not(CodeData, "the ledger does not know single records, encounters or authors"),
		"provision":  r.list(func(m element.Node, path string) { r.nest(p, m, path, depth) }),
		"modifierExtension": r.list(func(m element.Node, path string) {
			r.uses(p, m, path)
		}),
	}
	r.object(n, path, f)
	switch typ {
	case "permit", "deny":
		p.permit = typ == "permit"
	default:
		r.refuse(CodeProvision, "required", "permit or deny is needed", path+".type")
	}
	if p.uses > 0 && !p.permit {
		r.refuse(CodeUses, "business-rule", "only a permit ends with its uses", path)
	}
	return p
}

func (r *reader) nest(p *provision, n element.Node, path string, depth int) {
	if depth > 0 {
		r.refuse(CodeDepth, "structure", "PCF nests provisions one level deep", path)
		return
	}
	p.nested = append(p.nested, r.provision(n, path, depth+1))
}

func (r *reader) period(p *provision, n element.Node, path string) {
	var start, end string
	r.object(n, path, fields{"start": r.text(&start), "end": r.text(&end)})
	read := func(s string, into *uint64, f func() (uint64, error), at string) {
		if s == "" {
			return
		}
		v, err := f()
		switch {
		case errors.Is(err, errFraction):
			r.refuse(CodePeriod, "value", "the ledger's time has whole seconds", at)
		case err != nil:
			r.refuse(CodePeriod, "value", "not a FHIR date or dateTime since 1970", at)
		}
		*into = v
	}
	read(start, &p.from, func() (uint64, error) { return startOf(start, r.o.Zone) }, path+".start")
	read(end, &p.to, func() (uint64, error) { return endOf(end, r.o.Zone) }, path+".end")
	switch {
	case p.to != 0 && p.to <= p.from:
		r.refuse(CodePeriod, "value", "the period ends before it begins", path)
	case p.to != 0 && !r.o.Now.IsZero() && int64(p.to) <= r.o.Now.Unix() && r.d.Status != "inactive":
		r.refuse(CodePeriod, "business-rule", "the period has already ended: there is nothing to enforce", path+".end")
	}
	p.period = true
}

func (r *reader) actor(p *provision, n element.Node, path string) {
	var role []Coding
	var ref Reference
	said := false
	r.object(n, path, fields{
		"role":      func(m element.Node, path string) { role = r.concept(m, path) },
		"reference": func(m element.Node, path string) { ref, said = r.reference(m, path), true },
	})
	if !said {
		r.refuse(CodeRequired, "required", "an actor needs a reference", path+".reference")
		return
	}
	if !slices.Equal(role, []Coding{{systemParticipation, "IRCP"}}) {
		r.refuse(CodeRole, "code-invalid", "the role of an actor is IRCP, as PCF fixes it", path+".role")
	}
	g, ok := r.o.Directory.Grantee(ref)
	switch {
	case !ok || g.Validate() != nil:
		r.refuse(CodeActor, "not-found", "nobody on the ledger is known by this reference", path+".reference")
	case len(p.actors) == maxActors:
		r.refuse(CodeParts, "too-costly", "a provision names at most "+strconv.Itoa(maxActors)+" actors", path)
	case !slices.Contains(p.actors, g):
		p.actors = append(p.actors, g)
	}
}

func (r *reader) purpose(p *provision, n element.Node, path string) {
	c := r.coding(n, path)
	purpose, err := consent.ParsePurpose(c.Code)
	if c.System != systemReason || err != nil {
		r.refuse(CodePurpose, "code-invalid", "not a code of HL7 v3 PurposeOfUse", path)
		return
	}
	p.purposes |= consent.PurposesOf(purpose)
}

// uses reads the one modifier extension that is known here.
func (r *reader) uses(p *provision, n element.Node, path string) {
	var url string
	var count uint64
	bad := false
	r.object(n, path, fields{"url": r.text(&url), "valuePositiveInt": func(m element.Node, _ string) {
		v, err := strconv.ParseUint(m.Text(), 10, 16)
		count, bad = v, m.Kind() != element.Number || err != nil || v == 0
	}})
	switch {
	case url != ExtensionUses:
		r.refuse(CodeModifier, "extension", "a modifier extension that this server does not know", path)
	case bad || count == 0 || p.uses != 0:
		r.refuse(CodeUses, "value", "a number of uses from 1 to 65535 is needed, once", path)
	}
	p.uses = uint16(count)
}
