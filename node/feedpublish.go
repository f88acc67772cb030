package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"salus/config"
	"salus/fhir"
	"salus/fhir/index"
	"salus/fhir/search"
	"salus/gateway/balp"
	"salus/hl7"
	"salus/hl7/feed"
	"salus/hl7/fromfhir"
	"salus/hl7/mllp"
	"salus/internal/durable"
	"salus/internal/mistake"
	"salus/store"
)

// A publisher makes the messages of one feed that sends of what is written to the FHIR server. It follows the
// store's order and keeps its place on disk after what it queued: a crash in between makes it come to the same
// versions again, whose messages have the same control ids, which the queue knows.
type publisher struct {
	conf    config.Feed
	log     *slog.Logger
	store   *store.Store
	index   *index.Index
	event   func(context.Context, balp.Event) error
	room    func(bytes int) error
	out     *feed.Outbound
	making  *sync.Mutex // of the feed
	options fromfhir.Options
	notices []fhir.Notice // that go with what bears their labels
	file    string

	at    place  // what was read
	saved int64  // Seq of what is on disk
	since *place // after the store was made anew: what was read of the old one
}

// A place is a version in the store's order.
type place struct {
	Seq     int64     `json:"seq"`
	Version string    `json:"version"` // hash of its name: the same number is another version in a store that was made anew
	Updated time.Time `json:"updated"`
}

func placeOf(v *store.Version) place {
	h := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", v.Type, v.ID, v.VID))
	return place{v.Seq, hex.EncodeToString(h[:16]), v.Updated.UTC()}
}

const (
	publishBatch = 200  // versions that are read at once
	publishSave  = 1000 // versions after which the place is kept though nothing was sent
)

// openPublisher opens the publisher of a feed. One that is new begins with what is written from now on.
func (n *Node) openPublisher(c config.Feed, f *mllpFeed) (*publisher, error) {
	p := &publisher{
		conf: c, log: f.log, store: n.fhir.store, index: n.fhir.index, event: n.fhir.event, room: n.space.room, out: f.out, making: &f.making, notices: n.cfg.Accompany(), file: filepath.Join(n.cfg.Data("feeds"), c.Name, "published"),
		options: fromfhir.Options{Base: n.cfg.FHIRBase(), Authorities: c.Authorities, CodeSystems: c.CodeSystems, Application: "SALUS", Sender: orElse(c.Facility, n.cfg.Name), ReceiverAt: c.Receiver},
	}
	b, err := os.ReadFile(p.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l, _, err := p.store.History(context.Background(), store.Past{Scopes: []store.Scope{store.Own}, Count: 1, Uncounted: true})
		if err != nil {
			return nil, err
		}
		if len(l) > 0 {
			p.at = placeOf(&l[0])
		}
		return p, p.save()
	case err != nil:
		return nil, fmt.Errorf("publish: %w", err)
	}
	if err := json.Unmarshal(b, &p.at); err != nil {
		return nil, errors.New("publish: the file that says what was published is damaged; remove it to publish what is written from now on")
	}
	p.saved = p.at.Seq
	return p, p.anew()
}

// anew finds out whether the store is the one that the place is of. In another one, everything is looked at again,
// but for what was written before.
func (p *publisher) anew() error {
	if p.at.Seq == 0 {
		return nil
	}
	l, err := p.store.After(context.Background(), p.at.Seq-1, 1)
	if err != nil {
		return err
	}
	if len(l) == 0 || placeOf(&l[0]).Version != p.at.Version {
		was := p.at
		p.since, p.at = &was, place{}
	}
	return nil
}

// save keeps the place. While a store that was made anew is looked at, the old place stays: it is asked for again.
func (p *publisher) save() error {
	if p.since != nil {
		return nil
	}
	b, err := json.Marshal(p.at)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(p.file), 0o700); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := durable.WriteFile(p.file, b); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	p.saved = p.at.Seq
	return nil
}

