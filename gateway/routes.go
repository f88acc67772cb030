package gateway

import "net/http"

// A route is one line of the API.
type route struct {
	pattern string // method and path of net/http.ServeMux
	access  access
	handle  func(http.ResponseWriter, *http.Request) error
}

// access says who may call a route and how much it may send.
type access struct {
	open  bool  // without the bearer token
	bytes int64 // of the body
	told  bool  // what is answered is in the log before it leaves
}

var (
	noToken = access{open: true}
	small   = access{bytes: 1 << 20}  // a message, a transaction
	medium  = access{bytes: 16 << 20} // a list of records
	whole   = access{bytes: 1 << 30}  // an import; it is not held in memory
	told    = access{bytes: 1 << 20, told: true}
)

// table is the whole API.
func (g *Gateway) table() []route {
	return []route{
		// Operators and monitoring, without the token.
		{"GET /healthz", noToken, g.healthz},
		{"GET /readyz", noToken, g.readyz},
		{"GET /metrics", noToken, g.metrics},
		// The ledger.
		{"GET /v1/status", small, g.status},
		{"GET /v1/head", small, g.head},
		{"GET /v1/nonce/{account}", small, g.nonce},
		{"POST /v1/tx", small, g.broadcast},
		{"GET /v1/tx/{id}", small, g.result},
		{"GET /v1/tx/{id}/raw", small, g.raw},
		{"POST /v1/submit/{kind}", small, g.submit}, // signed by this organisation or, with ?as=, one of its staff
		{"GET /v1/query/{module}/{name}", small, g.query},
		{"GET /v1/receipts/entry/{index}", small, g.entryReceipt},
		{"GET /v1/receipts/audit/{patient}", told, g.auditReceipt},
		{"GET /v1/erasure/{case}/receipt", small, g.erasureReceipt},
		{"POST /v1/erasure/{case}/probe", small, g.probeErasure},
		{"GET /v1/members", small, g.members},
		// The organisation's own records.
		{"POST /v1/import", whole, g.imports},
		{"GET /v1/patients", told, g.patients},
		{"POST /v1/patients/{patient}/adopt", told, g.adopt},
		{"POST /v1/patients/{patient}/claim", told, g.claimCode},
		{"POST /v1/patients/{patient}/identifiers", told, g.enrolIdentifier},
		{"GET /v1/patients/{patient}/records", told, g.records},
		{"GET /v1/patients/{patient}/log", told, g.log},
		{"GET /v1/records/{id}", told, g.record},
		{"GET /v1/records/{id}/place", small, g.place},
		{"GET /v1/staff", small, g.staff},
		{"POST /v1/staff/{name}", small, g.register},
		// Accountings of disclosures (45 CFR 164.528).
		{"GET /v1/accounting", small, g.accounting},
		{"POST /v1/accounting/disclosures", small, g.disclosed},
		{"POST /v1/accounting/suspensions", small, g.suspend},
		{"POST /v1/accounting/suspensions/{number}/resume", small, g.resume},
		{"POST /v1/accounting/studies", small, g.study},
		{"POST /v1/accounting/addresses", small, g.address},
		// Apps on the FHIR server.
		{"GET /v1/apps", small, g.apps},
		{"POST /v1/apps", small, g.registerApp},
		{"DELETE /v1/apps/{id}", small, g.dropApp},
		{"POST /v1/codes", small, g.newCode},
		{"POST /v1/launches", small, g.launch},
		// HL7 v2 feeds.
		{"GET /v1/feeds", small, g.feeds},
		{"GET /v1/feeds/{name}/letters", small, g.feedLetters},
		{"GET /v1/feeds/{name}/messages/{number}", small, g.feedMessage},
		{"GET /v1/feeds/{name}/lost", small, g.feedLost},
		{"POST /v1/feeds/{name}/letters/{number}/replay", small, g.feedReplay},
		{"DELETE /v1/feeds/{name}/letters/{number}", small, g.feedDiscard},
		{"POST /v1/feeds/{name}/messages/{number}/aside", small, g.feedAside},
		{"POST /v1/feeds/{name}/send", medium, g.feedSend},
		// Finding a patient by identifiers.
		{"POST /v1/lookups", told, g.findPatient},
		{"POST /v1/merges/{case}/slots", small, g.mergeSlots},
		// Reading other organisations' records through the ledger.
		{"POST /v1/sessions", small, g.openSession},
		{"GET /v1/sessions/{session}/records", small, g.locate},
		{"POST /v1/sessions/{session}/read", medium, g.read},
		{"POST /v1/sessions/{session}/widen", small, g.widen}, // the second step of an emergency
		{"DELETE /v1/sessions/{session}", small, g.closeSession},
		// For wallets: answers that only they can open.
		{"POST /v1/relay/{custodian}/locate", medium, g.relayLocate},
		{"POST /v1/relay/{custodian}/release", medium, g.relayRelease},
		{"POST /v1/relay/{custodian}/openings", medium, g.relayOpenings},
		{"GET /v1/relay/blob/{address}", small, g.relayBlob},
		{"GET /v1/relay/batch/{header}", small, g.relayBatch},
		{"GET /v1/relay/session/{session}", small, g.relaySession},
		{"GET /v1/relay/committee", small, g.relayCommittee},
		// Custody and vault.
		{"GET /v1/custody", small, g.custody},
		{"GET /v1/journal", small, g.journal}, // this gateway's own, compared with its heads on the ledger
		{"GET /v1/vault", small, g.vaultStats},
		{"POST /v1/vault/scrub", small, g.scrub},
		{"POST /v1/vault/repair", small, g.repair},
	}
}

func (g *Gateway) routes() http.Handler {
	m := http.NewServeMux()
	for _, r := range g.table() {
		m.Handle(r.pattern, g.serve(r))
	}
	for path, h := range g.Parts {
		m.Handle(path, g.part(h))
	}
	// What is not in the table does not exist, for those who may ask.
	m.Handle("/", g.serve(route{access: access{}, handle: func(http.ResponseWriter, *http.Request) error { return errUnknown }}))
	return m
}
