package e2e

import (
	"fmt"
	"net"
	"os"
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
// its first blocks, and runs it from a snapshot.
func TestFifthMemberJoinsByStateSync(t *testing.T) {
	if testing.Short() {
		t.Skip("a network that grows and prunes: a minute")
	}
	orgs := []string{"hospital", "clinic", "insurer", "institute"}
	n := newNetwork(t, `{"snapshotInterval": 20, "retainBlocks": 100}`)
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
	port := n.Port + 50
	n.run("lab", 0, "node", "init", "lab", "--title", "Sample Laboratory", "--class", "lab", "--genesis", genesis,
		"--listen", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), "--peers", n.peers(t))
	n.run("lab", 2, "node", "init", "lab", "--title", "Sample Laboratory", "--class", "lab", "--genesis", genesis)
	var proposal client.Committed
	n.runJSON("hospital", &proposal, "governance", "admit", filepath.Join(n.home("lab"), "application.json"))
	n.run("clinic", 0, "governance", "vote", proposal.ID.String(), "--approve")
	n.run("insurer", 0, "governance", "vote", proposal.ID.String(), "--approve")
	var members []governance.Member
	n.runJSON("hospital", &members, "governance", "members")
	if len(members) != 5 {
		t.Fatalf("got %d members, want 5", len(members))
	}
	n.load("insurer", "claims-clerk", 50) // past the next snapshot

	t.Log("state sync from a header that two members name")
	n.trust(t, "lab")
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
	n.interrupt(all...)
	for _, org := range all {
		n.run(org, 0, "node", "fsck")
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

// trust sets a home's state_sync from the header that two members' RPC name alike.
func (n *network) trust(t *testing.T, org string) {
	t.Helper()
	c, err := config.Load(n.home(org))
	if err != nil {
		t.Fatal(err)
	}
	var s gateway.Status
	n.call("hospital", "GET", "/v1/status", nil, &s)
	height := s.Height - 30
	for i := range 2 {
		var reply struct {
			SignedHeader struct {
				Commit struct {
					BlockID struct {
						Hash string `json:"hash"`
					} `json:"block_id"`
				} `json:"commit"`
			} `json:"signed_header"`
		}
		if err := n.rpc(i, fmt.Sprintf("/commit?height=%d", height), &reply); err != nil {
			t.Fatal(err)
		}
		hash := reply.SignedHeader.Commit.BlockID.Hash
		if i > 0 && hash != c.Ledger.StateSync.TrustHash {
			t.Fatal("two members name different headers")
		}
		c.Ledger.StateSync.TrustHash = hash
		c.Ledger.StateSync.Servers = append(c.Ledger.StateSync.Servers, "http://"+net.JoinHostPort("127.0.0.1", strconv.Itoa(n.Port+10*i+1)))
	}
	c.Ledger.StateSync.Enable, c.Ledger.StateSync.TrustHeight = true, height
	if err := c.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(n.home(org), "application.json")); err != nil {
		t.Error(err)
	}
}
