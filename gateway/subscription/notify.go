package subscription

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"salus/gateway/rest"
	"salus/store"
)

const instant = "2006-01-02T15:04:05.000Z07:00"

type parameter struct {
	Name      string      `json:"name"`
	Reference *reference  `json:"valueReference,omitempty"`
	Canonical string      `json:"valueCanonical,omitempty"`
	Code      string      `json:"valueCode,omitempty"`
	String    string      `json:"valueString,omitempty"`
	Instant   string      `json:"valueInstant,omitempty"`
	DateTime  string      `json:"valueDateTime,omitempty"`
	URL       string      `json:"valueUrl,omitempty"`
	Part      []parameter `json:"part,omitempty"`
}

type reference struct {
	Reference string `json:"reference"`
}

type parameters struct {
	ResourceType string      `json:"resourceType"`
	Meta         *meta       `json:"meta,omitempty"`
	Parameter    []parameter `json:"parameter"`
}

type meta struct {
	Profile []string `json:"profile"`
}

type bundle struct {
	ResourceType string  `json:"resourceType"`
	Type         string  `json:"type"`
	Timestamp    string  `json:"timestamp,omitempty"`
	Entry        []entry `json:"entry"`
}

type entry struct {
	FullURL  string          `json:"fullUrl,omitempty"`
	Resource json.RawMessage `json:"resource,omitempty"`
	Request  *request        `json:"request,omitempty"`
	Response *response       `json:"response,omitempty"`
}

type request struct {
	Method string `json:"method"`
	URL    string `json:"url"`
}

type response struct {
	Status string `json:"status"`
}

// encode writes JSON without escaping what HTML would.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("subscription: encode: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func urn() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails on supported systems
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// status is the resource that tells of a subscription (Backport 1.1.0, Backported R5
// SubscriptionStatus for R4).
func (s *Service) status(u *sub, kind string, events []parameter) ([]byte, error) {
	st := u.copied()
	p := parameters{
		ResourceType: "Parameters", Meta: &meta{[]string{"http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-subscription-status-r4"}},
		Parameter: []parameter{{Name: "subscription", Reference: &reference{s.Base + "/Subscription/" + u.id}}},
	}
	if u.spec.topic != "" {
		p.Parameter = append(p.Parameter, parameter{Name: "topic", Canonical: u.spec.topic})
	}
	p.Parameter = append(p.Parameter, parameter{Name: "status", Code: st.Status}, parameter{Name: "type", Code: kind},
		parameter{Name: "events-since-subscription-start", String: strconv.FormatInt(st.Count, 10)})
	p.Parameter = append(p.Parameter, events...)
	return encode(p)
}

// notification is a Bundle that tells of events, with no more of them than the content allows and
// their subscriber sees now.
func (s *Service) notification(ctx context.Context, u *sub, l *rest.Leave, kind, content string, events []event) ([]byte, error) {
	b := bundle{ResourceType: "Bundle", Type: "history", Timestamp: s.Now().UTC().Format(instant), Entry: make([]entry, 1)}
	var list []parameter
	owners := map[string]bool{}
	for i := range events {
		e := &events[i]
		part := []parameter{{Name: "event-number", String: strconv.FormatInt(e.Number, 10)}, {Name: "timestamp", Instant: e.Time.UTC().Format(instant)}}
		if content != empty {
			v, ok, err := s.visible(ctx, l, e)
			if err != nil {
				return nil, err
			}
			if ok {
				owners[v.Owner] = true
				part = append(part, parameter{Name: "focus", Reference: &reference{s.Base + "/" + e.Type + "/" + e.ID}})
				b.Entry = append(b.Entry, s.entry(e, &v, content))
			}
		}
		list = append(list, parameter{Name: "notification-event", Part: part})
	}
	if err := s.account(ctx, u, owners); err != nil {
		return nil, err
	}
	status, err := s.status(u, kind, list)
	if err != nil {
		return nil, err
	}
	b.Entry[0] = entry{
		FullURL: urn(), Resource: status, Request: &request{"GET", s.Base + "/Subscription/" + u.id + "/$status"}, Response: &response{"200"},
	}
	return encode(b)
}

func (s *Service) entry(e *event, v *store.Version, content string) entry {
	out := entry{FullURL: s.Base + "/" + e.Type + "/" + e.ID, Request: &request{"PUT", e.Type + "/" + e.ID}, Response: &response{"200"}}
	switch e.Method {
	case store.Create:
		out.Request, out.Response = &request{"POST", e.Type}, &response{"201"}
	case store.Delete:
		out.Request.Method, out.Response = "DELETE", &response{"204"}
	}
	if content == full && e.Method != store.Delete {
		out.Resource = rest.Present(v)
	}
	return out
}

// account tells whose resources a notification names or has.
func (s *Service) account(ctx context.Context, u *sub, owners map[string]bool) error {
	if s.Told == nil || len(owners) == 0 {
		return nil
	}
	return s.Told(ctx, u.client(), u.id, slices.Sorted(maps.Keys(owners)))
}
