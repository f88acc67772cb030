package main

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	abci "github.com/cometbft/cometbft/abci/types"
	"github.com/google/go-cmp/cmp"
)

// settings are the assignments to CometBFT's configuration in a source file that bear on speed.
func settings(t *testing.T, file string) []string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^\tk\.((?:P2P|Consensus|Mempool|TxIndex|Storage)\..*?)\s*(?://.*)?$`).FindAllStringSubmatch(string(b), -1) {
		out = append(out, m[1])
	}
	return out
}

func TestConfigIsTheNodes(t *testing.T) {
	ours, nodes := settings(t, "comet.go"), settings(t, "../../node/comet.go")
	if len(nodes) < 15 {
		t.Fatalf("found %d settings in package node, want at least 15", len(nodes))
	}
	if diff := cmp.Diff(nodes, ours); diff != "" {
		t.Errorf("the measured configuration is not the node's (-node +measured):\n%s", diff)
	}
}

func TestResultsFail(t *testing.T) {
	base := []float64{10}
	for _, c := range []struct {
		target string
		value  float64
		base   []float64
		want   bool
	}{
		{"ratio >= 0.5", 5, base, true},
		{"ratio >= 0.5", 4.9, base, false},
		{"ratio <= 2", 20, base, true},
		{"ratio <= 2", 20.1, base, false},
		{"ratio >= 0.5", 100, nil, false}, // nothing to compare with
		{"value <= 0", 0, nil, true},
		{"value <= 0", 1, nil, false},
		{"value >= 3", math.NaN(), nil, false},
		{"ratio >= 1", 1, []float64{0}, false},
		{"value > 3", 4, nil, false},
		{"", 4, nil, false},
	} {
		if got := newResult("x", "u", c.target, []float64{c.value}, c.base).OK; got != c.want {
			t.Errorf("%v of %v with target %q: got %v, want %v", c.value, c.base, c.target, got, c.want)
		}
	}
}

func TestMedianAndSpread(t *testing.T) {
	xs := []float64{4, 1, 3}
	if got := median(xs); got != 3 {
		t.Errorf("median: got %v, want 3", got)
	}
	if got := spread(xs); got != 0.5 {
		t.Errorf("spread: got %v, want 0.5", got)
	}
	if got := quantile([]float64{0, 10}, 0.95); got != 9.5 {
		t.Errorf("95th percentile: got %v, want 9.5", got)
	}
	if !slices.Equal(xs, []float64{4, 1, 3}) {
		t.Error("the runs were reordered")
	}
}

func TestOnlyAcceptedTransactionsCount(t *testing.T) {
	c := &counted{Application: answers{codes: []uint32{0, 7, 0}}}
	if _, err := c.FinalizeBlock(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if n, _ := c.committed(); n != 0 {
		t.Errorf("before the commit: got %d, want 0", n)
	}
	for range 2 { // an empty commit changes nothing
		if _, err := c.Commit(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if n, at := c.committed(); n != 2 || at.IsZero() {
			t.Errorf("got %d at %v, want 2", n, at)
		}
	}
}

// answers is an application whose transactions end with these codes.
type answers struct {
	abci.BaseApplication
	codes []uint32
}

func (a answers) FinalizeBlock(context.Context, *abci.RequestFinalizeBlock) (*abci.ResponseFinalizeBlock, error) {
	res := &abci.ResponseFinalizeBlock{}
	for _, code := range a.codes {
		res.TxResults = append(res.TxResults, &abci.ExecTxResult{Code: code})
	}
	return res, nil
}

// What is committed came out of one run of this program: the document shows the results.
func TestDocumentShowsTheResults(t *testing.T) {
	b, err := os.ReadFile("results.json")
	if err != nil {
		t.Fatal(err)
	}
	var rs []Result
	if err := json.Unmarshal(b, &rs); err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	if len(rs) == 0 {
		t.Fatal("no results")
	}
	for _, r := range rs {
		if r.OK != r.meets() {
			t.Errorf("%s: ok is %v, but the numbers say %v", r.Name, r.OK, r.meets())
		}
		if row := "| `" + r.Name + "` | " + number(r.Value) + " " + r.Unit + " |"; !strings.Contains(string(doc), row) {
			t.Errorf("docs/performance.md does not show %s", row)
		}
	}
}

// The document, its plots and results.json are written from one report and nothing else.
func TestDocumentIsTheLastReport(t *testing.T) {
	rep, err := loadReport("run.json")
	if err != nil {
		t.Fatal(err)
	}
	if rep.history, err = loadHistory("history.json"); err != nil {
		t.Fatal(err)
	}
	want, err := rep.document()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/performance.md is not what the last report says; run: go run ./test/perf -render\n%s", diff)
	}
	results, err := encodeResults(rep.Results())
	if err != nil {
		t.Fatal(err)
	}
	if got, err = os.ReadFile("results.json"); err != nil || string(got) != string(results) {
		t.Errorf("results.json is not what the last report says (%v)", err)
	}
}

func TestEveryResultIsInTheDocument(t *testing.T) {
	p := Part{Name: "network"}
	for _, n := range []string{"ledger.a", "decisions.a", "evaluate.a", "offered.a", "import.a", "access.a", "revoke.a", "bytes.a", "growth.a", "filled.a", "receipt.a"} {
		p.Results = append(p.Results, Told{newResult(n, "u", "value >= 1", []float64{0.5}, nil), "what " + n, ""})
	}
	rep := &Report{Parts: []Part{p}}
	doc, err := rep.document()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rep.Results() {
		if !strings.Contains(doc, "| `"+r.Name+"` |") || !strings.Contains(doc, r.Measured) {
			t.Errorf("%s is not in the document", r.Name)
		}
	}
	if !strings.Contains(doc, "0 of 11 targets were met") || !strings.Contains(doc, "**missed**") {
		t.Error("the document hides what was missed")
	}
}
