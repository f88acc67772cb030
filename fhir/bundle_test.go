package fhir

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/iotest"

	"salus/internal/sample"
)

type read struct {
	items []Item
	bad   map[int]string // index → code of the items refused
	whole string         // code of the error about the whole input
}

func collect(t testing.TB, items iter.Seq2[Item, error]) read {
	t.Helper()
	out := read{bad: map[int]string{}}
	for it, err := range items {
		switch {
		case err == nil:
			out.items = append(out.items, it)
		case it.Index == whole:
			out.whole = codeOf(t, err)
		default:
			out.bad[it.Index] = codeOf(t, err)
		}
		if err != nil && it.Resource.Raw() != nil {
			t.Fatal("got a resource beside an error, want none")
		}
	}
	return out
}

func TestBadBundlesAreRefusedWhole(t *testing.T) {
	entry := `{"resource":{"resourceType":"Patient","id":"` + canary + `"}}`
	for name, c := range map[string]struct{ in, code string }{
		"nothing":                {"", CodeEmpty},
		"not JSON":               {canary, CodeJSON},
		"a list":                 {`["` + canary + `"]`, CodeBundleType},
		"a Patient":              {`{"resourceType":"Patient","id":"` + canary + `"}`, CodeBundleType},
		"no resourceType":        {`{"type":"transaction","entry":[` + entry + `]}`, CodeBundleType},
		"no type":                {`{"resourceType":"Bundle","entry":[` + entry + `]}`, CodeBundleType},
		"a response":             {`{"resourceType":"Bundle","type":"transaction-response","entry":[` + entry + `]}`, CodeBundleType},
		"unknown type":           {`{"resourceType":"Bundle","type":"` + canary + `","entry":[` + entry + `]}`, CodeBundleType},
		"no entries":             {`{"resourceType":"Bundle","type":"transaction"}`, CodeBundleEmpty},
		"empty entries":          {`{"resourceType":"Bundle","type":"transaction","entry":[]}`, CodeBundleEmpty},
		"entry not a list":       {`{"resourceType":"Bundle","type":"transaction","entry":` + entry + `}`, CodeBundleEmpty},
		"entry twice":            {`{"resourceType":"Bundle","type":"batch","entry":[` + entry + `],"entry":[` + entry + `]}`, CodeDuplicateKey},
		"type twice":             {`{"resourceType":"Bundle","type":"batch","type":"history","entry":[` + entry + `]}`, CodeDuplicateKey},
		"garbage after":          {`{"resourceType":"Bundle","type":"transaction","entry":[` + entry + `]}` + canary, CodeTrailing},
		"two bundles":            {`{"resourceType":"Bundle","type":"batch","entry":[` + entry + `]}{}`, CodeTrailing},
		"cut off":                {`{"resourceType":"Bundle","type":"transaction","entry":[` + entry, CodeJSON},
		"a syntax error inside":  {`{"resourceType":"Bundle","type":"transaction","entry":[` + entry + `,{"resource":{"x":` + canary + `}}]}`, CodeJSON},
		"NaN inside":             {`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Observation","` + canary + `":NaN}}]}`, CodeJSON},
		"a depth bomb inside":    {`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":` + strings.Repeat(`{"`+canary+`":`, 100000), CodeDepth},
		"a depth bomb outside":   {`{"resourceType":"Bundle","` + canary + `":` + strings.Repeat("[", 100000), CodeDepth},
		"bad UTF-8 around entry": {"{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"x\":\"" + canary + "\xff\",\"entry\":[" + entry + "]}", CodeUTF8},
	} {
		got := collect(t, ReadBundle(strings.NewReader(c.in)))
		if got.whole != c.code || len(got.items) != 0 || len(got.bad) != 0 {
			t.Errorf("%s: got %q with %d items, want %q and nothing else", name, got.whole, len(got.items), c.code)
		}
		for it, err := range ReadBundle(strings.NewReader(c.in)) {
			wantNoContent(t, name, err)
			if it.Index != whole {
				t.Errorf("%s: got index %d, want -1", name, it.Index)
			}
		}
		groups, rejected, err := GroupByPatient(ReadBundle(strings.NewReader(c.in)))
		if groups != nil || rejected != nil || codeOf(t, err) != c.code {
			t.Errorf("%s: got groups %v, want none and the error", name, groups)
		}
	}
}

