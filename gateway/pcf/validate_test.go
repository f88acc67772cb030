package pcf

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/validate"
)

// TestWhatIsWrittenIsValidR4 checks generated Consents against base R4.
func TestWhatIsWrittenIsValidR4(t *testing.T) {
	v, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	slots, random := slotMap(t)
	rapid.Check(t, func(rt *rapid.T) {
		body, err := FromGrants(standings(t, random, slots, Canonical(genWishes.Draw(rt, "wishes"))), slots, Frame{
			Patient: account("alice"), Steward: account("hospital"), Active: true, Updated: time.Unix(start, 0), ID: "0102", Version: "3",
		})
		if err != nil {
			rt.Fatal(err)
		}
		r, err := fhir.Parse(body)
		if err != nil {
			rt.Fatal(err)
		}
		for _, i := range v.Validate(t.Context(), r) {
			if i.Severity == validate.Error || i.Severity == validate.Fatal {
				if i.Code == validate.CodeProfileUnknown {
					continue
				}
				if i.Code == validate.CodeModifier || i.Code == validate.CodeExtension { // ExtensionUses: defined by this room
					continue
				}
				rt.Fatalf("%+v\n%s", i, body)
			}
		}
	})
}
