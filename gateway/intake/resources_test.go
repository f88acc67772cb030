package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/gateway/balp"
	"salus/gateway/rest"
	"salus/internal/sample"
	"salus/ledger/tx"
	"salus/store"
)

// An importWorld is a FHIR server with an Importer beside it.
type importWorld struct {
	*world

	i      *Importer
	full   error // what the disk says
	ledger error // what it says of an enrolment
	mu     sync.Mutex
	known  map[string]tx.Account
}

func newImportWorld(t *testing.T) *importWorld {
	t.Helper()
	w := &importWorld{world: newWorld(t), known: map[string]tx.Account{}}
	x, err := index.New(definition.R4(), base)
	if err != nil {
		t.Fatal(err)
	}
	w.i = NewImporter(ImportConfig{
		Load: w.server.LoadNew, Lead: w.server.Lead, Owner: x.Owner, Local: x.Local, Await: func(context.Context, ...int64) error { return nil }, Event: w.s.Event,
		Enrol: func(_ context.Context, reference string) (tx.Account, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.ledger != nil {
				return tx.Account{}, w.ledger
			}
			if _, ok := w.known[reference]; !ok {
				w.known[reference] = tx.Account{byte(len(w.known) + 1)}
			}
			return w.known[reference], nil
		},
		Free: func(int64) error { return w.full }, Dir: t.TempDir(), Set: definition.R4(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	return w
}

func (w *importWorld) imports(format, body string) (*Taken, error) {
	w.t.Helper()
	return w.i.Import(httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, PathImport, strings.NewReader(body)), format, nil)
}

// taken is a report without an error, and with no more than these counts.
func (w *importWorld) taken(format, body string, want Progress) *Taken {
	w.t.Helper()
	got, err := w.imports(format, body)
	if err != nil || got.Progress != want {
		w.t.Fatalf("got %+v %v, %v; want %+v", got.Progress, codes(got), err, want)
	}
	return got
}

func codes(t *Taken) (out []string) {
	for _, r := range t.Reject {
		out = append(out, fmt.Sprintf("%d %s %s", r.Index, r.Type, r.Issue.Code))
	}
	return out
}

// stored is what the store has of a resource: its version and its bytes.
func (w *importWorld) stored(ref string) string {
	w.t.Helper()
	typ, id, _ := strings.Cut(ref, "/")
	v, err := w.store.Read(w.t.Context(), store.Key{Type: typ, ID: id})
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", v.VID, v.Body)
}

func entries(list ...string) string {
	return `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(list, ",") + `]}`
}

func observation(id, subject string) string {
	return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"sample"},"subject":{"reference":"` + subject + `"}}`
}

