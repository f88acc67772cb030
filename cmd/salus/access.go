package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"salus/fhir"
	"salus/gateway"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/seal"
)

type accessCmd struct {
	Open  accessOpen  `cmd:"" help:"Open a session as one of this organisation's staff."`
	List  accessList  `cmd:"" help:"List what a session may open."`
	Read  accessRead  `cmd:"" help:"Read records of a session."`
	Close accessClose `cmd:"" help:"End a session."`
	Mine  accessMine  `cmd:"" help:"A patient reads her own record with her wallet."`

	Emergency accessEmergency `cmd:"" help:"Declare an emergency and open the patient's emergency set, without her consent."`
	Widen     accessWiden     `cmd:"" help:"Take an emergency's second step: all but what the patient excluded."`
	Extend    accessExtend    `cmd:"" help:"Let a colleague's emergency last as long again, once."`
	Attest    accessAttest    `cmd:"" help:"Give account of one's emergency."`
	Review    accessReview    `cmd:"" help:"Review somebody else's emergency."`
	Dispute   accessDispute   `cmd:"" help:"A patient disputes an emergency access with her wallet."`
	Waiting   accessWaiting   `cmd:"" help:"Emergencies of an organisation that wait for an attestation or a review."`
}

type accessOpen struct {
	Patient string        `arg:"" help:"Pseudonym."`
	As      string        `help:"Name of the practitioner's or device's key." required:""`
	Purpose string        `help:"HL7 v3 PurposeOfUse code." default:"TREAT"`
	For     time.Duration `help:"How long the session may last." default:"15m"`
}

func (c *accessOpen) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	p, err := consent.ParsePurpose(c.Purpose)
	if err != nil {
		return usageError{err.Error()}
	}
	if p == consent.BTG {
		return usageError{"breaking the glass is declared with a reason: salus access emergency"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var s gateway.SessionInfo
	if err := api.JSON(e.ctx, "POST", "/v1/sessions", gateway.OpenSession{As: c.As, Patient: a, Purpose: p, Seconds: uint64(c.For / time.Second)}, &s); err != nil {
		return err
	}
	return e.show(s, "", func(add func(...any)) {
		add("session", s.ID)
		add("block", s.Height)
		add("until", when(s.Expires))
	})
}

type accessList struct {
	Session string `arg:"" help:"Session id."`
}

func (c *accessList) Run(e *env) error {
	if _, err := tx.ParseHash(c.Session); err != nil {
		return usageError{"a session id is 64 hex digits"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var vs []gateway.Visible
	if err := api.JSON(e.ctx, "GET", "/v1/sessions/"+c.Session+"/records", nil, &vs); err != nil {
		return err
	}
	return e.show(vs, "record kind bytes anchored", func(add func(...any)) {
		for _, v := range vs {
			kind := "record"
			if v.Kind == seal.KindIndex {
				kind = "index"
			}
			add(fmt.Sprintf("%s/%d", v.Batch, v.Index), kind, v.Bytes, when(v.Time))
		}
	})
}

type accessRead struct {
	Session string   `arg:"" help:"Session id."`
	Records []string `arg:"" optional:"" help:"Records as <batch>/<index>; all clinical records if none is named."`
}

func (c *accessRead) Run(e *env) error {
	if _, err := tx.ParseHash(c.Session); err != nil {
		return usageError{"a session id is 64 hex digits"}
	}
	var req gateway.ReadRecords
	for _, r := range c.Records {
		batch, index, ok := strings.Cut(r, "/")
		h, herr := tx.ParseHash(batch)
		i, ierr := strconv.ParseUint(index, 10, 16)
		if !ok || herr != nil || ierr != nil {
			return usageError{"a record of a session is <batch>/<index>, as 'salus access list' prints it"}
		}
		req.Records = append(req.Records, gateway.RecordPlace{Batch: h, Index: uint16(i)})
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var res gateway.ReadResult
	if err := api.JSON(e.ctx, "POST", "/v1/sessions/"+c.Session+"/read", req, &res); err != nil {
		return err
	}
	if err := e.showRecords(&res); err != nil {
		return err
	}
	for _, b := range res.Bad {
		e.say("custodian %d (%s) was found out: %s", b.Index, b.Account, b.Why)
	}
	return nil
}

// showRecords prints one record a line: its place and its bytes as they were written.
func (e *env) showRecords(res *gateway.ReadResult) error {
	if e.json {
		type line struct {
			gateway.Visible
			Resource json.RawMessage `json:"resource"`
		}
		out := struct {
			Records []line `json:"records"`
			Bad     any    `json:"bad"`
		}{Bad: res.Bad}
		for _, r := range res.Records {
			out.Records = append(out.Records, line{r.Visible, rawJSON(r.Body)})
		}
		return json.NewEncoder(e.out).Encode(out)
	}
	if len(res.Records) == 0 {
		e.say("Nothing that this session may open.")
		return nil
	}
	return e.show(nil, "record type date title", func(add func(...any)) {
		for _, r := range res.Records {
			s, ok := summary(r.Body)
			if !ok {
				add(fmt.Sprintf("%s/%d", short(r.Batch), r.Index), "(not FHIR)", "", "")
				continue
			}
			add(fmt.Sprintf("%s/%d", short(r.Batch), r.Index), s.Type, s.Date, s.Title)
		}
	})
}

func rawJSON(b []byte) json.RawMessage {
	if json.Valid(b) {
		return b
	}
	quoted, err := json.Marshal(b)
	if err != nil {
		return nil
	}
	return quoted
}

func summary(b []byte) (fhir.Summary, bool) {
	r, err := fhir.Parse(b)
	if err != nil {
		return fhir.Summary{}, false
	}
	return fhir.Summarize(r), true
}

type accessClose struct {
	Session string `arg:"" help:"Session id."`
}

func (c *accessClose) Run(e *env) error {
	if _, err := tx.ParseHash(c.Session); err != nil {
		return usageError{"a session id is 64 hex digits"}
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	return api.JSON(e.ctx, "DELETE", "/v1/sessions/"+c.Session, nil, nil)
}

type accessMine struct {
	Wallet string `help:"The patient's wallet." required:"" type:"existingfile"`
}

func (c *accessMine) Run(e *env) error {
	res, err := readOwn(e, c.Wallet)
	if err != nil {
		return err
	}
	out := &gateway.ReadResult{Bad: res.Bad}
	for _, o := range res.Records {
		out.Records = append(out.Records, gateway.OpenedRecord{Visible: gateway.Visible{Batch: o.Item.Header, Index: o.Item.Index, Kind: o.Entry.Kind, Author: o.Author, Time: o.Time}, Body: o.Body})
	}
	return e.showRecords(out)
}
