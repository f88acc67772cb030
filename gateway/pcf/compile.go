package pcf

import (
	"math"
	"slices"

	"salus/ledger/module/consent"
)

// everyPurpose is every purpose of use that the ledger knows.
var everyPurpose = func() (s consent.Purposes) {
	for p := consent.TREAT; p.Known(); p++ {
		s |= consent.PurposesOf(p)
	}
	return s
}()

// covered are the purposes that a set covers, as the ledger decides it.
func covered(s consent.Purposes) (out consent.Purposes) {
	for _, p := range everyPurpose.List() {
		if consent.Covers(s, p) {
			out |= consent.PurposesOf(p)
		}
	}
	return out
}

// A rule is a provision with nothing left to its parent.
type rule struct {
	path     string
	permit   bool
	from, to uint64 // to is math.MaxUint64 for open
	actors   []consent.Grantee
	purposes consent.Purposes
	labels   Labels
	uses     uint16
}

func (u *rule) wishes() (out []Wish) {
	for _, g := range u.actors {
		w := Wish{Grantee: g, Purposes: u.purposes, NotBefore: u.from, Uses: u.uses}
		if u.to != math.MaxUint64 {
			w.NotAfter = u.to
		}
		if u.permit {
			w.Allow = u.labels
		} else {
			w.Deny = u.labels
		}
		out = append(out, w)
	}
	return out
}

// maxParts is how many grants a Consent may be: what its ids can count.
const maxParts = 256

// compile turns the provision tree into wishes. The ledger decides by the union of what is allowed
// less the union of what is denied. For a root that permits that is what the tree says: its nested
// denials prevail over it and over its nested permits. A root that denies is first cut down by its
// nested permits, because on the ledger it would prevail over them.
func (r *reader) compile() {
	if r.root == nil {
		return
	}
	root := r.rule(r.root, nil)
	rules := []rule{root}
	for _, p := range r.root.nested {
		rules = append(rules, r.rule(p, r.root))
	}
	if len(r.issues) > 0 {
		return
	}
	for i := range rules {
		r.alone(&rules[i], &root, i)
	}
	if !root.permit {
		rules = append(r.cut(root, rules[1:]), rules[1:]...)
	}
	var wishes []Wish
	for i := range rules {
		wishes = append(wishes, rules[i].wishes()...)
	}
	r.d.Wishes = Canonical(wishes)
	if len(r.d.Wishes) > maxParts {
		r.refuse(CodeParts, "too-costly", "the Consent would be more than 256 grants; split it", "Consent.provision")
	}
}

// rule fills a provision up with what its parent says, and with what the policy says where neither
// does. Nobody named is everybody; a denial that names no purpose or label denies all of them.
func (r *reader) rule(p, parent *provision) rule {
	q := *p
	if parent != nil {
		if !q.period {
			q.from, q.to = parent.from, parent.to
		}
		if q.actors == nil {
			q.actors = parent.actors
		}
		if q.purposes == 0 {
			q.purposes = parent.purposes
		}
	}
	u := rule{path: p.path, permit: q.permit, from: q.from, to: q.to, actors: q.actors, purposes: q.purposes, uses: q.uses}
	if u.to == 0 {
		u.to = math.MaxUint64
	}
	if u.actors == nil {
		u.actors = []consent.Grantee{{Kind: consent.AnyClinical}}
		for _, m := range r.o.Community {
			u.actors = append(u.actors, consent.Grantee{Kind: consent.OfMember, Account: m})
		}
	}
	if u.purposes == 0 {
		u.purposes = everyPurpose
		if u.permit {
			u.purposes = r.policy.Purposes
		}
	}
	u.labels = r.labels(p, parent)
	return u
}

