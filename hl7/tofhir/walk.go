package tofhir

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"salus/hl7"
)

func (c *mapping) visit(event string) {
	pv1 := c.m.Segment("PV1")
	if !pv1.Exists() || event == "A28" || event == "A31" || event == "A40" {
		return
	}
	key := c.text(pv1.Field(19).Component(1))
	if key == "" { // no visit number: the message is the visit
		key = "message|" + c.m.ControlID()
	}
	e := object{"subject": c.patient}
	c.segment(pv1, "Encounter", e)
	c.segment(c.m.Segment("PV2"), "Encounter", e)
	status := map[string]string{"A01": "in-progress", "A02": "in-progress", "A03": "finished", "A04": "in-progress", "A05": "planned", "A08": "in-progress", "A11": "cancelled", "A13": "in-progress"}[event]
	if status == "" {
		status = "unknown"
	}
	if p, ok := e["period"].(object); ok && p["end"] != nil && (event == "A08" || status == "unknown") {
		status = "finished"
	}
	e["status"] = status
	orElse(e, "class", object{"system": "http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "code": "UNK"})
	c.encounter = c.add("Encounter", key, e)
}

func (c *mapping) link(o object, subject string) object {
	o[subject] = c.patient
	if c.encounter != nil && (subject == "subject") {
		o["encounter"] = c.encounter
	}
	return o
}

// walk maps the segments in order; orders carry over to the observations after them.
func (c *mapping) walk(code, event string) {
	var order, report, shot, appointment, doc object
	orderKey := "message|" + c.m.ControlID()
	seen := map[string]int{}
	unknown := object{"text": "not stated"}
	for i := range c.m.Len() {
		s := c.m.At(i)
		own := c.m.ControlID() + "|" + s.Name() + "|" + strconv.Itoa(i)
		switch s.Name() {
		case "NK1":
			o := object{"patient": c.patient}
			c.segment(s, "RelatedPerson", o)
			c.add("RelatedPerson", c.patient["reference"].(string)+"|"+c.text(s.Field(1)), o)
		case "AL1":
			o := object{"patient": c.patient}
			c.segment(s, "AllergyIntolerance", o)
			c.add("AllergyIntolerance", c.patient["reference"].(string)+"|"+c.text(s.Field(3)), o)
		case "DG1":
			o := c.link(object{}, "subject")
			c.segment(s, "Condition", o)
			c.add("Condition", own, o)
		case "PR1":
			o := c.link(object{"status": "unknown"}, "subject")
			c.segment(s, "Procedure", o)
			c.add("Procedure", own, o)
		case "IN1":
			o := object{"status": "active", "beneficiary": c.patient, "payor": []any{object{"display": orText(c.text(s.Field(4).Component(1)), c.text(s.Field(3).Component(1)))}}}
			c.use(s, 3, 4)
			c.segment(s, "Coverage", o)
			c.add("Coverage", c.patient["reference"].(string)+"|"+c.text(s.Field(2))+"|"+c.text(s.Field(36)), o)
		case "ORC", "OBR":
			key := c.text(s.Field(3).Component(1)) + "|" + c.text(s.Field(2).Component(1))
			if s.Name() == "ORC" {
				order = c.link(object{"status": "unknown", "intent": "order"}, "subject")
				c.segment(s, "ServiceRequest", order)
				shot = nil
				break
			}
			if key == "|" {
				key = own
			}
			key += "|" + c.text(s.Field(4).Component(1))
			orderKey = key
			r := object{}
			for k, v := range order {
				r[k] = v
			}
			c.link(r, "subject")
			orElse(r, "status", "unknown")
			orElse(r, "intent", "order")
			c.segment(s, "ServiceRequest", r)
			ref := c.add("ServiceRequest", key, r)
			report = nil
			if code == "ORU" || s.Field(25).Valued() {
				report = c.link(object{"basedOn": []any{ref}}, "subject")
				c.segment(s, "DiagnosticReport", report)
				orElse(report, "status", "unknown")
				orElse(report, "code", unknown)
				c.add("DiagnosticReport", key, report)
			}
		case "SPM":
			o := object{"subject": c.patient}
			c.segment(s, "Specimen", o)
			ref := c.add("Specimen", orderKey+"|"+c.text(s.Field(2).Component(1))+"|"+c.text(s.Field(1)), o)
			if report != nil {
				set(report, "specimen", ref, true)
			}
		case "OBX":
			if doc != nil {
				c.content(s, doc)
				break
			}
			o := c.link(object{}, "subject")
			c.segment(s, "Observation", o)
			orElse(o, "status", "unknown")
			orElse(o, "code", unknown)
			c.value(s, o)
			key := orderKey + "|" + c.text(s.Field(3).Component(1)) + "|" + c.text(s.Field(4))
			seen[key]++
			ref := c.add("Observation", key+"|"+strconv.Itoa(seen[key]), o)
			if report != nil {
				set(report, "result", ref, true)
			}
			if shot != nil {
				o["partOf"] = []any{shot}
			}
		case "RXA":
			o := object{"patient": c.patient}
			if c.encounter != nil {
				o["encounter"] = c.encounter
			}
			c.segment(s, "Immunization", o)
			orElse(o, "status", "completed")
			orElse(o, "vaccineCode", unknown)
			if o["occurrenceDateTime"] == nil {
				o["occurrenceString"] = "not stated"
			}
			shot = c.add("Immunization", own, o)
		case "RXR":
			if shot != nil {
				c.segment(s, "Immunization", c.ids[shot["reference"].(string)])
			}
		case "SCH":
			appointment = object{"participant": []any{object{"actor": c.patient, "status": "accepted"}}}
			c.segment(s, "Appointment", appointment)
			orElse(appointment, "status", map[string]string{"S15": "cancelled", "S17": "entered-in-error", "S26": "noshow"}[event])
			if appointment["status"] == "" {
				appointment["status"] = "booked"
			}
			key := c.text(s.Field(2).Component(1)) + "|" + c.text(s.Field(1).Component(1))
			if key == "|" {
				key = own
			}
			c.add("Appointment", key, appointment)
		case "TXA":
			doc = object{"status": "current", "subject": c.patient, "content": []any{}}
			c.segment(s, "DocumentReference", doc)
			key := c.text(s.Field(12).Component(1))
			if key == "" {
				key = own
			}
			c.add("DocumentReference", key, doc)
		case "FT1":
			o := object{"status": "billable", "subject": c.patient}
			if c.encounter != nil {
				o["context"] = c.encounter
			}
			c.segment(s, "ChargeItem", o)
			orElse(o, "code", unknown)
			if n := c.m.Segment("PID").Field(18); n.Valued() {
				ref := c.add("Account", c.text(n.Component(1)), object{"status": "active", "subject": []any{c.patient}, "identifier": []any{object{"value": c.text(n.Component(1))}}})
				c.use(c.m.Segment("PID"), 18)
				o["account"] = []any{ref}
			}
			c.add("ChargeItem", own, o)
		}
	}
	if doc != nil && len(doc["content"].([]any)) == 0 {
		doc["content"] = []any{object{"attachment": object{"title": "content not sent"}}}
	}
}

func orText(a, b string) string {
	if a != "" {
		return a
	}
	if b != "" {
		return b
	}
	return "not stated"
}

func (c *mapping) whole(v hl7.Value) string {
	s, err := v.Whole()
	if err != nil && c.err == nil {
		c.err = err
	}
	return s
}

// value maps OBX-5 by OBX-2, with OBX-6. What is of no known type stays as text.
func (c *mapping) value(s hl7.SegmentRef, o object) {
	f := s.Field(5)
	if !f.Valued() {
		return
	}
	c.use(s, 2, 5)
	v := f.Repetition(1)
	if f.Repetitions() == 1 {
		switch kind := c.text(s.Field(2)); kind {
		case "NM":
			if n, ok := c.convert("NM", v); ok {
				q := object{"value": n.(json.Number)}
				if u := s.Field(6); u.Valued() {
					c.use(s, 6)
					q["unit"] = orText(c.text(u.Component(2)), c.text(u.Component(1)))
					if sys := system(c.text(u.Component(3))); sys != "" {
						q["system"], q["code"] = sys, c.text(u.Component(1))
					}
				}
				o["valueQuantity"] = q
				return
			}
		case "CE", "CWE", "CNE", "CF":
			if cc, ok := c.convert("CWE", v); ok {
				o["valueCodeableConcept"] = cc
				return
			}
		case "DT", "TS", "DTM":
			if t, ok := c.convert("DTM", v); ok {
				o["valueDateTime"] = t
				return
			}
		}
	}
	o["valueString"] = c.whole(f)
}

func (c *mapping) content(s hl7.SegmentRef, doc object) {
	f, a := s.Field(5), object{}
	c.use(s, 2, 5)
	if title := c.text(s.Field(3).Component(2)); title != "" {
		c.use(s, 3)
		a["title"] = title
	}
	if c.text(s.Field(2)) == "ED" && strings.EqualFold(c.text(f.Component(4)), "Base64") && base64ok(c.text(f.Component(5))) {
		a["data"] = c.text(f.Component(5))
		a["contentType"] = "application/octet-stream"
		if c.text(f.Component(3)) == "PDF" {
			a["contentType"] = "application/pdf"
		}
	} else {
		a["contentType"], a["data"] = "text/plain; charset=utf-8", []byte(c.whole(f))
	}
	set(doc, "content", object{"attachment": a}, true)
}

func (c *mapping) message(code, event string) {
	msh := c.m.Segment("MSH")
	c.use(msh, 1, 2, 3, 4, 9, 10, 12, 18)
	name := orText(c.text(msh.Field(3).Component(1)), c.text(msh.Field(4).Component(1)))
	org := c.add("Organization", "sender|"+name, object{"name": name})
	coding := object{"system": "http://terminology.hl7.org/CodeSystem/v2-0003", "code": orText(event, "R01"), "display": code}
	key := c.m.ControlID()
	var targets []any
	for _, e := range c.entries {
		targets = append(targets, object{"reference": e.(object)["request"].(object)["url"]})
	}
	c.add("MessageHeader", key, object{"eventCoding": coding, "source": object{"name": name, "endpoint": "urn:salus:v2:" + c.id("endpoint", name)}, "sender": org})
	c.add("Provenance", key, object{"target": targets, "recorded": c.opts.Recorded.UTC().Format("2006-01-02T15:04:05Z"), "agent": []any{object{"who": org}}, "activity": object{"text": code + " " + event}})
}

func base64ok(s string) bool {
	_, err := base64.StdEncoding.DecodeString(s)
	return err == nil
}
