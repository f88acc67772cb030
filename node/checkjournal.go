package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"salus/config"
	"salus/gateway/balp"
	"salus/ledger/module/audit"
)

// checkJournal reads every event of the gateway's journal: each must open, and follow the one before. It compares
// it with its heads on the ledger too, as the running node does daily. What they show is told and is no damage to be
// mended: a journal that came from a backup never fits them again. Nothing of an event is told.
func (s *stopped) checkJournal(ctx context.Context, c *config.Config) (detail string, err error) {
	keys, err := loadKeys(c)
	if err != nil {
		return "", err
	}
	j, err := balp.InspectJournal(journalDir(c), journalKey(keys))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	if s.app == nil {
		return fmt.Sprintf("%d events", j.Head().Seq), errLedgerFirst
	}
	v := s.app.View()
	at, _ := audit.JournalAt(v, c.Member)
	v.Close()
	verdict, err := j.Verify(ctx, headsOf(s.app, c.Member, at), time.Now().AddDate(-config.MinKeepLog, 0, 0), context.Context.Err)
	if err != nil {
		return "", err
	}
	detail = fmt.Sprintf("%d events, %d heads on the ledger", verdict.Events, verdict.Heads)
	for _, f := range verdict.Faults {
		detail += ", " + f.String()
	}
	return detail, nil
}
