/** Log entries, and the audit chain of a pseudonym: spec/audit.md. */
import { sha256 } from '@noble/hashes/sha2.js'
import { compare, concat, equal, utf8 } from '../wire/bytes.ts'
import { bytes, decode, decodeAny, fixed, type Infer, struct, u16, u32, u64, u8 } from '../wire/schema.ts'

const hash = fixed(32)
const account = fixed(16)

export const entrySchema = struct({ kind: [1, u16], height: [2, u64], time: [3, u64], tx: [4, hash], payload: [5, bytes] })
/** Entry is one leaf of the ledger's log; time is unix seconds of the block. */
export type Entry = Infer<typeof entrySchema>

const maxEntry = 2 * 65536

/** decodeEntry reads a log entry. @throws Refusal */
export const decodeEntry = (b: Uint8Array): Entry => decodeAny(entrySchema, b, maxEntry)

export const recordSchema = struct({
  patient: [1, account],
  seq: [2, u64],
  prev: [3, hash],
  prevIndex: [4, u64],
  action: [5, u8],
  actor: [6, account],
  member: [7, account],
  purpose: [8, u8],
  ref: [9, hash],
  mask: [10, u64],
  count: [11, u32],
  root: [12, hash],
})
/** AuditRecord is one link of a pseudonym's chain. */
export type AuditRecord = Infer<typeof recordSchema>

export const positionSchema = struct({ seq: [1, u64], head: [2, hash], index: [3, u64] })
/** Position is where a chain stands: its number of entries, its head, and the log index of the last one. */
export type Position = Infer<typeof positionSchema>

/** noPosition is where a chain stands that has no entries. */
export const noPosition = (): Position => ({ seq: 0n, head: new Uint8Array(32), index: 0n })

/** samePosition compares all parts. */
export const samePosition = (a: Position, b: Position): boolean => a.seq === b.seq && a.index === b.index && equal(a.head, b.head)

/** What happened; the numbers are unique for ever. */
export const actions = {
  enrolled: 1,
  claimed: 2,
  keysChanged: 3,
  consentGranted: 4,
  consentChanged: 5,
  consentRevoked: 6,
  proxyChanged: 7,
  sessionOpened: 8,
  fetchCommitted: 9,
  sessionClosed: 10,
  emergencyDeclared: 11,
  emergencyWidened: 12,
  emergencyExtended: 13,
  emergencyAttested: 14,
  emergencyReviewed: 15,
  emergencyOverdue: 16,
  emergencyDisputed: 17,
  emergencyDirective: 18,
  erasureRequested: 19,
  erased: 20,
  erasureRefused: 21,
  guardiansNamed: 50,
  recoveryRequested: 51,
  recoveryApproved: 52,
  recoveryCancelled: 53,
  recoveryFinished: 54,
  recoveryLapsed: 55,
  recoverySession: 56,
  lookedUp: 40,
  identifierEnrolled: 41,
  identifierForgotten: 42,
  cardIssued: 43,
  cardRevoked: 44,
  mergeProposed: 45,
  merged: 46,
  unmerged: 47,
} as const

const known: ReadonlySet<number> = new Set(Object.values(actions))

/** entryKind of an audit entry. */
export const auditKind = 0x0801

/** positionKey is the state key of a pseudonym's position. */
export const positionKey = (patient: Uint8Array): Uint8Array => concat(new Uint8Array([8, 1]), patient)

/** Link is a verified entry with where and when it was committed. */
export interface Link {
  readonly index: bigint
  readonly height: bigint
  readonly time: bigint
  readonly tx: Uint8Array
  readonly record: AuditRecord
}

/** Why a chain does not verify. */
export type ChainFault = 'entry' | 'patient' | 'gap' | 'link' | 'order' | 'head'

/** ChainError names the first entry at fault by its sequence number; for "head" it is the last one present. */
export class ChainError extends Error {
  readonly fault: ChainFault
  readonly seq: bigint
  constructor(fault: ChainFault, seq: bigint) {
    super(`audit: entry ${seq}: ${fault}`)
    this.name = 'ChainError'
    this.fault = fault
    this.seq = seq
  }
}

/** extend is the head of a chain after one more entry. */
export const extend = (prev: Uint8Array, entry: Uint8Array): Uint8Array => sha256(concat(utf8('salus/audit/v1\0'), prev, sha256(entry)))

/** decodeAudit reads an audit entry; undefined if the bytes are not the canonical form of one. */
export function decodeAudit(raw: Uint8Array): { entry: Entry; record: AuditRecord } | undefined {
  try {
    const entry = decodeEntry(raw)
    if (entry.kind !== auditKind) return undefined
    const record = decode(recordSchema, entry.payload)
    return known.has(record.action) ? { entry, record } : undefined
  } catch {
    return undefined
  }
}

/** verifyChain checks that entries, oldest first, are the whole chain of a pseudonym up to a proven position. @throws ChainError */
export const verifyChain = (patient: Uint8Array, entries: readonly Uint8Array[], at: Position): Link[] => verifyExtensionOf(patient, noPosition(), entries, at)

/** verifyExtensionOf checks that entries lead from one position, already verified, to a later one. @throws ChainError */
export function verifyExtensionOf(patient: Uint8Array, from: Position, entries: readonly Uint8Array[], to: Position): Link[] {
  const links: Link[] = []
  let { seq, head } = from
  // The log index of the entry before the last one seen, as far as a chain began or was given.
  let floor = from.seq > 0n ? from.index : undefined
  for (const raw of entries) {
    const n = seq + 1n
    const l = decodeAudit(raw)
    if (l === undefined) throw new ChainError('entry', n)
    const r = l.record
    if (compare(r.patient, patient) !== 0) throw new ChainError('patient', n)
    if (r.seq !== n) throw new ChainError('gap', n)
    if (!equal(r.prev, head)) throw new ChainError('link', n)
    const prev = links.pop()
    if (prev === undefined) {
      if (r.prevIndex !== from.index) throw new ChainError('link', n)
    } else {
      // The index of an entry is known from the one after it.
      if (l.entry.height < prev.height || l.entry.time < prev.time || (floor !== undefined && r.prevIndex <= floor)) throw new ChainError('order', n)
      links.push({ ...prev, index: r.prevIndex })
      floor = r.prevIndex
    }
    links.push({ index: 0n, height: l.entry.height, time: l.entry.time, tx: l.entry.tx, record: r })
    head = extend(head, raw)
    seq = n
  }
  const last = links.pop()
  let index = from.index
  if (last !== undefined) {
    if (floor !== undefined && to.index <= floor) throw new ChainError('order', seq)
    links.push({ ...last, index: to.index })
    index = to.index
  }
  if (!samePosition({ seq, head, index }, to)) throw new ChainError('head', seq)
  return links
}
