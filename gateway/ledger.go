package gateway

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"salus/ledger"
	"salus/ledger/tx"
	"salus/receipt"
)

func practitioner(device bool) ledger.Class {
	if device {
		return ledger.ClassDevice
	}
	return ledger.ClassPractitioner
}

// Head is GET /v1/head.
type Head struct {
	Height  int64   `json:"height"`
	Time    uint64  `json:"time"`
	AppHash tx.Hash `json:"appHash"`
	Chain   string  `json:"chain"`
}

func (g *Gateway) head(w http.ResponseWriter, r *http.Request) error {
	if above := r.URL.Query().Get("above"); above != "" {
		n, err := strconv.ParseInt(above, 10, 64)
		if err != nil {
			return errArgument
		}
		ctx, cancel := g.waiting(r)
		defer cancel()
		if err := g.Client.Transport().WaitChange(ctx, n); err != nil {
			return err
		}
	}
	h := g.App.Head()
	return answer(w, Head{h.Height, h.Time, h.AppHash, h.Chain})
}

func (g *Gateway) nonce(w http.ResponseWriter, r *http.Request) error {
	a, err := accountOf(r, "account")
	if err != nil {
		return err
	}
	n, err := g.Client.Transport().NextNonce(r.Context(), a)
	if err != nil {
		return err
	}
	return answer(w, map[string]uint64{"next": n})
}

// broadcast takes a transaction that somebody signed elsewhere.
func (g *Gateway) broadcast(w http.ResponseWriter, r *http.Request) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, tx.MaxTx+1))
	if err != nil {
		return err
	}
	if err := g.Client.Transport().Broadcast(r.Context(), raw); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (g *Gateway) result(w http.ResponseWriter, r *http.Request) error {
	id, err := hashOf(r, "id")
	if err != nil {
		return err
	}
	got, ok, err := g.Client.Transport().Result(r.Context(), id)
	if err != nil {
		return err
	}
	if !ok {
		return errUnknown
	}
	return answer(w, got)
}

// raw answers the bytes of a committed transaction.
func (g *Gateway) raw(w http.ResponseWriter, r *http.Request) error {
	id, err := hashOf(r, "id")
	if err != nil {
		return err
	}
	got, ok := g.App.Result(id)
	if !ok {
		return errUnknown
	}
	b, err := g.RawTx(got.Height, got.Index)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/cbor")
	_, err = w.Write(b)
	return err
}

// submit signs a message as this organisation, or as one of its staff, and waits for the commit.
func (g *Gateway) submit(w http.ResponseWriter, r *http.Request) error {
	kind := tx.Kind(r.PathValue("kind"))
	i := slices.IndexFunc(g.Calls, func(c ledger.Call) bool { return c.Kind == kind })
	if i < 0 {
		return errUnknown
	}
	msg := g.Calls[i].New()
	if err := body(r, msg); err != nil {
		return err
	}
	by := g.Member
	if as := r.URL.Query().Get("as"); as != "" {
		s, err := g.Staff.Signer(as)
		if err != nil {
			return err
		}
		by = g.Client.As(s)
	}
	got, err := by.Submit(r.Context(), kind, msg)
	if err != nil {
		return err
	}
	return answer(w, got)
}

// query answers canonical CBOR in hex: ?arg=<hex>.
func (g *Gateway) query(w http.ResponseWriter, r *http.Request) error {
	arg, err := hex.DecodeString(r.URL.Query().Get("arg"))
	if err != nil {
		return errArgument
	}
	out, err := g.App.Ask(r.PathValue("module")+"/"+r.PathValue("name"), arg)
	if err != nil {
		return err
	}
	return answer(w, map[string]string{"answer": hex.EncodeToString(out)})
}

// proofTime is how long a receipt may wait for the block that carries its app hash.
const proofTime = 20 * time.Second

func (g *Gateway) entryReceipt(w http.ResponseWriter, r *http.Request) error {
	index, err := strconv.ParseUint(r.PathValue("index"), 10, 64)
	if err != nil {
		return errArgument
	}
	return g.sendReceipt(w, r, func(ctx context.Context) (*receipt.Receipt, error) { return g.Prover.Entry(ctx, index) })
}

func (g *Gateway) auditReceipt(w http.ResponseWriter, r *http.Request) error {
	patient, err := accountOf(r, "patient")
	if err != nil {
		return err
	}
	return g.sendReceipt(w, r, func(ctx context.Context) (*receipt.Receipt, error) { return g.Prover.Audit(ctx, patient) })
}

func (g *Gateway) sendReceipt(w http.ResponseWriter, r *http.Request, prove func(context.Context) (*receipt.Receipt, error)) error {
	waits, cancel := g.waiting(r)
	defer cancel()
	ctx, cancelTime := context.WithTimeout(waits, proofTime)
	defer cancelTime()
	rc, err := prove(ctx)
	if err != nil {
		return err
	}
	b, err := rc.Encode()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/cbor")
	_, err = w.Write(b)
	return err
}
