package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"salus/fhir/search"
	"salus/store"
)

// fhirPatients is how many patients the resources of the FHIR measurements belong to.
const fhirPatients = 64

// A fhirServer is where requests go: the hospital's FHIR server, or a baseline.
type fhirServer struct {
	base, token string
	client      *http.Client
}

// measureFHIR measures the FHIR server of one of four organisations that all run, beside the
// same handler that only stores bytes, and SQLite alone.
func measureFHIR(ctx context.Context, b *bench) (out []Result, err error) {
	w, err := startWorld(ctx, filepath.Join(b.dir, "fhir"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if stop := w.net.StopAll(); err == nil {
			err = stop
		}
	}()
	c, err := w.net.Config("hospital")
	if err != nil {
		return nil, err
	}
	token, err := os.ReadFile(c.TokenFile())
	if err != nil {
		return nil, err
	}
	s := newFHIRServer(c.FHIRBase(), strings.TrimSpace(string(token)))
	plain, stop, err := bytesOnly(ctx, filepath.Join(b.dir, "bytes-only"))
	if err != nil {
		return nil, err
	}
	defer stop()
	if err := s.patients(ctx); err != nil {
		return nil, err
	}
	for _, f := range []func(context.Context, *bench, *fhirServer, *fhirServer) ([]Result, error){measureCreates, measureReads, measureSearches, measureActive, measureTransactions} {
		rs, err := f(ctx, b, s, plain)
		if err != nil {
			return out, err
		}
		out = append(out, rs...)
	}
	return out, nil
}

func newFHIRServer(base, token string) *fhirServer {
	return &fhirServer{base, token, &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxIdleConns: 256}}}
}

// send sends a request and reads the answer; another status than wanted is an error.
func (s *fhirServer) send(ctx context.Context, method, path string, body []byte, want int, wait string) ([]byte, http.Header, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	r.Header.Set("Content-Type", "application/fhir+json")
	if wait != "" {
		r.Header.Set("Salus-Wait", wait)
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: got %d: %.300s", method, path, resp.StatusCode, got)
	}
	if err == nil && wait == "active" && resp.Header.Get("Salus-Status") != "active" {
		err = fmt.Errorf("%s %s: not active", method, path)
	}
	return got, resp.Header, err
}

// patients makes the patients known, all the way to the ledger.
func (s *fhirServer) patients(ctx context.Context) error {
	for i := range fhirPatients {
		body := fmt.Sprintf(`{"resourceType":"Patient","id":"perf-%d","name":[{"family":"Sample","given":["P%d"]}],"gender":"female","birthDate":"1970-01-%02d"}`, i, i, i%28+1)
		if _, _, err := s.send(ctx, "PUT", fmt.Sprintf("/Patient/perf-%d", i), []byte(body), 201, "active"); err != nil {
			return err
		}
	}
	return nil
}

// perfObservation is a small laboratory result, about 700 bytes.
func perfObservation(i int) []byte { return perfObservationOf(i%fhirPatients, i) }

// perfObservationOf is one of that patient.
func perfObservationOf(patient, i int) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory","display":"Laboratory"}]}],`+
		`"code":{"coding":[{"system":"http://loinc.org","code":"%d-%d","display":"Sample measure %d"}],"text":"Sample measure %d"},"subject":{"reference":"Patient/perf-%d"},`+
		`"effectiveDateTime":"20%02d-%02d-%02dT10:%02d:00+00:00","issued":"2024-05-01T10:00:00.000+00:00","valueQuantity":{"value":%d.%d,"unit":"mg/dL","system":"http://unitsofmeasure.org","code":"mg/dL"}}`,
		1000+i%50, i%10, i%50, i%50, patient, i%24, i%12+1, i%28+1, i%60, i%300, i%10)
}

