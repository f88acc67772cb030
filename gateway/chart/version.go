package chart

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"salus/fhir"
	"salus/gateway/rest"
	"salus/ledger/tx"
	"salus/store"
)

// Directory is the compartment, in the ledger's eyes, of what is in no patient's: practitioners,
// organisations, medications, places. Nobody is ever granted anything of it.
const Directory = "urn:salus:directory"

// derived marks, as store.Version.Record, what this room itself writes: it is made again from the
// ledger, and is no record.
const derived = "derived"

// System of the identifiers that name records and members in Provenance.
const (
	systemRecord = "urn:salus:record" // value: "<batch>/<index>"
	systemMember = "urn:salus:member" // value: the member's account
)

var errVersion = errors.New("chart: a version of the store does not read as a resource")

// recordOf is a version as the record that goes to the ledger: the bytes as they are read, with id
// and meta.versionId, or what says that the resource was deleted.
func (s *Service) recordOf(v *store.Version) (fhir.Resource, error) {
	var body []byte
	if v.Method == store.Delete {
		body = s.deletion(v, 1)
	} else {
		body = rest.Present(v)
	}
	r, err := fhir.Parse(body)
	if err != nil {
		return r, errVersion // the issue may be logged, but says nothing that helps here
	}
	return r, nil
}

// coded is a Coding as JSON.
type coded struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

type concept struct {
	Coding []coded `json:"coding"`
}

type named struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

type reference struct {
	Reference  string `json:"reference,omitempty"`
	Identifier *named `json:"identifier,omitempty"`
}

type agent struct {
	Type concept   `json:"type"`
	Who  reference `json:"who"`
}

type entity struct {
	Role string    `json:"role"`
	What reference `json:"what"`
}

// provenance is R4 Provenance (6.3) as far as it is written here.
type provenance struct {
	ResourceType string      `json:"resourceType"`
	ID           string      `json:"id"`
	Target       []reference `json:"target"`
	Recorded     string      `json:"recorded"`
	Activity     concept     `json:"activity"`
	Agent        []agent     `json:"agent"`
	Entity       []entity    `json:"entity,omitempty"`
}

const (
	systemActivity = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
	systemAgent    = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	instant        = "2006-01-02T15:04:05.000Z07:00"
)

// activity is the code of v3-DataOperation for what made a version.
func activity(m store.Method) string {
	switch m {
	case store.Create:
		return "CREATE"
	case store.Delete:
		return "DELETE"
	}
	return "UPDATE"
}

func provenanceOf(author tx.Account, method store.Method, id string, at time.Time, targets ...string) provenance {
	p := provenance{
		ResourceType: "Provenance", ID: id, Recorded: at.UTC().Format(instant), Activity: concept{[]coded{{systemActivity, activity(method)}}},
		Agent: []agent{{concept{[]coded{{systemAgent, "author"}}}, reference{Identifier: &named{systemMember, author.String()}}}},
	}
	for _, t := range targets {
		p.Target = append(p.Target, reference{Reference: t})
	}
	return p
}

// versionRef names a version of a resource (R4 2.3.0.1).
func versionRef(typ, id string, vid int64) string {
	return fmt.Sprintf("%s/%s/_history/%d", typ, id, vid)
}

// deletion says that a resource was deleted, to the nth of those who could read it in different
// ways.
func (s *Service) deletion(v *store.Version, nth int) []byte {
	id := fmt.Sprintf("deleted-%x-%d", short(v.Type, v.ID, fmt.Sprint(v.VID)), nth)
	p := provenanceOf(s.Self, store.Delete, id, v.Updated, versionRef(v.Type, v.ID, v.VID))
	b, _ := json.Marshal(p) // strings only
	return b
}

// short is a digest of parts, long enough that nobody finds two with the same.
func short(parts ...string) []byte {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return h.Sum(nil)[:16]
}

// A gone is what a deletion says.
type gone struct {
	Type, ID string
	VID      int64
	At       time.Time
}

// deletionOf reads a deletion; ok is false of every other resource.
func deletionOf(r fhir.Resource) (g gone, ok bool) {
	if r.Type() != "Provenance" || !strings.HasPrefix(r.ID(), "deleted-") {
		return g, false
	}
	var p provenance
	if json.Unmarshal(r.Raw(), &p) != nil || len(p.Target) != 1 || len(p.Activity.Coding) != 1 ||
		p.Activity.Coding[0] != (coded{systemActivity, "DELETE"}) {
		return g, false
	}
	if g.At, ok = parseInstant(p.Recorded); !ok {
		return g, false
	}
	g.Type, g.ID, g.VID, ok = splitVersion(p.Target[0].Reference)
	return g, ok
}

// ownerName is how the ledger side knows a compartment of the store.
func ownerName(owner string) string {
	if owner == "" {
		return Directory
	}
	return owner
}

// maxFormer bounds how many former versions are looked at for their labels.
const maxFormer = 100

func parseInstant(s string) (time.Time, bool) {
	t, err := time.Parse(instant, s)
	return t, err == nil
}

// recordsOf is a version as records: its own, unless it is a deletion, and a deletion for each set
// of labels of former versions under which somebody could go on reading what this version takes
// back: a deleted resource, or one that has since come to bear a label that she is not allowed.
func (s *Service) recordsOf(ctx context.Context, v *store.Version) (rs []fhir.Resource, labels [][]fhir.Label, err error) {
	var own []fhir.Label
	r, err := s.recordOf(v)
	if err != nil {
		return nil, nil, err
	}
	if v.Method != store.Delete {
		own = fhir.LabelsOf(r)
		rs, labels = append(rs, r), append(labels, own)
	}
	seen := map[string]bool{}
	for vid := v.VID - 1; vid > max(0, v.VID-1-maxFormer); vid-- {
		f, err := s.Store.ReadVersion(ctx, v.Key, vid)
		if errors.Is(err, store.ErrGone) || errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		fr, err := s.recordOf(&f)
		if err != nil {
			return nil, nil, err
		}
		former := fhir.LabelsOf(fr)
		if name := fmt.Sprint(former); seen[name] || v.Method != store.Delete && within(own, former) {
			continue
		} else {
			seen[name] = true
		}
		d := *v
		d.Method = store.Delete
		g, err := fhir.Parse(s.deletion(&d, len(seen)))
		if err != nil {
			return nil, nil, errVersion
		}
		rs, labels = append(rs, g), append(labels, former)
	}
	return rs, labels, nil
}

// within reports whether whoever may read what bears the labels of set may read what bears part.
func within(part, set []fhir.Label) bool {
	for _, l := range part {
		if !slices.Contains(set, l) {
			return false
		}
	}
	return true
}
