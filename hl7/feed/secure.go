package feed

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

const (
	handshakeTime = 10 * time.Second
	handshakes    = 64 // at once; more connections are closed
)

// A secured listener accepts connections whose TLS handshake is done: who has no certificate takes
// no place of a sender, and does not keep one longer than a handshake may take.
type secured struct {
	net.Listener
	conf   *tls.Config
	ready  chan net.Conn
	places chan struct{}
	life   context.Context //nolint:containedctx // of handshakes: ends at Close
	end    context.CancelFunc
	work   sync.WaitGroup

	failed chan struct{} // closed after err is set
	err    error
}

func handshaken(ln net.Listener, conf *tls.Config) *secured {
	s := &secured{Listener: ln, conf: conf, ready: make(chan net.Conn), places: make(chan struct{}, handshakes), failed: make(chan struct{})}
	s.life, s.end = context.WithCancel(context.Background())
	s.work.Go(s.run)
	return s
}

func (s *secured) run() {
	defer close(s.failed)
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			s.err = err
			return
		}
		select {
		case s.places <- struct{}{}:
			s.work.Go(func() { s.shake(c) })
		default:
			_ = c.Close()
		}
	}
}

func (s *secured) shake(c net.Conn) {
	ctx, cancel := context.WithTimeout(s.life, handshakeTime)
	defer cancel()
	t := tls.Server(c, s.conf)
	err := t.HandshakeContext(ctx)
	<-s.places
	if err != nil {
		_ = c.Close()
		return
	}
	select {
	case s.ready <- t:
	case <-s.life.Done():
		_ = t.Close()
	}
}

// Accept implements net.Listener.
func (s *secured) Accept() (net.Conn, error) {
	select {
	case c := <-s.ready:
		return c, nil
	case <-s.failed:
		return nil, s.err
	}
}

// Close implements net.Listener.
func (s *secured) Close() error {
	err := s.Listener.Close()
	s.end()
	return err
}

// wait returns when nothing of it runs any more; after Close.
func (s *secured) wait() { s.work.Wait() }
