package pcf

import (
	"strings"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// A Reference is a FHIR Reference: a literal one, an identifier, or both.
type Reference struct {
	Reference string // "Practitioner/x"
	Type      string // resource type, for a reference by identifier
	System    string // of the identifier
	Value     string
	Display   string
}

// A Directory says who a reference is on the ledger, and how somebody on the ledger is referred to.
type Directory interface {
	// Grantee is whom a provision names; ok is false for nobody.
	Grantee(ref Reference) (g consent.Grantee, ok bool)
	// Reference is the way back, for whatever is a grantee.
	Reference(g consent.Grantee) Reference
	// Person is the account of a person who agrees: the patient herself, or a proxy.
	Person(ref Reference) (account tx.Account, ok bool)
	// Agent refers to a person or a member by its account.
	Agent(account tx.Account, resourceType string) Reference
}

// Accounts is the Directory of a network that needs no other: everybody is named by the account, as
// the logical id or as an identifier of SystemAccount.
type Accounts struct{}

const anyClinical = "any-clinical"

// Grantee implements Directory.
func (Accounts) Grantee(ref Reference) (g consent.Grantee, ok bool) {
	switch ref.System {
	case SystemCommunity:
		return consent.Grantee{Kind: consent.AnyClinical}, ref.Value == anyClinical
	case SystemRole:
		role, member, at := strings.Cut(ref.Value, "@")
		g = consent.Grantee{Kind: consent.OfRole, Role: role}
		if at {
			account, err := tx.ParseAccount(member)
			if err != nil {
				return g, false
			}
			g.Account = account
		}
		return g, g.Validate() == nil
	}
	typ, account, ok := accountOf(ref)
	if !ok {
		return g, false
	}
	switch typ {
	case "Practitioner", "Device":
		return consent.Grantee{Kind: consent.OnePractitioner, Account: account}, true
	case "Organization":
		return consent.Grantee{Kind: consent.OfMember, Account: account}, true
	}
	return g, false
}

// Reference implements Directory.
func (a Accounts) Reference(g consent.Grantee) Reference {
	switch g.Kind {
	case consent.AnyClinical:
		return Reference{Type: "Group", System: SystemCommunity, Value: anyClinical, Display: "anybody of a clinical member"}
	case consent.OfRole:
		v := g.Role
		if !g.Account.IsZero() {
			v += "@" + g.Account.String()
		}
		return Reference{Type: "Group", System: SystemRole, Value: v}
	case consent.OfMember:
		return a.Agent(g.Account, "Organization")
	}
	return a.Agent(g.Account, "Practitioner")
}

// Person implements Directory.
func (Accounts) Person(ref Reference) (tx.Account, bool) {
	typ, account, ok := accountOf(ref)
	return account, ok && (typ == "Patient" || typ == "RelatedPerson")
}

// Agent implements Directory.
func (Accounts) Agent(account tx.Account, resourceType string) Reference {
	return Reference{Reference: resourceType + "/" + account.String(), Type: resourceType, System: SystemAccount, Value: account.String()}
}

// accountOf reads an account from the literal reference or the identifier; if both are there, they
// must agree.
func accountOf(ref Reference) (typ string, account tx.Account, ok bool) {
	typ = ref.Type
	if ref.Reference != "" {
		t, id, found := strings.Cut(ref.Reference, "/")
		a, err := tx.ParseAccount(id)
		if !found || err != nil || typ != "" && typ != t {
			return "", account, false
		}
		typ, account, ok = t, a, true
	}
	switch {
	case ref.System == "" && ref.Value == "":
		return typ, account, ok
	case ref.System != SystemAccount:
		return "", account, false
	}
	a, err := tx.ParseAccount(ref.Value)
	if err != nil || ok && a != account {
		return "", account, false
	}
	return typ, a, true
}
