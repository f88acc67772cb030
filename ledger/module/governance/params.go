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
	MaxTxBytes        uint64   `cbor:"1,keyasint" json:"maxTxBytes"`         // bytes of one transaction
	MaxBlockBytes     uint64   `cbor:"2,keyasint" json:"maxBlockBytes"`      // bytes of one block
	MemberTxs         uint64   `cbor:"3,keyasint" json:"memberTxs"`          // transactions per block and sponsoring member
	MemberBytes       uint64   `cbor:"4,keyasint" json:"memberBytes"`        // bytes per block and sponsoring member
	PatientTxs        uint64   `cbor:"5,keyasint" json:"patientTxs"`         // transactions per block and pseudonym
	MaxExpiry         uint64   `cbor:"6,keyasint" json:"maxExpiry"`          // blocks a transaction may stay valid
	RetainBlocks      uint64   `cbor:"7,keyasint" json:"retainBlocks"`       // blocks every node keeps
	SnapshotInterval  uint64   `cbor:"8,keyasint" json:"snapshotInterval"`   // blocks between snapshots for state sync
	Origins           []string `cbor:"9,keyasint" json:"origins"`            // web origins whose passkey assertions count
	SessionMax        uint64   `cbor:"10,keyasint" json:"sessionMax"`        // seconds an access session may last
	LeaseSeconds      uint64   `cbor:"11,keyasint" json:"leaseSeconds"`      // seconds after the last block in which a custodian still releases
	CustodyKeyPeriod  uint64   `cbor:"12,keyasint" json:"custodyKeyPeriod"`  // seconds a custody key may last
	ProposalPeriod    uint64   `cbor:"13,keyasint" json:"proposalPeriod"`    // seconds a proposal stays open
	EmergencyMax      uint64   `cbor:"14,keyasint" json:"emergencyMax"`      // seconds an emergency access may last, before its one extension
	EmergencyQuota    uint64   `cbor:"15,keyasint" json:"emergencyQuota"`    // emergencies one practitioner may declare in 24 hours
	AttestPeriod      uint64   `cbor:"16,keyasint" json:"attestPeriod"`      // seconds in which who declared an emergency attests it
	ReviewPeriod      uint64   `cbor:"17,keyasint" json:"reviewPeriod"`      // seconds in which somebody else reviews it
	UpgradeNotice     uint64   `cbor:"33,keyasint" json:"upgradeNotice"`     // blocks between the decision on an upgrade and its first block
	ValidatorPause    uint64   `cbor:"34,keyasint" json:"validatorPause"`    // blocks in which at most as many consensus keys change as may fail
	ValidatorFloor    uint64   `cbor:"40,keyasint" json:"validatorFloor"`    // validators that must be left when misbehaviour takes one out of consensus
	RetentionPeriod   uint64   `cbor:"18,keyasint" json:"retentionPeriod"`   // seconds from its anchoring in which a patient cannot have a batch erased
	RecoveryDelay     uint64   `cbor:"28,keyasint" json:"recoveryDelay"`     // seconds between the approval of a recovery of keys and its end
	RecoveryPeriod    uint64   `cbor:"29,keyasint" json:"recoveryPeriod"`    // seconds in which a recovery gathers its approvals, and in which it is finished after its delay
	RecoveryQuota     uint64   `cbor:"30,keyasint" json:"recoveryQuota"`     // recoveries that one person may open about one patient in 30 days
	ExecutorDelay     uint64   `cbor:"31,keyasint" json:"executorDelay"`     // seconds between the approval of an executor and her rights
	ReshareWait       uint64   `cbor:"21,keyasint" json:"reshareWait"`       // seconds a dealer has to hand over what it dealt, before it may be reported
	ReshareGrace      uint64   `cbor:"22,keyasint" json:"reshareGrace"`      // seconds old shares are kept for new custodians that have not confirmed
	LookupQuota       uint64   `cbor:"25,keyasint" json:"lookupQuota"`       // identifiers one practitioner may look up in 24 hours
	LookupMemberQuota uint64   `cbor:"26,keyasint" json:"lookupMemberQuota"` // identifiers one member with all its people may look up or enrol in 24 hours
	LookupPhase       uint64   `cbor:"27,keyasint" json:"lookupPhase"`       // seconds each phase of making the custodians' lookup key may take
}

