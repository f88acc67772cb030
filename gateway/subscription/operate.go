package subscription

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"

	"salus/gateway/rest"
)

// Operations are $status, $events and $get-ws-binding-token, for rest.Config.
func (s *Service) Operations() []rest.Operation {
	const base = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-subscription-"
	here := []string{"Subscription"}
	return []rest.Operation{
		{Name: "status", Types: here, Instances: here, ReadOnly: true, Definition: base + "status", Handle: s.statuses},
		{Name: "events", Instances: here, ReadOnly: true, Definition: base + "events", Handle: s.events},
		{Name: "get-ws-binding-token", Types: here, Instances: here, ReadOnly: true, Definition: base + "get-ws-binding-token", Handle: s.bindingToken},
	}
}

var (
	errNone    = rest.NewFault(http.StatusNotFound, "not-found", "subscription-not-found", "this client has no such subscription")
	errNumber  = rest.NewFault(http.StatusBadRequest, "value", "subscription-number", "eventsSinceNumber and eventsUntilNumber are numbers of events")
	errContent = rest.NewFault(http.StatusBadRequest, "value", "subscription-content", "content is empty, id-only or full-resource")
)

// mine finds the subscriptions of the caller that a call is about: her own, no others.
func (s *Service) mine(c *rest.Call) ([]*sub, error) {
	if c.Leave.Client == "" || !c.Leave.Allows(rest.Read, "Subscription") {
		return nil, errNone
	}
	ids := c.Values("id")
	if c.ID != "" {
		ids = []string{c.ID}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []*sub
	for _, id := range ids {
		u := s.subs[id]
		if u == nil || u.client() != c.Leave.Client {
			return nil, errNone
		}
		out = append(out, u)
	}
	if len(ids) == 0 {
		for _, u := range s.subs {
			if u.client() == c.Leave.Client {
				out = append(out, u)
			}
		}
		slices.SortFunc(out, func(a, b *sub) int {
			if a.id < b.id {
				return -1
			}
			return 1
		})
	}
	return out, nil
}

// statuses is $status.
func (s *Service) statuses(_ context.Context, c *rest.Call) (*rest.Reply, error) {
	subs, err := s.mine(c)
	if err != nil {
		return nil, err
	}
	type found struct {
		FullURL  string          `json:"fullUrl"`
		Resource json.RawMessage `json:"resource"`
		Search   struct {
			Mode string `json:"mode"`
		} `json:"search"`
	}
	b := struct {
		ResourceType string  `json:"resourceType"`
		Type         string  `json:"type"`
		Total        int     `json:"total"`
		Entry        []found `json:"entry,omitempty"`
	}{ResourceType: "Bundle", Type: "searchset"}
	wanted := c.Values("status")
	for _, u := range subs {
		if c.ID == "" && len(wanted) > 0 && !slices.Contains(wanted, u.copied().Status) {
			continue
		}
		st, err := s.status(u, queryStatus, nil)
		if err != nil {
			return nil, err
		}
		f := found{FullURL: urn(), Resource: st}
		f.Search.Mode = "match"
		b.Entry = append(b.Entry, f)
	}
	b.Total = len(b.Entry)
	body, err := encode(b)
	return &rest.Reply{Body: body}, err
}

// events is $events: those that are still known, as a notification.
func (s *Service) events(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
	subs, err := s.mine(c)
	if err != nil {
		return nil, err
	}
	u := subs[0]
	since, until := int64(1), int64(1<<63-1)
	for name, to := range map[string]*int64{"eventsSinceNumber": &since, "eventsUntilNumber": &until} {
		if text, ok := c.Param(name); ok {
			if *to, err = strconv.ParseInt(text, 10, 64); err != nil || *to < 0 {
				return nil, errNumber
			}
		}
	}
	content := u.spec.content
	if asked, ok := c.Param("content"); ok {
		levels := []string{empty, idOnly, full}
		at := slices.Index(levels, asked)
		if at < 0 {
			return nil, errContent
		}
		content = levels[min(at, slices.Index(levels, content))] // never more than the subscription's own
	}
	if !allowed(c.Leave, u.spec.typ) {
		content = empty
	}
	var list []event
	for _, e := range u.copied().Events {
		if e.Number >= since && e.Number <= until && len(list) < s.Keep {
			list = append(list, e)
		}
	}
	b, err := s.notification(ctx, u, c.Leave, queryEvent, content, list)
	return &rest.Reply{Body: b}, err
}

// bindingToken is $get-ws-binding-token.
func (s *Service) bindingToken(_ context.Context, c *rest.Call) (*rest.Reply, error) {
	subs, err := s.mine(c)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, u := range subs {
		if u.spec.channel == webSocket {
			ids = append(ids, u.id)
		} else if c.ID != "" || len(c.Values("id")) > 0 {
			return nil, errNone
		}
	}
	if len(ids) == 0 {
		return nil, errNone
	}
	text, until := s.newToken(c.Leave.Client, ids)
	p := parameters{ResourceType: "Parameters", Parameter: []parameter{{Name: "token", String: text}, {Name: "expiration", DateTime: until.UTC().Format(instant)}}}
	for _, id := range ids {
		p.Parameter = append(p.Parameter, parameter{Name: "subscription", String: id})
	}
	p.Parameter = append(p.Parameter, parameter{Name: "websocket-url", URL: s.WebSocket})
	b, err := encode(p)
	return &rest.Reply{Body: b}, err
}
