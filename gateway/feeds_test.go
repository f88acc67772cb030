package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"salus/hl7"
	"salus/hl7/feed"
	"salus/hl7/mllp"
)

// TestFeedProblemsKeepTheirCodes: programs read them. A code is never given another meaning.
func TestFeedProblemsKeepTheirCodes(t *testing.T) {
	g := bare(t)
	for _, x := range []struct {
		err    error
		code   string
		status int
	}{
		{ErrFeed, "feed", http.StatusNotFound},
		{ErrFeedOff, "feed-off", http.StatusConflict},
		{ErrFeedDirection, "feed-direction", http.StatusConflict},
		{ErrFeedPatient, "feed-patient", http.StatusUnprocessableEntity},
		{ErrFeedResource, "feed-resource", http.StatusNotFound},
		{ErrFeedEvent, "feed-event", http.StatusUnprocessableEntity},
		{ErrFeedWithheld, "feed-withheld", http.StatusUnprocessableEntity},
		{feed.ErrUnknown, "feed-message", http.StatusNotFound},
		{feed.ErrFailed, "feed-failed", http.StatusServiceUnavailable},
		{mllp.ErrContent, "feed-content", http.StatusUnprocessableEntity},
		{&feed.Rejection{Code: "feed-ambiguous"}, "feed-ambiguous", http.StatusUnprocessableEntity},
		{&hl7.Error{Code: hl7.CodeRequired, Segment: "PID", Field: 3}, "hl7-required", http.StatusUnprocessableEntity},
		{errors.New("a value of a message"), "internal", http.StatusInternalServerError},
	} {
		p := g.problemOf(t.Context(), fmt.Errorf("around: %w", x.err))
		if p.Code != x.code || p.Status != x.status || strings.Contains(p.Text, "value of") {
			t.Errorf("%v: got %s %d %q, want %s %d", x.err, p.Code, p.Status, p.Text, x.code, x.status)
		}
	}
}

func TestWithoutFeedsTheirRoutesSayThatThereAreNone(t *testing.T) {
	g := bare(t)
	h := g.routes()
	for pattern, want := range map[string]int{
		"GET /v1/feeds": http.StatusOK, "GET /v1/feeds/{name}/letters": http.StatusNotFound, "POST /v1/feeds/{name}/send": http.StatusNotFound,
		"GET /v1/feeds/{name}/lost":                http.StatusNotFound,
		"DELETE /v1/feeds/{name}/letters/{number}": http.StatusNotFound, "POST /v1/feeds/{name}/messages/{number}/aside": http.StatusNotFound,
	} {
		r := request(pattern, nil)
		r.Header.Set("Authorization", "Bearer "+g.Token)
		if status, p := answerOf(t, h, r); status != want {
			t.Errorf("%s: got %d %q, want %d", pattern, status, p.Code, want)
		}
	}
}
