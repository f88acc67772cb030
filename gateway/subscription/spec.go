package subscription

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"salus/fhir"
	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
)

// The content of notifications.
const (
	empty  = "empty"
	idOnly = "id-only"
	full   = "full-resource"
)

// The channels.
const (
	restHook  = "rest-hook"
	webSocket = "websocket"
)

// extensions of the backport IG.
const backport = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"

// A spec is what a Subscription asks for.
type spec struct {
	status  string
	end     time.Time
	topic   string // "" of a plain R4 subscription
	typ     string
	method  store.Method // that the topic is about
	filters [][]search.Clause

	channel, endpoint string
	header            http.Header
	content           string
	heartbeat         time.Duration // 0 for none
	timeout           time.Duration
	maxCount          int
}

type extension struct {
	URL         string
	ValueString string
	ValueCode   string
	ValueInt    json.Number `json:"valueUnsignedInt"`
	ValuePos    json.Number `json:"valuePositiveInt"`
}

type resource struct {
	Status    string
	End       string
	Criteria  string
	CriteriaX struct{ Extension []extension } `json:"_criteria"`
	Channel   struct {
		Extension []extension
		Type      string
		TypeX     struct{ Extension []extension } `json:"_type"`
		Endpoint  string
		Payload   string
		PayloadX  struct{ Extension []extension } `json:"_payload"`
		Header    []string
	}
}

func issue(typ, code, text, expression string) *rest.Issue {
	return &rest.Issue{Type: typ, Code: code, Text: text, Expression: expression}
}

// Check says what is wrong with a Subscription that somebody writes, and nothing of other
// resources. It belongs into rest.Config.Check.
func (s *Service) Check(ctx context.Context, r fhir.Resource) []rest.Issue {
	l := rest.LeaveOf(ctx)
	if r.Type() != "Subscription" || l == nil {
		return nil
	}
	x, bad := s.parse(r.Raw())
	switch {
	case bad != nil:
		return []rest.Issue{*bad}
	case x.status == "error":
		return []rest.Issue{*issue("value", "subscription-status", "a subscriber sets the status requested or off", "Subscription.status")}
	case l.Client == "":
		return []rest.Issue{*issue("forbidden", "subscription-client", "only a client that is known by itself may subscribe", "")}
	case !allowed(l, x.typ):
		return []rest.Issue{*issue("forbidden", "subscription-forbidden", "the caller may not read and search these resources", "Subscription.criteria")}
	}
	return nil
}

// allowed reports whether a subscriber may be told of a type.
func allowed(l *rest.Leave, typ string) bool {
	return l.Allows(rest.Read, typ) && l.Allows(rest.Search, typ) && slices.Contains(l.Scopes, store.Own)
}

// parse reads a Subscription.
func (s *Service) parse(body []byte) (*spec, *rest.Issue) {
	var r resource
	if json.Unmarshal(body, &r) != nil {
		return nil, issue("structure", "subscription-structure", "an element has another type", "Subscription")
	}
	x := &spec{status: r.Status, channel: r.Channel.Type, endpoint: r.Channel.Endpoint, content: empty, timeout: s.Timeout, maxCount: 1}
	if r.End != "" {
		end, ok := search.Instants(r.End)
		if !ok {
			return nil, issue("value", "subscription-end", "end is an instant", "Subscription.end")
		}
		x.end = time.UnixMilli(int64(end.Low))
	}
	if bad := s.criteria(x, &r); bad != nil {
		return nil, bad
	}
	if bad := s.payload(x, &r); bad != nil {
		return nil, bad
	}
	return x, s.address(x, &r)
}

// criteria reads what a subscription is about.
func (s *Service) criteria(x *spec, r *resource) *rest.Issue {
	if typ, m, ok := s.topic(r.Criteria); ok {
		x.topic, x.typ, x.method, x.maxCount = r.Criteria, typ, m, s.MaxCount
		for _, e := range r.CriteriaX.Extension {
			if e.URL != backport+"filter-criteria" {
				return issue("not-supported", "subscription-extension", "criteria has an extension that this server does not know", "Subscription.criteria")
			}
			of, query, ok := strings.Cut(e.ValueString, "?")
			if !ok {
				of, query = typ, e.ValueString
			}
			if of != typ {
				return issue("not-supported", "subscription-filter", "a filter is about another type than its topic", "Subscription.criteria")
			}
			if bad := s.filter(x, query); bad != nil {
				return bad
			}
		}
		return nil
	}
	typ, query, ok := strings.Cut(r.Criteria, "?")
	if !slices.Contains(s.Types, typ) {
		return issue("value", "subscription-criteria", "criteria is a search as in Observation?code=x, or a topic that this server has", "Subscription.criteria")
	}
	x.typ = typ
	if !ok || query == "" {
		return nil
	}
	return s.filter(x, query)
}

