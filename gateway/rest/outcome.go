package rest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
)

// A Fault is an error as the caller sees it.
type Fault struct {
	Status int
	Issues []Issue
}

// An Issue is one issue of an OperationOutcome (R4 2.28).
type Issue struct {
	Severity   string // of issue-severity; "error" if empty
	Type       string // of issue-type
	Code       string // this server's stable code
	Text       string // a sentence that helps
	Expression string // FHIRPath of the place, or ""
}

// Error returns the first issue's code and sentence.
func (f *Fault) Error() string {
	if len(f.Issues) == 0 {
		return "rest: " + http.StatusText(f.Status)
	}
	return "rest: " + f.Issues[0].Code + ": " + f.Issues[0].Text
}

func fault(status int, typ, code, text string) *Fault {
	return &Fault{Status: status, Issues: []Issue{{Type: typ, Code: code, Text: text}}}
}

// at says where.
func (f *Fault) at(expression string) *Fault {
	g := *f
	g.Issues = append([]Issue{}, f.Issues...)
	for i := range g.Issues {
		if e := g.Issues[i].Expression; e != "" {
			g.Issues[i].Expression = expression + "." + e
		} else {
			g.Issues[i].Expression = expression
		}
	}
	return &g
}

// The faults of this package. Their codes are stable.
var (
	errNotFound     = fault(http.StatusNotFound, "not-found", "rest-not-found", "there is no such resource or version")
	errGone         = fault(http.StatusGone, "deleted", "rest-gone", "the resource is deleted; its history is still there")
	errNoRoute      = fault(http.StatusNotFound, "not-supported", "rest-no-route", "this server has nothing at that address")
	errMethod       = fault(http.StatusMethodNotAllowed, "not-supported", "rest-method", "this method is not served at that address")
	errType         = fault(http.StatusNotFound, "not-supported", "rest-type", "this is no resource type of FHIR R4")
	errBadID        = fault(http.StatusBadRequest, "value", "rest-id", "an id has 1 to 64 letters, digits, '-' and '.'")
	errOtherType    = fault(http.StatusBadRequest, "invalid", "rest-other-type", "the resource is of another type than the address")
	errMoved        = fault(http.StatusUnprocessableEntity, "business-rule", "rest-moved", "a resource does not change whose it is: delete it and create it for the other patient")
	errOtherID      = fault(http.StatusBadRequest, "invalid", "rest-other-id", "the resource's id is not the one in the address")
	errMeta         = fault(http.StatusBadRequest, "structure", "rest-meta", "meta is an object").at("meta")
	errMedia        = fault(http.StatusUnsupportedMediaType, "not-supported", "rest-media-type", "send a resource as application/fhir+json or application/fhir+xml, in UTF-8")
	errAccept       = fault(http.StatusNotAcceptable, "not-supported", "rest-accept", "this server answers with application/fhir+json or application/fhir+xml")
	errFormat       = fault(http.StatusNotAcceptable, "not-supported", "rest-format", "_format is json or xml, or one of their media types")
	errTooLarge     = fault(http.StatusRequestEntityTooLarge, "too-long", "rest-too-large", "the body is larger than this server takes")
	errBody         = fault(http.StatusBadRequest, "incomplete", "rest-body", "the body could not be read to its end")
	errVersion      = fault(http.StatusPreconditionFailed, "conflict", "rest-version", "the resource is at another version; read it and try again")
	errExists       = fault(http.StatusPreconditionFailed, "conflict", "rest-exists", "the resource is there, at a version that If-None-Match rules out")
	errConflict     = fault(http.StatusConflict, "conflict", "rest-conflict", "somebody else changed the resource at the same time; try again")
	errIfMatch      = fault(http.StatusBadRequest, "value", "rest-if-match", `If-Match is a version as in W/"3", several with commas, or *`)
	errMultiple     = fault(http.StatusPreconditionFailed, "multiple-matches", "rest-multiple-matches", "the condition matches several resources")
	errNoCondition  = fault(http.StatusPreconditionFailed, "required", "rest-no-condition", "a condition needs at least one search parameter")
	errCondition    = fault(http.StatusBadRequest, "invalid", "rest-condition", "a condition has search parameters only, no paging, sorting or including")
	errCursor       = fault(http.StatusGone, "expired", "rest-cursor", "this page is no longer there; search again")
	errSince        = fault(http.StatusBadRequest, "value", "rest-since", "_since is an instant as in 2024-01-01T00:00:00Z")
	errCount        = fault(http.StatusBadRequest, "value", "rest-count", "_count is a number from 1")
	errPatchType    = fault(http.StatusUnsupportedMediaType, "not-supported", "rest-patch-type", "send application/json-patch+json, or a FHIRPath Patch as application/fhir+json")
	errPatch        = fault(http.StatusBadRequest, "invalid", "rest-patch", "the patch is not a JSON Patch (RFC 6902)")
	errPathPatch    = fault(http.StatusBadRequest, "invalid", "rest-patch", "a FHIRPath Patch is a Parameters resource")
	errPatchFails   = fault(http.StatusUnprocessableEntity, "processing", "rest-patch-fails", "the patch does not apply to the resource as it is")
	errPatchID      = fault(http.StatusUnprocessableEntity, "business-rule", "rest-patch-id", "a patch changes neither resourceType nor id")
	errBundle       = fault(http.StatusBadRequest, "invalid", "rest-bundle", "send a Bundle of type batch or transaction")
	errBundleSize   = fault(http.StatusRequestEntityTooLarge, "too-costly", "rest-bundle-size", "the Bundle has more entries than this server takes at once")
	errEntry        = fault(http.StatusBadRequest, "invalid", "rest-entry", "an entry has a request with method and url, and a resource where the method needs one")
	errEntryTwice   = fault(http.StatusBadRequest, "duplicate", "rest-entry-twice", "a transaction has two entries for one resource")
	errReference    = fault(http.StatusBadRequest, "not-found", "rest-reference", "a reference inside the transaction leads nowhere, or a condition to none or several")
	errForbidden    = fault(http.StatusForbidden, "forbidden", "rest-forbidden", "the caller may not do this")
	errUnauthorized = fault(http.StatusUnauthorized, "login", "rest-login", "the caller is not known; send a token")
	errBusy         = fault(http.StatusServiceUnavailable, "transient", "rest-stopping", "the server is stopping; try again")
	errHungUp       = fault(http.StatusBadRequest, "incomplete", "rest-hung-up", "the connection was closed before the answer; whether it was done can be read")
	errNoSpace      = fault(http.StatusInsufficientStorage, "no-store", "rest-no-space", "the disk of this organisation's node is almost full; nothing was written, and reading goes on")
	errEncoding     = fault(http.StatusUnsupportedMediaType, "not-supported", "rest-content-encoding", "send the body as it is, without a Content-Encoding")
	errInternal     = fault(http.StatusInternalServerError, "exception", "rest-internal", "the server failed; its log says why")
)

