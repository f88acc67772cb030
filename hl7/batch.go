package hl7

import (
	"bytes"
	"iter"
)

// A Batch is a file (FHS..FTS), a batch (BHS..BTS) or messages one after another
// (HL7 v2 2.10.3). Its messages are slices of the bytes read.
type Batch struct {
	head     [][]byte // FHS and BHS lines, for Header
	messages [][]byte
}

// ReadBatch splits an envelope. Each message is read later, by Parse, so that one
// bad message does not lose the others. BTS-1 and FTS-1, if sent, must count
// what is there. The error is an *Error.
func ReadBatch(data []byte) (*Batch, error) {
	if len(data) > MaxBatch {
		return nil, fail(CodeSize, "", 0, 0, ApplicationError)
	}
	b := &Batch{}
	rest := data[lineEnds(data):]
	if len(rest) == 0 {
		return nil, fail(CodeEmpty, "", 0, 0, SegmentSequence)
	}
	inFile, inBatch, batches, inThis, ended := false, false, 0, 0, false
	start, index := -1, 0
	flush := func(end int) {
		if start >= 0 {
			b.messages = append(b.messages, rest[start:end:end])
			inThis++
			start = -1
		}
	}
	for pos := 0; pos < len(rest); {
		index++
		n := bytes.IndexAny(rest[pos:], "\r\n")
		end := len(rest)
		next := end
		if n >= 0 {
			end = pos + n
			next = end + lineEnds(rest[end:])
		}
		line := rest[pos:end]
		name := ""
		if len(line) >= 3 {
			name = string(line[:3])
		}
		if ended {
			return nil, fail(CodeSequence, "", index, 0, SegmentSequence)
		}
		switch name {
		case "FHS", "BHS":
			flush(pos)
			if name == "FHS" && (inFile || index != 1) || name == "BHS" && inBatch {
				return nil, fail(CodeSequence, name, index, 0, SegmentSequence)
			}
			if _, err := readDelimiters(line, name); err != nil {
				return nil, err
			}
			b.head = append(b.head, line)
			if name == "FHS" {
				inFile = true
			} else {
				inBatch, inThis, batches = true, 0, batches+1
			}
		case "BTS", "FTS":
			flush(pos)
			count, open := inThis, inBatch
			if name == "FTS" {
				count, open = batches, inFile && !inBatch
			}
			if !open {
				return nil, fail(CodeSequence, name, index, 0, SegmentSequence)
			}
			if sent := firstField(line); sent >= 0 && sent != count {
				return nil, fail(CodeCount, name, index, 1, DataType)
			}
			if name == "BTS" {
				inBatch = false
			} else {
				inFile, ended = false, true
			}
		case "MSH":
			flush(pos)
			start = pos
		default:
			if start < 0 {
				return nil, fail(CodeNoHeader, "", index, 0, SegmentSequence)
			}
		}
		pos = next
	}
	flush(len(rest))
	return b, nil
}

// firstField reads field 1 as a number; -1 if it is empty or none.
func firstField(line []byte) int {
	if len(line) < 5 {
		return -1
	}
	f, _, _ := bytes.Cut(line[4:], line[3:4])
	if len(f) == 0 || len(f) > 9 || !digits(string(f)) {
		return -1
	}
	return number(string(f))
}

// Len returns the number of messages.
func (b *Batch) Len() int { return len(b.messages) }

// Raw returns the bytes of message i, counted from 0.
func (b *Batch) Raw(i int) []byte { return b.messages[i] }

// All reads the messages, in order.
func (b *Batch) All() iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		for _, raw := range b.messages {
			if m, err := Parse(raw); !yield(m, err) {
				return
			}
		}
	}
}
