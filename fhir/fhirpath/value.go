package fhirpath

import (
	"strconv"
	"strings"

	"salus/fhir/element"
)

// A Kind says what a Value is.
type Kind uint8

// The kinds of values: a FHIR element in its place, and the System types.
const (
	Node Kind = iota
	Boolean
	Integer
	Decimal
	String
	Date
	DateTime
	Time
	Quantity
	TypeInfo // the answer of type()
	Target   // what resolve() makes of a reference when only its type is known
)

var kindNames = [...]string{"", "Boolean", "Integer", "Decimal", "String", "Date", "DateTime", "Time", "Quantity", "TypeInfo", ""}

// A Value is one item of a collection.
type Value struct {
	kind Kind
	cal  bool   // the unit is a calendar duration
	text string // String; Quantity's unit; TypeInfo's and Target's name
	num  int64  // Boolean, Integer
	el   element.Element
	dec  *decimal
	tm   *temporal
}

// Bool returns a Boolean.
func Bool(b bool) Value {
	if b {
		return Value{kind: Boolean, num: 1}
	}
	return Value{kind: Boolean}
}

// Int returns an Integer.
func Int(i int64) Value { return Value{kind: Integer, num: i} }

// Text returns a String.
func Text(s string) Value { return Value{kind: String, text: s} }

// Of returns an element as a Value.
func Of(e element.Element) Value { return Value{el: e} }

// Kind returns what the value is.
func (v Value) Kind() Kind { return v.kind }

// Element returns the element of a Node; zero for others.
func (v Value) Element() element.Element { return v.el }

// IsTrue reports whether the value is, or converts to, the Boolean true.
func (v Value) IsTrue() bool { s := v.System(); return s.kind == Boolean && s.num == 1 }

// Type returns the name of the value's type: "Patient", "code", "System.Integer".
func (v Value) Type() string {
	switch {
	case v.kind == Node && v.el.Type() != nil:
		return v.el.Type().Name
	case v.kind == Target:
		return v.text
	}
	return "System." + kindNames[v.kind]
}

// System converts a FHIR primitive or Quantity to its System type; others stay.
func (v Value) System() Value {
	if v.kind != Node {
		return v
	}
	n, t := v.el.Value(), v.el.Type()
	k := n.Kind()
	if k == element.Object {
		if t.Is("Quantity") {
			return v.quantity(n)
		}
		return v
	}
	if k == element.Absent || k == element.Array {
		return v
	}
	system := ""
	if t != nil {
		system = t.System
	}
	switch k {
	case element.True, element.False:
		return Bool(k == element.True)
	case element.Number:
		if system != "Decimal" {
			if i, err := strconv.ParseInt(n.Text(), 10, 64); err == nil {
				return Int(i)
			}
		}
		if d, ok := parseDecimal(n.Text()); ok {
			return Value{kind: Decimal, dec: d}
		}
		return v
	}
	if system == "Date" || system == "DateTime" || system == "Time" {
		if tm, ok := parseFHIR(n.Text(), system); ok {
			return Value{kind: kindOf(tm), tm: tm}
		}
	}
	return Text(n.Text())
}

func (v Value) quantity(n element.Node) Value {
	d, ok := parseDecimal(n.Get("value").Text())
	if !ok || n.Get("comparator").Kind() != element.Absent {
		return v
	}
	unit := n.Get("unit").Text()
	if code := n.Get("code").Text(); code != "" && n.Get("system").Text() == "http://unitsofmeasure.org" {
		unit = code
	}
	if unit == "" {
		unit = "1"
	}
	return Value{kind: Quantity, dec: d, text: unit}
}

// String returns the value as toString() does; "" for what has no such form.
func (v Value) String() string {
	v = v.System()
	switch v.kind {
	case Boolean:
		return strconv.FormatBool(v.num == 1)
	case Integer:
		return strconv.FormatInt(v.num, 10)
	case Decimal:
		return v.dec.String()
	case String:
		return v.text
	case Date, DateTime, Time:
		return v.tm.String()
	case Quantity:
		if v.cal {
			return v.dec.String() + " " + v.text
		}
		return v.dec.String() + " '" + strings.ReplaceAll(v.text, "'", `\'`) + "'"
	}
	return ""
}

// number returns an Integer or Decimal as a decimal, or nil.
func (v Value) number() *decimal {
	switch v.kind {
	case Integer:
		return intDecimal(v.num)
	case Decimal:
		return v.dec
	}
	return nil
}

func quantityOf(d *decimal, unit string, cal bool) Value {
	if cal {
		if c := calendar[unit]; c != "" && (unit == c || unit == c+"s") {
			return Value{kind: Quantity, dec: d, text: unit, cal: true}
		}
	}
	return Value{kind: Quantity, dec: d, text: unit}
}