func TestAnImportIsFoundByteForByteAndTheSameAgainWritesNothing(t *testing.T) {
	w := newImportWorld(t)
	patient := `{"resourceType":"Patient", "id":"zero",  "gender":"female"}`
	note := observation("o1", "Patient/zero")
	in := entries(`{"resource":`+patient+`}`, `{"resource":`+note+`}`)
	got := w.taken("", in, Progress{Records: 2, Patients: 1})
	if len(got.Accounts) != 1 || got.Accounts[0] != w.known["Patient/zero"] {
		t.Errorf("got %v of %v", got.Accounts, w.known)
	}
	if s := w.stored("Patient/zero"); s != "1 "+patient {
		t.Errorf("got %s", s)
	}
	if n := w.count("Observation", "subject=Patient/zero"); n != 1 {
		t.Errorf("found %d", n)
	}
	if len(w.events) != 1 || w.events[0].Patient.Reference != "Patient/zero" || w.events[0].Outcome != balp.Success {
		t.Errorf("the log has %+v", w.events)
	}
	again := w.taken("bundle", in, Progress{Duplicates: 2, Patients: 1})
	if !slices.Equal(again.Accounts, got.Accounts) {
		t.Errorf("got %v, then %v", got.Accounts, again.Accounts)
	}
	// What others changed or deleted since, stays so.
	newer := strings.Replace(note, "final", "amended", 1)
	w.taken("ndjson", newer, Progress{Records: 1, Updated: 1, Patients: 1})
	w.taken("", in, Progress{Duplicates: 2, Patients: 1})
	if s := w.stored("Observation/o1"); s != "2 "+newer {
		t.Errorf("got %s", s)
	}
	if err := w.store.Write(t.Context(), func(tx *store.Tx) error {
		_, err := tx.Delete(store.Put{Key: store.Key{Type: "Observation", ID: "o1"}, Owner: "Patient/zero", Expect: store.Any})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.taken("", in, Progress{Duplicates: 2, Patients: 1})
	if s := w.stored("Observation/o1"); s != store.ErrGone.Error() {
		t.Errorf("got %s", s)
	}
	// The same twice in one file is once.
	twice := observation("o2", "Patient/zero")
	w.taken("ndjson", twice+"\n"+twice+"\n", Progress{Records: 1, Duplicates: 1, Patients: 1})
}

func TestReferencesWithinABundleHoldWhereItIsWritten(t *testing.T) {
	w := newImportWorld(t)
	const p, o = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"
	in := entries(
		`{"fullUrl":"`+o+`","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"`+p+`"},"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><a href=\"`+p+`\">she</a></div>"}}}`,
		`{"fullUrl":"`+p+`","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient"}}`,
		`{"fullUrl":"urn:uuid:1","resource":`+observation("astray", "urn:uuid:2")+`}`,
	)
	got := w.taken("", in, Progress{Records: 2, Rejected: 1, Patients: 1})
	if c := codes(got); !slices.Equal(c, []string{"2 Observation " + fhir.CodeReference}) {
		t.Errorf("got %v", c)
	}
	const id = "0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
	if s := w.stored("Observation/53fefa32-fcbb-4ff8-8a92-55ee120877b7"); !strings.Contains(s, `"subject":{"reference":"Patient/`+id+`"}`) || !strings.Contains(s, `href=\"Patient/`+id+`\"`) {
		t.Errorf("got %s", s)
	}
	if n := w.count("Observation", "subject=Patient/"+id); n != 1 {
		t.Errorf("found %d", n)
	}
	w.taken("", in, Progress{Duplicates: 2, Rejected: 1, Patients: 1})
}

// Two servers' Patient/1 are two people, and neither is the organisation's own.
func TestOtherServersIDsAreNotTheOrganisations(t *testing.T) {
	w := newImportWorld(t)
	of := func(base string) string {
		return entries(
			`{"fullUrl":"`+base+`/Patient/1","resource":{"resourceType":"Patient","id":"1"}}`,
			`{"fullUrl":"`+base+`/Observation/7","resource":`+observation("7", "Patient/1")+`}`,
			`{"fullUrl":"`+base+`/Observation/8","resource":`+observation("8", base+"/Patient/1")+`}`,
		)
	}
	for range 2 {
		for _, b := range []string{"http://a.example/fhir", "https://b.example/fhir", base} {
			if got, err := w.imports("", of(b)); err != nil || got.Rejected != 0 || got.Patients != 1 {
				t.Fatalf("%s: got %+v, %v", b, got, err)
			}
		}
	}
	if n := w.count("Patient", "_id=1"); n != 1 || w.count("Patient", "active:missing=true") != 3 {
		t.Errorf("got %d and %d Patients", n, w.count("Patient", "active:missing=true"))
	}
	for ref := range w.known {
		if n := w.count("Observation", "subject="+ref); n != 2 {
			t.Errorf("%s has %d", ref, n)
		}
	}
	if len(w.known) != 3 || w.known["Patient/1"].IsZero() {
		t.Errorf("got %v", w.known)
	}
}

func TestWhatAnImportRejectsIsNamedAndNothingOfItIsWritten(t *testing.T) {
	w := newImportWorld(t)
	got := w.taken("ndjson", "\ufeff"+strings.Join([]string{
		`{"resourceType":"Patient","id":"p"}`,
		`{"resourceType":"NoSuchThing"}`,
		`{broken`,
		`{"resourceType":"Observation","id":"wrong","status":"no-such-status","code":{"text":"x"},"subject":{"reference":"Patient/p"}}`,
		`{"resourceType":"Observation","id":"whose","status":"final","code":{"text":"x"}}`,
		`{"resourceType":"Observation","id":"who","status":"final","code":{"text":"x"},"subject":{"display":"somebody"}}`,
		`{"resourceType":"Binary","id":"paper","contentType":"application/pdf","data":"AAAA"}`,
		`{"resourceType":"Organization","id":"ward","name":"sample ward"}`,
		`{"resourceType":"Patient","id":"only","gender":"no-such-gender"}`,
		observation("moved", "Patient/p"),
		observation("moved", "Patient/q"),
		`{"resourceType":"Bundle","id":"all","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"only"}}]}`,
	}, "\n"), Progress{Records: 3, Rejected: 9, Patients: 1})
	want := []string{
		"1  fhir-type", "2  fhir-json", "3 Observation ", "4 Observation fhir-no-patient", "5 Observation fhir-", "6 Binary fhir-no-patient", "8 Patient ", "10 Observation rest-moved", "11 Bundle fhir-no-patient",
	}
	for i, c := range codes(got) {
		if i >= len(want) || !strings.HasPrefix(c, want[i]) || got.Reject[i].Issue.Text == "" {
			t.Errorf("got %q: %q, want %q", c, got.Reject[i].Issue.Text, want[min(i, len(want)-1)])
		}
	}
	for _, ref := range []string{"Observation/wrong", "Observation/whose", "Observation/who", "Binary/paper", "Bundle/all", "Patient/only"} {
		if s := w.stored(ref); s != store.ErrNotFound.Error() {
			t.Errorf("%s: got %s", ref, s)
		}
	}
	if len(w.known) != 1 { // nobody of whom nothing was taken
		t.Errorf("enrolled are %v", w.known)
	}
	if b, err := json.Marshal(got.Reject); err != nil || bytes.Contains(b, []byte("no-such-status")) {
		t.Errorf("the report quotes the input: %s, %v", b, err)
	}
}

func TestNothingIsWrittenOfWhatIsNoWholeFile(t *testing.T) {
	w := newImportWorld(t)
	good := `{"resource":{"resourceType":"Patient","id":"p"}}`
	for in, code := range map[string]string{
		"": fhir.CodeEmpty, "hello": fhir.CodeJSON, entries(): fhir.CodeBundleEmpty, `{"resourceType":"Bundle","type":"collection","entry":[` + good: fhir.CodeJSON,
		entries(good) + "x": fhir.CodeTrailing, `{"entry":[` + good + `],"type":"collection","resourceType":"Patient"}`: fhir.CodeBundleType,
	} {
		_, err := w.imports("", in)
		if i, ok := errors.AsType[*fhir.Issue](err); !ok || i.Code != code {
			t.Errorf("%.60q: got %v, want %s", in, err, code)
		}
	}
	gone := errors.New("gone")
	for _, format := range []string{"", "ndjson"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, PathImport, iotest.ErrReader(gone))
		if _, err := w.i.Import(r, format, nil); !errors.Is(err, gone) {
			t.Errorf("got %v", err)
		}
	}
	full := errors.New("full")
	w.full = full
	if _, err := w.imports("", entries(good)); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	w.full = nil
	if s := w.stored("Patient/p"); s != store.ErrNotFound.Error() || len(w.known) != 0 {
		t.Errorf("got %s, %v", s, w.known)
	}
	for _, e := range w.events {
		if e.Outcome == balp.Success || e.Patient.Reference != "" {
			t.Errorf("the log has %+v", e)
		}
	}
	w.deaf = true
	if _, err := w.imports("", entries(good)); !errors.Is(err, errUnrecorded) {
		t.Errorf("without a log: got %v", err)
	}
}

// An import that ends in the middle has written whole groups; the same file again writes the rest.
func TestAnImportThatIsCutShortGoesOnWhenItIsRepeated(t *testing.T) {
	w := newImportWorld(t)
	var lines []string
	for i := range 3*groupResources + 10 {
		p := fmt.Sprintf("Patient/p%d", i%7)
		lines = append(lines, observation(fmt.Sprintf("o%d", i), p))
	}
	in := strings.Join(lines, "\n")
	ctx, cancel := context.WithCancel(t.Context())
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, PathImport, strings.NewReader(in))
	var told Progress
	got, err := w.i.Import(r, "ndjson", func(p Progress) {
		if told = p; p.Records > groupResources {
			cancel()
		}
	})
	if err == nil || got.Records != 2*groupResources || told != got.Progress {
		t.Fatalf("got %+v, %v", got.Progress, err)
	}
	if n := w.count("Observation", "status=final"); n != 2*groupResources {
		t.Errorf("there are %d", n)
	}
	w.taken("ndjson", in, Progress{Records: groupResources + 10, Duplicates: 2 * groupResources, Patients: 7})
	for i := range lines {
		if s := w.stored(fmt.Sprintf("Observation/o%d", i)); s != "1 "+lines[i] {
			t.Fatalf("%d: got %s", i, s)
		}
	}
	w.ledger = errors.New("refused")
	if _, err := w.imports("ndjson", observation("z", "Patient/new")); !errors.Is(err, w.ledger) {
		t.Errorf("an enrolment that is refused: got %v", err)
	}
}

