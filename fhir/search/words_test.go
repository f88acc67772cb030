package search

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// wordy are parameters with _text.
var wordy = func() some {
	s := some{"Resource": params["Resource"], "Patient": {}, "Observation": {}, "Device": {}}
	for _, typ := range []string{"Patient", "Observation"} {
		maps.Copy(s[typ], params[typ])
		s[typ]["_text"] = &Param{Code: "_text", Kind: String, Words: true}
	}
	return s
}()

func worded(typ string, pairs ...Pair) (*Query, error) {
	return Parse(typ, pairs, Options{Params: wordy, Now: now})
}

func TestWordsAreATreeOfClauses(t *testing.T) {
	for _, tt := range []struct{ value, want string }{
		{"fever", "_text=fever"},
		{" Fieber ", "_text=fieber"},
		{"fever cough", "and(_text=fever; _text=cough)"},
		{"(bone OR liver) and metastases", "and(or(_text=bone; _text=liver); _text=metastases)"},
		{"bone or liver metastases", "or(_text=bone; and(_text=liver; _text=metastases))"},
		{"a and b and c or d or e", "or(and(_text=a; _text=b; _text=c); _text=d; _text=e)"},
		{"not a", "not(_text=a)"},
		{"a and not (b or c)", "and(_text=a; not(or(_text=b; _text=c)))"},
		{"NOT NOT a", "not(not(_text=a))"},
		{"(a)(b)", "and(_text=a; _text=b)"},
		{"X-Ray", "and(_text=x; _text=ray)"},
		{"not x-ray", "not(and(_text=x; _text=ray))"},
		{"Größe, Müller", "or(_text=grosse; _text=muller)"},
		{`a\,b`, "and(_text=a; _text=b)"},
		{"android order notice", "and(_text=android; _text=order; _text=notice)"},
		{strings.Repeat("w", 100), "_text=" + strings.Repeat("w", MaxWord)},
	} {
		q, err := worded("Patient", Pair{"_text", tt.value})
		if err != nil || len(q.Where) != 1 || show(q.Where[0]) != tt.want {
			t.Errorf("%s: got %v, %v; want %s", tt.value, q, err, tt.want)
		}
	}
	q, err := worded("Observation", Pair{"subject:Patient._text", "a or b"}, Pair{"_text:missing", "true"})
	if err != nil || show(q.Where[0]) != "subject->(Patient.or(_text=a; _text=b))" || show(q.Where[1]) != "_text:missing=true" {
		t.Errorf("in a chain, and missing: got %v, %v", q, err)
	}
}

func TestWordsRefuseWhatTheyCannotAsk(t *testing.T) {
	for _, tt := range []struct{ name, value, code string }{
		{"_text", "", CodeEmptyValue},
		{"_text", " ", CodeWords},
		{"_text", "-", CodeWords},
		{"_text", "a,", CodeWords},
		{"_text", "a and", CodeWords},
		{"_text", "or a", CodeWords},
		{"_text", "a or or b", CodeWords},
		{"_text", "not", CodeWords},
		{"_text", "(a", CodeWords},
		{"_text", "a)", CodeWords},
		{"_text", "()", CodeWords},
		{"_text", `"a b"`, CodeWords},
		{"_text", strings.Repeat("(", maxNested+1) + "a" + strings.Repeat(")", maxNested+1), CodeTooMany},
		{"_text", strings.Repeat("not ", maxNested+1) + "a", CodeTooMany},
		{"_text", strings.Repeat("a ", MaxClauses+1), CodeTooMany},
		{"_text", strings.Repeat("a", maxFilter+1), CodeTooMany},
		{"_text:exact", "a", CodeModifier},
		{"_text:contains", "a", CodeModifier},
		{"_sort", "_text", CodeSort},
		{"_filter", "_text co a", CodeNotSupported},
		{"_content", "a", CodeNotSupported},
	} {
		_, err := worded("Patient", Pair{tt.name, tt.value})
		if i, ok := errors.AsType[*Issue](err); !ok || i.Code != tt.code {
			t.Errorf("%s=%.40s: got %v, want %s", tt.name, tt.value, err, tt.code)
		}
	}
	if _, err := worded("Device", Pair{"_text", "a"}); !errors.Is(err, &Issue{Code: CodeNotSupported}) {
		t.Errorf("a type without it: got %v", err)
	}
}

// FuzzWords: what is read says the same when white space is put around its parentheses, asks no more than it may, and
// asks for words only.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"(bone OR liver) and metastases", "not a b", "x-ray,é", "((a) or b)c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		q, err := worded("Patient", Pair{"_text", s})
		if err != nil {
			if _, ok := errors.AsType[*Issue](err); !ok {
				t.Fatalf("got %T", err)
			}
			return
		}
		again, err := worded("Patient", Pair{"_text", strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s)})
		if err == nil && show(again.Where[0]) != show(q.Where[0]) {
			t.Errorf("got %s, with spaces %s", show(q.Where[0]), show(again.Where[0]))
		}
		leaves := 0
		var walk func(c *Clause)
		walk = func(c *Clause) {
			if c.Tree != nil {
				for i := range c.Tree.Of {
					walk(&c.Tree.Of[i])
				}
				return
			}
			leaves++
			if len(c.Values) != 1 || !slices.Equal(Words(c.Values[0].Text), []string{c.Values[0].Text}) {
				t.Errorf("%q is not a word", c.Values[0].Text)
			}
		}
		walk(&q.Where[0])
		if leaves == 0 || leaves > MaxClauses {
			t.Errorf("got %d words", leaves)
		}
	})
}
