package identity

import "salus/ledger/tx"

// Refusals of this module: 0x0300 | n, unique for ever.
var (
	ErrAccount     = tx.Refuse(0x0301, "identity: the account must not be empty")
	ErrClass       = tx.Refuse(0x0302, "identity: only practitioners and devices are registered")
	ErrNoKey       = tx.Refuse(0x0303, "identity: at least one key is needed")
	ErrTooManyKeys = tx.Refuse(0x0304, "identity: at most 8 keys may be live")
	ErrKeyUsed     = tx.Refuse(0x0305, "identity: this key is or was already a key of the account; use a fresh one")
	ErrKeyUnknown  = tx.Refuse(0x0306, "identity: the key to revoke is not live")
	ErrLastKey     = tx.Refuse(0x0307, "identity: the account would be left without a key")
	ErrNoChange    = tx.Refuse(0x0308, "identity: this would change nothing")
	ErrRoles       = tx.Refuse(0x0309, "identity: roles are at most 16 different codes in ascending order")
	ErrPrivileges  = tx.Refuse(0x030a, "identity: unknown privilege")
	ErrEmergency   = tx.Refuse(0x030b, "identity: only a clinical member's people may have the emergency privilege")
	ErrNotMember   = tx.Refuse(0x030c, "identity: only an active member organisation may do this")
	ErrTaken       = tx.Refuse(0x030d, "identity: the account exists already")
	ErrUnknown     = tx.Refuse(0x030e, "identity: no such account")
	ErrNotYours    = tx.Refuse(0x030f, "identity: the account belongs to another member, or is not of that kind")
	ErrNotSelf     = tx.Refuse(0x0310, "identity: only the account itself may do this")
	ErrNoClaim     = tx.Refuse(0x0311, "identity: there is nothing to claim, or it was claimed already")
	ErrClaimKey    = tx.Refuse(0x0312, "identity: the claim key is not the one enrolled")
	ErrLocked      = tx.Refuse(0x0314, "identity: keys are being recovered; until that ends or is cancelled, keys stay as they are and nothing is erased")
	ErrQuery       = tx.Refuse(0x0313, "identity: the query's argument does not decode")
)

// Refusals of signatures, with the codes of the wire.
var (
	errUnknownSigner    = tx.Refuse(tx.CodeUnknownSigner, "identity: the signer is unknown")
	errSignerInactive   = tx.Refuse(tx.CodeSignerInactive, "identity: the signer, or its member, is not active")
	errKeyInactive      = tx.Refuse(tx.CodeKeyInactive, "identity: the key is not a live key of the account at this height")
	errMissingSignature = tx.Refuse(tx.CodeMissingSignature, "identity: a signature is missing")
	errUserVerification = tx.Refuse(tx.CodeUserVerification, "identity: a patient changes keys only with user verification")
)

// Codes lists the refusals of this module for the table of codes.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrAccount.Code, Name: "identity-account", Text: ErrAccount.Text},
		{Code: ErrClass.Code, Name: "identity-class", Text: ErrClass.Text},
		{Code: ErrNoKey.Code, Name: "identity-no-key", Text: ErrNoKey.Text},
		{Code: ErrTooManyKeys.Code, Name: "identity-too-many-keys", Text: ErrTooManyKeys.Text},
		{Code: ErrKeyUsed.Code, Name: "identity-key-used", Text: ErrKeyUsed.Text},
		{Code: ErrKeyUnknown.Code, Name: "identity-key-unknown", Text: ErrKeyUnknown.Text},
		{Code: ErrLastKey.Code, Name: "identity-last-key", Text: ErrLastKey.Text},
		{Code: ErrNoChange.Code, Name: "identity-no-change", Text: ErrNoChange.Text},
		{Code: ErrRoles.Code, Name: "identity-roles", Text: ErrRoles.Text},
		{Code: ErrPrivileges.Code, Name: "identity-privileges", Text: ErrPrivileges.Text},
		{Code: ErrEmergency.Code, Name: "identity-emergency", Text: ErrEmergency.Text},
		{Code: ErrNotMember.Code, Name: "identity-not-member", Text: ErrNotMember.Text},
		{Code: ErrTaken.Code, Name: "identity-taken", Text: ErrTaken.Text},
		{Code: ErrUnknown.Code, Name: "identity-unknown", Text: ErrUnknown.Text},
		{Code: ErrNotYours.Code, Name: "identity-not-yours", Text: ErrNotYours.Text},
		{Code: ErrNotSelf.Code, Name: "identity-not-self", Text: ErrNotSelf.Text},
		{Code: ErrNoClaim.Code, Name: "identity-no-claim", Text: ErrNoClaim.Text},
		{Code: ErrClaimKey.Code, Name: "identity-claim-key", Text: ErrClaimKey.Text},
		{Code: ErrQuery.Code, Name: "identity-query", Text: ErrQuery.Text},
		{Code: ErrLocked.Code, Name: "identity-locked", Text: ErrLocked.Text},
	}
}
