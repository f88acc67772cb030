package tabular

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the same zones on every machine

	"github.com/BurntSushi/toml"

	"salus/fhir"
	"salus/fhir/definition"
)

// MaxMapping bounds a mapping file in bytes.
const MaxMapping = 1 << 20

// A Mapping says what the columns of a file are in FHIR. It is safe for concurrent use.
type Mapping struct {
	Hash [32]byte // SHA-256 of the mapping file

	comma, quote   byte
	latin1, trim   bool
	header         bool
	decimal        string
	columns, group []string
	null           []string
	zone           *time.Location
	codes          map[string]map[string]string
	resources      []*resource
	set            *definition.Set
	patient        bool // it makes one
	primitives     map[string]*regexp.Regexp
	needed         []string // columns that are used
}

// The file as it is written.
type mappingFile struct {
	Version   int                          `toml:"version"`
	Delimiter string                       `toml:"delimiter"`
	Quote     *string                      `toml:"quote"`
	Encoding  string                       `toml:"encoding"`
	Header    *bool                        `toml:"header"`
	Columns   []string                     `toml:"columns"`
	Group     []string                     `toml:"group"`
	Null      []string                     `toml:"null"`
	Trim      bool                         `toml:"trim"`
	Decimal   string                       `toml:"decimal"`
	Zone      string                       `toml:"zone"`
	Codes     map[string]map[string]string `toml:"codes"`
	Resources []resourceFile               `toml:"resource"`
}

type resourceFile struct {
	Name   string              `toml:"name"`
	Type   string              `toml:"type"`
	When   []string            `toml:"when"`
	System string              `toml:"system"`
	Key    []string            `toml:"key"`
	Create bool                `toml:"create"`
	Labels []string            `toml:"labels"`
	Set    map[string]ruleFile `toml:"set"`
}

type ruleFile struct {
	Column   string `toml:"column"`
	Value    string `toml:"value"`
	Default  string `toml:"default"`
	Codes    string `toml:"codes"`
	Format   string `toml:"format"`
	Split    string `toml:"split"`
	Refer    string `toml:"refer"`
	Required bool   `toml:"required"`
}

// A resource is one that a row makes.
type resource struct {
	name, typ, system string
	when, key         []string
	create            bool
	labels            []fhir.Label
	listed            bool // identifier is a list
	rules             []*rule
}

// A rule sets one element.
type rule struct {
	ruleFile

	path   *path
	layout *layout // of a date; nil: FHIR's own form
	needs  int     // steps of the path within which a column must have had a value; 0: none
}

// A MappingError says what is wrong with a mapping file: its key and a sentence. Mapping files hold
// no patient's data.
type MappingError struct{ Key, Text string }

// Error implements error.
func (e *MappingError) Error() string {
	if e.Key == "" {
		return "tabular: mapping: " + e.Text
	}
	return "tabular: mapping: " + e.Key + ": " + e.Text
}

func wrong(key, format string, args ...any) error {
	return &MappingError{key, fmt.Sprintf(format, args...)}
}

// Load reads a mapping file and checks it against the definitions. Errors are *MappingError.
func Load(src []byte, set *definition.Set) (*Mapping, error) {
	if len(src) > MaxMapping {
		return nil, wrong("", "the file is larger than %d bytes", MaxMapping)
	}
	var f mappingFile
	md, err := toml.Decode(string(src), &f)
	if err != nil {
		if p, ok := errors.AsType[toml.ParseError](err); ok {
			return nil, wrong("", "line %d: %s", p.Position.Line, p.Message)
		}
		return nil, wrong("", "a key has a value of another type than it should")
	}
	if u := md.Undecoded(); len(u) > 0 {
		return nil, wrong(u[0].String(), "is no key of a mapping")
	}
	m := &Mapping{Hash: sha256.Sum256(src), trim: f.Trim, columns: f.Columns, group: f.Group, null: f.Null, codes: f.Codes, set: set, primitives: map[string]*regexp.Regexp{}}
	if err := m.form(&f); err != nil {
		return nil, err
	}
	if len(f.Resources) == 0 {
		return nil, wrong("resource", "none is made")
	}
	for i := range f.Resources {
		if err := m.add(&f.Resources[i]); err != nil {
			return nil, err
		}
	}
	patients := 0
	for _, r := range m.resources {
		if r.typ == "Patient" {
			patients++
		}
	}
	if m.patient = patients == 1; patients > 1 {
		return nil, wrong("resource", "a row is about one patient: two are made")
	}
	m.needed = append(m.needed, m.group...)
	slices.Sort(m.needed)
	m.needed = slices.Compact(m.needed)
	if !m.header {
		for _, c := range m.needed {
			if !slices.Contains(m.columns, c) {
				return nil, wrong("columns", "%q is used and is not among them", c)
			}
		}
	}
	return m, nil
}

