package search

import (
	"math"
	"strconv"
	"strings"
)

// maxDigits bounds what is read as a number.
const maxDigits = 64

// parseNumber reads a FHIR decimal as it is searched for: with EQ, NE and AP it stands for all
// numbers that round to it at its written precision; with the other prefixes for itself
// (R4 3.1.1.4.6). As there, 1e2 is as precise as 95 to 105.
func parseNumber(s string, p Prefix) (Range, bool) {
	n, half, ok := decimal(s)
	if !ok {
		return Range{}, false
	}
	switch p {
	case EQ, NE:
		// Half a step of a number with all the digits that a float64 has may be nothing.
		return Range{Low: n - half, High: max(n, math.Nextafter(n+half, math.Inf(-1)))}, true
	case AP:
		by := math.Max(math.Abs(n)*0.1, half)
		return Range{Low: n - by, High: n + by}, true
	default:
		return Range{Low: n, High: n}, true
	}
}

// Point is the range of a number in a resource: itself.
func Point(s string) (Range, bool) {
	n, _, ok := decimal(s)
	return Range{Low: n, High: n}, ok
}

// decimal reads a number and half of what one step in its last place is worth.
func decimal(s string) (n, half float64, ok bool) {
	if len(s) == 0 || len(s) > maxDigits {
		return 0, 0, false
	}
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(s), "e")
	digits := strings.TrimLeft(mantissa, "+-")
	if len(mantissa)-len(digits) > 1 || digits == "" {
		return 0, 0, false
	}
	point := -1
	for i := range len(digits) {
		switch c := digits[i]; {
		case c >= '0' && c <= '9':
		case c == '.' && point < 0 && i > 0 && i < len(digits)-1:
			point = i
		default:
			return 0, 0, false
		}
	}
	scale := 0
	if point >= 0 {
		scale = -(len(digits) - 1 - point)
	}
	if scientific {
		e, err := strconv.Atoi(exponent)
		if err != nil || e > 300 || e < -300 {
			return 0, 0, false
		}
		scale += e - 1
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsInf(n, 0) {
		return 0, 0, false
	}
	return n, 0.5 * math.Pow10(scale), true
}