// volley sends requests from a number of clients for a time, and returns how many a second, each
// one's milliseconds, and the CPU time of each in microseconds.
func (b *bench) volley(ctx context.Context, profile string, clients int, lasts time.Duration, one func(ctx context.Context, n int) error) (rate float64, took []float64, cpu float64, err error) {
	var n atomic.Int64
	var mu sync.Mutex
	c, err := b.spent(profile, func() error {
		g, gctx := errgroup.WithContext(ctx)
		end := time.Now().Add(lasts)
		for range clients {
			g.Go(func() error {
				var mine []float64
				for time.Now().Before(end) {
					start := time.Now()
					if err := one(gctx, int(n.Add(1))); err != nil {
						return err
					}
					mine = append(mine, float64(time.Since(start).Microseconds())/1000)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, mine...)
				return nil
			})
		}
		return g.Wait()
	})
	return c.rate(len(took)), took, c.each(len(took)), err
}

var fhirClients = []int{1, 16, 64}

func measureCreates(ctx context.Context, b *bench, s, plain *fhirServer) (out []Result, err error) {
	lasts := pick(b, 6*time.Second, time.Second)
	raw, err := rawInserts(ctx, filepath.Join(b.dir, "raw.db"), lasts)
	if err != nil {
		return nil, err
	}
	out = append(out, newResult("fhir.raw.insert", "1/s", "value >= 1", []float64{raw}, nil).about("rows of the same bytes into the same encrypted SQLite, one transaction each, no server", ""))
	total := 0
	for _, clients := range fhirClients {
		create := func(s *fhirServer) func(context.Context, int) error {
			return func(ctx context.Context, n int) error {
				_, _, err := s.send(ctx, "POST", "/Observation", perfObservation(total+n), 201, "stored")
				return err
			}
		}
		base, _, baseCPU, err := b.volley(ctx, "", clients, lasts, create(plain))
		if err != nil {
			return out, err
		}
		began := time.Now()
		rate, took, cpu, err := b.volley(ctx, fmt.Sprintf("fhir-create-%d", clients), clients, lasts, create(s))
		if err != nil {
			return out, err
		}
		total += len(took)
		target := "value >= 200"
		if clients == 64 {
			target = "value >= 2000"
		}
		name := fmt.Sprintf("fhir.create.%d", clients)
		out = append(out,
			newResult(name, "1/s", target, []float64{rate}, []float64{base}).about(
				fmt.Sprintf("single creates of Observations by %d clients until stored, while what is stored goes on to the ledger of four organisations", clients),
				"the same requests to a handler that only stores the bytes in the same SQLite"),
			newResult(name+".p50", "ms", "value <= 100", []float64{quantile(took, 0.5)}, nil).about("median time of these", ""),
			newResult(name+".p99", "ms", "value <= 1000", []float64{quantile(took, 0.99)}, nil).about("99th percentile", ""),
			newResult(name+".cpu", "µs", "ratio <= 20", []float64{cpu}, []float64{baseCPU}).about("CPU time of all four organisations and the clients for each", "the same of the bytes alone"))
		if err := s.settle(ctx); err != nil {
			return out, err
		}
		if clients == 64 {
			out = append(out, newResult("fhir.active.later", "1/s", "value >= 300", []float64{float64(len(took)) / time.Since(began).Seconds()}, nil).about(
				"the creates of fhir.create.64 until the last is active: nobody waits for it, and those of one patient share batches", ""))
		}
	}
	return out, nil
}

