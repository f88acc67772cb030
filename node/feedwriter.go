package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"salus/config"
	"salus/fhir"
	"salus/fhir/index"
	"salus/fhir/search"
	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/gateway/rest"
	"salus/hl7"
	"salus/hl7/feed"
	"salus/hl7/tofhir"
	"salus/internal/mistake"
	"salus/seal"
	"salus/store"
)

// A feedWriter writes what the messages of one feed say, as transactions of the FHIR server. It is
// a feed.Merger.
type feedWriter struct {
	name    string
	log     *slog.Logger
	store   *store.Store
	index   *index.Index
	within  *transactor
	event   func(context.Context, balp.Event) error
	toFHIR  func(*hl7.Message, tofhir.Options) (*tofhir.Result, error) // tofhir.Map
	mapping tofhir.Options
	labels  []security

	proposer string // practitioner who proposes merges; "" proposes none
	intents  *intents

	turn *sync.Mutex // of all feeds: one message is written at a time

	mu   sync.Mutex
	told map[uint64]*told // what Apply said of messages that are not settled
}

// told is what is known of a message that is being done.
type told struct {
	patients []string
	merge    *tofhir.Merge
}

// A security is a security label.
type security struct {
	System string `json:"system"`
	Code   string `json:"code"`
}

// feedWriter makes the writer of a feed. It is a client of the FHIR server like others, with the
// organisation's own leave: what it writes is checked, indexed, told to subscribers and carried to
// the ledger like any other write.
func (n *Node) feedWriter(keys *keys, c config.Feed, log *slog.Logger, turn *sync.Mutex) (*feedWriter, error) {
	zone, err := c.Location()
	if err != nil {
		return nil, err
	}
	key := seal.Sum("feed-identifiers", keys.store[:])
	w := &feedWriter{
		name: c.Name, log: log, store: n.fhir.store, index: n.fhir.index, within: n.fhir.within, event: n.fhir.event, turn: turn, told: map[uint64]*told{}, proposer: c.Proposer, intents: n.feeds.intents, toFHIR: tofhir.Map,
		mapping: tofhir.Options{Base: "urn:salus:feed:" + c.Name, Key: key[:], Zone: zone, Authorities: c.Authorities, CodeSystems: c.CodeSystems},
	}
	for _, l := range c.Labels {
		w.labels = append(w.labels, securityOf(l))
	}
	raw := c.RawLabels
	if len(raw) == 0 {
		raw = []string{string(fhir.R)}
	}
	for _, l := range raw {
		s := securityOf(l)
		w.mapping.Restrict = append(w.mapping.Restrict, tofhir.Identifier{System: s.System, Value: s.Code})
	}
	return w, nil
}

// securityOf is a label in the code system that HL7 has it in (spec/labels.md).
func securityOf(label string) security {
	const system = "http://terminology.hl7.org/CodeSystem/v3-"
	if l := fhir.Label(label); l == fhir.R || l == fhir.V {
		return security{system + "Confidentiality", label}
	}
	return security{system + "ActCode", label}
}

// The reasons of dead letters that come from here. They are stable.
var (
	errFeedMap        = &feed.Rejection{Code: "feed-map"}                                    // a mistake in the map
	errFeedAmbiguous  = &feed.Rejection{Code: "feed-ambiguous", Condition: hl7.DuplicateKey} // an identifier is of several resources
	errFeedIdentifier = &feed.Rejection{Code: "feed-identifier", Condition: hl7.ValueTooLong}
	errFeedMergeNone  = &feed.Rejection{Code: "feed-merge-unknown", Condition: hl7.UnknownKey}       // nobody to merge into
	errFeedMergeOther = &feed.Rejection{Code: "feed-merge-other", Condition: hl7.DuplicateKey}       // merged into somebody else already
	errFeedMergeCycle = &feed.Rejection{Code: "feed-merge-cycle", Condition: hl7.DuplicateKey}       // the survivor was merged away
	errFeedBusy       = errors.New("node: others changed the same resources again and again")        // not now
	errFeedServer     = errors.New("node: the FHIR server did not take a transaction of a feed now") // not now
)

