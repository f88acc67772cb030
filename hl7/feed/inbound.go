package feed

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"iter"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"salus/hl7"
	"salus/hl7/mllp"
)

// A Message is one message that was received and is on disk.
type Message struct {
	Number   uint64 // of this feed's journal; later messages have greater numbers
	Raw      []byte
	Parsed   *hl7.Message
	Hash     [32]byte // SHA-256 of Raw
	Received time.Time
}

// A Rejection is what Apply returns for a message that it will never take: it gets
// AE and becomes a dead letter. *hl7.Error counts as one. Any other error means
// "not now": nothing is answered and the message stays pending.
type Rejection struct {
	Code      string // a stable reason, no value of the message
	Condition int    // table 0357; 0: 207
}

func (r *Rejection) Error() string { return "feed: rejected: " + r.Code }

// A Patient names a patient as a CX does.
type Patient struct{ Value, Namespace, UniversalID, Type string }

// A Link says that two identifiers are of one patient (A40), or no longer (A37).
type Link struct {
	Survivor, Replaced Patient
	Message            uint64 // Number of the message that says so
}

// A Merger merges patients and takes merges back. Both are called again with the
// same Link after a crash and must then do nothing.
type Merger interface {
	Merge(ctx context.Context, l Link) error
	Unmerge(ctx context.Context, l Link) error
}

// Config of an inbound feed.
type Config struct {
	Dir     string // of the journal
	Key     [32]byte
	Apply   func(ctx context.Context, m Message) error // returns nil once the effect is durable; called again after a crash
	Merge   Merger                                     // nil: A40 and A37 are refused with AR
	Accepts hl7.Accepts
	// Takes says whether messages of a code and event are taken; others get AR. nil: those that hl7
	// knows.
	Takes func(code, event string) bool
	// Original ignores MSH-15 and MSH-16.
	Original bool
	// Settled is told how a message ended before that is written down and answered. Its error keeps
	// the message pending; after a crash it may be told again. nil: nobody is told.
	Settled func(ctx context.Context, o Outcome) error
	// Room says whether there is space for a message of that many bytes; where it is nil there always
	// is. A message that it refuses is not kept: it gets AR (CR) with the reason "feed-no-space", and is
	// new when it comes again. What was taken before goes on.
	Room func(bytes int) error
	Now  func() time.Time
	Log  *slog.Logger
	// Answers takes application acknowledgements of the enhanced mode when the sender also
	// asked for a commit acknowledgement: they go another way than the connection. nil:
	// they are not sent.
	Answers func(ctx context.Context, answer []byte) error
}

// An Outcome is how a message ended.
type Outcome struct {
	Number   uint64
	Hash     [32]byte
	Code     hl7.AckCode // AA, AE or AR
	Reason   string      // code of the error
	Received time.Time
}

// errNoSpace refuses what there is no room for.
var errNoSpace = &Rejection{Code: "feed-no-space"}

// conflict is the reason of a message whose control id was another's.
const conflict = "feed-conflict"

type state struct {
	hash   [32]byte
	answer uint64 // record of the last outcome; 0: pending
	code   string
	reason string
	time   time.Time
	gone   bool     // discarded
	about  []string // of an outbound message that may still be sent
}

// An Inbound is one feed. It is safe for concurrent use: messages are done one at a time.
type Inbound struct {
	c Config

	mu      sync.Mutex // guards what follows; held while a message is done, which keeps the order
	j       *journal
	byID    map[string]uint64
	message map[uint64]*state
	order   []uint64
	pending []uint64
	again   uint64 // messages that came again since Open
}

// Open opens a feed's journal, made if there is none. Errors: ErrKey, ErrDamaged,
// or the file system's.
func Open(c Config) (*Inbound, error) {
	if c.Apply == nil || c.Now == nil || c.Log == nil || c.Dir == "" {
		return nil, errors.New("feed: inbound needs a folder, apply, clock and log")
	}
	f := &Inbound{c: c, byID: map[string]uint64{}, message: map[uint64]*state{}}
	var err error
	f.j, err = openJournal(c.Dir, inboundJournal, c.Key, f.load)
	if err != nil {
		return nil, err
	}
	for _, n := range f.order {
		if f.message[n].answer == 0 {
			f.pending = append(f.pending, n)
		}
	}
	return f, nil
}

func (f *Inbound) load(n uint64, r record) {
	switch r.Kind {
	case kindReceived:
		f.note(n, r)
	case kindAnswered:
		if s := f.message[r.Of]; s != nil {
			s.answer, s.code, s.reason = n, r.Code, r.Reason
		}
	case kindDropped:
		if s := f.message[r.Of]; s != nil {
			s.gone = true
		}
	}
}

