package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"salus/gateway"
	"salus/gateway/balp"
	"salus/hl7"
	"salus/hl7/feed"
	"salus/store"
)

// List implements gateway.Feeds.
func (p *feedPart) List() []gateway.Feed {
	out := []gateway.Feed{}
	for _, f := range p.feeds {
		s := f.stats()
		x := gateway.Feed{
			Name: f.conf.Name, Direction: "in", Address: f.conf.Listen, TLS: f.tls != nil, State: f.state(s),
			Received: s.Received, Applied: s.Applied, Again: s.Again, Pending: s.Pending, Dead: s.Letters,
		}
		if f.out != nil {
			x.Direction, x.Address = "out", f.conf.Send
		}
		if !s.Oldest.IsZero() {
			x.First, x.Oldest = s.First, &s.Oldest
		}
		out = append(out, x)
	}
	return out
}

// Letters implements gateway.Feeds.
func (p *feedPart) Letters(name string) ([]gateway.Letter, error) {
	f, err := p.find(name)
	if err != nil {
		return nil, err
	}
	list := []feed.Letter{}
	if f.in != nil {
		list = append(list, f.in.Letters()...)
	} else {
		list = append(list, f.out.Letters()...)
	}
	out := make([]gateway.Letter, len(list))
	for i, l := range list {
		out[i] = gateway.Letter{Number: l.Number, Hash: fmt.Sprintf("%x", l.Hash), Code: l.Code, Reason: l.Reason, Received: l.Received}
	}
	return out, nil
}

// Message implements gateway.Feeds: reading what a message says is an event of the log.
func (p *feedPart) Message(ctx context.Context, name string, number uint64) ([]byte, error) {
	f, err := p.find(name)
	if err != nil {
		return nil, err
	}
	var raw []byte
	if f.in != nil {
		raw, err = f.in.Read(number)
	} else {
		raw, err = f.out.Read(number)
	}
	if err != nil {
		return nil, err
	}
	return raw, p.event(ctx, balp.Event{
		Kind: balp.Operation, Outcome: balp.Success, Client: balp.Who{Display: operatorClient}, Query: fmt.Sprintf("GET /v1/feeds/%s/messages/%d", name, number),
	})
}

// Replay implements gateway.Feeds.
func (p *feedPart) Replay(ctx context.Context, name string, number uint64) error {
	f, err := p.find(name)
	switch {
	case err != nil:
		return err
	case f.conf.Off:
		return gateway.ErrFeedOff
	case f.in != nil:
		return f.in.Replay(ctx, number)
	}
	_, err = f.out.Replay(ctx, number)
	return err
}

// Discard implements gateway.Feeds.
func (p *feedPart) Discard(_ context.Context, name string, number uint64) error {
	f, err := p.find(name)
	switch {
	case err != nil:
		return err
	case f.in != nil:
		return f.in.Discard(number)
	}
	return f.out.Discard(number)
}

// SetAside implements gateway.Feeds.
func (p *feedPart) SetAside(ctx context.Context, name string, number uint64) error {
	f, err := p.find(name)
	switch {
	case err != nil:
		return err
	case f.in == nil:
		return gateway.ErrFeedDirection
	}
	return f.in.SetAside(ctx, number)
}

// Send implements gateway.Feeds. What leaves by the feed is in the log before it is in the queue.
func (p *feedPart) Send(ctx context.Context, name, patient string, raw []byte) (uint64, error) {
	f, err := p.find(name)
	switch {
	case err != nil:
		return 0, err
	case f.out == nil:
		return 0, gateway.ErrFeedDirection
	}
	if len(raw) > feedMessage {
		return 0, &hl7.Error{Code: hl7.CodeSize, Condition: hl7.ValueTooLong}
	}
	m, err := hl7.Parse(raw)
	if err != nil {
		return 0, err
	}
	f.making.Lock()
	defer f.making.Unlock()
	if err := p.about(ctx, m, patient); err != nil {
		return 0, err
	}
	if err := p.event(ctx, balp.Event{
		Kind: balp.Disclose, Outcome: balp.Success, Client: balp.Who{Display: operatorClient}, Recipient: balp.Who{Display: "feed " + name, Address: host(f.conf.Send)},
		Patient: balp.Who{Reference: patient}, Query: fmt.Sprintf("POST /v1/feeds/%s/send", name), What: "an HL7 v2 message",
	}); err != nil {
		return 0, err
	}
	return f.out.Enqueue(ctx, raw, patient)
}

// erase drops what waits to be sent and tells of what is erased. It comes after the erasure of the store.
func (p *feedPart) erase(e store.Erasure) error {
	gone := map[string]bool{}
	for _, o := range e.Owners {
		gone[o] = true
	}
	for _, v := range e.Versions {
		gone[versionOf(v.Type, v.ID, v.VID)] = true
	}
	delete(gone, "")
	for _, f := range p.feeds {
		if f.out == nil {
			continue
		}
		f.making.Lock()
		err := f.out.Drop(func(about string) bool { return gone[about] })
		f.making.Unlock()
		if err != nil {
			return fmt.Errorf("node: feed %s: %w", f.conf.Name, err)
		}
	}
	return nil
}

// versionOf names a version of a resource.
func versionOf(typ, id string, vid int64) string {
	return fmt.Sprintf("%s/%s/_history/%d", typ, id, vid)
}

// about refuses a message about a patient whom nobody named, or who is not here.
func (p *feedPart) about(ctx context.Context, m *hl7.Message, patient string) error {
	if patient == "" {
		if m.Segment("PID").Exists() {
			return gateway.ErrFeedPatient
		}
		return nil
	}
	id, ok := strings.CutPrefix(patient, "Patient/")
	if !ok {
		return gateway.ErrFeedPatient
	}
	_, err := p.store.Read(ctx, store.Key{Type: "Patient", ID: id})
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone) {
		return gateway.ErrFeedPatient
	}
	return err
}

func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return strings.Trim(h, "[]")
}
