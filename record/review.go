package record

import (
	"time"

	"salus/fhir"
)

// Confidential are the labels that a parent's proxy goes without where her form says nothing else: what a minor may
// consent to alone in many places, which a parent then has no right to see (45 CFR 164.502(g)(3)(i)), sexuality and
// sexually transmitted disease; and restricted, which is what ADOL, an adolescent's confidence, is here.
func Confidential() []fhir.Label { return []fhir.Label{fhir.R, fhir.SEX, fhir.STD} }

// Review is the end that a steward gives a parent's proxy on the ledger: the first day of the
// calendar quarter in which the child comes of age, at 0 h UTC. The day itself would tell
// everybody when the child was born; the quarter ends the proxy early rather than late.
func Review(majority time.Time) time.Time {
	return time.Date(majority.Year(), (majority.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC)
}
