package rest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"salus/fhir/search"
)

func TestTicks(t *testing.T) {
	const tick = 10 * time.Millisecond
	for passed, want := range map[time.Duration]time.Duration{
		0: tick, 1: tick - 1, tick: 0, tick + 1: tick - 1, 2*tick + 1: 2*tick - 1, 39 * time.Millisecond: time.Millisecond, 41 * time.Millisecond: 39 * time.Millisecond,
		16*tick + 1: 4*tick - 1, 21 * tick: 4 * tick,
	} {
		if got := untilTick(passed, tick); got != want {
			t.Errorf("after %s: got %s, want %s", passed, got, want)
		}
	}
}

func TestWhatIsNamed(t *testing.T) {
	for request, want := range map[string]bool{
		"GET Observation/o1": true, "PUT Observation/o1": true, "DELETE Observation/o1": true, "POST Observation": true,
		"GET Observation/o1/_history": true, "GET Observation/o1/_history/2": true,
		"GET Observation": false, "POST Observation/_search": false, "PUT Observation": false, "GET Observation/_history": false, "GET _history": false, "POST ": false, "GET ": false,
		"GET Patient/p0/Observation": false, "POST Patient/p0/Observation/_search": false, "GET Patient/p0/$everything": false, "GET Observation/$lastn": false,
	} {
		method, path, _ := strings.Cut(request, " ")
		a := &ask{method: method}
		if path != "" {
			a.path = strings.Split(path, "/")
		}
		if got := a.named(); got != want {
			t.Errorf("%s: got %v, want %v", request, got, want)
		}
	}
	if (&ask{method: http.MethodPost, path: []string{"Observation"}, ifNoneExist: "code=1"}).named() {
		t.Error("a conditional create is named")
	}
}

// gate lets in with one leave.
type gate Leave

func (g *gate) Admit(*http.Request) (*Leave, error) { return (*Leave)(g), nil }

// What is refused is held too: a fault may come of what was looked at.
func TestWhoSeesAPartIsAnsweredAtATick(t *testing.T) {
	for name, c := range map[string]struct {
		leave  Leave
		method string
		path   string
		want   time.Duration
	}{
		"one compartment":         {Leave{Owner: "Patient/p0"}, "GET", "/Unknown", 10 * time.Millisecond},
		"conditions":              {Leave{Within: map[string][][]search.Clause{"Observation": {}}}, "GET", "/Unknown", 10 * time.Millisecond},
		"a type's past":           {Leave{}, "GET", "/Unknown/_history", 10 * time.Millisecond},
		"everything":              {Leave{}, "GET", "/Unknown", 0},
		"one compartment, by key": {Leave{Owner: "Patient/p0"}, "GET", "/Unknown/1", 0},
		"metadata":                {Leave{Owner: "Patient/p0"}, "GET", "/metadata", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Config{Guard: (*gate)(&c.leave), Now: time.Now})
				start := time.Now()
				s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(c.method, c.path, nil))
				if got := time.Since(start); got != c.want {
					t.Errorf("answered after %s, want %s", got, c.want)
				}
			})
		})
	}
}

// slowly is a body that comes late.
type slowly struct{ takes time.Duration }

func (b slowly) Read([]byte) (int, error) {
	time.Sleep(b.takes)
	return 0, io.EOF
}

// Else the caller could have the work end wherever in a tick she likes, and find out what it takes.
func TestTicksBeginWhenTheRequestWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{Guard: &gate{Owner: "Patient/p0"}, Now: time.Now, Types: []string{"Observation"}})
		const body = 7 * time.Millisecond
		r := httptest.NewRequest(http.MethodPost, "/Unknown/_search", slowly{body})
		start := time.Now()
		s.ServeHTTP(httptest.NewRecorder(), r)
		if got := time.Since(start); got != body+10*time.Millisecond {
			t.Errorf("answered after %s, want a tick after the body's %s", got, body)
		}
	})
}
