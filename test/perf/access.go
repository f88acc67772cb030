package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"salus/gateway"
	"salus/internal/sample"
	"salus/ledger/module/consent"
	"salus/record"
)

// measureAccess reads at the clinic what the hospital wrote, through its gateway, while
// nothing else happens on the network.
func measureAccess(ctx context.Context, b *bench, w *world) ([]Result, error) {
	rep, err := w.put(ctx, "bundle", sample.Bundle(uint64(9000+b.turn), 120))
	if err != nil {
		return nil, err
	}
	p, err := w.claim(ctx, rep.Patients[0])
	if err != nil {
		return nil, err
	}
	grant, err := w.allow(ctx, p)
	if err != nil {
		return nil, err
	}
	places, err := w.places(ctx, p)
	if err != nil {
		return nil, err
	}
	n := pick(b, 40, 10)
	var fresh, opening, next []float64
	for i := range n + 2 {
		start := time.Now()
		s, err := w.open(ctx, p)
		if err != nil {
			return nil, err
		}
		opened := time.Now()
		if err := w.readOne(ctx, s, places[i%len(places)]); err != nil {
			return nil, err
		}
		first := time.Now()
		if err := w.readOne(ctx, s, places[(i+1)%len(places)]); err != nil {
			return nil, err
		}
		if i >= 2 { // warm-up
			opening = append(opening, millis(opened.Sub(start)))
			fresh, next = append(fresh, millis(first.Sub(start))), append(next, millis(time.Since(first)))
		}
	}
	interval := "one block interval: an access request from the gateway to its commit, in turns with the reads"
	at := func(name, target string, xs []float64, q float64, what string) Result {
		r := newResult(name, "ms", target, []float64{quantile(xs, q)}, []float64{median(opening)}).about(what, interval)
		r.Spread, r.Runs = (quantile(xs, 0.75)-quantile(xs, 0.25))/2/median(xs), len(xs)
		return r
	}
	out := []Result{
		at("access.session.p50", "ratio <= 4", fresh, 0.5, "a new session: request, decision, committed list, three custodians' shares, plaintext"),
		at("access.session.p95", "ratio <= 6", fresh, 0.95, "the same, 95th percentile"),
		at("access.next.p50", "ratio <= 3", next, 0.5, "the next record of an open session: committed list, shares, plaintext"),
		at("access.next.p95", "ratio <= 5", next, 0.95, "the same, 95th percentile"),
	}
	rs, err := w.revocation(ctx, p, grant, places[0], pick(b, 12, 3))
	return append(out, rs...), err
}

// places lists the clinical records that the clinic may open.
func (w *world) places(ctx context.Context, p *patient) ([]gateway.RecordPlace, error) {
	s, err := w.open(ctx, p)
	if err != nil {
		return nil, err
	}
	var seen []gateway.Visible
	if err := w.org["clinic"].JSON(ctx, "GET", "/v1/sessions/"+s.ID.String()+"/records", nil, &seen); err != nil {
		return nil, err
	}
	var out []gateway.RecordPlace
	for _, v := range seen {
		if v.Kind == 0 {
			out = append(out, gateway.RecordPlace{Batch: v.Batch, Index: v.Index})
		}
	}
	if len(out) == 0 {
		return nil, errors.New("the clinic sees nothing")
	}
	return out, nil
}

func (w *world) readOne(ctx context.Context, s gateway.SessionInfo, place gateway.RecordPlace) error {
	n, err := w.read(ctx, s, place)
	if err == nil && n != 1 {
		err = fmt.Errorf("%d records opened, want 1", n)
	}
	return err
}

// revocation revokes while the clinic reads without a pause. It returns how long after the
// patient's word the clinic got its first answer without data, and how many reads that began
// after her revocation was acknowledged still gave a plaintext.
func (w *world) revocation(ctx context.Context, p *patient, grant consent.GrantID, place gateway.RecordPlace, trials int) ([]Result, error) {
	var interval, ack, effect []float64
	late := 0
	for range trials {
		start := time.Now()
		s, err := w.open(ctx, p)
		if err != nil {
			return nil, err
		}
		interval = append(interval, millis(time.Since(start)))
		if err := w.readOne(ctx, s, place); err != nil {
			return nil, err
		}
		reads := make(chan clinicRead, 1000) // more than any trial has
		go w.readUntilEmpty(ctx, s, place, reads)
		if first := <-reads; first.err != nil || first.records == 0 {
			return nil, errors.Join(errors.New("nothing to read before the revocation"), first.err)
		}
		asked := time.Now()
		_, err = record.Revoke(ctx, p.submit, p.wallet.Patient, grant)
		acked := time.Now()
		var last clinicRead
		for last = range reads {
			if last.records > 0 && last.from.After(acked) {
				late++
			}
		}
		if err = errors.Join(err, last.err); err != nil {
			return nil, err
		}
		ack, effect = append(ack, millis(acked.Sub(asked))), append(effect, millis(last.to.Sub(asked)))
		if grant, err = w.allow(ctx, p); err != nil {
			return nil, err
		}
	}
	return []Result{
		newResult("revoke.ack", "ms", "ratio <= 3", ack, interval).about("a revocation from the patient's wallet to its acknowledgement, while the clinic reads without a pause", "one block interval, taken in turns with the revocations"),
		newResult("revoke.effect", "ms", "ratio <= 5", effect, interval).about("from the same moment to the end of the clinic's first read without data", "one block interval, taken in turns with the revocations"),
		newResult("revoke.late", "reads", "value <= 0", []float64{float64(late)}, nil).about(fmt.Sprintf("reads that began after the acknowledgement and still gave a plaintext, in %d revocations", trials), ""),
	}, nil
}

// clinicRead is one read of a record.
type clinicRead struct {
	from, to time.Time
	records  int
	err      error
}

// readUntilEmpty reads one record again and again until there is no data.
func (w *world) readUntilEmpty(ctx context.Context, s gateway.SessionInfo, place gateway.RecordPlace, out chan<- clinicRead) {
	defer close(out)
	for {
		r := clinicRead{from: time.Now()}
		r.records, r.err = w.read(ctx, s, place)
		r.to = time.Now()
		out <- r
		if r.err != nil || r.records == 0 {
			return
		}
	}
}
