// Package inference compares worlds that differ only in what a caller may not see. Whatever she
// asks, the answers must be the same, byte for byte: in counts, pages, orders, includes, chains,
// histories, operations, conditions and errors.
package inference

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/fhir/search"
	"salus/gateway/bulk"
	"salus/gateway/rest"
	"salus/gateway/summary"
	"salus/store"
	"salus/store/storetest"
)

var (
	worlds   = flag.Int("inference.worlds", 6, "pairs of worlds for each kind of caller")
	requests = flag.Int("inference.requests", 250, "requests to each pair")
	seed     = flag.Uint64("inference.seed", 1, "the first pair's seed")
)

const base = "http://example.org/fhir"

// A thing is one version of a resource in a world.
type thing struct {
	typ, id, body string
	hidden        bool
	gone          bool // a deletion
}

// A caller is a kind of caller: what she sees of what.
type caller struct {
	name   string
	leave  func(x *index.Index) rest.Leave
	hidden func(x *index.Index, r fhir.Resource) bool // what is kept from her
	scope  bool                                       // hidden things are in a scope that she does not have
}

var callers = []caller{
	{
		name:  "one patient's compartment",
		leave: func(*index.Index) rest.Leave { return rest.Leave{Owner: "Patient/p0"} },
		hidden: func(x *index.Index, r fhir.Resource) bool {
			o := x.Owner(r)
			return o != "" && o != "Patient/p0"
		},
	},
	{
		name: "conditions of scopes",
		leave: func(x *index.Index) rest.Leave {
			p, _ := x.Param("Observation", "category")
			clause := search.Clause{Param: p, Values: []search.Value{{Text: "laboratory"}}}
			return rest.Leave{
				Within: map[string][][]search.Clause{"Observation": {{clause}}, "Condition": {}, "Provenance": {}},
				May:    func(_ rest.Interaction, typ string) bool { return typ != "Condition" && typ != "Provenance" },
			}
		},
		hidden: func(_ *index.Index, r fhir.Resource) bool {
			return r.Type() == "Condition" || r.Type() == "Provenance" || r.Type() == "Observation" && !bytes.Contains(r.Raw(), []byte(`"code":"laboratory"`))
		},
	},
	{
		name:   "no session",
		leave:  func(*index.Index) rest.Leave { return rest.Leave{} },
		hidden: func(_ *index.Index, r fhir.Resource) bool { return strings.HasPrefix(r.ID(), "h") },
		scope:  true,
	},
}

func TestHiddenDataShowsNowhere(t *testing.T) {
	x, err := index.With(definition.R4(), index.FullText(true), base)
	if err != nil {
		t.Fatal(err)
	}
	x.Offer()
	n := 0
	for _, c := range callers {
		t.Run(c.name, func(t *testing.T) {
			for i := range *worlds {
				n += c.compare(t, x, *seed+uint64(i))
			}
		})
	}
	t.Logf("%d requests were answered alike in both worlds of their pair", n)
}

// compare makes a pair of worlds from a seed and asks both.
func (c *caller) compare(t *testing.T, x *index.Index, seed uint64) int {
	t.Helper()
	rnd := rand.New(rand.NewPCG(seed, 7))
	things := generate(rnd)
	hiding := 0
	for i := range things {
		r, err := fhir.Parse([]byte(things[i].body))
		if err != nil {
			t.Fatalf("%v: %s", err, things[i].body)
		}
		if things[i].hidden = c.hidden(x, r); things[i].hidden {
			hiding++
		}
	}
	if hiding == 0 || hiding == len(things) {
		t.Fatalf("seed %d hides %d of %d: the pair proves nothing", seed, hiding, len(things))
	}
	with, without := c.world(t, x, things, true, -1), c.world(t, x, things, false, -1)
	asked := 0
	kinds := map[int]int{}
	for i := range *requests {
		q := ask(rnd, x, things)
		qb := q
		for range 8 { // and the pages that its answer leads to
			a, b := with.do(t, q), without.do(t, qb)
			asked++
			kinds[a.status]++
			if a.status >= 500 {
				t.Fatalf("seed %d, request %d: %s: got %d\n%s", seed, i, q, a.status, a.body)
			}
			if got, want := a.told(), b.told(); got != want {
				t.Fatalf("seed %d, request %d: %s\nwith what is hidden:\n%s\nwithout:\n%s", seed, i, q, got, want)
			}
			if q, qb = a.next(q), b.next(qb); q == nil {
				break
			}
		}
	}
	asked += c.exports(t, seed, with, without)
	t.Logf("seed %d: %d things, %d of them hidden; answers by status: %v", seed, len(things), hiding, slices.Sorted(maps.Keys(kinds)))
	return asked
}

