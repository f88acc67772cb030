package record

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"salus/client"
	"salus/fhir"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
)

// A Wish is a grant in the patient's words.
type Wish struct {
	Grantee  consent.Grantee
	Purposes consent.Purposes
	// Only names the labels that may be seen; empty means all but Without.
	Only []fhir.Label
	// Without names labels that this grant withholds and no other grant may give the same grantee.
	Without []fhir.Label
	// From and Until bound it; zero means open.
	From, Until time.Time
	// Uses above zero makes it good for that many sessions.
	Uses uint16
}

// Grant turns a wish into masks under the patient's secret slot map and puts it on the ledger.
// id is fresh and version 0 for a new grant; otherwise they name the one to replace.
func Grant(ctx context.Context, submit Submitter, patient tx.Account, slots *SlotMap, id consent.GrantID, version uint64, w Wish) (client.Committed, error) {
	allowed := w.Only
	if len(allowed) == 0 {
		allowed = fhir.AllLabels()
	}
	allowed = slices.DeleteFunc(slices.Clone(allowed), func(l fhir.Label) bool { return slices.Contains(w.Without, l) })
	mask, except, err := slots.GrantMasks(rand.Reader, allowed, w.Without)
	if err != nil {
		return client.Committed{}, err
	}
	g := consent.Grant{ID: id, Version: version + 1, Grantee: w.Grantee, Mask: mask, Except: except, Purposes: w.Purposes, Uses: w.Uses}
	if !w.From.IsZero() {
		g.NotBefore = uint64(w.From.Unix())
	}
	if !w.Until.IsZero() {
		g.NotAfter = uint64(w.Until.Unix())
	}
	return submit.Submit(ctx, consent.KindGrant, &consent.Give{Patient: patient, Grant: g})
}

// NewGrantID draws the id of a new grant.
func NewGrantID() (id consent.GrantID, err error) {
	if _, err := rand.Read(id[:]); err != nil {
		return id, fmt.Errorf("record: random numbers: %w", err)
	}
	return id, nil
}

// Revoke ends one grant, or all of them when id is zero. From its block on, custodians release
// nothing more under it, also to sessions that were opened before.
func Revoke(ctx context.Context, submit Submitter, patient tx.Account, id consent.GrantID) (client.Committed, error) {
	return submit.Submit(ctx, consent.KindRevoke, &consent.Revoke{Patient: patient, ID: id})
}
