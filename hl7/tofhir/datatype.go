package tofhir

import (
	"encoding/json"
	"strings"
	"time"

	"salus/hl7"
)

const tho = "http://terminology.hl7.org/CodeSystem/"

func put(o object, k, s string) {
	if s != "" {
		o[k] = s
	}
}

// convert makes the FHIR value of one repetition. ok is false where there is none;
// what was read and cannot be said is dropped (val.drop), so that it is listed.
func (c *mapping) convert(kind string, v val) (any, bool) {
	kind, arg, _ := strings.Cut(kind, ":")
	switch kind {
	case "ST":
		s := v.t(1)
		return s, s != ""
	case "TEXT":
		s := v.t(1)
		return object{"text": s}, s != ""
	case "YN":
		t, ok := lookup("YesNoIndicator", v.t(1))
		if !ok {
			v.drop(1)
		}
		return t.code == "true", ok
	case "INT":
		s := strings.TrimLeft(v.t(1), "0")
		if len(s) == 0 || len(s) > 9 || strings.Trim(s, "0123456789") != "" {
			v.drop(1)
			return nil, false
		}
		return json.Number(s), true
	case "NM", "DOSE":
		n, ok := number(v.t(1))
		if !ok || kind == "DOSE" && n == "999" { // 999: dose unknown (CDC guide of RXA-6)
			v.drop(1)
			return nil, false
		}
		return n, true
	case "DT", "DTM", "INSTANT", "BIRTHTIME":
		return c.when(v, 1, kind)
	case "DR":
		o := object{}
		for n, k := range map[int]string{1: "start", 2: "end"} {
			if t, ok := c.when(v.part(n), 1, "DTM"); ok {
				o[k] = t
			}
		}
		c.ordered(v.at, o)
		return o, len(o) > 0
	case "DRSTART":
		return c.when(v.part(1), 1, "DTM")
	case "CODE":
		return c.code1(arg, v)
	case "OWNCODE":
		s, ok := ownCodes(arg, v.t(1))
		if !ok {
			v.drop(1)
		}
		return s, ok
	case "EXT":
		p := strings.SplitN(arg, ":", 3)
		out, ok := c.convert(p[2], v)
		return object{"url": "http://hl7.org/fhir/StructureDefinition/" + p[0], p[1]: out}, ok
	}
	if o, ok, known := c.identifier(kind, arg, v); known {
		return o, ok
	}
	if o, ok, known := c.concept(kind, arg, v); known {
		return o, ok
	}
	return c.party(kind, arg, v)
}

func (c *mapping) code1(name string, v val) (any, bool) {
	t, ok := lookup(name, v.t(1))
	if !ok {
		v.drop(1)
		return nil, false
	}
	return t.code, true
}

// number gives an NM as a JSON number with the digits that were sent.
func number(s string) (json.Number, bool) {
	s = strings.TrimPrefix(s, "+")
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	if strings.HasPrefix(s, ".") {
		s = "0" + s
	}
	s = strings.TrimSuffix(s, ".")
	whole, frac, _ := strings.Cut(s, ".")
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if s == "" || len(s) > 40 || strings.Trim(whole+frac, "0123456789") != "" {
		return "", false
	}
	if frac != "" {
		whole += "." + frac
	}
	if neg {
		whole = "-" + whole
	}
	return json.Number(whole), true
}

// when gives a date, dateTime or instant with the precision that was sent. FHIR
// wants minutes and a zone with an hour: a time that lacks them is cut to its date
// and listed as not mapped, and an instant is left out.
func (c *mapping) when(v val, n int, kind string) (any, bool) {
	s := v.t(n)
	if s == "" {
		return nil, false
	}
	t, err := hl7.ParseTime(s)
	if err != nil {
		v.drop(n)
		return nil, false
	}
	at, zoned := t.Time, t.Zoned
	if !zoned && c.o.Zone != nil {
		at = time.Date(at.Year(), at.Month(), at.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), c.o.Zone)
		zoned = true
	}
	format := "2006-01-02"
	switch {
	case t.Precision == hl7.Year:
		format = "2006"
	case t.Precision == hl7.Month:
		format = "2006-01"
	case kind == "DT":
		return t.Time.Format(format), true // its time is told by another row, or it is midnight
	case t.Precision >= hl7.Minute && zoned:
		format = "2006-01-02T15:04:05.999999999Z07:00"
	case t.Precision > hl7.Day:
		v.drop(n)
	}
	if (kind == "INSTANT" || kind == "BIRTHTIME") && !strings.Contains(format, "T") {
		if kind == "INSTANT" {
			v.drop(n)
		}
		return nil, false
	}
	return at.Format(format), true
}

// authority gives the system URI of an HD: configured, by its universal id, or by
// its name under the feed's base. v's components are the HD's.
func (c *mapping) authority(v val) string {
	name, id, kind := v.t(1), v.t(2), v.t(3)
	for _, s := range []string{id, name} {
		if u := c.o.Authorities[s]; s != "" && u != "" {
			return u
		}
	}
	switch {
	case id != "" && kind == "UUID":
		return "urn:uuid:" + strings.ToLower(id)
	case id != "" && strings.Trim(id, "0123456789.") == "" && strings.Contains(id, "."):
		return "urn:oid:" + id
	case id != "" && kind == "URI":
		return id
	case id != "":
		return c.o.Base + ":authority:" + escape(id)
	case name != "":
		return c.o.Base + ":authority:" + escape(name)
	}
	return c.o.Base + ":authority"
}

