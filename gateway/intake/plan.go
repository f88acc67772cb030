package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
)

// An entry is one of a transaction Bundle.
type entry struct {
	FullURL  string          `json:"fullUrl"`
	Resource json.RawMessage `json:"resource"`
	Request  request         `json:"request"`
}

type request struct {
	Method      string `json:"method"`
	URL         string `json:"url"`
	IfMatch     string `json:"ifMatch,omitempty"`
	IfNoneExist string `json:"ifNoneExist,omitempty"`
}

// A change is an entry and what it will come to.
type change struct {
	Written

	entry entry
}

// plan finds what a Bundle's entries are about among what its sender sees of the organisation's own,
// and what of it is new. What says the same as what is there is Unchanged and has no entry.
func (s *Service) plan(ctx context.Context, l *rest.Leave, entries []entry) ([]change, error) {
	found := make([]*store.Version, len(entries))
	out := make([]change, len(entries))
	var known []string // pairs for a Replacer
	for i, e := range entries {
		typ, query, _ := strings.Cut(e.Request.URL, "?")
		if e.Request.Method == http.MethodPost {
			query = e.Request.IfNoneExist
		}
		v, err := s.find(ctx, l, typ, query)
		if err != nil {
			return nil, err
		}
		out[i] = change{Written{Type: typ, Outcome: Created}, e}
		if found[i] = v; v != nil {
			out[i].Outcome, out[i].ID, out[i].Version = Unchanged, v.ID, v.VID
			known = append(known, `"`+e.FullURL+`"`, `"`+typ+"/"+v.ID+`"`)
		}
		// As the FHIR server asks for a conditional create or update, whether or not it is there.
		need := rest.Update
		if e.Request.Method == http.MethodPost {
			need = rest.Create
		}
		if !l.Allows(need, typ) {
			return nil, errForbidden
		}
	}
	refer := strings.NewReplacer(known...)
	taken := map[store.Key]bool{}
	for i := range out {
		c, v := &out[i], found[i]
		c.entry.Resource = []byte(refer.Replace(string(c.entry.Resource)))
		if v == nil || c.entry.Request.Method == http.MethodPost {
			continue
		}
		same, err := says(c.entry.Resource, v.Body)
		if err != nil {
			return nil, err
		}
		if same {
			continue
		}
		if taken[v.Key] {
			return nil, errAmbiguous // two entries are the one resource that is there
		}
		taken[v.Key] = true
		c.Outcome = Updated
		c.entry.Resource = identified(c.entry.Resource, v.ID)
		c.entry.FullURL = s.Base + "/" + v.Type + "/" + v.ID
		c.entry.Request = request{Method: http.MethodPut, URL: v.Type + "/" + v.ID, IfMatch: fmt.Sprintf(`W/"%d"`, v.VID)}
	}
	return out, nil
}

// find is the one resource that a condition means; nil if there is none.
func (s *Service) find(ctx context.Context, l *rest.Leave, typ, query string) (*store.Version, error) {
	var pairs []search.Pair
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		n, err := url.QueryUnescape(name)
		if err != nil {
			return nil, fmt.Errorf("intake: condition: %w", err)
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			return nil, fmt.Errorf("intake: condition: %w", err)
		}
		pairs = append(pairs, search.Pair{Name: n, Value: v})
	}
	q, err := search.Parse(typ, pairs, search.Options{Params: s.Params, Now: s.Now()})
	if err != nil {
		return nil, fmt.Errorf("intake: condition on %s: %w", typ, err)
	}
	q.Count = maxAlike + 1
	p, err := s.Store.Search(ctx, store.Search{Query: q, Sight: l.Sight(), Count: q.Count})
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	list := p.Matches
	if len(list) > 1 && len(list) <= maxAlike {
		list = slices.DeleteFunc(slices.Clone(list), func(v store.Version) bool {
			return !slices.Contains(pairs, search.Pair{Name: "identifier", Value: first(v.Body)})
		})
	}
	switch {
	case len(p.Matches) == 0:
		return nil, nil //nolint:nilnil // none is an answer
	case len(list) == 1:
		return &list[0], nil
	}
	return nil, errAmbiguous
}

// maxAlike is how many resources may have an identifier that is the first of one of them. Documents
// give one id to several entries: the others have it behind one that was made for them.
const maxAlike = 100

// first is the first whole identifier of a resource, as a search has it.
func first(body []byte) string {
	var r struct {
		Identifier []struct{ System, Value string }
	}
	if json.Unmarshal(body, &r) != nil {
		return ""
	}
	sep := strings.NewReplacer(`\`, `\\`, ",", `\,`, "$", `\$`, "|", `\|`)
	for _, id := range r.Identifier {
		if id.System != "" && id.Value != "" {
			return sep.Replace(id.System) + "|" + sep.Replace(id.Value)
		}
	}
	return ""
}

// says reports whether two resources say the same, but for what the server adds. Numbers are compared
// as they are written.
func says(a, b []byte) (bool, error) {
	x, err := content(a)
	if err != nil {
		return false, err
	}
	y, err := content(b)
	return reflect.DeepEqual(x, y), err
}

func content(b []byte) (map[string]any, error) {
	var v map[string]any
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("intake: a resource is no JSON: %w", err)
	}
	delete(v, "id")
	if meta, ok := v["meta"].(map[string]any); ok {
		delete(meta, "versionId")
		delete(meta, "lastUpdated")
		if len(meta) == 0 {
			delete(v, "meta")
		}
	}
	return v, nil
}

// identified is a resource, which has none, with an id.
func identified(body []byte, id string) []byte {
	body = bytes.TrimLeft(body, " \t\r\n")
	return append([]byte(`{"id":"`+id+`",`), body[1:]...)
}
