// Package patch applies FHIRPath Patch (FHIR R4, 3.1.0.8.2 "FHIRPath Patch") to the bytes
// of a resource: add, insert, delete, replace and move, as a Parameters resource has them.
//
// Every operation is a splice. What it does not name stays as it was submitted, byte for
// byte: the order of elements, spaces, escapes and the digits of decimals; a value goes in
// with the bytes that the Parameters have for it. All operations are applied in order, each
// to what the one before it made, or none is.
//
// The result is JSON with each element once and of the type that the definitions have
// for it. Whether it is a valid resource, and whether its id may change, is for the caller
// to check. The package must never log, fetch, or put content of a resource or of a patch
// into an error.
package patch

import (
	"errors"
	"strconv"

	"salus/fhir/definition"
	"salus/fhir/element"
	"salus/fhir/fhirpath"
)

// Bounds of a patch.
const (
	MaxOperations = 1000
	MaxPath       = 4096    // bytes of a path
	maxDepth      = 32      // of a value that is made of parts
	maxWork       = 1 << 29 // operations times bytes of the resource: each reads all of it
	minSteps      = 20_000  // of the evaluation of a path
)

// Apply returns the resource with the operations of a Parameters resource done to it. The
// inputs are not changed and the result does not alias them, unless there was nothing to do.
// An error is an *Error.
func Apply(resource, parameters []byte, set *definition.Set) ([]byte, error) {
	if set == nil {
		return nil, fail(CodeParameters, -1)
	}
	p, err := element.Parser{Known: set.Model().Known}.Parse(parameters)
	if err != nil {
		return nil, &Error{Code: CodeParameters, Operation: -1, err: err}
	}
	ops, err := operations(p.Root())
	if err != nil {
		return nil, err
	}
	if len(ops)*len(resource) > maxWork {
		return nil, fail(CodeMany, -1)
	}
	x := patching{
		model: set.Model(), engine: fhirpath.New(set), src: resource,
		steps: max(minSteps, fhirpath.DefaultSteps/max(len(ops), 1)), // all paths together cost no more than one may, or little more
	}
	if err := x.parse(); err != nil {
		return nil, err
	}
	for i, o := range ops {
		if err := x.do(o); err != nil {
			if e, ok := errors.AsType[*Error](err); ok {
				e.Operation = i
			}
			return nil, err
		}
	}
	return x.src, nil
}

// A patching is one Apply.
type patching struct {
	model  *element.Model
	engine *fhirpath.Engine
	src    []byte
	root   element.Element
	steps  int // bound of the work of one path
}

// parse reads what the resource is by now.
func (x *patching) parse() error {
	t, err := element.Parser{Known: x.model.Known}.Parse(x.src)
	if err != nil {
		return &Error{Code: CodeResource, Operation: -1, err: err}
	}
	if x.root = x.model.Root(t); x.root.Type() == nil {
		return fail(CodeResource, -1)
	}
	return nil
}

// An operation is one of a patch.
type operation struct {
	kind, path, name           string
	index, source, destination int // -1 if it has none
	value                      element.Node
}

// operations reads the Parameters.
func operations(n element.Node) ([]operation, error) {
	if n.Get("resourceType").Text() != "Parameters" {
		return nil, fail(CodeParameters, -1)
	}
	var out []operation
	for p := range n.Get("parameter").Children() {
		if p.Get("name").Text() != "operation" {
			return nil, fail(CodeParameters, len(out))
		}
		if len(out) == MaxOperations {
			return nil, fail(CodeMany, -1)
		}
		o := operation{index: -1, source: -1, destination: -1}
		seen := map[string]bool{}
		for part := range p.Get("part").Children() {
			name := part.Get("name").Text()
			if seen[name] {
				return nil, fail(CodeParameters, len(out))
			}
			seen[name] = true
			ok := true
			switch name {
			case "type":
				o.kind, ok = text(part, "valueCode", "valueString")
			case "path":
				o.path, ok = text(part, "valueString")
			case "name":
				o.name, ok = text(part, "valueString", "valueCode")
			case "value":
				o.value = part
			case "index":
				o.index, ok = number(part)
			case "source":
				o.source, ok = number(part)
			case "destination":
				o.destination, ok = number(part)
			default:
				ok = false
			}
			if !ok {
				return nil, fail(CodeParameters, len(out))
			}
		}
		if code := o.check(); code != "" {
			return nil, fail(code, len(out))
		}
		out = append(out, o)
	}
	return out, nil
}

// check reports what an operation lacks or has too much of.
func (o *operation) check() string {
	if o.path == "" || len(o.path) > MaxPath {
		return CodePath
	}
	name, value, index, move := o.name != "", o.value.Kind() == element.Object, o.index >= 0, o.source >= 0 || o.destination >= 0
	var ok bool
	switch o.kind {
	case "add":
		ok = name && value && !index && !move
	case "insert":
		ok = !name && value && index && !move
	case "delete":
		ok = !name && !value && !index && !move
	case "replace":
		ok = !name && value && !index && !move
	case "move":
		ok = !name && !value && !index && o.source >= 0 && o.destination >= 0
	default:
		return CodeOperation
	}
	if !ok {
		return CodeParameters
	}
	return ""
}

func text(part element.Node, names ...string) (string, bool) {
	for _, n := range names {
		if v := part.Get(n); v.Kind() == element.String {
			return v.Text(), v.Text() != ""
		}
	}
	return "", false
}

func number(part element.Node) (int, bool) {
	for _, name := range []string{"valueInteger", "valueUnsignedInt", "valuePositiveInt"} {
		if v := part.Get(name); v.Kind() == element.Number {
			n, err := strconv.Atoi(v.Text())
			return n, err == nil && n >= 0
		}
	}
	return -1, false
}