// form reads how the file is written.
func (m *Mapping) form(f *mappingFile) (err error) {
	if f.Version != 1 {
		return wrong("version", "this program reads version 1")
	}
	m.comma, m.quote = ',', '"'
	if f.Delimiter != "" {
		if m.comma = f.Delimiter[0]; len(f.Delimiter) != 1 || !strings.Contains(",;|\t:", f.Delimiter) {
			return wrong("delimiter", "want one of , ; | : and tab")
		}
	}
	if f.Quote != nil {
		switch *f.Quote {
		case `"`, "'":
			m.quote = (*f.Quote)[0]
		case "":
			m.quote = 0
		default:
			return wrong("quote", `want ", ' or nothing`)
		}
	}
	switch f.Encoding {
	case "", "utf-8":
	case "iso-8859-1":
		m.latin1 = true
	default:
		return wrong("encoding", "want utf-8 or iso-8859-1")
	}
	if m.decimal = f.Decimal; f.Decimal != "" && f.Decimal != "." && f.Decimal != "," {
		return wrong("decimal", "want . or ,")
	}
	m.header = f.Header == nil || *f.Header
	switch {
	case m.header && len(f.Columns) > 0:
		return wrong("columns", "is for files without a header")
	case !m.header && len(f.Columns) == 0:
		return wrong("columns", "a file without a header needs them")
	case len(f.Columns) > MaxColumns || repeated(f.Columns) || slices.Contains(f.Columns, ""):
		return wrong("columns", "want up to %d names, each once", MaxColumns)
	}
	if f.Zone != "" {
		if m.zone, err = time.LoadLocation(f.Zone); err != nil || f.Zone == "Local" {
			return wrong("zone", "%q is no time zone", f.Zone)
		}
	}
	return nil
}

func repeated(list []string) bool {
	list = slices.Sorted(slices.Values(list))
	return len(slices.Compact(slices.Clone(list))) != len(list)
}

// directory are the types that are about no patient.
var directory = []string{"Practitioner", "PractitionerRole", "Organization", "Location", "HealthcareService", "Medication", "Substance"}

var resourceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// add reads one resource.
func (m *Mapping) add(f *resourceFile) error {
	r := &resource{name: f.Name, typ: f.Type, when: f.When, system: f.System, key: f.Key, create: f.Create}
	at := "resource." + f.Name
	if !resourceName.MatchString(f.Name) {
		return wrong("resource.name", "%q: use 1 to 32 lower-case letters, digits and dashes", f.Name)
	}
	if slices.ContainsFunc(m.resources, func(o *resource) bool { return o.name == f.Name }) {
		return wrong(at, "two resources have that name")
	}
	t := m.set.Type(f.Type)
	if t == nil || t.Kind != "resource" || t.Abstract {
		return wrong(at+".type", "%q is no resource type", f.Type)
	}
	id := t.Element(f.Type + ".identifier")
	if id == nil || len(id.Types) == 0 || id.Types[0].Code != "Identifier" {
		return wrong(at+".type", "%s has no identifier: the same file twice would make it twice", f.Type)
	}
	r.listed = id.Max != 1
	if u, err := url.Parse(f.System); err != nil || u.Scheme == "" || strings.ContainsAny(f.System, " \t\r\n|") {
		return wrong(at+".system", "want a URI")
	}
	if len(f.Key) == 0 {
		return wrong(at+".key", "want the columns that identify the resource")
	}
	m.needed = append(append(m.needed, f.Key...), f.When...)
	for _, l := range f.Labels {
		if !fhir.Label(l).Sensitive() {
			return wrong(at+".labels", "%q is no sensitivity label", l)
		}
		r.labels = append(r.labels, fhir.Label(l))
	}
	var names []string
	for _, text := range slices.Sorted(maps.Keys(f.Set)) {
		one, err := m.rule(f.Type, at+".set."+text, text, f.Set[text])
		if err != nil {
			return err
		}
		if one.path.steps[0].name == "identifier" && !r.listed {
			return wrong(at+".set."+text, "system and key make it")
		}
		for _, o := range r.rules {
			if clash(o.path, one.path) {
				return wrong(at+".set."+text, "sets what %s sets", o.path.text)
			}
		}
		r.rules = append(r.rules, one)
		names = append(names, text)
	}
	if need := missing(m.set, f.Type, append(names, "identifier")); len(need) > 0 {
		return wrong(at, "%s must be set", strings.Join(need, ", "))
	}
	r.settle()
	m.resources = append(m.resources, r)
	return nil
}

