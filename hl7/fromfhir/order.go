package fromfhir

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"
)

// results makes ORU^R01 of a DiagnosticReport.
func (m *maker) results() error {
	if _, err := m.pid(m.reference(m.root["subject"])); err != nil {
		return err
	}
	if err := m.inVisit(m.root["encounter"]); err != nil {
		return err
	}
	var order object
	for _, ref := range objects(m.root["basedOn"]) {
		o, _, err := m.follow(ref)
		if err != nil {
			return err
		}
		if order == nil && str(o["resourceType"]) == "ServiceRequest" {
			order = o
		}
	}
	obr := m.loose("OBR")
	if err := m.rows(obr, m.root); err != nil {
		return err
	}
	if order != nil {
		of := m.loose("OBR")
		if err := m.rows(of, order); err != nil {
			return err
		}
		for _, f := range []int{4, 5, 6, 31, 46, 47} {
			if obr.get(f) == "" && len(of.f[f]) > 0 {
				obr.f[f], obr.last = of.f[f], max(obr.last, f)
			}
		}
	}
	if obr.get(3) == "" {
		obr.set(3, m.ownEI("DiagnosticReport", m.root))
	}
	if order != nil {
		if err := m.common(order, "RE", obr); err != nil {
			return err
		}
	}
	m.out = append(m.out, obr)
	obr.set(1, "1")
	if err := m.notes(m.root["note"]); err != nil {
		return err
	}
	if err := m.notes(order["note"]); err != nil {
		return err
	}
	m.note(str(m.root["conclusion"]))
	n, err := m.observations(m.root["result"], map[string]bool{}, 0, 0)
	if err != nil {
		return err
	}
	for _, a := range objects(m.root["presentedForm"]) {
		kind, value := content(a)
		if value == "" {
			continue
		}
		n++
		s := m.segment("OBX")
		s.set(1, itoa(n))
		s.set(2, kind)
		s.set(3, m.concept(obj(m.root["code"]), ""))
		s.set(5, value)
		s.set(11, obr.get(25))
	}
	return m.specimens(m.root["specimen"])
}

// common writes ORC of a ServiceRequest.
func (m *maker) common(order object, control string, obr *segment) error {
	s := m.loose("ORC")
	s.set(1, control)
	if err := m.rows(s, order); err != nil {
		return err
	}
	for _, f := range []int{2, 3} {
		if s.get(f) == "" {
			s.set(f, obr.get(f))
		}
	}
	if control != "NW" {
		delete(s.f, 9)
	}
	m.add(s)
	return nil
}

// depth bounds panels within panels.
const depth = 8

// observations writes the OBX of references and of what they consist of; n is how many there are before.
func (m *maker) observations(v any, seen map[string]bool, n, level int) (int, error) {
	for _, ref := range objects(v) {
		o, at, err := m.follow(ref)
		if err != nil {
			return n, err
		}
		if str(o["resourceType"]) != "Observation" || seen[at] || level > depth {
			continue
		}
		seen[at] = true
		if n, err = m.observation(o, n); err != nil {
			return n, err
		}
		if n, err = m.observations(o["hasMember"], seen, n, level+1); err != nil {
			return n, err
		}
	}
	return n, nil
}

func (m *maker) observation(o object, n int) (int, error) {
	n++
	s := m.segment("OBX")
	s.set(1, itoa(n))
	if err := m.rows(s, o); err != nil {
		return n, err
	}
	if s.get(21) == "" {
		for _, i := range objects(o["identifier"]) {
			if s.set(21, m.identifier("EI", "", i)); s.get(21) != "" {
				break
			}
		}
	}
	m.value(s, o)
	s.set(11, codeOf("ObservationResultStatusCodesInterpretation", str(o["status"])))
	if str(first(obj(o["dataAbsentReason"])["coding"])["code"]) == "not-asked" && str(o["status"]) == "unknown" {
		s.set(11, "N")
	}
	if s.get(14) == "" {
		s.set(14, when(str(obj(o["effectivePeriod"])["start"])))
	}
	if s.get(14) == "" {
		s.set(14, when(str(o["effectiveInstant"])))
	}
	alike := m.components(s, o)
	if err := m.notes(o["note"]); err != nil || alike {
		return n, err
	}
	group := itoa(n)
	s.set(4, group)
	for i, c := range objects(o["component"]) {
		n++
		x := m.segment("OBX")
		x.set(1, itoa(n))
		x.set(3, m.concept(obj(c["code"]), ""))
		x.set(4, group+"."+itoa(i+1))
		m.value(x, c)
		x.set(7, escape(str(first(c["referenceRange"])["text"])))
		for _, k := range objects(c["interpretation"]) {
			x.append(8, m.concept(k, "InterpretationCodes"))
		}
		x.set(11, s.get(11))
		x.set(14, s.get(14))
	}
	return n, nil
}

