package record

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"salus/client"
	"salus/exchange"
	"salus/ledger/module/access"
	"salus/ledger/tx"
)

// What became of each list is told before anything of it is handed on; who cannot keep it gets nothing.
func TestEveryCommittedListIsToldOf(t *testing.T) {
	s := newScene(t)
	var told []Arrival
	var kept error
	session := func(ways Custodians) *Session {
		one := s.session(s.p, ways)
		one.reading.Arrived = func(ctx context.Context, a Arrival) error {
			if a.Session != one.ID || a.Patient != s.p.Patient || ctx.Err() != nil {
				t.Errorf("got %+v, %v", a, ctx.Err())
			}
			told = append(told, a)
			return kept
		}
		return one
	}
	one := session(s.ways())
	found, err := one.Locate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := clinical(found)
	// last is what was told since, which is one list that the ledger has.
	last := func(what string, of *Session, fetch uint32) Arrival {
		t.Helper()
		if len(told) != 1 {
			t.Fatalf("%s: told of %d lists, want 1", what, len(told))
		}
		a := told[0]
		told = nil
		v := s.app.View()
		defer v.Close()
		if f, ok := access.LookupFetch(v, of.ID, fetch); !ok || f.Root != a.List || f.Count != a.Count {
			t.Errorf("%s: told of %+v, the ledger has %+v", what, a, f)
		}
		return a
	}

	if res, err := one.Read(t.Context(), all); err != nil || len(res.Records) != len(all) {
		t.Fatalf("got %v", err)
	}
	if a := last("a read", one, 1); a.Came != len(all) || a.Err != nil {
		t.Errorf("got %+v", a)
	}

	kept = errors.New("the journal is full")
	if res, err := one.Read(t.Context(), all); res != nil || !errors.Is(err, kept) {
		t.Errorf("not kept: got %v, %v, want nothing and %v", res, err, kept)
	}
	last("not kept", one, 2)
	kept = nil

	two := session(late{s.ways(), map[tx.Account]bool{account("lab"): true, account("insurer"): true}})
	if _, err := two.Read(t.Context(), all); !errors.Is(err, ErrTooFew) {
		t.Errorf("too few: got %v", err)
	}
	if a := last("too few", two, 1); a.Came != 0 || !errors.Is(a.Err, ErrTooFew) {
		t.Errorf("too few: got %+v", a)
	}

	// Nobody reads what is lost; a caller that has gone is told of all the same.
	gone, cancel := context.WithCancel(t.Context())
	three := session(leaving{s.ways(), cancel})
	if _, err := three.Read(gone, all); err == nil {
		t.Error("who has gone got something")
	}
	if a := last("gone", three, 1); a.Err == nil {
		t.Errorf("gone: got %+v", a)
	}

	real := one.submit
	one.submit = failing{tx.Refuse(0x0701, "no")}
	if _, err := one.Read(t.Context(), all); err == nil || len(told) != 0 {
		t.Errorf("refused: told of %d lists, %v; want none", len(told), err)
	}
	one.submit = failing{fmt.Errorf("%w: %w", client.ErrUncertain, context.DeadlineExceeded)}
	if _, err := one.Read(t.Context(), all); !errors.Is(err, ErrSessionLost) || len(told) != 1 || !errors.Is(told[0].Err, ErrSessionLost) {
		t.Errorf("lost: got %v, told of %+v", err, told)
	}
	one.submit, told = real, nil
	if _, err := one.Read(t.Context(), all); !errors.Is(err, ErrSessionLost) || len(told) != 0 {
		t.Errorf("after it was lost: got %v, told of %d", err, len(told))
	}
}

// A leaving caller goes when the first custodian is asked for shares.
type leaving struct {
	Custodians
	leave func()
}

func (l leaving) Release(ctx context.Context, custodian tx.Account, req *exchange.ReleaseRequest) (*exchange.ReleaseReply, error) {
	l.leave()
	return nil, ctx.Err()
}
