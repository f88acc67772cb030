package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// Who is to be told of an erasure is who committed to fetching records before it, by member and purpose; not who only opened a
// session, not the patient herself, and nobody twice.
func TestWhoIsToBeToldOfAnErasure(t *testing.T) {
	patient, doctor, clinic, insurer := tx.Account{1}, tx.Account{2}, tx.Account{3}, tx.Account{4}
	link := func(time uint64, a audit.Action, actor, member tx.Account, p consent.Purpose, count uint32) audit.Link {
		return audit.Link{Time: time, Record: audit.Record{Patient: patient, Action: a, Actor: actor, Member: member, Purpose: uint8(p), Count: count}}
	}
	log := []audit.Link{
		link(1, audit.SessionOpened, doctor, insurer, consent.BTG, 0),
		link(2, audit.FetchCommitted, doctor, clinic, consent.TREAT, 3),
		link(3, audit.FetchCommitted, doctor, clinic, consent.TREAT, 2),
		link(4, audit.FetchCommitted, doctor, clinic, consent.BTG, 1),
		link(5, audit.FetchCommitted, patient, insurer, consent.TREAT, 9),
		link(7, audit.FetchCommitted, doctor, insurer, consent.TREAT, 9), // after the tombstone: nothing of it was there
	}
	first := link(4, audit.SessionOpened, doctor, clinic, consent.BTG, 4) // with its first list
	first.Record.Mask = 1
	log = append(log, first)
	members := []governance.Member{{Account: clinic, Name: "Sample Clinic"}}
	want := []recipient{
		{Member: clinic, Name: "Sample Clinic", Purpose: consent.TREAT.String(), Times: 2, Records: 5, First: 2, Last: 3},
		{Member: clinic, Name: "Sample Clinic", Purpose: consent.BTG.String(), Times: 2, Records: 5, First: 4, Last: 4},
	}
	if diff := cmp.Diff(want, recipientsOf(log, members, 6)); diff != "" {
		t.Error(diff)
	}
	if got := recipientsOf(nil, members, 6); got == nil || len(got) != 0 {
		t.Errorf("got %v, want an empty list", got)
	}
}
