package record

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

func TestIdentifiersThatRegistersWriteDifferentlyAreOne(t *testing.T) {
	for _, s := range []struct {
		name string
		a, b Identifier
		same bool
	}{
		{"hyphens and spaces", Identifier{System: "2.999", Value: "12-345 678"}, Identifier{System: "urn:oid:2.999", Value: "12345678"}, true},
		{"case", Identifier{System: "http://x.example/id", Value: "ab1"}, Identifier{System: "http://x.example/id", Value: "AB1"}, true},
		{"another system", Identifier{System: "2.999.1", Value: "1"}, Identifier{System: "2.999.2", Value: "1"}, false},
		{"diacritics", person("Müller", "José"), person("MULLER", "Jose"), true},
		{"sharp s", person("Strauß", "A"), person("Strauss", "A"), true},
		{"a ligature with an accent", person("Sample", "Ǽ"), person("Sample", "ae"), true},
		{"hyphen", person("Müller-Sample", "Anne-Marie"), person("Muller Sample", "AnneMarie"), true},
		{"second given name", person("Sample", "Anna Maria"), person("Sample", "Anna"), true},
		{"apostrophe", person("O'Sample", "A"), person("OSAMPLE", "a"), true},
		{"composed and decomposed", person("Jos\u00e9", "A"), person("Jose\u0301", "A"), true},
		{"another name", person("Sample", "Anna"), person("Samples", "Anna"), false},
		{"twins", person("Sample", "Anna"), person("Sample", "Bert"), false},
		{"swapped day and month", Identifier{Family: "S", Given: "A", Born: "1980-02-03", Sex: "male"}, Identifier{Family: "S", Given: "A", Born: "1980-03-02", Sex: "male"}, false},
		{"another sex", Identifier{Family: "S", Given: "A", Born: "1980-02-03", Sex: "male"}, Identifier{Family: "S", Given: "A", Born: "1980-02-03", Sex: "other"}, false},
		{"names that run together otherwise", person("AB", "C"), person("A", "BC"), false},
	} {
		k1, t1, err1 := s.a.Normal()
		k2, t2, err2 := s.b.Normal()
		if err1 != nil || err2 != nil || (k1 == k2 && t1 == t2) != s.same {
			t.Errorf("%s: got %s %s and %s %s (%v %v), want same %v", s.name, k1, t1, k2, t2, err1, err2, s.same)
		}
	}
}

func person(family, given string) Identifier {
	return Identifier{Family: family, Given: given, Born: "1980-02-29", Sex: "female"}
}

func TestWhatIsNoIdentifierIsRefused(t *testing.T) {
	for name, id := range map[string]Identifier{
		"nothing":           {},
		"no value":          {System: "2.999"},
		"value of signs":    {System: "2.999", Value: "--"},
		"value, no system":  {Value: "1"},
		"no such day":       {Family: "S", Given: "A", Born: "1981-02-29", Sex: "male"},
		"a date of its own": {Family: "S", Given: "A", Born: "29.02.1980", Sex: "male"},
		"no sex":            {Family: "S", Given: "A", Born: "1980-02-29"},
		"no given name":     {Family: "S", Born: "1980-02-29", Sex: "male"},
		"newborn":           {Family: "S", Given: "--", Born: "1980-02-29", Sex: "male"},
	} {
		if _, _, err := id.Normal(); !errors.Is(err, ErrIdentifier) {
			t.Errorf("%s: got %v, want ErrIdentifier", name, err)
		}
	}
}

func TestNormalFormIsAFixedPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := Identifier{System: rapid.StringMatching(`[a-z:./0-9]{1,20}`).Draw(t, "system"), Value: rapid.String().Draw(t, "value")}
		kind, text, err := id.Normal()
		if err != nil {
			return
		}
		if k, again, err := (Identifier{System: id.System, Value: text}).Normal(); err != nil && len(text) <= 256 || err == nil && (k != kind || again != text) {
			t.Fatalf("got another form of the form: %v", err)
		}
	})
}
