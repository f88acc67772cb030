/**
 * HPKE base mode, single message, empty aad (RFC 9180 sections 5 and 6) with the
 * one suite of spec/seal.md section 1: KEM 0x647a (MLKEM768-X25519, X-Wing), KDF
 * HKDF-SHA256, AEAD AES-256-GCM.
 */
import { gcm } from '@noble/ciphers/aes.js'
import { expand, extract } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { sha3_256, shake256 } from '@noble/hashes/sha3.js'
import { ml_kem768_x25519 as kem } from '@noble/post-quantum/hybrid.js'
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js'
import { concat, u16, utf8 } from '../wire/bytes.ts'
import { SealError } from './error.ts'

const encSize = 1120
const tagSize = 16
export const publicKeySize = 1216

const suiteId = concat(utf8('HPKE'), u16(0x647a), u16(1), u16(2))
const version = utf8('HPKE-v1')
const none = new Uint8Array(0)

const labeledExtract = (salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array => extract(sha256, concat(version, suiteId, utf8(label), ikm), salt)
const labeledExpand = (prk: Uint8Array, label: string, info: Uint8Array, size: number): Uint8Array =>
  expand(sha256, prk, concat(u16(size), version, suiteId, utf8(label), info), size)

const pskIdHash = labeledExtract(none, 'psk_id_hash', none)

function schedule(shared: Uint8Array, info: Uint8Array): { key: Uint8Array; nonce: Uint8Array } {
  const context = concat(new Uint8Array([0]), pskIdHash, labeledExtract(none, 'info_hash', info))
  const secret = labeledExtract(shared, 'secret', none)
  return { key: labeledExpand(secret, 'key', context, 32), nonce: labeledExpand(secret, 'base_nonce', context, 12) }
}

/** KeyPair is a reader's: 32 bytes of seed, which are the private half, and 1,216 of public key. */
export interface KeyPair {
  readonly seed: Uint8Array
  readonly publicKey: Uint8Array
}

/** keyPair makes the pair of a seed; without one, of 32 random bytes. */
export function keyPair(seed: Uint8Array = crypto.getRandomValues(new Uint8Array(32))): KeyPair {
  return { seed, publicKey: kem.keygen(seed).publicKey }
}

/** box seals a message to a public key. Only tests and writers need it. @throws SealError invalid */
export function box(publicKey: Uint8Array, info: Uint8Array, plain: Uint8Array): Uint8Array {
  if (publicKey.length !== publicKeySize) throw new SealError('invalid', 'seal: a public key has 1216 bytes')
  const { cipherText, sharedSecret } = kem.encapsulate(publicKey)
  const { key, nonce } = schedule(sharedSecret, info)
  return concat(cipherText, gcm(key, nonce).encrypt(plain))
}

/** What a seed stands for: SHAKE256 of it gives the seeds of both halves (X-Wing, draft-connolly-cfrg-xwing-kem). Made once for each seed in memory, for it costs more than to open. */
interface Expanded {
  readonly kem: Uint8Array
  readonly x: Uint8Array
  readonly xPublic: Uint8Array
}

const expandedOf = new WeakMap<Uint8Array, Expanded>()

function expandSeed(seed: Uint8Array): Expanded {
  let e = expandedOf.get(seed)
  if (e === undefined) {
    const b = shake256(seed, { dkLen: 96 })
    const x = b.slice(64)
    e = { kem: ml_kem768.keygen(b.subarray(0, 64)).secretKey, x, xPublic: x25519.getPublicKey(x) }
    expandedOf.set(seed, e)
  }
  return e
}

/** forget wipes a pair's private half, as far as a JavaScript engine allows: nothing opens with it any more. */
export function forget(pair: KeyPair): void {
  const e = expandedOf.get(pair.seed)
  e?.kem.fill(0)
  e?.x.fill(0)
  expandedOf.delete(pair.seed)
  pair.seed.fill(0)
}

/** decapsulate gives the shared secret of both halves, bound to the X25519 part of the ciphertext and of the key. */
function decapsulate(seed: Uint8Array, enc: Uint8Array): Uint8Array {
  const e = expandSeed(seed)
  const ctX = enc.subarray(1088)
  const ssM = ml_kem768.decapsulate(enc.subarray(0, 1088), e.kem)
  const ssX = x25519.getSharedSecret(e.x, ctX)
  return sha3_256(concat(ssM, ssX, ctX, e.xPublic, xwingLabel))
}

const xwingLabel = utf8('\\.//^\\')

/** unbox opens a sealed message. @throws SealError open, whatever does not fit */
export function unbox(seed: Uint8Array, info: Uint8Array, sealed: Uint8Array): Uint8Array {
  if (sealed.length < encSize + tagSize) throw new SealError('open', 'seal: does not open with this key and context')
  try {
    const { key, nonce } = schedule(decapsulate(seed, sealed.subarray(0, encSize)), info)
    return gcm(key, nonce).decrypt(sealed.subarray(encSize))
  } catch {
    throw new SealError('open', 'seal: does not open with this key and context')
  }
}