// Changes is a part of Params: what is nil (or, for origins, empty) stays as
// it is. It is what a proposal carries and what a genesis may leave out.
type Changes struct {
	MaxTxBytes        *uint64  `cbor:"1,keyasint,omitempty" json:"maxTxBytes,omitempty"`
	MaxBlockBytes     *uint64  `cbor:"2,keyasint,omitempty" json:"maxBlockBytes,omitempty"`
	MemberTxs         *uint64  `cbor:"3,keyasint,omitempty" json:"memberTxs,omitempty"`
	MemberBytes       *uint64  `cbor:"4,keyasint,omitempty" json:"memberBytes,omitempty"`
	PatientTxs        *uint64  `cbor:"5,keyasint,omitempty" json:"patientTxs,omitempty"`
	MaxExpiry         *uint64  `cbor:"6,keyasint,omitempty" json:"maxExpiry,omitempty"`
	RetainBlocks      *uint64  `cbor:"7,keyasint,omitempty" json:"retainBlocks,omitempty"`
	SnapshotInterval  *uint64  `cbor:"8,keyasint,omitempty" json:"snapshotInterval,omitempty"`
	Origins           []string `cbor:"9,keyasint,omitempty" json:"origins,omitempty"`
	SessionMax        *uint64  `cbor:"10,keyasint,omitempty" json:"sessionMax,omitempty"`
	LeaseSeconds      *uint64  `cbor:"11,keyasint,omitempty" json:"leaseSeconds,omitempty"`
	CustodyKeyPeriod  *uint64  `cbor:"12,keyasint,omitempty" json:"custodyKeyPeriod,omitempty"`
	ProposalPeriod    *uint64  `cbor:"13,keyasint,omitempty" json:"proposalPeriod,omitempty"`
	EmergencyMax      *uint64  `cbor:"14,keyasint,omitempty" json:"emergencyMax,omitempty"`
	EmergencyQuota    *uint64  `cbor:"15,keyasint,omitempty" json:"emergencyQuota,omitempty"`
	AttestPeriod      *uint64  `cbor:"16,keyasint,omitempty" json:"attestPeriod,omitempty"`
	ReviewPeriod      *uint64  `cbor:"17,keyasint,omitempty" json:"reviewPeriod,omitempty"`
	UpgradeNotice     *uint64  `cbor:"33,keyasint,omitempty" json:"upgradeNotice,omitempty"`
	ValidatorPause    *uint64  `cbor:"34,keyasint,omitempty" json:"validatorPause,omitempty"`
	ValidatorFloor    *uint64  `cbor:"40,keyasint,omitempty" json:"validatorFloor,omitempty"`
	RetentionPeriod   *uint64  `cbor:"18,keyasint,omitempty" json:"retentionPeriod,omitempty"`
	RecoveryDelay     *uint64  `cbor:"28,keyasint,omitempty" json:"recoveryDelay,omitempty"`
	RecoveryPeriod    *uint64  `cbor:"29,keyasint,omitempty" json:"recoveryPeriod,omitempty"`
	RecoveryQuota     *uint64  `cbor:"30,keyasint,omitempty" json:"recoveryQuota,omitempty"`
	ExecutorDelay     *uint64  `cbor:"31,keyasint,omitempty" json:"executorDelay,omitempty"`
	ReshareWait       *uint64  `cbor:"21,keyasint,omitempty" json:"reshareWait,omitempty"`
	ReshareGrace      *uint64  `cbor:"22,keyasint,omitempty" json:"reshareGrace,omitempty"`
	LookupQuota       *uint64  `cbor:"25,keyasint,omitempty" json:"lookupQuota,omitempty"`
	LookupMemberQuota *uint64  `cbor:"26,keyasint,omitempty" json:"lookupMemberQuota,omitempty"`
	LookupPhase       *uint64  `cbor:"27,keyasint,omitempty" json:"lookupPhase,omitempty"`
}

const day = 24 * 60 * 60

