package portal

import (
	"context"
	"net/http"

	"salus/ledger/module/erasure"
	"salus/ledger/tx"
)

// holds answers the legal holds that stand against erasing something of this patient's: erasure.HoldList,
// canonical CBOR. Whose a held batch is the ledger does not know, so those of batches are told to all.
func (p *Portal) holds(w http.ResponseWriter, s *session) error {
	b, err := p.Ledger.Ask("erasure/holds", nil)
	if err != nil {
		return err
	}
	var all, own erasure.HoldList
	if err := tx.DecodeAny(b, &all, len(b)); err != nil {
		return err
	}
	for _, h := range all.Holds {
		if h.Patient == s.account || h.Patient == (tx.Account{}) {
			own.Holds = append(own.Holds, h)
		}
	}
	return encoded(w, own)
}

// erasureReceipt proves how a case of erasure of this patient stands.
func (p *Portal) erasureReceipt(w http.ResponseWriter, r *http.Request, s *session) error {
	id, err := tx.ParseHash(r.PathValue("id"))
	if err != nil {
		return errArgument
	}
	var k erasure.Case
	if err := p.askLedger("erasure/case", erasure.ByCase{Case: id}, &k); err != nil || k.Patient != s.account {
		return errUnknown
	}
	ctx, cancel := context.WithTimeout(r.Context(), proofTime)
	defer cancel()
	return sendReceipt(w)(p.Prover.Row(ctx, erasure.CaseKey(id)))
}
