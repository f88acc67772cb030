package pcf

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"salus/ledger"
	"salus/ledger/module/consent"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
)

// A Reader is who may read something of a patient: everybody of a member, those who have a role there, or one person.
type Reader struct {
	Member tx.Account // zero of one person
	Role   string     // "" for everybody of the member
	One    tx.Account // zero of a member's people
	Proxy  bool       // One acts for the patient
	Answer
}

// Readers lists who could open something of a patient now for a purpose, by the ledger's own decision, and what: the people of
// each member, and apart from them those with a role or a name for whom it is more, or less. Whoever has several roles
// gets what Explain says. It is for the patient only. Errors: ErrNotFound, ErrSlots.
func (s *Service) Readers(ctx context.Context, patient tx.Account, purpose consent.Purpose) (out []Reader, err error) {
	i, err := s.inquire(ctx, patient)
	if err != nil {
		return nil, err
	}
	roles, named := i.chart.named()
	everybody := map[tx.Account]Answer{} // of everybody of a member
	if purpose != consent.BTG {          // that is declared
		for _, m := range i.chart.Members {
			p := identity.Principal{Class: ledger.ClassPractitioner, Member: m.Account, Active: true, Privileges: identity.PrivRead | identity.PrivEmergency}
			a := i.answer(i.question(patient, p, m, purpose), i.chart.Consents)
			everybody[m.Account] = a
			if len(a.Labels) > 0 {
				out = append(out, Reader{Member: m.Account, Answer: a})
			}
			for _, role := range roles {
				p.Roles = []string{role}
				if x := i.answer(i.question(patient, p, m, purpose), i.chart.Consents); !slices.Equal(x.Labels, a.Labels) {
					out = append(out, Reader{Member: m.Account, Role: role, Answer: x})
				}
			}
		}
	}
	for _, one := range named {
		who, member, err := s.Chain.Asker(ctx, patient, one, purpose)
		if errors.Is(err, ErrNotFound) {
			continue
		} else if err != nil {
			return nil, err
		}
		if x := i.answer(i.question(patient, who, member, purpose), i.chart.Consents); !slices.Equal(x.Labels, everybody[who.Member].Labels) || who.Class == ledger.ClassPatient && len(x.Labels) > 0 {
			out = append(out, Reader{One: one, Proxy: who.Class == ledger.ClassPatient, Answer: x})
		}
	}
	return out, nil
}

// named are the roles and the people that a patient's consents name, under any of her pseudonyms, and her proxies.
func (c *Chart) named() (roles []string, people []tx.Account) {
	all := []consent.Consents{c.Consents}
	for _, o := range c.Others {
		all = append(all, o.Consents)
	}
	for _, of := range all {
		for _, g := range of.Grants {
			switch to := g.Grant.Grantee; to.Kind {
			case consent.OfRole:
				roles = append(roles, to.Role)
			case consent.OnePractitioner:
				people = append(people, to.Account)
			}
		}
		for _, p := range of.Proxies {
			people = append(people, p.Proxy.Account)
		}
	}
	slices.Sort(roles)
	slices.SortFunc(people, func(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(roles), slices.Compact(people)
}
