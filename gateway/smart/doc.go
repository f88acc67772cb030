// Package smart is the authorisation server beside the FHIR API: OAuth 2.0 and
// OpenID Connect as SMART App Launch 2.2.0 profiles them (hl7.org/fhir/smart-app-launch),
// for apps that a person starts, apps that the EHR starts, and backend services.
//
//	server.go     what a Server is made of, its routes
//	discover.go   smart-configuration, OpenID configuration, keys of ID tokens
//	scope.go      one scope: v1 and v2 syntax, with the query part
//	narrow.go     what of the asked scopes is given
//	client.go     apps: what is registered of each
//	register.go   dynamic registration (RFC 7591)
//	assertion.go  who an app is: private_key_jwt, secret, or public
//	fetch.go      an app's key set from its URL, without reaching into this network
//	launch.go     what the EHR had open when it started an app
//	authorize.go  the authorisation request
//	signin.go     who the person is: a one-time code
//	provider.go   or the organisation's OpenID provider
//	passkey.go    passkeys of staff, for the organisation's portal
//	admit.go      who signed in at that portal, in without a page
//	approve.go    what she allows, for which patient and purpose
//	page.go       the pages: no script, nothing from elsewhere
//	exchange.go   codes, refresh tokens and client credentials for access tokens
//	token.go      what an access token allows
//	inspect.go    introspection (RFC 7662) and revocation (RFC 7009)
//	manage.go     what a person has allowed, and how she takes it back
//	keeper.go     where all that is kept
//	pebble.go     on disk, encrypted
//
// Contract: nothing is granted that was not asked, registered and allowed, each. A
// purpose of use is stated by the EHR, the app or the person, and never inferred.
// Codes serve once; a code or refresh token that comes back ends what it gave. A
// token that is revoked is refused at the next request. Secrets are kept as hashes.
//
// It must never decide who may see which record: that is the Guard's, who reads a
// Token. It must never log or put into an error a token, a code, a name or an id of
// a patient, and never send a person anywhere but to an address that was registered.
package smart
