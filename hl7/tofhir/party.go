package tofhir

import (
	"encoding/json"
	"strings"
)

// party converts names, addresses, and what becomes a resource of its own:
// practitioners, organisations, locations.
func (c *mapping) party(kind, arg string, v val) (any, bool) {
	switch kind {
	case "XPN":
		o := object{}
		c.name(o, v, 1)
		if t, ok := lookup("NameType", v.t(7)); ok {
			o["use"] = t.code
		} else if v.has(7) {
			v.drop(7)
		}
		c.period(o, v, 12, 13)
		put3(o, "suffix", v.t(14))
		return o, len(o) > 0
	case "XPNTEXT":
		o := object{}
		c.name(o, v, 1)
		s, _ := o["family"].(string)
		return s, s != "" && len(o) == 1
	case "XAD":
		return c.address(v)
	case "XTN":
		return c.telecom(v, arg)
	case "REF", "PERF", "PART", "APR":
		return c.practitioner(kind, arg, v)
	case "ORG", "CWEORG":
		return c.organization(kind, v)
	case "ADEV":
		s := v.t(2)
		if s == "" {
			s = v.t(1)
		}
		return object{"actor": object{"display": s}, "status": "accepted"}, s != ""
	case "PL", "PLREF", "APL":
		return c.place(kind, arg, v)
	case "UNIT":
		o := object{}
		c.unit(o, v)
		return o, len(o) > 0
	}
	return nil, false
}

func put3(o object, k, s string) {
	if s != "" {
		list, _ := o[k].([]any)
		o[k] = append(list, s)
	}
}

func (c *mapping) period(o object, v val, from, to int) {
	p := object{}
	for n, k := range map[int]string{from: "start", to: "end"} {
		if t, ok := c.when(v, n, "DTM"); ok {
			p[k] = t
		}
	}
	if len(p) > 0 {
		o["period"] = p
		c.ordered(v.at, p)
	}
}

// name reads an XPN or, with at 2, the name in an XCN.
func (c *mapping) name(o object, v val, at int) {
	fn := v.part(at)
	family := fn.t(1)
	for k := 2; k <= 5; k++ { // own surname, prefixes: HL7 puts them into extensions; they stay listed
		if family == "" && k == 3 {
			family = fn.t(3)
		}
	}
	put(o, "family", family)
	for _, n := range []int{at + 1, at + 2} {
		put3(o, "given", v.t(n))
	}
	put3(o, "suffix", v.t(at+3))
	put3(o, "prefix", v.t(at+4))
	put3(o, "suffix", v.t(at+5))
}

func (c *mapping) address(v val) (any, bool) {
	o := object{}
	put3(o, "line", v.part(1).t(1))
	put3(o, "line", v.t(2))
	for n, k := range map[int]string{3: "city", 4: "state", 5: "postalCode", 6: "country", 9: "district"} {
		put(o, k, v.t(n))
	}
	if code := v.t(7); code != "" {
		use, ok := lookup("AddressType[Use]", code)
		put(o, "use", use.code)
		kind, also := lookup("AddressType[Type]", code)
		put(o, "type", kind.code)
		if !ok && !also {
			v.drop(7)
		}
	}
	c.period(o, v, 13, 14)
	return o, len(o) > 0
}

// telecom converts an XTN; the number is XTN.12, else made of XTN.5 to 8, else XTN.1.
func (c *mapping) telecom(v val, use string) (any, bool) {
	o, equipment := object{}, v.t(3)
	net := equipment == "Internet" || equipment == "X.400"
	switch {
	case net || equipment == "" && v.has(4):
		put(o, "value", v.t(4))
		if o["value"] == nil {
			put(o, "value", v.t(1)) // senders put the address into XTN.1
		}
		o["system"] = "email"
	case v.has(12):
		put(o, "value", v.t(12))
	case v.has(7):
		s := strings.TrimSpace(v.t(6) + " " + v.t(7))
		if n := v.t(5); n != "" {
			s = "+" + strings.TrimPrefix(n, "+") + " " + s
		}
		if n := v.t(8); n != "" {
			s += " X" + n
		}
		o["value"] = s
	default:
		put(o, "value", v.t(1))
	}
	if o["value"] == nil {
		return nil, false
	}
	if t, ok := lookup("TelecommunicationEquipmentType", equipment); ok && o["system"] == nil {
		o["system"] = t.code
		if strings.HasSuffix(t.system, "contact-point-use") { // CP: a mobile phone
			o["system"], o["use"] = "phone", t.code
		}
	} else if equipment != "" && !net {
		v.drop(3)
	}
	orElse(o, "system", "phone") // before 2.7 XTN.3 is optional: the fields are telephone numbers
	if code := v.t(2); code != "" {
		if t, ok := lookup("TelecommunicationUseCode", code); !ok {
			v.drop(2)
		} else if o["use"] == nil {
			o["use"] = t.code
		}
	} else if use != "" && o["use"] == nil {
		o["use"] = use
	}
	return o, true
}

