package ccda

import (
	"slices"
	"strings"
)

// use maps the first of the tokens of an attribute use that a table has; the
// attribute stays unread where it has none.
func use(n *node, table map[string]string) string {
	for u := range strings.FieldsSeq(n.peek("use")) {
		if v := table[u]; v != "" {
			n.feed("use")
			return v
		}
	}
	return ""
}

// names, telecoms and addresses: guide, "CDA name, telecom, addr"; uses by the
// ConceptMaps CF-NameUse, CF-TelecomUse, CF-TelecomType, CF-AddressUse. Qualifiers of
// name parts are the extension iso21090-EN-qualifier of R4.
func (m *mapper) names(nodes []*node) []any {
	var out []any
	for _, n := range nodes {
		o := object{}
		quals := map[string][]any{}
		qualified := false
		call := false
		for _, k := range n.kids {
			w := k.words()
			if t, _ := o["text"].(string); w == "" || len(t) > maxText {
				continue
			}
			switch k.name {
			case "family":
				was, ok := o["family"].(string)
				if len(was) > maxText {
					continue
				}
				if ok {
					w = was + " " + w
				}
				o["family"] = w
				if q := qualifier(k); q != nil {
					o["_family"] = q
				}
			case "given", "prefix", "suffix":
				push(o, k.name, w)
				q := qualifier(k)
				call = call || k.peek("qualifier") == "CL"
				if q == nil {
					quals[k.name] = append(quals[k.name], nil)
				} else {
					qualified = true
					quals[k.name] = append(quals[k.name], q)
				}
			case "delimiter":
				k.every(passed)
				continue
			case "":
				if strings.Trim(w, ".,;()") == "" {
					k.every(passed)
					continue
				}
				if t, _ := o["text"].(string); t != "" {
					w = t + " " + w
				}
				o["text"] = w
			default:
				continue
			}
			k.say()
		}
		if qualified {
			for name, l := range quals {
				if slices.ContainsFunc(l, func(q any) bool { return q != nil }) {
					o["_"+name] = l
				}
			}
		}
		if len(o) == 0 {
			continue
		}
		if call && n.peek("use") == "P" {
			n.feed("use")
			o["use"] = "nickname"
		} else {
			set(o, "use", use(n, map[string]string{"A": "nickname", "C": "official", "L": "usual", "P": "anonymous"}))
		}
		set(o, "period", m.interval(n.one("validTime")))
		out = append(out, o)
	}
	return out
}

// qualifier reads the codes of EntityNamePartQualifier.
func qualifier(n *node) object {
	var ext []any
	for q := range strings.FieldsSeq(n.peek("qualifier")) {
		switch q {
		case "AC", "AD", "BR", "CL", "IN", "LS", "MID", "NB", "PFX", "PR", "SFX", "SP", "TITLE", "VV":
			ext = append(ext, object{"url": "http://hl7.org/fhir/StructureDefinition/iso21090-EN-qualifier", "valueCode": q})
		default:
			return nil
		}
	}
	if ext == nil {
		return nil
	}
	n.feed("qualifier")
	return object{"extension": ext}
}

func (m *mapper) telecoms(nodes []*node) []any {
	var out []any
	for _, n := range nodes {
		v := n.peek("value")
		if v == "" {
			continue
		}
		n.feed("value")
		o := object{"value": v, "system": "other"} // cpt-2
		scheme, rest, ok := strings.Cut(v, ":")
		sys := map[string]string{"mailto": "email", "http": "url", "https": "url", "ftp": "url", "tel": "phone", "fax": "fax", "x-text-fax": "fax", "sms": "sms"}[strings.ToLower(scheme)]
		if ok && sys != "" {
			o["system"] = sys
			if rest = strings.TrimSpace(rest); sys != "url" && rest != "" {
				o["value"] = rest
			}
		}
		if strings.Contains(" "+n.peek("use")+" ", " PG ") {
			n.feed("use")
			o["system"] = "pager"
		} else {
			set(o, "use", use(n, map[string]string{
				"AS": "work", "BAD": "old", "DIR": "work", "H": "home", "HP": "home", "HV": "home",
				"MC": "mobile", "PUB": "work", "TMP": "temp", "WP": "work",
			}))
		}
		set(o, "period", m.interval(n.one("useablePeriod")))
		out = append(out, o)
	}
	return out
}

func (m *mapper) addresses(nodes []*node) []any {
	var out []any
	for _, n := range nodes {
		o := object{}
		for _, k := range n.kids {
			w := k.words()
			to := map[string]string{"city": "city", "state": "state", "postalCode": "postalCode", "country": "country", "county": "district"}[k.name]
			switch {
			case w == "", k.name == "" && tooLong(o["text"]):
				continue
			case k.name == "streetAddressLine", k.name == "additionalLocator", k.name == "deliveryAddressLine":
				push(o, "line", w)
			case k.name == "":
				if t, _ := o["text"].(string); t != "" {
					w = t + " " + w
				}
				o["text"] = w
			case to != "" && o[to] == nil:
				o[to] = w
			default:
				continue
			}
			k.say()
		}
		if len(o) == 0 {
			continue
		}
		set(o, "use", use(n, map[string]string{"BAD": "old", "H": "home", "HP": "home", "HV": "home", "TMP": "temp", "WP": "work", "DIR": "work", "PUB": "work"}))
		set(o, "period", m.interval(n.one("useablePeriod")))
		out = append(out, o)
	}
	return out
}

func tooLong(v any) bool {
	s, _ := v.(string)
	return len(s) > maxText
}

// business takes the use home away, which an organization cannot have (org-2, org-3).
func (m *mapper) business(nodes []*node, l []any) []any {
	for _, x := range l {
		if o := x.(object); o["use"] == "home" {
			delete(o, "use")
		}
	}
	for _, n := range nodes {
		if slices.ContainsFunc(strings.Fields(n.peek("use")), func(u string) bool { return u == "H" || u == "HP" || u == "HV" }) {
			n.find("use").state = told
			m.lostAttr(n, "use", ReasonValue)
		}
	}
	return l
}
