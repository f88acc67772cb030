package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"salus/client"
	"salus/ledger/module/identity"
	"salus/ledger/tx"
	"salus/record"
)

type identityClaim struct {
	Patient string `arg:"" help:"Pseudonym, as 'salus identity list' prints it."`
	Wallet  string `help:"Where to write the wallet." required:"" type:"path"`
}

func (c *identityClaim) Run(e *env) error {
	a, err := account(c.Patient)
	if err != nil {
		return err
	}
	if fileExists(c.Wallet) {
		return usageError{"there is a wallet in that place already"}
	}
	w, err := claim(e, a, c.Wallet)
	if err != nil {
		return err
	}
	e.say("Wallet written to %s. The pseudonym %s now obeys its key.", c.Wallet, w.Patient)
	return nil
}

// claim makes a wallet from the claim code of the home's organisation.
func claim(e *env, patient tx.Account, path string) (*record.Wallet, error) {
	api, err := e.api()
	if err != nil {
		return nil, err
	}
	var code record.ClaimCode
	if err := api.JSON(e.ctx, "POST", "/v1/patients/"+patient.String()+"/claim", struct{}{}, &code); err != nil {
		return nil, err
	}
	if len(code.Secret) != 32 {
		return nil, errors.New("the claim code is damaged")
	}
	head, err := api.Head(e.ctx)
	if err != nil {
		return nil, err
	}
	w, err := pending(path, head.Chain, patient, code.Slots)
	if err != nil {
		return nil, err
	}
	if _, err := w.SlotMap(); err != nil {
		return nil, err
	}
	secret := identity.ClaimSigner(patient, [32]byte(code.Secret))
	msg := &identity.Claim{Patient: patient, Key: w.Signer().Public(), ClaimKey: secret.Public()}
	_, err = client.New(api, head.Chain).As(w.Signer(), secret).Submit(e.ctx, identity.KindClaim, msg)
	return w, settle(e, api, w, path, err)
}

type identityRotate struct {
	Wallet string `help:"The wallet." required:"" type:"existingfile"`
}

func (c *identityRotate) Run(e *env) error {
	w, api, by, err := e.wallet(c.Wallet)
	if err != nil {
		return err
	}
	next, err := pending(c.Wallet, w.Chain, w.Patient, w.Slots)
	if err != nil {
		return err
	}
	got, err := by.Submit(e.ctx, identity.KindRotate, &identity.Rotate{
		Account: w.Patient, Add: []tx.PublicKey{next.Signer().Public()}, Revoke: []tx.KeyID{w.Signer().Public().ID()},
	})
	if err := settle(e, api, next, c.Wallet, err); err != nil {
		return err
	}
	return e.committed(got)
}

// pending draws a wallet's key and keeps it beside the wallet before the ledger hears of it:
// a crash in between must not leave a pseudonym that obeys a key nobody has. A key that such
// a crash left is taken up again.
func pending(path, chain string, patient tx.Account, slots []byte) (*record.Wallet, error) {
	if w, err := record.LoadWallet(path + nextSuffix); err == nil && w.Patient == patient && w.Chain == chain {
		return w, nil
	}
	if fileExists(path + nextSuffix) {
		return nil, fmt.Errorf("%s%s is not of this pseudonym; move it away", filepath.Base(path), nextSuffix)
	}
	w, err := record.NewWallet(chain, patient)
	if err != nil {
		return nil, err
	}
	w.Slots = slots
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("wallet: %w", err)
	}
	return w, w.Save(path + nextSuffix)
}

const nextSuffix = ".next"

// settle makes a pending wallet the wallet if the ledger knows its key, whatever became of the
// transaction: it may be an earlier one that brought the key there.
func settle(e *env, api *client.API, w *record.Wallet, path string, err error) error {
	if err != nil {
		if _, ok := errors.AsType[*tx.Refusal](err); !ok {
			return err // not known: the pending key stays
		}
		live, lerr := keyLives(e, api, w)
		if lerr != nil {
			return errors.Join(err, lerr)
		}
		if !live {
			return errors.Join(err, os.Remove(path+nextSuffix))
		}
	}
	if err := os.Rename(path+nextSuffix, path); err != nil {
		return fmt.Errorf("wallet: %w", err)
	}
	return nil
}

// keyLives asks the ledger whether a wallet's key acts for its pseudonym.
func keyLives(e *env, api *client.API, w *record.Wallet) (bool, error) {
	p, err := principal(e, api, w.Patient)
	if err != nil {
		return false, err
	}
	for _, k := range p.Keys {
		if k.Until == 0 && k.Public.ID() == w.Signer().Public().ID() {
			return true, nil
		}
	}
	return false, nil
}

// principal asks the ledger who an account is.
func principal(e *env, api *client.API, who tx.Account) (p identity.Principal, err error) {
	return p, ask(e, api, "identity/principal", identity.ByAccount{Account: who}, &p)
}

// ask sends a query of the ledger, nil for one that has nothing to say, and decodes its answer.
func ask(e *env, api *client.API, path string, query, out any) (err error) {
	var arg []byte
	if query != nil {
		if arg, err = tx.Encode(query); err != nil {
			return err
		}
	}
	var hexed struct {
		Answer string `json:"answer"`
	}
	if err := api.JSON(e.ctx, "GET", "/v1/query/"+path+"?arg="+hex.EncodeToString(arg), nil, &hexed); err != nil {
		return err
	}
	b, err := hex.DecodeString(hexed.Answer)
	if err != nil {
		return fmt.Errorf("the node's answer: %w", err)
	}
	return tx.DecodeAny(b, out, len(b))
}