func TestABadEntryDoesNotTakeTheOthersWithIt(t *testing.T) {
	bundle := `{"resourceType":"Bundle","type":"transaction","entry":[
	 {"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient","id":"p"},"request":{"method":"PUT","url":"Patient/p"}},
	 {"resource":{"resourceType":"` + canary + `"}},
	 {"resource":{"resourceType":"Condition","id":"` + canary + `/"}},
	 {"resource":{"resourceType":"Condition","` + canary + `":1,"` + canary + `":2}},
	 {"resource":{"resourceType":"Condition","x":"` + canary + `\ud800"}},
	 {"resource":{"resourceType":"Condition","x":"` + canary + "\xff" + `"}},
	 {"fullUrl":"urn:uuid:7","fullUrl":"` + canary + `","resource":{"resourceType":"Condition"}},
	 {"fullUrl":"` + canary + `"},
	 {"resource":null},
	 {"resource":["` + canary + `"]},
	 {"resource":{"resourceType":"Condition","x":"` + canary + `"},"request":{"method":"DELETE"}},
	 {"resource":{"resourceType":"Binary","x":"` + canary + `"},"request":{"method":"PATCH"}},
	 {"resource":{"resourceType":"OperationOutcome","x":"` + canary + `"}},
	 {"resource":{"resourceType":"Parameters","x":"` + canary + `"}},
	 "` + canary + `",
	 {"resource":` + nested(MaxDepth, canary) + `},
	 {"request":{"method":"POST"},"resource": {"resourceType" : "Condition", "id":"last"} , "x":[1,{"y":2}]}
	]}`
	want := map[int]string{
		1: CodeType, 2: CodeID, 3: CodeDuplicateKey, 4: CodeSurrogate, 5: CodeUTF8, 6: CodeDuplicateKey, 7: CodeEntry, 8: CodeType,
		9: CodeType, 10: CodeEntry, 11: CodeEntry, 12: CodeEntry, 13: CodeEntry, 14: CodeEntry,
	}
	got := collect(t, ReadBundle(strings.NewReader(bundle)))
	if got.whole != "" || len(got.items) != 3 {
		t.Fatalf("got %q and %d items, want 3", got.whole, len(got.items))
	}
	for i, code := range want {
		if got.bad[i] != code {
			t.Errorf("entry %d: got %q, want %q", i, got.bad[i], code)
		}
	}
	if last := got.items[2].Resource; string(last.Raw()) != `{"resourceType" : "Condition", "id":"last"}` || last.ID() != "last" {
		t.Errorf("got other bytes than the entry's resource has")
	}
	for it, err := range ReadBundle(strings.NewReader(bundle)) {
		if err != nil {
			wantNoContent(t, "entry", err)
			if !strings.Contains(err.Error(), entryName(it.Index)) {
				t.Errorf("got %v, want %s in it", err, entryName(it.Index))
			}
		}
		if it.Type == canary {
			t.Error("got a type from the input in the item, want only types of R4")
		}
	}
	for range ReadBundle(strings.NewReader(bundle)) {
		break // a reader may stop early
	}
}

func TestABundleThatCannotBeReadIsRefused(t *testing.T) {
	broken := errors.New("broken pipe")
	for name, read := range map[string]func(io.Reader) iter.Seq2[Item, error]{"bundle": ReadBundle, "ndjson": ReadNDJSON} {
		in := io.MultiReader(strings.NewReader(`{"resourceType":`), iotest.ErrReader(broken))
		for it, err := range read(in) {
			if it.Index != whole || codeOf(t, err) != CodeRead || !errors.Is(err, broken) {
				t.Errorf("%s: got %d, %v; want -1, %s and its cause", name, it.Index, err, CodeRead)
			}
		}
	}
}

// endless gives spaces for ever, after a beginning.
type endless struct{ begin io.Reader }

func (e endless) Read(p []byte) (int, error) {
	if n, err := e.begin.Read(p); err == nil {
		return n, nil
	}
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestAnEndlessBundleIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("reads MaxBundle bytes")
	}
	if got := collect(t, ReadBundle(endless{strings.NewReader(`{"x":"`)})); got.whole != CodeSize {
		t.Errorf("got %q, want %s", got.whole, CodeSize)
	}
}

