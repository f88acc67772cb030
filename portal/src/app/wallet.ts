/**
 * The ceremonies of a passkey in this browser: navigator.credentials with what
 * core builds. Nothing is kept here: the account is in the passkey itself.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { accountText, base64url, concat, keyText, type Registered, registered, requestOptions, u64, utf8 } from '../core'
import { type About, postJSON, Problem, type SessionInfo } from './api'
import { confirms } from './confirmed'

const zero = new Uint8Array(16)
const part = (s: string) => concat(u64(utf8(s).length), utf8(s))

/**
 * signInDigest is what a passkey signs to open a session (gateway/portal/prove.go).
 * It is computed here, with this page's own origin, so that a sign-in can never
 * be a transaction in disguise.
 */
export const signInDigest = (chain: string, account: Uint8Array, nonce: Uint8Array): Uint8Array =>
  sha256(concat(utf8('salus/portal/v1\0'), part(chain), part(window.location.origin), account, nonce))

const decode64 = (s: string) => Uint8Array.from(atob(s), (c) => c.charCodeAt(0))
export const encode64 = (b: Uint8Array) => btoa(String.fromCharCode(...b))

/** challenge gets a fresh one of the portal. @throws Problem */
export async function challenge(): Promise<Uint8Array> {
  return decode64((await postJSON<{ nonce: string }>('challenge', {})).nonce)
}

function usable(): void {
  if (!('credentials' in navigator) || typeof PublicKeyCredential === 'undefined') throw new Problem('noPasskeys', 'portal: no WebAuthn')
}

/** get asks for an assertion; what the browser refuses becomes one problem, for it does not say why. */
export async function get(about: About, digest: Uint8Array, credentials: readonly Uint8Array[]): Promise<PublicKeyCredential> {
  usable()
  try {
    const c = await navigator.credentials.get({ publicKey: requestOptions(digest, about.rpId, credentials) })
    if (c instanceof PublicKeyCredential) return c
  } catch {
    throw new Problem('passkey', 'portal: no assertion')
  }
  throw new Problem('passkey', 'portal: no assertion')
}

/** assertion is the answer of a passkey. @throws Problem */
export function assertion(c: PublicKeyCredential): AuthenticatorAssertionResponse {
  if (!(c.response instanceof AuthenticatorAssertionResponse)) throw new Problem('passkey', 'portal: no assertion')
  return c.response
}

/** proof is an assertion as the portal takes it. */
export const proof = (nonce: Uint8Array, r: AuthenticatorAssertionResponse) => ({
  nonce: encode64(nonce),
  authenticatorData: base64url(new Uint8Array(r.authenticatorData)),
  clientDataJSON: base64url(new Uint8Array(r.clientDataJSON)),
  signature: base64url(new Uint8Array(r.signature)),
})

/** signIn lets the person choose a passkey, whose user handle is the account. @throws Problem */
export async function signIn(about: About): Promise<SessionInfo> {
  const nonce = await challenge()
  const c = await get(about, signInDigest(about.chain, zero, nonce), [])
  const r = assertion(c)
  const handle = r.userHandle === null ? undefined : new Uint8Array(r.userHandle)
  if (handle?.length !== 16) throw new Problem('passkey', 'portal: not a passkey of this portal')
  const info = await postJSON<SessionInfo>('sign-in', { account: accountText(handle), proof: proof(nonce, r) })
  confirms(info.account, c)
  return info
}

/** enterAs signs in to a known account with one of those passkeys. @throws Problem */
export async function enterAs(about: About, account: Uint8Array, credentials: readonly Uint8Array[]): Promise<SessionInfo> {
  const nonce = await challenge()
  const c = await get(about, signInDigest(about.chain, account, nonce), credentials)
  const info = await postJSON<SessionInfo>('sign-in', { account: accountText(account), proof: proof(nonce, assertion(c)) })
  confirms(info.account, c)
  return info
}

/** makePasskey makes a passkey whose user handle is the account. @throws Problem, Refusal */
export async function makePasskey(about: About, account: Uint8Array): Promise<Registered> {
  usable()
  const name = `Salus ${accountText(account).slice(0, 8)}`
  let made: Credential | null
  try {
    made = await navigator.credentials.create({
      publicKey: {
        challenge: crypto.getRandomValues(new Uint8Array(32)),
        rp: { id: about.rpId, name: about.name },
        user: { id: new Uint8Array(account), name, displayName: name },
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        attestation: 'none',
        timeout: 120_000,
      },
    })
  } catch {
    throw new Problem('passkey', 'portal: no passkey was made')
  }
  if (!(made instanceof PublicKeyCredential) || !(made.response instanceof AuthenticatorAttestationResponse)) throw new Problem('passkey', 'portal: no passkey was made')
  return registered(made.response.attestationObject, about.rpId)
}

/**
 * signUp makes a passkey for a fresh random account, checks that it signs, and
 * has the organisation enrol both. @throws Problem, Refusal
 */
export async function signUp(about: About): Promise<SessionInfo> {
  const account = crypto.getRandomValues(new Uint8Array(16))
  const fresh = await makePasskey(about, account)
  const nonce = await challenge()
  const c = await get(about, signInDigest(about.chain, account, nonce), [fresh.credentialId])
  const info = await postJSON<SessionInfo>('sign-up', { account: accountText(account), key: keyText(fresh.key), proof: proof(nonce, assertion(c)) })
  confirms(info.account, c)
  return info
}
