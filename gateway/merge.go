package gateway

import (
	"net/http"

	"salus/ledger/module/consent"
)

// MergeSlots is the answer of POST /v1/merges/{case}/slots: what whoever approves a merge says with it.
type MergeSlots struct {
	Slots consent.Translation `json:"slots"`
}

// mergeSlots translates the slots of two pseudonyms whose merge is proposed.
func (g *Gateway) mergeSlots(w http.ResponseWriter, r *http.Request) error {
	id, err := hashOf(r, "case")
	if err != nil {
		return err
	}
	slots, err := g.Record.MergeSlots(r.Context(), id)
	if err != nil {
		return err
	}
	return answer(w, MergeSlots{slots})
}
