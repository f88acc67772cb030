package fhir

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"strconv"
)

// ReadNDJSON yields the resources of NDJSON (one a line, as FHIR Bulk Data has it), holding
// one line of at most MaxResource bytes at a time. Empty lines are passed over. A bad line
// is refused alone: its error is an *Issue and the sequence goes on. Only if the input
// cannot be read is the Item's Index -1, and the sequence ends.
func ReadNDJSON(r io.Reader) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		lines := bufio.NewReaderSize(r, 64<<10)
		for index, any := 0, false; ; index++ {
			line, long, err := readLine(lines)
			if err != nil && !errors.Is(err, io.EOF) {
				f := issue(CodeRead, lineName(index))
				f.cause = err
				yield(Item{Index: whole}, f)
				return
			}
			if len(bytes.TrimSpace(line)) > 0 || long {
				any = true
				if !yield(lineItem(index, line, long)) {
					return
				}
			}
			if err != nil {
				if !any {
					yield(Item{Index: whole}, issue(CodeEmpty, ""))
				}
				return
			}
		}
	}
}

// readLine returns a fresh copy of the next line without its end, or long if it is larger
// than a resource may be; then the line is passed over.
func readLine(r *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > MaxResource+2 {
			line, long = nil, true
		}
		if !long {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), long, err
	}
}

func lineItem(index int, line []byte, long bool) (Item, error) {
	it := Item{Index: index}
	if long {
		return it, issue(CodeSize, lineName(index))
	}
	r, err := Parse(line)
	if err != nil {
		if f, ok := errors.AsType[*Issue](err); ok {
			err = f.under(lineName(index))
		}
		return it, err
	}
	it.Type = r.typ
	if notRecords[r.typ] {
		return it, issue(CodeEntry, lineName(index))
	}
	it.Resource = r
	return it, nil
}

func lineName(index int) string { return "line[" + strconv.Itoa(index) + "]" }
