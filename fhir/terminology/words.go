package terminology

import (
	"slices"
	"strings"
	"unicode"

	"salus/fhir/search"
)

// words finds concepts by how the words of their names and codes begin.
type words struct {
	list []word // sorted
}

type word struct {
	text string
	at   int32
}

func fold(s string) string { return search.Fold(s) }

// split takes a text apart into its words.
func split(s string) []string {
	return strings.FieldsFunc(fold(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func (s *CodeSystem) index() *words {
	s.once.Do(func() {
		w := &words{}
		for i := range s.Concepts {
			c := &s.Concepts[i]
			for _, t := range wordsOf(c.Code, c.Display, c.Designations) {
				w.list = append(w.list, word{t, int32(i)})
			}
		}
		slices.SortFunc(w.list, func(a, b word) int {
			if c := strings.Compare(a.text, b.text); c != 0 {
				return c
			}
			return int(a.at - b.at)
		})
		w.list = slices.Compact(w.list)
		s.words = w
	})
	return s.words
}

// wordsOf are the words that a concept is found by: those of its names, its code and what that is
// made of.
func wordsOf(code, display string, designations []Designation) []string {
	out := append(split(display), fold(code))
	if parts := split(code); len(parts) > 1 {
		out = append(out, parts...)
	}
	for i := range designations {
		out = append(out, split(designations[i].Value)...)
	}
	return out
}

// match marks the concepts of which every word of the text begins a word.
func (s *CodeSystem) match(text []string) []bool {
	var found []bool
	w := s.index()
	for _, t := range text {
		hit := make([]bool, len(s.Concepts))
		i, _ := slices.BinarySearchFunc(w.list, t, func(x word, t string) int { return strings.Compare(x.text, t) })
		for ; i < len(w.list) && strings.HasPrefix(w.list[i].text, t); i++ {
			hit[w.list[i].at] = true
		}
		if found == nil {
			found = hit
			continue
		}
		for j := range found {
			found[j] = found[j] && hit[j]
		}
	}
	return found
}

// begins is match for a concept that no index has.
func begins(text, of []string) bool {
	return !slices.ContainsFunc(text, func(t string) bool {
		return !slices.ContainsFunc(of, func(w string) bool { return strings.HasPrefix(w, t) })
	})
}
