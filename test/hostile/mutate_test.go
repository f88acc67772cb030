package hostile

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"

	"salus/fhir/definition"
	"salus/fhir/fhirxml"
)

// nasty are values that break what is careless.
var nasty = []string{
	"", " ", "\x00", "\xff\xfe", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", `\ud800`, `\u0000`, "\u202e\u0000", "'", `"`, "' OR 1=1 --", `"; DROP TABLE res; --`, "../../../etc/passwd", `..%2f..%2f`, "%00", "%zz", "%", "$", "|", "||", ",", `\`, `\,`, "a\r\nSet-Cookie: x=1",
	"<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>", "${jndi:ldap://x/a}", "{{7*7}}", "-0", "1e999999999", "9223372036854775808", "-1", "NaN", "Infinity", "0x10", "true", "null", "[]", "{}", "2024-13-45", "9999-12-31T23:59:60Z", "0000", "gt", "lt9", "eq1e400", "urn:uuid:", "http://[::1", "javascript:alert(1)", "Patient/", "/Patient/h1", "Patient/h1/_history/", "#", "#a", "𝕏", strings.Repeat("A", 70), strings.Repeat("é", 5000), strings.Repeat("a.", 3000), strings.Repeat("(", 2000), strings.Repeat("%25", 500),
}

// A mutation changes a call.
type mutation struct {
	name string
	do   func(*rand.Rand, *call)
}

var (
	quoted  = regexp.MustCompile(`"[^"\\]*"`)
	numeral = regexp.MustCompile(`[0-9]+\.?[0-9]*`)
	valued  = regexp.MustCompile(`:("[^"\\]*"|[0-9.]+|true|false)`)
)

// replaced replaces one match of an expression, if there is any.
func replaced(r *rand.Rand, s string, what *regexp.Regexp, by string) string {
	all := what.FindAllStringIndex(s, -1)
	if len(all) == 0 {
		return s + by
	}
	at := all[r.IntN(len(all))]
	return s[:at[0]] + by + s[at[1]:]
}

// span is a part of s.
func span(r *rand.Rand, s string) (from, to int) {
	if s == "" {
		return 0, 0
	}
	from = r.IntN(len(s))
	return from, from + r.IntN(min(len(s)-from, 200)+1)
}

func zipped(s string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s)) // to memory: it cannot fail
	_ = z.Close()
	return b.Bytes()
}

// zipBomb is a gzip stream of n bytes of space after a resource's beginning.
func zipBomb(n int) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(`{"resourceType":"Patient"`)) // to memory: it cannot fail
	part := bytes.Repeat([]byte(" "), 1<<20)
	for range n >> 20 {
		_, _ = z.Write(part)
	}
	_ = z.Close()
	return b.Bytes()
}

