package hostile

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
)

// canary is in every body, and must be in no log.
const canary = "zqhostile"

// A call is a request before it is put on the wire.
type call struct {
	method, path, query, body string
	header                    http.Header
	encoding                  func(string) []byte // of the body; nil is none
}

func pick[T any](r *rand.Rand, xs ...T) T { return xs[r.IntN(len(xs))] }

// The ids that the requests are about: few, so that they meet.
func id(r *rand.Rand) string { return fmt.Sprintf("h%d", r.IntN(12)) }

const (
	jsonType  = "application/fhir+json"
	formType  = "application/x-www-form-urlencoded"
	patchType = "application/json-patch+json"
)

func patient(r *rand.Rand, id string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":%q,"meta":{"tag":[{"system":"urn:example","code":"t%d"}],"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},"identifier":[{"system":"urn:example:mrn","value":"m%d"}],"active":true,"name":[{"family":"%s%d","given":["Sample"]}],"gender":%q,"birthDate":"19%02d-0%d-11","address":[{"city":"Example","postalCode":"0%d"}]}`,
		id, r.IntN(3), r.IntN(12), canary, r.IntN(9), pick(r, "female", "male"), 40+r.IntN(60), 1+r.IntN(9), r.IntN(999))
}

func observation(r *rand.Rand, id string) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":%q,"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"%d-%d"}],"text":"%s"},"subject":{"reference":"Patient/h%d"},"effectiveDateTime":"20%02d-0%d-02T03:04:05Z","valueQuantity":{"value":%d.%02d,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}`,
		id, 1000+r.IntN(9), r.IntN(9), canary, r.IntN(12), r.IntN(25), 1+r.IntN(9), r.IntN(200), r.IntN(100))
}

func resource(r *rand.Rand, id string) (typ, body string) {
	if r.IntN(2) == 0 {
		return "Patient", patient(r, id)
	}
	return "Observation", observation(r, id)
}

// valid makes a request that means well, of any interaction.
func valid(r *rand.Rand) *call {
	c := &call{method: http.MethodGet, header: http.Header{}}
	send := func(method, path, typ, body string) {
		c.method, c.path, c.body = method, path, body
		c.header.Set("Content-Type", typ)
	}
	name := id(r)
	typ, body := resource(r, name)
	switch r.IntN(26) {
	case 0, 1:
		send("PUT", typ+"/"+name, jsonType, body)
	case 2, 3:
		send("POST", typ, jsonType, body)
		if r.IntN(2) == 0 {
			c.header.Set("If-None-Exist", "identifier=urn:example:mrn|m1")
		}
	case 4:
		send("PUT", typ, jsonType, body)
		c.query = "_id=" + name
	case 5:
		c.method, c.path = "DELETE", pick(r, typ+"/"+name, typ)
		if c.path == typ {
			c.query = pick(r, "_id="+name, "family="+canary+"&_count=5", "code=1000-1&_count=3")
		}
	case 6:
		send("PATCH", typ+"/"+name, patchType, fmt.Sprintf(`[{"op":"add","path":"/language","value":"de"},{"op":"test","path":"/resourceType","value":%q},{"op":"replace","path":"/id","value":%q}]`, typ, name))
	case 7:
		send("PATCH", "Patient/"+name, jsonType, `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"add"},{"name":"path","valueString":"Patient"},{"name":"name","valueString":"birthDate"},{"name":"value","valueDate":"1970-01-01"}]}]}`)
	case 8:
		c.path = typ + "/" + name
		c.header.Set("If-None-Match", `W/"1"`)
	case 9:
		c.path = fmt.Sprintf("%s/%s/_history/%d", typ, name, 1+r.IntN(3))
	case 10:
		c.path = pick(r, typ+"/"+name+"/_history", typ+"/_history", "_history")
		c.query = "_count=3&_since=2024-01-01T00:00:00Z"
	case 11:
		c.path = pick(r, "Patient/"+name+"/Observation", "Patient/"+name+"/*", "Patient/"+name+"/$everything")
		c.query = "_count=5"
	case 12:
		c.path, c.query = "Observation/$lastn", "patient=Patient/"+name
	case 13, 14:
		send("POST", "", jsonType, bundle(r, 2+r.IntN(5)))
	case 15:
		send("POST", typ+"/_search", formType, search(r, typ))
	case 16:
		send("POST", typ+"/$validate", jsonType, body)
	case 17:
		send("POST", pick(r, typ+"/"+name+"/$meta-add", typ+"/"+name+"/$meta-delete"), jsonType, `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"system":"urn:example","code":"`+canary+`"}]}}]}`)
	case 18:
		send("POST", "$import", "application/fhir+ndjson", body+"\n"+observation(r, id(r))+"\n")
	case 19:
		c.path, c.query = "$export", "_type=Patient&_since=2024-01-01T00:00:00Z"
		c.header.Set("Prefer", "respond-async")
	case 20:
		c.path, c.query = pick(r, "AuditEvent", "Consent", "Provenance"), "patient=Patient/"+name
	case 21:
		send("POST", "Consent", jsonType, `{"resourceType":"Consent","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},"category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],"patient":{"reference":"Patient/`+name+`"},"dateTime":"2024-01-01","policy":[{"uri":"urn:example:policy"}],"provision":{"type":"permit"}}`)
	case 22:
		send("POST", "Subscription", jsonType, `{"resourceType":"Subscription","status":"requested","reason":"`+canary+`","criteria":"Observation?status=final","channel":{"type":"websocket","payload":"application/fhir+json"}}`)
	case 23:
		c.path = pick(r, "metadata", "Patient/"+name+"/$meta", "$meta", "Patient/$meta")
	default:
		c.path, c.query = typ, search(r, typ)
	}
	return c
}

