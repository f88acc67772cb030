package feed

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"salus/hl7"
)

// modes reads MSH-15 and MSH-16. Both empty is the original mode (HL7 v2 2.9.2):
// one acknowledgement, AA, AE or AR.
func (f *Inbound) modes(m *hl7.Message) (commit, application string) {
	if f.c.Original {
		return "", ""
	}
	msh := m.Segment("MSH")
	return msh.Field(15).Plain(), msh.Field(16).Plain()
}

// wanted says whether a condition of table 0155 asks for an acknowledgement.
func wanted(condition string, ok bool) bool {
	switch condition {
	case "NE":
		return false
	case "ER":
		return !ok
	case "SU":
		return ok
	}
	return true
}

type answers struct {
	send  []byte // on the connection; nil: nothing
	other []byte // application acknowledgement that goes another way; nil: none
}

// reply makes what a message is answered with. In the enhanced mode the connection
// gets the commit acknowledgement if MSH-15 asks for one; else the application
// acknowledgement, if MSH-16 asks for that.
func (f *Inbound) reply(m *hl7.Message, code hl7.AckCode, n uint64, errs []error) answers {
	commit, app := f.modes(m)
	now := f.c.Now()
	build := func(c hl7.AckCode) []byte {
		return hl7.BuildAck(m, hl7.Ack{Code: c, ControlID: fmt.Sprintf("S%d", n), Now: now, Errors: conditions(errs)}).Encode()
	}
	ok := code == hl7.AA
	if commit == "" && app == "" {
		return answers{send: build(code)}
	}
	var a answers
	if app != "" && wanted(app, ok) {
		a.other = build(code)
	}
	if commit == "" || commit == "NE" {
		return answers{send: a.other}
	}
	a.send = f.commit(m, commitCode(code, errs), n, errs)
	return a
}

// commitCode: a commit acknowledgement says whether the message is in safe keeping
// and of a kind that is taken; what came of it is the application's to say.
func commitCode(code hl7.AckCode, errs []error) hl7.AckCode {
	switch {
	case code == hl7.AR:
		return hl7.CR
	case code == hl7.AE && len(errs) == 1 && reason(errs[0]) == conflict:
		return hl7.CE
	}
	return hl7.CA
}

func (f *Inbound) commit(m *hl7.Message, code hl7.AckCode, n uint64, errs []error) []byte {
	c, _ := f.modes(m)
	if !wanted(c, code == hl7.CA) {
		return nil
	}
	if code == hl7.CA {
		errs = nil
	}
	return hl7.BuildAck(m, hl7.Ack{Code: code, ControlID: fmt.Sprintf("C%d", n), Now: f.c.Now(), Errors: conditions(errs)}).Encode()
}

// refuse answers what is not kept, and has therefore no number.
func (f *Inbound) refuse(m *hl7.Message, why error) []byte {
	code := hl7.AR
	if commit, app := f.modes(m); commit != "" && commit != "NE" {
		code = hl7.CR
		if !wanted(commit, false) {
			return nil
		}
	} else if app != "" && !wanted(app, false) {
		return nil
	}
	return hl7.BuildAck(m, hl7.Ack{Code: code, ControlID: fmt.Sprintf("R%d", f.c.Now().UnixMilli()), Now: f.c.Now(), Errors: conditions([]error{why})}).Encode()
}

// tooLarge answers a message that is longer than the feed takes, by its first bytes; nothing of it is kept.
func (f *Inbound) tooLarge(ctx context.Context, head []byte) ([]byte, error) {
	f.c.Log.WarnContext(ctx, "feed: message is longer than the limit")
	return f.refuse(firstLine(head), &Rejection{Code: hl7.CodeSize}), nil
}

// conditions turns rejections into the errors that hl7 writes as ERR.
func conditions(errs []error) []error {
	out := make([]error, 0, len(errs))
	for _, err := range errs {
		if r, ok := errors.AsType[*Rejection](err); ok {
			c := r.Condition
			if c == 0 {
				c = hl7.ApplicationError
			}
			err = &hl7.Error{Code: r.Code, Condition: c}
		}
		out = append(out, err)
	}
	return out
}

// answer records the outcome of a message. m is nil for what is no message: it is
// answered as far as its first line can be read.
func (f *Inbound) answer(ctx context.Context, n uint64, m *hl7.Message, raw []byte, code hl7.AckCode, errs []error) error {
	if m == nil {
		m = firstLine(raw)
	}
	a := f.reply(m, code, n, errs)
	why := ""
	if len(errs) > 0 {
		why = reason(errs[0])
	}
	if s := f.message[n]; f.c.Settled != nil {
		if err := f.c.Settled(ctx, Outcome{n, s.hash, code, why, s.time}); err != nil {
			return err
		}
	}
	// The application acknowledgement first: sent twice after a crash it is known again
	// by its control id; lost it would never be sent.
	if a.other != nil && a.send != nil && f.c.Answers != nil {
		if err := f.c.Answers(ctx, a.other); err != nil {
			return err
		}
	}
	at, err := f.j.append(record{Kind: kindAnswered, Of: n, Raw: a.send, Code: string(code), Reason: why, Time: f.c.Now().UTC()})
	if err != nil {
		return err
	}
	s := f.message[n]
	s.answer, s.code, s.reason = at, string(code), why
	if code != hl7.AA {
		f.c.Log.WarnContext(ctx, "feed: message became a dead letter", "message", n, "code", string(code), "reason", why)
	}
	return nil
}

// firstLine reads the header of what is no message, so that its sender knows what is
// answered; if even that is not there, the answer is to nobody.
func firstLine(raw []byte) *hl7.Message {
	line := bytes.TrimLeft(raw, "\r\n")
	if i := bytes.IndexAny(line, "\r\n"); i >= 0 {
		line = line[:i]
	}
	if m, err := hl7.Parse(line); err == nil {
		return m
	}
	m, _ := hl7.Parse([]byte("MSH|^~\\&|\r"))
	return m
}
