package custody

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cockroachdb/pebble"

	"salus/exchange"
	"salus/internal/hedge"
	"salus/ledger/module/lookup"
	"salus/ledger/state"
	"salus/ledger/tx"
)

// The rows of enrolments are with the custodians of their time. When the key passes to other members, whoever comes
// new takes the rows over from those who held the key before (spec/lookup.md section 4); until it has them it answers
// nobody who asks for pointers, since "nobody found" would be wrong.

// rowsPage is how many rows one answer holds.
const rowsPage = 512

// rowsTime is how long an answer may take, and otherRows how long the others may after enough have answered.
const (
	rowsTime  = 10 * time.Second
	otherRows = 2 * time.Second
)

// rowsKey marks that this member has the rows that belong to the key of that number.
func rowsKey(n uint64) []byte { return rowKey(prefixLookup, []byte{'r'}, number(n)) }

// takeRows makes sure that this holder of the key that a ceremony made has the rows of before.
func (c *Custodian) takeRows(ctx context.Context, v *state.View, run *lookup.Ceremony) error {
	k, ok := lookup.Current(v)
	if !ok || k.Number != run.Number || k.IndexOf(c.Self) == 0 || c.rows.has(rowsKey(k.Number)) {
		return nil
	}
	if run.From != 0 && !c.rows.has(rowsKey(run.From)) {
		if err := c.fetchRows(ctx, v, run); err != nil {
			return err
		}
	}
	return c.rows.setWrapped(rowsKey(k.Number), []byte{1})
}

// fetchRows takes over all rows from those who held the key before. A row is known to t of them, so it is among what n - f
// tell. If they tell different addresses of one enrolment, what most tell is kept: a wrong row opens for nobody, and
// who looks asks t custodians.
func (c *Custodian) fetchRows(ctx context.Context, v *state.View, run *lookup.Ceremony) error {
	need := len(run.Dealers) - (len(run.Dealers)-1)/3
	if seatOf(run.Dealers, c.Self) > 0 {
		need-- // one that lost its rows
	}
	var after tx.Hash
	for {
		pages := c.askRows(ctx, run, need, after)
		if len(pages) < need {
			return errorf("lookup rows", errAbsent)
		}
		end, more := endOf(pages, need)
		for entry, row := range mostTold(pages, end, more) {
			if e, ok := lookup.Lookup(v, entry); !ok || e.Standing != lookup.Enrolled {
				continue
			}
			if err := c.keepRow(entry, row.Address, row.Box); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		after = end
	}
}

// askRows asks the others who held the key for a page: need of them, and who answers soon after.
func (c *Custodian) askRows(ctx context.Context, run *lookup.Ceremony, need int, after tx.Hash) []*exchange.RowsReply {
	ctx, cancel := context.WithTimeout(ctx, rowsTime)
	defer cancel()
	others := slices.DeleteFunc(slices.Clone(run.Dealers), func(m tx.Account) bool { return m == c.Self })
	pages, _ := hedge.Most(ctx, others, need, otherRows, func(ctx context.Context, m tx.Account) (*exchange.RowsReply, error) {
		r := new(exchange.RowsReply)
		if err := c.Links.Call(ctx, m, exchange.PathRows, &exchange.RowsRequest{After: after}, r); err != nil {
			return nil, err
		}
		if !ascending(after, r.Rows) {
			return nil, errorf("lookup rows", errAbsent)
		}
		return r, nil
	})
	return pages
}

// ascending says whether a page can be what was asked for.
func ascending(after tx.Hash, rows []exchange.Row) bool {
	for i := range rows {
		if bytes.Compare(rows[i].Entry[:], after[:]) <= 0 || len(rows[i].Box) != exchange.PointerBox {
			return false
		}
		after = rows[i].Entry
	}
	return len(rows) <= rowsPage
}

// endOf is the last entry up to which need of them have told everything; more, whether one of these has more to tell. It is
// not up to which all have: one that tells a page of entries that nobody made could take for ever to get anywhere.
func endOf(pages []*exchange.RowsReply, need int) (end tx.Hash, more bool) {
	var ends []tx.Hash // of those who have more to tell
	for _, p := range pages {
		if len(p.Rows) == rowsPage {
			ends = append(ends, p.Rows[rowsPage-1].Entry)
		}
	}
	behind := len(pages) - need // as many may be passed over
	if behind >= len(ends) {
		return end, false
	}
	slices.SortFunc(ends, func(a, b tx.Hash) int { return bytes.Compare(a[:], b[:]) })
	return ends[behind], true
}

// mostTold is for each enrolment up to end, or of all if there is no more, the row that most of them tell.
func mostTold(pages []*exchange.RowsReply, end tx.Hash, more bool) map[tx.Hash]exchange.Row {
	type told struct {
		row exchange.Row
		by  int
	}
	all := map[tx.Hash][]told{}
	for _, p := range pages {
	next:
		for _, row := range p.Rows {
			if more && bytes.Compare(row.Entry[:], end[:]) > 0 {
				break
			}
			for i, t := range all[row.Entry] {
				if t.row.Address == row.Address && bytes.Equal(t.row.Box, row.Box) {
					all[row.Entry][i].by++
					continue next
				}
			}
			all[row.Entry] = append(all[row.Entry], told{row, 1})
		}
	}
	out := map[tx.Hash]exchange.Row{}
	for entry, list := range all {
		best := list[0]
		for _, t := range list[1:] {
			if t.by > best.by {
				best = t
			}
		}
		out[entry] = best.row
	}
	return out
}

// keepRow keeps the row of an enrolment, once.
func (c *Custodian) keepRow(entry tx.Hash, address [32]byte, box []byte) error {
	at := rowKey(prefixEnrolled, entry[:])
	if c.rows.has(at) {
		return nil
	}
	k := rowKey(prefixPointer, address[:], entry[:])
	return c.rows.update(func(b *pebble.Batch) error {
		return errors.Join(b.Set(k, c.rows.roots.wrap(k, box), nil), b.Set(at, address[:], nil))
	})
}

// Rows answers a custodian of the key in force with rows that this one holds, in the order of their entries.
// Error: ErrNotReleased whatever the reason.
func (c *Custodian) Rows(ctx context.Context, from tx.Account, req *exchange.RowsRequest) (*exchange.RowsReply, error) {
	v := c.Ledger.View()
	k, ok := lookup.Current(v)
	v.Close()
	if !ok || k.IndexOf(from) == 0 {
		return nil, c.refuse(ctx, notSeated)
	}
	type place struct {
		entry   tx.Hash
		address [32]byte
	}
	var places []place
	it, err := c.rows.db.NewIter(&pebble.IterOptions{
		LowerBound: append(rowKey(prefixEnrolled, req.After[:]), 0), UpperBound: successor([]byte{prefixEnrolled}),
	})
	if err != nil {
		return nil, c.refuse(ctx, errorf("read store", err))
	}
	for it.First(); it.Valid() && len(places) < rowsPage; it.Next() {
		if len(it.Key()) == 33 && len(it.Value()) == 32 {
			places = append(places, place{tx.Hash(it.Key()[1:]), [32]byte(it.Value())})
		}
	}
	if err := it.Close(); err != nil {
		return nil, c.refuse(ctx, errorf("read store", err))
	}
	out := &exchange.RowsReply{}
	for _, p := range places {
		box, err := c.rows.unwrapped(rowKey(prefixPointer, p.address[:], p.entry[:]))
		if err != nil {
			return nil, c.refuse(ctx, err)
		}
		out.Rows = append(out.Rows, exchange.Row{Entry: p.entry, Address: p.address, Box: box})
	}
	return out, nil
}
