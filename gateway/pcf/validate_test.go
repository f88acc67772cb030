package pcf

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/validate"
)

// TestWhatIsWrittenIsValidR4 checks generated Consents against base R4.
func TestWhatIsWrittenIsValidR4(t *testing.T) {
	pack, err := Package()
	if err != nil {
		t.Fatal(err)
	}
	set, err := definition.R4().Add(bytes.NewReader(pack))
	if err != nil {
		t.Fatal(err)
	}
	contexts, err := validate.ReadContexts(bytes.NewReader(pack))
	if err != nil {
		t.Fatal(err)
	}
	v, err := validate.New(set, validate.Options{Contexts: contexts})
	if err != nil {
		t.Fatal(err)
	}
	limited := 0
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
			if (i.Severity == validate.Error || i.Severity == validate.Fatal) && i.Code != validate.CodeProfileUnknown {
				rt.Fatalf("%+v\n%s", i, body)
			}
		}
		if bytes.Contains(body, []byte(ExtensionUses)) {
			limited++
		}
	})
	if limited == 0 {
		t.Error("no Consent of limited use was made")
	}
}
