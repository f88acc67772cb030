package fhirpath

import (
	"math"
	"math/big"
	"strings"
)

func fnConverts(r *run, n *node, in, focus, dst []Value) []Value {
	if len(in) > 1 {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
	}
	if len(in) != 1 || r.err != nil {
		return dst
	}
	v, ok := convert(in[0], strings.TrimPrefix(n.name, "convertsTo"))
	return append(dst, Bool(ok && r.unit(n, v, focus)))
}

func fnConvert(r *run, n *node, in, focus, dst []Value) []Value {
	if len(in) > 1 {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
	}
	if len(in) != 1 || r.err != nil {
		return dst
	}
	if v, ok := convert(in[0], strings.TrimPrefix(n.name, "to")); ok && r.unit(n, v, focus) {
		return append(dst, v)
	}
	return dst
}

// unit compares a quantity with the unit that toQuantity() was asked for.
func (r *run) unit(n *node, v Value, focus []Value) bool {
	if len(n.args) == 0 {
		return true
	}
	u, ok := r.str(n.args[0], focus)
	return ok && (v.text == u || v.ucum() == u)
}

// convert follows N1, 5.5 "Conversion".
func convert(v Value, to string) (Value, bool) {
	v = v.System()
	if v.kind == Node {
		return Value{}, false
	}
	switch to {
	case "String":
		return Text(v.String()), v.kind <= Quantity
	case "Boolean":
		switch v.kind {
		case Boolean:
			return v, true
		case Integer, Decimal:
			d := v.number()
			return Bool(d.c.Sign() != 0), d.c.Sign() == 0 || d.cmp(intDecimal(1)) == 0
		case String:
			switch strings.ToLower(v.text) {
			case "true", "t", "yes", "y", "1", "1.0":
				return Bool(true), true
			case "false", "f", "no", "n", "0", "0.0":
				return Bool(false), true
			}
		}
	case "Integer":
		switch v.kind {
		case Integer:
			return v, true
		case Boolean:
			return Int(v.num), true
		case String:
			if d, ok := parseDecimal(v.text); ok && !strings.ContainsAny(v.text, ".eE") {
				i, ok := small(d.c)
				return Int(i), ok
			}
		}
	case "Decimal":
		switch v.kind {
		case Integer, Decimal:
			return Value{kind: Decimal, dec: v.number()}, true
		case Boolean:
			return Value{kind: Decimal, dec: intDecimal(v.num)}, true
		case String:
			d, ok := parseDecimal(v.text)
			return Value{kind: Decimal, dec: d}, ok && !strings.ContainsAny(v.text, "eE")
		}
	case "Date", "DateTime", "Time":
		return toTemporal(v, to)
	case "Quantity":
		switch v.kind {
		case Quantity:
			return v, true
		case Integer, Decimal:
			return Value{kind: Quantity, dec: v.number(), text: "1"}, true
		case Boolean:
			return Value{kind: Quantity, dec: intDecimal(v.num), text: "1"}, true
		case String:
			return parseQuantity(v.text)
		}
	}
	return Value{}, false
}

func toTemporal(v Value, to string) (Value, bool) {
	var t *temporal
	var ok bool
	switch {
	case v.kind == String && to == "Time":
		t, ok = parseTemporal("T" + strings.TrimPrefix(v.text, "T"))
	case v.kind == String:
		t, ok = parseTemporal(v.text)
		ok = ok && t.kind != Time
	case v.tm != nil && (v.kind == Time) == (to == "Time"):
		t, ok = v.tm, true
	}
	if !ok {
		return Value{}, false
	}
	c := *t
	switch to {
	case "Date":
		c = temporal{kind: Date, prec: min(t.prec, pDay), y: t.y, mo: t.mo, d: t.d}
	case "DateTime":
		c.kind = DateTime
	}
	return Value{kind: c.kind, tm: &c}, true
}

func parseQuantity(s string) (Value, bool) {
	number, unit, _ := strings.Cut(strings.TrimSpace(s), " ")
	d, ok := parseDecimal(number)
	if !ok || strings.ContainsAny(number, "eE") {
		return Value{}, false
	}
	unit = strings.TrimSpace(unit)
	switch {
	case unit == "":
		return Value{kind: Quantity, dec: d, text: "1"}, true
	case len(unit) > 2 && unit[0] == '\'' && unit[len(unit)-1] == '\'':
		return Value{kind: Quantity, dec: d, text: unit[1 : len(unit)-1]}, true
	case calendar[unit] != "":
		return quantityOf(d, unit, true), true
	}
	return Value{}, false
}

