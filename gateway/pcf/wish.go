package pcf

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/record"
)

// Labels is a set of labels: bit i is the label at place i of fhir.AllLabels.
type Labels uint32

var (
	table      = fhir.AllLabels()
	everything = Labels(1)<<len(table) - 1
	kinds      = setOf(func(l fhir.Label) bool { return !l.Sensitive() })
	psythpn    = setOf(func(l fhir.Label) bool { return l == fhir.PSYTHPN })
	veryOnly   = setOf(func(l fhir.Label) bool { return l == fhir.V })
	restricted = setOf(func(l fhir.Label) bool { return l == fhir.R })
	// usual is what a permit means that names no label: everything but very restricted data and
	// psychotherapy notes, which need a permit of their own (45 CFR 164.508(a)(2)).
	usual = everything &^ psythpn &^ veryOnly
)

func setOf(in func(fhir.Label) bool) (s Labels) {
	for i, l := range table {
		if in(l) {
			s |= 1 << i
		}
	}
	return s
}

// LabelsOf is the set of the given labels; unknown ones are left out.
func LabelsOf(labels ...fhir.Label) Labels {
	return setOf(func(l fhir.Label) bool { return slices.Contains(labels, l) })
}

// List returns the labels in the order of fhir.AllLabels.
func (s Labels) List() []fhir.Label {
	var out []fhir.Label
	for i, l := range table {
		if s&(1<<i) != 0 {
			out = append(out, l)
		}
	}
	return out
}

// A Wish is one grant in words: record.Wish with nothing implied. Of a record each label must be
// in Allow, of this or another wish that matches, and none in Deny of any.
type Wish struct {
	Grantee   consent.Grantee
	Purposes  consent.Purposes
	NotBefore uint64 // unix seconds
	NotAfter  uint64 // unix seconds, exclusive; 0 = open
	Uses      uint16 // sessions it may open; 0 = no limit
	Allow     Labels
	Deny      Labels
}

// frame is what a wish matches by.
type frame struct {
	grantee   consent.Grantee
	purposes  consent.Purposes
	notBefore uint64
	notAfter  uint64
}

func (w *Wish) frame() frame { return frame{w.Grantee, w.Purposes, w.NotBefore, w.NotAfter} }

func compareGrantees(a, b consent.Grantee) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), slices.Compare(a.Account[:], b.Account[:]), cmp.Compare(a.Role, b.Role))
}

func compareWishes(a, b Wish) int {
	return cmp.Or(
		cmp.Compare(a.NotBefore, b.NotBefore), cmp.Compare(a.NotAfter, b.NotAfter), cmp.Compare(a.Purposes, b.Purposes),
		compareGrantees(a.Grantee, b.Grantee), cmp.Compare(a.Uses, b.Uses),
	)
}

// Canonical makes wishes that say the same the same: they are in order; those of one frame and
// number of uses are one; the first of a frame carries what it denies, and none of the frame allows
// that; what says nothing is left out, unless it is all there is.
func Canonical(wishes []Wish) []Wish {
	sorted := slices.Clone(wishes)
	slices.SortFunc(sorted, compareWishes)
	var out []Wish
	for i := 0; i < len(sorted); {
		f := sorted[i].frame()
		var rows []Wish
		var denied Labels
		for ; i < len(sorted) && sorted[i].frame() == f; i++ {
			w := sorted[i]
			denied |= w.Deny
			if n := len(rows); n > 0 && rows[n-1].Uses == w.Uses {
				rows[n-1].Allow |= w.Allow
			} else {
				w.Deny = 0
				rows = append(rows, w)
			}
		}
		for k := range rows {
			rows[k].Allow &^= denied
		}
		rows = slices.DeleteFunc(rows, func(w Wish) bool { return w.Allow == 0 })
		if len(rows) == 0 {
			rows = []Wish{{Grantee: f.grantee, Purposes: f.purposes, NotBefore: f.notBefore, NotAfter: f.notAfter}}
		}
		rows[0].Deny = denied
		out = append(out, rows...)
	}
	silent := func(w Wish) bool { return w.Allow|w.Deny == 0 }
	if slices.ContainsFunc(out, func(w Wish) bool { return !silent(w) }) {
		out = slices.DeleteFunc(out, silent)
	} else if len(out) > 1 {
		out = out[:1]
	}
	return out
}

// Grant turns the wish into the grant's masks under the patient's secret slot map. Id, version and
// what says who recorded it are the caller's.
func (w *Wish) Grant(random io.Reader, slots *record.SlotMap) (g consent.Grant, err error) {
	g = consent.Grant{Grantee: w.Grantee, Purposes: w.Purposes, NotBefore: w.NotBefore, NotAfter: w.NotAfter, Uses: w.Uses}
	if g.Mask, g.Except, err = slots.GrantMasks(random, w.Allow.List(), w.Deny.List()); err != nil {
		return g, fmt.Errorf("pcf: masks: %w", err)
	}
	return g, nil
}

// WishOf reads a grant's masks with the patient's slot map.
func WishOf(g *consent.Grant, slots *record.SlotMap) (Wish, error) {
	w := Wish{Grantee: g.Grantee, Purposes: g.Purposes, NotBefore: g.NotBefore, NotAfter: g.NotAfter, Uses: g.Uses}
	for i, l := range table {
		slot, ok := slots.Slot(l)
		if !ok {
			return Wish{}, ErrSlots
		}
		if g.Except&(1<<slot) != 0 {
			w.Deny |= 1 << i
		} else if g.Mask&(1<<slot) != 0 {
			w.Allow |= 1 << i
		}
	}
	return w, nil
}
