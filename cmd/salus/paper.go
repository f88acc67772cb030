package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"salus/record"
)

// What organisations hand out on paper: the fingerprint of the network's genesis, and claim codes.

type nodeGenesis struct{}

// Run prints the fingerprint that portals show.
func (*nodeGenesis) Run(e *env) error {
	c, err := e.config()
	if err != nil {
		return err
	}
	f, err := fingerprint(c.GenesisFile())
	if err != nil {
		return err
	}
	return e.show(map[string]string{"fingerprint": f, "file": c.GenesisFile()}, "", func(add func(...any)) {
		add("fingerprint", f)
		add("file", c.GenesisFile())
	})
}

// fingerprint is the first 16 bytes of the SHA-256 of a genesis file, in groups of four digits, as a
// portal shows it (portal/src/trust/pin.ts).
func fingerprint(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("genesis: %w", err)
	}
	sum := sha256.Sum256(b)
	digits := hex.EncodeToString(sum[:16])
	var groups []string
	for i := 0; i < len(digits); i += 4 {
		groups = append(groups, digits[i:i+4])
	}
	return strings.Join(groups, " "), nil
}

type identityClaimCode struct {
	Patient string `arg:"" help:"Pseudonym, as 'salus identity list' prints it."`
}

// Run prints a claim code, for the patient alone.
func (c *identityClaimCode) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	api, err := e.api()
	if err != nil {
		return err
	}
	var code record.ClaimCode
	if err := api.JSON(e.ctx, "POST", "/v1/patients/"+a.String()+"/claim", struct{}{}, &code); err != nil {
		return err
	}
	text, err := code.Text()
	if err != nil {
		return err
	}
	out := map[string]string{"code": text}
	if cfg, err := e.config(); err == nil && cfg.PortalOrigin() != "" {
		if out["link"], err = code.Link(cfg.PortalOrigin()); err != nil {
			return err
		}
	}
	return e.show(out, "", func(add func(...any)) {
		add("code", text)
		if out["link"] != "" {
			add("link", out["link"])
		}
	})
}
