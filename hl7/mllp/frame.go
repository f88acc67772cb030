// Package mllp carries HL7 v2 messages over a byte stream (MLLP release 1:
// <VT> message <FS> <CR>), as server and as client, over connections that the
// caller opens (TCP or TLS).
//
// Its contract: one message of a connection is in work at a time; the next is not
// read before the answer to the last is written, so order holds and a slow
// handler holds the sender back. The Handler returns an answer only when its work
// is durable: what Serve writes is a promise that the sender acts on. A message
// whose handler returns an error is not answered, and the connection is closed:
// the sender sends again. Whether a message is new is the handler's to decide,
// with Feed, Identity and Decide.
//
// The package must never answer in the handler's place, keep a message, log
// content, or hold more of a message than the limits allow.
package mllp

import (
	"bufio"
	"errors"
	"io"
	"slices"
)

const (
	startBlock = 0x0B
	endBlock   = 0x1C
	carriage   = 0x0D
)

// Errors of a stream.
var (
	ErrTooLarge   = errors.New("mllp: message larger than the limit")
	ErrGarbage    = errors.New("mllp: more bytes between messages than the limit")
	ErrUnfinished = errors.New("mllp: stream ended within a message")
	ErrRestarted  = errors.New("mllp: new start block before the end block")
	ErrContent    = errors.New("mllp: message is empty or contains a block character")
)

// MaxGarbage bounds the bytes passed over between two messages.
const MaxGarbage = 4096

// Head is how many bytes there are at the most of a message that is over the limit: its first segment fits.
const Head = 4096

// A Reader reads framed messages. It is not safe for concurrent use.
type Reader struct {
	r   *bufio.Reader
	max int
}

// NewReader reads messages of at most max bytes from r.
func NewReader(r io.Reader, max int) *Reader { return &Reader{bufio.NewReader(r), max} }

// Next returns the next message without its frame; the slice is the caller's. At
// the end of the stream between messages the error is io.EOF. After any error
// the stream is out of step and must be closed, but after ErrTooLarge it may be brought
// into step by Skip: then there are the first Head bytes of the message.
//
// Bytes between messages are passed over (line ends are common there), up to
// MaxGarbage. The CR after the end block may be missing, as some senders leave it.
func (r *Reader) Next() ([]byte, error) {
	for skipped := 0; ; skipped++ {
		c, err := r.r.ReadByte()
		if err != nil {
			return nil, err
		}
		if c == startBlock {
			break
		}
		if skipped >= MaxGarbage {
			return nil, ErrGarbage
		}
	}
	var msg []byte
	for {
		if _, err := r.r.Peek(1); err != nil {
			if errors.Is(err, io.EOF) {
				err = ErrUnfinished
			}
			return nil, err
		}
		chunk, _ := r.r.Peek(r.r.Buffered())
		for i, c := range chunk {
			switch c {
			case startBlock:
				return nil, ErrRestarted
			case endBlock:
				if len(msg)+i > r.max {
					return head(msg, chunk[:i]), ErrTooLarge
				}
				msg = append(msg, chunk[:i]...)
				_, _ = r.r.Discard(i + 1)
				if len(msg) == 0 {
					return nil, ErrContent
				}
				return msg, nil // the CR is passed over before the next start block
			}
		}
		if len(msg)+len(chunk) > r.max {
			return head(msg, chunk), ErrTooLarge
		}
		msg = append(msg, chunk...)
		_, _ = r.r.Discard(len(chunk))
	}
}

func head(msg, chunk []byte) []byte {
	all := slices.Concat(msg[:min(len(msg), Head)], chunk[:min(len(chunk), Head)])
	return all[:min(len(all), Head)]
}

// Skip passes over the rest of a message that was too large, to its end block. It holds none of it; how much there may
// be is for the stream's deadline to bound. Errors: ErrUnfinished, ErrRestarted, or the stream's.
func (r *Reader) Skip() error {
	for {
		switch c, err := r.r.ReadByte(); {
		case errors.Is(err, io.EOF):
			return ErrUnfinished
		case err != nil:
			return err
		case c == startBlock:
			return ErrRestarted
		case c == endBlock:
			return nil
		}
	}
}

// Write writes one framed message in a single write. A message that contains a
// block character cannot be framed: ErrContent, and nothing is written.
func Write(w io.Writer, msg []byte) error {
	if len(msg) == 0 {
		return ErrContent
	}
	for _, c := range msg {
		if c == startBlock || c == endBlock {
			return ErrContent
		}
	}
	out := make([]byte, 0, len(msg)+3)
	out = append(append(append(out, startBlock), msg...), endBlock, carriage)
	_, err := w.Write(out)
	return err
}
