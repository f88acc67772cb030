package custody

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble"
	"golang.org/x/sync/errgroup"

	"salus/exchange"
	"salus/ledger/module/anchor"
	"salus/ledger/tx"
	"salus/seal"
)

// contents reads every file under dir.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a table that a compaction removed meanwhile
		}
		out[path] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// P12: nothing on a custodian's disk, in its write-ahead logs or its tables, is a share, an
// opening, a pseudonym, a custody seed or a record in the clear, nor is any file's name.
func TestNothingSecretIsOnDiskInTheClear(t *testing.T) {
	s := newScene(t)
	s.released(t)
	late, _ := s.deal("hospital", "carol", allowedSlot) // stays parked
	s.deliver("hospital", late)
	for _, m := range s.nodes {
		row, err := m.rows.batch(s.batch.Header.Hash())
		if err != nil {
			t.Fatal(err)
		}
		seeds, err := m.rows.seeds()
		if err != nil {
			t.Fatal(err)
		}
		secrets := map[string][]byte{
			"opening": row.Opening[:], "pseudonym": row.Patient[:], "pseudonym as text": []byte(row.Patient.String()),
			"parked pseudonym": func() []byte { a := account("carol"); return a[:] }(),
			"record":           plain(0)[:24], "salt of the list": s.req.List.Salt[:], "service key": private(m.name).Seed(),
		}
		for i := range row.Shares {
			secrets["share "+string(rune('0'+i))] = row.Shares[i][:]
		}
		for i := range seeds {
			secrets["seed"] = seeds[i].Seed[:]
		}
		dir := filepath.Join(s.dir, m.name)
		scan := func(when string) {
			t.Helper()
			for path, b := range contents(t, dir) {
				for name, secret := range secrets {
					if bytes.Contains(b, secret) || bytes.Contains([]byte(path), []byte(hex.EncodeToString(secret))) {
						t.Errorf("%s, %s: the %s is in %s", m.name, when, name, filepath.Base(path))
					}
				}
				if filepath.Base(path) == "roots" {
					continue
				}
				for _, w := range m.rows.roots.list {
					if bytes.Contains(b, w.key[:]) {
						t.Errorf("%s, %s: a root is in %s", m.name, when, filepath.Base(path))
					}
				}
			}
		}
		scan("as written")
		if err := m.rows.db.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := m.rows.db.Compact([]byte{0}, []byte{0xff}, false); err != nil {
			t.Fatal(err)
		}
		scan("in tables")
		if info, err := os.Stat(filepath.Join(dir, "roots")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: got mode %v, %v", m.name, info.Mode(), err)
		}
		row.wipe()
	}
}

// No session, pseudonym, record, list or header ends up in a log, whatever goes wrong.
func TestLogsHoldNoIds(t *testing.T) {
	w := newWorld(t)
	var log bytes.Buffer
	m := w.node("insurer")
	m.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p, b := w.deal("hospital", "alice", allowedSlot)
	p.Envelopes[w.seat("insurer")-1][1200] ^= 1
	w.deliver("hospital", p)
	w.put("hospital", p)
	w.step()
	good := w.batch("alice", allowedSlot)
	w.grant("alice")
	r := w.session("doctor", "alice")
	req := r.commit(items(good, 0)...)
	ctx := context.Background()
	hh := good.Header.Hash()
	if _, err := m.Release(ctx, req); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []byte{prefixBatch, prefixManifest} {
		if err := m.rows.set(rowKey(prefix, hh[:]), []byte("damaged")); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = m.Release(ctx, req)
	_, _ = m.Locate(ctx, &exchange.LocateRequest{Session: r.id, ReaderKey: r.public})
	m.beforeSubmit = func(tx.Kind) error { return tx.Refuse(0x0101, "no") }
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_ = m.rotate(cancelled)
	if log.Len() == 0 {
		t.Fatal("nothing was logged")
	}
	alice, bad := account("alice"), p.Header.Hash()
	for name, id := range map[string][]byte{
		"session": r.id[:], "pseudonym": alice[:], "record": good.Entries[0].ID[:], "record of the bad batch": b.Entries[0].ID[:],
		"list": req.List.Salt[:], "header": hh[:], "bad header": bad[:],
	} {
		for _, form := range [][]byte{id, []byte(hex.EncodeToString(id[:8])), []byte(tx.Account(id[:16]).String())} {
			if bytes.Contains(log.Bytes(), form) {
				t.Errorf("the %s is in the log", name)
			}
		}
	}
}

// A patient with many batches, allowed and not, is located page by page, completely and
// without a trace of what is denied.
func TestLocateGoesThroughManyBatches(t *testing.T) {
	w := newWorld(t)
	m := w.node("lab")
	want := map[tx.Hash]int{}
	for i := range 24 {
		slots := []uint64{allowedSlot, deniedSlot, allowedSlot | deniedSlot, 1 << 7}
		if i%4 == 3 {
			slots = []uint64{deniedSlot, deniedSlot}
		}
		p, b := w.deal("hospital", "alice", slots...)
		w.deliver("hospital", p)
		w.put("hospital", p)
		if i%4 != 3 {
			want[b.Header.Hash()] = 2
		}
	}
	w.batch("bob", allowedSlot)
	w.step()
	w.grant("alice")
	r := w.session("doctor", "alice")
	got := r.locate(m)
	if len(got) != len(want) {
		t.Errorf("got %d batches, want %d", len(got), len(want))
	}
	last := uint64(0)
	for _, b := range got {
		if len(b.Entries) != want[b.Header] || b.LogIndex <= last {
			t.Errorf("got %d entries at log index %d after %d", len(b.Entries), b.LogIndex, last)
		}
		last = b.LogIndex
	}
	// From the middle on: After is inclusive, and no page repeats a batch.
	page, err := m.locate(&exchange.LocateRequest{Session: r.id, ReaderKey: r.public, After: got[5].LogIndex + 1})
	if err != nil || len(page.Batches) != len(got)-6 || page.Batches[0].Header != got[6].Header {
		t.Errorf("got %d batches, %v", len(page.Batches), err)
	}
	w.revoke("alice")
	if got := r.locate(m); len(got) != 0 {
		t.Errorf("after the revocation %d batches are located", len(got))
	}
}

// An answer to Locate is bounded in bytes, also when batches are full.
func TestLocatePagesFitIntoAMessage(t *testing.T) {
	w := newWorld(t)
	w.grant("alice")
	full := slices.Repeat([]uint64{allowedSlot}, seal.MaxRecords)
	for range 5 {
		w.batch("alice", full...)
	}
	m := w.node("lab")
	r := w.session("doctor", "alice")
	page, err := m.locate(&exchange.LocateRequest{Session: r.id, ReaderKey: r.public})
	if err != nil || len(page.Batches) != pageEntries/seal.MaxRecords || page.Next == 0 {
		t.Fatalf("got %d batches, next %d, %v", len(page.Batches), page.Next, err)
	}
	if size := len(tx.MustEncode(page)); size > 6<<20 {
		t.Errorf("a page has %d bytes", size)
	}
	if got := r.locate(m); len(got) != 5 {
		t.Errorf("got %d batches, want 5", len(got))
	}
}

func TestManifestPathsAreThoseOfSeal(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5, 8, 13, 64, 100} {
		entries := make([]seal.Entry, n)
		for i := range entries {
			entries[i] = seal.Entry{ID: [16]byte{byte(i), 1}, Slots: uint64(i)}
		}
		for i, path := range manifestPaths(entries) {
			if !slices.Equal(path, seal.ManifestProof(entries, i)) {
				t.Errorf("entry %d of %d: another path", i, n)
			}
		}
	}
}

