package adversary

// Groups are the attacks, part by part.
func Groups() []Group {
	return []Group{
		{"Requests to a custodian", requests()},
		{"Writing what one may not", writes()},
		{"Custodians and readers who lie", lies()},
		{"Transactions and their signatures", transactions()},
		{"Lost keys and deaths", recoveries()},
		{"Merged patients and lookups", merges()},
		{"Shares that pass on, and erasures", passings()},
		{"The ledger and what it proves", proofs()},
		{"Relays, sessions of apps and cursors", gateways()},
		{"Emergencies", emergencies()},
	}
}

const rule = "custody/decide.go"

// refusals is the table of requests that differ in one thing from one that succeeds.
func refusals(attack, fn, text, without, name string) Defence {
	return Defence{attack, rule, fn, text, without, "custody", "TestNothingIsReleased/" + name}
}

func requests() []Defence {
	return []Defence{
		refusals("release to another key than the session's", "Custodian.session", `subtle.ConstantTimeCompare(hash[:], s.ReaderKey[:]) != 1`, `subtle.ConstantTimeCompare(hash[:], s.ReaderKey[:]) > 1`, "to_another_key_than_the_session's"),
		refusals("another record than the committed list's", "Custodian.admit", `subtle.ConstantTimeCompare(f.Root[:], root[:]) != 1`, `subtle.ConstantTimeCompare(f.Root[:], root[:]) > 1`, "for_another_record_than_the_listed_one"),
		refusals("a list of another length than committed", "Custodian.admit", `f.Count != uint32(len(req.List.Items))`, `f.Count > 1<<30`, "for_a_list_committed_with_another_count"),
		refusals("a record of another patient", "standing.check", `if seal.PatientCommit(s.session.Patient, p.opening) != p.header.PatientCommit {`, `if seal.PatientCommit(s.session.Patient, p.opening) == [32]byte{} {`, "of_another_patient"),
		refusals("a slot that the consent does not allow", "standing.check", `if !releasable(slots, s.allowed) {`, `if false && !releasable(slots, s.allowed) {`, "in_a_slot_that_is_not_allowed"),
		refusals("a batch of an earlier epoch", "standing.check", `if e := anchor.EpochOf(v, &b); e != s.epoch.Epoch || p.epoch != e || p.index != s.index {`, `if false {`, "of_an_epoch_that_is_over"),
		refusals("an expired session on a stalled chain", "Custodian.session", `if now.After(time.Unix(int64(s.Expires), 0).Add(skew)) {`, `if false {`, "after_the_session's_end_by_the_clock,_on_a_stalled_chain"),
		refusals("a stale replica on a stalled chain", "Custodian.session", `age > lease || age < -lease`, `age < -lease`, "on_a_stalled_chain,_for_a_session_without_near_end"),
		refusals("a custodian's clock set back", "Custodian.session", `age > lease || age < -lease `, `age > lease `, "by_a_clock_that_is_far_behind"),
		{"a closed session used again", "ledger/module/access/rules.go", "running", `case s.Closed:`, `case s.Closed && false:`, "custody", "TestNothingIsReleased/for_a_closed_session"},
		{"an expired session used again", "ledger/module/access/rules.go", "running", `case now >= s.Expires:`, `case now >= s.Expires && false:`, "ledger/module/access", "TestASessionEndsByTimeAndByItsPeople"},
		{"a practitioner who lost the privilege", "ledger/module/access/rules.go", "Open", ` mayAsk(actor, s.Purpose) != nil ||`, ` false ||`, "custody", "TestNothingIsReleased/to_a_practitioner_without_the_privilege"},
		{"a batch that is not ACTIVE", rule, "standing.check", `if !ok || b.Active == 0 {`, `if !ok {`, "custody", "TestABatchIsReleasedOnlyWhenActive"},
		{"a custodian that was removed", rule, "Custodian.admit", `if m, ok := governance.LookupMember(v, c.Self); !ok || !m.Active {`, `if _, ok := governance.LookupMember(v, c.Self); !ok && false {`, "custody", "TestOnlyACustodianOfTheCommitteeReleases/not_after_it_was_removed"},
		{"a member without a seat", rule, "Custodian.admit", `if s.index, ok = s.epoch.IndexOf(c.Self); !ok {`, `if s.index, ok = s.epoch.IndexOf(c.Self); false {`, "custody", "TestOnlyACustodianOfTheCommitteeReleases/not_of_another_one"},
		{"a replica that was rolled back", rule, "Custodian.session", `if c.behind(v) {`, `if c.behind(v) && false {`, "custody", "TestAReplicaBehindItsCustodianReleasesNothing"},
		{"a revocation between two looks at the ledger", "custody/release.go", "Custodian.Release", `if index, err = c.decide(v, h, req, root, parts); err != nil {`, `if index, err = c.decide(v, h, req, root, parts); false {`, "custody", "TestTheDecisionIsTheOneUnderTheLock"},
		{"a release that leaves no receipt", "custody/release.go", "Custodian.Release", `return c.wal.append(receipt)`, `return nil`, "custody", "TestNoReplyWithoutItsReceipt"},
		{"a custodian that lost its receipts", rule, "Custodian.admit", `if access.ReleasedBy(v, c.Self).Next > c.wal.last()+1 {`, `if access.ReleasedBy(v, c.Self).Next > c.wal.last()+1 && false {`, "custody", "TestACustodianThatLostItsReceiptsReleasesNothing"},
		{"a refusal that tells why", "custody/release.go", "Custodian.refuse", `return ErrNotReleased`, `return why`, "custody", "TestRefusalsAreByteIdentical"},
		{"somebody else asks what a session opened", "custody/openings.go", "Custodian.isPatient", `return key.Public.Verify(digest, &req.Signature, policy) == nil`, `return key.Public.Verify(digest, &req.Signature, policy) == nil || true`, "custody", "TestOnlyThePatientLearnsWhatWasOpened"},
		{"a locate that shows denied slots", "custody/locate.go", "manifestRow.located", `!releasable(e.Slots, allowed) || `, ``, "custody", "TestLocateGoesThroughManyBatches"},
		{"a fetch in somebody else's session", "ledger/module/access/handlers.go", "commitFetch", `case s.Actor != c.Signer.Account:`, `case s.Actor != c.Signer.Account && false:`, "ledger/module/access", "TestEveryRefusal"},
		{"a delegate in somebody else's name", "ledger/module/access/delegate.go", "delegate", ` || s.Actor != b.Signer`, ``, "ledger/module/access", "TestChainDelegateReadsOnInItsSessionAlone"},
		{"a delegate whose giver's key is gone", "ledger/module/access/delegate.go", "delegate", `return who, key, ok && by.LiveAt(uint64(h.Height))`, `return who, key, ok || !by.LiveAt(uint64(h.Height))`, "ledger/module/access", "TestChainDelegateReadsOnInItsSessionAlone"},
		{"a delegate of a suspended practitioner", "ledger/module/access/delegate.go", "delegate", "who, _, ok = identity.Standing(r, s.Actor)\n\tif !ok {", "who, _, ok = identity.Standing(r, s.Actor)\n\tif false {", "ledger/module/access", "TestChainDelegateReadsOnInItsSessionAlone"},
		{"a stranger closes a session", "ledger/module/access/handlers.go", "closeSession", `if !mayClose(c, &s) {`, `if !mayClose(c, &s) && false {`, "ledger/module/access", "TestEveryRefusal"},
	}
}

