package adversary

// merges are attacks by way of two pseudonyms of one patient, and of how patients are found.
func merges() []Defence {
	return []Defence{
		{"a denial left behind under the other pseudonym", "ledger/module/consent/basis.go", "Basis.Decide", `q.Requested &^= b.Withheld(q)`, `q.Requested &^= b.Withheld(q) & 0`, "ledger/module/merge", "TestWhatEitherPseudonymDeniesIsDeniedForBoth"},
		{"an exclusion left behind under the other pseudonym", "ledger/module/emergency/rules.go", "Reach", `return d.Except`, `return d.Except & 0`, "ledger/module/emergency", "TestAnEmergencyOpensNothingThatAnotherPseudonymExcludes"},
		{"a merge while keys are recovered", "ledger/module/merge/handlers.go", "unsettled", `if identity.Recovering(r, p) || `, `if `, "ledger/module/merge", "TestALockedOrDeceasedPseudonymIsNotMerged"},
		{"a merge with a dead patient", "ledger/module/merge/handlers.go", "unsettled", ` || identity.Deceased(r, p)`, ``, "ledger/module/merge", "TestALockedOrDeceasedPseudonymIsNotMerged"},
		{"a steward that proposes a merge to learn another patient's slots", "record/merge.go", "Service.merges", ` && by.Member == s.Self`, ` && (by.Member == s.Self || true)`, "record", "TestATranslationOfSlotsLeadsEachLabelToItself"},
		{"a newcomer that says nobody is enrolled", "custody/lookup.go", "Custodian.Pointers", `if err == nil && !c.rows.has(rowsKey(key.Number)) {`, `if err == nil && !c.rows.has(rowsKey(key.Number)) && false {`, "custody", "TestAHolderWithoutRowsAnswersNobody"},
		{"a dealer of the lookup key that keeps silent", "custody/lookupshares.go", "sharesTime", `return min(10*time.Second, `, `return max(time.Hour, `, "custody", "TestADealerThatKeepsSilentHoldsUpNoCeremony"},
		{"a custodian that keeps silent when somebody is looked for", "internal/hedge/hedge.go", "Most", `last = time.AfterFunc(moment, over)`, `last = time.AfterFunc(moment, func() {})`, "custody", "TestASilentCustodianHoldsUpNoLookup"},
		{"a holder of rows that tells of what nobody enrolled", "custody/lookuprows.go", "endOf", `behind := len(pages) - need`, `behind := 0 * need`, "custody", "TestPagesOfRowsAreReadTogether"},
	}
}