func (f *Inbound) note(n uint64, r record) {
	s := &state{time: r.Time}
	copy(s.hash[:], r.Hash)
	f.message[n], f.order = s, append(f.order, n)
	if _, known := f.byID[r.ID]; !known {
		f.byID[r.ID] = n
	}
}

// Close closes the journal.
func (f *Inbound) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.j.close()
}

// Serve answers on a listener until ctx ends; then it returns mllp.ErrClosed. With a TLS configuration every
// connection is TLS, and only clients with a certificate that it verifies are served.
func (f *Inbound) Serve(ctx context.Context, ln net.Listener, limits mllp.Limits, conf *tls.Config) error {
	limits.Large = f.tooLarge
	s, err := mllp.NewServer(f.Handle, limits)
	if err != nil {
		return err
	}
	if conf != nil {
		if conf.ClientCAs == nil {
			return errors.New("feed: TLS needs the authorities of client certificates")
		}
		conf = conf.Clone()
		conf.ClientAuth, conf.MinVersion = tls.RequireAndVerifyClientCert, max(conf.MinVersion, tls.VersionTLS12)
		list := handshaken(ln, conf)
		defer list.wait()
		defer func() { _ = list.Close() }()
		ln = list
	}
	if err := f.Retry(ctx); err != nil {
		f.c.Log.WarnContext(ctx, "feed has messages that could not be applied yet")
	}
	// When ctx ends, a message in work is still answered: what comes after it is sent again.
	life, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		last, end := context.WithTimeout(life, stopTime)
		defer end()
		_ = s.Shutdown(last) // cut off what takes longer: it was not acknowledged
	})
	err = s.Serve(life, ln)
	if stop() {
		cut() // the listener failed
		_ = s.Shutdown(life)
		return err
	}
	<-stopped
	return err
}

// stopTime is how long messages in work may take when a feed ends.
const stopTime = 4 * time.Second

// identity is the key of deduplication: sender and control id. What has none is
// its own identity.
func identity(m *hl7.Message, raw []byte, hash [32]byte) string {
	if m == nil || !m.Segment("MSH").Field(10).Valued() {
		return "hash " + base64.StdEncoding.EncodeToString(hash[:])
	}
	id := mllp.Identify(m, raw)
	return strconv.Itoa(len(id.Feed.Application)) + ":" + id.Feed.Application + strconv.Itoa(len(id.Feed.Facility)) + ":" + id.Feed.Facility + id.ControlID
}

// one answers one message.
func (f *Inbound) one(ctx context.Context, raw []byte) ([]byte, error) {
	hash := sha256.Sum256(raw)
	m, parseErr := parse(raw)
	id := identity(m, raw, hash)
	f.mu.Lock()
	defer f.mu.Unlock()
	why := ""
	if n, known := f.byID[id]; known && f.message[n].hash != hash {
		id, why = "conflict "+base64.StdEncoding.EncodeToString(hash[:])+id, conflict
	}
	if n, known := f.byID[id]; known {
		s := f.message[n]
		f.again++
		if s.answer != 0 {
			r, err := f.j.read(s.answer)
			return r.Raw, err
		}
		if err := f.retry(ctx); err != nil { // all before it, then it
			return nil, err
		}
		r, err := f.j.read(s.answer)
		return r.Raw, err
	}
	if f.c.Room != nil {
		if err := f.c.Room(len(raw)); err != nil {
			f.c.Log.WarnContext(ctx, "feed: no room for a message", "err", err)
			if parseErr != nil {
				m = firstLine(raw)
			}
			return f.refuse(m, errNoSpace), nil
		}
	}
	now := f.c.Now().UTC()
	r := record{Kind: kindReceived, Raw: raw, ID: id, Hash: hash[:], Reason: why, Time: now}
	n, err := f.j.append(r)
	if err != nil {
		return nil, err
	}
	f.note(n, r)
	f.pending = append(f.pending, n)
	if parseErr == nil {
		commit, _ := f.modes(m)
		if err := f.retry(ctx); err != nil {
			if commit != "" { // it is stored: that is what a commit acknowledgement says
				return f.commit(m, hl7.CA, n, nil), nil
			}
			return nil, err
		}
	} else if err := f.retry(ctx); err != nil {
		return nil, err
	}
	out, err := f.j.read(f.message[n].answer)
	return out.Raw, err
}

// Retry does what is pending, in order, and stops at the first that Apply does not
// take now.
func (f *Inbound) Retry(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.retry(ctx)
}

func (f *Inbound) retry(ctx context.Context) error {
	for len(f.pending) > 0 {
		if err := f.do(ctx, f.pending[0], false); err != nil {
			return err
		}
		f.pending = f.pending[1:]
	}
	return nil
}

