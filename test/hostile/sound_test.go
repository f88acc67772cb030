package hostile

import (
	"bytes"
	"context"
	"sync"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/fhirxml"
	"salus/fhir/validate"
)

// checker knows R4, and none of the profiles that resources claim.
var checker = sync.OnceValue(func() *validate.Validator {
	v, err := validate.New(definition.R4(), validate.Options{Unclaimed: true})
	if err != nil {
		panic(err)
	}
	return v
})

// sound wants that what is answered is valid FHIR: nothing invalid is stored, and what the server says itself is its own.
func (w *world) sound(wrong func(string, ...any), q *request, a *answer) {
	body := a.body
	if bytes.HasPrefix(body, []byte("<?xml")) {
		body, _ = fhirxml.ToJSON(definition.R4().Model(), body)
	}
	r, err := fhir.Parse(body)
	if err != nil || bytes.Contains(body, []byte("SUBSETTED")) {
		return
	}
	for _, i := range checker().Validate(context.Background(), r) {
		if i.Severity == validate.Error || i.Severity == validate.Fatal {
			wrong("got %d %s %s at %s: %s\n%.1500s", a.status, r.Type(), i.Code, i.Expression, i.Text, body)
			return
		}
	}
}
