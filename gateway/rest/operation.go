package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
)

// Operate is the interaction of calling an operation (R4 3.2.0). It is asked for the type in the
// address, "" for the system. It opens no resource: what an operation reads and writes for its
// caller, it asks for by the interaction that it is (Leave.Allows).
const Operate Interaction = "operation"

// An Operation is one that a room beside this one offers.
type Operation struct {
	Name string // "everything", without $
	// Where it may be called: at the base, on types, on resources of types.
	System           bool
	Types, Instances []string
	ReadOnly         bool // GET allowed too
	Stream           bool // Handle reads the body from Call.Reader; Call.Body is nil
	// Definition is the canonical of the OperationDefinition, for the CapabilityStatement.
	Definition string
	// Handle does it. Errors: *Fault, and all that reading and searching return. It is called for
	// an instance only if the caller sees that.
	Handle func(ctx context.Context, c *Call) (*Reply, error)
}

// A Call is one call of an operation.
type Call struct {
	Method, Type, ID string // Type "" at the base, ID "" but on an instance
	Leave            *Leave
	// Params are those of the address, in order, and then those of a Parameters body that have a
	// primitive value or refer to something.
	Params []search.Pair
	Body   []byte // as it was sent; a resource or nil
	Reader io.Reader
	Header http.Header
	Base   string
	Server *Server
}

// A Reply is what an operation answers: FHIR JSON unless Header says otherwise. Status 0 is 200.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
	// About is the compartment that it is about, for a Witness, where the address does not say.
	About string
}

// Sight is what the store shows of it.
func (l *Leave) Sight() store.Sight { return l.sight() }

// Allows reports whether it may do that with resources of a type.
func (l *Leave) Allows(i Interaction, resourceType string) bool {
	return l.May == nil || l.May(i, resourceType)
}

// NewFault makes an error with one issue: its HTTP status, issue-type, stable code and sentence.
func NewFault(status int, typ, code, text string) *Fault { return fault(status, typ, code, text) }

// FaultOf is an error as the caller of this server sees it: errors that are not known are
// internal, and say nothing.
func FaultOf(err error) *Fault { return faultOf(err) }

// FaultFor is FaultOf for a request with that context. What ends because its caller has gone is no
// failure, whatever the database calls it.
func FaultFor(ctx context.Context, err error) *Fault {
	if f := faultOf(err); f != errInternal || !errors.Is(ctx.Err(), context.Canceled) {
		return f
	}
	return errHungUp
}

// Outcome is an OperationOutcome in JSON.
func Outcome(issues []Issue) []byte { return outcomeOf(issues) }

// See returns the current version of a resource that a leave shows. What is hidden is
// store.ErrNotFound.
func See(ctx context.Context, st *store.Store, l *Leave, resourceType, id string) (store.Version, error) {
	return (&Server{}).find(outside{st}, &ask{ctx: ctx, leave: l}, resourceType, id)
}

// Param returns the first value of a parameter.
func (c *Call) Param(name string) (string, bool) {
	return (&ask{query: c.Params}).param(name)
}

// Values are all values of a parameter, those that are lists (a,b) taken apart.
func (c *Call) Values(name string) (out []string) {
	for _, p := range c.Params {
		if p.Name == name {
			for v := range strings.SplitSeq(p.Value, ",") {
				if v != "" && !slices.Contains(out, v) {
					out = append(out, v)
				}
			}
		}
	}
	return out
}

// Resource returns the resource parameter of that name in its bytes, or the body itself if it is
// no Parameters; nil if there is neither.
func (c *Call) Resource(name string) []byte {
	p := parametersOf(c.Body)
	if p == nil {
		return c.Body
	}
	for _, x := range p {
		if x.name == name {
			return x.resource
		}
	}
	return nil
}

// A parameter is one of a Parameters resource.
type parameter struct {
	name, value string
	primitive   bool
	resource    []byte
}

