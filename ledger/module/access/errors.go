package access

import "salus/ledger/tx"

// Refusals of this module: 0x0700 | n, unique for ever. None of them depends on
// what a patient allows.
var (
	ErrPatient          = tx.Refuse(0x0701, "access: no such patient is enrolled")
	ErrPurpose          = tx.Refuse(0x0702, "access: the purpose is not a code of HL7 v3 PurposeOfUse")
	ErrMask             = tx.Refuse(0x0703, "access: ask for at least one slot; ask for all if in doubt")
	ErrReaderKey        = tx.Refuse(0x0704, "access: the hash of the reader's key is missing")
	ErrTTL              = tx.Refuse(0x0705, "access: a session lasts at least a second and at most what the network allows")
	ErrList             = tx.Refuse(0x0706, "access: a record list has a root and 1 to 4096 records, or neither")
	ErrReader           = tx.Refuse(0x0707, "access: only practitioners, devices, patients and their proxies read records")
	ErrPrivilege        = tx.Refuse(0x0708, "access: the reader lacks the privilege to read")
	ErrEmergency        = tx.Refuse(0x0709, "access: the reader lacks the privilege for emergency access")
	ErrPersonal         = tx.Refuse(0x070a, "access: a patient reads her own records with PATRQT, a proxy with PATRQT, FAMRQT, PWATRNY or SUPNWK")
	ErrNotProxy         = tx.Refuse(0x070b, "access: the signer is not a proxy of this patient at this time")
	ErrUserVerification = tx.Refuse(0x070c, "access: a passkey must verify its user for this")
	ErrUnknown          = tx.Refuse(0x070d, "access: there is no such session")
	ErrClosed           = tx.Refuse(0x070e, "access: the session is closed")
	ErrExpired          = tx.Refuse(0x070f, "access: the session has expired")
	ErrNotYours         = tx.Refuse(0x0710, "access: the session belongs to somebody else")
	ErrFetches          = tx.Refuse(0x0711, "access: the session has reached its number of fetches; open another")
	ErrNotCustodian     = tx.Refuse(0x0712, "access: only a custodian reports releases")
	ErrRoot             = tx.Refuse(0x0713, "access: the root of the release receipts is missing")
	ErrCount            = tx.Refuse(0x0714, "access: a report covers 1 to 1048576 releases")
	ErrSequence         = tx.Refuse(0x0715, "access: the report does not begin where the custodian's last one ended")
	ErrUnknownFetch     = tx.Refuse(0x0716, "access: the session has no such fetch")
	ErrDeclare          = tx.Refuse(0x0719, "access: no request opens a session for BTG: an emergency is declared, with access.emergency")
	ErrQuery            = tx.Refuse(0x0717, "access: the query's argument does not decode")
	ErrRecovery         = tx.Refuse(0x0718, "access: only the patient opens this session, with a key that the recovery brought")
	ErrDelegate         = tx.Refuse(0x071a, "access: a delegate is an Ed25519 public key of 32 bytes")
)

// Codes lists the refusals of this module.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrPatient.Code, Name: "access-patient", Text: ErrPatient.Text},
		{Code: ErrPurpose.Code, Name: "access-purpose", Text: ErrPurpose.Text},
		{Code: ErrMask.Code, Name: "access-mask", Text: ErrMask.Text},
		{Code: ErrReaderKey.Code, Name: "access-reader-key", Text: ErrReaderKey.Text},
		{Code: ErrTTL.Code, Name: "access-ttl", Text: ErrTTL.Text},
		{Code: ErrList.Code, Name: "access-list", Text: ErrList.Text},
		{Code: ErrReader.Code, Name: "access-reader", Text: ErrReader.Text},
		{Code: ErrPrivilege.Code, Name: "access-privilege", Text: ErrPrivilege.Text},
		{Code: ErrEmergency.Code, Name: "access-emergency", Text: ErrEmergency.Text},
		{Code: ErrPersonal.Code, Name: "access-personal", Text: ErrPersonal.Text},
		{Code: ErrNotProxy.Code, Name: "access-not-proxy", Text: ErrNotProxy.Text},
		{Code: ErrUserVerification.Code, Name: "access-user-verification", Text: ErrUserVerification.Text},
		{Code: ErrUnknown.Code, Name: "access-unknown", Text: ErrUnknown.Text},
		{Code: ErrClosed.Code, Name: "access-closed", Text: ErrClosed.Text},
		{Code: ErrExpired.Code, Name: "access-expired", Text: ErrExpired.Text},
		{Code: ErrNotYours.Code, Name: "access-not-yours", Text: ErrNotYours.Text},
		{Code: ErrFetches.Code, Name: "access-fetches", Text: ErrFetches.Text},
		{Code: ErrNotCustodian.Code, Name: "access-not-custodian", Text: ErrNotCustodian.Text},
		{Code: ErrRoot.Code, Name: "access-root", Text: ErrRoot.Text},
		{Code: ErrCount.Code, Name: "access-count", Text: ErrCount.Text},
		{Code: ErrSequence.Code, Name: "access-sequence", Text: ErrSequence.Text},
		{Code: ErrUnknownFetch.Code, Name: "access-unknown-fetch", Text: ErrUnknownFetch.Text},
		{Code: ErrQuery.Code, Name: "access-query", Text: ErrQuery.Text},
		{Code: ErrRecovery.Code, Name: "access-recovery", Text: ErrRecovery.Text},
		{Code: ErrDeclare.Code, Name: "access-declare", Text: ErrDeclare.Text},
		{Code: ErrDelegate.Code, Name: "access-delegate", Text: ErrDelegate.Text},
	}
}
