package index

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/search"
	"salus/gateway/rest"
	"salus/store"
	"salus/store/storetest"
)

// A world is a server over a store of its own that uses the Index for everything.
type world struct {
	t     testing.TB
	s     *rest.Server
	store *store.Store

	compartment string // that find is held to; "" for none
}

// A door admits everybody; whoever sends X-Compartment is held to that.
type door struct{}

func (door) Admit(r *http.Request) (*rest.Leave, error) {
	return &rest.Leave{Scopes: []store.Scope{store.Own}, Owner: r.Header.Get("X-Compartment")}, nil
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return worldOf(t, fast())
}

func worldOf(t testing.TB, x *Index) *world {
	t.Helper()
	st := storetest.Open(t, store.Options{})
	var types []string
	for _, typ := range x.set.Types() {
		if x.Known(typ) {
			types = append(types, typ)
		}
	}
	return &world{t: t, store: st, s: rest.New(rest.Config{
		Store: st, Params: x, Types: types, Index: x.Entries, Owner: x.Owner, Subset: x.Subset, Guard: door{},
		Base: base, Prefix: "/fhir", Now: time.Now, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), MaxBody: 4 << 20,
	})}
}

// put stores resources as they are, under their ids.
func (w *world) put(all []example) {
	w.t.Helper()
	for len(all) > 0 {
		n := min(len(all), 500)
		err := w.store.Write(w.t.Context(), func(tx *store.Tx) error {
			for _, x := range all[:n] {
				id := x.ID()
				if id == "" {
					id = idOf(x)
				}
				entries, err := fast().Entries(x.Resource)
				if err != nil {
					return err
				}
				if _, err := tx.Put(store.Put{Key: store.Key{Type: x.Type(), ID: id}, Body: x.Raw(), Owner: fast().Owner(x.Resource), Entries: entries, Expect: store.Any}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
		all = all[n:]
	}
}

func idOf(x example) string {
	var b struct{ ID string }
	if json.Unmarshal(x.Raw(), &b) != nil || b.ID == "" {
		return "none"
	}
	return b.ID
}

// find searches, and returns "Type/id" of matches and of what was included.
func (w *world) find(query string) (status int, matches, included []string) {
	w.t.Helper()
	for query != "" {
		r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/fhir/"+query, nil)
		if w.compartment != "" {
			r.Header.Set("X-Compartment", w.compartment)
		}
		rec := httptest.NewRecorder()
		w.s.ServeHTTP(rec, r)
		if rec.Code != http.StatusOK {
			if rec.Code >= 500 {
				w.t.Errorf("%s: got %d %s", query, rec.Code, rec.Body)
			}
			return rec.Code, nil, nil
		}
		var b struct {
			Link  []struct{ Relation, URL string }
			Entry []struct {
				Resource struct{ ResourceType, ID string }
				Search   struct{ Mode string }
			}
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &b); err != nil {
			w.t.Fatal(err)
		}
		for _, e := range b.Entry {
			name := e.Resource.ResourceType + "/" + e.Resource.ID
			if e.Search.Mode == "match" {
				matches = append(matches, name)
			} else {
				included = append(included, name)
			}
		}
		query = ""
		for _, l := range b.Link {
			if l.Relation == "next" {
				query = strings.TrimPrefix(strings.TrimPrefix(l.URL, base), "/")
			}
		}
	}
	return http.StatusOK, matches, included
}

// put1 stores one resource by HTTP.
func (w *world) put1(body string) {
	w.t.Helper()
	r, err := fhir.Parse([]byte(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req := httptest.NewRequestWithContext(w.t.Context(), http.MethodPut, "/fhir/"+r.Type()+"/"+r.ID(), strings.NewReader(body))
	req.Header.Set("Content-Type", "application/fhir+json")
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, req)
	if rec.Code/100 != 2 {
		w.t.Fatalf("PUT: %d %s", rec.Code, rec.Body)
	}
}

var escaper = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

func instant(ms float64) string {
	return time.UnixMilli(int64(ms)).UTC().Format("2006-01-02T15:04:05.000Z")
}

func decimalOf(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// valuesOf are values, as a query writes them, that must find an entry.
func valuesOf(e *search.Entry) (all []string) {
	v := &e.Value
	in := escaper.Replace
	switch e.Kind {
	case search.Token:
		return tokenValues(e)
	case search.String:
		return []string{in(e.Exact)}
	case search.URI:
		return []string{in(v.Text)}
	case search.Reference:
		if e.Modifier == search.Identifier {
			return tokenValues(e)
		}
		if !strings.ContainsAny(v.Text, ":/") {
			return nil // a canonical that is no URI: in a query it would be an id
		}
		return []string{in(v.Text)}
	case search.Date:
		if !math.IsInf(v.Range.Low, 0) {
			all = append(all, "ge"+instant(v.Range.Low), "gt1000")
		}
		if !math.IsInf(v.Range.High, 0) {
			all = append(all, "le"+instant(v.Range.High), "lt9999")
		}
	case search.Number, search.Quantity:
		var forms []string
		if !math.IsInf(v.Range.Low, 0) {
			forms = append(forms, "ge"+decimalOf(v.Range.Low))
		}
		if !math.IsInf(v.Range.High, 0) {
			forms = append(forms, "le"+decimalOf(v.Range.High))
		}
		if v.Range.Low == v.Range.High {
			forms = append(forms, decimalOf(v.Range.Low), "ap"+decimalOf(v.Range.Low))
		}
		for _, f := range forms {
			all = append(all, f)
			if e.Kind == search.Quantity && v.Code != "" {
				all = append(all, f+"||"+in(v.Code))
				if v.System != "" {
					all = append(all, f+"|"+in(v.System)+"|"+in(v.Code))
				}
			}
			if e.Kind == search.Quantity && e.Exact != "" {
				all = append(all, f+"||"+in(e.Exact))
			}
		}
	}
	return all
}

func tokenValues(e *search.Entry) []string {
	v := &e.Value
	in := escaper.Replace
	switch {
	case e.Modifier == search.Text:
		return []string{in(v.Text)}
	case e.Modifier == search.OfType:
		return []string{in(v.System) + "|" + in(v.Code) + "|" + in(v.Text)}
	case v.Text == "":
		return []string{in(v.System) + "|"}
	}
	return []string{in(v.System) + "|" + in(v.Text), in(v.Text)}
}

// queriesOf are queries that must find a resource by its entries.
func queriesOf(entries []search.Entry) (all []string) {
	groups := map[string]map[int]string{}
	for i := range entries {
		e := &entries[i]
		if e.Modifier == search.InBase {
			continue // what asks with a unit asks there
		}
		if e.Kind == search.Spot {
			if e.Part == 2 {
				of := entries[i-1].Value.Range // x and y
				all = append(all, fmt.Sprintf("%s=%.7f|%.7f|1|m", e.Code, math.Asin(e.Value.Range.Low)*180/math.Pi, math.Atan2(of.High, of.Low)*180/math.Pi))
			}
			continue
		}
		if e.Group > 0 {
			g := fmt.Sprintf("%s\x00%d", e.Code, e.Group)
			if groups[g] == nil {
				groups[g] = map[int]string{}
			}
			groups[g][e.Part] = valuesOf(e)[0]
			continue
		}
		if e.Value.Text == "" && e.Value.System == "" && (e.Kind == search.Token || e.Kind == search.Reference) {
			all = append(all, e.Code+":missing=false")
			continue
		}
		name := e.Code
		if e.Modifier != search.Plain {
			name += ":" + e.Modifier.String()
		}
		for _, v := range valuesOf(e) {
			all = append(all, name+"="+url.QueryEscape(v))
		}
		if e.Kind == search.String {
			in := []rune(e.Exact)
			all = append(all, name+":exact="+url.QueryEscape(escaper.Replace(e.Exact)))
			if part := strings.TrimSpace(string(in[len(in)/3 : min(len(in)/3+5, len(in))])); search.Fold(part) != "" && len(in)/3+5 < 80 {
				all = append(all, name+":contains="+url.QueryEscape(escaper.Replace(part)))
			}
		}
		if e.Kind == search.URI && len(e.Value.Text) > 8 {
			all = append(all, name+":below="+url.QueryEscape(escaper.Replace(e.Value.Text[:8])), name+":above="+url.QueryEscape(escaper.Replace(e.Value.Text)+"/x"))
		}
	}
	for g, parts := range groups {
		code, _, _ := strings.Cut(g, "\x00")
		var vs []string
		for i := 1; parts[i] != ""; i++ {
			vs = append(vs, parts[i])
		}
		all = append(all, code+"="+url.QueryEscape(strings.Join(vs, "$")))
	}
	return all
}
