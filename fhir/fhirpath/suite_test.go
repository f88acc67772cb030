package fhirpath

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"salus/fhir/definition"
	"salus/fhir/element"
)

// deviations are the tests of HL7's suite that are known not to pass, with the reason.
var deviations = map[string]string{}

type suite struct {
	Groups []struct {
		Name  string `xml:"name,attr"`
		Tests []struct {
			Name       string `xml:"name,attr"`
			Input      string `xml:"inputfile,attr"`
			Predicate  bool   `xml:"predicate,attr"`
			Unordered  string `xml:"ordered,attr"`
			Expression struct {
				Text    string `xml:",chardata"`
				Invalid string `xml:"invalid,attr"`
			} `xml:"expression"`
			Output []struct {
				Type string `xml:"type,attr"`
				Text string `xml:",chardata"`
			} `xml:"output"`
		} `xml:"test"`
	} `xml:"group"`
}

// suiteDir finds HL7's test cases (r4/fhirpath/tests-fhir-r4.xml and r4/*.xml in one folder).
func suiteDir(t *testing.T) string {
	dir := os.Getenv("FHIRPATH_SUITE")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data", "fhirpath")
	}
	if _, err := os.Stat(filepath.Join(dir, "tests-fhir-r4.xml")); err != nil {
		t.Skip("HL7's FHIRPath suite is not here; put tests-fhir-r4.xml and its input files into one folder and name it in FHIRPATH_SUITE")
	}
	return dir
}

func TestSuiteOfHL7Passes(t *testing.T) {
	dir := suiteDir(t)
	b, err := os.ReadFile(filepath.Join(dir, "tests-fhir-r4.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var s suite
	if err := xml.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	e := New(definition.R4())
	roots := map[string]element.Element{}
	passed, known := 0, 0
	for _, g := range s.Groups {
		for _, c := range g.Tests {
			var root element.Element
			if c.Input != "" {
				var ok bool
				if root, ok = roots[c.Input]; !ok {
					root = load(t, filepath.Join(dir, c.Input))
					roots[c.Input] = root
				}
			}
			why := func() string {
				x, err := e.Compile(c.Expression.Text)
				var out []Value
				if err == nil && c.Expression.Invalid == "semantic" && !root.IsZero() {
					err = x.Check(root.Type().Name)
				}
				if err == nil {
					out, err = x.Eval(root, nil)
				}
				if c.Expression.Invalid != "" {
					if err == nil {
						return "got no error, want " + c.Expression.Invalid
					}
					return ""
				}
				if err != nil {
					return err.Error()
				}
				if !root.IsZero() {
					if err := x.Check(root.Type().Name); err != nil {
						return "strict check: " + err.Error()
					}
				}
				var got, want []string
				for _, v := range out {
					p := ""
					if v.System().tm != nil {
						if p = "@"; v.System().kind == Time {
							p = "@T"
						}
					}
					got = append(got, p+v.String())
				}
				for _, o := range c.Output {
					w := o.Text
					want = append(want, w)
				}
				if c.Predicate {
					got = []string{"false"}
					if len(out) > 0 {
						got[0] = "true"
					}
				}
				if c.Unordered == "false" {
					slices.Sort(got)
					slices.Sort(want)
				}
				same := slices.EqualFunc(got, want, func(g, w string) bool {
					x, ok1 := parseDecimal(g)
					y, ok2 := parseDecimal(w)
					return g == w || ok1 && ok2 && x.cmp(y) == 0
				})
				if !same {
					return "got " + strings.Join(got, ", ") + "; want " + strings.Join(want, ", ")
				}
				return ""
			}()
			reason, expected := deviations[c.Name]
			switch {
			case why == "":
				passed++
				if expected {
					t.Errorf("%s passes, though it is listed as known not to: %s", c.Name, reason)
				}
			case expected:
				known++
			default:
				t.Errorf("%s/%s: %s: %s", g.Name, c.Name, c.Expression.Text, why)
			}
		}
	}
	t.Logf("%d tests pass, %d are known deviations", passed, known)
}

// load reads an example in JSON or XML.
func load(t testing.TB, file string) element.Element {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(file) == ".xml" {
		b = fromXML(t, b)
	}
	tree, err := element.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return definition.R4().Model().Root(tree)
}

type xmlNode struct {
	name  string
	attr  map[string]string
	nodes []*xmlNode
	raw   string
}

// fromXML rewrites a resource in XML as JSON, for the suite's input alone.
func fromXML(t testing.TB, b []byte) []byte {
	d := xml.NewDecoder(bytes.NewReader(b))
	var read func(s xml.StartElement, at int64) *xmlNode
	read = func(s xml.StartElement, at int64) *xmlNode {
		n := &xmlNode{name: s.Name.Local, attr: map[string]string{}}
		for _, a := range s.Attr {
			n.attr[a.Name.Local] = a.Value
		}
		for {
			from := d.InputOffset()
			tok, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			switch tok := tok.(type) {
			case xml.StartElement:
				n.nodes = append(n.nodes, read(tok, from))
			case xml.EndElement:
				n.raw = string(b[at:d.InputOffset()])
				return n
			}
		}
	}
	for {
		from := d.InputOffset()
		tok, err := d.Token()
		if errors.Is(err, io.EOF) || err != nil {
			t.Fatal("no resource: ", err)
		}
		if s, ok := tok.(xml.StartElement); ok {
			n := read(s, from)
			out, err := json.Marshal(n.resource())
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
}

func (n *xmlNode) resource() map[string]any {
	o := n.object(definition.R4().Model().Type(n.name))
	o["resourceType"] = n.name
	return o
}

func (n *xmlNode) object(typ *element.Type) map[string]any {
	o := map[string]any{}
	for _, a := range []string{"id", "url"} {
		if v, ok := n.attr[a]; ok {
			o[a] = v
		}
	}
	many := map[string][][2]any{}
	for _, c := range n.nodes {
		f, opt := typ.Member(c.name)
		if f == nil {
			continue
		}
		var value, extra any
		switch {
		case c.name == "div":
			value = c.raw
		case opt.Type != nil && opt.Type.Name == "Resource":
			value = c.nodes[0].resource()
		case opt.Type.Kind == element.Primitive:
			if v, ok := c.attr["value"]; ok {
				switch opt.Type.System {
				case "Boolean":
					value = v == "true"
				case "Integer", "Decimal":
					value = json.Number(v)
				default:
					value = v
				}
			}
			if x := c.object(definition.R4().Model().Type("Element")); len(x) > 0 {
				extra = x
			}
		default:
			value = c.object(opt.Type)
		}
		if f.Many {
			many[c.name] = append(many[c.name], [2]any{value, extra})
			continue
		}
		if value != nil {
			o[c.name] = value
		}
		if extra != nil {
			o["_"+c.name] = extra
		}
	}
	for name, list := range many {
		var values, extras []any
		some := false
		for _, p := range list {
			values, extras = append(values, p[0]), append(extras, p[1])
			some = some || p[1] != nil
		}
		o[name] = values
		if some {
			o["_"+name] = extras
		}
	}
	return o
}