// parametersOf reads a Parameters resource; nil if it is none.
func parametersOf(body []byte) (out []parameter) {
	var in struct {
		ResourceType string                       `json:"resourceType"`
		Parameter    []map[string]json.RawMessage `json:"parameter"`
	}
	if json.Unmarshal(body, &in) != nil || in.ResourceType != "Parameters" {
		return nil
	}
	out = []parameter{}
	for _, m := range in.Parameter {
		x := parameter{resource: m["resource"]}
		_ = json.Unmarshal(m["name"], &x.name) // no name: never asked for
		for name, v := range m {
			if !strings.HasPrefix(name, "value") {
				continue
			}
			if name == "valueReference" {
				var ref struct{ Reference string }
				x.primitive = json.Unmarshal(v, &ref) == nil
				x.value = ref.Reference
				continue
			}
			switch v = bytes.TrimSpace(v); v[0] {
			case '{', '[', 'n':
			case '"':
				x.primitive = json.Unmarshal(v, &x.value) == nil
			default:
				x.primitive, x.value = true, string(v)
			}
		}
		out = append(out, x)
	}
	return out
}

// The faults of calling operations.
var (
	errOperation   = fault(http.StatusNotFound, "not-supported", "rest-operation", "this server has no such operation at that address")
	errGetOnly     = fault(http.StatusMethodNotAllowed, "not-supported", "rest-operation-method", "call this operation by POST")
	errInAtomic    = fault(http.StatusBadRequest, "not-supported", "rest-entry-operation", "operations are no part of a transaction here; use a batch")
	errStreamEntry = fault(http.StatusBadRequest, "not-supported", "rest-operation-entry", "this operation is not called in a Bundle")
)

// operationOf splits an address of an operation; ok is false for every other address.
func operationOf(path []string) (typ, id, name string, ok bool) {
	if len(path) == 0 || len(path) > 3 || !strings.HasPrefix(path[len(path)-1], "$") {
		return "", "", "", false
	}
	name = path[len(path)-1][1:]
	switch len(path) {
	case 3:
		return path[0], path[1], name, true
	case 2:
		return path[0], "", name, true
	}
	return "", "", name, true
}

// offers finds the operation of an address.
func (s *Server) offers(typ, id, name string) *Operation {
	for i := range s.Operations {
		o := &s.Operations[i]
		switch {
		case o.Name != name:
		case typ == "" && o.System,
			typ != "" && id == "" && slices.Contains(o.Types, typ),
			id != "" && slices.Contains(o.Instances, typ):
			return o
		}
	}
	return nil
}

// streams reports whether a request's body is left to an operation to read.
func (s *Server) streams(path []string) bool {
	typ, id, name, ok := operationOf(path)
	if !ok {
		return false
	}
	o := s.offers(typ, id, name)
	return o != nil && o.Stream
}

// operate calls an operation.
func (s *Server) operate(a *ask, typ, id, name string) (*answer, error) {
	if typ != "" && !s.serves(typ) {
		return nil, errType
	}
	if id != "" && !fhirID(id) {
		return nil, errBadID
	}
	o := s.offers(typ, id, name)
	switch {
	case o == nil:
		return nil, errOperation
	case a.method == http.MethodPost:
	case (a.method == http.MethodGet || a.method == http.MethodHead) && o.ReadOnly:
	default:
		return nil, errGetOnly
	}
	switch {
	case a.within != nil:
		return nil, errInAtomic
	case a.entry && o.Stream:
		return nil, errStreamEntry
	}
	if err := a.may(Operate, typ); err != nil {
		return nil, err
	}
	c := &Call{Method: a.method, Type: typ, ID: id, Leave: a.leave, Header: a.header, Base: s.Base, Reader: a.reader, Server: s}
	for _, p := range a.query {
		if !slices.Contains(transport, p.Name) {
			c.Params = append(c.Params, p)
		}
	}
	if len(a.body) > 0 {
		if err := a.jsonBody(); err != nil {
			return nil, err
		}
		if _, err := fhir.Parse(a.body); err != nil {
			return nil, err
		}
		c.Body = a.body
		for _, x := range parametersOf(a.body) {
			if x.primitive {
				c.Params = append(c.Params, search.Pair{Name: x.name, Value: x.value})
			}
		}
	}
	if id != "" {
		if _, err := s.find(s.in(a), a, typ, id); err != nil {
			if errors.Is(err, store.ErrGone) && !a.leave.Allows(Read, typ) {
				err = errNotFound // that it was there is for those who may read it
			}
			return nil, err
		}
	}
	r, err := o.Handle(withReferring(a.ctx, &referring{server: s, ask: a, from: s.in(a)}), c)
	if err != nil {
		return nil, err
	}
	if a.entry && r.Header.Get("Content-Type") != "" {
		return nil, errStreamEntry // a Bundle holds resources
	}
	out := &answer{status: r.Status, body: r.Body, header: r.Header, about: r.About}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	return out, nil
}
