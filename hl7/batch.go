package hl7

import (
	"bytes"
	"strconv"
	"time"
)

// A Batch is a file (FHS..FTS), a batch (BHS..BTS) or messages one after another
// (HL7 v2 2.10.3). Its messages are slices of the bytes read.
type Batch struct {
	parts    [][]byte // in order: a segment of the envelope, or nil for a message
	messages [][]byte
}

// ReadBatch splits an envelope. Each message is read later, by Parse, so that one
// bad message does not lose the others. BTS-1 and FTS-1, if sent, must count
// what is there. The error is an *Error.
func ReadBatch(data []byte) (*Batch, error) {
	if len(data) > MaxBatch {
		return nil, fail(CodeSize, "", 0, 0, ApplicationError)
	}
	rest := data[lineEnds(data):]
	if len(rest) == 0 {
		return nil, fail(CodeEmpty, "", 0, 0, SegmentSequence)
	}
	r := &batchReader{rest: rest, start: -1}
	for pos := 0; pos < len(rest); {
		end, next := len(rest), len(rest)
		if n := bytes.IndexAny(rest[pos:], "\r\n"); n >= 0 {
			end = pos + n
			next = end + lineEnds(rest[end:])
		}
		r.index++
		if err := r.line(pos, rest[pos:end]); err != nil {
			return nil, err
		}
		pos = next
	}
	r.flush(len(rest))
	return &r.Batch, nil
}

type batchReader struct {
	Batch

	rest            []byte
	index           int // of the segment, from 1
	start           int // of the message that is read; -1: none is
	inFile, inBatch bool
	ended           bool
	batches, inThis int
}

func (r *batchReader) line(pos int, line []byte) error {
	if r.ended {
		return fail(CodeSequence, "", r.index, 0, SegmentSequence)
	}
	switch name := string(line[:min(3, len(line))]); name {
	case "FHS", "BHS":
		r.flush(pos)
		return r.header(name, line)
	case "BTS", "FTS":
		r.flush(pos)
		return r.trailer(name, line)
	case "MSH":
		r.flush(pos)
		r.start = pos
	default:
		if r.start < 0 {
			return fail(CodeNoHeader, "", r.index, 0, SegmentSequence)
		}
	}
	return nil
}

func (r *batchReader) flush(end int) {
	if r.start >= 0 {
		r.messages, r.parts = append(r.messages, r.rest[r.start:end:end]), append(r.parts, nil)
		r.inThis++
		r.start = -1
	}
}

func (r *batchReader) header(name string, line []byte) error {
	if name == "FHS" && (r.inFile || r.index != 1) || name == "BHS" && r.inBatch {
		return fail(CodeSequence, name, r.index, 0, SegmentSequence)
	}
	if _, err := readDelimiters(line, name); err != nil {
		return err
	}
	r.parts = append(r.parts, line)
	if name == "FHS" {
		r.inFile = true
	} else {
		r.inBatch, r.inThis, r.batches = true, 0, r.batches+1
	}
	return nil
}

func (r *batchReader) trailer(name string, line []byte) error {
	count, open := r.inThis, r.inBatch
	if name == "FTS" {
		count, open = r.batches, r.inFile && !r.inBatch
	}
	if !open {
		return fail(CodeSequence, name, r.index, 0, SegmentSequence)
	}
	if !counts(line, count) {
		return fail(CodeCount, name, r.index, 1, DataType)
	}
	r.parts = append(r.parts, line)
	if name == "BTS" {
		r.inBatch = false
	} else {
		r.inFile, r.ended = false, true
	}
	return nil
}

// counts says whether field 1 is empty or that number.
func counts(line []byte, n int) bool {
	if len(line) < 5 {
		return true
	}
	f, _, _ := bytes.Cut(line[4:], line[3:4])
	return len(f) == 0 || len(f) <= 9 && digits(string(f)) && number(string(f)) == n
}

// Len returns the number of messages.
func (b *Batch) Len() int { return len(b.messages) }

// Raw returns the bytes of message i, counted from 0.
func (b *Batch) Raw(i int) []byte { return b.messages[i] }

// Answer is the batch that answers one (HL7 v2 2.10.3.3): the same envelope with
// sender and receiver exchanged, control as BHS-11 and FHS-11 and those of b as
// BHS-12 and FHS-12, and in the place of each message its acknowledgement; nil is none.
func (b *Batch) Answer(acks [][]byte, control string, now time.Time) []byte {
	var out []byte
	message, inThis, batches, field := 0, 0, 0, []byte{}
	for _, line := range b.parts {
		if line == nil {
			if ack := acks[message]; ack != nil {
				out = append(out, ack...)
				inThis++
			}
			message++
			continue
		}
		switch name := string(line[:3]); name {
		case "BTS":
			out = strconv.AppendInt(append(out, "BTS"+string(field)...), int64(inThis), 10)
		case "FTS":
			out = strconv.AppendInt(append(out, "FTS"+string(field)...), int64(batches), 10)
		default:
			field = line[3:4]
			if name == "BHS" {
				inThis, batches = 0, batches+1
			}
			f := append(bytes.Split(line, field), make([][]byte, 11)...) // f[n] is field n+1
			head := [][]byte{f[0], f[1], f[4], f[5], f[2], f[3], []byte(now.Format(ackTime)), nil, nil, nil, []byte(control), f[10]}
			out = append(out, bytes.TrimRight(bytes.Join(head, field), string(field))...)
		}
		out = append(out, '\r')
	}
	return out
}
