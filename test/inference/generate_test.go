package inference

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"salus/fhir/index"
	"salus/fhir/search"
)

// types are those of the worlds.
var types = []string{"Patient", "Observation", "Condition", "Encounter", "Practitioner", "MedicationRequest", "Provenance", "List", "Location"}

func pick[T any](r *rand.Rand, xs ...T) T { return xs[r.IntN(len(xs))] }

// generate makes resources of a few patients that refer to each other in every direction, also to
// what is hidden, and to what is not there.
func generate(r *rand.Rand) (things []thing) {
	id := func(kind string, n int) string { return fmt.Sprintf("%s%s%d", pick(r, "", "", "h"), kind, r.IntN(n)) }
	patient := func() string { return fmt.Sprintf("Patient/p%d", r.IntN(4)) }
	date := func() string {
		return fmt.Sprintf("20%02d-%02d-%02dT%02d:00:00Z", 18+r.IntN(6), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24))
	}
	code := func() string {
		return fmt.Sprintf(`{"coding":[{"system":"http://loinc.org","code":"%d-%d","display":"Measure %d"}],"text":"Measure %d"}`, r.IntN(4), r.IntN(3), r.IntN(4), r.IntN(4))
	}
	add := func(typ, id, rest string) {
		things = append(things, thing{typ: typ, id: id, body: fmt.Sprintf(`{"resourceType":%q,"id":%q,%s}`, typ, id, rest)})
	}
	for i := range 4 {
		add("Patient", fmt.Sprintf("p%d", i), fmt.Sprintf(`"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Sample %d %s</div>"},"name":[{"family":%q,"given":[%q]}],"gender":%q,"birthDate":"19%02d-0%d-01","generalPractitioner":[{"reference":"Practitioner/%s"}],"link":[{"other":{"reference":%q},"type":"seealso"}]`,
			r.IntN(4), pick(r, "doctor", "ward"), pick(r, "Sample", "Example", "Muster"), pick(r, "Ada", "Bo"), pick(r, "female", "male"), 40+r.IntN(60), 1+r.IntN(9), id("d", 3), patient()))
	}
	for range 60 {
		switch pick(r, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7) {
		case 0:
			add("Observation", id("o", 20), fmt.Sprintf(`"status":%q,"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":%q}]}],"code":%s,"subject":{"reference":%q},"encounter":{"reference":"Encounter/%s"},"effectiveDateTime":%q,"valueQuantity":{"value":%d.%d,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"},"performer":[{"reference":"Practitioner/%s"}],"hasMember":[{"reference":"Observation/%s"}]`,
				pick(r, "final", "amended"), pick(r, "laboratory", "vital-signs"), code(), patient(), id("e", 6), date(), r.IntN(9), r.IntN(9), id("d", 3), id("o", 20)))
		case 1:
			add("Condition", id("c", 8), fmt.Sprintf(`"code":%s,"subject":{"reference":%q},"encounter":{"reference":"Encounter/%s"},"onsetDateTime":%q,"evidence":[{"detail":[{"reference":"Observation/%s"}]}]`, code(), patient(), id("e", 6), date(), id("o", 20)))
		case 2:
			add("Encounter", id("e", 6), fmt.Sprintf(`"status":"finished","class":{"code":%q},"subject":{"reference":%q},"period":{"start":%q},"diagnosis":[{"condition":{"reference":"Condition/%s"}}]`, pick(r, "AMB", "IMP"), patient(), date(), id("c", 8)))
		case 3:
			add("Practitioner", id("d", 3), fmt.Sprintf(`"name":[{"family":%q}]`, pick(r, "Doctor", "Nurse")))
		case 4:
			add("MedicationRequest", id("m", 5), fmt.Sprintf(`"status":"active","intent":"order","medicationCodeableConcept":%s,"subject":{"reference":%q},"authoredOn":%q,"reasonReference":[{"reference":"Condition/%s"}]`, code(), patient(), date(), id("c", 8)))
		case 5:
			add("Provenance", id("v", 4), fmt.Sprintf(`"target":[{"reference":"Observation/%s"},{"reference":"Condition/%s"}],"recorded":%q,"agent":[{"who":{"reference":"Practitioner/%s"}}]`, id("o", 20), id("c", 8), date(), id("d", 3)))
		case 6:
			add("List", id("l", 3), fmt.Sprintf(`"status":"current","mode":"working","subject":{"reference":%q},"entry":[{"item":{"reference":"Observation/%s"}}]`, patient(), id("o", 20)))
		case 7:
			add("Location", id("a", 3), fmt.Sprintf(`"name":"Ward","position":{"latitude":%d.%d,"longitude":11.%d},"partOf":{"reference":"Location/%s"}`, 47+r.IntN(2), r.IntN(9), r.IntN(9), id("a", 3)))
		}
		if r.IntN(10) == 0 && len(things) > 4 {
			d := things[len(things)-1]
			d.gone = true
			things = append(things, d)
		}
	}
	// What changes its patient is refused by the server, so that there is none here either: of
	// things with one id, those are kept that are like the first in what is hidden of them.
	return steady(things)
}

