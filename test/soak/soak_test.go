package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestShortSoakHolds is the run itself, for less than a minute, with two or three kills.
func TestShortSoakHolds(t *testing.T) {
	if testing.Short() {
		t.Skip("four processes under load for half a minute")
	}
	dir := t.TempDir()
	o := options{length: 20 * time.Second, every: 2 * time.Second, kill: 8 * time.Second, rate: 8, seed: 1, dir: filepath.Join(dir, "run")}
	r, err := soak(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	cs := judge(r)
	t.Logf("\n%s\n%s", checkTable(cs), errorTable(r))
	if !passed(cs) {
		t.Errorf("got %q failed, want the verdict ok", failing(cs))
	}
	for _, name := range []string{"everything acknowledged is there", "no fork", "receipts verify", "fsck is clean on all four"} {
		if !slices.ContainsFunc(cs, func(c Check) bool { return c.Name == name && c.Judged && c.OK }) {
			t.Errorf("%q is not in the verdict", name)
		}
	}
	last := r.Samples[len(r.Samples)-1]
	if last.Records == 0 || last.Live == 0 || last.Goroutines == 0 || last.FDs == 0 || last.Disk["ledger"]+last.Disk[journals] == 0 {
		t.Errorf("got %+v, want every number of it", last)
	}
	saveAndReport(t, r, dir)
}

// saveAndReport wants the same report from the saved run.
func saveAndReport(t *testing.T, r *Run, dir string) {
	t.Helper()
	file := filepath.Join(dir, "run.json")
	if err := r.save(file); err != nil {
		t.Fatal(err)
	}
	again, err := load(file)
	if err != nil {
		t.Fatal(err)
	}
	var reports [2][]byte
	for i, r := range []*Run{r, again} {
		out := filepath.Join(dir, "report", string(rune('a'+i)))
		if err := writeReport(r, judge(r), out); err != nil {
			t.Fatal(err)
		}
		if reports[i], err = os.ReadFile(filepath.Join(out, reportName)); err != nil {
			t.Fatal(err)
		}
		pictures, err := filepath.Glob(filepath.Join(out, "img", "soak-*.svg"))
		if err != nil || len(pictures) != 6 {
			t.Errorf("got %d pictures, %v, want 6", len(pictures), err)
		}
	}
	if !bytes.Equal(reports[0], reports[1]) || !bytes.Contains(reports[0], []byte("| growth of live heap |")) {
		t.Errorf("the saved run gives another report:\n%s", reports[1])
	}
}

func TestReportOfASavedRunIsTheSame(t *testing.T) { saveAndReport(t, synthetic(5), t.TempDir()) }

func TestFolderOfAnEarlierRunIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "net"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := soak(t.Context(), options{dir: dir}); !errors.Is(err, errUsed) {
		t.Errorf("got %v, want errUsed", err)
	}
}

func TestWhatIsNoRunIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{file, file + "x"} {
		if err := run(t.Context(), options{from: f}); err == nil {
			t.Errorf("%s: got no error", filepath.Base(f))
		}
	}
	empty := filepath.Join(t.TempDir(), "run.json")
	if err := os.WriteFile(empty, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), options{from: empty}); !errors.Is(err, errNothing) {
		t.Errorf("got %v, want errNothing", err)
	}
}
