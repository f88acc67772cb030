package record

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"salus/ledger/module/identity"
)

func TestWalletClaimsOnce(t *testing.T) {
	w := newWorld(t)
	s := w.orgs["hospital"].open("")
	id, err := s.Enrol(t.Context(), "Patient/p", w.orgs["hospital"].enrol)
	if err != nil {
		t.Fatal(err)
	}
	code, err := s.ClaimCode(id)
	if err != nil {
		t.Fatal(err)
	}
	for rule, damage := range map[string]func(c *ClaimCode){
		"no secret": func(c *ClaimCode) { c.Secret = nil }, "half a secret": func(c *ClaimCode) { c.Secret = c.Secret[:16] },
		"no slots": func(c *ClaimCode) { c.Slots = nil }, "another's secret": func(c *ClaimCode) { c.Secret = make([]byte, 32) },
		"another patient": func(c *ClaimCode) { c.Patient = account("nobody") },
	} {
		c := code
		damage(&c)
		if _, err := ClaimWallet(t.Context(), chainID, c, w.as); err == nil {
			t.Errorf("%s: the pseudonym was claimed", rule)
		}
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "wallet.json")
	wallet, err := WalletFor(chainID, code)
	if err != nil {
		t.Fatal(err)
	}
	if err := wallet.Save(path); err != nil { // before, so that a crash cannot lose the key
		t.Fatal(err)
	}
	loaded, err := LoadWallet(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Claim(t.Context(), code, w.as); err != nil {
		t.Fatal(err)
	}
	if _, err := ClaimWallet(t.Context(), chainID, code, w.as); err == nil {
		t.Error("the code worked twice")
	}
	v := w.app.View()
	pr, _ := identity.Lookup(v, id)
	v.Close()
	if len(pr.Keys) != 1 || pr.Keys[0].Public.ID() != wallet.Signer().Public().ID() {
		t.Errorf("keys on the ledger: %+v", pr.Keys)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
	if fmt.Sprint(wallet) != "wallet [sealed]" || fmt.Sprintf("%+v", wallet) != "wallet [sealed]" {
		t.Errorf("prints %v", wallet)
	}
	for rule, text := range map[string]string{"noise": "x", "no seed": "{}", "a short seed": `{"seed":"AAAA"}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadWallet(path); err == nil {
			t.Errorf("%s was loaded", rule)
		}
	}
	if _, err := LoadWallet(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	if err := wallet.Save(filepath.Join(dir, "no", "such", "folder")); err == nil {
		t.Error("saved into a folder that does not exist")
	}
}
