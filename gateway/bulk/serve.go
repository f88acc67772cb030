package bulk

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"salus/gateway/rest"
)

// manifest is the answer of a finished export (Bulk Data Access 2.0, "Response - Complete Status").
type manifest struct {
	TransactionTime     string   `json:"transactionTime"`
	Request             string   `json:"request"`
	RequiresAccessToken bool     `json:"requiresAccessToken"`
	Output              []output `json:"output"`
	Deleted             []output `json:"deleted,omitempty"`
	Error               []output `json:"error"`
}

type output struct {
	Type  string `json:"type"`
	URL   string `json:"url"`
	Count int64  `json:"count"`
}

// ServeHTTP implements http.Handler: <job> is its status, DELETE ends it, <job>/<n> is a file.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if err := s.serve(w, r); err != nil {
		f := rest.FaultFor(r.Context(), err)
		if f.Status >= 500 && !errors.As(err, new(*rest.Fault)) {
			s.Log.ErrorContext(r.Context(), "request_failed", "err", err)
		}
		if f == errPoll || f == errQuota {
			w.Header().Set("Retry-After", "1")
		}
		if f == errMethod {
			w.Header().Set("Allow", "GET, HEAD, DELETE")
		}
		w.Header().Set("Content-Type", "application/fhir+json; charset=utf-8")
		w.WriteHeader(f.Status)
		_, _ = w.Write(rest.Outcome(f.Issues)) // the client has gone: nobody to tell
	}
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) error {
	leave, err := s.Guard.Admit(r)
	if err != nil {
		return err
	}
	if err := s.Sweep(); err != nil {
		return err
	}
	id, number, isFile := strings.Cut(strings.Trim(strings.TrimPrefix(r.URL.Path, s.Prefix), "/"), "/")
	s.mu.Lock()
	j := s.jobs[id]
	s.mu.Unlock()
	// What is another's is not there.
	if j == nil || leave.Client == "" || j.Client != leave.Client || j.Limits != limits(leave) {
		return errNoJob
	}
	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case isFile && get:
		return s.serveFile(w, r, leave, j, number)
	case !isFile && get:
		return s.status(w, j)
	case !isFile && r.Method == http.MethodDelete:
		return s.delete(w, j)
	}
	return errMethod
}

func (s *Service) status(w http.ResponseWriter, j *job) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := w.Header()
	if j.State == expired {
		return errExpired
	}
	if j.State == running {
		now := s.Now()
		soon := !j.polled.IsZero() && now.Sub(j.polled) < s.Poll
		j.polled = now
		if soon {
			return errPoll
		}
		h.Set("X-Progress", j.progress)
		h.Set("Retry-After", strconv.Itoa(max(1, int(s.Poll/time.Second))))
		w.WriteHeader(http.StatusAccepted)
		return nil
	}
	if j.State == failed {
		return &rest.Fault{Status: http.StatusInternalServerError, Issues: []rest.Issue{*j.Fault}}
	}
	m := manifest{TransactionTime: j.Started.Format("2006-01-02T15:04:05.000Z07:00"), Request: j.Request, RequiresAccessToken: true, Output: []output{}, Error: []output{}}
	for _, f := range j.Files {
		a := output{f.Type, fmt.Sprintf("%s/%s/%d", s.URL, j.ID, f.Number), f.Count}
		switch f.List {
		case "output":
			m.Output = append(m.Output, a)
		case "deleted":
			m.Deleted = append(m.Deleted, a)
		default:
			m.Error = append(m.Error, a)
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("bulk: manifest: %w", err)
	}
	h.Set("Content-Type", "application/json")
	h.Set("Expires", j.Expires.UTC().Format(http.TimeFormat))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b) // the client has gone: nobody to tell
	return nil
}

// delete ends a job, or removes what it left. A job under way is destroyed by who works on it.
func (s *Service) delete(w http.ResponseWriter, j *job) error {
	j.ending.Lock()
	s.remove(j.ID)
	j.mu.Lock()
	under := j.State == running
	j.mu.Unlock()
	j.ending.Unlock()
	if under && j.cancel != nil {
		j.cancel()
	} else if err := s.destroy(j); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (s *Service) serveFile(w http.ResponseWriter, r *http.Request, leave *rest.Leave, j *job, number string) error {
	n, err := strconv.ParseUint(number, 10, 32)
	j.mu.Lock()
	if j.State == expired {
		j.mu.Unlock()
		return errExpired
	}
	if err != nil || strconv.FormatUint(n, 10) != number || j.State != done || n >= uint64(len(j.Files)) {
		j.mu.Unlock()
		return errNoJob
	}
	f, key := j.Files[n], append([]byte{}, j.Key...)
	j.mu.Unlock()
	if f.List == "output" && (!leave.Allows(rest.Read, f.Type) || !leave.Allows(rest.Search, f.Type)) {
		return errForbidden
	}
	w.Header().Set("Content-Type", "application/fhir+ndjson")
	if r.Method == http.MethodHead {
		return nil
	}
	out := &begun{ResponseWriter: w}
	if err := openSealed(out, s.path(j.ID, f.Number), key, f.Number); err != nil {
		if !out.yes {
			return err
		}
		if errors.Is(err, errDamaged) {
			s.Log.ErrorContext(r.Context(), "bulk_file_damaged")
		}
		panic(http.ErrAbortHandler) // an end that looks like one would be taken for the file's
	}
	return nil
}

// begun knows whether an answer has begun.
type begun struct {
	http.ResponseWriter
	yes bool
}

func (b *begun) Write(p []byte) (int, error) {
	b.yes = true
	return b.ResponseWriter.Write(p)
}
