package gateway

import "net/http"

// routes is the whole API.
func (g *Gateway) routes() http.Handler {
	m := http.NewServeMux()
	// Operators and monitoring, without the token.
	m.Handle("GET /healthz", g.open(g.healthz))
	m.Handle("GET /readyz", g.open(g.readyz))
	m.Handle("GET /metrics", g.metrics())
	// The ledger.
	m.Handle("GET /v1/status", g.authorised(g.status))
	m.Handle("GET /v1/head", g.authorised(g.head))
	m.Handle("GET /v1/nonce/{account}", g.authorised(g.nonce))
	m.Handle("POST /v1/tx", g.authorised(g.broadcast))
	m.Handle("GET /v1/tx/{id}", g.authorised(g.result))
	m.Handle("GET /v1/tx/{id}/raw", g.authorised(g.raw))
	m.Handle("POST /v1/submit/{kind}", g.authorised(g.submit)) // signed by this organisation or, with ?as=, one of its staff
	m.Handle("GET /v1/query/{module}/{name}", g.authorised(g.query))
	m.Handle("GET /v1/receipts/entry/{index}", g.authorised(g.entryReceipt))
	m.Handle("GET /v1/receipts/audit/{patient}", g.authorised(g.auditReceipt))
	m.Handle("GET /v1/members", g.authorised(g.members))
	// The organisation's own records.
	m.Handle("POST /v1/import", g.authorised(g.imports))
	m.Handle("GET /v1/patients", g.authorised(g.patients))
	m.Handle("POST /v1/patients/{patient}/adopt", g.authorised(g.adopt))
	m.Handle("POST /v1/patients/{patient}/claim", g.authorised(g.claimCode))
	m.Handle("GET /v1/patients/{patient}/records", g.authorised(g.records))
	m.Handle("GET /v1/patients/{patient}/log", g.authorised(g.log))
	m.Handle("GET /v1/records/{id}", g.authorised(g.record))
	m.Handle("GET /v1/staff", g.authorised(g.staff))
	m.Handle("POST /v1/staff/{name}", g.authorised(g.register))
	// Reading other organisations' records through the ledger.
	m.Handle("POST /v1/sessions", g.authorised(g.openSession))
	m.Handle("GET /v1/sessions/{session}/records", g.authorised(g.locate))
	m.Handle("POST /v1/sessions/{session}/read", g.authorised(g.read))
	m.Handle("DELETE /v1/sessions/{session}", g.authorised(g.closeSession))
	// For wallets: answers that only they can open.
	m.Handle("POST /v1/relay/{custodian}/locate", g.authorised(g.relayLocate))
	m.Handle("POST /v1/relay/{custodian}/release", g.authorised(g.relayRelease))
	m.Handle("POST /v1/relay/{custodian}/openings", g.authorised(g.relayOpenings))
	m.Handle("GET /v1/relay/blob/{address}", g.authorised(g.relayBlob))
	m.Handle("GET /v1/relay/batch/{header}", g.authorised(g.relayBatch))
	m.Handle("GET /v1/relay/session/{session}", g.authorised(g.relaySession))
	m.Handle("GET /v1/relay/committee", g.authorised(g.relayCommittee))
	// Custody and vault.
	m.Handle("GET /v1/custody", g.authorised(g.custody))
	m.Handle("GET /v1/vault", g.authorised(g.vaultStats))
	m.Handle("POST /v1/vault/scrub", g.authorised(g.scrub))
	m.Handle("POST /v1/vault/repair", g.authorised(g.repair))
	return m
}
