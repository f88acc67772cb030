package governance

import (
	"slices"
	"strings"

	"salus/ledger"
	"salus/ledger/state"
)

// Params are what the members may tune by vote. Every field has a default and
// bounds outside of which the network would not work.
type Params struct {
	MaxTxBytes       uint64   `cbor:"1,keyasint" json:"maxTxBytes"`        // bytes of one transaction
	MaxBlockBytes    uint64   `cbor:"2,keyasint" json:"maxBlockBytes"`     // bytes of one block
	MemberTxs        uint64   `cbor:"3,keyasint" json:"memberTxs"`         // transactions per block and sponsoring member
	MemberBytes      uint64   `cbor:"4,keyasint" json:"memberBytes"`       // bytes per block and sponsoring member
	PatientTxs       uint64   `cbor:"5,keyasint" json:"patientTxs"`        // transactions per block and pseudonym
	MaxExpiry        uint64   `cbor:"6,keyasint" json:"maxExpiry"`         // blocks a transaction may stay valid
	RetainBlocks     uint64   `cbor:"7,keyasint" json:"retainBlocks"`      // blocks every node keeps
	SnapshotInterval uint64   `cbor:"8,keyasint" json:"snapshotInterval"`  // blocks between snapshots for state sync
	Origins          []string `cbor:"9,keyasint" json:"origins"`           // web origins whose passkey assertions count
	SessionMax       uint64   `cbor:"10,keyasint" json:"sessionMax"`       // seconds an access session may last
	LeaseSeconds     uint64   `cbor:"11,keyasint" json:"leaseSeconds"`     // seconds after the last block in which a custodian still releases
	CustodyKeyPeriod uint64   `cbor:"12,keyasint" json:"custodyKeyPeriod"` // seconds a custody key may last
	ProposalPeriod   uint64   `cbor:"13,keyasint" json:"proposalPeriod"`   // seconds a proposal stays open
}

// Changes is a part of Params: what is nil (or, for origins, empty) stays as
// it is. It is what a proposal carries and what a genesis may leave out.
type Changes struct {
	MaxTxBytes       *uint64  `cbor:"1,keyasint,omitempty" json:"maxTxBytes,omitempty"`
	MaxBlockBytes    *uint64  `cbor:"2,keyasint,omitempty" json:"maxBlockBytes,omitempty"`
	MemberTxs        *uint64  `cbor:"3,keyasint,omitempty" json:"memberTxs,omitempty"`
	MemberBytes      *uint64  `cbor:"4,keyasint,omitempty" json:"memberBytes,omitempty"`
	PatientTxs       *uint64  `cbor:"5,keyasint,omitempty" json:"patientTxs,omitempty"`
	MaxExpiry        *uint64  `cbor:"6,keyasint,omitempty" json:"maxExpiry,omitempty"`
	RetainBlocks     *uint64  `cbor:"7,keyasint,omitempty" json:"retainBlocks,omitempty"`
	SnapshotInterval *uint64  `cbor:"8,keyasint,omitempty" json:"snapshotInterval,omitempty"`
	Origins          []string `cbor:"9,keyasint,omitempty" json:"origins,omitempty"`
	SessionMax       *uint64  `cbor:"10,keyasint,omitempty" json:"sessionMax,omitempty"`
	LeaseSeconds     *uint64  `cbor:"11,keyasint,omitempty" json:"leaseSeconds,omitempty"`
	CustodyKeyPeriod *uint64  `cbor:"12,keyasint,omitempty" json:"custodyKeyPeriod,omitempty"`
	ProposalPeriod   *uint64  `cbor:"13,keyasint,omitempty" json:"proposalPeriod,omitempty"`
}

const day = 24 * 60 * 60

// DefaultParams returns what a network starts with where its genesis is silent.
func DefaultParams() Params {
	return Params{
		MaxTxBytes:       64 << 10,
		MaxBlockBytes:    2 << 20,
		MemberTxs:        2000,
		MemberBytes:      1 << 20,
		PatientTxs:       32,
		MaxExpiry:        10_000,
		RetainBlocks:     500_000,
		SnapshotInterval: 10_000,
		Origins:          []string{"https://localhost"},
		SessionMax:       12 * 60 * 60,
		LeaseSeconds:     15,
		CustodyKeyPeriod: 7 * day,
		ProposalPeriod:   14 * day,
	}
}

