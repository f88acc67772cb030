package tofhir

import (
	"slices"
	"strings"

	"salus/hl7"
)

// mapped says whether a message code and event have a map; event "": any.
func mapped(code, event string) bool {
	events := map[string]string{
		"ADT": "A01 A02 A03 A04 A05 A08 A11 A13 A28 A31 A37 A40", "ORU": "R01", "ORM": "O01", "OML": "O21",
		"MDM": "T01 T02 T11", "VXU": "V04", "SIU": "S12 S13 S14 S15 S16 S17 S26", "DFT": "P03",
	}[code]
	return events != "" && (event == "" || slices.Contains(strings.Fields(events), event))
}

// walker carries what the segments of a message say of each other.
type walker struct {
	*mapping
	orc             hl7.SegmentRef
	request, report *resource
	shot            *resource
	document        *resource
	appointment     *resource
	specimen        *resource
	noted           *resource // what an NTE is about
	order           string    // what OBX of one order are told apart from those of another by
	account         *resource
}

func (c *mapping) walk() error {
	pids := c.m.Segments("PID")
	unlink := c.event == "A37"
	if len(pids) > 1 && (!unlink || len(pids) > 2) {
		return ErrPatients
	}
	if len(pids) == 0 || unlink && len(pids) < 2 {
		return &hl7.Error{Code: hl7.CodeRequired, Segment: "PID", Condition: hl7.SegmentSequence}
	}
	var err error
	if c.patient, err = c.person(pids[0]); err != nil {
		return err
	}
	if unlink {
		other, err := c.person(pids[1])
		if err != nil {
			return err
		}
		if other == c.patient {
			return &hl7.Error{Code: hl7.CodeValue, Segment: "PID", Index: pids[1].Index() + 1, Field: 3, Condition: hl7.DuplicateKey}
		}
		c.merge = &Merge{Survivor: c.patient.entry.Identifier, Replaced: other.entry.Identifier, Undo: true}
	}
	w := &walker{mapping: c}
	if !unlink {
		w.charged(pids[0])
	}
	w.visit()
	for i := range c.m.Len() {
		if err := w.step(c.m.At(i)); err != nil {
			return err
		}
	}
	w.finish()
	return nil
}

// charged maps the account that PID-18 names.
func (w *walker) charged(pid hl7.SegmentRef) {
	id, ok, _ := w.identifier("CX", "AN", w.first(pid, 18))
	if !ok {
		return
	}
	x, _ := w.put("Account", "", Identifier{id["system"].(string), id["value"].(string)})
	x.entry.Create = true
	x.body["identifier"], x.body["status"], x.body["subject"] = []any{id}, "active", []any{w.patient.ref()}
	w.account = x
}

// person maps a PID; the patient is found by the first identifier of PID-3.
func (c *mapping) person(pid hl7.SegmentRef) (*resource, error) {
	v := c.first(pid, 3)
	if !v.has(1) {
		v = c.first(pid, 2)
	}
	if !v.has(1) {
		return nil, &hl7.Error{Code: hl7.CodeRequired, Segment: "PID", Index: pid.Index() + 1, Field: 3, Condition: hl7.RequiredMissing}
	}
	x, _ := c.put("Patient", "", Identifier{c.authority(v.part(4)), v.t(1)})
	c.segment(pid, x)
	return x, nil
}

// visit maps PV1 and PV2. A visit without a number of its own is that of the
// patient's admission time; without that nobody could find it again: it is not
// mapped, and its fields are listed.
func (w *walker) visit() {
	pv1 := w.m.Segment("PV1")
	n, key := w.first(pv1, 19), ""
	var id Identifier
	switch {
	case !pv1.Exists() || w.merge != nil || w.event == "A40":
		return
	case n.has(1):
		id = Identifier{w.authority(n.part(4)), n.t(1)}
	case pv1.Field(44).Valued():
		key = w.patient.url + "|" + w.peek(pv1, 44)
	default:
		return
	}
	x, _ := w.put("Encounter", key, id)
	x.body["subject"] = w.patient.ref()
	w.segment(pv1, x)
	w.segment(w.m.Segment("PV2"), x)
	class, _ := lookup("PatientClass[EncounterStatus]", w.peek(pv1, 2))
	event, _ := lookup("Event[EncounterStatus]", w.event)
	period, _ := x.body["period"].(object)
	switch {
	case w.code != "ADT":
		x.entry.Create = true // the visit's own messages say how it stands
		x.body["status"] = "unknown"
		put(x.body, "status", class.code)
	case w.event == "A11" || w.event == "A05":
		x.body["status"] = event.code
	case w.event == "A13":
		x.body["status"] = event.code
		x.null("period.end")
	case w.event == "A03" || period["end"] != nil:
		x.body["status"] = "finished"
	default:
		x.body["status"] = "unknown"
		put(x.body, "status", event.code)
		put(x.body, "status", class.code)
	}
	if w.event == "A03" && period["end"] == nil {
		evn := w.m.Segment("EVN")
		for _, f := range []int{6, 2} { // event occurred, else event recorded
			if t, ok := w.when(w.first(evn, f), 1, "DTM"); ok && evn.Exists() {
				set(x.body, "period.end", t)
				w.ordered(place{seg: evn.Index(), field: f}, x.body["period"])
				break
			}
		}
	}
	orElse(x.body, "class", object{"system": tho + "v3-NullFlavor", "code": "UNK"})
	w.encounter = x
}