// mutations are what may be done to any call.
var mutations = []mutation{
	{"truncated", func(r *rand.Rand, c *call) { _, to := span(r, c.body); c.body = c.body[:to] }},
	{"duplicated", func(r *rand.Rand, c *call) { f, t := span(r, c.body); c.body = c.body[:t] + c.body[f:] }},
	{"cut", func(r *rand.Rand, c *call) { f, t := span(r, c.body); c.body = c.body[:f] + c.body[t:] }},
	{"swapped", func(r *rand.Rand, c *call) {
		f, t := span(r, c.body)
		g, u := span(r, c.body[t:])
		c.body = c.body[:f] + c.body[t+g:t+u] + c.body[t:t+g] + c.body[f:t] + c.body[t+u:]
	}},
	{"flipped", func(r *rand.Rand, c *call) {
		b := []byte(c.body)
		for range 1 + r.IntN(4) {
			if len(b) > 0 {
				b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			}
		}
		c.body = string(b)
	}},
	{"nasty string", func(r *rand.Rand, c *call) { c.body = replaced(r, c.body, quoted, `"`+pick(r, nasty...)+`"`) }},
	{"other value", func(r *rand.Rand, c *call) {
		c.body = replaced(r, c.body, valued, ":"+pick(r, "null", "[]", "{}", "[null]", "true", `""`, "-0.0", "1E+5", `[[1]]`, `{"a":{}}`, "1e400", "01", "+1", ".5", "NaN"))
	}},
	{"other member", func(r *rand.Rand, c *call) {
		c.body = strings.Replace(c.body, `{"`, `{`+pick(r, `"id":"x",`, `"resourceType":"Binary",`, `"meta":null,`, `"meta":[],`, `"meta":{"versionId":5},`, `"contained":[{"resourceType":"Patient","contained":[]}],`, `"":1,`, `"_id":{},`, `"text":{"status":"generated","div":"<div>&x;<script/></div>"},`, `"extension":[{"url":1}],`, `"modifierExtension":[{"url":"urn:x","valueString":"y"}],`, `"a":1,"a":2,`)+`"`, 1)
	}},
	{"bad UTF-8", func(r *rand.Rand, c *call) {
		f, _ := span(r, c.body)
		c.body = c.body[:f] + pick(r, "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80", "\x80", "\x00", "\ufeff", `\ud800`, `\udc00\ud800`) + c.body[f:]
	}},
	{"long number", func(r *rand.Rand, c *call) {
		c.body = replaced(r, c.body, numeral, pick(r, strings.Repeat("9", 1_000_000), "0."+strings.Repeat("1", 1_000_000), "1e"+strings.Repeat("9", 10_000), "1e-999999999", "1e2147483648"))
	}},
	{"deep", func(r *rand.Rand, c *call) {
		const deep = 100_000
		open, shut := "[", "]"
		switch r.IntN(3) {
		case 0:
			open, shut = `{"a":`, "}"
		case 1:
			open, shut = `{"extension":[`, "]}"
		}
		if r.IntN(3) == 0 {
			shut = ""
		}
		c.body = replaced(r, c.body, valued, ":"+strings.Repeat(open, deep)+strings.Repeat(shut, deep))
	}},
	{"long string", func(r *rand.Rand, c *call) {
		c.body = replaced(r, c.body, quoted, `"`+strings.Repeat(pick(r, "a", "é", `\\`, "😀"), 1<<uint(r.IntN(20)))+`"`)
	}},
	{"many", func(r *rand.Rand, c *call) {
		c.body = replaced(r, c.body, valued, ":["+strings.Repeat(pick(r, `"a",`, `{},`, `null,`, `[],`, `{"url":"u","valueString":"a"},`), 1<<uint(r.IntN(17)))+`0]`)
	}},
	{"in XML", func(r *rand.Rand, c *call) {
		x, err := fhirxml.ToXML(definition.R4().Model(), []byte(c.body), r.IntN(2) == 0)
		if err != nil {
			return // it is no resource any more
		}
		c.body = string(x)
		c.header.Set("Content-Type", pick(r, "application/fhir+xml", "application/xml", "text/xml", "application/fhir+xml; charset=utf-8"))
		if f, to := span(r, c.body); r.IntN(3) > 0 {
			c.body = c.body[:f] + pick(r, "", c.body[f:to]+c.body[f:to], "&x;", "<![CDATA[a]]>", "<!-- -- -->", "<?x?>", "<a:b/>", "</", "\x00", "\xff", `<extension url="u">`, strings.Repeat(`<extension url="u">`, 10_000), ` value="a"`, ` xmlns="http://www.w3.org/1999/xhtml"`, strings.Repeat("<p>", 100_000)) + c.body[to:]
		}
	}},
	{"answered in XML", func(r *rand.Rand, c *call) {
		c.header.Set("Accept", pick(r, "application/fhir+xml", "application/xml", "text/xml", "application/fhir+xml;q=0.1, */*;q=0.01", "application/fhir+xml;q=x"))
	}},
	{"as XML", func(r *rand.Rand, c *call) {
		c.header.Set("Content-Type", pick(r, "application/fhir+xml", "application/xml", "text/xml"))
		c.body = `<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "` + canary + `"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY x SYSTEM "file:///etc/passwd">]><Patient xmlns="http://hl7.org/fhir"><id value="&c;&x;"/></Patient>`
	}},
	{"encoded", func(r *rand.Rand, c *call) {
		c.header.Set("Content-Encoding", pick(r, "gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip", "identity, gzip", "\t"))
		c.encoding = pick(r, zipped, func(s string) []byte { return []byte(s) }, func(string) []byte { return zipBomb(64 << 20) }, func(s string) []byte { return zipped(string(zipped(s))) }, func(s string) []byte { b := zipped(s); return b[:len(b)/2] })
	}},
	{"other type", func(r *rand.Rand, c *call) {
		c.header.Set("Content-Type", pick(r, "", "text/plain", "application/fhir+json; charset=utf-16", "application/fhir+json; fhirVersion=5.0", "application/json;;;", "multipart/form-data; boundary=x", "multipart/mixed", "application/x-www-form-urlencoded", "*/*", "a/b/c", strings.Repeat("x/", 2000), patchType, jsonType, "application/fhir+ndjson", "application/merge-patch+json"))
	}},
	{"multipart", func(r *rand.Rand, c *call) {
		c.header.Set("Content-Type", "multipart/form-data; boundary="+pick(r, "b", "", `"`, strings.Repeat("b", 100)))
		c.body = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"" + pick(r, nasty[7:12]...) + "\"\r\n\r\n" + c.body + pick(r, "", "\r\n--b", "\r\n--b--\r\n", "\r\n--c--")
	}},
	{"nasty header", func(r *rand.Rand, c *call) {
		v := pick(r, nasty...)
		if strings.ContainsAny(v, "\r\n\x00") {
			v = "x"
		}
		c.header.Set(pick(r, "If-Match", "If-None-Match", "If-Modified-Since", "If-None-Exist", "Prefer", "Accept", "Accept-Encoding", "Accept-Charset", "Range", "Expect", "Origin", "Salus-As", "Salus-Purpose", "Salus-Patient", "Salus-Wait", "X-Forwarded-For", "X-HTTP-Method-Override", "Transfer-Encoding", "Upgrade", "Cookie"), pick(r, v, v+","+v, "handling=strict, return="+v, `W/"`+v+`"`, "Patient/"+v, "?"+v, "_id="+v, "respond-async; "+v))
	}},
	{"authorisation", func(r *rand.Rand, c *call) {
		c.header.Set("Authorization", pick(r, "Bearer", "Bearer x", "Bearer "+strings.Repeat("a", 8000), "Basic Og==", "Basic !!!", "bearer", "Digest a", "Bearer eyJhbGciOiJub25lIn0.e30.", "Bearer \xff"))
	}},
	{"other method", func(r *rand.Rand, c *call) {
		c.method = pick(r, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X", "PRI", "MKCOL", strings.Repeat("M", 300))
	}},
	{"nasty id", func(r *rand.Rand, c *call) {
		p := strings.Split(c.path, "/")
		p[r.IntN(len(p))] = escapePath(pick(r, append([]string{"$", "$x", "_search", "_history", "*", "..", ".", "metadata", ".well-known", "$everything", "Binary", "Bundle", "Parameters", "DomainResource", "$meta", "$jobs"}, nasty...)...))
		c.path = strings.Join(p, "/")
	}},
	{"longer path", func(r *rand.Rand, c *call) {
		c.path += strings.Repeat("/"+pick(r, "a", "..", "%2e%2e", "_history", "$x", "%2F"), 1+r.IntN(20))
	}},
	{"nasty query", func(r *rand.Rand, c *call) {
		for range 1 + r.IntN(3) {
			c.query += "&" + pick(r, parameters...) + pick(r, "=", "", "==", "[]=") + queried(pick(r, nasty...))
		}
	}},
	{"bad query", func(r *rand.Rand, c *call) {
		c.query += pick(r, "&%", "&%zz=1", "&;", "&=", "&&&&", "&a=%ff", "&"+strings.Repeat("a=b&", 2000), "&_id="+strings.Repeat("x,", 4000))
	}},
	{"cursor", func(r *rand.Rand, c *call) {
		c.query += "&_cursor=" + pick(r, "", "0", "-1", "1.", "0.x", "99999999.", "AAAA", strings.Repeat("A", 4000), "%00", fmt.Sprintf("%x", r.Uint64()), "9223372036854775807.")
	}},
	{"large", func(r *rand.Rand, c *call) {
		if r.IntN(6) == 0 {
			c.body = replaced(r, c.body, quoted, `"`+strings.Repeat("a", 17<<20)+`"`)
			return
		}
		c.query += "&_id=" + strings.Repeat("a", pick(r, 8<<10, 15<<10, 64<<10))
	}},
}

// parameters are names that a search may have, mostly.
var parameters = []string{
	"_id", "_lastUpdated", "_tag", "_profile", "_security", "_source", "_content", "_text", "_list", "_filter", "_query", "_type", "_sort", "_count", "_total", "_summary", "_elements", "_include", "_revinclude", "_include:iterate", "_has", "_has:", "_has:::", "_has:Observation:patient:code", "_contained", "_containedType", "_format", "_pretty", "_since", "_at", "_cursor", "_outputFormat", "_typeFilter",
	"name", "name:exact", "name:contains", "name:x", "birthdate", "birthdate:missing", "identifier", "identifier:of-type", "code:in", "code:above", "code:not", "value-quantity", "value-quantity:missing", "date", "date:x", "subject", "subject:Patient", "subject:Patient.name", "subject.name", "subject.", ".", ":", "subject:identifier", "code-value-quantity", "near", "patient.organization.partof.name", "url:below", "start", "end", "max", "mode", "profile", "resource", "family:of-type:x", "%00", "\xff",
}

func escapePath(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._$*%", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

// mutated makes a request that is nearly valid.
func mutated(r *rand.Rand, token string) *request {
	c := valid(r)
	var names []string
	for range 1 + r.IntN(3) {
		m := pick(r, mutations...)
		names = append(names, m.name)
		m.do(r, c)
	}
	q := &request{name: strings.Join(names, ", ") + ": " + c.method + " " + c.path, raw: c.wire(token), plain: strings.HasPrefix(c.path, "/")}
	// What HTTP does not take never comes to the FHIR server.
	q.wire = c.method == http.MethodConnect || strings.Contains(c.path, "%") || c.header.Get("Transfer-Encoding") != "" || c.header.Get("Expect") != "" || bytes.Contains(q.raw[:min(len(q.raw), 20<<10)], []byte("\xff")) || len(c.query) > 8<<10 || len(c.method) > 100 || c.header.Get("Upgrade") != "" || len(c.header.Get("Authorization")) > 4000
	return q
}
