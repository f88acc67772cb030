package bulk

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
	"strings"
	"testing"

	"salus/gateway/rest"
)

const ndjson = "Content-Type: application/fhir+ndjson"

type report struct {
	Parameter []struct {
		Name             string
		ValueUnsignedInt int64
		ValueURL         string
	}
}

func (w *world) load(client string, body io.Reader, status int) (accepted, rejected int64, lines string) {
	w.t.Helper()
	r := w.do(client, "POST /fhir/$import", body, ndjson)
	var x report
	if err := json.Unmarshal(r.body, &x); err != nil || r.StatusCode != status {
		w.t.Fatalf("got %d %s", r.StatusCode, r.body)
	}
	for _, p := range x.Parameter {
		switch p.Name {
		case "accepted":
			accepted = p.ValueUnsignedInt
		case "rejected":
			rejected = p.ValueUnsignedInt
		case "report":
			f := w.do(client, "GET "+strings.TrimPrefix(p.ValueURL, "http://example.org"), nil)
			if f.StatusCode != 200 {
				w.t.Fatalf("report: got %d", f.StatusCode)
			}
			lines += string(f.body)
		}
	}
	return accepted, rejected, lines
}

func TestAnImportTakesWhatItCanAndSaysWhatItDoesNot(t *testing.T) {
	w := newWorld(t)
	body := strings.Join([]string{
		`{"resourceType":"Patient","id":"a","multipleBirthInteger":1}`,
		``,
		`{"resourceType":"Patient","id":"a_b"}`,
		`{broken`,
		`{"resourceType":"Observation","id":"o","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}`,
		`{"resourceType":"Organization","id":"unserved"}`,
		`{"resourceType":"Patient","x":"` + strings.Repeat("y", 1<<20) + `"}`,
		`{"resourceType":"Patient","gender":"male"}`,
		`{"resourceType":"Patient","id":"a","gender":"female"}`,
	}, "\n")
	accepted, rejected, lines := w.load("app", strings.NewReader(body), 200)
	if accepted != 4 || rejected != 4 {
		t.Errorf("got %d and %d", accepted, rejected)
	}
	for _, want := range []string{"line 3: ", "line 4: ", "line 6: ", "line 7: ", "fhir-json", "rest-type", "bulk-line"} {
		if !strings.Contains(lines, want) {
			t.Errorf("%q is not in the report:\n%s", want, lines)
		}
	}
	if r := w.do("app", "GET /fhir/Patient/a", nil); !bytes.Contains(r.body, []byte("female")) || r.Header.Get("ETag") != `W/"2"` {
		t.Errorf("got %s", r.body)
	}
	if got := w.export("app", "GET /fhir/$export"); len(strings.Fields(got)) != 3 {
		t.Errorf("there are %s", got)
	}
	if accepted, rejected, _ := w.load("app", strings.NewReader(`{"resourceType":"Patient","id":"z"}`), 200); accepted != 1 || rejected != 0 || len(w.bulk.jobs) != 2 {
		t.Errorf("without rejections: got %d and %d, %d jobs", accepted, rejected, len(w.bulk.jobs))
	}
	w.refused(415, "bulk-media-type", w.do("app", "POST /fhir/$import", strings.NewReader("{}")))
	w.refused(405, "rest-operation-method", w.do("app", "GET /fhir/$import", nil))
	w.guard.set("anonymous", rest.Leave{})
	w.refused(403, "bulk-client", w.do("anonymous", "POST /fhir/$import", strings.NewReader("{}"), ndjson))
	w.refused(401, "rest-login", w.do("nobody", "POST /fhir/$import", strings.NewReader("{}"), ndjson))
}

func TestAnImportWritesWhatItsLeaveAllows(t *testing.T) {
	w := newWorld(t)
	w.guard.set("mother", rest.Leave{Owner: "Patient/a"})
	body := `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/a"}}
{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/b"}}`
	if accepted, rejected, lines := w.load("mother", strings.NewReader(body), 200); accepted != 1 || rejected != 1 || !strings.Contains(lines, "rest-forbidden") {
		t.Errorf("got %d and %d %s", accepted, rejected, lines)
	}
	w.guard.set("reader", rest.Leave{May: func(i rest.Interaction, _ string) bool { return i == rest.Operate || i == rest.Read }})
	if accepted, rejected, _ := w.load("reader", strings.NewReader(body), 200); accepted != 0 || rejected != 2 {
		t.Errorf("a reader: got %d and %d", accepted, rejected)
	}
}

