package fhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"salus/internal/sample"
)

// codeOf returns the code of an Issue, or "" for no error.
func codeOf(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var f *Issue
	if !errors.As(err, &f) {
		t.Fatalf("got error %v of type %T, want an *Issue", err, err)
	}
	return f.Code
}

// canary stands for a name or a diagnosis: it must never come out in an error.
const canary = "Xcanaryq"

// badResources are inputs that Parse refuses, each with the canary in it.
var badResources = map[string]struct{ in, code string }{
	"nothing":                    {"", CodeEmpty},
	"only spaces":                {" \n\t", CodeEmpty},
	"not JSON":                   {canary, CodeJSON},
	"cut off":                    {`{"resourceType":"Patient","id":"` + canary, CodeJSON},
	"cut off in an escape":       {`{"resourceType":"Patient","x":"` + canary + `\`, CodeJSON},
	"cut off in \\u":             {`{"resourceType":"Patient","x":"` + canary + `\u12`, CodeJSON},
	"single quotes":              {`{'resourceType':'Patient','x':'` + canary + `'}`, CodeJSON},
	"comma at the end":           {`{"resourceType":"Patient","x":"` + canary + `",}`, CodeJSON},
	"comma at the end of a list": {`{"resourceType":"Patient","x":["` + canary + `",]}`, CodeJSON},
	"comma at the start":         {`{,"resourceType":"Patient","x":"` + canary + `"}`, CodeJSON},
	"no colon":                   {`{"resourceType" "Patient","` + canary + `":1}`, CodeJSON},
	"no comma":                   {`{"resourceType":"Patient" "` + canary + `":1}`, CodeJSON},
	"comment":                    {`{"resourceType":"Patient"/*` + canary + `*/}`, CodeJSON},
	"NaN":                        {`{"resourceType":"Observation","` + canary + `":NaN}`, CodeJSON},
	"Infinity":                   {`{"resourceType":"Observation","` + canary + `":-Infinity}`, CodeJSON},
	"number with leading zero":   {`{"resourceType":"Observation","` + canary + `":012}`, CodeJSON},
	"number with plus":           {`{"resourceType":"Observation","` + canary + `":+1}`, CodeJSON},
	"number that ends in a dot":  {`{"resourceType":"Observation","` + canary + `":1.}`, CodeJSON},
	"number that starts so":      {`{"resourceType":"Observation","` + canary + `":.5}`, CodeJSON},
	"number without exponent":    {`{"resourceType":"Observation","` + canary + `":1e}`, CodeJSON},
	"hexadecimal number":         {`{"resourceType":"Observation","` + canary + `":0x1}`, CodeJSON},
	"wrong literal":              {`{"resourceType":"Observation","` + canary + `":True}`, CodeJSON},
	"line break in a string":     {"{\"resourceType\":\"Patient\",\"x\":\"" + canary + "\n\"}", CodeJSON},
	"NUL in a string":            {"{\"resourceType\":\"Patient\",\"x\":\"" + canary + "\x00\"}", CodeJSON},
	"NUL after the start":        {"{\x00\"resourceType\":\"Patient\",\"x\":\"" + canary + "\"}", CodeJSON},
	"unknown escape":             {`{"resourceType":"Patient","x":"` + canary + `\x"}`, CodeJSON},
	"byte order mark":            {"\ufeff" + `{"resourceType":"Patient","x":"` + canary + `"}`, CodeJSON},
	"UTF-16":                     {"\xff\xfe{\x00\"\x00" + canary, CodeJSON},
	"wrong bracket":              {`{"resourceType":"Patient","x":["` + canary + `"}}`, CodeJSON},
	"a second resource":          {`{"resourceType":"Patient"} {"resourceType":"` + canary + `"}`, CodeTrailing},
	"garbage after the end":      {`{"resourceType":"Patient"}` + canary, CodeTrailing},
	"Latin-1":                    {"{\"resourceType\":\"Patient\",\"x\":\"" + canary + "\xe9\"}", CodeUTF8},
	"overlong UTF-8":             {"{\"resourceType\":\"Patient\",\"x\":\"" + canary + "\xc0\x80\"}", CodeUTF8},
	"surrogate in UTF-8":         {"{\"resourceType\":\"Patient\",\"x\":\"" + canary + "\xed\xa0\x80\"}", CodeUTF8},
	"high surrogate alone":       {`{"resourceType":"Patient","x":"` + canary + `\ud83d"}`, CodeSurrogate},
	"low surrogate alone":        {`{"resourceType":"Patient","x":"` + canary + `\ude00"}`, CodeSurrogate},
	"surrogates swapped":         {`{"resourceType":"Patient","x":"` + canary + `\ude00\ud83d"}`, CodeSurrogate},
	"high surrogate and letter":  {`{"resourceType":"Patient","x":"` + canary + `\ud83d\u0041"}`, CodeSurrogate},
	"surrogate in a name":        {`{"resourceType":"Patient","` + canary + `\ud83d":1}`, CodeSurrogate},
	"the same name twice":        {`{"resourceType":"Patient","` + canary + `":1,"` + canary + `":2}`, CodeDuplicateKey},
	"the same name, escaped":     {`{"resourceType":"Patient","` + canary + `":1,"\u0058` + canary[1:] + `":2}`, CodeDuplicateKey},
	"resourceType twice":         {`{"resourceType":"Patient","resource\u0054ype":"` + canary + `"}`, CodeDuplicateKey},
	"the same name deep inside":  {`{"resourceType":"Patient","a":[{"b":{"` + canary + `":1,"` + canary + `":1}}]}`, CodeDuplicateKey},
	"many names, one twice":      {manyNames(200, canary), CodeDuplicateKey},
	"a depth bomb of lists":      {`{"resourceType":"Patient","` + canary + `":` + strings.Repeat("[", 100000), CodeDepth},
	"a depth bomb of objects":    {strings.Repeat(`{"`+canary+`":`, 100000), CodeDepth},
	"one level too deep":         {nested(MaxDepth+1, canary), CodeDepth},
	"a list":                     {`[{"resourceType":"Patient","x":"` + canary + `"}]`, CodeType},
	"a string":                   {`"` + canary + `"`, CodeType},
	"null":                       {`null`, CodeType},
	"no resourceType":            {`{"id":"` + canary + `"}`, CodeType},
	"unknown resourceType":       {`{"resourceType":"` + canary + `"}`, CodeType},
	"resourceType of R5":         {`{"resourceType":"ActorDefinition","x":"` + canary + `"}`, CodeType},
	"resourceType in lower case": {`{"resourceType":"patient","x":"` + canary + `"}`, CodeType},
	"abstract resourceType":      {`{"resourceType":"DomainResource","x":"` + canary + `"}`, CodeType},
	"resourceType a number":      {`{"resourceType":7,"x":"` + canary + `"}`, CodeType},
	"resourceType inside":        {`{"x":{"resourceType":"Patient","y":"` + canary + `"}}`, CodeType},
	"id with a space":            {`{"resourceType":"Patient","id":"` + canary + ` 1"}`, CodeID},
	"id with a slash":            {`{"resourceType":"Patient","id":"../` + canary + `"}`, CodeID},
	"id empty":                   {`{"resourceType":"Patient","id":"","x":"` + canary + `"}`, CodeID},
	"id too long":                {`{"resourceType":"Patient","id":"` + canary + strings.Repeat("a", 60) + `"}`, CodeID},
	"id not ASCII":               {`{"resourceType":"Patient","id":"` + canary + `é"}`, CodeID},
	"id a number":                {`{"resourceType":"Patient","id":7,"x":"` + canary + `"}`, CodeID},
	"id null":                    {`{"resourceType":"Patient","id":null,"x":"` + canary + `"}`, CodeID},
}

func manyNames(n int, twice string) string {
	var b strings.Builder
	b.WriteString(`{"resourceType":"Patient","` + twice + `":0`)
	for i := range n {
		fmt.Fprintf(&b, `,"n%d":0`, i)
	}
	return b.String() + `,"` + twice + `":1}`
}

// nested returns a Patient of the given depth.
func nested(depth int, name string) string {
	return `{"resourceType":"Patient","` + name + `":` + strings.Repeat("[", depth-1) + strings.Repeat("]", depth-1) + `}`
}

func TestBadResourcesAreRefusedWithoutTheirContent(t *testing.T) {
	for name, c := range badResources {
		r, err := Parse([]byte(c.in))
		if got := codeOf(t, err); got != c.code {
			t.Errorf("%s: got code %q, want %q", name, got, c.code)
			continue
		}
		if r.Type() != "" || r.Raw() != nil {
			t.Errorf("%s: got a resource beside the error, want none", name)
		}
		wantNoContent(t, name, err)
		if !errors.Is(err, &Issue{Code: c.code}) || errors.Is(err, &Issue{Code: "other"}) {
			t.Errorf("%s: got errors.Is by something else, want by code", name)
		}
	}
}

func wantNoContent(t *testing.T, name string, err error) {
	t.Helper()
	asJSON, _ := json.Marshal(err)
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), string(asJSON)} {
		if strings.Contains(text, canary) || strings.Contains(text, canary[1:]) {
			t.Errorf("%s: got content of the input in the error, want none", name)
		}
	}
	if _, known := sentences[codeOf(t, err)]; !known {
		t.Errorf("%s: got a code without a sentence, want every code documented", name)
	}
}

