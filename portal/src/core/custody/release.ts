/** Custodians' replies to a release: what is checked before a share counts (spec/record.md section 5, step 3), and the way from shares to records. */
import { combine, combineProven, type Wanted } from '../seal/combine.ts'
import { type Dictionary } from '../zstd/zstd.ts'
import { decompress } from '../seal/compress.ts'
import { SealError } from '../seal/error.ts'
import { learn } from '../seal/manifest.ts'
import { decrypt } from '../seal/record.ts'
import { openProofs, openRelease } from '../seal/release.ts'
import { verifyEd25519 } from '../tx/verify.ts'
import { equal, hex } from '../wire/bytes.ts'
import type { Located } from './locate.ts'
import { groups, itemName, type List, listRoot, replyDigest, type ReleaseReply, type Seats } from './message.ts'

/** Why a custodian's answer does not count; the words are stable. */
export type CustodianFault = 'index' | 'signature' | 'left-out' | 'unopened' | 'share'

/** BadCustodian is one whose answer did not verify, by its index from 1. */
export interface BadCustodian {
  readonly index: number
  readonly account: Uint8Array
  readonly fault: CustodianFault
}

/** Asked is one fetch: the chain, the session with its reader key's seed, and the committed list. */
export interface Asked {
  readonly chain: string
  readonly session: Uint8Array
  readonly seed: Uint8Array
  readonly list: List
  /** of the epoch that holds the list's batches */
  readonly committee: Seats
}

interface Part {
  readonly shares: Map<number, readonly Uint8Array[]>
  readonly proofs: Map<number, Uint8Array>
}

/** Releases gathers the replies to one fetch. */
export class Releases {
  readonly bad: BadCustodian[] = []
  private readonly asked: Asked
  private readonly root: Uint8Array
  private readonly groups: ReturnType<typeof groups>
  private readonly parts = new Map<string, Part>()
  private readonly answered = new Set<number>()

  constructor(asked: Asked) {
    this.asked = asked
    this.root = listRoot(asked.list)
    this.groups = groups(asked.list)
    for (const g of this.groups) this.parts.set(hex(g.header), { shares: new Map(), proofs: new Map() })
  }

  /** count is how many custodians' replies were taken. */
  get count(): number {
    return this.answered.size
  }

  /** take checks the reply of the custodian of that index and keeps its shares; false names the custodian in bad. */
  take(index: number, reply: ReleaseReply): boolean {
    const fault = this.check(index, reply)
    if (fault === undefined) this.answered.add(index)
    else this.blame(index, fault)
    return fault === undefined
  }

  private check(index: number, reply: ReleaseReply): CustodianFault | undefined {
    const { chain, session, seed, committee } = this.asked
    if (reply.custodian !== index || index < 1 || index > committee.epoch.n) return 'index'
    const digest = replyDigest(chain, session, this.root, reply)
    if (!(committee.keys[index - 1] ?? []).some((k) => signed(k, digest, reply.signature))) return 'signature'
    const opened: { part: Part; shares: Uint8Array[]; proofs: Uint8Array }[] = []
    for (const [i, g] of this.groups.entries()) {
      const r = reply.parts[i]
      const part = this.parts.get(hex(g.header))
      if (r === undefined || part === undefined || !equal(r.header, g.header)) return 'left-out'
      try {
        opened.push({ part, shares: openRelease(seed, session, index, g.header, g.positions, r.sealed), proofs: r.proofs })
      } catch {
        return 'unopened'
      }
    }
    for (const o of opened) {
      o.part.shares.set(index, o.shares)
      o.part.proofs.set(index, o.proofs)
    }
    return undefined
  }

  blame(index: number, fault: CustodianFault): void {
    if (this.bad.some((b) => b.index === index)) return
    this.bad.push({ index, account: this.asked.committee.epoch.members[index - 1] ?? new Uint8Array(16), fault })
    this.bad.sort((a, b) => a.index - b.index)
  }