// A large file waits on the disk sealed and nameless, and is taken as a small one is.
func TestALargeFileIsNotHeldInMemory(t *testing.T) {
	w := newImportWorld(t)
	const secret = "Xcanaryq"
	one := `{"resourceType":"DocumentReference","id":"d%d","status":"current","subject":{"reference":"Patient/p"},"description":"` + secret + `","content":[{"attachment":{"contentType":"text/plain","data":"` + strings.Repeat("QUFB", 1<<18) + `"}}]}`
	var in []string
	for i := range 9 {
		in = append(in, `{"resource":`+fmt.Sprintf(one, i)+`}`)
	}
	files := 0
	w.i.Free = func(int64) error {
		l, err := filepath.Glob(filepath.Join(w.i.Dir, "*"))
		if files += len(l); err != nil {
			t.Error(err)
		}
		return nil
	}
	w.taken("", entries(in...), Progress{Records: 9, Patients: 1})
	if files != 0 {
		t.Errorf("a file has a name")
	}
	s, err := newSpool(strings.NewReader(strings.Repeat(secret, 1<<20)), w.i.Dir, func(int64) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close() }()
	if len(s.memory) != held || s.disk == nil {
		t.Fatalf("%d bytes are held", len(s.memory))
	}
	b := make([]byte, 1<<20)
	if _, err := s.disk.ReadAt(b, 0); err != nil || bytes.Contains(b, []byte(secret)) {
		t.Errorf("the disk has it in the clear, or %v", err)
	}
	for range 2 {
		r, err := s.open()
		if err != nil {
			t.Fatal(err)
		}
		if err := iotest.TestReader(r, []byte(strings.Repeat(secret, 1<<20))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.disk.WriteAt([]byte{^b[100]}, 100); err != nil {
		t.Fatal(err)
	}
	r, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bytes.NewBuffer(nil).ReadFrom(r); !errors.Is(err, errSpool) {
		t.Errorf("got %v", err)
	}
	full := errors.New("full")
	if _, err := newSpool(strings.NewReader(strings.Repeat(secret, 1<<20)), w.i.Dir, func(int64) error { return full }); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
}

func TestSyntheaAndTheSamplesAreTakenWhole(t *testing.T) {
	w := newImportWorld(t)
	in := map[string][]byte{"a sample": sample.Bundle(5, 60)}
	files, err := filepath.Glob("../../../shared/data/synthea/*.json")
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(a, b) })
	for _, f := range files[:min(len(files), 2)] {
		if in[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range in {
		got, err := w.imports("", string(b))
		if err != nil || got.Rejected != 0 || got.Patients != 1 || got.Duplicates != 0 {
			t.Errorf("%s: got %+v %v, %v", name, got.Progress, codes(got), err)
		}
		again, err := w.imports("", string(b))
		if err != nil || again.Records != 0 || again.Duplicates != got.Records {
			t.Errorf("%s again: got %+v, %v", name, again.Progress, err)
		}
	}
	if len(files) == 0 {
		t.Skip("the Synthea bundles of ../shared/data are not here")
	}
}

// What refers by a search refers to what the file has, then to what the organisation has; to one of them, or
// it is refused.
func TestReferencesByASearchLeadToWhatTheFileHasOrTheOrganisation(t *testing.T) {
	w := newImportWorld(t)
	const sys = "https://example.org/ids"
	about := func(id, subject, performer string) string {
		return `{"resourceType":"Observation","id":"` + id + `","status":"final","code":{"text":"x"},"subject":{"reference":"` + subject + `"},"performer":[{"reference":"` + performer + `"}]}`
	}
	person := func(typ, id, number string) string {
		return `{"resourceType":"` + typ + `","id":"` + id + `","identifier":[{"system":"` + sys + `","value":"` + number + `"}]}`
	}
	w.taken("ndjson", person("Practitioner", "here", "7")+"\n"+person("Practitioner", "one", "8")+"\n"+person("Practitioner", "two", "8")+"\n"+person("Patient", "known", "9"), Progress{Records: 4, Patients: 1})
	lines := []string{
		about("o1", "Patient?identifier="+sys+"|1", "Practitioner?identifier="+sys+"|7"),                           // of the file; of the store
		about("o2", "Patient?identifier="+strings.ReplaceAll(sys, "/", "%2F")+"%7C1", "Practitioner?identifier=6"), // spelled otherwise; behind it in the file
		about("o3", "Patient?identifier="+sys+"|9", "Practitioner?identifier="+sys+"|8"),                           // two have it
		about("o4", "Patient?identifier="+sys+"|2", "Practitioner/here"),                                           // nobody has it
		about("o5", "Patient?identifier="+sys+"|5", "Practitioner/here"),                                           // two of the file
		about("o6", "Patient?no-such-parameter=1", "Practitioner/here"),
		person("Patient", "p", "1"), person("Practitioner", "late", "6"), person("Patient", "q", "5"), person("Patient", "r", "5"),
	}
	bundle := make([]string, len(lines))
	for i, l := range lines {
		bundle[i] = `{"resource":` + l + `}`
	}
	want := Progress{Records: 6, Rejected: 4, Patients: 3}
	for i, in := range []string{strings.Join(lines, "\n"), strings.Join(lines, "\n"), entries(bundle...)} {
		got := w.taken([]string{"ndjson", "ndjson", ""}[i], in, want)
		if c := codes(got); !slices.Equal(c, []string{"2 Observation validate-reference", "3 Observation " + fhir.CodeNoPatient, "4 Observation " + fhir.CodeNoPatient, "5 Observation " + fhir.CodeNoPatient}) {
			t.Errorf("got %v", c)
		}
		want = Progress{Duplicates: 6, Rejected: 4, Patients: 3}
	}
	for id, want := range map[string]string{"o1": about("o1", "Patient/p", "Practitioner/here"), "o2": about("o2", "Patient/p", "Practitioner/late")} {
		if got := w.stored("Observation/" + id); got != "1 "+want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A lines makes NDJSON that is nowhere.
type lines struct {
	left int
	next func(i int) string
	rest string
}

// Read implements io.Reader.
func (l *lines) Read(p []byte) (int, error) {
	if l.rest == "" {
		if l.left == 0 {
			return 0, io.EOF
		}
		l.left--
		l.rest = l.next(l.left) + "\n"
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// What an import holds does not grow with the file.
func TestAnImportHoldsNoMoreOfALargerFile(t *testing.T) {
	w := newImportWorld(t)
	filler := strings.Repeat("QUFB", 1<<16)
	in := &lines{left: 240, next: func(i int) string { // 60 MiB
		return fmt.Sprintf(`{"resourceType":"DocumentReference","id":"d%d","status":"current","subject":{"reference":"Patient/p"},"content":[{"attachment":{"contentType":"text/plain","data":"%s"}}]}`, i, filler)
	}}
	// The FHIR server is not what is measured.
	w.i.Load = func(_ context.Context, _ *rest.Leave, _ http.Header, list []rest.Loading) ([]rest.Loaded, error) {
		out := make([]rest.Loaded, len(list))
		for i := range list {
			out[i] = rest.Loaded{Version: store.Version{Key: store.Key{Type: "DocumentReference", ID: list[i].ID}, VID: 1, Owner: "Patient/p"}, Written: true}
		}
		return out, nil
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before, most := heap(), uint64(0)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, PathImport, in)
	got, err := w.i.Import(r, "ndjson", func(Progress) { most = max(most, heap()) })
	if err != nil || got.Records != 240 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if most > before+24<<20 { // what is held, a group, and a line or two
		t.Errorf("it holds %d MiB of 60", (most-before)>>20)
	}
}
