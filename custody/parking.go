package custody

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/ledger/tx"
)

// Parcels come before their headers are on the ledger. An author that never commits must
// not fill the disk, nor take the room of others: what waits is bounded per author and in
// all, and goes after a while. What the ledger holds the header of is not bounded here:
// the quota of the ledger bounds it.
type parkLimits struct {
	perAuthor, total int64 // bytes
	keep             time.Duration
}

var defaultParking = parkLimits{perAuthor: 256 << 20, total: 1 << 30, keep: time.Hour}

// parked is one waiting parcel: author (16) ‖ arrival, unix seconds (8) ‖ bytes (8).
type parked struct {
	author  tx.Account
	arrived uint64
	size    int64
}

func (p parked) encode() []byte {
	b := binary.BigEndian.AppendUint64(append([]byte(nil), p.author[:]...), p.arrived)
	return binary.BigEndian.AppendUint64(b, uint64(p.size))
}

func decodeParked(b []byte) (p parked, ok bool) {
	if len(b) != 32 {
		return p, false
	}
	return parked{tx.Account(b[:16]), binary.BigEndian.Uint64(b[16:]), int64(binary.BigEndian.Uint64(b[24:]))}, true
}

// parking is the table of waiting parcels, in memory and on disk.
type parking struct {
	rows   *rows
	limits parkLimits

	// order is held for reading while a parcel is parked, so that many share an fsync, and for writing
	// while parcels are taken: then nothing is on its way to the rows that are to go.
	order sync.RWMutex

	mu      sync.Mutex // guards what follows; never held over a write to the rows
	all     map[[32]byte]parked
	bytes   map[tx.Account]int64
	total   int64
	writing map[[32]byte]bool // of one batch one parcel is parked at a time
	written sync.Cond         // on mu: some of writing are done
}

func openParking(r *rows, l parkLimits) (*parking, error) {
	p := &parking{rows: r, limits: l, all: map[[32]byte]parked{}, bytes: map[tx.Account]int64{}, writing: map[[32]byte]bool{}}
	p.written.L = &p.mu
	err := r.scan([]byte{prefixArrived}, func(rest, value []byte) (bool, error) {
		info, ok := decodeParked(value)
		if !ok || len(rest) != 32 {
			return false, errDamaged
		}
		p.note([32]byte(rest), info)
		return true, nil
	})
	return p, err
}

func (p *parking) note(hh [32]byte, info parked) {
	p.all[hh] = info
	p.count(info.author, info.size)
}

// count adds bytes that an author takes, or takes them away; the caller holds mu.
func (p *parking) count(author tx.Account, bytes int64) {
	p.total += bytes
	if p.bytes[author] += bytes; p.bytes[author] == 0 {
		delete(p.bytes, author)
	}
}

func (p *parking) forget(hh [32]byte) {
	info, ok := p.all[hh]
	if !ok {
		return
	}
	delete(p.all, hh)
	p.count(info.author, -info.size)
}

// info is what is kept of an arrival in memory.
func (a *arrival) info(now time.Time) parked {
	return parked{author: a.author, arrived: uint64(now.Unix()), size: int64(len(a.raw))}
}

// reserve takes the room of parcels that are to be parked, one after the other, when none of their batches is being
// written, and returns those that there is room for. One that is on the ledger always finds room.
func (p *parking) reserve(list []*arrival) (found []*arrival) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for slices.ContainsFunc(list, func(a *arrival) bool { return p.writing[a.header] }) {
		p.written.Wait()
	}
	for _, a := range list {
		was, size := p.all[a.header].size, int64(len(a.raw))
		if !a.committed && (p.bytes[a.author]-was+size > p.limits.perAuthor || p.total-was+size > p.limits.total) {
			a.err = ErrBusy
			continue
		}
		p.count(a.author, size)
		p.writing[a.header] = true
		found = append(found, a)
	}
	return found
}

// put parks parcels of different batches in one durable write, and sets the error of each.
func (p *parking) put(list []*arrival, now time.Time) {
	p.order.RLock()
	defer p.order.RUnlock()
	if list = p.reserve(list); len(list) == 0 {
		return
	}
	err := p.rows.update(func(w *pebble.Batch) error {
		for _, a := range list {
			// Wrapped, so that what is erased is gone also while the custody key lasts that it is sealed to.
			k := rowKey(prefixParked, a.header[:])
			if err := w.Set(k, p.rows.roots.wrap(k, a.raw), nil); err != nil {
				return errorf("park", err)
			}
			if err := w.Set(rowKey(prefixArrived, a.header[:]), a.info(now).encode(), nil); err != nil {
				return errorf("park", err)
			}
		}
		return nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range list {
		p.count(a.author, -int64(len(a.raw)))
		if a.err = err; err == nil {
			p.forget(a.header)
			p.note(a.header, a.info(now))
		}
		delete(p.writing, a.header)
	}
	p.written.Broadcast()
}

func (p *parking) has(hh [32]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.all[hh]
	return ok
}

// list returns the headers of what is parked, and of nothing that is being taken.
func (p *parking) list() [][32]byte {
	p.order.RLock()
	defer p.order.RUnlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([][32]byte, 0, len(p.all))
	for hh := range p.all {
		out = append(out, hh)
	}
	return out
}

// overdue returns what has waited longer than it may.
func (p *parking) overdue(now time.Time) (out [][32]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for hh, info := range p.all {
		if now.Sub(time.Unix(int64(info.arrived), 0)) > p.limits.keep {
			out = append(out, hh)
		}
	}
	return out
}

func (p *parking) get(hh [32]byte) (*exchange.Parcel, error) {
	b, err := p.rows.unwrapped(rowKey(prefixParked, hh[:]))
	if err != nil {
		return nil, err
	}
	out := new(exchange.Parcel)
	if tx.DecodeAny(b, out, len(b)) != nil {
		return nil, errDamaged
	}
	return out, nil
}

// take removes parcels together with what f writes.
func (p *parking) take(hhs [][32]byte, f func(*pebble.Batch) error) error {
	p.order.Lock()
	defer p.order.Unlock()
	err := p.rows.update(func(b *pebble.Batch) error {
		for _, hh := range hhs {
			if err := b.Delete(rowKey(prefixParked, hh[:]), nil); err != nil {
				return errorf("store", err)
			}
			if err := b.Delete(rowKey(prefixArrived, hh[:]), nil); err != nil {
				return errorf("store", err)
			}
		}
		return f(b)
	})
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, hh := range hhs {
		p.forget(hh)
	}
	return nil
}