func writes() []Defence {
	return []Defence{
		{"a header that is not the author's", "ledger/module/anchor/handlers.go", "put", `tx.Account(h.Author) != c.Signer.Account`, `false`, "ledger/module/anchor", "TestEveryRefusal"},
		{"an author who is no member", "ledger/module/anchor/handlers.go", "put", `c.Signer.Class != ledger.ClassMember || `, ``, "ledger/module/anchor", "TestEveryRefusal"},
		{"a header of another chain", "ledger/module/anchor/handlers.go", "put", `case h.Chain != c.Chain:`, `case h.Chain != c.Chain && false:`, "ledger/module/anchor", "TestEveryRefusal"},
		{"a header of another epoch", "ledger/module/anchor/rules.go", "fits", `case h.Epoch != e.Epoch:`, `case h.Epoch != e.Epoch && false:`, "ledger/module/anchor", "TestEveryRefusal"},
		{"an author who chooses the threshold", "ledger/module/anchor/rules.go", "fits", `h.N != e.N || h.T != e.T || `, ``, "ledger/module/anchor", "TestEveryRefusal"},
		{"one header anchored twice, with two packs", "ledger/module/anchor/handlers.go", "put", `if batches.Has(c.State, id[:]) {`, `if batches.Has(c.State, id[:]) && false {`, "ledger/module/anchor", "TestEveryRefusal"},
		{"a batch ACTIVE with too few receipts", "ledger/module/anchor/rules.go", "Batch.complete", `b.Received() >= int(e.T)`, `b.Received() >= 1`, "ledger/module/anchor", "TestABatchBecomesActive"},
		{"a batch ACTIVE with too few holders", "ledger/module/anchor/rules.go", "Batch.complete", `b.Held() >= e.F()+1`, `b.Held() >= 0`, "ledger/module/anchor", "TestABatchBecomesActive"},
		{"a receipt by who is no custodian", "ledger/module/anchor/handlers.go", "custodian", `return committee.Epoch{}, 0, ErrNotCustodian
	}
	e, err`, `index = 1
	}
	e, err`, "ledger/module/anchor", "TestEveryRefusal"},
		{"a parcel of another chain", "custody/accept.go", "Custodian.door", `p.Header.Chain != c.Chain || `, ``, "custody", "TestTheDoorIsForCustodiansAndAuthors"},
		{"a stranger's parcel before its header", "custody/accept.go", "Custodian.door", `case tx.Account(p.Header.Author) != from:`, `case tx.Account(p.Header.Author) != from && false:`, "custody", "TestTheDoorIsForCustodiansAndAuthors"},
		{"a relay that alters a parcel", "custody/accept.go", "Custodian.door", `if !committedTo(put, p) {`, `if !committedTo(put, p) && false {`, "custody", "TestTheDoorIsForCustodiansAndAuthors"},
		{"a parcel whose manifest is not the header's", "exchange/exchange.go", "Parcel.Validate", `seal.ManifestRoot(p.Entries) != h.ManifestRoot || `, ``, "custody", "TestTheDoorIsForCustodiansAndAuthors"},
		{"a stranger asks for a parcel", "custody/accept.go", "Custodian.Parcel", `!seated(v, p.Header.Epoch, from) || `, ``, "custody", "TestTheDoorIsForCustodiansAndAuthors"},
		{"two parcels for one header", "custody/ingest.go", "Custodian.verify", `if !committedTo(put, o.parcel) || `, `if `, "custody", "TestAnotherParcelThanTheCommittedOneIsReplacedByARelay"},
		{"a copied envelope under an own header", "seal/batch.go", "envelopeInfo", `Sum("envelope", hh[:], u32(index),`, `Sum("envelope", hh[:0], u32(index),`, "seal", "TestRogueWriteOfSomebodyElsesEnvelopeFails"},
		{"an envelope swapped between custodians", "seal/batch.go", "envelopeInfo", `u32(index), binary.BigEndian.AppendUint64(nil, keyEpoch))`, `u32(0*index), binary.BigEndian.AppendUint64(nil, keyEpoch))`, "seal", "TestEnvelopesDoNotSwap"},
		{"an envelope of another key epoch", "seal/batch.go", "envelopeInfo", `AppendUint64(nil, keyEpoch)`, `AppendUint64(nil, 0*keyEpoch)`, "seal", "TestEnvelopesDoNotSwap"},
		{"an envelope to another patient", "seal/envelope.go", "OpenEnvelope", `subtle.ConstantTimeCompare(pc[:], h.PatientCommit[:]) != 1`, `subtle.ConstantTimeCompare(pc[:], h.PatientCommit[:]) > 1`, "seal", "TestDishonestAuthorIsNamedByTheCheckThatFails"},
		{"a share that is no scalar", "seal/envelope.go", "OpenEnvelope", `if !c.Shares[r].Canonical() {`, `if !c.Shares[r].Canonical() && false {`, "seal", "TestDishonestAuthorIsNamedByTheCheckThatFails"},
		{"a share that is not under its root", "seal/envelope.go", "OpenEnvelope", `root != shareRoots[index-1]`, `root == [32]byte{}`, "seal", "TestDishonestAuthorIsNamedByTheCheckThatFails"},
		{"shares that are on no polynomial", "seal/envelope.go", "OpenEnvelope", `if err := threshold.Verify(commitments, index, c.Shares); err != nil {`, `if err := threshold.Verify(commitments, index, c.Shares); err != nil && false {`, "seal", "TestDishonestAuthorIsNamedByTheCheckThatFails"},
		{"a VSS root that is not the commitments'", "seal/envelope.go", "OpenEnvelope", `CommitmentsHash(commitments) != h.VSSRoot`, `false`, "seal", "TestEnvelopesDoNotSwap"},
		{"share roots that are not the header's", "seal/envelope.go", "OpenEnvelope", `ShareRootsHash(shareRoots) != h.ShareRoots`, `false`, "seal", "TestEnvelopesDoNotSwap"},
	}
}

