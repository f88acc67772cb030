package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/internal/sample"
	"salus/ledger/module/consent"
	"salus/ledger/tx"
	"salus/record"
)

// write sends records of a patient to her author and writes down what was acknowledged. The first
// write of a story brings the patient herself, whose pseudonym the author makes.
func (w *world) write(ctx context.Context, s *story, count int, wait string) error {
	var bodies [][]byte
	if s.patient.IsZero() {
		bodies = append(bodies, fmt.Appendf(nil, `{"resourceType":"Patient","id":"%s","name":[{"text":"Sample Patient"}],"birthDate":"1950-01-01"}`, s.name))
	}
	for range count {
		n := w.next.Add(1)
		bodies = append(bodies, fmt.Appendf(nil, `{"resourceType":"Observation","id":"o%d","status":"final","subject":{"reference":"Patient/%s"},`+
			`"code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},"valueQuantity":{"value":%d,"unit":"/min"}}`, n, s.name, n))
	}
	s.send(bodies...)
	api, err := w.API(s.author)
	if err != nil {
		return err
	}
	stream := append(bytes.Join(bodies, []byte("\n")), '\n')
	r, err := api.Do(ctx, "POST", "/v1/import?format=ndjson&wait="+wait, "application/fhir+json", bytes.NewReader(stream))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	d := json.NewDecoder(r.Body)
	for {
		var line gateway.ImportLine
		if err := d.Decode(&line); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // an answer without an end is none
			}
			return err
		}
		switch {
		case line.Error != nil:
			return line.Error
		case line.Progress != nil && line.Progress.Records+line.Progress.Duplicates == len(bodies):
			s.note(false, bodies...)
			w.count("stored")
		case line.Done != nil:
			if got := line.Done.Records + line.Done.Duplicates; got != len(bodies) {
				w.fault("an import acknowledged %d of %d records without an error", got, len(bodies))
			}
			s.note(line.Done.Active, bodies...)
			if line.Done.Active {
				w.count("active")
			}
			if s.patient.IsZero() {
				s.patient = line.Done.Patients[0]
			}
			return nil
		}
	}
}

// patient begins a story: a first active record, and a wallet if she is to grant.
func (w *world) patient(author string, claimed bool) *story {
	w.t.Helper()
	ctx, cancel := w.within()
	defer cancel()
	s, err := w.admit(ctx, author, claimed)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// admit is patient while things break.
func (w *world) admit(ctx context.Context, author string, claimed bool) (*story, error) {
	s := w.add(&story{author: author, name: fmt.Sprintf("sample-%d", w.next.Add(1))})
	if err := w.write(ctx, s, 3, "active"); err != nil || !claimed {
		return s, err
	}
	wallet := filepath.Join(w.Dir, s.name+".wallet")
	r, err := w.CLI(ctx, author, "identity", "claim", s.patient.String(), "--wallet", wallet)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("exit code %d: %s", r.Code, r.Err)
	}
	if err == nil {
		s.wallet = wallet
	}
	return s, err
}

// decide grants to the clinic or revokes, by the patient's wallet.
func (w *world) decide(ctx context.Context, s *story, to consentState) error {
	args := []string{"-o", "json", "consent", "revoke", "--wallet", s.wallet}
	if to == granted {
		args = []string{"-o", "json", "consent", "grant", "--wallet", s.wallet, "--member", "clinic"}
	}
	s.set(unclear)
	r, err := w.CLI(ctx, s.author, args...)
	if err != nil {
		return err
	}
	if r.Code != 0 {
		return fmt.Errorf("exit code %d: %s", r.Code, r.Err)
	}
	var got client.Committed
	if err := json.Unmarshal([]byte(r.Out), &got); err != nil {
		return err
	}
	s.set(to)
	s.on(got.Height, map[consentState]string{granted: "grant", denied: "revocation"}[to])
	w.count("decided")
	return nil
}

// open opens a session of the clinic's doctor.
func (w *world) open(ctx context.Context, s *story) (id tx.Hash, err error) {
	var info gateway.SessionInfo
	in := gateway.OpenSession{As: "clinic-doctor", Patient: s.patient, Purpose: consent.TREAT, Seconds: 600}
	if err := w.ask(ctx, "clinic", "POST", "/v1/sessions", in, &info); err != nil {
		return id, err
	}
	s.on(info.Height, "session")
	return info.ID, nil
}

