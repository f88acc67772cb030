package smart

import (
	"errors"
	"slices"
	"time"

	"salus/ledger/tx"
)

// A Passkey is one with which a member of staff signs in at the organisation's portal. It signs nothing
// on the ledger: her key there is the node's.
type Passkey struct {
	ID      []byte       // of the credential, as her authenticator drew it
	User    string       // the name of her key
	Account tx.Account   // of that key, when the passkey was registered
	Key     tx.PublicKey // bound to the portal's host
	Count   uint32       // the authenticator's signature counter; 0 if it has none
	Label   string       // what she calls it
	Made    int64        // unix seconds
	Used    int64        `json:",omitempty"`
}

// maxPasskeys is how many one person may have.
const maxPasskeys = 16

var (
	// ErrPasskeys is the error of a registration that would be one too many.
	ErrPasskeys = errors.New("smart: that person has as many passkeys as one may have")
	// ErrPasskeyTaken is the error of a registration of a credential that is registered.
	ErrPasskeyTaken = errors.New("smart: that passkey is registered already")
	// ErrNoPasskey is the error for a credential that is not registered, or was removed.
	ErrNoPasskey = errors.New("smart: no such passkey")
	// ErrPasskeyCount is the error of a signature counter that did not go on: there are two of that
	// authenticator (WebAuthn Level 3 section 7.2, step 22).
	ErrPasskeyCount = errors.New("smart: the passkey's counter did not go on")
)

// Passkeys are kept beside the codes and grants, sealed like those.
type Passkeys struct {
	Keeper Keeper
	Now    func() time.Time
}

func passkeyRow(id []byte) string { return keyOf(rowPasskey, string(id)) }

// Add registers a passkey. Errors: ErrPasskeyTaken, ErrPasskeys.
func (p *Passkeys) Add(one Passkey) error {
	one.Made, one.Used = p.Now().Unix(), 0
	return p.Keeper.Change(func(r Rows) error {
		if _, err := r.Load(passkeyRow(one.ID)); err == nil {
			return ErrPasskeyTaken
		} else if !errors.Is(err, ErrNoRow) {
			return err
		}
		list, err := passkeysOf(r, one.User)
		if err != nil {
			return err
		}
		if len(list) >= maxPasskeys {
			return ErrPasskeys
		}
		return put(r, passkeyRow(one.ID), &one)
	})
}

// Find returns a passkey by its credential. Errors: ErrNoPasskey.
func (p *Passkeys) Find(id []byte) (*Passkey, error) { return findPasskey(p.Keeper, id) }

func findPasskey(from loader, id []byte) (*Passkey, error) {
	one, err := load[Passkey](from, passkeyRow(id))
	if errors.Is(err, ErrNoRow) {
		return nil, ErrNoPasskey
	}
	return one, err
}

// Of lists a person's passkeys, the oldest first.
func (p *Passkeys) Of(user string) ([]Passkey, error) { return passkeysOf(p.Keeper, user) }

func passkeysOf(from interface {
	loader
	Each(prefix string, f func(key string, value []byte) error) error
}, user string,
) (list []Passkey, err error) {
	err = from.Each(rowPasskey, func(key string, _ []byte) error {
		one, err := load[Passkey](from, key)
		if err == nil && one.User == user {
			list = append(list, *one)
		}
		return err
	})
	slices.SortStableFunc(list, func(a, b Passkey) int { return int(min(1, max(-1, a.Made-b.Made))) })
	return list, err
}

// Use takes note of an assertion whose signature was verified. Of two with the same counter one is
// refused, also when they come at once. Errors: ErrNoPasskey, ErrPasskeyCount.
func (p *Passkeys) Use(id []byte, count uint32) error {
	return p.Keeper.Change(func(r Rows) error {
		one, err := findPasskey(r, id)
		if err != nil {
			return err
		}
		if (count != 0 || one.Count != 0) && count <= one.Count {
			return ErrPasskeyCount
		}
		one.Count, one.Used = count, p.Now().Unix()
		return put(r, passkeyRow(id), one)
	})
}

// Drop removes a passkey of a person. Errors: ErrNoPasskey, also where it is somebody else's.
func (p *Passkeys) Drop(user string, id []byte) error {
	return p.Keeper.Change(func(r Rows) error {
		one, err := findPasskey(r, id)
		if err != nil {
			return err
		}
		if one.User != user {
			return ErrNoPasskey
		}
		return r.Drop(passkeyRow(id))
	})
}
