package portal

import (
	"net/http"
	"strconv"

	"salus/ledger"
	"salus/ledger/tx"
)

// Tx is what the portal tells strangers of a transaction. It names no patient, although members see
// pseudonyms; and not the transaction's id, with which its effects can be asked for.
type Tx struct {
	Kind  tx.Kind    `json:"kind"`
	Bytes int        `json:"bytes"`
	Known bool       `json:"known"` // this node knows how it went
	Code  uint32     `json:"code"`  // 0: it took effect
	By    string     `json:"by"`    // class of the signer: "member", "practitioner", "device", "patient", "" if unknown
	Of    tx.Account `json:"of"`    // the member that signed, or whose practitioner or device did; zero for patients

	// Signer is not sent.
	Signer tx.Account `json:"-"`
}

// Committee is the answer of GET /api/committee: who holds shares of keys now.
type Committee struct {
	Epoch   uint64       `json:"epoch"`
	Total   int          `json:"total"`
	Needed  int          `json:"needed"` // shares that open a record
	Members []tx.Account `json:"members"`
	From    uint64       `json:"from"` // height
}

func (p *Portal) committee(w http.ResponseWriter, r *http.Request, _ *session) error {
	c, err := p.Reading.Committee(r.Context())
	if err != nil {
		return err
	}
	e := c.Epoch
	return answer(w, Committee{e.Epoch, int(e.N), int(e.T), append([]tx.Account{}, e.Members...), e.From})
}

// blockTxs lists the transactions of a block in their order.
func (p *Portal) blockTxs(w http.ResponseWriter, r *http.Request, _ *session) error {
	n, err := strconv.ParseInt(r.PathValue("height"), 10, 64)
	if err != nil || n < 1 {
		return errArgument
	}
	if n > p.Ledger.Head().Height {
		return errUnknown
	}
	list, err := p.Blocks.Txs(r.Context(), n)
	if err != nil {
		return err
	}
	out := []Tx{}
	for _, t := range list {
		t.By, t.Of = "", tx.Account{}
		if who, ok := p.Ledger.Standing(t.Signer); ok {
			switch who.Class {
			case ledger.ClassPatient:
				t.By = "patient"
			case ledger.ClassPractitioner:
				t.By, t.Of = "practitioner", who.Member
			case ledger.ClassDevice:
				t.By, t.Of = "device", who.Member
			default:
				t.By, t.Of = "member", t.Signer
			}
		}
		out = append(out, t)
	}
	return answer(w, out)
}
