package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"testing"

	"salus/gateway"
	"salus/internal/sample"
	"salus/ledger/module/audit"
	"salus/ledger/module/consent"
)

// TestFourProcessesKeepWhatTheyAcknowledged lives a record's life on four processes and then
// takes away one after the other.
func TestFourProcessesKeepWhatTheyAcknowledged(t *testing.T) {
	if testing.Short() {
		t.Skip("four processes, killed and restarted: half a minute")
	}
	orgs := []string{"hospital", "clinic", "insurer", "institute"}
	n := newNetwork(t, "{}")
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
	if got := n.read(t, patient); got != 60 {
		t.Fatalf("the clinic read %d records, want 60", got)
	}

	t.Log("one organisation is stopped throughout: writes become active, the clinic reads")
	n.interrupt("institute")
	n.runJSON("hospital", &imported, "record", "import", n.write("more.json", sample.Bundle(2, 40)))
	if !imported[0].Active || imported[0].Records != 40 {
		t.Fatalf("got %+v, want 40 active records", imported[0])
	}
	if got := n.read(t, patient); got != 60 {
		t.Fatalf("with one member down the clinic read %d records, want 60", got)
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

	t.Log("everything stops and starts again")
	n.interrupt(orgs...)
	for _, org := range orgs {
		n.run(org, 0, "node", "fsck")
	}
	n.start(orgs...)
	n.ready(orgs...)
	after := n.agree(orgs...)
	if after.Height < before.Height {
		t.Errorf("got height %d after the restart, want at least %d", after.Height, before.Height)
	}
	for p, want := range map[string]int{patient: 60, third: 200, fourth: 200} {
		if got := n.allActive("hospital", p) - 1; got != want { // without the slot map
			t.Errorf("after the restart the hospital has %d records of a patient, want %d", got, want)
		}
	}
	n.run("hospital", 0, "consent", "grant", "--wallet", wallet, "--member", "clinic")
	if got := n.read(t, patient); got != 60 {
		t.Errorf("after the restart the clinic read %d records, want 60", got)
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
	return len(res.Records)
}

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
	acknowledged := line.Progress.Records
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
			acknowledged = next.Progress.Records
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
	if got := n.allActive(author, patient) - 1; got != 200 { // without the slot map
		t.Errorf("got %d records after the second import, want 200: nothing lost, nothing doubled", got)
	}
	return patient
}
