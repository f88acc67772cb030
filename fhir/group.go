package fhir

import (
	"errors"
	"iter"
	"strings"
)

// A Group is what an input holds of one patient.
type Group struct {
	// PatientResource is the Patient, if the input holds it; else the zero Resource.
	PatientResource Resource
	Items           []Item // in the order of the input, the Patient among them

	reference string
}

// Reference names the patient the same way in every import from the same source:
// "Patient/<id>", or the absolute URL where the source gives one, so that two servers'
// Patient/1 are never taken for one person.
func (g *Group) Reference() string { return g.reference }

// Resources returns the resources of the items.
func (g *Group) Resources() []Resource {
	out := make([]Resource, len(g.Items))
	for i, it := range g.Items {
		out[i] = it.Resource
	}
	return out
}

// A Rejected is an item of the input that was not taken, and why. It holds no content.
type Rejected struct {
	Index int    `json:"index"`
	Type  string `json:"type,omitempty"` // resourceType of FHIR R4, if known
	Issue *Issue `json:"issue"`
}

// GroupByPatient collects items (ReadBundle, ReadNDJSON) and gives each resource to its
// patient:
//
//   - a resource that refers to a patient goes to that patient, also if the Patient itself
//     is not in the input (then there must be a literal reference);
//   - a resource that refers to none goes to the input's only Patient, if there is exactly one;
//   - everything else is rejected: a resource is never given to a patient by guessing.
//
// Groups are in the order in which patients first appear. The error is an *Issue that
// concerns the input as a whole; then nothing is returned.
func GroupByPatient(items iter.Seq2[Item, error]) ([]Group, []Rejected, error) {
	var s sorter
	for it, err := range items {
		if err != nil {
			var f *Issue
			if !errors.As(err, &f) || it.Index < 0 {
				return nil, nil, err
			}
			s.reject(it, f)
			continue
		}
		if s.bytes += len(it.Resource.raw); s.bytes > MaxImport {
			return nil, nil, issue(CodeSize, "")
		}
		s.add(it)
	}
	for _, it := range s.items {
		ref, code := s.patientOf(it)
		if code != "" {
			s.reject(it, issue(code, it.Resource.typ))
			continue
		}
		s.give(ref, it)
	}
	return s.groups, s.rejected, nil
}

// A sorter knows the items of one input by their addresses.
type sorter struct {
	items    []Item
	bytes    int
	byURL    map[string]int // fullUrl → index in items
	byID     map[string]int // Patient/<id> → index in items, or several
	patients []string       // references of the Patients, each once
	groups   []Group
	index    map[string]int // reference → index in groups
	rejected []Rejected
}

const several = -1

func (s *sorter) reject(it Item, f *Issue) {
	s.rejected = append(s.rejected, Rejected{Index: it.Index, Type: it.Type, Issue: f})
}

func (s *sorter) add(it Item) {
	if s.byURL == nil {
		s.byURL, s.byID, s.index = map[string]int{}, map[string]int{}, map[string]int{}
	}
	n := len(s.items)
	if it.FullURL != "" {
		if old, ok := s.byURL[it.FullURL]; ok && !sameIdentity(s.items[old], it) {
			s.reject(it, issue(CodeFullURL, entryName(it.Index)+".fullUrl"))
			return
		}
		s.byURL[it.FullURL] = n
	}
	s.items = append(s.items, it)
	if it.Resource.typ != "Patient" {
		return
	}
	own := ownReference(it)
	if own == "" {
		return
	}
	if _, ok := s.index[own]; !ok {
		s.index[own] = several // seen, no group yet
		s.patients = append(s.patients, own)
	}
	if id := it.Resource.id; id != "" {
		if old, ok := s.byID["Patient/"+id]; ok && (old == several || ownReference(s.items[old]) != own) {
			n = several
		}
		s.byID["Patient/"+id] = n
	}
}

// sameIdentity tells whether two entries under one fullUrl are versions of one resource.
func sameIdentity(a, b Item) bool {
	return a.Resource.typ == b.Resource.typ && a.Resource.id == b.Resource.id
}

// ownReference names a Patient item: its absolute URL, else its id, else its urn.
func ownReference(it Item) string {
	switch {
	case strings.HasPrefix(it.FullURL, "http://"), strings.HasPrefix(it.FullURL, "https://"):
		_, url := classify(it.FullURL)
		return url
	case it.Resource.id != "":
		return "Patient/" + it.Resource.id
	default:
		return it.FullURL
	}
}

// patientOf returns the reference of the patient that an item belongs to, or the code of
// the reason why that cannot be told.
func (s *sorter) patientOf(it Item) (ref, code string) {
	if it.Resource.typ == "Patient" {
		if ref = ownReference(it); ref == "" {
			return "", CodeID
		}
		return ref, ""
	}
	for element := range it.Resource.owners() {
		lost := false
		for _, o := range element {
			found, known := s.follow(o, it)
			switch {
			case !known:
				lost = true
			case found != "" && ref != "" && found != ref:
				return "", CodeReference // one element, several patients
			case found != "":
				ref = found
			}
		}
		switch {
		case ref != "":
			return ref, ""
		case lost: // a less telling element must not decide instead
			return "", CodeReference
		}
	}
	if len(s.patients) == 1 {
		return s.patients[0], ""
	}
	return "", CodeNoPatient
}

// follow returns the patient that a reference leads to, or "" if it leads to something
// else; known is false if it leads nowhere.
func (s *sorter) follow(o owner, it Item) (ref string, known bool) {
	switch o.kind {
	case refPatient:
		return s.resolve(o.ref, it)
	case refOpaque:
		n, ok := s.byURL[o.ref]
		if !ok || s.items[n].Resource.typ != "Patient" {
			return "", ok
		}
		return ownReference(s.items[n]), true
	case refUnfollowed:
		return "", false
	}
	return "", true
}

// resolve turns a literal reference to a Patient into the name of its group. A relative
// one is relative to the item's own server (R4 bundle.html#references).
func (s *sorter) resolve(ref string, it Item) (string, bool) {
	if n, ok := s.byURL[ref]; ok {
		return ownReference(s.items[n]), s.items[n].Resource.typ == "Patient"
	}
	if !strings.HasPrefix(ref, "Patient/") {
		return ref, true
	}
	if base, ok := strings.CutSuffix(it.FullURL, it.Resource.typ+"/"+it.Resource.id); ok && strings.HasPrefix(base, "http") {
		return base + ref, true
	}
	n, ok := s.byID[ref]
	switch {
	case !ok:
		return ref, true
	case n == several:
		return "", false
	}
	return ownReference(s.items[n]), true
}

func (s *sorter) give(ref string, it Item) {
	n, ok := s.index[ref]
	if !ok || n == several {
		n = len(s.groups)
		s.groups = append(s.groups, Group{reference: ref})
		s.index[ref] = n
	}
	g := &s.groups[n]
	if it.Resource.typ == "Patient" && g.PatientResource.raw == nil {
		g.PatientResource = it.Resource
	}
	g.Items = append(g.Items, it)
}
