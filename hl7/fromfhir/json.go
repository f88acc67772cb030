package fromfhir

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

type object = map[string]any

// decode reads a resource; numbers keep their digits. nil: it is no JSON object.
func decode(b []byte) object {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var o object
	if d.Decode(&o) != nil {
		return nil
	}
	if _, err := d.Token(); err != io.EOF {
		return nil
	}
	return o
}

// str is a JSON string, or "".
func str(v any) string {
	s, _ := v.(string)
	return strings.TrimSpace(s)
}

func obj(v any) object {
	o, _ := v.(object)
	return o
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// objects are the objects of a list.
func objects(v any) (out []object) {
	for _, e := range list(v) {
		if o := obj(e); o != nil {
			out = append(out, o)
		}
	}
	return out
}

func first(v any) object {
	if l := objects(v); len(l) > 0 {
		return l[0]
	}
	return nil
}

// at are the values at a path as tofhir.Row.To has it: each element of a list is one.
func at(v any, path string) []any {
	head, rest, deeper := strings.Cut(path, ".")
	name, many := strings.CutSuffix(head, "*")
	x := obj(v)[name]
	if x == nil {
		return nil
	}
	each := []any{x}
	if many {
		each = list(x)
	}
	if !deeper {
		return each
	}
	var out []any
	for _, e := range each {
		out = append(out, at(e, rest)...)
	}
	return out
}

// reference is the relative reference of a Reference; "" if it has none that can be read here.
func (m *maker) reference(v any) string {
	ref := str(obj(v)["reference"])
	if m.o.Base != "" {
		ref = strings.TrimPrefix(ref, m.o.Base+"/")
	}
	ref, _, _ = strings.Cut(ref, "/_history/")
	if strings.HasPrefix(ref, "#") {
		return ref
	}
	typ, id, ok := strings.Cut(ref, "/")
	if !ok || typ == "" || id == "" || strings.ContainsAny(id, "/?#:") || strings.Contains(typ, ":") {
		return ""
	}
	return ref
}

// read reads a resource by its reference, once; nil if there is none.
func (m *maker) read(ref string) (object, error) {
	if ref == "" {
		return nil, nil
	}
	if o, ok := m.known[ref]; ok {
		return o, nil
	}
	var o object
	if id, ok := strings.CutPrefix(ref, "#"); ok {
		for _, c := range objects(m.root["contained"]) {
			if str(c["id"]) == id {
				o = c
			}
		}
	} else {
		b, err := m.src.Read(m.ctx, ref)
		if err != nil {
			return nil, err
		}
		if b != nil {
			o = decode(b)
		}
	}
	m.known[ref] = o
	return o, nil
}

// follow reads what a Reference refers to.
func (m *maker) follow(v any) (object, string, error) {
	ref := m.reference(v)
	o, err := m.read(ref)
	return o, ref, err
}
