package ccda

import (
	"regexp"
	"strings"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/validate"
)

var said = regexp.MustCompile(`="([^"]*)"|>([^<>\s][^<>]*)<`)

// Whatever an attribute or a text of a document says: the document is refused, or what is mapped is FHIR.
func TestWhateverADocumentSaysWhatIsMappedIsValid(t *testing.T) {
	v, err := validate.New(definition.R4(), validate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const language = `<languageCommunication><languageCode code="en"/><preferenceInd value="true"/></languageCommunication></patient>`
	s := strings.Replace(string(fixture(t)), "</patient>", language, 1)
	if !strings.Contains(s, language) {
		t.Fatal("the sample has no patient")
	}
	places := said.FindAllStringSubmatchIndex(s, -1)
	for i, spoil := range []string{"", " ", "A  B", "abc&#9;&#10;d", "20260230", "20260105101500-0500", "19000101", "29990101", "-1", "99999999999999999999999", "1e5", "urn:x", "1.2.3", "NASK"} {
		for _, l := range places {
			from, to := max(l[2], l[4]), max(l[3], l[5])
			r, err := Map([]byte(s[:from]+spoil+s[to:]), Options{})
			if err != nil {
				continue
			}
			valid(t, v, s[max(0, from-40):from]+spoil, r.Bundle)
		}
		if t.Failed() {
			t.Fatalf("spoil %d", i)
		}
	}
}
