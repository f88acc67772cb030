package emergency

import "salus/ledger/tx"

// Refusals of this module: 0x0900 | n, unique for ever. None of them depends on
// what a directive allows.
var (
	ErrPatient          = tx.Refuse(0x0901, "emergency: no such patient is enrolled")
	ErrVersion          = tx.Refuse(0x0902, "emergency: a directive's version is one more than that of the one it replaces")
	ErrMask             = tx.Refuse(0x0903, "emergency: the masks of both steps have exactly 32 bits set; fill them up with dummies")
	ErrExcept           = tx.Refuse(0x0904, "emergency: the except mask has exactly 24 bits set; fill it up with dummies")
	ErrSigner           = tx.Refuse(0x0905, "emergency: only the patient sets her directive, and her steward until she does")
	ErrUserVerification = tx.Refuse(0x0906, "emergency: a passkey must verify its user for this")
	ErrReason           = tx.Refuse(0x0907, "emergency: the reason is not a code of HL7 v3 ActConsentInformationAccessOverrideReason")
	ErrClinician        = tx.Refuse(0x0908, "emergency: only a practitioner of a clinical member with the emergency privilege may do this")
	ErrSuspended        = tx.Refuse(0x0909, "emergency: the emergency privilege is suspended until an overdue attestation or review is made good")
	ErrQuota            = tx.Refuse(0x090a, "emergency: this practitioner has declared as many emergencies in 24 hours as the network allows")
	ErrRunning          = tx.Refuse(0x090b, "emergency: this practitioner's emergency access to this patient has not ended yet")
	ErrTTL              = tx.Refuse(0x090c, "emergency: an emergency lasts at least a second and at most what the network allows")
	ErrUnknown          = tx.Refuse(0x090d, "emergency: there is no such case")
	ErrEnded            = tx.Refuse(0x090e, "emergency: the emergency access has ended")
	ErrNotYours         = tx.Refuse(0x090f, "emergency: the emergency was declared by somebody else")
	ErrWidened          = tx.Refuse(0x0910, "emergency: the second step was taken already")
	ErrExtended         = tx.Refuse(0x0911, "emergency: an emergency is extended once")
	ErrSamePerson       = tx.Refuse(0x0912, "emergency: who declared or extended an emergency, or reviewed it before a dispute, does not do this")
	ErrCommitment       = tx.Refuse(0x0913, "emergency: the salted commitment to the written account is missing")
	ErrAttested         = tx.Refuse(0x0914, "emergency: the emergency is attested already")
	ErrVerdict          = tx.Refuse(0x0915, "emergency: a verdict is justified, unjustified or inconclusive")
	ErrReviewer         = tx.Refuse(0x0916, "emergency: only a practitioner with the review privilege, of the same member, of the patient's steward or of a regulator, reviews this")
	ErrReviewed         = tx.Refuse(0x0917, "emergency: the case is reviewed already")
	ErrDisputer         = tx.Refuse(0x0918, "emergency: only the patient or her proxy disputes an emergency")
	ErrDisputed         = tx.Refuse(0x0919, "emergency: the case is disputed already")
	ErrQuery            = tx.Refuse(0x091a, "emergency: the query's argument does not decode")
	ErrLocked           = tx.Refuse(0x0930, "emergency: keys are being recovered; until that ends the directive stays as it is")
)

// Codes lists the refusals of this module.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrPatient.Code, Name: "emergency-patient", Text: ErrPatient.Text},
		{Code: ErrVersion.Code, Name: "emergency-version", Text: ErrVersion.Text},
		{Code: ErrMask.Code, Name: "emergency-mask", Text: ErrMask.Text},
		{Code: ErrExcept.Code, Name: "emergency-except", Text: ErrExcept.Text},
		{Code: ErrSigner.Code, Name: "emergency-signer", Text: ErrSigner.Text},
		{Code: ErrUserVerification.Code, Name: "emergency-user-verification", Text: ErrUserVerification.Text},
		{Code: ErrReason.Code, Name: "emergency-reason", Text: ErrReason.Text},
		{Code: ErrClinician.Code, Name: "emergency-clinician", Text: ErrClinician.Text},
		{Code: ErrSuspended.Code, Name: "emergency-suspended", Text: ErrSuspended.Text},
		{Code: ErrQuota.Code, Name: "emergency-quota", Text: ErrQuota.Text},
		{Code: ErrRunning.Code, Name: "emergency-running", Text: ErrRunning.Text},
		{Code: ErrTTL.Code, Name: "emergency-ttl", Text: ErrTTL.Text},
		{Code: ErrUnknown.Code, Name: "emergency-unknown", Text: ErrUnknown.Text},
		{Code: ErrEnded.Code, Name: "emergency-ended", Text: ErrEnded.Text},
		{Code: ErrNotYours.Code, Name: "emergency-not-yours", Text: ErrNotYours.Text},
		{Code: ErrWidened.Code, Name: "emergency-already-widened", Text: ErrWidened.Text},
		{Code: ErrExtended.Code, Name: "emergency-already-extended", Text: ErrExtended.Text},
		{Code: ErrSamePerson.Code, Name: "emergency-same-person", Text: ErrSamePerson.Text},
		{Code: ErrCommitment.Code, Name: "emergency-commitment", Text: ErrCommitment.Text},
		{Code: ErrAttested.Code, Name: "emergency-attested", Text: ErrAttested.Text},
		{Code: ErrVerdict.Code, Name: "emergency-verdict", Text: ErrVerdict.Text},
		{Code: ErrReviewer.Code, Name: "emergency-reviewer", Text: ErrReviewer.Text},
		{Code: ErrReviewed.Code, Name: "emergency-reviewed", Text: ErrReviewed.Text},
		{Code: ErrDisputer.Code, Name: "emergency-disputer", Text: ErrDisputer.Text},
		{Code: ErrDisputed.Code, Name: "emergency-disputed", Text: ErrDisputed.Text},
		{Code: ErrQuery.Code, Name: "emergency-query", Text: ErrQuery.Text},
		{Code: ErrLocked.Code, Name: "emergency-locked", Text: ErrLocked.Text},
	}
}
