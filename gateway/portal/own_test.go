package portal

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salus/client"
	"salus/ledger/tx"
)

// written is an organisation's own store.
type written struct {
	of    map[tx.Account][]string
	fails error // after the first record
}

func (o written) Written(_ context.Context, patient tx.Account, f func(w Written, body []byte) error) error {
	for i, b := range o.of[patient] {
		if err := f(Written{ID: "a", Type: "Observation", Time: 5, Index: uint64(i)}, []byte(b)); err != nil {
			return err
		}
		if o.fails != nil {
			return o.fails
		}
	}
	return o.fails
}

// TestAPatientReadsWhatWasWrittenHereOnlyWhileTheLedgerStandsStill has the deny paths of GET /api/own.
func TestAPatientReadsWhatWasWrittenHereOnlyWhileTheLedgerStandsStill(t *testing.T) {
	w := newWorld(t)
	me, other := tx.Account{1}, tx.Account{2}
	mine := w.as(t, session{account: me, role: patient})
	own := func(c *http.Cookie) (int, string, []byte) {
		rec := w.ask("GET", "/api/own", nil, c, nil)
		return rec.Code, codeOf(rec), rec.Body.Bytes()
	}
	if status, code, _ := own(mine); status != http.StatusNotFound || code != "unknown" {
		t.Errorf("a portal without a store: got %d %s", status, code)
	}
	w.Own, w.Quorum = written{of: map[tx.Account][]string{me: {"one", "", "three"}, other: {"hers"}}}, client.NewQuorum()
	if status, code, _ := own(mine); status != http.StatusConflict || code != "goes-on" {
		t.Errorf("while the ledger goes on: got %d %s, want a refusal", status, code)
	}
	w.Quorum.Lose(w.now.Add(-90 * time.Second))
	status, _, b := own(mine)
	if got := bodies(t, b); status != http.StatusOK || !cmp.Equal(got, []string{"one", "", "three"}) {
		t.Errorf("while it stands still: got %d %q", status, got)
	}
	for name, c := range map[string]*http.Cookie{"staff": w.as(t, session{account: me, role: staff}), "an admin": w.as(t, session{account: me, role: admin}), "a newcomer": w.as(t, session{account: me, role: newcomer})} {
		if status, code, _ := own(c); status != http.StatusForbidden || code != "role" {
			t.Errorf("as %s: got %d %s", name, status, code)
		}
	}
	if status, code, _ := own(nil); status != http.StatusUnauthorized || code != "session" {
		t.Errorf("without a session: got %d %s", status, code)
	}
	var s Standing
	if err := json.Unmarshal(w.ask("GET", "/api/node", nil, nil, nil).Body.Bytes(), &s); err != nil || s.Seconds != 90 || s.NoQuorum != uint64(w.now.Unix())-90 {
		t.Errorf("got %+v, %v, want a standstill of 90 seconds", s, err)
	}
	w.Quorum.Regain()
	if status, code, _ := own(mine); status != http.StatusConflict || code != "goes-on" {
		t.Errorf("when it goes on again: got %d %s, want a refusal", status, code)
	}
}

func TestAnAnswerThatBreaksOffIsNotTakenForAWholeOne(t *testing.T) {
	w := newWorld(t)
	w.Quorum = client.NewQuorum()
	w.Quorum.Lose(w.now)
	mine := w.as(t, session{account: tx.Account{1}, role: patient})
	w.Own = written{fails: errors.New("the journal is full")}
	if rec := w.ask("GET", "/api/own", nil, mine, nil); rec.Code != http.StatusInternalServerError || codeOf(rec) != "internal" {
		t.Errorf("nothing begun: got %d %s", rec.Code, rec.Body)
	}
	w.Own = written{of: map[tx.Account][]string{{1}: {"one", "two"}}, fails: errors.New("the disk is damaged")}
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("got %v, want the connection to be cut", got)
		}
	}()
	w.ask("GET", "/api/own", nil, mine, nil)
}

// bodies takes an answer apart.
func bodies(t *testing.T, b []byte) (out []string) {
	t.Helper()
	part := func() []byte {
		if len(b) < 4 || len(b)-4 < int(binary.BigEndian.Uint32(b)) {
			t.Fatalf("the answer is cut off: %x", b)
		}
		n := binary.BigEndian.Uint32(b)
		p := b[4 : 4+n]
		b = b[4+n:]
		return p
	}
	for len(b) > 0 {
		var h Written
		d := json.NewDecoder(bytes.NewReader(part()))
		d.DisallowUnknownFields()
		if err := d.Decode(&h); err != nil {
			t.Fatal(err)
		}
		body := part()
		if h.Bytes != len(body) {
			t.Errorf("the header says %d bytes, got %d", h.Bytes, len(body))
		}
		out = append(out, string(body))
	}
	return out
}