// do applies one message and puts its outcome into the journal.
func (f *Inbound) do(ctx context.Context, n uint64, replay bool) error {
	r, err := f.j.read(n)
	if err != nil {
		return err
	}
	m, err := parse(r.Raw)
	if err != nil {
		return f.answer(ctx, n, nil, r.Raw, hl7.AR, []error{err})
	}
	if r.Reason == conflict && !replay { // other bytes under a known control id
		e := &hl7.Error{Code: conflict, Segment: "MSH", Index: 1, Field: 10, Condition: hl7.DuplicateKey}
		return f.answer(ctx, n, m, r.Raw, hl7.AE, []error{e})
	}
	errs := f.c.Accepts.Check(m)
	code, event, _ := m.Type()
	if event == "" && code == "ORU" {
		event = "R01" // HL7 v2.1 and 2.2 leave it out
	}
	if len(errs) == 0 && f.c.Takes != nil && !f.c.Takes(code, event) {
		errs = []error{&hl7.Error{Code: hl7.CodeEvent, Segment: "MSH", Index: 1, Field: 9, Condition: hl7.UnsupportedEvent}}
	}
	merging := event == "A40" || event == "A37"
	if merging && f.c.Merge == nil && len(errs) == 0 {
		errs = []error{&hl7.Error{Code: hl7.CodeEvent, Segment: "MSH", Index: 1, Field: 9, Condition: hl7.UnsupportedEvent}}
	}
	if len(errs) > 0 {
		return f.answer(ctx, n, m, r.Raw, hl7.AR, errs)
	}
	err = f.c.Apply(ctx, Message{Number: n, Raw: r.Raw, Parsed: m, Hash: [32]byte(r.Hash), Received: r.Time})
	if err == nil && merging {
		err = f.merge(ctx, m, n, event == "A37")
	}
	if err == nil {
		return f.answer(ctx, n, m, r.Raw, hl7.AA, nil)
	}
	if reason(err) == "" {
		f.c.Log.WarnContext(ctx, "feed: message not applied now", "message", n)
		return err
	}
	return f.answer(ctx, n, m, r.Raw, hl7.AE, []error{err})
}

// reason is the code of an error that is the message's own fault, else "".
func reason(err error) string {
	var r *Rejection
	var e *hl7.Error
	switch {
	case errors.As(err, &r):
		return r.Code
	case errors.As(err, &e):
		return e.Code
	}
	return ""
}

func (f *Inbound) merge(ctx context.Context, m *hl7.Message, n uint64, undo bool) error {
	read := func(v hl7.Value) Patient {
		v = v.Repetition(1)
		hd := v.Component(4)
		return Patient{v.Component(1).Plain(), hd.Subcomponent(1).Plain(), hd.Subcomponent(2).Plain(), v.Component(5).Plain()}
	}
	pids := m.Segments("PID")
	if len(pids) == 0 {
		return &hl7.Error{Code: hl7.CodeRequired, Segment: "PID", Condition: hl7.SegmentSequence}
	}
	l := Link{Survivor: read(pids[0].Field(3)), Message: n}
	if undo {
		if len(pids) != 2 {
			return &hl7.Error{Code: hl7.CodeRequired, Segment: "PID", Condition: hl7.SegmentSequence}
		}
		l.Replaced = read(pids[1].Field(3))
	} else {
		mrg := m.Segments("MRG")
		if len(mrg) != 1 || len(pids) != 1 {
			return &hl7.Error{Code: hl7.CodeSequence, Segment: "MRG", Condition: hl7.SegmentSequence}
		}
		l.Replaced = read(mrg[0].Field(1))
	}
	if l.Survivor.Value == "" || l.Replaced.Value == "" || l.Survivor == l.Replaced {
		return &hl7.Error{Code: hl7.CodeRequired, Segment: "MRG", Field: 1, Condition: hl7.RequiredMissing}
	}
	if undo {
		return f.c.Merge.Unmerge(ctx, l)
	}
	return f.c.Merge.Merge(ctx, l)
}

// Read returns the bytes of a message as received.
func (f *Inbound) Read(n uint64) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.message[n] == nil {
		return nil, ErrUnknown
	}
	r, err := f.j.read(n)
	return r.Raw, err
}

// Hashes lists number and SHA-256 of the messages after a number, for anchoring.
func (f *Inbound) Hashes(after uint64) iter.Seq2[uint64, [32]byte] {
	return func(yield func(uint64, [32]byte) bool) {
		f.mu.Lock()
		var ns []uint64
		var hs [][32]byte
		for _, n := range f.order {
			if n > after {
				ns, hs = append(ns, n), append(hs, f.message[n].hash)
			}
		}
		f.mu.Unlock()
		for i := range ns {
			if !yield(ns[i], hs[i]) {
				return
			}
		}
	}
}
