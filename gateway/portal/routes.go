package portal

import "net/http"

// A route is one line of the API.
type route struct {
	pattern    string
	who        role  // whose session it needs; nobody: none
	bytes      int64 // of the body
	limited    bool  // strangers may not call it at will
	background bool  // does not keep a session alive
	navigated  bool  // a browser may come to it from elsewhere
	leaves     bool  // ends the session: nothing is asked for it any more
	handle     func(http.ResponseWriter, *http.Request, *session) error
}

const (
	small  = 96 << 10 // a transaction is at most 64 KiB
	medium = 4 << 20
	large  = 256 << 20 // a document or table
	whole  = 1 << 30   // an import
)

// table is the whole API.
func (p *Portal) table() []route {
	return []route{
		// For everybody: what the portal is, and the chain's public facts.
		{pattern: "GET /api/about", handle: p.about},
		{pattern: "GET /api/genesis", handle: p.genesis},
		{pattern: "GET /api/head", background: true, handle: p.head},
		{pattern: "GET /api/node", background: true, handle: p.standing},
		{pattern: "GET /api/headers/{height}", handle: p.header},
		{pattern: "GET /api/blocks", handle: p.blocks},
		{pattern: "GET /api/blocks/{height}/txs", handle: p.blockTxs},
		{pattern: "GET /api/members", handle: p.members},
		{pattern: "GET /api/committee", handle: p.committee},
		// Becoming somebody.
		{pattern: "POST /api/challenge", limited: true, bytes: 1 << 10, handle: p.challenge},
		{pattern: "POST /api/sign-in", limited: true, bytes: 8 << 10, handle: p.signIn},
		{pattern: "POST /api/sign-up", limited: true, bytes: 8 << 10, handle: p.signUp},
		{pattern: "POST /api/claim/start", limited: true, bytes: 8 << 10, handle: p.claimStart},
		{pattern: "POST /api/claim", limited: true, bytes: small, handle: p.claim},
		// Who lost all her keys: what becomes of the key of her new device.
		{pattern: "POST /api/recover", limited: true, bytes: 8 << 10, handle: p.recoverStart},
		{pattern: "GET /api/recover", who: newcomer, background: true, handle: p.recoverStatus},
		{pattern: "POST /api/recover/finish", who: newcomer, bytes: 1 << 10, handle: p.recoverFinish},
		// A session of any kind.
		{pattern: "GET /api/session", who: anyone, background: true, handle: p.sessionInfo},
		{pattern: "POST /api/session", who: anyone, bytes: 1 << 10, handle: p.sessionInfo}, // somebody is there
		{pattern: "DELETE /api/session", who: anyone, leaves: true, handle: p.signOut},
		// A patient's own account on the ledger.
		{pattern: "POST /api/slots", who: patient, bytes: 1 << 10, handle: p.takeIn},
		{pattern: "GET /api/nonce", who: patient, handle: p.nonce},
		{pattern: "POST /api/tx", who: patient, bytes: small, handle: p.submit},
		{pattern: "GET /api/tx/{id}", who: patient, background: true, handle: p.result},
		{pattern: "GET /api/query/{module}/{name}", who: patient, handle: p.query},
		{pattern: "GET /api/receipts/log", who: patient, background: true, handle: p.logReceipt},
		{pattern: "GET /api/receipts/entry/{index}", who: patient, handle: p.entryReceipt},
		{pattern: "GET /api/receipts/erasure/{id}", who: patient, handle: p.erasureReceipt},
		{pattern: "GET /api/own", who: patient, handle: p.ownRecords}, // while the ledger stands still
		{pattern: "GET /api/acting/{account}", who: patient, handle: p.acting},
		{pattern: "POST /api/guardian", who: patient, bytes: 4 << 10, handle: p.guardian},
		// Public facts of the ledger with their proofs, so that her wallet believes nobody.
		{pattern: "GET /api/proofs/row/{key}", who: patient, handle: p.rowProof},
		{pattern: "GET /api/proofs/entry/{index}", who: patient, handle: p.factEntryProof},
		{pattern: "POST /api/proofs", who: patient, bytes: small, handle: p.factProofs},
		{pattern: "GET /api/events", who: patient, background: true, handle: p.events},
		// Custodians, for her wallet: answers that only it opens.
		{pattern: "POST /api/relay/{custodian}/locate", who: patient, bytes: small, handle: p.relayLocate},
		{pattern: "POST /api/relay/{custodian}/release", who: patient, bytes: medium, handle: p.relayRelease},
		{pattern: "POST /api/relay/{custodian}/openings", who: patient, bytes: small, handle: p.relayOpenings},
		{pattern: "GET /api/relay/blob/{address}", who: patient, handle: p.relayBlob},
		{pattern: "POST /api/relay/blobs", who: patient, bytes: 8 << 10, handle: p.relayBlobs},
		{pattern: "GET /api/relay/batch/{header}", who: patient, handle: p.relayBatch},
		{pattern: "GET /api/relay/session/{session}", who: patient, handle: p.relaySession},
		{pattern: "GET /api/relay/committee", who: patient, handle: p.relayCommittee},
		// Staff: in by the authorisation server, then through the FHIR server.
		{pattern: "GET /api/staff/start", limited: true, navigated: true, handle: p.staffStart},
		{pattern: "GET /api/staff/callback", limited: true, navigated: true, handle: p.staffBack},
		{pattern: "POST /api/staff/challenge", limited: true, bytes: 1 << 10, handle: p.staffChallenge},
		{pattern: "POST /api/staff/sign-in", limited: true, bytes: 8 << 10, handle: p.staffSignIn},
		{pattern: "GET /api/staff/passkeys", who: staff, handle: p.passkeys},
		{pattern: "POST /api/staff/passkeys", who: staff, bytes: 16 << 10, handle: p.registerPasskey},
		{pattern: "POST /api/staff/passkeys/challenge", who: staff, bytes: 1 << 10, handle: p.passkeyChallenge},
		{pattern: "DELETE /api/staff/passkeys/{key}", who: staff, handle: p.removePasskey},
		{pattern: "GET /api/emergency", who: staff, background: true, handle: p.emergencyHow},
		{pattern: "POST /api/emergency/challenge", who: staff, bytes: 4 << 10, handle: p.emergencyChallenge},
		{pattern: "POST /api/emergency", who: staff, bytes: 8 << 10, handle: p.emergencyDeclare},
		{pattern: "/api/fhir/", who: staff, bytes: 16 << 20, handle: p.fhir},
		{pattern: "GET /api/chart", who: staff, background: true, handle: p.chartOf},
		{pattern: "GET /api/chart/{session}", who: staff, background: true, handle: p.chartState},
		{pattern: "DELETE /api/chart/{session}", who: staff, handle: p.closeChart},
		{pattern: "GET /api/patients/{account}", who: staff, handle: p.findPatient},
		{pattern: "POST /api/patients/{account}", who: staff, bytes: 1 << 10, handle: p.adoptPatient},
		{pattern: "POST /api/claims", who: staff, bytes: 1 << 10, handle: p.handOver},
		{pattern: "GET /api/duties", who: staff, handle: p.duties},
		{pattern: "POST /api/duties/attest", who: staff, bytes: 4 << 10, handle: p.dutyAttest},
		{pattern: "POST /api/duties/review", who: staff, bytes: 4 << 10, handle: p.dutyReview},
		{pattern: "POST /api/duties/reproof", who: staff, bytes: 4 << 10, handle: p.dutyReproof},
		{pattern: "POST /api/duties/case", who: staff, bytes: 4 << 10, handle: p.dutyCase},
		{pattern: "POST /api/duties/finish", who: staff, bytes: 4 << 10, handle: p.dutyFinish},
		{pattern: "POST /api/duties/approve", who: staff, bytes: 4 << 10, handle: p.dutyApprove},
		{pattern: "POST /api/duties/cancel", who: staff, bytes: 4 << 10, handle: p.dutyCancel},
		// Administrators: routes of the operator's API.
		{pattern: "GET /api/admin/{what}", who: admin, background: true, handle: p.adminRead},
		{pattern: "POST /api/admin/staff/{name}", who: admin, bytes: small, handle: p.adminRegister},
		{pattern: "POST /api/admin/staff/{name}/code", who: admin, bytes: 1 << 10, handle: p.adminInvite},
		{pattern: "GET /api/admin/staff/{name}/passkeys", who: admin, handle: p.adminPasskeys},
		{pattern: "DELETE /api/admin/staff/{name}/passkeys/{key}", who: admin, handle: p.adminTakePasskey},
		{pattern: "POST /api/admin/import", who: admin, bytes: whole, handle: p.adminImport},
		{pattern: "POST /api/admin/intake/{what}", who: admin, bytes: large, handle: p.adminIntake},
	}
}

func (p *Portal) routes() {
	p.mux = http.NewServeMux()
	for _, rt := range p.table() {
		p.mux.Handle(rt.pattern, p.serve(rt))
	}
	// What is not in the table does not exist.
	p.mux.Handle("/api/", p.serve(route{handle: func(http.ResponseWriter, *http.Request, *session) error { return errUnknown }}))
	// Without a method: a pattern with one conflicts with those above, which have none.
	p.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if r.Host != p.host {
			p.fail(w, r, errOrigin)
			return
		}
		if err := p.asset(w, r); err != nil {
			p.fail(w, r, err)
		}
	})
}
