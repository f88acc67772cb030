package intake

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/gateway/balp"
	"salus/gateway/chart"
	"salus/gateway/rest"
	"salus/ledger/tx"
	"salus/record"
	"salus/store"
)

// An import writes its resources in groups of that many, or that many bytes. Each is one commit.
const (
	groupResources = 256
	groupBytes     = 4 << 20
)

// Progress of an import, after each group.
type Progress struct {
	Records    int // written: versions that say something new
	Duplicates int // that were there with the same bytes
	Rejected   int
	Patients   int
	Updated    int // of Records: next versions of what was there
}

// Taken is what an import did.
type Taken struct {
	Progress
	Accounts  []tx.Account    // the patients, in the order of the input
	Reject    []fhir.Rejected // the first MaxListed
	Truncated bool            // there are more of them

	seqs []int64 // of the versions that say what came in
}

// ImportConfig is what an Importer is made of; every field is required.
type ImportConfig struct {
	// Load writes resources as the FHIR server does.
	Load func(ctx context.Context, l *rest.Leave, prefers http.Header, list []rest.Loading) ([]rest.Loaded, error)
	// Lead says where a reference by a search leads, of what this organisation has; "" if to nothing, or to several.
	Lead func(ctx context.Context, l *rest.Leave, reference string) (string, error)
	// Owner says whose a resource is, Local takes the organisation's own base from an address.
	Owner func(fhir.Resource) string
	Local func(string) string
	// Enrol finds the pseudonym of a patient of whom something was written, registering a fresh one if she has none.
	Enrol func(ctx context.Context, reference string) (tx.Account, error)
	// Await returns when versions are active.
	Await func(ctx context.Context, seqs ...int64) error
	// Event puts into the log what the sender of a request did; nil says that it is on disk.
	Event func(r *http.Request, e balp.Event) error
	// Free says whether the disk takes so many bytes more; its error is the answer.
	Free func(int64) error
	Dir  string // of files that wait
	Set  *definition.Set
	Log  *slog.Logger
}

// An Importer takes files of FHIR resources in, for the organisation itself. It is safe for concurrent use.
type Importer struct{ ImportConfig }

// NewImporter makes one.
func NewImporter(c ImportConfig) *Importer { return &Importer{c} }

// importing is one import while it is done.
type importing struct {
	*Importer

	r        *http.Request
	progress func(Progress)
	at       addresses
	taken    Taken
	seen     map[string]bool // patients

	items []fhir.Item // of the group
	list  []rest.Loading
	size  int
}

// Import takes the body of a request in, a Bundle or, as format "ndjson", NDJSON: each resource is written
// to the organisation's FHIR store as an update of its id, checked, indexed and carried to the ledger like
// any other, in groups; those of a group are durable when progress is called. What cannot be taken is in the
// report; the others are written all the same. Nothing is written of a body that does not come to its end,
// or that is no Bundle.
// Errors: *fhir.Issue about the whole, *http.MaxBytesError, of this node; then what progress told of is
// written, and the same body again goes on from there.
func (s *Importer) Import(r *http.Request, format string, progress func(Progress)) (*Taken, error) {
	x := &importing{Importer: s, r: r, progress: progress, at: addresses{s.Local, map[[16]byte]string{}, newConditions()}, seen: map[string]bool{}}
	err := x.do(format)
	slices.SortStableFunc(x.taken.Reject, func(a, b fhir.Rejected) int { return cmp.Compare(a.Index, b.Index) })
	if err != nil || len(x.seen) == 0 {
		e := balp.Event{Outcome: balp.Success}
		if err != nil {
			p := problemOf(r.Context(), err)
			e.Outcome, e.Reason = balp.OutcomeOf(p.Status), p.Code
		}
		if e := x.event(e); e != nil {
			err = e
		}
	}
	return &x.taken, err
}

// Await returns when everything that an import took, or found there, is active. Error: ctx's.
func (s *Importer) Await(ctx context.Context, t *Taken) error {
	return s.ImportConfig.Await(ctx, t.seqs...)
}

func (x *importing) do(format string) (err error) {
	file, err := newSpool(x.r.Body, x.Dir, x.Free)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.close()) }()
	read := fhir.StreamBundle
	if format == "ndjson" {
		read = fhir.ReadNDJSON
	}
	ctx := x.r.Context()
	in, err := file.open()
	if err != nil {
		return err
	}
	if err := x.at.survey(ctx, read(in)); err != nil {
		return err
	}
	if len(x.at.byText) > 0 {
		if in, err = file.open(); err != nil {
			return err
		}
		if err := x.at.match(ctx, &x.at, read(in)); err != nil {
			return err
		}
		if err := x.at.ask(ctx, func(ctx context.Context, text string) (string, error) { return x.Lead(ctx, leave(), text) }); err != nil {
			return err
		}
	}
	if in, err = file.open(); err != nil {
		return err
	}
	return x.all(read(in))
}

