package fromfhir

import (
	"maps"
	"strings"
)

// person makes the messages that are about a Patient.
func (m *maker) person() error {
	self := "Patient/" + str(m.root["id"])
	m.known[self] = m.root
	switch m.event {
	case "A28", "A31", "A08":
	case "A40":
		return m.merge(self)
	case "A37":
		return m.unlink(self)
	default:
		return ErrEvent
	}
	if _, err := m.personOf(m.root, self); err != nil {
		return err
	}
	if m.event == "A08" {
		if v := decode(m.c.Encounter); v != nil {
			return m.pv1(v)
		}
	}
	m.segment("PV1").set(2, "N") // not applicable: the segment is required
	return nil
}

// merge says that a Patient was replaced by another: PID is the survivor.
func (m *maker) merge(self string) error {
	into := ""
	for _, l := range objects(m.root["link"]) {
		if str(l["type"]) == "replaced-by" {
			into = m.reference(l["other"])
		}
	}
	if into == "" || into == self {
		return ErrPatient
	}
	pid, err := m.pid(into)
	if err != nil {
		return err
	}
	prior := m.loose("MRG")
	for _, i := range objects(m.root["identifier"]) {
		prior.append(1, m.identifier("CX", "", i))
	}
	if prior.get(1) == "" {
		prior.set(1, m.own("Patient", self, ""))
	}
	if prior.get(1) == pid.get(3) {
		return ErrPatient // one number: there is nothing to merge for a receiver
	}
	prior.set(7, name(first(m.root["name"])))
	m.add(prior)
	return nil
}

// unlink says that a merge was taken back: the survivor first.
func (m *maker) unlink(self string) error {
	other := decode(m.c.Other)
	if other == nil || str(other["resourceType"]) != "Patient" || str(other["id"]) == str(m.root["id"]) {
		return ErrPatient
	}
	if _, err := m.personOf(other, "Patient/"+str(other["id"])); err != nil {
		return err
	}
	_, err := m.personOf(m.root, self)
	return err
}

// visit makes the messages that are about an Encounter.
func (m *maker) visit() error {
	switch m.event {
	case "A01", "A03", "A04", "A05", "A08", "A11", "A13":
	default:
		return ErrEvent
	}
	pid, err := m.pid(m.reference(m.root["subject"]))
	if err != nil {
		return err
	}
	if err := m.account(pid, m.root["account"]); err != nil {
		return err
	}
	if err := m.pv1(m.root); err != nil {
		return err
	}
	return m.diagnoses()
}

// account puts the number of an Account into PID-18.
func (m *maker) account(pid *segment, v any) error {
	for _, ref := range objects(v) {
		a, _, err := m.follow(ref)
		if err != nil {
			return err
		}
		for _, i := range objects(a["identifier"]) {
			if pid.get(18) == "" {
				pid.set(18, m.identifier("CX", "", i))
			}
		}
	}
	return nil
}

// pv1 writes a visit.
func (m *maker) pv1(o object) error {
	s := m.segment("PV1")
	s.set(1, "1")
	if err := m.rows(s, o); err != nil {
		return err
	}
	if s.get(2) == "" {
		s.set(2, "U")
	}
	if s.get(19) == "" {
		for _, i := range objects(o["identifier"]) {
			s.set(19, m.identifier("CX", "", i))
			if s.get(19) != "" {
				if s.get(50) == s.get(19) {
					delete(s.f, 50)
				}
				break
			}
		}
	}
	if s.get(19) == "" {
		s.set(19, m.own("Encounter", str(o["id"]), "VN"))
	}
	if m.event == "A13" {
		delete(s.f, 45)
	}
	p := m.loose("PV2")
	if err := m.rows(p, trimmed(o, s)); err != nil {
		return err
	}
	m.add(p)
	return nil
}

// trimmed is an Encounter for PV2, without what PV1 has said of lists that both have.
func trimmed(o object, pv1 *segment) object {
	out := object{}
	maps.Copy(out, o)
	delete(out, "participant")
	if len(pv1.f[3]) > 0 && pv1.get(2) == "P" {
		delete(out, "location")
	}
	return out
}

// inVisit writes PV1 of the Encounter that a resource names; without one none.
func (m *maker) inVisit(v any) error {
	e, _, err := m.follow(v)
	if err != nil || str(e["resourceType"]) != "Encounter" {
		return err
	}
	return m.pv1(e)
}

// diagnoses writes the Conditions that an Encounter names.
func (m *maker) diagnoses() error {
	n := 0
	for _, d := range objects(m.root["diagnosis"]) {
		c, _, err := m.follow(d["condition"])
		if err != nil {
			return err
		}
		if str(c["resourceType"]) != "Condition" {
			continue
		}
		n++
		s := m.segment("DG1")
		s.set(1, itoa(n))
		if err := m.rows(s, c); err != nil {
			return err
		}
		if text := str(obj(c["code"])["text"]); strings.Contains(s.get(3), escape(text)) {
			delete(s.f, 4)
		}
		s.set(6, "W") // working: DG1-6 is required, and the resource's role is not in table 0052
		if str(first(obj(c["verificationStatus"])["coding"])["code"]) == "entered-in-error" {
			s.set(21, "D")
		}
	}
	return nil
}
