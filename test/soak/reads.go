package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"salus/client"
	"salus/fhir"
	"salus/gateway"
	"salus/internal/devnet"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/receipt"
	"salus/record"
)

// staff is who reads for an organisation.
func staff(org string) string {
	for _, o := range devnet.Orgs() {
		if o.Name == org {
			return o.Staff.Name
		}
	}
	return ""
}

// lasts is how many seconds a session may: it ends during the run, and what it leaves behind shows.
const lasts = 120

// begin opens a session at an organisation and lists what it may open.
func (x *worker) begin(ctx context.Context, org string, p *patient) (s gateway.SessionInfo, seen []gateway.Visible, err error) {
	in := gateway.OpenSession{As: staff(org), Patient: p.account, Purpose: consent.TREAT, Seconds: lasts}
	if err := x.api[org].JSON(ctx, "POST", "/v1/sessions", in, &s); err != nil {
		return s, nil, err
	}
	err = x.api[org].JSON(ctx, "GET", "/v1/sessions/"+s.ID.String()+"/records", nil, &seen)
	return s, seen, err
}

// open reads one record of a session.
func (x *worker) open(ctx context.Context, org string, s gateway.SessionInfo, place gateway.RecordPlace) (res gateway.ReadResult, err error) {
	err = x.api[org].JSON(ctx, "POST", "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{Records: []gateway.RecordPlace{place}}, &res)
	if err == nil && len(res.Bad) > 0 {
		x.finding("an honest custodian was blamed for a wrong share")
	}
	return res, err
}

// read opens a session and its first record. Half of the sessions before are ended, the others
// are left to expire.
func (x *worker) read(ctx context.Context, p *patient) {
	if old := p.session; old != nil && x.r.IntN(2) == 0 {
		_ = x.op("session end", func() error {
			return x.api[p.reader].JSON(ctx, "DELETE", "/v1/sessions/"+old.ID.String(), nil, nil)
		})
	}
	p.session, p.places = nil, nil
	_ = x.op("read, new session", func() error {
		s, seen, err := x.begin(ctx, p.reader, p)
		if err != nil {
			return err
		}
		for _, v := range seen {
			if v.Kind == 0 {
				p.places = append(p.places, gateway.RecordPlace{Batch: v.Batch, Index: v.Index})
			}
		}
		p.session = &s
		if err := x.expect(ctx, p, len(p.places)); err != nil {
			return err
		}
		if len(p.places) == 0 {
			return nil
		}
		x.r.Shuffle(len(p.places), func(i, j int) { p.places[i], p.places[j] = p.places[j], p.places[i] })
		return x.plain(ctx, p, s, p.places[0])
	})
}

// expect compares how many records a new session may open with what was acknowledged. Summaries, which her author's
// node makes, may be among them: that none is missing for one of them the comparison at the end shows.
func (x *worker) expect(ctx context.Context, p *patient, got int) error {
	switch {
	case p.state == none && got > 0:
		x.finding(fmt.Sprintf("a session without a grant may open %d records", got))
	case p.state == full && got < p.acked:
		x.finding(fmt.Sprintf("a session under a full grant may open %d records of %d that are active", got, p.acked))
	case got > p.tried:
		var rs []record.Owned
		if err := x.api[p.author].JSON(ctx, "GET", "/v1/patients/"+p.account.String()+"/records", nil, &rs); err != nil {
			return err
		}
		if has := p.tried + len(slices.DeleteFunc(rs, func(r record.Owned) bool { return !made(r) })); got > has {
			x.finding(fmt.Sprintf("a session may open %d records of a patient who has %d", got, has))
		}
	}
	return nil
}

// made says whether a record is a summary, which the author's node makes.
func made(r record.Owned) bool { return slices.Contains(r.Labels, string(record.EmergencyLabel)) }

// plain reads a record and wants the bytes that were written.
func (x *worker) plain(ctx context.Context, p *patient, s gateway.SessionInfo, place gateway.RecordPlace) error {
	res, err := x.open(ctx, p.reader, s, place)
	if err != nil {
		return err
	}
	if len(res.Records) != 1 || !p.knows(res.Records[0].Body) {
		x.finding(fmt.Sprintf("a read gave %d records, or other bytes than were written", len(res.Records)))
		return errOdd
	}
	return nil
}

// readNext reads another record of an open session.
func (x *worker) readNext(ctx context.Context, p *patient) {
	if p.session != nil && time.Now().Unix()+lasts/4 > int64(p.session.Expires) {
		p.session = nil
	}
	if p.session == nil || len(p.places) < 2 || p.state == none || p.state == unsure {
		x.read(ctx, p)
		return
	}
	if p.state == narrow { // the session may be older than the narrowing: it may open less now
		p.session = nil
		return
	}
	p.places = p.places[1:]
	err := x.op("read, next record", func() error { return x.plain(ctx, p, *p.session, p.places[0]) })
	if err != nil { // ended, expired or lost with its gateway
		p.session = nil
	}
}

// refused lets the insurer's clerk, to whom nobody granted anything, look for records.
func (x *worker) refused(ctx context.Context, p *patient) {
	_ = x.op("read, refused", func() error {
		_, seen, err := x.begin(ctx, "insurer", p)
		if err == nil && len(seen) > 0 {
			x.finding("the insurer saw records that nobody granted")
		}
		return err
	})
}

// accessLog asks a member that is neither author nor reader for the patient's access log.
func (x *worker) accessLog(ctx context.Context, p *patient) {
	_ = x.op("access log", func() error {
		var l struct {
			Complete bool         `json:"complete"`
			Entries  []audit.Link `json:"entries"`
		}
		err := x.api["institute"].JSON(ctx, "GET", "/v1/patients/"+p.account.String()+"/log", nil, &l)
		if err == nil && len(l.Entries) == 0 {
			return nil // this member's replica has not reached her enrolment yet
		}
		if err == nil && !l.Complete {
			x.finding("an access log is not complete")
		}
		return err
	})
}

// receipt gets a proof of the access log and verifies it with the genesis file alone.
func (x *worker) receipt(ctx context.Context, p *patient) {
	_ = x.op("receipt", func() error {
		b, err := x.api["institute"].Bytes(ctx, "GET", "/v1/receipts/audit/"+p.account.String(), nil)
		if err != nil {
			return err
		}
		return x.verify(b, p.account)
	})
}

func (w *world) verify(b []byte, about tx.Account) error {
	r, err := receipt.DecodeReceipt(b)
	if err != nil {
		w.finding("a receipt cannot be read: " + err.Error())
		return err
	}
	f, err := receipt.Verify(w.genesis, r)
	if err == nil && (f.Patient != about || len(f.Audit) == 0) {
		err = errOdd
	}
	if err != nil {
		w.finding("a receipt does not verify: " + err.Error())
	}
	return err
}

// bad sends what must be refused with a code, and leaves nothing behind.
func (x *worker) bad(ctx context.Context) {
	org := x.run.Orgs[x.r.IntN(len(x.run.Orgs))]
	api := x.api[org]
	tries := []func() error{
		func() error {
			_, err := x.send(ctx, org, []byte(`{"resourceType":"Observation","id":`))
			return err
		},
		func() error { return api.JSON(ctx, "POST", "/v1/sessions", map[string]any{"colour": 1}, nil) },
		func() error { return api.Broadcast(ctx, []byte("no transaction")) },
		func() error { return api.JSON(ctx, "GET", "/v1/records/zz", nil, nil) },
		func() error {
			return api.JSON(ctx, "GET", "/v1/patients/nobody/log", nil, nil)
		},
		func() error { return api.JSON(ctx, "POST", "/v1/submit/nothing.known", map[string]any{}, nil) },
	}
	try := x.r.IntN(len(tries))
	_ = x.op("bad input", func() error {
		switch err := tries[try](); {
		case err == nil:
			x.finding(fmt.Sprintf("bad input %d was taken", try))
			return errOdd
		case code(err) == "internal" || code(err) == "other":
			return err
		case transient(err):
			return err
		default:
			return nil // refused as it should be
		}
	})
}

// send imports lines at an organisation and waits until they are active.
func (w *world) send(ctx context.Context, org string, body []byte) (*gateway.ImportReport, error) {
	r, err := w.api[org].Do(ctx, "POST", "/v1/import?wait=active&format=ndjson", "application/fhir+json", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	for d := json.NewDecoder(r.Body); ; {
		var l gateway.ImportLine
		if err := d.Decode(&l); err != nil {
			return nil, fmt.Errorf("%w: %w", client.ErrUnreachable, err) // it was killed in the middle
		}
		switch {
		case l.Error != nil:
			return nil, &client.Problem{Status: l.Error.Status, Code: l.Error.Code, Text: l.Error.Text}
		case l.Done != nil && l.Done.Rejected != nil && l.Done.Records+l.Done.Duplicates == 0:
			return nil, &client.Problem{Code: "rejected", Text: "all resources were rejected"}
		case l.Done != nil:
			_, err := io.Copy(io.Discard, r.Body) // so that the connection is used again
			return l.Done, err
		}
	}
}

var errOdd = errors.New("soak: the answer is not what it must be")

// code names an error for the table of errors.
func code(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, errOdd):
		return "wrong"
	case errors.Is(err, client.ErrUncertain):
		return "uncertain"
	case errors.Is(err, client.ErrBusy):
		return "busy"
	case errors.Is(err, client.ErrUnreachable):
		return "down"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "stopped"
	}
	if r, ok := errors.AsType[*tx.Refusal](err); ok {
		return fmt.Sprintf("%#04x", r.Code)
	}
	if p, ok := errors.AsType[*client.Problem](err); ok {
		return p.Code
	}
	return "other"
}

// transient: nobody said no; there was no answer, or not now.
func transient(err error) bool {
	switch code(err) {
	case "uncertain", "busy", "down", "timeout", "stopped", "unreachable", "not-ready":
		return true
	}
	return false
}

func newGrant(r *rand.Rand) (id consent.GrantID) {
	for i := range id {
		id[i] = byte(r.Uint32())
	}
	return id
}

// sensitive draws one or two labels to withhold.
func sensitive(r *rand.Rand) []fhir.Label {
	all := fhir.AllLabels()
	i := r.IntN(len(all) - 1)
	return all[i : i+1+r.IntN(2)]
}

// splitLines yields each line without its end.
func splitLines(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(b) {
			if !yield(bytes.TrimRight(line, "\n")) {
				return
			}
		}
	}
}

func joinLines(ls [][]byte) []byte { return append(bytes.Join(ls, []byte("\n")), '\n') }
