package balp

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// JSON writes the accounting as JSON.
func (a *Accounting) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(a)
}

// CSV writes the accounting as a table (RFC 4180): a header, a line for each item, then one for each
// study and one for what is withheld. A cell that a spreadsheet would run as a formula begins with an
// apostrophe.
func (a *Accounting) CSV(w io.Writer) error {
	c := csv.NewWriter(w)
	lines := [][]string{{"kind", "date", "last date", "number", "recipient", "address", "description", "purpose", "basis"}}
	for _, i := range a.Items {
		lines = append(lines, []string{
			"disclosure", i.First.UTC().Format(instant), i.Last.UTC().Format(instant), strconv.Itoa(i.Number), i.Recipient, i.Address, i.Description,
			strings.Join(i.Purposes, " "), string(i.Basis),
		})
	}
	for _, s := range a.Studies {
		lines = append(lines, []string{
			"research", day(s.From), day(s.Last), "", s.Sponsor, s.Researcher,
			s.Name + ": " + s.Description + " The record may or may not have been disclosed. Data: " + s.Data, "HRESCH", "",
		})
	}
	if a.Withheld > 0 {
		lines = append(lines, []string{"withheld", "", "", strconv.Itoa(a.Withheld), "", "", "suspended under 45 CFR 164.528(a)(2)", "", ""})
	}
	for _, l := range lines {
		for i := range l {
			if l[i] != "" && strings.ContainsRune("=+-@\t\r", rune(l[i][0])) {
				l[i] = "'" + l[i]
			}
		}
		if err := c.Write(l); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// day is a date, "" of none.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

type listEntry struct {
	Item reference `json:"item"`

	date string // lst-3: no date in a snapshot
}

type narrative struct {
	Status string `json:"status"`
	Div    string `json:"div"`
}

type note struct {
	Text string `json:"text"`
}

type fhirList struct {
	ResourceType string      `json:"resourceType"`
	ID           string      `json:"id"`
	Text         narrative   `json:"text"`
	Status       string      `json:"status"`
	Mode         string      `json:"mode"`
	Title        string      `json:"title"`
	Subject      *reference  `json:"subject,omitempty"`
	Date         string      `json:"date"`
	Source       reference   `json:"source"`
	Note         []note      `json:"note,omitempty"`
	Entry        []listEntry `json:"entry,omitempty"`
	EmptyReason  *concept    `json:"emptyReason,omitempty"`
}

type bundleEntry struct {
	FullURL  string          `json:"fullUrl"`
	Resource json.RawMessage `json:"resource"`
}

type bundle struct {
	ResourceType string        `json:"resourceType"`
	Type         string        `json:"type"`
	Timestamp    string        `json:"timestamp"`
	Entry        []bundleEntry `json:"entry"`
}

// Bundle writes the accounting as FHIR R4: a Bundle (collection) of a List, whose narrative is the
// table and whose entries are the disclosures, and of the AuditEvents behind them. base is the
// address of the server, without a slash at its end.
func (a *Accounting) Bundle(site *Site, base string) ([]byte, error) {
	l := fhirList{
		ResourceType: "List", ID: "accounting-of-disclosures", Text: narrative{"generated", a.div()}, Status: "current", Mode: "snapshot",
		Title: "Accounting of disclosures (45 CFR 164.528)", Date: a.Requested.UTC().Format(instant), Source: ref(site.Observer),
	}
	if a.Patient.known() {
		r := ref(a.Patient)
		l.Subject = &r
	}
	if l.Source == (reference{}) {
		l.Source.Display = site.Name
	}
	for _, s := range a.Studies {
		l.Note = append(l.Note, note{fmt.Sprintf("Research: %s. %s Data: %s. Sponsor: %s. Researcher: %s. Disclosures from %s to %s, in this period the last on %s. The record may or may not have been disclosed for it.",
			s.Name, s.Description, s.Data, s.Sponsor, s.Researcher, day(s.From), cmp.Or(day(s.Until), "now"), day(s.Last))})
	}
	if a.Withheld > 0 {
		l.Note = append(l.Note, note{strconv.Itoa(a.Withheld) + " disclosures are suspended under 45 CFR 164.528(a)(2)."})
	}
	var events []bundleEntry
	for _, i := range a.Items {
		for _, id := range i.Events {
			e := a.events[id]
			body, err := site.AuditEvent(&e, id)
			if err != nil {
				return nil, err
			}
			events = append(events, bundleEntry{base + "/AuditEvent/" + id, body})
			l.Entry = append(l.Entry, listEntry{reference{Reference: "AuditEvent/" + id}, e.happened().UTC().Format(instant)})
		}
	}
	slices.SortStableFunc(l.Entry, func(x, y listEntry) int { return strings.Compare(x.date, y.date) })
	if len(l.Entry) == 0 {
		l.EmptyReason = conceptOf(coding{"http://terminology.hl7.org/CodeSystem/list-empty-reason", "nilknown", "Nil Known"})
	}
	head, err := encode(l)
	if err != nil {
		return nil, err
	}
	return encode(bundle{"Bundle", "collection", a.Requested.UTC().Format(instant), append([]bundleEntry{{base + "/List/" + l.ID, head}}, events...)})
}

// div is the accounting for people (R4 2.4: XHTML).
func (a *Accounting) div() string {
	var b strings.Builder
	b.WriteString(`<div xmlns="http://www.w3.org/1999/xhtml"><table><thead><tr><th>Date</th><th>Last</th><th>Number</th><th>Recipient</th><th>Address</th><th>What</th><th>Purpose</th></tr></thead><tbody>`)
	for _, i := range a.Items {
		b.WriteString("<tr>")
		for _, c := range []string{
			i.First.UTC().Format("2006-01-02"), i.Last.UTC().Format("2006-01-02"), strconv.Itoa(i.Number), i.Recipient, i.Address, i.Description, strings.Join(i.Purposes, " "),
		} {
			b.WriteString("<td>" + html.EscapeString(c) + "</td>")
		}
		b.WriteString("</tr>")
	}
	if len(a.Items) == 0 {
		b.WriteString("<tr><td>none</td></tr>")
	}
	b.WriteString("</tbody></table></div>")
	return b.String()
}
