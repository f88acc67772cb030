package rest

import (
	"errors"
	"mime"
	"net/http"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"salus/store"
)

// patchTries is how often a patch without If-Match is made again on a newer version.
const patchTries = 5

// patch changes a resource by a JSON Patch (R4 3.1.0.6): read, changed outside of any transaction,
// and written if the version is still the same.
func (s *Server) patch(a *ask) (*answer, error) {
	if err := a.may(Patch, a.path[0]); err != nil {
		return nil, err
	}
	typ, _, err := mime.ParseMediaType(a.contentType)
	if err != nil || typ != "application/json-patch+json" {
		return nil, errPatchType
	}
	p, err := jsonpatch.DecodePatch(a.body)
	if err != nil {
		return nil, errPatch
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

func (s *Server) patchOnce(w *write, p jsonpatch.Patch) (*answer, error) {
	var v store.Version
	err := s.Store.Write(w.ctx, func(t *store.Tx) (err error) {
		v, err = s.target(t, w)
		return err
	})
	if err != nil {
		return nil, err
	}
	if w.ifMatch != "" && w.ifMatch != etag(v.VID) && "W/"+w.ifMatch != etag(v.VID) {
		return nil, errVersion
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
func (s *Server) patched(w *write, v *store.Version, p jsonpatch.Patch) error {
	o := jsonpatch.NewApplyOptions()
	o.AccumulatedCopySizeLimit = s.MaxBody
	body, err := p.ApplyWithOptions(present(v), o)
	if err != nil {
		return errPatchFails
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
