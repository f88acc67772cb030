package record

import (
	"context"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"salus/exchange"
	"salus/internal/hedge"
	"salus/ledger/module/committee"
	"salus/ledger/module/reshare"
	"salus/ledger/state"
	"salus/ledger/tx"
	"salus/seal"
)

// graceTime is how long dealing waits for a custodian whose key cannot be had. After that
// its seat gets an envelope that nobody can open: up to f custodians that are away, or that
// refuse to publish a key, must not keep anybody's records from becoming active. The batch
// then has one holder less, so a short absence is worth waiting for.
const graceTime = time.Minute

// lateTime is the same for a custodian that was away when its committee came into force: that did
// not wait for it either.
const lateTime = 5 * time.Second

// A custodian has published the hash of something that nothing can be sealed to, or of what nobody gives.
var (
	errNoKey    = errors.New("record: a custody key is none")
	errNotGiven = errors.New("record: nobody gives a custody key")
)

// askTime is how long members may take to give a key. One that nobody gave is not asked for again for askPause, and for
// ten times as long as the asking took: who does not answer must not hold up every batch.
const (
	askTime  = 5 * time.Second
	askPause = 2 * time.Second
)

// errNoKeys: too few custodians have a key that an envelope could be sealed to.
var errNoKeys = errors.New("record: the custodians' keys are not all here yet")

// custodyKeys knows the custodians' public HPKE keys, fetched from the custodian once and checked against the hash that
// it registered on the ledger. The hash may be of anything: what is no key counts as none.
type custodyKeys struct {
	ledger Ledger
	links  Links
	now    func() time.Time
	wait   time.Duration // for an answer

	asking singleflight.Group

	mu     sync.Mutex                 // guards the maps
	known  map[tx.Hash]hpke.PublicKey // nil for what is no key
	vain   map[tx.Hash]time.Time      // until when a key is not asked for that was asked for in vain
	absent map[tx.Account]time.Time   // since when no key of the custodian can be had
}

func newCustodyKeys(l Ledger, links Links) *custodyKeys {
	return &custodyKeys{
		ledger: l, links: links, now: time.Now, wait: askTime,
		known: map[tx.Hash]hpke.PublicKey{}, vain: map[tx.Hash]time.Time{}, absent: map[tx.Account]time.Time{},
	}
}

// current returns the committee epoch and a key for each of its seats, in index order.
// Errors: errNoKeys while a seat's key may still come, or when fewer than t can be had.
func (k *custodyKeys) current(ctx context.Context) (committee.Epoch, []seal.Custodian, error) {
	v := k.ledger.View()
	defer v.Close()
	epoch, err := committee.Current(v)
	if err != nil {
		return epoch, nil, fmt.Errorf("record: committee: %w", err)
	}
	out := make([]seal.Custodian, len(epoch.Members))
	live := committee.LiveKeys(v, v.Meta().Time)
	good := 0
	var missing error
	for i, m := range epoch.Members {
		out[i], err = k.seat(ctx, v, epoch, live, i)
		if err == nil {
			good++
			k.present(m)
			continue
		}
		if missing = errors.Join(missing, err); !k.givenUp(m, patience(v, epoch, i)) {
			return epoch, nil, fmt.Errorf("%w: %w", errNoKeys, missing)
		}
		if out[i], err = nobody(i + 1); err != nil {
			return epoch, nil, err
		}
	}
	if good < int(epoch.T) {
		return epoch, nil, fmt.Errorf("%w: %d of %d, %d needed: %w", errNoKeys, good, epoch.N, epoch.T, missing)
	}
	return epoch, out, nil
}

