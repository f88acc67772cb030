package fhir

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"salus/internal/sample"
)

// yielded is what a reader of Bundles yields, as far as two of them must agree.
type yielded struct {
	index          int
	url, typ, code string
	raw            string
}

func yields(t testing.TB, read func(io.Reader) func(func(Item, error) bool), in io.Reader) (out []yielded) {
	t.Helper()
	for it, err := range read(in) {
		out = append(out, yielded{it.Index, it.FullURL, it.Type, codeOf(t, err), string(it.Resource.raw)})
	}
	return out
}

func streamed(r io.Reader) func(func(Item, error) bool) { return StreamBundle(r) }
func held(r io.Reader) func(func(Item, error) bool)     { return ReadBundle(r) }

// agree reports whether a Bundle that is taken whole is streamed as the same items.
func agree(t testing.TB, in []byte) {
	t.Helper()
	want := yields(t, held, bytes.NewReader(in))
	if len(want) > 0 && want[len(want)-1].index == whole {
		return
	}
	got := yields(t, streamed, iotest.OneByteReader(bytes.NewReader(in)))
	if len(got) != len(want) {
		t.Fatalf("got %d items, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("item %d: got %.300v, want %.300v", i, got[i], want[i])
		}
	}
}

func TestAStreamedBundleIsTheBundle(t *testing.T) {
	agree(t, sample.Bundle(7, 40))
	agree(t, []byte(` { "entry" : [ {"fullUrl":"urn:x","resource":{"resourceType":"Patient","id":"a_b"}} , 5, {"request":{"method":"DELETE"}},
		{"resource":{"resourceType":"Patient","id":"b","id":"c"}}, {"resource":{"resourceType":"Patient","id":"d"}} ], "type":"collection", "link":[{}], "resourceType":"Bundle" } `))
	for _, r := range badResources {
		agree(t, []byte(`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient"}},{"resource":`+r.in+`}]}`))
	}
	deep := strings.Repeat(`[`, 100) + strings.Repeat(`]`, 100)
	got := yields(t, streamed, strings.NewReader(`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","x":`+deep+`}},{"resource":{"resourceType":"Patient"}}]}`))
	if len(got) != 2 || got[0].code != CodeDepth || got[1].code != "" {
		t.Errorf("too deep: got %v", got)
	}
}

func TestWhatIsWrongWithAStreamedBundleComesOutInTheEnd(t *testing.T) {
	for in, want := range map[string]string{
		"": CodeEmpty, "  ": CodeEmpty, "hello": CodeJSON, "[]": CodeBundleType, `{"resourceType":"Patient"}`: CodeBundleType,
		`{"resourceType":"Bundle","type":"searchset-response","entry":[{}]}`: CodeBundleType, `{"resourceType":"Bundle","type":"batch","entry":[]}`: CodeBundleEmpty,
		`{"resourceType":"Bundle","type":"batch","entry":{}}`: CodeBundleEmpty, `{"resourceType":"Bundle","type":"batch"}`: CodeBundleEmpty,
		`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient"}}`:    CodeJSON,
		`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient"}},]}`: CodeJSON,
		`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient"}}]}x`: CodeTrailing,
		`{"resourceType":"Bundle","type":"batch","type":"batch","entry":[{}]}`:                        CodeDuplicateKey,
	} {
		got := yields(t, streamed, strings.NewReader(in))
		if len(got) == 0 || got[len(got)-1].index != whole || got[len(got)-1].code != want {
			t.Errorf("%.80q: got %v, want %s in the end", in, got, want)
		}
	}
	gone := errors.New("gone")
	got := yields(t, streamed, io.MultiReader(strings.NewReader(`{"entry":[{}`), iotest.ErrReader(gone)))
	if len(got) != 2 || got[1].code != CodeRead {
		t.Errorf("a body that breaks off: got %v", got)
	}
	for range StreamBundle(bytes.NewReader(sample.Bundle(1, 5))) {
		break // and nothing is yielded to whoever left
	}
}

// repeats is an endless text in front of which something stands.
type repeats struct{ n int }

func (r *repeats) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'y'
	}
	r.n += len(p)
	return len(p), nil
}

func TestAnEntryWithoutAnEndIsNotHeld(t *testing.T) {
	r := &repeats{}
	got := yields(t, streamed, io.MultiReader(strings.NewReader(`{"entry":[{"x":"`), r))
	if len(got) != 1 || got[0].code != CodeSize || r.n > maxEntry {
		t.Errorf("got %v after %d bytes", got, r.n)
	}
}

// FuzzStreamBundle: what ReadBundle takes, StreamBundle takes as the same.
func FuzzStreamBundle(f *testing.F) {
	f.Add(sample.Bundle(3, 3))
	f.Add([]byte(`{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient"}},1]}`))
	f.Fuzz(func(t *testing.T, in []byte) { agree(t, in) })
}
