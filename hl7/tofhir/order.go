package tofhir

import (
	"encoding/json"
	"math/big"
	"strings"

	"salus/hl7"
)

// orderKey is the number by which all messages of an order know it: the filler's,
// else the placer's, else the message's own.
func (w *walker) orderKey(obr hl7.SegmentRef) string {
	for _, f := range []int{3, 2} {
		for _, s := range []hl7.SegmentRef{obr, w.orc} {
			if s.Exists() && w.peek(s, f) != "" {
				return w.patient.url + "|" + raw(s, f)
			}
		}
	}
	return w.patient.url + "|message " + w.m.ControlID()
}

func (w *walker) obr(s hl7.SegmentRef) {
	code := w.peek(s, 4)
	if code == "" {
		code = raw(s, 4)
	}
	w.order = w.ordinal(w.orderKey(s) + "|" + code)
	x, _ := w.put("ServiceRequest", w.order, Identifier{})
	w.about(x, "subject")
	w.segment(s, x, w.orc)
	if w.orc.Exists() {
		w.segment(w.orc, x, s)
	}
	w.request, w.noted, w.specimen = x, x, nil
	x.body["intent"] = "order"
	if v := w.first(s, 11); v.has(1) {
		if v.t(1) == "G" {
			x.body["intent"] = "reflex-order"
		} else {
			v.drop(1)
		}
	}
	orElse(x.body, "status", "unknown")
	if x.body["orderDetail"] != nil {
		orElse(x.body, "code", object{"text": "not stated"}) // R4 ServiceRequest, prr-1
	}
	if w.code != "ORU" {
		return
	}
	r, _ := w.put("DiagnosticReport", w.order, Identifier{})
	w.about(r, "subject")
	w.segment(s, r, w.orc)
	r.body["basedOn"] = []any{x.ref()}
	orElse(r.body, "status", "unknown")
	orElse(r.body, "code", object{"text": "not stated"})
	w.report = r
}

func (w *walker) spm(s hl7.SegmentRef) {
	x, _ := w.put("Specimen", w.order+"|"+w.ordinal("SPM|"+w.order+raw(s, 2)), Identifier{})
	x.body["subject"] = w.patient.ref()
	w.segment(s, x)
	w.specimen = x
	for _, o := range []*resource{w.request, w.report} {
		if o != nil {
			set(o.body, "specimen*", x.ref())
		}
	}
}

// obx maps an observation. It is known again by its order, code and sub-id, so that
// a correction (OBX-11 C) updates what it corrects (N-02).
func (w *walker) obx(s hl7.SegmentRef) {
	if w.document != nil {
		w.content(s)
		return
	}
	order := w.order
	if w.request == nil {
		order = w.patient.url + "|" + w.m.ControlID()
		if w.shot != nil {
			order = w.shot.url
		}
	}
	x, _ := w.put("Observation", order+"|"+w.ordinal("OBX|"+order+"|"+w.peek(s, 3)+"|"+w.peek(s, 4)), Identifier{})
	w.about(x, "subject")
	w.segment(s, x)
	w.noted = x
	w.use(s, 4) // told by the identifier
	x.body["status"] = "unknown"
	status := w.first(s, 11)
	if t, ok := lookup("ObservationResultStatusCodesInterpretation", status.t(1)); ok {
		x.body["status"] = t.code
	} else {
		status.drop(1)
	}
	orElse(x.body, "code", object{"text": "not stated"})
	valued := w.value(s, x.body)
	if w.peek(s, 11) == "N" && !valued { // obs-6
		x.body["dataAbsentReason"] = object{"coding": []any{object{"system": tho + "data-absent-reason", "code": "not-asked"}}}
	}
	switch {
	case w.report != nil:
		set(w.report.body, "result*", x.ref())
		x.body["basedOn"] = []any{w.request.ref()}
		orElse(x.body, "effectiveDateTime", w.report.body["effectiveDateTime"])
		if x.body["effectiveDateTime"] == nil {
			delete(x.body, "effectiveDateTime")
		}
	case w.request != nil:
		set(w.request.body, "supportingInfo*", x.ref())
	case w.shot != nil:
		x.body["partOf"] = []any{w.shot.ref()}
	}
	if w.specimen != nil {
		x.body["specimen"] = w.specimen.ref()
	}
}

// value maps OBX-5 by OBX-2. Repetitions of text are lines of one text; of others,
// each repetition is a component of the same code (N-03), and the observation itself
// has no value: beside components of its own code FHIR forbids one (obs-7). It says
// whether there is one.
func (w *walker) value(s hl7.SegmentRef, o object) bool {
	all, kind := w.vals(s, 5), w.first(s, 2)
	if len(all) == 0 {
		return false
	}
	unit := w.first(s, 6)
	switch name := kind.t(1); name {
	case "TX", "FT", "ST", "":
		var lines []string
		for _, v := range all {
			lines = append(lines, v.whole())
		}
		put(o, "valueString", said(strings.Join(lines, "\n")))
		return o["valueString"] != nil
	default:
		some := false
		for _, v := range all {
			k, out := w.typed(name, v, unit)
			if k == "" {
				k, out = "valueString", said(v.whole())
			}
			switch {
			case out == "":
				continue
			case len(all) == 1:
				o[k] = out
			default:
				set(o, "component*", object{"code": o["code"], k: out})
			}
			some = true
		}
		return some
	}
}