// apply writes what a message says; nil says that it is durable. It may be called again.
func (w *feedWriter) apply(ctx context.Context, m feed.Message) error {
	err := w.write(ctx, m)
	var r *feed.Rejection
	var e *hl7.Error
	if err != nil && !errors.As(err, &r) && !errors.As(err, &e) {
		w.log.WarnContext(ctx, "feed_message_waits", "message", m.Number, "err", err)
	}
	return err
}

func (w *feedWriter) write(ctx context.Context, m feed.Message) error {
	o := w.mapping
	o.Recorded, o.Original = m.Received, m.Raw
	r, err := mistake.Keep(ctx, w.log, "feed_map", errFeedMap, func() (*tofhir.Result, error) { return w.toFHIR(m.Parsed, o) })
	if err != nil {
		return err
	}
	t := &told{merge: r.Merge}
	w.mu.Lock()
	w.told[m.Number] = t
	w.mu.Unlock()
	if len(r.Unmapped) > 0 {
		w.log.InfoContext(ctx, "feed_values_without_a_map", "message", m.Number, "fields", fields(r.Unmapped))
	}
	if err := w.allowed(ctx, r.Merge); err != nil {
		return err
	}
	first := true
	err = w.transact(ctx, m.Number, func() ([]change, error) {
		defer func() { first = false }()
		return w.plan(ctx, r, first)
	})
	if err != nil {
		return err
	}
	for i := range r.Entries {
		if e := &r.Entries[i]; e.Type == "Patient" {
			v, err := w.find(ctx, "Patient", e.Identifier, r.Merge)
			if err != nil {
				return err
			}
			if v != nil {
				t.patients = append(t.patients, "Patient/"+v.ID)
			}
		}
	}
	return nil
}

// fields names places, each field once: never what stands there.
func fields(list []tofhir.Path) string {
	var out []string
	for _, p := range list {
		f := fmt.Sprintf("%s-%d", p.Segment, p.Field)
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return strings.Join(out, " ")
}

// settled puts what became of a message into the log, an event for each patient.
func (w *feedWriter) settled(ctx context.Context, o feed.Outcome) error {
	w.mu.Lock()
	t := w.told[o.Number]
	w.mu.Unlock()
	e := balp.Event{Kind: balp.Whole, Outcome: balp.Success, Client: balp.Who{Display: "feed " + w.name}, Query: fmt.Sprintf("POST [base] feed=%s message=%d", w.name, o.Number)}
	if o.Code != hl7.AA {
		e.Outcome, e.Reason = balp.Minor, o.Reason
	}
	patients := []string{""}
	if t != nil && len(t.patients) > 0 && o.Code == hl7.AA {
		patients = t.patients
	}
	for _, p := range patients {
		e.Patient = balp.Who{Reference: p}
		if err := w.event(ctx, e); err != nil {
			return err
		}
	}
	w.mu.Lock()
	delete(w.told, o.Number)
	w.mu.Unlock()
	return nil
}

// A change is one entry of a transaction. fresh: it must come to nothing that is there already.
type change struct {
	FullURL  string          `json:"fullUrl,omitempty"`
	Resource json.RawMessage `json:"resource"`
	Request  request         `json:"request"`
}

type request struct {
	Method      string `json:"method"`
	URL         string `json:"url"`
	IfMatch     string `json:"ifMatch,omitempty"`
	IfNoneExist string `json:"ifNoneExist,omitempty"`
}

// plan is what a mapped message changes now. With once, a message whose Provenance is there changes
// nothing: it was written whole before.
func (w *feedWriter) plan(ctx context.Context, r *tofhir.Result, once bool) ([]change, error) {
	var in struct{ Entry []change }
	if err := json.Unmarshal(r.Bundle, &in); err != nil || len(in.Entry) != len(r.Entries) {
		return nil, errors.New("node: a mapped message is no Bundle")
	}
	found := make([]*store.Version, len(in.Entry))
	var known []string // pairs for a Replacer
	for i, e := range r.Entries {
		v, err := w.standing(ctx, &in.Entry[i], &e, r.Merge)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue
		}
		if e.Type == "Provenance" && once {
			return nil, nil
		}
		found[i] = v
		known = append(known, `"`+in.Entry[i].FullURL+`"`, `"`+v.Type+"/"+v.ID+`"`)
	}
	refer := strings.NewReplacer(known...)
	var out []change
	for i, e := range r.Entries {
		c := in.Entry[i]
		c.Resource = []byte(refer.Replace(string(c.Resource)))
		v := found[i]
		switch {
		case v != nil && (e.Create || e.Type == "Provenance"):
			continue
		case v != nil:
			body, err := tofhir.Overlay(v.Body, c.Resource, e.Nulls)
			if err != nil {
				return nil, err
			}
			put, err := w.update(v, body, e.Type)
			if err != nil {
				return nil, err
			}
			if put != nil {
				out = append(out, *put)
			}
			continue
		case e.Type != "Provenance":
			c.Request = request{Method: http.MethodPost, URL: e.Type, IfNoneExist: strings.SplitN(c.Request.URL+"?"+c.Request.IfNoneExist, "?", 3)[1]}
		}
		body, err := w.labelled(c.Resource, e.Type)
		if err != nil {
			return nil, err
		}
		c.Resource = body
		out = append(out, c)
	}
	return out, nil
}

