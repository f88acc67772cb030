package fromfhir

import (
	"strings"
)

// party writes names, addresses, and what a resource refers to.
func (m *maker) party(kind, arg string, v any) (string, error) {
	switch kind {
	case "XPN":
		return name(obj(v)), nil
	case "XPNTEXT":
		return escape(str(v)), nil
	case "XAD":
		return address(obj(v)), nil
	case "XTN":
		return telecom(obj(v), arg), nil
	case "REF":
		return m.practitioner(v)
	case "PART":
		o := obj(v)
		for _, t := range objects(o["type"]) {
			for _, c := range objects(t["coding"]) {
				if str(c["code"]) == arg[:max(0, strings.IndexByte(arg, ':'))] && str(c["system"]) == tho+"v3-ParticipationType" {
					return m.practitioner(o["individual"])
				}
			}
		}
	case "PERF":
		o := obj(v)
		code := str(first(obj(o["function"])["coding"])["code"])
		if code == arg || code == "" && arg == "AP" {
			return m.practitioner(o["actor"])
		}
	case "APR":
		return m.practitioner(obj(v)["actor"])
	case "ORG":
		return m.organization(v)
	case "CWEORG":
		return m.maker(v)
	case "PL":
		if o := obj(v); str(o["status"]) == arg || str(o["status"]) == "" && arg == "active" {
			return m.location(o["location"])
		}
	case "PLREF":
		return m.location(v)
	case "APL":
		return m.location(obj(v)["actor"])
	case "ADEV":
		o := obj(obj(v)["actor"])
		switch typ, _, _ := strings.Cut(m.reference(o), "/"); typ {
		case "Patient", "Practitioner", "PractitionerRole", "Location", "RelatedPerson":
			return "", nil
		}
		return components("", escape(str(o["display"]))), nil
	case "UNIT":
		return m.unit(obj(v)), nil
	}
	return "", nil
}

func texts(v any) (out []string) {
	for _, e := range list(v) {
		if s := str(e); s != "" {
			out = append(out, escape(s))
		}
	}
	return out
}

func nth(l []string, n int) string {
	if n < len(l) {
		return l[n]
	}
	return ""
}

func rest(l []string, n int, sep string) string {
	if n < len(l) {
		return strings.Join(l[n:], sep)
	}
	return ""
}

// personal are family, given, further given, suffix, prefix, and the second suffix.
func personal(o object) [6]string {
	given, suffix := texts(o["given"]), texts(o["suffix"])
	family := escape(str(o["family"]))
	if family == "" && len(given) == 0 {
		family = escape(str(o["text"]))
	}
	return [6]string{family, nth(given, 0), rest(given, 1, " "), nth(suffix, 0), rest(texts(o["prefix"]), 0, " "), nth(suffix, 1)}
}

// name writes a HumanName as XPN.
func name(o object) string {
	p := personal(o)
	if components(p[:]...) == "" {
		return ""
	}
	period := obj(o["period"])
	return components(p[0], p[1], p[2], p[3], p[4], p[5], codeOf("NameType", str(o["use"])), "", "", "", "", when(str(period["start"])), when(str(period["end"])), rest(texts(o["suffix"]), 2, " "))
}

func address(o object) string {
	line := texts(o["line"])
	if len(line) == 0 && str(o["city"]) == "" {
		line = texts([]any{o["text"]})
	}
	kind := codeOf("AddressType[Use]", str(o["use"]))
	if kind == "" && str(o["type"]) == "postal" {
		kind = "M"
	}
	c := []string{
		nth(line, 0), rest(line, 1, ", "), escape(str(o["city"])), escape(str(o["state"])), escape(str(o["postalCode"])), escape(str(o["country"])), "", "", escape(str(o["district"])),
	}
	if components(c...) == "" {
		return ""
	}
	period := obj(o["period"])
	c[6] = kind
	return components(append(c, "", "", "", when(str(period["start"])), when(str(period["end"])))...)
}

// telecom writes a ContactPoint as XTN; use is that of the field, which takes no other. Old ones are not sent, nor
// addresses of the web.
func telecom(o object, use string) string {
	value, its := escape(str(o["value"])), str(o["use"])
	if value == "" || its == "old" || use == "work" && its != use || use == "home" && its == "work" {
		return ""
	}
	code := map[string]string{"home": "PRN", "work": "WPN", "mobile": "PRN"}[its]
	if use == "home" && its == "temp" {
		code = "VHN"
	}
	switch str(o["system"]) {
	case "email":
		if code == "" {
			code = "NET"
		}
		return components("", code, "Internet", value)
	case "phone", "":
		kind := "PH"
		if its == "mobile" {
			kind = "CP"
		}
		return components(value, code, kind, "", "", "", "", "", "", "", "", value)
	case "sms":
		return components(value, "PRN", "CP", "", "", "", "", "", "", "", "", value)
	case "fax":
		return components(value, code, "FX", "", "", "", "", "", "", "", "", value)
	case "pager":
		return components(value, code, "BP", "", "", "", "", "", "", "", "", value)
	}
	return ""
}

