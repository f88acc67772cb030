/**
 * A reader's session: locate, commit to a list, have shares released, open.
 * spec/record.md section 5; package record's Session for a wallet, whose node
 * relays and is not believed.
 */
import { SealError } from '../seal/error.ts'
import type { KeyPair } from '../seal/hpke.ts'
import { kindIndex } from '../seal/manifest.ts'
import { decodeAny, encode } from '../wire/schema.ts'
import { codeOf } from '../wire/refusal.ts'
import { equal, fromUtf8, hex } from '../wire/bytes.ts'
import type { Dictionary } from '../zstd/zstd.ts'
import { askAll, notReleased } from './ask.ts'
import { inOrder, inPieces, namedByMore, together } from './lists.ts'
import { type Located, openLocated, Sightings } from './locate.ts'
import {
  type Anchored,
  type Committee,
  heldBy,
  itemName,
  type List,
  listRoot,
  type LocatedBatch,
  locateRequestSchema,
  type ReleaseReply,
  releaseReplySchema,
  releaseRequestSchema,
  sealedSchema,
  seatsOf,
  sortedList,
} from './message.ts'
import { type Asked, type BadCustodian, commitsOf, type Opened, openRecord, Releases } from './release.ts'

/** Custodians carries canonical CBOR to a custodian (16 bytes of account) and its answer back. A refusal of the custodian is a Refusal with its code. */
export interface Custodians {
  locate(custodian: Uint8Array, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
  release(custodian: Uint8Array, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
  /** ciphertext fetches one ciphertext by its SHA-256 from one of the holders; what comes is checked */
  ciphertext(holders: readonly Uint8Array[], address: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>
  /** ciphertexts fetches at most 64 at once, undefined for one that nobody has; without it they come one by one */
  ciphertexts?(holders: readonly Uint8Array[], addresses: readonly Uint8Array[], signal?: AbortSignal): Promise<(Uint8Array | undefined)[]>
}

/** Facts are what the ledger says; give ones that a light client has verified (ledger/facts.ts). */
export interface Facts {
  readonly chain: string
  committee(): Promise<Committee>
  /** anchored gives an ACTIVE batch, undefined for any other */
  anchored(header: Uint8Array): Promise<Anchored | undefined>
  /** expect says which batches will be asked for, so that what proves them can come together */
  expect?(headers: readonly Uint8Array[]): Promise<void>
  /** renew asks the ledger again for what was known: the committee may have changed */
  renew?(): void
}

/** ReaderConfig is what a session needs. commit submits access.fetch and returns its number in the session and its height. */
export interface ReaderConfig {
  readonly session: Uint8Array
  readonly key: KeyPair
  readonly height: bigint
  readonly facts: Facts
  readonly custodians: Custodians
  readonly dictionary: Dictionary
  /** the lists of this session by their records' names, for a reader that comes after another one; none are kept if it is left out */
  readonly committed?: Map<string, Committed>
  commit(root: Uint8Array, count: number): Promise<{ fetch: number; height: bigint }>
}

/** Committed is a list that a session has on the ledger: its number there, and the height from which custodians know it. */
export interface Committed {
  readonly list: List
  readonly fetch: number
  readonly height: bigint
}

/** TooFew: fewer custodians than the threshold answered. */
export class TooFew extends Error {
  readonly answered: number
  readonly needed: number
  constructor(answered: number, needed: number, causes: readonly unknown[]) {
    super(`custody: ${answered} custodians answered, ${needed} are needed`, { cause: causes })
    this.name = 'TooFew'
    this.answered = answered
    this.needed = needed
  }
}

/** Moved: the shares have gone to another committee since the records were located. */
export class Moved extends Error {
  constructor() {
    super('custody: the shares have gone to another committee')
    this.name = 'Moved'
  }
}

/** Result is what a read gave, and each custodian that was found out on the way. */
export interface Result {
  readonly records: readonly Opened[]
  readonly bad: readonly BadCustodian[]
}

/** Progress counts records: asked, fetched as ciphertext, opened. */
export type Progress = (p: { readonly step: 'release' | 'fetch' | 'open'; readonly done: number; readonly of: number }) => void

const grace = 2000
const maxPages = 1024

/** Reader reads in one open session. Its key dies with it: nothing is written down. */
export class Reader {
  private readonly c: ReaderConfig
  private height: bigint

  constructor(c: ReaderConfig) {
    this.c = c
    this.height = c.height
  }

  /**
   * locate finds the records that the session may open. A record counts when
   * more than f custodians name it with a proof. That nothing is allowed looks
   * like no data.
   * @throws TooFew
   */
  async locate(cancel?: AbortSignal): Promise<Located[]> {
    const { epoch } = await this.c.facts.committee()
    const answers = await askAll(epoch.n, { t: epoch.t, grace }, (i, signal) => this.pages(epoch.members[i] ?? new Uint8Array(16), signal), cancel)
    await this.c.facts.expect?.(namedByMore(answers, epoch.n - epoch.t))
    const found = new Sightings((h) => this.c.facts.anchored(h))
    let answered = 0
    const errors: unknown[] = []
    for (const [i, a] of answers.entries()) {
      if (a === undefined) continue
      if ('error' in a && codeOf(a.error) !== notReleased) errors.push(a.error)
      else answered++ // "nothing to release" is an answer: nothing
      if ('value' in a) await found.add(i + 1, a.value)
    }
    if (answered < epoch.t) throw new TooFew(answered, epoch.t, errors)
    return found.believed(epoch.n - epoch.t)
  }

  private async pages(custodian: Uint8Array, signal: AbortSignal): Promise<LocatedBatch[]> {
    const out: LocatedBatch[] = []
    let after = 0n
    for (let page = 0; page < maxPages; page++) {
      const request = encode(locateRequestSchema, { session: this.c.session, readerKey: this.c.key.publicKey, after, height: this.height })
      const raw = await this.c.custodians.locate(custodian, request, signal)
      const p = openLocated(this.c.key.seed, this.c.session, decodeAny(sealedSchema, raw, raw.length).box)
      out.push(...p.batches)
      if (p.next <= after) break
      after = p.next
    }
    return out
  }

  /**
   * read commits to the records, collects their shares and opens them. A record
   * that cannot be opened has its error and holds up no other. None at all means
   * that the session has ended or allows them no longer.
   * @throws TooFew, SealError author, and what commit throws
   */
  async read(records: readonly Located[], progress?: Progress, cancel?: AbortSignal): Promise<Result> {
    const out: Opened[] = []
    const bad: BadCustodian[] = []
    const take = (r: Result) => {
      out.push(...r.records)
      bad.push(...r.bad.filter((b) => !bad.some((o) => o.index === b.index && equal(o.account, b.account))))
    }
    for (const some of together(records)) {
      try {
        const { fetch, height, list } = await this.committed(some.map((l) => l.item))
        this.height = height
        take(await this.readFetch(fetch, list, some, progress, cancel))
      } catch (err) {
        cancel?.throwIfAborted()
        const moved = await this.moved(some).catch(() => undefined)
        if (moved === undefined) throw err
        // The committee changed between: the same records once more, from who holds them now.
        take(await this.read(moved, progress, cancel))
      }
    }
    return { records: inOrder(records, out), bad }
  }

  /** moved gives the records with the epochs that hold them now, undefined if none has moved since they were located. */
  private async moved(records: readonly Located[]): Promise<Located[] | undefined> {
    this.c.facts.renew?.()
    const out: Located[] = []
    for (const l of records) {
      const anchored = await this.c.facts.anchored(l.item.header)
      if (anchored === undefined) return undefined
      out.push({ ...l, anchored })
    }
    return out.some((l, i) => heldBy(l.anchored) !== heldBy(records[i]?.anchored ?? l.anchored)) ? out : undefined
  }

  /** committed is the list of these records on the ledger, as it is there already or is put there now. */
  private async committed(items: readonly Located['item'][]): Promise<Committed> {
    const name = items.map(itemName).sort().join()
    const known = this.c.committed?.get(name)
    if (known !== undefined) return known
    const list = sortedList(items)
    const c = { list, ...(await this.c.commit(listRoot(list), list.items.length)) }
    this.c.committed?.set(name, c)
    return c
  }

  private async readFetch(fetch: number, list: List, records: readonly Located[], progress?: Progress, cancel?: AbortSignal): Promise<Result> {
    const located = new Map(records.map((l) => [itemName(l.item), l]))
    progress?.({ step: 'release', done: 0, of: records.length })
    const epoch = records[0] === undefined ? 0n : heldBy(records[0].anchored)
    const [first, fetched] = await Promise.all([this.release(fetch, list, epoch, false, cancel), this.ciphertexts(records, progress, cancel)])
    if (first === undefined) return { records: [], bad: [] }
    const { commits, errors } = commitsOf(located, fetched)
    let releases = first
    let found = releases.keys(located, commits, false)
    if (found.needsProofs) {
      const again = await this.release(fetch, list, epoch, true, cancel)
      if (again === undefined) return { records: [], bad: first.bad }
      for (const b of first.bad) again.blame(b.index, b.fault)
      releases = again
      found = releases.keys(located, commits, true)
    }
    const opened: Opened[] = []
    for (const [k, l] of records.entries()) {
      opened.push(this.open(l, found.keys, fetched, errors))
      if (k % 64 === 63) {
        progress?.({ step: 'open', done: k + 1, of: records.length })
        await new Promise((r) => setTimeout(r, 0)) // the page stays alive
        cancel?.throwIfAborted()
      }
    }
    for (const key of found.keys.values()) key.fill(0)
    progress?.({ step: 'open', done: records.length, of: records.length })
    return { records: opened, bad: releases.bad }
  }

  private open(l: Located, keys: ReadonlyMap<string, Uint8Array>, fetched: ReadonlyMap<string, Uint8Array>, errors: ReadonlyMap<string, unknown>): Opened {
    const name = itemName(l.item)
    try {
      const key = keys.get(name)
      const ct = fetched.get(name)
      if (key === undefined || ct === undefined) throw errors.get(name) ?? new SealError('ciphertext', 'custody: nobody has the ciphertext')
      return { located: l, body: openRecord(l, key, ct, this.c.dictionary) }
    } catch (error) {
      return { located: l, error }
    }
  }

  /** release asks all custodians; undefined when so many had nothing to release that no t of the others could. */
  private async release(fetch: number, list: List, held: bigint, proofs: boolean, cancel?: AbortSignal): Promise<Releases | undefined> {
    const committee = seatsOf(await this.c.facts.committee(), held)
    if (committee === undefined) throw new Moved()
    const { n, t, members, epoch } = committee.epoch
    const asked: Asked = { chain: this.c.facts.chain, session: this.c.session, seed: this.c.key.seed, list, committee }
    const request = encode(releaseRequestSchema, { session: this.c.session, fetch, readerKey: this.c.key.publicKey, list, proofs, height: this.height, epoch })
    const releases = new Releases(asked)
    const call = async (i: number, signal: AbortSignal): Promise<ReleaseReply> => {
      const raw = await this.c.custodians.release(members[i] ?? new Uint8Array(16), request, signal)
      const reply = decodeAny(releaseReplySchema, raw, raw.length)
      if (!signal.aborted && !releases.take(i + 1, reply)) throw new Error("custody: a custodian's answer does not verify")
      return reply
    }
    const answers = await askAll(n, { t, grace: proofs ? grace : 0, refusals: n - t }, call, cancel)
    const errors = answers.flatMap((a) => (a !== undefined && 'error' in a ? [a.error] : []))
    if (releases.count >= t) return releases
    if (errors.filter((e) => codeOf(e) === notReleased).length > n - t) return undefined
    throw new TooFew(releases.count, t, errors)
  }

  private async ciphertexts(records: readonly Located[], progress?: Progress, cancel?: AbortSignal): Promise<Map<string, Uint8Array>> {
    if (this.c.custodians.ciphertexts !== undefined) return this.together(records, progress, cancel)
    const out = new Map<string, Uint8Array>()
    const todo = [...records]
    let done = 0
    const worker = async () => {
      for (let l = todo.pop(); l !== undefined; l = todo.pop()) {
        cancel?.throwIfAborted()
        const holders = [...l.anchored.holders, l.anchored.batch.author]
        try {
          out.set(itemName(l.item), await this.c.custodians.ciphertext(holders, l.entry.ciphertext, cancel))
        } catch {
          cancel?.throwIfAborted() // else: told as the record's error
        }
        if (++done % 32 === 0) progress?.({ step: 'fetch', done, of: records.length })
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    return out
  }

  /** together fetches many in one request: those of a batch have the same holders. */
  private async together(records: readonly Located[], progress?: Progress, cancel?: AbortSignal): Promise<Map<string, Uint8Array>> {
    const out = new Map<string, Uint8Array>()
    const by = new Map<string, { holders: readonly Uint8Array[]; of: Located[] }>()
    for (const l of records) {
      const holders = [...l.anchored.holders, l.anchored.batch.author]
      const name = holders.map(hex).join()
      const group = by.get(name) ?? { holders, of: [] }
      group.of.push(l)
      by.set(name, group)
    }
    const todo = [...by.values()].flatMap((g) => [...inPieces(g.of, 64)].map((of) => ({ holders: g.holders, of })))
    let done = 0
    const worker = async () => {
      for (let ask = todo.shift(); ask !== undefined; ask = todo.shift()) {
        cancel?.throwIfAborted()
        try {
          const got = await this.c.custodians.ciphertexts?.(ask.holders, ask.of.map((l) => l.entry.ciphertext), cancel)
          ask.of.forEach((l, i) => {
            const ct = got?.[i]
            if (ct !== undefined) out.set(itemName(l.item), ct)
          })
        } catch {
          cancel?.throwIfAborted() // else: told as the records' error
        }
        done += ask.of.length
        progress?.({ step: 'fetch', done, of: records.length })
      }
    }
    await Promise.all(Array.from({ length: 3 }, worker))
    return out
  }
}

/** Summary is what an index record says of a record: the author's word, as JSON. */
export interface IndexLine {
  readonly located: Located
  readonly summary: unknown
}

/**
 * indexLines reads opened index records: what they say about records that were
 * located and that lie in the same slots as the index. spec/record.md section 2.
 */
export function indexLines(located: readonly Located[], opened: readonly Opened[]): IndexLine[] {
  const at = new Map(located.filter((l) => l.entry.kind !== kindIndex).map((l) => [itemName(l.item), l]))
  const out: IndexLine[] = []
  for (const o of opened) {
    for (const line of lines(o.body)) {
      const l = at.get(itemName({ header: o.located.item.header, index: line.i }))
      if (l !== undefined && l.entry.slots === o.located.entry.slots) out.push({ located: l, summary: line.s })
    }
  }
  return out
}

function lines(body: Uint8Array | undefined): { i: number; s: unknown }[] {
  const text = body && fromUtf8(body)
  if (text === undefined) return []
  try {
    const list: unknown = JSON.parse(text)
    if (!Array.isArray(list)) return []
    return list.filter((x): x is { i: number; s: unknown } => typeof x === 'object' && x !== null && Number.isInteger((x as { i?: unknown }).i))
  } catch {
    return [] // a faulty author's: its records are still there to be opened
  }
}