// standing is the resource that an entry is about, nil if there is none.
func (w *feedWriter) standing(ctx context.Context, c *change, e *tofhir.Entry, m *tofhir.Merge) (*store.Version, error) {
	if e.Identifier != (tofhir.Identifier{}) {
		return w.find(ctx, e.Type, e.Identifier, m)
	}
	v, err := w.store.Read(ctx, store.Key{Type: e.Type, ID: strings.TrimPrefix(c.Request.URL, e.Type+"/")})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return nil, nil //nolint:nilnil // none is an answer
	case err != nil:
		return nil, err
	}
	return &v, nil
}

// update is the change of a resource to a body, nil if that says nothing new.
func (w *feedWriter) update(v *store.Version, body []byte, typ string) (*change, error) {
	body, err := w.labelled(body, typ)
	if err != nil {
		return nil, err
	}
	body, err = identified(body, v.ID)
	if err != nil {
		return nil, err
	}
	was, err := identified(v.Body, v.ID)
	if err != nil {
		return nil, err
	}
	if same(was, body) {
		return nil, nil //nolint:nilnil // no change is an answer
	}
	if body, err = edited(body, untold); err != nil {
		return nil, err
	}
	return &change{Resource: body, Request: request{Method: http.MethodPut, URL: v.Type + "/" + v.ID, IfMatch: fmt.Sprintf(`W/"%d"`, v.VID)}}, nil
}

// maxIdentifier is how much of a token the store tells apart from others.
const maxIdentifier = 256

// find returns the one own resource with an identifier; nil if there is none. Of several Patients
// with it, those that were merged into another of them do not count, but for the one that a merge or
// its undo names.
func (w *feedWriter) find(ctx context.Context, typ string, id tofhir.Identifier, m *tofhir.Merge) (*store.Version, error) {
	if len(id.System) > maxIdentifier || len(id.Value) > maxIdentifier {
		return nil, errFeedIdentifier
	}
	q, err := search.Parse(typ, []search.Pair{{Name: "identifier", Value: id.Token()}}, search.Options{Params: w.index, Now: time.Now()})
	if err != nil {
		return nil, errFeedIdentifier
	}
	p, err := w.store.Search(ctx, store.Search{Query: q, Sight: store.Sight{Scopes: []store.Scope{store.Own}}, Count: 20})
	if err != nil {
		return nil, err
	}
	list := p.Matches
	if len(list) > 1 && typ == "Patient" {
		replaced := m != nil && m.Replaced == id
		list = slices.DeleteFunc(slices.Clone(list), func(v store.Version) bool {
			gone := slices.ContainsFunc(p.Matches, func(o store.Version) bool { return linked(v.Body, "Patient/"+o.ID, linkReplacedBy) })
			if replaced && m.Undo {
				return !gone
			}
			return gone
		})
		if replaced && !m.Undo {
			if list, err = w.without(ctx, list, m.Survivor); err != nil {
				return nil, err
			}
		}
	}
	switch len(list) {
	case 0:
		return nil, nil //nolint:nilnil // none is an answer
	case 1:
		return &list[0], nil
	}
	return nil, errFeedAmbiguous
}