func lies() []Defence {
	return []Defence{
		{"shares sealed to one session opened in another", "seal/release.go", "releaseInfo", `Sum(label, session[:],`, `Sum(label, session[:0],`, "seal", "TestReleaseOpensOnlyForItsKeySessionCustodianBatchAndList"},
		{"one custodian's shares passed off as another's", "seal/release.go", "releaseInfo", `u32(index), headerHash[:]`, `u32(0*index), headerHash[:]`, "seal", "TestReleaseOpensOnlyForItsKeySessionCustodianBatchAndList"},
		{"shares of another batch", "seal/release.go", "releaseInfo", `headerHash[:], numbers)`, `headerHash[:0], numbers)`, "seal", "TestReleaseOpensOnlyForItsKeySessionCustodianBatchAndList"},
		{"shares of other records of the batch", "seal/release.go", "releaseInfo", `uint32(i+1))`, `uint32(0*i+1))`, "seal", "TestReleaseOpensOnlyForItsKeySessionCustodianBatchAndList"},
		{"a key that lying custodians made", "seal/combine.go", "combination.try", `subtle.ConstantTimeCompare(commit[:], e.KeyCommit[:]) == 1, nil`, `subtle.ConstantTimeCompare(commit[:], e.KeyCommit[:]) <= 1, nil`, "seal", "TestLiarsNeverKeepTheKeysNorFrameTheHonest"},
		{"a custody key that nothing can be sealed to", "seal/seal.go", "ParsePublicKey", `_, err = box(pk, [32]byte{}, nil)`, `_ = pk`, "record", "TestNoCustodyKeyStopsTheSealing/a_point_of_low_order"},
		{"a holder that keeps silent", "record/anchor.go", "Service.awaitActive", `late = time.Tick(holdTime)`, `late = make(chan time.Time)`, "record", "TestAPackGoesToAnotherThanWhoKeepsSilent"},
		{"a holder that sends other bytes than a damaged pack's", "node/repair.go", "download", `vault.IDOf(b) != id`, `false`, "node", "TestALyingHolderDoesNotKeepAPackFromBeingMended"},
		{"a holder that never answers", "internal/hedge/hedge.go", "First", `case <-tick.C:`, `case <-make(chan time.Time):`, "record", "TestAStallingHolderIsNotWaitedFor"},
		{"a liar outside of the subset that fits", "seal/combine.go", "combination.compare", `if !same {`, `if !same && false {`, "seal", "TestLiarsNeverKeepTheKeysNorFrameTheHonest"},
		{"liars who frame an honest custodian", "seal/combine.go", "combination.compare", `tainted || counted+1-len(deviating)-f < int(c.header.T)`, `false`, "seal", "TestColludingLiarsCannotFrameTheHonest"},
		{"a share without its proof", "seal/combine.go", "proven", `if VerifyShare(root, h.BatchNonce, index, int(h.Count), i, shares[k], proofs[k]) != nil {`, `if VerifyShare(root, h.BatchNonce, index, int(h.Count), i, shares[k], proofs[k]) != nil && false {`, "seal", "TestShareProofsNameTheLiarAmongExactlyT"},
		{"an answer under another custodian's index", "record/release.go", "released.take", `if int(reply.Custodian) != index {`, `if int(reply.Custodian) != index && false {`, "record", "TestWrongReleaseIsNamedExactly"},
		{"an answer that its member did not sign", "record/release.go", "released.take", `if !com.signed(`, `if false && !com.signed(`, "record", "TestWrongReleaseIsNamedExactly"},
		{"an answer that leaves a batch out", "record/release.go", "released.take", `if n >= len(reply.Parts) || reply.Parts[n].Header != header {`, `if n >= len(reply.Parts) {
			break
		}
		if reply.Parts[n].Header != header {`, "record", "TestWrongReleaseIsNamedExactly"},
		{"records that a custodian invents", "record/locate.go", "sightings.addBatch", `if seal.VerifyEntry(a.Put.Header.ManifestRoot, int(e.Index), int(a.Put.Header.Count), &e.Entry, e.Path) != nil {`, `if seal.VerifyEntry(a.Put.Header.ManifestRoot, int(e.Index), int(a.Put.Header.Count), &e.Entry, e.Path) != nil && false {`, "record", "TestLyingLocateAnswersChangeNothing"},
		{"a record that one custodian alone names", "record/locate.go", "sightings.believed", `bits.OnesCount64(x.by) > faulty`, `bits.OnesCount64(x.by) > 0*faulty`, "record", "TestLyingLocateAnswersChangeNothing"},
		{"a holder that sends other bytes", "record/holders.go", "memberLinks.download", ` && vault.AddressOf(b) == vault.Address(address)`, ``, "record", "TestLyingHoldersOnlyWithhold"},
		{"a custodian that renumbers its receipts", "ledger/module/access/handlers.go", "receipts", `if m.From != last.Next {`, `if m.From != last.Next && false {`, "ledger/module/access", "TestReleaseReceiptsLeaveNoGap"},
		{"receipts cut out of a custodian's log", "custody/wal.go", "wal.follow", `if r.Sequence != w.seq+1 && !begins || r.Prev != w.head {`, `if false {`, "custody", "TestFramesOutOfOrderAreDamage"},
		{"a log cut before its end", "custody/wal.go", "wal.recover", `if holdsFrame(tail) {`, `if holdsFrame(tail) && false {`, "custody", "TestDamageBeforeTheTailIsFound"},
	}
}