func TestABadLineDoesNotTakeTheOthersWithIt(t *testing.T) {
	lines := []string{
		`{"resourceType":"Patient","id":"p"}`,
		`{"resourceType":"Condition","` + canary + `"`,
		``,
		"  \r",
		`{"resourceType":"Condition","subject":{"reference":"Patient/p"}}` + "\r",
		canary,
		`{"resourceType":"` + canary + `"}`,
		`{"resourceType":"Condition"}{"resourceType":"Condition"}`,
		`{"resourceType":"OperationOutcome"}`,
		`{"resourceType":"Binary","data":"` + strings.Repeat("A", MaxResource) + `"}`,
		`{"resourceType":"Observation","id":"last"}`,
	}
	got := collect(t, ReadNDJSON(strings.NewReader(strings.Join(lines, "\n"))))
	want := map[int]string{1: CodeJSON, 5: CodeJSON, 6: CodeType, 7: CodeTrailing, 8: CodeEntry, 9: CodeSize}
	if got.whole != "" || len(got.bad) != len(want) {
		t.Errorf("got %q, refused %v; want %v", got.whole, got.bad, want)
	}
	for i, code := range want {
		if got.bad[i] != code {
			t.Errorf("line %d: got %q, want %q", i, got.bad[i], code)
		}
	}
	if len(got.items) != 3 || got.items[1].Index != 4 || got.items[2].Resource.ID() != "last" {
		t.Fatalf("got %d items, want lines 0, 4 and 10", len(got.items))
	}
	if raw := string(got.items[1].Resource.Raw()); raw != strings.TrimSuffix(lines[4], "\r") {
		t.Error("got other bytes than the line has")
	}
	for _, err := range ReadNDJSON(strings.NewReader(strings.Join(lines[:8], "\n"))) {
		if err != nil {
			wantNoContent(t, "line", err)
		}
	}
	for in, code := range map[string]string{"": CodeEmpty, "\n \n": CodeEmpty, "\n{\"resourceType\":\"Patient\"}\n\n": ""} {
		if got := collect(t, ReadNDJSON(strings.NewReader(in))); got.whole != code {
			t.Errorf("%q: got %q, want %q", in, got.whole, code)
		}
	}
}

func TestWhatIsEncodedReadsTheSame(t *testing.T) {
	var rs []Resource
	for it, err := range ReadNDJSON(bytes.NewReader(sample.NDJSON(3, 80))) {
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, it.Resource)
	}
	var b bytes.Buffer
	if err := Encode(&b, rs); err != nil {
		t.Fatal(err)
	}
	got := collect(t, ReadBundle(&b))
	if len(got.items) != len(rs) {
		t.Fatalf("got %d resources, want %d", len(got.items), len(rs))
	}
	for i, it := range got.items {
		if !bytes.Equal(it.Resource.Raw(), rs[i].Raw()) {
			t.Errorf("resource %d: got other bytes than were encoded", i)
		}
	}
	if err := Encode(failing{}, rs); err == nil {
		t.Error("got no error from a writer that fails, want one")
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func FuzzReadBundle(f *testing.F) {
	f.Add(sample.Bundle(1, 3))
	f.Add([]byte(`{"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Patient"}},{"resource":{"resourceType":"Condition","subject":{"reference":"urn:uuid:1"}}}]}`))
	f.Add([]byte(`{"entry":[{"resource":{"a":1,"a":2}}],"resourceType":"Bundle","type":"history"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		for it, err := range ReadBundle(bytes.NewReader(in)) {
			if err != nil {
				codeOf(t, err)
				continue
			}
			n++
			if !bytes.Contains(in, it.Resource.Raw()) {
				t.Fatal("got a resource that is not a slice of the input")
			}
			again, err := Parse(it.Resource.Raw())
			if err != nil || again.Type() != it.Resource.Type() || again.ID() != it.Resource.ID() {
				t.Fatalf("got %v for an entry's resource alone, want the same resource", err)
			}
		}
		checkGroups(t, n, ReadBundle(bytes.NewReader(in)))
	})
}

func FuzzReadNDJSON(f *testing.F) {
	f.Add(sample.NDJSON(1, 3))
	f.Add([]byte("{\"resourceType\":\"Patient\"}\n\r\n{\"resourceType\":\"Patient\",\"id\":\"a\"}\nx"))
	f.Fuzz(func(t *testing.T, in []byte) {
		n := 0
		for it, err := range ReadNDJSON(bytes.NewReader(in)) {
			if err != nil {
				codeOf(t, err)
				continue
			}
			n++
			if !bytes.Contains(in, it.Resource.Raw()) {
				t.Fatal("got a resource that is not in the input")
			}
		}
		checkGroups(t, n, ReadNDJSON(bytes.NewReader(in)))
	})
}

// checkGroups checks that grouping loses nothing and takes nothing twice.
func checkGroups(t *testing.T, items int, in iter.Seq2[Item, error]) {
	groups, rejected, err := GroupByPatient(in)
	if err != nil {
		return
	}
	seen := map[int]bool{}
	names := map[string]bool{}
	n := 0
	for _, g := range groups {
		if g.Reference() == "" || names[g.Reference()] || len(g.Items) == 0 {
			t.Fatalf("got group %q empty, unnamed or twice", g.Reference())
		}
		names[g.Reference()] = true
		for _, it := range g.Items {
			if seen[it.Index] {
				t.Fatalf("got item %d in two groups", it.Index)
			}
			seen[it.Index] = true
			n++
		}
	}
	for _, r := range rejected {
		if seen[r.Index] {
			t.Fatalf("got item %d in a group and rejected", r.Index)
		}
	}
	if n > items || n+len(rejected) < items {
		t.Fatalf("got %d items in groups and %d rejected of %d", n, len(rejected), items)
	}
}
