package governance

import (
	"strings"
	"unicode/utf8"

	"salus/ledger/tx"
)

// Kinds of this module.
const (
	KindPropose tx.Kind = "governance.propose"
	KindVote    tx.Kind = "governance.vote"
	KindAddress tx.Kind = "governance.address"
	KindRotate  tx.Kind = "governance.rotate"
)

// Propose opens a vote on one action. Signed by an active member, who thereby
// approves it.
type Propose struct {
	Action Action `cbor:"1,keyasint" json:"action"`
}

// An Action is exactly one change of the network.
type Action struct {
	Admit        *Admit        `cbor:"1,keyasint,omitempty" json:"admit,omitempty"`
	Remove       *Remove       `cbor:"2,keyasint,omitempty" json:"remove,omitempty"`
	SetParams    *Changes      `cbor:"3,keyasint,omitempty" json:"setParams,omitempty"`
	SetValidator *SetValidator `cbor:"4,keyasint,omitempty" json:"setValidator,omitempty"`
	Erase        *Erase        `cbor:"5,keyasint,omitempty" json:"erase,omitempty"`
	Hold         *Hold         `cbor:"6,keyasint,omitempty" json:"hold,omitempty"`
	Reshare      *Reshare      `cbor:"7,keyasint,omitempty" json:"reshare,omitempty"`

	Upgrade       *Upgrade       `cbor:"10,keyasint,omitempty" json:"upgrade,omitempty"`
	CancelUpgrade *CancelUpgrade `cbor:"11,keyasint,omitempty" json:"cancelUpgrade,omitempty"`
	Disaster      *Disaster      `cbor:"12,keyasint,omitempty" json:"disaster,omitempty"`
}

// Admit lets an organisation in, or back in after it was removed.
type Admit struct {
	Account   tx.Account     `cbor:"1,keyasint" json:"account"`
	Name      string         `cbor:"2,keyasint" json:"name"`
	Class     Class          `cbor:"3,keyasint" json:"class"`
	Validator []byte         `cbor:"4,keyasint" json:"validator"` // 32 bytes, or empty
	Peer      []byte         `cbor:"5,keyasint" json:"peer"`      // 32 bytes
	Address   string         `cbor:"6,keyasint" json:"address"`   // host:port
	Keys      []tx.PublicKey `cbor:"7,keyasint" json:"keys"`      // 1..8 service keys
}

// Remove suspends a member with all its practitioners and devices, and takes
// it out of consensus. What it signed stays verifiable.
type Remove struct {
	Account tx.Account `cbor:"1,keyasint" json:"account"`
}

// SetValidator gives a member another consensus key, or none.
type SetValidator struct {
	Account   tx.Account `cbor:"1,keyasint" json:"account"`
	Validator []byte     `cbor:"2,keyasint" json:"validator"` // 32 bytes, or empty to step down
}

// Vote approves or rejects an open proposal. A vote is final.
type Vote struct {
	Proposal tx.Hash `cbor:"1,keyasint" json:"proposal"`
	Approve  bool    `cbor:"2,keyasint" json:"approve"`
}

// Address says where the signing member's peer API is and which key its
// certificate has.
type Address struct {
	Address string `cbor:"1,keyasint" json:"address"` // host:port
	Peer    []byte `cbor:"2,keyasint" json:"peer"`    // 32 bytes
}

// Rotate changes the signing member's own service keys from the next block on.
type Rotate struct {
	Add    []tx.PublicKey `cbor:"1,keyasint" json:"add"`    // at most 8
	Revoke []tx.KeyID     `cbor:"2,keyasint" json:"revoke"` // at most 8
}

// Validate implements tx.Message.
func (m *Propose) Validate() error {
	a, n := m.Action, 0
	var err error
	if a.Admit != nil {
		n, err = n+1, a.Admit.validate()
	}
	if a.Remove != nil {
		n++
	}
	if a.SetParams != nil {
		n++
		if a.SetParams.empty() {
			err = ErrNoChange
		}
	}
	if a.SetValidator != nil {
		n++
		if l := len(a.SetValidator.Validator); l != 0 && l != 32 {
			err = ErrKeyLength
		}
	}
	if m, oerr := a.order(); m > 0 {
		n, err = n+m, oerr
	}
	if a.Reshare != nil {
		n, err = n+1, a.Reshare.validate()
	}
	if a.Upgrade != nil {
		n, err = n+1, a.Upgrade.validate()
	}
	if a.CancelUpgrade != nil {
		n++
	}
	if a.Disaster != nil {
		n, err = n+1, a.Disaster.validate()
	}
	if n != 1 {
		return ErrAction
	}
	return err
}

