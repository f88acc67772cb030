/**
 * ICS23 proofs of the state tree (cosmos/ics23, SmtSpec), as spec/state-tree.md
 * section 2 builds it. Only the shapes that such a tree has are taken: a leaf
 * 00 || SHA-256(key) || SHA-256(value), nodes 01 || left || right.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { compare, concat, equal, isZero } from '../wire/bytes.ts'
import { Message, ProtoError } from './proto.ts'

/** A Step is one node of a path: the sibling, and on which side it lies. */
interface Step {
  readonly sibling: Uint8Array
  /** the node that was climbed from is the left child */
  readonly left: boolean
}

interface Existence {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly path: readonly Step[]
}

/** A CommitmentProof shows that a key has a value, or that it has none. */
export type CommitmentProof = { readonly exist: Existence } | { readonly absent: { readonly key: Uint8Array; readonly left: Existence | undefined; readonly right: Existence | undefined } }

const maxDepth = 256

/** decodeProof reads an ICS23 CommitmentProof in its one encoding. @throws ProtoError */
export function decodeProof(raw: Uint8Array): CommitmentProof {
  const m = new Message(raw)
  const exist = m.message(1)
  const absent = m.message(2)
  m.done()
  if (exist !== undefined && absent === undefined) return { exist: decodeExistence(exist) }
  if (absent === undefined || exist !== undefined) throw new ProtoError()
  const n = new Message(absent)
  const key = n.bytes(1)
  const left = n.message(2)
  const right = n.message(3)
  n.done()
  return { absent: { key, left: left && decodeExistence(left), right: right && decodeExistence(right) } }
}

function decodeExistence(raw: Uint8Array): Existence {
  const m = new Message(raw)
  const key = m.bytes(1)
  const value = m.bytes(2)
  const leaf = new Message(m.required(3))
  const steps = m.repeated(4)
  m.done()
  // LeafOp: SHA-256 of all, of the key and of the value, no length, prefix 00.
  const ops = [leaf.uint32(1), leaf.uint32(2), leaf.uint32(3), leaf.uint32(4)]
  const prefix = leaf.bytes(5)
  leaf.done()
  if (ops.join() !== '1,1,1,0' || prefix.length !== 1 || prefix[0] !== 0 || steps.length > maxDepth) throw new ProtoError()
  if (key.length === 0 || value.length === 0) throw new ProtoError()
  return { key, value, path: steps.map(decodeStep) }
}

function decodeStep(raw: Uint8Array): Step {
  const m = new Message(raw)
  const op = m.uint32(1)
  const prefix = m.bytes(2)
  const suffix = m.bytes(3)
  m.done()
  if (op !== 1 || prefix[0] !== 1) throw new ProtoError()
  if (prefix.length === 1 && suffix.length === 32) return { sibling: suffix, left: true }
  if (prefix.length === 33 && suffix.length === 0) return { sibling: prefix.slice(1), left: false }
  throw new ProtoError()
}

const node = new Uint8Array([1])

function rootFrom(e: Existence): Uint8Array {
  let h = sha256(concat(new Uint8Array([0]), sha256(e.key), sha256(e.value)))
  for (const s of e.path) h = sha256(s.left ? concat(node, h, s.sibling) : concat(node, s.sibling, h))
  return h
}

/** proofRoot is the root to which the proof leads; undefined for a proof of absence without a neighbour. */
export function proofRoot(p: CommitmentProof): Uint8Array | undefined {
  if ('exist' in p) return rootFrom(p.exist)
  const e = p.absent.left ?? p.absent.right
  return e && rootFrom(e)
}

/** provesValue reports whether the proof, which leads to the right root, shows that key holds value. */
export const provesValue = (p: CommitmentProof, key: Uint8Array, value: Uint8Array): boolean => 'exist' in p && equal(p.exist.key, key) && equal(p.exist.value, value)

/** provesAbsence reports whether the proof shows under root that there is no key: its neighbours on both sides are each other's. */
export function provesAbsence(p: CommitmentProof, root: Uint8Array, key: Uint8Array): boolean {
  if (!('absent' in p) || !equal(p.absent.key, key)) return false
  const { left, right } = p.absent
  if (left === undefined && right === undefined) return false
  const path = sha256(key)
  if (left !== undefined && (!equal(rootFrom(left), root) || compare(sha256(left.key), path) >= 0)) return false
  if (right !== undefined && (!equal(rootFrom(right), root) || compare(sha256(right.key), path) <= 0)) return false
  if (left === undefined) return right !== undefined && outermost(right.path, true)
  if (right === undefined) return outermost(left.path, false)
  return neighbours(left.path, right.path)
}

/** outermost: nothing lies further left (or right) below these steps, for every subtree there is empty. */
const outermost = (path: readonly Step[], leftmost: boolean): boolean => path.every((s) => s.left === leftmost || isZero(s.sibling))

function neighbours(left: readonly Step[], right: readonly Step[]): boolean {
  let i = left.length - 1
  let j = right.length - 1
  for (; i >= 0 && j >= 0; i--, j--) {
    const l = left[i]
    const r = right[j]
    if (l === undefined || r === undefined) return false
    if (l.left === r.left && equal(l.sibling, r.sibling)) continue // the common way from the root
    return l.left && !r.left && outermost(left.slice(0, i), false) && outermost(right.slice(0, j), true)
  }
  return false
}
