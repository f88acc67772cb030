package fhir

import "time"

// A Coding is a code in a code system (R4 2.24.0.6), as the resource writes it.
type Coding struct {
	System, Code, Display string
}

// unitSystem is UCUM: a Quantity looks like a Coding but says nothing of its own.
const unitSystem = "http://unitsofmeasure.org"

// Codes returns every Coding of the resource outside of meta, in document order, those in
// contained resources included. Units of quantities are left out.
func (r Resource) Codes() []Coding {
	var out []Coding
	for name, m := range r.body().members() {
		if name != "meta" {
			codings(m, func(c Coding) { out = append(out, c) })
		}
	}
	return out
}

// Security returns meta.security.
func (r Resource) Security() []Coding {
	var out []Coding
	for el := range r.body().get("meta", "security").elements() {
		out = append(out, codingOf(el))
	}
	return out
}

// codings calls fn with each Coding in v, depth first.
func codings(v value, fn func(Coding)) {
	switch {
	case v.isArray():
		for e := range v.elements() {
			codings(e, fn)
		}
	case v.isObject():
		for _, m := range v.members() {
			if len(m) > 0 && (m[0] == '{' || m[0] == '[') {
				codings(m, fn)
			}
		}
		if c := codingOf(v); c.Code != "" && c.System != "" && c.System != unitSystem {
			fn(c)
		}
	}
}

func codingOf(v value) (c Coding) {
	for name, m := range v.members() {
		switch name {
		case "system":
			c.System = m.text()
		case "code":
			c.Code = m.text()
		case "display":
			c.Display = m.text()
		}
	}
	return c
}

// LastUpdated returns meta.lastUpdated; ok is false if it is missing or not an instant.
func (r Resource) LastUpdated() (t time.Time, ok bool) {
	t, err := time.Parse(time.RFC3339Nano, r.body().get("meta", "lastUpdated").text())
	return t, err == nil
}

// VersionID returns meta.versionId, or "".
func (r Resource) VersionID() string { return r.body().get("meta", "versionId").text() }
