package bulk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
)

// An exporter does one job.
type exporter struct {
	*Service
	*request
	job *job
	seq int64

	out  *sealer
	file file
	line bytes.Buffer

	owners map[string]bool // of what was written
}

// export does a job: type after type, then what was deleted.
func (s *Service) export(ctx context.Context, j *job, r *request, seq int64) error {
	e := &exporter{Service: s, request: r, job: j, seq: seq, owners: map[string]bool{}}
	defer func() {
		if e.out != nil {
			e.out.abandon()
		}
	}()
	for i, t := range r.types {
		e.say(fmt.Sprintf("%d%%: %s", 100*i/len(r.types), t))
		if err := e.exportType(ctx, t); err != nil {
			return err
		}
	}
	e.say("99%: resources that were deleted")
	if err := e.vanished(ctx); err != nil {
		return err
	}
	if !r.since.IsZero() {
		if err := e.deletions(ctx); err != nil {
			return err
		}
	}
	if err := e.end(); err != nil || e.Exported == nil {
		return err
	}
	return e.Exported(ctx, j.Client, j.Request, slices.Sorted(maps.Keys(e.owners)))
}

func (e *exporter) say(progress string) {
	e.job.mu.Lock()
	e.job.progress = progress
	e.job.mu.Unlock()
}

func (e *exporter) exportType(ctx context.Context, typ string) error {
	filters := e.filters[typ]
	if len(filters) == 0 {
		filters = [][]search.Clause{nil}
	}
	var seen map[string]bool // where several filters may find the same
	if len(filters) > 1 {
		seen = map[string]bool{}
	}
	compartments := e.patients
	if compartments == nil {
		compartments = []string{""}
	}
	for _, where := range filters {
		for _, c := range compartments {
			q := &search.Query{Types: []string{typ}, Where: slices.Clone(where), Count: e.PageSize}
			if err := e.pages(ctx, q, c, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// pages writes what a query finds.
func (e *exporter) pages(ctx context.Context, q *search.Query, compartment string, seen map[string]bool) error {
	for {
		if err := e.alive(ctx); err != nil {
			return err
		}
		p, err := e.Store.Search(ctx, store.Search{Query: q, Sight: e.leave.Sight(), Compartment: compartment})
		if err != nil {
			return err
		}
		for i := range p.Matches {
			v, there, err := e.asOf(ctx, &p.Matches[i], e.seq)
			if err != nil {
				return err
			}
			if !there || !e.whose(v.Owner) || seen[v.ID] || !e.since.IsZero() && !v.Updated.After(e.since) {
				continue
			}
			if seen != nil {
				seen[v.ID] = true
			}
			if err := e.begin("output", v.Type); err != nil {
				return err
			}
			if err := e.put(&v); err != nil {
				return err
			}
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return nil
		}
	}
}

func (e *exporter) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.Alive != nil && e.Alive(ctx, &e.leave) != nil {
		return errRevoked
	}
	return nil
}

// put writes a resource as a line.
func (e *exporter) put(v *store.Version) error {
	e.owners[v.Owner] = true
	body := rest.Present(v)
	elements := append(slices.Clone(e.elements[""]), e.elements[v.Type]...)
	if len(elements) > 0 {
		var err error
		if body, err = e.server.Cut(v.Type, body, elements); err != nil {
			return err
		}
	}
	return e.write(body)
}

// begin makes sure that the file that is written is one for that type, with room for one more.
func (e *exporter) begin(list, typ string) error {
	if e.out != nil && e.file.List == list && e.file.Type == typ && e.file.Count < e.FileCount {
		return nil
	}
	if err := e.end(); err != nil {
		return err
	}
	n := uint32(len(e.job.Files))
	if n >= maxFiles-1 {
		return errTooLarge
	}
	out, err := createSealed(e.path(e.job.ID, n), e.job.Key, n)
	e.out, e.file = out, file{List: list, Type: typ, Number: n}
	return err
}

// write adds a line: JSON without line breaks.
func (e *exporter) write(body []byte) error {
	e.line.Reset()
	if bytes.ContainsAny(body, "\n\r") {
		// A line break in JSON is white space: strings have it escaped.
		if err := json.Compact(&e.line, body); err != nil {
			return fmt.Errorf("bulk: resource: %w", err)
		}
	} else {
		e.line.Write(body)
	}
	e.line.WriteByte('\n')
	if _, err := e.out.Write(e.line.Bytes()); err != nil {
		return err
	}
	e.file.Count++
	if e.job.written+e.out.wrote > e.MaxBytes {
		return errTooLarge
	}
	return nil
}

// end finishes the file that is written, if there is one.
func (e *exporter) end() error {
	if e.out == nil {
		return nil
	}
	out := e.out
	e.out = nil
	if err := out.close(); err != nil {
		return err
	}
	e.job.mu.Lock()
	e.job.Files = append(e.job.Files, e.file)
	e.job.written += out.wrote
	e.job.mu.Unlock()
	return nil
}
