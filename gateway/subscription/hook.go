package subscription

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"salus/gateway/rest"
	"salus/store"
)

var errRefused = errors.New("subscription: the endpoint did not accept the notification")

// tellPlain tells of events as R4 has it (2.46.7.1): an empty POST, or the resource by PUT below
// the endpoint.
func (s *Service) tellPlain(ctx context.Context, u *sub, l *rest.Leave, events []event) error {
	for i := range events {
		v, ok, err := s.visible(ctx, l, &events[i])
		if err != nil {
			return err
		}
		switch {
		case !ok: // she may not see it any more
		case u.spec.content == full:
			if err := s.account(ctx, u, map[string]bool{v.Owner: true}); err != nil {
				return err
			}
			err = s.post(ctx, u, http.MethodPut, strings.TrimSuffix(u.spec.endpoint, "/")+"/"+v.Type+"/"+v.ID, rest.Present(&v))
		default:
			err = s.post(ctx, u, http.MethodPost, u.spec.endpoint, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// post calls an endpoint. Its answer counts, what it says does not.
func (s *Service) post(ctx context.Context, u *sub, method, address string, body []byte) error {
	if !s.allows(address) {
		return errRefused // the configuration has changed
	}
	r, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return errRefused
	}
	r.Header = u.spec.header.Clone()
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	a, err := s.Client.Do(r)
	if err != nil {
		return errRefused // the error has the address in it
	}
	_, _ = io.CopyN(io.Discard, a.Body, 4<<10) // so that the connection can be used again
	if err := a.Body.Close(); err != nil {
		return errRefused
	}
	if a.StatusCode/100 != 2 {
		return fmt.Errorf("%w: status %d", errRefused, a.StatusCode)
	}
	return nil
}

// visible is what an event is about, if its subscriber still sees it.
func (s *Service) visible(ctx context.Context, l *rest.Leave, e *event) (store.Version, bool, error) {
	if e.Method == store.Delete {
		return store.Version{Owner: e.Owner}, true, nil
	}
	own := *l
	own.Scopes = []store.Scope{store.Own}
	v, err := rest.See(ctx, s.Store, &own, e.Type, e.ID)
	if rest.IsGone(err) {
		return v, false, nil
	}
	return v, err == nil, err
}
