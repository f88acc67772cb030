package node_test

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"salus/config"
	"salus/gateway"
	"salus/ledger/module/governance"
	"salus/ledger/tx"
)

// What waits in a feed is not sent when the patient whom it is about is erased; what others wait for is, and who was
// told before stays in the log.
func TestFeedForgetsWhoIsErased(t *testing.T) {
	f := newFeeding(t, func(c *config.Config) {
		_, port, _ := net.SplitHostPort(c.Feeds[0].Listen)
		p, _ := strconv.Atoi(port)
		for i, name := range []string{"out", "given"} {
			c.Feeds = append(c.Feeds, config.Feed{Name: name, Plain: true, Off: i == 0, Send: net.JoinHostPort("127.0.0.1", strconv.Itoa(p+1+i))})
		}
		c.Feeds[1].Publish, c.Feeds[1].Authorities = []string{"ADT"}, map[string]string{"MRN": "urn:sample:mrn"}
	})
	f.conf.Feeds[1].Off = false // its place is from before the first patient
	f.again()
	f.write("Patient/p1", person("p1", ""))
	f.write("Patient/p2", person("p2", ""))
	given := func(patient string, raw []byte) string {
		return f.problem(http.MethodPost, "/v1/feeds/given/send?patient=Patient/"+patient, bytes.NewReader(raw))
	}
	first := f.v2("ADT^A08^ADT_A01", ann)
	for _, patient := range []string{"p1", "p2"} {
		if got := given(patient, first); got != "" {
			t.Fatalf("got %q", got)
		}
	}
	waits := func(want ...uint64) {
		t.Helper()
		f.until("the feeds have their messages", func() bool {
			var l []gateway.Feed
			f.get("/v1/feeds", &l)
			return slices.Equal(want, []uint64{l[1].Pending, l[2].Pending})
		})
	}
	waits(2, 2)

	// Somebody else is erased: nothing changes.
	f.write("Patient/p3", person("p3", ""))
	waits(3, 2)
	f.erase(f.pseudonym("p3"))
	waits(2, 2)
	her := f.pseudonym("p1")
	before := f.copied()
	f.erase(her)
	waits(1, 1)
	if got := given("p1", first); got != "feed-patient" {
		t.Errorf("a message about her is taken after the erasure: got %q", got)
	}
	f.again() // also for the time after a restart
	waits(1, 1)
	f.restore(before)
	waits(1, 1)
	out, to := receive(t, f.conf.Feeds[1].Send), receive(t, f.conf.Feeds[2].Send)
	out.sends("PID-3", "ADT^A28 p2")
	to.sends("PID-3.1", "ADT^A08 S1")
	f.settled()
	for _, r := range []*receiver{out, to} {
		select {
		case m := <-r.got:
			t.Errorf("got %q, want nothing more", m.Encode())
		default:
		}
	}
	f.events("p2", "feed out", 1)
}

// erase orders that all of a patient is erased.
func (f *feeding) erase(patient tx.Account) {
	f.t.Helper()
	must(f.t)(submit(f.t, f.conf, governance.KindPropose, &governance.Propose{Action: governance.Action{Erase: &governance.Erase{Patient: patient, Ground: tx.Hash{1}}}}))
}

// own are the folders of a node's data that only a backup brings back.
var own = []string{"record", "fhir", "feeds"}

// copied is a copy of what a node keeps of its own.
func (f *feeding) copied() string {
	f.t.Helper()
	f.hangUp()
	f.run.stop(f.t)
	dir := f.t.TempDir()
	for _, name := range own {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(f.conf.Data(name))); err != nil {
			f.t.Fatal(err)
		}
	}
	f.start()
	return dir
}

// restore puts a copy back.
func (f *feeding) restore(dir string) {
	f.t.Helper()
	f.hangUp()
	f.run.stop(f.t)
	for _, name := range own {
		if err := errors.Join(os.RemoveAll(f.conf.Data(name)), os.CopyFS(f.conf.Data(name), os.DirFS(filepath.Join(dir, name)))); err != nil {
			f.t.Fatal(err)
		}
	}
	f.start()
}
