package bulk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
)

// Config is what a Service is made of; every field is required unless it says otherwise.
type Config struct {
	Store *store.Store
	Guard rest.Guard // of status and files; it must set Leave.Client
	Dir   string     // of the jobs; the service's alone
	Key   [32]byte   // seals the records of jobs
	URL   string     // the address that ServeHTTP is reached at, without a slash at its end
	// Prefix is that of the paths that ServeHTTP sees.
	Prefix string
	Now    func() time.Time
	Log    *slog.Logger
	// Alive says, between two pages of a job, whether the authorisation that it began with still
	// counts; an error ends the job. May be nil.
	Alive func(context.Context, *rest.Leave) error

	// Exported is told, before a job can be fetched, whose resources are in it: compartments, as the
	// store names them, "" for what is in none. An error fails the job. May be nil.
	Exported func(ctx context.Context, client, request string, owners []string) error

	Keep      time.Duration // how long a finished job is kept: 24 hours if zero
	PerClient int           // jobs that one client may have: 8 if zero
	Running   int           // jobs at the same time: 2 if zero
	FileCount int64         // resources of one file: 100,000 if zero
	MaxBytes  int64         // of one job's files: 64 GiB if zero
	Poll      time.Duration // a client that asks again sooner is told to wait: 250 ms if zero
	PageSize  int           // resources read at once: 500 if zero
	MaxLine   int           // bytes of one line of an import: 1 MiB if zero
}

// A Service exports and imports. It is safe for concurrent use.
type Service struct {
	Config
	slots chan struct{}
	ctx   context.Context //nolint:containedctx // of all jobs: it ends with Close
	stop  func()
	wg    sync.WaitGroup

	mu   sync.Mutex // guards jobs
	jobs map[string]*job
}

// The faults of this package. Their codes are stable.
var (
	errAsync       = rest.NewFault(http.StatusBadRequest, "required", "bulk-async", "send Prefer: respond-async")
	errFormat      = rest.NewFault(http.StatusBadRequest, "not-supported", "bulk-format", "_outputFormat is application/fhir+ndjson")
	errSince       = rest.NewFault(http.StatusBadRequest, "value", "bulk-since", "_since is an instant as in 2024-01-01T00:00:00Z")
	errType        = rest.NewFault(http.StatusBadRequest, "value", "bulk-type", "_type names resource types that this server serves")
	errTypeFilter  = rest.NewFault(http.StatusBadRequest, "value", "bulk-type-filter", "_typeFilter is a search as in Observation?code=x, in a type that is exported")
	errParameter   = rest.NewFault(http.StatusBadRequest, "not-supported", "bulk-parameter", "$export takes _outputFormat, _since, _type, _typeFilter, _elements and, but for the system, patient")
	errPatient     = rest.NewFault(http.StatusBadRequest, "value", "bulk-patient", "patient is a reference as in Patient/x, sent by POST")
	errClient      = rest.NewFault(http.StatusForbidden, "forbidden", "bulk-client", "only a client that is known by itself may export or import")
	errForbidden   = rest.NewFault(http.StatusForbidden, "forbidden", "bulk-forbidden", "the caller may not read these resources")
	errQuota       = rest.NewFault(http.StatusTooManyRequests, "throttled", "bulk-quota", "this client has as many jobs as it may have; delete one")
	errPoll        = rest.NewFault(http.StatusTooManyRequests, "throttled", "bulk-poll", "wait as long as Retry-After says")
	errNoJob       = rest.NewFault(http.StatusNotFound, "not-found", "bulk-no-job", "there is no such job or file, or not any more")
	errExpired     = rest.NewFault(http.StatusGone, "deleted", "bulk-expired", "the job has expired and its files are gone; start it again")
	errMethod      = rest.NewFault(http.StatusMethodNotAllowed, "not-supported", "bulk-method", "GET the status or a file, or DELETE the job")
	errInterrupted = rest.NewFault(http.StatusInternalServerError, "incomplete", "bulk-interrupted", "the server stopped while it worked on this job; start it again")
	errTooLarge    = rest.NewFault(http.StatusInternalServerError, "too-costly", "bulk-too-large", "the job has more bytes than this server keeps; ask for less")
	errFailed      = rest.NewFault(http.StatusInternalServerError, "exception", "bulk-failed", "the job failed; the server's log says why")
	errRevoked     = rest.NewFault(http.StatusInternalServerError, "forbidden", "bulk-revoked", "the authorisation ended before the job did")
	errMedia       = rest.NewFault(http.StatusUnsupportedMediaType, "not-supported", "bulk-media-type", "send application/fhir+ndjson")
	errLine        = rest.NewFault(http.StatusBadRequest, "too-long", "bulk-line", "the line is longer than this server takes")
	errBody        = rest.NewFault(http.StatusBadRequest, "incomplete", "bulk-body", "the body ended before its end; what was accepted until then is kept")
)

