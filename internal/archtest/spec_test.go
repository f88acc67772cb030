package archtest

import (
	"flag"
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salus/ledger"
	"salus/ledger/module/access"
	"salus/ledger/module/anchor"
	"salus/ledger/module/audit"
	"salus/ledger/module/committee"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/erasure"
	"salus/ledger/module/governance"
	"salus/ledger/module/identity"
	"salus/ledger/module/lookup"
	"salus/ledger/module/merge"
	"salus/ledger/module/recovery"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
)

var update = flag.Bool("update", false, "rewrite the generated documents")

// modules is node.Modules; importing node would build all of CometBFT for this.
func modules() []ledger.Module {
	return []ledger.Module{
		governance.Module(), identity.Module(), committee.Module(), anchor.Module(),
		consent.Module(), access.Module(), audit.Module(), emergency.Module(),
		erasure.Module(), recovery.Module(),
		reshare.Module(),
		lookup.Module(), merge.Module(),
	}
}

func TestModulesAreTheNodes(t *testing.T) {
	src, err := os.ReadFile("../../node/modules.go")
	if err != nil {
		t.Skip("node/modules.go is not there")
	}
	var want, got []string
	for _, m := range regexp.MustCompile(`(\w+)\.Module\(\)`).FindAllSubmatch(src, -1) {
		want = append(want, string(m[1]))
	}
	for _, m := range modules() {
		got = append(got, m.Name)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("modules of the node and of this test (-node +test):\n%s", d)
	}
}

func TestGeneratedDocuments(t *testing.T) {
	codes, wrong, err := FHIRCodes(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
	for file, want := range map[string]string{"codes.md": Codes(modules()), "state.md": State(modules()), "codes-fhir.md": codes} {
		path := "../../spec/" + file
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(got), want); d != "" {
			t.Errorf("spec/%s is not what the code says; run with -update (-file +code):\n%s", file, d)
		}
	}
}

func TestModulesAreWellFormed(t *testing.T) {
	s, err := state.Open(t.TempDir(), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := ledger.New(ledger.Config{Store: s, Modules: modules(), Authenticate: identity.Authenticate})
	if err != nil {
		s.Close()
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestShapesHaveIntegerKeys(t *testing.T) {
	for _, w := range Untagged(modules()) {
		t.Error(w)
	}
}

type untagged struct {
	Good uint64 `cbor:"1,keyasint"`
	Bad  uint64
	Text uint64 `cbor:"bad"`
}

func TestPlantedShapeIsFound(t *testing.T) {
	m := ledger.Module{Tables: []state.TableInfo{{Value: untagged{}}}}
	if wrong := Untagged([]ledger.Module{m}); len(wrong) != 2 {
		t.Errorf("got %q, want two fields", wrong)
	}
}

func TestCodesAreUnique(t *testing.T) {
	numbers, names := map[uint32]bool{}, map[string]bool{}
	for _, c := range ledger.Codes(modules()) {
		if numbers[c.Code] || names[c.Name] || c.Text == "" {
			t.Errorf("code %#04x %s is given twice or says nothing", c.Code, c.Name)
		}
		numbers[c.Code], names[c.Name] = true, true
	}
	if !names["ok"] || !numbers[tx.CodeQuota] {
		t.Error("the codes of package tx are missing")
	}
}