// all takes the items of a file, group by group.
func (x *importing) all(items iter.Seq2[fhir.Item, error]) error {
	for it, err := range items {
		if gone := x.r.Context().Err(); gone != nil {
			return gone // also of a file of which nothing can be taken
		}
		if err == nil {
			err = x.add(it)
		} else if it.Index < 0 {
			return errors.Join(x.flush(), err)
		}
		if err != nil {
			x.reject(&it, err)
		}
		if len(x.items) >= groupResources || x.size >= groupBytes {
			if err := x.flush(); err != nil {
				return err
			}
		}
	}
	return x.flush()
}

// add puts an item into the group. Error: why it cannot be taken.
func (x *importing) add(it fhir.Item) error {
	l, err := x.at.place(&it)
	if err != nil {
		return err
	}
	if issue := x.belongs(&l); issue != nil {
		return issue
	}
	x.items, x.list, x.size = append(x.items, it), append(x.list, l), x.size+len(l.Resource.Raw())
	return nil
}

// belongs says why it cannot be told whose a resource is; nil if it can. What could be a patient's and names
// none is refused: what is nobody's is read by more people than what is somebody's.
func (x *importing) belongs(l *rest.Loading) *fhir.Issue {
	typ := l.Resource.Type()
	if typ == "Patient" {
		return nil
	}
	code := ""
	switch owner := x.Owner(l.Resource); {
	case owner == index.Unowned:
		code = fhir.CodeReference
	case owner == "" && (typ == "Binary" || typ == "Bundle" || len(x.Set.Compartment("Patient").Params[typ]) > 0):
		code = fhir.CodeNoPatient
	default:
		return nil
	}
	return &fhir.Issue{Code: code, Expression: typ, Text: fhir.Codes()[code]}
}

func (x *importing) reject(it *fhir.Item, err error) {
	x.taken.Rejected++
	if len(x.taken.Reject) == MaxListed {
		x.taken.Truncated = true
		return
	}
	x.taken.Reject = append(x.taken.Reject, fhir.Rejected{Index: it.Index, Type: it.Type, Issue: issueOf(err)})
}

// stored is what an import asks of the FHIR server: to be on this organisation's disk.
var stored = http.Header{chart.HeaderWait: {record.Stored.String()}}

// leave is what an import may: everything, of the organisation's own.
func leave() *rest.Leave { return &rest.Leave{Scopes: []store.Scope{store.Own}, Client: "import"} }

// flush writes the group.
func (x *importing) flush() error {
	if len(x.list) == 0 {
		return nil
	}
	if err := x.Free(int64(x.size)); err != nil {
		return err
	}
	ctx := x.r.Context()
	if err := ctx.Err(); err != nil {
		return err
	}
	out, err := x.Load(ctx, leave(), stored, x.list)
	if err != nil {
		return err
	}
	if err := x.count(out); err != nil {
		return err
	}
	x.items, x.list, x.size = x.items[:0], x.list[:0], 0
	if x.progress != nil {
		x.progress(x.taken.Progress)
	}
	return nil
}

// count adds what became of a group to the report, and to the log.
func (x *importing) count(out []rest.Loaded) error {
	var failed error
	var owners []string // new ones
	for i := range out {
		o := &out[i]
		if o.Err != nil {
			if x.r.Context().Err() != nil || rest.FaultOf(o.Err).Status >= http.StatusInternalServerError { // not the resource's fault
				failed = errors.Join(failed, o.Err)
				continue
			}
			x.reject(&x.items[i], o.Err)
			continue
		}
		x.taken.seqs = append(x.taken.seqs, o.Version.Seq)
		switch {
		case !o.Written:
			x.taken.Duplicates++
		case o.Version.VID > 1:
			x.taken.Updated++
			x.taken.Records++
		default:
			x.taken.Records++
		}
		if owner := o.Version.Owner; owner != "" && !x.seen[owner] && !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	return errors.Join(failed, x.enrol(owners))
}

// enrolments is how many patients are enrolled at once: each waits for the ledger.
const enrolments = 32

// enrol enrols those of whom a group wrote something first, and puts that into the log.
func (x *importing) enrol(owners []string) error {
	accounts, errs := make([]tx.Account, len(owners)), make([]error, len(owners))
	var g errgroup.Group
	g.SetLimit(enrolments)
	for i, owner := range owners {
		g.Go(func() error {
			accounts[i], errs[i] = x.Enrol(x.r.Context(), owner)
			return errs[i]
		})
	}
	failed := g.Wait()
	for i, owner := range owners {
		if errs[i] != nil {
			continue
		}
		x.seen[owner] = true
		x.taken.Patients++
		x.taken.Accounts = append(x.taken.Accounts, accounts[i])
		if err := x.event(balp.Event{Outcome: balp.Success, Patient: balp.Who{Reference: owner}}); err != nil {
			return errors.Join(failed, err)
		}
	}
	return failed
}

// event puts the import into the log.
func (x *importing) event(e balp.Event) error {
	e.Kind, e.Query = balp.Whole, "POST [base]/.."+PathImport
	if err := x.Event(x.r, e); err != nil {
		x.Log.ErrorContext(x.r.Context(), "event_not_recorded", "err", err)
		return errUnrecorded
	}
	return nil
}
