package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"salus/gateway"
	"salus/gateway/balp"
	"salus/hl7/fromfhir"
	"salus/store"
)

// Lost implements gateway.Feeds: what the feed's messages about a resource leave out. Nothing is sent. That somebody
// looked is in the log of those whom the messages would be about.
func (p *feedPart) Lost(ctx context.Context, name, resource, event string) ([]gateway.FeedLost, error) {
	f, err := p.find(name)
	switch {
	case err != nil:
		return nil, err
	case f.pub == nil:
		return nil, gateway.ErrFeedDirection
	}
	typ, id, _ := strings.Cut(resource, "/")
	v, err := f.pub.store.Read(ctx, store.Key{Scope: store.Own, Type: typ, ID: id})
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return nil, gateway.ErrFeedResource
	case err != nil:
		return nil, err
	}
	s := &publishedFrom{p: f.pub}
	out, err := f.pub.lost(ctx, &v, s, event)
	if err := p.looked(ctx, &v, s, fmt.Sprintf("GET /v1/feeds/%s/lost?resource=%s", name, resource), err); err != nil {
		return nil, err
	}
	switch {
	case slices.ContainsFunc([]error{fromfhir.ErrEmpty, fromfhir.ErrEvent, fromfhir.ErrJSON, fromfhir.ErrPatient}, func(known error) bool { return errors.Is(err, known) }):
		return nil, gateway.ErrFeedEvent
	case errors.Is(err, errPublishLabel), errors.Is(err, errPublishMessage), errors.Is(err, fromfhir.ErrNotice):
		return nil, gateway.ErrFeedWithheld
	}
	return out, err
}

// lost makes the messages of an event, or else those that a first version calls for, as far as the feed publishes them.
func (p *publisher) lost(ctx context.Context, v *store.Version, s *publishedFrom, event string) ([]gateway.FeedLost, error) {
	if err := s.allowed(v.Body); err != nil {
		return nil, err
	}
	events := []string{event}
	if event == "" {
		events = fromfhir.EventsOf(v.Body, nil)
	}
	events = slices.DeleteFunc(events, func(e string) bool { return !p.wants(e) })
	if len(events) == 0 {
		return nil, fromfhir.ErrEvent
	}
	out := []gateway.FeedLost{}
	for _, e := range events {
		list, more, err := fromfhir.Lost(ctx, fromfhir.Change{Resource: v.Body, Event: e, Control: noControl, Time: v.Updated, First: true}, s, p.options)
		if err != nil {
			return nil, err
		}
		if len(s.notices()) > 0 && !fromfhir.Notable(e) {
			return nil, fromfhir.ErrNotice
		}
		x := gateway.FeedLost{Event: e, More: more, Missing: []gateway.FeedMissing{}}
		for _, m := range list {
			x.Missing = append(x.Missing, gateway.FeedMissing{Resource: m.Resource, Path: m.Path})
		}
		out = append(out, x)
	}
	return out, nil
}

// looked puts into the log that an operator asked what a message about a resource would say.
func (p *feedPart) looked(ctx context.Context, v *store.Version, s *publishedFrom, query string, failed error) error {
	e := balp.Event{
		Kind: balp.Operation, Outcome: balp.Success, Client: balp.Who{Display: operatorClient}, Query: query, Resources: []string{versionOf(v.Type, v.ID, v.VID)},
	}
	if failed != nil {
		e.Outcome = balp.OutcomeOf(http.StatusUnprocessableEntity)
	}
	whose := []string{}
	if v.Type == "Patient" {
		whose = append(whose, "Patient/"+v.ID)
	} else if v.Owner != "" {
		whose = append(whose, v.Owner)
	}
	for i := range s.read {
		r := &s.read[i]
		if ref := "Patient/" + r.ID; r.Type == "Patient" && !slices.Contains(whose, ref) {
			whose = append(whose, ref)
		}
	}
	if len(whose) == 0 {
		return p.event(ctx, e)
	}
	for _, ref := range whose {
		e.Patient = balp.Who{Reference: ref}
		if err := p.event(ctx, e); err != nil {
			return err
		}
	}
	return nil
}
