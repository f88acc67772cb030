package rest

import (
	"net/http"
	"slices"
	"strings"

	"salus/fhir/search"
)

// A Statement is what the CapabilityStatement says besides what the server knows itself.
type Statement struct {
	Name        string // of the software
	Version     string
	Description string // of this installation
	Date        string // when this was decided, a FHIR dateTime
}

type capability struct {
	ResourceType   string         `json:"resourceType"`
	Status         string         `json:"status"`
	Date           string         `json:"date"`
	Kind           string         `json:"kind"`
	Software       software       `json:"software"`
	Implementation implementation `json:"implementation"`
	FHIRVersion    string         `json:"fhirVersion"`
	Guides         []string       `json:"implementationGuide,omitempty"`
	Format         []Format       `json:"format"`
	PatchFormat    []string       `json:"patchFormat"`
	Rest           []restPart     `json:"rest"`
}

type software struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type implementation struct {
	Description string `json:"description"`
	URL         string `json:"url"`
}

type extension struct {
	URL       string `json:"url"`
	Canonical string `json:"valueCanonical,omitempty"`
	URI       string `json:"valueUri,omitempty"`
}

type restPart struct {
	Extension   []extension    `json:"extension,omitempty"`
	Mode        string         `json:"mode"`
	Resource    []resourcePart `json:"resource"`
	Interaction []codePart     `json:"interaction"`
	SearchParam []paramPart    `json:"searchParam,omitempty"`
	Operation   []operatePart  `json:"operation,omitempty"`
}

type operatePart struct {
	Name       string `json:"name"`
	Definition string `json:"definition"`
}

type codePart struct {
	Code string `json:"code"`
}

type resourcePart struct {
	Extension         []extension `json:"extension,omitempty"`
	Type              string      `json:"type"`
	Profiles          []string    `json:"supportedProfile,omitempty"`
	Interaction       []codePart  `json:"interaction"`
	Versioning        string      `json:"versioning"`
	ReadHistory       bool        `json:"readHistory"`
	UpdateCreate      bool        `json:"updateCreate"`
	ConditionalCreate bool        `json:"conditionalCreate"`
	ConditionalRead   string      `json:"conditionalRead"`
	ConditionalUpdate bool        `json:"conditionalUpdate"`
	ConditionalDelete string      `json:"conditionalDelete"`
	SearchInclude     []string    `json:"searchInclude,omitempty"`
	SearchRevInclude  []string    `json:"searchRevInclude,omitempty"`
	SearchParam       []paramPart `json:"searchParam,omitempty"`

	Operation []operatePart `json:"operation,omitempty"`
}

type paramPart struct {
	Name          string `json:"name"`
	Definition    string `json:"definition,omitempty"`
	Type          string `json:"type"`
	Documentation string `json:"documentation,omitempty"`
}

// metadata is the CapabilityStatement (R4 3.1.0.9), made from what route and search serve.
func (s *Server) metadata(*ask) (*answer, error) {
	c := capability{
		ResourceType: "CapabilityStatement", Status: "active", Date: s.Statement.Date, Kind: "instance",
		Software:       software{Name: s.Statement.Name, Version: s.Statement.Version},
		Implementation: implementation{Description: s.Statement.Description, URL: s.Base},
		Guides:         s.Guides,
		FHIRVersion:    "4.0.1", Format: s.Formats, PatchFormat: []string{"application/json-patch+json"},
	}
	if c.Date == "" {
		c.Date = s.Now().UTC().Format("2006-01-02")
	}
	part := restPart{Mode: "server", Interaction: codes("transaction", "batch", "search-system", "history-system"), SearchParam: []paramPart{{Name: "_filter", Type: search.Special.String()}}}
	if s.WebSocket != "" {
		part.Extension = append(part.Extension, extension{URL: "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket", URI: s.WebSocket})
	}
	for i := range s.Operations {
		if o := &s.Operations[i]; o.System {
			part.Operation = append(part.Operation, operatePart{o.Name, o.Definition})
		}
	}
	lister, _ := s.Params.(search.Lister)
	for _, t := range s.Types {
		r := resourcePart{
			Type: t, Profiles: s.Profiles[t],
			Interaction: codes("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type"),
			Versioning:  "versioned-update", ReadHistory: true, UpdateCreate: true,
			ConditionalCreate: true, ConditionalRead: "full-support", ConditionalUpdate: true, ConditionalDelete: "single",
		}
		if s.DeleteMany > 1 {
			r.ConditionalDelete = "multiple"
		}
		if t == "Subscription" {
			for _, topic := range s.Topics {
				r.Extension = append(r.Extension, extension{URL: "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/capabilitystatement-subscriptiontopic-canonical", Canonical: topic})
			}
		}
		for i := range s.Operations {
			if o := &s.Operations[i]; slices.Contains(o.Types, t) || slices.Contains(o.Instances, t) {
				r.Operation = append(r.Operation, operatePart{o.Name, o.Definition})
			}
		}
		if lister != nil {
			for _, p := range lister.List(t) {
				if p.Kind == search.Special {
					continue
				}
				r.SearchParam = append(r.SearchParam, paramPart{Name: p.Code, Definition: p.Definition, Type: p.Kind.String(), Documentation: p.Documentation})
				if p.Kind == search.Reference {
					r.SearchInclude = append(r.SearchInclude, t+":"+p.Code)
				}
			}
		}
		part.Resource = append(part.Resource, r)
	}
	for _, b := range s.Beside {
		r := resourcePart{Type: b.Type, Interaction: codes(b.Interactions...), Versioning: "versioned", ConditionalRead: "not-supported", ConditionalDelete: "not-supported"}
		for _, p := range b.Params {
			r.SearchParam = append(r.SearchParam, paramPart{Name: p[0], Type: p[1]})
		}
		for _, o := range b.Operations {
			r.Operation = append(r.Operation, operatePart{o[0], o[1]})
		}
		part.Resource = append(part.Resource, r)
	}
	slices.SortFunc(part.Resource, func(a, b resourcePart) int { return strings.Compare(a.Type, b.Type) })
	if lister != nil {
		s.revIncludes(&part, lister)
	}
	if s.Patch != nil {
		c.PatchFormat = append(c.PatchFormat, typeJSON)
		if slices.Contains(s.Formats, XML) {
			c.PatchFormat = append(c.PatchFormat, typeXML)
		}
	}
	c.Rest = []restPart{part}
	return &answer{status: http.StatusOK, body: must(c)}, nil
}

// revIncludes lists what may refer to each type.
func (s *Server) revIncludes(part *restPart, lister search.Lister) {
	for _, t := range s.Types {
		for _, p := range lister.List(t) {
			if p.Kind != search.Reference {
				continue
			}
			for i := range part.Resource {
				if slices.Contains(p.Targets, part.Resource[i].Type) {
					part.Resource[i].SearchRevInclude = append(part.Resource[i].SearchRevInclude, t+":"+p.Code)
				}
			}
		}
	}
	for i := range part.Resource {
		slices.SortFunc(part.Resource[i].SearchRevInclude, strings.Compare)
	}
}

func codes(cs ...string) (out []codePart) {
	for _, c := range cs {
		out = append(out, codePart{c})
	}
	return out
}
