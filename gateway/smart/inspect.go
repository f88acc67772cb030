package smart

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
)

// introspect tells a resource server what a token allows (RFC 7662; SMART 2.2, "Token
// Introspection"). An app may ask about its own tokens; about those of others, only
// one that is registered for it, which may show that by a bearer token too.
func (s *Server) introspect(w http.ResponseWriter, r *http.Request) {
	form, err := readForm(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	c, err := s.inspector(r, form.Has("client_secret") || form.Has("client_assertion") || form.Has("client_id"), form)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	t, err := s.token(form.Get("token"))
	if errors.Is(err, ErrUnauthorized) || err == nil && t.Client != c.ID && !c.Inspect {
		s.answer(w, http.StatusOK, map[string]any{"active": false})
		return
	} else if err != nil {
		s.fail(w, r, err)
		return
	}
	out := map[string]any{
		"active": true, "scope": scopeText(t.Scopes), "client_id": t.Client, "token_type": "Bearer",
		"exp": t.Expires.Unix(), "iat": t.Issued.Unix(), "aud": s.FHIR,
	}
	maps.Copy(out, t.context())
	if t.Named {
		out["iss"], out["sub"] = s.Issuer, t.User
		if named(t.Scopes, "fhirUser") && t.FHIRUser != "" {
			out["fhirUser"] = s.FHIR + "/" + t.FHIRUser
		}
	}
	s.answer(w, http.StatusOK, out)
}

// inspector is the app that asks. A public one cannot show who it is.
func (s *Server) inspector(r *http.Request, inForm bool, form map[string][]string) (*Client, error) {
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") && !inForm {
		t, err := s.Authenticate(r)
		if err != nil {
			return nil, refusedAsClient(err)
		}
		c, err := s.client(t.Client)
		if errors.Is(err, ErrNoRow) || err == nil && !c.Inspect {
			return nil, &oauthError{http.StatusForbidden, "insufficient_scope", "the app is not registered to introspect"}
		}
		return c, err
	}
	c, _, err := s.identify(r, form)
	if err == nil && c.Auth == AuthNone {
		return nil, errInvalidClient
	}
	return c, err
}

func refusedAsClient(err error) error {
	if errors.Is(err, ErrUnauthorized) {
		return errInvalidClient
	}
	return err
}

// revoke ends a token at once (RFC 7009): an access token alone, a refresh token with
// all that it gave.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	form, err := readForm(w, r)
	if err == nil {
		var c *Client
		if c, _, err = s.identify(r, form); err == nil {
			err = s.end(c, form.Get("token"))
		}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.answer(w, http.StatusOK, map[string]any{})
}

// end ends a token of that app. One that there is not has been ended.
func (s *Server) end(c *Client, text string) error {
	var gone []string
	foreign := false
	err := s.Keeper.Change(func(rows Rows) error {
		if id, secret, ok := strings.Cut(text, "."); ok && len(id) == 22 && len(secret) == secretLen {
			row, err := load[grantRow](rows, keyOf(rowGrant, id))
			if errors.Is(err, ErrNoRow) {
				return nil
			} else if err != nil {
				return err
			}
			if foreign = row.Client != c.ID; foreign {
				return nil
			}
			gone, err = dropGrant(rows, digest(rowGrant, id))
			return err
		}
		key := keyOf(rowToken, text)
		t, err := load[Token](rows, key)
		if errors.Is(err, ErrNoRow) {
			return nil
		} else if err != nil {
			return err
		}
		if foreign = t.Client != c.ID; foreign {
			return nil
		}
		gone = []string{key}
		return rows.Drop(key)
	})
	s.cache.forget(gone...)
	if err == nil && len(gone) > 0 {
		s.note(Event{What: "revoked", Client: c.ID})
	}
	if err == nil && foreign {
		return errInvalidGrant // RFC 7009 section 2.1: the app is told
	}
	return err
}

// RevokeAll ends every grant that which picks, with all its tokens, and returns how
// many there were. When it returns nil, none of them is taken at the next request.
func (s *Server) RevokeAll(which func(Grant) bool) (n int, err error) {
	var gone []string
	var ended []Event
	err = s.Keeper.Change(func(rows Rows) error {
		var picked []string
		err := rows.Each(rowGrant, func(key string, value []byte) error {
			var row grantRow
			if err := json.Unmarshal(value, &row); err != nil {
				return fmt.Errorf("smart: a row is damaged: %w", err)
			}
			if which(row.Grant) {
				picked = append(picked, strings.TrimPrefix(key, rowGrant))
				ended = append(ended, row.event("revoked", ""))
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, of := range picked {
			keys, err := dropGrant(rows, of)
			if err != nil {
				return err
			}
			gone = append(gone, keys...)
		}
		n = len(picked)
		return nil
	})
	s.cache.forget(gone...)
	if err != nil {
		return 0, err
	}
	for _, e := range ended {
		s.note(e)
	}
	return n, nil
}