func (a *Admit) validate() error {
	switch {
	case a.Account == (tx.Account{}):
		return ErrAccount
	case !validName(a.Name):
		return ErrName
	case !a.Class.known():
		return ErrClass
	case len(a.Validator) != 0 && len(a.Validator) != 32, len(a.Peer) != 32:
		return ErrKeyLength
	case !validAddress(a.Address):
		return ErrAddress
	case len(a.Keys) == 0:
		return ErrLastKey
	case len(a.Keys) > MaxKeys:
		return ErrTooManyKeys
	}
	return validKeys(a.Keys)
}

// validKeys checks each key and that none comes twice.
func validKeys(keys []tx.PublicKey) error {
	for i, k := range keys {
		if err := k.Validate(); err != nil {
			return err
		}
		for _, other := range keys[:i] {
			if other.ID() == k.ID() {
				return ErrKeyUsed
			}
		}
	}
	return nil
}

// Validate implements tx.Message.
func (m *Vote) Validate() error {
	if m.Proposal == (tx.Hash{}) {
		return ErrUnknownProposal
	}
	return nil
}

// Validate implements tx.Message.
func (m *Address) Validate() error {
	switch {
	case !validAddress(m.Address):
		return ErrAddress
	case len(m.Peer) != 32:
		return ErrKeyLength
	}
	return nil
}

// Validate implements tx.Message.
func (m *Rotate) Validate() error {
	switch {
	case len(m.Add) == 0 && len(m.Revoke) == 0:
		return ErrNoChange
	case len(m.Add) > MaxKeys || len(m.Revoke) > MaxKeys:
		return ErrTooManyKeys
	}
	return validKeys(m.Add)
}

func (c *Changes) empty() bool {
	return c.MaxTxBytes == nil && c.MaxBlockBytes == nil && c.MemberTxs == nil && c.MemberBytes == nil &&
		c.PatientTxs == nil && c.MaxExpiry == nil && c.RetainBlocks == nil && c.SnapshotInterval == nil &&
		len(c.Origins) == 0 && c.SessionMax == nil && c.LeaseSeconds == nil && c.CustodyKeyPeriod == nil &&
		c.ProposalPeriod == nil && c.EmergencyMax == nil && c.EmergencyQuota == nil && c.AttestPeriod == nil &&
		c.ReviewPeriod == nil && c.RetentionPeriod == nil && c.RecoveryDelay == nil && c.RecoveryPeriod == nil && c.RecoveryQuota == nil && c.ExecutorDelay == nil &&
		c.ReshareWait == nil && c.ReshareGrace == nil &&
		c.LookupQuota == nil && c.LookupMemberQuota == nil && c.LookupPhase == nil &&
		c.UpgradeNotice == nil && c.ValidatorPause == nil && c.ValidatorFloor == nil
}

// validName accepts 1 to 96 bytes of text without space at its ends, control
// characters, or marks that change the direction of what is beside them. The
// set is fixed here: Unicode's own tables grow with each version of Go, and
// replicas built with different ones must agree.
func validName(s string) bool {
	if s == "" || len(s) > 96 || !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		switch {
		case c < 0x20, c >= 0x7f && c < 0xa0, c == 0xad, // C0, DEL, C1, soft hyphen
			c >= 0x200b && c <= 0x200f, c >= 0x2028 && c <= 0x202e, // zero width, line separators, directions
			c >= 0x2060 && c <= 0x206f, c >= 0xfff0 && c <= 0xffff, c == 0xfeff, // invisible operators, specials
			c >= 0xe000 && c <= 0xf8ff, c >= 0xe0000: // private use, tags
			return false
		}
	}
	first, _ := utf8.DecodeRuneInString(s)
	last, _ := utf8.DecodeLastRuneInString(s)
	return !space(first) && !space(last)
}

func space(c rune) bool {
	return c == ' ' || c == 0xa0 || c == 0x1680 || c >= 0x2000 && c <= 0x200a || c == 0x202f || c == 0x205f || c == 0x3000
}

// validAddress accepts host:port with a DNS name, an IPv4 address or an IPv6
// address in brackets (RFC 3986 section 3.2.2), and a port of 1..65535.
func validAddress(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i < 1 || len(s) > 255 || !validPort(s[i+1:]) {
		return false
	}
	host := s[:i]
	inner, v6 := strings.CutPrefix(host, "[")
	if v6 {
		inner, v6 = strings.CutSuffix(inner, "]")
		if !v6 || inner == "" {
			return false
		}
	}
	for _, c := range []byte(inner) {
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		switch {
		case v6 && (hex || c == ':' || c == '.'):
		case !v6 && (hex || c >= 'g' && c <= 'z' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return true
}

func validPort(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' {
		return false
	}
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= 65535
}