// read reads everything that a session may; an error means that nothing was answered.
func (w *world) read(ctx context.Context, id tx.Hash) (bodies [][]byte, err error) {
	var res gateway.ReadResult
	if err := w.ask(ctx, "clinic", "POST", "/v1/sessions/"+id.String()+"/read", gateway.ReadRecords{}, &res); err != nil {
		return nil, err
	}
	if len(res.Bad) > 0 {
		w.fault("%d custodians were found bad", len(res.Bad))
	}
	for _, r := range res.Records {
		if !bytes.Contains(r.Body, []byte(record.SummaryID)) { // which the author's node made of them
			bodies = append(bodies, sample.Sent(r.Body))
		}
	}
	return bodies, nil
}

// look opens a session, reads, and judges what came.
func (w *world) look(ctx context.Context, s *story) error {
	must, c := s.expected()
	id, err := w.open(ctx, s)
	if err != nil {
		return err
	}
	return w.judge(ctx, s, id, must, c)
}

func (w *world) judge(ctx context.Context, s *story, id tx.Hash, must map[digest]bool, c consentState) error {
	got, err := w.read(ctx, id)
	if err != nil {
		return err
	}
	wrong, kept := s.wrong(must, c, got)
	for _, f := range wrong {
		w.fault("%s", f)
	}
	if kept > 0 { // who cannot decide must say so, never that there is nothing
		w.fault("%d of %d active records were kept from a reader with consent", kept, len(must))
	}
	if len(got) > 0 {
		w.count("read")
	} else {
		w.count("nothing to read")
	}
	return nil
}

// load is the clients' work while something breaks.
type load struct {
	stop context.CancelFunc
	done sync.WaitGroup
}

// most bounds how much one patient gets, so that reading stays quick.
const most = 120

// begin starts clients: writers at two organisations, a reader of a patient who consents throughout, and a
// patient who grants and revokes in turn. Whatever fails is tried again with something new.
func (w *world) begin() *load {
	w.t.Helper()
	steady, fickle := w.patient("hospital", true), w.patient("hospital", true)
	quiet := w.patient("clinic", false)
	ctx, cancel := w.within()
	defer cancel()
	if err := w.decide(ctx, steady, granted); err != nil {
		w.t.Fatal(err)
	}
	run, stop := context.WithCancel(w.t.Context())
	l := &load{stop: stop}
	every := func(d time.Duration, do func(context.Context, int) error) {
		l.done.Go(func() {
			for i := 0; pause(run, d); i++ {
				ctx, cancel := context.WithTimeout(run, 20*time.Second)
				if err := do(ctx, i); err != nil {
					w.count("failed")
				}
				cancel()
			}
		})
	}
	every(30*time.Millisecond, func(ctx context.Context, i int) error {
		if i >= most { // then only what the author itself can read
			return w.write(ctx, quiet, 1, "stored")
		}
		return w.write(ctx, steady, 1+i%3, "active")
	})
	every(20*time.Millisecond, func(ctx context.Context, i int) error {
		if i >= 10*most {
			return nil
		}
		return w.write(ctx, quiet, 1, "stored")
	})
	every(50*time.Millisecond, func(ctx context.Context, _ int) error { return w.look(ctx, steady) })
	every(50*time.Millisecond, func(ctx context.Context, _ int) (err error) {
		fickle, err = w.toggle(ctx, fickle)
		return err
	})
	return l
}

// toggle grants, reads, revokes, and tries to read again, also by the session from before. It returns the
// patient to go on with: when nobody said what became of a decision, it may still come, and another patient
// takes her place.
func (w *world) toggle(ctx context.Context, s *story) (*story, error) {
	if _, c := s.expected(); c == unclear || s.wallet == "" {
		next, err := w.admit(ctx, s.author, true)
		if err != nil {
			return s, err
		}
		s = next
	}
	if err := w.decide(ctx, s, granted); err != nil {
		return s, err
	}
	must, c := s.expected()
	id, err := w.open(ctx, s)
	if err != nil {
		return s, err
	}
	first := w.judge(ctx, s, id, must, c)
	if err := w.decide(ctx, s, denied); err != nil {
		return s, err
	}
	return s, errors.Join(first, w.judge(ctx, s, id, must, denied), w.look(ctx, s))
}

// end stops the clients and waits for them.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}
