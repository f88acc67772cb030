/** Public keys that sign transactions: spec/tx.md section 4. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { p256 } from '@noble/curves/nist.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, equal, hex, utf8 } from '../wire/bytes.ts'
import { bytes, type Infer, opt, struct, u8 } from '../wire/schema.ts'
import { badKey, badText, fieldLength, unknownAlgorithm } from './codes.ts'
import { unhex } from '../wire/bytes.ts'

/** Signature algorithms. */
export const algEd25519 = 1
export const algPasskey = 2

export const publicKeySchema = struct({ alg: [1, u8], key: [2, bytes], rpIdHash: [3, opt(bytes)] })

/** PublicKey: alg 1 with 32 bytes, or alg 2 with X || Y in 64 bytes and the hash of the relying party's id. */
export type PublicKey = Infer<typeof publicKeySchema>

/** ed25519Key makes a PublicKey of 32 bytes. */
export const ed25519Key = (key: Uint8Array): PublicKey => ({ alg: algEd25519, key, rpIdHash: new Uint8Array(0) })

/** passkeyKey makes the PublicKey of a passkey: X || Y, and the relying party's id, such as "portal.example". */
export const passkeyKey = (xy: Uint8Array, rpId: string): PublicKey => ({ alg: algPasskey, key: xy, rpIdHash: sha256(utf8(rpId)) })

/** keyId names a key: the first 16 bytes of SHA-256("salus/key/v1" 00 || alg || key). */
export const keyId = (k: PublicKey): Uint8Array => sha256(concat(utf8('salus/key/v1\0'), new Uint8Array([k.alg]), k.key)).slice(0, 16)

/** sameKey compares all parts. */
export const sameKey = (a: PublicKey, b: PublicKey): boolean => a.alg === b.alg && equal(a.key, b.key) && equal(a.rpIdHash, b.rpIdHash)

/**
 * validateKey checks that the key may enter the state: a P-256 point on the
 * curve, or an Ed25519 point of prime order in canonical encoding.
 * @throws Refusal unknown-algorithm, field-length, bad-key
 */
export function validateKey(k: PublicKey): void {
  switch (k.alg) {
    case algEd25519:
      if (k.key.length !== 32 || k.rpIdHash.length !== 0) throw fieldLength()
      if (!primeOrder(k.key)) throw badKey()
      return
    case algPasskey:
      if (k.key.length !== 64 || k.rpIdHash.length !== 32) throw fieldLength()
      p256Point(k.key)
      return
    default:
      throw unknownAlgorithm()
  }
}

function primeOrder(key: Uint8Array): boolean {
  try {
    const a = ed25519.Point.fromBytes(key, false)
    return equal(a.toBytes(), key) && !a.isSmallOrder() && a.isTorsionFree()
  } catch {
    return false
  }
}

/** p256Point reads X || Y. @throws Refusal bad-key, field-length */
export function p256Point(xy: Uint8Array): Uint8Array {
  if (xy.length !== 64) throw fieldLength()
  const sec1 = concat(new Uint8Array([4]), xy)
  try {
    p256.Point.fromBytes(sec1).assertValidity()
  } catch {
    throw badKey()
  }
  return sec1
}

/** keyText writes "ed25519:<hex>" or "passkey-es256:<hex>:<hex>". */
export function keyText(k: PublicKey): string {
  if (k.alg === algEd25519) return `ed25519:${hex(k.key)}`
  if (k.alg === algPasskey) return `passkey-es256:${hex(k.key)}:${hex(k.rpIdHash)}`
  throw unknownAlgorithm()
}

/** parseKey reads the text form, and no other, and validates the key. @throws Refusal text, and those of validateKey */
export function parseKey(s: string): PublicKey {
  const [alg, key, rp, more] = s.split(':')
  const k = unhex(key ?? 'x')
  if (k === undefined || more !== undefined) throw badText()
  let out: PublicKey
  if (alg === 'ed25519' && rp === undefined && k.length === 32) out = ed25519Key(k)
  else if (alg === 'passkey-es256' && rp !== undefined && k.length === 64) {
    const rpIdHash = unhex(rp)
    if (rpIdHash === undefined || rpIdHash.length !== 32) throw badText()
    out = { alg: algPasskey, key: k, rpIdHash }
  } else throw badText()
  validateKey(out)
  return out
}
