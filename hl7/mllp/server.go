package mllp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// A Handler answers a message: the bytes of an acknowledgement, returned only when
// everything that it acknowledges is durable. With an error (it could not be
// made durable) nothing is answered and the connection is closed. nil bytes
// without an error: nothing is to be answered (MSH-15 NE).
//
// It is called for one message of a connection at a time, for connections in parallel.
type Handler func(ctx context.Context, msg []byte) ([]byte, error)

// Limits of a server. Each number must be positive.
type Limits struct {
	Connections int           // open at once; more are closed at once
	Message     int           // bytes
	Idle        time.Duration // without a message, before the connection is closed
	Read        time.Duration // from the start block to the end block
	Write       time.Duration // for an answer

	// Large answers a message over the limit, of which it gets the first Head bytes, when the rest has been passed over.
	// nil: the connection is closed.
	Large Handler
}

// A Server answers messages on the connections of a listener.
type Server struct {
	handler Handler
	limits  Limits

	mu     sync.Mutex
	conns  map[net.Conn]bool // true: a message is in work
	closed bool
	ln     net.Listener
	done   sync.WaitGroup
}

// ErrClosed is what Serve returns after Shutdown.
var ErrClosed = errors.New("mllp: server closed")

// NewServer makes a server. The error names a limit that is not positive.
func NewServer(h Handler, l Limits) (*Server, error) {
	if h == nil || l.Connections <= 0 || l.Message <= 0 || l.Idle <= 0 || l.Read <= 0 || l.Write <= 0 {
		return nil, errors.New("mllp: server needs a handler and positive limits")
	}
	return &Server{handler: h, limits: l, conns: map[net.Conn]bool{}}, nil
}

// Serve accepts connections until ctx ends, the listener fails or Shutdown is
// called. It closes the listener. It is called once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	s.mu.Lock()
	if s.closed || s.ln != nil {
		s.mu.Unlock()
		_ = ln.Close()
		return ErrClosed
	}
	s.ln = ln
	s.mu.Unlock()
	stop := context.AfterFunc(ctx, func() { s.stop(true) })
	defer stop()
	for {
		c, err := ln.Accept()
		if err != nil {
			s.mu.Lock()
			closed := s.closed
			s.mu.Unlock()
			if closed {
				return ErrClosed
			}
			s.stop(false)
			return err
		}
		s.mu.Lock()
		if s.closed || len(s.conns) >= s.limits.Connections {
			s.mu.Unlock()
			_ = c.Close()
			continue
		}
		s.conns[c] = false
		s.done.Add(1)
		s.mu.Unlock()
		go s.serve(ctx, c)
	}
}

func (s *Server) serve(ctx context.Context, c net.Conn) {
	defer s.done.Done()
	defer func() {
		_ = c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	d := &deadlines{c: c, idle: s.limits.Idle, read: s.limits.Read}
	r := NewReader(d, s.limits.Message)
	for {
		d.reset()
		handle := s.handler
		msg, err := r.Next()
		if errors.Is(err, ErrTooLarge) && s.limits.Large != nil {
			handle, err = s.limits.Large, r.Skip()
		}
		if err != nil || !s.working(c, true) {
			return
		}
		answer, err := handle(ctx, msg)
		if err != nil {
			return
		}
		if answer != nil {
			if c.SetWriteDeadline(time.Now().Add(s.limits.Write)) != nil || Write(c, answer) != nil {
				return
			}
		}
		if !s.working(c, false) {
			return
		}
	}
}

// working marks a connection; false once the server is closed. A message that was
// read but not begun when the server closed is not begun: its sender sends again.
func (s *Server) working(c net.Conn, on bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = on
	return !s.closed
}

// deadlines gives the first byte of a message the idle time and, from then on, all
// of it the read time, so that a sender cannot hold a connection byte by byte.
type deadlines struct {
	c          net.Conn
	idle, read time.Duration
	begun      bool
}

func (d *deadlines) reset() {
	d.begun = false
	_ = d.c.SetReadDeadline(time.Now().Add(d.idle))
}

func (d *deadlines) Read(p []byte) (int, error) {
	n, err := d.c.Read(p)
	if !d.begun && bytes.IndexByte(p[:n], startBlock) >= 0 {
		d.begun = true
		_ = d.c.SetReadDeadline(time.Now().Add(d.read))
	}
	return n, err
}

// stop closes the listener and the connections; those in work too if all.
func (s *Server) stop(all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.ln != nil {
		_ = s.ln.Close()
	}
	for c, busy := range s.conns {
		if all || !busy {
			_ = c.Close()
		}
	}
}

// Shutdown stops accepting, closes connections that wait, lets messages in work
// be answered, and returns when all is closed. When ctx ends first the rest is cut
// off and the error is ctx's.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop(false)
	done := make(chan struct{})
	go func() { s.done.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		s.stop(true)
		return ctx.Err()
	}
}