// The indexes are made again from the batches alone.
func TestRebuildMakesTheIndexesAgain(t *testing.T) {
	s := newScene(t)
	m := s.node("lab")
	before := s.r.locate(m)
	err := m.rows.update(func(b *pebble.Batch) error {
		return b.DeleteRange([]byte{prefixPatient}, []byte{prefixPatient + 1}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	if m.Check(context.Background()) == nil {
		t.Error("Check does not miss the index")
	}
	if n, err := m.Rebuild(); n != 1 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if err := m.Check(context.Background()); err != nil {
		t.Error(err)
	}
	if after := s.r.locate(m); len(after) != 1 || after[0].Header != before[0].Header {
		t.Errorf("got %d batches", len(after))
	}
}

func TestCheckFindsMissingShares(t *testing.T) {
	s := newScene(t)
	m := s.node("lab")
	if err := m.Check(context.Background()); err != nil {
		t.Fatal(err)
	}
	hh := s.batch.Header.Hash()
	if err := m.rows.drop(m.rows.update, rowKey(prefixBatch, hh[:])); err != nil {
		t.Fatal(err)
	}
	if m.Check(context.Background()) == nil {
		t.Error("Check finds nothing wrong")
	}
}

// With everything running by itself: batches become ACTIVE, also while the chain stalls for
// a while, and everything ends when the context does.
func TestRunBringsBatchesToActive(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	var g errgroup.Group
	for _, m := range w.nodes {
		g.Go(func() error { return m.Run(running) })
	}
	stall := func(c chan struct{}) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.halt = c
	}
	var anchored []tx.Hash
	send := func() {
		p, _ := w.deal("hospital", "alice", allowedSlot)
		w.deliver("hospital", p)
		anchored = append(anchored, w.put("hospital", p))
	}
	for range 3 {
		send()
	}
	halt := make(chan struct{})
	stall(halt)
	for range 3 {
		send()
	}
	stall(nil)
	close(halt)
	for i := 0; i < len(anchored); {
		changed := w.nodes[0].hub.Changed()
		if w.active(anchored[i]) {
			i++
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatal("a batch does not become active")
		}
	}
	stop()
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	v := w.nodes[0].app.View()
	defer v.Close()
	for _, hh := range anchored {
		if b, ok := anchor.Lookup(v, hh); !ok || b.Complaints != 0 {
			t.Errorf("got complaints %b", b.Complaints)
		}
	}
}

func TestOpenNeedsAWholeConfiguration(t *testing.T) {
	w := newLedger(t)
	if _, err := Open(Config{Self: account("lab"), Chain: chainID, Dir: t.TempDir(), Ledger: w.nodes[0]}); err == nil {
		t.Error("opened without submitter, links, key and clock")
	}
}
