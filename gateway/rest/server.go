package rest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"salus/fhir"
	"salus/fhir/search"
	"salus/store"
)

// An Interaction is what a request does (R4 value set type-restful-interaction).
type Interaction string

// The interactions.
const (
	Read    Interaction = "read"
	VRead   Interaction = "vread"
	Update  Interaction = "update"
	Patch   Interaction = "patch"
	Delete  Interaction = "delete"
	Create  Interaction = "create"
	Search  Interaction = "search-type"
	History Interaction = "history-instance"
)

// A Guard says what a request may see and do. Errors: ErrUnauthorized, ErrForbidden, a *Fault.
type Guard interface {
	Admit(r *http.Request) (*Leave, error)
}

// A Leave is what one request may see and do.
type Leave struct {
	// Scopes are what it sees; a resource in several of them is seen in the first. It writes to
	// store.Own.
	Scopes []store.Scope
	// Client is who asks, as the Guard names it: what was made for one client is for no other. ""
	// is a client for whom nothing is kept.
	Client string
	// Owner is the one compartment of which it sees something, as Config.Owner names it, besides
	// what is in none; "" is all. It writes to that compartment only.
	Owner string
	// May says whether it may do that with resources of a type; nil allows everything.
	May func(i Interaction, resourceType string) bool
	// Within are conditions on what it sees of a type, of which one list must hold (the query parts
	// of SMART scopes). Of a type with an empty list it sees nothing.
	Within map[string][][]search.Clause
	// Issues are said with every search's answer: what it lacks, and why.
	Issues []Issue
}

// partial reports whether there may be own resources that it does not see.
func (l *Leave) partial() bool { return l.Owner != "" || len(l.Within) > 0 }

func (l *Leave) sight() store.Sight {
	return store.Sight{Scopes: l.Scopes, Owner: l.Owner, Within: l.Within}
}

// Config is what a Server is made of; every field is required unless it says otherwise.
type Config struct {
	Store  *store.Store
	Params search.Params
	Types  []string // served, in the order of the CapabilityStatement
	// Index says what a resource can be found by.
	Index func(fhir.Resource) ([]search.Entry, error)
	// Check says what is wrong with a resource; an issue of severity error refuses it. May be nil.
	Check func(context.Context, fhir.Resource) []Issue
	// Patch applies a FHIRPath Patch, a Parameters resource, to a resource. May be nil.
	Patch func(resource, parameters []byte) ([]byte, error)
	// Owner names the compartment a resource is in; "" for none. May be nil.
	Owner func(fhir.Resource) string
	// Subset names the elements that _summary keeps of a type, and those that are mandatory. May
	// be nil: then _summary=true and data give the whole.
	Subset func(resourceType string) (summary, mandatory []string)
	Guard  Guard
	Base   string // the address that clients reach the server at, without a slash at its end
	Prefix string // of the paths that ServeHTTP sees
	Now    func() time.Time
	Log    *slog.Logger
	// Statement is what the CapabilityStatement says of software and implementation. May be zero.
	Statement Statement
	// Topics are the canonicals of subscription topics, and WebSocket the address that notifications
	// are sent from, for the CapabilityStatement. May be empty.
	Topics    []string
	WebSocket string
	// Written is told of new versions when they are durable and before the answer is sent. The
	// request's header says what its sender prefers; what is returned is added to the answer's. May
	// be nil.
	Written func(ctx context.Context, prefers http.Header, versions []store.Version) http.Header
	// Room refuses with ErrNoSpace to write about that many bytes; it is asked before anything of a write
	// is done. May be nil: there is always room.
	Room func(bytes int) error
	// Operations are those that other rooms offer.
	Operations []Operation
	// Terminology is what a caller's searches know of codes, for :in, :not-in, :above and :below. May
	// be nil: then they are refused.
	Terminology func(context.Context, *Leave) search.Terminology
	// Guides are the canonicals of implementation guides, and Profiles those of profiles by the type
	// that they constrain, that Check knows: for the CapabilityStatement. May be empty.
	Guides   []string
	Profiles map[string][]string
	// Formats are those that may be asked for: JSON if empty. Who names XML has InXML in front.
	Formats []Format
	// Beside are resource types that somebody serves in front of this server: they are in the
	// CapabilityStatement. May be empty.
	Beside []Beside
	// Limits; zero takes the default.
	MaxBody    int64 // bytes of a body: 16 MiB
	MaxEntries int   // of a batch or transaction: 5,000
	PageSize   int   // where a search does not say: 50
	DeleteMany int   // resources that one conditional delete may delete: 1
	// Tick is what answers to who sees a part are held to: 10 ms; negative answers at once.
	Tick time.Duration
}