// steady leaves out versions that would move a resource from what is hidden to what is seen: which
// of the two worlds has it then is another question.
func steady(things []thing) (out []thing) {
	first := map[string]string{}
	mark := func(t thing) string {
		subject := ""
		if i := strings.Index(t.body, `"subject":{"reference":"`); i >= 0 {
			subject = t.body[i : i+36]
		}
		return fmt.Sprint(subject, strings.Contains(t.body, `"code":"laboratory"`))
	}
	for _, t := range things {
		k := t.typ + "/" + t.id
		if m, ok := first[k]; ok && m != mark(t) {
			continue
		}
		first[k] = mark(t)
		out = append(out, t)
	}
	return out
}

// A request is one that is sent to both worlds.
type request struct {
	method, path, body string
	header             http.Header
}

// String shows it in a failure.
func (q *request) String() string {
	return fmt.Sprintf("%s %s %v %s", q.method, q.path, q.header, q.body)
}

// next is the request that an answer leads to: the next page.
func (a *answer) next(of *request) *request {
	var b struct {
		Link []struct{ Relation, URL string }
	}
	if of.method != http.MethodGet || json.Unmarshal([]byte(a.body), &b) != nil {
		return nil
	}
	for _, l := range b.Link {
		if l.Relation == "next" {
			return &request{method: http.MethodGet, path: strings.TrimPrefix(l.URL, base+"/"), header: of.header}
		}
	}
	return nil
}

