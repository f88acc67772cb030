package canary

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// plants are the canaries of one run by class.
type plants map[string]string

// classes are the places of a record that hold something secret.
func classes() []string {
	return []string{
		"family", "given", "street", "city", "mrn", "phone", "patient id", "narrative", "practitioner", "observation code", "observation display",
		"observation value", "note", "reason", "condition text", "attachment", "attachment title", "file name", "rejected", "query", "bad input",
	}
}

func newPlants() plants {
	p := plants{}
	for _, c := range classes() {
		p[c] = "Cn" + rand.Text()
	}
	return p
}

// Codes and the label of the records: nowhere may the ledger show them.
const (
	loinc    = "55758-7"
	snomed   = "370143000"
	security = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
)

// bundle is one patient's record with a canary in every place, and its resources.
func (p plants) bundle() (whole []byte, resources []string) {
	div := func(s string) string {
		return `"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + s + `</div>"}`
	}
	const subject = `"subject":{"reference":"urn:uuid:10000000-0000-4000-8000-000000000001"}`
	resources = []string{
		fmt.Sprintf(`{"resourceType":"Patient","id":%q,%s,"identifier":[{"system":"urn:oid:2.16.840.1.113883.19.5","value":%q}],"name":[{"family":%q,"given":[%q]}],"telecom":[{"system":"phone","value":%q}],"address":[{"line":[%q],"city":%q}],"birthDate":"1970-01-01"}`,
			p["patient id"], div(p["narrative"]), p["mrn"], p["family"], p["given"], p["phone"], p["street"], p["city"]),
		fmt.Sprintf(`{"resourceType":"Observation","id":"o1","status":"final","code":{"coding":[{"system":"http://loinc.org","code":%q},{"system":"urn:local","code":%q,"display":%q}]},%s,"performer":[{"display":%q}],"valueString":%q,"note":[{"text":%q}]}`,
			loinc, p["observation code"], p["observation display"], subject, p["practitioner"], p["observation value"], p["note"]),
		fmt.Sprintf(`{"resourceType":"Condition","id":"c1","meta":{"security":[{"system":%q,"code":"PSY"}]},"code":{"coding":[{"system":"http://snomed.info/sct","code":%q}],"text":%q},%s}`,
			security, snomed, p["condition text"], subject),
		fmt.Sprintf(`{"resourceType":"Encounter","id":"e1","status":"finished","class":{"code":"AMB"},"reasonCode":[{"text":%q}],%s}`, p["reason"], subject),
		fmt.Sprintf(`{"resourceType":"DocumentReference","id":"d1","status":"current",%s,"content":[{"attachment":{"contentType":"text/plain","title":%q,"data":%q}}]}`,
			subject, p["attachment title"], base64.StdEncoding.EncodeToString([]byte("letter: "+p["attachment"]))),
	}
	type entry struct {
		FullURL  string          `json:"fullUrl"`
		Resource json.RawMessage `json:"resource"`
		Request  map[string]any  `json:"request"`
	}
	var entries []entry
	for i, r := range resources {
		var head struct{ ResourceType string }
		if err := json.Unmarshal([]byte(r), &head); err != nil {
			panic(err) // of this file's own text
		}
		entries = append(entries, entry{fmt.Sprintf("urn:uuid:10000000-0000-4000-8000-%012d", i+1), json.RawMessage(r), map[string]any{"method": "POST", "url": head.ResourceType}})
	}
	whole, err := json.Marshal(map[string]any{"resourceType": "Bundle", "type": "transaction", "entry": entries})
	if err != nil {
		panic(err)
	}
	return whole, resources
}

// scanner looks for all of them, and for the unsalted hashes of whole resources.
func (p plants) scanner(resources []string) (*scanner, error) {
	s, err := newScanner()
	if err != nil {
		return nil, err
	}
	for _, class := range slices.Sorted(maps.Keys(p)) {
		s.secret(class, p[class])
	}
	for i, r := range resources {
		s.digest(fmt.Sprintf("resource %d", i), []byte(r))
	}
	s.add("code", "LOINC", []byte(loinc))
	s.add("code", "SNOMED CT", []byte(snomed))
	s.add("label", "JSON", []byte(`"PSY"`))
	s.add("label", "system", []byte(security))
	return s, nil
}
