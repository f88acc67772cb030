package intake

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/search"
	"salus/gateway/balp"
	"salus/gateway/rest"
	"salus/store"
	"salus/tabular"
)

// Bounds of what comes in.
const (
	MaxDocument = 10 << 20  // bytes: it fits into a record in base64
	MaxTable    = 256 << 20 // bytes
)

// PathImport is where the gateway takes files of FHIR resources, by an Importer.
const PathImport = "/v1/import"

// The paths that a Service serves.
const (
	PathCCDA = "/v1/intake/ccda"
	PathCSV  = "/v1/intake/csv"
)

// Config is what a Service is made of; every field is required unless it says otherwise.
type Config struct {
	Store  *store.Store
	Params search.Params
	Set    *definition.Set
	Base   string // of the FHIR server
	// Admit says what a sender may see and do. Errors: those of a rest.Guard.
	Admit func(*http.Request) (*rest.Leave, error)
	// Check says what is wrong with a resource, for dry runs.
	Check func(context.Context, fhir.Resource) []rest.Issue
	// Transact executes a transaction Bundle with a leave, as the FHIR server does.
	Transact func(ctx context.Context, l *rest.Leave, prefers http.Header, bundle []byte) (status int, header http.Header, body []byte)
	// Room refuses with rest.ErrNoSpace to take in that many bytes while the disk is almost full. May be
	// nil: there is always room.
	Room func(bytes int) error
	// Event puts into the log what the sender of a request did; nil says that it is on disk.
	Event func(r *http.Request, e balp.Event) error
	// Mappings is the folder of the node's mapping files.
	Mappings string
	Now      func() time.Time
	Log      *slog.Logger
}

// A Service is an http.Handler for PathCCDA and PathCSV. It is safe for concurrent use.
type Service struct{ Config }

// New makes a service.
func New(c Config) *Service { return &Service{c} }

// An intake is one document or table while it is taken in.
type intake struct {
	*Service

	w       http.ResponseWriter
	r       *http.Request
	leave   *rest.Leave
	dry     bool
	mapping string
	zone    *time.Location // of times of a document that have none; nil keeps of them the date alone
	report  Report
	refused tabular.Count // groups and rows that the FHIR server did not take
	// patients are whom it is about, "Patient/<id>", each once.
	patients []string
	seen     map[string]bool
}

// ServeHTTP implements http.Handler.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &intake{Service: s, w: w, r: r, seen: map[string]bool{}, report: Report{Resources: []Written{}}}
	err := x.do()
	if err == nil {
		err = x.record(balp.Success, "")
	} else {
		p := problemOf(r.Context(), err)
		if p.Status >= http.StatusInternalServerError {
			s.Log.ErrorContext(r.Context(), "intake_failed", "err", err)
		}
		// What was written before a failure concerns its patients as much.
		if e := x.record(balp.OutcomeOf(p.Status), p.Code); e != nil {
			err = e
		}
	}
	if err != nil {
		p := problemOf(r.Context(), err)
		if p.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", "Bearer")
		}
		if p.Status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodPost)
		}
		send(w, p.Status, p)
		return
	}
	send(w, http.StatusOK, &x.report)
}

// do finds out who sends what, in the order in which it costs: before the body is read it is known
// that she may.
func (x *intake) do() error {
	if x.r.Method != http.MethodPost {
		return errMethod
	}
	l, err := x.Admit(x.r)
	if err != nil {
		return err
	}
	own := *l
	own.Scopes = []store.Scope{store.Own}
	x.leave = &own
	if !own.Allows(rest.Create, "DocumentReference") {
		return errForbidden
	}
	if err := x.arguments(); err != nil {
		return err
	}
	if c := x.r.Header.Get("Content-Encoding"); c != "" && c != "identity" {
		return errMedia
	}
	media, params, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil {
		return errMedia
	}
	limit := int64(MaxTable)
	if x.r.URL.Path == PathCCDA {
		limit = MaxDocument
	}
	if x.r.ContentLength > limit {
		return errLarge
	}
	if x.Room != nil && !x.dry {
		if err := x.Room(int(max(0, x.r.ContentLength))); err != nil {
			return err
		}
	}
	x.r.Body = http.MaxBytesReader(x.w, x.r.Body, limit)
	if x.r.URL.Path == PathCCDA {
		return x.document(media)
	}
	return x.table(media, params)
}

// arguments reads the address. What is not known is refused: it would mean something to its sender.
func (x *intake) arguments() error {
	for name, v := range x.r.URL.Query() {
		switch {
		case len(v) != 1:
			return errArgument
		case name == "dry-run" && (v[0] == "true" || v[0] == "false"):
			x.dry = v[0] == "true"
		case name == "mapping" && x.r.URL.Path == PathCSV:
			x.mapping = v[0]
		case name == "zone" && x.r.URL.Path == PathCCDA && v[0] != "" && v[0] != "Local":
			zone, err := time.LoadLocation(v[0])
			if err != nil {
				return errArgument
			}
			x.zone = zone
		default:
			return errArgument
		}
	}
	x.report.DryRun = x.dry
	return nil
}

var mappingName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// named reads a mapping file of this node.
func (x *intake) named(name string) (*tabular.Mapping, error) {
	if !mappingName.MatchString(name) {
		return nil, errNoMapping
	}
	src, err := os.ReadFile(filepath.Join(x.Mappings, name+".toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoMapping
	}
	if err != nil {
		return nil, err
	}
	return tabular.Load(src, x.Set)
}

// took puts what became of a transaction into the report.
func (x *intake) took(list []Written, status string) {
	x.report.wrote(list)
	if status != "" && (x.report.Status == "" || status == "stored") {
		x.report.Status = status
	}
	for _, w := range list {
		if ref := w.Type + "/" + w.ID; w.Type == "Patient" && w.ID != "" && !x.seen[ref] {
			x.seen[ref] = true
			x.patients = append(x.patients, ref)
		}
	}
}

// record puts the intake into the log, an event for each patient.
func (x *intake) record(outcome balp.Outcome, reason string) error {
	patients := x.patients
	if len(patients) == 0 {
		patients = []string{""}
	}
	for _, p := range patients {
		e := balp.Event{Kind: balp.Whole, Outcome: outcome, Reason: reason, Query: "POST [base]/.." + x.r.URL.Path, Patient: balp.Who{Reference: p}}
		if err := x.Event(x.r, e); err != nil {
			x.Log.ErrorContext(x.r.Context(), "event_not_recorded", "err", err)
			return errUnrecorded
		}
	}
	return nil
}