// ask makes a request about what is there, seen or hidden, or not there.
func ask(r *rand.Rand, x *index.Index, things []thing) *request {
	th := things[r.IntN(len(things))]
	q := &request{method: http.MethodGet, header: http.Header{}}
	if r.IntN(8) == 0 {
		q.header.Set("Prefer", pick(r, "handling=lenient", "return=minimal", "return=OperationOutcome"))
	}
	switch r.IntN(14) {
	case 0:
		q.path = th.typ + "/" + th.id
		if r.IntN(3) == 0 {
			q.header.Set("If-None-Match", fmt.Sprintf(`W/"%d"`, 1+r.IntN(2)))
		}
		if r.IntN(4) == 0 {
			q.method = http.MethodHead
		}
	case 1:
		q.path = fmt.Sprintf("%s/%s/_history/%d", th.typ, th.id, 1+r.IntN(3))
	case 2:
		q.path = pick(r, th.typ+"/"+th.id+"/_history", th.typ+"/_history", "_history") + pick(r, "", "?_count=2", "?_since=2024-01-01T00:05:00Z", "?_at=2024-01-01T00:04:00Z")
	case 3:
		q.path = pick(r, "Patient/p0/", "Patient/p1/") + pick(r, "Observation", "*", "Condition", "$everything", "$everything?_count=5", "$everything?_type=Observation,Condition", "$summary")
	case 4:
		q.path = "Observation/$lastn?patient=Patient/p" + fmt.Sprint(r.IntN(4)) + pick(r, "", "&max=2")
	case 5: // a conditional write
		q.method, q.path = pick(r, http.MethodPost, http.MethodPut, http.MethodDelete), th.typ
		q.body, q.header["Content-Type"] = withoutID(th.body), []string{"application/fhir+json"}
		condition := conditions(r, x, th.typ, things)
		switch q.method {
		case http.MethodPost:
			q.header.Set("If-None-Exist", condition)
		case http.MethodDelete:
			q.body, q.path = "", th.typ+"?"+condition
		default:
			q.path += "?" + condition
		}
	case 6: // a write to an id
		q.method, q.path = pick(r, http.MethodPut, http.MethodDelete), th.typ+"/"+th.id
		if q.method == http.MethodPut {
			q.body, q.header["Content-Type"] = th.body, []string{"application/fhir+json"}
		}
		if r.IntN(2) == 0 {
			version := fmt.Sprintf(`W/"%d"`, 1+r.IntN(2))
			q.header.Set(pick(r, "If-Match", "If-Match", "If-None-Match"), pick(r, version, version, "*", version+`, W/"7"`))
		}
	case 7: // bundles
		q.method, q.header["Content-Type"] = http.MethodPost, []string{"application/fhir+json"}
		q.body = fmt.Sprintf(`{"resourceType":"Bundle","type":%q,"entry":[{"request":{"method":"GET","url":%q}},{"request":{"method":"GET","url":%q}},{"resource":%s,"request":{"method":"POST","url":%q,"ifNoneExist":%q}}]}`,
			pick(r, "batch", "transaction"), th.typ+"/"+th.id, searchFor(r, x, things), withoutID(th.body), th.typ, conditions(r, x, th.typ, things))
	case 8:
		q.method, q.path = http.MethodPost, th.typ+"/_search"
		q.body, q.header["Content-Type"] = conditions(r, x, th.typ, things), []string{"application/x-www-form-urlencoded"}
	default:
		q.path = searchFor(r, x, things)
	}
	return q
}

// withoutID is a resource as it is created.
func withoutID(body string) string {
	i := strings.Index(body, `"id":`)
	j := strings.Index(body[i:], ",")
	return body[:i] + body[i+j+1:]
}

// searchFor makes a search with result parameters.
func searchFor(r *rand.Rand, x *index.Index, things []thing) string {
	typ := things[r.IntN(len(things))].typ
	q := typ + "?" + conditions(r, x, typ, things)
	for _, more := range []string{
		"_total=accurate", "_summary=count", "_count=" + fmt.Sprint(r.IntN(4)), "_sort=" + pick(r, "", "-") + anyParam(r, x, typ).Code, "_sort=_lastUpdated",
		"_include=" + pick(r, "*", typ+":"+anyOf(r, x, typ, search.Reference).Code), "_include:iterate=" + typ + ":" + anyOf(r, x, typ, search.Reference).Code,
		"_revinclude=" + pick(r, "Observation:subject", "Provenance:target", "Condition:encounter", "Encounter:diagnosis", "List:item", "*"), "_revinclude:iterate=Observation:has-member",
		"_elements=status,subject", "_summary=true", "_lastUpdated=gt2024-01-01T00:03:00Z",
	} {
		if r.IntN(5) == 0 {
			q += "&" + more
		}
	}
	return q
}

func anyParam(r *rand.Rand, x *index.Index, typ string) *search.Param { return pick(r, x.List(typ)...) }

