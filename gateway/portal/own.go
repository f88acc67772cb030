package portal

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"

	"salus/ledger/tx"
)

// Written is a record that this organisation wrote about a patient.
type Written struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	// Time and Index are of the block and the log entry that anchored it; both 0 while it waits for the ledger.
	Time  uint64 `json:"time"`
	Index uint64 `json:"index"`
	Bytes int    `json:"bytes"` // of the body that follows
}

// Own is this organisation's own store, as the patient herself may read it without the ledger.
type Own interface {
	// Written calls f with each record that this organisation wrote about a patient and its exact bytes, after
	// the journal has it that she read them.
	Written(ctx context.Context, patient tx.Account, f func(w Written, body []byte) error) error
}

// errGoesOn refuses the way around the ledger while there is the way over it.
var errGoesOn = &Problem{"goes-on", "portal: the ledger goes on: open the record over the ledger, so that the access log has it", http.StatusConflict}

// ownRecords answers what this organisation wrote about the patient who asks, while the ledger stands
// still and no session can be opened: for each record a header as JSON and the body, each behind its
// length in four bytes, big endian. What custodians hold of others is not in it, nor can it be.
func (p *Portal) ownRecords(w http.ResponseWriter, r *http.Request, s *session) error {
	if p.Own == nil || p.Quorum == nil {
		return errUnknown
	}
	if _, lost := p.Quorum.Since(); !lost {
		return errGoesOn
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	begun := false
	err := p.Own.Written(r.Context(), s.account, func(x Written, body []byte) error {
		begun = true
		x.Bytes = len(body)
		head, err := json.Marshal(x)
		if err != nil {
			return err
		}
		return framed(w, head, body)
	})
	if err != nil && begun {
		panic(http.ErrAbortHandler) // an answer that breaks off must not look like a whole one
	}
	return err
}

// framed writes parts behind their lengths. A record is at most some 17 MiB.
func framed(w io.Writer, parts ...[]byte) error {
	for _, b := range parts {
		if _, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)); err != nil {
			return err
		}
	}
	return nil
}
