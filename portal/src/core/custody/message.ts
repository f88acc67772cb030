/** What a reader and custodians say to each other: spec/custody.md section 1, package exchange. */
import { batchSchema, epochSchema } from '../ledger/rows.ts'
import { rootOf, leafHash } from '../ledger/merkle.ts'
import { H } from '../seal/hash.ts'
import { entrySchema } from '../seal/manifest.ts'
import { signatureSchema } from '../tx/envelope.ts'
import { put } from '../tx/message.ts'
import { compare, concat, equal, hex, u16 as be16, u32 as be32, u64 as be64, utf8 } from '../wire/bytes.ts'
import { bool, bytes, fixed, type Infer, list, maybe, opt, struct, u16, u32, u64, u8 } from '../wire/schema.ts'

const hash = fixed(32)
const account = fixed(16)

export const itemSchema = struct({ header: [1, hash], index: [2, u16] })
/** Item names one record: its batch's header hash, and its position. */
export type Item = Infer<typeof itemSchema>

export const listSchema = struct({ salt: [1, hash], items: [2, list(itemSchema)] })
/** List is the opening of a fetch's committed record list. */
export type List = Infer<typeof listSchema>

/** maxList is the most records one fetch names. */
export const maxList = 4096

export const locateRequestSchema = struct({ session: [1, hash], readerKey: [2, bytes], after: [3, u64], height: [4, u64] })
/** LocateRequest: after continues at the page before's next, height is the block in which the reader saw its session. */
export type LocateRequest = Infer<typeof locateRequestSchema>

export const sealedSchema = struct({ box: [1, bytes] })

export const locatedSchema = struct({
  batches: [
    1,
    list(
      struct({
        header: [1, hash],
        logIndex: [2, u64],
        shareRoots: [3, list(hash)],
        pack: [4, hash],
        entries: [5, list(struct({ index: [1, u16], entry: [2, entrySchema], path: [3, list(hash)] }))],
      }),
    ),
  ],
  next: [2, u64],
})
export type LocatedPage = Infer<typeof locatedSchema>
export type LocatedBatch = LocatedPage['batches'][number]

export const releaseRequestSchema = struct({ session: [1, hash], fetch: [2, u32], readerKey: [3, bytes], list: [4, listSchema], proofs: [5, bool], height: [6, u64], epoch: [7, opt(u64)] })
/** ReleaseRequest asks one custodian for its shares of the records of one fetch; epoch is the custody epoch that holds them, 0 for the one in force. */
export type ReleaseRequest = Infer<typeof releaseRequestSchema>

export const releaseReplySchema = struct({
  custodian: [1, u8],
  parts: [2, list(struct({ header: [1, hash], sealed: [2, bytes], proofs: [3, opt(bytes)] }))],
  sequence: [3, u64],
  height: [4, u64],
  signature: [5, bytes],
})
/** ReleaseReply carries the sealed shares, batch by batch in the order of the list. */
export type ReleaseReply = Infer<typeof releaseReplySchema>

export const openingsRequestSchema = struct({ session: [1, hash], readerKey: [2, bytes], signature: [3, signatureSchema], after: [4, u32] })
export const openingsSchema = struct({ lists: [1, list(struct({ fetch: [1, u32], list: [2, listSchema] }))], next: [2, u32] })
export type Openings = Infer<typeof openingsSchema>

const seatsSchema = struct({ epoch: [1, epochSchema], keys: [2, list(list(bytes))] })
/** Seats is one custody epoch with each custodian's live Ed25519 service keys. */
export type Seats = Infer<typeof seatsSchema>

export const committeeSchema = struct({ epoch: [1, epochSchema], keys: [2, list(list(bytes))], before: [3, opt(maybe(seatsSchema))] })
/** Committee is the custody epoch in force, and the one before while that still holds batches of its own. */
export type Committee = Infer<typeof committeeSchema>

/** seatsOf gives the custodians of an epoch; undefined if it holds nothing any more, or not yet. */
export const seatsOf = (c: Committee, epoch: bigint): Seats | undefined => (epoch === c.epoch.epoch ? c : epoch === c.before?.epoch.epoch ? c.before : undefined)

export const anchoredSchema = struct({ put: [1, put], batch: [2, batchSchema], holders: [3, list(account)], epoch: [4, opt(u64)] })
/** Anchored is what the ledger says of one batch, with the members that hold its ciphertexts; epoch is the custody epoch that holds its shares now if it is another one than the header's, else 0. */
export type Anchored = Infer<typeof anchoredSchema>

/** heldBy is the custody epoch that holds a batch's shares. */
export const heldBy = (a: Anchored): bigint => (a.epoch === 0n ? a.batch.epoch : a.epoch)

/** compareItems orders items by header, then position. */
export const compareItems = (a: Item, b: Item): number => compare(a.header, b.header) || a.index - b.index

/** sortedList makes the list of these records with 32 random bytes of salt. @throws RangeError for none, too many, or one twice */
export function sortedList(items: readonly Item[], salt: Uint8Array = crypto.getRandomValues(new Uint8Array(32))): List {
  const l = { salt, items: [...items].sort(compareItems) }
  if (!validList(l)) throw new RangeError('custody: a list holds 1 to 4096 different records')
  return l
}

/** validList checks order, uniqueness and number. */
export const validList = (l: List): boolean =>
  l.items.length >= 1 &&
  l.items.length <= maxList &&
  l.items.every((x, i) => {
    const before = l.items[i - 1]
    return before === undefined || compareItems(before, x) < 0
  })

/** listRoot is the commitment that access.request and access.fetch put on the ledger. */
export const listRoot = (l: List): Uint8Array => rootOf(l.items.map((x, i) => leafHash(H('list', l.salt, be32(i), x.header, be16(x.index)))))

/** groups splits a list into its batches, in order: header hash and rising positions. */
export function groups(l: List): { header: Uint8Array; positions: number[] }[] {
  const out: { header: Uint8Array; positions: number[] }[] = []
  for (const x of l.items) {
    const last = out[out.length - 1]
    if (last !== undefined && equal(last.header, x.header)) last.positions.push(x.index)
    else out.push({ header: x.header, positions: [x.index] })
  }
  return out
}

/** itemName is a text that names an item, for maps. */
export const itemName = (x: Item): string => `${hex(x.header)}/${x.index}`

/** answerInfo is the info under which an answer is sealed: what is "locate" or "openings". */
export const answerInfo = (what: 'locate' | 'openings', session: Uint8Array): Uint8Array => H('answer', utf8(what), session)

/** replyDigest is what a custodian's member signs. */
export const replyDigest = (chain: string, session: Uint8Array, root: Uint8Array, r: ReleaseReply): Uint8Array =>
  H('reply', utf8(chain), session, root, concat(new Uint8Array([r.custodian]), be64(r.sequence), be64(r.height)), ...r.parts.flatMap((p) => [p.header, p.sealed, p.proofs]))

/** openingsDigest is what a patient signs to learn which records a session named. */
export const openingsDigest = (chain: string, session: Uint8Array, readerKey: Uint8Array): Uint8Array => H('openings', utf8(chain), session, readerKey)
