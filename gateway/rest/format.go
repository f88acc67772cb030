package rest

import (
	"mime"
	"slices"
	"strconv"
	"strings"

	"salus/fhir/search"
)

// A Format is how a resource is written.
type Format string

// The formats, as a CapabilityStatement names them (R4 3.1.0.1.11). What handlers speak is JSON.
const (
	JSON Format = "json"
	XML  Format = "xml"
)

const (
	typeJSON = "application/fhir+json"
	typeXML  = "application/fhir+xml"
)

// byName are the MIME types that name a format.
var byName = map[string]Format{
	typeJSON: JSON, "application/json": JSON, "text/json": JSON,
	typeXML: XML, "application/xml": XML, "text/xml": XML,
}

// asked is the one of the served formats that _format names, which counts more than Accept. The error is errFormat or errAccept.
func asked(query []search.Pair, accept string, served []Format) (Format, error) {
	for _, p := range query {
		if p.Name != "_format" {
			continue
		}
		name := strings.ReplaceAll(p.Value, " ", "+") // a plus that nobody escaped is a space
		f, ok := byName[name]
		if !ok {
			f = Format(name)
		}
		if !slices.Contains(served, f) {
			return "", errFormat
		}
		return f, nil
	}
	if accept == "" {
		return JSON, nil
	}
	return accepted(accept, served)
}

// accepted is the served format that Accept prefers (RFC 9110, 12.5.1): the one of the greater weight, of equal ones the first. XML that is not said
// to be FHIR's is what browsers ask for besides: it counts where JSON is not accepted at all.
func accepted(accept string, served []Format) (Format, error) {
	var best, plain Format
	weight, wild := 0.0, 0.0
	for part := range strings.SplitSeq(accept, ",") {
		typ, params, err := mime.ParseMediaType(part)
		if err != nil || !r4(params["fhirversion"]) {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				continue
			}
		}
		if q <= 0 {
			continue
		}
		if typ == "application/json-patch+json" { // who sends a patch as that often asks for that, too
			typ = typeJSON
		}
		switch f := byName[typ]; {
		case typ == "*/*" || typ == "application/*":
			wild = max(wild, q)
		case !slices.Contains(served, f):
		case f == XML && typ != typeXML:
			plain = f
		case q > weight:
			best, weight = f, q
		}
	}
	switch {
	case best != "" && weight >= wild:
		return best, nil
	case wild > 0:
		return JSON, nil
	case plain != "":
		return plain, nil
	}
	return "", errAccept
}

// media is the format of a body by its Content-Type. The error is errMedia.
func media(contentType string) (Format, error) {
	typ, params, err := mime.ParseMediaType(contentType)
	if err != nil || !r4(params["fhirversion"]) || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return "", errMedia
	}
	if f, ok := byName[typ]; ok {
		return f, nil
	}
	return "", errMedia
}

// r4 reports whether the MIME type parameter fhirVersion, if there is one, is that of R4.
func r4(version string) bool { return version == "" || version == "4.0" || version == "4.0.1" }
