package consent

import (
	"salus/ledger/state"
	"salus/ledger/tx"
)

// Keys of prefix 0x06:
//
//	06 01 patient[16] id[16]       -> Standing
//	06 02 patient[16] account[16]  -> StandingProxy
//	06 03 patient[16]              -> Head
//	06 04 patient[16]              -> United
var (
	grants  = state.NewTable[Standing]("grants", Prefix, 0x01)
	proxies = state.NewTable[StandingProxy]("proxies", Prefix, 0x02)
	heads   = state.NewTable[Head]("consent heads", Prefix, 0x03)
	united  = state.NewTable[United]("united pseudonyms", Prefix, 0x04)
)

// GrantKey is the state key of a grant's row, for proofs: its absence proves
// that the grant is not, or no longer, given.
func GrantKey(patient tx.Account, id GrantID) []byte {
	return append([]byte{Prefix, 0x01}, pair(patient, id)...)
}

// HeadKey is the state key of a patient's consent head, for proofs.
func HeadKey(patient tx.Account) []byte {
	return append([]byte{Prefix, 0x03}, patient[:]...)
}

func pair(patient tx.Account, id [16]byte) []byte {
	return append(patient[:], id[:]...)
}

// Consents is everything a decision about one patient reads.
type Consents struct {
	Head    Head            `cbor:"1,keyasint" json:"head"`
	Grants  []Standing      `cbor:"2,keyasint" json:"grants"`  // in the order of their ids
	Proxies []StandingProxy `cbor:"3,keyasint" json:"proxies"` // in the order of their accounts
}

// Load reads one patient's consents. An unknown patient has none.
func Load(r state.Reader, patient tx.Account) Consents {
	c := Consents{Head: HeadOf(r, patient)}
	grants.SharedScan(r, patient[:], func(_ []byte, s Standing) bool {
		c.Grants = append(c.Grants, s)
		return true
	})
	proxies.SharedScan(r, patient[:], func(_ []byte, p StandingProxy) bool {
		c.Proxies = append(c.Proxies, p)
		return true
	})
	return c
}

// HeadOf returns the patient's head; it is zero before the first consent.
func HeadOf(r state.Reader, patient tx.Account) Head {
	h, _ := heads.Get(r, patient[:])
	return h
}

// LookupGrant returns a grant by its id.
func LookupGrant(r state.Reader, patient tx.Account, id GrantID) (Standing, bool) {
	return grants.Get(r, pair(patient, id))
}

// LookupProxy returns a proxy by its account, in force or not.
func LookupProxy(r state.Reader, patient, account tx.Account) (StandingProxy, bool) {
	return proxies.Get(r, pair(patient, account))
}

func tables() []state.TableInfo {
	return []state.TableInfo{grants.Info(), proxies.Info(), heads.Info(), united.Info()}
}