func (w *walker) about(x *resource, subject string) {
	x.body[subject] = w.patient.ref()
	if w.encounter != nil {
		switch x.kind {
		case "ChargeItem":
			x.body["context"] = w.encounter.ref()
		case "DocumentReference":
			x.body["context"] = object{"encounter": []any{w.encounter.ref()}}
		case "Specimen", "Coverage", "RelatedPerson", "Appointment":
		default:
			x.body["encounter"] = w.encounter.ref()
		}
	}
}

func (w *walker) step(s hl7.SegmentRef) error {
	switch s.Name() {
	case "PID", "ORC":
		w.noted = nil
		if s.Name() == "ORC" {
			w.orc, w.request, w.report, w.shot, w.specimen = s, nil, nil, nil, nil
		}
	case "PD1":
		w.segment(s, w.patient)
	case "MRG":
		return w.mrg(s)
	case "NK1":
		x, _ := w.put("RelatedPerson", w.patient.url+"|"+w.ordinal("NK1|"+raw(s, 2)+"|"+raw(s, 3)), Identifier{})
		w.about(x, "patient")
		w.segment(s, x)
	case "AL1":
		w.allergy(s)
	case "DG1":
		x, _ := w.put("Condition", w.patient.url+"|"+w.ordinal("DG1|"+raw(s, 3)+"|"+raw(s, 5)+"|"+raw(s, 20)), Identifier{})
		w.about(x, "subject")
		w.segment(s, x)
		if w.peek(s, 21) == "D" {
			w.use(s, 21)
			x.body["verificationStatus"] = object{"coding": []any{object{"system": tho + "condition-ver-status", "code": "entered-in-error"}}}
		}
	case "IN1":
		w.insurance(s)
	case "OBR":
		w.obr(s)
	case "SPM":
		w.spm(s)
	case "OBX":
		w.obx(s)
	case "NTE":
		w.nte(s)
	case "RXA":
		w.rxa(s)
	case "RXR":
		if w.shot != nil {
			w.segment(s, w.shot)
		}
	case "SCH":
		w.sch(s)
	case "AIS", "AIL", "AIP", "AIG":
		w.resourceOf(s)
	case "TXA":
		w.txa(s)
	case "FT1":
		w.ft1(s)
	}
	return nil
}

// raw is a field as sent: part of a key, never shown.
func raw(s hl7.SegmentRef, field int) string { return string(s.Field(field).Raw()) }

// mrg maps the prior identifier of A40: the survivor replaces the other. What
// becomes of the other is the caller's (Result.Merge).
func (w *walker) mrg(s hl7.SegmentRef) error {
	if w.event != "A40" {
		return nil
	}
	v := w.first(s, 1)
	id := Identifier{w.authority(v.part(4)), v.t(1)}
	if w.merge != nil {
		return ErrPatients
	}
	if id.Value == "" || id == w.patient.entry.Identifier {
		return &hl7.Error{Code: hl7.CodeRequired, Segment: "MRG", Index: s.Index() + 1, Field: 1, Condition: hl7.RequiredMissing}
	}
	v.t(5)
	w.merge = &Merge{Survivor: w.patient.entry.Identifier, Replaced: id}
	return nil
}

func (w *walker) allergy(s hl7.SegmentRef) {
	x, _ := w.put("AllergyIntolerance", w.patient.url+"|"+w.ordinal("AL1|"+raw(s, 2)+"|"+raw(s, 3)), Identifier{})
	w.about(x, "patient")
	delete(x.body, "encounter") // the allergy is not of the visit that it was told in
	w.segment(s, x)
	x.body["clinicalStatus"] = object{"coding": []any{object{"system": tho + "allergyintolerance-clinical", "code": "active"}}}
	v := w.first(s, 4)
	if t, ok := lookup("AllergySeverity[AllergyIntolerance.reaction.severity]", v.t(1)); ok {
		if list, _ := x.body["reaction"].([]any); len(list) > 0 {
			for _, r := range list {
				r.(object)["severity"] = t.code
			}
			delete(w.lost, place{s.Index(), 4, 1, 1, 1})
		}
	}
}

// insurance maps an IN1 that names its payor; without one Coverage cannot be made.
func (w *walker) insurance(s hl7.SegmentRef) {
	if !s.Field(4).Valued() {
		return
	}
	x, _ := w.put("Coverage", w.patient.url+"|"+w.ordinal("IN1|"+raw(s, 2)+"|"+raw(s, 36)), Identifier{})
	x.body["status"], x.body["beneficiary"] = "active", w.patient.ref()
	w.segment(s, x)
}

func (w *walker) ft1(s hl7.SegmentRef) {
	var id Identifier
	if v := w.first(s, 2); v.has(1) {
		id = Identifier{w.authority(shifted(v, 1)), v.t(1)}
	}
	x, fresh := w.put("ChargeItem", w.m.ControlID()+"|"+w.ordinal("FT1"), id)
	if !fresh {
		return // the same transaction twice in a message: the second is listed
	}
	w.about(x, "subject")
	w.segment(s, x)
	x.body["status"] = "unknown"
	if kind := w.first(s, 6); kind.t(1) == "CG" {
		x.body["status"] = "billable"
	} else {
		kind.drop(1)
	}
	orElse(x.body, "code", object{"text": "not stated"})
	if w.account != nil {
		x.body["account"] = []any{w.account.ref()}
	}
}
