package tofhir

import (
	"encoding/json"
	"strings"
	"time"

	"salus/hl7"
)

type object = map[string]any

// parts are the components that each data type map reads; the rest is reported.
func parts(kind string) string {
	switch kind {
	case "CX":
		return " 1 4 5 "
	case "XPN", "CWE", "CWEID", "REACTION":
		return map[bool]string{true: " 1 2 3 4 5 6 7 ", false: " 1 2 3 4 5 6 9 "}[kind == "XPN"]
	case "XAD":
		return " 1 2 3 4 5 6 7 9 "
	case "XTN":
		return " 1 2 3 4 6 7 12 "
	case "PL":
		return " 1 2 3 4 "
	case "EI":
		return " 1 2 3 4 "
	case "XCN", "XCNREF":
		return " 1 2 3 4 5 6 7 9 "
	}
	return " 1 "
}

// convert reads one repetition. ok is false where nothing usable was sent; that is
// then reported.
func (c *mapping) convert(kind string, v hl7.Value) (out any, ok bool) {
	kind, arg, _ := strings.Cut(kind, ":")
	t := func(n int) string { return c.text(v.Component(n)) }
	put := func(o object, k, s string) {
		if s != "" {
			o[k] = s
		}
	}
	o := object{}
	switch kind {
	case "ST", "ID", "CWEID":
		if kind == "ST" && arg == "" {
			return t(1), t(1) != ""
		}
		put(o, "value", t(1))
	case "NM":
		n := strings.TrimPrefix(t(1), "+")
		return json.Number(n), json.Valid([]byte(n)) && n != "" && strings.IndexAny(n[:1], "-0123456789") == 0
	case "YN":
		return t(1) == "Y", t(1) == "Y" || t(1) == "N"
	case "DT", "DTM", "INSTANT":
		return c.when(t(1), kind)
	case "RANGE":
		put(o, "text", t(1))
	case "REACTION":
		cc, ok := c.convert("CWE", v)
		return object{"manifestation": []any{cc}}, ok
	case "CWE":
		var list []any
		for _, at := range []int{1, 4} {
			k := object{}
			put(k, "code", t(at))
			put(k, "display", t(at+1))
			put(k, "system", system(t(at+2)))
			if s := t(at + 2); s != "" && k["system"] == nil {
				k["system"] = "urn:salus:v2-0396:" + strings.ReplaceAll(s, " ", "-")
			}
			if k["code"] != nil || k["display"] != nil {
				list = append(list, k)
			}
		}
		if list != nil {
			o["coding"] = list
		}
		if put(o, "text", t(9)); o["text"] == nil {
			put(o, "text", t(2))
		}
	case "CX", "EI", "EIP":
		ns := v.Component(4)
		if kind == "EI" {
			ns = v.Component(2)
		}
		if kind == "EIP" {
			put(o, "value", c.text(v.Component(1).Subcomponent(1)))
			break
		}
		put(o, "value", t(1))
		uid, name := c.text(ns.Subcomponent(2)), c.text(ns.Subcomponent(1))
		if kind == "EI" {
			uid = t(3)
		}
		if uid != "" && strings.Trim(uid, "0123456789.") == "" {
			o["system"] = "urn:oid:" + uid
		}
		if name != "" {
			o["assigner"] = object{"display": name}
		}
		if code := map[bool]string{true: arg, false: t(5)}[kind == "EI"]; code != "" {
			o["type"] = object{"coding": []any{object{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code}}}
		}
		if o["value"] == nil {
			return nil, false
		}
	case "XPN":
		c.name(o, v, 1, 7)
	case "XAD":
		var lines []any
		for _, s := range []string{c.text(v.Component(1).Subcomponent(1)), t(2)} {
			if s != "" {
				lines = append(lines, s)
			}
		}
		if lines != nil {
			o["line"] = lines
		}
		for i, k := range map[int]string{3: "city", 4: "state", 5: "postalCode", 6: "country", 9: "district"} {
			put(o, k, t(i))
		}
		put(o, "use", map[string]string{"H": "home", "HOME": "home", "B": "work", "O": "work", "C": "temp"}[t(7)])
	case "XTN":
		s := t(1)
		if s == "" {
			s = t(12)
		}
		if s == "" && t(7) != "" {
			s = strings.TrimSpace(t(6) + " " + t(7))
		}
		put(o, "value", s)
		if put(o, "system", "phone"); t(4) != "" {
			o["value"], o["system"] = t(4), "email"
		}
		if o["value"] == nil {
			return nil, false
		}
		put(o, "use", map[string]string{"PRN": "home", "WPN": "work", "ORN": "home"}[t(2)])
	case "0004":
		code := map[string]string{"I": "IMP", "O": "AMB", "E": "EMER", "P": "PRENC", "R": "AMB", "B": "IMP"}[t(1)]
		if code == "" {
			return nil, false
		}
		return object{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}, true
	case "PL":
		var names []string
		for _, n := range []int{4, 1, 2, 3} {
			if s := t(n); s != "" {
				names = append(names, s)
			}
		}
		key := strings.Join(names, "|")
		if key == "" {
			return nil, false
		}
		ref := c.add("Location", key, object{"name": strings.Join(names, " ")})
		return object{"location": ref}, true
	case "XCN", "XCNREF":
		p := object{}
		c.name(p, v, 2, 0)
		if len(p) > 0 {
			p = object{"name": []any{p}}
		}
		id, ns := t(1), c.text(v.Component(9).Subcomponent(1))
		if id != "" {
			i := object{"value": id}
			if ns != "" {
				i["assigner"] = object{"display": ns}
			}
			p["identifier"] = []any{i}
		}
		if len(p) == 0 {
			return nil, false
		}
		key := id + "|" + ns
		if id == "" {
			b, _ := json.Marshal(p)
			key = string(b)
		}
		ref := c.add("Practitioner", key, p)
		if kind == "XCNREF" {
			return ref, true
		}
		return object{"individual": ref, "type": []any{object{"coding": []any{object{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": arg}}}}}, true
	default:
		return codes(kind, t(1))
	}
	return o, len(o) > 0
}

func (c *mapping) name(o object, v hl7.Value, at, use int) {
	set := func(k string, n int, many bool) {
		if s := c.text(v.Component(n)); s != "" {
			if many {
				list, _ := o[k].([]any)
				o[k] = append(list, s)
			} else {
				o[k] = s
			}
		}
	}
	set("family", at, false)
	set("given", at+1, true)
	set("given", at+2, true)
	set("suffix", at+3, true)
	set("prefix", at+4, true)
	if use > 0 {
		if u := map[string]string{"L": "official", "D": "usual", "M": "maiden", "N": "nickname", "A": "anonymous", "CURRENT": "usual"}[c.text(v.Component(use))]; u != "" {
			o["use"] = u
		}
	}
}

// when gives a date or dateTime. FHIR wants a zone with a time: without one sent
// and none configured the time is cut to its date, and reported.
func (c *mapping) when(s, kind string) (any, bool) {
	t, err := hl7.ParseTime(s)
	if err != nil {
		return nil, false
	}
	format := map[hl7.Precision]string{hl7.Year: "2006", hl7.Month: "2006-01"}[t.Precision]
	if format == "" || kind == "DT" {
		if format == "" {
			format = "2006-01-02"
		}
	}
	at := t.Time
	if t.Precision >= hl7.Minute && kind != "DT" {
		if !t.Zoned && c.opts.Zone != nil {
			at = inZone(at, c.opts.Zone)
		}
		if t.Zoned || c.opts.Zone != nil {
			format = "2006-01-02T15:04:05.999999999Z07:00"
		} else {
			c.imprecise = true
		}
	}
	if kind == "INSTANT" && !strings.Contains(format, "T") {
		return nil, false
	}
	return at.Format(format), true
}

func inZone(t time.Time, loc *time.Location) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), loc)
}
