package feed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"salus/hl7"
	"salus/hl7/mllp"
)

// Destination configures an outbound feed.
type Destination struct {
	Dir     string
	Key     [32]byte
	Dial    func(ctx context.Context) (net.Conn, error) // TCP or TLS
	Timeout time.Duration                               // for an answer
	Wait    time.Duration                               // before the first try again; doubled each time
	MaxWait time.Duration
	Tries   int // of a message that gets AE or CE, then it is a dead letter
	Now     func() time.Time
	Log     *slog.Logger
}

// An Outbound sends messages in the order of Enqueue, one at a time. A receiver
// that is away is waited for without end; one that answers AE is asked again up to
// Tries; AR makes a dead letter at once. It is safe for concurrent use.
type Outbound struct {
	d Destination

	mu      sync.Mutex // guards what follows
	j       *journal
	queue   []uint64
	message map[uint64]*state
	order   []uint64
	ids     map[[32]byte]bool // hashes of the control ids of all messages
	flight  *flight           // nil: none is on its way
	wake    chan struct{}
}

// A flight is a message on its way to the receiver.
type flight struct {
	of   uint64
	cut  context.CancelFunc
	over chan struct{} // closed when nothing of it is sent any more
}

// OpenOutbound opens the queue; what was not acknowledged is sent again by Run.
func OpenOutbound(d Destination) (*Outbound, error) {
	if d.Dir == "" || d.Dial == nil || d.Timeout <= 0 || d.Wait <= 0 || d.MaxWait < d.Wait || d.Tries < 1 || d.Now == nil || d.Log == nil {
		return nil, errors.New("feed: outbound needs a folder, dial, positive times and tries, clock and log")
	}
	o := &Outbound{d: d, message: map[uint64]*state{}, ids: map[[32]byte]bool{}, wake: make(chan struct{}, 1)}
	var err error
	if o.j, err = openJournal(d.Dir, outboundJournal, d.Key, o.load); err != nil {
		return nil, err
	}
	for _, n := range o.order {
		if s := o.message[n]; s.answer == 0 && !s.gone {
			o.queue = append(o.queue, n)
		}
	}
	return o, nil
}

func (o *Outbound) load(n uint64, r record) {
	switch s := o.message[r.Of]; {
	case r.Kind == kindReceived:
		o.message[n], o.order = &state{hash: [32]byte(r.Hash), time: r.Time, about: r.About}, append(o.order, n)
		o.ids[controlHash(r.Raw)] = true
	case r.Kind == kindAnswered && s != nil:
		s.answered(n, r.Code, r.Reason)
	case r.Kind == kindDropped && s != nil:
		s.gone, s.about = true, nil
	}
}

// answered keeps the outcome of a message. One that was taken is not sent again.
func (s *state) answered(at uint64, code, why string) {
	s.answer, s.code, s.reason = at, code, why
	if code == string(hl7.AA) {
		s.about = nil
	}
}

// Close closes the journal; Run must have ended.
func (o *Outbound) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.j.close()
}

// Enqueue puts a message into the queue; it is on disk when it returns. What is no
// message or has no control id is refused: its answer could not be told from others. about
// names whom and what it tells of, as Drop will.
func (o *Outbound) Enqueue(_ context.Context, raw []byte, about ...string) (uint64, error) {
	m, err := hl7.Parse(raw)
	if err != nil {
		return 0, err
	}
	if !m.Segment("MSH").Field(10).Valued() {
		return 0, &hl7.Error{Code: hl7.CodeRequired, Segment: "MSH", Index: 1, Field: 10, Condition: hl7.RequiredMissing}
	}
	for _, c := range raw {
		if c == 0x0b || c == 0x1c {
			return 0, mllp.ErrContent
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	hash := sha256.Sum256(raw)
	n, err := o.j.append(record{Kind: kindReceived, Raw: raw, Hash: hash[:], About: about, Time: o.d.Now().UTC()})
	if err != nil {
		return 0, err
	}
	o.message[n], o.order, o.queue = &state{hash: hash, time: o.d.Now(), about: about}, append(o.order, n), append(o.queue, n)
	o.ids[controlHash(raw)] = true
	o.signal()
	return n, nil
}

// controlHash is the hash of a message's control id (MSH-10, as sent).
func controlHash(raw []byte) [32]byte {
	line := bytes.TrimLeft(raw, "\r\n")
	if i := bytes.IndexAny(line, "\r\n"); i >= 0 {
		line = line[:i]
	}
	if len(line) < 4 {
		return [32]byte{}
	}
	if f := bytes.SplitN(line, line[3:4], 11); len(f) > 9 {
		return sha256.Sum256(f[9])
	}
	return [32]byte{}
}

// Has says whether a message with a control id is or was in the queue, sent or not.
func (o *Outbound) Has(control string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ids[sha256.Sum256([]byte(control))]
}

func (o *Outbound) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Waiting returns how many messages are not acknowledged yet.
func (o *Outbound) Waiting() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue)
}

// Stats counts: Applied are those that the receiver took.
func (o *Outbound) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := count(o.message)
	s.Failed = o.j.failed
	if len(o.queue) > 0 {
		s.First, s.Oldest = o.queue[0], o.message[o.queue[0]].time
	}
	return s
}

// Read returns the bytes of a message. Error: ErrUnknown.
func (o *Outbound) Read(n uint64) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.message[n] == nil {
		return nil, ErrUnknown
	}
	r, err := o.j.read(n)
	return r.Raw, err
}

