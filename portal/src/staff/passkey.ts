/**
 * Passkeys of staff: the ceremonies behind signing in, registering and declaring
 * an emergency (gateway/portal/staffkey.go, stepup.go). They sign nothing on the
 * ledger: staff's keys there lie at the node.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { base64url, concat, hex, u64, utf8 } from '../core'
import { type About, getJSON, postJSON, Problem, type SessionInfo } from '../app/api'
import { assertion, get, proof } from '../app/wallet'

/** Known is a passkey as the server lists it; id in base64url. */
export interface Known {
  readonly id: string
  readonly label: string
  readonly made: string
  readonly used?: string
}

export interface Registered {
  readonly handle: string
  /** she signed in just now, and may change them */
  readonly fresh: boolean
  readonly keys: readonly Known[]
}

/** How is how somebody declares an emergency. */
export interface How {
  readonly may: boolean
  readonly passkey: boolean
  /** seconds that a step-up may be old */
  readonly age: number
}

/** Wish is what is declared: patient as this organisation refers to her. */
export interface Wish {
  readonly step: 'declare' | 'widen'
  readonly patient: string
  readonly reason: string
  readonly seconds: number
}

const part = (s: string) => concat(u64(utf8(s).length), utf8(s))
const bytes = (s: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(s.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))

/**
 * staffDigest is what a passkey of staff signs, or is made over. It is computed
 * here, with this page's own origin and what the person sees, so that no other
 * page and no other declaration can use it.
 */
export const staffDigest = (chain: string, origin: string, what: string, nonce: Uint8Array): Uint8Array<ArrayBuffer> =>
  new Uint8Array(sha256(concat(utf8('salus/portal/staff/v1\0'), part(chain), part(origin), part(what), nonce)))

/** declared is a declaration as staffDigest takes it. */
export const declared = (w: Wish, pseudonym: string, time: number): string =>
  `emergency ${w.step} ${pseudonym} ${hex(sha256(utf8(w.reason)))} ${w.seconds} ${time}`

/** signInStaff lets a practitioner choose a passkey that she registered here. @throws Problem */
export async function signInStaff(about: About, purpose: string): Promise<SessionInfo> {
  const { nonce } = await postJSON<{ nonce: string }>('staff/challenge', {})
  const n = bytes(nonce)
  const c = await get(about, staffDigest(about.chain, window.location.origin, 'sign-in', n), [])
  try {
    return await postJSON<SessionInfo>('staff/sign-in', { id: base64url(new Uint8Array(c.rawId)), purpose, proof: proof(n, assertion(c)) })
  } catch (err) {
    if (err instanceof Problem && err.code === 'proof') throw new Problem('staffPasskey', err.message)
    throw err
  }
}

/** register makes a passkey for who is signed in. @throws Problem */
export async function register(about: About, name: string, label: string): Promise<Registered> {
  if (!('credentials' in navigator) || typeof PublicKeyCredential === 'undefined') throw new Problem('noPasskeys', 'portal: no WebAuthn')
  const have = await getJSON<Registered>('staff/passkeys')
  const { nonce } = await postJSON<{ nonce: string }>('staff/passkeys/challenge', {})
  let made: Credential | null
  try {
    made = await navigator.credentials.create({
      publicKey: {
        challenge: staffDigest(about.chain, window.location.origin, 'register', bytes(nonce)),
        rp: { id: about.rpId, name: about.name },
        user: { id: bytes(have.handle), name, displayName: name },
        pubKeyCredParams: [{ type: 'public-key', alg: -7 }],
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        excludeCredentials: have.keys.map((k) => ({ type: 'public-key', id: bytes(k.id) })),
        attestation: 'none',
        timeout: 120_000,
      },
    })
  } catch {
    throw new Problem('passkey', 'portal: no passkey was made')
  }
  if (!(made instanceof PublicKeyCredential) || !(made.response instanceof AuthenticatorAttestationResponse)) throw new Problem('passkey', 'portal: no passkey was made')
  const r = made.response
  return postJSON<Registered>('staff/passkeys', {
    label, nonce, authenticatorData: base64url(new Uint8Array(r.getAuthenticatorData())), clientDataJSON: base64url(new Uint8Array(r.clientDataJSON)),
  })
}

/** declare has her confirm a declaration with her passkey, and declares it. The session is then one for the purpose BTG. @throws Problem */
export async function declare(about: About, wish: Wish): Promise<SessionInfo> {
  const c = await postJSON<{ nonce: string; patient: string; time: number }>('emergency/challenge', wish)
  const n = bytes(c.nonce)
  const signed = await get(about, staffDigest(about.chain, window.location.origin, declared(wish, c.patient, c.time), n), [])
  return postJSON<SessionInfo>('emergency', { id: base64url(new Uint8Array(signed.rawId)), proof: proof(n, assertion(signed)) })
}
