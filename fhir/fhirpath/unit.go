package fhirpath

import "strings"

// Unit returns how many base units of UCUM a unit is, and which ("g 1;m -3", sorted); ok is false
// for a unit that the package does not know whole. Celsius and Fahrenheit are base units here, as
// nothing else can be made of them by a factor.
func Unit(code string) (factor float64, base string, ok bool) {
	m, ok := measureOf(code)
	if !ok || strings.Contains(m.dim, "?") {
		return 0, "", false
	}
	factor, _ = m.factor.Float64()
	return factor, m.dim, factor > 0
}