func idType(code string) object {
	return object{"coding": []any{object{"system": tho + "v2-0203", "code": code}}}
}

// identifier converts CX, EI, EIP and what else becomes an Identifier.
func (c *mapping) identifier(kind, arg string, v val) (object, bool, bool) {
	o := object{}
	switch kind {
	case "CX":
		hd := v.part(4)
		put(o, "value", v.t(1))
		if o["value"] == nil {
			return nil, false, true
		}
		o["system"] = c.authority(hd)
		if name := hd.t(1); name != "" {
			o["assigner"] = object{"display": name}
		}
		if code := v.t(5); code != "" {
			if t, ok := lookup("IdentifierType", code); ok {
				o["type"] = object{"coding": []any{object{"system": t.system, "code": t.code}}}
			} else {
				o["type"] = object{"text": code}
			}
		} else if arg != "" {
			o["type"] = idType(arg)
		}
		period := object{}
		for n, k := range map[int]string{7: "start", 8: "end"} {
			if t, ok := c.when(v, n, "DT"); ok {
				period[k] = t
			}
		}
		if len(period) > 0 {
			o["period"] = period
			c.ordered(v.at, period)
		}
	case "EI":
		put(o, "value", v.t(1))
		if o["value"] == nil {
			return nil, false, true
		}
		o["system"] = c.authority(shifted(v, 1))
		if arg != "" {
			o["type"] = idType(arg)
		}
	case "EIP":
		at, role, _ := strings.Cut(arg, ":")
		e := v.part(int(at[0] - '0'))
		put(o, "value", e.t(1))
		if o["value"] == nil {
			return nil, false, true
		}
		o["system"] = c.authority(shifted(e, 1))
		o["type"] = idType(role)
	case "SSN":
		put(o, "value", v.t(1))
		o["system"], o["type"] = "http://hl7.org/fhir/sid/us-ssn", idType("SS")
		return o, o["value"] != nil, true
	case "NAMEID":
		put(o, "value", v.t(1))
		o["system"] = c.o.Base + ":document-name"
		return o, o["value"] != nil, true
	case "CWEID":
		put(o, "value", v.t(1))
		if o["value"] == nil {
			return nil, false, true
		}
		o["system"] = c.o.Base + ":insurance-plan"
		if s := v.t(2); s != "" {
			o["type"] = object{"text": s}
		}
		return o, true, true
	default:
		return nil, false, false
	}
	return o, true, true
}

// shifted makes components from n on those of a value: EI.2 to EI.4 are an HD.
func shifted(v val, n int) val {
	v.shift = n
	return v
}

// concept converts CWE and its kin. A code that HL7's concept map has is said in
// both codings: the mapped one first, then what was sent.
func (c *mapping) concept(kind, arg string, v val) (any, bool, bool) {
	switch kind {
	case "CWE":
		o := c.cwe(v, arg)
		return o, len(o) > 0, true
	case "IDCC":
		name, n, _ := strings.Cut(arg, ":")
		code := single(v.t(1))
		k := object{"system": tho + "v2-" + n, "code": code}
		if t, ok := lookup(name, code); ok {
			k = t.coding()
		}
		return object{"coding": []any{k}}, code != "", true
	case "CONF":
		code := single(v.t(1)) // never left out: it protects what it is on
		k := object{"system": tho + "v2-0272", "code": code}
		if own, ok := ownCodes("confidentiality", code); ok {
			k = object{"system": tho + "v3-Confidentiality", "code": own}
		}
		return object{"coding": []any{k}}, code != "", true
	case "CODING":
		code := single(v.t(1))
		if code == "" {
			return nil, false, true
		}
		if t, ok := lookup(arg, code); ok {
			return t.coding(), true, true
		}
		k := object{"code": code}
		put(k, "system", c.codeSystem(v.t(3)))
		put(k, "display", v.t(2))
		return k, true, true
	}
	return nil, false, false
}

func (c *mapping) cwe(v val, table string) object {
	o := object{}
	var list []any
	if t, ok := lookup(table, v.t(1)); ok && table != "" {
		list = append(list, t.coding())
	}
	for _, at := range [][4]int{{1, 2, 3, 7}, {4, 5, 6, 8}, {10, 11, 12, 13}} {
		k := object{}
		put(k, "code", code(v.t(at[0])))
		if k["code"] == nil && v.has(at[0]) {
			v.drop(at[0])
		}
		put(k, "display", v.t(at[1]))
		if k["code"] == nil && k["display"] == nil {
			continue
		}
		put(k, "system", c.codeSystem(v.t(at[2])))
		put(k, "version", v.t(at[3]))
		if len(list) == 1 && k["code"] == list[0].(object)["code"] && k["system"] == nil {
			if k["display"] == nil {
				continue // the mapped coding says it
			}
		}
		list = append(list, k)
	}
	if list != nil {
		o["coding"] = list
	}
	if s := v.t(9); s != "" {
		o["text"] = s
	} else if s := v.t(2); s != "" {
		o["text"] = s
	}
	return o
}

// code is what FHIR's data type code admits: no leading, trailing or double blanks.
func code(s string) string {
	if strings.Contains(s, "  ") || strings.ContainsAny(s, "\t\n\r") {
		return ""
	}
	return s
}

// single is a code with single blanks, as FHIR's data type code admits them.
func single(s string) string { return strings.Join(strings.Fields(s), " ") }
