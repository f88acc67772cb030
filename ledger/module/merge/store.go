package merge

import (
	"bytes"
	"slices"

	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x0d:
//
//	0d 01 case[32]    -> Case
//	0d 02 patient[16] -> Links: its open cases
var (
	cases = state.NewTable[Case]("merge cases", Prefix, 0x01)
	links = state.NewTable[Links]("merge links", Prefix, 0x02)
)

// Lookup returns the case of that id.
func Lookup(r state.Reader, id tx.Hash) (Case, bool) { return cases.Get(r, id[:]) }

// Linked returns the pseudonyms that are merged with this one, ascending. A reader who may
// open sessions for each of them opens one for each; none opens another's records.
func Linked(r state.Reader, patient tx.Account) (out []tx.Account) {
	for _, l := range LinksOf(r, patient) {
		out = append(out, l.Other)
	}
	slices.SortFunc(out, func(a, b tx.Account) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// A Link is another pseudonym of a patient.
type Link struct {
	Other    tx.Account
	Replaced bool // the other one stays
}

// LinksOf returns the pseudonyms that are merged with this one, in the order of their cases' ids.
func LinksOf(r state.Reader, patient tx.Account) (out []Link) {
	for _, c := range CasesOf(r, patient) {
		if c.Standing == Merged {
			out = append(out, Link{Other: c.other(patient), Replaced: c.Goes == patient})
		}
	}
	return out
}

// CasesOf returns the open cases of one pseudonym, proposed and merged, in the order of their ids.
func CasesOf(r state.Reader, patient tx.Account) (out []Case) {
	l, _ := links.Get(r, patient[:])
	for _, id := range l.Cases {
		if c, ok := Lookup(r, id); ok {
			out = append(out, c)
		}
	}
	return out
}

func (c *Case) other(patient tx.Account) tx.Account {
	if c.Stays == patient {
		return c.Goes
	}
	return c.Stays
}

// link enters an open case of a pseudonym, unlink takes it out.
func link(w state.Writer, patient tx.Account, id tx.Hash) {
	l, _ := links.Get(w, patient[:])
	list := append(slices.Clone(l.Cases), id)
	slices.SortFunc(list, func(a, b tx.Hash) int { return bytes.Compare(a[:], b[:]) })
	links.Put(w, patient[:], Links{list})
}

func unlink(w state.Writer, patient tx.Account, id tx.Hash) {
	l, _ := links.Get(w, patient[:])
	list := slices.DeleteFunc(slices.Clone(l.Cases), func(x tx.Hash) bool { return x == id })
	if len(list) == 0 {
		links.Delete(w, patient[:])
		return
	}
	links.Put(w, patient[:], Links{list})
}

func tables() []state.TableInfo { return []state.TableInfo{cases.Info(), links.Info()} }
