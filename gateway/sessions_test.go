package gateway

import (
	"context"
	"testing"
	"time"

	"salus/client"
	ledgeraccess "salus/ledger/module/access"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// until is a ledger on which every session ends then.
type until struct {
	record.Chain
	id      tx.Hash
	expires uint64
}

func (u until) Session(context.Context, tx.Hash) (ledgeraccess.Session, error) {
	return ledgeraccess.Session{Expires: u.expires}, nil
}

func (u until) Submit(context.Context, tx.Kind, tx.Message) (client.Committed, error) {
	return client.Committed{ID: u.id, Height: 1}, nil
}

// A session's key takes ten kilobytes of memory, and thousands a day are never closed.
func TestEndedSessionsKeepNoKey(t *testing.T) {
	s := sessions{open: map[tx.Hash]*record.Session{}}
	now := uint64(time.Now().Unix())
	open := func(expires uint64) *record.Session {
		u := until{id: tx.Hash{byte(len(s.open) + 1)}, expires: expires}
		x, err := record.OpenSession(t.Context(), record.Reading{Chain: u}, u, tx.Account{1}, consent.TREAT, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	all := map[string]*record.Session{}
	for name, expires := range map[string]uint64{"open": now + 100, "just ended": now - surelyEnded/2, "ended": now - 10*surelyEnded, "long ended": now - endedFor - 10} {
		all[name] = open(expires)
		s.open[all[name].ID] = all[name]
	}
	s.put(open(now + 100))
	for name, want := range map[string]struct{ known, keyed bool }{"open": {true, true}, "just ended": {true, true}, "ended": {true, false}, "long ended": {false, false}} {
		got := s.open[all[name].ID]
		if (got != nil) != want.known || (got == all[name]) != want.keyed {
			t.Errorf("%s: got known %v, with its key %v; want %+v", name, got != nil, got == all[name], want)
		}
	}
	if found, err := s.open[all["ended"].ID].Locate(t.Context()); err != nil || len(found) != 0 {
		t.Errorf("got %d records of an ended session, %v; want none", len(found), err)
	}
}