func TestGoodResourcesAreTakenAsTheyAre(t *testing.T) {
	for name, c := range map[string]struct{ in, typ, id string }{
		"smallest":             {`{"resourceType":"Patient"}`, "Patient", ""},
		"spaces around":        {" \r\n{\t\"id\" : \"a.B-9\" , \"resourceType\":\"Patient\" } \n", "Patient", "a.B-9"},
		"resourceType escaped": {`{"resource\u0054ype":"Patien\u0074","id":"\u0061"}`, "Patient", "a"},
		"surrogate pair":       {`{"resourceType":"Patient","x":"\ud83d\ude00 é 😀"}`, "Patient", ""},
		"numbers":              {`{"resourceType":"Observation","x":[0,-0,1.00,1e5,1E-5,-0.1e+30,12345678901234567890.000000000001]}`, "Observation", ""},
		"same name elsewhere":  {`{"resourceType":"Patient","a":{"id":1},"b":[{"id":1},{"id":1}],"id":"x"}`, "Patient", "x"},
		"as deep as allowed":   {nested(MaxDepth, "x"), "Patient", ""},
		"every escape":         {`{"resourceType":"Patient","x":"\"\\\/\b\f\n\r\t\u00e9"}`, "Patient", ""},
		"long strings":         {`{"resourceType":"Binary","data":"` + strings.Repeat("QUJD", 100000) + `"}`, "Binary", ""},
		"many names":           {strings.Replace(manyNames(500, "x"), `,"x":1`, ``, 1), "Patient", ""},
	} {
		r, err := Parse([]byte(c.in))
		if err != nil || r.Type() != c.typ || r.ID() != c.id {
			t.Errorf("%s: got %s/%s, %v; want %s/%s", name, r.Type(), r.ID(), err, c.typ, c.id)
			continue
		}
		if string(r.Raw()) != c.in {
			t.Errorf("%s: got other bytes than went in", name)
		}
	}
}