// A stream is a body that is made while it is read, and may break.
type stream struct {
	lines, n int
	buf      bytes.Buffer
	fail     error
}

func (s *stream) Read(p []byte) (int, error) {
	if s.buf.Len() == 0 {
		if s.n == s.lines {
			if s.fail != nil {
				return 0, s.fail
			}
			return 0, io.EOF
		}
		fmt.Fprintf(&s.buf, `{"resourceType":"Patient","id":"p%d"}`+"\n", s.n)
		s.n++
	}
	return s.buf.Read(p)
}

func TestAnImportThatBreaksOffKeepsWhatItAccepted(t *testing.T) {
	w := newWorld(t)
	if accepted, _, _ := w.load("app", &stream{lines: 1000, fail: errors.New("gone")}, 400); accepted != 1000 {
		t.Errorf("got %d", accepted)
	}
	if r := w.do("app", "GET /fhir/Patient/p999", nil); r.StatusCode != 200 {
		t.Errorf("got %d", r.StatusCode)
	}
}

// Of an import whose client goes nothing is left that counts as one of its jobs, and no failure is logged.
func TestAnImportWhoseClientGoesLeavesNoJob(t *testing.T) {
	var log bytes.Buffer
	w := newWorld(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	for name, rest := range map[string]string{"with lines to come": strings.Repeat(`{"resourceType":"Patient"}`+"\n", groupLines), "at its end": ""} {
		ctx, cancel := context.WithCancel(t.Context())
		body := io.MultiReader(strings.NewReader(strings.Repeat("{broken\n", groupLines)), after{cancel}, strings.NewReader(rest))
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/fhir/$import", body)
		r.Header.Set("X-Client", "app")
		r.Header.Set("Content-Type", "application/fhir+ndjson")
		w.rest.ServeHTTP(httptest.NewRecorder(), r)
		if names := w.onDisk(); ctx.Err() == nil || len(w.bulk.jobs) != 0 || len(names) != 0 {
			t.Errorf("%s: %d jobs are left, and %s", name, len(w.bulk.jobs), names)
		}
	}
	if log.Len() > 0 {
		t.Errorf("the log says %s", log.String())
	}
	if accepted, rejected, _ := w.load("app", strings.NewReader("{broken\n{\"resourceType\":\"Patient\"}"), 200); accepted != 1 || rejected != 1 || len(w.bulk.jobs) != 1 {
		t.Errorf("of one that stays: %d and %d, %d jobs", accepted, rejected, len(w.bulk.jobs))
	}
}

// after is an end that does something when it is reached.
type after struct{ do func() }

func (a after) Read([]byte) (int, error) {
	a.do()
	return 0, io.EOF
}

// FuzzSealed: what was written is read, in any pieces.
func FuzzSealed(f *testing.F) {
	f.Add([]byte("x"), 1, 3)
	f.Add([]byte("ab"), chunkSize, 2)
	f.Add([]byte{}, 0, 0)
	f.Fuzz(func(t *testing.T, b []byte, times, number int) {
		if times < 0 || times > 2*chunkSize || len(b)*times > 4*chunkSize || number < 0 || number >= maxFiles {
			return
		}
		path, key := t.TempDir()+"/f", make([]byte, 32)
		s, err := createSealed(path, key, uint32(number))
		if err != nil {
			t.Fatal(err)
		}
		for range times {
			if _, err := s.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := openSealed(&got, path, key, uint32(number)); err != nil || !bytes.Equal(got.Bytes(), bytes.Repeat(b, times)) {
			t.Fatalf("got %d bytes, %v", got.Len(), err)
		}
		if err := openSealed(io.Discard, path, key, uint32(number+1)); !errors.Is(err, errDamaged) {
			t.Fatalf("as another file: got %v", err)
		}
	})
}
