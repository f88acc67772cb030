package adversary

// emergencies are what a practitioner or an app might try around breaking the glass.
func emergencies() []Defence {
	const (
		room     = "ledger/module/emergency"
		handlers = room + "/handlers.go"
		rules    = room + "/rules.go"
		over     = "gateway/chart/emergency.go"
		urgent   = "TestWhoDeclaresAnEmergencyHasJustSignedInAndSaysWhy"
	)
	released := func(name string) string { return "TestNothingIsReleasedToAnEmergency/" + name }
	return []Defence{
		{"an emergency with a reason made up", over, "parameters", `if u.reason, err = emergency.ParseReason(reasons[0]); err != nil {`, `if u.reason, _ = emergency.ParseReason(reasons[0]); false {`, "gateway/chart", urgent},
		{"an emergency with a purpose that is none", over, "Service.urgent", `who.Purpose != consent.BTG`, `false`, "gateway/chart", urgent},
		{"an emergency by an app somebody left open", over, "Service.urgent", `if time.Since(who.Verified) > s.stepUpAge() {`, `if false {`, "gateway/chart", urgent},
		{"an emergency by a code, of who has a passkey", over, "Service.urgent", `if who.Passkey && who.Declared != u.confirmed(declares) {`, `if false {`, "gateway/chart", urgent},
		{"an emergency by what a passkey confirmed of another", "gateway/portal/stepup.go", "declaration.what", `d.Step, d.patient, sha256`, `d.Step, tx.Account{}, sha256`, "gateway/portal", "TestAnEmergencyIsNotDeclaredByWhatElseWasSigned"},
		{"staff signing in with a copied passkey", "gateway/smart/passkey.go", "Passkeys.Use", `count <= one.Count`, `false`, "gateway/portal", "TestAPasskeyOfStaffThatIsNotTaken"},
		{"staff signing in with a passkey that nobody unlocked", "gateway/portal/staffkey.go", "Portal.assertion", `RequireUV: true`, `RequireUV: false`, "gateway/portal", "TestAPasskeyOfStaffThatIsNotTaken"},
		{"staff signing in twice with one answer", "gateway/portal/staffkey.go", "staffAsked.take", `delete(c.open, nonce)`, ``, "gateway/portal", "TestAPasskeyOfStaffThatIsNotTaken"},
		{"an emergency under a token for another patient", over, "Service.urgent", `who.Patient != "" && who.Patient != u.ref`, `false`, "gateway/chart", urgent},
		{"an emergency after a sign-in of hours ago at the provider", "gateway/smart/provider.go", "Provider.who", `min(at.Unix(), int64(said))`, `max(at.Unix(), int64(said))`, "gateway/smart", "TestASignInIsAsOldAsTheProviderSays"},
		{"an emergency by a session of before", "gateway/smart/authorize.go", "Server.recent", `return f.prompt != "login" && !emergency(f.purpose) && `, `return f.prompt != "login" && `, "gateway/smart", "TestAnEmergencyWantsAFreshSignIn"},
		{"an emergency that owes nothing, by a grant", "ledger/module/access/messages.go", "Request.Validate", `case m.Purpose == consent.BTG:`, `case m.Purpose == consent.BTG && false:`, "ledger/module/access", "TestEveryRefusal"},
		{"more emergencies than the quota", handlers, "Declare", `if !disaster(c) {`, `if false {`, room, "TestTheQuotaIsOfAPractitionerAndADay"},
		{"an emergency declared again while it runs", handlers, "Declare", `if last, ok := Lookup(c.State, l.Case); ok && c.Time < last.Until {`, `if last, ok := Lookup(c.State, l.Case); ok && c.Time < last.Until && false {`, room, "TestThePatientClosesItAndTheObligationsStay"},
		{"an emergency by a clerk", rules, "mayDeclare", `!p.Has(identity.PrivRead | identity.PrivEmergency)`, `false`, room, "TestWhoMayNotDeclare"},
		{"an emergency of a suspended practitioner", rules, "mayDeclare", `case Suspended(r, account):`, `case Suspended(r, account) && false:`, "custody", released("of_a_practitioner_whose_earlier_attestation_became_overdue")},
		{"an emergency that nobody accounts for", handlers, "remind", `conduct.Overdue++`, `conduct.Overdue += 0`, room, "TestAnOverdueAttestationSuspendsUntilItIsMadeGood"},
		{"an emergency that opens more without the second step", room + "/emergency.go", "Directive.Mask", `if widened {`, `if widened || true {`, "custody", "TestAnEmergencyReadsTheSetFirstAndMoreAfterTheSecondStep"},
		{"an emergency that opens what she excluded", room + "/emergency.go", "Directive.Mask", `return m &^ d.Except`, `return m`, "custody", released("after_she_excluded_the_record")},
		{"an emergency widened by somebody else", handlers, "Widen", "case e.Actor != c.Signer.Account:\n\t\treturn 0, ErrNotYours", "case false:\n\t\treturn 0, ErrNotYours", room, "TestTheSecondStepOpensMoreButNeverWhatIsExcluded"},
		{"an emergency extended by who declared it", handlers, "Extend", `case e.Actor == c.Signer.Account:`, `case false:`, room, "TestItEndsByBlockTimeAndIsExtendedOnceBySomebodyElse"},
		{"an emergency extended again and again", handlers, "Extend", `case e.Extender != (tx.Account{}):`, `case false:`, room, "TestItEndsByBlockTimeAndIsExtendedOnceBySomebodyElse"},
		{"an emergency reviewed by who declared it", rules, "mayReview", `account == c.Actor || `, ``, room, "TestWhoReviews"},
		{"an emergency reviewed by who extended it", rules, "mayReview", `account == c.Extender || `, ``, room, "TestAnExtenderWithTheReviewPrivilegeDoesNotReview"},
		{"an emergency reviewed again by the same after a dispute", rules, "mayReview", ` || account == c.Reviewer`, ``, room, "TestADisputeAsksForAnotherReviewer"},
		{"an emergency reviewed by strangers", rules, "mayReview", `if p.Member != c.Member && p.Member != patient.Member && m.Class != governance.Regulator {`, `if p.Member != c.Member && p.Member != patient.Member && m.Class != governance.Regulator && false {`, room, "TestWhoReviews"},
		{"a steward who takes back what a patient excluded from emergencies", handlers, "setDirective", `, replaces && old.By == m.Patient:`, `, replaces && old.By == m.Patient && false:`, room, "TestWhoSetsTheDirective"},
		{"a summary for emergencies that tells what is sensitive", "record/summary.go", "Reach.Tells", `l.Sensitive(), `, ``, "gateway/summary", "TestASummaryForEmergenciesTellsNothingSensitiveAndNothingOfOthers"},
		{"a summary for emergencies that tells what she excluded", "record/summary.go", "Reach.Tells", `, r.has(l, r.shut):`, `:`, "record", "TestASummaryTellsNothingExcludedWhateverElseIsOpen"},
		{"a summary for emergencies that outlives an exclusion", "record/emergency.go", "SlotMap.Directive", ` || l == EmergencyLabel && slices.ContainsFunc(never, beyondTheSet)`, ``, "record", "TestDirectivesHaveTheirShapeAndOpenWhatTheySay"},
	}
}
