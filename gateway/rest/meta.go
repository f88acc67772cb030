package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"salus/store"
)

// Meta are $meta, $meta-add and $meta-delete on a resource (R4 Resource-meta, Resource-meta-add,
// Resource-meta-delete). Profiles, tags and labels are sets: labels and tags are the same if system
// and code are. Versions here never change, so that a change of meta is a version of its own, as any
// other change is; one that changes nothing writes nothing. Versions of the past are not changed.
func Meta(types []string) []Operation {
	const at = "http://hl7.org/fhir/OperationDefinition/Resource-"
	return []Operation{
		{Name: "meta", Instances: types, ReadOnly: true, Definition: at + "meta", Handle: func(ctx context.Context, c *Call) (*Reply, error) {
			if !c.Leave.Allows(Read, c.Type) {
				return nil, errForbidden
			}
			v, err := See(ctx, c.Server.Store, c.Leave, c.Type, c.ID)
			if err != nil {
				return nil, err
			}
			return metaReply(&v), nil
		}},
		{Name: "meta-add", Instances: types, Definition: at + "meta-add", Handle: func(ctx context.Context, c *Call) (*Reply, error) {
			return c.changeMeta(ctx, metaSet.with)
		}},
		{Name: "meta-delete", Instances: types, Definition: at + "meta-delete", Handle: func(ctx context.Context, c *Call) (*Reply, error) {
			return c.changeMeta(ctx, metaSet.without)
		}},
	}
}

var (
	errMetaParameter = fault(http.StatusBadRequest, "required", "rest-meta-parameter", "send Parameters with one parameter meta, a Meta with profiles, tags or security labels")
	errMetaExtended  = fault(http.StatusUnprocessableEntity, "not-supported", "rest-meta-extended", "meta.profile has extensions here: update the resource instead")
)

// metaNames are the members of Meta that these operations change.
var metaNames = []string{"profile", "tag", "security"}

// A metaSet is the elements of one of them, as they are written.
type metaSet []json.RawMessage

// same is what an element of a set is told by: a canonical, or system and code.
func same(a, b json.RawMessage) bool {
	var x, y struct{ System, Code string }
	var s, t string
	if json.Unmarshal(a, &s) == nil {
		return json.Unmarshal(b, &t) == nil && s == t
	}
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x == y
}

// told reports whether an element has what it is told by.
func told(name string, x json.RawMessage) bool {
	if name == "profile" {
		return x[0] == '"'
	}
	return x[0] == '{' && same(x, x)
}

func (s metaSet) has(x json.RawMessage) bool {
	return slices.ContainsFunc(s, func(y json.RawMessage) bool { return same(x, y) })
}

func (s metaSet) with(more metaSet) metaSet {
	for _, x := range more {
		if !s.has(x) {
			s = append(s, x)
		}
	}
	return s
}

func (s metaSet) without(some metaSet) metaSet {
	return slices.DeleteFunc(slices.Clone(s), some.has)
}

// changeMeta writes a resource's next version with other sets.
func (c *Call) changeMeta(ctx context.Context, change func(a, b metaSet) metaSet) (*Reply, error) {
	if !c.Leave.Allows(Patch, c.Type) {
		return nil, errForbidden
	}
	sets, err := metaParameter(c.Body)
	if err != nil {
		return nil, err
	}
	w := func() *write {
		a := &ask{ctx: ctx, leave: c.Leave, method: http.MethodPatch, header: c.Header, path: []string{c.Type, c.ID}, entry: true}
		return &write{ask: a, typ: c.Type, expect: store.Any}
	}
	for range patchTries {
		out, err := c.Server.patchOnce(w(), func(b []byte) ([]byte, error) { return withSets(b, sets, change) })
		if errors.Is(err, store.ErrConflict) {
			continue
		}
		if errors.Is(err, errSame) {
			v, err := See(ctx, c.Server.Store, c.Leave, c.Type, c.ID)
			if err != nil {
				return nil, err
			}
			return metaReply(&v), nil
		}
		if err != nil {
			return nil, err
		}
		r := metaReply(out.version)
		r.Header = out.header
		return r, nil
	}
	return nil, errConflict
}

// errSame says that a change changes nothing. It is never sent.
var errSame = errors.New("rest: nothing changes")

// metaParameter reads the sets of the parameter meta.
func metaParameter(body []byte) (map[string]metaSet, error) {
	var in struct {
		ResourceType string
		Parameter    []struct {
			Name      string
			ValueMeta map[string]json.RawMessage
		}
	}
	if json.Unmarshal(body, &in) != nil || in.ResourceType != "Parameters" || len(in.Parameter) != 1 || in.Parameter[0].Name != "meta" {
		return nil, errMetaParameter
	}
	sets := map[string]metaSet{}
	for name, raw := range in.Parameter[0].ValueMeta {
		var s metaSet
		switch {
		case name == "id" || name == "versionId" || name == "lastUpdated":
			continue // what the server says of itself
		case !slices.Contains(metaNames, name), json.Unmarshal(raw, &s) != nil || len(s) == 0, slices.ContainsFunc(s, func(x json.RawMessage) bool { return !told(name, x) }):
			return nil, errMetaParameter
		}
		sets[name] = s
	}
	if len(sets) == 0 {
		return nil, errMetaParameter
	}
	return sets, nil
}

// withSets is a resource, as it is read, with other sets in its meta. Nothing else changes.
func withSets(b []byte, sets map[string]metaSet, change func(a, b metaSet) metaSet) ([]byte, error) {
	root, _ := members(b, skipSpace(b, 0))
	i := slices.IndexFunc(root, func(m member) bool { return m.name == "meta" }) // what is presented has one
	list, end := members(b, root[i].valueAt)
	out, changed := []byte{'{'}, false
	put := func(member []byte) {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, member...)
	}
	replace := func(name string, now metaSet) {
		next := change(now, sets[name])
		changed = changed || len(next) != len(now)
		if len(next) > 0 {
			put(slices.Concat([]byte(`"`+name+`":[`), bytes.Join(raws(next), []byte{','}), []byte{']'}))
		}
	}
	for _, m := range list {
		switch {
		case sets[m.name] != nil:
			var now metaSet
			if json.Unmarshal(b[m.valueAt:m.valueTo], &now) != nil {
				return nil, errMeta
			}
			replace(m.name, now)
		case m.name == "_profile" && sets["profile"] != nil:
			return nil, errMetaExtended
		default:
			put(b[m.start:m.valueTo]) // a name may be written with escapes
		}
	}
	for _, name := range metaNames {
		if sets[name] != nil && !slices.ContainsFunc(list, func(m member) bool { return m.name == name }) {
			replace(name, nil)
		}
	}
	if !changed {
		return nil, errSame
	}
	return apply(b, []edit{{root[i].valueAt, end, append(out, '}')}}), nil
}

func raws(s metaSet) (out [][]byte) {
	for _, x := range s {
		out = append(out, x)
	}
	return out
}

// metaReply is the answer of all three: the meta as it is now.
func metaReply(v *store.Version) *Reply {
	b := present(v)
	meta := []byte("{}")
	root, _ := members(b, skipSpace(b, 0))
	for _, m := range root {
		if m.name == "meta" {
			meta = b[m.valueAt:m.valueTo]
		}
	}
	out := append([]byte(`{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":`), meta...)
	return &Reply{Body: append(out, "}]}"...)}
}
