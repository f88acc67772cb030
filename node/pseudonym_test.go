package node_test

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salus/gateway/balp"
	"salus/ledger/tx"
	"salus/node"
)

// TestStaffArePseudonymsToPatientsOnly is A-12: by configuration, a patient finds no name of staff in her log, by none of its
// ways; the organisation does.
func TestStaffArePseudonymsToPatientsOnly(t *testing.T) {
	c := home(t, 1)[0]
	const doctor = "a-doctor"
	account := tx.Account{7}.String()
	if err := os.WriteFile(filepath.Join(c.KeyDir(), "staff-"+doctor+".key"), []byte(account+" "+strings.Repeat("00", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	herself, operator := balp.Who{Reference: "Patient/p1"}, balp.Who{Display: "the operator"}
	for _, hidden := range []bool{false, true} {
		c.FHIR.StaffPseudonyms = hidden
		n, err := node.New(t.Context(), c, logger(t))
		if err != nil {
			t.Fatal(err)
		}
		log := n.Events()
		for _, who := range []string{"Practitioner/" + doctor, "Practitioner/a-locum", "PractitionerRole/night"} {
			if _, err := log.Recorder.Record(t.Context(), balp.Event{
				Kind: balp.Search, Outcome: balp.Success, Time: time.Now(), User: balp.Who{Reference: who, Display: path.Base(who)}, Patient: balp.Who{Reference: "Patient/p1"},
				Query: "GET Observation?performer=" + who,
			}); err != nil {
				t.Fatal(err)
			}
		}
		read := func(as balp.Who, query url.Values) string {
			q, err := balp.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			page, err := log.Search(t.Context(), balp.Subject{Ref: "Patient/p1"}, q, balp.Event{User: as})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf("%s", page.Events)
		}
		for who, named := range map[string]bool{doctor: !hidden, "a-locum": !hidden, "night": !hidden} {
			if got := strings.Contains(read(herself, nil), who); got != named {
				t.Errorf("hidden %v: her log names %s: %v", hidden, who, got)
			}
			if !strings.Contains(read(operator, nil), who) {
				t.Errorf("hidden %v: the organisation's log does not name %s", hidden, who)
			}
			if got := read(herself, url.Values{"agent-name": {who}}) != "[]"; got != named {
				t.Errorf("hidden %v: she finds %s by name: %v", hidden, who, got)
			}
		}
		if got := strings.Contains(read(herself, nil), account); got != hidden {
			t.Errorf("hidden %v: her log has the doctor's account: %v", hidden, got)
		}
		if err := n.CloseUnused(); err != nil {
			t.Fatal(err)
		}
	}
}
