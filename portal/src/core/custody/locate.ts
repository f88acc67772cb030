/** Which records a session may open, as far as custodians can be believed: spec/record.md section 5, step 1. */
import { headerHash, shareRootsHash } from '../seal/header.ts'
import { unbox } from '../seal/hpke.ts'
import { type ManifestEntry, verifyEntryPath } from '../seal/manifest.ts'
import { compare, equal, hex } from '../wire/bytes.ts'
import { decodeAny } from '../wire/schema.ts'
import { type Anchored, answerInfo, compareItems, type Item, itemName, type LocatedBatch, type LocatedPage, locatedSchema } from './message.ts'

/** Located is a record that the session may open, with what proves it. */
export interface Located {
  readonly item: Item
  readonly entry: ManifestEntry
  readonly anchored: Anchored
  readonly shareRoots: readonly Uint8Array[]
}

/** openLocated opens one page of a custodian's answer. @throws SealError open, Refusal */
export function openLocated(seed: Uint8Array, session: Uint8Array, box: Uint8Array): LocatedPage {
  const plain = unbox(seed, answerInfo('locate', session), box)
  return decodeAny(locatedSchema, plain, plain.length)
}

/** Batches of one custodian that do not check out, before the rest of its answer is not looked at. */
const maxLies = 16

const sameEntry = (a: ManifestEntry, b: ManifestEntry): boolean =>
  equal(a.id, b.id) && a.slots === b.slots && a.kind === b.kind && equal(a.ciphertext, b.ciphertext) && equal(a.meta, b.meta) && a.size === b.size

/**
 * Sightings gathers what custodians say is there. anchored gives what the
 * ledger says of a batch, undefined if it is not ACTIVE; it is asked once a batch.
 */
export class Sightings {
  private readonly seen = new Map<string, { located: Located; by: Set<number> }>()
  private readonly batches = new Map<string, Anchored | undefined>()
  private readonly anchored: (header: Uint8Array) => Promise<Anchored | undefined>

  constructor(anchored: (header: Uint8Array) => Promise<Anchored | undefined>) {
    this.anchored = anchored
  }

  /** add takes one custodian's answer as far as it verifies, and returns how many of its batches did not. */
  async add(custodian: number, batches: readonly LocatedBatch[]): Promise<number> {
    let lies = 0
    for (const b of batches) if (!(await this.addBatch(custodian, b)) && ++lies === maxLies) break
    return lies
  }

  private async batch(header: Uint8Array): Promise<Anchored | undefined> {
    const name = hex(header)
    if (!this.batches.has(name)) {
      const a = await this.anchored(header)
      const ours = a !== undefined && a.batch.active > 0n && equal(headerHash(a.put.header), header)
      this.batches.set(name, ours ? a : undefined)
    }
    return this.batches.get(name)
  }

  private async addBatch(custodian: number, b: LocatedBatch): Promise<boolean> {
    const anchored = await this.batch(b.header)
    if (anchored === undefined || !equal(shareRootsHash(b.shareRoots), anchored.put.header.shareRoots)) return false
    let whole = true
    for (const e of b.entries) {
      const item = { header: b.header, index: e.index }
      const name = itemName(item)
      let x = this.seen.get(name)
      // The manifest fixes the entry, so an equal one needs no proof of its own.
      if (x === undefined || !sameEntry(x.located.entry, e.entry)) {
        if (!verifyEntryPath(anchored.put.header, e.index, e.entry, e.path)) {
          whole = false
          continue
        }
        x = { located: { item, entry: e.entry, anchored, shareRoots: b.shareRoots }, by: new Set() }
        this.seen.set(name, x)
      }
      x.by.add(custodian)
    }
    return whole
  }

  /** believed returns what more than f custodians named, by batch and position; f is n - t of the committee. */
  believed(f: number): Located[] {
    return [...this.seen.values()]
      .filter((x) => x.by.size > f)
      .map((x) => x.located)
      .sort((a, b) => compareItems(a.item, b.item))
  }
}

/** byTime orders located records by the time of their anchor, the newest first. */
export const byTime = (a: Located, b: Located): number => Number(b.anchored.batch.time - a.anchored.batch.time) || compare(a.item.header, b.item.header)
