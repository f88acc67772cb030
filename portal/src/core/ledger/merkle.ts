/** Merkle trees of RFC 6962 section 2.1 (RFC 9162 section 2.1): the log, CometBFT's hashes, lists and manifests. */
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, equal } from '../wire/bytes.ts'

const zero = new Uint8Array([0])
const one = new Uint8Array([1])

/** leafHash is SHA-256(00 || leaf). */
export const leafHash = (leaf: Uint8Array): Uint8Array => sha256(concat(zero, leaf))

/** nodeHash is SHA-256(01 || left || right). */
export const nodeHash = (l: Uint8Array, r: Uint8Array): Uint8Array => sha256(concat(one, l, r))

/** split is the largest power of two below n, for n > 1. */
export function split(n: number): number {
  let k = 1
  while (2 * k < n) k *= 2
  return k
}

/** rootOf gives the root over hashed leaves; there is at least one. */
export function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  const first = leaves[0]
  if (first === undefined) return sha256(new Uint8Array(0))
  if (leaves.length === 1) return first
  const k = split(leaves.length)
  return nodeHash(rootOf(leaves.slice(0, k)), rootOf(leaves.slice(k)))
}

/** merkleRoot gives the root over leaves, SHA-256 of nothing for none. */
export const merkleRoot = (leaves: readonly Uint8Array[]): Uint8Array => rootOf(leaves.map(leafHash))

/**
 * climb gives the root to which a path leads from hashed leaf i of n, from the
 * leaf up; undefined if the path has another length. Position and number are
 * the verifier's own. Numbers are below 2^53.
 */
export function climb(leaf: Uint8Array, i: number, n: number, path: readonly Uint8Array[]): Uint8Array | undefined {
  if (i < 0 || i >= n) return undefined
  if (n === 1) return path.length === 0 ? leaf : undefined
  const last = path[path.length - 1]
  if (last === undefined) return undefined
  const k = split(n)
  const rest = path.slice(0, -1)
  if (i < k) {
    const l = climb(leaf, i, k, rest)
    return l && nodeHash(l, last)
  }
  const r = climb(leaf, i - k, n - k, rest)
  return r && nodeHash(last, r)
}

/** pathLength is the length of the path of leaf i of n. */
export function pathLength(i: number, n: number): number {
  let depth = 0
  while (n > 1) {
    const k = split(n)
    if (i < k) n = k
    else {
      i -= k
      n -= k
    }
    depth++
  }
  return depth
}

/** pathOf returns the siblings of hashed leaf i from the leaf up. */
export function pathOf(leaves: readonly Uint8Array[], i: number): Uint8Array[] {
  if (leaves.length <= 1) return []
  const k = split(leaves.length)
  return i < k ? [...pathOf(leaves.slice(0, k), i), rootOf(leaves.slice(k))] : [...pathOf(leaves.slice(k), i - k), rootOf(leaves.slice(0, k))]
}

/** consistent verifies that a log of m entries under one root is the front of one of n under another: RFC 9162 section 2.1.4.2. */
export function consistent(m: bigint, n: bigint, path: readonly Uint8Array[], older: Uint8Array, newer: Uint8Array): boolean {
  if (m > n) return false
  if (m === n) return path.length === 0 && equal(older, newer)
  if (m === 0n) return path.length === 0
  const steps = [...path]
  if ((m & (m - 1n)) === 0n) steps.unshift(older)
  let fn = m - 1n
  let sn = n - 1n
  while ((fn & 1n) === 1n) {
    fn >>= 1n
    sn >>= 1n
  }
  const first = steps.shift()
  if (first === undefined) return false
  let fr = first
  let sr = first
  for (const c of steps) {
    if (sn === 0n) return false
    if ((fn & 1n) === 1n || fn === sn) {
      fr = nodeHash(c, fr)
      sr = nodeHash(c, sr)
      if ((fn & 1n) === 0n) {
        while (fn !== 0n && (fn & 1n) === 0n) {
          fn >>= 1n
          sn >>= 1n
        }
      }
    } else sr = nodeHash(sr, c)
    fn >>= 1n
    sn >>= 1n
  }
  return sn === 0n && equal(fr, older) && equal(sr, newer)
}
