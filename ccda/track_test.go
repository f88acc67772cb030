package ccda

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// write makes XML of a tree again, in the namespaces that parse knows.
func write(b *bytes.Buffer, n *node) {
	esc := func(s string) string {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;", "\r", "&#13;", "\t", "&#9;").Replace(s)
	}
	if n.name == "" {
		b.WriteString(esc(n.text))
		return
	}
	name := strings.ReplaceAll(n.name, "*", "other")
	b.WriteString("<" + name)
	if n.parent == nil {
		b.WriteString(` xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:o="urn:other"`)
	}
	for i, a := range n.attrs {
		k := a.name
		if k == "*" {
			k = fmt.Sprintf("o:a%d", i)
		}
		k = strings.Replace(k, "*", fmt.Sprintf("a%d", i), 1)
		b.WriteString(" " + k + `="` + esc(a.value) + `"`)
	}
	b.WriteString(">")
	for _, k := range n.kids {
		write(b, k)
	}
	b.WriteString("</" + name + ">")
}

// A leaf is an attribute, or a run of text, with its place.
type leaf struct {
	value *string
	state state
	place string
}

func leaves(n *node, out *[]leaf) {
	for i := range n.attrs {
		if strings.TrimSpace(n.attrs[i].value) != "" {
			*out = append(*out, leaf{&n.attrs[i].value, n.attrs[i].state, n.path() + "/@" + n.attrs[i].name})
		}
	}
	for _, k := range n.kids {
		if k.name == "" && strings.TrimSpace(k.text) != "" {
			*out = append(*out, leaf{&k.text, k.state, n.path() + "/text()"})
		} else if k.name != "" {
			leaves(k, out)
		}
	}
}

// tellings is what the Bundle and the report tell, but for the document itself.
func tellings(t testing.TB, r *Result, err error) string {
	t.Helper()
	if err != nil {
		return err.Error()
	}
	var b map[string]any
	d := json.NewDecoder(bytes.NewReader(r.Bundle))
	d.UseNumber()
	if err := d.Decode(&b); err != nil {
		t.Fatal(err)
	}
	for _, e := range b["entry"].([]any) {
		res := e.(map[string]any)["resource"].(map[string]any)
		if res["resourceType"] != "DocumentReference" {
			continue
		}
		if a, ok := at(res, "content", 0, "attachment").(map[string]any); ok && a["hash"] != nil {
			delete(a, "data")
			delete(a, "hash")
			delete(a, "size")
		}
	}
	return encoded(b) + encoded(r.Unmapped)
}

// unheard changes each leaf that is said to be in a resource, one at a time, and gives
// the places where neither the Bundle nor the report changed. step skips leaves.
func unheard(t testing.TB, src []byte, step int) (checked int, silent []string) {
	t.Helper()
	m, err := run(src, Options{})
	if err != nil {
		return 0, nil
	}
	var buf bytes.Buffer
	write(&buf, m.root)
	plain, err := Map(buf.Bytes(), Options{})
	want := tellings(t, plain, err)
	var l []leaf
	leaves(m.root, &l)
	for i, x := range l {
		if i%step != 0 || x.state != fed {
			continue
		}
		checked++
		was := *x.value
		for _, other := range mutants(was, x.place) {
			*x.value = other
			buf.Reset()
			write(&buf, m.root)
			r, err := Map(buf.Bytes(), Options{})
			if tellings(t, r, err) == want {
				silent = append(silent, x.place)
				break
			}
		}
		*x.value = was
	}
	return checked, silent
}

// mutants gives another value of the same form.
func mutants(s, place string) []string {
	s = strings.TrimSpace(s)
	if strings.HasSuffix(place, "@nullFlavor") {
		return []string{map[bool]string{true: "NASK", false: "MSK"}[s == "MSK"]}
	}
	last := s[len(s)-1]
	switch {
	case s == "true":
		return []string{"false"}
	case s == "false":
		return []string{"true"}
	case last >= '0' && last <= '9':
		return []string{s[:len(s)-1] + string('0'+(last-'0'+1)%10)}
	}
	return []string{s + "x"}
}

func TestWhatIsSaidToBeReadIsInTheBundle(t *testing.T) {
	n, silent := unheard(t, fixture(t), 1)
	for _, s := range silent {
		t.Errorf("changed nothing: %s", s)
	}
	t.Logf("%d places", n)
}

func TestNothingOfTheSamplesVanishesInSilence(t *testing.T) {
	checked, places := 0, map[string]int{}
	all := os.Getenv("SALUS_CCDA_EVERY") != "" // about two minutes
	samples(t, func(name string, src []byte) {
		step := 1
		switch {
		case all:
		case len(src) > 20000:
			step = 211
		case len(src) > 3000:
			step = 17
		default:
			step = 5
		}
		n, silent := unheard(t, src, step)
		checked += n
		for _, s := range silent {
			places[name+" "+s]++
		}
	})
	for p := range places {
		t.Errorf("changed nothing: %s", p)
	}
	t.Logf("%d places changed, %d unheard", checked, len(places))
}

// samples gives HL7's samples; a fragment is put into a document.
func samples(t *testing.T, do func(name string, src []byte)) {
	t.Helper()
	root := "../../shared/data/ccda/hl7-ccda-examples"
	if _, err := os.Stat(root); err != nil {
		t.Skip("HL7's C-CDA examples are not here")
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.EqualFold(filepath.Ext(path), ".xml") {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		do(filepath.Base(path), asDocument(src))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var role = regexp.MustCompile(`<patientRole[^>]*>`)

// asDocument puts a fragment into a document.
func asDocument(src []byte) []byte {
	_, err := Map(src, Options{})
	e, ok := err.(*Error)
	if !ok || e.Code != CodeRoot && e.Code != CodeNamespace && e.Code != CodeSyntax {
		return src
	}
	body := prolog.ReplaceAllString(string(src), "")
	open, end := `<component><structuredBody><component>`, `</component></structuredBody></component>`
	patient := `<recordTarget><patientRole><id root="1.2.3" extension="p"/></patientRole></recordTarget>`
	switch {
	case strings.HasPrefix(strings.TrimSpace(body), "<recordTarget"):
		patient, open, end = "", "", ""
		body = role.ReplaceAllString(body, `$0<id root="1.2.3" extension="p"/>`)
	case !strings.Contains(body, "<section"):
		open, end = open+"<section><text>t</text>", "</section>"+end
		if !strings.Contains(body, "<entry>") && !strings.Contains(body, "<entry ") {
			open, end = open+"<entry>", "</entry>"+end
		}
	}
	return []byte(`<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><id root="1.2.3"/>` + patient + open + body + end + `</ClinicalDocument>`)
}
