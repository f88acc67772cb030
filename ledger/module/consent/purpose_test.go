package consent

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// tree is the HL7 v3 PurposeOfUse tree once more, written by indentation as HL7
// publishes it, so that the table in purpose.go is checked against a second one.
const tree = `
HMARKT
HOPERAT
  CAREMGT
  DONAT
  FRAUD
  GOV
  HACCRED
  HCOMPL
  HDECD
  HDIRECT
  HDM
  HLEGAL
  HOUTCOMS
  HPRGRP
  HQUALIMP
  HSYSADMIN
  MEMADMIN
  MILCDM
  MLTRAINING
  PATADMIN
  PATSFTY
  PERFMSR
  RECORDMGT
  SYSDEV
    HTEST
  TRAIN
HPAYMT
  CLMATTCH
  COVAUTH
  COVERAGE
    ELIGDTRM
    ELIGVER
    ENROLLM
  PMTDS
  REMITADV
HRESCH
  BIORCH
  CLINTRCH
    CLINTRCHNPC
    CLINTRCHPC
    PRECLINTRCH
  DSRCH
  POARCH
  TRANSRCH
PATRQT
  FAMRQT
  PWATRNY
  SUPNWK
PUBHLTH
  DISASTER
  THREAT
TREAT
  CLINTRL
  COC
  ETREAT
    BTG
    ERTREAT
  POPHLTH
  TREATDS
`

// ancestors reads the tree: for every code the codes above it, itself included.
func ancestors(t *testing.T) map[string][]string {
	t.Helper()
	up := map[string][]string{}
	var path []string
	for line := range strings.Lines(strings.TrimLeft(tree, "\n")) {
		code := strings.TrimSpace(line)
		depth := strings.Index(line, code) / 2
		path = append(path[:depth:depth], code)
		up[code] = path
	}
	return up
}

// TestPurposeMatrix checks every pair of purposes: a grant for one covers the
// other exactly if it is the same or lies above it in the HL7 tree, but the
// emergency purposes are covered by nothing but themselves.
func TestPurposeMatrix(t *testing.T) {
	up := ancestors(t)
	if len(up) != purposeCount {
		t.Fatalf("got %d purposes in the tree, want %d", len(up), purposeCount)
	}
	emergency := []string{"ETREAT", "BTG", "ERTREAT"}
	for granted := TREAT; granted <= purposeCount; granted++ {
		for asked := TREAT; asked <= purposeCount; asked++ {
			want := slices.Contains(up[asked.String()], granted.String())
			if slices.Contains(emergency, asked.String()) {
				want = granted == asked
			}
			if got := Covers(PurposesOf(granted), asked); got != want {
				t.Errorf("Covers({%s}, %s) = %v, want %v", granted, asked, got, want)
			}
			if got := PurposesOf(granted).Allows(PurposesOf(asked)); got != want {
				t.Errorf("{%s}.Allows({%s}) = %v, want %v", granted, asked, got, want)
			}
		}
	}
}

func TestTreatmentNeverOpensTheEmergencyDoor(t *testing.T) {
	everythingElse := allPurposes &^ PurposesOf(ETREAT, BTG, ERTREAT)
	for _, p := range []Purpose{ETREAT, BTG, ERTREAT} {
		if !p.Emergency() {
			t.Errorf("%s.Emergency() = false, want true", p)
		}
		if Covers(everythingElse, p) {
			t.Errorf("all other purposes together cover %s", p)
		}
		if Covers(allPurposes&^PurposesOf(p), p) {
			t.Errorf("every purpose but %s covers it", p)
		}
		if !Covers(PurposesOf(p), p) {
			t.Errorf("%s does not cover itself", p)
		}
	}
}

func TestUnknownPurposesCoverNothingAndAreCoveredByNothing(t *testing.T) {
	for n := range 256 {
		p := Purpose(n)
		if known := n >= 1 && n <= purposeCount; p.Known() != known {
			t.Fatalf("Purpose(%d).Known() = %v, want %v", n, p.Known(), known)
		}
		if p.Known() {
			continue
		}
		if Covers(^Purposes(0), p) || p.Personal() || p.Emergency() || p.Parent() != 0 || PurposesOf(p) != 0 {
			t.Errorf("Purpose(%d) is unknown and means something", n)
		}
		if p.String() != "unknown" {
			t.Errorf("Purpose(%d) = %q, want unknown", n, p)
		}
		if _, err := p.MarshalText(); err == nil {
			t.Errorf("Purpose(%d) has a text form", n)
		}
	}
	for _, s := range []Purposes{0, 1, 1 << 60, 1 << 63, allPurposes | 1} {
		if s.Known() {
			t.Errorf("Purposes(%#x).Known() = true, want false", uint64(s))
		}
	}
	if Covers(1<<60|1, TREAT) || Purposes(1<<60).Allows(1<<60) {
		t.Error("bits without a purpose allow something")
	}
}

func TestPersonalPurposes(t *testing.T) {
	for p := TREAT; p <= purposeCount; p++ {
		want := p == PATRQT || p == FAMRQT || p == PWATRNY || p == SUPNWK
		if p.Personal() != want {
			t.Errorf("%s.Personal() = %v, want %v", p, p.Personal(), want)
		}
	}
}

func TestPurposesHaveATextForm(t *testing.T) {
	want := PurposesOf(TREAT, BTG, HRESCH)
	b, err := json.Marshal(want)
	if err != nil || string(b) != `["TREAT","BTG","HRESCH"]` {
		t.Fatalf("got %s, %v", b, err)
	}
	var got Purposes
	if err := json.Unmarshal(b, &got); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got.List(), err, want.List())
	}
	for _, bad := range []string{`["treat"]`, `["TREAT",""]`, `"TREAT"`, `[1]`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s is read as %v, want an error", bad, got.List())
		}
	}
	if _, err := json.Marshal(Purposes(1 << 62)); err == nil {
		t.Error("an unknown purpose has a JSON form")
	}
}

// TestSpecHasTheSameTable reads the purpose table of spec/consent.md.
func TestSpecHasTheSameTable(t *testing.T) {
	text, err := os.ReadFile("../../../spec/consent.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \| ([A-Z]+) \| ([A-Z]*) *\|`).FindAllStringSubmatch(string(text), -1)
	if len(rows) != purposeCount {
		t.Fatalf("got %d rows, want %d", len(rows), purposeCount)
	}
	for i, row := range rows {
		n, _ := strconv.Atoi(row[1])
		p, parent := Purpose(n), ""
		if p.Parent() != 0 {
			parent = p.Parent().String()
		}
		if n != i+1 || row[2] != p.String() || row[3] != parent {
			t.Errorf("got row %q, want %d %s under %q", row[1:], i+1, p, parent)
		}
	}
}
