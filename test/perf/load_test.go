package main

import (
	"crypto/ed25519"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/google/go-cmp/cmp"

	"salus/ledger/module/consent"
)

func TestAWatchTakesTheTimesOfWhatWasSent(t *testing.T) {
	c := &counted{Application: answers{codes: []uint32{0, 7, 0}}}
	w := c.watch()
	for _, raw := range []string{"a", "b"} {
		w.sent([]byte(raw))
	}
	block := &abci.RequestFinalizeBlock{Txs: [][]byte{[]byte("a"), []byte("b"), []byte("unknown")}} // b is refused
	if _, err := c.FinalizeBlock(t.Context(), block); err != nil {
		t.Fatal(err)
	}
	if w.done() != 0 {
		t.Error("done before the commit")
	}
	if _, err := c.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if took, last := w.times(); len(took) != 1 || last.IsZero() || took[0] < 0 {
		t.Errorf("got %v at %v, want the time of the one that was sent and accepted", took, last)
	}
}

func TestGrantsHaveTheBitsOfTheRules(t *testing.T) {
	for _, x := range []uint64{0, 1, ^uint64(0), 0xff00ff00ff00ff00} {
		for _, n := range []int{consent.MaskBits, consent.ExceptBits} {
			if got := bits.OnesCount64(withBits(x, n)); got != n {
				t.Errorf("%#x: got %d bits, want %d", x, got, n)
			}
		}
	}
	p := &people{other: [16]byte{1}}
	for _, matches := range []bool{true, false} {
		if g, err := p.grant(matches); err != nil || g.Validate() != nil {
			t.Errorf("got %+v, %v, want a grant that the ledger takes", g, err)
		}
	}
}

// The honest floor refuses what the rules refuse, or it would be no floor.
func TestSignedOnlyVerifies(t *testing.T) {
	app, _, err := openSigned(nil)
	if err != nil {
		t.Fatal(err)
	}
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rest := []byte("the rest of a transaction, which is long enough")
	good := append(append(append([]byte{}, pub...), ed25519.Sign(key, rest)...), rest...)
	bad := append([]byte{}, good...)
	bad[len(bad)-1] ^= 1
	for _, c := range []struct {
		raw  []byte
		want bool
	}{{good, true}, {good, true}, {bad, false}, {good[:40], false}} {
		r, err := app.CheckTx(t.Context(), &abci.RequestCheckTx{Tx: c.raw})
		if err != nil || (r.Code == 0) != c.want {
			t.Errorf("got code %d, %v, want accepted %v", r.Code, err, c.want)
		}
		p, err := app.ProcessProposal(t.Context(), &abci.RequestProcessProposal{Txs: [][]byte{c.raw}})
		if err != nil || p.IsAccepted() != c.want {
			t.Errorf("proposal: got %v, %v, want accepted %v", p.Status, err, c.want)
		}
	}
}

func TestSizesHaveNames(t *testing.T) {
	for n, want := range map[int]string{1000: "1k", 10_000: "10k", 100_000: "100k", 1_000_000: "1m"} {
		if got := sizeName(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}

// The copies of a store share its tables and nothing that is ever changed.
func TestLinkedStoresShareTablesOnly(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	for _, name := range []string{"000001.sst", "000002.log", "MANIFEST-000003"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := linkStore(from, to); err != nil {
		t.Fatal(err)
	}
	for name, shared := range map[string]bool{"000001.sst": true, "000002.log": false, "MANIFEST-000003": false} {
		a, err := os.Stat(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.Stat(filepath.Join(to, name))
		if err != nil {
			t.Fatal(err)
		}
		if os.SameFile(a, b) != shared {
			t.Errorf("%s: got shared %v, want %v", name, !shared, shared)
		}
	}
}

func TestCPUOfAnotherProcessIsRead(t *testing.T) {
	w := &world{pid: os.Getpid()}
	for end := time.Now().Add(5 * time.Second); w.cpu() == 0; { // the kernel counts in hundredths
		if time.Now().After(end) {
			t.Fatal("got no time for this process")
		}
	}
	if got := (&world{pid: -1}).cpu(); got != 0 {
		t.Errorf("of no process: got %v", got)
	}
}

// Every size is compared with the small state that was measured beside it, not with another's.
func TestGrowthComparesWithWhatWasMeasuredBeside(t *testing.T) {
	b := &bench{log: t.Logf}
	rs := growthResults(b, []pair{
		{10_000, tally{"put": {90}, "put.cpu": {12}}, tally{"put": {100}, "put.cpu": {10}}},
		{100_000, tally{"put": {45}}, tally{"put": {50}, "put.cpu": {10}}}, // a machine half as fast; the CPU was not measured
	})
	got := map[string]float64{}
	for _, r := range rs {
		got[r.Name] = *r.Ratio
	}
	want := map[string]float64{"growth.put.10k": 0.9, "growth.put.100k": 0.9, "growth.put.cpu.10k": 1.2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ratios differ (-want +got):\n%s", diff)
	}
	if len(b.curves) != 2 || len(b.curves[0].Series[0].Points) != 3 || b.curves[1].Series[0].Points[1] != (Point{10_000, 1.2}) {
		t.Errorf("got curves %+v", b.curves)
	}
}

// A nonce too far below the others is refused, so a sender that is held up holds up the others.
func TestNoSenderGetsFarAhead(t *testing.T) {
	txs := make([][]byte, farthest+2)
	for i := range txs {
		txs[i] = []byte{byte(i)}
	}
	turns := newTurns(txs)
	if _, err := turns.take(0); err != nil { // and does not come back
		t.Fatal(err)
	}
	for range farthest - 1 {
		if _, err := turns.take(1); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 1)
	go func() {
		_, err := turns.take(1)
		done <- err
	}()
	for turns.next.Load() <= farthest { // it has taken its number
		runtime.Gosched()
	}
	select {
	case err := <-done:
		t.Fatalf("the other sender got ahead (%v)", err)
	default:
	}
	turns.held[0].Store(math.MaxInt64)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if raw, err := turns.take(0); err != nil || (raw == nil) != (turns.next.Load() > int64(len(txs))) {
			t.Errorf("got %v, %v", raw, err)
		}
	}
}