// A Beside is a resource type that is served elsewhere at the same base.
type Beside struct {
	Type         string
	Interactions []string
	Params       [][2]string // code and type of search parameters
	Operations   [][2]string // name and definition of operations
}

// A Witness is a ResponseWriter that wants to know whose resource is answered: the compartment, as
// Config.Owner names it. It is told before the answer is sent.
type Witness interface{ About(owner string) }

// A Server answers FHIR requests. It is safe for concurrent use.
type Server struct{ Config }

// New makes a server.
func New(c Config) *Server {
	if c.MaxBody == 0 {
		c.MaxBody = 16 << 20
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = 5000
	}
	if c.PageSize == 0 {
		c.PageSize = 50
	}
	if len(c.Formats) == 0 {
		c.Formats = []Format{JSON}
	}
	if c.Tick == 0 {
		c.Tick = defaultTick
	}
	c.DeleteMany = max(c.DeleteMany, 1)
	return &Server{c}
}

// An answer is what an interaction comes to.
type answer struct {
	status   int
	version  *store.Version  // whose ETag, Last-Modified and, for 201, Location are sent
	body     []byte          // JSON; nil for none
	others   []store.Version // that a conditional delete wrote besides
	location string
	issues   []Issue // beside the body, for Prefer: return=OperationOutcome
	header   http.Header
	about    string // the compartment that it is about, where there is no version
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a, err := s.ask(r)
	since := time.Now() // how long the caller took to send it must not choose where in a tick the work ends
	var out *answer
	if err == nil {
		out, err = s.route(a)
	}
	if err != nil {
		f := s.faultOf(r.Context(), err)
		out = &answer{status: f.Status, body: outcomeOf(f.Issues)}
		if f == errMethod {
			w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE")
		}
	}
	s.hold(a, since)
	s.send(w, r, a, out)
}

// faultOf is what the caller sees of an error; what is this server's own is logged.
func (s *Server) faultOf(ctx context.Context, err error) *Fault {
	f := FaultFor(ctx, err)
	if f == errInternal {
		s.Log.ErrorContext(ctx, "request_failed", "err", err)
	}
	return f
}

