package rest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestWhoHangsUpIsNoFailureOfTheServer: it is neither answered with 5xx nor logged as an error.
func TestWhoHangsUpIsNoFailureOfTheServer(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, what := range []string{"/Patient?family=a", "/Patient/1", "/Observation?patient.family=b&_include=*"} {
		rec := httptest.NewRecorder()
		w.s.ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/fhir"+what, http.NoBody))
		if rec.Code != http.StatusBadRequest && rec.Code != http.StatusNotFound {
			t.Errorf("%s: got %d", what, rec.Code)
		}
	}
}

func TestEncodedBodiesAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, e := range []string{"gzip", "deflate", "br", "identity, gzip"} {
		w.refused(http.StatusUnsupportedMediaType, "rest-content-encoding", "POST /Patient", `{"resourceType":"Patient"}`, "Content-Encoding: "+e)
	}
	w.want(http.StatusCreated, "POST /Patient", `{"resourceType":"Patient"}`, "Content-Encoding: identity")
}