func (c *mapping) practitioner(kind, arg string, v val) (any, bool) {
	name := object{}
	c.name(name, v, 2)
	if t, ok := lookup("NameType", v.t(10)); ok && len(name) > 0 {
		name["use"] = t.code
	} else if v.has(10) {
		v.drop(10)
	}
	var id Identifier
	if id.Value = v.t(1); id.Value != "" {
		id.System = c.authority(v.part(9))
	}
	if id.Value == "" && len(name) == 0 {
		return nil, false
	}
	b, _ := json.Marshal(name)
	x, fresh := c.put("Practitioner", string(b), id)
	if fresh {
		x.entry.Create = true
		if id.Value != "" {
			i := object{"system": id.System, "value": id.Value}
			if code := v.t(13); code != "" {
				if t, ok := lookup("IdentifierType", code); ok {
					i["type"] = object{"coding": []any{object{"system": t.system, "code": t.code}}}
				} else {
					i["type"] = object{"text": code}
				}
			}
			x.body["identifier"] = []any{i}
		}
		if len(name) > 0 {
			x.body["name"] = []any{name}
		}
	} else if v.has(13) {
		v.t(13)
	}
	switch kind {
	case "PART":
		code, text, _ := strings.Cut(arg, ":")
		return object{"individual": x.ref(), "type": []any{object{"coding": []any{object{"system": tho + "v3-ParticipationType", "code": code, "display": text}}}}}, true
	case "PERF":
		return object{"actor": x.ref(), "function": object{"coding": []any{object{"system": tho + "v2-0443", "code": arg}}}}, true
	case "APR":
		return object{"actor": x.ref(), "status": "accepted"}, true
	}
	return x.ref(), true
}

func (c *mapping) organization(kind string, v val) (any, bool) {
	name, id := v.t(1), Identifier{}
	if kind == "ORG" {
		if id.Value = v.t(10); id.Value == "" {
			id.Value = v.t(3)
		}
		if id.Value != "" {
			id.System = c.authority(v.part(6))
		}
	} else {
		id = Identifier{c.codeSystem(v.t(3)), v.t(1)}
		name = v.t(2)
		if id.System == "" && id.Value != "" {
			id.System = c.o.Base + ":organization"
		}
	}
	if name == "" && id.Value == "" {
		return nil, false
	}
	x, fresh := c.put("Organization", name, id)
	if fresh {
		x.entry.Create = true
		put(x.body, "name", name)
		if id.Value != "" {
			x.body["identifier"] = []any{object{"system": id.System, "value": id.Value}}
		}
	}
	return x.ref(), true
}

// place converts a PL into the chain of locations that HL7 wants: bed in room in
// point of care in floor in building in facility. The innermost is referred to.
func (c *mapping) place(kind, arg string, v val) (any, bool) {
	var up *resource
	var key strings.Builder
	for _, l := range []struct {
		n    int
		code string
	}{{4, "si"}, {7, "bu"}, {8, "lvl"}, {1, "wa"}, {2, "ro"}, {3, "bd"}} {
		hd := v.part(l.n)
		name := hd.t(1)
		if name == "" && !hd.has(2) {
			continue
		}
		system := c.authority(hd)
		if name == "" {
			name = hd.t(2)
		}
		key.WriteString("|" + l.code + "|" + system + "|" + name)
		x, fresh := c.put("Location", key.String(), Identifier{})
		if fresh {
			x.entry.Create = true
			x.body["name"], x.body["mode"] = name, "instance"
			x.body["physicalType"] = object{"coding": []any{object{"system": tho + "location-physical-type", "code": l.code}}}
			if up != nil {
				x.body["partOf"] = up.ref()
			}
		}
		up = x
	}
	if up == nil {
		return nil, false
	}
	if s := v.t(9); s != "" {
		orElse(up.body, "description", s)
	}
	switch kind {
	case "PLREF":
		return up.ref(), true
	case "APL":
		return object{"actor": up.ref(), "status": "accepted"}, true
	}
	return object{"location": up.ref(), "status": arg}, true
}

// unit puts the unit of a CWE into a Quantity.
func (c *mapping) unit(q object, v val) {
	u, name := v.t(1), v.t(2)
	if name == "" {
		name = u
	}
	put(q, "unit", name)
	if sys := v.t(3); sys != "" && code(u) != "" {
		q["system"], q["code"] = c.codeSystem(sys), u
	}
}
