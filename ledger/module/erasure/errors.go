package erasure

import "salus/ledger/tx"

// Refusals of this module: 0x0a00 | n, unique for ever.
var (
	ErrPatient          = tx.Refuse(0x0a01, "erasure: there is no such patient")
	ErrSigner           = tx.Refuse(0x0a02, "erasure: only the patient herself asks that her records be erased")
	ErrUserVerification = tx.Refuse(0x0a03, "erasure: the passkey did not verify its user")
	ErrScope            = tx.Refuse(0x0a04, "erasure: a case names a record with its batch, a batch, or a whole patient")
	ErrBatch            = tx.Refuse(0x0a05, "erasure: there is no such batch")
	ErrErased           = tx.Refuse(0x0a06, "erasure: this is erased already")
	ErrDoubled          = tx.Refuse(0x0a07, "erasure: this is asked for already")
	ErrTooMany          = tx.Refuse(0x0a08, "erasure: 64 erasures of this patient are open; wait until one is done")
	ErrHeld             = tx.Refuse(0x0a09, "erasure: a legal hold stands against it (GDPR Art. 17(3)(e))")
	ErrRetained         = tx.Refuse(0x0a0a, "erasure: it has to be retained still (GDPR Art. 17(3)(b) and (c); 45 CFR 164.316(b)(2))")
	ErrNotHers          = tx.Refuse(0x0a0b, "erasure: the patient has no such record")
	ErrUnknown          = tx.Refuse(0x0a0c, "erasure: there is no such case")
	ErrNotCustodian     = tx.Refuse(0x0a0d, "erasure: only a custodian whose word is due may do this")
	ErrFinding          = tx.Refuse(0x0a0e, "erasure: the finding is unknown")
	ErrStatus           = tx.Refuse(0x0a0f, "erasure: the case is not where this could be said of it")
	ErrNoNews           = tx.Refuse(0x0a10, "erasure: the custodian has said all this before")
	ErrHolding          = tx.Refuse(0x0a11, "erasure: this hold stands already")
	ErrNoHold           = tx.Refuse(0x0a12, "erasure: there is no such hold")
	ErrQuery            = tx.Refuse(0x0a13, "erasure: the query's argument does not decode")
)

// Codes lists the refusals of this module.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrPatient.Code, Name: "erasure-patient", Text: ErrPatient.Text},
		{Code: ErrSigner.Code, Name: "erasure-signer", Text: ErrSigner.Text},
		{Code: ErrUserVerification.Code, Name: "erasure-user-verification", Text: ErrUserVerification.Text},
		{Code: ErrScope.Code, Name: "erasure-scope", Text: ErrScope.Text},
		{Code: ErrBatch.Code, Name: "erasure-batch", Text: ErrBatch.Text},
		{Code: ErrErased.Code, Name: "erasure-erased", Text: ErrErased.Text},
		{Code: ErrDoubled.Code, Name: "erasure-doubled", Text: ErrDoubled.Text},
		{Code: ErrTooMany.Code, Name: "erasure-too-many", Text: ErrTooMany.Text},
		{Code: ErrHeld.Code, Name: "erasure-held", Text: ErrHeld.Text},
		{Code: ErrRetained.Code, Name: "erasure-retained", Text: ErrRetained.Text},
		{Code: ErrNotHers.Code, Name: "erasure-not-hers", Text: ErrNotHers.Text},
		{Code: ErrUnknown.Code, Name: "erasure-unknown", Text: ErrUnknown.Text},
		{Code: ErrNotCustodian.Code, Name: "erasure-not-custodian", Text: ErrNotCustodian.Text},
		{Code: ErrFinding.Code, Name: "erasure-finding", Text: ErrFinding.Text},
		{Code: ErrStatus.Code, Name: "erasure-status", Text: ErrStatus.Text},
		{Code: ErrNoNews.Code, Name: "erasure-no-news", Text: ErrNoNews.Text},
		{Code: ErrHolding.Code, Name: "erasure-holding", Text: ErrHolding.Text},
		{Code: ErrNoHold.Code, Name: "erasure-no-hold", Text: ErrNoHold.Text},
		{Code: ErrQuery.Code, Name: "erasure-query", Text: ErrQuery.Text},
	}
}
