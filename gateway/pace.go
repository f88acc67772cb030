package gateway

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// A pace is what a client must keep up with, so that those who never finish hold nothing: a body
// has grace and then a second for each rate bytes, counted only while the server waits for it; an
// answer goes in pieces, and each piece within grace.
type pace struct {
	grace time.Duration
	rate  int64 // bytes a second
}

// ordinary is the pace of the gateway's listener. A phone on a bad network keeps it.
var ordinary = pace{grace: 20 * time.Second, rate: 1 << 10}

// unread is how much of a body that nobody read is read after the answer, as net/http does only where
// the connection stays.
const unread = 256 << 10

// piece is how much of an answer has grace for itself.
const piece = 64 << 10

func (p pace) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.SetWriteDeadline(time.Time{}) // the last request's on this connection
		if r.Body != nil && r.Body != http.NoBody {
			// Also of what no handler reads: the server itself throws it away before it answers.
			_ = rc.SetReadDeadline(time.Now().Add(p.grace))
			r.Body = &pacedBody{ReadCloser: r.Body, rc: rc, pace: p}
		}
		next.ServeHTTP(&pacedWriter{w, rc, p}, r)
		if r.Body != nil && r.Header.Get("Upgrade") == "" && r.Header.Get("Expect") == "" {
			// A connection that is closed while something is unread takes the answer with it.
			_, _ = io.CopyN(io.Discard, r.Body, unread) // what comes is of no interest
		}
		_ = rc.SetWriteDeadline(time.Now().Add(p.grace)) // for what is still in a buffer
	})
}

// A pacedBody is a request's body that must not come too slowly.
type pacedBody struct {
	io.ReadCloser
	rc *http.ResponseController
	pace
	read   int64
	waited time.Duration
}

// Read implements io.Reader.
func (b *pacedBody) Read(to []byte) (int, error) {
	began := time.Now()
	_ = b.rc.SetReadDeadline(began.Add(b.grace + time.Duration(b.read/b.rate)*time.Second - b.waited))
	n, err := b.ReadCloser.Read(to)
	b.read, b.waited = b.read+int64(n), b.waited+time.Since(began)
	if errors.Is(err, io.EOF) {
		_ = b.rc.SetReadDeadline(time.Time{}) // the server now only looks whether the client is there
	}
	return n, err
}

// A pacedWriter is an answer that must not be taken too slowly.
type pacedWriter struct {
	http.ResponseWriter
	rc *http.ResponseController
	pace
}

// Write implements io.Writer.
func (w *pacedWriter) Write(b []byte) (n int, err error) {
	for {
		part := b[:min(len(b), piece)]
		_ = w.rc.SetWriteDeadline(time.Now().Add(w.grace))
		k, err := w.ResponseWriter.Write(part)
		n += k
		if b = b[len(part):]; err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// FlushError is for http.ResponseController.
func (w *pacedWriter) FlushError() error {
	_ = w.rc.SetWriteDeadline(time.Now().Add(w.grace))
	return w.rc.Flush()
}

// Unwrap is for http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
