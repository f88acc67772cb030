package record

import (
	"testing"

	"salus/fhir"
	"salus/ledger/module/emergency"
)

// A directive that another wallet made may exclude a kind beyond the set and leave the emergency's own slot open.
func TestASummaryTellsNothingExcludedWhateverElseIsOpen(t *testing.T) {
	m, err := NewSlotMap(random(7))
	if err != nil {
		t.Fatal(err)
	}
	slot := func(l fhir.Label) uint64 {
		at, ok := m.Slot(l)
		if !ok {
			t.Fatalf("%s has no slot", l)
		}
		return 1 << at
	}
	row := emergency.Directive{Set: slot(EmergencyLabel) | slot("condition"), Except: slot("procedure")}
	r := NewReach(m, row)
	if !r.Whole() || !r.Tells([]fhir.Label{"condition"}) || !r.Tells([]fhir.Label{"immunization"}) {
		t.Error("what is open is not told")
	}
	if r.Tells([]fhir.Label{"procedure"}) || r.Tells([]fhir.Label{"condition", "procedure"}) {
		t.Error("what the patient excluded is told")
	}
}
