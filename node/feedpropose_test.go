package node_test

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/client"
	"salus/config"
	"salus/gateway"
	"salus/ledger/module/identity"
	"salus/ledger/module/merge"
	"salus/ledger/tx"
	"salus/record"
)

// until waits for a condition.
func (f *feeding) until(what string, is func() bool) {
	f.t.Helper()
	late := time.After(2 * time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			f.t.Fatalf("still not: %s", what)
		}
	}
}

func (f *feeding) post(path string, in, out any) {
	f.t.Helper()
	if err := f.api.JSON(f.t.Context(), http.MethodPost, path, in, out); err != nil {
		f.t.Fatalf("%s: %v", path, err)
	}
}

// pseudonym waits until a number's Patient has one that the ledger knows.
func (f *feeding) pseudonym(number string) (a tx.Account) {
	f.t.Helper()
	ref := "Patient/" + at(f.one("Patient", "identifier", "urn:sample:mrn|"+number), "id")
	f.until(ref+" has a pseudonym on the ledger", func() bool {
		var list []record.Patient
		f.get("/v1/patients", &list)
		for _, p := range list {
			if p.Reference == ref {
				a = p.Patient
			}
		}
		var out identity.Principal
		return !a.IsZero() && f.query("identity/principal", identity.ByAccount{Account: a}, &out)
	})
	return a
}

func (f *feeding) query(path string, arg, out any) bool {
	f.t.Helper()
	var hexed struct{ Answer string }
	if err := f.api.JSON(f.t.Context(), http.MethodGet, "/v1/query/"+path+"?arg="+hex.EncodeToString(tx.MustEncode(arg)), nil, &hexed); err != nil {
		return false
	}
	b, err := hex.DecodeString(hexed.Answer)
	if err != nil || tx.DecodeAny(b, out, len(b)) != nil {
		f.t.Fatalf("%s: got %s", path, hexed.Answer)
	}
	return true
}

// cases are the open cases of a pseudonym, once nothing is left in the queue.
func (f *feeding) cases(patient tx.Account) []merge.Case {
	f.t.Helper()
	f.until("the queue of merges is empty", func() bool {
		files, err := os.ReadDir(f.merges())
		return err == nil && len(files) == 0
	})
	var open merge.Open
	if !f.query("merge/cases", merge.ByPatient{Patient: patient}, &open) {
		f.t.Fatal("merge/cases: no answer")
	}
	return open.Cases
}

func (f *feeding) merges() string { return filepath.Join(f.conf.Data("fhir"), "merges") }

