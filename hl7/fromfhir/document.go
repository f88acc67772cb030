package fromfhir

import "strings"

// MediaType names messages that are kept as documents: they are never sent as such.
const mediaType = "application/hl7-v2"

// document makes MDM^T02, or MDM^T11 which has no content, of a DocumentReference.
func (m *maker) document() error {
	if _, err := m.pid(m.reference(m.root["subject"])); err != nil {
		return err
	}
	context := obj(m.root["context"])
	if l := objects(context["encounter"]); len(l) > 0 {
		if err := m.inVisit(l[0]); err != nil {
			return err
		}
	} else {
		m.segment("PV1").set(2, "N")
	}
	for _, ref := range objects(context["related"]) {
		o, _, err := m.follow(ref)
		if err != nil {
			return err
		}
		if str(o["resourceType"]) == "ServiceRequest" {
			if err := m.ordered(o); err != nil {
				return err
			}
			break
		}
	}
	s := m.segment("TXA")
	s.set(1, "1")
	if err := m.rows(s, m.root); err != nil {
		return err
	}
	if s.get(12) == "" {
		for _, i := range objects(m.root["identifier"]) {
			if s.set(12, m.identifier("EI", "", i)); s.get(12) != "" && s.get(12) != s.get(16) {
				break
			}
			delete(s.f, 12)
		}
	}
	if s.get(12) == "" {
		s.set(12, m.ownEI("DocumentReference", m.root))
	}
	s.set(18, confidential(m.root))
	if str(m.root["status"]) == "current" {
		s.set(19, "AV")
	}
	if m.event == "T11" {
		s.set(3, "TX")
		return nil
	}
	n := 0
	for _, c := range objects(m.root["content"]) {
		a := obj(c["attachment"])
		if str(a["contentType"]) == mediaType {
			return ErrEmpty
		}
		a, err := m.attached(a)
		if err != nil {
			return err
		}
		kind, value := content(a)
		if value == "" {
			continue
		}
		n++
		if n == 1 {
			s.set(3, map[string]string{"TX": "TX", "RP": "AP"}[kind])
			if s.get(3) == "" {
				s.set(3, "AP")
			}
		}
		x := m.segment("OBX")
		x.set(1, itoa(n))
		x.set(2, kind)
		title := escape(str(a["title"]))
		if title == "" {
			x.set(3, m.concept(obj(m.root["type"]), ""))
		} else {
			x.set(3, components("", title))
		}
		x.set(5, value)
		x.set(11, "F")
	}
	if n == 0 {
		return ErrEmpty
	}
	return nil
}

// confidential is the strictest confidentiality that a resource is labelled with, in table 0272; "" if none of its
// labels is in that table.
func confidential(o object) string {
	codings := objects(obj(o["meta"])["security"])
	for _, l := range objects(o["securityLabel"]) {
		codings = append(codings, objects(l["coding"])...)
	}
	for _, level := range [][2]string{{"V", "V"}, {"R", "R"}, {"N", "U"}} {
		for _, c := range codings {
			system, code := str(c["system"]), str(c["code"])
			if system == tho+"v3-Confidentiality" && code == level[0] || system == tho+"v2-0272" && code == level[1] {
				return level[1]
			}
		}
	}
	return ""
}

// ordered writes the order that a document answers.
func (m *maker) ordered(o object) error {
	obr := m.loose("OBR")
	if err := m.rows(obr, o); err != nil {
		return err
	}
	if err := m.common(o, "RE", obr); err != nil {
		return err
	}
	obr.set(1, "1")
	m.add(obr)
	return m.notes(o["note"])
}

// attached is an Attachment with the data of the Binary that it names.
func (m *maker) attached(a object) (object, error) {
	ref := m.reference(object{"reference": a["url"]})
	if a["data"] != nil || !strings.HasPrefix(ref, "Binary/") {
		return a, nil
	}
	b, err := m.read(ref)
	if err != nil || str(b["data"]) == "" {
		return a, err
	}
	return object{"contentType": b["contentType"], "data": b["data"], "title": a["title"]}, nil
}

