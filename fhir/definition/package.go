package definition

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"salus/fhir/element"
)

// maxPackage bounds the bytes of an unpacked package, maxFile those of one file.
const (
	maxPackage = 1 << 30
	maxFile    = 64 << 20
)

// A loader collects what a package defines.
type loader struct {
	types   []*Type
	params  []*Param
	compart []*Compartment
	terms   terminology
}

// Add returns the definitions together with those of an npm package (.tgz) of FHIR: its
// profiles with a snapshot, search parameters and value sets.
func (s *Set) Add(pack io.Reader) (*Set, error) {
	l := loader{terms: newTerminology(s)}
	if err := l.read(pack); err != nil {
		return nil, err
	}
	return l.set(s), nil
}

// Load makes a Set from the package of FHIR R4 itself. Only the generator needs it; all
// others use R4.
func Load(pack io.Reader) (*Set, error) {
	l := loader{terms: newTerminology(nil)}
	if err := l.read(pack); err != nil {
		return nil, err
	}
	return l.set(nil), nil
}

func (l *loader) read(pack io.Reader) error {
	z, err := gzip.NewReader(pack)
	if err != nil {
		return fmt.Errorf("definition: package: %w", err)
	}
	var total int64
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("definition: package: %w", err)
		}
		name := path.Base(h.Name)
		kind, _, _ := strings.Cut(name, "-")
		switch kind {
		case "StructureDefinition", "SearchParameter", "ValueSet", "CodeSystem", "CompartmentDefinition":
		default:
			continue
		}
		if total += h.Size; h.Size > maxFile || total > maxPackage || path.Ext(name) != ".json" || path.Base(path.Dir(h.Name)) != "package" {
			if total > maxPackage || h.Size > maxFile {
				return errors.New("definition: package is too large")
			}
			continue
		}
		b, err := io.ReadAll(io.LimitReader(r, maxFile))
		if err != nil {
			return fmt.Errorf("definition: package: %w", err)
		}
		tree, err := element.Parser{Size: maxFile}.Parse(b)
		if err != nil {
			return fmt.Errorf("definition: %s: %w", name, err)
		}
		root := tree.Root()
		switch root.Get("resourceType").Text() {
		case "StructureDefinition":
			l.structure(root)
		case "SearchParameter":
			l.param(root)
		case "CompartmentDefinition":
			l.compartment(root)
		case "ValueSet", "CodeSystem":
			l.terms.add(root)
		}
	}
}

func texts(n element.Node) (out []string) {
	for c := range n.Children() {
		out = append(out, c.Text())
	}
	return out
}

func number(n element.Node) int {
	i, err := strconv.Atoi(n.Text())
	if err != nil {
		return -1
	}
	return i
}

// extension returns the value of the extension whose URL ends so.
func extension(n element.Node, suffix string) string {
	for e := range n.Get("extension").Children() {
		if strings.HasSuffix(e.Get("url").Text(), suffix) {
			for c := range e.Children() {
				if strings.HasPrefix(c.Name(), "value") {
					return c.Text()
				}
			}
		}
	}
	return ""
}

func lastPart(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

func unversioned(url string) string {
	url, _, _ = strings.Cut(url, "|")
	return url
}

func (l *loader) structure(n element.Node) {
	t := &Type{
		Name: n.Get("type").Text(), URL: n.Get("url").Text(), Kind: n.Get("kind").Text(),
		Abstract: n.Get("abstract").Kind() == element.True, Profile: n.Get("derivation").Text() == "constraint",
		Base: lastPart(n.Get("baseDefinition").Text()),
	}
	if t.Kind == "logical" {
		return
	}
	if strings.Contains(t.Name, "/") {
		t.Name = lastPart(t.Name)
	}
	for e := range n.Get("snapshot").Get("element").Children() {
		t.Elements = append(t.Elements, elementOf(e))
	}
	l.types = append(l.types, t)
}

func elementOf(n element.Node) Element {
	e := Element{
		ID: n.Get("id").Text(), Path: n.Get("path").Text(), Min: max(number(n.Get("min")), 0), Max: number(n.Get("max")),
		Slice: n.Get("sliceName").Text(), Content: strings.TrimPrefix(n.Get("contentReference").Text(), "#"),
		Strength: n.Get("binding").Get("strength").Text(), ValueSet: n.Get("binding").Get("valueSet").Text(),
		MaxLength: max(number(n.Get("maxLength")), 0), Modifier: n.Get("isModifier").Kind() == element.True,
		Summary: n.Get("isSummary").Kind() == element.True, Must: n.Get("mustSupport").Kind() == element.True,
	}
	for t := range n.Get("type").Children() {
		r := TypeRef{Code: lastPart(t.Get("code").Text()), Profiles: texts(t.Get("profile")), Targets: texts(t.Get("targetProfile"))}
		if strings.HasPrefix(r.Code, "System.") {
			e.Regex = extension(t, "/regex")
			if f := extension(t, "/structuredefinition-fhir-type"); f != "" {
				r.Code = f
			}
		}
		e.Types = append(e.Types, r)
	}
	if s := n.Get("slicing"); s.Kind() == element.Object {
		e.Rules, e.Ordered = s.Get("rules").Text(), s.Get("ordered").Kind() == element.True
		for d := range s.Get("discriminator").Children() {
			e.By = append(e.By, d.Get("type").Text()+":"+d.Get("path").Text())
		}
	}
	for c := range n.Get("constraint").Children() {
		e.Invariants = append(e.Invariants, Invariant{
			Key: c.Get("key").Text(), Severity: c.Get("severity").Text(), Human: c.Get("human").Text(),
			Expression: c.Get("expression").Text(), Source: lastPart(c.Get("source").Text()),
		})
	}
	for c := range n.Children() {
		if strings.HasPrefix(c.Name(), "fixed") {
			e.Fixed = string(c.Raw())
		} else if strings.HasPrefix(c.Name(), "pattern") {
			e.Pattern = string(c.Raw())
		}
	}
	return e
}

func (l *loader) param(n element.Node) {
	p := &Param{
		URL: n.Get("url").Text(), Code: n.Get("code").Text(), Type: n.Get("type").Text(), Expression: n.Get("expression").Text(),
		Base: texts(n.Get("base")), Target: texts(n.Get("target")), Modifiers: texts(n.Get("modifier")), Comparators: texts(n.Get("comparator")),
		Status: n.Get("status").Text(), Derived: unversioned(n.Get("derivedFrom").Text()), Description: n.Get("description").Text(),
	}
	for c := range n.Get("component").Children() {
		p.Components = append(p.Components, Component{c.Get("definition").Text(), c.Get("expression").Text()})
	}
	l.params = append(l.params, p)
}

func (l *loader) compartment(n element.Node) {
	c := &Compartment{Code: n.Get("code").Text(), Params: map[string][]string{}}
	if lastPart(n.Get("url").Text()) == "example" {
		return
	}
	for r := range n.Get("resource").Children() {
		if p := texts(r.Get("param")); len(p) > 0 {
			c.Params[r.Get("code").Text()] = p
		}
	}
	l.compart = append(l.compart, c)
}
