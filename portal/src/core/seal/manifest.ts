/** Manifests of sealed batches: spec/seal.md section 4. Positions are 0-based; in every hash a record has its number, position + 1. */
import { sha256 } from '@noble/hashes/sha2.js'
import { climb, pathLength, rootOf } from '../ledger/merkle.ts'
import { equal, isZero, u32 as be32, u64 as be64 } from '../wire/bytes.ts'
import { fixed, type Infer, opt, struct, u32, u64, u8 } from '../wire/schema.ts'
import { SealError } from './error.ts'
import { H } from './hash.ts'
import type { Header } from './header.ts'

export const entrySchema = struct({ id: [1, fixed(16)], slots: [2, u64], kind: [3, u8], ciphertext: [4, fixed(32)], meta: [5, opt(fixed(32))], size: [6, u32] })

/** ManifestEntry: ciphertext is its SHA-256 and address, size its bytes, kind 0 a record and 1 an index record. */
export type ManifestEntry = Infer<typeof entrySchema>

export const kindRecord = 0
export const kindIndex = 1

/** entryLeaf is the manifest leaf of the entry at a position. */
export const entryLeaf = (e: ManifestEntry, position: number): Uint8Array =>
  H('manifest', be32(position + 1), e.id, be64(e.slots), new Uint8Array([e.kind]), e.ciphertext, e.meta, be32(e.size))

/** manifestRoot is the root over all entries of a batch. */
export const manifestRoot = (entries: readonly ManifestEntry[]): Uint8Array => rootOf(entries.map(entryLeaf))

/** verifyEntryPath reports whether e is at that position of the header's manifest. */
export function verifyEntryPath(h: Header, position: number, e: ManifestEntry, path: readonly Uint8Array[]): boolean {
  const root = climb(entryLeaf(e, position), position, h.count, path)
  return root !== undefined && equal(root, h.manifestRoot)
}

const commitSize = 32

/**
 * learn compares a ciphertext with its entry and takes from its front the
 * commitment that the key has to prove.
 * @throws SealError ciphertext, author
 */
export function learn(e: ManifestEntry, ciphertext: Uint8Array): Uint8Array {
  if (ciphertext.length < commitSize || ciphertext.length !== e.size || !equal(sha256(ciphertext), e.ciphertext)) {
    throw new SealError('ciphertext', 'seal: ciphertext is not the committed one')
  }
  const commit = ciphertext.slice(0, commitSize)
  if (isZero(commit)) throw new SealError('author', 'seal: the author committed to no key')
  return commit
}

/** shareLeaf is the leaf of custodian index's share number r of a batch. */
export const shareLeaf = (nonce: Uint8Array, index: number, number: number, share: Uint8Array): Uint8Array => H('share', nonce, be32(index), be32(number), share)

/** shareRoot is the root over a custodian's whole vector, blinding share first. */
export const shareRoot = (nonce: Uint8Array, index: number, shares: readonly Uint8Array[]): Uint8Array => rootOf(shares.map((s, r) => shareLeaf(nonce, index, r, s)))

/** verifyShare reports whether the share of the record at a position is the dealt one. root has been checked against the header. */
export function verifyShare(h: Header, root: Uint8Array, index: number, position: number, share: Uint8Array, path: readonly Uint8Array[]): boolean {
  if (position < 0 || position >= h.count) return false
  const got = climb(shareLeaf(h.batchNonce, index, position + 1, share), position + 1, h.count + 1, path)
  return got !== undefined && equal(got, root)
}

/** sharePathLength is how many hashes the proof of a record's share has. */
export const sharePathLength = (h: Header, position: number): number => pathLength(position + 1, h.count + 1)
