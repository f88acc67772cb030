package ccda

import "slices"

// alias makes d known by the ids of a wrapper, which FHIR has no resource for.
func (m *mapper) alias(n *node, d *draft) {
	probe := m.identifiers(n.all("id"))
	for _, id := range probe {
		if k := key(id); k != "" && m.ids[k] == nil {
			m.ids[k] = d
		}
	}
	for _, id := range n.all("id") {
		id.every(unread)
		for i := range id.attrs {
			id.attrs[i].state = passed
		}
	}
}

// refer joins d to the entry that an Entry Reference names, once all are known.
func (m *mapper) refer(d *draft, n, rel *node) {
	m.later = append(m.later, func() {
		target := m.found(n)
		if target == nil {
			m.lost(n, ReasonReference)
			return
		}
		n.one("statusCode").fixed("completed")
		if target == d {
			return
		}
		if !link(d, target) {
			m.note(rel, "", ReasonLink)
		}
	})
}

// relations maps the entryRelationships of d that no map of its own took: comments
// become notes, Entry References links, statements resources that are joined to d.
func (m *mapper) relations(d *draft, n *node, w where, taken func(rel, child *node) bool) {
	for _, rel := range n.kids {
		if rel.name != "entryRelationship" && rel.name != "component" {
			continue
		}
		for _, k := range rel.kids {
			switch {
			case k.name == "" || k.name == "templateId" || k.name == "sequenceNumber" || k.name == "seperatableInd":
			case taken != nil && taken(rel, k):
			case k.name == "act" && (k.template(comment) || k.one("code").peek("code") == "48767-8"):
				m.annotate(d, k)
			case k.name == "act" && k.template(entryReference):
				m.refer(d, k, rel)
			case k.name == "act" && k.template(note):
				m.noteActivity(k, d)
			case k.name == "encounter" && len(k.all("templateId")) == 0 && k.one("code") == nil:
				m.later = append(m.later, func() {
					if target := m.found(k); target == nil || !link(d, target) {
						m.lost(k, ReasonReference)
					}
				})
			default:
				for _, child := range m.statement(k, w) {
					if !join(d, child, rel.peek("typeCode")) {
						m.note(rel, "", ReasonLink)
					}
				}
			}
		}
	}
}

// annotatable are the types with an element note.
var annotatable = map[string]bool{
	"Condition": true, "AllergyIntolerance": true, "MedicationRequest": true, "MedicationDispense": true, "Immunization": true,
	"Procedure": true, "Observation": true, "ServiceRequest": true, "Goal": true, "CarePlan": true, "CareTeam": true,
	"FamilyMemberHistory": true, "Device": true, "DeviceRequest": true, "Media": true, "Specimen": true,
}

// annotate maps a Comment Activity: guide, "Comment to Annotation".
func (m *mapper) annotate(d *draft, n *node) {
	if !annotatable[d.kind] {
		return
	}
	s := m.text(n.one("text"))
	if s == "" {
		return
	}
	n.one("code").fixed("48767-8")
	n.one("statusCode").fixed("completed")
	o := object{"text": s}
	if a := n.one("author"); a != nil {
		set(o, "time", m.moment(a.one("time")))
		if who, _ := m.assigned(a.one("assignedAuthor")); who != nil && slices.Contains(performers, who.kind) && who.kind != "PractitionerRole" {
			o["authorReference"] = who.ref
		} else if who != nil {
			if p, ok := who.r["practitioner"]; ok { // Annotation cannot refer to a PractitionerRole
				o["authorReference"] = p
			}
		}
	}
	push(d.r, "note", o)
}

// reasons are the types with reasonReference, and what it may be.
var reasons = map[string][]string{
	"Procedure":         {"Condition", "Observation", "Procedure", "DiagnosticReport", "DocumentReference"},
	"ServiceRequest":    {"Condition", "Observation", "DiagnosticReport", "DocumentReference"},
	"MedicationRequest": {"Condition", "Observation"},
	"Immunization":      {"Condition", "Observation", "DiagnosticReport"},
	"Encounter":         {"Condition", "Procedure", "Observation"},
}

