package validate

import "salus/fhir/element"

// equal reports whether a value is the one that fixed[x] gives: the same members, the same
// items in the same order. Decimals are compared as they are written, since 1.0 is not 1.00.
func equal(fixed, v element.Node) bool {
	if fixed.Kind() != v.Kind() {
		return false
	}
	switch fixed.Kind() {
	case element.Object:
		if fixed.Len() != v.Len() {
			return false
		}
		for m := range fixed.Children() {
			if !equal(m, v.Get(m.Name())) {
				return false
			}
		}
		return true
	case element.Array:
		n := fixed.Len()
		if n != v.Len() {
			return false
		}
		for i := range n {
			if !equal(fixed.At(i), v.At(i)) {
				return false
			}
		}
		return true
	}
	return fixed.Text() == v.Text()
}

// contains reports whether a value has all that pattern[x] has: each member, and for each
// item of an array one that contains it. A pattern that is no array is looked for in each
// item of a value that is one.
func contains(pattern, v element.Node) bool {
	if v.Kind() == element.Array && pattern.Kind() != element.Array {
		for x := range v.Children() {
			if contains(pattern, x) {
				return true
			}
		}
		return false
	}
	if pattern.Kind() != v.Kind() {
		return false
	}
	switch pattern.Kind() {
	case element.Object:
		for m := range pattern.Children() {
			if !contains(m, v.Get(m.Name())) {
				return false
			}
		}
		return true
	case element.Array:
		for m := range pattern.Children() {
			if !contains(m, v) {
				return false
			}
		}
		return true
	}
	return pattern.Text() == v.Text()
}
