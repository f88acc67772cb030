package rest

import (
	"testing"
	"time"
)

// TestConditionsOfARequestHold goes through RFC 9110, 13.1: what a condition rules out is not done.
func TestConditionsOfARequestHold(t *testing.T) {
	w := newWorld(t)
	const a, body = "/Patient/a", `{"resourceType":"Patient","id":"a","gender":"male"}`
	never, now := "If-Unmodified-Since: Mon, 01 Jan 2001 00:00:00 GMT", "If-Unmodified-Since: "+time.Now().UTC().Add(time.Hour).Format("Mon, 02 Jan 2006 15:04:05 GMT")
	jsonPatch := "Content-Type: application/json-patch+json"

	w.refused(412, "rest-version", "PUT "+a, body, "If-Match: *")
	w.refused(412, "rest-version", "PUT "+a, body, `If-Match: W/"1", W/"2"`)
	w.want(404, "GET "+a, "")
	w.want(201, "PUT "+a, body, "If-None-Match: *", never)

	w.refused(412, "rest-exists", "PUT "+a, body, "If-None-Match: *")
	w.refused(412, "rest-exists", "PUT "+a, body, `If-None-Match: W/"7", "1"`)
	w.refused(412, "rest-exists", "PATCH "+a, `[]`, jsonPatch, `If-None-Match: W/"1"`)
	w.refused(412, "rest-exists", "DELETE "+a, "", "If-None-Match: *")
	w.refused(412, "rest-exists", "PUT /Patient?gender=male", `{"resourceType":"Patient"}`, "If-None-Match: *")
	w.refused(412, "rest-version", "PUT "+a, body, `If-Match: W/"2",W/"3"`)
	w.refused(412, "rest-version", "PATCH "+a, `[]`, jsonPatch, `If-Match: W/"2",W/"3"`)
	w.refused(412, "rest-version", "DELETE "+a, "", `If-Match: W/"2",W/"3"`)
	w.refused(412, "rest-version", "PUT "+a, body, never)
	w.refused(412, "rest-version", "PATCH "+a, `[]`, jsonPatch, never)
	w.refused(412, "rest-version", "DELETE "+a, "", never)
	w.refused(412, "rest-version", "GET "+a, "", `If-Match: W/"2"`)
	w.refused(412, "rest-version", "GET "+a, "", never)
	if got := w.want(200, "GET "+a, ""); got.Header.Get("ETag") != `W/"1"` {
		t.Fatalf("got version %s, want the first: nothing of these was to be done", got.Header.Get("ETag"))
	}

	w.want(200, "GET "+a, "", `If-Match: W/"1"`, now)
	w.want(200, "PUT "+a, body, "If-Match: *", never) // If-Match is what counts then
	w.want(200, "PUT "+a, body, `If-Match: "1", "2"`)
	w.want(200, "PUT "+a, body, `If-None-Match: W/"1"`, now)
	w.want(200, "PUT "+a, body, "If-Unmodified-Since: yesterday")
	w.want(200, "PATCH "+a, `[{"op":"replace","path":"/gender","value":"other"}]`, jsonPatch, "If-Match: *")
	w.want(201, "POST /Patient", body, "If-None-Match: *", "If-Match: *")
	w.want(204, "DELETE "+a, "", "If-Match: *")
	w.want(204, "DELETE "+a, "", "If-Match: *") // as it was to be
	w.want(201, "PUT "+a, body, "If-None-Match: *")
}

// TestConditionsOfEntriesHold is the same in Bundles: of a transaction nothing is done.
func TestConditionsOfEntriesHold(t *testing.T) {
	w := newWorld(t)
	put := func(id, condition string) string {
		return `{"resource":{"resourceType":"Patient","id":"` + id + `"},"request":{"method":"PUT","url":"Patient/` + id + `"` + condition + `}}`
	}
	bundle := func(typ, a, b string) string {
		return `{"resourceType":"Bundle","type":"` + typ + `","entry":[` + a + `,` + b + `]}`
	}
	w.want(200, "POST /", bundle("transaction", put("a", `,"ifNoneMatch":"*"`), put("b", `,"ifNoneMatch":"*"`)))
	w.refused(412, "rest-exists", "POST /", bundle("transaction", put("c", ""), put("a", `,"ifNoneMatch":"*"`)))
	w.refused(412, "rest-version", "POST /", bundle("transaction", put("c", `,"ifMatch":"*"`), put("a", "")))
	w.want(404, "GET /Patient/c", "")
	w.want(200, "POST /", bundle("transaction", put("c", ""), put("a", `,"ifMatch":"*"`)))
	s := w.want(200, "POST /", bundle("batch", put("b", `,"ifNoneMatch":"*"`), put("d", `,"ifNoneMatch":"*"`))).set(t)
	if s.Entry[0].Response.Status[:3] != "412" || s.Entry[1].Response.Status[:3] != "201" {
		t.Errorf("got %s and %s, want 412 and 201", s.Entry[0].Response.Status, s.Entry[1].Response.Status)
	}
}
