package adversary

const (
	erasureRoom = "ledger/module/erasure"
	reshareRoom = "ledger/module/reshare"
)

// passings are attacks on what is erased, and on shares, while they pass to another committee.
func passings() []Defence {
	return []Defence{
		{"an old share served after the change of the epoch", "custody/reshare.go", "holding", `case asked == now.Epoch-1 && committee.HeldNow(v).Late:`, `case asked == now.Epoch-1:`, "custody", "TestAMemberLeavesAndJoins"},
		{"a subshare of an erased record", "custody/erased.go", "Custodian.blank", `clear(shares[at : at+32])`, `_ = at`, "custody", "TestNoSubshareOfWhatIsErased"},
		{"a subshare of an erased batch", "custody/subdeal.go", "Custodian.item", `if d == nil || gone(h.v, hh) || erasure.PatientErased(h.v, d.patient) {`, `if d == nil {`, "custody", "TestNoSubshareOfWhatIsErased"},
		{"a record that is sealed while it is erased", "record/encrypt.go", "Service.chain", `; err != nil || !there {
			return false, err`, `; err != nil {
			return false, err`, "record", "TestWhatIsErasedWhileItIsDealtStaysErased"},
		{"a record of who was erased meanwhile", "record/ingest.go", "Service.commitFor", `		p, err := s.patient(patient)
		if err != nil {
			return err
		}
`, `		p, err := s.patient(patient)
		if err != nil {
			p = &patientRow{}
		}
`, "record", "TestWhoIsErasedWhileSomethingIsWrittenStaysErased"},
		{"subshares that come after the tombstone", "custody/takeover.go", "stagedRow.without", `if erasure.Erased(v, hh, leaf) { // the own`, `if false && erasure.Erased(v, hh, leaf) { // the own`, "custody", "TestWhatWasErasedWhileItWasFetchedIsNotKept"},
		{"an erased batch that holds up its committee", "custody/erased.go", "Custodian.dealBefore", `!ok || h.deals == 0 ||`, `!ok || h.deals != 0 ||`, "custody", "TestErasuresInEveryPhaseOfAPass/pass_1,_all_have_dealt"},
		{"a receipt of destruction by nobody who had a share", erasureRoom + "/handlers.go", "receipt", ` || len(seats) == 0 {`, ` {`, reshareRoom, "TestWhoHadNoShareSignsNoReceipt"},
		{"the word that an epoch is destroyed, while others need it", reshareRoom + "/handlers.go", "destroyed", `if !r.Spent(c.Time, governance.ParamsOf(c.State).ReshareGrace) {`, `if false {`, reshareRoom, "TestMemberJoins"},
		{"a confirmation that counts as a receipt of the same shares", "ledger/module/committee/holding.go", "Span.Has", `start < s.Start`, `start <= s.Start`, reshareRoom, "TestACommitteeThatCameToNothingIsCounted"},
		{"a dealer that deals other shares than it holds", "custody/fetchdealt.go", "Custodian.verifyDealt", `wrong = threshold.VerifySubdeal(`, `wrong = false && threshold.VerifySubdeal(`, "custody", "TestACheatIsLeftOut"},
		{"a complaint about a sound dealer", reshareRoom + "/rules.go", "Complain.upheld", `	return ErrSoundDeal`, `	return nil`, reshareRoom, "TestRefusals"},
		{"a certificate below the quorum", erasureRoom + "/count.go", "Case.counts", `e.Spent(r, c.Keys), `, `c.Destroyed() >= int(e.T)-1, `, erasureRoom, "TestACaseIsDoneOnlyWhenNobodyIsMissing"},
		{"a certificate of one committee of two", erasureRoom + "/count.go", "Case.counts", `certified = certified && known && h.Committee.Spent(r, o.Keys)`, `certified = certified && known && h.Committee.N > 0`, reshareRoom, "TestACertificateCountsBothCommittees"},
	}
}