// ErrForbidden and ErrUnauthorized are what a Guard refuses with, ErrNoSpace is what Config.Room does. ErrExists is for
// what somebody serves beside.
var (
	ErrExists       error = errExists
	ErrNoSpace      error = errNoSpace
	ErrForbidden    error = errForbidden
	ErrUnauthorized error = errUnauthorized
)

// faultOf turns any error into what the caller sees. What it does not know is internal.
func faultOf(err error) *Fault {
	var f *Fault
	var fi *fhir.Issue
	var si *search.Issue
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &fi):
		return &Fault{Status: http.StatusBadRequest, Issues: []Issue{{Type: "structure", Code: fi.Code, Text: fi.Text, Expression: fi.Expression}}}
	case errors.As(err, &si):
		typ := "invalid"
		switch si.Code {
		case search.CodeNotSupported, search.CodeUnknownParam, search.CodeTerminology:
			typ = "not-supported"
		case search.CodeNoTerminology:
			typ = "not-found"
		case search.CodeTooCostly:
			typ = "too-costly"
		case search.CodeIndexing:
			typ = "transient"
		}
		return &Fault{Status: http.StatusBadRequest, Issues: []Issue{{Type: typ, Code: si.Code, Text: si.Text, Expression: si.Param}}}
	case errors.Is(err, store.ErrNotFound):
		return errNotFound
	case errors.Is(err, store.ErrGone):
		return errGone
	case errors.Is(err, store.ErrConflict):
		return errVersion
	case errors.Is(err, store.ErrExists):
		return errConflict
	case errors.Is(err, store.ErrCursor):
		return errCursor
	case errors.Is(err, context.Canceled):
		return errHungUp // at a shutdown, too: then the connection is cut before
	case errors.Is(err, store.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		return errBusy
	}
	return errInternal
}

type outcome struct {
	ResourceType string         `json:"resourceType"`
	Issue        []outcomeIssue `json:"issue"`
}

type outcomeIssue struct {
	Severity   string   `json:"severity"`
	Code       string   `json:"code"`
	Details    details  `json:"details"`
	Expression []string `json:"expression,omitempty"`
}

type details struct {
	Coding []coding `json:"coding"`
	Text   string   `json:"text"`
}

type coding struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

// codeSystem is that of this server's own codes.
const codeSystem = "urn:salus:code"

// outcomeOf is an OperationOutcome in JSON.
func outcomeOf(issues []Issue) []byte {
	o := outcome{ResourceType: "OperationOutcome"}
	for _, i := range issues {
		x := outcomeIssue{Severity: i.Severity, Code: i.Type, Details: details{Coding: []coding{{codeSystem, i.Code}}, Text: i.Text}}
		if x.Severity == "" {
			x.Severity = "error"
		}
		if i.Expression != "" {
			x.Expression = []string{i.Expression}
		}
		o.Issue = append(o.Issue, x)
	}
	b, err := json.Marshal(o)
	if err != nil {
		panic("rest: internal error: an outcome does not encode")
	}
	return b
}
