package adversary

const recoveryRoom = "ledger/module/recovery"

// recoveries are attacks by which somebody else comes to a patient's keys.
func recoveries() []Defence {
	return []Defence{
		{"one guardian who approves twice", recoveryRoom + "/rules.go", "Case.approve", `if b.Who == a.Who || `, `if `, recoveryRoom, "TestApprovalsOfGuardiansAreRefused"},
		{"a guardian of another patient, or of nobody", recoveryRoom + "/rules.go", "guardian", `; !named {`, `; !named && false {`, recoveryRoom, "TestApprovalsOfGuardiansAreRefused"},
		{"a paper guardian's signature over another case", recoveryRoom + "/rules.go", "guardian", `if p.Key.Verify(id, p.Signature, policy) != nil {`, `if p.Key.Verify(id, p.Signature, policy) != nil && false {`, recoveryRoom, "TestApprovalsOfGuardiansAreRefused"},
		{"staff of a stranger who re-proofs", recoveryRoom + "/rules.go", "staff", `case p.Member != patient.Member && (stands(c.State, patient.Member) || !m.Clinical):`, `case p.Member != patient.Member && false && !m.Clinical:`, recoveryRoom, "TestApprovalsOfStaffAreRefused"},
		{"staff without the privilege who re-proofs", recoveryRoom + "/rules.go", "staff", `, !p.Has(identity.PrivReproof):`, `:`, recoveryRoom, "TestApprovalsOfStaffAreRefused"},
		{"staff that was found out during the time lock", recoveryRoom + "/rules.go", "Case.carried", `if ok && p.Member == k.Member`, `if (ok || true) && p.Member == k.Member`, recoveryRoom, "TestApprovalsOfStaffAreRefused"},
		{"a recovery finished before its time lock", recoveryRoom + "/handlers.go", "finish", `case c.Time < k.From:`, `case c.Time < k.From && false:`, recoveryRoom, "TestTwoOfThreeGuardiansBringNewKeysAfterTheTimeLock"},
		{"the terms of a finished recovery sent again", recoveryRoom + "/handlers.go", "request", `case t.Number != at.Number+1:`, `case t.Number != at.Number+1 && false:`, recoveryRoom, "TestTwoOfThreeGuardiansBringNewKeysAfterTheTimeLock"},
		{"a second recovery beside the first", recoveryRoom + "/handlers.go", "request", `case runs:`, `case runs && false:`, recoveryRoom, "TestApprovalsOfGuardiansAreRefused"},
		{"recoveries without end", recoveryRoom + "/handlers.go", "takeOpening", `if uint64(len(o.Recent)) >= governance.ParamsOf(c.State).RecoveryQuota {`, `if uint64(len(o.Recent)) >= 1<<40+governance.ParamsOf(c.State).RecoveryQuota {`, recoveryRoom, "TestRepeatedRequestsMeetTheQuota"},
		{"a stranger who cancels a recovery", recoveryRoom + "/handlers.go", "cancel", `err != nil || member != k.Member {`, `err != nil && member != k.Member {`, recoveryRoom, "TestAnyLiveDeviceCancels"},
		{"a grant by a stolen device while keys are recovered", "ledger/module/consent/handlers.go", "hand.put", `case identity.Recovering(c.State, patient):`, `case identity.Recovering(c.State, patient) && false:`, recoveryRoom, "TestNothingIsWidenedWhileKeysAreAskedFor"},
		{"an erasure by a stolen device while keys are recovered", "ledger/module/erasure/rules.go", "against", `if !c.Ordered && identity.Recovering(r, c.Patient) {`, `if !c.Ordered && identity.Recovering(r, c.Patient) && false {`, "ledger/module/erasure", "TestNothingIsErasedByRequestWhileKeysAreRecovered"},
		{"a session of a lost device after the recovery", "ledger/module/access/rules.go", "Open", `if identity.ConditionOf(r, s.Actor).Recovered >= s.Height {`, `if identity.ConditionOf(r, s.Actor).Recovered >= s.Height && false {`, recoveryRoom, "TestTwoOfThreeGuardiansBringNewKeysAfterTheTimeLock"},
		{"a recovery session by a key that was not recovered", recoveryRoom + "/rules.go", "Restored", `return ok && k.Status == Finished && `, `return ok || k.Status == Finished && `, recoveryRoom, "TestOnlyARecoveredKeyOpensARecoverySession"},
		{"a slot map that is not the steward's", "record/recovery.go", "Session.SlotMap", `l.Author == row.Member && `, `(l.Author == row.Member || true) && `, "record", "TestOnlyTheStewardsSlotMapIsBelieved"},
		{"grants that outlive the patient", "ledger/module/consent/basis.go", "Basis.Decide", `b.Condition.Deceased != 0 {`, `b.Condition.Deceased != 0 && false {`, recoveryRoom, "TestADeathFreezesWhatShePermitted"},
		{"an heir who is no executor", "ledger/module/consent/rules.go", "IsProxy", ` && mayStandIn(r, patient, account)`, ``, recoveryRoom, "TestADeathFreezesWhatShePermitted"},
	}
}