// seat returns custodian i+1's newest valid key, or its last one: a custodian that was away
// when it should have rotated keeps the old seed for a grace period and can still open.
func (k *custodyKeys) seat(ctx context.Context, v *state.View, epoch committee.Epoch, live []committee.LiveKey, i int) (seal.Custodian, error) {
	key, ok := committee.Latest(v, epoch.Members[i])
	for _, l := range live {
		if l.Index == i+1 {
			key, ok = l.Key, true
		}
	}
	if !ok || exchange.KeyGone(v, key.Until) { // others may still have a copy of its public half
		return seal.Custodian{}, fmt.Errorf("record: custodian %d has published no key that it still has", i+1)
	}
	public, err := k.public(ctx, epoch.Members, i, key.Hash)
	return seal.Custodian{Index: i + 1, KeyEpoch: key.KeyEpoch, Public: public}, err
}

// nobody is a seat whose envelope opens for nobody: the private key is dropped here.
func nobody(index int) (seal.Custodian, error) {
	seed, _, err := seal.NewCustodyKey(rand.Reader)
	if err != nil {
		return seal.Custodian{}, fmt.Errorf("record: %w", err)
	}
	key, err := seal.CustodyKeyFromSeed(seed)
	if err != nil {
		return seal.Custodian{}, fmt.Errorf("record: %w", err)
	}
	return seal.Custodian{Index: index, Public: key.PublicKey()}, nil
}

func (k *custodyKeys) present(m tx.Account) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.absent, m)
}

// patience is how long custodian i+1's key is waited for.
func patience(v *state.View, epoch committee.Epoch, i int) time.Duration {
	r, ok := reshare.Lookup(v, epoch.Epoch)
	for pass := range r.Passes {
		if ok && !r.Passes[pass].Confirmed(uint8(i+1)) {
			return lateTime
		}
	}
	return graceTime
}

// givenUp reports whether a custodian has been without a key for that long.
func (k *custodyKeys) givenUp(m tx.Account, wait time.Duration) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	since, ok := k.absent[m]
	if !ok {
		k.absent[m] = k.now()
		return false
	}
	return k.now().Sub(since) >= wait
}

// public returns the key of custodian i+1 with this hash. Whoever deals waits for a key that was not asked for yet; one
// that was asked for in vain is asked for once in a while, and holds up one dealing in that time.
func (k *custodyKeys) public(ctx context.Context, members []tx.Account, i int, hash tx.Hash) (hpke.PublicKey, error) {
	k.mu.Lock()
	public, ok := k.known[hash]
	until, vain := k.vain[hash]
	due := vain && !k.now().Before(until)
	if due {
		k.vain[hash] = k.now().Add(graceTime) // the others do not wait for this one's answer
	}
	k.mu.Unlock()
	switch {
	case ok && public == nil:
		return nil, errNoKey
	case ok:
		return public, nil
	case vain && !due:
		return nil, errNotGiven
	}
	_, err, _ := k.asking.Do(string(hash[:]), func() (any, error) { return nil, k.ask(ctx, members, i, hash) })
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.known[hash], nil
}

// ask asks the key's owner, and when that is down or silent the other custodians, who keep copies.
func (k *custodyKeys) ask(ctx context.Context, members []tx.Account, i int, hash tx.Hash) error {
	start := k.now()
	some, cancel := context.WithTimeout(ctx, k.wait)
	defer cancel()
	whom := append(append([]tx.Account{members[i]}, members[:i]...), members[i+1:]...)
	raw, err := hedge.First(some, whom, hedgeTime, func(ctx context.Context, m tx.Account) ([]byte, error) {
		var reply exchange.KeyReply
		err := k.links.Call(ctx, m, exchange.PathKey, exchange.KeyRequest{Hash: hash}, &reply)
		if err == nil && tx.Hash(sha256.Sum256(reply.Public)) != hash {
			err = errNotGiven
		}
		return reply.Public, err
	}, nil)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			k.vain[hash] = k.now().Add(max(askPause, 10*k.now().Sub(start)))
		}
		return fmt.Errorf("custodian %d: %w: %w", i+1, errNotGiven, err)
	}
	delete(k.vain, hash)
	public, err := seal.ParsePublicKey(raw)
	k.known[hash] = public
	if err != nil {
		return errNoKey
	}
	return nil
}
