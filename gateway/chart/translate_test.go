package chart

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"salus/fhir"
	"salus/ledger/tx"
)

func TestReferencesOfAnotherMemberFollow(t *testing.T) {
	tr := &translator{author: tx.Account{1}, theirs: "Patient/x", ours: "Patient/me"}
	other := &translator{author: tx.Account{2}, theirs: "Patient/x", ours: "Patient/me"}
	obs := tr.id("Observation", "1")
	if obs == other.id("Observation", "1") || obs == tr.id("Condition", "1") || obs != tr.id("Observation", "1") {
		t.Error("an id is of its author, type and id, and always the same")
	}
	for ref, want := range map[string]string{
		"Patient/x":                   "Patient/me",
		"Patient/x/_history/3":        "Patient/me",
		"Patient/y":                   "Patient/" + tr.id("Patient", "y"),
		"Observation/1":               "Observation/" + obs,
		"Observation/1/_history/2":    "Observation/" + obs + "/_history/2",
		"#contained":                  "",
		"urn:uuid:1":                  "",
		"https://a.example/Patient/x": "",
		"Observation/1?x=y":           "",
		"":                            "",
	} {
		if got, ok := tr.reference(ref); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", ref, got, ok, want)
		}
	}
	if tr.id("Patient", "x") == "me" {
		t.Error("their Patient took the place of ours")
	}
	tr.adopts = true
	if got := tr.id("Patient", "x"); got != "me" {
		t.Errorf("without a Patient of our own theirs is %q, want me", got)
	}
}

func TestOnlyReferencesAndTheSourceAreChanged(t *testing.T) {
	tr := &translator{author: tx.Account{1}, theirs: "Patient/x", ours: "Patient/me"}
	source := `"source":"urn:salus:member:` + tr.author.String() + `#Observation/1"`
	for _, x := range []struct{ in, want string }{
		{
			`{"resourceType":"Observation","id":"1","subject":{"reference":"Patient/x","display":"Patient/x"}}`,
			`{"meta":{` + source + `},"resourceType":"Observation","id":"1","subject":{"reference":"Patient/me","display":"Patient/x"}}`,
		},
		{
			`{"resourceType":"Observation","id":"1", "meta" : {"versionId":"3","source":"http://a"} ,"valueQuantity":{"value":1.50},"subject":{ "r\u0065ference" : "Patient\/x" }}`,
			`{"resourceType":"Observation","id":"1", "meta" : {"versionId":"3","source":` + source[len(`"source":`):] + `} ,"valueQuantity":{"value":1.50},"subject":{ "r\u0065ference" : "Patient/me" }}`,
		},
		{
			`{"resourceType":"Observation","id":"1","meta":{},"note":[{"text":"a \"Patient/x\" \\"}]}`,
			`{"resourceType":"Observation","id":"1","meta":{` + source + `},"note":[{"text":"a \"Patient/x\" \\"}]}`,
		},
		{
			`{"resourceType":"Observation","id":"1","meta":{"extension":[{"url":"http://a","valueReference":{"reference":"Patient/x"}}]}}`,
			`{"resourceType":"Observation","id":"1","meta":{` + source + `,"extension":[{"url":"http://a","valueReference":{"reference":"Patient/me"}}]}}`,
		},
	} {
		r, err := fhir.Parse([]byte(x.in))
		if err != nil {
			t.Fatal(err)
		}
		got, err := tr.body(r)
		if err != nil || string(got) != x.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, x.want)
		}
	}
}

