package feed

import (
	"bytes"
	"context"
	"fmt"

	"salus/hl7"
)

// maxBatch is how many messages a batch may have: its sender waits for the answer to all of them.
const maxBatch = 1000

// Handle is the mllp.Handler of the feed: it returns an answer once everything that the answer says is on disk,
// and an error where nothing may be answered. The messages of a batch (HL7 v2 2.10.3) are done one by one, as if
// each had been sent alone, and answered together; of one that cannot be split nothing is done, and it is refused
// like any other that is no message.
func (f *Inbound) Handle(ctx context.Context, raw []byte) ([]byte, error) {
	b, err := batchOf(raw)
	if b == nil || err != nil {
		return f.one(ctx, raw)
	}
	acks, some := make([][]byte, b.Len()), b.Len() == 0
	for i := range acks {
		if acks[i], err = f.one(ctx, b.Raw(i)); err != nil {
			return nil, err // it is sent again: what was done is known by then
		}
		some = some || acks[i] != nil
	}
	if !some { // as its messages ask
		return nil, nil
	}
	now := f.c.Now()
	return b.Answer(acks, fmt.Sprintf("B%d", now.UnixMilli()), now), nil
}

// batchOf splits a batch; nil is none.
func batchOf(raw []byte) (*hl7.Batch, error) {
	head := bytes.TrimLeft(raw, "\r\n")
	if !bytes.HasPrefix(head, []byte("FHS")) && !bytes.HasPrefix(head, []byte("BHS")) {
		return nil, nil
	}
	b, err := hl7.ReadBatch(raw)
	if err == nil && b.Len() > maxBatch {
		err = &hl7.Error{Code: hl7.CodeSize, Condition: hl7.ApplicationError}
	}
	return b, err
}

// parse reads a message. The error of a batch, of which only those come here that cannot be split, is why not.
func parse(raw []byte) (*hl7.Message, error) {
	if _, err := batchOf(raw); err != nil {
		return nil, err
	}
	return hl7.Parse(raw)
}
