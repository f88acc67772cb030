package record

import (
	"fmt"
	"testing"

	"salus/ledger/module/committee"
)

// A custodian that takes packs and never says on the ledger that it holds them is passed over, though it is up and
// though it is the first to be asked.
func TestAPackGoesToAnotherThanWhoKeepsSilent(t *testing.T) {
	w := newWorld(t)
	h := w.orgs["hospital"]
	h.open("")
	p := w.patient("Patient/p")
	w.orgs["lab"].refuse(stepTell)
	v := w.app.View()
	epoch, err := committee.Current(v)
	v.Close()
	if err != nil {
		t.Fatal(err)
	}
	var ids []ID
	for first := false; !first; {
		id := w.put(p.Patient, observation(t, fmt.Sprint(len(ids)), "sample"))[0]
		w.blocksUntil("a record is dealt", func() bool {
			st, err := h.record.Status(id)
			if err != nil {
				t.Fatal(err)
			}
			return st != Stored
		})
		ids = append(ids, id)
		first = ReplicaOrder(epoch.Members, account("hospital"), w.batchOf(id))[0] == account("lab")
	}
	w.activeSoon(ids...)
	if n, err := h.record.Pending(); n != (Pending{}) || err != nil {
		t.Errorf("got %+v, %v, want nothing", n, err)
	}
}