// run publishes until ctx ends.
func (p *publisher) run(ctx context.Context) error {
	for ctx.Err() == nil {
		changed := p.store.Changed()
		more, err := p.step(ctx)
		if err == nil && more {
			continue
		}
		if err != nil && ctx.Err() == nil {
			p.log.WarnContext(ctx, "feed_publish_waits", "err", err)
			timer := time.NewTimer(feedRetry)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
			continue
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	if p.at.Seq > p.saved {
		return p.save()
	}
	return nil
}

// step publishes what the next versions call for; more: there may be others.
func (p *publisher) step(ctx context.Context) (more bool, err error) {
	p.making.Lock()
	defer p.making.Unlock()
	l, err := p.store.After(ctx, p.at.Seq, publishBatch)
	if err != nil {
		return false, err
	}
	queued := false
	for i := range l {
		v := &l[i]
		if p.since == nil || !v.Updated.Before(p.since.Updated) {
			did, err := p.publish(ctx, v)
			if err != nil {
				return false, err
			}
			queued = queued || did
		}
		p.at = placeOf(v)
	}
	if p.since != nil && len(l) < publishBatch {
		p.since, queued = nil, true // from here on the place is one of this store
	}
	if queued || p.at.Seq-p.saved >= publishSave {
		if err := p.save(); err != nil {
			return false, err
		}
	}
	return len(l) == publishBatch, nil
}

// published are the types of which messages are made; Observations go with their reports.
var published = []string{"Appointment", "ChargeItem", "Claim", "DiagnosticReport", "DocumentReference", "Encounter", "Immunization", "Observation", "Patient", "ServiceRequest"}

// publish queues the messages that a version calls for.
func (p *publisher) publish(ctx context.Context, v *store.Version) (queued bool, err error) {
	if v.Method == store.Delete || v.Body == nil || !slices.Contains(published, v.Type) {
		return false, nil
	}
	var before []byte
	if v.VID > 1 {
		old, err := p.store.ReadVersion(ctx, v.Key, v.VID-1)
		if err != nil && !errors.Is(err, store.ErrGone) && !errors.Is(err, store.ErrNotFound) {
			return false, err
		}
		before = old.Body
	}
	if from := cameBy(v.Body, before); from != "" && !slices.Contains(p.conf.PublishFrom, from) {
		return false, nil
	}
	if v.Type == "Observation" {
		return p.reports(ctx, v)
	}
	for _, e := range fromfhir.EventsOf(v.Body, before) {
		did, err := p.tell(ctx, v, before, e)
		if err != nil {
			return queued, err
		}
		queued = queued || did
	}
	return queued, nil
}

// feedSource names the message that a version came in by (R4 Meta.source).
func feedSource(name string, message uint64) string {
	return fmt.Sprintf("urn:salus:feed:%s#%d", name, message)
}

// cameBy is the feed by which a version came in; "" if it was written otherwise. A client that changes a resource
// and leaves its meta as it was does not make it the feed's.
func cameBy(body, before []byte) string {
	source := func(b []byte) string {
		var r struct{ Meta struct{ Source string } }
		if json.Unmarshal(b, &r) != nil {
			return ""
		}
		return r.Meta.Source
	}
	s := source(body)
	rest, ok := strings.CutPrefix(s, "urn:salus:feed:")
	name, _, of := strings.Cut(rest, "#")
	if !ok || !of || s == source(before) {
		return ""
	}
	return name
}

// wants says whether the feed publishes an event.
func (p *publisher) wants(event string) bool {
	code, _, _ := strings.Cut(event, "^")
	return slices.Contains(p.conf.Publish, code) || slices.Contains(p.conf.Publish, event)
}

// find are own resources that a search finds, the newest first.
func (p *publisher) find(ctx context.Context, typ string, pairs ...search.Pair) ([]store.Version, error) {
	q, err := search.Parse(typ, append(pairs, search.Pair{Name: "_sort", Value: "-_lastUpdated"}), search.Options{Params: p.index, Now: time.Now()})
	if err != nil {
		return nil, err
	}
	l, err := p.store.Search(ctx, store.Search{Query: q, Sight: store.Sight{Scopes: []store.Scope{store.Own}}, Count: 20})
	if err != nil {
		return nil, err
	}
	return l.Matches, nil
}

// reports tells of the reports that an Observation is a result of.
func (p *publisher) reports(ctx context.Context, v *store.Version) (queued bool, err error) {
	if !p.wants("ORU^R01") {
		return false, nil
	}
	l, err := p.find(ctx, "DiagnosticReport", search.Pair{Name: "result", Value: "Observation/" + v.ID})
	if err != nil {
		return false, err
	}
	for i := range l {
		did, err := p.tell(ctx, &l[i], nil, "ORU^R01")
		if err != nil {
			return queued, err
		}
		queued = queued || did
	}
	return queued, nil
}

// noControl stands for a control id until it is known.
const noControl = "--------------------"

// tell queues the message of an event, unless it is there already or must not be sent.
func (p *publisher) tell(ctx context.Context, v *store.Version, before []byte, event string) (bool, error) {
	c := fromfhir.Change{Resource: v.Body, Event: event, Control: noControl, Time: v.Updated, First: v.VID == 1}
	s := &publishedFrom{p: p}
	if event == "ADT^A31" && (p.wants("ADT^A08") || p.wants("ADT^A31")) {
		l, err := p.find(ctx, "Encounter", search.Pair{Name: "subject", Value: "Patient/" + v.ID}, search.Pair{Name: "status", Value: "arrived,triaged,in-progress,onleave"})
		if err != nil {
			return false, err
		}
		if len(l) > 0 {
			c.Event = "ADT^A08"
			if c.Encounter, err = s.Read(ctx, "Encounter/"+l[0].ID); err != nil {
				return false, p.withheld(ctx, v, err)
			}
		}
	}
	if !p.wants(c.Event) {
		return false, nil
	}
	if event == "ADT^A37" {
		other, err := s.Read(ctx, fromfhir.Unlinked(v.Body, before))
		if err != nil {
			return false, p.withheld(ctx, v, err)
		}
		c.Other = other
	}
	// The version may be an old one: what holds now of labels and erasure holds for it.
	now, err := s.Read(ctx, v.Type+"/"+v.ID)
	if err == nil && now == nil {
		return false, nil
	}
	if err == nil {
		err = s.allowed(v.Body)
	}
	if err != nil {
		return false, p.withheld(ctx, v, err)
	}
	raw, err := mistake.Keep(ctx, p.log, "feed_map", errPublishMessage, func() ([]byte, error) { return fromfhir.Map(ctx, c, s, p.options) })
	if err != nil {
		return false, p.withheld(ctx, v, err)
	}
	if raw, err = fromfhir.Noted(c.Event, raw, s.notices()); err != nil {
		return false, p.withheld(ctx, v, err)
	}
	control := s.control(p.conf.Name, c.Event, v)
	if p.out.Has(control) {
		return false, nil
	}
	raw = []byte(strings.Replace(string(raw), noControl, control, 1))
	if len(raw) > feedMessage {
		p.log.WarnContext(ctx, "feed_publish_too_large", "type", v.Type, "event", c.Event)
		return false, nil
	}
	if err := p.room(len(raw)); err != nil {
		return false, err
	}
	if err := p.disclosed(ctx, v, s, c.Event, control); err != nil {
		return false, err
	}
	_, err = p.out.Enqueue(ctx, raw, s.about(v)...)
	var bad *hl7.Error
	if errors.Is(err, mllp.ErrContent) || errors.As(err, &bad) {
		return false, p.withheld(ctx, v, errPublishMessage)
	}
	return err == nil, err
}

var (
	errPublishLabel   = errors.New("node: what the message would say bears a label that the feed does not publish")
	errPublishMessage = errors.New("node: no message could be made")
)

// withheld tells the log of a message that is not sent, by its type alone. It returns errors that are of the moment.
func (p *publisher) withheld(ctx context.Context, v *store.Version, err error) error {
	for _, known := range []error{errPublishLabel, errPublishMessage, fromfhir.ErrNotice, fromfhir.ErrEmpty, fromfhir.ErrEvent, fromfhir.ErrJSON, fromfhir.ErrPatient} {
		if errors.Is(err, known) {
			p.log.InfoContext(ctx, "feed_not_published", "type", v.Type, "why", known)
			return nil
		}
	}
	return err
}

// disclosed puts a message into the log of those whom it is about, before it is queued.
func (p *publisher) disclosed(ctx context.Context, v *store.Version, s *publishedFrom, event, control string) error {
	e := balp.Event{
		Kind: balp.Disclose, Outcome: balp.Success, Client: balp.Who{Display: "feed " + p.conf.Name}, Recipient: balp.Who{Display: "feed " + p.conf.Name, Address: host(p.conf.Send)},
		Resources: []string{versionOf(v.Type, v.ID, v.VID)}, Query: fmt.Sprintf("publish feed=%s message=%s", p.conf.Name, control), What: "an HL7 v2 message (" + event + ")",
	}
	for i := range s.read {
		if r := &s.read[i]; r.Type != "Patient" && (r.Type != v.Type || r.ID != v.ID) {
			e.Resources = append(e.Resources, versionOf(r.Type, r.ID, r.VID))
		}
	}
	for i := range s.read {
		if r := &s.read[i]; r.Type == "Patient" {
			e.Patient = balp.Who{Reference: "Patient/" + r.ID}
			if err := p.event(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}