func bundle(r *rand.Rand, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"resourceType":"Bundle","type":%q,"entry":[`, pick(r, "batch", "transaction"))
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		typ, body := resource(r, id(r))
		switch r.IntN(4) {
		case 0:
			fmt.Fprintf(&b, `{"request":{"method":"GET","url":"%s?%s"}}`, typ, strings.ReplaceAll(search(r, typ), `"`, ""))
		case 1:
			fmt.Fprintf(&b, `{"fullUrl":"urn:uuid:0000000%d-0000-4000-8000-000000000000","resource":%s,"request":{"method":"POST","url":%q,"ifNoneExist":"_id=%s"}}`, i%10, body, typ, id(r))
		case 2:
			fmt.Fprintf(&b, `{"request":{"method":"DELETE","url":"%s/%s"}}`, typ, id(r))
		default:
			fmt.Fprintf(&b, `{"fullUrl":"urn:uuid:0000000%d-0000-4000-8000-000000000001","resource":%s,"request":{"method":"POST","url":%q}}`, i%10, body, typ)
		}
	}
	b.WriteString("]}")
	return b.String()
}

func search(r *rand.Rand, typ string) string {
	list := []string{"_id=" + id(r), "_lastUpdated=gt2024-01-01", "_count=3", "_sort=-_lastUpdated", "_total=accurate", "_summary=count", "_elements=id", "_tag=urn:example|t1", "_include=*", "_revinclude=*", "_revinclude=Observation:*", "_list=h1", "_profile=http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"}
	if typ == "Patient" {
		list = append(list, "family=sam", "birthdate=lt1990", "gender=female", "_has:Observation:patient:code=1000-1", "address-city=Ex")
	} else {
		list = append(list, "code=http://loinc.org|1000-1", "value-quantity=gt5|http://unitsofmeasure.org|mg", "patient.family=s", "subject:Patient.name=s", "date=ge2020", "code-value-quantity=1000-1$gt2", "_include=Observation:subject", "category:not=vital-signs")
	}
	q := pick(r, list...)
	for range r.IntN(4) {
		q += "&" + pick(r, list...)
	}
	return q
}

// wire is the call as HTTP/1.1.
func (c *call) wire(token string) []byte {
	var b bytes.Buffer
	path := "/fhir"
	if c.path != "" {
		path += "/" + c.path
	}
	if strings.HasPrefix(c.path, "/") {
		path = c.path
	}
	if c.query != "" {
		path += "?" + c.query
	}
	body := []byte(c.body)
	if c.encoding != nil {
		body = c.encoding(c.body)
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: node.example\r\nConnection: close\r\n", c.method, escape(path))
	if c.header.Get("Authorization") == "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	for name, values := range c.header {
		for _, v := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	if len(body) > 0 || c.method != http.MethodGet {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// escape makes of an address what can stand in a request line; what is escaped stays.
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func queried(s string) string { return url.QueryEscape(s) }
