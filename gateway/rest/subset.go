package rest

import (
	"net/http"
	"slices"
	"strings"
)

// subsetted marks a resource that is not whole (R4 3.1.1.5.8).
const subsetted = `{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}`

// subset cuts a resource down to what _elements and _summary ask for: elements of its top level,
// and always resourceType, id, meta and what is mandatory.
func (s *Server) subset(a *ask, typ string, body []byte) ([]byte, error) {
	elements, _ := a.param("_elements")
	summary, _ := a.param("_summary")
	if elements == "" && summary == "" {
		return body, nil
	}
	var keep func(name string) bool
	var some, mandatory []string
	if s.Subset != nil {
		some, mandatory = s.Subset(typ)
	}
	switch summary {
	case "", "false", "count":
		if elements == "" {
			return body, nil
		}
		asked := strings.Split(elements, ",")
		keep = func(name string) bool { return slices.Contains(asked, name) || slices.Contains(mandatory, name) }
	case "true":
		if some == nil {
			return body, nil
		}
		keep = func(name string) bool { return slices.Contains(some, name) }
	case "text":
		keep = func(name string) bool { return name == "text" || slices.Contains(mandatory, name) }
	case "data":
		keep = func(name string) bool { return name != "text" }
	default:
		return nil, fault(http.StatusBadRequest, "value", "rest-summary", "_summary is true, false, text, data or count")
	}
	at := skipSpace(body, 0)
	list, _ := members(body, at)
	out := []byte{'{'}
	for _, m := range list {
		if name := strings.TrimPrefix(m.name, "_"); name != "resourceType" && name != "id" && name != "meta" && !keep(name) {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		if m.name != "meta" {
			out = append(out, body[m.start:m.valueTo]...)
			continue
		}
		out = append(append(out, `"meta":`...), tagged(body, m.valueAt)...)
	}
	return append(out, '}'), nil
}

// tagged is the meta at body[at] with the tag that says SUBSETTED.
func tagged(body []byte, at int) []byte {
	list, end := members(body, at)
	for _, m := range list {
		if m.name == "tag" && body[m.valueAt] == '[' {
			sep := ","
			if strings.TrimSpace(string(body[m.valueAt+1:m.valueTo-1])) == "" {
				sep = ""
			}
			return apply(body[at:end], []edit{{m.valueTo - 1 - at, m.valueTo - 1 - at, []byte(sep + subsetted)}})
		}
	}
	return append(append(append([]byte{}, body[at:end-1]...), `,"tag":[`+subsetted+`]`...), '}')
}
