// Package portal serves the web portal of one organisation: the built app, and the API
// that the app in a patient's or a member of staff's browser talks to.
//
//	portal.go    what a Portal is made of
//	routes.go    every route on one page, and who may call it
//	guard.go     origin, session, role, bounds: before any handler
//	session.go   sessions in memory, with idle and absolute end
//	prove.go     who an account's holder is: a signature over a challenge
//	enrol.go     sign-up by passkey, and claims of a pseudonym
//	ledger.go    facts of the chain, transactions, queries of a patient's own
//	relay.go     the custodians' sealed answers
//	events.go    news of a patient's own log (server-sent events)
//	staff.go     sign-in of staff by the authorisation server, FHIR with the portal's token
//	staffkey.go  passkeys of staff: registered, signed in with, removed
//	attested.go  what a browser says of a new passkey
//	stepup.go    an emergency, declared with a passkey
//	bearer.go    what a staff session reads with: tokens, exchanged and given back
//	desk.go      for clinicians: how a chart's session stands, who holds a pseudonym
//	handover.go  for clinicians: the claim code of a patient who stands there
//	admin.go     for administrators: registering staff, importing
//	recover.go   for who lost all her keys, and for guardians
//	duty.go      for staff: what emergencies and lost keys ask of them
//	erased.go    what a patient sees of her erasures
//	block.go     what everybody may see of a block, and the committee
//	limit.go     how often strangers may ask
//	headers.go   what every answer says to the browser
//	assets.go    the built app
//	errors.go    the only place where an error becomes an answer
//
// It has a listener of its own, so that its origin is nobody else's: the FHIR server and
// its apps live on another. Scripts of an app, and tokens of the operator's API, are
// therefore out of each other's reach, and a passkey's relying party is the portal's
// host name. Browsers allow no passkeys on an address of numbers, so a development
// network is reached at http://localhost:<port>; elsewhere a proxy ends TLS, keeps the
// Host header, and the configuration names the origin.
//
// Contract: a patient's session is given for a signature by a live key of her account
// on the ledger, made for this origin and this challenge alone. Every route but those of
// the chain's public facts checks that what is asked for is the session's own. Cookies
// are HttpOnly and SameSite=Strict; a request that another site caused is refused. What
// is relayed for a patient is ciphertext that only her wallet opens. Staff read through
// the FHIR server with an access token that the browser never sees.
//
// It must never hold a patient's key or plaintext, never let one account read what the
// ledger says about another patient, and never decide who may see a record.
package portal
