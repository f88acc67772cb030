package fhirpath

import (
	"math/big"
	"slices"
	"strings"
)

// calendar maps the words of calendar durations to their singular.
var calendar = map[string]string{
	"year": "year", "years": "year", "month": "month", "months": "month", "week": "week", "weeks": "week", "day": "day", "days": "day",
	"hour": "hour", "hours": "hour", "minute": "minute", "minutes": "minute", "second": "second", "seconds": "second",
	"millisecond": "millisecond", "milliseconds": "millisecond",
}

// A measure is a unit in terms of the base units: factor · m^a · s^b ...
type measure struct {
	factor *big.Rat
	dim    string // "m2 s-1", sorted; units that are not known stand for themselves
}

// base units and how others are made of them (UCUM 2.1, tables 1 to 10, common ones).
var units = map[string]string{
	"L": "1 dm3", "l": "1 dm3", "ar": "100 m2", "min": "60 s", "h": "60 min", "d": "24 h", "wk": "7 d", "a": "365.25 d", "mo": "30.4375 d",
	"Hz": "1 s-1", "N": "1 kg.m/s2", "Pa": "1 N/m2", "J": "1 N.m", "W": "1 J/s", "A": "1 C/s", "V": "1 J/C", "F": "1 C/V", "Ohm": "1 V/A", "S": "1 A/V",
	"Wb": "1 V.s", "T": "1 Wb/m2", "H": "1 Wb/A", "lm": "1 cd", "lx": "1 lm/m2", "Bq": "1 s-1", "Gy": "1 J/kg", "Sv": "1 J/kg", "kat": "1 mol/s",
	"U": "1 umol/min", "mol": "602213670000000000000000 1", "eq": "1 mol", "osm": "1 mol", "bar": "100000 Pa", "atm": "101325 Pa",
	"m[Hg]": "133322 Pa", "m[H2O]": "9806.65 Pa", "t": "1000 kg", "u": "0.00000000000000000000000166054 g", "cal": "4.184 J", "[Cal]": "1 kcal",
	"[in_i]": "2.54 cm", "[ft_i]": "12 [in_i]", "[yd_i]": "3 [ft_i]", "[mi_i]": "5280 [ft_i]", "[lb_av]": "453.59237 g", "[oz_av]": "28.349523125 g",
	"[gr]": "64.79891 mg", "[stone_av]": "14 [lb_av]", "[in_us]": "0.0254000508001016 m", "[gal_us]": "3785.411784 mL", "[qt_us]": "946.352946 mL", "[pt_us]": "473.176473 mL",
	"[foz_us]": "29.5735295625 mL", "[cup_us]": "236.5882365 mL", "[tbs_us]": "14.78676478125 mL", "[tsp_us]": "4.92892159375 mL", "[drp]": "0.05 mL",
	"%": "0.01 1", "[ppth]": "0.001 1", "[ppm]": "0.000001 1", "[ppb]": "0.000000001 1", "10*": "10 1", "10^": "10 1", "[psi]": "6894.757293168 Pa", "dyn": "0.00001 N", "erg": "0.0000001 J",
	"G": "0.0001 T", "Ci": "37000000000 Bq", "R": "0.000258 C/kg", "RAD": "0.01 Gy", "REM": "0.01 Sv", "P": "0.1 Pa.s", "St": "0.0001 m2/s", "deg": "0.017453292519943295 rad", "'": "0.0002908882086657216 rad",
	"[pi]": "3.14159265358979323846 1", "[degF]": "1 [degF]", "Cel": "1 Cel",
}

var baseUnits = map[string]bool{"m": true, "s": true, "g": true, "rad": true, "K": true, "C": true, "cd": true}

var prefixes = map[string]string{
	"Y": "1e24", "Z": "1e21", "E": "1e18", "P": "1e15", "T": "1e12", "G": "1e9", "M": "1e6", "k": "1e3", "h": "1e2", "da": "1e1",
	"d": "1e-1", "c": "1e-2", "m": "1e-3", "u": "1e-6", "n": "1e-9", "p": "1e-12", "f": "1e-15", "a": "1e-18", "z": "1e-21", "y": "1e-24",
}

// metric lists the units beside the base ones that take a prefix.
var metric = map[string]bool{
	"L": true, "l": true, "Hz": true, "N": true, "Pa": true, "J": true, "W": true, "A": true, "V": true, "F": true, "Ohm": true, "S": true, "Wb": true, "T": true, "H": true, "lm": true, "lx": true,
	"Bq": true, "Gy": true, "Sv": true, "kat": true, "U": true, "mol": true, "eq": true, "osm": true, "bar": true, "m[Hg]": true, "m[H2O]": true, "t": true, "u": true, "cal": true, "[Cal]": true,
	"dyn": true, "erg": true, "Ci": true, "[iU]": true, "[IU]": true, "Cel": true,
}

type dims map[string]int