// appointment makes the SIU messages.
func (m *maker) appointment() error {
	s := m.segment("SCH")
	if err := m.rows(s, m.root); err != nil {
		return err
	}
	if s.get(1) == "" && s.get(2) == "" {
		s.set(2, m.ownEI("Appointment", m.root))
	}
	if s.get(9) != "" {
		s.set(10, "min")
	}
	start, end := when(str(m.root["start"])), when(str(m.root["end"]))
	s.set(11, components("", "", "", start, end))
	s.set(25, codeOf("FillerStatusCodes[Appointment]", str(m.root["status"])))
	m.note(str(m.root["comment"]))
	ref := ""
	for _, p := range objects(m.root["participant"]) {
		if r := m.reference(p["actor"]); ref == "" && strings.HasPrefix(r, "Patient/") {
			ref = r
		}
	}
	if _, err := m.pid(ref); err != nil {
		return err
	}
	m.segment("RGS").set(1, "1")
	n := map[string]int{}
	row := func(name string, o object) error {
		x := m.loose(name)
		if err := m.rows(x, o); err != nil {
			return err
		}
		if x.last == 0 {
			return nil
		}
		n[name]++
		x.set(1, itoa(n[name]))
		m.add(x)
		return nil
	}
	for _, v := range objects(m.root["serviceType"]) {
		x := m.segment("AIS")
		n["AIS"]++
		x.set(1, itoa(n["AIS"]))
		x.set(3, m.concept(v, ""))
		x.set(4, start)
	}
	for _, p := range objects(m.root["participant"]) {
		one := object{"resourceType": "Appointment", "participant": []any{p}}
		if r := m.reference(p["actor"]); strings.HasPrefix(r, "Patient/") {
			continue
		}
		for _, name := range []string{"AIG", "AIL", "AIP"} {
			typ := m.kindOf(p["actor"])
			if map[string]string{"AIL": "Location", "AIP": "Practitioner"}[name] != typ {
				continue
			}
			if err := row(name, one); err != nil {
				return err
			}
		}
	}
	return nil
}

// kindOf is Location or Practitioner, or "" for what goes into AIG.
func (m *maker) kindOf(actor any) string {
	typ, _, _ := strings.Cut(m.reference(actor), "/")
	switch typ {
	case "Location":
		return typ
	case "Practitioner", "PractitionerRole":
		return "Practitioner"
	}
	return ""
}

// charges makes DFT^P03 of a ChargeItem, or of the items of a Claim.
func (m *maker) charges(kind string) error {
	subject := m.root["subject"]
	if kind == "Claim" {
		subject = m.root["patient"]
	}
	pid, err := m.pid(m.reference(subject))
	if err != nil {
		return err
	}
	if err := m.account(pid, m.root["account"]); err != nil {
		return err
	}
	if kind == "Claim" {
		return m.claim()
	}
	if err := m.inVisit(m.root["context"]); err != nil {
		return err
	}
	s := m.segment("FT1")
	s.set(1, "1")
	if err := m.rows(s, m.root); err != nil {
		return err
	}
	if s.get(2) == "" {
		s.set(2, m.ownEI("ChargeItem", m.root))
	}
	if s.get(4) == "" {
		s.set(4, s.get(5))
	}
	switch str(m.root["status"]) {
	case "billable", "billed":
		s.set(6, "CG")
	}
	for _, p := range objects(m.root["performer"]) {
		who, err := m.practitioner(p["actor"])
		if err != nil {
			return err
		}
		if who != "" {
			s.append(20, who)
			continue
		}
		if m.kindOf(p["actor"]) == "Location" {
			where, err := m.location(p["actor"])
			if err != nil {
				return err
			}
			s.set(16, where)
		}
	}
	return nil
}

// claim writes an FT1 for each item of a Claim. Items below an item are parts of it and are not sent.
func (m *maker) claim() error {
	number := ""
	for _, i := range objects(m.root["identifier"]) {
		if v := str(i["value"]); v != "" && !private(str(i["system"])) && number == "" {
			number = v
		}
	}
	system := ""
	if number == "" {
		number, system = str(m.root["id"]), m.o.Base+"/Claim"
	}
	n := 0
	for _, it := range objects(m.root["item"]) {
		code := m.concept(obj(it["productOrService"]), "")
		if code == "" {
			continue
		}
		n++
		s := m.segment("FT1")
		s.set(1, itoa(n))
		id := escape(number + "-" + itoa(n))
		if system != "" {
			id = components(id, "", escape(system), "URI")
		}
		s.set(2, id)
		if p := obj(it["servicedPeriod"]); p != nil {
			s.set(4, components(when(str(p["start"])), when(str(p["end"]))))
		}
		s.set(4, when(str(it["servicedDate"])))
		if s.get(4) == "" {
			s.set(4, when(str(m.root["created"])))
		}
		s.set(5, when(str(m.root["created"])))
		s.set(6, "CG")
		s.set(7, code)
		s.set(10, moneyless(obj(it["quantity"])))
		s.set(11, money(obj(it["net"])))
		s.set(22, money(obj(it["unitPrice"])))
	}
	if n == 0 {
		return ErrEmpty
	}
	return nil
}

func moneyless(q object) string { return number(q["value"]) }

// money writes Money as CP: the amount and its currency.
func money(o object) string {
	n := number(o["value"])
	if n == "" {
		return ""
	}
	return subs(n, escape(str(o["currency"])))
}