// components writes the components that are values of the observation's own code as
// repetitions of OBX-5; true says that all are. An observation without a value of its
// own has two of them or more.
func (m *maker) components(s *segment, o object) bool {
	all := objects(o["component"])
	if len(all) == 0 {
		return true
	}
	kind, unit, bare := s.get(2), s.get(6), s.get(5) == ""
	if bare && len(all) == 1 {
		return false
	}
	var more []string
	for _, c := range all {
		x := m.loose("OBX")
		m.value(x, c)
		if bare && more == nil {
			kind, unit = x.get(2), x.get(6)
		}
		if len(c) != 2 || !reflect.DeepEqual(c["code"], o["code"]) || x.get(2) != kind || x.get(6) != unit || x.get(5) == "" || kind == "TX" || kind == "ST" {
			return false
		}
		more = append(more, x.get(5))
	}
	if bare {
		s.set(2, kind)
		s.set(6, unit)
	}
	for _, r := range more {
		s.append(5, r)
	}
	return true
}

// value writes OBX-2, 5 and 6 from value[x].
func (m *maker) value(s *segment, o object) {
	put := func(kind, value string) {
		if value != "" {
			s.set(2, kind)
			s.set(5, value)
		}
	}
	switch {
	case o["valueQuantity"] != nil:
		q := obj(o["valueQuantity"])
		m.quantity(s, q, put)
	case o["valueCodeableConcept"] != nil:
		put("CWE", m.concept(obj(o["valueCodeableConcept"]), ""))
	case o["valueString"] != nil:
		put(text(str(o["valueString"])))
	case o["valueBoolean"] != nil:
		switch o["valueBoolean"] {
		case true:
			put("CWE", "Y^Yes^HL70136")
		case false:
			put("CWE", "N^No^HL70136")
		}
	case o["valueInteger"] != nil:
		put("NM", number(o["valueInteger"]))
	case o["valueRange"] != nil:
		r := obj(o["valueRange"])
		low, high := obj(r["low"]), obj(r["high"])
		a, b := number(low["value"]), number(high["value"])
		switch {
		case a != "" && b != "":
			if m.unit(low) == m.unit(high) {
				s.set(6, m.unit(low))
				put("SN", components("", a, "-", b))
			} else {
				put("ST", strings.TrimSpace(a+" "+escape(str(low["unit"])))+" - "+strings.TrimSpace(b+" "+escape(str(high["unit"]))))
			}
		case a != "":
			s.set(6, m.unit(low))
			put("SN", components(">=", a))
		case b != "":
			s.set(6, m.unit(high))
			put("SN", components("<=", b))
		}
	case o["valueRatio"] != nil:
		r := obj(o["valueRatio"])
		top, low := obj(r["numerator"]), obj(r["denominator"])
		a, b := number(top["value"]), number(low["value"])
		if a == "" || b == "" {
			return
		}
		if m.unit(top) == m.unit(low) && top["comparator"] == nil && low["comparator"] == nil {
			s.set(6, m.unit(top))
			put("SN", components("", a, ":", b))
			return
		}
		side := func(n string, q object) string {
			return strings.TrimSpace(escape(str(q["comparator"])) + n + " " + escape(str(q["unit"])))
		}
		put("ST", side(a, top)+" / "+side(b, low))
	case o["valueDateTime"] != nil:
		kind := "TS"
		if v := str(o["valueDateTime"]); len(v) == len("2006-01-02") {
			kind = "DT"
		}
		put(kind, when(str(o["valueDateTime"])))
	case o["valueTime"] != nil:
		if p := timeOnly.FindStringSubmatch(str(o["valueTime"])); p != nil {
			put("TM", p[1]+p[2]+p[3])
		}
	case o["valuePeriod"] != nil:
		p := obj(o["valuePeriod"])
		put("DR", components(when(str(p["start"])), when(str(p["end"]))))
	}
	for _, x := range objects(o["extension"]) {
		if a := obj(x["valueAttachment"]); a != nil && s.get(5) == "" && strings.HasSuffix(str(x["url"]), "/extension-Observation.value") {
			put(content(a))
		}
	}
}

func (m *maker) quantity(s *segment, q object, put func(kind, value string)) {
	n, comp := number(q["value"]), str(q["comparator"])
	s.set(6, m.unit(q))
	switch {
	case n != "" && comp == "":
		put("NM", n)
	case n != "" && (comp == "<" || comp == "<=" || comp == ">" || comp == ">="):
		put("SN", components(comp, n))
	case q["value"] != nil:
		v, _ := q["value"].(json.Number)
		put("ST", escape(comp+v.String()))
	}
}

// text is what a string is sent as: TX if it has lines or is longer than ST may be.
func text(s string) (kind, value string) {
	kind = "ST"
	if len(s) > 199 || strings.ContainsAny(s, "\r\n") {
		kind = "TX"
	}
	return kind, escape(s)
}

// content writes an Attachment: plain text as TX, other data as ED in base64, an address as RP.
func content(a object) (kind, value string) {
	typ, data := str(a["contentType"]), str(a["data"])
	main, params, _ := strings.Cut(typ, ";")
	main, sub, _ := strings.Cut(strings.TrimSpace(main), "/")
	if data == "" {
		if u := str(a["url"]); u != "" {
			return "RP", components(escape(u), "", escape(main), escape(sub))
		}
		return "", ""
	}
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
	if err != nil || len(b) == 0 {
		return "", ""
	}
	if main == "text" && sub == "plain" && utf8.Valid(b) && (params == "" || strings.Contains(strings.ToLower(params), "utf-8")) {
		return "TX", escape(string(b))
	}
	switch main {
	case "text", "image", "application", "audio":
	default:
		main, sub = typ, ""
	}
	return "ED", components("", escape(main), escape(sub), "Base64", base64.StdEncoding.EncodeToString(b))
}