// measureOf reads a unit of UCUM; what is not known becomes a dimension of its own.
func measureOf(unit string) (measure, bool) {
	f, d := big.NewRat(1, 1), dims{}
	if len(unit) > 128 || !unitTerm(unit, 1, f, d, 0) {
		return measure{}, false
	}
	var parts []string
	for k, n := range d {
		if n != 0 {
			parts = append(parts, k+" "+intDecimal(int64(n)).String())
		}
	}
	slices.Sort(parts)
	return measure{f, strings.Join(parts, ";")}, true
}

// unitTerm multiplies f and d by the term to the power of sign.
func unitTerm(s string, sign int, f *big.Rat, d dims, depth int) bool {
	if depth > 12 {
		return false
	}
	now, first := sign, true
	for i := 0; i < len(s) || first; first = false {
		if i >= len(s) {
			return false
		}
		if !first || s[i] == '/' {
			switch s[i] {
			case '.':
				now = sign
			case '/':
				now = -sign
			default:
				return false
			}
			i++
		}
		end, brackets := i, 0
		for end < len(s) && (brackets > 0 || s[end] != '.' && s[end] != '/') {
			switch s[end] {
			case '[', '(', '{':
				brackets++
			case ']', ')', '}':
				brackets--
			}
			end++
		}
		if !unitFactor(s[i:end], now, f, d, depth) {
			return false
		}
		i = end
	}
	return true
}

func unitFactor(s string, power int, f *big.Rat, d dims, depth int) bool {
	if i := strings.IndexByte(s, '{'); i >= 0 && strings.HasSuffix(s, "}") {
		if s = s[:i]; s == "" {
			return true
		}
	}
	if s == "" {
		return false
	}
	if strings.HasPrefix(s, "(") && strings.HasSuffix(s, ")") {
		return unitTerm(s[1:len(s)-1], power, f, d, depth+1)
	}
	if strings.Trim(s, "0123456789") == "" {
		r, ok := new(big.Rat).SetString(s)
		return ok && r.Sign() != 0 && scale(f, r, power)
	}
	// The exponent at the end.
	end := len(s)
	for end > 0 && digit(s[end-1]) {
		end--
	}
	exp := 1
	if end < len(s) && end > 0 {
		if len(s)-end > 2 {
			return false
		}
		n, _ := field(s, end, len(s)-end)
		if s[end-1] == '-' || s[end-1] == '+' {
			end--
			if s[end] == '-' {
				n = -n
			}
		}
		if known(s[:end]) {
			exp, s = n, s[:end]
		}
	}
	return unitAtom(s, power*exp, f, d, depth)
}

func known(s string) bool {
	if baseUnits[s] || units[s] != "" {
		return true
	}
	_, atom := prefixed(s)
	return atom != ""
}

func prefixed(s string) (prefix, atom string) {
	for n := 1; n <= 2 && n < len(s); n++ {
		if rest := s[n:]; prefixes[s[:n]] != "" && (baseUnits[rest] || metric[rest]) {
			return prefixes[s[:n]], rest
		}
	}
	return "", ""
}

func unitAtom(s string, power int, f *big.Rat, d dims, depth int) bool {
	if power == 0 {
		return true
	}
	if power > 40 || power < -40 || depth > 12 {
		return false
	}
	if baseUnits[s] {
		d[s] += power
		return true
	}
	if def := units[s]; def != "" {
		number, term, _ := strings.Cut(def, " ")
		r, _ := new(big.Rat).SetString(number)
		if term == s {
			d[s] += power
			return scale(f, r, power)
		}
		sub, dd := big.NewRat(1, 1), dims{}
		if !unitTerm(term, 1, sub, dd, depth+1) {
			return false
		}
		for k, n := range dd {
			d[k] += n * power
		}
		return scale(f, r.Mul(r, sub), power)
	}
	if prefix, atom := prefixed(s); atom != "" {
		r, _ := new(big.Rat).SetString(prefix)
		return scale(f, r, power) && unitAtom(atom, power, f, d, depth+1)
	}
	d["?"+s] += power
	return true
}

// scale multiplies f by r to the power.
func scale(f, r *big.Rat, power int) bool {
	if power < 0 {
		r, power = new(big.Rat).Inv(r), -power
	}
	for range power {
		if f.Mul(f, r); f.Num().BitLen() > 4096 || f.Denom().BitLen() > 4096 {
			return false
		}
	}
	return true
}

// ucumOf gives the UCUM unit of a calendar duration; year and month have none.
func (v Value) ucum() string {
	if !v.cal {
		return v.text
	}
	switch u := calendar[v.text]; u {
	case "week":
		return "wk"
	case "day", "hour":
		return u[:1]
	case "minute":
		return "min"
	case "second":
		return "s"
	case "millisecond":
		return "ms"
	case "year":
		return "12.[calendar-month]"
	default:
		return "[calendar-month]"
	}
}

// amount gives a quantity in base units.
func (v Value) amount() (*big.Rat, string, bool) {
	m, ok := measureOf(v.ucum())
	if !ok {
		return nil, "", false
	}
	return new(big.Rat).Mul(v.dec.rat(), m.factor), m.dim, true
}