func transactions() []Defence {
	return []Defence{
		{"a transaction of another chain", "ledger/deliver.go", "execution.admit", `if body.Chain != c.Chain {`, `if body.Chain != c.Chain && false {`, "ledger", "TestNotAdmitted"},
		{"a signature carried to another chain", "ledger/tx/hash.go", "Digest", `p = append(p, chain...)`, `p = append(p, chain[:0]...)`, "ledger/tx", "TestDigestBindsChainAndBody"},
		{"a transaction sent again", "ledger/deliver.go", "execution.admit", `if err := w.check(body.Nonce); err != nil {`, `if err := w.check(body.Nonce); err != nil && false {`, "ledger", "TestReplayWindow"},
		{"a refused transaction sent again", "ledger/deliver.go", "execution.deliver", `e.windows[v.signer.Account] = &v.window`, `if v.refusal == nil {
			e.windows[v.signer.Account] = &v.window
		} else {
			e.signers = e.signers[:len(e.signers)-1]
		}`, "ledger", "TestRefusedTransactionCannotComeBack"},
		{"a transaction kept until it suits", "ledger/deliver.go", "execution.admit", `case body.Expiry < height:`, `case body.Expiry < height && false:`, "ledger", "TestExpiry"},
		{"a transaction signed with another's key", "ledger/module/identity/authenticate.go", "live", `if k, ok := p.Keys.Find(id); ok && k.LiveAt(height) {`, `if k, ok := p.Keys.Find(id); ok {`, "ledger/module/identity", "TestAuthenticate/a_revoked_key_does_not_count_in_the_next"},
		{"a forged signature", "ledger/module/identity/authenticate.go", "Authenticate", `if err := verify(key, digest, s, tx.PasskeyPolicy{Origins: p.Origins, RequireUV: true}); err != nil {`, `if err := verify(key, digest, s, tx.PasskeyPolicy{Origins: p.Origins, RequireUV: true}); err != nil && false {`, "ledger/module/identity", "TestAuthenticate/a_forged_signature_does_not_verify"},
		{"a co-signer in the signer's place", "ledger/module/identity/authenticate.go", "Authenticate", `if primary == nil || claim != nil && proved != 2 {`, `if primary == nil {
		primary = &e.Signatures[0]
	}
	if claim != nil && proved != 2 {`, "ledger/module/identity", "TestAuthenticate/the_signer's_own_signature_is_needed"},
		{"a claim code without its key", "ledger/module/identity/authenticate.go", "Authenticate", `claim != nil && proved != 2`, `claim != nil && proved > 2`, "ledger/module/identity", "TestClaimIsSignedByBothItsKeys"},
		{"a passkey without user verification", "ledger/tx/passkey.go", "checkAuthData", `case requireUV && f&UserVerified == 0:`, `case requireUV && f&UserVerified == 0 && false:`, "ledger/module/identity", "TestPasskeyVerifiesItsUserAtAnAgreedOrigin/user_not_verified"},
		{"a passkey assertion made at another origin", "ledger/tx/passkey.go", "checkClientData", `if !allowedOrigin(rest[:end], origins) {`, `if !allowedOrigin(rest[:end], origins) && false {`, "ledger/module/identity", "TestPasskeyVerifiesItsUserAtAnAgreedOrigin/another_origin"},
		{"a passkey assertion of another transaction", "ledger/tx/passkey.go", "checkClientData", `if rest, ok = bytes.CutPrefix(rest, challenge[:]); !ok {`, `if rest, ok = rest[min(n, len(rest)):], true; !ok {`, "ledger/tx", "TestPasskeyClientData"},
		{"a passkey of another relying party", "ledger/tx/passkey.go", "checkAuthData", `if !bytes.Equal(ad[:sha256.Size], rpidHash) {`, `if !bytes.Equal(ad[:sha256.Size], rpidHash) && false {`, "ledger/tx", "TestPasskeyIsForOneRelyingParty"},
		{"a passkey assertion in a foreign frame", "ledger/tx/passkey.go", "checkClientData", `!ok || !harmlessMembers(rest) {`, `ok && !harmlessMembers(rest) {`, "ledger/tx", "TestPasskeyClientData"},
		{"a passkey signature changed into its twin", "ledger/tx/passkey.go", "verifyP256", `if bytes.Compare(sig[32:], halfN[:]) > 0 {`, `if bytes.Compare(sig[32:], halfN[:]) > 0 && false {`, "ledger/tx", "TestPasskeySignatureForms"},
		{"a transaction by who is suspended", "ledger/module/identity/identity.go", "Standing", `if !ok || !p.Active {`, `if !ok {`, "ledger/module/identity", "TestAuthenticate/a_suspended_practitioner_does_not_sign"},
		{"a grant by who is not the patient", "ledger/module/consent/handlers.go", "signer", `case c.Signer.Class == ledger.ClassPatient && c.Signer.Account == patient:`, `case c.Signer.Class == ledger.ClassPatient:`, "ledger/module/consent", "TestEveryRefusal"},
		{"a grant by a member who is not the steward", "ledger/module/consent/handlers.go", "signer", `case c.Signer.Class == ledger.ClassMember && c.Signer.Account == p.Member:`, `case c.Signer.Class == ledger.ClassMember:`, "ledger/module/consent", "TestEveryRefusal"},
		{"a steward who overrides the patient", "ledger/module/consent/handlers.go", "hand.put", `if replaces && !h.mayChange(&old) {`, `if replaces && !h.mayChange(&old) && false {`, "ledger/module/consent", "TestTheStewardRecordsAndOverridesNothing"},
		{"a proxy who goes beyond the proxy", "ledger/module/consent/handlers.go", "hand.put", `case h.in == asProxy && !h.proxy.bounds(g):`, `case h.in == asProxy && !h.proxy.bounds(g) && false:`, "ledger/module/consent", "TestAProxyActsWithinItsBounds"},
		{"an older version of a grant put back", "ledger/module/consent/handlers.go", "hand.put", `if !follows(old.Grant.Version, g.Version) {`, `if !follows(old.Grant.Version, g.Version) && false {`, "ledger/module/consent", "TestEveryRefusal"},
		{"a part of a change whose other part is refused", "ledger/module/consent/handlers.go", "change", `if err := h.put(c, m.Patient, &m.Give[i]); err != nil {`, `if err := h.put(c, m.Patient, &m.Give[i]); err != nil && false {`, "ledger/module/consent", "TestAChangeIsAllOrNothing"},
	}
}