// join puts a statement that stands in another into its place there.
func join(d, child *draft, how string) bool {
	if child == nil || child == d {
		return true
	}
	if (how == "RSON" || how == "CAUS") && slices.Contains(reasons[d.kind], child.kind) {
		push(d.r, "reasonReference", child.ref)
		return true
	}
	switch child.kind {
	case "Observation":
		switch {
		case d.kind == "Observation" && (how == "COMP" || how == "SPRT" || how == ""):
			push(d.r, "hasMember", child.ref)
		case d.kind == "Condition" && how == "SPRT":
			push(d.r, "evidence", object{"detail": list(child.ref)})
		case d.kind == "DiagnosticReport":
			push(d.r, "result", child.ref)
		default: // what the observation is about
			push(child.r, "focus", d.ref)
		}
		return true
	case "ServiceRequest":
		if d.kind == "CarePlan" {
			push(d.r, "activity", object{"reference": child.ref})
		} else {
			push(child.r, "supportingInfo", d.ref)
		}
		return true
	case "MedicationRequest":
		switch d.kind {
		case "CarePlan":
			push(d.r, "activity", object{"reference": child.ref})
		case "MedicationRequest", "ServiceRequest":
			push(child.r, "basedOn", d.ref)
		default:
			push(child.r, "supportingInformation", d.ref)
		}
		return true
	case "MedicationDispense":
		if d.kind == "MedicationRequest" {
			push(child.r, "authorizingPrescription", d.ref)
		} else {
			push(child.r, "supportingInformation", d.ref)
		}
		return true
	case "DocumentReference":
		if d.kind == "Encounter" {
			framed(child.r, "encounter", d.ref)
		} else {
			framed(child.r, "related", d.ref)
		}
		return true
	case "Procedure":
		switch d.kind {
		case "Procedure":
			push(child.r, "partOf", d.ref)
		case "Observation":
			push(d.r, "partOf", child.ref)
		default:
			return link(d, child)
		}
		return true
	}
	return link(d, child)
}

// link puts a reference from d to a statement that stands elsewhere where FHIR has a
// place for it.
func link(d, target *draft) bool {
	in := func(kinds ...string) bool { return slices.Contains(kinds, target.kind) }
	add := func(k string) bool {
		if l, _ := d.r[k].([]any); !has(l, target.ref) {
			push(d.r, k, target.ref)
		}
		return true
	}
	switch {
	case target.kind == "Encounter":
		switch d.kind {
		case "Observation", "Condition", "Procedure", "ServiceRequest", "MedicationRequest", "Immunization", "DiagnosticReport", "CarePlan", "AllergyIntolerance":
			if d.r["encounter"] == nil {
				d.r["encounter"] = target.ref
				return true
			}
		case "DocumentReference":
			framed(d.r, "encounter", target.ref)
			return true
		case "Encounter":
			if target.r["partOf"] == nil {
				target.r["partOf"] = d.ref
				return true
			}
		}
		return false
	case d.kind == "Goal" && in("Condition", "Observation", "MedicationStatement", "NutritionOrder", "ServiceRequest", "RiskAssessment"):
		return add("addresses")
	case target.kind == "Goal" && in("Goal") && (d.kind == "Observation" || d.kind == "Procedure"):
		push(target.r, "outcomeReference", d.ref)
		return true
	case d.kind == "CarePlan" && in("Goal"):
		return add("goal")
	case d.kind == "CarePlan" && in("Condition"):
		return add("addresses")
	case d.kind == "CarePlan" && in("ServiceRequest", "MedicationRequest", "DeviceRequest", "NutritionOrder", "Appointment"):
		push(d.r, "activity", object{"reference": target.ref})
		return true
	case d.kind == "CarePlan":
		push(d.r, "activity", object{"outcomeReference": list(target.ref)})
		return true
	case d.kind == "ServiceRequest" && in("Coverage"):
		return add("insurance")
	case d.kind == "ServiceRequest":
		return add("supportingInfo")
	case d.kind == "MedicationRequest" && in("Coverage"):
		return add("insurance")
	case d.kind == "MedicationRequest":
		return add("supportingInformation")
	case d.kind == "Observation" && in("Observation", "DocumentReference", "Media"):
		return add("derivedFrom")
	case d.kind == "Observation" && in("ServiceRequest", "CarePlan", "MedicationRequest"):
		return add("basedOn")
	case d.kind == "Observation" && in("Procedure", "Immunization"):
		return add("partOf")
	case d.kind == "Observation":
		return add("focus")
	case d.kind == "Procedure" && in("ServiceRequest", "CarePlan"):
		return add("basedOn")
	case slices.Contains(reasons[d.kind], target.kind):
		return add("reasonReference")
	case d.kind == "Condition":
		push(d.r, "evidence", object{"detail": list(target.ref)})
		return true
	case d.kind == "DocumentReference":
		framed(d.r, "related", target.ref)
		return true
	}
	return false
}