// A world is a server over a store.
type world struct {
	s    *rest.Server
	bulk *bulk.Service
}

type guard rest.Leave

// Admit implements rest.Guard.
func (g guard) Admit(*http.Request) (*rest.Leave, error) {
	l := rest.Leave(g)
	l.Scopes, l.Client = []store.Scope{store.Own}, "app"
	return &l, nil
}

// world makes a world of all things, or of those that are seen, whose answers are held to ticks of the server, 0 for
// those that it has by itself.
func (c *caller) world(t testing.TB, x *index.Index, things []thing, all bool, tick time.Duration) *world {
	t.Helper()
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	now := func() time.Time { return time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC) }
	st := storetest.Open(t, store.Options{Now: now})
	scope := st.NewScope()
	err := st.Write(t.Context(), func(tx *store.Tx) error {
		for i, th := range things {
			if th.hidden && !all {
				continue
			}
			r, err := fhir.Parse([]byte(th.body))
			if err != nil {
				return err
			}
			entries, err := x.Entries(r)
			if err != nil {
				return err
			}
			p := store.Put{
				Key: store.Key{Type: th.typ, ID: th.id}, Body: r.Raw(), Owner: x.Owner(r), Entries: entries, Expect: store.Any,
				Updated: at.Add(time.Duration(i/3) * time.Minute), // some at the same time
			}
			if th.hidden && c.scope {
				p.Scope = scope
			}
			if th.gone {
				_, err = tx.Delete(p)
			} else {
				_, err = tx.Put(p)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{}
	g, log := guard(c.leave(x)), slog.New(slog.DiscardHandler)
	if w.bulk, err = bulk.Open(bulk.Config{
		Store: st, Guard: g, Dir: filepath.Join(t.TempDir(), "bulk"), Key: [32]byte{2}, URL: base + "/$jobs", Prefix: "/fhir/$jobs", Now: time.Now, Log: log, Poll: time.Nanosecond, PageSize: 3,
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.bulk.Close(); err != nil {
			t.Error(err)
		}
	})
	w.s = rest.New(rest.Config{
		Store: st, Params: x, Types: types, Index: x.Entries, Owner: x.Owner, Subset: x.Subset, Guard: g,
		Base: base, Prefix: "/fhir", Now: now, Log: log, Tick: tick,
		Operations: slices.Concat(w.bulk.Operations(), summary.Operations(summary.Config{Author: "Salus"}), []rest.Operation{rest.Everything(), rest.LastN()}),
	})
	return w
}

// An answer is what a caller gets to see.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(t testing.TB, q *request) answer {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), q.method, "/fhir/"+q.path, strings.NewReader(q.body))
	r.Header = q.header.Clone()
	rec := httptest.NewRecorder()
	w.s.ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.String()}
}

var (
	cursor = regexp.MustCompile(`_cursor=[A-Za-z0-9._%-]+`)
	drawn  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[48][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
)

// told is the answer without what is drawn at random: cursors, which are sealed, and ids of what was
// created.
func (a *answer) told() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", a.status)
	for _, k := range slices.Sorted(maps.Keys(a.header)) {
		fmt.Fprintf(&b, "%s: %s\n", k, strings.Join(a.header[k], "; "))
	}
	b.WriteString(a.body)
	s := b.String()
	s = cursor.ReplaceAllStringFunc(s, func(c string) string { return fmt.Sprintf("_cursor=(%d)", len(c)) }) // their length must not tell either
	return drawn.ReplaceAllString(s, "drawn")
}