func proofs() []Defence {
	return []Defence{
		{"a receipt signed by too few validators", "receipt/trust.go", "Trust.Follow", `if err := b.ValidatorSet.VerifyCommit(t.chain, b.Commit.BlockID, b.Height, b.Commit); err != nil {`, `if err := b.ValidatorSet.VerifyCommit(t.chain, b.Commit.BlockID, b.Height, b.Commit); err != nil && false {`, "receipt", "TestBlockNeedsTwoThirdsOfItsValidators"},
		{"a receipt of validators that the attacker made", "receipt/trust.go", "Trust.Follow", `if !named {`, `if !named && false {`, "receipt", "TestReceiptOfAnotherNetworkFails"},
		{"a receipt of another chain", "receipt/verify.go", "Verify", `if trust.chain != r.Chain {`, `if trust.chain != r.Chain && false {`, "receipt", "TestReceiptOfAnotherNetworkFails"},
		{"a receipt with another entry", "receipt/verify.go", "Finding.claim", `if err := r.Entry.Proof.Verify(appHash, r.Entry.Index, r.Entry.Entry); err != nil {`, `if err := r.Entry.Proof.Verify(appHash, r.Entry.Index, r.Entry.Entry); err != nil && false {`, "receipt", "TestEveryAlteredByteFails"},
		{"a receipt with another row", "receipt/verify.go", "Finding.claim", `if err := r.Row.Proof.Verify(appHash, r.Row.Key, value); err != nil {`, `if err := r.Row.Proof.Verify(appHash, r.Row.Key, value); err != nil && false {`, "receipt", "TestEveryAlteredByteFails"},
		{"an access log spliced onto another position", "receipt/verify.go", "Finding.auditClaim", `if err := c.Proof.Verify(appHash, audit.Key(c.Patient), row); err != nil {`, `if err := c.Proof.Verify(appHash, audit.Key(c.Patient), row); err != nil && false {`, "receipt", "TestEveryAlteredByteFails"},
		{"an access log cut at its end", "ledger/module/audit/verify.go", "VerifyExtension", `if pos != to {`, `if pos != to && false {`, "ledger/module/audit", "TestFalsifiedChainIsFound"},
		{"an access log with an entry left out", "ledger/module/audit/verify.go", "follows", `case r.Seq != pos.Seq+1:`, `case r.Seq != pos.Seq+1 && false:`, "ledger/module/audit", "TestFalsifiedChainIsFound"},
		{"an access log with an altered entry", "ledger/module/audit/verify.go", "follows", `case r.Prev != pos.Head:`, `case r.Prev != pos.Head && false:`, "ledger/module/audit", "TestFalsifiedChainIsFound"},
		{"an access log with another patient's entry", "ledger/module/audit/verify.go", "follows", `case r.Patient != patient:`, `case r.Patient != patient && false:`, "ledger/module/audit", "TestFalsifiedChainIsFound"},
		{"a state proof under another app hash", "ledger/state/proof.go", "KeyProof.leads", `if AppHash(tree, p.LogRoot, p.LogSize) != appHash {`, `if AppHash(tree, p.LogRoot, p.LogSize) != appHash && false {`, "ledger/state", "TestProofOfAnotherThingFails"},
		{"a snapshot of another state", "ledger/snapshot.go", "App.OfferSnapshot", `m.AppHash != [32]byte(req.AppHash)`, `m.AppHash == [32]byte{}`, "ledger", "TestSnapshotsThatAreRefused"},
		{"a snapshot with an altered chunk", "ledger/state/import.go", "Importer.Add", `sha256.Sum256(chunk) != p.manifest.Chunks[i]`, `sha256.Sum256(chunk) == [32]byte{}`, "ledger/state", "TestImportGoesOnAfterAWrongChunk"},
		{"double-signing that is not written down", "ledger/evidence.go", "execution.catch", `c.Append(EntryMisbehavior, m)`, `_ = m`, "ledger", "TestMisbehaviourIsLogged"},
		{"a double-signer that votes on", "ledger/module/governance/misbehaved.go", "sanction", `setValidator(c, m, nil, byRule)`, `noteSwitch(c, m, byRule)`, "ledger/module/governance", "TestDoubleSignerLeavesConsensusAndStaysAMember"},
		{"a double-signer that replaces its key in time", "ledger/module/governance/misbehaved.go", "sanction", `what := consequence(c.State, m, o.Height)`, `what := Gone
		if bytes.Equal(key, m.Validator) {
			what = consequence(c.State, m, o.Height)
		}`, "ledger/module/governance", "TestWhoReplacesItsKeyAnswersForTheOldOne"},
		{"a double-signer that comes back by itself", "ledger/module/governance/validator.go", "replaceValidator", `if len(by.Validator) == 0 {`, `if false {`, "ledger/module/governance", "TestDoubleSignerLeavesConsensusAndStaysAMember"},
		{"evidence that counts twice", "ledger/evidence.go", "execution.catch", `!offences.Has(c.State, id)`, `id != nil`, "ledger", "TestMisbehaviourIsLogged"},
		{"evidence that leaves too few validators", "ledger/module/governance/misbehaved.go", "consequence", `case uint64(len(Validators(r))) <= ParamsOf(r).ValidatorFloor:`, `case len(Validators(r)) <= 1:`, "ledger/module/governance", "TestMisbehaviourLeavesEnoughValidators"},
	}
}

