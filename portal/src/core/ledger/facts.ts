/** What a reader needs to know of the ledger, from rows and log entries that a light client has verified. */
import type { Anchored, Committee, Seats } from '../custody/message.ts'
import type { Facts } from '../custody/reader.ts'
import { algEd25519 } from '../tx/key.ts'
import { put } from '../tx/message.ts'
import { hex } from '../wire/bytes.ts'
import { bool, decode, decodeAny, type Infer, opt, type Schema, struct, u64 } from '../wire/schema.ts'
import { decodeEntry } from './audit.ts'
import { type Batch, batchSchema, type Epoch, epochSchema, type Member, memberSchema, type Params, paramsSchema, rowKeys } from './rows.ts'

/** Verified answers with what a light client has checked, for example by LightClient.check of a receipt. */
export interface Verified {
  readonly chain: string
  /** row gives a row's value, undefined if it is proven that there is none */
  row(key: Uint8Array): Promise<Uint8Array | undefined>
  /** entry gives an entry of the log */
  entry(index: bigint): Promise<Uint8Array>
  /** expect says which rows will be asked for, so that they can come together */
  expect?(keys: readonly Uint8Array[]): Promise<void>
  /** renew forgets the rows that are known, so that they are asked for again */
  renew?(): void
}

/** Which epoch is in force; while tail holds, the one before holds the batches that became ACTIVE under it above height cut. */
const pointer = struct({ epoch: [1, u64], cut: [2, opt(u64)], tail: [3, opt(bool)] })
const maxRow = 1 << 20
const headerEntry = 0x0501

/** VerifiedFacts derives a committee and batches from proven rows. Nothing is kept for longer than the object lives. */
export class VerifiedFacts implements Facts {
  readonly chain: string
  private readonly v: Verified
  private readonly epochs = new Map<bigint, Epoch>()
  private readonly batches = new Map<string, Anchored>()

  constructor(v: Verified) {
    this.chain = v.chain
    this.v = v
  }

  private async read<T>(key: Uint8Array, s: Schema<T>): Promise<T | undefined> {
    const raw = await this.v.row(key)
    return raw === undefined ? undefined : decodeAny(s, raw, maxRow)
  }

  private async epoch(n: bigint): Promise<Epoch> {
    const known = this.epochs.get(n)
    if (known !== undefined) return known
    const e = await this.read(rowKeys.epoch(n), epochSchema)
    if (e === undefined) throw new Error('ledger: no such custody epoch')
    this.epochs.set(n, e) // an epoch never changes
    return e
  }

  private async held(): Promise<Infer<typeof pointer>> {
    const at = await this.read(rowKeys.currentEpoch(), pointer)
    if (at === undefined) throw new Error('ledger: no custody epoch is in force')
    return at
  }

  /** committee is the custody epoch in force, and the one before while that holds batches, with the keys that have no end yet. */
  async committee(): Promise<Committee> {
    const at = await this.held()
    const [now, before] = await Promise.all([this.seats(at.epoch), at.tail ? this.seats(at.epoch - 1n) : undefined])
    return { ...now, before }
  }

  private async seats(n: bigint): Promise<Seats> {
    const epoch = await this.epoch(n)
    const members = await Promise.all(epoch.members.map((account) => this.member(account)))
    return { epoch, keys: members.map((m) => (m?.keys ?? []).filter((k) => k.until === 0n && k.public.alg === algEd25519).map((k) => k.public.key)) }
  }

  /** renew has everything that can change asked for again. */
  renew(): void {
    this.v.renew?.()
  }

  /** expect says which batches will be asked for. */
  async expect(headers: readonly Uint8Array[]): Promise<void> {
    await this.v.expect?.([rowKeys.currentEpoch(), ...headers.filter((h) => !this.batches.has(hex(h))).map(rowKeys.batch)])
  }

  /** anchored gives an ACTIVE batch: its row, the author's transaction from the log, and who holds the ciphertexts. */
  async anchored(header: Uint8Array): Promise<Anchored | undefined> {
    const name = hex(header)
    const known = this.batches.get(name)
    if (known !== undefined) return { ...known, epoch: await this.epochOf(known.batch) } // ACTIVE never ends
    const batch = await this.read(rowKeys.batch(header), batchSchema)
    if (batch === undefined || batch.active === 0n) return undefined
    const entry = decodeEntry(await this.v.entry(batch.index))
    if (entry.kind !== headerEntry) return undefined
    const a: Anchored = { put: decode(put, entry.payload), batch, holders: await this.holders(batch), epoch: await this.epochOf(batch) }
    this.batches.set(name, a)
    return a
  }

  /** epochOf is the rule of which custody epoch holds the shares of an ACTIVE batch, 0 for the one of its header (Go: anchor.EpochOf). */
  private async epochOf(b: Batch): Promise<bigint> {
    const at = await this.held()
    if (b.epoch === at.epoch) return 0n
    const epoch = at.tail && b.active > at.cut ? at.epoch - 1n : at.epoch
    return epoch === b.epoch ? 0n : epoch
  }

  private async holders(b: Batch): Promise<Uint8Array[]> {
    const e = await this.epoch(b.epoch)
    return e.members.filter((_, i) => (b.holders & (1n << BigInt(i))) !== 0n)
  }

  /** member gives an organisation, undefined if there is none. */
  member(account: Uint8Array): Promise<Member | undefined> {
    return this.read(rowKeys.member(account), memberSchema)
  }

  /** params gives the network's parameters, such as the origins that may sign. */
  params(): Promise<Params | undefined> {
    return this.read(rowKeys.params(), paramsSchema)
  }
}
