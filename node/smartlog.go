package node

import (
	"context"

	"salus/gateway/balp"
	"salus/gateway/smart"
	"salus/ledger/module/consent"
)

// authorised puts into the log what the authorisation server did (IHE BALP, ITI-71); nil says that it is on disk.
func (p *fhirPart) authorised(e smart.Event) error {
	out := balp.Event{Kind: balp.Login, Outcome: balp.Success, User: balp.Who{Reference: e.FHIRUser}, Client: balp.Who{Display: e.Client}}
	switch e.What {
	case "granted", "refreshed":
	case "revoked":
		out.Kind = balp.Logout
	case "registered":
		out.Kind, out.Query = balp.Operation, "POST /oauth2/register"
	default: // refused, denied, or taken for stolen
		if out.Outcome, out.Reason = balp.Serious, e.Why; e.Why == "" {
			out.Reason = e.What
		}
	}
	if out.Client.Display == "" {
		out.Client.Display = "unknown"
	}
	if e.Patient != "" {
		out.Patient = balp.Who{Reference: "Patient/" + e.Patient}
	}
	if purpose, err := consent.ParsePurpose(e.Purpose); err == nil {
		out.Purposes = consent.PurposesOf(purpose)
	}
	return p.event(context.Background(), out)
}
