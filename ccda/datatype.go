package ccda

import (
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

type object = map[string]any

// set puts v under k unless it is empty.
func set(o object, k string, v any) {
	switch v := v.(type) {
	case nil:
		return
	case string:
		if v == "" {
			return
		}
	case object:
		if len(v) == 0 {
			return
		}
	case []any:
		if len(v) == 0 {
			return
		}
	}
	o[k] = v
}

func list[T any](v ...T) []any {
	var out []any
	for _, x := range v {
		if o, ok := any(x).(object); ok && len(o) == 0 {
			continue
		}
		out = append(out, x)
	}
	return out
}

func coding(sys, code string) object {
	return object{"coding": list(object{"system": sys, "code": code})}
}

// absent is the extension for data that is not there (ConceptMap CF-NullFlavorDataAbsentReason).
func absent(n *node) object {
	code := map[string]string{
		"NI": "unknown", "OTH": "unsupported", "NINF": "negative-infinity", "PINF": "positive-infinity",
		"MSK": "masked", "NA": "not-applicable", "UNK": "unknown", "ASKU": "asked-unknown", "NAV": "temp-unknown",
		"NASK": "not-asked", "TRC": "unsupported", "NP": "unknown",
	}[n.a("nullFlavor")]
	if code == "" {
		code = "unknown"
	}
	return object{"extension": list(object{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": code})}
}

// concept reads CD, CE, CV, CS: codings of the code and its translations, text by
// originalText or its reference into the narrative.
func (m *mapper) concept(n *node) object {
	if n == nil {
		return nil
	}
	n.enter()
	var codings []any
	add := func(c *node) {
		if code := strings.Join(strings.Fields(c.a("code")), " "); code != "" {
			o := object{"code": code}
			if s := c.a("codeSystem"); s != "" {
				o["system"] = system(s)
			}
			set(o, "display", strings.Join(strings.Fields(c.a("displayName")), " "))
			codings = append(codings, o)
		}
	}
	add(n)
	for _, t := range n.all("translation") {
		add(t.enter())
		t.one("originalText").take()
	}
	o := object{}
	set(o, "coding", codings)
	text := m.text(n.one("originalText"))
	if text == "" {
		text = n.a("displayName")
	}
	set(o, "text", text)
	return o
}

// must is concept, or why there is none.
func (m *mapper) must(n *node) object {
	if o := m.concept(n); len(o) > 0 {
		return o
	}
	return absent(n)
}

// text reads an ED: its own words, or those of the narrative that it refers to.
func (m *mapper) text(n *node) string {
	if n == nil {
		return ""
	}
	n.take()
	if id := strings.TrimPrefix(n.one("reference").a("value"), "#"); id != "" {
		if t := m.byID[id]; t != nil {
			return t.words()
		}
	}
	return n.words()
}

var stamp = regexp.MustCompile(`^(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\.\d+)?([+-]\d{4})?$`)

// moment reads a TS as a dateTime. Without a zone a time of day is kept only if
// Options.Zone says where it was written.
func (m *mapper) moment(n *node) string {
	v := n.a("value")
	if v == "" {
		return ""
	}
	n.take()
	p := stamp.FindStringSubmatch(v)
	if p == nil {
		m.lost(n, ReasonValue)
		return ""
	}
	out := p[1]
	for i := 2; i <= 3 && p[i] != ""; i++ {
		out += "-" + p[i]
	}
	if p[5] != "" {
		sec := p[6]
		if sec == "" {
			sec = "00"
		}
		clock := out + "T" + p[4] + ":" + p[5] + ":" + sec + p[7]
		switch {
		case p[8] != "":
			out = clock + p[8][:3] + ":" + p[8][3:]
			if _, err := time.Parse(time.RFC3339Nano, out); err != nil {
				m.lost(n, ReasonValue)
				return ""
			}
			return out
		case m.o.Zone != nil:
			t, err := time.ParseInLocation("2006-01-02T15:04:05", clock, m.o.Zone)
			if err != nil {
				m.lost(n, ReasonValue)
				return ""
			}
			return clock + t.Format("-07:00")
		}
		m.lost(n, ReasonPrecision)
	} else if p[4] != "" {
		m.lost(n, ReasonPrecision)
	}
	if _, err := time.Parse("2006-01-02"[:len(out)], out); err != nil {
		m.lost(n, ReasonValue)
		return ""
	}
	return out
}

// when puts effectiveTime under name+"DateTime" or name+"Period".
func (m *mapper) when(o object, name string, n *node) {
	if n == nil {
		return
	}
	if t := m.moment(n); t != "" {
		o[name+"DateTime"] = t
		return
	}
	p := m.period(n)
	if p["start"] != nil && p["start"] == p["end"] {
		o[name+"DateTime"] = p["start"]
		return
	}
	set(o, name+"Period", p)
}

func (m *mapper) period(n *node) object {
	o := object{}
	if n != nil {
		n.enter()
		set(o, "start", m.moment(n.one("low")))
		set(o, "end", m.moment(n.one("high")))
	}
	return o
}

var number10 = regexp.MustCompile(`^([+-]?)0*(\d*)(\.\d+)?$`)

// decimal keeps the digits as written where JSON can hold them.
func decimal(s string) (json.Number, bool) {
	p := number10.FindStringSubmatch(s)
	if p == nil || p[2] == "" && p[3] == "" && !strings.Contains(s, "0") || len(s) > 40 {
		return "", false
	}
	if p[2] == "" {
		p[2] = "0"
	}
	return json.Number(strings.TrimPrefix(p[1], "+") + p[2] + p[3]), true
}

// quantity reads a PQ, or the value of an REAL.
func (m *mapper) quantity(n *node) object {
	v := n.a("value")
	if v == "" {
		return nil
	}
	d, ok := decimal(v)
	if !ok {
		return nil
	}
	n.enter()
	for _, t := range n.all("translation") {
		m.text(t.one("originalText"))
	}
	o := object{"value": d}
	if u := n.a("unit"); u != "" {
		o["unit"] = u
		if u != "1" && !strings.ContainsAny(u, " \t\r\n") {
			o["system"], o["code"] = "http://unitsofmeasure.org", u
		}
	}
	return o
}

// identifiers reads II (guide, "CDA id to FHIR identifier").
func identifiers(nodes []*node) []any {
	var out []any
	for _, n := range nodes {
		root, ext := n.a("root"), n.a("extension")
		if root == "" {
			continue
		}
		n.take()
		switch {
		case ext != "" && root == "2.16.840.1.113883.4.873":
			i := max(strings.LastIndexByte(ext, '/'), strings.LastIndexByte(ext, ':'))
			if i > 0 && i < len(ext)-1 {
				out = append(out, object{"system": ext[:i], "value": ext[i+1:]})
			}
		case ext != "":
			out = append(out, object{"system": system(root), "value": ext})
		case oid(root):
			out = append(out, object{"system": "urn:ietf:rfc:3986", "value": "urn:oid:" + root})
		default:
			out = append(out, object{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:" + strings.ToLower(root)})
		}
	}
	return out
}

// names, telecoms and addresses: guide, "CDA name, telecom, addr"; uses by the
// ConceptMaps CF-NameUse, CF-TelecomUse, CF-TelecomType, CF-AddressUse.
func names(nodes []*node) []any {
	var out []any
	for _, n := range nodes {
		o := object{}
		for _, k := range n.kids {
			w := k.words()
			if w == "" {
				continue
			}
			switch k.name {
			case "family":
				o["family"] = w
			case "given", "prefix", "suffix":
				l, _ := o[k.name].([]any)
				o[k.name] = append(l, w)
			case "":
				if t, _ := o["text"].(string); t == "" {
					o["text"] = w
				}
				continue
			default:
				continue
			}
			k.take()
		}
		if len(o) > 0 {
			n.enter()
			use := strings.Fields(n.a("use"))
			if len(use) > 0 {
				set(o, "use", map[string]string{"A": "nickname", "C": "official", "L": "usual", "P": "nickname"}[use[0]])
			}
			out = append(out, o)
		}
	}
	return out
}

func telecoms(nodes []*node) []any {
	var out []any
	for _, n := range nodes {
		v := n.a("value")
		if v == "" {
			continue
		}
		n.take()
		o := object{"value": v}
		scheme, rest, ok := strings.Cut(v, ":")
		sys := map[string]string{"mailto": "email", "http": "url", "https": "url", "tel": "phone", "fax": "fax", "x-text-fax": "fax"}[strings.ToLower(scheme)]
		if ok && sys != "" {
			o["system"] = sys
			if sys != "url" && rest != "" {
				o["value"] = rest
			}
		}
		if u := strings.Fields(n.a("use")); len(u) > 0 {
			set(o, "use", map[string]string{
				"AS": "work", "BAD": "old", "DIR": "work", "H": "home", "HP": "home", "HV": "home",
				"MC": "mobile", "PG": "mobile", "PUB": "work", "TMP": "temp", "WP": "work",
			}[u[0]])
		}
		out = append(out, o)
	}
	return out
}

func addresses(nodes []*node) []any {
	var out []any
	for _, n := range nodes {
		o := object{}
		for _, k := range n.kids {
			w := k.words()
			to := map[string]string{"city": "city", "state": "state", "postalCode": "postalCode", "country": "country", "county": "district"}[k.name]
			switch {
			case w == "":
			case k.name == "streetAddressLine":
				l, _ := o["line"].([]any)
				o["line"] = append(l, w)
				k.take()
			case k.name == "":
				if t, _ := o["text"].(string); t == "" {
					o["text"] = w
				}
			case to != "":
				o[to] = w
				k.take()
			}
		}
		if len(o) > 0 {
			n.enter()
			if u := strings.Fields(n.a("use")); len(u) > 0 {
				set(o, "use", map[string]string{"BAD": "old", "H": "home", "HP": "home", "HV": "home", "TMP": "temp", "WP": "work", "DIR": "work", "PUB": "work"}[u[0]])
			}
			out = append(out, o)
		}
	}
	return out
}
