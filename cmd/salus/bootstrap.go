package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"salus/client"
	"salus/gateway"
	"salus/gateway/chart"
	"salus/internal/devnet"
	"salus/internal/sample"
	"salus/record"
)

// bootstrap gives a running sample network its staff, its sample patients and their
// wallets. What is there already is left alone, so it runs at every start.
func bootstrap(ctx context.Context, e *env, dir string, patients int) error {
	for _, o := range devnet.Orgs() {
		if _, err := os.Stat(devnet.Home(dir, o.Name)); err != nil {
			continue
		}
		api, err := devnet.API(devnet.Home(dir, o.Name))
		if err != nil {
			return err
		}
		if err := enlist(ctx, api, o.Staff); err != nil {
			return fmt.Errorf("%s: %w", o.Name, err)
		}
	}
	hospital := devnet.Home(dir, "hospital")
	api, err := devnet.API(hospital)
	if err != nil {
		return err
	}
	if err := importSamples(ctx, e, api, patients); err != nil {
		return err
	}
	return wallets(ctx, e, dir, hospital, api)
}

// enlist registers the practitioner that comes with an organisation.
func enlist(ctx context.Context, api *client.API, s devnet.Staff) error {
	var known []gateway.Practitioner
	if err := api.JSON(ctx, "GET", "/v1/staff", nil, &known); err != nil {
		return err
	}
	if slices.ContainsFunc(known, func(p gateway.Practitioner) bool { return p.Name == s.Name && p.Registered }) {
		return nil
	}
	return api.JSON(ctx, "POST", "/v1/staff/"+s.Name, gateway.Registration{Roles: s.Roles, Privileges: s.Privileges}, nil)
}

// sampleSize is how many resources a sample patient's bundle has.
const sampleSize = 120

// importSamples posts sample patients to the hospital's FHIR server, as transactions whose answers
// come when every resource is active.
func importSamples(ctx context.Context, e *env, api *client.API, patients int) error {
	var have []record.Patient
	if err := api.JSON(ctx, "GET", "/v1/patients", nil, &have); err != nil {
		return err
	}
	if len(have) >= patients {
		return nil
	}
	start := time.Now()
	header := http.Header{"Content-Type": {"application/fhir+json"}, "Prefer": {"return=minimal"}, chart.HeaderWait: {"active"}}
	for i := len(have); i < patients; i++ {
		r, err := api.DoWith(ctx, "POST", "/fhir/", header, bytes.NewReader(sample.Bundle(uint64(i+1), sampleSize)))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return fmt.Errorf("salus: sample patients: %w", err)
		}
		done := (i + 1 - len(have)) * sampleSize
		bar(e, "Importing", done, (patients-len(have))*sampleSize, float64(done)/time.Since(start).Seconds())
	}
	if err := anchored(ctx, e, api); err != nil {
		return err
	}
	e.say("\n%d records of %d sample patients are active: encrypted, their keys split among four organisations.", (patients-len(have))*sampleSize, patients-len(have))
	return nil
}

// anchored waits until every record of this organisation is active.
func anchored(ctx context.Context, e *env, api *client.API) error {
	var all []record.Patient
	if err := api.JSON(ctx, "GET", "/v1/patients", nil, &all); err != nil {
		return err
	}
	start := time.Now()
	for {
		head, err := api.Head(ctx)
		if err != nil {
			return err
		}
		active, total := 0, 0
		for _, p := range all {
			var rs []record.Owned
			if err := api.JSON(ctx, "GET", "/v1/patients/"+p.Patient.String()+"/records", nil, &rs); err != nil {
				return err
			}
			for _, r := range rs {
				if total++; r.Status == record.Active.String() {
					active++
				}
			}
		}
		bar(e, "Anchoring", active, total, float64(active)/time.Since(start).Seconds())
		if active == total {
			return nil
		}
		if err := api.WaitChange(ctx, head.Height); err != nil {
			return err
		}
	}
}

// wallets lets every sample patient of the hospital claim her record.
func wallets(ctx context.Context, e *env, dir, hospital string, api *client.API) error {
	var all []record.Patient
	if err := api.JSON(ctx, "GET", "/v1/patients", nil, &all); err != nil {
		return err
	}
	if err := os.MkdirAll(devnet.WalletDir(dir), 0o700); err != nil {
		return fmt.Errorf("salus: wallets: %w", err)
	}
	in := *e
	in.ctx, in.home = ctx, hospital
	for _, p := range all {
		path := walletPath(dir, p)
		if fileExists(path) {
			continue
		}
		if _, err := claim(&in, p.Patient, path); err != nil {
			return err
		}
	}
	return nil
}

// walletPath names a wallet after the pseudonym: a file name must not say who somebody is.
func walletPath(dir string, p record.Patient) string {
	return filepath.Join(devnet.WalletDir(dir), p.Patient.String()+".json")
}