// ParamsOf returns the parameters in force.
func ParamsOf(r state.Reader) Params {
	p, ok := params.Get(r, nil)
	if !ok {
		return DefaultParams()
	}
	return p
}

// LedgerParams is the part of the parameters the state machine itself obeys.
func LedgerParams(r state.Reader) ledger.Params { return ParamsOf(r).Ledger() }

// Ledger returns the part of the parameters the state machine itself obeys.
func (p Params) Ledger() ledger.Params {
	return ledger.Params{
		MaxTxBytes:       p.MaxTxBytes,
		MaxBlockBytes:    p.MaxBlockBytes,
		MemberTxs:        p.MemberTxs,
		MemberBytes:      p.MemberBytes,
		PatientTxs:       p.PatientTxs,
		MaxExpiry:        p.MaxExpiry,
		RetainBlocks:     int64(p.RetainBlocks),
		SnapshotInterval: int64(p.SnapshotInterval),
		Origins:          p.Origins,
	}
}

// With returns the parameters after the changes.
func (p Params) With(c *Changes) Params {
	set := func(to *uint64, v *uint64) {
		if v != nil {
			*to = *v
		}
	}
	set(&p.MaxTxBytes, c.MaxTxBytes)
	set(&p.MaxBlockBytes, c.MaxBlockBytes)
	set(&p.MemberTxs, c.MemberTxs)
	set(&p.MemberBytes, c.MemberBytes)
	set(&p.PatientTxs, c.PatientTxs)
	set(&p.MaxExpiry, c.MaxExpiry)
	set(&p.RetainBlocks, c.RetainBlocks)
	set(&p.SnapshotInterval, c.SnapshotInterval)
	set(&p.SessionMax, c.SessionMax)
	set(&p.LeaseSeconds, c.LeaseSeconds)
	set(&p.CustodyKeyPeriod, c.CustodyKeyPeriod)
	set(&p.ProposalPeriod, c.ProposalPeriod)
	if len(c.Origins) > 0 {
		p.Origins = c.Origins
	}
	return p
}

// Validate reports ErrParams if a parameter is outside its bounds.
func (p Params) Validate() error {
	within := []struct{ v, low, high uint64 }{
		{p.MaxTxBytes, 4 << 10, 64 << 10},           // the wire format allows no more
		{p.MaxBlockBytes, 128 << 10, 4 << 20},       // larger blocks stall small validators
		{p.MemberTxs, 1, 100_000},                   //
		{p.MemberBytes, p.MaxTxBytes, 4 << 20},      // one transaction must fit
		{p.PatientTxs, 1, 10_000},                   //
		{p.MaxExpiry, 10, 1_000_000},                //
		{p.RetainBlocks, 100, 1 << 40},              //
		{p.SnapshotInterval, 10, p.RetainBlocks},    // a joining node needs the blocks after the snapshot
		{p.SessionMax, 10, 31 * day},                //
		{p.LeaseSeconds, 5, 60},                     // the heartbeat is 5 s; a minute is the emergency limit
		{p.CustodyKeyPeriod, 60, 31 * day},          //
		{p.ProposalPeriod, 60, 366 * day},           //
		{uint64(len(p.Origins)), 1, maxOrigins},     //
		{p.MaxTxBytes, 0, p.MaxBlockBytes - 16<<10}, // with room for the block's own overhead
	}
	for _, b := range within {
		if b.v < b.low || b.v > b.high {
			return ErrParams
		}
	}
	for i, o := range p.Origins {
		if !validOrigin(o) || contains(p.Origins[:i], o) {
			return ErrParams
		}
	}
	return nil
}

const maxOrigins = 16

// validOrigin accepts a web origin as browsers serialise it (RFC 6454 section
// 6.2): lower case scheme and host, no path; http only for the loopback.
func validOrigin(o string) bool {
	host, secure := strings.CutPrefix(o, "https://")
	if !secure {
		var plain bool
		if host, plain = strings.CutPrefix(o, "http://"); !plain {
			return false
		}
		name, _, _ := strings.Cut(host, ":")
		if name != "localhost" && name != "127.0.0.1" {
			return false
		}
	}
	if len(o) > 128 || host == "" {
		return false
	}
	name, port, has := strings.Cut(host, ":")
	if name == "" || has && !validPort(port) {
		return false
	}
	for _, c := range []byte(name) {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

func contains(list []string, s string) bool {
	return slices.Contains(list, s)
}