// left puts an intent into the queue as a crash leaves it behind: said on the ledger, and not yet removed.
func (f *feeding) left(c merge.Case) {
	f.t.Helper()
	f.hangUp()
	f.run.stop(f.t)
	b, err := json.Marshal(map[string]any{"feed": "adt", "message": 1 << 40, "proposer": "registrar", "stays": c.Stays, "goes": c.Goes, "basis": c.Basis})
	if err != nil {
		f.t.Fatal(err)
	}
	for name, b := range map[string][]byte{"0000000000000100.json": b, "0000000000000101.json.new": []byte("{")} {
		if err := os.WriteFile(filepath.Join(f.merges(), name), b, 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	f.start()
}

// A message that merges two Patients proposes to merge their pseudonyms, once; people decide.
func TestAFeedsMergeIsProposedOnTheLedgerOnce(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) { c.Feeds[0].Proposer = "registrar" })
	for _, who := range []string{"registrar", "second"} {
		f.post("/v1/staff/"+who, gateway.Registration{Privileges: identity.PrivWrite}, nil)
	}
	f.post("/v1/staff/reader", gateway.Registration{Privileges: identity.PrivRead}, nil)
	join := func() { f.accepts(f.v2("ADT^A40^ADT_A39", ann, "MRG|S2^^^FAC^MR")) }
	undo := func() { f.accepts(f.v2("ADT^A37^ADT_A37", ann, strings.Replace(bob, "PID|1", "PID|2", 1))) }
	const cid = "PID|1||S3^^^FAC^MR||Example^Cid"
	for _, p := range []string{ann, bob, cid} {
		f.accepts(f.v2("ADT^A28^ADT_A05", p))
	}
	a, b, c := f.pseudonym("S1"), f.pseudonym("S2"), f.pseudonym("S3")

	// Somebody who has no pseudonym here is linked, and nothing is proposed.
	f.accepts(f.v2("ADT^A40^ADT_A39", ann, "MRG|S9^^^FAC^MR"))
	if got := f.cases(a); len(got) != 0 {
		t.Errorf("with somebody unknown: got %+v, want nothing proposed", got)
	}

	join()
	got := f.cases(a)
	if len(got) != 1 || got[0].Standing != merge.Proposed || got[0].Stays != a || got[0].Goes != b {
		t.Fatalf("got %+v, want it proposed that %s stays and %s goes", got, a, b)
	}
	first := got[0]
	// Said again by another message, and after a crash between the ledger and the disk, there is one.
	join()
	f.left(first)
	if got := f.cases(a); len(got) != 1 || got[0].ID != first.ID {
		t.Errorf("said again: got %+v, want the one proposal", got)
	}
	// Withdrawn, it does not come again from what a crash left behind.
	undo()
	if got := f.cases(a); len(got) != 0 {
		t.Errorf("undone: got %+v, want nothing open", got)
	}
	f.left(first)
	if got := f.cases(a); len(got) != 0 {
		t.Errorf("after a crash: got %+v, want nothing open", got)
	}
	undo() // what is undone already is nothing to do

	// A new message proposes anew; approved by a second person, it is ended by the undo.
	join()
	if got = f.cases(a); len(got) != 1 || got[0].ID == first.ID {
		t.Fatalf("got %+v, want a new proposal", got)
	}
	approve := func(id tx.Hash) {
		t.Helper()
		var slots gateway.MergeSlots
		f.post("/v1/merges/"+id.String()+"/slots", struct{}{}, &slots)
		f.post("/v1/submit/"+string(merge.KindApprove)+"?as=second", &merge.Approve{Case: id, Slots: slots.Slots}, nil)
	}
	approve(got[0].ID)
	if got := f.cases(b); len(got) != 1 || got[0].Standing != merge.Merged {
		t.Fatalf("got %+v, want it merged", got)
	}
	join() // merged already
	undo()
	if got := f.cases(b); len(got) != 0 {
		t.Errorf("undone: got %+v, want it ended", got)
	}

	// What somebody else proposed is neither proposed again nor taken back by a message.
	var made client.Committed
	f.post("/v1/submit/"+string(merge.KindPropose)+"?as=second", &merge.Propose{Stays: a, Goes: c, Basis: tx.Hash{1}}, &made)
	f.accepts(f.v2("ADT^A40^ADT_A39", ann, "MRG|S3^^^FAC^MR"))
	f.accepts(f.v2("ADT^A37^ADT_A37", ann, strings.Replace(cid, "PID|1", "PID|2", 1)))
	if got := f.cases(c); len(got) != 1 || got[0].ID != made.ID {
		t.Errorf("got %+v, want what the second proposed", got)
	}

	// A proposal that the ledger refuses keeps no message: it is applied, and no letter.
	f.conf.Feeds[0].Proposer = "reader"
	f.again()
	join()
	if got := f.cases(b); len(got) != 0 {
		t.Errorf("by who may not: got %+v", got)
	}
	var letters []gateway.Letter
	if f.get("/v1/feeds/adt/letters", &letters); len(letters) != 0 {
		t.Errorf("got %+v, want no dead letter", letters)
	}
	if got := f.one("Patient", "identifier", "urn:sample:mrn|S2"); at(got, "link.0.type") != "replaced-by" {
		t.Errorf("got %v, want it linked", got)
	}
	// Who proposes nothing links.
	undo()
	f.conf.Feeds[0].Proposer = ""
	f.again()
	join()
	if got := f.cases(b); len(got) != 0 {
		t.Errorf("without a proposer: got %+v", got)
	}
}