// send writes an answer.
func (s *Server) send(w http.ResponseWriter, r *http.Request, a *ask, out *answer) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	if x, ok := w.(Witness); ok && out.about != "" {
		x.About(out.about)
	}
	if v := out.version; v != nil {
		if x, ok := w.(Witness); ok {
			x.About(v.Owner)
		}
		h.Set("ETag", etag(v.VID))
		h.Set("Last-Modified", httpDate(v.Updated))
		version := s.url(v) + "/_history/" + strconv.FormatInt(v.VID, 10)
		if out.status == http.StatusCreated || out.location != "" {
			h.Set("Location", version)
		}
		if len(out.body) > 0 && out.status == http.StatusOK {
			h.Set("Content-Location", version)
		}
	}
	for name, values := range out.header {
		h[name] = append(h[name], values...)
	}
	body := out.body
	if a != nil && a.pretty && len(body) > 0 && h.Get("Content-Type") == "" {
		var b bytes.Buffer
		if json.Indent(&b, body, "", "  ") == nil {
			body = b.Bytes()
		}
	}
	if len(body) > 0 {
		if h.Get("Content-Type") == "" {
			h.Set("Content-Type", typeJSON+"; charset=utf-8")
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(out.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client has gone: nobody to tell
	}
}

// room asks whether there is space for a write.
func (s *Server) room(bytes int) error {
	if s.Room == nil {
		return nil
	}
	return s.Room(bytes)
}

// url is the address of a resource.
func (s *Server) url(v *store.Version) string { return s.Base + "/" + v.Type + "/" + v.ID }

// route finds the interaction of a request: its method and the form of its path.
func (s *Server) route(a *ask) (*answer, error) {
	get := a.method == http.MethodGet || a.method == http.MethodHead
	switch p := a.path; {
	case len(p) == 0 && a.method == http.MethodPost:
		return s.bundle(a)
	case len(p) > 0 && strings.HasPrefix(p[len(p)-1], "$"):
		typ, id, name, ok := operationOf(p)
		if !ok {
			return nil, errNoRoute
		}
		return s.operate(a, typ, id, name)
	case len(p) == 0 && get:
		return s.searchSystem(a)
	case len(p) == 1 && p[0] == "metadata" && get:
		return s.metadata(a)
	case len(p) == 1 && p[0] == "_history" && get:
		return s.history(a, "", "")
	case len(p) == 1 && p[0] == "_search" && a.method == http.MethodPost:
		return s.searchSystem(a)
	case len(p) == 0 || p[0] == "metadata" || strings.HasPrefix(p[0], "_"):
		return nil, errMethod
	}
	if !s.serves(a.path[0]) {
		return nil, errType
	}
	if len(a.path) == 1 {
		return s.routeType(a)
	}
	return s.routeInstance(a)
}

func (s *Server) routeType(a *ask) (*answer, error) {
	typ := a.path[0]
	switch a.method {
	case http.MethodGet, http.MethodHead:
		return s.search(a, typ, "")
	case http.MethodPost:
		return s.write(a, func(t *store.Tx, w *write) (*answer, error) { return s.create(t, w) })
	case http.MethodPut:
		return s.write(a, func(t *store.Tx, w *write) (*answer, error) { return s.conditionalUpdate(t, w) })
	case http.MethodPatch:
		return s.patch(a)
	case http.MethodDelete:
		return s.write(a, func(t *store.Tx, w *write) (*answer, error) { return s.conditionalDelete(t, w) })
	}
	return nil, errMethod
}

func (s *Server) routeInstance(a *ask) (*answer, error) {
	typ, p := a.path[0], a.path[1:]
	get := a.method == http.MethodGet || a.method == http.MethodHead
	switch {
	case len(p) == 1 && p[0] == "_search" && a.method == http.MethodPost:
		return s.search(a, typ, "")
	case len(p) == 1 && p[0] == "_history" && get:
		return s.history(a, typ, "")
	case strings.HasPrefix(p[0], "_") || strings.HasPrefix(p[0], "$"):
		return nil, errNoRoute
	case !fhirID(p[0]):
		return nil, errBadID
	case len(p) == 1 && get:
		return s.read(a, typ, p[0])
	case len(p) == 1 && a.method == http.MethodPut:
		return s.write(a, func(t *store.Tx, w *write) (*answer, error) { return s.update(t, w) })
	case len(p) == 1 && a.method == http.MethodDelete:
		return s.write(a, func(t *store.Tx, w *write) (*answer, error) { return s.remove(t, w) })
	case len(p) == 1 && a.method == http.MethodPatch:
		return s.patch(a)
	case len(p) == 2 && p[1] == "_history" && get:
		return s.history(a, typ, p[0])
	case len(p) == 3 && p[1] == "_history" && get:
		return s.vread(a, typ, p[0], p[2])
	case typ == "Patient" && (len(p) == 2 && get || len(p) == 3 && p[2] == "_search" && a.method == http.MethodPost):
		return s.compartment(a, p[0], p[1])
	case len(p) == 1:
		return nil, errMethod
	}
	return nil, errNoRoute
}

func (s *Server) serves(typ string) bool {
	return slices.Contains(s.Types, typ)
}

// fhirID reports whether s is an id (R4 2.24.0.1).
func fhirID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '.':
		default:
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// newID draws an id, in the form of a UUID (RFC 9562, version 4).
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails on supported systems
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// ReadBody reads a body to its end, at most limit bytes. Errors are such as FaultOf takes, also for one that came in
// XML (see InXML) and is no resource.
func ReadBody(r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	switch {
	case int64(len(b)) > limit:
		return nil, errTooLarge
	case err != nil:
		return nil, unread(err)
	}
	return b, nil
}
