package rest

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
)

// Everything is Patient/$everything (R4 Patient-everything): what is in the compartment of a
// patient, or of every patient, and what that refers to outside of all compartments, page by page.
// start and end are dates of care; a resource that has none is always part of it. A resource is in
// the one compartment that Config.Owner names.
func Everything() Operation {
	return Operation{
		Name: "everything", Types: []string{"Patient"}, Instances: []string{"Patient"}, ReadOnly: true,
		Definition: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
		Handle: func(ctx context.Context, c *Call) (*Reply, error) {
			e, err := c.everything()
			if err != nil {
				return nil, err
			}
			return e.page(ctx)
		},
	}
}

// careDates are the search parameters of the date of care, where it is not "date": of what was
// asked for, when it was asked for. The types that are in neither have none, and are always part: who
// somebody is, and what says of records rather than of care (R4 search parameter registry; a test
// compares the list with it).
var careDates = map[string]string{
	"Account": "period", "ChargeItem": "occurrence", "Claim": "created", "ClaimResponse": "created", "Communication": "sent",
	"CommunicationRequest": "authored", "Condition": "onset-date", "CoverageEligibilityRequest": "created", "CoverageEligibilityResponse": "created",
	"DetectedIssue": "identified", "DeviceRequest": "authored-on", "DocumentManifest": "created", "ExplanationOfBenefit": "created", "Goal": "start-date",
	"ImagingStudy": "started", "Media": "created", "MedicationAdministration": "effective-time", "MedicationDispense": "whenhandedover",
	"MedicationRequest": "authoredon", "MedicationStatement": "effective", "NutritionOrder": "datetime", "QuestionnaireResponse": "authored",
	"RequestGroup": "authored", "ServiceRequest": "authored", "Specimen": "collected", "VisionPrescription": "datewritten",
}

// maxReferred bounds what a page brings besides the compartment's resources, and maxHops how far
// away it is.
const (
	maxReferred = 1000
	maxHops     = 3
)

var (
	errCareDate       = fault(http.StatusBadRequest, "value", "rest-everything-date", "start and end are dates as in 2024-01-31")
	errEverythingType = fault(http.StatusBadRequest, "value", "rest-everything-type", "_type names resource types that this server serves")
	errEverything     = fault(http.StatusBadRequest, "not-supported", "rest-everything-parameter", "$everything takes start, end, _since, _type and _count")
)

// everything is one call.
type everything struct {
	*Call
	count       int
	types       []string // those that are asked for and may be seen
	compartment string   // "" for all
	segments    []segment
	at          int    // segment of this page
	cursor      string // in it
}

// A segment is a part of everything that one search finds.
type segment struct {
	types []string
	where []search.Clause
}

// page sizes and parameters of a call.
func (c *Call) everything() (*everything, error) {
	e := &everything{Call: c, count: c.Server.PageSize, compartment: c.Leave.Owner}
	if c.ID != "" {
		e.compartment = "Patient/" + c.ID
	}
	var where, dates []search.Clause
	var asked []string
	for _, p := range c.Params {
		switch p.Name {
		case "_count":
			n, err := strconv.Atoi(p.Value)
			if err != nil || n < 1 {
				return nil, errCount
			}
			e.count = min(n, search.MaxCount)
		case "_since":
			r, ok := search.Instants(p.Value)
			if !ok {
				return nil, errSince
			}
			where = append(where, dateClause("_lastUpdated", search.GE, r))
		case "start", "end":
			r, ok := search.Instants(p.Value)
			if !ok {
				return nil, errCareDate
			}
			prefix := search.GE
			if p.Name == "end" {
				prefix = search.LE
			}
			dates = append(dates, dateClause("", prefix, r))
		case "_type":
			for t := range strings.SplitSeq(p.Value, ",") {
				if !c.Server.serves(t) {
					return nil, errEverythingType
				}
				asked = append(asked, t)
			}
		case "_cursor":
			at, cursor, ok := strings.Cut(p.Value, ".")
			n, err := strconv.Atoi(at)
			if !ok || err != nil || n < 0 {
				return nil, errCursor
			}
			e.at, e.cursor = n, cursor
		default:
			return nil, errEverything
		}
	}
	if !c.Leave.Allows(Read, "Patient") {
		return nil, errForbidden
	}
	for _, t := range c.Server.Types {
		if (len(asked) == 0 || slices.Contains(asked, t)) && c.Leave.Allows(Read, t) {
			e.types = append(e.types, t)
		}
	}
	e.plan(where, dates)
	if e.at >= len(e.segments) && e.at > 0 {
		return nil, errCursor
	}
	return e, nil
}

func dateClause(code string, prefix search.Prefix, r search.Range) search.Clause {
	return search.Clause{Param: &search.Param{Code: code, Kind: search.Date}, Values: []search.Value{{Prefix: prefix, Range: r}}}
}