func gateways() []Defence {
	return []Defence{
		{"a code redeemed by another app", "gateway/smart/exchange.go", "Server.redeem", `if row.Grant.Client != c.ID || now.Unix()`, `if now.Unix()`, "gateway/smart", "TestCodesServeOnceAndOnlyTheirOwn"},
		{"a code redeemed without its verifier", "gateway/smart/exchange.go", "Server.redeem", `!verifies(form.Get("code_verifier"), row.Challenge) || `, ``, "gateway/smart", "TestCodesServeOnceAndOnlyTheirOwn"},
		{"a code redeemed for another address", "gateway/smart/exchange.go", "Server.redeem", `form.Get("redirect_uri") != row.Redirect`, `false`, "gateway/smart", "TestCodesServeOnceAndOnlyTheirOwn"},
		{"a code redeemed twice", "gateway/smart/exchange.go", "Server.redeem", `if row.Used {`, `if row.Used && false {`, "gateway/smart", "TestCodeThatComesBackEndsWhatItGave"},
		{"a code redeemed too late", "gateway/smart/exchange.go", "Server.redeem", `now.Unix() >= row.Until || `, ``, "gateway/smart", "TestCodesServeOnceAndOnlyTheirOwn"},
		{"a refresh token used again", "gateway/smart/exchange.go", "Server.refresh", `[]byte(row.Refresh)) == 1`, `[]byte(row.Refresh)) <= 1`, "gateway/smart", "TestRefreshRotatesAndReuseEndsAll"},
		{"another app's refresh token", "gateway/smart/exchange.go", "Server.refresh", `row.Client != c.ID || !s.alive(rows, &row.Grant)`, `!s.alive(rows, &row.Grant)`, "gateway/smart", "TestRefreshTokenIsOneAppsAndEnds"},
		{"scopes widened by a refresh", "gateway/smart/exchange.go", "fewer", `!slices.ContainsFunc(granted, func(g Scope) bool { return g.covers(sc) })`, `false`, "gateway/smart", "TestRefreshRotatesAndReuseEndsAll"},
		{"more patients by a refresh for fewer scopes", "gateway/smart/exchange.go", "Server.issue", `if has(g.Scopes, PatientLevel) || `, `if has(scopes, PatientLevel) || `, "gateway/smart", "TestNarrowerRefreshStaysWithItsPatient"},
		{"scopes that the app is registered for no more", "gateway/smart/exchange.go", "Server.refresh", `s.sound(narrow(row.Scopes, c.Scopes))`, `s.sound(row.Scopes)`, "gateway/smart", "TestNarrowedRegistrationHoldsAtTheNextRefresh"},
		{"a launch used by another app", "gateway/smart/launch.go", "Server.launched", ` || row.Client != "" && row.Client != client`, ``, "gateway/smart", "TestLaunchIsOneAppsAndOnePersons"},
		{"a launch used by another person", "gateway/smart/authorize.go", "Server.signedIn", `case !f.launch.suits(f.user):`, `case !f.launch.suits(f.user) && false:`, "gateway/smart", "TestLaunchIsOneAppsAndOnePersons"},
		{"a relayed question in another's session", "gateway/portal/relay.go", "Portal.mine", `if err != nil || ls.Patient != s.account && ls.Actor != s.account {`, `if err != nil {`, "gateway/portal", "TestPatientAsksOnlyAboutHerself"},
		{"a patient who asks in her doctor's session", "gateway/portal/relay.go", "Portal.opened", `if err == nil && ls.Actor != s.account {`, `if err == nil && ls.Actor != s.account && false {`, "gateway/portal", "TestPatientAsksOnlyAboutHerself"},
		{"a stranger on the members' link", "internal/peer/identity.go", "Identity.serverTLS", `if _, ok := dir.ByKey(key); !ok {`, `if _, ok := dir.ByKey(key); !ok && false {`, "internal/peer", "TestStrangerGetsNoConnection"},
		{"a portal sign-in with a key that was revoked", "gateway/portal/prove.go", "Portal.signIn", `k.LiveAt(height) && `, `(k.LiveAt(height) || true) && `, "gateway/portal", "TestOnlyALiveKeyOverThisChallengeOpensASession"},
		{"a portal sign-in with a proof used before", "gateway/portal/prove.go", "Portal.signIn", `if !p.proofs.take(nonce, p.Now()) {`, `if !p.proofs.take(nonce, p.Now()) && false {`, "gateway/portal", "TestOnlyALiveKeyOverThisChallengeOpensASession"},
		{"another site's page in the portal's name", "gateway/portal/guard.go", "Portal.ours", `if origin != "" && origin != p.Origin {`, `if false {`, "gateway/portal", "TestEveryRouteIsDeniedToWhoMayNot"},
		{"a cursor of another user's search", "store/search.go", "reader.search", `at.Query != fingerprint(all, o.keys) || `, ``, "store", "TestACursorGoesWithItsSearchOnly"},
	}
}