func (s *Service) filter(x *spec, query string) *rest.Issue {
	where, err := s.Server.Condition(x.typ, query)
	if err != nil {
		i := rest.FaultOf(err).Issues[0]
		i.Expression = "Subscription.criteria"
		return &i
	}
	x.filters = append(x.filters, where)
	return nil
}

// payload reads what notifications hold.
func (s *Service) payload(x *spec, r *resource) *rest.Issue {
	at := "Subscription.channel.payload"
	switch r.Channel.Payload {
	case "":
	case "application/fhir+json", "application/json":
		x.content = full
	default:
		return issue("not-supported", "subscription-payload", "the payload is application/fhir+json", at)
	}
	for _, e := range r.Channel.PayloadX.Extension {
		if e.URL != backport+"payload-content" || e.ValueCode != empty && e.ValueCode != idOnly && e.ValueCode != full {
			return issue("not-supported", "subscription-payload", "the content is empty, id-only or full-resource", at)
		}
		x.content = e.ValueCode
	}
	if x.topic != "" && (r.Channel.Payload == "" || len(r.Channel.PayloadX.Extension) != 1) {
		return issue("required", "subscription-payload", "a subscription to a topic names its payload and its content", at)
	}
	for _, e := range r.Channel.Extension {
		n, err := strconv.ParseInt(string(e.ValueInt)+string(e.ValuePos), 10, 32)
		if err != nil || n < 1 {
			return issue("value", "subscription-extension", "the extension has a number from 1", "Subscription.channel")
		}
		switch e.URL {
		case backport + "heartbeat-period":
			x.heartbeat = max(time.Duration(n)*time.Second, s.MinHeartbeat)
		case backport + "timeout":
			x.timeout = min(time.Duration(n)*time.Second, s.Timeout)
		case backport + "max-count":
			x.maxCount = min(int(n), s.MaxCount)
		default:
			return issue("not-supported", "subscription-extension", "the channel has an extension that this server does not know", "Subscription.channel")
		}
	}
	return nil
}

// barred are the headers that are the server's own.
var barred = []string{"Host", "Content-Length", "Content-Type", "Connection", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Expect"}

// address reads where notifications go.
func (s *Service) address(x *spec, r *resource) *rest.Issue {
	if len(r.Channel.TypeX.Extension) > 0 {
		return issue("not-supported", "subscription-channel", "the channel is rest-hook or websocket", "Subscription.channel.type")
	}
	switch x.channel {
	case webSocket:
		if x.endpoint != "" || len(r.Channel.Header) > 0 {
			return issue("invalid", "subscription-endpoint", "a websocket is opened by the subscriber: it has no endpoint and no header", "Subscription.channel")
		}
		return nil
	case restHook:
	default:
		return issue("not-supported", "subscription-channel", "the channel is rest-hook or websocket", "Subscription.channel.type")
	}
	if !s.allows(x.endpoint) {
		return issue("forbidden", "subscription-endpoint", "the operator of this server does not allow that endpoint", "Subscription.channel.endpoint")
	}
	if x.topic == "" && x.content == full && strings.Contains(x.endpoint, "?") {
		return issue("value", "subscription-endpoint", "an endpoint that resources are put below has no query", "Subscription.channel.endpoint")
	}
	x.header = http.Header{}
	for _, h := range r.Channel.Header {
		name, value, ok := strings.Cut(h, ":")
		name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || name == "" || strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`()<>@,;:\"/[]?={}`, c) }) ||
			strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) || slices.Contains(barred, name) {
			return issue("value", "subscription-header", "a header is 'Name: value', and none of those that the server sets itself", "Subscription.channel.header")
		}
		x.header.Add(name, value)
	}
	return nil
}

// allows reports whether the configuration allows an endpoint: the same scheme, host and port as
// one of its addresses, and a path at or below that one's.
func (s *Service) allows(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || u.Opaque != "" || u.User != nil || u.Fragment != "" || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return false
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == ".." || part == "." {
			return false
		}
	}
	for _, a := range s.Allow {
		ok, err := url.Parse(a)
		if err != nil || ok.Scheme != u.Scheme || !strings.EqualFold(ok.Host, u.Host) {
			continue
		}
		base := strings.TrimSuffix(ok.Path, "/")
		if u.Path == base || strings.HasPrefix(u.Path, base+"/") {
			return true
		}
	}
	return false
}
