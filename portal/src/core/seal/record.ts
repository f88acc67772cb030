/** One record: its key, its padding, its ciphertext. spec/seal.md section 3. */
import { gcm } from '@noble/ciphers/aes.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, utf8 } from '../wire/bytes.ts'
import { SealError } from './error.ts'
import { domain, H } from './hash.ts'
import type { Header } from './header.ts'
import { learn, type ManifestEntry } from './manifest.ts'

const label = utf8(`${domain}record-key\0`)

/** recordKey derives key and key commitment from the shared secret, 32 bytes. */
export function recordKey(secret: Uint8Array, nonce: Uint8Array, id: Uint8Array): { key: Uint8Array; commit: Uint8Array } {
  const okm = hkdf(sha256, secret, nonce, concat(label, id), 64)
  return { key: okm.slice(0, 32), commit: okm.slice(32) }
}

/** bucket is the padded size of a record of that many bytes. */
export function bucket(size: number): number {
  const l = size + 1
  const e = 31 - Math.clz32(l)
  const s = 32 - Math.clz32(e)
  const step = e > s ? Math.max(64, 2 ** (e - s)) : 64
  return Math.ceil(l / step) * step
}

/** pad appends the end mark 80 and zeros up to the bucket. */
export function pad(plain: Uint8Array): Uint8Array {
  const out = new Uint8Array(bucket(plain.length))
  out.set(plain)
  out[plain.length] = 0x80
  return out
}

/** unpad takes the padding off; undefined for any but what pad makes. */
export function unpad(b: Uint8Array): Uint8Array | undefined {
  let end = b.length
  while (end > 0 && b[end - 1] === 0) end--
  if (end === 0 || b[end - 1] !== 0x80 || bucket(end - 1) !== b.length) return undefined
  return b.subarray(0, end - 1)
}

const recordNonce = new Uint8Array(12)
const author = (why: string) => new SealError('author', `seal: ${why}`)

/** decrypt opens one record with a key from combine. @throws SealError ciphertext, author */
export function decrypt(h: Header, e: ManifestEntry, key: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  learn(e, ciphertext)
  const aad = H('record-aad', utf8(h.chain), h.patientCommit, e.id)
  let padded
  try {
    padded = gcm(key, recordNonce, aad).decrypt(ciphertext.subarray(32))
  } catch {
    throw author('the record does not open under its committed key')
  }
  const plain = unpad(padded)
  if (plain === undefined) throw author('the record is not padded as the format demands')
  return plain
}

/** encrypt makes a ciphertext behind its key commitment; the other direction, for tests and writers. */
export function encrypt(h: Header, id: Uint8Array, key: Uint8Array, commit: Uint8Array, plain: Uint8Array): Uint8Array {
  const aad = H('record-aad', utf8(h.chain), h.patientCommit, id)
  return concat(commit, gcm(key, recordNonce, aad).encrypt(pad(plain)))
}