// naming is the identifier of what a Reference refers to; it may be said without a resource.
func (m *maker) naming(o object, ref any) (value string, hd []string, typ string) {
	all := objects(o["identifier"])
	if i := obj(obj(ref)["identifier"]); i != nil {
		all = append(all, i)
	}
	for _, i := range all {
		if v, s := str(i["value"]), str(i["system"]); v != "" && !private(s) && str(i["use"]) != "old" {
			n, _ := named(s, "authority")
			return escape(v), m.authority(s, n), escape(idType(i))
		}
	}
	return "", nil, ""
}

// practitioner writes whom a Reference refers to as XCN; "" if that is no practitioner.
func (m *maker) practitioner(v any) (string, error) {
	o, ref, err := m.follow(v)
	if err != nil {
		return "", err
	}
	if str(o["resourceType"]) == "PractitionerRole" {
		if v = o["practitioner"]; v == nil {
			return "", nil
		}
		if o, ref, err = m.follow(v); err != nil {
			return "", err
		}
	}
	typ, _, _ := strings.Cut(ref, "/")
	if t := str(o["resourceType"]); t != "" {
		typ = t
	}
	if typ == "" {
		typ = str(obj(v)["type"])
	}
	if typ != "" && typ != "Practitioner" {
		return "", nil
	}
	value, hd, idType := m.naming(o, v)
	n := first(o["name"])
	p := personal(n)
	if components(p[:]...) == "" {
		p[0] = escape(str(obj(v)["display"]))
	}
	use := ""
	if n != nil {
		use = codeOf("NameType", str(n["use"]))
	}
	if value == "" && p == [6]string{} {
		return "", nil
	}
	return components(value, p[0], p[1], p[2], p[3], p[4], p[5], "", subs(hd...), use, "", "", idType), nil
}

// organization writes one as XON; "" if a Reference refers to something else.
func (m *maker) organization(v any) (string, error) {
	name, value, hd, _, err := m.body(v)
	if err != nil || name == "" && value == "" {
		return "", err
	}
	return components(name, "", "", "", "", subs(hd...), "", "", "", value), nil
}

// maker writes an organization as CWE.
func (m *maker) maker(v any) (string, error) {
	name, value, _, system, err := m.body(v)
	if err != nil || name == "" && value == "" {
		return "", err
	}
	return components(value, name, system), nil
}

func (m *maker) body(v any) (name, value string, hd []string, system string, err error) {
	o, ref, err := m.follow(v)
	if err != nil {
		return "", "", nil, "", err
	}
	typ, _, _ := strings.Cut(ref, "/")
	if t := str(o["resourceType"]); t != "" {
		typ = t
	}
	if typ == "" {
		typ = str(obj(v)["type"])
	}
	if typ != "" && typ != "Organization" {
		return "", "", nil, "", nil
	}
	value, hd, _ = m.naming(o, v)
	for _, i := range objects(o["identifier"]) {
		if v, s := str(i["value"]), str(i["system"]); escape(v) == value && v != "" && !private(s) {
			if !strings.HasSuffix(s, ":organization") {
				system = m.system(s)
			}
			break
		}
	}
	if name = escape(str(o["name"])); name == "" {
		name = escape(str(obj(v)["display"]))
	}
	return name, value, hd, system, nil
}

// location writes where a Reference points to, and what that is part of, as PL; "" if it is no location.
func (m *maker) location(v any) (string, error) {
	c := make([]string, 9)
	display := str(obj(v)["display"])
	for range 8 { // no building is nested deeper; a circle ends here
		o, ref, err := m.follow(v)
		if err != nil {
			return "", err
		}
		if typ, _, _ := strings.Cut(ref, "/"); o == nil || str(o["resourceType"]) != "Location" {
			if typ != "" && typ != "Location" && !strings.HasPrefix(ref, "#") || ref == "" && str(obj(v)["type"]) != "" && str(obj(v)["type"]) != "Location" {
				return "", nil
			}
			break
		}
		n := 1
		for _, k := range objects(obj(o["physicalType"])["coding"]) {
			if at := map[string]int{"si": 4, "bu": 7, "lvl": 8, "wa": 1, "ro": 2, "bd": 3}[str(k["code"])]; at > 0 {
				n = at
			}
		}
		if c[n-1] == "" {
			c[n-1] = escape(str(o["name"]))
		}
		if s := str(o["description"]); s != "" && c[8] == "" {
			c[8] = escape(s)
		}
		if v = o["partOf"]; v == nil {
			break
		}
	}
	if components(c...) == "" {
		c[0] = escape(display)
	}
	return components(c...), nil
}

// unit writes the unit of a Quantity as CWE.
func (m *maker) unit(o object) string {
	unit, code, system := escape(str(o["unit"])), escape(str(o["code"])), str(o["system"])
	if code == "" || system == "" {
		if unit == "" {
			unit = code
		}
		return components(unit)
	}
	return components(code, unit, m.system(system))
}
