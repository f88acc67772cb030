/** The domain-separated hash of the sealed format: spec/seal.md section 1. */
import { sha256 } from '@noble/hashes/sha2.js'
import { utf8 } from '../wire/bytes.ts'

/** domain begins every label. */
export const domain = 'salus/custody/v1/'

/**
 * H is SHA-256 over the label, prefixed by the domain, and the parts, each
 * preceded by its length in 8 bytes, so that no two lists of parts hash alike.
 */
export function H(label: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const l = utf8(domain + label)
  let n = 8 + l.length
  for (const p of parts) n += 8 + p.length
  const b = new Uint8Array(n)
  const v = new DataView(b.buffer)
  v.setUint32(4, l.length)
  b.set(l, 8)
  let at = 8 + l.length
  for (const p of parts) {
    v.setUint32(at + 4, p.length)
    b.set(p, at + 8)
    at += 8 + p.length
  }
  return sha256(b)
}
