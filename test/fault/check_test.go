package fault

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"salus/internal/sample"
	"salus/ledger/module/audit"
	"salus/record"
)

// settled waits, with all four running, until everything stored is active, and compares the network with
// the book; then it stops all and checks their disks. excused are organisations whose log may tell of a
// panic, because their disk was damaged. It starts them again if again is set.
func (w *world) settled(again bool, excused ...string) {
	w.t.Helper()
	took := w.until("every stored record is active", func() bool {
		for _, o := range w.orgs {
			if s, err := w.status(o); err != nil || s.Stored+s.Outbox != 0 || !s.Ready {
				return false
			}
		}
		return true
	})
	w.t.Logf("everything stored was active %s after the last repair", took.Round(10*time.Millisecond))
	w.level()
	for _, s := range w.all() {
		if s.patient.IsZero() {
			continue
		}
		for _, f := range append(lost(s, w.owned(s)), unlogged(s, w.logged(s))...) {
			w.t.Errorf("a patient of %s: %s", s.author, f)
		}
		if _, c := s.expected(); s.wallet != "" && c != unclear {
			ctx, cancel := w.within()
			if err := w.look(ctx, s); err != nil {
				w.t.Errorf("a reader after the faults: %v", err)
			}
			cancel()
		}
	}
	w.proven()
	for _, f := range forks(w.chains()) {
		w.t.Error(f)
	}
	for _, f := range w.faults {
		w.t.Error(f)
	}
	w.t.Logf("acknowledged and so on: %v", w.counts)
	w.interrupt(w.orgs...)
	for _, o := range w.orgs {
		w.run(o, 0, "node", "fsck")
		for _, line := range broken(w.Log(o)) {
			if !slices.Contains(excused, o) {
				w.t.Errorf("the log of %s: %s", o, line)
			}
		}
	}
	if again {
		w.up(w.orgs...)
	}
}

// owned reads a patient's records back from her author, byte for byte.
func (w *world) owned(s *story) (out []own) {
	w.t.Helper()
	var rs []record.Owned
	w.call(s.author, "GET", "/v1/patients/"+s.patient.String()+"/records", nil, &rs)
	api, err := w.API(s.author)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range rs {
		if r.Type != "Patient" && r.Type != "Observation" {
			continue // the author's own index
		}
		b, err := api.Bytes(w.t.Context(), "GET", "/v1/records/"+r.ID.String(), nil)
		if err != nil {
			w.t.Errorf("an own record of %s: %v", s.author, err)
			continue
		}
		out = append(out, own{digestOf(sample.Sent(b)), r.Status == record.Active.String()})
	}
	return out
}

// logged is the blocks in which a patient's access log, which the node verifies, has entries. All four
// nodes tell of the same log.
func (w *world) logged(s *story) map[int64]bool {
	w.t.Helper()
	heights, count := map[int64]bool{}, -1
	for _, o := range w.orgs {
		var log struct {
			Complete bool         `json:"complete"`
			Height   int64        `json:"height"`
			Entries  []audit.Link `json:"entries"`
		}
		w.call(o, "GET", "/v1/patients/"+s.patient.String()+"/log", nil, &log)
		if !log.Complete || count >= 0 && len(log.Entries) < count {
			w.t.Errorf("%s has %d entries of an access log, want %d or more", o, len(log.Entries), count)
		}
		count = len(log.Entries)
		for _, e := range log.Entries {
			heights[int64(e.Height)] = true
		}
	}
	return heights
}

// proven makes a receipt of one patient's whole log at each node and verifies it offline.
func (w *world) proven() {
	w.t.Helper()
	for _, s := range w.all() {
		if s.wallet == "" {
			continue
		}
		for _, o := range w.orgs {
			file := filepath.Join(w.Dir, o+".receipt")
			w.run(o, 0, "audit", "receipt", s.patient.String(), "--out", file)
			w.run("", 0, "verify", file, "--genesis", filepath.Join(w.Home(o), "genesis.json"))
		}
		return
	}
}

// level waits until all four nodes are at one height and returns it.
func (w *world) level() (top int64) {
	w.t.Helper()
	w.until("all nodes at one height", func() bool {
		same := true
		for _, o := range w.orgs {
			s, err := w.status(o)
			same = same && err == nil && (top == 0 || s.Height == top)
			top = max(top, s.Height)
		}
		return same
	})
	return top
}

// chains asks each node for all blocks it has, once all have reached the same height.
func (w *world) chains() map[string]map[int64]block {
	w.t.Helper()
	top := w.level()
	out := map[string]map[int64]block{}
	for i, o := range w.orgs {
		out[o] = map[int64]block{}
		for from := int64(1); from <= top; from += 20 {
			var page struct {
				Metas []struct {
					ID struct {
						Hash string `json:"hash"`
					} `json:"block_id"`
					Header struct {
						Height  string `json:"height"`
						AppHash string `json:"app_hash"`
					} `json:"header"`
				} `json:"block_metas"`
			}
			if err := w.RPC(w.t.Context(), i, fmt.Sprintf("/blockchain?minHeight=%d&maxHeight=%d", from, min(from+19, top)), &page); err != nil {
				w.t.Fatalf("%s: %v", o, err)
			}
			for _, m := range page.Metas {
				h, err := strconv.ParseInt(m.Header.Height, 10, 64)
				if err != nil {
					w.t.Fatal(err)
				}
				out[o][h] = block{m.ID.Hash, m.Header.AppHash}
			}
		}
		if len(out[o]) == 0 {
			w.t.Errorf("%s shows no block", o)
		}
	}
	return out
}