// anyOf is a parameter of a kind, of any if the type has none.
func anyOf(r *rand.Rand, x *index.Index, typ string, kind search.Kind) *search.Param {
	l := slices.DeleteFunc(slices.Clone(x.List(typ)), func(p *search.Param) bool { return p.Kind != kind })
	if len(l) == 0 {
		return anyParam(r, x, typ)
	}
	return pick(r, l...)
}

// conditions are one or two conditions on a type, with values that are there, mostly.
func conditions(r *rand.Rand, x *index.Index, typ string, things []thing) string {
	one := func() string {
		switch r.IntN(6) {
		case 0:
			p := anyOf(r, x, typ, search.Reference)
			to := pick(r, types...)
			c := anyParam(r, x, to)
			return fmt.Sprintf("%s:%s.%s=%s", p.Code, to, c.Code, value(r, c.Kind, things))
		case 1:
			from := pick(r, types...)
			by, c := anyOf(r, x, from, search.Reference), anyParam(r, x, from)
			return fmt.Sprintf("_has:%s:%s:%s=%s", from, by.Code, c.Code, value(r, c.Kind, things))
		case 2:
			return anyParam(r, x, typ).Code + ":missing=" + pick(r, "true", "false")
		case 3:
			return "_id=" + things[r.IntN(len(things))].id + "," + things[r.IntN(len(things))].id
		}
		p := anyParam(r, x, typ)
		modifier := ""
		switch p.Kind {
		case search.String:
			modifier = pick(r, "", ":exact", ":contains")
		case search.Token:
			modifier = pick(r, "", "", ":not", ":text")
		}
		return p.Code + modifier + "=" + value(r, p.Kind, things)
	}
	if r.IntN(8) == 0 {
		return "_filter=" + url.QueryEscape(filter(r, x, typ, things))
	}
	q := one()
	if r.IntN(3) == 0 {
		q += "&" + one()
	}
	return q
}

// filter is a _filter on a type, also through references.
func filter(r *rand.Rand, x *index.Index, typ string, things []thing) string {
	test := func() string {
		p := anyParam(r, x, typ)
		path := p.Code
		if p.Kind == search.Reference && r.IntN(2) == 0 {
			p = anyParam(r, x, pick(r, types...))
			path += "." + p.Code
		}
		if r.IntN(5) == 0 {
			return path + " pr " + pick(r, "true", "false")
		}
		v, err := url.QueryUnescape(value(r, p.Kind, things))
		if err != nil {
			v = "x"
		}
		return path + " " + pick(r, "eq", "eq", "ne", "co", "sw", "gt", "le") + " " + strings.TrimLeft(v, "getln")
	}
	f := test()
	for range r.IntN(3) {
		f += pick(r, " and ", " or ") + pick(r, test(), "not ("+test()+")", "("+test()+" or "+test()+")")
	}
	return f
}

// value is one that parameters of a kind take.
func value(r *rand.Rand, k search.Kind, things []thing) string {
	switch k {
	case search.Reference:
		t := things[r.IntN(len(things))]
		return t.typ + "/" + t.id
	case search.Date:
		return pick(r, "", "gt", "le", "ne") + pick(r, "2020", "2019-06", "2021-03-01", "2025")
	case search.Number:
		return pick(r, "1", "gt2")
	case search.Quantity:
		return pick(r, "", "gt", "lt") + fmt.Sprintf("%d|http://unitsofmeasure.org|mg", r.IntN(9))
	case search.Spot:
		return fmt.Sprintf("4%d.%d%%7C11.%d%%7C%d", 7+r.IntN(2), r.IntN(9), r.IntN(9), pick(r, 5, 40, 400))
	case search.String:
		return pick(r, "sam", "ex", "doctor", "a", "Ada", "measure", "measure+not+2", "ward+or+measure+1")
	case search.URI:
		return url.QueryEscape("http://loinc.org")
	}
	return pick(r, "final", "amended", "laboratory", "http://loinc.org|1-1", "2-0", "active", "female", "AMB", "0-2")
}
