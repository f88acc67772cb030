package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"salus/client"
	"salus/config"
	"salus/gateway"
	"salus/internal/sample"
	"salus/ledger/module/governance"
)

// TestFifthMemberJoinsByStateSync admits an organisation by vote into a network that has pruned
// its first blocks, runs it from a snapshot, and makes it a custodian under load; then another leaves.
func TestFifthMemberJoinsByStateSync(t *testing.T) {
	if testing.Short() {
		t.Skip("a network that grows, prunes and changes its custodians: two minutes")
	}
	orgs := []string{"hospital", "clinic", "insurer", "institute"}
	n := newNetwork(t, `{"snapshotInterval": 20, "retainBlocks": 100, "reshareWait": 10, "reshareGrace": 120}`)
	n.start(orgs...)
	n.ready(orgs...)
	n.enlist()
	var imported []gateway.ImportReport
	n.runJSON("hospital", &imported, "record", "import", n.write("her.json", sample.Bundle(5, 40)))
	patient, wallet := imported[0].Patients[0].String(), filepath.Join(n.Dir, "her.wallet")
	n.run("hospital", 0, "identity", "claim", patient, "--wallet", wallet)

	t.Log("blocks older than the retention go, receipts stay")
	var early client.Committed
	n.runJSON("hospital", &early, "identity", "update", "hospital-doctor", "--privileges", "read")
	n.load("insurer", "claims-clerk", 160)
	n.until("hospital", "the first blocks are gone", func() bool {
		return n.rpc(0, "/block?height=1", &struct{}{}) != nil
	})
	genesis := filepath.Join(n.home("clinic"), "genesis.json")
	for i, args := range [][]string{{patient}, {"--entry", "0"}} {
		file := filepath.Join(n.Dir, fmt.Sprint("receipt-", i))
		n.run("hospital", 0, append([]string{"audit", "receipt", "--out", file}, args...)...)
		n.run("", 0, "verify", file, "--genesis", genesis)
	}
	if out := n.run("hospital", 0, "tx", "show", early.ID.String()); !strings.Contains(out, "accepted") || strings.Contains(out, "kind") {
		t.Errorf("got %q, want the result without the pruned bytes", out)
	}

	t.Log("application, votes, admission")
	n.apply("lab")
	n.load("insurer", "claims-clerk", 50) // past the next snapshot

	t.Log("state sync from a header that two members name")
	rpc := func(i int) string { return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(n.Port+10*i+1)) }
	n.run("lab", 1, "node", "join", rpc(0))
	n.run("lab", 1, "node", "join", rpc(0), rpc(1), "--hash", strings.Repeat("00", 32))
	n.run("lab", 0, "node", "join", rpc(0), rpc(1))
	n.start("lab")
	n.ready("lab")
	all := append(orgs, "lab")
	n.agree(all...)
	var base struct {
		SyncInfo struct {
			Earliest string `json:"earliest_block_height"`
		} `json:"sync_info"`
	}
	if err := n.rpc(5, "/status", &base); err != nil {
		t.Fatal(err)
	}
	if from, err := strconv.Atoi(base.SyncInfo.Earliest); err != nil || from < 100 {
		t.Errorf("the new node starts at block %s: it replayed instead of syncing", base.SyncInfo.Earliest)
	}

	t.Log("the new node answers with proofs, writes and takes part")
	file := filepath.Join(n.Dir, "lab.receipt")
	n.run("lab", 0, "audit", "receipt", patient, "--out", file)
	n.run("", 0, "verify", file, "--genesis", genesis)
	n.run("lab", 0, "audit", "receipt", "--entry", "0", "--out", file)
	n.run("", 0, "verify", file, "--genesis", genesis)
	n.run("lab", 0, "audit", "log", patient)
	n.runJSON("lab", &imported, "record", "import", n.write("lab.json", sample.Bundle(6, 20)))
	if !imported[0].Active || imported[0].Records != 20 {
		t.Errorf("got %+v, want 20 active records of the new member", imported[0])
	}
	n.interrupt("institute") // four of five still decide, three custodians of four still answer
	n.load("insurer", "claims-clerk", 2)
	n.runJSON("lab", &imported, "record", "import", n.write("lab2.json", sample.Bundle(7, 20)))
	if !imported[0].Active {
		t.Error("with one member down the new member's records do not become active")
	}
	n.start("institute")
	n.ready("institute")
	n.agree(all...)

	t.Log("a restart of the new node needs no state sync again")
	n.interrupt("lab")
	n.run("lab", 0, "node", "fsck")
	n.start("lab")
	n.ready("lab")
	n.agree(all...)
	n.passOn(all)
	n.interrupt("hospital", "clinic", "insurer", "lab")
	for _, org := range all {
		n.run(org, 0, "node", "fsck")
	}
}

// apply makes a fifth home and has its organisation admitted.
func (n *network) apply(org string) {
	n.t.Helper()
	genesis, port := filepath.Join(n.home("clinic"), "genesis.json"), n.Port+50
	n.run(org, 0, "node", "init", org, "--title", "Sample Laboratory", "--class", "lab", "--genesis", genesis,
		"--listen", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "--peers", n.peers(n.t))
	n.run(org, 2, "node", "init", org, "--title", "Sample Laboratory", "--class", "lab", "--genesis", genesis)
	n.vote([]string{"hospital", "clinic", "insurer"}, "governance", "admit", filepath.Join(n.home(org), "application.json"))
	var members []governance.Member
	n.runJSON("hospital", &members, "governance", "members")
	if len(members) != 5 {
		n.t.Fatalf("got %d members, want 5", len(members))
	}
}

// peers lists the four first nodes as the new one must dial them.
func (n *network) peers(t *testing.T) string {
	t.Helper()
	clinic, err := config.Load(n.home("clinic"))
	if err != nil {
		t.Fatal(err)
	}
	hospital, err := config.Load(n.home("hospital"))
	if err != nil {
		t.Fatal(err)
	}
	peers := clinic.Ledger.Peers // all but the clinic itself, whom the hospital names
	for _, p := range hospital.Ledger.Peers {
		if strings.HasSuffix(p, "@"+clinic.Ledger.Listen) {
			peers = append(peers, p)
		}
	}
	if len(peers) != 4 {
		t.Fatalf("got %d peers, want 4", len(peers))
	}
	return strings.Join(peers, ",")
}
