package fhirpath

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// A decimal is c / 10^scale, exact, and keeps the digits that it was written with.
type decimal struct {
	c     *big.Int
	scale int
}

// maxDigits bounds the digits of a decimal, before and after the point.
const maxDigits = 400

var ten = big.NewInt(10)

func pow10(n int) *big.Int { return new(big.Int).Exp(ten, big.NewInt(int64(n)), nil) }

func intDecimal(i int64) *decimal { return &decimal{big.NewInt(i), 0} }

// parseDecimal reads a JSON number or a FHIRPath literal.
func parseDecimal(s string) (*decimal, bool) {
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		e, err := strconv.Atoi(s[i+1:])
		if err != nil || e > maxDigits || e < -maxDigits {
			return nil, false
		}
		mantissa, exponent = s[:i], e
	}
	whole, frac, point := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole, "+-")
	if len(digits) == 0 || point && frac == "" || len(whole)-len(digits) > 1 || len(digits)+len(frac) > maxDigits || strings.Trim(digits+frac, "0123456789") != "" {
		return nil, false
	}
	c, ok := new(big.Int).SetString(whole+frac, 10)
	if !ok {
		return nil, false
	}
	d := &decimal{c, len(frac) - exponent}
	if d.scale < 0 {
		d.c.Mul(d.c, pow10(-d.scale))
		d.scale = 0
	}
	return d, true
}

func (d *decimal) String() string {
	s := new(big.Int).Abs(d.c).String()
	if d.scale > 0 {
		if len(s) <= d.scale {
			s = strings.Repeat("0", d.scale-len(s)+1) + s
		}
		s = s[:len(s)-d.scale] + "." + s[len(s)-d.scale:]
	}
	if d.c.Sign() < 0 {
		return "-" + s
	}
	return s
}

// align brings both to one scale.
func align(a, b *decimal) (x, y *big.Int, scale int) {
	x, y, scale = a.c, b.c, max(a.scale, b.scale)
	if a.scale < scale {
		x = new(big.Int).Mul(x, pow10(scale-a.scale))
	}
	if b.scale < scale {
		y = new(big.Int).Mul(y, pow10(scale-b.scale))
	}
	return x, y, scale
}

func (d *decimal) cmp(o *decimal) int {
	x, y, _ := align(d, o)
	return x.Cmp(y)
}

func (d *decimal) add(o *decimal) *decimal {
	x, y, s := align(d, o)
	return &decimal{new(big.Int).Add(x, y), s}
}

func (d *decimal) neg() *decimal { return &decimal{new(big.Int).Neg(d.c), d.scale} }

func (d *decimal) mul(o *decimal) *decimal {
	return (&decimal{new(big.Int).Mul(d.c, o.c), d.scale + o.scale}).bounded()
}

// bounded drops digits after the point that are beyond what is kept.
func (d *decimal) bounded() *decimal {
	if d.scale > 40 {
		return d.round(28)
	}
	return d
}

// div divides to 20 digits after the point; o is not zero.
func (d *decimal) div(o *decimal) *decimal {
	const digits = 20
	x := new(big.Int).Mul(d.c, pow10(digits+o.scale))
	x.Quo(x, o.c)
	return (&decimal{x, digits + d.scale}).round(digits).trim()
}

// trim drops zeros at the end of the fraction.
func (d *decimal) trim() *decimal {
	c, s, r := new(big.Int).Set(d.c), d.scale, new(big.Int)
	for s > 0 {
		q, _ := new(big.Int).QuoRem(c, ten, r)
		if r.Sign() != 0 {
			break
		}
		c, s = q, s-1
	}
	return &decimal{c, s}
}

// trunc cuts towards zero, and pads, to a scale.
func (d *decimal) trunc(scale int) *decimal {
	if scale >= d.scale {
		return &decimal{new(big.Int).Mul(d.c, pow10(scale-d.scale)), scale}
	}
	return &decimal{new(big.Int).Quo(d.c, pow10(d.scale-scale)), scale}
}

// round rounds half away from zero, and pads, to a scale.
func (d *decimal) round(scale int) *decimal {
	if scale >= d.scale {
		return d.trunc(scale)
	}
	half := new(big.Int).Quo(pow10(d.scale-scale), big.NewInt(2))
	if d.c.Sign() < 0 {
		half.Neg(half)
	}
	return (&decimal{half.Add(half, d.c), d.scale}).trunc(scale)
}

func (d *decimal) floor() *big.Int {
	return new(big.Int).Div(d.c, pow10(d.scale)) // Euclidean: down, as the divisor is positive
}

func (d *decimal) float() float64 {
	f, _ := strconv.ParseFloat(d.String(), 64)
	return f
}

func (d *decimal) rat() *big.Rat { return new(big.Rat).SetFrac(d.c, pow10(d.scale)) }

// fromFloat makes a decimal of what a function of real numbers gave.
func fromFloat(f float64) (*decimal, bool) {
	if math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) > 1e28 {
		return nil, false
	}
	d, ok := parseDecimal(strconv.FormatFloat(f, 'f', 8, 64))
	if !ok {
		return nil, false
	}
	d = d.trim()
	if d.scale == 0 {
		d = d.trunc(1)
	}
	return d, true
}

// small returns the value as an int, if it is whole and fits 32 bits.
func small(b *big.Int) (int64, bool) {
	if !b.IsInt64() {
		return 0, false
	}
	i := b.Int64()
	return i, i >= math.MinInt32 && i <= math.MaxInt32
}
