package custody

import (
	"encoding/binary"
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
	lanes [64]sync.Mutex // by header hash: of one batch one parcel is parked at a time

	mu    sync.Mutex // guards what follows; never held over a write to the rows
	all   map[[32]byte]parked
	bytes map[tx.Account]int64
	total int64
}

func openParking(r *rows, l parkLimits) (*parking, error) {
	p := &parking{rows: r, limits: l, all: map[[32]byte]parked{}, bytes: map[tx.Account]int64{}}
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

// reserve takes the room of a parcel that is to be parked, if there is so much.
func (p *parking) reserve(hh [32]byte, info parked, committed bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.all[hh].size
	if !committed && (p.bytes[info.author]-was+info.size > p.limits.perAuthor || p.total-was+info.size > p.limits.total) {
		return false
	}
	p.count(info.author, info.size)
	return true
}

// put parks a parcel durably. One that is on the ledger always finds room.
func (p *parking) put(hh [32]byte, parcel *exchange.Parcel, now time.Time, committed bool) error {
	b, err := tx.Encode(parcel)
	if err != nil {
		return ErrParcel
	}
	info := parked{author: parcel.Header.Author, arrived: uint64(now.Unix()), size: int64(len(b))}
	p.order.RLock()
	defer p.order.RUnlock()
	lane := &p.lanes[int(hh[0])%len(p.lanes)]
	lane.Lock()
	defer lane.Unlock()
	if !p.reserve(hh, info, committed) {
		return ErrBusy
	}
	err = p.rows.update(func(w *pebble.Batch) error {
		// Wrapped, so that what is erased is gone also while the custody key lasts that it is sealed to.
		k := rowKey(prefixParked, hh[:])
		if err := w.Set(k, p.rows.roots.wrap(k, b), nil); err != nil {
			return errorf("park", err)
		}
		return w.Set(rowKey(prefixArrived, hh[:]), info.encode(), nil)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(info.author, -info.size)
	if err != nil {
		return err
	}
	p.forget(hh)
	p.note(hh, info)
	return nil
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