// settle waits until all that was written is active: one more write of every patient, which comes
// after her others.
func (s *fhirServer) settle(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range fhirPatients {
		g.Go(func() error {
			body := fmt.Sprintf(`{"resourceType":"Basic","id":"settle-%d","code":{"text":"settle"},"subject":{"reference":"Patient/perf-%d"}}`, i, i)
			for {
				r, err := http.NewRequestWithContext(gctx, "PUT", fmt.Sprintf("%s/Basic/settle-%d", s.base, i), strings.NewReader(body))
				if err != nil {
					return err
				}
				r.Header.Set("Authorization", "Bearer "+s.token)
				r.Header.Set("Content-Type", "application/fhir+json")
				r.Header.Set("Salus-Wait", "active")
				resp, err := s.client.Do(r)
				if err != nil {
					return err
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.Header.Get("Salus-Status") == "active" {
					return nil
				}
			}
		})
	}
	return g.Wait()
}

func measureReads(ctx context.Context, b *bench, s, plain *fhirServer) (out []Result, err error) {
	lasts := pick(b, 5*time.Second, time.Second)
	ids := func(s *fhirServer) (ids []string, err error) {
		for i := range 500 {
			body, h, err := s.send(ctx, "POST", "/Observation", perfObservation(i), 201, "stored")
			if err != nil {
				return nil, fmt.Errorf("%w: %s", err, body)
			}
			at := strings.SplitAfterN(strings.TrimPrefix(h.Get("Location"), s.base+"/Observation/"), "/", 2)[0]
			ids = append(ids, strings.TrimSuffix(at, "/"))
		}
		return ids, nil
	}
	own, err := ids(s)
	if err != nil {
		return nil, err
	}
	theirs, err := ids(plain)
	if err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	for _, clients := range fhirClients {
		read := func(s *fhirServer, ids []string) func(context.Context, int) error {
			return func(ctx context.Context, n int) error {
				_, _, err := s.send(ctx, "GET", "/Observation/"+ids[n%len(ids)], nil, 200, "")
				return err
			}
		}
		base, _, _, err := b.volley(ctx, "", clients, lasts, read(plain, theirs))
		if err != nil {
			return out, err
		}
		rate, took, cpu, err := b.volley(ctx, fmt.Sprintf("fhir-read-%d", clients), clients, lasts, read(s, own))
		if err != nil {
			return out, err
		}
		name := fmt.Sprintf("fhir.read.%d", clients)
		target := "ratio >= 0.5"
		out = append(out,
			newResult(name, "1/s", target, []float64{rate}, []float64{base}).about(fmt.Sprintf("reads of Observations by %d clients", clients), "the same handler that only reads the bytes from the same SQLite"),
			newResult(name+".p99", "ms", "value <= 100", []float64{quantile(took, 0.99)}, nil).about("99th percentile", ""),
			newResult(name+".cpu", "µs", "value <= 2000", []float64{cpu}, nil).about("CPU time of server and client for each", ""))
		if clients == 64 {
			out = append(out, newResult("fhir.read", "1/s", "value >= 5000", []float64{rate}, nil).about("the same as a number", ""))
		}
	}
	return out, nil
}

func measureSearches(ctx context.Context, b *bench, s, _ *fhirServer) (out []Result, err error) {
	for _, q := range fhirQueries {
		var took []float64
		n := pick(b, 200, 20)
		c, err := b.spent("fhir-search-"+q.name, func() error {
			for i := range n {
				start := time.Now()
				if _, _, err := s.send(ctx, "GET", "/"+q.query(i), nil, 200, ""); err != nil {
					return err
				}
				took = append(took, float64(time.Since(start).Microseconds())/1000)
			}
			return nil
		})
		if err != nil {
			return out, err
		}
		out = append(out, newResult("fhir.search."+q.name, "ms", "value <= 5", []float64{quantile(took, 0.5)}, nil).about(
			fmt.Sprintf("%s, median, one client; %s of CPU each", q.says, (c.cpu/time.Duration(n)).Round(time.Microsecond)), ""))
	}
	return out, nil
}

// A fhirQuery is one kind of search.
type fhirQuery struct {
	name, says string
	query      func(i int) string
}

var fhirQueries = []fhirQuery{
	{"patient", "Observations of a patient, the first 50", func(i int) string { return fmt.Sprintf("Observation?patient=Patient/perf-%d", i%fhirPatients) }},
	{"code", "of a patient with a code, the latest first", func(i int) string {
		return fmt.Sprintf("Observation?patient=Patient/perf-%d&code=http://loinc.org|%d-%d&_sort=-date", i%fhirPatients, 1000+i%50, i%10)
	}},
	{"date", "of a patient in a year", func(i int) string {
		return fmt.Sprintf("Observation?patient=Patient/perf-%d&date=ge20%02d-01-01&date=lt20%02d-01-01", i%fhirPatients, i%23, i%23+1)
	}},
	{"everybody", "of everybody with a code, the first 50", func(i int) string {
		return fmt.Sprintf("Observation?code=http://loinc.org|%d-%d&_count=50", 1000+i%50, i%10)
	}},
	{"include", "of a patient with the patient", func(i int) string {
		return fmt.Sprintf("Observation?patient=Patient/perf-%d&_count=10&_include=Observation:subject", i%fhirPatients)
	}},
}

func measureActive(ctx context.Context, b *bench, s, _ *fhirServer) ([]Result, error) {
	rate, took, cpu, err := b.volley(ctx, "fhir-active", 64, pick(b, 8*time.Second, 2*time.Second), func(ctx context.Context, n int) error {
		_, _, err := s.send(ctx, "POST", "/Observation", perfObservation(n), 201, "active")
		return err
	})
	if err != nil {
		return nil, err
	}
	return []Result{
		newResult("fhir.active.64", "1/s", "value >= 300", []float64{rate}, nil).about("single creates by 64 clients until active: custody receipts on the ledger of four organisations", ""),
		newResult("fhir.active.64.p50", "ms", "value <= 400", []float64{quantile(took, 0.5)}, nil).about("median time of these", ""),
		newResult("fhir.active.64.cpu", "µs", "value <= 20000", []float64{cpu}, nil).about("CPU time of all four organisations and the clients for each", ""),
	}, nil
}

func measureTransactions(ctx context.Context, b *bench, s, _ *fhirServer) ([]Result, error) {
	n := pick(b, 24, 4)
	all, source, err := bundles(n + 1)
	if err != nil {
		return nil, err
	}
	count := func(raw []byte) (int, error) {
		var x struct{ Entry []struct{} }
		err := json.Unmarshal(raw, &x)
		return len(x.Entry), err
	}
	if _, _, err := s.send(ctx, "POST", "", all[0].json, 200, "active"); err != nil {
		return nil, err
	}
	var resources atomic.Int64
	c, err := b.spent("fhir-transaction", func() error {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(importers)
		for _, x := range all[1:] {
			g.Go(func() error {
				k, err := count(x.json)
				if err != nil {
					return err
				}
				resources.Add(int64(k))
				_, _, err = s.send(gctx, "POST", "", x.json, 200, "active")
				return err
			})
		}
		return g.Wait()
	})
	if err != nil {
		return nil, err
	}
	return []Result{
		newResult("fhir.transaction", "resources/s", "value >= 2000", []float64{c.rate(int(resources.Load()))}, nil).about(
			fmt.Sprintf("transaction Bundles of new patients, %d at a time, until every resource is active; %s", importers, source), ""),
		newResult("fhir.transaction.cpu", "µs", "value <= 2000", []float64{c.each(int(resources.Load()))}, nil).about("CPU time of all four organisations and the clients for each resource", ""),
	}, nil
}

// bytesOnly serves POST and GET of resources that it only stores: no parsing, no index, no history
// but what the same store keeps.
func bytesOnly(ctx context.Context, dir string) (*fhirServer, func(), error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	st, err := store.OpenSQLite(ctx, filepath.Join(dir, "store.db"), [32]byte{1}, store.Options{})
	if err != nil {
		return nil, nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	base := "http://" + ln.Addr().String()
	var n atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /Observation", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		id := fmt.Sprintf("o%d", n.Add(1))
		if err == nil {
			err = st.Write(r.Context(), func(t *store.Tx) error {
				_, err := t.Put(store.Put{Key: store.Key{Type: "Observation", ID: id}, Body: body, Entries: []search.Entry{}})
				return err
			})
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.Header().Set("Location", base+"/Observation/"+id+"/_history/1")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	mux.HandleFunc("GET /Observation/{id}", func(w http.ResponseWriter, r *http.Request) {
		v, err := st.Read(r.Context(), store.Key{Type: "Observation", ID: r.PathValue("id")})
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = w.Write(v.Body)
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	return newFHIRServer(base, "none"), func() { _ = srv.Close(); _ = st.Close() }, nil
}

// rawInserts is how many resources a second the store takes one after the other, without a server.
func rawInserts(ctx context.Context, file string, lasts time.Duration) (float64, error) {
	st, err := store.OpenSQLite(ctx, file, [32]byte{1}, store.Options{})
	if err != nil {
		return 0, err
	}
	defer st.Close()
	n, start := 0, time.Now()
	for time.Since(start) < lasts {
		err := st.Write(ctx, func(t *store.Tx) error {
			_, err := t.Put(store.Put{Key: store.Key{Type: "Observation", ID: fmt.Sprint(n)}, Body: perfObservation(n)})
			return err
		})
		if err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(start).Seconds(), nil
}
