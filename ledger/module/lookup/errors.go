package lookup

import "salus/ledger/tx"

// Refusals of this module: 0x0c00 | n, unique for ever.
var (
	ErrCustodian = tx.Refuse(0x0c01, "lookup: only a custodian with a seat in this does it")
	ErrCeremony  = tx.Refuse(0x0c02, "lookup: there is no such ceremony, or it is in another phase")
	ErrRunning   = tx.Refuse(0x0c03, "lookup: a ceremony is running, or the key is the committee's already")
	ErrDealing   = tx.Refuse(0x0c04, "lookup: the dealing does not have the right shape, or does not continue the dealer's share")
	ErrAgain     = tx.Refuse(0x0c05, "lookup: this custodian has done this already")
	ErrAnswer    = tx.Refuse(0x0c06, "lookup: nobody complained of that, or the opened shares do not match the dealing")
	ErrNoKey     = tx.Refuse(0x0c07, "lookup: the custodians have no key for lookups yet")
	ErrUse       = tx.Refuse(0x0c08, "lookup: an entry finds somebody, or enrols an identifier of one patient")
	ErrPurpose   = tx.Refuse(0x0c09, "lookup: the purpose is not a code of HL7 v3 PurposeOfUse")
	ErrElement   = tx.Refuse(0x0c0a, "lookup: the commitment to the blinded element is missing")
	ErrSigner    = tx.Refuse(0x0c0b, "lookup: only a practitioner or device with the read privilege, or a member, looks a patient up; an emergency needs the emergency privilege")
	ErrSteward   = tx.Refuse(0x0c0c, "lookup: only her steward enrols an identifier of a patient")
	ErrQuota     = tx.Refuse(0x0c0d, "lookup: as many lookups in 24 hours as the network allows")
	ErrUnknown   = tx.Refuse(0x0c0e, "lookup: there is no such entry")
	ErrNotYours  = tx.Refuse(0x0c0f, "lookup: the entry is somebody else's")
	ErrExpired   = tx.Refuse(0x0c10, "lookup: the entry is too old, or was resolved already")
	ErrPointers  = tx.Refuse(0x0c11, "lookup: one to four sealed pointers, each with a proof that holds")
	ErrPart      = tx.Refuse(0x0c12, "lookup: the part was not made with this custodian's share of the key in force")
	ErrCard      = tx.Refuse(0x0c13, "lookup: the card is another patient's, is known already, or is not known")
	ErrQuery     = tx.Refuse(0x0c14, "lookup: the query's argument does not decode")
	ErrPatient   = tx.Refuse(0x0c15, "lookup: no such patient is enrolled")
)

// Codes lists the refusals of this module.
func Codes() []tx.CodeInfo {
	return []tx.CodeInfo{
		{Code: ErrCustodian.Code, Name: "lookup-custodian", Text: ErrCustodian.Text},
		{Code: ErrCeremony.Code, Name: "lookup-ceremony", Text: ErrCeremony.Text},
		{Code: ErrRunning.Code, Name: "lookup-running", Text: ErrRunning.Text},
		{Code: ErrDealing.Code, Name: "lookup-dealing", Text: ErrDealing.Text},
		{Code: ErrAgain.Code, Name: "lookup-again", Text: ErrAgain.Text},
		{Code: ErrAnswer.Code, Name: "lookup-answer", Text: ErrAnswer.Text},
		{Code: ErrNoKey.Code, Name: "lookup-no-key", Text: ErrNoKey.Text},
		{Code: ErrUse.Code, Name: "lookup-use", Text: ErrUse.Text},
		{Code: ErrPurpose.Code, Name: "lookup-purpose", Text: ErrPurpose.Text},
		{Code: ErrElement.Code, Name: "lookup-element", Text: ErrElement.Text},
		{Code: ErrSigner.Code, Name: "lookup-signer", Text: ErrSigner.Text},
		{Code: ErrSteward.Code, Name: "lookup-steward", Text: ErrSteward.Text},
		{Code: ErrQuota.Code, Name: "lookup-quota", Text: ErrQuota.Text},
		{Code: ErrUnknown.Code, Name: "lookup-unknown", Text: ErrUnknown.Text},
		{Code: ErrNotYours.Code, Name: "lookup-not-yours", Text: ErrNotYours.Text},
		{Code: ErrExpired.Code, Name: "lookup-expired", Text: ErrExpired.Text},
		{Code: ErrPointers.Code, Name: "lookup-pointers", Text: ErrPointers.Text},
		{Code: ErrPart.Code, Name: "lookup-part", Text: ErrPart.Text},
		{Code: ErrCard.Code, Name: "lookup-card", Text: ErrCard.Text},
		{Code: ErrQuery.Code, Name: "lookup-query", Text: ErrQuery.Text},
		{Code: ErrPatient.Code, Name: "lookup-patient", Text: ErrPatient.Text},
	}
}