func fnMath(r *run, n *node, in, focus, dst []Value) []Value {
	if len(in) > 1 {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
	}
	if len(in) != 1 || r.err != nil {
		return dst
	}
	v := in[0].System()
	if v.kind == Quantity && n.name == "abs" {
		v.dec = &decimal{new(big.Int).Abs(v.dec.c), v.dec.scale}
		return append(dst, v)
	}
	d := v.number()
	if d == nil {
		r.fail(CodeType, n.pos, "a number is wanted here")
		return dst
	}
	whole := func(b *big.Int) []Value {
		if i, ok := small(b); ok {
			return append(dst, Int(i))
		}
		return dst
	}
	real := func(f float64) []Value {
		if x, ok := fromFloat(f); ok {
			return append(dst, Value{kind: Decimal, dec: x})
		}
		return dst
	}
	switch n.name {
	case "abs":
		if v.kind == Integer {
			return append(dst, Int(max(v.num, -v.num)))
		}
		return append(dst, Value{kind: Decimal, dec: &decimal{new(big.Int).Abs(d.c), d.scale}})
	case "ceiling":
		c := d.neg().floor()
		return whole(c.Neg(c))
	case "floor":
		return whole(d.floor())
	case "truncate":
		return whole(d.trunc(0).c)
	case "exp":
		return real(math.Exp(d.float()))
	case "ln":
		return real(math.Log(d.float()))
	case "sqrt":
		return real(math.Sqrt(d.float()))
	case "round":
		digits := int64(0)
		if len(n.args) == 1 {
			var ok bool
			if digits, ok = r.integer(n.args[0], focus); !ok {
				return dst
			}
			if digits < 0 || digits > 28 {
				r.fail(CodeType, n.pos, "the precision is out of range")
				return dst
			}
		}
		return append(dst, Value{kind: Decimal, dec: d.round(int(min(digits, int64(d.scale))))})
	}
	a, ok := r.one(n.args[0], focus)
	if !ok {
		return dst
	}
	a = a.System()
	e := a.number()
	if e == nil {
		r.fail(CodeType, n.pos, "a number is wanted here")
		return dst
	}
	if n.name == "log" {
		return real(math.Log(d.float()) / math.Log(e.float()))
	}
	if k, ok := small(e.c); ok && e.scale == 0 && k >= 0 && k <= 64 {
		p := &decimal{new(big.Int).Exp(d.c, big.NewInt(k), nil), d.scale * int(k)}
		if v.kind == Integer {
			return whole(p.c)
		}
		return append(dst, Value{kind: Decimal, dec: p.bounded()})
	}
	return real(math.Pow(d.float(), e.float()))
}

func fnComparable(r *run, n *node, in, focus, dst []Value) []Value {
	if len(in) != 1 {
		return dst
	}
	o, ok := r.one(n.args[0], focus)
	if !ok {
		return dst
	}
	a, b := in[0].System(), o.System()
	if a.kind != Quantity || b.kind != Quantity {
		return append(dst, Bool(false))
	}
	_, d, ok1 := a.amount()
	_, e, ok2 := b.amount()
	return append(dst, Bool(ok1 && ok2 && d == e))
}

// digitsOf counts the digits of each precision of a date, dateTime or time.
var digitsOf = map[int]int{pYear: 4, pMonth: 6, pDay: 8, pHour: 10, pMinute: 12, pSecond: 14, pMilli: 17}

func fnPrecision(_ *run, _ *node, in, _, dst []Value) []Value {
	if len(in) != 1 {
		return dst
	}
	switch v := in[0].System(); v.kind {
	case Decimal:
		return append(dst, Int(int64(v.dec.scale)))
	case Integer:
		return append(dst, Int(0))
	case Date, DateTime:
		return append(dst, Int(int64(digitsOf[v.tm.prec])))
	case Time:
		return append(dst, Int(int64(digitsOf[v.tm.prec]-8)))
	}
	return dst
}

// fnBoundary gives the least or greatest value that an item of its precision may stand for.
func fnBoundary(r *run, n *node, in, focus, dst []Value) []Value {
	if len(in) > 1 {
		r.fail(CodeSingle, n.pos, "one item is wanted here, and there are several")
	}
	if len(in) != 1 || r.err != nil {
		return dst
	}
	v, high, digits := in[0].System(), n.name == "highBoundary", int64(-1)
	if len(n.args) == 1 {
		var ok bool
		if digits, ok = r.integer(n.args[0], focus); !ok || digits < 0 {
			return dst
		}
	}
	switch v.kind {
	case Integer, Decimal, Quantity:
		d := v.dec
		if v.kind == Integer {
			d = intDecimal(v.num)
		}
		if digits < 0 {
			digits = 8
		}
		if digits > 28 {
			return dst
		}
		b := boundary(d, high, int(digits))
		if v.kind == Quantity {
			v.dec = b
			return append(dst, v)
		}
		return append(dst, Value{kind: Decimal, dec: b})
	case Date, DateTime, Time:
		most := int64(17)
		switch v.kind {
		case Date:
			most = 8
		case Time:
			most = 9
		}
		if digits < 0 {
			digits = most
		}
		if t := v.tm.boundary(high, int(digits)); t != nil && digits <= most {
			return append(dst, Value{kind: t.kind, tm: t})
		}
	}
	return dst
}

func boundary(d *decimal, high bool, digits int) *decimal {
	if d.c.Sign() < 0 {
		return boundary(d.neg(), !high, digits).neg()
	}
	half := &decimal{big.NewInt(5), d.scale + 1}
	if high {
		return d.add(half).round(digits)
	}
	return d.add(half.neg()).trunc(digits)
}

func (t *temporal) boundary(high bool, digits int) *temporal {
	c := *t
	if t.kind == Time {
		digits += 8
	}
	prec := 0
	for p, n := range digitsOf {
		if n == digits {
			prec = p
		}
	}
	if prec == 0 {
		return nil
	}
	if t.prec == pHour { // an hour alone is no time of FHIR: it is read as hh:00
		c.prec = pMinute
	}
	if high {
		if c.prec < pMonth {
			c.mo = 12
		}
		if c.prec < pDay {
			c.d = days(c.y, c.mo)
		}
		if c.prec < pHour {
			c.h = 23
		}
		if c.prec < pMinute {
			c.mi = 59
		}
		if c.prec < pSecond {
			c.s = 59
		}
		if c.prec < pMilli {
			c.ns = 999_000_000
		}
	}
	if !t.zone && t.kind == DateTime {
		if c.zone, c.off = true, 14*60; high {
			c.off = -12 * 60
		}
	}
	c.prec, c.digits = prec, 3
	return &c
}
