package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"salus/fhir"
	"salus/fhir/element"
	"salus/fhir/fhirxml"
)

// InXML lets next, which speaks FHIR's JSON, be spoken to in XML too (R4 2.6.1): a body of it comes to next as JSON, and an answer that is FHIR's JSON
// goes to who asks for XML in that. A body is read, of at most so many bytes, when next reads it: after it has seen who asks. What
// next answers in another form goes as it is.
//
// A resource that XML cannot say is not left out: who reads gets 406; who writes gets the answer in JSON, since it is done.
func InXML(m *element.Model, limit int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !namesXML(r) {
			next.ServeHTTP(w, r)
			return
		}
		if f, err := media(r.Header.Get("Content-Type")); err == nil && f == XML && r.Body != nil {
			r = r.Clone(r.Context())
			r.Body = &fromXML{Closer: r.Body, model: m, src: r.Body, limit: limit}
			r.ContentLength = -1
			r.Header.Del("Content-Length")
			r.Header.Set("Content-Type", typeJSON)
		}
		query, err := pairs(r.URL.RawQuery)
		if err != nil {
			next.ServeHTTP(w, r)
			return
		}
		if f, err := asked(query, r.Header.Get("Accept"), []Format{JSON, XML}); err != nil || f != XML {
			next.ServeHTTP(w, r)
			return
		}
		x := &toXML{ResponseWriter: w, model: m, reads: r.Method == http.MethodGet || r.Method == http.MethodHead}
		for _, p := range query {
			x.pretty = x.pretty || p.Name == "_pretty" && p.Value == "true"
		}
		next.ServeHTTP(x, r)
		x.end()
	})
}

// namesXML reports whether XML may be meant: without what it takes to know that it is.
func namesXML(r *http.Request) bool {
	for _, s := range []string{r.Header.Get("Content-Type"), r.Header.Get("Accept"), r.URL.RawQuery} {
		if strings.Contains(strings.ToLower(s), "xml") {
			return true
		}
	}
	return strings.Contains(r.URL.RawQuery, "%")
}

// fromXML is a body in XML that reads as JSON.
type fromXML struct {
	io.Closer

	model *element.Model
	src   io.Reader
	limit int64
	out   *bytes.Reader
	err   error
}

// Read implements io.Reader. Errors: errTooLarge, errBody, *fhir.Issue.
func (b *fromXML) Read(p []byte) (int, error) {
	if b.out == nil && b.err == nil {
		b.err = b.read()
	}
	if b.err != nil {
		return 0, b.err
	}
	return b.out.Read(p)
}

func (b *fromXML) read() error {
	src, err := io.ReadAll(io.LimitReader(b.src, b.limit+1))
	switch {
	case int64(len(src)) > b.limit:
		return errTooLarge
	case err != nil:
		return errBody
	case len(bytes.TrimSpace(src)) == 0: // an operation may do without
		b.out = bytes.NewReader(nil)
		return nil
	}
	j, err := fhirxml.ToJSON(b.model, src)
	if err != nil {
		return err
	}
	b.out = bytes.NewReader(j)
	return nil
}

// unread is why a body could not be read: what its form is said, or that it did not come to its end.
func unread(err error) error {
	if errors.As(err, new(*Fault)) || errors.As(err, new(*fhir.Issue)) {
		return err
	}
	return errBody
}

// toXML keeps an answer that is FHIR's JSON until it is complete.
type toXML struct {
	http.ResponseWriter

	model         *element.Model
	reads, pretty bool
	status        int // 0: nothing is decided yet
	keeps         bool
	body          bytes.Buffer
}

// Unwrap is for http.ResponseController.
func (x *toXML) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (x *toXML) WriteHeader(status int) {
	if status < http.StatusOK {
		x.ResponseWriter.WriteHeader(status)
		return
	}
	if x.status != 0 {
		return
	}
	x.status = status
	typ, _, err := mime.ParseMediaType(x.Header().Get("Content-Type"))
	if x.keeps = err == nil && typ == typeJSON; !x.keeps {
		x.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (x *toXML) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.WriteHeader(http.StatusOK)
	}
	if x.keeps {
		return x.body.Write(b)
	}
	return x.ResponseWriter.Write(b)
}

// end sends what was kept.
func (x *toXML) end() {
	if !x.keeps {
		return
	}
	h := x.Header()
	if x.body.Len() == 0 { // of HEAD, whose answer's length in XML nobody knows
		h.Del("Content-Length")
		h.Set("Content-Type", typeXML+"; charset=utf-8")
		x.ResponseWriter.WriteHeader(x.status)
		return
	}
	body, err := fhirxml.ToXML(x.model, x.body.Bytes(), x.pretty)
	var unsaid *fhir.Issue
	if errors.As(err, &unsaid) && x.reads && x.status == http.StatusOK {
		x.status = http.StatusNotAcceptable
		for _, name := range []string{"ETag", "Last-Modified", "Content-Location"} {
			h.Del(name)
		}
		body, err = fhirxml.ToXML(x.model, outcomeOf([]Issue{{Type: "not-supported", Code: unsaid.Code, Text: unsaid.Text, Expression: unsaid.Expression}}), x.pretty)
	}
	if err != nil {
		body = x.body.Bytes()
	} else {
		h.Set("Content-Type", typeXML+"; charset=utf-8")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.ResponseWriter.WriteHeader(x.status)
	_, _ = x.ResponseWriter.Write(body) // the client has gone: nobody to tell
}
