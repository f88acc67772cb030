/** Proofs against an app hash: spec/state-tree.md sections 1 and 4. */
import { sha256 } from '@noble/hashes/sha2.js'
import { concat, equal, u64 as be64, utf8 } from '../wire/bytes.ts'
import { bytes, fixed, type Infer, list, struct, u64 } from '../wire/schema.ts'
import { decodeProof, proofRoot, provesAbsence, provesValue } from './ics23.ts'
import { climb, consistent, leafHash } from './merkle.ts'

const hash = fixed(32)

export const rootsSchema = struct({ tree: [1, hash], log: [2, hash], size: [3, u64] })
/** Roots are what an app hash commits to. */
export type Roots = Infer<typeof rootsSchema>

export const keyProofSchema = struct({ proof: [1, bytes], logRoot: [2, hash], logSize: [3, u64] })
/** KeyProof shows a row's value, or that there is no row. */
export type KeyProof = Infer<typeof keyProofSchema>

export const entryProofSchema = struct({ path: [1, list(hash)], treeRoot: [2, hash], logSize: [3, u64] })
/** EntryProof shows an entry of the log. */
export type EntryProof = Infer<typeof entryProofSchema>

export const extensionProofSchema = struct({ path: [1, list(hash)], next: [2, rootsSchema] })
/** ExtensionProof shows that the log only grew since an older app hash. */
export type ExtensionProof = Infer<typeof extensionProofSchema>

/** appHash is SHA-256("salus/apphash/v1" 00 || tree root || log root || log size in 8 bytes). */
export const appHash = (tree: Uint8Array, log: Uint8Array, size: bigint): Uint8Array => sha256(concat(utf8('salus/apphash/v1\0'), tree, log, be64(size)))

const maxProof = 40 << 10

/** verifyKey reports whether under app the row has the value, or is absent if value is undefined. An empty value is a value. */
export function verifyKey(p: KeyProof, app: Uint8Array, key: Uint8Array, value: Uint8Array | undefined): boolean {
  const leads = (tree: Uint8Array) => equal(appHash(tree, p.logRoot, p.logSize), app)
  if (p.proof.length === 0) return value === undefined && leads(new Uint8Array(32))
  if (p.proof.length > maxProof) return false
  let proof
  try {
    proof = decodeProof(p.proof)
  } catch {
    return false
  }
  const root = proofRoot(proof)
  if (root === undefined || !leads(root)) return false
  const treeKey = sha256(key)
  return value === undefined ? provesAbsence(proof, root, treeKey) : provesValue(proof, treeKey, sha256(value))
}

/** verifyEntry reports whether under app the log holds the entry at that index. */
export function verifyEntry(p: EntryProof, app: Uint8Array, index: bigint, entry: Uint8Array): boolean {
  if (p.logSize > 1n << 53n || index >= p.logSize) return false
  const root = climb(leafHash(entry), Number(index), Number(p.logSize), p.path)
  return root !== undefined && equal(appHash(p.treeRoot, root, p.logSize), app)
}

/** verifyExtension reports whether the log under the newer app hash begins with the whole log of old, the roots of the older one. */
export function verifyExtension(p: ExtensionProof, olderApp: Uint8Array, old: Roots, newerApp: Uint8Array): boolean {
  if (!equal(appHash(old.tree, old.log, old.size), olderApp)) return false
  if (!equal(appHash(p.next.tree, p.next.log, p.next.size), newerApp)) return false
  if (old.size === 0n && !equal(old.log, sha256(new Uint8Array(0)))) return false
  return consistent(old.size, p.next.size, p.path, old.log, p.next.log)
}
