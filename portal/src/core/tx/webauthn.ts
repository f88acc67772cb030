/**
 * What a browser's WebAuthn API gives and takes, turned into the ledger's form.
 * Nothing here calls navigator.credentials: the app does, with these options.
 */
import { concat, equal, unbase64 } from '../wire/bytes.ts'
import { malformed, NodeMap, parse, parsePrefix } from '../wire/cbor.ts'
import { badKey, badPasskey, unknownAlgorithm } from './codes.ts'
import type { Signature } from './envelope.ts'
import { algPasskey, keyId, p256Point, passkeyKey, type PublicKey } from './key.ts'
import { normalizeES256, type PasskeyPolicy } from './passkey.ts'
import { verifySignature } from './verify.ts'

/** Assertion is the part of an AuthenticatorAssertionResponse that is needed. */
export interface Assertion {
  readonly authenticatorData: ArrayBuffer | Uint8Array
  readonly clientDataJSON: ArrayBuffer | Uint8Array
  readonly signature: ArrayBuffer | Uint8Array
}

const copy = (b: ArrayBuffer | Uint8Array): Uint8Array => (b instanceof Uint8Array ? b.slice() : new Uint8Array(b.slice(0)))

/** RequestOptions is a PublicKeyCredentialRequestOptions without extensions. */
export interface RequestOptions {
  challenge: Uint8Array<ArrayBuffer>
  rpId: string
  allowCredentials: { type: 'public-key'; id: Uint8Array<ArrayBuffer> }[]
  userVerification: 'required' | 'preferred'
  timeout: number
}

const own = (b: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(b)

/** requestOptions asks a passkey to sign a transaction: the challenge is the transaction's digest. */
export function requestOptions(digest: Uint8Array, rpId: string, credentials: readonly Uint8Array[], uv: 'required' | 'preferred' = 'required'): RequestOptions {
  const allowCredentials = credentials.map((id) => ({ type: 'public-key' as const, id: own(id) }))
  return { challenge: own(digest), rpId, allowCredentials, userVerification: uv, timeout: 120_000 }
}

/**
 * signatureOf assembles the ledger's form of an assertion and verifies it as
 * every validator will, so that a wallet shows a refusal before it sends.
 * @throws Refusal
 */
export function signatureOf(account: Uint8Array, key: PublicKey, digest: Uint8Array, a: Assertion, policy: PasskeyPolicy): Signature {
  const s: Signature = {
    account,
    key: keyId(key),
    alg: algPasskey,
    sig: normalizeES256(copy(a.signature)),
    authData: copy(a.authenticatorData),
    clientData: copy(a.clientDataJSON),
  }
  verifySignature(key, digest, s, policy)
  return s
}

/** Registered is a new passkey. */
export interface Registered {
  readonly credentialId: Uint8Array
  readonly key: PublicKey
  /** the authenticator verified its user */
  readonly userVerified: boolean
  /** it may be synced to other devices of its user (BE flag) */
  readonly backupEligible: boolean
}

/**
 * registered reads an attestation object (WebAuthn Level 3 section 6.5) for the
 * relying party of that id. The attestation statement is not looked at: who
 * enrols a key vouches for it. Only ES256 is taken.
 * @throws Refusal malformed, passkey, unknown-algorithm, bad-key
 */
export function registered(attestationObject: ArrayBuffer | Uint8Array, rpId: string): Registered {
  const top = parse(copy(attestationObject), { elements: 64 })
  const data = top instanceof NodeMap ? top.pairs.find(([k]) => k === 'authData')?.[1] : undefined
  if (!(data instanceof Uint8Array) || data.length < 55) throw badPasskey()
  const flags = data[32] ?? 0
  if ((flags & 0x41) !== 0x41) throw badPasskey() // UP and AT
  const size = ((data[53] ?? 0) << 8) | (data[54] ?? 0)
  if (data.length < 55 + size) throw badPasskey()
  const key = passkeyKey(coseKey(data.subarray(55 + size)), rpId)
  if (!equal(data.subarray(0, 32), key.rpIdHash)) throw badPasskey()
  return { credentialId: data.slice(55, 55 + size), key, userVerified: (flags & 4) !== 0, backupEligible: (flags & 8) !== 0 }
}

/**
 * coseKey extracts X || Y from a COSE EC2 key at the front of b: kty 2, alg -7,
 * crv 1 (RFC 9053 section 7.1.1).
 */
export function coseKey(b: Uint8Array): Uint8Array {
  const m = parsePrefix(b, { elements: 64 })
  if (!(m instanceof NodeMap)) throw malformed()
  const get = (k: bigint) => m.pairs.find(([x]) => x === k)?.[1]
  if (get(1n) !== 2n || get(3n) !== -7n || get(-1n) !== 1n) throw unknownAlgorithm()
  const x = get(-2n)
  const y = get(-3n)
  if (!(x instanceof Uint8Array) || !(y instanceof Uint8Array) || x.length !== 32 || y.length !== 32) throw badKey()
  const xy = concat(x, y)
  p256Point(xy)
  return xy
}

/** fromJSON reads base64url fields of the JSON form of an assertion (WebAuthn Level 3 section 5.1.9). @throws Refusal passkey */
export function assertionFromJSON(j: { authenticatorData: string; clientDataJSON: string; signature: string }): Assertion {
  const read = (s: string) => {
    const b = unbase64(s)
    if (b === undefined) throw badPasskey()
    return b
  }
  return { authenticatorData: read(j.authenticatorData), clientDataJSON: read(j.clientDataJSON), signature: read(j.signature) }
}
