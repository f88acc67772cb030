package balp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"salus/ledger/module/audit"
	"salus/ledger/tx"
)

// Errors of the reader.
var (
	ErrSubject  = errors.New("balp: a search of the whole log needs the right to it; name the patient")
	ErrNotFound = errors.New("balp: there is no such event")
)

// A Subject is whose log is read. Ref is how this member's events name the patient, Account how the
// ledger does; without the one or the other only one of the sources is read.
type Subject struct {
	Ref     string
	Account tx.Account
	Real    uint64 // the slots of her map that stand for a label; 0 if it is not at hand
}

// A Reader reads the events of this member's journal and the ledger's entries as one log. The ledger's
// are those of every member.
type Reader struct {
	Recorder *Recorder
	Chain    string
	Names    Names
	Register *Register // what the privacy officer keeps; nil: nothing
	// Alias is by what name a patient finds a person of this organisation's staff in her log, and nobody else
	// (EHDS, Regulation (EU) 2025/327, Art. 9); nil: by the one that the organisation knows.
	Alias func(Who) Who
	// Log returns a patient's audit chain, verified to be complete (record.Log).
	Log func(ctx context.Context, patient tx.Account) ([]audit.Link, error)
}

// A Page is a part of what was found.
type Page struct {
	Events [][]byte // AuditEvents, FHIR JSON
	IDs    []string
	Total  int
	Next   string // _cursor of the next page; "" on the last
}

// An entry is an event with its id and where it stands in the one order of both sources.
type entry struct {
	id    string
	event Event
	from  byte   // 0: ledger, 1: journal
	seq   uint64 // in its source
}

func (e *entry) compare(o *entry) int {
	return cmp.Or(e.event.Time.Compare(o.event.Time), cmp.Compare(e.from, o.from), cmp.Compare(e.seq, o.seq))
}

// Search answers a search of one patient's log, or of the whole journal for the zero Subject, which
// the caller must have a right to. The search itself is recorded first, as by: who asks and with what
// query; a patient's own looking is in her log too.
func (r *Reader) Search(ctx context.Context, s Subject, q Query, by Event) (*Page, error) {
	all, err := r.entries(ctx, s, &q, &by)
	if err != nil {
		return nil, err
	}
	by.Kind, by.Outcome = Search, Success
	if by.Patient == (Who{}) && s.Ref != "" {
		by.Patient = Who{Reference: s.Ref}
	}
	if _, err := r.Recorder.Record(ctx, by); err != nil {
		return nil, err
	}
	p := &Page{Total: len(all)}
	if q.after != "" {
		mark, err := parseCursor(q.after)
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(e entry) bool { return q.order(&e, &mark) <= 0 })
	}
	n := min(q.count, len(all))
	for i := range all[:n] {
		body, err := r.Recorder.Site.AuditEvent(&all[i].event, all[i].id)
		if err != nil {
			return nil, err
		}
		p.Events, p.IDs = append(p.Events, body), append(p.IDs, all[i].id)
	}
	if n > 0 && n < len(all) {
		p.Next = all[n-1].cursor()
	}
	return p, nil
}

func (q *Query) order(a, b *entry) int {
	if q.oldest {
		return a.compare(b)
	}
	return b.compare(a)
}

// entries are the events that match, in order, as who asks is told of them.
func (r *Reader) entries(ctx context.Context, s Subject, q *Query, by *Event) (out []entry, err error) {
	if s.Account != (tx.Account{}) {
		events, err := r.ledger(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, e := range events {
			out = append(out, entry{ledgerID(e.Ledger.Index), e, 0, e.Ledger.Index})
		}
	}
	if s.Ref != "" || s.Account == (tx.Account{}) {
		err = r.Recorder.Journal.Scan(s.Ref, q.from, q.to, func(e Stored) bool {
			out = append(out, entry{localID(e.Seq), e.Event, 1, e.Seq})
			return ctx.Err() == nil
		})
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
	}
	if s.Ref != "" && by.User.key() == s.Ref { // she reads it, and not somebody for the organisation
		out = r.told(out)
		r.rename(out)
	}
	var bad error
	out = slices.DeleteFunc(out, func(e entry) bool {
		a, err := r.Recorder.Site.build(&e.event, e.id)
		if err != nil {
			bad = err
			return true
		}
		return !q.matches(a, e.event.Time)
	})
	slices.SortFunc(out, func(a, b entry) int { return q.order(&a, &b) })
	return out, bad
}

// rename gives the persons in events their aliases, before anything is searched for: a name that is not told
// is not found either.
func (r *Reader) rename(all []entry) {
	if r.Alias == nil {
		return
	}
	aliases := map[Who]Who{}
	for i := range all {
		e := &all[i].event
		as, ok := aliases[e.User]
		if !ok {
			as = r.Alias(e.User)
			aliases[e.User] = as
		}
		if as == e.User {
			continue
		}
		if named := e.User.Reference; named != "" {
			e.Query = strings.ReplaceAll(e.Query, named, cmp.Or(as.Reference, as.Value))
		}
		e.User = as
	}
}

// Read returns one event of a patient's log, or with the zero Subject of the journal, by its id. It is
// recorded as by. Error: ErrNotFound, also for an event of another patient.
func (r *Reader) Read(ctx context.Context, s Subject, id string, by Event) ([]byte, error) {
	all, err := r.entries(ctx, s, &Query{terms: []term{{"_id", id}}}, &by)
	if err != nil {
		return nil, err
	}
	if by.Patient == (Who{}) && s.Ref != "" {
		by.Patient = Who{Reference: s.Ref}
	}
	by.Kind, by.Outcome, by.Resources = Read, Success, []string{"AuditEvent/" + id}
	if len(all) != 1 {
		by.Outcome, by.Reason, by.Resources = Minor, "balp-not-found", nil
	}
	if _, err := r.Recorder.Record(ctx, by); err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, ErrNotFound
	}
	return r.Recorder.Site.AuditEvent(&all[0].event, id)
}

// ledger are the entries of the patient's chain, each session's purpose with its fetches.
func (r *Reader) ledger(ctx context.Context, s Subject) ([]Event, error) {
	links, err := r.Log(ctx, s.Account)
	if err != nil {
		return nil, fmt.Errorf("balp: access log: %w", err)
	}
	patient := Who{Reference: s.Ref}
	if s.Ref == "" {
		patient = Who{System: SystemAccount, Value: s.Account.String()}
	}
	return Ledger{Chain: r.Chain, Names: r.Names, Patient: patient, Real: s.Real}.Events(links), nil
}

// cursor names an entry's place, not its position: what is recorded meanwhile moves nothing.
func (e *entry) cursor() string {
	return fmt.Sprintf("%d.%d.%d", e.event.Time.UnixMilli(), e.from, e.seq)
}

func parseCursor(s string) (e entry, err error) {
	parts := strings.Split(s, ".")
	bad := &QueryError{"_cursor", "not a cursor of this search"}
	if len(parts) != 3 {
		return e, bad
	}
	at, err1 := strconv.ParseInt(parts[0], 10, 64)
	from, err2 := strconv.ParseUint(parts[1], 10, 1)
	seq, err3 := strconv.ParseUint(parts[2], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return e, bad
	}
	return entry{event: Event{Time: time.UnixMilli(at).UTC()}, from: byte(from), seq: seq}, nil
}
