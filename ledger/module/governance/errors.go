package governance

import "salus/ledger/tx"

// Refusals of this module: 0x0200 | n, unique for ever.
var (
	ErrNotMember         = tx.Refuse(0x0201, "governance: only an active member organisation may do this")
	ErrAction            = tx.Refuse(0x0202, "governance: a proposal carries exactly one action")
	ErrAccount           = tx.Refuse(0x0203, "governance: the account must not be empty")
	ErrName              = tx.Refuse(0x0204, "governance: a name is 1 to 96 bytes of printable text")
	ErrClass             = tx.Refuse(0x0205, "governance: the class of member is unknown")
	ErrKeyLength         = tx.Refuse(0x0206, "governance: validator and peer keys are Ed25519 keys of 32 bytes")
	ErrAddress           = tx.Refuse(0x0207, "governance: an address is host:port in lower case")
	ErrParams            = tx.Refuse(0x0208, "governance: a parameter is outside its bounds")
	ErrNoChange          = tx.Refuse(0x0209, "governance: this would change nothing")
	ErrUnknownMember     = tx.Refuse(0x020a, "governance: no such member is active")
	ErrMemberExists      = tx.Refuse(0x020b, "governance: this member is already active")
	ErrValidatorTaken    = tx.Refuse(0x020c, "governance: this validator key belongs to another member")
	ErrPeerTaken         = tx.Refuse(0x020d, "governance: this peer key belongs to another member")
	ErrLastMember        = tx.Refuse(0x020e, "governance: the last active member cannot be removed")
	ErrLastValidator     = tx.Refuse(0x020f, "governance: the last validator cannot leave consensus")
	ErrTooManyProposals  = tx.Refuse(0x0210, "governance: too many proposals are open; vote on them first")
	ErrUnknownProposal   = tx.Refuse(0x0211, "governance: no such proposal")
	ErrProposalClosed    = tx.Refuse(0x0212, "governance: the proposal is already decided")
	ErrVoted             = tx.Refuse(0x0213, "governance: this member has already voted on the proposal")
	ErrKeyUsed           = tx.Refuse(0x0214, "governance: this key is or was already a key of the member; use a fresh one")
	ErrKeyUnknown        = tx.Refuse(0x0215, "governance: the key to revoke is not live")
	ErrTooManyKeys       = tx.Refuse(0x0216, "governance: at most 8 keys may be live")
	ErrLastKey           = tx.Refuse(0x0217, "governance: a member keeps at least one live key")
	ErrTooManyValidators = tx.Refuse(0x0218, "governance: the network has as many validators as it can carry")
	ErrTarget            = tx.Refuse(0x021a, "governance: an order of erasure or hold names a record with its batch, a batch, or a patient, and its ground")
	ErrDisaster          = tx.Refuse(0x0223, "governance: a disaster is for a class of clinical members or for all of them, and for at most 72 hours")
	ErrQuery             = tx.Refuse(0x0219, "governance: the query's argument does not decode")
	ErrVersion           = tx.Refuse(0x0230, "governance: an upgrade goes to the next state-machine version")
	ErrNotice            = tx.Refuse(0x0231, "governance: the block of an upgrade is too near; members need time to install it")
	ErrDigest            = tx.Refuse(0x0232, "governance: an upgrade names the SHA-256 of its release")
	ErrPlanned           = tx.Refuse(0x0233, "governance: an upgrade is planned already; cancel it first")
	ErrNoPlan            = tx.Refuse(0x0234, "governance: no such upgrade is planned")
	ErrNotValidator      = tx.Refuse(0x0235, "governance: this member has no consensus key to replace; the members vote on one")
	ErrPossession        = tx.Refuse(0x0236, "governance: the old and the new consensus key must both sign the change")
	ErrPace              = tx.Refuse(0x0237, "governance: as many validators as may fail changed their keys just now; wait")
)

// Codes lists the refusals of this module for the table of codes.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrNotMember.Code, Name: "governance-not-member", Text: ErrNotMember.Text},
		{Code: ErrAction.Code, Name: "governance-action", Text: ErrAction.Text},
		{Code: ErrAccount.Code, Name: "governance-account", Text: ErrAccount.Text},
		{Code: ErrName.Code, Name: "governance-name", Text: ErrName.Text},
		{Code: ErrClass.Code, Name: "governance-class", Text: ErrClass.Text},
		{Code: ErrKeyLength.Code, Name: "governance-key-length", Text: ErrKeyLength.Text},
		{Code: ErrAddress.Code, Name: "governance-address", Text: ErrAddress.Text},
		{Code: ErrParams.Code, Name: "governance-params", Text: ErrParams.Text},
		{Code: ErrNoChange.Code, Name: "governance-no-change", Text: ErrNoChange.Text},
		{Code: ErrUnknownMember.Code, Name: "governance-unknown-member", Text: ErrUnknownMember.Text},
		{Code: ErrMemberExists.Code, Name: "governance-member-exists", Text: ErrMemberExists.Text},
		{Code: ErrValidatorTaken.Code, Name: "governance-validator-taken", Text: ErrValidatorTaken.Text},
		{Code: ErrPeerTaken.Code, Name: "governance-peer-taken", Text: ErrPeerTaken.Text},
		{Code: ErrLastMember.Code, Name: "governance-last-member", Text: ErrLastMember.Text},
		{Code: ErrLastValidator.Code, Name: "governance-last-validator", Text: ErrLastValidator.Text},
		{Code: ErrTooManyProposals.Code, Name: "governance-too-many-proposals", Text: ErrTooManyProposals.Text},
		{Code: ErrUnknownProposal.Code, Name: "governance-unknown-proposal", Text: ErrUnknownProposal.Text},
		{Code: ErrProposalClosed.Code, Name: "governance-proposal-closed", Text: ErrProposalClosed.Text},
		{Code: ErrVoted.Code, Name: "governance-voted", Text: ErrVoted.Text},
		{Code: ErrKeyUsed.Code, Name: "governance-key-used", Text: ErrKeyUsed.Text},
		{Code: ErrKeyUnknown.Code, Name: "governance-key-unknown", Text: ErrKeyUnknown.Text},
		{Code: ErrTooManyKeys.Code, Name: "governance-too-many-keys", Text: ErrTooManyKeys.Text},
		{Code: ErrLastKey.Code, Name: "governance-last-key", Text: ErrLastKey.Text},
		{Code: ErrTooManyValidators.Code, Name: "governance-too-many-validators", Text: ErrTooManyValidators.Text},
		{Code: ErrQuery.Code, Name: "governance-query", Text: ErrQuery.Text},
		{Code: ErrDisaster.Code, Name: "governance-disaster", Text: ErrDisaster.Text},
		{Code: ErrTarget.Code, Name: "governance-target", Text: ErrTarget.Text},
		{Code: ErrVersion.Code, Name: "governance-version", Text: ErrVersion.Text},
		{Code: ErrNotice.Code, Name: "governance-notice", Text: ErrNotice.Text},
		{Code: ErrDigest.Code, Name: "governance-digest", Text: ErrDigest.Text},
		{Code: ErrPlanned.Code, Name: "governance-planned", Text: ErrPlanned.Text},
		{Code: ErrNoPlan.Code, Name: "governance-no-plan", Text: ErrNoPlan.Text},
		{Code: ErrNotValidator.Code, Name: "governance-not-validator", Text: ErrNotValidator.Text},
		{Code: ErrPossession.Code, Name: "governance-possession", Text: ErrPossession.Text},
		{Code: ErrPace.Code, Name: "governance-pace", Text: ErrPace.Text},
	}
}
