/**
 * Public facts of the ledger with their proofs: what a wallet asks its node, which it does not
 * believe. One answer proves any number of rows and entries under one signed block
 * (gateway/portal/proof.go, package client's Claims), so that a read needs few of them.
 */
import { hex } from '../wire/bytes.ts'
import { codeOf } from '../wire/refusal.ts'
import { bytes, decodeAny, encode, type Infer, list, struct, text, u64, u8 } from '../wire/schema.ts'
import type { Head, LightClient } from './client.ts'
import type { Verified } from './facts.ts'
import { verifyEntry, verifyKey } from './proof.ts'
import { entryClaim, readBlock, rowClaim } from './receipt.ts'

export const claimsRequestSchema = struct({ least: [1, u64], rows: [2, list(bytes)], entries: [3, list(u64)] })
export const claimsSchema = struct({
  version: [1, u8],
  chain: [2, text],
  block: [3, bytes],
  trail: [4, list(bytes)],
  rows: [5, list(rowClaim)],
  entries: [6, list(entryClaim)],
})
/** Claims are rows and entries that are proven under one block. */
export type Claims = Infer<typeof claimsSchema>

/**
 * Why an answer is not believed. answer: it cannot be read, or says nothing of what was asked;
 * block: its block is not of this chain, or not signed (the cause has the code); stale: its state
 * is from before what this wallet knows of, or not of now by this device's clock; committee, params,
 * batch: that row, key or entry is not as said; absent: the row is said to be absent, and is not.
 */
export type FactFault = 'answer' | 'block' | 'stale' | 'committee' | 'params' | 'batch' | 'absent'

/** FactError: what the node says of the ledger is not what the ledger says. */
export class FactError extends Error {
  readonly fault: FactFault
  constructor(fault: FactFault, options?: { cause?: unknown }) {
    super(`ledger: facts that are not proven: ${fault}`, options)
    this.name = 'FactError'
    this.fault = fault
  }
}

/** ProvenConfig says how facts come, and how old they may be. */
export interface ProvenConfig {
  readonly client: LightClient
  /** ask posts a claimsRequestSchema and gives the answer's bytes */
  ask(request: Uint8Array): Promise<Uint8Array>
  /** header gives the signed block of a height, for ways to the answer's block that the answer does not bring */
  header?(height: bigint): Promise<Uint8Array>
  /** seen is told when the client has verified a new block, so that it can be kept */
  seen?(client: LightClient): void
  /** the state must be of this height or later, such as that of the reader's session */
  readonly least?: bigint
  /** now in seconds, the device's clock */
  now?(): number
  /** a block's time may differ by so many seconds from this device's clock; 300 */
  readonly drift?: number
  /** what was proven is asked for again after so many seconds; 15 */
  readonly fresh?: number
}

/** The gateway proves so many rows in one answer. */
const most = 512
const maxAnswer = 64 << 20

interface Waiting {
  readonly key?: Uint8Array
  readonly index?: bigint
  done(): void
  fail(err: unknown): void
}

/** What a row is about, by its key. */
const faultOf = (key: Uint8Array): FactFault => (key[0] === 5 ? 'batch' : key[0] === 2 && key[1] === 2 ? 'params' : 'committee')

/** ProvenFacts answers with rows and entries that were proven under headers that the light client verified. */
export class ProvenFacts implements Verified {
  private readonly c: ProvenConfig
  private readonly rows = new Map<string, { value: Uint8Array | undefined; at: number }>()
  private readonly entries = new Map<bigint, Uint8Array>()
  private waiting: Waiting[] = []
  private readonly least: bigint

  constructor(c: ProvenConfig) {
    this.c = c
    this.least = c.least ?? 0n
  }

  get chain(): string {
    return this.c.client.chain
  }

  private now(): number {
    return this.c.now?.() ?? Date.now() / 1000
  }

  private known(key: Uint8Array): { value: Uint8Array | undefined } | undefined {
    const r = this.rows.get(hex(key))
    return r !== undefined && this.now() - r.at < (this.c.fresh ?? 15) ? r : undefined
  }

  /** row gives a row's value, undefined if it is proven that there is none. @throws FactError, and what ask throws */
  async row(key: Uint8Array): Promise<Uint8Array | undefined> {
    if (this.known(key) === undefined) await this.wait({ key })
    return this.rows.get(hex(key))?.value
  }

