package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
)

// object is FHIR JSON whose values keep their bytes.
type object = map[string]json.RawMessage

// edited is a resource that was changed by do.
func edited(body []byte, do func(object) error) ([]byte, error) {
	var o object
	if json.Unmarshal(body, &o) != nil || o == nil {
		return nil, errFeedStored
	}
	if err := do(o); err != nil {
		return nil, err
	}
	return json.Marshal(o)
}

// set writes a value into an object.
func set(o object, name string, v any) (err error) {
	o[name], err = json.Marshal(v)
	return err
}

// inMeta is an edit of a resource's meta, made if there is none.
func inMeta(do func(object) error) func(object) error {
	return func(o object) error {
		meta := object{}
		if o["meta"] != nil && (json.Unmarshal(o["meta"], &meta) != nil || meta == nil) {
			return errFeedStored
		}
		if err := do(meta); err != nil {
			return err
		}
		return set(o, "meta", meta)
	}
}

// untold takes away a narrative that was made from elements which have changed since (R4 Narrative.status):
// people would read what no longer holds. One that says more than the elements stays.
func untold(o object) error {
	var text struct{ Status string }
	if o["text"] != nil && json.Unmarshal(o["text"], &text) == nil && (text.Status == "generated" || text.Status == "extensions") {
		delete(o, "text")
	}
	return nil
}

// sourced is a resource with its source (R4 Meta.source): the message that this version came by.
func sourced(body []byte, source string) ([]byte, error) {
	return edited(body, inMeta(func(meta object) error { return set(meta, "source", source) }))
}

// identified is a resource with its id.
func identified(body []byte, id string) ([]byte, error) {
	return edited(body, func(o object) error { return set(o, "id", id) })
}

var errFeedStored = errors.New("node: a resource of the store is no JSON")

// same reports whether two resources say the same; numbers are compared as they are written.
func same(a, b []byte) bool {
	decode := func(b []byte) (v any) {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if d.Decode(&v) != nil {
			return nil
		}
		return v
	}
	x := decode(a)
	return x != nil && reflect.DeepEqual(x, decode(b))
}

// labelled adds the feed's labels to a resource of a patient. None that stands there is taken away.
func (w *feedWriter) labelled(body []byte, typ string) ([]byte, error) {
	switch typ {
	case "Practitioner", "Organization", "Location": // of nobody
		return body, nil
	}
	if len(w.labels) == 0 {
		return body, nil
	}
	return edited(body, inMeta(func(meta object) error {
		var labels []json.RawMessage
		if meta["security"] != nil && json.Unmarshal(meta["security"], &labels) != nil {
			return errFeedStored
		}
		for _, l := range w.labels {
			if slices.ContainsFunc(labels, func(raw json.RawMessage) bool {
				var have security
				return json.Unmarshal(raw, &have) == nil && have == l
			}) {
				continue
			}
			b, err := json.Marshal(l)
			if err != nil {
				return err
			}
			labels = append(labels, b)
		}
		return set(meta, "security", labels)
	}))
}
