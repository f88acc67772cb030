package fault

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"salus/config"
	"salus/gateway"
	"salus/hl7"
	"salus/hl7/mllp"
)

// beside is an address that is free next to a gateway's.
func beside(t *testing.T, listen string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort(host, strconv.Itoa(n+5))
}

// admits sends the admissions of sample patients from first to last over MLLP to the hospital's feed. Each must be
// acknowledged in a time that waits for nobody. It returns how many there are so far.
func (w *world) admits(first, last int) int {
	w.t.Helper()
	c, err := config.Load(w.Home("hospital"))
	if err != nil {
		w.t.Fatal(err)
	}
	conn, err := net.Dial("tcp", c.Feeds[0].Listen)
	if err != nil {
		w.t.Fatal(err)
	}
	client := mllp.NewClient(conn, 1<<20)
	defer client.Close()
	for n := first; n <= last; n++ {
		m, err := hl7.Parse(fmt.Appendf(nil, "MSH|^~\\&|ADT|FAC|SALUS|NODE|20260102030405+0000||ADT^A01^ADT_A01|Q%d|P|2.5.1\rEVN||20260102030405\rPID|1||Q%d^^^FAC^MR||Sample^Quiet%d\r", n, n, n))
		if err != nil {
			w.t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), bounded+15*time.Second)
		a, err := client.Send(ctx, m)
		cancel()
		if err != nil {
			w.t.Fatalf("message %d: %v", n, err)
		}
		if got := a.Get("MSA-1").Plain(); got != "AA" {
			w.t.Errorf("message %d with two of four: got %s, want AA", n, got)
		}
	}
	return last
}

// admitted reports whether each of the first messages made one Patient that one Provenance of the ledger
// names, and the feed's journal has all of them, without a gap.
func (w *world) admitted(count int) bool {
	w.t.Helper()
	for n := 1; n <= count; n++ {
		var found struct {
			Entry []struct {
				Resource struct{ ID string }
			}
		}
		_, _, b := w.fhir("hospital", "GET", fmt.Sprintf("Patient?identifier=urn:sample:mrn|Q%d", n), nil, nil)
		if err := json.Unmarshal(b, &found); err != nil || len(found.Entry) != 1 {
			w.t.Errorf("message %d: got %d patients, %v, want one: %.300s", n, len(found.Entry), err, b)
			return true
		}
		var anchors struct {
			Entry []struct {
				Resource struct{ Target []struct{ Reference string } }
			}
		}
		version, times := "Patient/"+found.Entry[0].Resource.ID+"/_history/1", 0
		_, _, b = w.fhir("hospital", "GET", "Provenance?_count=100&target=Patient/"+found.Entry[0].Resource.ID, nil, nil)
		if err := json.Unmarshal(b, &anchors); err != nil {
			w.t.Error(err)
			return true
		}
		for _, e := range anchors.Entry {
			for _, target := range e.Resource.Target {
				if strings.HasSuffix(target.Reference, version) {
					times++
				}
			}
		}
		if times > 1 {
			w.t.Errorf("message %d is anchored %d times", n, times)
		}
		if times == 0 {
			return false
		}
	}
	var feeds []gateway.Feed
	w.call("hospital", "GET", "/v1/feeds", nil, &feeds)
	if len(feeds) != 1 || feeds[0].Received != uint64(count) || feeds[0].Applied != uint64(count) || feeds[0].Pending != 0 || feeds[0].Dead != 0 {
		w.t.Errorf("got the feed %+v, want %d messages, all applied", feeds, count)
	}
	return true
}