// Drop takes what tells of any of these out of the queue, and from the dead letters. When it returns nil, none of
// it is sent any more; one that was on its way is cut off, and may have arrived. The bytes stay in the journal.
// It may be repeated.
func (o *Outbound) Drop(about func(string) bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, n := range o.order {
		s := o.message[n]
		if s.gone || !slices.ContainsFunc(s.about, about) {
			continue
		}
		if _, err := o.j.append(record{Kind: kindDropped, Of: n, Time: o.d.Now().UTC()}); err != nil {
			return err
		}
		s.gone, s.about = true, nil
		if s.answer == 0 {
			o.queue = slices.DeleteFunc(o.queue, func(q uint64) bool { return q == n })
		}
	}
	if f := o.flight; f != nil && o.message[f.of].gone {
		f.cut()
		o.mu.Unlock()
		<-f.over
		o.mu.Lock()
	}
	return nil
}

// takeOff is the message that is next, on its way until land; nil if none waits.
func (o *Outbound) takeOff(ctx context.Context) (context.Context, *flight, []byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return ctx, nil, nil, nil
	}
	r, err := o.j.read(o.queue[0])
	if err != nil {
		return ctx, nil, nil, err
	}
	ctx, cut := context.WithTimeout(ctx, o.d.Timeout)
	o.flight = &flight{o.queue[0], cut, make(chan struct{})}
	return ctx, o.flight, r.Raw, nil
}

func (o *Outbound) land(f *flight) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f.cut()
	close(f.over)
	o.flight = nil
}

// Run sends until ctx ends; then it returns the context's error. Any other error is
// of the journal. It is called once at a time.
func (o *Outbound) Run(ctx context.Context) error {
	var client *mllp.Client
	defer func() {
		if client != nil {
			_ = client.Close()
		}
	}()
	var n uint64
	var wait time.Duration
	var tries int
	for {
		way, next, raw, err := o.takeOff(ctx)
		if err != nil {
			return err
		}
		if next == nil {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-o.wake:
			}
			continue
		}
		if next.of != n {
			n, wait, tries = next.of, o.d.Wait, 0
		}
		var code string
		client, code, err = o.send(way, client, raw)
		o.land(next)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			o.d.Log.WarnContext(ctx, "feed: receiver not reached", "message", n)
		case code == "AA" || code == "CA":
			if err := o.settle(n, "AA", ""); err != nil {
				return err
			}
			continue
		case code == "AR" || code == "CR" || tries+1 >= o.d.Tries:
			if err := o.settle(n, code, "feed-refused"); err != nil {
				return err
			}
			o.d.Log.WarnContext(ctx, "feed: message became a dead letter", "message", n, "code", code)
			continue
		default:
			tries++
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		wait = min(2*wait, o.d.MaxWait)
	}
}

// send sends over the connection there is, or a new one. After an error it is closed.
func (o *Outbound) send(ctx context.Context, c *mllp.Client, raw []byte) (*mllp.Client, string, error) {
	m, err := hl7.Parse(raw)
	if err != nil {
		return c, "AR", nil // not reachable: Enqueue parsed it
	}
	if c == nil {
		conn, err := o.d.Dial(ctx)
		if err != nil {
			return nil, "", fmt.Errorf("feed: %w", err)
		}
		c = mllp.NewClient(conn, hl7.MaxMessage)
	}
	answer, err := c.Send(ctx, m)
	if err != nil {
		_ = c.Close()
		return nil, "", fmt.Errorf("feed: %w", err)
	}
	switch code := answer.Segment("MSA").Field(1).Plain(); code {
	case "AA", "AE", "AR", "CA", "CE", "CR":
		return c, code, nil
	}
	_ = c.Close()
	return nil, "", mllp.ErrAnswer
}

func (o *Outbound) settle(n uint64, code, why string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	at, err := o.j.append(record{Kind: kindAnswered, Of: n, Code: code, Reason: why, Time: o.d.Now().UTC()})
	if err != nil {
		return err
	}
	o.message[n].answered(at, code, why)
	if len(o.queue) > 0 && o.queue[0] == n { // else it was dropped while it was on its way
		o.queue = o.queue[1:]
	}
	return nil
}

// Letters lists what the receiver refused, oldest first.
func (o *Outbound) Letters() []Letter {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []Letter
	for _, n := range o.order {
		if s := o.message[n]; s.answer != 0 && s.code != "AA" && !s.gone {
			out = append(out, Letter{n, s.hash, s.code, s.reason, s.time})
		}
	}
	return out
}

// Replay puts a dead letter at the end of the queue as a new message; Discard takes
// it from the list.
func (o *Outbound) Replay(ctx context.Context, n uint64) (uint64, error) {
	o.mu.Lock()
	s := o.message[n]
	if s == nil || s.answer == 0 || s.code == "AA" || s.gone {
		o.mu.Unlock()
		return 0, ErrUnknown
	}
	r, err := o.j.read(n)
	o.mu.Unlock()
	if err != nil {
		return 0, err
	}
	again, err := o.Enqueue(ctx, r.Raw, r.About...)
	if err != nil {
		return 0, err
	}
	return again, o.Discard(n)
}

// Discard takes a dead letter from the list. Its bytes stay in the journal.
func (o *Outbound) Discard(n uint64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.message[n]
	if s == nil || s.answer == 0 || s.code == "AA" || s.gone {
		return ErrUnknown
	}
	if _, err := o.j.append(record{Kind: kindDropped, Of: n, Time: o.d.Now().UTC()}); err != nil {
		return err
	}
	s.gone = true
	return nil
}
