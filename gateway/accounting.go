package gateway

import (
	"net/http"
	"strconv"

	"salus/gateway/balp"
	"salus/gateway/oversight"
)

// accounting is what the privacy officer keeps for accountings of disclosures.
func (g *Gateway) accounting(w http.ResponseWriter, r *http.Request) error {
	k, err := g.Accounting.Kept(r.Context())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return answer(w, k)
}

// Disclosed is the answer of POST /v1/accounting/disclosures.
type Disclosed struct {
	Event string `json:"event"` // id of the AuditEvent
}

func (g *Gateway) disclosed(w http.ResponseWriter, r *http.Request) error {
	var in oversight.Disclosure
	if err := body(r, &in); err != nil {
		return err
	}
	id, err := g.Accounting.Disclosed(r.Context(), in)
	if err != nil {
		return err
	}
	return answer(w, Disclosed{id})
}

func (g *Gateway) suspend(w http.ResponseWriter, r *http.Request) error {
	var in balp.Suspension
	if err := body(r, &in); err != nil {
		return err
	}
	out, err := g.Accounting.Suspend(r.Context(), in)
	if err != nil {
		return err
	}
	return answer(w, out)
}

func (g *Gateway) resume(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.ParseUint(r.PathValue("number"), 10, 64)
	if err != nil {
		return errArgument
	}
	out, err := g.Accounting.Resume(r.Context(), number)
	if err != nil {
		return err
	}
	return answer(w, out)
}

func (g *Gateway) study(w http.ResponseWriter, r *http.Request) error {
	var in balp.Study
	if err := body(r, &in); err != nil {
		return err
	}
	if err := g.Accounting.SetStudy(r.Context(), in); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Address is the body of POST /v1/accounting/addresses.
type Address struct {
	Recipient string `json:"recipient"`
	Address   string `json:"address"` // "" forgets it
}

func (g *Gateway) address(w http.ResponseWriter, r *http.Request) error {
	var in Address
	if err := body(r, &in); err != nil {
		return err
	}
	if err := g.Accounting.SetAddress(r.Context(), in.Recipient, in.Address); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