func TestAnOversizedResourceIsRefused(t *testing.T) {
	big := []byte(`{"resourceType":"Binary","data":"` + strings.Repeat("A", MaxResource) + `"}`)
	if _, err := Parse(big); codeOf(t, err) != CodeSize {
		t.Errorf("got %v, want %s", err, CodeSize)
	}
	if r, err := Parse(append(big[:MaxResource-2:MaxResource-2], `"}`...)); err != nil || len(r.Raw()) != MaxResource {
		t.Errorf("got %v, want a resource of exactly the limit to be taken", err)
	}
}

func TestErrorsSayWhereWithoutSayingWhat(t *testing.T) {
	_, err := Parse([]byte("{\n  \"resourceType\": \"Patient\",\n  \"x\": nope\n}"))
	if want := "(line 3, byte 8)"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s in it", err, want)
	}
}

func TestPrintingAResourceShowsNothingOfIt(t *testing.T) {
	r, err := Parse([]byte(`{"resourceType":"Patient","id":"` + canary + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("test", "resource", r)
	for _, got := range []string{fmt.Sprint(r), fmt.Sprintf("%+v %#v %s %q %x", r, r, r, r, r), r.String(), log.String(), fmt.Sprint([]Resource{r}), fmt.Sprint(Resource{})} {
		if strings.Contains(got, canary) || strings.Contains(got, fmt.Sprintf("%x", canary)) {
			t.Errorf("got the resource's content in %q, want none", got)
		}
	}
}

// FuzzParse: what is taken is JSON to encoding/json too, means the same to it, keeps its
// bytes, and every accessor copes with it.
func FuzzParse(f *testing.F) {
	for _, c := range badResources {
		if len(c.in) < 1000 {
			f.Add([]byte(c.in))
		}
	}
	for line := range bytes.Lines(sample.NDJSON(2, 60)) {
		f.Add(bytes.TrimSpace(line))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := Parse(in)
		if err != nil {
			codeOf(t, err)
			if r.Raw() != nil {
				t.Fatal("got a resource beside an error")
			}
			return
		}
		if !bytes.Equal(r.Raw(), in) {
			t.Fatal("got other bytes than went in")
		}
		var same map[string]json.RawMessage
		if err := json.Unmarshal(in, &same); err != nil {
			t.Fatalf("encoding/json refuses what Parse takes: %v", err)
		}
		var typ, id string
		_ = json.Unmarshal(same["resourceType"], &typ)
		_ = json.Unmarshal(same["id"], &id)
		if typ != r.Type() || id != r.ID() {
			t.Fatalf("got %s/%s, encoding/json has %s/%s", r.Type(), r.ID(), typ, id)
		}
		for name, m := range r.body().members() {
			if !bytes.Equal(m, bytes.TrimSpace(same[name])) {
				t.Fatal("walking gives another value than encoding/json")
			}
		}
		checkAccessors(t, r)
	})
}

func checkAccessors(t *testing.T, r Resource) {
	labels := LabelsOf(r)
	if len(labels) == 0 {
		t.Fatal("got no label, want at least one")
	}
	kind := false
	for _, l := range labels {
		if !l.Known() {
			t.Fatalf("got unknown label %q", l)
		}
		kind = kind || !l.Sensitive()
	}
	if !kind {
		t.Fatalf("got labels %v, want a kind among them", labels)
	}
	b, err := Summarize(r).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ParseSummary(b); err != nil || again != Summarize(r) {
		t.Fatalf("got %v for the summary's own JSON, want the same summary", err)
	}
	r.Codes()
	r.Security()
	r.LastUpdated()
	r.Patient()
}