// clash reports whether two paths cannot both be set: one is part of the other, or they are two
// types of one choice.
func clash(a, b *path) bool {
	for i := range min(len(a.steps), len(b.steps)) {
		x, y := a.steps[i], b.steps[i]
		if x != y {
			return x.name == y.name && x.list && (x.index < 0) != (y.index < 0)
		}
	}
	return true
}

// rule reads how one element is set.
func (m *Mapping) rule(resourceType, key, text string, f ruleFile) (*rule, error) {
	p, bad := newPath(m.set, resourceType, text, f.Split != "")
	if bad != "" {
		return nil, wrong(key, "%s", bad)
	}
	r := &rule{ruleFile: f, path: p}
	sources := 0
	for _, s := range []string{f.Column, f.Value, f.Refer} {
		if s != "" {
			sources++
		}
	}
	switch {
	case sources != 1:
		return nil, wrong(key, "want one of column, value and refer")
	case f.Column == "" && (f.Default != "" || f.Codes != "" || f.Format != "" || f.Split != "" || f.Required):
		return nil, wrong(key, "default, codes, format, split and required are for columns")
	case (f.Refer != "") != (p.typ == "Reference"):
		return nil, wrong(key, "a reference is made by refer, and by nothing else")
	case f.Required && f.Default != "":
		return nil, wrong(key, "what has a default is never missing")
	}
	if f.Refer != "" {
		return r, m.referable(key, f.Refer, p)
	}
	if f.Column != "" {
		m.needed = append(m.needed, f.Column)
	}
	if err := m.primitive(p.typ); err != nil {
		return nil, wrong(key, "has a type that no field can be")
	}
	if f.Format != "" {
		if r.layout, bad = newLayout(f.Format, p.typ); bad != "" {
			return nil, wrong(key+".format", "%s", bad)
		}
		if r.layout.clock && !r.layout.zoned && p.typ != "time" && m.zone == nil {
			return nil, wrong(key+".format", "a time needs the key zone, or Z in its format")
		}
	}
	values := []string{f.Value, f.Default}
	if f.Codes != "" {
		table, ok := m.codes[f.Codes]
		if !ok {
			return nil, wrong(key+".codes", "there is no table codes.%s", f.Codes)
		}
		values = slices.AppendSeq(values, maps.Values(table))
	}
	for _, v := range values {
		if v == "" {
			continue
		}
		if _, ok := m.literal(p.typ, v); !ok {
			return nil, wrong(key, "%q is no %s", v, p.typ)
		}
		if vs := m.set.ValueSet(p.elem.ValueSet); p.typ == "code" && p.elem.Strength == "required" && vs != nil && !vs.Open && !vs.Has("", v) {
			return nil, wrong(key, "%q is no code of %s", v, p.elem.ValueSet)
		}
	}
	return r, nil
}

// referable checks what a reference points to. A resource comes before those that refer to it.
func (m *Mapping) referable(key, name string, p *path) error {
	i := slices.IndexFunc(m.resources, func(o *resource) bool { return o.name == name })
	if i < 0 {
		return wrong(key+".refer", "there is no resource %q before this one", name)
	}
	for _, t := range p.elem.Types {
		if t.Code != "Reference" {
			continue
		}
		if len(t.Targets) == 0 || slices.ContainsFunc(t.Targets, func(target string) bool {
			return strings.HasSuffix(target, "/"+m.resources[i].typ) || strings.HasSuffix(target, "/Resource")
		}) {
			return nil
		}
	}
	return wrong(key+".refer", "FHIR does not let it refer to %s", m.resources[i].typ)
}

// settle says of each constant within which element a column must have had a value: a unit without
// its number, a system without its code say nothing.
func (r *resource) settle() {
	for _, c := range r.rules {
		if c.Value == "" {
			continue
		}
		for n := len(c.path.steps) - 1; n > 0 && c.needs == 0; n-- {
			if slices.ContainsFunc(r.rules, func(o *rule) bool {
				return o.Value == "" && len(o.path.steps) > n && slices.Equal(o.path.steps[:n], c.path.steps[:n])
			}) {
				c.needs = n
			}
		}
	}
}

// OfPatient reports whether what it makes is about a patient, whom it makes as well.
func (m *Mapping) OfPatient() bool { return m.patient }

// Directory reports whether what it makes is about nobody.
func (m *Mapping) Directory() bool {
	return !slices.ContainsFunc(m.resources, func(r *resource) bool { return !slices.Contains(directory, r.typ) })
}
