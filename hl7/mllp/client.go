package mllp

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"salus/hl7"
)

// ErrAnswer says that what came back does not answer the message that was sent:
// the connection is out of step.
var ErrAnswer = errors.New("mllp: the answer is not to the message sent")

// A Client sends messages over one connection, one at a time.
type Client struct {
	mu     sync.Mutex
	c      net.Conn
	r      *Reader
	broken bool
}

// NewClient takes over a connection. Answers are at most max bytes.
func NewClient(c net.Conn, max int) *Client { return &Client{c: c, r: NewReader(c, max)} }

// Close closes the connection.
func (c *Client) Close() error { return c.c.Close() }

// Send sends a message and returns its answer, whose MSA-2 must be the message's
// MSH-10 (else ErrAnswer). After any error but ErrContent the connection is closed:
// a late answer would be taken for the answer to the next message.
func (c *Client) Send(ctx context.Context, m *hl7.Message) (*hl7.Message, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken {
		return nil, net.ErrClosed
	}
	answer, err := c.exchange(ctx, m)
	if err != nil && !errors.Is(err, ErrContent) {
		c.broken = true
		_ = c.c.Close()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return answer, err
}

func (c *Client) exchange(ctx context.Context, m *hl7.Message) (*hl7.Message, error) {
	deadline, _ := ctx.Deadline() // the zero Time: none
	if err := c.c.SetDeadline(deadline); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := Write(c.c, m.Encode()); err != nil {
		return nil, err
	}
	raw, err := c.r.Next()
	if err != nil {
		return nil, err
	}
	a, err := hl7.Parse(raw)
	if err != nil {
		return nil, err
	}
	if string(a.Get("MSA-2").Raw()) != string(m.Get("MSH-10").Raw()) {
		return nil, ErrAnswer
	}
	return a, nil
}
