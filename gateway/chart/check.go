package chart

import (
	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
)

// Expected says by what the versions of an organisation's own resources must be found, and whose they
// must be: what Store.Check compares with.
func Expected(x Indexer) store.Expecter {
	return func(v *store.Version) ([]search.Entry, string, error) {
		r, err := fhir.Parse(v.Body)
		if err != nil || r.Type() != v.Type {
			return nil, "", errVersion
		}
		owner := x.Owner(r)
		switch {
		case v.Record == derived:
			owner = v.Owner // that of what it is about, which it names by versions
		case v.Type == "Patient":
			owner = "Patient/" + v.ID // its id is not in the body that a server's id was given to
		}
		entries, err := x.Entries(r)
		return entries, owner, err
	}
}