// A notice goes with what bears its label, however the author said so, and with nothing else.
func TestANoticeGoesWithWhatBearsItsLabel(t *testing.T) {
	notice := fhir.Notice{Label: fhir.SUD, Text: `42 CFR part 2 prohibits unauthorized use or disclosure of these "records".`, Policy: "42CFRPart2"}
	tr := &translator{author: tx.Account{1}, theirs: "Patient/x", ours: "Patient/me", notices: []fhir.Notice{notice, {Label: fhir.HIV, Text: "Another."}}}
	coding, err := notice.Coding()
	if err != nil {
		t.Fatal(err)
	}
	const opioids = `"code":{"coding":[{"system":"http://hl7.org/fhir/sid/icd-10-cm","code":"F11.20"}]}`
	source := `"source":"urn:salus:member:` + tr.author.String() + `#Condition/1"`
	for _, x := range []struct{ in, want string }{
		{`{"resourceType":"Condition","id":"1",` + opioids + `}`, `{"meta":{` + source + `,"security":[` + string(coding) + `]},"resourceType":"Condition","id":"1",` + opioids + `}`},
		{`{"resourceType":"Condition","id":"1","meta":{}}`, `{"resourceType":"Condition","id":"1","meta":{` + source + `}}`},
		{
			`{"resourceType":"Condition","id":"1","meta":{"versionId":"1"},` + opioids + `}`,
			`{"resourceType":"Condition","id":"1","meta":{` + source + `,"security":[` + string(coding) + `],"versionId":"1"},` + opioids + `}`,
		},
		{
			`{"resourceType":"Condition","id":"1","meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"ETHUD"}],"source":"a"}}`,
			`{"resourceType":"Condition","id":"1","meta":{"security":[` + string(coding) + `,{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"ETHUD"}],` + source + `}}`,
		},
	} {
		r, err := fhir.Parse([]byte(x.in))
		if err != nil {
			t.Fatal(err)
		}
		got, err := tr.body(r)
		if err != nil || string(got) != x.want {
			t.Errorf("got  %s, %v\nwant %s", got, err, x.want)
		}
		if again, err := fhir.Parse(got); err != nil || len(fhir.NoticesFor(tr.notices, fhir.LabelsOf(again))) != strings.Count(string(got), "NORDSCLCD") {
			t.Errorf("read again it has other notices, %v: %s", err, got)
		}
	}
	r, err := fhir.Parse([]byte(`{"resourceType":"Condition","id":"1","meta":{"security":{"code":"x"}},` + opioids + `}`))
	if err == nil {
		_, err = tr.body(r)
	}
	if err == nil {
		t.Error("what has no place for its notice went without")
	}
}

// FuzzTranslate: what is a resource stays one, of the same type, and nothing but references, urls
// and meta.source differs; and notices are added.
func FuzzTranslate(f *testing.F) {
	f.Add([]byte(`{"resourceType":"Observation","id":"1","meta":{"extension":[{"url":"Binary/1","valueReference":{"reference":"Patient/x"}}],"security":[{"code":"SUD"}]},"note":[{"text":"alcohol use disorder"}]}`))
	f.Add([]byte(`{"resourceType":"Observation","id":"1","meta":{"source":"x"},"subject":{"reference":"Patient/x"},"a":[1.0,{"url":"Binary/1"}]}`))
	f.Add([]byte(`{"resourceType":"Patient","id":"x","text":{"div":"\\\""},"link":[{"other":{"reference":"Patient/y"}}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := fhir.Parse(raw)
		if err != nil {
			t.Skip()
		}
		tr := &translator{author: tx.Account{1}, theirs: "Patient/x", ours: "Patient/me"}
		got, err := tr.body(r)
		if err != nil {
			return // meta that is no object
		}
		tr.notices = []fhir.Notice{{Label: fhir.SUD, Text: "A notice."}, {Label: fhir.R, Text: "Another."}}
		if noted, err := tr.body(r); err == nil {
			want := len(got)
			for _, n := range fhir.NoticesFor(tr.notices, fhir.LabelsOf(r)) {
				c, _ := n.Coding()
				want += len(c)
			}
			if _, err := fhir.Parse(noted); err != nil || len(noted) < want {
				t.Fatalf("with notices it is no resource any more, or lacks one: %v", err)
			}
		}
		again, err := fhir.Parse(got)
		if err != nil || again.Type() != r.Type() || again.ID() != r.ID() {
			t.Fatalf("it is no longer what it was: %v", err)
		}
		if !reflect.DeepEqual(plain(numbered(t, raw)), plain(numbered(t, got))) {
			t.Fatal("more than references was changed")
		}
	})
}

// numbered is JSON whose numbers stay as they are written: some have no float64.
func numbered(t *testing.T, b []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal("it does not decode")
	}
	return v
}

// plain is JSON without what a translation may change.
func plain(v any) any {
	switch x := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, v := range x {
			if s, ok := v.(string); ok && (k == "source" || (k == "reference" || k == "url") && !strings.HasPrefix(s, "#")) {
				continue
			}
			p := plain(v)
			if m, ok := p.(map[string]any); ok && k == "meta" && len(m) == 0 {
				continue
			}
			out[k] = p
		}
		return out
	case []any:
		for i := range x {
			x[i] = plain(x[i])
		}
	}
	return v
}
