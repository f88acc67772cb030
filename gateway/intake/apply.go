package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"salus/fhir"
	"salus/gateway/chart"
	"salus/gateway/rest"
)

// applyTries bounds how often a transaction is planned anew because others were faster.
const applyTries = 8

// apply writes what is new of a transaction Bundle, whole or not at all, with what its sender may do.
// It returns what became of each entry, in their order, and how safe it is. With dry it is checked and
// nothing is written. Errors: *Problem, *refused, of this node.
func (s *Service) apply(ctx context.Context, l *rest.Leave, prefers http.Header, bundle []byte, dry bool) ([]Written, string, error) {
	var in struct{ Entry []entry }
	if err := json.Unmarshal(bundle, &in); err != nil {
		return nil, "", fmt.Errorf("intake: a mapped document is no Bundle: %w", err)
	}
	for range applyTries {
		list, err := s.plan(ctx, l, in.Entry)
		if err != nil {
			return nil, "", err
		}
		if dry {
			return written(list), "", s.check(ctx, list)
		}
		status, again, err := s.transact(ctx, l, prefers, list)
		if err != nil || !again {
			return written(list), status, err
		}
	}
	return nil, "", errBusy
}

func written(list []change) (out []Written) {
	for _, c := range list {
		out = append(out, c.Written)
	}
	return out
}

// check does of a transaction what can be done without writing.
func (s *Service) check(ctx context.Context, list []change) error {
	for i, c := range list {
		if c.Outcome == Unchanged {
			continue
		}
		r, err := fhir.Parse(c.entry.Resource)
		if err != nil {
			return refusal(ctx, http.StatusUnprocessableEntity, err, i)
		}
		issues := s.Check(ctx, r)
		if bad := slices.IndexFunc(issues, func(i rest.Issue) bool { return i.Severity == "error" || i.Severity == "fatal" || i.Severity == "" }); bad >= 0 {
			return refusal(ctx, http.StatusUnprocessableEntity, &rest.Fault{Status: http.StatusUnprocessableEntity, Issues: issues[bad:]}, i)
		}
	}
	return nil
}

// refusal is an error about one entry.
func refusal(ctx context.Context, status int, err error, entry int) error {
	p := *problemOf(ctx, err)
	p.Status = status
	return &refused{p, entry}
}

// A refused says which entry of a transaction the FHIR server does not take; -1 if it does not say.
type refused struct {
	Problem

	entry int
}

// Unwrap is for errors.As.
func (r *refused) Unwrap() error { return &r.Problem }

// transact gives what is new to the FHIR server, and puts into the list what it answers. again: it has
// to be planned anew, because something was changed in between.
func (s *Service) transact(ctx context.Context, l *rest.Leave, prefers http.Header, list []change) (safe string, again bool, err error) {
	var entries []entry
	var at []int
	for i, c := range list {
		if c.Outcome != Unchanged {
			entries, at = append(entries, c.entry), append(at, i)
		}
	}
	if len(entries) == 0 {
		return "", false, nil
	}
	b, err := json.Marshal(map[string]any{"resourceType": "Bundle", "type": "transaction", "entry": entries})
	if err != nil {
		return "", false, fmt.Errorf("intake: transaction: %w", err)
	}
	// Of what its sender said of a document, nothing else is about the transaction.
	wait := http.Header{}
	if v := prefers.Get(chart.HeaderWait); v != "" {
		wait.Set(chart.HeaderWait, v)
	}
	status, header, body := s.Transact(ctx, l, wait, b)
	if status != http.StatusOK {
		again, err := refusedBy(status, body, at)
		return "", again, err
	}
	var out struct {
		Entry []struct {
			Response struct{ Status, Location, Etag string }
		}
	}
	if json.Unmarshal(body, &out) != nil || len(out.Entry) != len(entries) {
		return "", false, errServer
	}
	for i, e := range out.Entry {
		w := &list[at[i]].Written
		parts := strings.Split(strings.TrimPrefix(e.Response.Location, s.Base+"/"), "/")
		if len(parts) >= 2 {
			w.ID = parts[1]
		}
		w.Version, _ = strconv.ParseInt(strings.Trim(strings.TrimPrefix(e.Response.Etag, "W/"), `"`), 10, 64)
		switch {
		case strings.HasPrefix(e.Response.Status, "201"):
			w.Outcome = Created
		case entries[i].Request.Method == http.MethodPost: // somebody was faster
			w.Outcome = Unchanged
		default:
			w.Outcome = Updated
		}
	}
	return header.Get(chart.HeaderStatus), false, nil
}

// refusedBy reads the OperationOutcome of a transaction that was not taken.
func refusedBy(status int, body []byte, at []int) (again bool, err error) {
	var o struct {
		Issue []struct {
			Severity, Diagnostics string
			Details               struct {
				Text   string
				Coding []struct{ Code string }
			}
			Expression []string
		}
	}
	p := refused{Problem{Status: status}, -1}
	if json.Unmarshal(body, &o) == nil {
		for _, i := range o.Issue {
			if (i.Severity == "error" || i.Severity == "fatal") && len(i.Details.Coding) > 0 {
				p.Code, p.Text, p.Where = i.Details.Coding[0].Code, i.Details.Text, strings.Join(i.Expression, " ")
				if p.Text == "" {
					p.Text = i.Diagnostics
				}
				break
			}
		}
	}
	switch {
	case p.Code == "rest-version", p.Code == "rest-conflict":
		return true, nil
	case status == http.StatusInsufficientStorage:
		return false, rest.ErrNoSpace
	case status < 400 || status >= 500 || p.Code == "":
		return false, errServer
	}
	// The place is in the transaction that was sent, which lacks what is there already.
	if rest, ok := strings.CutPrefix(p.Where, "Bundle.entry["); ok {
		n, behind, _ := strings.Cut(rest, "]")
		if i, err := strconv.Atoi(n); err == nil && i >= 0 && i < len(at) {
			p.entry = at[i]
			p.Where = fmt.Sprintf("Bundle.entry[%d]%s", at[i], behind)
		}
	}
	return false, &p
}

// entryOf is the entry that an error is about, -1 if it is about none.
func entryOf(err error) int {
	if r, ok := errors.AsType[*refused](err); ok {
		return r.entry
	}
	return -1
}
