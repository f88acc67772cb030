package gateway

import (
	"net/http"
	"slices"
	"sync"
	"time"

	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// endedFor is how many seconds an ended session is still known: its reader learns that it
// has ended, not that it never was.
const endedFor = 3600

// sessions are those this organisation's staff opened here. Their keys live in memory only.
type sessions struct {
	mu   sync.Mutex
	open map[tx.Hash]*record.Session
}

// surelyEnded is how many seconds after its end, which is block time, a session has ended by
// every custodian's clock.
const surelyEnded = 60

// put keeps a session, drops the keys of those that have ended, which open nothing any more, and
// then forgets these: a key takes twenty times the memory of all else.
func (s *sessions) put(x *record.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := uint64(time.Now().Unix())
	for id, old := range s.open {
		switch {
		case old.Latest+endedFor < now:
			delete(s.open, id)
		case old.Latest+surelyEnded < now:
			s.open[id] = old.Spent()
		}
	}
	s.open[x.ID] = x
}

func (s *sessions) get(r *http.Request) (*record.Session, error) {
	id, err := hashOf(r, "session")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x, ok := s.open[id]
	if !ok {
		return nil, errSession
	}
	return x, nil
}

func (s *sessions) drop(id tx.Hash) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// OpenSession is the body of POST /v1/sessions.
type OpenSession struct {
	As      string          `json:"as"` // name of the practitioner's or device's key
	Patient tx.Account      `json:"patient"`
	Purpose consent.Purpose `json:"purpose"`
	Seconds uint64          `json:"seconds"`
	// Reason declares an emergency: a code of HL7 v3 ActReason. BTG needs it, nothing else has it.
	Reason string `json:"reason,omitempty"`
}

// SessionInfo is the answer: nothing in it says what is allowed.
type SessionInfo struct {
	ID      tx.Hash `json:"id"`
	Height  int64   `json:"height"`
	Expires uint64  `json:"expires"`
}

func (g *Gateway) openSession(w http.ResponseWriter, r *http.Request) error {
	var in OpenSession
	if err := body(r, &in); err != nil {
		return err
	}
	s, err := g.begin(r, &in)
	if err != nil {
		return err
	}
	g.sessions.put(s)
	return answer(w, SessionInfo{s.ID, s.Opened.Height, s.Expires})
}

// Visible is one record that a session may open.
type Visible struct {
	Batch  tx.Hash    `json:"batch"`
	Index  uint16     `json:"index"`
	Kind   uint8      `json:"kind"`
	Author tx.Account `json:"author"`
	Time   uint64     `json:"time"`
	Log    uint64     `json:"log"`
	Bytes  uint32     `json:"bytes"`
}

func (g *Gateway) locate(w http.ResponseWriter, r *http.Request) error {
	s, err := g.sessions.get(r)
	if err != nil {
		return err
	}
	found, err := s.Locate(r.Context())
	if err != nil {
		return err
	}
	out := []Visible{}
	for _, l := range found {
		out = append(out, Visible{l.Item.Header, l.Item.Index, l.Entry.Kind, l.Author, l.Time, l.Log, l.Entry.Size})
	}
	return answer(w, out)
}

// ReadRecords is the body of POST /v1/sessions/{session}/read: which records, by batch and
// index; an empty list means every clinical record that the session may open.
type ReadRecords struct {
	Records []RecordPlace `json:"records"`
}

// RecordPlace names one record of a session.
type RecordPlace struct {
	Batch tx.Hash `json:"batch"`
	Index uint16  `json:"index"`
}

// ReadResult is the answer: exact bytes, and custodians that were found out.
type ReadResult struct {
	Records []OpenedRecord        `json:"records"`
	Bad     []record.BadCustodian `json:"bad"`
}

// OpenedRecord is one plaintext with its place.
type OpenedRecord struct {
	Visible
	Body []byte `json:"body"`
}

func (g *Gateway) read(w http.ResponseWriter, r *http.Request) error {
	s, err := g.sessions.get(r)
	if err != nil {
		return err
	}
	var in ReadRecords
	if err := body(r, &in); err != nil {
		return err
	}
	found, err := s.Locate(r.Context())
	if err != nil {
		return err
	}
	wanted := slices.DeleteFunc(found, func(l record.Located) bool {
		if len(in.Records) == 0 {
			return !l.Clinical()
		}
		for _, x := range in.Records {
			if x.Batch == l.Item.Header && x.Index == l.Item.Index {
				return false
			}
		}
		return true
	})
	out := ReadResult{Records: []OpenedRecord{}, Bad: []record.BadCustodian{}}
	if len(wanted) == 0 {
		return answer(w, out) // no data and not allowed look the same
	}
	res, err := s.Read(r.Context(), wanted)
	if err != nil {
		return err
	}
	out.Bad = append(out.Bad, res.Bad...)
	for _, o := range res.Records {
		out.Records = append(out.Records, OpenedRecord{Visible{o.Item.Header, o.Item.Index, o.Entry.Kind, o.Author, o.Time, o.Log, o.Entry.Size}, o.Body})
	}
	return answer(w, out)
}

func (g *Gateway) closeSession(w http.ResponseWriter, r *http.Request) error {
	s, err := g.sessions.get(r)
	if err != nil {
		return err
	}
	g.sessions.drop(s.ID)
	if err := s.Close(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
