package fhir

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode"
)

// A Summary is what a record index says about one resource. It holds patient data: it
// belongs into sealed records only, never into a log.
type Summary struct {
	Type   string // resourceType
	Date   string // clinical date, FHIR date or dateTime in its own precision, or ""
	Title  string // at most MaxTitle characters, or ""
	System string // of the main code, or ""
	Code   string // main code, or ""
}

// MaxTitle bounds a title, in characters.
const MaxTitle = 120

// Summarize returns the resource's Summary.
func Summarize(r Resource) Summary {
	c := r.main()
	return Summary{Type: r.typ, Date: r.Date(), Title: r.Title(), System: clip(c.System), Code: clip(c.Code)}
}

// jsonSummary fixes names and order of the canonical form.
type jsonSummary struct {
	Type   string `json:"type"`
	Date   string `json:"date,omitempty"`
	Title  string `json:"title,omitempty"`
	System string `json:"system,omitempty"`
	Code   string `json:"code,omitempty"`
}

// MarshalJSON returns the canonical form: the members type, date, title, system and code in
// this order, empty ones left out, no space, escapes as encoding/json writes them (so that
// embedding a Summary in other JSON does not change it).
func (s Summary) MarshalJSON() ([]byte, error) { return json.Marshal(jsonSummary(s)) }

// UnmarshalJSON takes the canonical form only.
func (s *Summary) UnmarshalJSON(b []byte) error {
	p, err := ParseSummary(b)
	*s = p
	return err
}

// ParseSummary reads the canonical form and nothing else; an error is an *Issue.
func ParseSummary(b []byte) (Summary, error) {
	var j jsonSummary
	if err := json.Unmarshal(b, &j); err != nil {
		return Summary{}, issue(CodeSummary, "")
	}
	s := Summary(j)
	again, err := s.MarshalJSON()
	if err != nil || !bytes.Equal(again, b) || s.Type != "" && s.Type != knownType(s.Type) && !strings.HasPrefix(s.Type, "x-") {
		return Summary{}, issue(CodeSummary, "")
	}
	return s, nil
}

// dateElements are where resources keep the time of what they tell, most telling first.
// birthDate is not among them.
var dateElements = rank(
	"effectiveDateTime", "effectivePeriod.start", "effectiveInstant", "performedDateTime", "performedPeriod.start",
	"occurrenceDateTime", "occurrencePeriod.start", "onsetDateTime", "onsetPeriod.start", "period.start", "started",
	"whenHandedOver", "whenPrepared", "authoredOn", "billablePeriod.start", "collection.collectedDateTime",
	"servicedDate", "servicedPeriod.start", "startDate", "start", "sent", "date", "dateTime", "authored", "created",
	"recordedDate", "dateAsserted", "detected", "identifiedDateTime", "issued", "recorded", "dateWritten", "content.attachment.creation",
)

// titleElements are where resources say what they are about.
var titleElements = rank(
	"title", "code", "vaccineCode", "medicationCodeableConcept", "description", "procedureCode", "type", "deviceName",
	"serviceType", "name", "category", "scope", "class", "topic", "modality", "productCodeableConcept", "series.modality",
)

// mainElements are where resources keep the code that says what they are about.
var mainElements = rank("code", "vaccineCode", "medicationCodeableConcept", "procedureCode", "type", "description", "category", "class", "scope")

// A place is where to look below a top-level element, and how telling that is (0 is most).
type place struct {
	order int
	below []string
}

func rank(paths ...string) map[string]place {
	out := make(map[string]place, len(paths))
	for i, p := range paths {
		names := strings.Split(p, ".")
		out[names[0]] = place{order: i, below: names[1:]}
	}
	return out
}

// best returns what pick finds in the most telling element in which it finds something.
func best[T comparable](v value, places map[string]place, pick func(value) T) T {
	var none, found T
	at := len(places)
	for name, m := range v.members() {
		p, ok := places[name]
		if !ok || p.order >= at {
			continue
		}
		if got := pick(m.get(p.below...)); got != none {
			found, at = got, p.order
		}
	}
	return found
}

// Date returns the clinical date as the resource writes it, in its own precision
// ("2024", "2024-05", "2024-05-01", "2024-05-01T10:00:00Z"), or "" if there is none.
func (r Resource) Date() string {
	return best(r.body(), dateElements, func(v value) string {
		if d := v.text(); validDate(d) {
			return d
		}
		return ""
	})
}

// validDate checks the shape of a FHIR date, dateTime or instant.
func validDate(d string) bool {
	const shape = "dddd-dd-ddTdd:dd:dd"
	if len(d) > 40 || len(d) != 4 && len(d) != 7 && len(d) != 10 && len(d) < len(shape)+1 {
		return false
	}
	for i := range min(len(d), len(shape)) {
		if shape[i] == 'd' && d[i]-'0' > 9 || shape[i] != 'd' && shape[i] != d[i] {
			return false
		}
	}
	for i := len(shape); i < len(d); i++ {
		if d[i]-'0' > 9 && strings.IndexByte("Z+-:.", d[i]) < 0 {
			return false
		}
	}
	return true
}

// Title returns short text that tells a person what the resource is about: patient data,
// never to be logged. It is one line of at most MaxTitle characters, or "".
func (r Resource) Title() string { return clip(best(r.body(), titleElements, humanText)) }

// main returns the code that says what the resource is about.
func (r Resource) main() Coding {
	return best(r.body(), mainElements, func(v value) (c Coding) {
		v = v.first()
		if coding := v.get("coding"); coding != nil {
			v = coding.first()
		}
		if c = codingOf(v); c.Code == "" {
			return Coding{}
		}
		return c
	})
}

// humanText reads text from a string, CodeableConcept, Coding or HumanName, or from the
// first of a list.
func humanText(v value) string {
	v = v.first()
	if t := v.text(); t != "" || !v.isObject() {
		return t
	}
	var text, display, code, name string
	for k, m := range v.members() {
		switch k {
		case "text", "value":
			text = m.text()
		case "display":
			display = m.text()
		case "code":
			code = m.text()
		case "name", "family":
			name = strings.TrimSpace(name + " " + m.text())
		case "given":
			var given []string
			for g := range m.elements() {
				given = append(given, g.text())
			}
			name = strings.TrimSpace(strings.Join(given, " ") + " " + name)
		case "coding":
			if c := codingOf(m.first()); display == "" {
				display, code = c.Display, c.Code
			}
		}
	}
	for _, t := range []string{text, display, name, code} {
		if t != "" {
			return t
		}
	}
	return ""
}

// clip makes text one line of at most MaxTitle characters.
func clip(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " ")
	n := 0
	for i := range text {
		if n++; n > MaxTitle {
			return text[:i]
		}
	}
	return text
}