func (r *reader) labels(p, parent *provision) (s Labels) {
	if len(p.labels) == 0 {
		switch {
		case !p.permit && (parent == nil || len(parent.labels) == 0 || parent.permit):
			return everything
		case parent == nil || len(parent.labels) == 0:
			return r.policy.Labels
		}
		inherited := provision{path: p.path, permit: p.permit, labels: parent.labels, at: parent.at}
		return r.labels(&inherited, nil)
	}
	for i, c := range p.labels {
		l, issue := labelled(c, p.permit)
		if issue != nil {
			issue.Expression = p.at[i]
			if issue.Severity == "warning" {
				r.d.Notes = append(r.d.Notes, *issue)
			} else {
				r.refuse(issue.Code, "code-invalid", issue.Text, p.at[i])
			}
		}
		s |= l
	}
	return s
}

// alone refuses a permit of sensitivities only, unless the root permits the same the rest of such
// records: of a record every label must be permitted.
func (r *reader) alone(u, root *rule, i int) {
	p := r.root
	if i > 0 {
		p = r.root.nested[i-1]
	}
	named := slices.ContainsFunc(p.labels, func(c Coding) bool { return c.System == SystemLabel })
	if !u.permit || u.labels&kinds != 0 || len(p.labels) == 0 || named {
		return
	}
	within := i > 0 && root.permit && root.labels&kinds == kinds && root.uses == 0 && root.from <= u.from && u.to <= root.to &&
		covered(u.purposes)&^covered(root.purposes) == 0 && r.includes(root.actors, u.actors)
	if !within {
		r.refuse(CodeLabelAlone, "business-rule", "sensitive data is permitted together with what it is of: name N too, or permit N in the provision around this one", u.path+".securityLabel")
	}
}

// includes says whether everybody among inner is surely among outer.
func (r *reader) includes(outer, inner []consent.Grantee) bool {
	everybody := r.rule(&provision{permit: true}, nil).actors
	all := !slices.ContainsFunc(everybody, func(g consent.Grantee) bool { return !slices.Contains(outer, g) })
	return all || !slices.ContainsFunc(inner, func(g consent.Grantee) bool { return !slices.Contains(outer, g) })
}

// cut takes out of a denying root what its nested permits permit.
func (r *reader) cut(root rule, nested []rule) []rule {
	pieces := []rule{root}
	for _, n := range nested {
		if !n.permit {
			continue
		}
		var next []rule
		for _, d := range pieces {
			next = append(next, d.less(&n)...)
		}
		if len(next) != len(pieces) || !slices.EqualFunc(next, pieces, func(a, b rule) bool {
			return a.purposes == b.purposes && a.labels == b.labels && a.from == b.from && a.to == b.to
		}) {
			r.d.Notes = append(r.d.Notes, Issue{"warning", "business-rule", CodeDissent, "where this exception applies, everybody else is not permitted by default, rather than denied whatever another Consent says", n.path})
		}
		pieces = next
	}
	return pieces
}

// less is a denial without what a permit permits, as pieces that do not overlap.
func (u *rule) less(n *rule) (out []rule) {
	mine, theirs := covered(u.purposes), covered(n.purposes)
	inner := mine & theirs
	if inner == 0 || n.from >= u.to || u.from >= n.to || u.labels&n.labels == 0 {
		return []rule{*u}
	}
	piece := func(purposes consent.Purposes, from, to uint64, labels Labels) {
		if purposes != 0 && from < to && labels != 0 {
			p := *u
			p.purposes, p.from, p.to, p.labels = purposes, from, to, labels
			out = append(out, p)
		}
	}
	piece(without(mine&^theirs, inner), u.from, u.to, u.labels)
	inner = without(inner, mine&^theirs)
	piece(inner, u.from, n.from, u.labels)
	piece(inner, n.to, u.to, u.labels)
	piece(inner, max(u.from, n.from), min(u.to, n.to), u.labels&^n.labels)
	return out
}

// without takes out of a set of purposes those that would cover one of the others as well.
func without(s, others consent.Purposes) consent.Purposes {
	for _, p := range s.List() {
		if covered(consent.PurposesOf(p))&others != 0 {
			s &^= consent.PurposesOf(p)
		}
	}
	return s
}
