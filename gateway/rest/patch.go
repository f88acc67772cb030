package rest

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"salus/fhir"
	"salus/store"
)

// patchTries is how often a patch without If-Match is made again on a newer version.
const patchTries = 5

// A patcher makes the next version's bytes from those of the last.
type patcher func([]byte) ([]byte, error)

// patcher reads a patch: a JSON Patch, or FHIRPath Patch as a Parameters resource (R4 3.1.0.8). In
// a Bundle, a JSON Patch is the data of a Binary.
func (s *Server) patcher(a *ask) (patcher, error) {
	body := a.body
	typ, _, err := mime.ParseMediaType(a.contentType)
	if a.entry {
		r, err := fhir.Parse(body)
		if err != nil {
			return nil, err
		}
		typ = typeJSON
		if r.Type() == "Binary" {
			var b struct {
				ContentType string
				Data        []byte
			}
			if json.Unmarshal(body, &b) != nil {
				return nil, errPatch
			}
			typ, body = b.ContentType, b.Data
		}
	} else if err != nil {
		return nil, errPatchType
	}
	switch {
	case typ == "application/json-patch+json":
		return s.jsonPatch(body)
	case s.Patch != nil && (a.entry || a.jsonBody() == nil):
		return s.pathPatch(body)
	}
	return nil, errPatchType
}

func (s *Server) jsonPatch(body []byte) (patcher, error) {
	p, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, errPatch
	}
	o := jsonpatch.NewApplyOptions()
	o.AccumulatedCopySizeLimit = s.MaxBody
	return func(b []byte) ([]byte, error) {
		b, err := p.ApplyWithOptions(b, o)
		if err != nil {
			return nil, errPatchFails
		}
		return b, nil
	}, nil
}

func (s *Server) pathPatch(parameters []byte) (patcher, error) {
	r, err := fhir.Parse(parameters)
	if err != nil {
		return nil, err
	}
	if r.Type() != "Parameters" {
		return nil, errPathPatch
	}
	return func(b []byte) ([]byte, error) {
		b, err := s.Patch(b, parameters)
		var f *Fault
		var i *fhir.Issue
		switch {
		case err == nil, errors.As(err, &f):
			return b, err
		case errors.As(err, &i):
			return nil, &Fault{Status: http.StatusUnprocessableEntity, Issues: []Issue{{Type: "processing", Code: i.Code, Text: i.Text, Expression: i.Expression}}}
		}
		return nil, errPatchFails
	}, nil
}

// patch changes a resource by a patch (R4 3.1.0.6): read, changed outside of any transaction,
// and written if the version is still the same.
func (s *Server) patch(a *ask) (*answer, error) {
	if err := a.may(Patch, a.path[0]); err != nil {
		return nil, err
	}
	if err := s.room(len(a.body)); err != nil {
		return nil, err
	}
	p, err := s.patcher(a)
	if err != nil {
		return nil, err
	}
	if len(a.path) == 1 {
		s.foreseeWrite(a)
	}
	for range patchTries {
		w := &write{ask: a, typ: a.path[0], expect: store.Any}
		out, err := s.patchOnce(w, p)
		if errors.Is(err, store.ErrConflict) && a.ifMatch == "" {
			continue
		}
		if err != nil {
			return nil, err
		}
		s.represent(w, out)
		return out, nil
	}
	return nil, errConflict
}

func (s *Server) patchOnce(w *write, p patcher) (*answer, error) {
	var v store.Version
	err := s.Store.Write(w.ctx, func(t *store.Tx) (err error) {
		v, err = s.target(t, w)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.patched(w, &v, p); err != nil {
		return nil, err
	}
	var out *answer
	err = s.Store.Write(w.ctx, func(t *store.Tx) (err error) {
		out, err = s.put(t, w, v.VID)
		return err
	})
	if err == nil {
		s.written(w.ask, out)
	}
	return out, err
}

// target is the resource that a patch means: by its id, or by a condition.
func (s *Server) target(t *store.Tx, w *write) (store.Version, error) {
	if len(w.path) > 1 {
		return s.find(inside{t}, w.ask, w.typ, w.path[1])
	}
	found, err := s.match(t, w, w.query)
	switch {
	case err != nil:
		return store.Version{}, err
	case found == nil:
		return store.Version{}, errNotFound
	}
	return *found, nil
}

// patched applies a patch to a version and takes the result as the next one. What the patch does
// not touch keeps its bytes' meaning and the text of its numbers, but not its white space.
func (s *Server) patched(w *write, v *store.Version, p patcher) error {
	if w.ifMatch != "" && !hasTag(w.ifMatch, v.VID) {
		return errVersion
	}
	if err := w.standing(v); err != nil {
		return err
	}
	body, err := p(present(v))
	if err != nil {
		return err
	}
	if int64(len(body)) > s.MaxBody {
		return errTooLarge
	}
	if err := s.take(w, body); err != nil {
		var f *Fault
		if errors.As(err, &f) && f != errOtherType {
			return err
		}
		if errors.Is(err, errOtherType) {
			return errPatchID
		}
		// What was a resource is none any more: the patch, not its syntax, is to blame.
		f = faultOf(err)
		return &Fault{Status: http.StatusUnprocessableEntity, Issues: f.Issues}
	}
	if w.given != v.ID {
		return errPatchID
	}
	w.id = v.ID
	return nil
}

// patchInside is a transaction's PATCH. The patch was read, and its references resolved, before.
func (s *Server) patchInside(t *store.Tx, w *write) (*answer, error) {
	if err := w.may(Patch, w.typ); err != nil {
		return nil, err
	}
	p, err := s.patcher(w.ask)
	if err != nil {
		return nil, err
	}
	v, err := s.target(t, w)
	if err != nil {
		return nil, err
	}
	if err := s.patched(w, &v, p); err != nil {
		return nil, err
	}
	return s.put(t, w, v.VID)
}
