package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestHistoryComparesTheFirstRunWithThisOne(t *testing.T) {
	h := history{
		{"a", "2026-01-02", "abc1234", 10, "ms", new(2.0), "before"},
		{"a", "2026-02-02", "def1234", 7, "ms", new(1.5), "between"},
		{"gone", "2026-01-02", "abc1234", 1, "ms", nil, "before"},
		{"b", "2026-01-02", "abc1234", 1, "s", nil, "before"},
	}
	now := newResult("a", "ms", "value <= 9", []float64{5}, []float64{4})
	fresh := newResult("new", "ms", "value <= 9", []float64{5}, nil)
	other := newResult("b", "ms", "value <= 9", []float64{5}, nil) // another unit: not comparable
	p := Part{Name: "x", At: time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC), Commit: "fff0000", Results: []Told{{Result: now}, {Result: fresh}, {Result: other}}}
	h = h.with([]Part{p}, "")
	if got, ok := h.first("new", "ms"); !ok || got.Commit != "fff0000" || got.Note != "first measured" || got.Date != "2026-03-02" {
		t.Errorf("got %+v, %v: want what was never measured before in the history", got, ok)
	}
	if len(h) != 6 {
		t.Errorf("got %d rows, want 6: what is known is not added without a note", len(h))
	}
	table := h.table([]Result{now, fresh, other})
	if want := "| `a` | 10 ms | 2026-01-02, `abc1234` | 5 ms | 0.5 | 2 | 1.25 |"; !strings.Contains(table, want) {
		t.Errorf("got\n%s\nwant %s", table, want)
	}
	if strings.Contains(table, "new") || strings.Contains(table, "gone") || strings.Contains(table, "`b`") {
		t.Errorf("got\n%s\nwant only what was measured twice", table)
	}
	if got := len(h.with([]Part{p}, "after")); got != 9 {
		t.Errorf("with a note: got %d rows, want 9", got)
	}
	file := filepath.Join(t.TempDir(), "history.json")
	if err := h.save(file); err != nil {
		t.Fatal(err)
	}
	got, err := loadHistory(file)
	if diff := cmp.Diff(h, got); err != nil || diff != "" {
		t.Errorf("%v, history differs (-want +got):\n%s", err, diff)
	}
}

func TestHistoryRefusesDamage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.json")
	if h, err := loadHistory(file); h != nil || err != nil {
		t.Errorf("no file: got %v, %v", h, err)
	}
	if err := os.WriteFile(file, []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadHistory(file); err == nil {
		t.Error("half a file was read")
	}
	if _, err := loadReport(file); err == nil {
		t.Error("half a file was read as a report")
	}
}

// What fails says so in the document and takes nothing else along.
func TestAFailureLosesNothingElse(t *testing.T) {
	ok := newResult("ledger.a", "u", "value >= 1", []float64{2}, nil).about("what", "")
	b := &bench{log: t.Logf, profiles: map[string]time.Time{}}
	rep := &Report{Parts: []Part{{Name: "ledger", Error: "of the run before"}}}
	saved := false
	err := b.measureAll(t.Context(), rep, []measurement{
		{"growth", func(context.Context, *bench) ([]Result, error) { return []Result{ok}, errors.New("the disk\nis full") }},
		{"ledger", func(_ context.Context, b *bench) ([]Result, error) {
			b.curve(Curve{Name: "c"})
			return []Result{ok}, nil
		}},
	}, func() error { saved = true; return nil }, true)
	if err == nil || !saved {
		t.Fatalf("got %v, saved %v: want an error and everything saved", err, saved)
	}
	rep.order()
	if len(rep.Parts) != 2 || rep.Parts[0].Name != "ledger" || rep.Parts[0].Error != "" || len(rep.Parts[0].Curves) != 1 || len(rep.Parts[1].Results) != 1 {
		t.Errorf("got %+v", rep.Parts)
	}
	if v := rep.verdict(); !strings.Contains(v, "All 2 targets") || !strings.Contains(v, "`growth` could not be measured: the disk; is full.") {
		t.Errorf("got %q", v)
	}
}

func TestMeasurementsAreChosenByName(t *testing.T) {
	if got, err := choose(""); err != nil || len(got) != len(measurements) {
		t.Errorf("no names: got %d, %v", len(got), err)
	}
	if got, err := choose("growth,ledger"); err != nil || len(got) != 2 || got[0].name != "growth" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := choose("ledger,nothing"); err == nil {
		t.Error("an unknown name was taken")
	}
}

func TestNumbersInTheTextComeFromTheResults(t *testing.T) {
	rep := &Report{Parts: []Part{{Results: []Told{
		{Result: newResult("x", "u", "value >= 1", []float64{6}, []float64{4})},
		{Result: newResult("y", "u", "value >= 1", []float64{6}, []float64{8})},
	}}}}
	if got := rep.bound("x", "y"); got != "0.5" {
		t.Errorf("got %s, want 0.5", got)
	}
	if got := rep.bound("x", "z"); got != "(not measured)" {
		t.Errorf("got %s for a result that is not there", got)
	}
}

const traces = `File: perf
Type: cpu
Duration: 3.78s, Total samples = 40ms ( 1.06%)
-----------+-------------------------------------------------------
      10ms   runtime.memmove
             salus/ledger/tx.Decode (inline)
             salus/ledger.(*App).CheckTx
-----------+-------------------------------------------------------
      30ms   syscall.Syscall
             main.f[go.shape.struct { A int }]
-----------+-------------------------------------------------------
     1.50mins   runtime.gcBgMarkWorker
`

func TestSharesAreOfWholeStacks(t *testing.T) {
	ts := parseTraces([]byte(traces))
	want := []trace{
		{10 * time.Millisecond, []string{"runtime.memmove", "salus/ledger/tx.Decode", "salus/ledger.(*App).CheckTx"}},
		{30 * time.Millisecond, []string{"syscall.Syscall", "main.f[go.shape.struct { A int }]"}},
		{90 * time.Second, []string{"runtime.gcBgMarkWorker"}},
	}
	if diff := cmp.Diff(want, ts, cmp.AllowUnexported(trace{})); diff != "" {
		t.Fatalf("traces differ (-want +got):\n%s", diff)
	}
	got := sharesOf(ts[:2], []lens{see("check", `\.CheckTx$`), see("either", `Decode$|CheckTx$`), see("none", `^nothing$`), seeLess("less", `.`, `CheckTx$`)})
	if diff := cmp.Diff([]Share{{"check", 25}, {"either", 25}, {"none", 0}, {"less", 75}}, got); diff != "" {
		t.Errorf("shares differ (-want +got):\n%s", diff)
	}
	if got := sharesOf(nil, roomLenses); len(got) != 0 {
		t.Errorf("of no trace: got %v", got)
	}
}
