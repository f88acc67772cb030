/**
 * Passkeys: what a browser's assertion must be to sign a transaction
 * (spec/tx.md section 6, WebAuthn Level 3 section 7.2), checked over bytes.
 */
import { p256 } from '@noble/curves/nist.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { base64url, compare, concat, equal, fromUtf8, startsWith, utf8 } from '../wire/bytes.ts'
import { badPasskey, badSignature, fieldLength, highS, passkeyClientData, passkeyFlags, passkeyOrigin, passkeyRP, userVerification } from './codes.ts'
import type { Signature } from './envelope.ts'
import { p256Point, type PublicKey } from './key.ts'

/** PasskeyPolicy is what the network asks of an assertion. */
export interface PasskeyPolicy {
  /** exact serialized origins that may sign */
  readonly origins: readonly string[]
  /** the authenticator must have verified its user */
  readonly requireUV: boolean
}

const flag = { UP: 1, UV: 4, BE: 8, BS: 16, AT: 64, ED: 128 } as const

/** verifyPasskey checks an assertion over digest. @throws Refusal */
export function verifyPasskey(key: PublicKey, digest: Uint8Array, s: Signature, policy: PasskeyPolicy): void {
  checkAuthData(s.authData, key.rpIdHash, policy.requireUV)
  checkClientData(s.clientData, digest, policy.origins)
  const point = p256Point(key.key)
  if (compare(s.sig.subarray(32), halfN) > 0) throw highS()
  const message = concat(s.authData, sha256(s.clientData))
  let ok = false
  try {
    ok = p256.verify(s.sig, message, point, { prehash: true, lowS: true })
  } catch {
    ok = false // r or s out of range
  }
  if (!ok) throw badSignature()
}

/** The greatest low s: (n - 1) / 2 for the order n of P-256. */
const halfN = bigBytes((p256.Point.Fn.ORDER - 1n) / 2n)

function bigBytes(v: bigint): Uint8Array {
  const out = new Uint8Array(32)
  for (let i = 31; i >= 0; i--) {
    out[i] = Number(v & 0xffn)
    v >>= 8n
  }
  return out
}

function checkAuthData(ad: Uint8Array, rpIdHash: Uint8Array, requireUV: boolean): void {
  if (ad.length < 37 || ad.length > 512) throw fieldLength()
  if (!equal(ad.subarray(0, 32), rpIdHash)) throw passkeyRP()
  const f = ad[32] ?? 0
  if ((f & flag.UP) === 0 || ((f & flag.BS) !== 0 && (f & flag.BE) === 0) || (f & flag.AT) !== 0) throw passkeyFlags()
  if (requireUV && (f & flag.UV) === 0) throw userVerification()
  if ((f & flag.ED) === 0 ? ad.length !== 37 : !isPRFOutput(ad.subarray(37))) throw badPasskey()
}

const hmacSecret = concat(new Uint8Array([0xa1, 0x6b]), utf8('hmac-secret'), new Uint8Array([0x58]))

/** The one extension that a wallet may ask for: the output of PRF, {"hmac-secret": bytes} (CTAP 2.1 section 12.5). */
function isPRFOutput(ext: Uint8Array): boolean {
  if (!startsWith(ext, hmacSecret)) return false
  const n = ext[hmacSecret.length]
  return n === ext.length - hmacSecret.length - 1 && [32, 48, 64, 80].includes(n)
}

/** WebAuthn Level 3 section 5.8.1.1, then crossOrigin and members that mean nothing. */
function checkClientData(cd: Uint8Array, digest: Uint8Array, origins: readonly string[]): void {
  if (cd.length > 1024) throw fieldLength()
  const all = fromUtf8(cd)
  const head = `{"type":"webauthn.get","challenge":"${base64url(digest)}","origin":"`
  if (all === undefined || !all.startsWith(head)) throw passkeyClientData()
  const end = all.indexOf('"', head.length)
  if (end < 0) throw passkeyClientData()
  const origin = all.slice(head.length, end)
  if (origin.includes('\\') || !origins.includes(origin)) throw passkeyOrigin()
  let rest = all.slice(end + 1)
  if (rest === '}') return
  if (!rest.startsWith(',"crossOrigin":false')) throw passkeyClientData()
  rest = rest.slice(',"crossOrigin":false'.length)
  while (rest !== '}') {
    // A name, and printable ASCII without quotes and backslashes.
    const m = /^,"([A-Za-z0-9_]+)":"([ !#-[\]-~]*)"/.exec(rest)
    if (m === null || known.has((m[1] ?? '').toLowerCase())) throw passkeyClientData()
    rest = rest.slice(m[0].length)
  }
}

const known = new Set(['type', 'challenge', 'origin', 'crossorigin', 'toporigin', 'tokenbinding'])

/**
 * normalizeES256 turns the DER signature of an authenticator into r || s with
 * low s, the only form that the ledger takes (RFC 3279 section 2.2.3).
 * @throws Refusal bad-signature for anything that is not one DER signature
 */
export function normalizeES256(der: Uint8Array): Uint8Array {
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length < 8) throw badSignature()
  const [r, at] = integer(der, 2)
  const [s, end] = integer(der, at)
  if (end !== der.length) throw badSignature()
  const n = p256.Point.Fn.ORDER
  if (r <= 0n || r >= n || s <= 0n || s >= n) throw badSignature()
  return concat(bigBytes(r), bigBytes(s > (n - 1n) / 2n ? n - s : s))
}

function integer(der: Uint8Array, at: number): [bigint, number] {
  const size = der[at + 1] ?? 0
  const b = der.subarray(at + 2, at + 2 + size)
  const first = b[0]
  if (der[at] !== 2 || b.length !== size || first === undefined || size > 33 || (first & 0x80) !== 0) throw badSignature()
  if (first === 0 && size > 1 && ((b[1] ?? 0) & 0x80) === 0) throw badSignature()
  let v = 0n
  for (const x of b) v = (v << 8n) | BigInt(x)
  return [v, at + 2 + size]
}
