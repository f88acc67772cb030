package hostile

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// bomb makes a request that is small, or allowed, and costs much if nobody bounds it.
func bomb(r *rand.Rand, token string) *request {
	c := &call{method: http.MethodGet, header: http.Header{"Content-Type": {jsonType}}}
	n := pick(r, 3, 10, 50, 300)
	name := ""
	post := func(method, path, body string) { c.method, c.path, c.body = method, path, body }
	switch k := r.IntN(18); k {
	case 0:
		name, c.path, c.query = "chain", "Observation", strings.Repeat(pick(r, "subject:Patient.link:Patient.", "patient.", "has-member:Observation."), n)+"name=a"
	case 1:
		name, c.path, c.query = "_has", "Patient", strings.Repeat("_has:Observation:patient:", n)+"code=1"
	case 2:
		name, c.path = "iterate", "Observation"
		c.query = "_include:iterate=*&_revinclude:iterate=*&" + strings.Repeat("_include:iterate=Observation:has-member&_revinclude:iterate=Observation:has-member&", n)
	case 3:
		name, c.path, c.query = "many values", "Patient", "family="+strings.Repeat("a,", n*5)
	case 4:
		name, c.path, c.query = "many parameters", "Observation", strings.Repeat("code=a&patient.name=b&", n)
	case 5:
		name, c.path, c.query = "many sorts", "Patient", "_sort="+strings.Repeat("family,-birthdate,", n)
	case 6:
		name = "entries"
		count := 10_000
		if r.IntN(4) > 0 {
			count = 20 * n
		}
		post("POST", "", `{"resourceType":"Bundle","type":"`+pick(r, "batch", "transaction")+`","entry":[`+strings.TrimSuffix(strings.Repeat(pick(r,
			`{"request":{"method":"GET","url":"Patient/h1"}},`, `{"resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"_id=zz"}},`, `{"request":{"method":"DELETE","url":"Patient/h1"}},`, `{},`, `null,`, `{"request":{}},`), count), ",")+"]}")
		c.header.Set("Prefer", "return=minimal")
	case 7:
		name = "Bundle in Bundle"
		post("POST", "", strings.Repeat(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"POST","url":"`+pick(r, "", "/", "Bundle", "?", "$validate")+`"},"resource":`, n)+`{"resourceType":"Patient"}`+strings.Repeat("}]}", n))
	case 8:
		name = "JSON patch copies"
		post("PATCH", "Patient/h1", "["+strings.TrimSuffix(strings.Repeat(pick(r, `{"op":"copy","from":"/name","path":"/name/-"},`, `{"op":"copy","from":"","path":"/a"},`, `{"op":"add","path":"/name/-","value":{}},`, `{"op":"move","from":"/name","path":"/name/0"},`, `{"op":"copy","from":"/name/0","path":"/name/0/given"},`), n*4), ",")+"]")
		c.header.Set("Content-Type", patchType)
	case 9:
		name = "JSON patch path"
		post("PATCH", "Patient/h1", `[{"op":"`+pick(r, "add", "remove", "replace", "test", "move", "copy", "x")+`","from":"`+pick(r, "/", "", "/name/-1", "/name/99999999999999999999")+`","path":"`+pick(r, strings.Repeat("/a", n*20), "/name/1000000000", "/name/-1", "/name/-", "~", "/~2", "")+`","value":`+pick(r, "1", "null", `{"a":[]}`, strings.Repeat("[", 5000)+strings.Repeat("]", 5000))+"}]")
		c.header.Set("Content-Type", patchType)
	case 10:
		name = "FHIRPath patch"
		path := pick(r, "Patient.name"+strings.Repeat(".where(true)", n), strings.Repeat("(", n*10)+"Patient"+strings.Repeat(")", n*10), "Patient.descendants()"+strings.Repeat(".descendants()", n/3), "Patient.repeat($this|$this)", "'"+strings.Repeat("a", 1<<15)+"'.matches('(a+)+$')", strings.Repeat("-", n*10)+"1", "Patient.name[99999999999]", "Patient"+strings.Repeat("|Patient", n), "Patient.name.select("+strings.Repeat("iif(true,", n)+"1"+strings.Repeat(")", n)+")", "Patient.name.given.join('"+strings.Repeat("x", 999)+"').replace('','"+strings.Repeat("y", 999)+"')")
		operation := `{"name":"operation","part":[{"name":"type","valueCode":"` + pick(r, "add", "insert", "delete", "replace", "move") + `"},{"name":"path","valueString":"` + path + `"},{"name":"name","valueString":"` + pick(r, "name", "x", "birthDate") + `"},{"name":"index","valueInteger":` + pick(r, "0", "-1", "2147483647") + `},{"name":"source","valueInteger":1},{"name":"destination","valueInteger":9},{"name":"value","valueString":"x"}]}`
		post("PATCH", "Patient/h1", `{"resourceType":"Parameters","parameter":[`+strings.TrimSuffix(strings.Repeat(operation+",", pick(r, 1, 1, 1, n)), ",")+`]}`)
	case 11:
		name = "contained cycle"
		post("POST", "Patient", `{"resourceType":"Patient","contained":[`+strings.TrimSuffix(strings.Repeat(`{"resourceType":"Organization","id":"o","partOf":{"reference":"#o"}},`, n), ",")+`],"managingOrganization":{"reference":"#o"}}`)
	case 12:
		name = "references in a transaction"
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `{"fullUrl":"urn:uuid:%08d-0000-4000-8000-000000000000","resource":{"resourceType":"Patient","link":[{"type":"seealso","other":{"reference":"urn:uuid:%08d-0000-4000-8000-000000000000"}}]},"request":{"method":"POST","url":"Patient"}},`, i, (i+1)%n)
		}
		post("POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[`+strings.TrimSuffix(b.String(), ",")+"]}")
	case 13:
		name = "narrative"
		post("POST", "Patient", `{"resourceType":"Patient","text":{"status":"generated","div":"`+pick(r, strings.Repeat("<div>", n*100), `<div xmlns='http://www.w3.org/1999/xhtml'>`+strings.Repeat("<b>", n*10)+strings.Repeat("</b>", n*10)+"</div>", `<!DOCTYPE a [<!ENTITY b 'c'>]><div>&b;</div>`, `<div xmlns='http://www.w3.org/1999/xhtml'>`+strings.Repeat("&amp;", n*100)+"<img src='x' onerror='y'/></div>")+`"}}`)
	case 14:
		name = "broken import"
		post("POST", "$import", pick(r, strings.Repeat("\n", 1<<18), strings.Repeat("{}\n", n*20), strings.Repeat("x", 1<<20), `{"resourceType":"Patient"`+"\n}", "--b\r\nContent-Disposition: form-data\r\n\r\n{}\r\n", strings.Repeat(`{"resourceType":"Patient"}`+"\x00\n", n)))
		c.header.Set("Content-Type", pick(r, "application/fhir+ndjson", "application/ndjson", "multipart/form-data; boundary=b", ""))
	case 15:
		name = "everything"
		c.path, c.query = "Patient/$everything", "_count="+pick(r, "0", "1000000", "-1", "")+"&start="+pick(r, "x", "0001", "9999-99")+"&_type="+strings.Repeat("Observation,", n)
	case 16:
		name = "other operations"
		c.path = pick(r, "Observation/$lastn", "Patient/$validate", "$export", "Patient/$export", "Group/x/$export", "Patient/$meta", "$meta", "ValueSet/$expand", "ValueSet/$validate-code", "CodeSystem/$lookup", "CodeSystem/$subsumes", "ConceptMap/$translate", "$convert", "Patient/h1/$summary", "Patient/h1/$meta-delete", "Subscription/$get-ws-binding-token", "Subscription/x/$events", "Subscription/x/$status", "Provenance/x/$receipt", "AuditEvent/$accounting-of-disclosures", "$jobs/x", "$jobs/../x", "Consent/$x")
		c.query = pick(r, parameters...) + "=" + queried(pick(r, nasty...)) + "&max=" + pick(r, "-1", "99999999999", "x")
		if r.IntN(2) == 0 {
			post("POST", c.path, pick(r, "", "{}", `{"resourceType":"Parameters"}`, `{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient"}},{"name":"mode","valueCode":"x"},{"name":"profile","valueUri":"http://x"},{"name":null,"value":1},{"valueString":""}]}`, `{"resourceType":"Parameters","parameter":[`+strings.TrimSuffix(strings.Repeat(`{"name":"meta","valueMeta":{"tag":[{"code":"a"}]}},`, n*5), ",")+`]}`))
		}
	default:
		name = "wide text"
		post("POST", "Observation", `{"resourceType":"Observation","status":"final","code":{"text":"`+strings.Repeat(pick(r, "a ", "é", "ﷺ", "\\u0041"), 1<<17)+`"},"note":[`+strings.TrimSuffix(strings.Repeat(`{"text":"`+canary+`"},`, n*10), ",")+`]}`)
	}
	if c.body == "" {
		c.header.Del("Content-Type")
	}
	return &request{name: "bomb, " + name, raw: c.wire(token), wire: len(c.query) > 12<<10 || strings.Contains(c.path, "..")}
}

// garbage knocks at the doors beside FHIR's resources: OAuth, the organisation's API, websockets.
func garbage(r *rand.Rand, token string) *request {
	c := &call{header: http.Header{}, method: pick(r, "GET", "POST", "POST", "PUT", "OPTIONS")}
	c.path = pick(r, "/oauth2/token", "/oauth2/authorize", "/oauth2/register", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/signin", "/oauth2/approve", "/oauth2/manage", "/oauth2/callback", "/oauth2/jwks", "/oauth2/x", "/oauth2/../fhir", "/fhir/.well-known/smart-configuration", "/.well-known/oauth-authorization-server/oauth2", "/fhir/$websocket", "/v1/status", "/v1/import", "/v1/sessions", "/v1/patients/x/records", "/v1/submit/x", "/v1/query", "/metrics", "/", "//", "/v1/feeds", "/healthz", "/debug/pprof")
	v := func() string { return queried(pick(r, nasty...)) }
	form := "grant_type=" + pick(r, "client_credentials", "authorization_code", "refresh_token", v()) + "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=" + pick(r, "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJFUzM4NCJ9.e30.AA", strings.Repeat("a.", 3000), v()) + "&code=" + v() + "&code_verifier=" + v() + "&client_id=" + v() + "&redirect_uri=" + v() + "&scope=" + pick(r, "system/*.rs", "patient/Patient.cruds?"+v(), strings.Repeat("user/*.*+", 500), v()) + "&token=" + v() + "&state=" + canary + "&refresh_token=" + v() + "&response_type=code&aud=" + v() + "&code_challenge=" + v() + "&code_challenge_method=S256"
	c.header.Set("Content-Type", pick(r, formType, formType, "application/json", "multipart/form-data; boundary=b", ""))
	switch {
	case c.method != "GET":
		c.body = pick(r, form, form, `{"redirect_uris":["javascript:a"],"client_name":"`+canary+`","jwks":{"keys":[{}]},"scope":"system/*.*"}`, strings.Repeat("[", 100_000), strings.Repeat("a=b&", 30_000), "\xff\xfe", pick(r, nasty...))
	default:
		c.query = form
	}
	q := &request{name: "garbage: " + c.method + " " + c.path, plain: true, wire: true}
	if strings.HasSuffix(c.path, "$websocket") {
		c.body, c.method, c.query = "", "GET", ""
		c.header.Set("Connection", "Upgrade")
		c.header.Set("Upgrade", pick(r, "websocket", "h2c", "x"))
		c.header.Set("Sec-WebSocket-Version", pick(r, "13", "0", "x"))
		c.header.Set("Sec-WebSocket-Key", pick(r, "dGhlIHNhbXBsZSBub25jZQ==", "x", ""))
		c.header.Set("Sec-WebSocket-Extensions", pick(r, "", "permessage-deflate", "x; y=z"))
		q.raw = c.wire(token)
		frames := make([]byte, 10+r.IntN(5000))
		for i := range frames {
			frames[i] = byte(r.Uint32())
		}
		frames[0] = pick[byte](r, 0x81, 0x82, 0x01, 0x89, 0x88, 0xc1, 0xff)
		q.raw = append(q.raw, frames...)
		return q
	}
	if strings.HasPrefix(c.path, "/v1/") && r.IntN(2) == 0 {
		c.header.Set("Authorization", "Bearer x")
	}
	q.raw = c.wire(token)
	return q
}
