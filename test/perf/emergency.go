package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"salus/gateway"
	"salus/ledger/module/consent"
	"salus/ledger/module/emergency"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

// measureEmergency breaks the glass at the clinic for a patient of the hospital who gave no consent and has no
// wallet: from the declaration to the plaintext of her summary.
func measureEmergency(ctx context.Context, b *bench) (out []Result, err error) {
	w, err := startWorld(ctx, filepath.Join(b.dir, "emergency"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if stop := w.net.StopAll(); err == nil {
			err = stop
		}
	}()
	if err := w.enlist(ctx); err != nil {
		return nil, err
	}
	p, err := w.emergencyPatient(ctx)
	if err != nil {
		return nil, err
	}
	n, each := pick(b, 36, 6), 9 // a practitioner's quota is 10 in 24 hours
	var took, declared []float64
	for i := range n + 2 {
		by := fmt.Sprintf("er-%d", i/each)
		if i%each == 0 {
			if err := w.org["clinic"].JSON(ctx, "POST", "/v1/staff/"+by, gateway.Registration{Privileges: identity.PrivRead | identity.PrivEmergency}, nil); err != nil {
				return nil, err
			}
		}
		start := time.Now()
		s, err := w.declare(ctx, by, p)
		if err != nil {
			return nil, err
		}
		granted := time.Now()
		found, err := w.summary(ctx, s)
		if err == nil && !found {
			err = errors.New("an emergency opened no summary")
		}
		if err != nil {
			return nil, err
		}
		if i >= 2 { // warm-up
			took, declared = append(took, millis(time.Since(start))), append(declared, millis(granted.Sub(start)))
		}
		if err := w.org["clinic"].JSON(ctx, "DELETE", "/v1/sessions/"+s.ID.String(), nil, nil); err != nil {
			return nil, err
		}
	}
	interval := median(declared)
	at := func(name string, q float64, what string) Result {
		r := newResult(name, "ms", fmt.Sprintf("value <= %.0f", 3*interval+500), []float64{quantile(took, q)}, declared).
			about(what+"; the target is three block intervals and 500 ms", "one block interval: a declaration from the gateway to its commit, in the same runs")
		r.Spread, r.Runs = (quantile(took, 0.75)-quantile(took, 0.25))/2/median(took), len(took)
		return r
	}
	return []Result{
		at("emergency.summary.p50", 0.5, "an emergency: declaration, decision, committed list, shares, plaintext of the summary"),
		at("emergency.summary.p95", 0.95, "the same, 95th percentile"),
	}, nil
}

// emergencyPatient writes a patient's record at the hospital and waits for her summary.
func (w *world) emergencyPatient(ctx context.Context) (p tx.Account, err error) {
	c, err := w.net.Config("hospital")
	if err != nil {
		return p, err
	}
	token, err := os.ReadFile(c.TokenFile())
	if err != nil {
		return p, err
	}
	s := newFHIRServer(c.FHIRBase(), strings.TrimSpace(string(token)))
	for path, body := range map[string]string{
		"Patient/er":            `{"resourceType":"Patient","id":"er","name":[{"family":"Sample"}],"birthDate":"1970-01-01"}`,
		"AllergyIntolerance/er": `{"resourceType":"AllergyIntolerance","id":"er","clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical","code":"active"}]},"code":{"text":"Penicillin"},"patient":{"reference":"Patient/er"}}`,
	} {
		if _, _, err := s.send(ctx, "PUT", "/"+path, []byte(body), 201, "active"); err != nil {
			return p, err
		}
	}
	var list []record.Patient
	if err := w.org["hospital"].JSON(ctx, "GET", "/v1/patients", nil, &list); err != nil {
		return p, err
	}
	for _, x := range list {
		if x.Reference == "Patient/er" {
			p = x.Patient
		}
	}
	if err := w.org["clinic"].JSON(ctx, "POST", "/v1/staff/er-first", gateway.Registration{Privileges: identity.PrivRead | identity.PrivEmergency}, nil); err != nil {
		return p, err
	}
	x, err := w.declare(ctx, "er-first", p)
	if err != nil {
		return p, err
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if found, err := w.summary(ctx, x); err != nil || found {
			return p, err
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return p, ctx.Err()
		}
	}
	return p, errors.New("the hospital wrote no summary")
}

func (w *world) declare(ctx context.Context, by string, p tx.Account) (s gateway.SessionInfo, err error) {
	return s, w.org["clinic"].JSON(ctx, "POST", "/v1/sessions", gateway.OpenSession{As: by, Patient: p, Purpose: consent.BTG, Reason: emergency.OVRER.String(), Seconds: 900}, &s)
}

// summary reads what a session may open, and reports whether a summary is there that tells of the allergy.
func (w *world) summary(ctx context.Context, s gateway.SessionInfo) (found bool, err error) {
	var res gateway.ReadResult
	err = w.org["clinic"].JSON(ctx, "POST", "/v1/sessions/"+s.ID.String()+"/read", gateway.ReadRecords{}, &res)
	for _, r := range res.Records {
		found = found || bytes.Contains(r.Body, []byte(record.SummaryID)) && bytes.Contains(r.Body, []byte("Penicillin"))
	}
	return found, err
}
