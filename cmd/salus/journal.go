package main

import (
	"fmt"
	"time"

	"salus/gateway"
	"salus/gateway/balp"
)

type auditJournal struct {
	Verify journalVerify `cmd:"" help:"Read it from disk and compare it with every head of it on the ledger; and what it says was received with what the ledger says was asked for; exit 1 if they differ."`
}

type journalVerify struct{}

func (*journalVerify) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var r gateway.JournalReport
	if err := api.JSON(e.ctx, "GET", "/v1/journal", nil, &r); err != nil {
		return err
	}
	if err := e.show(r, "", func(add func(...any)) {
		add("events", fmt.Sprintf("%d, numbers %d to %d", r.Events, r.First, r.Last))
		add("head", r.Head)
		anchored := "never"
		if r.Heads > 0 {
			anchored = fmt.Sprintf("%d heads, the last at event %d, %s", r.Heads, r.Through, when(r.Time))
		}
		add("anchored", anchored)
		add("not anchored yet", r.Waiting)
		for _, f := range r.Faults {
			add("FAULT", f)
		}
		for _, u := range r.Unmatched {
			add("UNMATCHED", unmatchedLine(&u))
		}
	}); err != nil {
		return err
	}
	if len(r.Faults) > 0 {
		return fmt.Errorf("the journal is not what was anchored: %d faults, the first: %s", len(r.Faults), r.Faults[0])
	}
	if len(r.Unmatched) > 0 {
		return fmt.Errorf("the ledger and the journal do not tell the same: %d lists of records, the first: %s", len(r.Unmatched), unmatchedLine(&r.Unmatched[0]))
	}
	return nil
}

func unmatchedLine(u *balp.Unmatched) string {
	where := fmt.Sprintf("ledger entry %d", u.Index)
	if u.What == balp.NotSent {
		where = fmt.Sprintf("event %d", u.Event)
	}
	return fmt.Sprintf("%s: session %s, %s, %s", u.What, u.Session, where, u.At.UTC().Format(time.RFC3339))
}
