package record

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"salus/ledger/tx"
)

// An Identifier is what a patient is found by: an identifier of a system (national id,
// insurance number, medical record number of an assigning authority), or the traits of
// ITI-78 and ITI-119 that together name a person. It prints as "[sealed]".
type Identifier struct {
	System string // URI or OID of the identifier's system; empty for traits
	Value  string

	Family, Given, Born, Sex string // traits: names, YYYY-MM-DD, FHIR administrative gender
}

// String hides the identifier from logs and errors.
func (Identifier) String() string { return "[sealed]" }

// ErrIdentifier: no such identifier can be written in the one form that leads anywhere.
var ErrIdentifier = tx.Refuse(0x2801, "record: an identifier has a system and a value, or family name, given name, date of birth and sex")

// Traits reports whether a person is named by traits, which may be those of several.
func (i Identifier) Traits() bool { return i.System == "" }

// Normal returns the one form of an identifier that all organisations write alike: kind and
// text, docs/finding-a-patient.md. Error: ErrIdentifier.
func (i Identifier) Normal() (kind, text string, err error) {
	if !i.Traits() {
		system := strings.TrimPrefix(strings.TrimSpace(i.System), "urn:oid:")
		value := letters(i.Value, true)
		if value == "" || strings.ContainsRune(system, 0) || len(i.Value) > 256 || len(system) > 256 {
			return "", "", ErrIdentifier
		}
		return "id|" + system, value, nil
	}
	family, given := letters(i.Family, false), letters(first(i.Given), false)
	born, berr := time.Parse(time.DateOnly, strings.TrimSpace(i.Born))
	sex := strings.ToLower(strings.TrimSpace(i.Sex))
	switch sex {
	case "male", "female", "other", "unknown":
	default:
		return "", "", ErrIdentifier
	}
	if family == "" || given == "" || berr != nil || i.Value != "" || len(i.Family)+len(i.Given) > 512 {
		return "", "", ErrIdentifier
	}
	return "traits", strings.Join([]string{family, given, born.Format(time.DateOnly), sex}, "|"), nil
}

// first is the first given name: the others are left out as often as not.
func first(given string) string {
	if f := strings.Fields(given); len(f) > 0 {
		return f[0]
	}
	return ""
}

// letters keeps letters, and digits if they count, in upper case and without diacritics:
// hyphens, apostrophes, points and spaces differ between registers.
func letters(s string, digits bool) string {
	// Taken apart first: Ǽ is an Æ with an accent.
	s = strings.NewReplacer("ß", "ss", "ẞ", "ss", "Æ", "ae", "æ", "ae", "Œ", "oe", "œ", "oe", "Ø", "o", "ø", "o", "Ł", "l", "ł", "l", "Đ", "d", "đ", "d", "Þ", "th", "þ", "th").Replace(norm.NFKD.String(s))
	var b strings.Builder
	for _, c := range s {
		if unicode.IsLetter(c) || digits && unicode.IsDigit(c) {
			b.WriteRune(unicode.ToUpper(c))
		}
	}
	return b.String()
}
