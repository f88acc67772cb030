package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"salus/fhir"
	"salus/fhir/definition"
	"salus/fhir/index"
	"salus/gateway/rest"
	"salus/store"
)

// ofEach is how many Observations each patient of the search measurements has, in every size.
const ofEach = 200

// everything lets everybody see all.
type everything struct{}

func (everything) Admit(*http.Request) (*rest.Leave, error) {
	return &rest.Leave{Scopes: []store.Scope{store.Own}}, nil
}

// measureSearch measures searches over a store that grows: the FHIR server's handler over the
// embedded store, without a ledger and without a network between.
func measureSearch(ctx context.Context, b *bench) (out []Result, err error) {
	dir := filepath.Join(b.dir, "search")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "store.db")
	st, err := store.OpenSQLite(ctx, file, [32]byte{1}, store.Options{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = st.Close() }()
	x, err := index.New(definition.R4(), "http://example.org/fhir")
	if err != nil {
		return nil, err
	}
	h := rest.New(rest.Config{
		Store: st, Params: x, Types: []string{"Observation", "Patient"}, Index: x.Entries, Owner: x.Owner, Subset: x.Subset, Guard: everything{},
		Base: "http://example.org/fhir", Prefix: "/fhir", Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	before := resident()
	first := map[string]float64{}
	has := 0
	for _, size := range pick(b, []int{10_000, 100_000, 1_000_000}, []int{1_000, 4_000}) {
		if size > b.most {
			b.log("%d resources: left out (-most)", size)
			continue
		}
		name := strconv.Itoa(size/1000) + "k"
		if size == 1_000_000 {
			name = "1m"
		}
		c, err := b.spent("search-fill-"+name, func() error { return fill(ctx, st, x, has, size) })
		if err != nil {
			return out, err
		}
		b.log("%s resources: filled at %.0f a second, %s of CPU each", name, float64(size-has)/c.wall.Seconds(), c.cpu/time.Duration(size-has))
		has = size
		for _, q := range fhirQueries {
			took, err := searches(ctx, h, q, size/ofEach, pick(b, 300, 20))
			if err != nil {
				return out, err
			}
			p50 := quantile(took, 0.5)
			r := newResult("search."+q.name+"."+name, "ms", "value <= 5", []float64{p50}, nil)
			if f, ok := first[q.name]; ok {
				r = newResult("search."+q.name+"."+name, "ms", "value <= 5", []float64{p50}, []float64{f})
			} else {
				first[q.name] = p50
			}
			out = append(out, r.about(fmt.Sprintf("%s, median of the handler alone, one client (p99 %.1f ms)", q.says, quantile(took, 0.99)), "the same query in the smallest store"))
		}
		info, err := os.Stat(file)
		if err != nil {
			return out, err
		}
		out = append(out,
			newResult("search.memory."+name, "MiB", "value <= 600", []float64{float64(resident()-before) / (1 << 20)}, nil).about("memory that the store and the server have taken, its caches among it", ""),
			newResult("search.disk."+name, "bytes/resource", "value <= 4000", []float64{float64(info.Size()) / float64(size)}, nil).about("the database file with its indexes; a resource is some 650 bytes of JSON", ""))
	}
	return out, nil
}

// fill adds Observations up to a number, and their patients. A write of many puts their index rows into each
// table in its order: the more together, the fewer pages are changed and written for each of them. It takes several
// writes all the same, so that the file's size is not what waits in the write-ahead log.
func fill(ctx context.Context, st *store.Store, x *index.Index, from, to int) error {
	for together := min(max(500, (to-from)/20), 10_000); from < to; from += together {
		var puts []store.Put
		add := func(id string, body []byte) error {
			r, err := fhir.Parse(body)
			if err != nil {
				return err
			}
			entries, err := x.Entries(r)
			puts = append(puts, store.Put{Key: store.Key{Type: r.Type(), ID: id}, Body: body, Owner: x.Owner(r), Entries: entries, Record: "measured"})
			return err
		}
		for i := from; i < from+together; i++ {
			if i%ofEach == 0 {
				id := fmt.Sprintf("perf-%d", i/ofEach)
				if err := add(id, fmt.Appendf(nil, `{"resourceType":"Patient","id":"%s","name":[{"family":"Sample","given":["P%d"]}],"gender":"female","birthDate":"1970-01-01"}`, id, i/ofEach)); err != nil {
					return err
				}
			}
			id := "o" + strconv.Itoa(i)
			body := perfObservationOf(i/ofEach, i)
			if err := add(id, append([]byte(`{"id":"`+id+`",`), body[1:]...)); err != nil {
				return err
			}
		}
		err := st.Write(ctx, func(t *store.Tx) error {
			for i := range puts {
				if _, err := t.Put(puts[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// searches sends a query many times, for other patients each time, and returns the milliseconds.
func searches(ctx context.Context, h http.Handler, q fhirQuery, patients, n int) (took []float64, err error) {
	for i := range n {
		patient := i * 7919 % patients
		path := strings.Replace(q.query(i), fmt.Sprintf("perf-%d", i%fhirPatients), fmt.Sprintf("perf-%d", patient), 1)
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/fhir/"+path, nil)
		w := httptest.NewRecorder()
		start := time.Now()
		h.ServeHTTP(w, r)
		took = append(took, float64(time.Since(start).Microseconds())/1000)
		if w.Code != http.StatusOK {
			return nil, fmt.Errorf("%s: got %d", q.name, w.Code)
		}
	}
	return took, nil
}

// resident is how much memory this process holds, in bytes.
func resident() int64 {
	debug.FreeOSMemory()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
