// Package peer is the link between members: HTTP/2 over TLS 1.3 in which both
// sides show a self-signed Ed25519 certificate and the key alone is the identity,
// as the ledger's governance rows register it. Bodies are canonical CBOR.
//
// Contract: a handler runs only for an active member, with its account; requests
// over the size limit are refused before they are read; a handler's *tx.Refusal
// crosses the wire with its code, any other error becomes "internal" without its
// text. It must never log a body, and never decide anything about a record.
package peer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"salus/ledger/tx"
)

// Limits bound what a member may ask of another.
type Limits struct {
	// Body is the largest CBOR request in bytes; Stream the largest upload.
	Body, Stream int64
	// Concurrent is the number of requests served at once; more wait in the kernel's queue.
	Concurrent int
}

// DefaultLimits fit a batch of 1,024 records for 31 custodians.
var DefaultLimits = Limits{Body: 8 << 20, Stream: 256 << 20, Concurrent: 256}

// A Request is one call from another member.
type Request struct {
	// From is the calling member, proven by its TLS key.
	From tx.Account
	// Body is the request's CBOR; Decode reads it.
	Body []byte
	// Upload is the body of a streaming request, at most Limits.Stream bytes; Size its declared length.
	Upload io.Reader
	Size   int64
	// Arg is the last element of a streaming request's path.
	Arg string
}

// Decode reads the request's body strictly.
func (r *Request) Decode(v any) error { return decode(r.Body, v) }

// Server serves the members' calls.
type Server struct {
	id     *Identity
	dir    Directory
	log    *slog.Logger
	limits Limits
	slots  chan struct{}
	mux    *http.ServeMux
	http   *http.Server
}

// NewServer makes a server without routes.
func NewServer(id *Identity, dir Directory, log *slog.Logger, limits Limits) *Server {
	s := &Server{id: id, dir: dir, log: log, limits: limits, slots: make(chan struct{}, limits.Concurrent), mux: http.NewServeMux()}
	s.http = &http.Server{
		Handler: s.mux, TLSConfig: id.serverTLS(dir), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// Handle serves calls of path, e.g. "custody/release": CBOR in, CBOR out.
func (s *Server) Handle(path string, h func(context.Context, *Request) (any, error)) {
	s.mux.HandleFunc("POST /"+path, func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, func(from tx.Account) {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.limits.Body))
			if err != nil {
				s.fail(w, r, errTooLarge)
				return
			}
			answer, err := h(r.Context(), &Request{From: from, Body: body})
			if err != nil {
				s.fail(w, r, err)
				return
			}
			b, err := tx.Encode(answer)
			if err != nil {
				s.fail(w, r, err)
				return
			}
			w.Header().Set("Content-Type", "application/cbor")
			_, _ = w.Write(b) // the caller sees a short body; nothing to undo here
		})
	})
}

// HandleUpload serves uploads to path/<arg>.
func (s *Server) HandleUpload(path string, h func(context.Context, *Request) error) {
	s.mux.HandleFunc("PUT /"+path+"/{arg}", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, func(from tx.Account) {
			if r.ContentLength < 0 || r.ContentLength > s.limits.Stream {
				s.fail(w, r, errTooLarge)
				return
			}
			req := &Request{From: from, Upload: http.MaxBytesReader(w, r.Body, s.limits.Stream), Size: r.ContentLength, Arg: r.PathValue("arg")}
			if err := h(r.Context(), req); err != nil {
				s.fail(w, r, err)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	})
}

// HandleDownload serves path/<arg> as a stream of known size.
func (s *Server) HandleDownload(path string, h func(context.Context, *Request) (io.ReadCloser, int64, error)) {
	s.mux.HandleFunc("GET /"+path+"/{arg}", func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, func(from tx.Account) {
			body, size, err := h(r.Context(), &Request{From: from, Arg: r.PathValue("arg")})
			if err != nil {
				s.fail(w, r, err)
				return
			}
			defer body.Close()
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
			_, _ = io.Copy(w, body) // the caller sees a short body
		})
	})
}

// serve finds out who calls and bounds how many calls run at once.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, f func(tx.Account)) {
	key, err := keyOf(*r.TLS)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	// Asked again per call: a member expelled while connected is out at once.
	from, ok := s.dir.ByKey(key)
	if !ok {
		s.fail(w, r, errNotMember)
		return
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
		f(from)
	case <-r.Context().Done():
	}
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	var refusal *tx.Refusal
	if !errors.As(err, &refusal) {
		s.log.ErrorContext(r.Context(), "peer_call_failed", "path", r.Pattern, "err", err)
		refusal = errInternal
	}
	b, err := tx.Encode(fault{Code: refusal.Code, Text: refusal.Text})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/cbor")
	w.WriteHeader(http.StatusUnprocessableEntity)
	_, _ = w.Write(b)
}

// Serve answers on ln until Shutdown.
func (s *Server) Serve(ln net.Listener) error {
	err := s.http.ServeTLS(ln, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops accepting and waits for running calls until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }
