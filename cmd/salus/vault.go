package main

import (
	"context"
	"fmt"

	"salus/custody"
	"salus/gateway"
	"salus/internal/devnet"
	"salus/vault"
)

type custodyCmd struct {
	Status custodyStatus `cmd:"" help:"What this custodian holds."`
}

type custodyStatus struct{}

func (*custodyStatus) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var s custody.Status
	if err := api.JSON(e.ctx, "GET", "/v1/custody", nil, &s); err != nil {
		return err
	}
	return e.show(s, "", func(add func(...any)) {
		add("custodian", s.Custodian)
		add("batches held", s.Batches)
		add("on their way", s.Wanted)
		add("releases", s.Releases)
		add("custody key", fmt.Sprintf("number %d", s.KeyEpoch))
	})
}

type vaultCmd struct {
	Status vaultStatus `cmd:"" help:"What this vault holds."`
	Scrub  vaultScrub  `cmd:"" help:"Read everything again and verify it."`
	Repair vaultRepair `cmd:"" help:"Scrub, and fetch damaged packs from the other members."`
}

type vaultStatus struct{}

func (*vaultStatus) Run(e *env) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var s vault.Stats
	if err := api.JSON(e.ctx, "GET", "/v1/vault", nil, &s); err != nil {
		return err
	}
	return e.show(s, "", func(add func(...any)) {
		add("packs", s.Packs)
		add("ciphertexts", s.Blobs)
		add("bytes on disk", s.DiskBytes)
		add("segments", s.Segments)
		add("waiting for repair", s.Damaged)
	})
}

type vaultScrub struct{}

func (*vaultScrub) Run(e *env) error { return vaultWork(e, "/v1/vault/scrub") }

type vaultRepair struct{}

func (*vaultRepair) Run(e *env) error { return vaultWork(e, "/v1/vault/repair") }

func vaultWork(e *env, path string) error {
	api, err := e.api()
	if err != nil {
		return err
	}
	var r vault.Report
	if err := api.JSON(e.ctx, "POST", path, nil, &r); err != nil {
		return err
	}
	if err := e.show(r, "", func(add func(...any)) {
		add("packs read", r.Packs)
		add("ciphertexts verified", r.Blobs)
		add("damaged", len(r.Corrupt)+len(r.Suspect))
		add("repaired", len(r.Repaired))
		add("not repaired", len(r.Failed))
	}); err != nil {
		return err
	}
	if len(r.Failed) > 0 || len(r.Corrupt)+len(r.Suspect) > len(r.Repaired) {
		return fmt.Errorf("%d packs are damaged", len(r.Corrupt)+len(r.Suspect)-len(r.Repaired))
	}
	return nil
}

// statusOf asks one node for its status.
func statusOf(ctx context.Context, home string) (gateway.Status, error) {
	var s gateway.Status
	api, err := devnet.API(home)
	if err != nil {
		return s, err
	}
	return s, api.JSON(ctx, "GET", "/v1/status", nil, &s)
}
