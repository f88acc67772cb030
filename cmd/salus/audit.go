package main

import (
	"fmt"
	"os"

	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
	"salus/receipt"
	"salus/record"
)

type auditCmd struct {
	Log         auditLog       `cmd:"" help:"A patient's whole access log, verified complete."`
	Journal     auditJournal   `cmd:"" help:"This gateway's own journal of who asked it for what."`
	Disclosures disclosuresCmd `cmd:"" help:"What the privacy officer keeps for accountings of disclosures (45 CFR 164.528)."`
	Receipt     auditReceipt   `cmd:"" help:"Write the proof of a patient's access log, or of one ledger entry, to a file."`
}

type auditLog struct {
	Patient string `arg:"" optional:"" help:"Pseudonym."`
	Wallet  string `help:"The patient's wallet, instead of the pseudonym." type:"existingfile"`
}

func (c *auditLog) patient() (tx.Account, error) {
	if c.Wallet != "" {
		w, err := record.LoadWallet(c.Wallet)
		if err != nil {
			return tx.Account{}, err
		}
		return w.Patient, nil
	}
	return account(c.Patient)
}

// accessLog is GET /v1/patients/{patient}/log.
type accessLog struct {
	Patient  tx.Account     `json:"patient"`
	Complete bool           `json:"complete"`
	Height   int64          `json:"height"`
	Position audit.Position `json:"position"`
	Entries  []audit.Link   `json:"entries"`
}

func (c *auditLog) Run(e *env) error {
	a, err := c.patient()
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var l accessLog
	if err := api.JSON(e.ctx, "GET", "/v1/patients/"+a.String()+"/log", nil, &l); err != nil {
		return err
	}
	var members []governance.Member
	if err := api.JSON(e.ctx, "GET", "/v1/members", nil, &members); err != nil {
		return err
	}
	if err := e.show(l, "no time what who purpose records", func(add func(...any)) {
		for _, x := range l.Entries {
			add(logCells(x, members)...)
		}
	}); err != nil {
		return err
	}
	e.say("complete: %d entries up to block %d, head %s", l.Position.Seq, l.Height, short(l.Position.Head))
	return nil
}

func logCells(x audit.Link, members []governance.Member) []any {
	r := x.Record
	what := r.Action.String()
	if r.Action == audit.SessionOpened && r.Mask == 0 {
		what = "session opened (nothing allowed)"
	}
	purpose, count := "-", "-"
	if p := consent.Purpose(r.Purpose); p.Known() {
		purpose = p.String()
	}
	if words := emergencyWords(r) + recoveryWords(r); words != "" {
		what = words
	}
	if words := lookupWords(r); words != "" {
		what = words
	}
	if r.Action == audit.FetchCommitted {
		count = fmt.Sprint(r.Count)
	}
	who := nameOf(r.Member, members)
	if r.Actor == r.Patient {
		who = "the patient herself"
	}
	return []any{r.Seq, when(x.Time), what, who, purpose, count}
}

func nameOf(a tx.Account, members []governance.Member) string {
	for _, m := range members {
		if m.Account == a {
			return m.Name
		}
	}
	if a.IsZero() {
		return "-"
	}
	return a.String()
}

type auditReceipt struct {
	Patient string  `arg:"" optional:"" help:"Pseudonym."`
	Wallet  string  `help:"The patient's wallet, instead of the pseudonym." type:"existingfile"`
	Entry   *uint64 `help:"Index of a ledger entry, instead of a patient."`
	Out     string  `help:"File to write." required:"" type:"path"`
}

func (c *auditReceipt) Run(e *env) error {
	path := ""
	if c.Entry != nil {
		path = fmt.Sprintf("/v1/receipts/entry/%d", *c.Entry)
	} else {
		a, err := (&auditLog{Patient: c.Patient, Wallet: c.Wallet}).patient()
		if err != nil {
			return err
		}
		path = "/v1/receipts/audit/" + a.String()
	}
	return e.saveReceipt(path, c.Out)
}

// saveReceipt fetches a receipt from the node and writes it to a file.
func (e *env) saveReceipt(path, out string) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	b, err := api.Bytes(e.ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	if _, err := receipt.DecodeReceipt(b); err != nil {
		return err
	}
	if err := os.WriteFile(out, b, 0o600); err != nil {
		return fmt.Errorf("salus: %w", err)
	}
	e.say("Receipt written to %s (%d bytes). Check it anywhere: salus verify %s --genesis genesis.json", out, len(b), out)
	return nil
}