  /** entry gives an entry of the log. @throws FactError, and what ask throws */
  async entry(index: bigint): Promise<Uint8Array> {
    if (!this.entries.has(index)) await this.wait({ index })
    const e = this.entries.get(index)
    if (e === undefined) throw new FactError('answer')
    return e
  }

  /** expect asks for rows that will be needed, in as few answers as there can be. */
  async expect(keys: readonly Uint8Array[]): Promise<void> {
    await Promise.all(keys.map((k) => this.row(k)))
  }

  /** renew forgets what can change. */
  renew(): void {
    this.rows.clear()
  }

  /** wait gathers what is asked for at one time into one request. */
  private wait(what: { key?: Uint8Array; index?: bigint }): Promise<void> {
    return new Promise((done, fail) => {
      this.waiting.push({ ...what, done, fail })
      if (this.waiting.length === 1) queueMicrotask(() => this.flush())
    })
  }

  private flush(): void {
    const all = this.waiting
    this.waiting = []
    for (let i = 0; i < all.length; i += most) {
      const some = all.slice(i, i + most)
      this.fetch(some).then(
        () => some.forEach((w) => w.done()),
        (err: unknown) => some.forEach((w) => w.fail(err)),
      )
    }
  }

  private async fetch(some: readonly Waiting[]): Promise<void> {
    const rows = new Map(some.flatMap((w) => (w.key === undefined ? [] : [[hex(w.key), w.key] as const])))
    const entries = new Set(some.flatMap((w) => (w.index === undefined ? [] : [w.index])))
    const c = this.read(await this.c.ask(encode(claimsRequestSchema, { least: this.least, rows: [...rows.values()], entries: [...entries] })))
    this.take(c, await this.head(c), rows, entries)
  }

  /** take keeps what an answer proves: all of it, or, if anything in it does not verify, nothing. */
  private take(c: Claims, { appHash }: Head, rows: ReadonlyMap<string, Uint8Array>, entries: ReadonlySet<bigint>): void {
    for (const r of c.rows) {
      if (r.absent && r.value.length > 0) throw new FactError('answer')
      if (!verifyKey(r.proof, appHash, r.key, r.absent ? undefined : r.value)) throw new FactError(r.absent ? 'absent' : faultOf(r.key))
    }
    for (const e of c.entries) if (!verifyEntry(e.proof, appHash, e.index, e.entry)) throw new FactError('batch')
    const said = new Set(c.rows.map((r) => hex(r.key)))
    if ([...rows.keys()].some((k) => !said.has(k))) throw new FactError('answer')
    if ([...entries].some((i) => !c.entries.some((e) => e.index === i))) throw new FactError('answer')
    const at = this.now()
    for (const r of c.rows) this.rows.set(hex(r.key), { value: r.absent ? undefined : r.value, at })
    for (const e of c.entries) this.entries.set(e.index, e.entry)
  }

  private read(raw: Uint8Array): Claims {
    let c: Claims
    try {
      c = decodeAny(claimsSchema, raw, maxAnswer)
    } catch (cause) {
      throw new FactError('answer', { cause })
    }
    if (c.version !== 1) throw new FactError('answer')
    return c
  }

  /** head verifies the block of an answer, and that its state is of now. */
  private async head(c: Claims): Promise<Head> {
    if (c.chain !== this.chain) throw new FactError('block')
    const before = this.c.client.height
    let head: Head
    try {
      head = await this.follow(c)
    } catch (cause) {
      throw new FactError('block', { cause })
    }
    const away = Math.abs(this.now() - Number(head.time))
    if (head.height - 1n < this.least || away > (this.c.drift ?? 300)) throw new FactError('stale')
    if (this.c.client.height > before) this.c.seen?.(this.c.client)
    return head
  }

  /** follow goes by the answer's own trail; where what is trusted has moved past the validators of that, by the chain's blocks. */
  private async follow(c: Claims): Promise<Head> {
    const { client, header } = this.c
    try {
      return client.see(c.block, c.trail)
    } catch (err) {
      if (codeOf(err) !== 0x2503 || header === undefined) throw err
      const { height } = readBlock(c.block).header
      await client.advance(height, (h) => (h === height ? Promise.resolve(c.block) : header(h)))
      return client.see(c.block, c.trail)
    }
  }
}
