package element

import "strings"

// A TypeKind says what values of a type look like in JSON.
type TypeKind uint8

// The kinds of types.
const (
	Complex   TypeKind = iota // an object
	Primitive                 // a string, number or boolean with an optional "_" sibling
	Resource                  // an object with a resourceType
)

// A Type is a FHIR type as navigation needs it. It is read-only once NewModel has it.
type Type struct {
	Name   string // "Patient", "HumanName", "string"; "Patient.contact" for an inline type
	Code   string // the name of its kind: the same, but "BackboneElement" for an inline type
	Base   *Type  // nil for Element and Resource
	Kind   TypeKind
	System string // for primitives: "Boolean", "Integer", "Decimal", "String", "Date", "DateTime", "Time"
	Fields []Field
	Model  *Model

	syms []Sym
	json map[string]option
}

// A Field is one element of a type, inherited ones included.
type Field struct {
	Name   string // without "[x]": "value"
	Many   bool   // its maximum is above 1
	Choice bool   // value[x]
	Types  []Option
}

// An Option is one type that a field may have, and its name in JSON: "valueQuantity".
type Option struct {
	JSON string
	Type *Type
}

type option struct{ field, option int16 }

// Is reports whether t is the named type or derives from it.
func (t *Type) Is(name string) bool {
	for ; t != nil; t = t.Base {
		if t.Name == name || t.Code == name {
			return true
		}
	}
	return false
}

// Field returns the field with a name ("value", not "valueQuantity"), or nil.
func (t *Type) Field(name string) *Field {
	if t == nil {
		return nil
	}
	for i := range t.Fields {
		if t.Fields[i].Name == name {
			return &t.Fields[i]
		}
	}
	return nil
}

// Member finds field and option by the name in JSON ("valueQuantity").
func (t *Type) Member(json string) (*Field, *Option) {
	if t == nil {
		return nil, nil
	}
	if o, ok := t.json[json]; ok {
		f := &t.Fields[o.field]
		return f, &f.Types[o.option]
	}
	return nil, nil
}

// A Sym stands for the name of a field within a Model. The zero Sym names none.
type Sym uint16

// A Model is a closed set of types.
type Model struct {
	types map[string]*Type
	syms  map[string]Sym
	names map[string]bool
}

// NewModel links the types, which must not change afterwards.
func NewModel(types []*Type) *Model {
	m := &Model{types: make(map[string]*Type, len(types)), syms: map[string]Sym{}, names: map[string]bool{"resourceType": true}}
	for _, t := range types {
		t.Model = m
		m.types[t.Name] = t
		t.syms = make([]Sym, len(t.Fields))
		t.json = make(map[string]option, len(t.Fields))
		for i := range t.Fields {
			f := &t.Fields[i]
			sym, ok := m.syms[f.Name]
			if !ok {
				sym = Sym(len(m.syms) + 1)
				m.syms[f.Name] = sym
			}
			t.syms[i] = sym
			for j, o := range f.Types {
				if _, ok := t.json[o.JSON]; !ok {
					t.json[o.JSON] = option{int16(i), int16(j)}
				}
				m.names[o.JSON] = true
			}
		}
	}
	return m
}

// Type returns the named type, or nil.
func (m *Model) Type(name string) *Type {
	if m == nil {
		return nil
	}
	return m.types[name]
}

// Sym returns what stands for a field's name, 0 if no type has such a field.
func (m *Model) Sym(name string) Sym { return m.syms[name] }

// Known reports whether name is a name of an element in JSON, with or without "_", so that
// it tells nothing of a patient. It serves as Parser.Known.
func (m *Model) Known(name string) bool { return m.names[strings.TrimPrefix(name, "_")] }

// Root returns the tree's root as a resource. Its type is nil if the resourceType is not one.
func (m *Model) Root(t *Tree) Element {
	if len(t.nodes) == 0 {
		return Element{}
	}
	return Element{tree: t, val: 1}.as(m.types["Resource"])
}

// View returns a node seen through a type.
func View(n Node, t *Type) Element {
	if n.t == nil {
		return Element{}
	}
	return Element{tree: n.t, val: n.i + 1}.as(t)
}
