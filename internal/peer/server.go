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
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"salus/internal/mistake"
	"salus/ledger/tx"
)

// Limits bound what a member may ask of another.
type Limits struct {
	// Body is the largest CBOR request in bytes; Stream the largest upload.
	Body, Stream int64
	// Concurrent is the number of requests served at once, PerMember how many of them may be
	// of one member; the others wait.
	Concurrent, PerMember int
	// BodyTime bounds how long a CBOR request may take to arrive, StreamTime an upload or
	// a download. A member that trickles bytes must not hold a place for ever.
	BodyTime, StreamTime time.Duration
}

// DefaultLimits fit a batch of 1,024 records for 31 custodians.
var DefaultLimits = Limits{
	Body: 8 << 20, Stream: 256 << 20, Concurrent: 256, PerMember: 64, BodyTime: 30 * time.Second, StreamTime: 10 * time.Minute,
}

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

	mu     sync.Mutex                   // guards shares
	shares map[tx.Account]chan struct{} // each member's part of the slots
}

// NewServer makes a server without routes.
func NewServer(id *Identity, dir Directory, log *slog.Logger, limits Limits) *Server {
	s := &Server{id: id, dir: dir, log: log, limits: limits, slots: make(chan struct{}, limits.Concurrent), mux: http.NewServeMux(), shares: map[tx.Account]chan struct{}{}}
	s.http = &http.Server{
		Handler: s.mux, TLSConfig: id.serverTLS(dir), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Minute,
		MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// Handle serves calls of path, e.g. "custody/release": CBOR in, CBOR out.
func (s *Server) Handle(path string, h func(context.Context, *Request) (any, error)) {
	s.mux.HandleFunc("POST /"+path, func(w http.ResponseWriter, r *http.Request) {
		s.serve(w, r, s.limits.BodyTime, func(from tx.Account) {
			body, err := s.body(w, r)
			if err != nil {
				s.fail(w, r, err)
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
		s.serve(w, r, s.limits.StreamTime, func(from tx.Account) {
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
		s.serve(w, r, s.limits.StreamTime, func(from tx.Account) {
			body, size, err := h(r.Context(), &Request{From: from, Arg: r.PathValue("arg")})
			if err != nil {
				s.fail(w, r, err)
				return
			}
			defer body.Close()
			defer func() {
				if recover() != nil { // too late for an answer: the caller must see it break off
					panic(http.ErrAbortHandler)
				}
			}()
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
			_, _ = io.Copy(w, body) // the caller sees a short body
		})
	})
}

// body reads a CBOR request; one that is declared too large is refused unread.
func (s *Server) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > s.limits.Body {
		return nil, errTooLarge
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.limits.Body))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, errTooLarge
	case err != nil:
		return nil, errEncoding // the caller went away or was too slow
	}
	return b, nil
}

// serve finds out who calls, bounds how many calls run at once and how long each may hold
// its place on the wire, and survives a handler that panics.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, limit time.Duration, f func(tx.Account)) {
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
	leave, ok := s.enter(r.Context(), from)
	if !ok {
		return
	}
	defer leave()
	until, conn := time.Now().Add(limit), http.NewResponseController(w)
	if err := errors.Join(conn.SetReadDeadline(until), conn.SetWriteDeadline(until.Add(limit))); err != nil {
		s.fail(w, r, err)
		return
	}
	defer func() {
		p := recover()
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(p)
		} else if p != nil {
			// Its type and where it happened, no more: values may quote what it choked on.
			s.log.ErrorContext(r.Context(), "peer_call_panicked", "path", r.Pattern, "type", fmt.Sprintf("%T", p), "at", mistake.At())
			s.fail(w, r, errInternal)
		}
	}()
	f(from)
}

// enter waits for a place of the member's own share, then for one of all; false means that
// the caller went away.
func (s *Server) enter(ctx context.Context, from tx.Account) (leave func(), ok bool) {
	s.mu.Lock()
	share := s.shares[from]
	if share == nil { // at most one for each member that ever was
		share = make(chan struct{}, s.limits.PerMember)
		s.shares[from] = share
	}
	s.mu.Unlock()
	for _, places := range []chan struct{}{share, s.slots} {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			if places == s.slots {
				<-share
			}
			return nil, false
		}
	}
	return func() { <-s.slots; <-share }, true
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