// said is a text with its blanks and lines, or "" if there is nothing else.
func said(s string) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return s
}

func (w *walker) typed(kind string, v, unit val) (string, any) {
	switch kind {
	case "NM":
		if n, ok := number(v.t(1)); ok {
			q := object{"value": n}
			w.unit(q, unit)
			return "valueQuantity", q
		}
	case "SN":
		return w.structured(v, unit)
	case "CE", "CWE", "CNE", "CF", "IS":
		if o := w.cwe(v, ""); len(o) > 0 {
			return "valueCodeableConcept", o
		}
	case "DT", "DTM", "TS":
		if _, ok := w.when(v, 1, "DTM"); ok {
			p, _ := v.place(1)
			if !w.lost[p] {
				t, _ := w.when(v, 1, "DTM")
				return "valueDateTime", t
			}
			delete(w.lost, p) // without a zone it is no dateTime: it is kept as text
		}
	case "TM":
		s := v.t(1)
		if len(s) == 6 && strings.Trim(s, "0123456789") == "" && s[:2] < "24" && s[2:4] < "60" && s[4:] < "60" {
			return "valueTime", s[:2] + ":" + s[2:4] + ":" + s[4:]
		}
	case "DR":
		if o, ok := w.convert("DR", v); ok {
			return "valuePeriod", o
		}
	case "ED":
		if a, ok := w.attachment(v); ok {
			set2 := object{"url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value", "valueAttachment": a}
			return "extension", []any{set2}
		}
	}
	return "", nil
}

// structured maps an SN (HL7 v2 2A.70): a comparator and a number, a range a-b, or
// a ratio a:b or a/b. Others are text.
func (w *walker) structured(v, unit val) (string, any) {
	comp, sep := v.t(1), v.t(3)
	low, okLow := number(v.t(2))
	high, okHigh := number(v.t(4))
	q := func(n json.Number) object {
		o := object{"value": n}
		w.unit(o, unit)
		return o
	}
	plain := comp == "" || comp == "="
	switch {
	case okLow && sep == "" && !v.has(4) && plain:
		return "valueQuantity", q(low)
	case okLow && sep == "" && !v.has(4) && (comp == "<" || comp == "<=" || comp == ">" || comp == ">="):
		o := q(low)
		o["comparator"] = comp
		return "valueQuantity", o
	case okLow && okHigh && sep == "-" && plain && below(low, high): // rng-2
		return "valueRange", object{"low": q(low), "high": q(high)}
	case okLow && okHigh && (sep == ":" || sep == "/") && plain:
		return "valueRatio", object{"numerator": q(low), "denominator": q(high)}
	case okLow && sep == "+" && !v.has(4) && plain:
		return "", nil
	}
	return "", nil
}

func below(a, b json.Number) bool {
	x, okX := new(big.Rat).SetString(string(a))
	y, okY := new(big.Rat).SetString(string(b))
	return okX && okY && x.Cmp(y) < 0
}

// nte adds a note to what it follows; one that follows what has no notes is listed.
func (w *walker) nte(s hl7.SegmentRef) {
	if w.noted == nil || !s.Field(3).Valued() {
		return
	}
	var lines []string
	note := object{}
	w.rows(s, "note", note)
	for _, v := range w.vals(s, 3) {
		lines = append(lines, v.whole())
	}
	if put(note, "text", said(strings.Join(lines, "\n"))); note["text"] != nil {
		set(w.noted.body, "note*", note)
	}
}

func (w *walker) rxa(s hl7.SegmentRef) {
	key := ""
	if w.orc.Exists() {
		key = w.patient.url + "|" + raw(w.orc, 3) + raw(w.orc, 2) + "|" + w.peek(s, 5)
	} else {
		key = w.patient.url + "|" + raw(s, 3) + "|" + w.peek(s, 5)
	}
	x, _ := w.put("Immunization", w.ordinal(key), Identifier{})
	w.about(x, "patient")
	w.segment(s, x)
	if w.orc.Exists() {
		w.segment(w.orc, x, s)
	}
	switch w.peek(s, 21) {
	case "D":
		w.use(s, 21)
		x.body["status"] = "entered-in-error"
	case "A", "U":
		w.use(s, 21) // said by the conditional update
	}
	orElse(x.body, "status", "completed")
	orElse(x.body, "vaccineCode", object{"text": "not stated"})
	if x.body["occurrenceDateTime"] == nil {
		x.body["occurrenceString"] = "not stated"
	}
	if q, ok := x.body["doseQuantity"].(object); ok && q["value"] == nil {
		delete(x.body, "doseQuantity")
	}
	w.shot, w.noted = x, x
}