  /** keys combines the shares of all batches. needsProofs says: ask all custodians again for share proofs, and combine what they send with them. */
  keys(located: ReadonlyMap<string, Located>, commits: ReadonlyMap<string, Uint8Array>, proven: boolean): { keys: Map<string, Uint8Array>; needsProofs: boolean } {
    const out = new Map<string, Uint8Array>()
    for (const g of this.groups) {
      const names = g.positions.map((p) => itemName({ header: g.header, index: p }))
      const first = located.get(names[0] ?? '')
      const part = this.parts.get(hex(g.header))
      if (first === undefined || part === undefined) throw new SealError('invalid', 'custody: the list and the records located do not fit together')
      const wanted = g.positions.map((position, k): Wanted => {
        const name = names[k] ?? ''
        return { position, id: located.get(name)?.entry.id ?? new Uint8Array(16), commit: commits.get(name) }
      })
      const found = this.batchKeys(first, wanted, part, proven)
      if (found === undefined) return { keys: out, needsProofs: true }
      found.forEach((key, k) => key !== undefined && out.set(names[k] ?? '', key))
    }
    return { keys: out, needsProofs: false }
  }

  private batchKeys(first: Located, wanted: readonly Wanted[], part: Part, proven: boolean): readonly (Uint8Array | undefined)[] | undefined {
    const h = first.anchored.put.header
    const { epoch } = this.asked.committee
    // Another committee than the author's has another number of custodians and another threshold. The author
    // committed to no shares of that one: whoever is found out is so by the shares alone.
    const moved = epoch.epoch !== h.epoch
    try {
      const c = combine(moved ? { ...h, n: epoch.n, t: epoch.t } : h, wanted, part.shares)
      if (!c.disputed || moved) {
        for (const i of c.bad) this.blame(i, 'share')
        return c.keys
      }
    } catch (err) {
      // Those who were not waited for may outvote who lied: proofs or not, all are asked again once.
      if ((moved && proven) || !(err instanceof SealError) || (err.fault !== 'mismatch' && err.fault !== 'too-few')) throw err
    }
    if (!proven) return undefined
    const positions = wanted.map((w) => w.position)
    const proofs = new Map<number, readonly (readonly Uint8Array[])[]>()
    for (const [i, sealed] of part.proofs) {
      try {
        proofs.set(i, openProofs(this.asked.seed, this.asked.session, i, h, positions, sealed))
      } catch {
        continue // proofs that do not open count as none: their custodian is named
      }
    }
    const r = combineProven(h, wanted, first.shareRoots, part.shares, proofs)
    for (const i of r.bad) this.blame(i, 'share')
    if (r.keys === undefined) throw new SealError('author', 'seal: dealt shares contradict the committed keys', r.bad)
    return r.keys
  }
}

function signed(key: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  try {
    return verifyEd25519(key, digest, signature)
  } catch {
    return false
  }
}

/** Opened is a record's exact bytes, or why it could not be had. */
export interface Opened {
  readonly located: Located
  readonly body?: Uint8Array
  readonly error?: unknown
}

/** commitsOf takes the key commitments from the ciphertexts, by itemName; what is not the committed ciphertext has none. */
export function commitsOf(located: ReadonlyMap<string, Located>, ciphertexts: ReadonlyMap<string, Uint8Array>): { commits: Map<string, Uint8Array>; errors: Map<string, unknown> } {
  const commits = new Map<string, Uint8Array>()
  const errors = new Map<string, unknown>()
  for (const [name, l] of located) {
    try {
      const ct = ciphertexts.get(name)
      if (ct === undefined) throw new SealError('ciphertext', 'custody: nobody has the ciphertext')
      commits.set(name, learn(l.entry, ct))
    } catch (err) {
      errors.set(name, err)
    }
  }
  return { commits, errors }
}

/** openRecord decrypts and decompresses one record. @throws SealError */
export const openRecord = (l: Located, key: Uint8Array, ciphertext: Uint8Array, dictionary: Dictionary): Uint8Array =>
  decompress(decrypt(l.anchored.put.header, l.entry, key, ciphertext), dictionary)
