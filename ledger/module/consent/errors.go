package consent

import "salus/ledger/tx"

// Refusals of this module: 0x0600 | n, unique for ever.
var (
	ErrPatient          = tx.Refuse(0x0601, "consent: no such patient is enrolled")
	ErrGrantID          = tx.Refuse(0x0602, "consent: a grant needs an id that is not zero")
	ErrMask             = tx.Refuse(0x0603, "consent: a mask has exactly 32 bits set; fill it up with dummy slots")
	ErrExcept           = tx.Refuse(0x0604, "consent: an except has exactly 24 bits set; fill it up with dummy slots")
	ErrPurposes         = tx.Refuse(0x0605, "consent: name at least one purpose, and only codes of HL7 v3 PurposeOfUse")
	ErrPeriod           = tx.Refuse(0x0606, "consent: the period ends before it begins")
	ErrEnded            = tx.Refuse(0x0607, "consent: the period has already ended")
	ErrGrantee          = tx.Refuse(0x0608, "consent: the grantee's fields do not fit its kind")
	ErrRole             = tx.Refuse(0x0609, "consent: a role code is 1 to 64 bytes of letters, digits and - . _ | : /")
	ErrUnknownGrantee   = tx.Refuse(0x060a, "consent: the member or practitioner named is not registered")
	ErrVersion          = tx.Refuse(0x060b, "consent: version 1 begins a new id; a replacement needs a higher version than the one it replaces")
	ErrDocument         = tx.Refuse(0x060c, "consent: what is recorded from a form carries the commitment to that form")
	ErrRecorded         = tx.Refuse(0x060d, "consent: the steward records from a form and says so; nobody else does")
	ErrSigner           = tx.Refuse(0x060e, "consent: only the patient, her proxy or her steward may do this")
	ErrUserVerification = tx.Refuse(0x060f, "consent: a passkey must verify its user for this")
	ErrOverride         = tx.Refuse(0x0610, "consent: what somebody else signed is not this signer's to replace or revoke")
	ErrTooManyGrants    = tx.Refuse(0x0611, "consent: a patient has at most 1000 grants; revoke some first")
	ErrUnknownGrant     = tx.Refuse(0x0612, "consent: there is no such grant to revoke")
	ErrProxyExceeds     = tx.Refuse(0x0613, "consent: the grant goes beyond the purposes or the period of the proxy who signs it")
	ErrDelegation       = tx.Refuse(0x0614, "consent: a proxy cannot name a proxy")
	ErrProxyAccount     = tx.Refuse(0x0615, "consent: a proxy is another person who is enrolled herself")
	ErrTooManyProxies   = tx.Refuse(0x0616, "consent: a patient has at most 32 proxies; end some first")
	ErrUnknownProxy     = tx.Refuse(0x0617, "consent: there is no such proxy to end")
	ErrQuery            = tx.Refuse(0x0618, "consent: the query's argument does not decode")
	ErrLocked           = tx.Refuse(0x0619, "consent: keys are being recovered; until that ends, nothing is granted and only revoked")
	ErrChange           = tx.Refuse(0x061a, "consent: a change names each grant once, in the order of the ids, and at least one")
)

// Codes lists the refusals of this module.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrPatient.Code, Name: "consent-patient", Text: ErrPatient.Text},
		{Code: ErrGrantID.Code, Name: "consent-grant-id", Text: ErrGrantID.Text},
		{Code: ErrMask.Code, Name: "consent-mask", Text: ErrMask.Text},
		{Code: ErrExcept.Code, Name: "consent-except", Text: ErrExcept.Text},
		{Code: ErrPurposes.Code, Name: "consent-purposes", Text: ErrPurposes.Text},
		{Code: ErrPeriod.Code, Name: "consent-period", Text: ErrPeriod.Text},
		{Code: ErrEnded.Code, Name: "consent-ended", Text: ErrEnded.Text},
		{Code: ErrGrantee.Code, Name: "consent-grantee", Text: ErrGrantee.Text},
		{Code: ErrRole.Code, Name: "consent-role", Text: ErrRole.Text},
		{Code: ErrUnknownGrantee.Code, Name: "consent-unknown-grantee", Text: ErrUnknownGrantee.Text},
		{Code: ErrVersion.Code, Name: "consent-version", Text: ErrVersion.Text},
		{Code: ErrDocument.Code, Name: "consent-document", Text: ErrDocument.Text},
		{Code: ErrRecorded.Code, Name: "consent-recorded", Text: ErrRecorded.Text},
		{Code: ErrSigner.Code, Name: "consent-signer", Text: ErrSigner.Text},
		{Code: ErrUserVerification.Code, Name: "consent-user-verification", Text: ErrUserVerification.Text},
		{Code: ErrOverride.Code, Name: "consent-override", Text: ErrOverride.Text},
		{Code: ErrTooManyGrants.Code, Name: "consent-too-many-grants", Text: ErrTooManyGrants.Text},
		{Code: ErrUnknownGrant.Code, Name: "consent-unknown-grant", Text: ErrUnknownGrant.Text},
		{Code: ErrProxyExceeds.Code, Name: "consent-proxy-exceeds", Text: ErrProxyExceeds.Text},
		{Code: ErrDelegation.Code, Name: "consent-delegation", Text: ErrDelegation.Text},
		{Code: ErrProxyAccount.Code, Name: "consent-proxy-account", Text: ErrProxyAccount.Text},
		{Code: ErrTooManyProxies.Code, Name: "consent-too-many-proxies", Text: ErrTooManyProxies.Text},
		{Code: ErrUnknownProxy.Code, Name: "consent-unknown-proxy", Text: ErrUnknownProxy.Text},
		{Code: ErrQuery.Code, Name: "consent-query", Text: ErrQuery.Text},
		{Code: ErrLocked.Code, Name: "consent-locked", Text: ErrLocked.Text},
		{Code: ErrChange.Code, Name: "consent-change", Text: ErrChange.Text},
	}
}