// Open takes up the jobs of a former run.
func Open(c Config) (*Service, error) {
	fill(&c.Keep, 24*time.Hour)
	fill(&c.PerClient, 8)
	fill(&c.Running, 2)
	fill(&c.FileCount, 100_000)
	fill(&c.MaxBytes, 64<<30)
	fill(&c.Poll, 250*time.Millisecond)
	fill(&c.PageSize, 500)
	fill(&c.MaxLine, 1<<20)
	c.PageSize = min(c.PageSize, search.MaxCount)
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("bulk: directory: %w", err)
	}
	s := &Service{Config: c, slots: make(chan struct{}, c.Running), jobs: map[string]*job{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.load(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func fill[T comparable](v *T, standard T) {
	if *v == *new(T) {
		*v = standard
	}
}

// Close ends the jobs under way, which fail, and waits for them.
func (s *Service) Close() error {
	s.stop()
	s.wg.Wait()
	return nil
}

// Operations are $export and $import, for rest.Config.
func (s *Service) Operations() []rest.Operation {
	const base = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
	return []rest.Operation{
		{Name: "export", System: true, ReadOnly: true, Definition: base + "export", Handle: s.kickOff},
		{Name: "export", Types: []string{"Patient"}, ReadOnly: true, Definition: base + "patient-export", Handle: s.kickOff},
		{Name: "export", Instances: []string{"Group"}, ReadOnly: true, Definition: base + "group-export", Handle: s.kickOff},
		{Name: "import", System: true, Stream: true, Definition: s.URL + "/OperationDefinition/import", Handle: s.importNDJSON},
	}
}

// Sweep ends the jobs whose time has come, and forgets those that ended long ago. It is done with every request, too.
func (s *Service) Sweep() error {
	now := s.Now()
	s.mu.Lock()
	var old, forgotten []*job
	for id, j := range s.jobs {
		j.mu.Lock()
		switch {
		case j.State == running || now.Before(j.Expires):
		case j.State == expired:
			forgotten = append(forgotten, j)
			delete(s.jobs, id)
		default:
			old = append(old, j)
		}
		j.mu.Unlock()
	}
	s.mu.Unlock()
	var err error
	for _, j := range old {
		err = errors.Join(err, s.expire(j))
	}
	for _, j := range forgotten {
		err = errors.Join(err, s.destroy(j))
	}
	return err
}

// add takes a new job within the quota of its client.
func (s *Service) add(j *job) error {
	if err := s.Sweep(); err != nil {
		return err
	}
	j.Started = s.Now().UTC().Truncate(time.Millisecond)
	j.Expires = j.Started.Add(s.Keep)
	s.mu.Lock()
	n := 0
	for _, x := range s.jobs {
		x.mu.Lock()
		if x.Client == j.Client && x.State != expired {
			n++
		}
		x.mu.Unlock()
	}
	if n >= s.PerClient {
		s.mu.Unlock()
		return errQuota
	}
	s.jobs[j.ID] = j
	s.mu.Unlock()
	j.mu.Lock()
	err := s.save(j)
	j.mu.Unlock()
	if err != nil {
		s.remove(j.ID)
	}
	return err
}

func (s *Service) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.jobs, id)
}

// finish ends a job. One that was removed meanwhile is destroyed here, by the one who wrote it.
func (s *Service) finish(j *job, err error) {
	j.ending.Lock()
	s.mu.Lock()
	kept := s.jobs[j.ID] == j
	s.mu.Unlock()
	if !kept {
		j.ending.Unlock()
		if err := s.destroy(j); err != nil {
			s.Log.Error("bulk_remove_failed", "err", err)
		}
		return
	}
	defer j.ending.Unlock()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.State = done
	j.Expires = s.Now().UTC().Add(s.Keep)
	if err != nil {
		f := errFailed
		var known *rest.Fault
		switch {
		case s.ctx.Err() != nil:
			f = errInterrupted
		case errors.As(err, &known):
			f = known
		default:
			s.Log.Error("bulk_job_failed", "err", err)
		}
		j.State, j.Fault = failed, &f.Issues[0]
	}
	if err := s.save(j); err != nil {
		s.Log.Error("bulk_record_failed", "err", err)
	}
}
