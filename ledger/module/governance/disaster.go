package governance

import (
	"salus/ledger"
	"salus/ledger/state"
)

// MaxDisaster is for how long members may vote a disaster at once, seconds: 72 hours. Another vote
// makes it longer.
const MaxDisaster = 72 * 60 * 60

// Disaster says that there is a disaster with many casualties: for a time the practitioners of a class
// of members declare as many emergencies as they must. Nothing else about an emergency changes, and all
// of it is owed that is owed else. A later one takes the place of the one before.
type Disaster struct {
	Class   Class  `cbor:"1,keyasint" json:"class"`   // of clinical members; "" is all of them
	Seconds uint64 `cbor:"2,keyasint" json:"seconds"` // from the block of the decision; 0 ends the one that is on
}

// A DisasterRow is the last one that passed. It ends by block time, with no transaction.
type DisasterRow struct {
	Class Class  `cbor:"1,keyasint" json:"class"`
	Since uint64 `cbor:"2,keyasint" json:"since"` // unix seconds
	Until uint64 `cbor:"3,keyasint" json:"until"` // exclusive
}

var disasters = state.NewTable[DisasterRow]("disaster", Prefix, 0x23)

func (d *Disaster) validate() error {
	if d.Class != "" && !d.Class.Clinical() || d.Seconds > MaxDisaster {
		return ErrDisaster
	}
	return nil
}

// declare notes the disaster.
func (d *Disaster) declare(c *ledger.Context) {
	disasters.Put(c.State, nil, DisasterRow{Class: d.Class, Since: c.Time, Until: c.Time + d.Seconds})
}

// LastDisaster returns the last disaster that members voted; zero if there never was one.
func LastDisaster(r state.Reader) DisasterRow {
	d, _ := disasters.Get(r, nil)
	return d
}

// InDisaster reports whether there is a disaster for a class of members at now.
func InDisaster(r state.Reader, class Class, now uint64) bool {
	d := LastDisaster(r)
	return now < d.Until && class.Clinical() && (d.Class == "" || d.Class == class)
}