// plan makes the segments: the patient first, then what has no date of care, then each type that
// has one, within the dates and without any.
func (e *everything) plan(where, dates []search.Clause) {
	add := func(types []string, more ...search.Clause) {
		if len(types) > 0 {
			e.segments = append(e.segments, segment{types, append(slices.Clone(where), more...)})
		}
	}
	var rest, dated []string
	for _, t := range e.types {
		switch {
		case t == "Patient":
			add([]string{t})
		case len(dates) > 0 && e.careDate(t) != nil:
			dated = append(dated, t)
		default:
			rest = append(rest, t)
		}
	}
	add(rest)
	for _, t := range dated {
		p := e.careDate(t)
		within := slices.Clone(dates)
		for i := range within {
			within[i].Param = p
		}
		add([]string{t}, within...)
		add([]string{t}, search.Clause{Param: p, Modifier: search.Missing, Missing: true})
	}
}

func (e *everything) careDate(typ string) *search.Param {
	code := "date"
	if c, ok := careDates[typ]; ok {
		code = c
	}
	p, ok := e.Server.Params.Param(typ, code)
	if !ok || p.Kind != search.Date {
		return nil
	}
	return p
}

// page answers with one page: as many segments as it takes to fill it.
func (e *everything) page(ctx context.Context) (*Reply, error) {
	b := bundle{Type: "searchset"}
	own := slices.DeleteFunc(slices.Clone(e.Params), func(p search.Pair) bool { return p.Name == "_cursor" })
	here := &ask{path: []string{"Patient", "$everything"}}
	if e.ID != "" {
		here.path = []string{"Patient", e.ID, "$everything"}
	}
	b.link("self", e.Server.address(here, own))
	var matches []store.Version
	for e.at < len(e.segments) && len(matches) < e.count {
		seg := &e.segments[e.at]
		q := &search.Query{Types: seg.types, Where: seg.where, Count: e.count - len(matches), Cursor: e.cursor}
		p, err := e.Server.Store.Search(ctx, store.Search{Query: q, Sight: e.Leave.sight(), Compartment: e.compartment})
		if err != nil {
			return nil, err
		}
		for i := range p.Matches {
			if p.Matches[i].Owner != "" { // without one it is in nobody's compartment
				matches = append(matches, p.Matches[i])
			}
		}
		if e.cursor = p.Next; e.cursor == "" {
			e.at++
		}
	}
	if e.at < len(e.segments) {
		b.link("next", e.Server.address(here, append(own, search.Pair{Name: "_cursor", Value: strconv.Itoa(e.at) + "." + e.cursor})))
	}
	referred, err := e.referred(ctx, matches)
	if err != nil {
		return nil, err
	}
	for i := range matches {
		b.Entry = append(b.Entry, entry{FullURL: e.Server.url(&matches[i]), Resource: present(&matches[i]), Search: &mode{"match"}})
	}
	for i := range referred {
		b.Entry = append(b.Entry, entry{FullURL: e.Server.url(&referred[i]), Resource: present(&referred[i]), Search: &mode{"include"}})
	}
	if len(e.Leave.Issues) > 0 {
		b.Entry = append(b.Entry, entry{Resource: outcomeOf(e.Leave.Issues), Search: &mode{"outcome"}})
	}
	return &Reply{Body: b.encode()}, nil
}

// referred is what a page's matches refer to, and what that refers to, in nobody's compartment:
// practitioners, organisations, medications.
func (e *everything) referred(ctx context.Context, matches []store.Version) (out []store.Version, err error) {
	seen := map[string]bool{}
	for i := range matches {
		seen[matches[i].Type+"/"+matches[i].ID] = true
	}
	from := matches
	for range maxHops {
		var next []store.Version
		for i := range from {
			for _, ref := range References(e.Server.Params, from[i].Body) {
				typ, id, _ := strings.Cut(ref, "/")
				if seen[ref] || !slices.Contains(e.types, typ) {
					continue
				}
				seen[ref] = true
				v, err := See(ctx, e.Server.Store, e.Leave, typ, id)
				if err != nil {
					if f := faultOf(err); f.Status == http.StatusNotFound || f.Status == http.StatusGone {
						continue
					}
					return nil, err
				}
				if v.Owner == "" && len(out)+len(next) < maxReferred {
					next = append(next, v)
				}
			}
		}
		out = append(out, next...)
		if from = next; len(from) == 0 {
			break
		}
	}
	return out, nil
}

// References lists what a resource refers to on this server, as "Type/id", in its order; params
// tells whose addresses are the server's own if it is a search.Localizer.
func References(params search.Params, body []byte) (out []string) {
	local, _ := params.(search.Localizer)
	if _, err := fhir.Parse(body); err != nil {
		return nil // the store holds only what parses
	}
	eachString(body, func(name string, from, to int) {
		if name != "reference" {
			return
		}
		ref := unquote(body[from:to])
		if local != nil {
			ref = local.Local(ref)
		}
		ref, _, _ = strings.Cut(ref, "/_history/")
		typ, id, ok := strings.Cut(ref, "/")
		if ok && fhirID(id) && params.Known(typ) {
			out = append(out, ref)
		}
	})
	return out
}
