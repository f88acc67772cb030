package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"salus/config"
	"salus/gateway"
	"salus/internal/sample"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
	"salus/ledger/module/governance"
	"salus/node"
	"salus/record"
)

// TestFourProcessesKeepWhatTheyAcknowledged lives a record's life on four processes and then
// takes away one after the other.
func TestFourProcessesKeepWhatTheyAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("four processes, killed and restarted: half a minute")
	}
	orgs := []string{"hospital", "clinic", "insurer", "institute"}
	n := newNetwork(t, lookups)
	n.start(orgs...)
	n.ready(orgs...)
	n.enlist()

	// Import, claim, grant, read, revoke.
	var imported []gateway.ImportReport
	n.runJSON("hospital", &imported, "record", "import", n.write("her.json", sample.Bundle(1, 60)))
	patient, wallet := imported[0].Patients[0].String(), filepath.Join(n.Dir, "her.wallet")
	if imported[0].Records != 60 || !imported[0].Active {
		t.Fatalf("got %+v, want 60 active records", imported[0])
	}
	n.run("hospital", 0, "identity", "claim", patient, "--wallet", wallet)
	n.run("hospital", 0, "consent", "grant", "--wallet", wallet, "--member", "clinic")
	if got := n.read(t, patient); got != 60-ofNobody {
		t.Fatalf("the clinic read %d records, want %d", got, 60-ofNobody)
	}

	t.Log("she is looked up by her number")
	n.lookUp(patient)

	t.Log("one organisation is stopped throughout: writes become active, the clinic reads")
	n.interrupt("institute")
	n.runJSON("hospital", &imported, "record", "import", n.write("more.json", sample.Bundle(2, 40)))
	if !imported[0].Active || imported[0].Records != 40 {
		t.Fatalf("got %+v, want 40 active records", imported[0])
	}
	if got := n.read(t, patient); got != 60-ofNobody {
		t.Fatalf("with one member down the clinic read %d records, want %d", got, 60-ofNobody)
	}
	n.start("institute")
	n.ready("institute")

	t.Log("the author is killed while it imports")
	third := n.killDuringImport(t, "hospital", "hospital", 3)
	t.Log("a custodian is killed while another imports")
	fourth := n.killDuringImport(t, "institute", "hospital", 4)

	t.Log("a node is interrupted again and again while it catches up")
	n.interrupt("insurer")
	n.load("clinic", "clinic-doctor", 60)
	for range 3 {
		n.start("insurer")
		n.alive("insurer")
		n.interrupt("insurer")
	}
	n.start("insurer")
	n.ready("insurer")

	n.run("hospital", 0, "consent", "revoke", "--wallet", wallet)
	if got := n.read(t, patient); got != 0 {
		t.Fatalf("after the revocation the clinic read %d records, want none", got)
	}
	before := n.agree(orgs...)

	t.Log("a member replaces its service key and another one its link key; everything stops and starts again")
	before = n.replaceKeys(orgs, before)
	n.interrupt(orgs...)
	for _, org := range orgs {
		n.run(org, 0, "node", "fsck")
	}
	n.start(orgs...)
	n.ready(orgs...)
	n.revokeOldKey("hospital")
	after := n.agree(orgs...)
	if after.Height < before.Height {
		t.Errorf("got height %d after the restart, want at least %d", after.Height, before.Height)
	}
	for p, want := range map[string]int{patient: 60 - ofNobody, third: 200 - ofNobody, fourth: 200 - ofNobody} {
		if got := n.allActive("hospital", p); got != want {
			t.Errorf("after the restart the hospital has %d records of a patient, want %d", got, want)
		}
	}
	n.run("hospital", 0, "consent", "grant", "--wallet", wallet, "--member", "clinic")
	if got := n.read(t, patient); got != 60-ofNobody {
		t.Errorf("after the restart the clinic read %d records, want %d", got, 60-ofNobody)
	}
	var log struct {
		Complete bool         `json:"complete"`
		Entries  []audit.Link `json:"entries"`
	}
	n.runJSON("institute", &log, "audit", "log", patient)
	if !log.Complete || len(log.Entries) < 8 {
		t.Errorf("got %d entries of the access log, want all of both runs", len(log.Entries))
	}
	receipt := filepath.Join(n.Dir, "log.receipt")
	n.run("clinic", 0, "audit", "receipt", patient, "--out", receipt)
	n.run("", 0, "verify", receipt, "--genesis", filepath.Join(n.home("insurer"), "genesis.json"))

	n.interrupt(orgs...)
	for _, org := range orgs {
		n.run(org, 0, "node", "fsck")
	}
}