// without leaves out the Patient with an identifier.
func (w *feedWriter) without(ctx context.Context, list []store.Version, id tofhir.Identifier) ([]store.Version, error) {
	v, err := w.find(ctx, "Patient", id, nil)
	if err != nil || v == nil {
		return list, err
	}
	return slices.DeleteFunc(list, func(x store.Version) bool { return x.ID == v.ID }), nil
}

// transactTries bounds how often a transaction is planned anew because others were faster.
const transactTries = 8

// transact plans and writes, anew as long as others change the same resources in between.
// Each resource is marked with the message that it came by, as far as it is changed at all.
func (w *feedWriter) transact(ctx context.Context, message uint64, plan func() ([]change, error)) error {
	w.turn.Lock()
	defer w.turn.Unlock()
	for range transactTries {
		list, err := plan()
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			if list[i].Resource, err = sourced(list[i].Resource, feedSource(w.name, message)); err != nil {
				return err
			}
		}
		again, err := w.post(ctx, list)
		if err != nil || !again {
			return err
		}
	}
	return errFeedBusy
}

// post gives a transaction to the FHIR server. again: it has to be planned anew, because something
// that was to be new is there, or something has changed.
func (w *feedWriter) post(ctx context.Context, list []change) (again bool, err error) {
	b, err := json.Marshal(map[string]any{"resourceType": "Bundle", "type": "transaction", "entry": list})
	if err != nil {
		return false, fmt.Errorf("node: transaction: %w", err)
	}
	// It sees and writes what is the organisation's own, and nothing else.
	leave := &rest.Leave{Scopes: []store.Scope{store.Own}, Client: "feed:" + w.name}
	status, _, body := w.within.execute(ctx, leave, http.Header{chart.HeaderWait: {"stored"}}, b)
	if status == http.StatusOK {
		var out struct {
			Entry []struct{ Response struct{ Status string } }
		}
		if json.Unmarshal(body, &out) != nil || len(out.Entry) != len(list) {
			return false, errFeedServer
		}
		for i, e := range out.Entry {
			again = again || list[i].Request.Method == http.MethodPost && !strings.HasPrefix(e.Response.Status, "201")
		}
		return again, nil
	}
	code, where := issueOf(body)
	switch {
	case code == "rest-version", code == "rest-conflict":
		return true, nil
	case status < 400 || status >= 500 || code == "":
		return false, errFeedServer
	}
	w.log.WarnContext(ctx, "feed_transaction_refused", "code", code, "at", where)
	return false, &feed.Rejection{Code: code}
}

// issueOf is the code of the first error of an answer, and its place.
func issueOf(outcome []byte) (code, where string) {
	var o struct {
		Issue []struct {
			Severity   string
			Details    struct{ Coding []security }
			Expression []string
		}
	}
	if json.Unmarshal(outcome, &o) != nil {
		return "", ""
	}
	for _, i := range o.Issue {
		if i.Severity != "error" && i.Severity != "fatal" || len(i.Details.Coding) == 0 {
			continue
		}
		return i.Details.Coding[0].Code, strings.Join(i.Expression, " ")
	}
	return "", ""
}
