package e2e

import (
	"context"
	"slices"
	"strings"
	"time"

	"salus/ledger/module/audit"
	"salus/ledger/module/lookup"
	"salus/record"
)

// lookups is the genesis of a network in which one practitioner looks up two identifiers in 24 hours.
const lookups = `{"lookupQuota":2}`

// lookUp finds a patient of the hospital by her number at the clinic, as often as a practitioner may, and wants it in
// her log: four processes evaluate, none of them alone.
func (n *network) lookUp(patient string) {
	n.t.Helper()
	began := time.Now()
	n.until("hospital", "the custodians have made the key of lookups", func() bool {
		var s struct {
			Ceremony lookup.Ceremony `json:"ceremony"`
		}
		n.runJSON("hospital", &s, "lookup", "status")
		return s.Ceremony.Phase == lookup.Done
	})
	const number = "urn:oid:2.999.7|LK 77-31"
	n.run("hospital", 0, "lookup", "enrol", patient, "--id", number)
	find := func(number string) (found []record.Match) {
		n.runJSON("clinic", &found, "lookup", "find", "--as", "clinic-doctor", "--id", number)
		return found
	}
	if got := find("urn:oid:2.999.7|lk7731"); len(got) != 1 || got[0].Patient.String() != patient {
		n.t.Fatalf("got %+v, want the one patient of that number", got)
	}
	if got := find("urn:oid:2.999.7|LK7732"); len(got) != 0 {
		n.t.Fatalf("got %+v by another number, want nobody", got)
	}
	ctx, cancel := context.WithTimeout(n.t.Context(), patience)
	defer cancel()
	r, err := n.CLI(ctx, "clinic", "lookup", "find", "--as", "clinic-doctor", "--id", number)
	if err != nil || r.Code != 1 || !strings.Contains(r.Err, "refused (0x0c0d)") {
		n.t.Fatalf("the third in a day: got %d %s%s, %v, want it refused", r.Code, r.Out, r.Err, err)
	}
	doctor := n.member("clinic", "clinic-doctor")
	var log struct {
		Entries []audit.Link `json:"entries"`
	}
	n.runJSON("hospital", &log, "audit", "log", patient)
	seen := slices.DeleteFunc(log.Entries, func(l audit.Link) bool { return l.Record.Action != audit.LookedUp })
	if len(seen) != 1 || seen[0].Record.Actor != doctor.Account {
		n.t.Errorf("got %+v in her log, want the one lookup that led to her, and who", seen)
	}
	n.t.Logf("looked up in %s", time.Since(began).Round(time.Millisecond))
}
