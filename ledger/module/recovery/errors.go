package recovery

import "salus/ledger/tx"

// Refusals of this module: 0x0e00 | n, unique for ever.
var (
	ErrPatient          = tx.Refuse(0x0e01, "recovery: no such patient is enrolled")
	ErrVersion          = tx.Refuse(0x0e02, "recovery: guardians have the version one above those they replace, the first 1")
	ErrThreshold        = tx.Refuse(0x0e03, "recovery: name 2 to 16 guardians, and let it take at least 2 of them")
	ErrCommitments      = tx.Refuse(0x0e04, "recovery: commitments are different, not zero and in ascending order")
	ErrNotPatient       = tx.Refuse(0x0e05, "recovery: only the patient herself may do this")
	ErrUserVerification = tx.Refuse(0x0e06, "recovery: a passkey must verify its user for this")
	ErrLocked           = tx.Refuse(0x0e07, "recovery: while keys are asked for, guardians stay as they are")
	ErrNumber           = tx.Refuse(0x0e08, "recovery: the case's number is one more than that of the patient's last")
	ErrKind             = tx.Refuse(0x0e09, "recovery: a case is about keys, death, life or executor")
	ErrKeys             = tx.Refuse(0x0e0a, "recovery: a case about keys brings 1 to 4 different ones and names those that end in ascending order; no other case does")
	ErrExecutor         = tx.Refuse(0x0e0b, "recovery: an executor is another person who is enrolled herself, and only a case about one names her")
	ErrDocument         = tx.Refuse(0x0e0c, "recovery: staff commits to the papers it saw, guardians do not")
	ErrProof            = tx.Refuse(0x0e0d, "recovery: the guardian's proof is not complete")
	ErrGuardian         = tx.Refuse(0x0e0e, "recovery: this opens none of the commitments that the patient named as guardians")
	ErrSignature        = tx.Refuse(0x0e0f, "recovery: the guardian's key did not sign this case")
	ErrStaff            = tx.Refuse(0x0e10, "recovery: only practitioners of the patient's steward with the privilege reproof may do this")
	ErrRoute            = tx.Refuse(0x0e11, "recovery: a case is carried by guardians, or by the staff of one member, and not by both")
	ErrSamePerson       = tx.Refuse(0x0e12, "recovery: this person has approved the case already")
	ErrRunning          = tx.Refuse(0x0e13, "recovery: a case of this kind is running already")
	ErrQuota            = tx.Refuse(0x0e14, "recovery: too many cases about this patient by the same person in 30 days")
	ErrDeceased         = tx.Refuse(0x0e15, "recovery: the patient's death is recorded")
	ErrAlive            = tx.Refuse(0x0e16, "recovery: no death of this patient is recorded")
	ErrUnknown          = tx.Refuse(0x0e17, "recovery: no such case")
	ErrClosed           = tx.Refuse(0x0e18, "recovery: the case is closed")
	ErrEarly            = tx.Refuse(0x0e19, "recovery: the time lock has not ended")
	ErrApprovals        = tx.Refuse(0x0e1a, "recovery: not enough approvals, or not enough of them stand any more")
	ErrApproved         = tx.Refuse(0x0e1b, "recovery: the case has all the approvals that it needs")
	ErrCancel           = tx.Refuse(0x0e1c, "recovery: only the patient, or the staff that carries the case, may cancel it")
	ErrQuery            = tx.Refuse(0x0e1d, "recovery: the query's argument does not decode")
	ErrNoGuardians      = tx.Refuse(0x0e1e, "recovery: the patient named no guardians")
)

// Codes lists the refusals of this module.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrPatient.Code, Name: "recovery-patient", Text: ErrPatient.Text},
		{Code: ErrVersion.Code, Name: "recovery-version", Text: ErrVersion.Text},
		{Code: ErrThreshold.Code, Name: "recovery-threshold", Text: ErrThreshold.Text},
		{Code: ErrCommitments.Code, Name: "recovery-commitments", Text: ErrCommitments.Text},
		{Code: ErrNotPatient.Code, Name: "recovery-not-patient", Text: ErrNotPatient.Text},
		{Code: ErrUserVerification.Code, Name: "recovery-user-verification", Text: ErrUserVerification.Text},
		{Code: ErrLocked.Code, Name: "recovery-locked", Text: ErrLocked.Text},
		{Code: ErrNumber.Code, Name: "recovery-number", Text: ErrNumber.Text},
		{Code: ErrKind.Code, Name: "recovery-kind", Text: ErrKind.Text},
		{Code: ErrKeys.Code, Name: "recovery-keys", Text: ErrKeys.Text},
		{Code: ErrExecutor.Code, Name: "recovery-executor", Text: ErrExecutor.Text},
		{Code: ErrDocument.Code, Name: "recovery-document", Text: ErrDocument.Text},
		{Code: ErrProof.Code, Name: "recovery-proof", Text: ErrProof.Text},
		{Code: ErrGuardian.Code, Name: "recovery-guardian", Text: ErrGuardian.Text},
		{Code: ErrSignature.Code, Name: "recovery-signature", Text: ErrSignature.Text},
		{Code: ErrStaff.Code, Name: "recovery-staff", Text: ErrStaff.Text},
		{Code: ErrRoute.Code, Name: "recovery-route", Text: ErrRoute.Text},
		{Code: ErrSamePerson.Code, Name: "recovery-same-person", Text: ErrSamePerson.Text},
		{Code: ErrRunning.Code, Name: "recovery-running", Text: ErrRunning.Text},
		{Code: ErrQuota.Code, Name: "recovery-quota", Text: ErrQuota.Text},
		{Code: ErrDeceased.Code, Name: "recovery-deceased", Text: ErrDeceased.Text},
		{Code: ErrAlive.Code, Name: "recovery-alive", Text: ErrAlive.Text},
		{Code: ErrUnknown.Code, Name: "recovery-unknown", Text: ErrUnknown.Text},
		{Code: ErrClosed.Code, Name: "recovery-closed", Text: ErrClosed.Text},
		{Code: ErrEarly.Code, Name: "recovery-early", Text: ErrEarly.Text},
		{Code: ErrApprovals.Code, Name: "recovery-approvals", Text: ErrApprovals.Text},
		{Code: ErrApproved.Code, Name: "recovery-approved", Text: ErrApproved.Text},
		{Code: ErrCancel.Code, Name: "recovery-cancel", Text: ErrCancel.Text},
		{Code: ErrQuery.Code, Name: "recovery-query", Text: ErrQuery.Text},
		{Code: ErrNoGuardians.Code, Name: "recovery-no-guardians", Text: ErrNoGuardians.Text},
	}
}
