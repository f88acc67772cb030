package fromfhir

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"salus/hl7"
)

// A notice stands where HL7 lets one stand, as it is, and changes nothing of what the message says; where none may
// stand, there is no message.
func TestANoticeStandsInTheMessageOrThereIsNone(t *testing.T) {
	texts := []string{"42 CFR part 2 prohibits unauthorized use or disclosure of these records.", `A | second ^ one & \ more`}
	files, err := filepath.Glob("../testdata/*.hl7")
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	put, refused := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		w, refs, err := worldOf(t, raw)
		if err != nil {
			continue
		}
		for _, ref := range refs {
			for _, event := range Events() {
				made, err := Map(t.Context(), Change{Resource: w[ref], Event: event, Control: "C1", Time: recorded}, w, options())
				if err != nil {
					continue
				}
				if same, err := Noted(event, made, nil); err != nil || string(same) != string(made) {
					t.Errorf("%s: without a notice it is not as it was: %v", event, err)
				}
				noted, err := Noted(event, made, texts)
				if !Notable(event) {
					if refused[event] = true; !errors.Is(err, ErrNotice) {
						t.Errorf("%s: got %v, want %v", event, err, ErrNotice)
					}
					continue
				}
				if put[event] = true; err != nil {
					t.Fatalf("%s: %v", event, err)
				}
				stands(t, event, made, noted, texts)
			}
		}
	}
	for _, event := range []string{"ORU^R01", "OML^O21", "ORM^O01", "MDM^T02", "SIU^S12"} {
		if !put[event] {
			t.Errorf("%s was not made", event)
		}
	}
	for _, event := range []string{"ADT^A28", "DFT^P03", "VXU^V04", "MDM^T11"} {
		if !refused[event] {
			t.Errorf("%s was not made", event)
		}
	}
	for event := range noticed {
		if !Known(event) {
			t.Errorf("%s is no message", event)
		}
	}
	if _, err := Noted("ORU^R01", []byte("MSH|^~\\&\r"), texts); !errors.Is(err, ErrNotice) {
		t.Errorf("of a message without its patient: got %v", err)
	}
}

// stands checks a message with notices against the one without.
func stands(t *testing.T, event string, made, noted []byte, texts []string) {
	t.Helper()
	m, err := hl7.Parse(noted)
	if err != nil || string(m.Encode()) != string(noted) {
		t.Fatalf("%s: it is read otherwise (%v): %q", event, err, noted)
	}
	var found []string
	rest := slices.DeleteFunc(strings.SplitAfter(string(noted), "\r"), func(line string) bool {
		if !strings.HasPrefix(line, "NTE|") {
			return false
		}
		for _, text := range texts {
			if strings.HasSuffix(line, "||"+escape(text)+"\r") {
				found = append(found, text)
				return true
			}
		}
		return false
	})
	if !slices.Equal(found, texts) || strings.Join(rest, "") != string(made) {
		t.Errorf("%s: got %q of %q", event, noted, made)
	}
	a, refs, err := worldOf(t, made)
	if err != nil {
		return // no message of ours is one that a feed must take
	}
	b, again, err := worldOf(t, noted)
	if err != nil || !slices.Equal(refs, again) {
		t.Fatalf("%s: with notices it has other resources: %v, %v, %v", event, refs, again, err)
	}
	for _, ref := range refs {
		if strings.HasPrefix(ref, "DocumentReference/") || strings.HasPrefix(ref, "Provenance/") {
			continue // they hold the bytes of the message
		}
		if d := differ(a.whole(ref), b.whole(ref)); len(d) > 0 {
			t.Errorf("%s %s is said otherwise:\n%s", event, ref, strings.Join(d, "\n"))
		}
	}
}
