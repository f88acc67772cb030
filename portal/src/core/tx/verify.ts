/** Verification of one signature over a digest: spec/tx.md sections 5 and 6. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { concat, equal } from '../wire/bytes.ts'
import { badKey, badSignature, unknownAlgorithm } from './codes.ts'
import { type Signature, validateSignature } from './envelope.ts'
import { algEd25519, algPasskey, keyId, type PublicKey } from './key.ts'
import { type PasskeyPolicy, verifyPasskey } from './passkey.ts'

/** verifySignature checks one signature by a key that validateKey took. @throws Refusal */
export function verifySignature(key: PublicKey, digest: Uint8Array, s: Signature, policy: PasskeyPolicy): void {
  validateSignature(s)
  if (s.alg !== key.alg || !equal(s.key, keyId(key))) throw badSignature()
  if (key.alg === algEd25519) {
    if (!verifyEd25519(key.key, digest, s.sig)) throw badSignature()
  } else if (key.alg === algPasskey) verifyPasskey(key, digest, s, policy)
  else throw unknownAlgorithm()
}

const littleEndian = (b: Uint8Array): bigint => {
  let v = 0n
  for (let i = b.length - 1; i >= 0; i--) v = (v << 8n) | BigInt(b[i] ?? 0)
  return v
}

/**
 * verifyEd25519 is RFC 8032 section 5.1.7 with its open choices made as spec/tx.md
 * section 5 says: canonical key not of small order, S < L, no cofactor, and
 * [S]B - [k]A compared with the bytes of R.
 * @throws Refusal bad-key
 */
export function verifyEd25519(key: Uint8Array, message: Uint8Array, sig: Uint8Array): boolean {
  const { Point } = ed25519
  let a
  try {
    a = Point.fromBytes(key, false)
  } catch {
    throw badKey()
  }
  if (key.length !== 32 || a.isSmallOrder()) throw badKey()
  if (sig.length !== 64) return false
  const order = Point.Fn.ORDER
  const s = littleEndian(sig.subarray(32))
  if (s >= order) return false
  const r = sig.subarray(0, 32)
  const k = littleEndian(sha512(concat(r, key, message))) % order
  // Nothing here is secret: variable time.
  const p = Point.BASE.multiplyUnsafe(s).add(a.negate().multiplyUnsafe(k))
  return equal(p.toBytes(), r)
}