// DefaultParams returns what a network starts with where its genesis is silent.
func DefaultParams() Params {
	return Params{
		MaxTxBytes:        64 << 10,
		MaxBlockBytes:     2 << 20,
		MemberTxs:         2000,
		MemberBytes:       1 << 20,
		PatientTxs:        32,
		MaxExpiry:         10_000,
		RetainBlocks:      500_000,
		SnapshotInterval:  10_000,
		Origins:           []string{"https://localhost"},
		SessionMax:        12 * 60 * 60,
		LeaseSeconds:      15,
		CustodyKeyPeriod:  7 * day,
		ProposalPeriod:    14 * day,
		EmergencyMax:      4 * 60 * 60,
		EmergencyQuota:    10,
		AttestPeriod:      day,
		ReviewPeriod:      3 * day,
		UpgradeNotice:     1000,
		ValidatorPause:    100,
		ValidatorFloor:    3,
		RetentionPeriod:   6 * 366 * day, // 45 CFR 164.316(b)(2)(i)
		RecoveryDelay:     3 * day,
		RecoveryPeriod:    14 * day,
		RecoveryQuota:     3,
		ExecutorDelay:     14 * day,
		ReshareWait:       60 * 60,
		ReshareGrace:      7 * day,
		LookupQuota:       100,
		LookupMemberQuota: 10_000,
		LookupPhase:       60,
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
	set(&p.EmergencyMax, c.EmergencyMax)
	set(&p.EmergencyQuota, c.EmergencyQuota)
	set(&p.AttestPeriod, c.AttestPeriod)
	set(&p.ReviewPeriod, c.ReviewPeriod)
	set(&p.UpgradeNotice, c.UpgradeNotice)
	set(&p.ValidatorPause, c.ValidatorPause)
	set(&p.ValidatorFloor, c.ValidatorFloor)
	set(&p.RetentionPeriod, c.RetentionPeriod)
	set(&p.RecoveryDelay, c.RecoveryDelay)
	set(&p.RecoveryPeriod, c.RecoveryPeriod)
	set(&p.RecoveryQuota, c.RecoveryQuota)
	set(&p.ExecutorDelay, c.ExecutorDelay)
	set(&p.ReshareWait, c.ReshareWait)
	set(&p.ReshareGrace, c.ReshareGrace)
	set(&p.LookupQuota, c.LookupQuota)
	set(&p.LookupMemberQuota, c.LookupMemberQuota)
	set(&p.LookupPhase, c.LookupPhase)
	if len(c.Origins) > 0 {
		p.Origins = c.Origins
	}
	return p
}

// Validate reports ErrParams if a parameter is outside its bounds.
func (p Params) Validate() error {
	within := []struct{ v, low, high uint64 }{
		{p.MaxTxBytes, 4 << 10, 64 << 10},             // the wire format allows no more
		{p.MaxBlockBytes, 128 << 10, 4 << 20},         // larger blocks stall small validators
		{p.MemberTxs, 1, 100_000},                     //
		{p.MemberBytes, p.MaxTxBytes, 4 << 20},        // one transaction must fit
		{p.PatientTxs, 1, 10_000},                     //
		{p.MaxExpiry, 10, 1_000_000},                  //
		{p.RetainBlocks, 100, 1 << 40},                //
		{p.SnapshotInterval, 10, p.RetainBlocks},      // a joining node needs the blocks after the snapshot
		{p.SessionMax, 10, 31 * day},                  //
		{p.LeaseSeconds, 5, 60},                       // the heartbeat is 5 s; a minute is the emergency limit
		{p.CustodyKeyPeriod, 10, 31 * day},            //
		{p.ProposalPeriod, 60, 366 * day},             //
		{p.EmergencyMax, 10, day},                     //
		{p.EmergencyQuota, 1, MaxEmergencyQuota},      //
		{p.AttestPeriod, 10, 31 * day},                //
		{p.ReviewPeriod, p.AttestPeriod, 31 * day},    // a review looks at the attestation
		{p.UpgradeNotice, 10, 1_000_000},              //
		{p.ValidatorPause, 10, 1_000_000},             // longer than the delay of the validator set
		{p.ValidatorFloor, 1, MaxValidators},          //
		{p.RetentionPeriod, 0, 100 * 366 * day},       //
		{p.RecoveryDelay, 1, 31 * day},                //
		{p.RecoveryPeriod, 10, 366 * day},             //
		{p.RecoveryQuota, 1, MaxRecoveryQuota},        //
		{p.ExecutorDelay, 1, 366 * day},               //
		{p.ReshareWait, 5, 31 * day},                  //
		{p.ReshareGrace, 5, 366 * day},                //
		{p.LookupQuota, 1, 100_000},                   //
		{p.LookupMemberQuota, p.LookupQuota, 1 << 40}, //
		{p.LookupPhase, 5, day},                       //
		{uint64(len(p.Origins)), 1, maxOrigins},       //
		{p.MaxTxBytes, 0, p.MaxBlockBytes - 16<<10},   // with room for the block's own overhead
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

// MaxRecoveryQuota bounds what the state keeps of one person's recoveries of a patient.
const MaxRecoveryQuota = 32

// MaxEmergencyQuota bounds what the state keeps of one practitioner's declarations.
const MaxEmergencyQuota = 100

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
