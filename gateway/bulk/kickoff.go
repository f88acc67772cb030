package bulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
)

// A request is what an $export asks for.
type request struct {
	types    []string
	filters  map[string][][]search.Clause // by type; one of them must hold
	since    time.Time
	elements map[string][]string // by type; "" for all types
	patients []string            // compartments, as "Patient/x"; nil for no restriction
	within   bool                // only what is in a compartment
	leave    rest.Leave
	server   *rest.Server
}

// kickOff begins an export (Bulk Data Access 2.0, "Bulk Data Kick-off Request").
func (s *Service) kickOff(ctx context.Context, c *rest.Call) (*rest.Reply, error) {
	if !prefers(c.Header, "respond-async") {
		return nil, errAsync
	}
	if c.Leave.Client == "" {
		return nil, errClient
	}
	r, err := s.request(ctx, c)
	if err != nil {
		return nil, err
	}
	j, err := newJob(c.Leave.Client)
	if err != nil {
		return nil, err
	}
	j.Limits, j.Request = limits(c.Leave), address(c)
	seq, err := s.now(ctx)
	if err != nil {
		return nil, err
	}
	jctx, cancel := context.WithCancel(s.ctx)
	j.cancel = cancel
	if err := s.add(j); err != nil {
		cancel()
		if errors.Is(err, errQuota) {
			return &rest.Reply{Status: errQuota.Status, Header: http.Header{"Retry-After": {"60"}}, Body: rest.Outcome(errQuota.Issues)}, nil
		}
		return nil, err
	}
	s.wg.Go(func() {
		defer cancel()
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-jctx.Done():
		}
		s.finish(j, s.export(jctx, j, r, seq))
	})
	return &rest.Reply{Status: http.StatusAccepted, Header: http.Header{"Content-Location": {s.URL + "/" + j.ID}}}, nil
}

// prefers reports whether a Prefer header has a token.
func prefers(h http.Header, token string) bool {
	for _, line := range h.Values("Prefer") {
		for part := range strings.FieldsFuncSeq(line, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
			if strings.EqualFold(part, token) {
				return true
			}
		}
	}
	return false
}

// address is that of a kick-off, as the manifest repeats it.
func address(c *rest.Call) string {
	var b strings.Builder
	b.WriteString(c.Base)
	for _, p := range []string{c.Type, c.ID, "$export"} {
		if p != "" {
			b.WriteString("/" + p)
		}
	}
	sep := "?"
	for _, p := range c.Params {
		b.WriteString(sep + url.QueryEscape(p.Name) + "=" + url.QueryEscape(p.Value))
		sep = "&"
	}
	return b.String()
}

func (s *Service) request(ctx context.Context, c *rest.Call) (*request, error) {
	r := &request{filters: map[string][][]search.Clause{}, elements: map[string][]string{}, leave: *c.Leave, server: c.Server, within: c.Type != ""}
	// What a session opened ends with the session, and a file would not.
	r.leave.Scopes = nil
	if slices.Contains(c.Leave.Scopes, store.Own) {
		r.leave.Scopes = []store.Scope{store.Own}
	}
	lenient := prefers(c.Header, "handling=lenient")
	var asked, filters, patients []string
	for _, p := range c.Params {
		switch p.Name {
		case "_outputFormat":
			switch p.Value {
			case "application/fhir+ndjson", "application/fhir ndjson", "application/ndjson", "ndjson":
			default:
				return nil, errFormat
			}
		case "_since":
			t, err := time.Parse(time.RFC3339, strings.ReplaceAll(p.Value, " ", "+"))
			if err != nil {
				return nil, errSince
			}
			r.since = t
		case "_type":
			asked = append(asked, strings.Split(p.Value, ",")...)
		case "_typeFilter":
			filters = append(filters, splitFilters(p.Value)...)
		case "_elements":
			for e := range strings.SplitSeq(p.Value, ",") {
				typ, name, ok := strings.Cut(e, ".")
				if !ok {
					typ, name = "", typ
				}
				r.elements[typ] = append(r.elements[typ], name)
			}
		case "patient":
			if c.Type == "" || c.Method != http.MethodPost {
				return nil, errPatient
			}
			patients = append(patients, p.Value)
		default:
			if !lenient {
				return nil, errParameter
			}
		}
	}
	if err := r.choose(c, asked); err != nil {
		return nil, err
	}
	for _, f := range filters {
		if err := r.filter(f); err != nil {
			return nil, err
		}
	}
	return r, s.members(ctx, c, r, patients)
}

// choose takes the types that are asked for and may be read.
func (r *request) choose(c *rest.Call, asked []string) error {
	for _, t := range asked {
		switch {
		case !c.Server.Serves(t):
			return errType
		case !c.Leave.Allows(rest.Read, t) || !c.Leave.Allows(rest.Search, t):
			return errForbidden
		}
	}
	for _, t := range c.Server.Types {
		if (len(asked) == 0 || slices.Contains(asked, t)) && c.Leave.Allows(rest.Read, t) && c.Leave.Allows(rest.Search, t) {
			r.types = append(r.types, t)
		}
	}
	if len(r.types) == 0 {
		return errForbidden
	}
	return nil
}

// splitFilters takes a list of searches apart: a comma ends one where a type follows.
func splitFilters(list string) (out []string) {
	for part := range strings.SplitSeq(list, ",") {
		typ, _, ok := strings.Cut(part, "?")
		if starts := ok && typ != "" && typ[0] >= 'A' && typ[0] <= 'Z' && !strings.ContainsAny(typ, "=|:/"); starts || len(out) == 0 {
			out = append(out, part)
		} else {
			out[len(out)-1] += "," + part
		}
	}
	return out
}

func (r *request) filter(f string) error {
	typ, query, ok := strings.Cut(f, "?")
	if !ok || !slices.Contains(r.types, typ) {
		return errTypeFilter
	}
	where, err := r.server.Condition(typ, query)
	if err != nil {
		return err
	}
	r.filters[typ] = append(r.filters[typ], where)
	return nil
}

// maxPatients bounds the compartments of one job.
const maxPatients = 100_000

// members finds the compartments of an export of a Group or of patients that are named.
func (s *Service) members(ctx context.Context, c *rest.Call, r *request, named []string) error {
	var members []string
	if c.Type == "Group" {
		v, err := rest.See(ctx, s.Store, &r.leave, "Group", c.ID)
		if err != nil {
			return err
		}
		if !c.Leave.Allows(rest.Read, "Group") {
			return errForbidden
		}
		var g struct {
			Member []struct {
				Entity   struct{ Reference string }
				Inactive bool
				Period   struct{ End string }
			}
		}
		if err := json.Unmarshal(v.Body, &g); err != nil {
			return fmt.Errorf("bulk: group: %w", err)
		}
		members = []string{}
		for _, m := range g.Member {
			if !m.Inactive && strings.HasPrefix(m.Entity.Reference, "Patient/") && !slices.Contains(members, m.Entity.Reference) {
				members = append(members, m.Entity.Reference)
			}
		}
		if len(members) > maxPatients {
			return errTooLarge
		}
	}
	if named == nil {
		r.patients = members
		return nil
	}
	r.patients = []string{}
	for _, p := range named {
		typ, id, _ := strings.Cut(p, "/")
		if typ != "Patient" || members != nil && !slices.Contains(members, p) {
			return errPatient
		}
		// A patient whom the caller does not see is one who is not there.
		if _, err := rest.See(ctx, s.Store, &r.leave, typ, id); err != nil {
			if rest.IsGone(err) {
				return errPatient
			}
			return err
		}
		r.patients = append(r.patients, p)
	}
	return nil
}