// read opens a session of the clinic's doctor and counts what she reads.
func (n *network) read(t *testing.T, patient string) int {
	t.Helper()
	var a gateway.OpenSession
	a.As, a.Purpose, a.Seconds = "clinic-doctor", consent.TREAT, 600
	if err := a.Patient.UnmarshalText([]byte(patient)); err != nil {
		t.Fatal(err)
	}
	var s gateway.SessionInfo
	n.call("clinic", "POST", "/v1/sessions", a, &s)
	var res gateway.ReadResult
	n.call("clinic", "POST", "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{}, &res)
	n.call("clinic", "DELETE", "/v1/sessions/"+s.ID.String(), nil, nil)
	if len(res.Bad) != 0 {
		t.Errorf("got %d custodians found bad, want none", len(res.Bad))
	}
	return len(slices.DeleteFunc(res.Records, func(r gateway.OpenedRecord) bool { return bytes.Contains(r.Body, []byte(record.SummaryID)) }))
}

// ofNobody is how many resources of a sample are no patient's: its organisation and its practitioner.
const ofNobody = 2

// killDuringImport kills victim after author acknowledged the first records of an import of
// 200, starts it again, imports the same once more, and wants every record once. It returns
// the patient.
func (n *network) killDuringImport(t *testing.T, victim, author string, seed uint64) string {
	t.Helper()
	// Two patients in one stream, so that there is something after the first acknowledgement.
	first, second := sample.NDJSON(seed, 200), sample.NDJSON(seed+100, 200)
	stream := append(bytes.Clone(first), second...)
	r, err := n.api(author).Do(t.Context(), "POST", "/v1/import?format=ndjson&wait=active", "application/fhir+json", bytes.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	d := json.NewDecoder(r.Body)
	var line gateway.ImportLine
	if err := d.Decode(&line); err != nil || line.Progress == nil {
		t.Fatalf("got %+v, %v, want a line of progress", line, err)
	}
	acknowledged := min(line.Progress.Records, 200) // of the first patient
	n.kill(victim)
	for {
		var next gateway.ImportLine
		if err := d.Decode(&next); err != nil {
			if victim != author {
				t.Fatalf("the import ended early: %v", err)
			}
			break // the answer ended with the process
		}
		if next.Progress != nil && next.Progress.Patients == 1 {
			acknowledged = min(next.Progress.Records, 200)
		}
		if next.Error != nil {
			t.Fatalf("the import failed: %v", next.Error)
		}
		if next.Done != nil {
			break
		}
	}
	_, _ = io.Copy(io.Discard, r.Body)
	n.run(victim, 0, "node", "fsck") // a kill is no damage
	n.start(victim)
	n.ready(victim)

	var again []gateway.ImportReport
	n.runJSON(author, &again, "record", "import", n.write("again.ndjson", first))
	if got := again[0].Records + again[0].Duplicates; got != 200 {
		t.Fatalf("the second import took %d records, want 200", got)
	}
	if lost := acknowledged - again[0].Duplicates; lost > 0 {
		t.Errorf("%d acknowledged records were lost", lost)
	}
	patient := again[0].Patients[0].String()
	if got := n.allActive(author, patient); got != 200-ofNobody {
		t.Errorf("got %d records after the second import, want %d: nothing lost, nothing doubled", got, 200-ofNobody)
	}
	return patient
}

// replaceKeys gives the hospital another service key and the institute another link key, which their nodes use from
// their next start on.
func (n *network) replaceKeys(orgs []string, before gateway.Status) gateway.Status {
	n.t.Helper()
	n.run("hospital", 0, "member", "rotate-key")
	n.run("institute", 0, "member", "rotate-peer")
	if after := n.agree(orgs...); after.Height > before.Height {
		return after
	}
	n.t.Fatal("the changes are in no block")
	return before
}

// revokeOldKey ends the service key of before, and is refused the one that the node signs with.
func (n *network) revokeOldKey(org string) {
	n.t.Helper()
	used, err := node.MemberKeyID(n.config(org))
	if err != nil {
		n.t.Fatal(err)
	}
	var m governance.Member
	n.runJSON(org, &m, "member", "keys")
	if len(m.Keys.Open()) != 2 {
		n.t.Fatalf("got %d live keys, want two", len(m.Keys.Open()))
	}
	for _, k := range m.Keys.Open() {
		if id := k.Public.ID(); id == used {
			n.run(org, 2, "member", "revoke-key", id.String())
		} else {
			n.run(org, 0, "member", "revoke-key", id.String())
		}
	}
}

func (n *network) config(org string) *config.Config {
	n.t.Helper()
	c, err := config.Load(n.home(org))
	if err != nil {
		n.t.Fatal(err)
	}
	return c
}