// notes writes Annotations as NTE.
func (m *maker) notes(v any) error {
	for _, n := range objects(v) {
		text, _ := n["text"].(string)
		s := m.note(text)
		if s == nil {
			continue
		}
		who, err := m.practitioner(n["authorReference"])
		if err != nil {
			return err
		}
		s.set(5, who)
		s.set(6, when(str(n["time"])))
	}
	return nil
}

// note writes one NTE; nil: there is no text.
func (m *maker) note(text string) *segment {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	n := m.noteNumber() + 1
	s := m.segment("NTE")
	s.set(1, itoa(n))
	s.set(3, escape(text))
	return s
}

// noteNumber counts the NTE that stand together.
func (m *maker) noteNumber() int {
	n := 0
	for i := len(m.out) - 1; i >= 0 && m.out[i].name == "NTE"; i-- {
		n++
	}
	return n
}

// specimens writes SPM.
func (m *maker) specimens(v any) error {
	n := 0
	for _, ref := range objects(v) {
		o, _, err := m.follow(ref)
		if err != nil {
			return err
		}
		if str(o["resourceType"]) != "Specimen" {
			continue
		}
		n++
		s := m.segment("SPM")
		s.set(1, itoa(n))
		if err := m.rows(s, o); err != nil {
			return err
		}
		m.specimenIDs(s, o)
		if s.get(4) == "" {
			s.set(4, components("", "unknown"))
		}
	}
	return nil
}

// specimenIDs writes SPM-2: the placer's identifier and the filler's; one without a type is the filler's.
func (m *maker) specimenIDs(s *segment, o object) {
	part := map[string]string{}
	for _, i := range objects(o["identifier"]) {
		role := idType(i)
		if role != "PLAC" && role != "FILL" {
			continue
		}
		if e := m.identifier("EI", role, i); e != "" && part[role] == "" {
			part[role] = strings.ReplaceAll(e, "^", "&")
		}
	}
	s.set(2, components(part["PLAC"], part["FILL"]))
}

// order makes OML^O21 or ORM^O01 of a ServiceRequest.
func (m *maker) order() error {
	if _, err := m.pid(m.reference(m.root["subject"])); err != nil {
		return err
	}
	if err := m.inVisit(m.root["encounter"]); err != nil {
		return err
	}
	control := "XO"
	switch status := str(m.root["status"]); {
	case status == "revoked" || status == "entered-in-error":
		control = "CA"
	case status == "on-hold":
		control = "HD"
	case status != "active":
		control = "SC"
	case m.c.First:
		control = "NW"
	}
	obr := m.loose("OBR")
	if err := m.rows(obr, m.root); err != nil {
		return err
	}
	if obr.get(2) == "" {
		obr.set(2, m.ownEI("ServiceRequest", m.root))
	}
	if obr.get(6) == "" {
		obr.set(6, when(str(obj(m.root["occurrencePeriod"])["start"])))
	}
	if err := m.common(m.root, control, obr); err != nil {
		return err
	}
	m.out = append(m.out, obr)
	obr.set(1, "1")
	if str(m.root["intent"]) == "reflex-order" {
		obr.set(11, "G")
	}
	if err := m.notes(m.root["note"]); err != nil {
		return err
	}
	if _, err := m.observations(m.root["supportingInfo"], map[string]bool{}, 0, 0); err != nil {
		return err
	}
	return m.specimens(m.root["specimen"])
}

// immunization makes VXU^V04.
func (m *maker) immunization() error {
	if _, err := m.pid(m.reference(m.root["patient"])); err != nil {
		return err
	}
	if err := m.inVisit(m.root["encounter"]); err != nil {
		return err
	}
	orc := m.segment("ORC")
	orc.set(1, "RE")
	if err := m.rows(orc, m.root); err != nil {
		return err
	}
	if orc.get(3) == "" {
		orc.set(3, m.ownEI("Immunization", m.root))
	}
	s := m.segment("RXA")
	s.set(1, "0")
	s.set(2, "1")
	if err := m.rows(s, m.root); err != nil {
		return err
	}
	if s.get(6) == "" {
		s.set(6, "999") // dose unknown (CDC guide); RXA-6 is required
	} else {
		s.set(7, m.unit(obj(m.root["doseQuantity"])))
	}
	s.set(21, "U")
	if m.c.First {
		s.set(21, "A")
	}
	if str(m.root["status"]) == "entered-in-error" {
		s.set(21, "D")
		delete(s.f, 20)
	}
	r := m.loose("RXR")
	if err := m.rows(r, m.root); err != nil {
		return err
	}
	m.add(r)
	return m.notes(m.root["note"])
}
